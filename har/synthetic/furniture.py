"""Furniture, seats and plants: each a function that appends a prop to the shapes."""

from math import cos, pi, sin

from har.synthetic.labels import COLOURS
from har.synthetic.scene import Prop, Scene
from har.synthetic.shapes import Colour, Local, Shapes, mix, shade

WOOD, STEEL, STONE, DARK = (138, 96, 62), (120, 124, 130), (150, 146, 140), (48, 48, 54)


def frame(scene: Scene, prop: Prop) -> Local:
    """The prop's own axes in metres."""
    return Local(prop.x, prop.y, prop.scale, prop.yaw, scene.tilt(prop.y))


def tint(prop: Prop) -> Colour:
    """The prop's colour as RGB."""
    return COLOURS[prop.colour]


def chair(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = frame(scene, prop), mix(tint(prop), WOOD, 0.35)
    legs = [(f, l) for f in (-0.19, 0.19) for l in (-0.19, 0.19)]
    low = 0.5 if prop.variant < 0.5 else 0.46

    def back() -> None:
        at.box(s, (-0.24, -0.19), (-0.22, 0.22), (low, 0.92), wood)

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
    at, wood = frame(scene, prop), mix(WOOD, tint(prop), 0.25 if prop.variant < 0.7 else 0.8)
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
    at, cloth = frame(scene, prop), tint(prop)
    half = max(0.85, prop.width / 2 + 0.05)

    def back() -> None:
        at.box(s, (-0.42, -0.2), (-half, half), (0.1, 0.84), shade(cloth, 0.92))

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
            at.xy(0.39, 0, 0.1), at.xy(0.39, 0, 0.42), 0.008 * at.scale, 0.008 * at.scale, shade(cloth, 0.6), 0, 0.01
        )
    if at.cos >= 0 or abs(at.sin) > 0.5:
        arm[near]()
    if at.cos < 0:
        back()
        arm[near]()


def step(scene: Scene, prop: Prop, s: Shapes) -> None:
    at = frame(scene, prop)
    half = max(1.2, prop.width * 0.8)
    for i in (2, 1, 0) if at.cos >= 0 else (0, 1, 2):
        at.box(
            s, (-0.26 - i * 0.34, 0.2 - i * 0.34), (-half, half), (0.0, 0.35 + 0.17 * i), shade(STONE, 1.08 - 0.03 * i)
        )


def wall(scene: Scene, prop: Prop, s: Shapes) -> None:
    at = frame(scene, prop)
    half = prop.width / 2
    stone = mix(STONE, tint(prop), 0.2)
    at.box(s, (-0.3, 0.18), (-half, half), (0.0, 0.46), stone)
    at.box(s, (-0.34, 0.22), (-half - 0.04, half + 0.04), (0.45, 0.52), shade(stone, 1.1))


def rock(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, u = frame(scene, prop), prop.scale
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
    at, wood = frame(scene, prop), mix(WOOD, tint(prop), 0.3)
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
    at = frame(scene, prop)
    u, x, y = prop.scale, prop.x, prop.y
    s.rect(x - 0.6 * u, y - 0.45 * u, x + 0.6 * u, y, mix(WOOD, DARK, 0.4))
    s.rect(x - 0.55 * u, y - 1.1 * u, x + 0.55 * u, y - 0.48 * u, (24, 24, 28))
    glow = mix((70, 110, 150), tint(prop), prop.variant * 0.6)
    s.rect(x - 0.51 * u, y - 1.06 * u, x + 0.51 * u, y - 0.52 * u * at.level, glow)
    s.poly([(x - 0.4 * u, y - 1.06 * u), (x - 0.1 * u, y - 1.06 * u), (x - 0.3 * u, y - 0.54 * u)], shade(glow, 1.25))


def potted_plant(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    s.poly([(x - 0.16 * u, y - 0.3 * u), (x + 0.16 * u, y - 0.3 * u), (x + 0.12 * u, y), (x - 0.12 * u, y)],
           mix((172, 96, 66), tint(prop), 0.3))  # fmt: skip
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


DRAWERS = {
    "chair": chair, "bench": bench, "couch": couch, "step": step, "wall": wall, "rock": rock, "bush": bush,
    "dining table": dining_table, "tv": tv, "potted plant": potted_plant,
}  # fmt: skip
