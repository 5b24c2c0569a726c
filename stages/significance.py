"""What the predictions support: scores, classes, calibration, tests, pairs of models, the small test set, and how
accuracy grows with the number of training images."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from joblib import delayed

from har.config.rows import recommended
from har.core.parallel import side_by_side
from har.core.readers import read_json
from har.data.manifest import read_manifest
from har.data.split import read_split
from har.evaluation.clips import of_clips
from har.reporting.table import write_tables
from har.reporting.tables import reliability_figure, significance_tables
from har.studies import frames
from har.studies.learning_curve.report import curve_table, draw_curve, read_curve, scores, with_all_of_train
from stages.lib.context import Context
from stages.lib.results import read, trained


def significance(context: Context) -> None:
    profile, out, predictions = context.profile, context.reports / "significance", trained(context)
    manifest = read_manifest(context.data / "manifest.csv")
    title = context.titled("Reliability: are models right as often as they are sure?")
    work = [
        delayed(tables)(context, {key: with_folds(context, key, frame) for key, frame in predictions.items()}),
        delayed(reliability_figure)(predictions, out / "reliability.svg", title, profile.report),
        delayed(learning_curve)(context, predictions),
    ]
    if "clip" in manifest:
        told, seconds = trained(context, frames=True), manifest.set_index("image_id").second
        title = context.titled("Accuracy against frames of a clip")
        work.append(delayed(frames.write)(told, seconds, profile.report, out, context.header, title))
    for _ in side_by_side(profile.training, len(work))(work):
        pass


def with_folds(context: Context, key: tuple[str, str], frame: pd.DataFrame) -> pd.DataFrame:
    """`frame` with train and validation out of fold in the place of validation, where stage baselines has that."""
    path = context.data / "baselines/dev" / f"{'-'.join(key)}.parquet"
    if not path.exists():
        return frame
    return pd.concat([frame[frame.split != "validation"], read(context, path)], ignore_index=True)


def rows_to_predict(data: Path) -> dict[str, dict]:
    """The rows of activity that `har predict` can make, by name, each with what was fitted."""
    rows = {}
    for kind in ("baselines", "ensembles"):
        for path in (data / kind).glob("activity-*/config.json"):
            rows[path.parent.name.removeprefix("activity-")] = read_json(f"{path.parent}.json", "what was fitted")
    return rows


def tables(context: Context, predictions: Mapping) -> None:
    found = significance_tables(
        predictions,
        context.header,
        context.profile.report,
        papers=context.papers,
        protocol=context.protocol,
        recommended=recommended(rows_to_predict(context.data)),
    )
    write_tables(found, context.reports / "significance")


def learning_curve(context: Context, predictions: Mapping) -> None:
    """Accuracy against training images: the table, and its figure."""
    report = context.profile.report
    curve = of_clips(read_curve(context.data / "learning_curve.parquet"), report.clips)
    split, classes = read_split(context.data / "split.csv"), context.profile.tasks["activity"]
    train = int(((split.split == "train") & split.label.isin(classes)).sum())
    points = scores(with_all_of_train(curve, predictions, train), report)
    title = context.titled("Balanced accuracy against training images")
    draw_curve(points, context.reports / "significance/learning_curve.svg", title, len(classes), report.confidence)
    table = curve_table(points, context.header, report.confidence)
    write_tables({table.name: table}, context.reports / "significance")
