"""Get annotations: from a server of COCO's layout, of the generated world, or the labels of own images."""

from har.core.files import write_json
from stages.lib.context import CACHE, Context, stage

KINDS = ("captions", "instances", "person_keypoints")


def annotations(context: Context) -> None:
    out = context.data / "annotations"
    out.mkdir(parents=True, exist_ok=True)
    data = context.profile.data
    if data.source == "world":
        from har.synthetic import coco_annotations

        ids = range(data.world.first_id, data.world.first_id + data.world.images)
        for kind, content in coco_annotations(data.world.seed, ids, workers=context.profile.store.jobs).items():
            write_json(out / f"{kind}.json", content)
    elif data.own:
        from har.data.folder.inspect import examine, write_annotations
        from stages.lib.own import listing

        source = data.folder if data.source == "folder" else data.csv
        found = listing(context)
        images, unreadable = examine(found.images, context.profile.store.jobs, source.unreadable)
        write_annotations(images, unreadable, out)
        for line in [*found.notes, *(f"skipped: {reason}" for reason in unreadable.reason)]:
            print(line)
    else:
        from har.data.coco.fetch import fetch_annotations

        server = data.server
        members = [f"{kind}_{server.images}.json" for kind in KINDS]
        fetch_annotations(
            server.url,
            out,
            CACHE / "downloads",
            sha256=server.annotations_sha256,
            size=server.annotations_bytes,
            members=members,
            archive=server.annotations,
        )
        for kind, member in zip(KINDS, members, strict=True):
            (out / member).replace(out / f"{kind}.json")


if __name__ == "__main__":
    stage(annotations)
