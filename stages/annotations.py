"""Get annotations: from a server of COCO's layout, of the generated world, or the labels of own images."""

from har.data.sources import SOURCES
from stages.lib.context import CACHE, Context


def annotations(context: Context) -> None:
    data, out = context.profile.data, context.data / "annotations"
    out.mkdir(parents=True, exist_ok=True)
    for line in SOURCES[data.source].annotations(data, out, context.profile.store.jobs, CACHE):
        print(line)
