"""Model cards in the hub's format: what a model is, what it learned from, how good it is, and what it is not for."""

import pandas as pd
import yaml

from har.config.models import Backbone
from har.config.profile import Profile
from har.data.sources import SOURCES
from har.evaluation.clips import of_clips
from har.evaluation.predictions import HELD_OUT, classes_of
from har.evaluation.summary import summarise
from har.models.registry import Trained

PAPER = "arXiv 2506.13458"
SPLIT_NAMES = {"validation": "validation", "test": "test", HELD_OUT: "test and extended"}

ON_EMBEDDING = (
    "transformers has no class for this head. Its CLIPVisionModelWithProjection or SiglipVisionModel opens the encoder "
    "in this folder; `head.weight` and `head.bias` in model.safetensors, a linear layer, take its embedding "
    "(`image_embeds`, or `pooler_output` of SigLIP) scaled to unit length."
)
POOLS = {
    "embedding": "The head sees the encoder's own image embedding (of CLIP and SigLIP the one that texts are compared "
    "with, of other families what transformers' class takes).",
    "patches": "The head sees the mean of the patch tokens, as in transformers' class for CLIP and SigLIP.",
}


def card(one: Trained, profile: Profile, predictions: pd.DataFrame, commit: str = "") -> str:
    """The model card of a trained model, Markdown with YAML front matter.

    predictions: those of all its runs; the card tells the kept run's own scores, as its weights are the ones that are
    passed on, beside the mean of all. commit: what made it; empty leaves the line out, so that the same results give
    the same card.
    """
    kept = one.metrics["kept_seed"]
    report = profile.report
    predictions = of_clips(predictions, report.clips)
    own = summarise(
        predictions[predictions.seed == kept], resamples=report.resamples, seed=report.seed, level=report.confidence
    )
    parts = [
        _front_matter(one, profile, own),
        f"# {one.name} ({_world(one, profile)})",
        _about(one, profile, classes_of(predictions)),
        "## Use\n\n" + _use(one),
        "## How good it is\n\n" + _scores(one, own, report.confidence),
        "## What it learned from\n\n" + _data(profile, classes_of(predictions)),
        "## Limits\n\n" + _limits(profile, own),
        "## Make it again\n\n" + _reproduce(one, profile, commit),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _front_matter(one: Trained, profile: Profile, own: dict) -> str:
    backbone = _backbone(one, profile)
    elsewhere = backbone is not None and backbone.source in ("hub", "folder", "open_clip")
    foreign = profile.data.source == "server" or elsewhere
    metrics = []
    for split, found in own.items():
        for metric in ("balanced_accuracy", "accuracy"):
            what = metric.replace("_", " ").capitalize()
            name = f"{what}, {SPLIT_NAMES[split]} (n = {found['n']}) {_interval(found[metric])}"
            metrics.append({"type": metric, "name": name, "value": found[metric]["mean"]})
    front = {
        "license": "other" if foreign else "apache-2.0",
        **({"license_name": "see-below", "license_link": "README.md"} if foreign else {}),
        "library_name": "transformers" if one.in_hub_format else "har-still",
        "pipeline_tag": "image-classification",
        "tags": ["image-classification", "human-activity-recognition", "still-images", "har-still"],
        **({"base_model": backbone.id} if backbone is not None and backbone.source == "hub" else {}),
        "model-index": [
            {
                "name": one.name,
                "results": [
                    {
                        "task": {"type": "image-classification", "name": "Image classification"},
                        "dataset": {"name": _world(one, profile), "type": f"har-still-{one.profile}"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }
    return "---\n" + yaml.safe_dump(front, sort_keys=False, allow_unicode=True, width=110) + "---"


def _world(one: Trained, profile: Profile) -> str:
    return f"profile {one.profile}: {SOURCES[profile.data.source].title}"


def _backbone(one: Trained, profile: Profile) -> Backbone | None:
    name = getattr(one.settings, "backbone", None)
    return profile.backbones[name] if name else None


def _about(one: Trained, profile: Profile, classes: tuple[str, ...]) -> str:
    backbone = _backbone(one, profile)
    text = (
        f"Tells from one photograph which of {len(classes)} activities its people show: {', '.join(classes)}. It is "
        f"{one.settings.about}, {one.metrics['parameters']:,} trained parameters, made by har-still, a reproducible "
        f"pipeline of {PAPER}."
    )
    if backbone is None:
        return text
    named = "a local model" if backbone.local else f"`{backbone.model}` {backbone.pretrained}".strip()
    source = {
        "hub": f"`{backbone.id}` at revision `{backbone.revision}`; its own licence goes on to hold for these weights",
        "open_clip": f"{named} of open_clip; its own licence goes on to hold for these weights",
        "folder": "a local checkpoint in the hub's format; its own licence goes on to hold for these weights",
        "pretrain": "the project's own miniature, pre-trained on captioned scenes of the generated world",
        "random": "an architecture without pre-training (the ablation)",
    }[backbone.source]
    return f"{text} The encoder: {source}. {POOLS.get(getattr(one.settings, 'pool', ''), '')}".strip()


def _use(one: Trained) -> str:
    har = (
        "With har-still (its numbers are the ones that were evaluated), in this folder:\n\n"
        "```sh\nhar predict --model . photo.jpg\n```\n\n"
        '```python\nfrom har.app.predict import load\n\nload(".").predict(["photo.jpg"])\n```'
    )
    if not one.in_hub_format:
        return har + "\n\nThis architecture is the project's own: transformers has no class that opens it."
    if not one.pipeline:
        return har + "\n\n" + ON_EMBEDDING
    named = ", candidate_labels=[...]" if one.pipeline.startswith("zero-shot") else ""
    return (
        "With transformers alone, in this folder:\n\n"
        "```python\nfrom transformers import pipeline\n\n"
        f'pipeline("{one.pipeline}", model=".")("photo.jpg"{named})\n```\n\n'
        + har
        + "\n\nThe two differ a little: training saw photographs that were decoded to a fixed short side first, "
        "transformers resizes the full-size photograph in one step. `har predict --as-hub` does as transformers does."
    )


def _scores(one: Trained, own: dict, level: float) -> str:
    lines = [
        "| images | n | balanced accuracy of these weights | accuracy | macro F1 | mean of all runs | sd over runs |"
    ]
    lines += ["| --- | --: | --: | --: | --: | --: | --: |"]
    for split, found in own.items():
        balanced, every = found["balanced_accuracy"], one.metrics[split]
        ends = {f"ci_{end}": every[f"balanced_{end}"] for end in ("low", "high")}
        lines.append(
            f"| {SPLIT_NAMES[split]} | {found['n']:,} | {balanced['mean']:.3f} {_interval(balanced)} "
            f"| {found['accuracy']['mean']:.3f} | {found['f1']['mean']:.3f} "
            f"| {every['balanced_accuracy']:.3f} {_interval(ends)} | {every['balanced_sd']:.3f} |"
        )
    runs = next(iter(own), None)
    count = one.metrics[runs]["runs"] if runs else 0
    note = (
        f"[{level:.0%} interval over images]. Balanced accuracy: mean recall of the classes; of it are the last two "
        f"columns too. These weights are the run with seed {one.metrics['kept_seed']}, the one "
        f"of {count} with the lowest validation loss. Epochs and settings were chosen on training and validation "
        "images; test was read once, by evaluation."
    )
    return "\n".join(lines) + "\n\n" + note


def _interval(score: dict) -> str:
    return f"[{score['ci_low']:.3f}, {score['ci_high']:.3f}]"


def _data(profile: Profile, classes: tuple[str, ...]) -> str:
    rule, rights = profile.curate, SOURCES[profile.data.source].rights
    alone = f"; of several activities the first of {', '.join(rule.precedence)} counts" if rule.precedence else ""
    alone = alone or ", and of no other one"
    split = (
        f"split {profile.split.train:g} / {profile.split.validation:g} / {profile.split.test:g} "
        f"({profile.split.mode}, seed {profile.split.seed})"
    )
    if profile.data.own:
        return f"Images of {', '.join(classes)} with the labels that they came with, {split}.\n\n{rights}"
    images = sum(rule.classes[name].count for name in classes)
    label = (
        f"{images} images of {', '.join(classes)}, {split}. Labels come from captions, not "
        f"from people who were asked for the activity: at least {rule.min_captions} of an image's captions hold a "
        f"person word and a word of the activity{alone}."
    )
    return f"{label}\n\n{rights} No photograph is in this folder; ids and licences are in the project's manifest."


def _limits(profile: Profile, own: dict) -> str:
    images = f"; {own['test']['n']} test images decide little" if "test" in own else ""
    lines = [
        f"Few training images{images}: see the intervals.",
        *(
            []
            if profile.data.own
            else ["Caption labels are noisy: a caption may speak of a bystander, and the classes overlap in life."]
        ),
        "One label a photograph, whoever is in it; a photograph without people, or of another activity, gets one too.",
        "Probabilities are not calibrated beyond what the project's reports show.",
    ]
    if SOURCES[profile.data.source].drawn:
        lines.insert(0, "**It has seen generated illustrations alone: it says nothing about photographs.**")
    lines.append(
        "Meant for research on recognition in still images. Not for surveillance, for identifying or assessing people, "
        "or for any decision about them."
    )
    return "\n".join(f"- {line}" for line in lines)


def _reproduce(one: Trained, profile: Profile, commit: str) -> str:
    shown = {"models": {one.model: one.settings.model_dump()}, "training": profile.training.model_dump()}
    if "backbone" in shown["models"][one.model]:
        backbone = profile.backbones[one.settings.backbone]
        # what another source would need is noise here, and a path of somebody's machine tells nobody else anything
        keys = {"hub": {"id", "revision", "sha256"}, "open_clip": {"model", "pretrained", "sha256"}}
        shown["backbones"] = {
            one.settings.backbone: {"source": backbone.source}
            | ({} if backbone.local else backbone.model_dump(include=keys.get(backbone.source, set())))
        }
    block = yaml.safe_dump({one.profile: shown}, sort_keys=False, allow_unicode=True, width=110)
    made = f"Made by commit {commit}.\n\n" if commit else ""
    return (
        f"{made}```sh\ndvc repro train@{one.name}    # with `profile: {one.profile}` in params.yaml\n```\n\n"
        f"```yaml\n{block}```"
    )
