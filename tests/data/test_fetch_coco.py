"""COCO's files come whole and verified; what could not be downloaded is named after everything else was fetched."""

import hashlib
import io
import json
import threading
import zipfile
import zlib

import pytest
from PIL import Image
from servers import Site, other, serving, status, truncate

from har.core.errors import HarError
from har.data import download
from har.data.coco.fetch import fetch_annotations, fetch_images


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    for name, value in {"BACKOFF": 0.001, "TIMEOUT": (1.0, 0.3), "ATTEMPTS": 3, "_threads": threading.local()}.items():
        monkeypatch.setattr(download, name, value)


def jpeg(number, width=40, height=30):
    image = Image.effect_noise((width, height), 40 + number).convert("RGB")
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=90)
    return stream.getvalue()


ROWS = [(i, f"{i:012d}.jpg", 40, 30) for i in range(1, 13)]
BODIES = {name: jpeg(i) for i, name, _, _ in ROWS}


def at(name):
    return f"/val2017/{name}"


@pytest.fixture
def site():
    with serving(Site({at(name): body for name, body in BODIES.items()})) as site:
        yield site


def fetch(url, tmp_path, rows=ROWS):
    return fetch_images(rows, url, tmp_path / "out", tmp_path / "cache")


def names(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


def test_images_survive_every_fault_and_arrive_with_provenance_in_order_of_rows(site, tmp_path):
    page = other(b"<!DOCTYPE html><html>Slow down</html>")
    half = other(BODIES[ROWS[0][1]][:500])
    faults = [status(503), truncate(500), page, other(jpeg(1, 41, 30)), half, other(b"")]
    for fault, (_, name, _, _) in zip(faults, ROWS, strict=False):
        site.faults[at(name)] = [fault]
    found = fetch(site.url + "/", tmp_path)
    for row, (i, name, _, _) in zip(found, ROWS, strict=True):
        about = {"bytes": len(BODIES[name]), "sha256": hashlib.sha256(BODIES[name]).hexdigest()}
        assert row == {"image_id": i, "file_name": name, "url": f"{site.url}{at(name)}", **about}
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == BODIES


def test_what_cannot_be_had_is_named_and_only_that_is_fetched_again(site, tmp_path):
    page = b"<html><body>please log in</body></html>"
    wrong = {1: [other(page)] * 9, 4: [status(404)], 6: [status(503)] * 9, 9: [truncate(99)] * 9}
    for i, faults in wrong.items():
        site.faults[at(f"{i:012d}.jpg")] = faults
    with pytest.raises(HarError) as error:
        fetch(site.url, tmp_path)
    message = str(error.value)
    assert message.startswith("4 of 12 images could not be downloaded: ")
    assert "\n" not in message
    for i, reason in {1: "web page", 4: "answered 404", 6: "answered 503", 9: "connection broke"}.items():
        part = message.split(f"{site.url}{at(f'{i:012d}.jpg')}: ")[1]
        assert reason in part.split(";")[0]
    assert names(tmp_path / "cache") == [name for i, name, _, _ in ROWS if i not in wrong]  # nothing half written

    site.faults.clear()
    victim = next((tmp_path / "cache").rglob("000000000003.jpg"))
    victim.write_bytes(victim.read_bytes()[:200])
    before = len(site.requests)
    fetch(site.url, tmp_path)
    assert len(site.requests) - before == len(wrong) + 1  # what was missing or damaged
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == BODIES


def test_sources_do_not_share_a_cache(site, tmp_path):
    fetch(site.url, tmp_path, ROWS[:1])
    with serving(Site({at(ROWS[0][1]): BODIES[ROWS[0][1]]})) as second:
        found = fetch(second.url, tmp_path, ROWS[:1])
        assert len(second.requests) == 1
    assert found[0]["url"].startswith(second.url)


def test_a_dead_server_does_not_cost_the_patience_of_every_image(tmp_path):
    rows = [(i, f"{i}.jpg", 40, 30) for i in range(1, 401)]
    site = Site(routes={at(name): status(503) for _, name, _, _ in rows})
    said = r"400 of 400 .*answered 503.*and \d+ more; \d+ more were given up"
    with serving(site), pytest.raises(HarError, match=said) as told:
        fetch(site.url, tmp_path, rows)
    assert len(str(told.value)) < 900
    assert len(site.requests) < 3 * 60


def test_a_folder_serves_files_of_any_name_and_the_bad_one_is_named(tmp_path):
    given = ["IMG 1.JPG", "train/a#1 50%.png", "x_jpg.rf.0a1b.jpg", "Ü/坐着.webp", "bad.jpg"]
    rows = [(number, name, 40, 30) for number, name in enumerate(given, 1)]
    for number, name, *_ in rows:
        file = tmp_path / "server/val2017" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(number))  # whatever its name
    file.write_bytes(b"\xff\xd8 no jpeg")
    url = (tmp_path / "server").as_uri()
    with pytest.raises(HarError, match=rf"^1 of 5 .*{url}/val2017/bad.jpg: the file: not a readable image: cann"):
        fetch(url, tmp_path, rows)
    found = fetch(url, tmp_path, rows[:4])
    assert [one["file_name"] for one in found] == given[:4]
    assert all((tmp_path / "out" / name).is_file() for name in given[:4])


