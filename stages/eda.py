"""Table 1, Figures 1 and 2, and the test of the claim that no class differs in size."""

import numpy as np

from har.data.manifest import owned, read_manifest
from har.data.photographs import read
from har.evaluation.clips import unit_of
from har.reporting.paper import TABLE1
from har.reporting.table import write_tables
from har.studies import eda as look
from stages.lib.context import Context


def eda(context: Context) -> None:
    manifest = read_manifest(context.data / "manifest.csv")
    manifest = manifest[~unit_of(manifest).duplicated()]  # of a clip one frame
    classes = context.profile.tasks["activity"]
    out = context.reports / "eda"
    files = {row.image_id: context.data / "images" / row.file_name for row in manifest.itertuples()}
    turn = owned(manifest)
    tables = look.size_tables(manifest, classes, context.header, TABLE1 if context.papers else None)
    write_tables(tables, out)
    seed = context.profile.report.seed
    look.figure_examples(
        manifest,
        classes,
        lambda image_id: np.asarray(read(files[image_id], turn=turn)),
        out / "figure1_examples.svg",
        context.titled("Examples, drawn at random"),
        seed=seed,
    )
    look.figure_sizes(manifest, classes, out / "figure2_sizes.svg", context.titled("width, height, aspect"))
    print(tables["table1"].markdown())
