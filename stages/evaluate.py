"""The metrics of all predictions: a file for each model, and one of the headline figures that DVC compares."""

from har.core.files import write_json
from har.core.readers import read_json
from har.evaluation.predictions import HELD_OUT
from har.evaluation.summary import scalars
from stages.lib.context import Context
from stages.lib.results import DESCRIPTION, augmented, trained

# what `dvc metrics show` and `dvc exp show` have a column for
HEADLINES = {HELD_OUT: ("balanced_accuracy", "balanced_low", "balanced_high", "accuracy"), "test": ("accuracy",)}


def evaluate(context: Context) -> None:
    out, report, shown = context.reports / "metrics", context.profile.report, {}
    every, runs, data = trained(context), context.params.run, context.data
    for (task, model), predictions in every.items():
        name, folder = f"{task}-{model}", out
        generative, ensemble = data / "generative" / f"{model}.json", data / "ensembles" / f"{name}.json"
        if name in runs.train:
            about = data / "models" / name / DESCRIPTION
        elif generative.exists():
            about = generative
        else:
            about = ensemble if ensemble.exists() else data / "baselines" / f"{name}.json"
            folder = out / "baselines"
        found = scalars(predictions, report)
        write_json(folder / f"{name}.json", found | read_json(about, "what was trained"))
        shown[name] = {
            split: {key: found[split][key] for key in keys} for split, keys in HEADLINES.items() if split in found
        }
    for policy, predictions in augmented(context).items():
        if policy not in context.already:
            about = read_json(data / "augment" / f"{policy}.json", "what was trained")
            write_json(out / "augment" / f"{policy}.json", scalars(predictions, report) | about)
    write_json(context.published / "metrics.json", shown)
