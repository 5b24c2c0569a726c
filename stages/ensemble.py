"""Rows that are the mean of log-probabilities of others, from their predictions alone, for each task of these."""

from har.config.rows import needs_boxes
from har.core.files import write_json
from har.evaluation.clips import of_clips
from har.evaluation.ensemble import combined
from har.evaluation.predictions import log_loss, read_predictions, write_predictions
from stages.lib.context import Context
from stages.lib.results import trained


def ensemble(context: Context) -> None:
    predictions, out, rows = trained(context, frames=True), context.data / "ensembles", context.profile.rows
    out.mkdir(parents=True, exist_ok=True)
    for task in context.params.run.tasks:
        for name, row in rows.items():
            if row.kind != "ensemble":
                continue
            if lacking := [member for member in row.members if (task, member) not in predictions]:
                print(f"{task} {name} is left out: {lacking[0]} is not predicted there")
                continue
            about, classes = {}, context.profile.tasks[task]
            # out of fold on train and validation, where every member is predicted so
            dev = [context.data / "baselines/dev" / f"{task}-{member}.parquet" for member in row.members]
            if all(path.exists() for path in dev):
                told = combined([read_predictions(path, classes) for path in dev])
                about["dev"] = log_loss(of_clips(told, "probability"))
            frame = combined([predictions[task, member] for member in row.members])
            write_predictions(out / f"{task}-{name}.parquet", frame)
            write_json(out / f"{task}-{name}.json", about)
            if not needs_boxes(row, rows):  # har predict can make it
                write_json(out / f"{task}-{name}/config.json", {"classes": classes, "config": row.model_dump()})
            print(f"{task} {name}: {about}")
