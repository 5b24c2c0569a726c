"""Label images by their captions, or as their own folder or table says, and draw the subset."""

from har.core.files import write_csv
from har.data.coco.curate import Curation
from har.data.coco.curate import curate as choose
from har.data.manifest import write_manifest
from har.reporting.table import write_tables
from har.reporting.tables.funnel import funnel_table
from stages.lib.context import Context


def curate(context: Context) -> None:
    own, annotations = context.profile.data.own, context.data / "annotations"
    if own:
        found = own_images(context)
    else:
        found = choose(annotations / "captions.json", annotations / "instances.json", context.profile.curate)
    write_manifest(found.manifest, context.data / "manifest.csv")
    write_csv(context.data / "evidence.csv", found.evidence)
    grouped = own and (found.manifest.group != "").any()
    write_tables({"funnel": funnel_table(found.funnel, own, grouped)}, context.reports)
    print(found.funnel.to_string(index=False))


def own_images(context: Context) -> Curation:
    from har.data.folder.inspect import read_images
    from har.data.folder.select import choose
    from har.data.split import require_classes, split

    rule = context.profile.curate
    found = choose(read_images(context.data / "annotations"), rule)
    # before photographs are copied
    require_classes(split(found.manifest, **context.profile.split.model_dump()), list(rule.classes), "curate.classes")
    return found
