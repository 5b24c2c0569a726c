"""The small metrics files that git and DVC compare (har.gate judges their change)."""

import pandas as pd

from har.evaluate import summarise
from har.params.schema import Report


def scalars(predictions: pd.DataFrame, report: Report) -> dict:
    """{split: {accuracy, sd, ci_low, ci_high, f1, f1_sd, n, runs}}: accuracy is the mean over seeds, sd its
    deviation over seeds (0 for a single run), ci_low and ci_high an interval over images; f1 is macro.
    Everything else is in the tables."""
    full = summarise(predictions, resamples=report.resamples, seed=report.seed, level=report.confidence)
    return {
        split: {
            "accuracy": found["accuracy"]["mean"],
            "sd": found["accuracy"].get("sd", 0.0),
            "ci_low": found["accuracy"]["ci_low"],
            "ci_high": found["accuracy"]["ci_high"],
            "f1": found["f1"]["mean"],
            "f1_sd": found["f1"].get("sd", 0.0),
            "n": found["n"],
            "runs": found["runs"],
        }
        for split, found in full.items()
    }
