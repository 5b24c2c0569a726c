"""Split the drawn images into train, validation and test; the others are the extended test set."""

from har.data.manifest import read_manifest
from har.data.split import require_classes, write_split
from har.data.split import split as assign
from stages.lib.context import Context


def split(context: Context) -> None:
    params = context.profile.split
    parts = assign(read_manifest(context.data / "manifest.csv"), **params.model_dump())
    classes = list(context.profile.curate.classes)
    require_classes(parts, classes, "split")  # at once, not after an hour of training
    write_split(parts, context.data / "split.csv")
    counts = parts.groupby(["split", "label"]).size().unstack(fill_value=0)
    print(counts.to_string())
    sizes = parts.split[parts.split != "extended"].value_counts(normalize=True)
    for name, share in {"train": params.train, "validation": params.validation, "test": params.test}.items():
        if abs(sizes[name] - share) > 0.05:
            reason = "small classes, groups or given splits ask for it"
            print(f"{name} holds {sizes[name]:.0%} of the images, not {share:.0%}: {reason}")
    if "group" in parts and (alone := int((parts.group == "").sum())):
        print(f"{parts.group.nunique() - 1} groups of images; {alone} images belong to none and stand alone")
    if "extended" in counts.index and (missing := set(classes) - set(parts.label[parts.split == "extended"])):
        print(f"extended has no image of class {min(missing)}: a mean over classes counts it as 0 there")
