"""Clips of the generated world: its scenes with people who walk, sit down, sit or stand, as video files.

A group is a scene; each of its clips shows the same people at the same place doing the same in another way. The files
are laid out and named as UCF-101's: <class>/v_<class>_g01_c01.avi, MPEG-4 in AVI.
"""

from dataclasses import replace
from itertools import count
from math import cos, pi
from pathlib import Path

import av
import numpy as np
from joblib import delayed
from tqdm import tqdm

from har.core.files import replacing
from har.core.parallel import forked
from har.synthetic.labels import ACTIVITIES
from har.synthetic.pose import Pose, sitting, standing, walking
from har.synthetic.random import Dice
from har.synthetic.render import render
from har.synthetic.sample import sample_scene
from har.synthetic.scene import Person, Scene, activity
from har.synthetic.visible import visible

FRAMES, RATE = 16, 8  # of a clip, and in a second
SHORT = 128  # pixels of the shorter side
FIRST_ID = 500_001  # of the scenes: neither those of the sample nor those of pre-training
_SECONDS = FRAMES / RATE
_STRIDE = {False: (1.2, 1.4), True: (2.6, 2.2)}  # running: metres in a second, and in both steps of a stride
_FARTHEST = 0.5  # that anybody walks in a clip, in heights of the picture
_UPRIGHT = 0.82  # height of the pelvis of one who stands, as that of a seat, over body height / 1.72 m
_SITS_DOWN = 0.35  # share of the sitters who begin on their feet
_SHIFT = 0.5  # how far people who stay where they are move towards another pose


def draw_clips(root: str | Path, seed: int, groups: int, clips: int, jobs: int = 1) -> list[Path]:
    """Draw `clips` clips of each of `groups` scenes of every activity below `root`; the same arguments give the same
    frames. Returns the files, in order."""
    scenes: dict[str, list[int]] = {doing: [] for doing in ACTIVITIES}
    for image_id in count(FIRST_ID):
        scene = sample_scene(seed, image_id)
        mine = scenes.get(activity(scene) or "", [])
        if len(mine) < groups and visible(scene):
            mine.append(image_id)
        if all(len(some) == groups for some in scenes.values()):
            break
    work = [
        delayed(_draw)(Path(root) / doing / f"v_{doing}_g{group:02d}_c{clip:02d}.avi", seed, image_id, clip)
        for doing, ids in scenes.items()
        for group, image_id in enumerate(ids, 1)
        for clip in range(1, clips + 1)
    ]
    return list(tqdm(forked(jobs, work), total=len(work), desc="draw", unit="clip"))


def _draw(path: Path, seed: int, image_id: int, clip: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    scene = sample_scene(seed, image_id)
    sides = scene.width, scene.height
    width, height = (2 * round(side * SHORT / min(sides) / 2) for side in sides)
    frames = (render(moment(scene, clip, frame / RATE), width, height) for frame in range(FRAMES))
    with replacing(path, sync=False) as partial:
        write_clip(partial, frames, width, height)
    return path


def write_clip(path: Path, frames, width: int, height: int) -> None:
    """Encode `frames`, uint8 [height, width, 3], sides even, at RATE frames in a second."""
    with av.open(str(path), "w", format="avi") as out:
        stream = out.add_stream("mpeg4", rate=RATE, width=width, height=height, pix_fmt="yuv420p", bit_rate=600_000)
        for frame in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame))))
        out.mux(stream.encode())


def moment(scene: Scene, clip: int, second: float) -> Scene:
    """A scene `second` seconds into one of its clips (1, 2, ...)."""
    people = tuple(_moved(scene, index, clip, second) for index in range(len(scene.people)))
    return replace(scene, people=people)


def _moved(scene: Scene, index: int, clip: int, second: float) -> Person:
    person, dice = scene.people[index], Dice(scene.seed, scene.image_id, 7, clip, index)
    if person.activity == "walking_running":
        return _walked(scene, person, dice, second)
    start, way = dice.between(0, 2 * pi), (1 - cos(pi * min(1.0, 1.8 * second / _SECONDS))) / 2
    shift = _SHIFT * (1 - cos(start + pi * second / _SECONDS)) / 2
    if person.activity == "standing":
        return replace(person, pose=_between(person.pose, standing(dice), shift))
    if person.main and dice.chance(_SITS_DOWN):
        upright = replace(standing(dice), seat=_UPRIGHT * person.height)
        return replace(person, pose=_between(upright, person.pose, way))
    return replace(person, pose=_between(person.pose, sitting(dice, person.pose.seat), shift))


def _walked(scene: Scene, person: Person, dice: Dice, second: float) -> Person:
    """On the way through the point where the scene has the person, which is reached at half time."""
    speed, stride = _STRIDE[person.running]
    speed = min(speed, _FARTHEST / person.scale / _SECONDS) * dice.between(0.85, 1.15)
    way = speed * (second - _SECONDS / 2)
    phase = dice.between(0, 2 * pi) + 2 * pi * speed * second / stride
    x, y = scene.frame(person).xy(way, 0.0, 0.0)
    nearer = (y - scene.horizon) / (person.y - scene.horizon)
    pose = replace(walking(dice, person.running, phase), holds="")
    return replace(person, x=x, y=y, scale=person.scale * nearer, pose=pose)


def _between(a: Pose, b: Pose, share: float) -> Pose:
    """A pose on the way from `a` to `b`, both on a seat or both on their feet, with what `b` holds at the end."""

    def mixed(one, other):
        if isinstance(one, tuple):
            return tuple(map(mixed, one, other))
        return one if one is None else one + share * (other - one)

    angles = ("legs", "arms", "lean", "tilt", "twist", "head", "toes", "seat")
    return replace(a if share < 0.5 else b, **{name: mixed(getattr(a, name), getattr(b, name)) for name in angles})
