"""What of a pretrained classifier is trained: everything, its head alone, or low-rank updates and the head."""

from torch import nn

from har.config.models import Finetune
from har.core.errors import HarError
from har.models.classifier import head_of

# Query and value projections, as Hu et al. 2022 ("LoRA: Low-Rank Adaptation of Large Language Models", §4.2 and Table
# 5) advise; transformers calls them so in CLIP, SigLIP and ViT.
TARGETS = ["q_proj", "v_proj"]


def adapt(model: nn.Module, config: Finetune) -> None:
    """Leave trainable, in place, what `config.adapt` names. The updates start at zero, so the model's outputs do not
    change; their draws come from torch's global generator. HarError where no layer takes updates."""
    head = head_of(model)
    if config.adapt == "lora":
        # takes a second to load: only where it is used
        from peft import LoraConfig, NoMatchingPeftModuleError, inject_adapter_in_model

        lora = LoraConfig(r=config.lora_rank, lora_alpha=config.lora_alpha, target_modules=TARGETS, lora_dropout=0.0)
        try:
            inject_adapter_in_model(lora, model)
        except NoMatchingPeftModuleError:
            needed = f"adapt lora needs layers called {' and '.join(TARGETS)}, as CLIP, SigLIP and ViT have them"
            raise HarError(f"{needed}; {type(model).__name__} has none, take full or head") from None
    if config.adapt != "full":
        for name, parameter in model.named_parameters():
            parameter.requires_grad = ".lora_" in name
    head.requires_grad_(config.head != "frozen_text")


def merge(model: nn.Module) -> None:
    """Add low-rank updates to the weights that they update, in place: afterwards the model is a plain one of its
    class, with the same outputs but for rounding."""
    tuned = [(name, module) for name, module in model.named_modules() if hasattr(module, "get_base_layer")]
    for name, module in tuned:
        module.merge()
        parent, _, attribute = name.rpartition(".")
        setattr(model.get_submodule(parent), attribute, module.get_base_layer())
