"""Tables 2 to 7 beside the paper's values, and every model's distance from CNN_base."""

import pandas as pd

from har.core.machine import processor
from har.core.readers import read_csv
from har.models.registry import metrics_of
from har.reporting.table import write_tables
from har.reporting.tables.paper_tables import build_tables
from stages.lib.context import Context
from stages.lib.results import augmented, trained


def tables(context: Context) -> None:
    profile = context.profile
    counts = {}
    for name, run in context.params.run.train.items():
        counts[run.model] = metrics_of(context.reports, name)["parameters"]
    folds = context.reports / "cross_validation/cross_validation.csv"
    built = build_tables(
        trained(context),
        augmented(context),
        counts,
        profile.tasks["activity"],
        context.header,
        profile.report,
        processor=processor(),
        out_of_fold=out_of_fold(read_csv(folds, "a table of the reports", text=False)),
        papers=context.papers,
        protocol=context.protocol,
        seen=context.seen,
        unit=profile.data.unit,
    )
    write_tables(built, context.reports / "tables")
    if "summary" in built:
        print(built["summary"].markdown())


def out_of_fold(table: pd.DataFrame) -> dict[str, dict]:
    """Each model's balanced accuracy in cross-validation."""
    names = {"images": "fold_images", "balanced_accuracy": "fold_balanced"}
    names |= {f"balanced_{end}": f"fold_{end}" for end in ("low", "high")}
    return table.set_index("model")[list(names)].rename(columns=names).to_dict("index")
