"""What lies behind everything: sky or wall, ground, and their textures, as a few numbers; and shared scenery."""

from dataclasses import dataclass
from math import cos, pi, sin

from har.synthetic.labels import COLOURS
from har.synthetic.random import Dice
from har.synthetic.scene import Scene
from har.synthetic.shapes import Colour, Shapes, mix, shade


@dataclass(frozen=True)
class Backdrop:
    """Two gradients and two textures; `base` is the y at which the upper one ends."""

    base: float
    top: Colour
    low: Colour
    far: Colour
    near: Colour
    ground: str  # texture of the ground: noise, tiles, planks, stripes, cobbles
    clouds: float = 0.0  # how much cloud, 0 for a wall
    pattern: str = ""  # texture of a wall: "", stripes, bricks


_SKY = {
    "noon": ((84, 146, 214), (190, 218, 236)), "overcast": ((150, 160, 170), (206, 208, 208)),
    "dusk": ((92, 88, 146), (246, 172, 112)), "night": ((20, 26, 54), (62, 68, 104)),
}  # fmt: skip


def outdoors(scene: Scene, dice: Dice, base: float, far: Colour, near: Colour, ground: str) -> Backdrop:
    """Sky over ground, tinted at random so that no colour gives a place away."""
    top, low = _SKY[scene.lighting]
    tint = (dice.below(256), dice.below(256), dice.below(256))
    return Backdrop(
        base, mix(top, tint, 0.08), mix(low, tint, 0.06), mix(far, tint, 0.1), mix(near, tint, 0.1), ground,
        clouds=dice.between(0.0, 0.9) if scene.lighting != "night" else 0.1,
    )  # fmt: skip


def room(scene: Scene, dice: Dice, ground: str, floors: tuple[Colour, ...]) -> Backdrop:
    """A wall over a floor, with skirting drawn by the caller."""
    wall = mix((222, 214, 200), any_colour(dice), dice.between(0.05, 0.5))
    floor = mix(dice.pick(floors), any_colour(dice), 0.12)
    return Backdrop(
        scene.far, shade(wall, 0.92), wall, shade(floor, 0.8), floor, ground,
        pattern=dice.pick(("", "", "stripes", "bricks")),
    )  # fmt: skip


def any_colour(dice: Dice) -> Colour:
    """One of those that have a name."""
    return COLOURS[dice.pick(tuple(COLOURS))]


def tree(scene: Scene, dice: Dice, s: Shapes, x: float, u: float, leaf: Colour, kind: str = "round") -> None:
    """A tree standing at x where a metre is u units."""
    trunk, y = (92, 70, 54), scene.ground(u)
    pen = s.beside(x, y, u)
    if kind == "pine":
        pen.capsule((0, 0), (0, 1.2), 0.12, 0.1, trunk)
        for k in range(4):
            low, wide = y - (0.6 + 0.85 * k) * u, (1.3 - 0.27 * k) * u
            tone = shade(leaf, 0.72 + 0.09 * k)
            s.poly([(x - wide, low), (x + wide, low), (x, low - 1.5 * u)], tone)
            lit = [(x - wide * 0.9, low - 0.03 * u), (x, low - 0.03 * u), (x, low - 1.45 * u)]
            s.poly(lit, shade(tone, 1.12), fine=0.15 * u)
    elif kind == "palm":
        tip = (x + dice.normal(0, 0.4) * u, y - 3.4 * u)
        s.capsule((x, y), tip, 0.13 * u, 0.08 * u, (134, 104, 72))
        for k in range(7):
            a = pi * k / 6
            end = (tip[0] + 1.4 * u * cos(a), tip[1] - 0.5 * u * sin(a) + 0.35 * u)
            s.blob(tip, end, 0.16 * u, shade(leaf, 0.75 + 0.07 * k))
    else:
        pen.capsule((0, 0), (dice.normal(0, 0.1), 2.0), 0.16, 0.11, trunk)
        for k in range(8):
            dx, dy = dice.normal(0, 0.6), dice.normal(0, 0.45)
            pen.oval(dx, 2.7 + dy, 0.75, 0.62, shade(leaf, 0.68 + 0.055 * k))


def skyline(
    s: Shapes, dice: Dice, x0: float, x1: float, base: float, u: float, night: bool, metres: tuple[float, float]
) -> None:
    """A row of house fronts between x0 and x1 standing at y = base."""
    x, pane = x0, (236, 206, 130) if night else (92, 112, 130)
    while x < x1:
        wide, tall = dice.between(4, 8) * u, dice.between(*metres) * u
        face = mix((176, 160, 142), any_colour(dice), dice.between(0.1, 0.5))
        s.rect(x, base - tall, x + wide, base, face)
        s.rect(x, base - tall, x + wide, base - tall + 0.25 * u, shade(face, 0.7))
        for i in range(3):
            for k in range(max(1, min(5, int(tall / (2.4 * u))))):
                wx, wy = x + wide * (0.12 + 0.29 * i), base - tall + (0.9 + 2.2 * k) * u
                if wy + 1.2 * u < base - 1.5 * u:
                    lit = pane if not night or dice.chance(0.5) else (44, 48, 62)
                    s.rect(wx, wy, wx + wide * 0.19, wy + 1.2 * u, shade(lit, dice.between(0.8, 1.15)), 0.3 * u)
        if dice.chance(0.6):  # a shop front with an awning
            colour, low, high = any_colour(dice), base - 2.1 * u, base - 2.8 * u
            s.rect(x + 0.1 * wide, base - 2.3 * u, x + 0.9 * wide, base, (70, 84, 96))
            awning = [(x + 0.06 * wide, low), (x + 0.94 * wide, low), (x + 0.9 * wide, high), (x + 0.1 * wide, high)]
            s.poly(awning, colour)
        x += wide


def hills(s: Shapes, dice: Dice, aspect: float, base: float, tall: float, colour: Colour, rough: float) -> None:
    """A ridge across the picture, standing on y = base."""
    a, b, c = (dice.between(0, 2 * pi) for _ in range(3))
    line = []
    for i in range(19):
        x = aspect * i / 18
        y = 0.55 + 0.25 * sin(a + 3.1 * x) + 0.2 * rough * sin(b + 9 * x) + 0.12 * rough * sin(c + 23 * x)
        line.append((x, base - tall * max(0.02, y)))
    s.poly([*line, (aspect, base), (0.0, base)], colour)


def specks(s: Shapes, dice: Dice, scene: Scene, top: float, count: int, inks: tuple[Colour, ...], size: float) -> None:
    """Tufts, leaves or pebbles on the ground, larger towards the viewer."""
    for _ in range(count):
        t = dice.u() ** 0.7
        y = top + (1.0 - top) * t
        r = size * (0.15 + t)
        s.oval(dice.between(0, scene.aspect), y, r * 1.8, r * 0.6, dice.pick(inks), fine=r)
