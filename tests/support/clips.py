"""Tiny clips, encoded as tests need them."""

import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

CODECS = {".avi": "mpeg4", ".mp4": "libx264", ".mkv": "libx264", ".mov": "mpeg4", ".webm": "libvpx-vp9"}
QUICK = {"libx264": {"preset": "ultrafast", "bf": "2"}, "libvpx-vp9": {"cpu-used": "8", "deadline": "realtime"}}


def shade(place: int) -> int:
    """The grey level of frame `place`, by which a test knows it again."""
    return 24 + 4 * place


def picture(place: int, width: int = 64, height: int = 48) -> np.ndarray:
    """Frame `place`: of its shade, white in the upper left eighth."""
    pixels = np.full((height, width, 3), shade(place), np.uint8)
    pixels[: height // 4, : width // 2] = 255
    return pixels


def place_of(image) -> int:
    """Which frame `image` is."""
    x, y = image.width // 2, image.height // 2
    level = np.asarray(image.convert("L"), float)[y - 6 : y + 6, x - 6 : x + 6].mean()
    return round((level + 1 - shade(0)) / 4)  # ten bits come out a little darker


def write_clip(
    path: Path, frames: int | Sequence[int] = 50, codec: str = "", size: tuple[int, int] = (64, 48), pixels: str = "",
    gop: int = 12, audio: float = 0.0, options: dict | None = None, muxer: dict | None = None,
) -> Path:  # fmt: skip
    """A clip of `frames`, 25 a second, or one shown at each of these milliseconds.

    audio: seconds of silence beside them. pixels: FFmpeg's pixel format. options, muxer: of codec and container.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    codec = codec or CODECS[path.suffix]
    times, base = (range(frames), Fraction(1, 25)) if isinstance(frames, int) else (frames, Fraction(1, 1000))
    with av.open(str(path), "w", options=muxer or {}) as out:
        if times:
            stream = out.add_stream(codec, rate=25, options=options or QUICK.get(codec, {}))
            stream.width, stream.height = size
            stream.pix_fmt = pixels or ("yuvj420p" if codec == "mjpeg" else "yuv420p")
            context = stream.codec_context
            stream.bit_rate, context.gop_size, context.thread_count, context.time_base = 4_000_000, gop, 1, base
        if audio:
            sound = out.add_stream("pcm_s16le" if path.suffix in (".avi", ".mkv", ".mov") else "aac", rate=8000)
            sound.layout = "mono"
        for place, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(picture(place, *size), format="rgb24")
            frame.pts, frame.time_base = time, base
            out.mux(stream.encode(frame))
        if audio:
            zeros = np.zeros((1, int(8000 * audio)), np.int16)
            silence = av.AudioFrame.from_ndarray(zeros, format="s16", layout="mono")
            silence.sample_rate, silence.pts = 8000, 0
            out.mux(sound.encode(silence))
            out.mux(sound.encode())
        if times:
            out.mux(stream.encode())
    return path


def turn(path: Path, degrees: int) -> None:
    """Write into an MP4 file that players turn it clockwise."""
    one = 1 << 16
    cos, sin = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    data = bytearray(path.read_bytes())
    start = data.index(b"tkhd") + 44
    data[start : start + 20] = struct.pack(">5i", cos, sin, 0, -sin, cos)
    path.write_bytes(data)
