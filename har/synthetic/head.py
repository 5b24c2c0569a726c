"""Drawing a head: skull, face, hair and hat, all following where it looks."""

from har.synthetic.keypoints import HEAD_PART, Joint
from har.synthetic.labels import COLOURS
from har.synthetic.pose import HEAD
from har.synthetic.scene import Person
from har.synthetic.shapes import Shapes, mix, shade


def draw_mane(s: Shapes, p: Person, j: dict[str, Joint], u: float) -> None:
    """Long hair down the back. u: scene units per metre of this body."""
    r = HEAD * p.head_size * u
    x, y, _ = j["head"]
    gx, _, gz = j["gaze"]
    back = (x - gx * r * 0.45, y + r * 0.1)
    end = (back[0] - gx * r * 0.35, y + r * (2.3 if gz < 0.5 else 2.0))
    s.limb(back, end, r * 1.0, r * 0.75, p.hair, HEAD_PART)


def draw_head(s: Shapes, p: Person, j: dict[str, Joint], u: float) -> None:
    """Skull, ears, face, hair and hat. u: scene units per metre of this body."""
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
        _features(s, p, j, r)
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
            peak = y - r * 0.46 + max(0.0, gz) * r * 0.08
            s.oval(x + gx * r * 0.9, peak, r * 0.62, r * 0.17, shade(colour, 0.74), HEAD_PART)


def _features(s: Shapes, p: Person, j: dict[str, Joint], r: float) -> None:
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
