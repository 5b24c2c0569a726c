"""CLIP ViT-B/32 as its paper has it, with random weights: they change no time and are nowhere to be fetched."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

from har.models.miniature import tokenizer


def clip(folder: Path) -> Path:
    """The encoder in the hub's format in `folder`. Its text tower has one layer and few words: texts are not timed."""
    words = tokenizer(["a", "photo", "person"], 77)
    marks = {"bos_token_id": words.bos_token_id, "eos_token_id": words.eos_token_id}
    text = {"num_hidden_layers": 1, "vocab_size": len(words), **marks}
    torch.manual_seed(0)
    CLIPModel(CLIPConfig(text_config=text)).save_pretrained(folder)  # transformers' default image tower is ViT-B/32
    CLIPImageProcessor().save_pretrained(folder)
    words.save_pretrained(folder)
    return folder
