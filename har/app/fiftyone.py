"""The images of a profile with their labels and a model's predictions, as a data set that FiftyOne opens from disk
(`fiftyone.types.FiftyOneDataset`, the form without a version: metadata.json, samples.json)."""

from pathlib import Path

from har.app.export import asked
from har.core.errors import HarError
from har.core.files import write_json
from har.data.manifest import read_manifest
from har.data.split import read_split
from har.evaluation.predictions import read_predictions

FOLDERS = ("predictions", "baselines", "ensembles")  # of a profile's data


def write_dataset(name: str, folder: Path, *, profile: str = "", root: Path = Path()) -> int:
    """Write `folder`: every image of the profile, where it lies, with ground_truth and, where `name` (a model or a row)
    was asked, prediction: the class of the largest mean probability over runs, and that probability. The tag is the
    split. Returns how many images; HarError where `folder` holds something or `name` has no predictions."""
    _, profile = asked(folder, profile, root)
    data = root / "data" / profile
    path = next((p for kind in FOLDERS if (p := data / kind / f"{name}.parquet").is_file()), None)
    if path is None:
        raise HarError(f"{name} has no predictions in {data}; `har models` lists the models")
    means = read_predictions(path).groupby("image_id").mean(numeric_only=True).filter(like="p_")
    labels = means.idxmax(axis=1).str.removeprefix("p_")
    predicted = {
        image_id: _label(labels[image_id], confidence=round(float(share), 6))
        for image_id, share in means.max(axis=1).items()
    }
    images = read_manifest(data / "manifest.csv").merge(read_split(data / "split.csv")[["image_id", "split"]])
    samples = [
        {
            "filepath": str((data / "images" / row.file_name).absolute()),
            "tags": [row.split],
            "image_id": int(row.image_id),
            "ground_truth": _label(row.label),
        }
        | ({"prediction": predicted[row.image_id]} if row.image_id in predicted else {})
        for row in images.itertuples()
    ]
    write_json(folder / "samples.json", {"samples": samples})
    write_json(folder / "metadata.json", {"media_type": "image", "info": {"profile": profile, "model": name}})
    return len(samples)


def _label(label: str, **more: float) -> dict:
    return {"_cls": "Classification", "label": label, **more}
