"""Vehicles, signs and things of the street and the beach: each a function that appends a prop to the shapes."""

from collections.abc import Sequence
from math import cos, pi, sin

from har.synthetic.furniture import DARK, STEEL, frame, tint
from har.synthetic.scene import Prop, Scene
from har.synthetic.shapes import XY, Shapes, mix, shade


def car(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    paint = tint(prop)
    flip = 1 if prop.variant < 0.5 else -1

    def P(pts: Sequence[XY]) -> list[XY]:
        return [(x + a * u * flip, y - b * u) for a, b in pts]

    s.oval(x, y, 2.15 * u, 0.16 * u, (0, 0, 0, 90))
    s.poly(
        P(
            [
                (-2.1, 0.3),
                (-2.1, 0.78),
                (-1.9, 0.92),
                (-1.25, 0.98),
                (-0.7, 1.42),
                (0.75, 1.45),
                (1.35, 1.0),
                (2.0, 0.85),
                (2.12, 0.55),
                (2.1, 0.28),
            ]
        ),
        paint,
    )
    s.poly(P([(-2.1, 0.3), (-2.1, 0.52), (2.12, 0.5), (2.1, 0.28)]), shade(paint, 0.62))
    s.poly(P([(-1.08, 0.98), (-0.62, 1.34), (-0.02, 1.36), (-0.02, 0.98)]), (66, 84, 100))
    s.poly(P([(0.08, 0.98), (0.08, 1.36), (0.68, 1.37), (1.12, 1.0)]), (80, 100, 116))
    for wx in (-1.3, 1.35):
        s.oval(x + wx * u * flip, y - 0.32 * u, 0.34 * u, 0.34 * u, (30, 30, 34))
        s.oval(x + wx * u * flip, y - 0.32 * u, 0.17 * u, 0.17 * u, (150, 152, 156))
    s.oval(x + 2.02 * u * flip, y - 0.68 * u, 0.1 * u, 0.09 * u, (250, 236, 180))


def bus(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    paint = tint(prop)
    s.oval(x, y, 3.9 * u, 0.18 * u, (0, 0, 0, 90))
    s.rect(x - 3.8 * u, y - 2.9 * u, x + 3.8 * u, y - 0.35 * u, paint)
    s.rect(x - 3.8 * u, y - 0.9 * u, x + 3.8 * u, y - 0.35 * u, shade(paint, 0.66))
    for k in range(6):
        left = x + (-3.6 + 1.22 * k) * u
        s.rect(left, y - 2.5 * u, left + 1.02 * u, y - 1.5 * u, (74, 92, 108))
    for wx in (-2.4, 2.5):
        s.oval(x + wx * u, y - 0.45 * u, 0.46 * u, 0.46 * u, (28, 28, 32))
        s.oval(x + wx * u, y - 0.45 * u, 0.22 * u, 0.22 * u, (140, 142, 146))


def boat(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x = prop.scale, prop.x
    y = min(prop.y, scene.horizon + 0.05)
    s.poly([(x - 1.6 * u, y - 0.5 * u), (x + 1.7 * u, y - 0.55 * u), (x + 1.2 * u, y), (x - 1.3 * u, y)], tint(prop))
    s.capsule((x, y - 0.5 * u), (x, y - 3.2 * u), 0.04 * u, 0.03 * u, (90, 70, 56))
    s.poly([(x + 0.08 * u, y - 3.1 * u), (x + 0.08 * u, y - 0.7 * u), (x + 1.4 * u, y - 0.75 * u)], (238, 236, 228))
    s.poly([(x - 0.08 * u, y - 2.8 * u), (x - 0.08 * u, y - 0.7 * u), (x - 1.0 * u, y - 0.72 * u)], (216, 214, 210))


def bicycle(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    k = max(0.45, abs(sin(prop.yaw))) * (1 if prop.variant < 0.5 else -1)

    def P(a: float, b: float) -> XY:
        return x + a * u * k, y - b * u

    for wx in (-0.52, 0.52):
        for i in range(12):
            a, b = i * pi / 6, (i + 1) * pi / 6
            s.capsule(P(wx + 0.33 * cos(a), 0.35 + 0.33 * sin(a)), P(wx + 0.33 * cos(b), 0.35 + 0.33 * sin(b)),
                      0.028 * u, 0.028 * u, (34, 34, 38))  # fmt: skip
    colour = tint(prop)
    for a, b in (
        ((-0.52, 0.35), (-0.05, 0.33)),
        ((-0.05, 0.33), (0.4, 0.82)),
        ((-0.22, 0.8), (0.4, 0.82)),
        ((-0.05, 0.33), (-0.24, 0.9)),
        ((-0.52, 0.35), (-0.22, 0.8)),
        ((0.52, 0.35), (0.38, 1.0)),
    ):
        s.capsule(P(*a), P(*b), 0.028 * u, 0.028 * u, colour)
    s.capsule(P(-0.36, 0.93), P(-0.12, 0.93), 0.04 * u, 0.03 * u, DARK)
    s.capsule(P(0.38, 1.0), P(0.24, 1.04), 0.025 * u, 0.025 * u, DARK)


def traffic_light(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    s.capsule((x, y), (x, y - 2.6 * u), 0.06 * u, 0.05 * u, (70, 74, 78))
    s.rect(x - 0.17 * u, y - 3.4 * u, x + 0.17 * u, y - 2.5 * u, (34, 36, 38))
    lit = int(prop.variant * 3)
    for k, colour in enumerate(((226, 60, 48), (238, 190, 60), (70, 200, 110))):
        s.oval(x, y - (3.25 - 0.29 * k) * u, 0.11 * u, 0.11 * u, colour if k == lit else shade(colour, 0.35))


def stop_sign(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    s.capsule((x, y), (x, y - 2.1 * u), 0.04 * u, 0.04 * u, STEEL)

    def ring(r: float) -> list[XY]:
        turns = [pi / 8 + i * pi / 4 for i in range(8)]
        return [(x + r * u * cos(t), y - (2.3 - r * sin(t)) * u) for t in turns]

    s.poly(ring(0.4), (236, 232, 226))
    s.poly(ring(0.36), (186, 34, 34))
    s.rect(x - 0.24 * u, y - 2.36 * u, x + 0.24 * u, y - 2.24 * u, (236, 232, 226), 0.06 * u)


def umbrella(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    s.capsule((x, y), (x + 0.1 * u, y - 2.2 * u), 0.035 * u, 0.03 * u, (226, 220, 208))
    top, colour = (x + 0.1 * u, y - 2.35 * u), tint(prop)
    n = 6
    rim = [
        (x + 0.1 * u + 1.25 * u * cos(pi * k / n), y - (1.7 + 0.06 * (k % 2)) * u - 0.1 * u * sin(pi * k / n))
        for k in range(n + 1)
    ]
    for k in range(n):
        s.poly([top, rim[k], rim[k + 1]], colour if k % 2 else (238, 234, 226))


def suitcase(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, colour = frame(scene, prop), tint(prop)
    s.capsule(at.xy(0, -0.12, 0.6), at.xy(0, -0.12, 0.95), 0.012 * at.scale, 0.012 * at.scale, DARK)
    s.capsule(at.xy(0, 0.12, 0.6), at.xy(0, 0.12, 0.95), 0.012 * at.scale, 0.012 * at.scale, DARK)
    s.capsule(at.xy(0, -0.12, 0.95), at.xy(0, 0.12, 0.95), 0.018 * at.scale, 0.018 * at.scale, DARK)
    at.box(s, (-0.13, 0.13), (-0.22, 0.22), (0.05, 0.64), colour)


def sports_ball(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    colour = mix((238, 236, 230), tint(prop), 0.5 if prop.variant > 0.5 else 0.0)
    s.limb((x, y - 0.13 * u), (x, y - 0.13 * u), 0.14 * u, 0.14 * u, colour)
    s.oval(x + 0.02 * u, y - 0.12 * u, 0.045 * u, 0.045 * u, (40, 40, 44))


def kite(scene: Scene, prop: Prop, s: Shapes) -> None:
    u = max(prop.scale * 0.6, 0.07)
    x, y = prop.x, max(0.06, scene.horizon * (0.15 + 0.6 * prop.variant))
    s.poly([(x, y - 0.5 * u), (x + 0.4 * u, y), (x, y + 0.7 * u), (x - 0.4 * u, y)], tint(prop))
    s.poly([(x, y - 0.5 * u), (x + 0.4 * u, y), (x, y)], shade(tint(prop), 0.7))
    s.capsule((x, y + 0.7 * u), (x - 0.5 * u, y + 1.8 * u), 0.02 * u, 0.015 * u, (240, 240, 240))


def surfboard(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    lean = (prop.variant - 0.5) * 0.8
    s.blob((x, y), (x + lean * u, y - 2.0 * u), 0.27 * u, mix((240, 236, 226), tint(prop), 0.55))
    s.capsule((x, y - 0.1 * u), (x + lean * 0.95 * u, y - 1.9 * u), 0.02 * u, 0.02 * u, tint(prop))


DRAWERS = {
    "car": car, "bus": bus, "boat": boat, "bicycle": bicycle, "traffic light": traffic_light, "stop sign": stop_sign,
    "umbrella": umbrella, "suitcase": suitcase, "sports ball": sports_ball, "kite": kite, "surfboard": surfboard,
}  # fmt: skip
