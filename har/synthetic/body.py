"""Drawing a person: the projected skeleton dressed with tapered limbs, clothes and things in the hand."""

from collections.abc import Callable
from math import cos, pi, sin

from har.synthetic import keypoints as part
from har.synthetic.keypoints import joints, lerp, xy
from har.synthetic.labels import COLOURS
from har.synthetic.pose import HEAD
from har.synthetic.scene import Scene
from har.synthetic.shapes import XY, Colour, Shapes, hull, inset, mix, shade

_EIGHT = [(cos(i * pi / 4), sin(i * pi / 4)) for i in range(8)]


def _around(circles: list[tuple[float, float, float]]) -> list[XY]:
    """The outline of circles (x, y, radius) and what lies between them."""
    return hull([(x + r * c, y + r * s) for x, y, r in circles for c, s in _EIGHT])


class _Body:
    """Draws one person; each part is queued with its depth and painted far to near."""

    def __init__(self, scene: Scene, index: int, shapes: Shapes) -> None:
        self.person, self.index, self.shapes = scene.people[index], index, shapes
        self.j = joints(scene, self.person)
        self.unit = self.person.scale * self.person.height  # scene units per metre of this body
        self.girth = self.person.girth * self.unit
        self.torso_at = self.j["chest"][2] + 0.035
        self.queue: list[tuple[float, Callable[[], None]]] = []

    def draw(self) -> None:
        p, j = self.person, self.j
        chest = j["chest"][2]
        for side, other, shift in (("left", "right", 0), ("right", "left", part.RIGHT)):
            self._leg(side, other, shift)
            self._arm(side, other, shift)
        self._queue(self.torso_at, self._torso)
        self._queue(j["head"][2] + 0.06, self._head)
        if p.hair_style == "long":
            self._queue(chest + (0.05 if j["gaze"][2] < -0.1 else -0.1), self._mane)
        if p.legwear in ("skirt", "dress"):
            self._queue(max(max(j["left_knee"][2], j["right_knee"][2]) * 0.6, chest * 0.5) + 0.02, self._skirt)
        if p.backpack:
            self._queue(chest - 0.2 * cos(p.yaw), self._pack)
        if p.pose.holds:
            self._queue(j["right_hand"][2] + 0.03, self._held)
        for _, paint in sorted(self.queue, key=lambda entry: entry[0]):
            self.shapes.code = (part.PERSON_CODE + self.index) * 64
            paint()
        self.shapes.code = 0

    def _queue(self, depth: float, paint: Callable[[], None]) -> None:
        self.queue.append((depth, paint))

    def _leg(self, side: str, other: str, shift: int) -> None:
        p, s, u, g = self.person, self.shapes, self.unit, self.girth
        hip, knee, ankle, heel, toe = (self.j[f"{side}_{n}"] for n in ("hip", "knee", "ankle", "heel", "toe"))
        bare = p.legwear != "trousers"
        # The farther leg is a little darker, as in shadow of the nearer one.
        dim = 0.84 if hip[2] < self.j[f"{other}_hip"][2] - 0.03 else 1.0
        cloth = shade(COLOURS[p.bottom], dim)
        colour = shade(p.skin, dim) if bare else cloth
        thigh_at, shank_at = (hip[2] + knee[2]) / 2, (knee[2] + ankle[2]) / 2 - 0.01

        def thigh() -> None:
            s.limb(xy(hip), xy(knee), 0.088 * g, 0.062 * g, colour, part.THIGH + shift)
            if thigh_at > shank_at:
                s.stub(xy(ankle), xy(knee), 0.046 * g, 0.06 * g, colour, part.SHANK + shift)
            if p.legwear == "shorts":
                s.limb(xy(hip), lerp(hip, knee, 0.72), 0.096 * g, 0.084 * g, cloth, part.THIGH + shift)

        def shank() -> None:
            s.limb(xy(knee), xy(ankle), 0.06 * g, (0.052 if bare else 0.058) * 0.8 * g, colour, part.SHANK + shift)
            if thigh_at <= shank_at:
                s.stub(xy(hip), xy(knee), 0.088 * g, 0.062 * g, colour, part.THIGH + shift)

        def foot() -> None:
            s.limb(xy(heel), xy(toe), 0.045 * u, 0.036 * u, shade(p.shoes, dim), part.FOOT + shift)

        self._queue(thigh_at, thigh)
        self._queue(shank_at, shank)
        self._queue((heel[2] + toe[2]) / 2 - 0.015, foot)

    def _arm(self, side: str, other: str, shift: int) -> None:
        p, s, u, g = self.person, self.shapes, self.unit, self.girth
        shoulder, elbow, wrist, hand = (self.j[f"{side}_{n}"] for n in ("shoulder", "elbow", "wrist", "hand"))
        dim = 0.84 if shoulder[2] < self.j[f"{other}_shoulder"][2] - 0.06 else 0.97
        skin, cloth = shade(p.skin, dim), shade(COLOURS[p.top], dim)
        colour = cloth if p.sleeves == "long" else skin
        # An arm hanging beside a frontal body lies over its outline: the bias draws it after the torso.
        upper_at, fore_at = (shoulder[2] + elbow[2]) / 2 + 0.05, (elbow[2] + wrist[2]) / 2 + 0.05

        def upper() -> None:
            s.limb(xy(shoulder), xy(elbow), 0.056 * g, 0.044 * g, colour, part.UPPER + shift)
            if upper_at > fore_at:
                s.stub(xy(wrist), xy(elbow), 0.034 * g, 0.044 * g, colour, part.FORE + shift)
            if p.sleeves == "short":
                s.limb(xy(shoulder), lerp(shoulder, elbow, 0.55), 0.064 * g, 0.058 * g, cloth, part.UPPER + shift)
            if p.sleeves != "none" and upper_at >= self.torso_at:  # the sleeve grows out of the shirt
                chest, shirt = lerp(shoulder, self.j["chest"], 0.3), shade(COLOURS[p.top], 0.98)
                s.capsule(xy(shoulder), chest, 0.05 * g, 0.05 * g, shirt, part.TORSO, 0.02 * g)

        def fore() -> None:
            s.limb(xy(wrist), xy(hand), 0.034 * u, 0.043 * u, skin, part.FORE + shift)
            s.limb(xy(elbow), xy(wrist), 0.044 * g, 0.034 * g, colour, part.FORE + shift)
            if upper_at <= fore_at:
                s.stub(xy(shoulder), xy(elbow), 0.056 * g, 0.044 * g, colour, part.UPPER + shift)

        self._queue(upper_at, upper)
        self._queue(fore_at, fore)

    def _torso(self) -> None:
        p, s, j, u, g = self.person, self.shapes, self.j, self.unit, self.girth
        colour, waist = COLOURS[p.top], COLOURS[p.bottom]
        radii = {"left_shoulder": 0.062, "right_shoulder": 0.062, "left_hip": 0.084, "right_hip": 0.084, "chest": 0.115}
        circles = [(*xy(j[name]), radius * g) for name, radius in radii.items()]
        # Seen from the side the shoulders fall together: the belly circle keeps the trunk's thickness.
        outline = _around([*circles, (*lerp(j["pelvis"], j["neck"], 0.32), 0.105 * g)])
        neck = shade(p.skin, 0.85)
        s.limb(xy(j["neck"]), lerp(j["neck"], j["head"], 0.7), 0.05 * u, 0.045 * u, neck, part.HEAD_PART)
        s.poly(outline, shade(colour, 0.68), part.TORSO)
        s.poly(inset(outline, 0.88, 0.011 * g), colour, part.TORSO, fine=0.03 * g)
        if p.legwear != "dress":  # the waist of the trousers, so that hips belong to the legs
            left, right = xy(j["left_hip"]), xy(j["right_hip"])
            s.capsule(left, right, 0.093 * g, 0.093 * g, shade(waist, 0.66), part.TORSO)
            lit = [(x - 0.012 * g, y - 0.004 * g) for x, y in (left, right)]
            s.capsule(*lit, 0.078 * g, 0.078 * g, waist, part.TORSO, 0.03 * g)
            for side, shift in (("left", 0), ("right", part.RIGHT)):
                hip, knee = j[f"{side}_hip"], j[f"{side}_knee"]
                if (hip[2] + knee[2]) / 2 < self.torso_at and p.legwear in ("trousers", "shorts"):
                    s.stub(lerp(hip, knee, 0.6), xy(hip), 0.07 * g, 0.086 * g, waist, part.THIGH + shift)
        (nx, ny), (cx, cy) = xy(j["neck"]), xy(j["chest"])
        front = j["gaze"][2] > 0.35
        if front and p.hair_style != "long":
            s.oval(nx, ny + 0.01 * u, 0.05 * u, 0.032 * u, shade(p.skin, 0.9), part.TORSO, fine=0.02 * u)
        if front and self.index % 3 == 0:  # a print, a zip: clothes are rarely plain
            top, low = (nx, ny + 0.05 * u), (cx, cy + 0.2 * u)
            s.capsule(top, low, 0.008 * u, 0.008 * u, shade(colour, 0.6), part.TORSO, 0.012 * u)

    def _skirt(self) -> None:
        p, j, g = self.person, self.j, self.girth
        reach = 0.92 if p.legwear == "dress" else 0.74
        circles = [(*xy(j[name]), 0.095 * g) for name in ("left_hip", "right_hip")]
        circles += [(*lerp(j[f"{side}_hip"], j[f"{side}_knee"], reach), 0.105 * g) for side in ("left", "right")]
        colour, outline = COLOURS[p.bottom], _around(circles)
        nearer = part.THIGH if j["left_knee"][2] >= j["right_knee"][2] else part.THIGH + part.RIGHT
        self.shapes.poly(outline, shade(colour, 0.7), nearer)
        self.shapes.poly(inset(outline, 0.88, 0.012 * g), colour, nearer, fine=0.03 * g)

    def _pack(self) -> None:
        p, s, u = self.person, self.shapes, self.unit
        s.code = (part.PACK_CODE + self.index) * 64
        (cx, cy), (bx, by) = xy(self.j["chest"]), xy(self.j["pelvis"])
        off, colour = -sin(p.yaw) * 0.2 * u, COLOURS[p.backpack]
        low = (cx + off + (bx - cx) * 0.7, cy + (by - cy) * 0.75)
        s.limb((cx + off, cy - 0.08 * u), low, 0.14 * u, 0.16 * u, colour)
        s.limb((cx + off, cy + 0.12 * u), (cx + off, cy + 0.16 * u), 0.085 * u, 0.085 * u, shade(colour, 0.86))

    def _held(self) -> None:
        p, s, u = self.person, self.shapes, self.unit
        s.code = (part.HELD_CODE + self.index) * 64
        x, y = xy(self.j["right_hand"])
        pen, colour, kind = s.beside(x, y, u), COLOURS[p.extra], p.pose.holds
        if kind == "cell phone":
            pen.capsule((0, 0.02), (0, 0.11), 0.03, 0.03, (28, 28, 34))
            pen.capsule((0, 0.03), (0, 0.1), 0.018, 0.018, (150, 190, 220), fine=0.02)
        elif kind == "cup":
            pen.poly([(-0.045, 0.12), (0.045, 0.12), (0.032, -0.02), (-0.032, -0.02)], colour)
        elif kind == "book":
            lx, ly = xy(self.j["left_hand"])
            pen = s.beside((x + lx) / 2, (y + ly) / 2 - 0.06 * u, u)
            pen.poly([(-0.15, 0.11), (0, 0.07), (0.15, 0.11), (0.15, -0.1), (0, -0.13), (-0.15, -0.1)], colour)
            pen.poly([(-0.13, 0.09), (0, 0.05), (0.13, 0.09), (0, -0.02)], (240, 236, 224), fine=0.05)
        elif kind == "handbag":
            pen.capsule((0, 0), (0, -0.16), 0.012, 0.012, shade(colour, 0.6))
            pen.limb((-0.08, -0.26), (0.08, -0.26), 0.1, 0.1, colour)
        else:  # umbrella
            pen.capsule((0, -0.06), (0.03, 0.95), 0.012, 0.01, (70, 66, 66))
            tx, ty = pen.at(0.03, 0.95)
            turns = [a * pi / 10 for a in range(11)]
            arc = [(tx + 0.58 * u * cos(t), ty + 0.2 * u - 0.3 * u * sin(t)) for t in turns]
            s.poly(arc, shade(colour, 0.8))
            s.poly([*arc[2:8], (tx, ty + 0.2 * u)], colour, fine=0.1 * u)

    def _mane(self) -> None:
        """Long hair down the back."""
        r = HEAD * self.person.head_size * self.unit
        (x, y), (gx, _, gz) = xy(self.j["head"]), self.j["gaze"]
        back = (x - gx * r * 0.45, y + r * 0.1)
        end = (back[0] - gx * r * 0.35, y + r * (2.3 if gz < 0.5 else 2.0))
        self.shapes.limb(back, end, r * 1.0, r * 0.75, self.person.hair, part.HEAD_PART)

    def _head(self) -> None:
        """Skull, ears, face, hair and hat, all following where it looks."""
        p, j, r = self.person, self.j, HEAD * self.person.head_size * self.unit
        (x, y), (gx, gy, gz) = xy(j["head"]), j["gaze"]

        def oval(x: float, y: float, rx: float, ry: float, ink: Colour, fine: float = 0.0) -> None:
            self.shapes.oval(x, y, rx, ry, ink, part.HEAD_PART, fine)

        if p.hair_style == "bun":
            oval(x - gx * r * 1.1, y - r * 0.75, r * 0.45, r * 0.42, shade(p.hair, 0.9))
        for name in ("left_ear", "right_ear"):
            ex, ey, ez = j[name]
            if ez > -0.35:
                oval(ex, ey, r * 0.16, r * 0.24, shade(p.skin, 0.8), r * 0.16)
        hair = p.skin if p.hair_style == "bald" else p.hair
        oval(x - gx * r * 0.16, y - r * 0.1, r * 0.94, r * 1.02, shade(hair, 0.86))
        if gz > -0.55:
            # The face slides over the skull towards where the head looks, and narrows as it turns away.
            fx, fy = x + gx * r * 0.3, y + r * 0.16 + gy * r * 0.3
            wide = r * (0.6 + 0.22 * max(0.0, gz))
            oval(fx, fy, wide, r * 0.92, shade(p.skin, 0.82))
            oval(fx - r * 0.05, fy - r * 0.03, wide * 0.9, r * 0.86, p.skin, r * 0.2)
            self._features(r, oval)
            if p.hair_style != "bald":  # fringe
                oval(x - gx * r * 0.1, y - r * 0.66 + gy * r * 0.15, r * 0.84, r * 0.46, hair)
                if abs(gx) > 0.45:
                    oval(x - gx * r * 0.5, y - r * 0.12, r * 0.5, r * 0.75, hair)
        colour = COLOURS[p.extra]
        if p.hat:
            oval(x - gx * r * 0.08, y - r * 0.72, r * 0.98, r * 0.56, colour)
        if p.hat == "brim":
            oval(x, y - r * 0.5, r * 1.55, r * 0.3, shade(colour, 0.8))
            oval(x, y - r * 0.82, r * 0.9, r * 0.5, colour)
        elif p.hat and gz > -0.5:
            peak = y - r * 0.46 + max(0.0, gz) * r * 0.08
            oval(x + gx * r * 0.9, peak, r * 0.62, r * 0.17, shade(colour, 0.74))

    def _features(self, r: float, oval: Callable[..., None]) -> None:
        p, j = self.person, self.j
        ink = mix(p.skin, (40, 24, 24), 0.85)
        for name in ("left_eye", "right_eye"):
            x, y, z = j[name]
            if z > 0.12:
                oval(x, y, r * 0.125 * (0.4 + 0.6 * z), r * 0.08, (236, 232, 226), r * 0.12)
                oval(x, y, r * 0.075 * (0.5 + 0.5 * z), r * 0.085, ink, r * 0.09)
                left, right = (x - r * 0.16, y - r * 0.26), (x + r * 0.16, y - r * 0.26)
                self.shapes.capsule(left, right, r * 0.045, r * 0.045, p.hair, part.HEAD_PART, r * 0.06)
        x, y, z = j["nose"]
        if z > -0.05:
            oval(x, y, r * 0.12, r * 0.17, shade(p.skin, 0.78), r * 0.12)
            wide, mouth = r * 0.24 * (0.4 + 0.6 * max(0, z)), mix(p.skin, (150, 40, 44), 0.6)
            oval(x - j["gaze"][0] * r * 0.14, y + r * 0.4, wide, r * 0.07, mouth, r * 0.07)


def draw_person(scene: Scene, index: int, shapes: Shapes) -> None:
    """Append person `index` of the scene to the shapes."""
    _Body(scene, index, shapes).draw()
