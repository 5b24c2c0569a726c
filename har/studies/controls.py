"""What did pre-training teach? Encoders that differ in one thing that their pre-training showed them, each read by the
same probe; and how much the captions-only row hangs on its prompts."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from torch.nn.functional import normalize

from har.config.models import Probe
from har.config.report import Report
from har.config.studies import Pair, Tune
from har.data.groups import with_groups
from har.evaluation.clips import of_clips
from har.evaluation.metrics import cells
from har.evaluation.paired import estimated_difference
from har.evaluation.predictions import HELD_OUT, OUT_OF_FOLD, in_split, zero_shot_predictions
from har.evaluation.scored import HEADLINE
from har.evaluation.summary import Estimate, estimates
from har.models.encoder import Encoder
from har.reporting.names import split_name
from har.reporting.table import Column, Table, count, estimate, number, p_value, signed_estimate
from har.reporting.tables.columns import estimated, figures, triple
from har.training import embeddings, rows

WAYS = 256  # combinations of prompts that are tried; of more a sample


def probed(
    folder: Path, images: pd.DataFrame, classes: list[str], config: Probe, tune: Tune, report: Report
) -> dict[str, Estimate]:
    """Balanced accuracy of a probe on the embeddings in `folder`: out of fold on train and validation, where each class
    has enough of them, and on held-out images, fitted on those in train. images: image_id, label, split."""
    found = embeddings.read(folder)
    x = found.rows(images.image_id, "image", classes).astype(float)
    frames = {
        OUT_OF_FOLD: rows.out_of_fold(x, images, classes, config, tune),
        HELD_OUT: rows.fitted_row(x, images, classes, config)[0],
    }
    return {
        name: score(with_groups(frame, images), name, report, report.resamples)
        for name, frame in frames.items()
        if frame is not None
    }


def score(frame: pd.DataFrame, split: str, report: Report, resamples: int) -> Estimate:
    """Balanced accuracy on a split, of clips where images are frames."""
    return estimates(cells(of_clips(frame, report.clips), split), resamples, report.seed)[HEADLINE]


def control_rows(
    pairs: Sequence[Pair], scores: Mapping[str, Mapping[str, Estimate]], seen: Mapping[str, int], level: float
) -> list[dict]:
    """A row for each pair and kind of images: balanced accuracy of both (`scores`, by encoder), and their paired
    difference with interval and p. seen: scenes in pre-training."""
    out = []
    for pair in pairs:
        a, b = pair.encoders
        for split in scores[a]:
            one, other = scores[a][split], scores[b][split]
            gap = estimated_difference(one, other, level)
            row = {"shown": pair.shown, "split": split, "n": one.n, "p": gap["p"]}
            row |= {"a": a, "b": b, "seen_a": seen[a], "seen_b": seen[b], "score_a": one.mean, "score_b": other.mean}
            out.append(row | figures("difference", gap["difference"], gap["ci_low"], gap["ci_high"]))
    return out


def controls_table(found: Sequence[Mapping], header: str, level: float) -> Table:
    """The rows of `control_rows`."""
    columns = [
        Column("shown", "The first has"),
        Column(("a", "b"), "Encoders", lambda a, b: f"{a} − {b}"),
        Column("split", "Images", split_name),
        Column("n", "n", count),
        Column(("seen_a", "seen_b"), "Scenes seen", lambda a, b: f"{count(a)} / {count(b)}"),
        Column(("score_a", "score_b"), "Balanced accuracy", lambda a, b: f"{number(a)} / {number(b)}"),
        Column(triple("difference"), "Difference", signed_estimate),
        Column("p", "p", p_value),
    ]
    notes = [
        "The same probe (logistic regression on frozen embeddings) on each encoder. Both of a pair saw the same "
        "scenes as often as the table says; the block pretrain.models of params.yaml tells them apart. "
        f"Difference: the first minus the second, with its {level:.0%} interval over images, paired. "
        "Each encoder is a single run of pre-training: how much another seed would move it is not in the interval.",
    ]
    return Table("controls", "What pre-training taught", header, list(found), columns, notes)


def prompt_rows(
    encoder: Encoder,
    images: embeddings.Embeddings,
    parts: pd.DataFrame,
    sets: Mapping[str, Mapping[str, Sequence[str]]],
    report: Report,
) -> list[dict]:
    """Zero-shot by each set of prompts, a row for each kind of images: balanced accuracy of the prompts' mean, and of
    all ways to take one prompt a class.

    Args:
        encoder: with a text tower.
        images: its embeddings.
        parts: image_id, label and split; zero-shot was fitted on none of these.
        sets: set to class to its prompts.
        report: resamples, seed and level of the interval.
    """
    out = []
    for name, prompts in sets.items():
        classes = list(prompts)
        texts = [normalize(encoder.texts(some), dim=-1).cpu().numpy() for some in prompts.values()]
        pixels = images.rows(parts.image_id, "image", classes)

        def told(vectors: Iterable[np.ndarray], pixels=pixels, classes=classes) -> pd.DataFrame:
            cosines = pixels @ np.stack(list(vectors)).T
            return with_groups(zero_shot_predictions(cosines, images.logit_scale, parts, classes), parts)

        whole = told(one.mean(0) / np.linalg.norm(one.mean(0)) for one in texts)
        single = [told(way) for way in _ways(texts, report.seed)]
        for split in (HELD_OUT, OUT_OF_FOLD):
            if not in_split(parts, split).any():
                continue
            mean = score(whole, split, report, report.resamples)
            alone = [score(frame, split, report, 0).mean for frame in single]
            row = {"prompts": name, "split": split, "n": mean.n, **estimated("score", mean, report.confidence)}
            row |= {"ways": len(alone), "lowest": min(alone), "highest": max(alone), "median": float(np.median(alone))}
            out.append(row)
    return out


def _ways(texts: Sequence[np.ndarray], seed: int) -> Iterable[tuple[np.ndarray, ...]]:
    """All ways to take one prompt a class; of more than WAYS as many drawn at random."""
    if math.prod(map(len, texts)) <= WAYS:
        return product(*texts)
    draw = np.random.default_rng(seed)
    return [tuple(some[draw.integers(len(some))] for some in texts) for _ in range(WAYS)]


def prompts_table(found: Sequence[Mapping], header: str, level: float) -> Table:
    """The rows of `prompt_rows`."""
    columns = [
        Column("prompts", "Prompts"),
        Column("split", "Images", lambda split: "train and validation" if split == OUT_OF_FOLD else split_name(split)),
        Column("n", "n", count),
        Column(triple("score"), "Mean of prompts", estimate),
        Column("ways", "One prompt a class: ways", count),
        *(Column(name, name.capitalize(), number) for name in ("lowest", "median", "highest")),
    ]
    notes = [
        f"Balanced accuracy of zero-shot, which knows captions only: by the mean of a class's prompts [{level:.0%} "
        f"interval over images], and by every way to take one prompt a class (of more than {WAYS} a sample). Nothing "
        "is fitted, so train and validation are images like others; on these prompts are to be chosen.",
    ]
    return Table("prompts", "How much captions-only hangs on its prompts", header, list(found), columns, notes)
