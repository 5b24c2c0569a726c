"""Places, outdoors and in rooms: each paints its scenery and returns its backdrop."""

from har.synthetic.backdrop import Backdrop, any_colour, hills, outdoors, room, skyline, specks, tree
from har.synthetic.random import Dice
from har.synthetic.scene import Scene
from har.synthetic.shapes import Shapes, mix, shade

_LEAVES = ((70, 122, 58), (92, 138, 62), (58, 104, 66), (150, 130, 52), (176, 104, 46))
_FRAME = (236, 232, 224)  # of windows


# --- outdoors -----------------------------------------------------------------------------------------------


def _street(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
    skyline(s, dice, -2 * u, w, base, u, scene.lighting == "night", (5, 15))
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
        if dice.chance(0.5):
            tree(scene, dice, s, x, here, dice.pick(_LEAVES))
        else:  # a lamp
            pen = s.beside(x, scene.ground(here), here)
            pen.capsule((0, 0), (0, 4), 0.07, 0.05, (60, 64, 68))
            pen.oval(0, 4.1, 0.22, 0.16, (250, 236, 190))
    return outdoors(scene, dice, base, shade(road, 0.92), shade(road, 1.08), dice.pick(("noise", "tiles", "cobbles")))


def _park(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
    leaf = dice.pick(_LEAVES)
    hills(s, dice, w, base, 2.2 * u + 0.05, shade(leaf, 0.62), 0.9)
    grass = mix((110, 150, 70), (150, 150, 84), dice.u())
    if dice.chance(0.35):
        s.oval(dice.between(0, w), base + 0.05, 0.3, 0.03, (112, 150, 176))
    if dice.chance(0.65):  # a path
        a, b, end = dice.between(0.1, 0.9) * w, dice.between(0.0, 1.0) * w, dice.between(0.12, 0.4)
        sand = mix((196, 178, 146), (150, 146, 140), dice.u())
        s.poly([(a - 0.015, base), (a + 0.015, base), (b + end, 1.0), (b - end, 1.0)], sand)
    specks(s, dice, scene, base + 0.03, 26, (shade(grass, 0.8), shade(grass, 1.15), (224, 196, 90)), 0.007)
    for _ in range(2 + dice.below(4)):
        here = u * dice.between(1.0, 1.7)
        tree(scene, dice, s, dice.between(0, w), here, dice.pick(_LEAVES), dice.pick(("round", "round", "pine")))
    return outdoors(scene, dice, base, shade(grass, 0.85), grass, "noise")


def _beach(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    w, top = scene.aspect, scene.horizon
    shore = scene.far + 0.02
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
        tree(scene, dice, s, dice.pick((0.08, 0.92)) * w, scene.wall * 1.3, (84, 130, 64), "palm")
    sand = mix((222, 200, 156), (200, 180, 150), dice.u())
    specks(s, dice, scene, shore + 0.03, 18, (shade(sand, 0.86), shade(sand, 1.2)), 0.008)
    return outdoors(scene, dice, shore - 0.012, shade(sand, 0.86), sand, "noise")


def _field(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
    behind, chalk = dice.below(3), (236, 238, 230)
    if behind == 0:  # stands full of dots
        s.rect(0, base - 3.5 * u, w, base - 0.5 * u, (120, 124, 134))
        for _ in range(50):
            s.oval(dice.between(0, w), base - dice.between(0.8, 3.3) * u, 0.16 * u, 0.18 * u, any_colour(dice))
        s.rect(0, base - 0.7 * u, w, base, mix((60, 90, 140), any_colour(dice), 0.6))
    elif behind == 1:
        hills(s, dice, w, base, 3 * u, (66, 100, 62), 1.0)
        s.rect(0, base - 1.0 * u, w, base - 0.94 * u, (200, 202, 204))
        for k in range(14):
            s.rect(w * k / 14, base - 1.0 * u, w * k / 14 + 0.004, base, (190, 192, 194))
    else:
        skyline(s, dice, -u, w, base, u, scene.lighting == "night", (3, 7))
    turf = mix((84, 146, 66), (176, 120, 82), 0.0 if dice.chance(0.75) else 0.9)
    for _ in range(2):
        y = base + (1 - base) * dice.between(0.1, 0.9)
        s.rect(0, y, w, y + 0.006 + 0.012 * (y - base), chalk)
    x = dice.between(0, w)
    s.poly([(x, base), (x + 0.008, base), (x * 1.4 - 0.2 * w + 0.03, 1.0), (x * 1.4 - 0.2 * w, 1.0)], chalk)
    if dice.chance(0.5):  # a goal
        here = u * 1.25
        pen = s.beside(dice.between(0.1, 0.8) * w, scene.ground(here), here)
        for a, b in (((0, 0), (0, 1.9)), ((4, 0), (4, 1.9)), ((0, 1.9), (4, 1.9))):
            pen.capsule(a, b, 0.06, 0.06, (240, 240, 240))
    return outdoors(scene, dice, base, shade(turf, 0.88), turf, "stripes")


def _platform(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
    if dice.chance(0.65):  # a train along the platform
        paint = any_colour(dice)
        s.rect(0, base - 3.4 * u, w, base, paint)
        s.rect(0, base - 3.4 * u, w, base - 3.1 * u, shade(paint, 0.6))
        s.rect(0, base - 1.2 * u, w, base - 0.95 * u, (232, 230, 224))
        for k in range(min(14, max(3, int(w / (2.2 * u))))):
            pen = s.beside((k + 0.15) * 2.2 * u, base, u)
            if k % 3 == 2:
                pen.rect(0, 2.7, 1.5, 0.1, shade(paint, 0.75))
            pen.rect(0.1, 2.5, 1.4, 1.5, (70, 88, 102))
    else:
        skyline(s, dice, -u, w, base - 0.4 * u, u * 0.7, scene.lighting == "night", (4, 9))
        s.rect(0, base - 0.5 * u, w, base, (92, 84, 78))
        s.rect(0, base - 0.2 * u, w, base - 0.12 * u, (170, 172, 176))
    s.rect(0, base + 0.03, w, base + 0.03 + 0.018, (226, 190, 60))
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


def _plaza(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
    stone = mix((206, 190, 164), any_colour(dice), 0.15)
    tall = dice.between(5, 9) * u
    s.rect(0, base - tall, w, base, stone)
    s.rect(0, base - tall, w, base - tall + 0.4 * u, shade(stone, 0.8))
    n = max(3, min(9, int(w / (2.6 * u))))
    dark = (70, 62, 60) if scene.lighting != "night" else (150, 110, 60)
    for k in range(n):  # an arcade
        x, half = w * (k + 0.5) / n, w / n * 0.32
        s.rect(x - half, base - 2.4 * u, x + half, base, dark)
        s.oval(x, base - 2.4 * u, half, half * 0.9, dark)
        s.rect(x - half * 0.6, base - 4.6 * u, x + half * 0.6, base - 3.5 * u, shade(dark, 0.9), 0.2 * u)
    here = u * 1.3
    if dice.chance(0.5):  # a fountain
        pen = s.beside(dice.between(0.15, 0.85) * w, scene.ground(here), here)
        pen.oval(0, 0, 1.6, 0.4, shade(stone, 0.8))
        pen.oval(0, 0.1, 1.45, 0.3, (120, 164, 186))
        pen.rect(-0.12, 1.6, 0.12, 0.1, shade(stone, 0.9))
        pen.oval(0, 1.6, 0.5, 0.13, (200, 220, 230))
    elif dice.chance(0.6):
        tree(scene, dice, s, dice.between(0.1, 0.9) * w, here, dice.pick(_LEAVES))
    paving = mix((190, 176, 156), (150, 146, 144), dice.u())
    return outdoors(scene, dice, base, shade(paving, 0.9), paving, dice.pick(("tiles", "cobbles")))


def _trail(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
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


def _snow(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    base, u, w = scene.far, scene.wall, scene.aspect
    hills(s, dice, w, base, scene.horizon * dice.between(0.5, 1.0), (176, 192, 212), 1.2)
    hills(s, dice, w, base, scene.horizon * 0.3 + u, (216, 224, 234), 0.6)
    for _ in range(3 + dice.below(5)):
        here = u * dice.between(0.9, 1.6)
        tree(scene, dice, s, dice.between(0, w), here, (86, 116, 112), "pine")
    if dice.chance(0.3):
        skyline(s, dice, w * 0.6, w * 0.9, base, u, scene.lighting == "night", (3, 5))
    specks(s, dice, scene, base + 0.03, 20, ((206, 214, 228), (250, 250, 252)), 0.012)
    return outdoors(scene, dice, base, (214, 222, 234), (240, 242, 246), "noise")


# --- rooms --------------------------------------------------------------------------------------------------


def _skirting(scene: Scene, s: Shapes, back: Backdrop) -> None:
    s.rect(0, back.base - 0.12 * scene.wall, scene.aspect, back.base, shade(back.low, 0.8))


def _window(scene: Scene, dice: Dice, s: Shapes, x: float, top: float, wide: float, tall: float) -> None:
    night = scene.lighting == "night"
    sky = (40, 48, 80) if night else mix((170, 204, 232), (214, 220, 222), dice.u())
    s.rect(x - 0.012, top - 0.012, x + wide + 0.012, top + tall + 0.012, _FRAME)
    s.rect(x, top, x + wide, top + tall, sky)
    s.oval(x + wide * 0.3, top + tall * 0.95, wide * 0.3, tall * 0.25, (58, 84, 58) if not night else (30, 40, 44))
    s.rect(x, top + tall, x + wide, top + tall + 0.02, _FRAME)
    s.rect(x + wide / 2 - 0.005, top, x + wide / 2 + 0.005, top + tall, _FRAME)
    s.rect(x, top + tall * 0.45, x + wide, top + tall * 0.45 + 0.01, _FRAME)


def _picture(dice: Dice, s: Shapes, x: float, y: float, tall: float) -> None:
    wide = tall * dice.between(0.8, 1.5)
    s.rect(x, y, x + wide, y + tall, dice.pick(((52, 40, 34), (206, 180, 120), (236, 232, 226))))
    s.rect(x + 0.012, y + 0.012, x + wide - 0.012, y + tall - 0.012, mix(any_colour(dice), (230, 222, 206), 0.4))
    hill = [(x + wide * 0.15, y + tall * 0.85), (x + wide * 0.5, y + tall * 0.35), (x + wide * 0.85, y + tall * 0.85)]
    s.poly(hill, any_colour(dice))


def _shelf(dice: Dice, s: Shapes, x: float, base: float, u: float) -> None:
    wood = mix((120, 84, 54), any_colour(dice), 0.2)
    wide, tall = 1.1 * u, 2.0 * u
    s.rect(x, base - tall, x + wide, base, shade(wood, 0.6))
    for row in range(4):
        low, at = base - tall + (row + 1) * tall / 4, x + 0.05 * u
        while at < x + wide - 0.15 * u:
            thick, high = dice.between(0.06, 0.14) * u, dice.between(0.26, 0.4) * u
            s.rect(at, low - high, at + thick, low - 0.03 * u, any_colour(dice), 0.04 * u)
            at += thick * 1.08
        s.rect(x, low - 0.05 * u, x + wide, low, wood)


def _living_room(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    floors = ((168, 124, 84), (128, 96, 72), (190, 176, 156))
    back = room(scene, dice, dice.pick(("planks", "noise", "planks")), floors)
    u, w, base = scene.wall, scene.aspect, back.base
    _skirting(scene, s, back)
    if dice.chance(0.75):
        x, wide, top = dice.between(0.05, 0.6) * w, 1.5 * u, base - 2.3 * u
        _window(scene, dice, s, x, top, wide, 1.3 * u)
        if dice.chance(0.6):
            drape = any_colour(dice)
            for side in (x - 0.35 * u, x + wide):
                s.rect(side, top - 0.1 * u, side + 0.35 * u, base - 0.1 * u, drape)
                s.rect(side + 0.12 * u, top - 0.1 * u, side + 0.16 * u, base - 0.1 * u, shade(drape, 0.75), 0.02 * u)
    for _ in range(dice.below(4)):
        _picture(dice, s, dice.between(0, 0.9) * w, base - dice.between(1.5, 2.4) * u, dice.between(0.35, 0.7) * u)
    if dice.chance(0.5):
        _shelf(dice, s, dice.between(0, 0.85) * w, base, u)
    if dice.chance(0.5):  # a floor lamp
        pen = s.beside(dice.between(0.05, 0.95) * w, base, u)
        s.capsule((pen.x, base + 0.02), (pen.x, base - 1.5 * u), 0.025 * u, 0.02 * u, (60, 56, 54))
        pen.poly([(-0.25, 1.4), (0.25, 1.4), (0.15, 1.8), (-0.15, 1.8)], (250, 228, 170))
    if dice.chance(0.6):  # a rug
        rug = any_colour(dice)
        x, y = dice.between(0.2, 0.8) * w, base + (1 - base) * 0.6
        s.oval(x, y, 0.42 * w, 0.3 * (1 - base), shade(rug, 0.86))
        s.oval(x, y, 0.37 * w, 0.25 * (1 - base), mix(rug, (230, 222, 204), 0.4))
    return back


def _kitchen(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    floors = ((206, 196, 180), (170, 150, 130), (150, 160, 164))
    back = room(scene, dice, dice.pick(("tiles", "tiles", "planks")), floors)
    u, w, base = scene.wall, scene.aspect, back.base
    unit = mix((226, 220, 208), any_colour(dice), dice.between(0.0, 0.6))
    s.rect(0, base - 1.45 * u, w, base - 0.9 * u, mix(back.low, (240, 240, 236), 0.5))
    s.rect(0, base - 0.95 * u, w, base - 0.06 * u, unit)
    s.rect(0, base - 1.0 * u, w, base - 0.9 * u, dice.pick(((80, 74, 70), (214, 206, 196), (136, 98, 64))))
    s.rect(0, base - 2.4 * u, w, base - 1.5 * u, shade(unit, 0.94))
    n = max(3, min(12, int(w / (0.62 * u))))
    for k in range(n):
        x = w * k / n
        s.rect(x, base - 0.88 * u, x + 0.004, base - 0.08 * u, shade(unit, 0.65), 0.003)
        s.rect(x, base - 2.38 * u, x + 0.004, base - 1.52 * u, shade(unit, 0.65), 0.003)
        s.rect(x + 0.06 * u, base - 0.8 * u, x + 0.2 * u, base - 0.77 * u, (90, 90, 94), 0.02 * u)
    if dice.chance(0.65):
        _window(scene, dice, s, dice.between(0.1, 0.7) * w, base - 2.35 * u, 1.2 * u, 0.85 * u)
    if dice.chance(0.7):
        fridge = s.beside(dice.pick((0.02, 0.86)) * w, base, u)
        steel = dice.pick(((206, 208, 210), (150, 154, 160), (60, 62, 66)))
        fridge.rect(0, 1.9, 0.75, 0, steel)
        fridge.rect(0, 1.15, 0.75, 1.12, shade(steel, 0.6))
        fridge.rect(0.06, 1.7, 0.1, 1.3, shade(steel, 0.5), 0.02)
    stove = s.beside(dice.between(0.3, 0.7) * w, base, u)
    stove.rect(0, 0.92, 0.65, 0.05, (72, 74, 78))
    stove.rect(0.08, 0.6, 0.57, 0.2, (30, 30, 34))
    for _ in range(5):
        x, h = dice.between(0, w), dice.between(0.1, 0.3) * u
        s.rect(x, base - 1.0 * u - h, x + 0.12 * u, base - 1.0 * u, any_colour(dice), 0.03 * u)
    return back


def _office(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    floors = ((120, 128, 138), (150, 140, 128), (104, 110, 116))
    back = room(scene, dice, dice.pick(("noise", "tiles", "planks")), floors)
    u, w, base, day = scene.wall, scene.aspect, back.base, scene.lighting != "night"
    _skirting(scene, s, back)
    if dice.chance(0.6):  # a window front with the town behind
        top, low = base - 2.5 * u, base - 0.9 * u
        s.rect(0, top, w, low, (178, 204, 226) if day else (36, 44, 74))
        hills(s, dice, w, low, 0.8 * u, (128, 142, 158) if day else (54, 58, 80), 1.0)
        for k in range(6):
            s.rect(w * k / 5 - 0.006, top, w * k / 5 + 0.006, low, (222, 222, 220))
    else:  # a whiteboard
        x = dice.between(0.1, 0.6) * w
        board = s.beside(x, base, u)
        board.rect(0, 2.2, 1.9, 1.1, (190, 192, 194))
        board.rect(0.03, 2.17, 1.87, 1.13, (242, 243, 242))
        for _ in range(4):
            a, b = x + dice.between(0.2, 1.2) * u, base - dice.between(1.3, 2.0) * u
            s.rect(a, b, a + dice.between(0.2, 0.5) * u, b + 0.03 * u, any_colour(dice), 0.02 * u)
    if dice.chance(0.6):
        _shelf(dice, s, dice.between(0, 0.85) * w, base, u)
    for _ in range(1 + dice.below(3)):  # desks with screens along the wall
        pen = s.beside(dice.between(0, 0.85) * w, base, u)
        desk = mix((176, 150, 120), any_colour(dice), 0.2)
        pen.rect(0, 0.75, 1.4, 0.68, desk)
        pen.rect(0.05, 0.68, 0.1, 0, shade(desk, 0.6))
        pen.rect(1.3, 0.68, 1.35, 0, shade(desk, 0.6))
        pen.rect(0.4, 1.2, 1.0, 0.82, (34, 36, 40))
        pen.rect(0.43, 1.17, 0.97, 0.85, mix((90, 140, 190), any_colour(dice), 0.3))
    ceiling = base - 2.9 * u
    s.rect(0, 0, w, max(0.0, ceiling), shade(back.top, 1.3))
    if ceiling > 0.05:
        for k in range(3):
            s.rect(w * (k + 0.25) / 3, ceiling * 0.4, w * (k + 0.75) / 3, ceiling * 0.6, (254, 252, 240))
    return back


PAINTERS = {
    "street": _street, "park": _park, "beach": _beach, "field": _field, "platform": _platform, "plaza": _plaza,
    "trail": _trail, "snow": _snow, "living room": _living_room, "kitchen": _kitchen, "office": _office,
}  # fmt: skip
