"""LeGrad maps as the explain stage leaves them, packed for the browser, which draws them over the photograph."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from har.core.errors import HarError
from har.core.readers import is_number, is_text, is_whole, read_array, read_json, read_table
from har.reporting.page.scripts import packed

METHODS = {"legrad": "LeGrad", "rollout": "attention rollout"}


def read_maps(folder: Path, image_ids: Sequence[int], classes: Sequence[str]) -> dict:
    """The maps of one model: `values` (u1 [n, classes, side * side], 255 the most relevant), `rows` (u4 [n], places
    in `image_ids`), classes (numbers in `classes`), side, and how the model saw the image: fit ("crop": the centre
    square, "squash": all of it) and crop_pct (the share of each side around the centre of that).

    `folder` holds maps.npy float [n, classes, side, side] from 0 to 1, index.csv (image_id) and about.json; HarError
    names the file that does not fit.
    """
    about = read_json(folder / "about.json", "what the maps of a model show")
    names, side = about.get("classes"), about.get("side")
    if not isinstance(names, list) or not is_whole(side, 1, 1000):
        raise HarError(f"{folder}/about.json: classes must be a list, side a whole number of 1 or more")
    if unknown := [name for name in names if name not in classes]:
        raise HarError(f"{folder}/about.json: classes names {unknown[0]!r:.60}, which no image shows")
    ids = read_table(folder / "index.csv", {"image_id": "int64"})["image_id"].to_numpy()
    shape = (len(ids), len(names), side, side)
    values = read_array(folder / "maps.npy", "as index.csv and about.json tell", shape, mapped=True)
    fit, share = about.get("fit"), about.get("crop_pct", 1.0)
    if fit not in ("crop", "squash") or not is_number(share) or not 0 < share <= 1:
        raise HarError(f"{folder}/about.json: fit must be crop or squash, crop_pct a share of 0 to 1")
    method = about.get("method", "")
    if not is_text(method):
        raise HarError(f"{folder}/about.json: method is {method!r:.60}, expected a name")
    place = pd.Series(range(len(image_ids)), index=image_ids)
    shown = np.isin(ids, place.index)
    steps = np.rint(np.clip(np.nan_to_num(np.asarray(values[shown], dtype=np.float32)), 0, 1) * 255)
    return {
        "classes": [list(classes).index(name) for name in names],
        "side": side,
        "fit": fit,
        "share": share,
        "method": METHODS.get(method, method),
        "rows": packed(place[ids[shown]].to_numpy(), "u4"),
        "values": packed(steps, "u1"),
    }