def test_bad_addresses_and_names_are_refused_before_work(tmp_path):
    with pytest.raises(HarError, match=r"^data\.server\.url is 'data/mirror', expected an address"):
        fetch("data/mirror", tmp_path)
    with pytest.raises(HarError, match=r"image row 1: file_name"):
        fetch("http://127.0.0.1:9", tmp_path, [ROWS[0], (2, "../1.jpg", 4, 4)])
    with pytest.raises(HarError, match="plain file name"):
        fetch_annotations("file:///x", tmp_path, tmp_path, members=["../captions.json"], **LOOSE)
    assert names(tmp_path) == []


# --- annotations ---

MEMBERS = {name: json.dumps({"of": name, "x": list(range(3000))}).encode() for name in ("captions.json", "boxes.json")}
ZIP_PATH = "/annotations/annotations_trainval2017.zip"


def archive():
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in {**MEMBERS, "unwanted.json": b"x" * 5000}.items():
            file.writestr(f"annotations/{name}", body)
    return stream.getvalue()


ARCHIVE = archive()
GOOD = {"sha256": hashlib.sha256(ARCHIVE).hexdigest(), "size": len(ARCHIVE)}
LOOSE = {"sha256": None, "size": None}


@pytest.fixture
def zips():
    with serving(Site({ZIP_PATH: ARCHIVE})) as site:
        yield site


def fetch_zip(site, tmp_path, **options):
    options = {"members": list(MEMBERS), **LOOSE, **options}
    fetch_annotations(site.url, tmp_path / "out", tmp_path / "cache", **options)


@pytest.mark.parametrize("wanted", [GOOD, LOOSE])
def test_only_the_named_members_are_unpacked_and_the_zip_is_kept(zips, tmp_path, wanted):
    zips.faults[ZIP_PATH] = [truncate(1000), status(503)]
    fetch_zip(zips, tmp_path, **wanted)
    fetch_zip(zips, tmp_path, **wanted)
    assert len(zips.requests) == 3
    cached = next((tmp_path / "cache").rglob("*.zip"))
    cached.write_bytes(ARCHIVE[: len(ARCHIVE) // 2])
    fetch_zip(zips, tmp_path, **wanted)
    assert cached.read_bytes() == ARCHIVE
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == MEMBERS


def lying_outside(more: int) -> bytes:
    """The end of the archive tells where its directory begins; members lie as far before it as that is wrong."""
    at = ARCHIVE.rindex(b"PK\5\6") + 16
    told = int.from_bytes(ARCHIVE[at : at + 4], "little") + more
    return ARCHIVE[:at] + told.to_bytes(4, "little") + ARCHIVE[at + 4 :]


LENGTH = len(MEMBERS["captions.json"])
CRC = zlib.crc32(MEMBERS["captions.json"]).to_bytes(4, "little")


@pytest.mark.parametrize(
    ("body", "options", "message"),
    [
        (ARCHIVE, {"sha256": "0" * 64}, r"has sha256 .* expected 0000.*data\.server\.annotations_sha256"),
        (ARCHIVE, {"members": ["none.json"]}, r"the archive holds none\.json 0 times"),
        (b"<html>gone</html>", {}, "is not a zip archive"),
        (ARCHIVE.replace(LENGTH.to_bytes(4, "little"), b"\0\0\0\x70"), {}, r"captions\.json unpacks to more than the"),
        (ARCHIVE.replace(LENGTH.to_bytes(4, "little"), b"\0\1\0\0"), {}, r"captions\.json cannot be unpacked"),
        (ARCHIVE.replace(CRC, b"\0\0\0\0"), {}, r"captions\.json cannot be unpacked"),
        *((lying_outside(more), {}, r"captions\.json is said to lie outside the arc") for more in (1, 10**6, 2**31)),
    ],
)
def test_a_zip_that_lies_or_lacks_a_member_is_told_by_url(zips, tmp_path, body, options, message):
    zips.files[ZIP_PATH] = body
    with pytest.raises(HarError, match=rf"{zips.url}{ZIP_PATH}: {message}"):
        fetch_zip(zips, tmp_path, **options)
    assert names(tmp_path / "out") == []
