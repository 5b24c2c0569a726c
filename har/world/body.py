"""Drawing a person: the projected skeleton dressed with tapered limbs, clothes, hair and things in the hand."""

from collections.abc import Callable
from math import cos, pi, sin

from har.world.labels import COLOURS
from har.world.pose import HEAD, skeleton
from har.world.scene import Person, Scene
from har.world.shapes import XY, Colour, Local, Shapes, hull, inset, mix, shade

# Parts of a body in the shape codes; the right side adds RIGHT.
HEAD_PART, TORSO, UPPER, FORE, THIGH, SHANK, FOOT, RIGHT = 1, 2, 3, 4, 5, 6, 7, 10
PERSON_CODE, PROP_CODE, HELD_CODE, PACK_CODE = (
    1,
    32,
    96,
    112,
)  # owners: person i is PERSON_CODE + i, and so on

Joint = tuple[float, float, float]  # x, y in scene units, depth in metres

# Own parts that may lie over a keypoint without hiding it (clothes and flesh around the joint).
_OWN = {
    "shoulder": (TORSO, UPPER), "elbow": (UPPER, FORE), "wrist": (FORE,), "hip": (TORSO, THIGH),
    "knee": (THIGH, SHANK), "ankle": (SHANK, FOOT),
}  # fmt: skip
# Face points on the unit head: turn (positive to the person's left), rise.
_FACE = {"nose": (0.0, -0.08), "left_eye": (0.38, 0.16), "right_eye": (-0.38, 0.16), "left_ear": (1.45, 0.02),
         "right_ear": (-1.45, 0.02)}  # fmt: skip


def own_parts(keypoint: str) -> tuple[int, ...]:
    """Part codes under which a keypoint of the same person still counts as visible."""
    if keypoint in _FACE:
        return (HEAD_PART,)
    side, joint = keypoint.split("_")
    shift = RIGHT if side == "right" else 0
    return tuple(part if part == TORSO else part + shift for part in _OWN[joint])


def joints(scene: Scene, person: Person) -> dict[str, Joint]:
    """All joints and face points projected: x, y in scene units, depth in metres (larger is nearer).

    For face points the third number is how much they face the viewer, in [-1, 1].
    """
    frame = Local(person.x, person.y, person.scale, person.yaw, scene.tilt(person.y))
    bones = skeleton(person.pose, person.height, person.hips, person.shoulders, person.head_size)
    gaze = bones.pop("gaze")
    out = {name: frame.at(*point) for name, point in bones.items()}
    hx, hy, hz = out["head"]
    radius = HEAD * person.head_size * person.height * person.scale
    across, near = gaze[0] * frame.sin + gaze[1] * frame.cos, gaze[0] * frame.cos - gaze[1] * frame.sin
    down = -gaze[2]
    out["gaze"] = (across, down + near * frame.tilt * 0.6, near)
    for name, (turn, rise) in _FACE.items():
        c, s = cos(turn), sin(turn)
        ax, az = across * c + near * s, near * c - across * s
        out[name] = (hx + ax * radius * 0.8, hy - (rise - out["gaze"][1] * c * 0.7) * radius, az)
    out["head"] = (hx, hy, hz)
    return out


def _xy(joint: Joint) -> XY:
    return joint[0], joint[1]


def _lerp(a: Joint, b: Joint, t: float) -> XY:
    return a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t


_EIGHT = [(cos(i * pi / 4), sin(i * pi / 4)) for i in range(8)]


def _ring(x: float, y: float, r: float) -> list[XY]:
    return [(x + r * c, y + r * s) for c, s in _EIGHT]


