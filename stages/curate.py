"""Label images by their captions, or as their own folder or table says, and draw the subset."""

from har.core.files import write_csv, write_text
from har.data.coco.curate import Curation
from har.data.coco.curate import curate as choose
from har.reporting.names import class_name
from har.reporting.table import NONE, markdown_table
from stages.lib.context import Context, stage

GROUPED = (
    "\n- Images belong to groups, as frames of a clip: no group straddles a split or a fold, and intervals draw whole "
    "groups. Exact McNemar tests (every pair of models) take images for independent: there too small a p proves little."
    "\n"
)


def curate(context: Context) -> None:
    rule, own = context.profile.curate, context.profile.data.own
    classes = {label: c.model_dump() for label, c in rule.classes.items()}
    found = own_images(context, classes) if own else captioned(context, classes)
    found.write(context.data / "manifest.csv", context.data / "evidence.csv")
    write_csv(context.reports / "funnel.csv", found.funnel)
    shown = found.funnel.astype(object).map(lambda cell: f"{cell:,}" if isinstance(cell, int) else cell)
    names = ["rule", "images", *map(class_name, classes)]
    table = markdown_table(shown.where(found.funnel.notna(), NONE).set_axis(names, axis=1))
    start = "the images found" if own else "captions"
    note = GROUPED if own and (found.manifest.group != "").any() else ""
    title = f"### From {start} to images\n\nHow many images each rule kept, and for which class.\n\n"
    write_text(context.reports / "funnel.md", f"{title}{table}\n{note}")
    print(found.funnel.to_string(index=False))


def captioned(context: Context, classes: dict[str, dict]) -> Curation:
    rule = context.profile.curate
    return choose(
        context.data / "annotations/captions.json",
        context.data / "annotations/instances.json",
        classes=classes,
        person_words=rule.person_words,
        min_captions=rule.min_captions,
        precedence=rule.precedence,
        require_person=rule.require_person,
        extended=rule.extended,
        seed=rule.seed,
    )


def own_images(context: Context, classes: dict[str, dict]) -> Curation:
    from har.data.folder.inspect import read_images
    from har.data.folder.select import choose
    from har.data.split import require_enough

    rule = context.profile.curate
    images = read_images(context.data / "annotations")
    found = choose(images, classes=classes, extended=rule.extended, seed=rule.seed)
    require_enough(found.manifest.query("part == 'drawn'"), "curate.classes")  # before photographs are copied
    return found


if __name__ == "__main__":
    stage(curate)
