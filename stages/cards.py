"""The model card of every trained model, as `har export` puts it beside the weights but without the commit."""

from har.core.files import write_text
from har.evaluation.predictions import read_predictions
from har.models.registry import Trained, metrics_of
from har.reporting.model_card import card
from stages.lib.context import Context


def cards(context: Context) -> None:
    for name, run in context.params.run.train.items():
        path = context.data / "predictions" / f"{name}.parquet"
        predictions = read_predictions(path, context.profile.tasks[run.task])
        folder = context.data / "models" / name
        one = Trained(context.params.profile, name, folder, metrics_of(context.reports, name))
        write_text(context.reports / "cards" / f"{name}.md", card(one, context.profile, predictions))
