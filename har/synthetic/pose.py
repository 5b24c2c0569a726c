"""Poses as joint angles, and the forward kinematics that turns them into a 3-D skeleton.

Every limb bone has two angles in degrees: `swing` (0 hangs down, 90 points forward, 180 up) and `spread`
(positive leads away from the body's midline). Bones carry absolute directions in the pelvis frame (legs) or
in the chest frame (arms), so that a pose reads like a drawing instruction and no joint order matters.
"""

from dataclasses import dataclass
from math import asin, cos, degrees, pi, radians, sin

from har.synthetic.random import Dice

Bone = tuple[float, float]  # swing, spread in degrees
Limb = tuple[Bone, Bone]  # upper bone, lower bone
Point = tuple[float, float, float]  # forward, left, up in metres

# Metres for a body 1.72 m tall; `skeleton` scales them all.
THIGH, SHANK, FOOT, ANKLE = 0.43, 0.41, 0.21, 0.08
TRUNK, NECK, HEAD = 0.50, 0.10, 0.118
UPPER_ARM, FOREARM, HAND = 0.29, 0.25, 0.13


@dataclass(frozen=True)
class Pose:
    """Joint angles in degrees. `seat` is the height under the pelvis in metres, None when feet carry."""

    legs: tuple[Limb, Limb]  # left, right
    arms: tuple[Limb, Limb]
    lean: float = 0.0  # trunk, forward
    tilt: float = 0.0  # trunk, towards the right
    twist: float = 0.0  # chest against pelvis, towards the left
    head: tuple[float, float] = (0.0, 0.0)  # turn left, nod down
    toes: tuple[float, float] = (80.0, 80.0)  # swing of the feet
    seat: float | None = None
    lift: float = 0.0  # metres both feet are off the ground (running)
    holds: str = ""  # what the right hand carries: "", cell phone, cup, book, umbrella, handbag


_SIDE: Limb = ((2, 9), (12, 2))
_ARMS: dict[str, tuple[Limb, Limb]] = {
    "side": (_SIDE, _SIDE),
    "crossed": (((26, 16), (84, -62)), ((22, 16), (74, -58))),
    "hips": (((-22, 42), (18, -48)), ((-22, 42), (18, -48))),
    "one hip": (_SIDE, ((-22, 42), (18, -48))),
    "pockets": (((-16, 16), (14, -8)), ((-16, 16), (14, -8))),
    "wave": (_SIDE, ((150, 42), (172, 12))),
    "point": (_SIDE, ((82, 16), (88, 6))),
    "raise": (((162, 22), (176, -6)), ((162, 22), (176, -6))),
    "phone": (_SIDE, ((16, 10), (112, -22))),
    "cup": (_SIDE, ((14, 14), (92, -12))),
    "book": (((22, 14), (84, -18)), ((22, 14), (84, -18))),
    "camera": (((48, 18), (128, -34)), ((48, 18), (128, -34))),
    "umbrella": (_SIDE, ((20, 12), (126, -8))),
    "handbag": (_SIDE, ((0, 10), (4, 4))),
    "lap": (((22, 9), (62, -28)), ((22, 9), (62, -28))),
    "knees": (((36, 8), (58, -4)), ((36, 8), (58, -4))),
    "prop": (((-38, 16), (-22, 6)), ((-38, 16), (-22, 6))),
    "chin": (((24, 8), (60, -24)), ((48, 2), (142, -22))),
}
_HELD = {"phone": "cell phone", "cup": "cup", "book": "book", "umbrella": "umbrella", "handbag": "handbag"}
# Arms tell little: each activity shares most gestures with the others.
_STANDING_ARMS = (
    ("side", 4), ("crossed", 1.6), ("hips", 1), ("one hip", 1.2), ("pockets", 2), ("wave", 1), ("point", 0.8),
    ("raise", 0.5), ("phone", 1.6), ("cup", 1), ("book", 0.7), ("camera", 1), ("umbrella", 1), ("handbag", 1.2),
)  # fmt: skip
_SITTING_ARMS = (
    ("lap", 3), ("knees", 2.6), ("crossed", 1), ("chin", 1), ("phone", 1.6), ("cup", 1.2), ("book", 1.4),
    ("wave", 0.8), ("umbrella", 0.6), ("side", 1), ("point", 0.5), ("camera", 0.5),
)  # fmt: skip
_WALKING_ARMS = (
    ("swing", 8), ("phone", 1), ("wave", 0.7), ("umbrella", 1), ("handbag", 1.2), ("pockets", 0.9), ("cup", 0.7),
)  # fmt: skip


