"""Label images by their captions, or as their own folder or table says, and draw the subset."""

from har.core.files import write_csv
from har.data.coco.curate import Curation
from har.data.coco.curate import curate as choose
from har.data.manifest import write_manifest
from har.reporting.table import write_tables
from har.reporting.tables.funnel import funnel_table
from stages.lib.context import Context


def curate(context: Context) -> None:
    rule, own = context.profile.curate, context.profile.data.own
    classes = {label: c.model_dump() for label, c in rule.classes.items()}
    found = own_images(context, classes) if own else captioned(context, classes)
    write_manifest(found.manifest, context.data / "manifest.csv")
    write_csv(context.data / "evidence.csv", found.evidence)
    grouped = own and (found.manifest.group != "").any()
    write_tables({"funnel": funnel_table(found.funnel, own, grouped)}, context.reports)
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
    from har.data.split import require_classes, split

    rule = context.profile.curate
    images = read_images(context.data / "annotations")
    found = choose(images, classes=classes, extended=rule.extended, seed=rule.seed)
    # before photographs are copied
    require_classes(split(found.manifest, **context.profile.split.model_dump()), list(classes), "curate.classes")
    return found
