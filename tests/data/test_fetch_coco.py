"""COCO's files come whole and verified; what could not be downloaded is named after everything else was fetched."""

import hashlib
import io
import json
import zipfile
import zlib

import pytest
from PIL import Image
from servers import Site, other, reset, serving, stall, status, truncate

from har.core.errors import HarError
from har.data.coco.fetch import check_image, fetch_annotations, fetch_images

QUICK = {"backoff": 0.001, "timeout": (1.0, 0.3), "progress": False}


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


def names(folder):
    return sorted(p.name for p in folder.rglob("*") if p.is_file()) if folder.exists() else []


def test_images_arrive_with_provenance_in_order_of_rows(site, tmp_path):
    found = fetch_images(ROWS, site.url + "/", tmp_path / "out", tmp_path / "cache", **QUICK)
    assert found == [
        {
            "image_id": i,
            "file_name": name,
            "bytes": len(BODIES[name]),
            "sha256": hashlib.sha256(BODIES[name]).hexdigest(),
            "url": f"{site.url}{at(name)}",
        }
        for i, name, _, _ in ROWS
    ]
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == BODIES


def test_every_fault_is_survived(site, tmp_path):
    length = min(map(len, BODIES.values()))
    faults = [
        status(503),
        status(429, Retry_After="0"),
        truncate(length // 2),
        reset(length // 2),
        stall(length // 2, 0.8),
        other(b"<!DOCTYPE html><html>Slow down</html>"),
        other(jpeg(1, 41, 30)),
        other(BODIES[ROWS[0][1]][: length // 2]),
        other(b""),
    ]
    for fault, (_, name, _, _) in zip(faults, ROWS, strict=False):
        site.faults[at(name)] = [fault]
    fetch_images(ROWS, site.url, tmp_path / "out", tmp_path / "cache", **QUICK)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == BODIES
    for _, name, _, _ in ROWS[: len(faults)]:
        assert len(site.seen(at(name))) == 2


def test_what_cannot_be_had_is_named_after_everything_else_came(site, tmp_path):
    page = b"<html><body>please log in</body></html>"
    wrong = {1: [other(page)] * 9, 4: [status(404)], 6: [status(503)] * 9, 9: [truncate(99)] * 9}
    for i, faults in wrong.items():
        site.faults[at(f"{i:012d}.jpg")] = faults
    site.ranges = False
    with pytest.raises(HarError) as error:
        fetch_images(ROWS, site.url, tmp_path / "out", tmp_path / "cache", attempts=3, **QUICK)
    message = str(error.value)
    assert message.startswith("4 of 12 images could not be downloaded: ")
    assert "\n" not in message
    for i, reason in {1: "web page", 4: "answered 404", 6: "answered 503", 9: "connection broke"}.items():
        part = message.split(f"{site.url}{at(f'{i:012d}.jpg')}: ")[1]
        assert reason in part.split(";")[0]
    good = [name for i, name, _, _ in ROWS if i not in wrong]
    assert names(tmp_path / "out") == good
    assert names(tmp_path / "cache") == good  # nothing half written there either

    site.faults.clear()
    before = len(site.requests)
    fetch_images(ROWS, site.url, tmp_path / "out", tmp_path / "cache", **QUICK)
    assert len(site.requests) - before == len(wrong)  # only what was missing
    assert names(tmp_path / "out") == [name for _, name, _, _ in ROWS]


def test_a_damaged_cache_is_mended(site, tmp_path):
    fetch_images(ROWS, site.url, tmp_path / "out", tmp_path / "cache", **QUICK)
    victim = next((tmp_path / "cache").rglob("000000000003.jpg"))
    body = victim.read_bytes()
    victim.unlink()  # hard-linked: writing in place would change both
    victim.write_bytes(body[:200])
    fetch_images(ROWS, site.url, tmp_path / "again", tmp_path / "cache", **QUICK)
    assert (tmp_path / "again" / victim.name).read_bytes() == body
    assert len(site.requests) == len(ROWS) + 1


def test_sources_do_not_share_a_cache(site, tmp_path):
    fetch_images(ROWS[:1], site.url, tmp_path / "out", tmp_path / "cache", **QUICK)
    with serving(Site({at(ROWS[0][1]): BODIES[ROWS[0][1]]})) as second:
        found = fetch_images(ROWS[:1], second.url, tmp_path / "out", tmp_path / "cache", **QUICK)
        assert len(second.requests) == 1
    assert found[0]["url"].startswith(second.url)


def test_a_dead_server_does_not_cost_the_patience_of_every_image(tmp_path):
    rows = [(i, f"{i:012d}.jpg", 4, 4) for i in range(1, 301)]
    with serving(Site()) as site, pytest.raises(HarError, match=r"^300 of 300 images.*more were not tried"):
        fetch_images(rows, site.url, tmp_path / "out", tmp_path / "cache", workers=4, **QUICK)
    assert 8 <= len(site.requests) < 60


def test_a_folder_serves_as_well(tmp_path):
    (tmp_path / "mirror" / "val2017").mkdir(parents=True)
    for name, body in BODIES.items():
        (tmp_path / "mirror" / "val2017" / name).write_bytes(body)
    (tmp_path / "mirror" / "val2017" / ROWS[2][1]).write_bytes(b"\xff\xd8 no jpeg")
    base = (tmp_path / "mirror").as_uri()
    with pytest.raises(HarError, match=rf"^1 of 12 .*{base}/val2017/{ROWS[2][1]}: the file: not a readable image: cannot identify image file$"):
        fetch_images(ROWS, base, tmp_path / "out", tmp_path / "cache", **QUICK)
    assert len(names(tmp_path / "out")) == 11


def test_an_address_must_be_a_url(tmp_path):
    with pytest.raises(HarError, match="'data/mirror' is no address of a server"):
        fetch_images(ROWS, "data/mirror", tmp_path, tmp_path, **QUICK)


def test_a_bar_tells_how_far_it_is(site, tmp_path, capsys):
    fetch_images(ROWS, site.url, tmp_path / "out", tmp_path / "cache", **{**QUICK, "progress": True})
    assert "12/12" in capsys.readouterr().err


@pytest.mark.parametrize(
    "name", ["../1.jpg", "/etc/passwd", "a/../b.jpg", ".jpg", "1.jpg\n", "1.exe", "1. /a.jpg", "x" * 200 + ".jpg", 5]
)
def test_a_file_name_is_never_a_path(tmp_path, name):
    with pytest.raises(HarError, match=r"image row 1: file_name"):
        fetch_images([ROWS[0], (2, name, 4, 4)], "http://127.0.0.1:9", tmp_path, tmp_path, **QUICK)
    assert names(tmp_path) == []


@pytest.mark.parametrize(("width", "height"), [(0, 3), (-1, 3), (100_000, 100_000)])
def test_implausible_sizes_are_refused_before_work(tmp_path, width, height):
    with pytest.raises(HarError, match=r"image row 0: .*not plausible"):
        fetch_images([(1, "1.jpg", width, height)], "http://127.0.0.1:9", tmp_path, tmp_path, **QUICK)


def test_a_decompression_bomb_is_not_unfolded(tmp_path):
    header = bytearray(jpeg(1))
    place = header.index(b"\xff\xc0") + 5
    header[place : place + 4] = b"\xff\xff\xff\xff"  # claims 65535 x 65535
    path = tmp_path / "bomb.jpg"
    path.write_bytes(header)
    with pytest.raises(HarError, match=r"not a readable image: Image size"):
        check_image(path, 40, 30)
    Image.new("RGB", (40, 30)).save(tmp_path / "png.jpg", "PNG")
    check_image(tmp_path / "png.jpg", 40, 30)  # what it holds decides
    Image.new("F", (40, 30)).save(tmp_path / "float.jpg", "TIFF")
    with pytest.raises(HarError, match="have no agreed range"):  # as the store would refuse it
        check_image(tmp_path / "float.jpg", 40, 30)


# --- annotations ---

MEMBERS = {name: json.dumps({"of": name, "x": list(range(3000))}).encode() for name in ("captions.json", "boxes.json")}
ZIP_PATH = "/annotations/annotations_trainval2017.zip"


def archive(members=MEMBERS, folder="annotations/"):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        for name, body in members.items():
            file.writestr(folder + name, body)
        file.writestr(folder + "unwanted.json", b"x" * 5000)
    return stream.getvalue()


ARCHIVE = archive()
GOOD = {"sha256": hashlib.sha256(ARCHIVE).hexdigest(), "size": len(ARCHIVE)}
LOOSE = {"sha256": None, "size": None}


@pytest.fixture
def zips():
    with serving(Site({ZIP_PATH: ARCHIVE})) as site:
        yield site


def fetch_zip(site, tmp_path, **options):
    options = {**QUICK, "members": list(MEMBERS), **options}
    return fetch_annotations(site.url, tmp_path / "out", tmp_path / "cache", **options)


@pytest.mark.parametrize("wanted", [GOOD, LOOSE])
def test_only_the_named_members_are_unpacked_and_the_zip_is_kept(zips, tmp_path, wanted):
    zips.faults[ZIP_PATH] = [truncate(1000), status(503)]
    rows = fetch_zip(zips, tmp_path, **wanted)
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == MEMBERS
    assert [(r["file_name"], r["bytes"]) for r in rows] == [(n, len(b)) for n, b in MEMBERS.items()]
    assert rows[0]["sha256"] == hashlib.sha256(MEMBERS["captions.json"]).hexdigest()
    before = len(zips.requests)
    assert fetch_zip(zips, tmp_path, **wanted) == rows
    assert len(zips.requests) == before


def test_another_zip_than_the_pinned_one_is_refused(zips, tmp_path):
    with pytest.raises(HarError, match=r"annotations_trainval2017\.zip: has sha256 .* expected 0000"):
        fetch_zip(zips, tmp_path, sha256="0" * 64, size=None)
    assert names(tmp_path) == []


def test_a_cached_zip_that_was_damaged_is_fetched_again(zips, tmp_path):
    fetch_zip(zips, tmp_path, **LOOSE)
    cached = next((tmp_path / "cache").rglob("*.zip"))
    for wanted in (GOOD, LOOSE):
        cached.write_bytes(ARCHIVE[: len(ARCHIVE) // 2])
        fetch_zip(zips, tmp_path, **wanted)
        assert cached.read_bytes() == ARCHIVE


def test_what_is_no_zip_or_lacks_a_member_is_told_by_url(zips, tmp_path):
    with pytest.raises(HarError, match=rf"{zips.url}{ZIP_PATH}: the archive holds none\.json 0 times"):
        fetch_zip(zips, tmp_path, members=["none.json"], **LOOSE)
    zips.files[ZIP_PATH] = b"<html>gone</html>"
    with pytest.raises(HarError, match="is not a zip archive"):
        fetch_zip(zips, tmp_path / "2", **LOOSE)
    for name in ("../captions.json", "a/b.json", "captions.txt"):
        with pytest.raises(HarError, match="plain file name"):
            fetch_zip(zips, tmp_path, members=[name], **LOOSE)


def test_a_zip_bomb_stops_at_the_bound(zips, tmp_path):
    zips.files[ZIP_PATH] = archive({"captions.json": b"0" * 3_000_000})
    with pytest.raises(HarError, match=r"captions\.json unpacks to more than the 1000000 bytes"):
        fetch_zip(zips, tmp_path, members=["captions.json"], max_member_bytes=1_000_000, **LOOSE)
    assert names(tmp_path / "out") == []


def test_a_member_with_a_wrong_checksum_is_refused(zips, tmp_path):
    crc = zlib.crc32(MEMBERS["boxes.json"]).to_bytes(4, "little")
    zips.files[ZIP_PATH] = ARCHIVE.replace(crc, b"\0\0\0\0")
    with pytest.raises(HarError, match=r"boxes\.json cannot be unpacked"):
        fetch_zip(zips, tmp_path, members=["boxes.json"], **LOOSE)
    assert names(tmp_path / "out") == []


@pytest.mark.parametrize("more", [1, 10**6, 2**31])
def test_a_member_that_is_said_to_lie_outside_is_refused(zips, tmp_path, more):
    """The end of the archive tells where its directory begins; members lie as far before it as that is wrong."""
    at = ARCHIVE.rindex(b"PK\5\6") + 16
    told = int.from_bytes(ARCHIVE[at : at + 4], "little") + more
    zips.files[ZIP_PATH] = ARCHIVE[:at] + told.to_bytes(4, "little") + ARCHIVE[at + 4 :]
    with pytest.raises(HarError, match=r"captions\.json is said to lie outside the archive"):
        fetch_zip(zips, tmp_path, members=["captions.json"], **LOOSE)
    assert names(tmp_path / "out") == []