def _arms(dice: Dice, name: str) -> tuple[Limb, Limb]:
    left, right = _ARMS[name]
    if not (left is _SIDE or right is _SIDE or dice.chance(0.5)):
        left, right = right, left

    def loosen(limb: Limb) -> Limb:
        (a, b), (c, d) = limb
        return ((dice.normal(a, 6), dice.normal(b, 4)), (dice.normal(c, 8), dice.normal(d, 4)))

    return loosen(left), loosen(right)


def _gaze(dice: Dice) -> tuple[float, float]:
    return dice.normal(0, 18), dice.normal(4, 8)


def standing(dice: Dice) -> Pose:
    """Weight on one or both feet, arms doing anything."""
    name = dice.weighted(_STANDING_ARMS)
    apart = dice.between(1.5, 8.5)
    bend = dice.between(4, 24) if dice.chance(0.45) else dice.between(0, 4)
    shift = dice.normal(0, 2)
    free = ((bend, apart), (-bend * 0.7, apart))
    firm = ((dice.normal(0, 2), apart * 0.5 - 1), (dice.normal(-2, 2), apart * 0.5 - 1))
    legs = (free, firm) if dice.chance(0.5) else (firm, free)
    return Pose(
        legs=legs, arms=_arms(dice, name), lean=dice.normal(1, 3), tilt=shift, twist=dice.normal(0, 6),
        head=_gaze(dice), toes=(84, 84), holds=_HELD.get(name, ""),
    )  # fmt: skip


def walking(dice: Dice, running: bool, at_phase: float | None = None) -> Pose:
    """A stride at a random phase (radians), most often near its widest, or at the one given; running bends elbows and
    lifts off."""
    # Phases near mid-stride look like standing; they are kept, but rare.
    phase = dice.normal(0, 0.62) + (pi if dice.chance(0.5) else 0.0)
    phase = dice.between(0, 2 * pi) if dice.chance(0.15) else phase
    phase = phase if at_phase is None else at_phase
    reach = dice.between(34, 48) if running else dice.between(24, 37)
    flex = dice.between(80, 112) if running else dice.between(34, 58)

    def leg(at: float) -> Limb:
        swing = reach * cos(at) + (6 if running else 3)
        knee = (14 if running else 5) + flex * max(0.0, -sin(at - 0.75)) ** 1.3
        spread = dice.between(0, 3)
        return (swing, spread), (swing - knee, spread)

    left, right = leg(phase), leg(phase + pi)
    name = "swing" if running and dice.chance(0.85) else dice.weighted(_WALKING_ARMS)
    elbow = dice.between(70, 100) if running else dice.between(12, 38)
    pump = reach * dice.between(0.75, 1.15)
    swings = [pump * cos(at) - 4 for at in (phase + pi, phase)]
    arms = [((swing, 8), (swing + elbow, -8 if running else 2)) for swing in swings]
    if name != "swing":
        fixed = _arms(dice, name)
        arms = [fixed[0] if name == "pockets" else arms[0], fixed[1]]
    return Pose(
        legs=(left, right), arms=tuple(arms), lean=dice.between(8, 20) if running else dice.between(1, 9),
        tilt=dice.normal(0, 1.5), twist=dice.normal(0, 3) - 9 * cos(phase), head=_gaze(dice),
        toes=(left[1][0] + dice.between(70, 95), right[1][0] + dice.between(60, 95)),
        lift=dice.between(0, 0.1) if running else 0.0, holds=_HELD.get(name, ""),
    )  # fmt: skip


def sitting(dice: Dice, seat: float) -> Pose:
    """On a seat of the given height in metres (0: on the ground), legs down, crossed, stretched or drawn up."""
    name = dice.weighted(_SITTING_ARMS)
    lean = dice.normal(3, 6)
    if seat < 0.15:
        style = dice.pick(("crossed", "drawn up", "stretched", "one up", "drawn up"))
        crossed: Limb = ((dice.normal(80, 4), dice.between(46, 58)), (dice.normal(58, 8), -dice.between(56, 68)))
        drawn: Limb = ((dice.between(124, 142), dice.between(2, 12)), (dice.between(2, 22), dice.between(-2, 6)))
        flat: Limb = ((dice.normal(87, 2), dice.between(3, 14)), (dice.normal(84, 2), dice.between(2, 12)))
        both = {"crossed": crossed, "drawn up": drawn, "stretched": flat}
        legs = (drawn, flat) if style == "one up" else (both[style], both[style])
        if name in ("side", "lap", "crossed") or (style == "stretched" and dice.chance(0.5)):
            name = "prop" if style != "crossed" and dice.chance(0.6) else "knees"
        if name == "prop":
            lean = dice.normal(-18, 4)
        elif style == "drawn up":
            lean = dice.normal(10, 6)
    else:
        # The knee height follows from the shank; the thigh closes the gap to the seat.
        shank = dice.normal(4, 10)
        rise = (SHANK * cos(radians(shank)) + ANKLE - seat - 0.08) / THIGH
        swing = 90 + degrees(asin(max(-0.35, min(0.7, rise)))) + dice.normal(0, 2)
        spread = dice.between(3, 17)
        plain: Limb = ((swing, spread), (shank, spread * 0.4))
        other: Limb = ((swing, dice.between(3, 17)), (shank + dice.normal(0, 9), spread * 0.3))
        over: Limb = ((swing + 12, -4), (dice.between(22, 44), -12))
        legs = (plain, over) if dice.chance(0.24) else (plain, other)
        if dice.chance(0.5):
            legs = (legs[1], legs[0])
        if name == "side":
            name = "lap"
    return Pose(
        legs=legs, arms=_arms(dice, name), lean=lean, tilt=dice.normal(0, 3), twist=dice.normal(0, 5),
        head=_gaze(dice), toes=tuple(max(60, shank[0] + 80) for _, shank in legs), seat=seat, holds=_HELD.get(name, ""),
    )  # fmt: skip


