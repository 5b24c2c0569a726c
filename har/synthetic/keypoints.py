"""Where a person's joints fall in the picture, and the codes by which pixels name their owner and part."""

from math import cos, sin

from har.synthetic.pose import HEAD, skeleton
from har.synthetic.scene import Person, Scene
from har.synthetic.shapes import XY

# Parts of a body in the shape codes; the right side adds RIGHT.
HEAD_PART, TORSO, UPPER, FORE, THIGH, SHANK, FOOT, RIGHT = 1, 2, 3, 4, 5, 6, 7, 10
# Owners in the shape codes: person i is PERSON_CODE + i, and so on.
PERSON_CODE, PROP_CODE, HELD_CODE, PACK_CODE = 1, 32, 96, 112

Joint = tuple[float, float, float]  # x, y in scene units, depth in metres

# Own parts that may lie over a keypoint without hiding it (clothes and flesh around the joint).
_OWN = {
    "shoulder": (TORSO, UPPER), "elbow": (UPPER, FORE), "wrist": (FORE,), "hip": (TORSO, THIGH),
    "knee": (THIGH, SHANK), "ankle": (SHANK, FOOT),
}  # fmt: skip
# Face points on the unit head: turn (positive to the person's left), rise.
FACE = {"nose": (0.0, -0.08), "left_eye": (0.38, 0.16), "right_eye": (-0.38, 0.16), "left_ear": (1.45, 0.02),
         "right_ear": (-1.45, 0.02)}  # fmt: skip


def own_parts(keypoint: str) -> tuple[int, ...]:
    """Part codes under which a keypoint of the same person still counts as visible."""
    if keypoint in FACE:
        return (HEAD_PART,)
    side, joint = keypoint.split("_")
    return tuple(part + RIGHT * (side == "right" and part != TORSO) for part in _OWN[joint])


def joints(scene: Scene, person: Person) -> dict[str, Joint]:
    """All joints and face points projected: x, y in scene units, depth in metres (larger is nearer).

    For face points the third number is how much they face the viewer, in [-1, 1].
    """
    frame = scene.frame(person)
    bones = skeleton(person.pose, person.height, person.hips, person.shoulders, person.head_size)
    gaze = bones.pop("gaze")
    out = {name: frame.at(*point) for name, point in bones.items()}
    hx, hy, _ = out["head"]
    radius = HEAD * person.head_size * person.height * person.scale
    across, near = gaze[0] * frame.sin + gaze[1] * frame.cos, gaze[0] * frame.cos - gaze[1] * frame.sin
    down = -gaze[2] + near * frame.tilt * 0.6
    out["gaze"] = (across, down, near)
    for name, (turn, rise) in FACE.items():
        c, s = cos(turn), sin(turn)
        ax, az = across * c + near * s, near * c - across * s
        out[name] = (hx + ax * radius * 0.8, hy - (rise - down * c * 0.7) * radius, az)
    return out


def xy(joint: Joint) -> XY:
    """A joint without its depth."""
    return joint[0], joint[1]


def lerp(a: Joint, b: Joint, t: float) -> XY:
    """The point a share t of the way from a to b."""
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t
