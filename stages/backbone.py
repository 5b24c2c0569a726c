"""Put one backbone where the models look for it, in the hub's format: `python -m stages backbone clip`."""

from har.models import backbone as backbones
from stages.lib.context import Context


def backbone(context: Context, name: str) -> None:
    backbones.provide(
        context.profile.backbones[name],
        context.data / "backbones" / name,
        pretrained=f"data/pretrained/{name}",
    )
