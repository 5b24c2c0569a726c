"""What a reader calls models, policies and classes; an unknown key stands for itself."""

# How the paper writes its models, policies and classes; the last rows of MODEL_NAMES are ours.
MODEL_NAMES = {
    "cnn_base": "CNN_base",
    "fnn_base": "FNN_base",
    "cnn_gen": "CNN_gen",
    "vit": "ViT",
    "clip": "CLIP",
    "clip_scratch": "CLIP's tower from scratch",
    "clip_patches": "CLIP, mean of patches",
    "siglip2": "SigLIP2",
    "multimodal": "MultimodalClassifier",
    "feature": "FeatureClassifier",
    "majority": "Majority class",
    "zero_shot": "CLIP zero-shot (captions only)",
    "zero_shot_siglip2": "SigLIP2 zero-shot (captions only)",
    "llava15_zero_shot": "LLaVA-1.5 zero-shot",
    "llava15_lora": "LLaVA-1.5 (LoRA)",
    "llava_next_zero_shot": "LLaVA-NeXT zero-shot",
    "llava_next_lora": "LLaVA-NeXT (LoRA)",
    "probe_vit": "Probe on ViT",
    "probe_clip": "Probe on CLIP",
    "probe_siglip2": "Probe on SigLIP2",
    "metadata": "Metadata only, no picture",
}
ROWS = {"probe_": "Probe on {}", "zero_shot_": "{} zero-shot (captions only)", "ensemble_": "Ensemble {}"}
POLICY_NAMES = {
    "none": "None",
    "horizontal_flip": "Horizontal flip",
    "vertical_flip": "Vertical flip",
    "rotation": "Rotation (15°)",
    "color_jitter": "Colour jitter",
    "grayscale": "Greyscale",
    "gaussian_blur": "Gaussian blur",
    "perspective": "Perspective",
    "random_resized_crop": "Random resized crop",
    "all_combined": "All combined",
}
CLASS_NAMES = {"walking_running": "walking / running"}


def model_name(key: str) -> str:
    """The name a reader knows; an unknown key stands for itself, so that a new model needs no change here. A row's
    (har.config.rows) is made of its key: kind, encoder, what its author added, whether it needs person boxes."""
    if key in MODEL_NAMES:
        return MODEL_NAMES[key]
    kind = next((start for start in ROWS if key.startswith(start)), None)
    if kind is None:
        return key
    rest = key.removeprefix(kind)
    encoder = max((name for name in MODEL_NAMES if f"{rest}_".startswith(f"{name}_")), key=len, default="")
    added = rest.removeprefix(encoder).strip("_").replace("_", " + ")
    if not encoder and kind != "ensemble_":
        encoder, added = rest, ""
    added = added.replace("person", "person boxes")
    return ", ".join(filter(None, [ROWS[kind].format(MODEL_NAMES.get(encoder, encoder)).strip(), added]))


def needs_boxes(key: str) -> bool:
    """Whether a row sees persons by their annotated boxes, which a new photograph has none of (har.config.rows)."""
    return "person" in key.split("_")


def split_name(key: str) -> str:
    return key.replace("_", " ")


def policy_name(key: str) -> str:
    return POLICY_NAMES.get(key, key.replace("_", " ").capitalize())


def class_name(key: str) -> str:
    return CLASS_NAMES.get(key, key)
