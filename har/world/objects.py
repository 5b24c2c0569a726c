"""Furniture, vehicles and street things: each a function from a prop to shapes."""

from math import cos, pi, sin

from har.world.labels import COLOURS
from har.world.scene import Prop, Scene
from har.world.shapes import Colour, Local, Shapes, mix, shade

WOOD, STEEL, STONE, DARK = (138, 96, 62), (120, 124, 130), (150, 146, 140), (48, 48, 54)


def _frame(scene: Scene, prop: Prop) -> Local:
    return Local(prop.x, prop.y, prop.scale, prop.yaw, scene.tilt(prop.y))


def _tint(prop: Prop) -> Colour:
    return COLOURS[prop.colour]


def chair(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = _frame(scene, prop), mix(_tint(prop), WOOD, 0.35)
    legs = [(f, l) for f in (-0.19, 0.19) for l in (-0.19, 0.19)]
    back = lambda: at.box(s, (-0.24, -0.19), (-0.22, 0.22), (0.5 if prop.variant < 0.5 else 0.46, 0.92), wood)  # noqa: E731
    if at.cos >= 0:
        back()
    if prop.variant > 0.72:  # office chair: one column and a cross
        s.capsule(at.xy(0, 0, 0.05), at.xy(0, 0, 0.4), 0.03 * at.scale, 0.03 * at.scale, DARK)
        for f, l in ((0.25, 0), (-0.2, 0.2), (-0.2, -0.2)):
            s.capsule(at.xy(0, 0, 0.09), at.xy(f, l, 0.03), 0.025 * at.scale, 0.025 * at.scale, DARK)
    else:
        for f, l in legs:
            s.capsule(at.xy(f, l, 0.02), at.xy(f, l, 0.42), 0.02 * at.scale, 0.02 * at.scale, shade(wood, 0.6))
    at.box(s, (-0.22, 0.22), (-0.22, 0.22), (0.4, 0.46), wood)
    if at.cos < 0:
        back()


def bench(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = _frame(scene, prop), mix(WOOD, _tint(prop), 0.25 if prop.variant < 0.7 else 0.8)
    half = prop.width / 2
    backed = prop.variant < 0.75

    def back() -> None:
        for low in (0.52, 0.68):
            at.box(s, (-0.24, -0.2), (-half, half), (low, low + 0.11), wood)
        for l in (-half + 0.1, half - 0.1):
            s.capsule(at.xy(-0.22, l, 0.4), at.xy(-0.22, l, 0.82), 0.022 * at.scale, 0.022 * at.scale, DARK)

    if backed and at.cos >= 0:
        back()
    for l in (-half + 0.12, half - 0.12):
        at.box(s, (-0.2, 0.2), (l - 0.03, l + 0.03), (0.0, 0.4), DARK if prop.variant < 0.5 else STONE)
    at.box(s, (-0.24, 0.24), (-half, half), (0.39, 0.45), wood)
    if backed and at.cos < 0:
        back()


def couch(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, cloth = _frame(scene, prop), _tint(prop)
    half = max(0.85, prop.width / 2 + 0.05)
    back = lambda: at.box(s, (-0.42, -0.2), (-half, half), (0.1, 0.84), shade(cloth, 0.92))  # noqa: E731
    arm = {l: (lambda l=l: at.box(s, (-0.4, 0.38), (min(l, l * 0.84), max(l, l * 0.84)), (0.05, 0.6), cloth))
           for l in (-half - 0.16, half + 0.16)}  # fmt: skip
    far, near = sorted(arm, key=lambda l: -l * at.sin)
    if at.cos >= 0:
        back()
        arm[far]()
    else:
        arm[far]()
    at.box(s, (-0.36, 0.4), (-half, half), (0.06, 0.42), shade(cloth, 1.06))
    if abs(at.cos) > 0.2:
        s.capsule(
            at.xy(0.39, 0, 0.1),
            at.xy(0.39, 0, 0.42),
            0.008 * at.scale,
            0.008 * at.scale,
            shade(cloth, 0.6),
            0,
            0.01,
        )
    if at.cos >= 0 or abs(at.sin) > 0.5:
        arm[near]()
    if at.cos < 0:
        back()
        arm[near]()


def step(scene: Scene, prop: Prop, s: Shapes) -> None:
    at = _frame(scene, prop)
    half = max(1.2, prop.width * 0.8)
    for i in (2, 1, 0) if at.cos >= 0 else (0, 1, 2):
        at.box(
            s,
            (-0.26 - i * 0.34, 0.2 - i * 0.34),
            (-half, half),
            (0.0, 0.35 + 0.17 * i),
            shade(STONE, 1.08 - 0.03 * i),
        )


def wall(scene: Scene, prop: Prop, s: Shapes) -> None:
    at = _frame(scene, prop)
    half = prop.width / 2
    stone = mix(STONE, _tint(prop), 0.2)
    at.box(s, (-0.3, 0.18), (-half, half), (0.0, 0.46), stone)
    at.box(s, (-0.34, 0.22), (-half - 0.04, half + 0.04), (0.45, 0.52), shade(stone, 1.1))


def rock(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, u = _frame(scene, prop), prop.scale
    x, y = prop.x, prop.y
    grey = mix(STONE, (104, 96, 88), prop.variant)
    pts = [
        (-0.5, 0.06),
        (-0.46, -0.2),
        (-0.25, -0.4),
        (0.1, -0.43),
        (0.38, -0.34),
        (0.52, -0.08),
        (0.42, 0.12),
        (-0.2, 0.16),
    ]
    s.poly([(x + a * u, y + b * u) for a, b in pts], shade(grey, 0.72))
    top = [(-0.4, -0.2), (-0.24, -0.38), (0.1, -0.42), (0.33, -0.33), (0.1, -0.2), (-0.2, -0.12)]
    s.poly([(x + a * u, y + b * u * at.level) for a, b in top], shade(grey, 1.1))


def dining_table(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = _frame(scene, prop), mix(WOOD, _tint(prop), 0.3)
    for f in (-0.32, 0.32):
        for l in (-0.62, 0.62):
            s.capsule(at.xy(f, l, 0.02), at.xy(f, l, 0.7), 0.03 * at.scale, 0.035 * at.scale, shade(wood, 0.6))
    at.box(s, (-0.4, 0.4), (-0.72, 0.72), (0.68, 0.74), wood)
    for k in range(3):
        x, y = at.xy(-0.15 + 0.2 * k, -0.45 + 0.4 * k * (0.5 + prop.variant), 0.75)
        u = at.scale
        tone = ((226, 224, 216), (180, 70, 60), (70, 120, 150))[k]
        s.rect(x - 0.035 * u, y - 0.12 * u, x + 0.035 * u, y, tone, 0.035 * u)


def tv(scene: Scene, prop: Prop, s: Shapes) -> None:
    at = _frame(scene, prop)
    u, x, y = prop.scale, prop.x, prop.y
    s.rect(x - 0.6 * u, y - 0.45 * u, x + 0.6 * u, y, mix(WOOD, DARK, 0.4))
    s.rect(x - 0.55 * u, y - 1.1 * u, x + 0.55 * u, y - 0.48 * u, (24, 24, 28))
    glow = mix((70, 110, 150), _tint(prop), prop.variant * 0.6)
    s.rect(x - 0.51 * u, y - 1.06 * u, x + 0.51 * u, y - 0.52 * u * at.level, glow)
    s.poly(
        [(x - 0.4 * u, y - 1.06 * u), (x - 0.1 * u, y - 1.06 * u), (x - 0.3 * u, y - 0.54 * u)],
        shade(glow, 1.25),
    )


def potted_plant(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    s.poly([(x - 0.16 * u, y - 0.3 * u), (x + 0.16 * u, y - 0.3 * u), (x + 0.12 * u, y), (x - 0.12 * u, y)],
           mix((172, 96, 66), _tint(prop), 0.3))  # fmt: skip
    tall = 0.55 + 0.5 * prop.variant
    for k in range(7):
        a = pi * (0.12 + 0.76 * k / 6)
        tip = (x + 0.42 * u * cos(a), y - 0.3 * u - tall * u * (0.4 + 0.6 * sin(a)))
        s.blob((x, y - 0.28 * u), tip, 0.07 * u, shade((62, 124, 66), 0.75 + 0.08 * k))


def bush(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    green = (58, 98, 52) if scene.place != "snow" else (92, 112, 100)
    for k in range(9):
        a = k * 2.4 + prop.variant * 6
        dx, dy, r = 0.5 * cos(a) * (k / 9) ** 0.5, -0.22 - 0.16 * sin(a), 0.26 - 0.012 * k
        s.oval(x + dx * u, y + dy * u, r * u, r * 0.9 * u, shade(green, 0.68 + 0.06 * k))


def car(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    paint = _tint(prop)
    flip = 1 if prop.variant < 0.5 else -1
    P = lambda pts: [(x + a * u * flip, y - b * u) for a, b in pts]  # noqa: E731
    s.oval(x, y, 2.15 * u, 0.16 * u, (0, 0, 0, 90))
    s.poly(P([(-2.1, 0.3), (-2.1, 0.78), (-1.9, 0.92), (-1.25, 0.98), (-0.7, 1.42), (0.75, 1.45), (1.35, 1.0), (2.0, 0.85),
              (2.12, 0.55), (2.1, 0.28)]), paint)  # fmt: skip
    s.poly(P([(-2.1, 0.3), (-2.1, 0.52), (2.12, 0.5), (2.1, 0.28)]), shade(paint, 0.62))
    s.poly(P([(-1.08, 0.98), (-0.62, 1.34), (-0.02, 1.36), (-0.02, 0.98)]), (66, 84, 100))
    s.poly(P([(0.08, 0.98), (0.08, 1.36), (0.68, 1.37), (1.12, 1.0)]), (80, 100, 116))
    for wx in (-1.3, 1.35):
        s.oval(x + wx * u * flip, y - 0.32 * u, 0.34 * u, 0.34 * u, (30, 30, 34))
        s.oval(x + wx * u * flip, y - 0.32 * u, 0.17 * u, 0.17 * u, (150, 152, 156))
    s.oval(x + 2.02 * u * flip, y - 0.68 * u, 0.1 * u, 0.09 * u, (250, 236, 180))


def bus(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    paint = _tint(prop)
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
    s.poly(
        [(x - 1.6 * u, y - 0.5 * u), (x + 1.7 * u, y - 0.55 * u), (x + 1.2 * u, y), (x - 1.3 * u, y)],
        _tint(prop),
    )
    s.capsule((x, y - 0.5 * u), (x, y - 3.2 * u), 0.04 * u, 0.03 * u, (90, 70, 56))
    s.poly(
        [(x + 0.08 * u, y - 3.1 * u), (x + 0.08 * u, y - 0.7 * u), (x + 1.4 * u, y - 0.75 * u)],
        (238, 236, 228),
    )
    s.poly(
        [(x - 0.08 * u, y - 2.8 * u), (x - 0.08 * u, y - 0.7 * u), (x - 1.0 * u, y - 0.72 * u)],
        (216, 214, 210),
    )


def bicycle(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    k = max(0.45, abs(sin(prop.yaw))) * (1 if prop.variant < 0.5 else -1)
    P = lambda a, b: (x + a * u * k, y - b * u)  # noqa: E731
    for wx in (-0.52, 0.52):
        for i in range(12):
            a, b = i * pi / 6, (i + 1) * pi / 6
            s.capsule(P(wx + 0.33 * cos(a), 0.35 + 0.33 * sin(a)), P(wx + 0.33 * cos(b), 0.35 + 0.33 * sin(b)),
                      0.028 * u, 0.028 * u, (34, 34, 38))  # fmt: skip
    colour = _tint(prop)
    for a, b in (((-0.52, 0.35), (-0.05, 0.33)), ((-0.05, 0.33), (0.4, 0.82)), ((-0.22, 0.8), (0.4, 0.82)),
                 ((-0.05, 0.33), (-0.24, 0.9)), ((-0.52, 0.35), (-0.22, 0.8)), ((0.52, 0.35), (0.38, 1.0))):  # fmt: skip
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
    ring = lambda r: [
        (x + r * u * cos(pi / 8 + i * pi / 4), y - (2.3 - r * sin(pi / 8 + i * pi / 4)) * u) for i in range(8)
    ]  # noqa: E731
    s.poly(ring(0.4), (236, 232, 226))
    s.poly(ring(0.36), (186, 34, 34))
    s.rect(x - 0.24 * u, y - 2.36 * u, x + 0.24 * u, y - 2.24 * u, (236, 232, 226), 0.06 * u)


def umbrella(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    s.capsule((x, y), (x + 0.1 * u, y - 2.2 * u), 0.035 * u, 0.03 * u, (226, 220, 208))
    top, colour = (x + 0.1 * u, y - 2.35 * u), _tint(prop)
    n = 6
    rim = [
        (x + 0.1 * u + 1.25 * u * cos(pi * k / n), y - (1.7 + 0.06 * (k % 2)) * u - 0.1 * u * sin(pi * k / n))
        for k in range(n + 1)
    ]
    for k in range(n):
        s.poly([top, rim[k], rim[k + 1]], colour if k % 2 else (238, 234, 226))


def suitcase(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, colour = _frame(scene, prop), _tint(prop)
    s.capsule(at.xy(0, -0.12, 0.6), at.xy(0, -0.12, 0.95), 0.012 * at.scale, 0.012 * at.scale, DARK)
    s.capsule(at.xy(0, 0.12, 0.6), at.xy(0, 0.12, 0.95), 0.012 * at.scale, 0.012 * at.scale, DARK)
    s.capsule(at.xy(0, -0.12, 0.95), at.xy(0, 0.12, 0.95), 0.018 * at.scale, 0.018 * at.scale, DARK)
    at.box(s, (-0.13, 0.13), (-0.22, 0.22), (0.05, 0.64), colour)


def sports_ball(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    colour = mix((238, 236, 230), _tint(prop), 0.5 if prop.variant > 0.5 else 0.0)
    s.limb((x, y - 0.13 * u), (x, y - 0.13 * u), 0.14 * u, 0.14 * u, colour)
    s.oval(x + 0.02 * u, y - 0.12 * u, 0.045 * u, 0.045 * u, (40, 40, 44))


def kite(scene: Scene, prop: Prop, s: Shapes) -> None:
    u = max(prop.scale * 0.6, 0.07)
    x, y = prop.x, max(0.06, scene.horizon * (0.15 + 0.6 * prop.variant))
    s.poly([(x, y - 0.5 * u), (x + 0.4 * u, y), (x, y + 0.7 * u), (x - 0.4 * u, y)], _tint(prop))
    s.poly([(x, y - 0.5 * u), (x + 0.4 * u, y), (x, y)], shade(_tint(prop), 0.7))
    s.capsule((x, y + 0.7 * u), (x - 0.5 * u, y + 1.8 * u), 0.02 * u, 0.015 * u, (240, 240, 240))


def surfboard(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    lean = (prop.variant - 0.5) * 0.8
    s.blob((x, y), (x + lean * u, y - 2.0 * u), 0.27 * u, mix((240, 236, 226), _tint(prop), 0.55))
    s.capsule((x, y - 0.1 * u), (x + lean * 0.95 * u, y - 1.9 * u), 0.02 * u, 0.02 * u, _tint(prop))


DRAWERS = {
    "chair": chair, "bench": bench, "couch": couch, "step": step, "wall": wall, "rock": rock, "bush": bush,
    "dining table": dining_table, "tv": tv, "potted plant": potted_plant, "car": car, "bus": bus, "boat": boat,
    "bicycle": bicycle, "traffic light": traffic_light, "stop sign": stop_sign, "umbrella": umbrella,
    "suitcase": suitcase, "sports ball": sports_ball, "kite": kite, "surfboard": surfboard,
}  # fmt: skip
