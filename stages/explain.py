"""Where the fine-tuned models look: maps of every class, their scores beside those of simpler maps, Figure 4."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from joblib import delayed
from tqdm import tqdm

from har.core.cache import kept_calls
from har.core.parallel import side_by_side
from har.data.coco.annotations import read_records
from har.data.split import read_split
from har.data.store import Store
from har.models.registry import settings
from har.reporting.table import write_tables
from har.studies.explain import explain as run
from har.studies.explain.figures import choose_examples, figure_curves, figure_maps
from har.studies.explain.report import build_tables
from har.training import embeddings
from stages.lib.context import Context
from stages.lib.resumed import resumed


@resumed
def explain(context: Context, *, keep: Path) -> None:
    profile, data = context.profile, context.data
    config, out = profile.explain, context.reports / "explain"
    split = read_split(data / "split.csv")
    records = read_records(data / "annotations/captions.json", data / "annotations/instances.json")
    records = {image_id: records[image_id] for image_id in split.image_id if image_id in records}
    runs = {key: context.params.run.train[key] for key in config.models}
    work = (
        delayed(run.explain)(
            data / "models" / key,
            data / "store",
            run.choose(split[split.label.isin(profile.tasks[one.task])], config),
            records,
            config,
            profile.training.device,
            prompts(data, key, profile.tasks[one.task]),
        )
        for key, one in runs.items()
    )
    (data / "explain").mkdir(parents=True, exist_ok=True)  # DVC expects it also where nothing is explained
    found = {}
    calls, _ = kept_calls(work, keep)
    results = side_by_side(profile.training, len(runs), ["har.models.classifier"])(calls)
    for (key, one), result in zip(
        runs.items(), tqdm(results, total=len(runs), desc="explain", unit="model"), strict=True
    ):
        run.write(result, data / "explain" / key)
        found[one.task, one.model] = result

    tables = build_tables(found, context.header, profile.report)
    write_tables(tables, out)
    title = context.titled("Deletion and insertion of patches")
    figure_curves(found, out / "curves.svg", title, profile.report.confidence)
    if examples := choose_examples(found, config.examples, config.seed):
        store = Store(data / "store")
        title = context.titled("What speaks for each class")
        figure_maps(found, examples, store.image, out / "figure4.svg", title)
    print(tables["differences"].markdown())


def prompts(data: Path, key: str, classes: Sequence[str]) -> np.ndarray | None:
    """The classes' prompts in the space of the model's embedding, where it sees one that was trained with texts."""
    model = settings(data / "models" / key)
    folder = data / "embeddings" / model.backbone
    if model.pool != "embedding" or not (folder / "texts.npy").exists():
        return None
    return embeddings.texts(folder, classes)
