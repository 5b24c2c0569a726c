"""What pre-training taught: miniatures that differ in what it showed them, and zero-shot by other prompts."""

from pathlib import Path

from har.data.split import read_split
from har.data.store import Store
from har.models.encoder import Encoder
from har.reporting.table import write_tables
from har.studies import controls as study
from har.training import embeddings
from har.training.embed import embed
from stages.lib.context import Context


def controls(context: Context) -> None:
    profile, data, settings = context.profile, context.data, context.profile.controls
    classes, report = profile.tasks["activity"], profile.report
    images = read_split(data / "split.csv")
    images = images[images.label.isin(classes)].reset_index(drop=True)
    prompts = {label: profile.embed.prompts[label] for label in classes}
    pairs = settings.pairs if "pretrain" in context.sources.values() else []  # miniatures have seen no photograph
    tables, scores = [], {}
    for folder in (data / "controls", context.reports / "controls"):  # DVC expects both
        folder.mkdir(parents=True, exist_ok=True)
    for name in dict.fromkeys(name for pair in pairs for name in pair.encoders):
        checkpoint, out, store = Path("data/pretrained") / name, data / "controls" / name, Store(data / "store")
        device, jobs = profile.training.device, profile.training.jobs
        embed(checkpoint, store, images.image_id, prompts, out, profile.embed, jobs=jobs, device=device)
        scores[name] = study.probed(out, images, classes, profile.probe, profile.tune, report)
    if pairs:
        seen = {name: sum(context.params.pretrain.models[name].samples) for name in scores}
        rows = study.control_rows(pairs, scores, seen, report.confidence)
        tables.append(study.controls_table(rows, context.header, report.confidence))
    folder = data / "embeddings" / settings.encoder
    found = embeddings.read(folder) if folder.exists() else None
    if found is not None and found.texts is not None:
        encoder = Encoder(data / "backbones" / settings.encoder)
        fitting = {name: some for name, some in settings.prompts.items() if set(classes) <= set(some)}
        sets = {"of the models": prompts} | {name: {c: some[c] for c in classes} for name, some in fitting.items()}
        rows = study.prompt_rows(encoder, found, images, sets, report)
        tables.append(study.prompts_table(rows, context.header, report.confidence))
    write_tables({table.name: table for table in tables}, context.reports / "controls")
    for table in tables:
        print(table.markdown())
