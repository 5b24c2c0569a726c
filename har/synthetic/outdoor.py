"""Outdoor places: each paints its scenery and returns its backdrop."""

from har.synthetic.backdrop import Backdrop, any_colour, hills, outdoors, skyline, specks, tree
from har.synthetic.random import Dice
from har.synthetic.scene import Scene
from har.synthetic.shapes import Shapes, mix, shade

_LEAVES = ((70, 122, 58), (92, 138, 62), (58, 104, 66), (150, 130, 52), (176, 104, 46))


def _far(scene: Scene) -> float:
    """y of the foot of the scenery."""
    return scene.horizon + scene.wall * scene.camera


def street(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    night = scene.lighting == "night"
    skyline(s, dice, -2 * u, w, base, u, night, (5, 15))
    road = mix((104, 104, 108), (150, 140, 128), dice.u())
    if dice.chance(0.7):  # a road between kerbs, either across or away from the viewer
        if dice.chance(0.5):
            y0, y1 = base + 0.05, min(1.0, base + dice.between(0.16, 0.3))
            s.rect(0, y0, w, y1, shade(road, 0.8))
            s.rect(0, y1, w, y1 + 0.012, (196, 192, 184))
            for k in range(5):
                x = w * (k + 0.2) / 5
                s.rect(x, (y0 + y1) / 2 - 0.006, x + w * 0.09, (y0 + y1) / 2 + 0.006, (226, 222, 206))
        else:
            cx = dice.between(0.2, 0.8) * w
            s.poly([(cx - 0.06, base), (cx + 0.06, base), (cx + 0.7, 1.0), (cx - 0.7, 1.0)], shade(road, 0.8))
            s.poly([(cx - 0.003, base), (cx + 0.003, base), (cx + 0.02, 1.0), (cx - 0.02, 1.0)], (226, 222, 206))
    for _ in range(dice.below(4)):
        x, here = dice.between(0, w), u * dice.between(1.0, 1.5)
        y = scene.horizon + here * scene.camera
        if dice.chance(0.5):
            tree(scene, dice, s, x, here, dice.pick(_LEAVES))
        else:
            s.capsule((x, y), (x, y - 4 * here), 0.07 * here, 0.05 * here, (60, 64, 68))
            s.oval(x, y - 4.1 * here, 0.22 * here, 0.16 * here, (250, 236, 190))
    return outdoors(scene, dice, base, shade(road, 0.92), shade(road, 1.08), dice.pick(("noise", "tiles", "cobbles")))


def park(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    leaf = dice.pick(_LEAVES)
    hills(s, dice, w, base, 2.2 * u + 0.05, shade(leaf, 0.62), 0.9)
    grass = mix((110, 150, 70), (150, 150, 84), dice.u())
    if dice.chance(0.35):
        x = dice.between(0, w)
        s.oval(x, base + 0.05, 0.3, 0.03, (112, 150, 176))
    if dice.chance(0.65):  # a path
        a, b, end = dice.between(0.1, 0.9) * w, dice.between(0.0, 1.0) * w, dice.between(0.12, 0.4)
        sand = mix((196, 178, 146), (150, 146, 140), dice.u())
        s.poly([(a - 0.015, base), (a + 0.015, base), (b + end, 1.0), (b - end, 1.0)], sand)
    specks(s, dice, scene, base + 0.03, 26, (shade(grass, 0.8), shade(grass, 1.15), (224, 196, 90)), 0.007)
    for _ in range(2 + dice.below(4)):
        here = u * dice.between(1.0, 1.7)
        tree(scene, dice, s, dice.between(0, w), here, dice.pick(_LEAVES), dice.pick(("round", "round", "pine")))
    return outdoors(scene, dice, base, shade(grass, 0.85), grass, "noise")


def beach(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    w, top = scene.aspect, scene.horizon
    shore = _far(scene) + 0.02
    sea = mix((58, 118, 152), (92, 160, 166), dice.u())
    s.rect(0, top, w, shore, sea)
    for k in range(6):
        y = top + (shore - top) * (k + 0.6) / 6.5
        x = dice.between(-0.3, w)
        s.rect(x, y, x + dice.between(0.2, 0.8), y + 0.003 + 0.002 * k, shade(sea, 1.35))
    line = [(w * i / 10, shore + 0.012 * dice.normal()) for i in range(11)]
    s.poly([*line, *[(x, y - 0.022) for x, y in reversed(line)]], (236, 240, 238))
    if dice.chance(0.4):
        hills(s, dice, w, top, 0.08, (108, 128, 130), 0.6)
    if dice.chance(0.4):
        here = scene.wall * 1.3
        tree(scene, dice, s, dice.pick((0.08, 0.92)) * w, here, (84, 130, 64), "palm")
    sand = mix((222, 200, 156), (200, 180, 150), dice.u())
    specks(s, dice, scene, shore + 0.03, 18, (shade(sand, 0.86), shade(sand, 1.2)), 0.008)
    return outdoors(scene, dice, shore - 0.012, shade(sand, 0.86), sand, "noise")


def field(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    kind = dice.below(3)
    if kind == 0:  # stands full of dots
        s.rect(0, base - 3.5 * u, w, base - 0.5 * u, (120, 124, 134))
        for _ in range(50):
            s.oval(dice.between(0, w), base - dice.between(0.8, 3.3) * u, 0.16 * u, 0.18 * u, any_colour(dice))
        s.rect(0, base - 0.7 * u, w, base, mix((60, 90, 140), any_colour(dice), 0.6))
    elif kind == 1:
        hills(s, dice, w, base, 3 * u, (66, 100, 62), 1.0)
        s.rect(0, base - 1.0 * u, w, base - 0.94 * u, (200, 202, 204))
        for k in range(14):
            s.rect(w * k / 14, base - 1.0 * u, w * k / 14 + 0.004, base, (190, 192, 194))
    else:
        skyline(s, dice, -u, w, base, u, scene.lighting == "night", (3, 7))
    turf = mix((84, 146, 66), (176, 120, 82), 0.0 if dice.chance(0.75) else 0.9)
    for _ in range(2):
        y = base + (1 - base) * dice.between(0.1, 0.9)
        s.rect(0, y, w, y + 0.006 + 0.012 * (y - base), (236, 238, 230))
    x = dice.between(0, w)
    s.poly([(x, base), (x + 0.008, base), (x * 1.4 - 0.2 * w + 0.03, 1.0), (x * 1.4 - 0.2 * w, 1.0)], (236, 238, 230))
    if dice.chance(0.5):  # a goal
        here = u * 1.25
        gx, gy = dice.between(0.1, 0.8) * w, scene.horizon + here * scene.camera
        for a, b in (((0, 0), (0, 1.9)), ((4, 0), (4, 1.9)), ((0, 1.9), (4, 1.9))):
            s.capsule(
                (gx + a[0] * here, gy - a[1] * here),
                (gx + b[0] * here, gy - b[1] * here),
                0.06 * here,
                0.06 * here,
                (240, 240, 240),
            )
    return outdoors(scene, dice, base, shade(turf, 0.88), turf, "stripes")


def platform(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    edge = base + 0.03
    if dice.chance(0.65):  # a train along the platform
        paint = any_colour(dice)
        s.rect(0, base - 3.4 * u, w, base, paint)
        s.rect(0, base - 3.4 * u, w, base - 3.1 * u, shade(paint, 0.6))
        s.rect(0, base - 1.2 * u, w, base - 0.95 * u, (232, 230, 224))
        n = max(3, int(w / (2.2 * u)))
        for k in range(min(n, 14)):
            x = (k + 0.15) * 2.2 * u
            if k % 3 == 2:
                s.rect(x, base - 2.7 * u, x + 1.5 * u, base - 0.1 * u, shade(paint, 0.75))
            s.rect(x + 0.1 * u, base - 2.5 * u, x + 1.4 * u, base - 1.5 * u, (70, 88, 102))
    else:
        skyline(s, dice, -u, w, base - 0.4 * u, u * 0.7, scene.lighting == "night", (4, 9))
        s.rect(0, base - 0.5 * u, w, base, (92, 84, 78))
        s.rect(0, base - 0.2 * u, w, base - 0.12 * u, (170, 172, 176))
    s.rect(0, edge, w, edge + 0.018, (226, 190, 60))
    if dice.chance(0.6):  # the roof with its pillars
        s.rect(0, 0, w, max(0.03, scene.horizon * 0.22), (110, 112, 116))
        for k in range(3):
            x = w * (k + dice.between(0.2, 0.8)) / 3
            s.rect(x, 0, x + 0.3 * u, base + 0.06, (132, 136, 140))
    if dice.chance(0.7):
        x, y = dice.between(0.1, 0.7) * w, max(0.05, scene.horizon * 0.35)
        s.rect(x, y, x + 0.26, y + 0.07, (32, 52, 104))
        s.rect(x + 0.02, y + 0.028, x + 0.2, y + 0.042, (236, 236, 232), 0.01)
    grey = mix((166, 162, 156), (140, 128, 118), dice.u())
    return outdoors(scene, dice, base, shade(grey, 0.86), grey, dice.pick(("tiles", "noise", "cobbles")))


def plaza(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    stone = mix((206, 190, 164), any_colour(dice), 0.15)
    tall = dice.between(5, 9) * u
    s.rect(0, base - tall, w, base, stone)
    s.rect(0, base - tall, w, base - tall + 0.4 * u, shade(stone, 0.8))
    n = max(3, min(9, int(w / (2.6 * u))))
    dark = (70, 62, 60) if scene.lighting != "night" else (150, 110, 60)
    for k in range(n):  # an arcade
        x = w * (k + 0.5) / n
        half = w / n * 0.32
        s.rect(x - half, base - 2.4 * u, x + half, base, dark)
        s.oval(x, base - 2.4 * u, half, half * 0.9, dark)
        s.rect(x - half * 0.6, base - 4.6 * u, x + half * 0.6, base - 3.5 * u, shade(dark, 0.9), 0.2 * u)
    if dice.chance(0.5):  # a fountain
        here = u * 1.3
        x, y = dice.between(0.15, 0.85) * w, scene.horizon + here * scene.camera
        s.oval(x, y, 1.6 * here, 0.4 * here, shade(stone, 0.8))
        s.oval(x, y - 0.1 * here, 1.45 * here, 0.3 * here, (120, 164, 186))
        s.rect(x - 0.12 * here, y - 1.6 * here, x + 0.12 * here, y - 0.1 * here, shade(stone, 0.9))
        s.oval(x, y - 1.6 * here, 0.5 * here, 0.13 * here, (200, 220, 230))
    elif dice.chance(0.6):
        here = u * 1.3
        tree(scene, dice, s, dice.between(0.1, 0.9) * w, here, dice.pick(_LEAVES))
    paving = mix((190, 176, 156), (150, 146, 144), dice.u())
    return outdoors(scene, dice, base, shade(paving, 0.9), paving, dice.pick(("tiles", "cobbles")))


def trail(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    far = mix((128, 146, 170), (150, 140, 150), dice.u())
    hills(s, dice, w, base, scene.horizon * dice.between(0.7, 1.1), far, 1.2)
    hills(s, dice, w, base, scene.horizon * 0.55, mix(far, (70, 96, 72), 0.55), 0.9)
    hills(s, dice, w, base, scene.horizon * 0.25 + u, (72, 98, 66), 0.7)
    soil = mix((150, 132, 96), (112, 130, 78), dice.u())
    a, b = dice.between(0.2, 0.8) * w, dice.between(0.1, 0.9) * w
    s.poly([(a - 0.01, base), (a + 0.01, base), (b + 0.3, 1.0), (b - 0.3, 1.0)], mix(soil, (214, 190, 150), 0.6))
    specks(s, dice, scene, base + 0.02, 24, (shade(soil, 0.7), shade(soil, 1.2), (130, 126, 120)), 0.01)
    for _ in range(1 + dice.below(5)):
        here = u * dice.between(1.0, 1.6)
        tree(scene, dice, s, dice.between(0, w), here, (56, 92, 62), dice.pick(("pine", "pine", "round")))
    return outdoors(scene, dice, base, shade(soil, 0.86), soil, "noise")


def snow(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = _far(scene), scene.wall, scene.aspect
    hills(s, dice, w, base, scene.horizon * dice.between(0.5, 1.0), (176, 192, 212), 1.2)
    hills(s, dice, w, base, scene.horizon * 0.3 + u, (216, 224, 234), 0.6)
    for _ in range(3 + dice.below(5)):
        here = u * dice.between(0.9, 1.6)
        tree(scene, dice, s, dice.between(0, w), here, (86, 116, 112), "pine")
    if dice.chance(0.3):
        skyline(s, dice, w * 0.6, w * 0.9, base, u, scene.lighting == "night", (3, 5))
    specks(s, dice, scene, base + 0.03, 20, ((206, 214, 228), (250, 250, 252)), 0.012)
    return outdoors(scene, dice, base, (214, 222, 234), (240, 242, 246), "noise")


PAINTERS = {
    "street": street, "park": park, "beach": beach, "field": field, "platform": platform, "plaza": plaza,
    "trail": trail, "snow": snow,
}  # fmt: skip
