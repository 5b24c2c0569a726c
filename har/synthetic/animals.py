"""Drawing animals: dog, cat, horse and cow on four legs, and a bird; standing, walking, sitting or lying."""

from math import pi, sin

from har.synthetic.labels import COLOURS
from har.synthetic.random import Dice
from har.synthetic.scene import Prop, Scene
from har.synthetic.shapes import XY, Shapes, mix, shade

# Metres: shoulder height, trunk length, trunk radius, neck length, head length, leg radius, tail length.
_BUILD = {
    "dog": (0.46, 0.5, 0.125, 0.2, 0.2, 0.042, 0.3), "cat": (0.26, 0.34, 0.09, 0.08, 0.13, 0.03, 0.3),
    "horse": (1.25, 1.25, 0.32, 0.75, 0.5, 0.085, 0.7), "cow": (1.1, 1.3, 0.38, 0.36, 0.42, 0.085, 0.6),
}  # fmt: skip


def _quadruped(prop: Prop, s: Shapes) -> None:
    tall, long, r, neck, head, leg, tail = _BUILD[prop.kind]
    u = prop.scale
    # Turned towards the viewer an animal looks shorter; less than half would be unreadable.
    squeeze = max(0.6, abs(sin(prop.yaw))) * (1 if sin(prop.yaw) >= 0 else -1)
    coat = COLOURS[prop.colour]
    dark = shade(coat, 0.7)
    dice = Dice(int(prop.variant * 1e6))

    def at(a: float, b: float) -> XY:
        return prop.x + a * u * squeeze, prop.y - b * u

    rump, chest = (-long / 2, tall - r * 0.7), (long / 2, tall - r * 0.7)
    if prop.posture == "sitting":
        rump, chest = (-long * 0.3, r * 1.15), (long * 0.2, tall * 0.92)
    elif prop.posture == "lying":
        rump, chest = (-long / 2, r), (long / 2, r * 1.1)
    swing = 0.34 * tall if prop.posture == "walking" else 0.04 * tall
    legs = []
    for k, (x, y) in enumerate((rump, chest, rump, chest)):
        phase = swing * (1 if k in (0, 3) else -1)
        legs.append((x + (0.06 if k < 2 else -0.06) * long, y, phase))

    def draw_leg(k: int) -> None:
        x, y, phase = legs[k]
        ink = shade(coat, 0.62) if k < 2 else coat
        if prop.posture == "lying":
            s.limb(at(x, r * 0.45), at(x + 0.28 * long, leg), leg * u, leg * u, ink)
        elif prop.posture == "sitting" and k in (0, 2):
            s.limb(at(x, r * 0.9), at(x + 0.25 * long, r * 0.75), r * 0.72 * u, r * 0.5 * u, ink)
            s.limb(at(x + 0.18 * long, leg), at(x + 0.42 * long, leg), leg * u, leg * u, ink)
        elif prop.posture == "sitting":
            s.limb(at(x, y), at(x + 0.05 * long, leg), leg * 1.3 * u, leg * u, ink)
        else:
            knee = (x + phase * 0.55 + 0.03 * tall, y * 0.5)
            s.limb(at(x, y), at(*knee), leg * 1.7 * u, leg * 1.1 * u, ink)
            s.limb(at(*knee), at(x + phase, leg), leg * 1.1 * u, leg * u, ink)

    draw_leg(0)
    draw_leg(1)
    up = 0.9 if prop.kind in ("dog", "cat") else -0.6
    bend = dice.between(0.3, 0.9)
    root = (rump[0] - r * 0.6, rump[1] + r * 0.3)
    s.limb(at(*root), at(root[0] - tail * 0.5, root[1] + tail * up * bend), 0.3 * r * u, 0.2 * r * u, dark)
    if prop.posture == "sitting":
        s.limb(at(*rump), at(*chest), r * 1.15 * u, r * 0.95 * u, coat)
    else:
        s.limb(at(*rump), at(*chest), r * u, r * 1.04 * u, coat)
    if prop.kind == "cow":
        for _ in range(4):
            a = dice.between(rump[0], chest[0])
            s.oval(
                *at(a, rump[1] + dice.normal(0, 0.1)),
                0.2 * u * abs(squeeze),
                0.14 * u,
                mix(coat, (240, 236, 230), 0.85),
            )
    draw_leg(2)
    draw_leg(3)
    rise = 0.8 if prop.kind != "cow" else 0.25
    poll = (chest[0] + neck * 0.62, chest[1] + neck * rise + r * 0.3)
    s.limb(at(chest[0], chest[1] + r * 0.2), at(*poll), r * 0.72 * u, r * 0.52 * u, coat)
    hr = head * 0.36
    drop = 0.2 if prop.kind in ("dog", "cat") else 0.55
    muzzle = (poll[0] + head * 0.7, poll[1] - head * drop)
    if prop.kind == "horse":
        s.limb(at(chest[0] - 0.1, chest[1] + 0.3), at(poll[0] - 0.08, poll[1] + 0.1), 0.1 * u, 0.08 * u, dark)
    s.limb(at(*poll), at(*muzzle), hr * 1.1 * u, hr * 0.62 * u, coat)
    if prop.kind == "cat":
        s.limb(at(*poll), at(*poll), hr * 1.5 * u, hr * 1.5 * u, coat)
    ear = 0.55 if prop.kind != "dog" else -0.35
    for off in (-0.35, 0.25):
        s.blob(
            at(poll[0] + off * hr, poll[1] + hr * 0.6),
            at(poll[0] + off * hr - 0.3 * hr, poll[1] + hr * (1.1 + ear)),
            hr * 0.32 * u,
            dark,
        )
    s.oval(*at(poll[0] + hr * 0.6, poll[1] + hr * 0.15), hr * 0.16 * u, hr * 0.18 * u, (20, 18, 18), fine=hr * 0.16 * u)
    s.oval(*at(muzzle[0] + hr * 0.4, muzzle[1]), hr * 0.26 * u, hr * 0.24 * u, (36, 30, 30), fine=hr * 0.2 * u)


