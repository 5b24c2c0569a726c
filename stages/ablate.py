"""Variants of a model, one setting replaced at a time, on the three activities: table and forest plot."""

from functools import partial
from pathlib import Path

from har.data.split import read_split
from har.evaluation.clips import of_clips
from har.evaluation.predictions import write_predictions
from har.reporting.table import write_tables
from har.studies.ablation.fit import ablate as fit_variants
from har.studies.ablation.fit import changes
from har.studies.ablation.report import ablation_table, forest, scores
from har.training.refit import fit_all
from stages.lib.context import Context
from stages.lib.recipes import variants
from stages.lib.resumed import resumed


@resumed
def ablate(context: Context, *, keep: Path) -> None:
    profile, out = context.profile, context.reports / "ablation"
    settings, classes = profile.ablation, profile.tasks["activity"]
    models, left_out = profile.variants()
    split = read_split(context.data / "split.csv")
    split = split[split.label.isin(classes)].reset_index(drop=True)
    fit = partial(fit_all, training=profile.training, strength=profile.augmentation, name="ablation", keep=keep)
    recipes = variants(context, models, split, classes)
    predictions, parameters = fit_variants(recipes, split, classes, settings, fit)
    changed = {}
    for key, model in models.items():
        write_predictions(context.data / "ablation" / f"{key}.parquet", predictions[key])
        base = settings.variants[key].model
        changed[key] = changes(base, profile.models[base].model_dump(), model.model_dump(), key == settings.reference)
    report, level = profile.report, profile.report.confidence
    units = {key: of_clips(one, report.clips) for key, one in predictions.items()}
    rows = scores(units, parameters, changed, settings.reference, report)
    table = ablation_table(rows, settings.reference, context.header, level, left_out)
    write_tables({table.name: table}, out)
    forest(rows, settings.reference, out / "forest.svg", context.titled("Ablations"), level)
    print(table.markdown())
