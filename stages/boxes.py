"""The largest annotated person of each image, for models that look at people alone."""

from har.coco.annotations import read_records
from har.coco.manifest import read_manifest
from har.views import largest_persons, write_boxes
from stages.context import Context, stage


def boxes(context: Context) -> None:
    folder = context.data / "annotations"
    records = read_records(folder / "captions.json", folder / "instances.json")
    images = read_manifest(context.data / "manifest.csv").image_id
    found = largest_persons(records, images)
    write_boxes(context.data / "boxes.csv", found)
    print(f"{len(found):,} of {len(images):,} images have a person's box")


if __name__ == "__main__":
    stage(boxes)
