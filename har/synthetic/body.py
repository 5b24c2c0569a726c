"""Drawing a person: the projected skeleton dressed with tapered limbs, clothes and things in the hand."""

from collections.abc import Callable
from functools import partial
from math import cos, pi, sin

from har.synthetic.head import draw_head, draw_mane
from har.synthetic.keypoints import (
    FOOT,
    FORE,
    HEAD_PART,
    HELD_CODE,
    PACK_CODE,
    PERSON_CODE,
    RIGHT,
    SHANK,
    THIGH,
    TORSO,
    UPPER,
    joints,
    lerp,
    xy,
)
from har.synthetic.labels import COLOURS
from har.synthetic.scene import Scene
from har.synthetic.shapes import XY, Shapes, hull, inset, shade

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
        self.queue.append((self.j["head"][2] + 0.06, partial(draw_head, self.shapes, p, self.j, self.unit)))
        if p.hair_style == "long":
            self.queue.append(
                (
                    self.j["chest"][2] + (0.05 if near < -0.1 else -0.1),
                    partial(draw_mane, self.shapes, p, self.j, self.unit),
                )
            )
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
            s.limb(xy(hip), xy(knee), 0.088 * g, 0.062 * g, colour, THIGH + shift)
            if thigh_last:
                s.stub(xy(ankle), xy(knee), 0.046 * g, 0.06 * g, colour, SHANK + shift)
            if p.legwear == "shorts":
                s.limb(xy(hip), lerp(hip, knee, 0.72), 0.096 * g, 0.084 * g, cloth, THIGH + shift)

        def shank() -> None:
            wide = 0.052 if bare else 0.058
            s.limb(xy(knee), xy(ankle), 0.06 * g, wide * 0.8 * g, colour, SHANK + shift)
            if not thigh_last:
                s.stub(xy(hip), xy(knee), 0.088 * g, 0.062 * g, colour, THIGH + shift)

        def foot() -> None:
            s.limb(xy(heel), xy(toe), 0.045 * u, 0.036 * u, shoe, FOOT + shift)

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
        chest = lerp(shoulder, self.j["chest"], 0.3)

        def upper() -> None:
            s.limb(xy(shoulder), xy(elbow), 0.056 * g, 0.044 * g, colour, UPPER + shift)
            if upper_last:
                s.stub(xy(wrist), xy(elbow), 0.034 * g, 0.044 * g, colour, FORE + shift)
            if p.sleeves == "short":
                s.limb(xy(shoulder), lerp(shoulder, elbow, 0.55), 0.064 * g, 0.058 * g, cloth, UPPER + shift)
            if p.sleeves != "none" and not before_torso:  # the sleeve grows out of the shirt
                s.capsule(xy(shoulder), chest, 0.05 * g, 0.05 * g, shade(COLOURS[p.top], 0.98), TORSO, 0.02 * g)

        def fore() -> None:
            s.limb(xy(wrist), xy(hand), 0.034 * u, 0.043 * u, skin, FORE + shift)
            s.limb(xy(elbow), xy(wrist), 0.044 * g, 0.034 * g, colour, FORE + shift)
            if not upper_last:
                s.stub(xy(shoulder), xy(elbow), 0.056 * g, 0.044 * g, colour, UPPER + shift)

        self.queue.append((upper_at, upper))
        self.queue.append((fore_at, fore))

    def _torso(self) -> None:
        p, s, j, u = self.person, self.shapes, self.j, self.unit
        g = u * p.girth
        colour = COLOURS[p.top]
        girths = {
            "left_shoulder": 0.062,
            "right_shoulder": 0.062,
            "left_hip": 0.084,
            "right_hip": 0.084,
            "chest": 0.115,
        }
        circles = [(*xy(j[name]), radius * g) for name, radius in girths.items()]
        # Seen from the side the shoulders fall together: the belly circle keeps the trunk's thickness.
        belly = lerp(j["pelvis"], j["neck"], 0.32)
        circles.append((*belly, 0.105 * g))
        outline = hull([point for x, y, r in circles for point in _ring(x, y, r)])
        s.limb(xy(j["neck"]), lerp(j["neck"], j["head"], 0.7), 0.05 * u, 0.045 * u, shade(p.skin, 0.85), HEAD_PART)
        s.poly(outline, shade(colour, 0.68), TORSO)
        s.poly(inset(outline, 0.88, 0.011 * g), colour, TORSO, fine=0.03 * g)
        if p.legwear != "dress":  # the waist of the trousers, so that hips belong to the legs
            (lx, ly), (rx, ry) = xy(j["left_hip"]), xy(j["right_hip"])
            waist = COLOURS[p.bottom]
            s.capsule((lx, ly), (rx, ry), 0.093 * g, 0.093 * g, shade(waist, 0.66), TORSO)
            lit = (lx - 0.012 * g, ly - 0.004 * g), (rx - 0.012 * g, ry - 0.004 * g)
            s.capsule(*lit, 0.078 * g, 0.078 * g, waist, TORSO, 0.03 * g)
            for side, shift in (("left", 0), ("right", RIGHT)):
                hip, knee = j[f"{side}_hip"], j[f"{side}_knee"]
                if (hip[2] + knee[2]) / 2 < self.torso_at and p.legwear in ("trousers", "shorts"):
                    s.stub(lerp(hip, knee, 0.6), xy(hip), 0.07 * g, 0.086 * g, waist, THIGH + shift)
        front = j["gaze"][2] > 0.35
        nx, ny, _ = j["neck"]
        cx, cy, _ = j["chest"]
        if front and p.hair_style != "long":
            s.oval(nx, ny + 0.01 * u, 0.05 * u, 0.032 * u, shade(p.skin, 0.9), TORSO, fine=0.02 * u)
        if front and self.index % 3 == 0:  # a print, a zip: clothes are rarely plain
            s.capsule(
                (nx, ny + 0.05 * u), (cx, cy + 0.2 * u), 0.008 * u, 0.008 * u, shade(colour, 0.6), TORSO, 0.012 * u
            )

    def _skirt(self) -> None:
        p, j, u = self.person, self.j, self.unit
        g = u * p.girth
        reach = 0.92 if p.legwear == "dress" else 0.74
        left, right = (lerp(j[f"{s}_hip"], j[f"{s}_knee"], reach) for s in ("left", "right"))
        circles = [(*xy(j[name]), 0.095 * g) for name in ("left_hip", "right_hip")]
        circles += [(*left, 0.105 * g), (*right, 0.105 * g)]
        colour = COLOURS[p.bottom]
        part = THIGH if j["left_knee"][2] >= j["right_knee"][2] else THIGH + RIGHT
        outline = hull([q for x, y, r in circles for q in _ring(x, y, r)])
        self.shapes.poly(outline, shade(colour, 0.7), part)
        self.shapes.poly(inset(outline, 0.88, 0.012 * g), colour, part, fine=0.03 * g)

    def _pack(self) -> None:
        p, s, j, u = self.person, self.shapes, self.j, self.unit
        s.code = (PACK_CODE + self.index) * 64
        cx, cy, _ = j["chest"]
        bx, by, _ = j["pelvis"]
        off = -sin(p.yaw) * 0.2 * u
        colour = COLOURS[p.backpack]
        s.limb(
            (cx + off, cy - 0.08 * u), (cx + off + (bx - cx) * 0.7, cy + (by - cy) * 0.75), 0.14 * u, 0.16 * u, colour
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
            cover = ((-0.15, -0.11), (0, -0.07), (0.15, -0.11), (0.15, 0.1), (0, 0.13), (-0.15, 0.1))
            s.poly([(mx + a * u, my + b * u) for a, b in cover], colour)
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
