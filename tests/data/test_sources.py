"""Where images come from: one entry of SOURCES says all that stages need to know of it."""

from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import parameters
import pytest
from PIL import Image

from har.core.files import write_json
from har.data.manifest import MANIFEST_COLUMNS
from har.data.sources import SOURCES, Source
from har.synthetic import coco_annotations
from stages.annotations import annotations
from stages.images import images

ID = 7


def write_annotations(data, out: Path, jobs: int, cache: Path):
    for kind, content in coco_annotations(0, [ID]).items():
        write_json(out / f"{kind}.json", content)
    return ["one image of one colour"]


def write_photographs(data, manifest: pd.DataFrame, folder: Path, **_):
    for row in manifest.itertuples():
        Image.new("RGB", (row.width, row.height), "teal").save(folder / row.file_name)
        yield {"image_id": row.image_id, "source": "drawn on the spot", "sha256": ""}


def test_a_further_source_goes_through_the_stages(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(SOURCES, "colour", Source(write_annotations, write_photographs, "colours", "Nobody's."))
    profile = parameters.profile()
    data = profile.data.model_copy(update={"source": "colour"})
    context = SimpleNamespace(
        profile=profile.model_copy(update={"data": data}), data=tmp_path, params=SimpleNamespace(profile="sample")
    )
    annotations(context)
    assert "one image of one colour" in capsys.readouterr().out
    row = dict.fromkeys(MANIFEST_COLUMNS, "") | {"image_id": ID, "file_name": "7.png", "width": 60, "height": 40}
    row |= {"label": "sitting", "license": 1, "persons": 1, "captions_for_label": 1, "captions_total": 1}
    pd.DataFrame([row | {"person_area": 0.1, "part": "drawn"}]).to_csv(tmp_path / "manifest.csv", index=False)
    images(context)
    assert pd.read_csv(tmp_path / "provenance.csv").source.tolist() == ["drawn on the spot"]
    assert {file.name for file in (tmp_path / "store").iterdir()} >= {"index.csv", "boxes.csv"}


@pytest.mark.parametrize("name", SOURCES)
def test_own_labels_and_own_images_are_one_thing(name):
    data = parameters.profile().data.model_copy(update={"source": name})
    assert data.own == (SOURCES[name].listing is not None)
