"""Split the drawn images into train, validation and test; the others are the extended test set."""

from har.coco.manifest import read_manifest
from har.splits import split as assign
from har.splits import write_split
from stages.context import Context, stage


def split(context: Context) -> None:
    params = context.profile.split
    parts = assign(
        read_manifest(context.data / "manifest.csv"),
        fractions={"train": params.train, "validation": params.validation, "test": params.test},
        mode=params.mode,
        seed=params.seed,
    )
    write_split(parts, context.data / "split.csv")
    print(parts.groupby(["split", "label"]).size().unstack().to_string())


if __name__ == "__main__":
    stage(split)