def _bone(start: Point, bone: Bone, length: float, side: float) -> Point:
    swing, spread = radians(bone[0]), radians(bone[1])
    (f, l, u), flat = start, cos(spread)
    return f + length * sin(swing) * flat, l + length * sin(spread) * side, u - length * cos(swing) * flat


def skeleton(pose: Pose, height: float, hips: float, shoulders: float, head_size: float) -> dict[str, Point]:
    """Joint positions in metres, (forward, left, up) from the point on the ground below the pelvis.

    height: body height over 1.72 m; hips, shoulders: half widths in metres before that scaling;
    head_size: head radius over the adult's.
    """
    joints: dict[str, Point] = {"pelvis": (0.0, 0.0, 0.0)}
    for side, sign, limb, toes in zip(("left", "right"), (1.0, -1.0), pose.legs, pose.toes, strict=True):
        hip = (0.0, hips * sign, 0.0)
        knee = _bone(hip, limb[0], THIGH, sign)
        ankle = _bone(knee, limb[1], SHANK, sign)
        heel = (ankle[0] - 0.03, ankle[1], ankle[2] - ANKLE + 0.035)
        toe = _bone(heel, (toes, 8.0), FOOT, sign)
        leg = {"hip": hip, "knee": knee, "ankle": ankle, "heel": heel, "toe": toe}
        joints |= {f"{side}_{name}": point for name, point in leg.items()}
    lean, tilt, twist = radians(pose.lean), radians(pose.tilt), radians(pose.twist)
    cl, sl, ct, st, cw, sw = cos(lean), sin(lean), cos(tilt), sin(tilt), cos(twist), sin(twist)

    def chest(point: Point) -> Point:
        f, l, u = point
        f, l = f * cw - l * sw, f * sw + l * cw
        f, u = f * cl + u * sl, u * cl - f * sl
        l, u = l * ct - u * st, u * ct + l * st
        return f, l, u

    joints["neck"] = chest((0.0, 0.0, TRUNK))
    joints["chest"] = chest((0.03, 0.0, TRUNK * 0.68))
    for side, sign, limb in zip(("left", "right"), (1.0, -1.0), pose.arms, strict=True):
        shoulder = (0.0, shoulders * sign, TRUNK - 0.05)
        elbow = _bone(shoulder, limb[0], UPPER_ARM, sign)
        wrist = _bone(elbow, limb[1], FOREARM, sign)
        hand = _bone(wrist, limb[1], HAND * 0.6, sign)
        arm = {"shoulder": shoulder, "elbow": elbow, "wrist": wrist, "hand": hand}
        joints |= {f"{side}_{name}": chest(point) for name, point in arm.items()}
    turn, nod = twist + radians(pose.head[0]), radians(pose.head[1])
    nf, nl, nu = joints["neck"]
    radius = HEAD * head_size
    up = NECK + radius * 0.75
    bow = lean * 0.5 + nod * 0.4
    joints["head"] = (nf + up * sin(bow) + 0.02, nl - up * st * 0.5, nu + up * cos(bow))
    joints["gaze"] = (cos(turn) * cos(nod), sin(turn) * cos(nod), -sin(nod))  # a direction, not a point

    if pose.seat is None:
        ground = min(joints[f"{s}_{p}"][2] for s in ("left", "right") for p in ("heel", "toe")) - 0.035
        rise = -ground + pose.lift
    else:
        rise = pose.seat / height + 0.1
    gaze = joints.pop("gaze")
    return {name: (f * height, l * height, (u + rise) * height) for name, (f, l, u) in joints.items()} | {"gaze": gaze}
