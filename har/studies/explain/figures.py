"""Figure 4 of the paper, the maps of every class beside the photograph, and the curves of deletion and insertion."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import norm

from har.reporting.names import class_name, model_name
from har.reporting.style import GREY, INK, SERIES, drawing
from har.studies.explain.explain import KINDS, TOLD, Explanation
from har.studies.explain.legrad import METHODS
from har.studies.explain.overlay import overlay
from har.studies.explain.report import Key


def choose_examples(explanations: Mapping[Key, Explanation], count: int, seed: int = 0) -> list[int]:
    """`count` test images that every model explains, drawn at random (not picked), the classes by turns; of a clip
    one frame."""
    frames = [one.images[(one.images["split"] == "test") & one.images["measured"]] for one in explanations.values()]
    if not frames:
        return []
    common = set.intersection(*(set(frame["image_id"]) for frame in frames))
    frame = frames[0][frames[0]["image_id"].isin(common)].sort_values("image_id").sample(frac=1, random_state=seed)
    turn = frame.groupby("label").cumcount()  # the first image of each class, then the second ones
    return frame.assign(turn=turn).sort_values(["turn", "label"])["image_id"].head(count).tolist()


def figure_maps(
    explanations: Mapping[Key, Explanation],
    image_ids: Sequence[int],
    load: Callable[[int], np.ndarray],
    path: Path | str,
    title: str,
) -> None:
    """Figure 4: for each image a block, the photograph at the left, and at its right a row for each model with the
    map of every class. `load(image_id)`: the whole image, uint8 [height, width, 3]."""
    columns = max(len(one.about["classes"]) for one in explanations.values())
    block = 1.15 * len(explanations) + 0.3
    with drawing(path, title, 2.2 + 1.75 * columns, 0.6 + block * len(image_ids)) as figure:
        for part, image_id in zip(np.atleast_1d(figure.subfigures(len(image_ids), 1)), image_ids, strict=True):
            image = load(image_id)
            grid = part.add_gridspec(len(explanations), columns + 1, width_ratios=[1.5, *[1] * columns])
            photo = part.add_subplot(grid[:, 0])
            photo.imshow(image)
            photo.set_axis_off()
            for line, ((_, model), one) in enumerate(explanations.items()):
                row = int(np.flatnonzero(one.images["image_id"] == image_id)[0])
                of = one.images.iloc[row]
                photo.set_title(f"labelled {class_name(of['label']).lower()}\n(image {image_id})")
                for column, name in enumerate(one.about["classes"]):
                    axis = part.add_subplot(grid[line, column + 1])
                    axis.imshow(overlay(image, one.maps[row, column], one.about["fit"], one.about["crop_pct"]))
                    axis.set_xticks([])
                    axis.set_yticks([])
                    predicted = name == of["prediction"]
                    text = f"{class_name(name)} {one.probabilities[row, column]:.2f}"
                    axis.set_title(text, loc="center", fontweight="bold" if predicted else "normal", pad=3)
                    axis.spines[:].set_visible(predicted)
                    axis.spines[:].set(color=INK, linewidth=1.6)
                    if column == 0:
                        axis.set_ylabel(model_name(model))


def figure_curves(explanations: Mapping[Key, Explanation], path: Path | str, title: str, level: float) -> None:
    """Mean probability of the predicted class, with its interval over images at `level`, against the share of patches
    deleted and inserted: a row for each model that has curves, on its largest split."""
    reach = norm.ppf((1 + level) / 2)
    shown = {key: one for key, one in explanations.items() if len(one.curves)}
    with drawing(path, title, 7.2, 1.1 + 2.1 * max(1, len(shown))) as figure:
        axes = figure.subplots(max(1, len(shown)), 2, squeeze=False, sharex=True, sharey="row")
        for line, ((task, model), one) in enumerate(shown.items()):
            split = next(name for name in reversed(TOLD) if (one.curves["split"] == name).any())
            n = int((one.images["curves"] & (one.images["split"] == split)).sum())
            for axis, kind in zip(axes[line], KINDS, strict=True):
                part = one.curves[(one.curves["split"] == split) & (one.curves["kind"] == kind)]
                for place, (method, name) in enumerate(METHODS.items()):
                    mine = part[part["method"] == method]
                    colour = GREY if method == "random" else SERIES[place]
                    style = {"legrad": "-", "rollout": "--", "random": ":", "centre": "-."}[method]
                    axis.plot(mine["share"], mine["probability"], color=colour, linestyle=style, label=name)
                    low, high = (mine["probability"] + sign * reach * mine["error"] for sign in (-1, 1))
                    axis.fill_between(mine["share"], low, high, color=colour, alpha=0.15, linewidth=0)
                axis.set_title(f"{model_name(model)}, {task}, {n} {split}" if kind == "deletion" else "")
                axis.grid()
        for axis, kind in zip(axes[-1], KINDS, strict=True):
            told = "deleted (lower is better)" if kind == "deletion" else "inserted (higher is better)"
            axis.set_xlabel(f"share of patches {told}")
        for axis in axes[:, 0]:
            axis.set_ylabel(f"probability [{level:.0%} interval]")
        figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=len(METHODS))
