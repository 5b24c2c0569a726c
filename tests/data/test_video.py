"""Clips: which frames come out of them, odd and hostile ones, and UCF-101's layout and lists."""

import os
import shutil

import clips
import cv2
import numpy as np
import pytest
from clips import place_of, turn, write_clip
from hypothesis import given, settings
from hypothesis import strategies as st

from har.core.errors import HarError
from har.data.video.decode import is_clip, read_clip

MIDDLES = [3, 9, 15, 21, 28, 34, 40, 46]  # of eight equal parts of fifty frames


def seen(path, frames: int = 8) -> list[int]:
    return [place_of(image) for _, image in read_clip(path, frames)]


@pytest.mark.parametrize(
    ("file", "codec"),
    [("a.avi", "mpeg4"), ("a.avi", "mjpeg"), ("a.mp4", "libx264"), ("a.mp4", "libx265"), ("a.mkv", "libx264"),
     ("a.mkv", "ffv1"), ("a.mov", "mpeg4"), ("a.webm", "libvpx-vp9"), ("a.MP4", "mpeg4")],
)  # fmt: skip
def test_frames_are_the_middles_of_equal_parts(tmp_path, file, codec):
    path = write_clip(tmp_path / file, codec=codec)
    found = list(read_clip(path, 8))
    assert [place_of(image) for _, image in found] == MIDDLES
    assert [second for second, _ in found] == [place / 25 for place in MIDDLES]
    assert {(image.mode, image.size) for _, image in found} == {("RGB", (64, 48))}
    assert is_clip(path)
