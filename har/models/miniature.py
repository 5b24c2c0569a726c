"""Miniature CLIP, SigLIP and ViT: transformers' own classes with small configurations, and the files that
make each a checkpoint in the hub's format."""

import math
from collections.abc import Sequence

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTForImageClassification,
)

from har.config.models import Miniature

PAD, START, UNKNOWN, END = "<pad>", "<start>", "<unknown>", "<end>"


def tokenizer(vocabulary: Sequence[str], length: int) -> PreTrainedTokenizerFast:
    """A word tokenizer in the hub's format: lower case, one token a word, start and end marks."""
    # END has the largest number, as in CLIP's own vocabulary: open_clip finds it by that
    words = {word: i for i, word in enumerate([PAD, START, UNKNOWN, *vocabulary, END])}
    core = Tokenizer(models.WordLevel(words, unk_token=UNKNOWN))
    core.normalizer = normalizers.Lowercase()
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single=f"{START} $A {END}", special_tokens=[(START, words[START]), (END, words[END])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=START,
        eos_token=END,
        pad_token=PAD,
        unk_token=UNKNOWN,
        model_max_length=length,
    )


def model(name: str, config: Miniature, vocabulary: int, targets: Sequence[str]) -> nn.Module:
    """A freshly initialised miniature of `name` (clip, siglip2 or vit) for a tokenizer of `vocabulary`
    tokens; a ViT has one output per entry of `targets`. Weights come from torch's global generator."""
    vision = {
        "hidden_size": config.width,
        "intermediate_size": config.mlp_ratio * config.width,
        "hidden_act": "gelu",  # one pass over memory; CLIP's own quick_gelu costs three, 12 % of a step here
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "image_size": config.image_size,
        "patch_size": config.patch_size,
    }
    if name == "vit":
        labels = dict(enumerate(targets))
        return ViTForImageClassification(
            ViTConfig(
                **vision,
                id2label=labels,
                label2id={v: k for k, v in labels.items()},
                problem_type="multi_label_classification",
            )
        )
    text = {
        "hidden_size": config.text_width,
        "intermediate_size": config.mlp_ratio * config.text_width,
        "hidden_act": "gelu",
        "num_hidden_layers": config.text_layers,
        "num_attention_heads": config.heads,
        "vocab_size": vocabulary,
        "max_position_embeddings": config.text_length,
        "pad_token_id": 0,
        "bos_token_id": 1,
        "eos_token_id": vocabulary - 1,
    }
    if name == "clip":
        projection = {"projection_dim": config.projection}
        return CLIPModel(CLIPConfig(text_config=text | projection, vision_config=vision | projection, **projection))
    siglip = SiglipModel(SiglipConfig(text_config=text | {"projection_size": config.width}, vision_config=vision))
    # Zhai et al. 2023, §3.2. From transformers' 1 and 0 it ends where all pairs are told "no" with one probability.
    with torch.no_grad():
        siglip.logit_scale.fill_(math.log(10))
        siglip.logit_bias.fill_(-10)
    return siglip


def preprocessor_config(name: str, config: Miniature) -> dict:
    """The hub's preprocessor_config.json of a miniature: the whole image squashed to a square, as its
    pre-training saw it."""
    size = {"height": config.image_size, "width": config.image_size}
    kind = {"vit": "ViTImageProcessor", "clip": "CLIPImageProcessor", "siglip2": "SiglipImageProcessor"}[name]
    return {
        "image_processor_type": kind,
        "do_resize": True,
        "size": size,
        "resample": 3,
        "do_center_crop": False,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_convert_rgb": True,
    }
