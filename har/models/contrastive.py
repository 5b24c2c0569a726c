"""A linear head on the embedding that contrastive training shaped: CLIP's projected class token, what SigLIP's
attention pooling gives, of unit length as texts are compared with it. transformers' own classes average raw patches."""

import torch
from torch import nn
from torch.nn.functional import normalize
from transformers import AutoModel, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import ImageClassifierOutput

CLIP_TOWER = "clip_vision_model"  # as transformers' configuration of CLIP's image tower alone calls its type
FAMILIES = ("clip", CLIP_TOWER, "siglip", "siglip_vision_model")


class EmbeddingClassifier(PreTrainedModel):
    """logits = head(embedding of unit length). Weights are named as in CLIPModel and SiglipModel, so these and
    CLIPVisionModelWithProjection or SiglipVisionModel open what it saves; the head is theirs to leave out."""

    config_class = PretrainedConfig  # one of the image tower
    main_input_name = "pixel_values"
    _supports_sdpa = True

    def __init__(self, config: PretrainedConfig):
        super().__init__(config)
        if not getattr(config, "vision_use_head", True):
            raise ValueError("config.json: vision_use_head is false: a tower without pooling has no embedding")
        self.vision_model = AutoModel.from_config(config)
        width, clip = config.hidden_size, config.model_type == CLIP_TOWER
        self.visual_projection = nn.Linear(width, config.projection_dim, bias=False) if clip else nn.Identity()
        self.head = nn.Linear(config.projection_dim if clip else width, config.num_labels)
        self.post_init()

    @classmethod
    def from_config(cls, config: PretrainedConfig) -> "EmbeddingClassifier":
        return cls._from_config(config)

    def unit(self, pooled: torch.Tensor) -> torch.Tensor:
        """What the tower pools, [n, width], as the head takes it."""
        return normalize(self.visual_projection(pooled), dim=-1)

    def forward(self, pixel_values: torch.Tensor, **options) -> ImageClassifierOutput:
        found = self.vision_model(pixel_values, **options)
        logits = self.head(self.unit(found.pooler_output))
        return ImageClassifierOutput(logits=logits, hidden_states=found.hidden_states, attentions=found.attentions)


def tower_config(config: PretrainedConfig, **labels) -> PretrainedConfig:
    """The image tower's part of a checkpoint's configuration, with the `labels` (id2label, ...) that it lacks."""
    tower = getattr(config, "vision_config", config)
    if tower is not config and config.model_type == "clip":
        tower.projection_dim = config.projection_dim
    for key, value in labels.items():
        setattr(tower, key, value)
    return tower
