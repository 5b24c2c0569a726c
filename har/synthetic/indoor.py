"""Rooms: each paints its walls and returns its backdrop."""

from har.synthetic.backdrop import Backdrop, any_colour, hills, room
from har.synthetic.random import Dice
from har.synthetic.scene import Scene
from har.synthetic.shapes import Shapes, mix, shade


def _skirting(scene: Scene, s: Shapes, back: Backdrop) -> None:
    s.rect(0, back.base - 0.12 * scene.wall, scene.aspect, back.base, shade(back.low, 0.8))


def _window(scene: Scene, dice: Dice, s: Shapes, x: float, top: float, wide: float, tall: float) -> None:
    night = scene.lighting == "night"
    sky = (40, 48, 80) if night else mix((170, 204, 232), (214, 220, 222), dice.u())
    s.rect(x - 0.012, top - 0.012, x + wide + 0.012, top + tall + 0.012, (236, 232, 224))
    s.rect(x, top, x + wide, top + tall, sky)
    s.oval(x + wide * 0.3, top + tall * 0.95, wide * 0.3, tall * 0.25, (58, 84, 58) if not night else (30, 40, 44))
    s.rect(x, top + tall, x + wide, top + tall + 0.02, (236, 232, 224))
    s.rect(x + wide / 2 - 0.005, top, x + wide / 2 + 0.005, top + tall, (236, 232, 224))
    s.rect(x, top + tall * 0.45, x + wide, top + tall * 0.45 + 0.01, (236, 232, 224))


def _frame(dice: Dice, s: Shapes, x: float, y: float, size: float) -> None:
    wide, tall = size * dice.between(0.8, 1.5), size
    s.rect(x, y, x + wide, y + tall, dice.pick(((52, 40, 34), (206, 180, 120), (236, 232, 226))))
    s.rect(x + 0.012, y + 0.012, x + wide - 0.012, y + tall - 0.012, mix(any_colour(dice), (230, 222, 206), 0.4))
    s.poly([(x + wide * 0.15, y + tall * 0.85), (x + wide * 0.5, y + tall * 0.35), (x + wide * 0.85, y + tall * 0.85)],
           any_colour(dice))  # fmt: skip


def _shelf(dice: Dice, s: Shapes, x: float, base: float, u: float) -> None:
    wood = mix((120, 84, 54), any_colour(dice), 0.2)
    wide, tall = 1.1 * u, 2.0 * u
    s.rect(x, base - tall, x + wide, base, shade(wood, 0.6))
    for row in range(4):
        low = base - tall + (row + 1) * tall / 4
        at = x + 0.05 * u
        while at < x + wide - 0.15 * u:
            thick, high = dice.between(0.06, 0.14) * u, dice.between(0.26, 0.4) * u
            s.rect(at, low - high, at + thick, low - 0.03 * u, any_colour(dice), 0.04 * u)
            at += thick * 1.08
        s.rect(x, low - 0.05 * u, x + wide, low, wood)


