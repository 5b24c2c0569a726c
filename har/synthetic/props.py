"""Things, seats, plants and vehicles: each a function that appends a prop to the shapes."""

from itertools import pairwise
from math import cos, pi, sin

from har.synthetic.labels import COLOURS
from har.synthetic.scene import Prop, Scene
from har.synthetic.shapes import Colour, Shapes, mix, shade

_WOOD, _STEEL, _STONE, _DARK = (138, 96, 62), (120, 124, 130), (150, 146, 140), (48, 48, 54)


def _tint(prop: Prop) -> Colour:
    return COLOURS[prop.colour]


# --- furniture and plants -----------------------------------------------------------------------------------


def _chair(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = scene.frame(prop), mix(_tint(prop), _WOOD, 0.35)

    def back() -> None:
        at.box(s, (-0.24, -0.19), (-0.22, 0.22), (0.5 if prop.variant < 0.5 else 0.46, 0.92), wood)

    if at.cos >= 0:
        back()
    if prop.variant > 0.72:  # office chair: one column and a cross
        at.rod(s, (0, 0, 0.05), (0, 0, 0.4), 0.03, 0.03, _DARK)
        for f, l in ((0.25, 0), (-0.2, 0.2), (-0.2, -0.2)):
            at.rod(s, (0, 0, 0.09), (f, l, 0.03), 0.025, 0.025, _DARK)
    else:
        for f, l in ((-0.19, -0.19), (-0.19, 0.19), (0.19, -0.19), (0.19, 0.19)):
            at.rod(s, (f, l, 0.02), (f, l, 0.42), 0.02, 0.02, shade(wood, 0.6))
    at.box(s, (-0.22, 0.22), (-0.22, 0.22), (0.4, 0.46), wood)
    if at.cos < 0:
        back()


def _bench(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = scene.frame(prop), mix(_WOOD, _tint(prop), 0.25 if prop.variant < 0.7 else 0.8)
    half, backed = prop.width / 2, prop.variant < 0.75

    def back() -> None:
        for low in (0.52, 0.68):
            at.box(s, (-0.24, -0.2), (-half, half), (low, low + 0.11), wood)
        for l in (-half + 0.1, half - 0.1):
            at.rod(s, (-0.22, l, 0.4), (-0.22, l, 0.82), 0.022, 0.022, _DARK)

    if backed and at.cos >= 0:
        back()
    for l in (-half + 0.12, half - 0.12):
        at.box(s, (-0.2, 0.2), (l - 0.03, l + 0.03), (0.0, 0.4), _DARK if prop.variant < 0.5 else _STONE)
    at.box(s, (-0.24, 0.24), (-half, half), (0.39, 0.45), wood)
    if backed and at.cos < 0:
        back()


def _couch(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, cloth = scene.frame(prop), _tint(prop)
    half = max(0.85, prop.width / 2 + 0.05)

    def back() -> None:
        at.box(s, (-0.42, -0.2), (-half, half), (0.1, 0.84), shade(cloth, 0.92))

    def arm(l: float) -> None:
        at.box(s, (-0.4, 0.38), (min(l, l * 0.84), max(l, l * 0.84)), (0.05, 0.6), cloth)

    far, near = sorted((-half - 0.16, half + 0.16), key=lambda l: -l * at.sin)
    if at.cos >= 0:
        back()
    arm(far)
    at.box(s, (-0.36, 0.4), (-half, half), (0.06, 0.42), shade(cloth, 1.06))
    if abs(at.cos) > 0.2:
        seam = 0.008 * at.scale
        s.capsule(at.xy(0.39, 0, 0.1), at.xy(0.39, 0, 0.42), seam, seam, shade(cloth, 0.6), fine=0.01)
    if at.cos >= 0 or abs(at.sin) > 0.5:
        arm(near)
    if at.cos < 0:
        back()
        arm(near)


def _step(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, half = scene.frame(prop), max(1.2, prop.width * 0.8)
    for i in (2, 1, 0) if at.cos >= 0 else (0, 1, 2):
        depth, height = (-0.26 - i * 0.34, 0.2 - i * 0.34), (0.0, 0.35 + 0.17 * i)
        at.box(s, depth, (-half, half), height, shade(_STONE, 1.08 - 0.03 * i))


def _wall(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, half, stone = scene.frame(prop), prop.width / 2, mix(_STONE, _tint(prop), 0.2)
    at.box(s, (-0.3, 0.18), (-half, half), (0.0, 0.46), stone)
    at.box(s, (-0.34, 0.22), (-half - 0.04, half + 0.04), (0.45, 0.52), shade(stone, 1.1))


def _rock(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, u, x, y = scene.frame(prop), prop.scale, prop.x, prop.y
    grey = mix(_STONE, (104, 96, 88), prop.variant)
    low = [(-0.5, -0.06), (-0.46, 0.2), (-0.25, 0.4), (0.1, 0.43)]
    low += [(0.38, 0.34), (0.52, 0.08), (0.42, -0.12), (-0.2, -0.16)]
    s.beside(x, y, u).poly(low, shade(grey, 0.72))
    top = [(-0.4, -0.2), (-0.24, -0.38), (0.1, -0.42), (0.33, -0.33), (0.1, -0.2), (-0.2, -0.12)]
    s.poly([(x + a * u, y + b * u * at.level) for a, b in top], shade(grey, 1.1))


def _dining_table(scene: Scene, prop: Prop, s: Shapes) -> None:
    at, wood = scene.frame(prop), mix(_WOOD, _tint(prop), 0.3)
    for f in (-0.32, 0.32):
        for l in (-0.62, 0.62):
            at.rod(s, (f, l, 0.02), (f, l, 0.7), 0.03, 0.035, shade(wood, 0.6))
    at.box(s, (-0.4, 0.4), (-0.72, 0.72), (0.68, 0.74), wood)
    for k, colour in enumerate(((226, 224, 216), (180, 70, 60), (70, 120, 150))):
        x, y = at.xy(-0.15 + 0.2 * k, -0.45 + 0.4 * k * (0.5 + prop.variant), 0.75)
        s.beside(x, y, at.scale).rect(-0.035, 0.12, 0.035, 0, colour, 0.035)


def _tv(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    pen = s.beside(x, y, u)
    pen.rect(-0.6, 0.45, 0.6, 0, mix(_WOOD, _DARK, 0.4))
    pen.rect(-0.55, 1.1, 0.55, 0.48, (24, 24, 28))
    glow = mix((70, 110, 150), _tint(prop), prop.variant * 0.6)
    s.rect(x - 0.51 * u, y - 1.06 * u, x + 0.51 * u, y - 0.52 * u * scene.frame(prop).level, glow)
    pen.poly([(-0.4, 1.06), (-0.1, 1.06), (-0.3, 0.54)], shade(glow, 1.25))


def _potted_plant(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    pot = mix((172, 96, 66), _tint(prop), 0.3)
    s.beside(x, y, u).poly([(-0.16, 0.3), (0.16, 0.3), (0.12, 0), (-0.12, 0)], pot)
    tall = 0.55 + 0.5 * prop.variant
    for k in range(7):
        a = pi * (0.12 + 0.76 * k / 6)
        tip = (x + 0.42 * u * cos(a), y - 0.3 * u - tall * u * (0.4 + 0.6 * sin(a)))
        s.blob((x, y - 0.28 * u), tip, 0.07 * u, shade((62, 124, 66), 0.75 + 0.08 * k))


def _bush(scene: Scene, prop: Prop, s: Shapes) -> None:
    pen = s.beside(prop.x, prop.y, prop.scale)
    green = (58, 98, 52) if scene.place != "snow" else (92, 112, 100)
    for k in range(9):
        a = k * 2.4 + prop.variant * 6
        x, y, r = 0.5 * cos(a) * (k / 9) ** 0.5, 0.22 + 0.16 * sin(a), 0.26 - 0.012 * k
        pen.oval(x, y, r, r * 0.9, shade(green, 0.68 + 0.06 * k))


# --- vehicles and signs -------------------------------------------------------------------------------------


def _car(scene: Scene, prop: Prop, s: Shapes) -> None:
    paint, pen = _tint(prop), s.beside(prop.x, prop.y, prop.scale, 1 if prop.variant < 0.5 else -1)
    pen.oval(0, 0, 2.15, 0.16, (0, 0, 0, 90))
    bonnet = [(-2.1, 0.3), (-2.1, 0.78), (-1.9, 0.92), (-1.25, 0.98), (-0.7, 1.42)]
    boot = [(0.75, 1.45), (1.35, 1.0), (2.0, 0.85), (2.12, 0.55), (2.1, 0.28)]
    pen.poly(bonnet + boot, paint)
    pen.poly([(-2.1, 0.3), (-2.1, 0.52), (2.12, 0.5), (2.1, 0.28)], shade(paint, 0.62))
    pen.poly([(-1.08, 0.98), (-0.62, 1.34), (-0.02, 1.36), (-0.02, 0.98)], (66, 84, 100))
    pen.poly([(0.08, 0.98), (0.08, 1.36), (0.68, 1.37), (1.12, 1.0)], (80, 100, 116))
    for wheel in (-1.3, 1.35):
        pen.oval(wheel, 0.32, 0.34, 0.34, (30, 30, 34))
        pen.oval(wheel, 0.32, 0.17, 0.17, (150, 152, 156))
    pen.oval(2.02, 0.68, 0.1, 0.09, (250, 236, 180))


def _bus(scene: Scene, prop: Prop, s: Shapes) -> None:
    paint, pen = _tint(prop), s.beside(prop.x, prop.y, prop.scale)
    pen.oval(0, 0, 3.9, 0.18, (0, 0, 0, 90))
    pen.rect(-3.8, 2.9, 3.8, 0.35, paint)
    pen.rect(-3.8, 0.9, 3.8, 0.35, shade(paint, 0.66))
    for k in range(6):
        left, u = prop.x + (-3.6 + 1.22 * k) * prop.scale, prop.scale
        s.rect(left, prop.y - 2.5 * u, left + 1.02 * u, prop.y - 1.5 * u, (74, 92, 108))
    for wheel in (-2.4, 2.5):
        pen.oval(wheel, 0.45, 0.46, 0.46, (28, 28, 32))
        pen.oval(wheel, 0.45, 0.22, 0.22, (140, 142, 146))


def _boat(scene: Scene, prop: Prop, s: Shapes) -> None:
    pen = s.beside(prop.x, min(prop.y, scene.horizon + 0.05), prop.scale)
    pen.poly([(-1.6, 0.5), (1.7, 0.55), (1.2, 0), (-1.3, 0)], _tint(prop))
    pen.capsule((0, 0.5), (0, 3.2), 0.04, 0.03, (90, 70, 56))
    pen.poly([(0.08, 3.1), (0.08, 0.7), (1.4, 0.75)], (238, 236, 228))
    pen.poly([(-0.08, 2.8), (-0.08, 0.7), (-1.0, 0.72)], (216, 214, 210))


def _bicycle(scene: Scene, prop: Prop, s: Shapes) -> None:
    seen = max(0.45, abs(sin(prop.yaw))) * (1 if prop.variant < 0.5 else -1)
    pen = s.beside(prop.x, prop.y, prop.scale, seen)
    for wheel in (-0.52, 0.52):
        rim = [(wheel + 0.33 * cos(i * pi / 6), 0.35 + 0.33 * sin(i * pi / 6)) for i in range(13)]
        for a, b in pairwise(rim):
            pen.capsule(a, b, 0.028, 0.028, (34, 34, 38))
    hub, crank, seat, head = (-0.52, 0.35), (-0.05, 0.33), (-0.22, 0.8), (0.4, 0.82)
    tubes = (hub, crank), (crank, head), (seat, head), (crank, (-0.24, 0.9)), (hub, seat), ((0.52, 0.35), (0.38, 1.0))
    for a, b in tubes:
        pen.capsule(a, b, 0.028, 0.028, _tint(prop))
    pen.capsule((-0.36, 0.93), (-0.12, 0.93), 0.04, 0.03, _DARK)
    pen.capsule((0.38, 1.0), (0.24, 1.04), 0.025, 0.025, _DARK)


def _traffic_light(scene: Scene, prop: Prop, s: Shapes) -> None:
    pen = s.beside(prop.x, prop.y, prop.scale)
    pen.capsule((0, 0), (0, 2.6), 0.06, 0.05, (70, 74, 78))
    pen.rect(-0.17, 3.4, 0.17, 2.5, (34, 36, 38))
    for k, colour in enumerate(((226, 60, 48), (238, 190, 60), (70, 200, 110))):
        lit = k == int(prop.variant * 3)
        pen.oval(0, 3.25 - 0.29 * k, 0.11, 0.11, colour if lit else shade(colour, 0.35))


def _stop_sign(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y = prop.scale, prop.x, prop.y
    pen = s.beside(x, y, u)
    pen.capsule((0, 0), (0, 2.1), 0.04, 0.04, _STEEL)
    for r, colour in ((0.4, (236, 232, 226)), (0.36, (186, 34, 34))):
        turns = [pi / 8 + i * pi / 4 for i in range(8)]
        s.poly([(x + r * u * cos(t), y - (2.3 - r * sin(t)) * u) for t in turns], colour)
    pen.rect(-0.24, 2.36, 0.24, 2.24, (236, 232, 226), 0.06)


# --- of the beach and the road ------------------------------------------------------------------------------


def _umbrella(scene: Scene, prop: Prop, s: Shapes) -> None:
    u, x, y, n = prop.scale, prop.x, prop.y, 6
    s.beside(x, y, u).capsule((0, 0), (0.1, 2.2), 0.035, 0.03, (226, 220, 208))
    middle, top = x + 0.1 * u, (x + 0.1 * u, y - 2.35 * u)
    turns = [pi * k / n for k in range(n + 1)]
    rim = [(middle + 1.25 * u * cos(t), y - (1.7 + 0.06 * (k % 2)) * u - 0.1 * u * sin(t)) for k, t in enumerate(turns)]
    for k, (a, b) in enumerate(pairwise(rim)):
        s.poly([top, a, b], _tint(prop) if k % 2 else (238, 234, 226))


def _suitcase(scene: Scene, prop: Prop, s: Shapes) -> None:
    at = scene.frame(prop)
    at.rod(s, (0, -0.12, 0.6), (0, -0.12, 0.95), 0.012, 0.012, _DARK)
    at.rod(s, (0, 0.12, 0.6), (0, 0.12, 0.95), 0.012, 0.012, _DARK)
    at.rod(s, (0, -0.12, 0.95), (0, 0.12, 0.95), 0.018, 0.018, _DARK)
    at.box(s, (-0.13, 0.13), (-0.22, 0.22), (0.05, 0.64), _tint(prop))


def _sports_ball(scene: Scene, prop: Prop, s: Shapes) -> None:
    pen = s.beside(prop.x, prop.y, prop.scale)
    colour = mix((238, 236, 230), _tint(prop), 0.5 if prop.variant > 0.5 else 0.0)
    pen.limb((0, 0.13), (0, 0.13), 0.14, 0.14, colour)
    pen.oval(0.02, 0.12, 0.045, 0.045, (40, 40, 44))


def _kite(scene: Scene, prop: Prop, s: Shapes) -> None:
    height = max(0.06, scene.horizon * (0.15 + 0.6 * prop.variant))
    pen = s.beside(prop.x, height, max(prop.scale * 0.6, 0.07))
    pen.poly([(0, 0.5), (0.4, 0), (0, -0.7), (-0.4, 0)], _tint(prop))
    pen.poly([(0, 0.5), (0.4, 0), (0, 0)], shade(_tint(prop), 0.7))
    pen.capsule((0, -0.7), (-0.5, -1.8), 0.02, 0.015, (240, 240, 240))


def _surfboard(scene: Scene, prop: Prop, s: Shapes) -> None:
    pen, lean = s.beside(prop.x, prop.y, prop.scale), (prop.variant - 0.5) * 0.8
    pen.blob((0, 0), (lean, 2.0), 0.27, mix((240, 236, 226), _tint(prop), 0.55))
    pen.capsule((0, 0.1), (lean * 0.95, 1.9), 0.02, 0.02, _tint(prop))


DRAWERS = {
    "chair": _chair, "bench": _bench, "couch": _couch, "step": _step, "wall": _wall, "rock": _rock, "bush": _bush,
    "dining table": _dining_table, "tv": _tv, "potted plant": _potted_plant, "car": _car, "bus": _bus, "boat": _boat,
    "bicycle": _bicycle, "traffic light": _traffic_light, "stop sign": _stop_sign, "umbrella": _umbrella,
    "suitcase": _suitcase, "sports ball": _sports_ball, "kite": _kite, "surfboard": _surfboard,
}  # fmt: skip
