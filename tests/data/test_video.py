"""Clips: which frames come out of them, odd and hostile ones, and UCF-101's layout and lists."""

import os
import re
import shutil
from itertools import product
from pathlib import Path

import av
import clips
import cv2
import numpy as np
import parameters
import pytest
from clips import place_of, turn, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from har.app.new_profile import write_profile
from har.config.profile import load_params
from har.core.errors import HarError
from har.data.folder.inspect import copy_files, examine, read_images
from har.data.folder.recognise import recognise
from har.data.folder.select import choose
from har.data.manifest import read_manifest, write_manifest
from har.data.sources import SOURCES
from har.data.video.decode import is_clip, read_clip
from har.data.video.lists import find_clips, lists_near

UCF = parameters.value("data.folder.groups")

MIDDLES = [3, 9, 15, 21, 28, 34, 40, 46]  # of eight equal parts of fifty frames


@pytest.mark.parametrize(
    ("file", "codec"),
    [("a.avi", "mpeg4"), ("a.avi", "mjpeg"), ("a.mp4", "libx265"), ("a.mkv", "libx264"), ("a.mov", "mpeg4"),
     ("a.webm", "libvpx-vp9"), ("a.MP4", "mpeg4")],
)  # fmt: skip
def test_frames_are_the_middles_of_equal_parts(tmp_path, file, codec):
    path = write_clip(tmp_path / file, codec=codec)
    found = list(read_clip(path, 8))
    assert [place_of(image) for _, image in found] == MIDDLES
    assert [second for second, _ in found] == [place / 25 for place in MIDDLES]
    assert {(image.mode, image.size) for _, image in found} == {("RGB", (64, 48))}
    assert is_clip(path)


@settings(max_examples=15, deadline=None)
@given(gaps=st.lists(st.integers(1, 400), min_size=1, max_size=40), frames=st.integers(1, 12))
def test_law_each_frame_is_the_one_shown_in_the_middle_of_its_part(tmp_path_factory, gaps, frames):
    """At any frame rate, however it varies: the frame whose time is the last before the middle."""
    times = np.concatenate([[0], np.cumsum(gaps)]).tolist()
    path = write_clip(tmp_path_factory.mktemp("vfr") / "a.mkv", times)
    with av.open(str(path)) as container:
        end = max((packet.pts or 0) + packet.duration for packet in container.demux(video=0))
    middles = [end * (2 * k + 1) / (2 * frames) for k in range(frames)]
    shown = sorted({max(time for time in times if time <= middle) for middle in middles})
    assert [round(1000 * second) for second, _ in read_clip(path, frames)] == shown


@pytest.mark.parametrize("name", ["b.avi", "90.mp4", "270.mp4", "a.webm"])
def test_frames_equal_those_of_another_decoder(tmp_path, name):
    """OpenCV's, which decodes the whole clip one frame after the other, upright; to one grey level on average."""
    options = {"bf": "2"} if name == "b.avi" else None
    path = write_clip(tmp_path / name, size=(320, 240), gop=20, options=options)
    if path.stem.isdecimal():
        turn(path, int(path.stem))
    video, found = cv2.VideoCapture(str(path)), []
    while (got := video.read())[0]:
        found.append(got[1][..., ::-1].astype(float))
    assert len(found) == 50
    for second, image in read_clip(path, 8):
        assert np.abs(found[round(second * 25)] - np.asarray(image)).mean() <= 1


def odd(root) -> dict[str, Path]:
    """Clips, by what is odd about them, of which four frames are those of a plain one of fifty."""
    turned, x264 = write_clip(root / "turned.mp4"), "open-gop=1:bframes=3:keyint=12:min-keyint=12"
    turn(turned, 180)
    suffix = write_clip(root / "x.webm").rename(root / "webm.mp4")
    cut, protocol = root / "index.avi", root / "concat:a.avi|b.avi"
    protocol.write_bytes(write_clip(root / "whole.avi").read_bytes())
    cut.write_bytes(protocol.read_bytes()[:-400])
    return {
        "a key frame at the start alone": write_clip(root / "long.avi", gop=999),
        "key frames alone": write_clip(root / "keys.mp4", gop=1),
        "an open group of pictures": write_clip(root / "open.mkv", options={"x264-params": x264}),
        "first frame after the start": write_clip(root / "late.mkv", [5000 + 40 * place for place in range(50)]),
        "longer sound": write_clip(root / "sound.mp4", audio=4.0),
        "fragments": write_clip(root / "parts.mp4", muxer={"movflags": "frag_keyframe+empty_moov"}),  # no length told
        "turned": turned,
        "ten bits": write_clip(root / "ten.mkv", codec="ffv1", pixels="yuv420p10le"),
        "grey": write_clip(root / "grey.mkv", codec="ffv1", pixels="gray"),
        "another suffix": suffix,
        "an index cut off": cut,
        "a name like a protocol": protocol,
    }