class _Body:
    """Draws one person; each `_part` is queued with its depth and painted far to near."""

    def __init__(self, scene: Scene, index: int, shapes: Shapes) -> None:
        self.person = scene.people[index]
        self.index, self.shapes = index, shapes
        self.j = joints(scene, self.person)
        self.unit = self.person.scale * self.person.height  # scene units per metre of this body
        self.queue: list[tuple[float, Callable[[], None]]] = []

    def draw(self) -> None:
        p = self.person
        self.torso_at = self.j["chest"][2] + 0.035
        for side in ("left", "right"):
            self._leg(side)
            self._arm(side)
        near = self.j["gaze"][2]
        self.queue.append((self.torso_at, self._torso))
        self.queue.append((self.j["head"][2] + 0.06, self._head))
        if p.hair_style == "long":
            self.queue.append((self.j["chest"][2] + (0.05 if near < -0.1 else -0.1), self._mane))
        if p.legwear in ("skirt", "dress"):
            knees = [self.j["left_knee"][2], self.j["right_knee"][2]]
            self.queue.append((max(max(knees) * 0.6, self.j["chest"][2] * 0.5) + 0.02, self._skirt))
        if p.backpack:
            facing = cos(p.yaw)
            self.queue.append((self.j["chest"][2] - 0.2 * facing, self._pack))
        if p.pose.holds:
            self.queue.append((self.j["right_hand"][2] + 0.03, self._held))
        self.queue.sort(key=lambda entry: entry[0])
        for _, paint in self.queue:
            self.shapes.code = (PERSON_CODE + self.index) * 64
            paint()
        self.shapes.code = 0

    def _leg(self, side: str) -> None:
        p, s, u = self.person, self.shapes, self.unit
        shift = RIGHT if side == "right" else 0
        hip, knee, ankle = (self.j[f"{side}_{n}"] for n in ("hip", "knee", "ankle"))
        heel, toe = self.j[f"{side}_heel"], self.j[f"{side}_toe"]
        bare = p.legwear != "trousers"
        cloth = COLOURS[p.bottom]
        # The farther leg is a little darker, as in shadow of the nearer one.
        other = self.j["right_hip" if side == "left" else "left_hip"]
        dim = 0.84 if hip[2] < other[2] - 0.03 else 1.0
        skin, cloth, shoe = shade(p.skin, dim), shade(cloth, dim), shade(p.shoes, dim)
        g = p.girth * u

        colour = skin if bare else cloth
        thigh_at, shank_at = (hip[2] + knee[2]) / 2, (knee[2] + ankle[2]) / 2 - 0.01
        thigh_last = thigh_at > shank_at

        def thigh() -> None:
            s.limb(_xy(hip), _xy(knee), 0.088 * g, 0.062 * g, colour, THIGH + shift)
            if thigh_last:
                s.stub(_xy(ankle), _xy(knee), 0.046 * g, 0.06 * g, colour, SHANK + shift)
            if p.legwear == "shorts":
                s.limb(_xy(hip), _lerp(hip, knee, 0.72), 0.096 * g, 0.084 * g, cloth, THIGH + shift)

        def shank() -> None:
            wide = 0.052 if bare else 0.058
            s.limb(_xy(knee), _xy(ankle), 0.06 * g, wide * 0.8 * g, colour, SHANK + shift)
            if not thigh_last:
                s.stub(_xy(hip), _xy(knee), 0.088 * g, 0.062 * g, colour, THIGH + shift)

        def foot() -> None:
            s.limb(_xy(heel), _xy(toe), 0.045 * u, 0.036 * u, shoe, FOOT + shift)

        self.queue.append((thigh_at, thigh))
        self.queue.append((shank_at, shank))
        self.queue.append(((heel[2] + toe[2]) / 2 - 0.015, foot))

    def _arm(self, side: str) -> None:
        p, s, u = self.person, self.shapes, self.unit
        shift = RIGHT if side == "right" else 0
        shoulder, elbow, wrist, hand = (self.j[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand"))
        other = self.j["right_shoulder" if side == "left" else "left_shoulder"]
        dim = 0.84 if shoulder[2] < other[2] - 0.06 else 0.97
        skin, cloth = shade(p.skin, dim), shade(COLOURS[p.top], dim)
        g = p.girth * u

        colour = cloth if p.sleeves == "long" else skin
        # An arm hanging beside a frontal body lies over its outline: the bias draws it after the torso.
        upper_at, fore_at = (shoulder[2] + elbow[2]) / 2 + 0.05, (elbow[2] + wrist[2]) / 2 + 0.05
        upper_last = upper_at > fore_at
        before_torso = upper_at < self.torso_at
        chest = _lerp(shoulder, self.j["chest"], 0.3)

        def upper() -> None:
            s.limb(_xy(shoulder), _xy(elbow), 0.056 * g, 0.044 * g, colour, UPPER + shift)
            if upper_last:
                s.stub(_xy(wrist), _xy(elbow), 0.034 * g, 0.044 * g, colour, FORE + shift)
            if p.sleeves == "short":
                s.limb(_xy(shoulder), _lerp(shoulder, elbow, 0.55), 0.064 * g, 0.058 * g, cloth, UPPER + shift)
            if p.sleeves != "none" and not before_torso:  # the sleeve grows out of the shirt
                s.capsule(_xy(shoulder), chest, 0.05 * g, 0.05 * g, shade(COLOURS[p.top], 0.98), TORSO, 0.02 * g)

        def fore() -> None:
            s.limb(_xy(wrist), _xy(hand), 0.034 * u, 0.043 * u, skin, FORE + shift)
            s.limb(_xy(elbow), _xy(wrist), 0.044 * g, 0.034 * g, colour, FORE + shift)
            if not upper_last:
                s.stub(_xy(shoulder), _xy(elbow), 0.056 * g, 0.044 * g, colour, UPPER + shift)

        self.queue.append((upper_at, upper))
        self.queue.append((fore_at, fore))

    def _torso(self) -> None:
        p, s, j, u = self.person, self.shapes, self.j, self.unit
        g = u * p.girth
        colour = COLOURS[p.top]
        circles = [(*_xy(j["left_shoulder"]), 0.062 * g), (*_xy(j["right_shoulder"]), 0.062 * g),
                   (*_xy(j["left_hip"]), 0.084 * g), (*_xy(j["right_hip"]), 0.084 * g), (*_xy(j["chest"]), 0.115 * g)]  # fmt: skip
        # Seen from the side the shoulders fall together: the belly circle keeps the trunk's thickness.
        belly = _lerp(j["pelvis"], j["neck"], 0.32)
        circles.append((*belly, 0.105 * g))
        outline = hull([point for x, y, r in circles for point in _ring(x, y, r)])
        s.limb(
            _xy(j["neck"]),
            _lerp(j["neck"], j["head"], 0.7),
            0.05 * u,
            0.045 * u,
            shade(p.skin, 0.85),
            HEAD_PART,
        )
        s.poly(outline, shade(colour, 0.68), TORSO)
        s.poly(inset(outline, 0.88, 0.011 * g), colour, TORSO, fine=0.03 * g)
        if p.legwear != "dress":  # the waist of the trousers, so that hips belong to the legs
            (lx, ly), (rx, ry) = _xy(j["left_hip"]), _xy(j["right_hip"])
            waist = COLOURS[p.bottom]
            s.capsule((lx, ly), (rx, ry), 0.093 * g, 0.093 * g, shade(waist, 0.66), TORSO)
            s.capsule((lx - 0.012 * g, ly - 0.004 * g), (rx - 0.012 * g, ry - 0.004 * g), 0.078 * g, 0.078 * g, waist, TORSO,
                      0.03 * g)  # fmt: skip
            for side, shift in (("left", 0), ("right", RIGHT)):
                hip, knee = j[f"{side}_hip"], j[f"{side}_knee"]
                if (hip[2] + knee[2]) / 2 < self.torso_at and p.legwear in ("trousers", "shorts"):
                    s.stub(_lerp(hip, knee, 0.6), _xy(hip), 0.07 * g, 0.086 * g, waist, THIGH + shift)
        front = j["gaze"][2] > 0.35
        nx, ny, _ = j["neck"]
        cx, cy, _ = j["chest"]
        if front and p.hair_style != "long":
            s.oval(nx, ny + 0.01 * u, 0.05 * u, 0.032 * u, shade(p.skin, 0.9), TORSO, fine=0.02 * u)
        if front and self.index % 3 == 0:  # a print, a zip: clothes are rarely plain
            s.capsule(
                (nx, ny + 0.05 * u),
                (cx, cy + 0.2 * u),
                0.008 * u,
                0.008 * u,
                shade(colour, 0.6),
                TORSO,
                0.012 * u,
            )

    def _skirt(self) -> None:
        p, j, u = self.person, self.j, self.unit
        g = u * p.girth
        reach = 0.92 if p.legwear == "dress" else 0.74
        left, right = (_lerp(j[f"{s}_hip"], j[f"{s}_knee"], reach) for s in ("left", "right"))
        circles = [(*_xy(j["left_hip"]), 0.095 * g), (*_xy(j["right_hip"]), 0.095 * g), (*left, 0.105 * g), (*right, 0.105 * g)]  # fmt: skip
        colour = COLOURS[p.bottom]
        part = THIGH if j["left_knee"][2] >= j["right_knee"][2] else THIGH + RIGHT
        outline = hull([q for x, y, r in circles for q in _ring(x, y, r)])
        self.shapes.poly(outline, shade(colour, 0.7), part)
        self.shapes.poly(inset(outline, 0.88, 0.012 * g), colour, part, fine=0.03 * g)

    def _mane(self) -> None:
        j, u, p = self.j, self.unit, self.person
        r = HEAD * p.head_size * u
        x, y, _ = j["head"]
        gx, _, gz = j["gaze"]
        back = (x - gx * r * 0.45, y + r * 0.1)
        end = (back[0] - gx * r * 0.35, y + r * (2.3 if gz < 0.5 else 2.0))
        self.shapes.limb(back, end, r * 1.0, r * 0.75, p.hair, HEAD_PART)

    def _head(self) -> None:
        p, s, j, u = self.person, self.shapes, self.j, self.unit
        r = HEAD * p.head_size * u
        x, y, _ = j["head"]
        gx, gy, gz = j["gaze"]
        skull = (x - gx * r * 0.16, y - r * 0.1)
        if p.hair_style == "bun":
            s.oval(x - gx * r * 1.1, y - r * 0.75, r * 0.45, r * 0.42, shade(p.hair, 0.9), HEAD_PART)
        ear = shade(p.skin, 0.8)
        for name in ("left_ear", "right_ear"):
            ex, ey, ez = j[name]
            if ez > -0.35:
                s.oval(ex, ey, r * 0.16, r * 0.24, ear, HEAD_PART, fine=r * 0.16)
        hair = p.skin if p.hair_style == "bald" else p.hair
        s.oval(skull[0], skull[1], r * 0.94, r * 1.02, shade(hair, 0.86), HEAD_PART)
        if gz > -0.55:
            # The face slides over the skull towards where the head looks, and narrows as it turns away.
            turn = max(0.0, gz)
            fx, fy = x + gx * r * 0.3, y + r * 0.16 + gy * r * 0.3
            wide = r * (0.6 + 0.22 * turn)
            s.oval(fx, fy, wide, r * 0.92, shade(p.skin, 0.82), HEAD_PART)
            s.oval(fx - r * 0.05, fy - r * 0.03, wide * 0.9, r * 0.86, p.skin, HEAD_PART, fine=r * 0.2)
            self._features(r)
            if p.hair_style != "bald":  # fringe
                s.oval(x - gx * r * 0.1, y - r * 0.66 + gy * r * 0.15, r * 0.84, r * 0.46, hair, HEAD_PART)
                if abs(gx) > 0.45:
                    s.oval(x - gx * r * 0.5, y - r * 0.12, r * 0.5, r * 0.75, hair, HEAD_PART)
        if p.hat:
            colour = COLOURS[p.extra]
            s.oval(x - gx * r * 0.08, y - r * 0.72, r * 0.98, r * 0.56, colour, HEAD_PART)
            if p.hat == "brim":
                s.oval(x, y - r * 0.5, r * 1.55, r * 0.3, shade(colour, 0.8), HEAD_PART)
                s.oval(x, y - r * 0.82, r * 0.9, r * 0.5, colour, HEAD_PART)
            elif gz > -0.5:
                s.oval(x + gx * r * 0.9, y - r * 0.46 + max(0.0, gz) * r * 0.08, r * 0.62, r * 0.17, shade(colour, 0.74),
                       HEAD_PART)  # fmt: skip

    def _features(self, r: float) -> None:
        s, j, p = self.shapes, self.j, self.person
        ink = mix(p.skin, (40, 24, 24), 0.85)
        for name in ("left_eye", "right_eye"):
            x, y, z = j[name]
            if z > 0.12:
                s.oval(x, y, r * 0.125 * (0.4 + 0.6 * z), r * 0.08, (236, 232, 226), HEAD_PART, fine=r * 0.12)
                s.oval(x, y, r * 0.075 * (0.5 + 0.5 * z), r * 0.085, ink, HEAD_PART, fine=r * 0.09)
                s.capsule((x - r * 0.16, y - r * 0.26), (x + r * 0.16, y - r * 0.26), r * 0.045, r * 0.045, p.hair,
                          HEAD_PART, r * 0.06)  # fmt: skip
        x, y, z = j["nose"]
        if z > -0.05:
            s.oval(x, y, r * 0.12, r * 0.17, shade(p.skin, 0.78), HEAD_PART, fine=r * 0.12)
            mouth = mix(p.skin, (150, 40, 44), 0.6)
            s.oval(x - j["gaze"][0] * r * 0.14, y + r * 0.4, r * 0.24 * (0.4 + 0.6 * max(0, z)), r * 0.07, mouth,
                   HEAD_PART, fine=r * 0.07)  # fmt: skip

    def _pack(self) -> None:
        p, s, j, u = self.person, self.shapes, self.j, self.unit
        s.code = (PACK_CODE + self.index) * 64
        cx, cy, _ = j["chest"]
        bx, by, _ = j["pelvis"]
        off = -sin(p.yaw) * 0.2 * u
        colour = COLOURS[p.backpack]
        s.limb(
            (cx + off, cy - 0.08 * u),
            (cx + off + (bx - cx) * 0.7, cy + (by - cy) * 0.75),
            0.14 * u,
            0.16 * u,
            colour,
        )
        s.limb((cx + off, cy + 0.12 * u), (cx + off, cy + 0.16 * u), 0.085 * u, 0.085 * u, shade(colour, 0.86))

    def _held(self) -> None:
        p, s, j, u = self.person, self.shapes, self.j, self.unit
        s.code = (HELD_CODE + self.index) * 64
        x, y, _ = j["right_hand"]
        colour = COLOURS[p.extra]
        kind = p.pose.holds
        if kind == "cell phone":
            s.capsule((x, y - 0.02 * u), (x, y - 0.11 * u), 0.03 * u, 0.03 * u, (28, 28, 34))
            s.capsule((x, y - 0.03 * u), (x, y - 0.1 * u), 0.018 * u, 0.018 * u, (150, 190, 220), fine=0.02 * u)
        elif kind == "cup":
            s.poly([(x - 0.045 * u, y - 0.12 * u), (x + 0.045 * u, y - 0.12 * u), (x + 0.032 * u, y + 0.02 * u),
                    (x - 0.032 * u, y + 0.02 * u)], colour)  # fmt: skip
        elif kind == "book":
            lx, ly, _ = j["left_hand"]
            mx, my = (x + lx) / 2, (y + ly) / 2 - 0.06 * u
            s.poly([(mx - 0.15 * u, my - 0.11 * u), (mx, my - 0.07 * u), (mx + 0.15 * u, my - 0.11 * u),
                    (mx + 0.15 * u, my + 0.1 * u), (mx, my + 0.13 * u), (mx - 0.15 * u, my + 0.1 * u)], colour)  # fmt: skip
            s.poly([(mx - 0.13 * u, my - 0.09 * u), (mx, my - 0.05 * u), (mx + 0.13 * u, my - 0.09 * u),
                    (mx, my + 0.02 * u)], (240, 236, 224), fine=0.05 * u)  # fmt: skip
        elif kind == "handbag":
            s.capsule((x, y), (x, y + 0.16 * u), 0.012 * u, 0.012 * u, shade(colour, 0.6))
            s.limb((x - 0.08 * u, y + 0.26 * u), (x + 0.08 * u, y + 0.26 * u), 0.1 * u, 0.1 * u, colour)
        else:  # umbrella
            top = (x + 0.03 * u, y - 0.95 * u)
            s.capsule((x, y + 0.06 * u), top, 0.012 * u, 0.01 * u, (70, 66, 66))
            arc = [
                (top[0] + 0.58 * u * cos(a * pi / 10), top[1] + 0.2 * u - 0.3 * u * sin(a * pi / 10)) for a in range(11)
            ]
            s.poly(arc, shade(colour, 0.8))
            s.poly([*arc[2:8], (top[0], top[1] + 0.2 * u)], colour, fine=0.1 * u)


def draw_person(scene: Scene, index: int, shapes: Shapes) -> None:
    """Append person `index` of the scene to the shapes."""
    _Body(scene, index, shapes).draw()