def living_room(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    back = room(scene, dice, dice.pick(("planks", "noise", "planks")), ((168, 124, 84), (128, 96, 72), (190, 176, 156)))
    u, w, base = scene.wall, scene.aspect, back.base
    _skirting(scene, s, back)
    if dice.chance(0.75):
        x, wide = dice.between(0.05, 0.6) * w, 1.5 * u
        top, tall = base - 2.3 * u, 1.3 * u
        _window(scene, dice, s, x, top, wide, tall)
        if dice.chance(0.6):
            drape = any_colour(dice)
            for side in (x - 0.35 * u, x + wide):
                s.rect(side, top - 0.1 * u, side + 0.35 * u, base - 0.1 * u, drape)
                s.rect(side + 0.12 * u, top - 0.1 * u, side + 0.16 * u, base - 0.1 * u, shade(drape, 0.75), 0.02 * u)
    for _ in range(dice.below(4)):
        _frame(dice, s, dice.between(0, 0.9) * w, base - dice.between(1.5, 2.4) * u, dice.between(0.35, 0.7) * u)
    if dice.chance(0.5):
        _shelf(dice, s, dice.between(0, 0.85) * w, base, u)
    if dice.chance(0.5):  # a floor lamp
        x = dice.between(0.05, 0.95) * w
        s.capsule((x, base + 0.02), (x, base - 1.5 * u), 0.025 * u, 0.02 * u, (60, 56, 54))
        s.poly([(x - 0.25 * u, base - 1.4 * u), (x + 0.25 * u, base - 1.4 * u), (x + 0.15 * u, base - 1.8 * u),
                (x - 0.15 * u, base - 1.8 * u)], (250, 228, 170))  # fmt: skip
    if dice.chance(0.6):  # a rug
        rug = any_colour(dice)
        x, y = dice.between(0.2, 0.8) * w, base + (1 - base) * 0.6
        s.oval(x, y, 0.42 * w, 0.3 * (1 - base), shade(rug, 0.86))
        s.oval(x, y, 0.37 * w, 0.25 * (1 - base), mix(rug, (230, 222, 204), 0.4))
    return back


def kitchen(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    back = room(
        scene, dice, dice.pick(("tiles", "tiles", "planks")), ((206, 196, 180), (170, 150, 130), (150, 160, 164))
    )
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
    if dice.chance(0.7):  # the fridge
        x = dice.pick((0.02, 0.86)) * w
        steel = dice.pick(((206, 208, 210), (150, 154, 160), (60, 62, 66)))
        s.rect(x, base - 1.9 * u, x + 0.75 * u, base, steel)
        s.rect(x, base - 1.15 * u, x + 0.75 * u, base - 1.12 * u, shade(steel, 0.6))
        s.rect(x + 0.06 * u, base - 1.7 * u, x + 0.1 * u, base - 1.3 * u, shade(steel, 0.5), 0.02 * u)
    x = dice.between(0.3, 0.7) * w  # the stove
    s.rect(x, base - 0.92 * u, x + 0.65 * u, base - 0.05 * u, (72, 74, 78))
    s.rect(x + 0.08 * u, base - 0.6 * u, x + 0.57 * u, base - 0.2 * u, (30, 30, 34))
    for _ in range(5):
        x, h = dice.between(0, w), dice.between(0.1, 0.3) * u
        s.rect(x, base - 1.0 * u - h, x + 0.12 * u, base - 1.0 * u, any_colour(dice), 0.03 * u)
    return back


def office(scene: Scene, dice: Dice, s: Shapes) -> Backdrop:
    back = room(
        scene, dice, dice.pick(("noise", "tiles", "planks")), ((120, 128, 138), (150, 140, 128), (104, 110, 116))
    )
    u, w, base = scene.wall, scene.aspect, back.base
    _skirting(scene, s, back)
    if dice.chance(0.6):  # a window front with the town behind
        top, low = base - 2.5 * u, base - 0.9 * u
        s.rect(0, top, w, low, (178, 204, 226) if scene.lighting != "night" else (36, 44, 74))
        hills(s, dice, w, low, 0.8 * u, (128, 142, 158) if scene.lighting != "night" else (54, 58, 80), 1.0)
        for k in range(6):
            s.rect(w * k / 5 - 0.006, top, w * k / 5 + 0.006, low, (222, 222, 220))
    else:
        x = dice.between(0.1, 0.6) * w
        s.rect(x, base - 2.2 * u, x + 1.9 * u, base - 1.1 * u, (190, 192, 194))
        s.rect(x + 0.03 * u, base - 2.17 * u, x + 1.87 * u, base - 1.13 * u, (242, 243, 242))
        for _ in range(4):
            a, b = x + dice.between(0.2, 1.2) * u, base - dice.between(1.3, 2.0) * u
            s.rect(a, b, a + dice.between(0.2, 0.5) * u, b + 0.03 * u, any_colour(dice), 0.02 * u)
    if dice.chance(0.6):
        _shelf(dice, s, dice.between(0, 0.85) * w, base, u)
    for _ in range(1 + dice.below(3)):  # desks with screens along the wall
        x = dice.between(0, 0.85) * w
        desk = mix((176, 150, 120), any_colour(dice), 0.2)
        s.rect(x, base - 0.75 * u, x + 1.4 * u, base - 0.68 * u, desk)
        s.rect(x + 0.05 * u, base - 0.68 * u, x + 0.1 * u, base, shade(desk, 0.6))
        s.rect(x + 1.3 * u, base - 0.68 * u, x + 1.35 * u, base, shade(desk, 0.6))
        s.rect(x + 0.4 * u, base - 1.2 * u, x + 1.0 * u, base - 0.82 * u, (34, 36, 40))
        s.rect(x + 0.43 * u, base - 1.17 * u, x + 0.97 * u, base - 0.85 * u, mix((90, 140, 190), any_colour(dice), 0.3))
    s.rect(0, 0, w, max(0.0, base - 2.9 * u), shade(back.top, 1.3))
    for k in range(3):
        if base - 2.9 * u > 0.05:
            s.rect(
                w * (k + 0.25) / 3, (base - 2.9 * u) * 0.4, w * (k + 0.75) / 3, (base - 2.9 * u) * 0.6, (254, 252, 240)
            )
    return back


PAINTERS = {"living room": living_room, "kitchen": kitchen, "office": office}
