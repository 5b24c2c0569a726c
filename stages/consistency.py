"""Every reported row again from its predictions, and the paper's rows under the same check."""

import json

import pandas as pd

from har.consistency import METRICS, check, paper_table, rows_table
from har.evaluate import SPLITS
from har.tables import profile_header, write_tables
from stages.context import Context, stage
from stages.results import augmented, trained


def consistency(context: Context) -> None:
    header = profile_header(context.params.profile)
    every = trained(context)
    policies = {("activity", f"augment-{policy}"): frame for policy, frame in augmented(context).items()}
    checked: dict[str, list[float]] = {}
    for number in range(2, 8):
        path = context.reports / "tables" / f"table{number}.csv"
        if path.exists():
            task = "posture" if number == 5 else "activity"
            table = pd.read_csv(path)
            checked[path.name] = [
                check(
                    row,
                    policies.get((task, f"augment-{name}"), every.get((task, name))),
                    row["split"],
                    f"{path}: {name}",
                )
                for row in table.to_dict("records")
                for name in [row["policy" if number == 3 else "model"]]
            ]
    for folder in ("metrics", "metrics-baselines"):
        checked[folder] = []
        for (task, model), frame in (every | policies).items():
            path = (
                context.reports / folder / (f"{model}.json" if model.startswith("augment-") else f"{task}-{model}.json")
            )
            if path.exists():
                found = json.loads(path.read_text())
                checked[folder] += [
                    check({k: found[split].get(k) for k in METRICS}, frame, split, f"{path}: {split}")
                    for split in SPLITS
                    if split in found
                ]
    tables = [paper_table(profile_header("paper")), rows_table(checked, header)]
    write_tables({table.name: table for table in tables}, context.reports / "consistency")
    print(tables[1].markdown())


if __name__ == "__main__":
    stage(consistency)
