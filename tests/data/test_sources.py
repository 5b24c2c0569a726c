"""Images come from a server as they come from the drawn world: annotations, then the photographs of a manifest."""

import json
import zipfile

import pandas as pd
import parameters

from har.data.sources import SOURCES

KINDS = ["captions", "instances", "person_keypoints"]


def test_a_mirror_of_drawn_scenes_gives_the_same_as_drawing_them(tmp_path):
    data = parameters.profile("sample").data
    drawn, mirror, fetched = tmp_path / "drawn", tmp_path / "mirror", tmp_path / "fetched"
    world = data.model_copy(update={"world": data.world.model_copy(update={"images": 6})})
    assert not list(SOURCES["world"].annotations(world, drawn, 1, tmp_path / "none"))
    contents = {kind: json.loads((drawn / f"{kind}.json").read_text()) for kind in KINDS}
    manifest = pd.DataFrame(contents["captions"]["images"]).rename(columns={"id": "image_id"})
    photographs = {"annotations": drawn, "jobs": 1, "cache": tmp_path / "cache", "keep": tmp_path / "keep"}
    told = list(SOURCES["world"].photographs(world, manifest, mirror / "val2017", **photographs))
    assert [row["image_id"] for row in told] == manifest.image_id.tolist()

    server = parameters.profile("coco").data.server
    pins = {"url": mirror.as_uri(), "annotations_sha256": None, "annotations_bytes": None}
    remote = data.model_copy(update={"server": server.model_copy(update=pins)})
    (mirror / server.annotations).parent.mkdir()
    with zipfile.ZipFile(mirror / server.annotations, "w", zipfile.ZIP_DEFLATED) as archive:
        for kind in KINDS:
            archive.write(drawn / f"{kind}.json", f"annotations/{kind}_val2017.json")
    assert not list(SOURCES["server"].annotations(remote, fetched, 1, tmp_path / "cache"))
    assert {path.stem: json.loads(path.read_text()) for path in fetched.iterdir()} == contents
    rows = list(SOURCES["server"].photographs(remote, manifest, tmp_path / "images", **photographs))
    assert [row["url"] for row in rows] == [f"{mirror.as_uri()}/val2017/{name}" for name in manifest.file_name]
    for name in manifest.file_name:
        assert (tmp_path / "images" / name).read_bytes() == (mirror / "val2017" / name).read_bytes()
