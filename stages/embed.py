"""Frozen embeddings of all images and, for an encoder with text, of the prompts: `python -m stages embed clip`."""

from pathlib import Path

from har.data.manifest import read_manifest
from har.data.store import Store
from har.training.embed import embed as extract
from stages.lib.context import Context
from stages.lib.resumed import resumed


@resumed
def embed(context: Context, name: str, *, keep: Path) -> None:
    extract(
        context.data / "backbones" / name,
        Store(context.data / "store"),
        read_manifest(context.data / "manifest.csv").image_id,
        {label: context.profile.embed.prompts[label] for label in context.profile.curate.classes},
        context.data / "embeddings" / name,
        context.profile.embed,
        views=context.views[name],
        jobs=context.profile.training.jobs,
        device=context.profile.training.device,
        keep=keep,
    )
