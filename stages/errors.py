"""Where do models fail? Figure 5, errors against what an image is like, images that all miss, models that err alike."""

from joblib import delayed

from har.core.files import write_parquet
from har.core.parallel import side_by_side
from har.data.coco.keypoints import read_visibility
from har.data.manifest import read_evidence, read_manifest
from har.data.store import Store
from har.reporting.table import write_tables
from har.studies.error_analysis.agreement import count_table, missed_table, misses, overlap_table, overlaps
from har.studies.error_analysis.factors import rate_table, trend_table, trends
from har.studies.error_analysis.figures import figure_failures, figure_overlap, figure_trends
from har.studies.error_analysis.outcomes import FACTORS, factor_frame, outcome_frame
from stages.lib.context import Context
from stages.lib.results import trained


def errors(context: Context) -> None:
    profile, data, out = context.profile, context.data, context.reports / "errors"
    chosen, level, runs = profile.errors, profile.report.confidence, context.params.run.train.values()
    unit = {"unit": profile.data.unit}
    manifest = read_manifest(data / "manifest.csv")
    evidence = read_evidence(data / "evidence.csv")
    folder = data / "annotations"
    visibility = read_visibility(folder / "instances.json", folder / "person_keypoints.json", manifest["image_id"])
    outcomes = outcome_frame(trained(context), factor_frame(manifest, visibility))
    write_parquet(data / "errors.parquet", outcomes)

    tests, pairs = trends(outcomes), overlaps(misses(outcomes))
    tables = [
        *(rate_table(outcomes, name, getattr(chosen.bins, name), context.header, level, **unit) for name in FACTORS),
        trend_table(tests, outcomes, context.header, level, **unit),
        count_table(outcomes, context.header, **unit),
        missed_table(outcomes, manifest, evidence, context.header, chosen.listed, **unit),
        overlap_table(pairs, outcomes, [(run.task, run.model) for run in runs], context.header, **unit),
    ]
    write_tables({table.name: table for table in tables}, out)

    store = Store(data / "store")
    work = []
    for task in outcomes["task"].unique():
        models = [run.model for run in runs if run.task == task]
        title, path = context.titled(f"Failures, {task}"), out / f"figure5_{task}.svg"
        work.append(delayed(figure_failures)(outcomes, task, models, store.image, path, title, chosen.examples, **unit))
    task = outcomes["task"].iloc[0]
    title = context.titled(f"What goes with errors, {task}")
    work.append(delayed(figure_trends)(tests, task, out / f"factors_{task}.svg", title, 1 - level))
    title = context.titled(f"Do models miss the same images? {task.capitalize()}")
    work.append(delayed(figure_overlap)(pairs, task, out / f"overlap_{task}.svg", title))
    for _ in side_by_side(profile.training, len(work))(work):
        pass
    for table in tables[len(FACTORS) :]:
        print(table.markdown())
