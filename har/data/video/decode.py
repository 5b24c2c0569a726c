"""The one reader of clips: a few frames of each, spread evenly over its time.

A clip is read twice: packet by packet for when its frames are shown, without decoding, then from the last key frame
before a wanted frame up to it. So times are the frames' own, whatever a header says, and a frame rate may vary. Frames
come upright, as 8-bit RGB in the clip's size.

FFmpeg, which PyAV binds, opens much more than clips. Here it is handed an open file, may take it for one of FORMATS
alone (no playlist, list of files or device) and may open no other.
"""

from bisect import bisect_right
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from har.core.errors import HarError
from har.core.readers import one_line, ordinary_size
from har.data.photographs import MAX_PIXELS, check_size

SUFFIXES = (".avi", ".mkv", ".mov", ".mp4", ".webm")
FORMATS = "avi,matroska,mov,webm"  # FFmpeg's names
FRAMES = 8  # of a clip, where nobody says
MAX_BYTES = 4 << 30  # of one clip
MAX_SIDE = 16_383  # pixels; WebP, in which frames are kept, has no larger ones
MAX_PACKETS = 250_000  # two hours and a quarter at 30 frames a second
WHOLE = 0.9  # of the length that the header tells; less was cut off


def is_clip(path: str | Path) -> bool:
    return str(path).lower().endswith(SUFFIXES)


def read_clip(path: str | Path, frames: int, name: str = "") -> Iterator[tuple[float, Image.Image]]:
    """What is shown in the middle of each of `frames` equal parts of a clip, a frame once.

    Args:
        path: the file.
        frames: at most so many; a clip of fewer gives each of its frames.
        name: what to call it in messages; the path, if not given.

    Yields:
        Seconds after the clip's first frame, to a microsecond, and the frame.

    Raises:
        HarError: in one line, for whatever is no readable clip: damaged, truncated or too large, or without pictures.
    """
    import av  # costs a tenth of a second: only where there are clips
    from av.video.reformatter import VideoReformatter

    # one for all frames, by one thread: PyAV makes one a frame, which takes ten times as long as its work
    name, colours = name or str(path), VideoReformatter()
    ordinary_size(path, "a clip", MAX_BYTES, name)
    try:
        with open(path, "rb") as file:
            options = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
            with av.open(file, options=options) as container:
                stream = _pictures(container, name)
                times, keys, end = _times(container, stream, name)
                first = times[0]
                spread = (first + (end - first) * (2 * k + 1) / (2 * frames) for k in range(frames))
                wanted = sorted({times[max(bisect_right(times, one) - 1, 0)] for one in spread})
                starts = [keys[max(bisect_right(keys, one) - 1, 0)] for one in wanted]
                container.seek(0)
                for time, frame in _decoded(container, stream, list(zip(wanted, starts, strict=True))):
                    _check_size(frame, name)
                    image = Image.fromarray(colours.reformat(frame, format="rgb24", threads=1).to_ndarray())
                    turned = image.rotate(frame.rotation, expand=True) if frame.rotation else image
                    yield round(float((time - first) * stream.time_base), 6), turned
    except HarError:
        raise
    except Exception as error:  # FFmpeg's decoders meet a damaged file with all sorts of errors
        reason = getattr(error, "strerror", None) or error
        raise HarError(f"{name}: not a readable clip: {one_line(reason)}") from None


def _pictures(container, name: str):
    """The clip's stream of pictures, ready to be decoded by one thread: clips go side by side."""
    import av

    covers = av.stream.Disposition.attached_pic  # of music
    found = [stream for stream in container.streams.video if not stream.disposition & covers]
    if not found:
        raise HarError(f"{name}: holds no pictures; expected a clip")
    stream = found[0]
    _check_size(stream.codec_context, name)
    stream.codec_context.options = {"max_pixels": str(MAX_PIXELS)}  # where the size changes on the way
    stream.codec_context.thread_count = 1
    return stream


def _check_size(of, name: str) -> None:
    check_size(of.width, of.height, name)
    if max(of.width, of.height) > MAX_SIDE:
        raise HarError(f"{name}: {of.width} x {of.height} pixels, sides of at most {MAX_SIDE:,} allowed")


def _times(container, stream, name: str) -> tuple[list[int], list[int], int]:
    """When each frame is shown and when each key frame, sorted, and when the clip ends."""
    shown, keys, begin, end = [], [], None, 0
    for count, packet in enumerate(container.demux(stream)):
        if not packet.size:  # nothing new is shown
            continue
        if count >= MAX_PACKETS:
            raise HarError(f"{name}: more than {MAX_PACKETS:,} frames, too long for a clip")
        if packet.is_corrupt:
            raise HarError(f"{name}: truncated or damaged")
        time = _time(packet)
        begin, end = min(time, time if begin is None else begin), max(end, time + (packet.duration or 0))
        if packet.is_keyframe or not keys:
            keys.append(time)
        if not packet.is_discard:
            shown.append(time)
    if not shown:
        raise HarError(f"{name}: holds no frame; expected a clip")
    told = stream.duration * stream.time_base if stream.duration else (container.duration or 0) / 1_000_000
    have = (end - min(begin, 0)) * stream.time_base  # Matroska counts from nought, wherever the first frame is
    if have < WHOLE * told:
        raise HarError(f"{name}: truncated, holds {float(have):.1f} of {float(told):.1f} seconds")
    return sorted(set(shown)), sorted(keys), end


def _time(of) -> int:
    time = of.dts if of.pts is None else of.pts
    if time is None:
        raise ValueError("a frame does not say when it is shown")
    return time


def _decoded(container, stream, wanted: list[tuple[int, int]]) -> Iterator[tuple[int, object]]:
    """Frames by (time, time of the key frame to start from), in order. Where a frame of that time never comes, as of a
    packet that shows nothing, the one before it; none twice."""
    fed, on, last, done, starts = set(), False, None, None, {start for _, start in wanted}
    wanted = wanted[::-1]
    for packet in container.demux(stream):
        if packet.size and _time(packet) in starts:
            fed.add(_time(packet))
        if not on:
            if wanted[-1][1] not in fed:
                continue
            stream.codec_context.flush_buffers()
            on, last = True, None
        for frame in packet.decode():
            while wanted and _time(frame) >= wanted[-1][0]:
                time, _ = wanted.pop()
                found = frame if last is None or _time(frame) == time else last
                if done != (done := _time(found)):
                    yield done, found
            if not wanted:
                return
            last, on = frame, wanted[-1][1] in fed
    if wanted and last is not None and _time(last) != done:
        yield _time(last), last
