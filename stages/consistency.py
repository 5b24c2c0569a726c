"""Every reported row again from its predictions, and the paper's rows under the same check."""

from functools import cache

from har.core.readers import read_csv, read_json
from har.evaluation.predictions import HELD_OUT
from har.reporting.table import write_tables
from har.studies.consistency import check, paper_table, recompute, rows_table
from stages.lib.context import Context
from stages.lib.results import augmented, trained


def consistency(context: Context) -> None:
    every = dict(trained(context)) | {("augment", policy): frame for policy, frame in augmented(context).items()}

    @cache  # a model stands in several tables
    def again(task: str, model: str, split: str) -> dict[str, float]:
        return recompute(every[task, model], split)

    checked: dict[str, list[float]] = {}
    for number in range(2, 8):
        path = context.reports / "tables" / f"table{number}.csv"
        task = {3: "augment", 5: "posture"}.get(number, "activity")
        rows = read_csv(path, "a table of the reports", text=False).to_dict("records") if path.exists() else []
        for row in rows:
            name = row["policy" if number == 3 else "model"]
            of = task if (task, name) in every else "activity"  # the majority class stands beside the policies
            gap = check(row, again(of, name, row["split"]), f"{path}: {name}")
            checked.setdefault(path.name, []).append(gap)
    for task, model in every:
        where = f"augment/{model}.json" if task == "augment" else f"{task}-{model}.json"
        for name in (where, f"baselines/{where}"):
            path = context.reports / "metrics" / name
            found = read_json(path, "the metrics of a model") if path.exists() else {}
            for split in {"validation", "test", HELD_OUT} & set(found):
                gap = check(found[split], again(task, model, split), f"{path}: {split}")
                checked.setdefault(path.parent.relative_to(context.reports).as_posix(), []).append(gap)
    tables = [rows_table(checked, context.header)]
    if not context.profile.data.own:
        tables.append(paper_table("What the paper prints, of its own images: the same in every profile"))
    write_tables({table.name: table for table in tables}, context.reports / "consistency")
    print(tables[0].markdown())