def _bird(prop: Prop, s: Shapes) -> None:
    u = prop.scale * 1.25
    way = 1 if sin(prop.yaw) >= 0 else -1
    coat = COLOURS[prop.colour]

    def at(a: float, b: float) -> XY:
        return prop.x + a * u * way, prop.y - b * u

    stride = 0.05 if prop.posture == "walking" else 0.015
    for off in (-stride, stride):
        s.capsule(at(off * 0.4, 0.12), at(off, 0.0), 0.009 * u, 0.009 * u, (206, 130, 50))
    s.poly([at(-0.12, 0.2), at(-0.3, 0.13), at(-0.28, 0.2), at(-0.08, 0.27)], shade(coat, 0.6))
    s.limb(at(-0.06, 0.18), at(0.07, 0.22), 0.085 * u, 0.075 * u, coat)
    s.blob(at(-0.18, 0.17), at(0.05, 0.24), 0.05 * u, shade(coat, 0.72))
    s.limb(at(0.12, 0.3), at(0.12, 0.31), 0.055 * u, 0.055 * u, coat)
    s.poly([at(0.165, 0.32), at(0.24, 0.295), at(0.165, 0.28)], (222, 150, 50))
    s.oval(*at(0.135, 0.32), 0.012 * u, 0.012 * u, (20, 18, 18), fine=0.012 * u)


def draw_animal(scene: Scene, prop: Prop, s: Shapes) -> None:
    """Append an animal to the shapes."""
    reach = _BUILD.get(prop.kind, (0, 0.4))[1] * prop.scale
    s.oval(prop.x, prop.y, reach * 0.7, reach * 0.12, (0, 0, 0, 70))
    if prop.kind == "bird":
        for k in range(1 + int(prop.variant * 3)):
            shift = 0.5 * k * prop.scale * (1 if k % 2 else -1)
            moved = Prop(
                prop.kind, prop.x + shift, prop.y, prop.scale, prop.yaw + k * pi * (k % 2), prop.colour, prop.posture
            )
            _bird(moved, s)
    else:
        _quadruped(prop, s)
