"""Model cards in the hub's format: what a model is, what it learned from, how good it is, and what it is not for. The
text is templates/model_card.md.jinja."""

import pandas as pd
import yaml

from har.config.models import Backbone
from har.config.profile import Profile
from har.data.sources import SOURCES
from har.evaluation.clips import of_clips
from har.evaluation.predictions import HELD_OUT, classes_of
from har.evaluation.summary import summarise
from har.models.registry import Trained
from har.reporting.page.html import render
from har.reporting.table import interval

PAPER = "arXiv 2506.13458"
SPLIT_NAMES = {"validation": "validation", "test": "test", HELD_OUT: "test and extended"}


def card(one: Trained, profile: Profile, predictions: pd.DataFrame, commit: str = "") -> str:
    """The model card of a trained model, Markdown with YAML front matter.

    predictions: those of all its runs; the card tells the kept run's own scores, as its weights are the ones that are
    passed on, beside the mean of all. commit: what made it; empty leaves the line out, so that the same results give
    the same card.
    """
    report, source, name = profile.report, SOURCES[profile.data.source], getattr(one.settings, "backbone", None)
    predictions = of_clips(predictions, report.clips)
    kept = predictions[predictions.seed == one.metrics["kept_seed"]]
    own = summarise(kept, resamples=report.resamples, seed=report.seed, level=report.confidence)
    backbone, world = profile.backbones[name] if name else None, f"profile {one.profile}: {source.title}"
    text = render(
        "model_card.md.jinja",
        one=one,
        profile=profile,
        classes=classes_of(predictions),
        backbone=backbone,
        pool=getattr(one.settings, "pool", ""),
        world=world,
        paper=PAPER,
        front=_yaml(_front_matter(one, profile, own, backbone, world)),
        own=own,
        splits=SPLIT_NAMES,
        interval=interval,
        source=source,
        commit=commit,
        settings=_yaml({one.profile: _settings(one, profile, name)}),
    )
    return f"{text}\n"


def _yaml(value: dict) -> str:
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=110)


def _front_matter(one: Trained, profile: Profile, own: dict, backbone: Backbone | None, world: str) -> dict:
    elsewhere = backbone is not None and backbone.source in ("hub", "folder", "open_clip")
    foreign = profile.data.source == "server" or elsewhere
    metrics = []
    for split, found in own.items():
        for metric in ("balanced_accuracy", "accuracy"):
            what = metric.replace("_", " ").capitalize()
            ends = interval(found[metric]["ci_low"], found[metric]["ci_high"])
            name = f"{what}, {SPLIT_NAMES[split]} (n = {found['n']}) {ends}"
            metrics.append({"type": metric, "name": name, "value": found[metric]["mean"]})
    return {
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
                        "dataset": {"name": world, "type": f"har-still-{one.profile}"},
                        "metrics": metrics,
                    }
                ],
            }
        ],
    }


def _settings(one: Trained, profile: Profile, backbone: str | None) -> dict:
    """What params.yaml holds of the model, without the rest of `training`: how many processes and whose cluster."""
    training = profile.training.model_dump(include={"seeds", "device"})
    shown = {"models": {one.model: one.settings.model_dump()}, "training": training}
    if backbone:
        found = profile.backbones[backbone]
        # what another source would need is noise here, and a path of somebody's machine tells nobody else anything
        keys = {"hub": {"id", "revision", "sha256"}, "open_clip": {"model", "pretrained", "sha256"}}
        told = {} if found.local else found.model_dump(include=keys.get(found.source, set()))
        shown["backbones"] = {backbone: {"source": found.source} | told}
    return shown
