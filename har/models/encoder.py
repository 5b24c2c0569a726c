"""Frozen encoders: image and text embeddings of a pretrained checkpoint."""

import shutil
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

import torch
from torch import nn
from transformers import AutoModel, AutoTokenizer

from har.core.errors import HarError
from har.core.readers import one_line
from har.models.checks import check_answers, opening
from har.models.classifier import load
from har.models.contrastive import EmbeddingClassifier
from har.models.hub_files import SMALL_FILES, check_small_files, model_type
from har.models.preprocess import Preprocess, from_folder


def pooled(model: nn.Module, output) -> torch.Tensor:
    """One vector an image, [n, width], from the output of an encoder without a text tower.

    The encoder's own pooling where it has one that image classifiers use: the mean of the map (ConvNeXt, ResNet,
    Swin) or of the patches (BEiT), the normed class token (DINOv2). ViT's pooler is BERT's dense layer, which no
    classifier uses and many checkpoints lack: there the class token after the final norm. Else the mean.
    """
    hidden, own = output.last_hidden_state, getattr(output, "pooler_output", None)
    pooler = getattr(model, "pooler", None)
    dense = pooler is not None and any(isinstance(module, nn.Linear) for module in pooler.modules())
    if own is not None and not dense:
        return own.flatten(1)
    if hidden.ndim == 4:  # [n, width, height, width]
        return hidden.mean((2, 3))
    token = any(name.endswith(("cls_token", "class_embedding")) for name, _ in model.named_parameters())
    return hidden[:, 0] if token else hidden.mean(1)


def require_fit(folder: str | Path, model: nn.Module, preprocess: Preprocess, forward: Callable) -> None:
    """HarError unless `model` takes an image as the folder's own preprocessing makes it: `forward(pixels)` is tried on
    a black one. Some networks are bound to their size, others scale what they learnt of places."""
    training = model.training
    black = torch.zeros(1, 3, preprocess.size, preprocess.size, dtype=torch.uint8)
    try:
        with torch.no_grad():
            model.eval()
            forward(preprocess.normalise(black).to(next(model.parameters()).device))
    except (ValueError, RuntimeError) as error:
        raise HarError(
            f"{folder}: its preprocessing, images of {preprocess.size} pixels, does not fit its network: "
            f"{one_line(error)}; take both of the same revision, or correct size, crop_size, image_mean and image_std "
            "in preprocessor_config.json"
        ) from None
    finally:
        model.train(training)


def _opened(folder: str | Path) -> nn.Module:
    if model_type(folder) != "open_clip":
        return load(AutoModel, folder)
    from har.models import open_clip  # costs seconds: only where it is used

    return open_clip.load(folder)


class Encoder:
    """A frozen checkpoint: image embeddings and, where it has a text tower, text embeddings."""

    def __init__(self, folder: str | Path, device: str = "cpu"):
        self.folder = Path(folder)
        self.preprocess = from_folder(folder)
        self.model = _opened(folder).eval().to(device)
        self.has_text = hasattr(self.model, "get_text_features")
        require_fit(folder, self.model, self.preprocess, self._embedded)

    @property
    def device(self) -> str:
        return str(next(self.model.parameters()).device)

    @torch.inference_mode()
    def images(self, pixels: torch.Tensor) -> torch.Tensor:
        """uint8 [n, 3, size, size] to embeddings [n, width]: the projected embedding of CLIP and SigLIP, what
        `pooled` says of others. Not normalised."""
        return self._embedded(self.preprocess.normalise(torch.as_tensor(pixels).to(self.device)))

    def _embedded(self, x: torch.Tensor) -> torch.Tensor:
        if self.has_text:
            return self.model.get_image_features(pixel_values=x).pooler_output
        return pooled(self.model, self.model(pixel_values=x))

    @torch.inference_mode()
    def texts(self, texts: Sequence[str]) -> torch.Tensor:
        """Texts to embeddings [n, width], not normalised. Raises HarError for an encoder without text."""
        if not self.has_text:
            raise HarError(f"{self.folder}: this encoder has no text tower")
        with opening(self.folder, "a tokenizer and text tower that fit each other"):
            inputs = {name: tokens.to(self.device) for name, tokens in self._tokens(texts).items()}
            found = self.model.get_text_features(**inputs).pooler_output
            check_answers(found, (len(texts), found.shape[-1]))
        return found

    @cached_property
    def _tokenizer(self):
        check_small_files(self.folder)
        return AutoTokenizer.from_pretrained(self.folder, trust_remote_code=False, local_files_only=True)

    def _tokens(self, texts: Sequence[str]) -> dict[str, torch.Tensor]:
        if hasattr(self.model, "tokens"):  # open_clip's own
            return {"input_ids": self.model.tokens(list(texts))}
        length = self.model.config.text_config.max_position_embeddings
        # SigLIP was trained with texts in lower case; it pools the last position, so it needs the padding as well
        siglip = self.model.config.model_type.startswith("siglip")
        padding = "max_length" if siglip else True
        words = [text.lower() if siglip else text for text in texts]
        tokens = self._tokenizer(words, padding=padding, truncation=True, max_length=length, return_tensors="pt")
        return {key: tokens[key] for key in ("input_ids", "attention_mask")[: 1 if siglip else 2]}

    @property
    def logit_scale(self) -> float:
        """The temperature that pre-training learned (CLIP, SigLIP), as a factor on cosines."""
        return float(self.model.logit_scale.detach().exp())


def save_with_text(model: EmbeddingClassifier, backbone: Path, folder: Path) -> None:
    """Save the CLIP or SigLIP in `backbone`, from which `model` was made, with the image tower of `model` in place of
    its own, so that the hub's zero-shot-image-classification pipeline opens it. The head lies in the same file."""
    for name in SMALL_FILES:  # its tokenizer
        if (backbone / name).exists():
            shutil.copyfile(backbone / name, folder / name)
    whole = load(AutoModel, backbone)
    whole.config.vision_config = model.config
    whole.config.id2label, whole.config.config = model.config.id2label, model.config.config
    whole.save_pretrained(folder, state_dict=whole.state_dict() | model.state_dict())