def test_odd_clips_give_the_right_frames(tmp_path):
    for name, path in odd(tmp_path).items():
        assert [place_of(image) for _, image in read_clip(path, 4)] == [6, 18, 31, 43], name
    varied = write_clip(tmp_path / "varied.mp4", [0, 40, 80, 120, 1000, 1500, 1900])  # the first two parts show one
    assert [place_of(image) for _, image in read_clip(varied, 4)] == [3, 4, 5]


def hostile(root) -> list[tuple]:
    """(a clip, what the refusal says of it)."""
    whole, avi, mkv = (write_clip(root / f"whole.{suffix}").read_bytes() for suffix in ("mp4", "avi", "mkv"))
    fast = write_clip(root / "fast.mp4", size=(320, 240), muxer={"movflags": "faststart"}).read_bytes()
    no_clip = {
        "empty.mp4": b"",
        "text.avi": b"no clip" * 1000,
        "photo.mp4": cv2.imencode(".png", clips.picture(1))[1].tobytes(),
        "no_times.mp4": write_clip(root / "raw.h264", codec="libx264").read_bytes(),
        "before_its_table.mp4": whole[: len(whole) // 2],
        "list.mp4": b"#EXTM3U\n#EXTINF:2,\nwhole.mp4\n#EXT-X-ENDLIST\n",
        "net.mp4": b"#EXTM3U\n#EXTINF:2,\nhttp://127.0.0.1:9/a.ts\n",
        "list.mkv": b"ffconcat version 1.0\nfile whole.mp4\n",
    }
    cut = {"after_its_table.mp4": fast[: len(fast) // 2], "cut.mkv": mkv[: len(mkv) // 2]}
    for name, data in (no_clip | cut | {"cut.avi": avi[: len(avi) // 2]}).items():
        (root / name).write_bytes(data)
    os.mkfifo(root / "pipe.mp4")
    return [
        *((root / name, "not a readable clip") for name in no_clip),
        *((root / name, "truncated") for name in cut),
        (root / "cut.avi", "truncated|not a readable clip"),
        (write_clip(root / "silent.mp4", 0, audio=1.0), "holds no pictures"),
        (write_clip(root / "thin.mp4", 2, size=(1024, 16)), "sides of at most 40 to 1"),
        (root / "pipe.mp4", "not a file"),
        (root, "not a file"),
        (root / "none.mp4", "no such file"),
    ]


def test_hostile_clips_are_refused_in_one_line(tmp_path):
    for path, said in hostile(tmp_path):
        with pytest.raises(HarError, match=rf"^{re.escape(str(path))}: [^\n]*({said})[^\n]*$"):
            list(read_clip(path, 4))


def test_clips_larger_than_their_frames_can_be_kept_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("har.data.video.decode.MAX_SIDE", 63)
    with pytest.raises(HarError, match="64 x 48 pixels, sides of at most 63"):
        list(read_clip(write_clip(tmp_path / "a.mp4", 2), 1))


class TestUcf:
    """A tree in UCF-101's layout, small: where it lies, what its lists say, what they must not say."""

    @pytest.fixture
    def root(self, tmp_path):
        """Two classes of five groups of two clips; a file of the second spells the class otherwise, as UCF-101 does."""
        lists = {"trainlist01": "", "testlist01": "", "classInd": "1 ApplyEyeMakeup\r\n2 HandStandPushups\r\n"}
        for label, group, clip in product(("ApplyEyeMakeup", "HandstandPushups"), range(1, 6), (1, 2)):
            name = f"{label}/v_{label.replace('Handstand', 'HandStand')}_g{group:02d}_c{clip:02d}.avi"
            write_clip(tmp_path / "UCF-101" / name, 4, size=(32, 32))
            part, number = ("train", " 1") if group < 4 else ("test", "")
            lists[f"{part}list01"] += f"{name}{number}\r\n"
        (tmp_path / "ucfTrainTestlist").mkdir()
        for name, text in lists.items():
            (tmp_path / f"ucfTrainTestlist/{name}.txt").write_text(text)
        return tmp_path / "UCF-101"

    def test_a_profile_is_written_and_its_manifest_is_as_the_lists_say(self, root, tmp_path):
        (tmp_path / "params.yaml").write_text(parameters.text(), encoding="utf-8")
        write_profile(tmp_path / "params.yaml", "ucf", str(root))
        params = load_params(tmp_path / "params.yaml")
        data = params.active.data
        assert (data.source, data.video.lists) == ("video", str(tmp_path / "ucfTrainTestlist"))
        assert params.active.embed.prompts["ApplyEyeMakeup"][1] == "a photo of a person doing apply eye makeup"
        source = SOURCES["video"]
        assert any("train 12 (train)" in line for line in source.annotations(data, tmp_path / "a", 1, tmp_path))
        images = read_images(tmp_path / "a")
        assert len(images) == 20 * 4
        write_manifest(choose(images, params.active.curate).manifest, tmp_path / "manifest.csv")
        manifest = read_manifest(tmp_path / "manifest.csv")
        assert sorted(manifest.groupby("clip")["second"].apply(list).tolist())[0] == [0.0, 0.04, 0.08, 0.12]
        assert set(manifest.group[manifest.split == "test"].str[-3:]) == {"g04", "g05"}
        assert set(manifest.group[manifest.split == "train"].str[-3:]) == {"g01", "g02", "g03"}
        options = {"annotations": tmp_path / "a", "jobs": 1, "cache": None, "keep": None}
        rows = source.photographs(data, manifest, tmp_path / "i", **options)
        assert [row["url"] for row in rows] == manifest.url.tolist()
        for row in manifest.itertuples():
            image = Image.open(tmp_path / "i" / row.file_name)
            assert image.size == (row.width, row.height) == (32, 32)
            assert place_of(image) == round(row.second * 25)

    def test_lists_beside_inside_and_none(self, root, tmp_path):
        assert lists_near(root) == str(tmp_path / "ucfTrainTestlist")
        (tmp_path / "ucfTrainTestlist").rename(root / "ucfTrainTestlist")
        assert lists_near(root) == str(root / "ucfTrainTestlist")
        shutil.rmtree(root / "ucfTrainTestlist")
        assert lists_near(root) == ""
        assert {one.split for one in find_clips(root, UCF).images} == {""}

    @pytest.mark.parametrize(
        ("file", "text", "message"),
        [("testlist01", "Fly/v_none.avi\nA/b.avi", r"names 2 clips that are not in .*: Fly/v_none\.avi, A/b"),
         ("testlist01", "ApplyEyeMakeup/v_ApplyEyeMakeup_g01_c01.avi", "1 clips in train and in test: ApplyEyeMakeup"),
         ("testlist01", "../../etc/passwd", "names 1 clips that are not in"),
         ("classInd", "1 ApplyEyeMakeup", r"classInd\.txt: lacks 1 classes of clips in the lists: HandstandPushups"),
         ("classInd", "1 ApplyEyeMakeup\n2 HandstandPushups\n3 Fly", r"names 1 .* no clips in .*UCF-101: Fly"),
         ("classInd", "1 Make Up\n2 HandstandPushups", r"names 1 .*: Make Up; lacks 1 classes .*: ApplyEyeMakeup")],
    )  # fmt: skip
    def test_lists_and_classes_that_do_not_fit_are_refused(self, root, tmp_path, file, text, message):
        (tmp_path / f"ucfTrainTestlist/{file}.txt").write_text(text)
        with pytest.raises(HarError, match=message):
            find_clips(root, UCF, tmp_path / "ucfTrainTestlist")

    def test_a_group_on_both_sides_is_refused_and_case_and_clips_beside_the_lists_are_not(self, root, tmp_path):
        lists = tmp_path / "ucfTrainTestlist"
        for file in lists.glob("*list01.txt"):
            file.write_text(file.read_text().replace("HandstandPushups/", "HandStandPushups/"))
        write_clip(root / "ApplyEyeMakeup/v_ApplyEyeMakeup_g04_c03.avi", 2)
        listing = find_clips(root, UCF, lists)
        assert (len(listing.images), listing.notes[-1]) == (20, "left out: 1 clips that no list of split 1 names")
        with open(lists / "trainlist01.txt", "a") as out:
            out.write("ApplyEyeMakeup/v_ApplyEyeMakeup_g04_c03.avi 1")
        with pytest.raises(HarError, match="in more than one split"):
            find_clips(root, UCF, lists)
        with pytest.raises(HarError, match=r"trainlist02\.txt: no such file"):
            find_clips(root, UCF, lists, 2)


def test_clips_of_a_table_and_without_a_group_stay_whole_and_what_is_none_is_skipped(tmp_path):
    """A clip whose name says no group is its own; a table may name clips and photographs."""
    for name in ("a.mp4", "b.mkv"):
        write_clip(tmp_path / name)
    cv2.imwrite(str(tmp_path / "c.png"), clips.picture(3))
    (tmp_path / "bad.mp4").write_bytes(b"")
    (tmp_path / "t.csv").write_text("video,label\na.mp4,x\nb.mkv,y\nc.png,y\nbad.mp4,x\n")
    source, listing = recognise(str(tmp_path / "t.csv"), UCF, {})
    assert source["source"] == "csv"
    with pytest.raises(HarError, match=r"bad\.mp4: not a readable clip.* \(unreadable: skip"):
        examine(listing.images, 1, "stop", 3)
    images, bad = examine(listing.images, 1, "skip", 3)
    assert bad.name.tolist() == ["bad.mp4"]
    assert images.groupby("clip").size().to_dict() == {"": 1, "a.mp4": 3, "b.mkv": 3}
    assert set(zip(images["clip"], images["group"], strict=True)) == {("", ""), ("a.mp4", "a.mp4"), ("b.mkv", "b.mkv")}
    sources = {one.name: one.path for one in listing.images}
    assert len(copy_files(images, sources, tmp_path / "out", 1, 3)) == 7
    write_clip(tmp_path / "a.mp4", 40)
    with pytest.raises(HarError, match=r"a\.mp4: changed since"):
        copy_files(images, sources, tmp_path / "out", 1, 3)
