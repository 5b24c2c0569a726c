"""Rows that are the mean of log-probabilities of others, from their predictions alone, for each task of these."""

from har.core.files import write_json
from har.evaluation.ensemble import combined
from har.evaluation.predictions import write_predictions
from stages.lib.context import Context, stage
from stages.lib.results import trained


def ensemble(context: Context) -> None:
    predictions, out = trained(context), context.data / "ensembles"
    out.mkdir(parents=True, exist_ok=True)
    for task in context.params.run.tasks:
        for name, row in context.profile.rows.items():
            if row.kind != "ensemble":
                continue
            if lacking := [member for member in row.members if (task, member) not in predictions]:
                print(f"{task} {name} is left out: {lacking[0]} is not predicted there")
                continue
            frame = combined([predictions[task, member] for member in row.members])
            write_predictions(out / f"{task}-{name}.parquet", frame)
            write_json(out / f"{task}-{name}.json", {"members": row.members})


if __name__ == "__main__":
    stage(ensemble)
