"""Drawing animals: dog, cat, horse and cow on four legs, and a bird; standing, walking, sitting or lying."""

from dataclasses import replace
from math import pi, sin

from har.synthetic.labels import COLOURS
from har.synthetic.random import Dice
from har.synthetic.scene import Prop
from har.synthetic.shapes import Shapes, mix, shade

# Metres: shoulder height, trunk length, trunk radius, neck length, head length, leg radius, tail length.
_BUILD = {
    "dog": (0.46, 0.5, 0.125, 0.2, 0.2, 0.042, 0.3), "cat": (0.26, 0.34, 0.09, 0.08, 0.13, 0.03, 0.3),
    "horse": (1.25, 1.25, 0.32, 0.75, 0.5, 0.085, 0.7), "cow": (1.1, 1.3, 0.38, 0.36, 0.42, 0.085, 0.6),
}  # fmt: skip


def _quadruped(prop: Prop, s: Shapes) -> None:
    tall, long, r, neck, head, leg, tail = _BUILD[prop.kind]
    # Turned towards the viewer an animal looks shorter; less than half would be unreadable.
    squeeze = max(0.6, abs(sin(prop.yaw))) * (1 if sin(prop.yaw) >= 0 else -1)
    pen, dice = s.beside(prop.x, prop.y, prop.scale, squeeze), Dice(int(prop.variant * 1e6))
    coat, sitting, small = COLOURS[prop.colour], prop.posture == "sitting", prop.kind in ("dog", "cat")
    dark = shade(coat, 0.7)
    rump, chest = (-long / 2, tall - r * 0.7), (long / 2, tall - r * 0.7)
    if sitting:
        rump, chest = (-long * 0.3, r * 1.15), (long * 0.2, tall * 0.92)
    elif prop.posture == "lying":
        rump, chest = (-long / 2, r), (long / 2, r * 1.1)
    swing = 0.34 * tall if prop.posture == "walking" else 0.04 * tall

    def draw_leg(root: tuple[float, float], far: bool, phase: float) -> None:
        x, y = root[0] + (0.06 if far else -0.06) * long, root[1]
        ink = shade(coat, 0.62) if far else coat
        if prop.posture == "lying":
            pen.limb((x, r * 0.45), (x + 0.28 * long, leg), leg, leg, ink)
        elif sitting and root is rump:
            pen.limb((x, r * 0.9), (x + 0.25 * long, r * 0.75), r * 0.72, r * 0.5, ink)
            pen.limb((x + 0.18 * long, leg), (x + 0.42 * long, leg), leg, leg, ink)
        elif sitting:
            pen.limb((x, y), (x + 0.05 * long, leg), leg * 1.3, leg, ink)
        else:
            knee = (x + phase * 0.55 + 0.03 * tall, y * 0.5)
            pen.limb((x, y), knee, leg * 1.7, leg * 1.1, ink)
            pen.limb(knee, (x + phase, leg), leg * 1.1, leg, ink)

    draw_leg(rump, True, swing)
    draw_leg(chest, True, -swing)
    up, bend = 0.9 if small else -0.6, dice.between(0.3, 0.9)
    root = (rump[0] - r * 0.6, rump[1] + r * 0.3)
    pen.limb(root, (root[0] - tail * 0.5, root[1] + tail * up * bend), 0.3 * r, 0.2 * r, dark)
    pen.limb(rump, chest, r * 1.15 if sitting else r, r * 0.95 if sitting else r * 1.04, coat)
    if prop.kind == "cow":
        for _ in range(4):
            spot = pen.at(dice.between(rump[0], chest[0]), rump[1] + dice.normal(0, 0.1))
            wide = 0.2 * prop.scale * abs(squeeze)
            s.oval(*spot, wide, 0.14 * prop.scale, mix(coat, (240, 236, 230), 0.85))
    draw_leg(rump, False, -swing)
    draw_leg(chest, False, swing)
    poll = (chest[0] + neck * 0.62, chest[1] + neck * (0.8 if prop.kind != "cow" else 0.25) + r * 0.3)
    pen.limb((chest[0], chest[1] + r * 0.2), poll, r * 0.72, r * 0.52, coat)
    hr = head * 0.36
    muzzle = (poll[0] + head * 0.7, poll[1] - head * (0.2 if small else 0.55))
    if prop.kind == "horse":
        pen.limb((chest[0] - 0.1, chest[1] + 0.3), (poll[0] - 0.08, poll[1] + 0.1), 0.1, 0.08, dark)
    pen.limb(poll, muzzle, hr * 1.1, hr * 0.62, coat)
    if prop.kind == "cat":
        pen.limb(poll, poll, hr * 1.5, hr * 1.5, coat)
    ear = 0.55 if prop.kind != "dog" else -0.35
    for off in (-0.35, 0.25):
        tip = (poll[0] + off * hr - 0.3 * hr, poll[1] + hr * (1.1 + ear))
        pen.blob((poll[0] + off * hr, poll[1] + hr * 0.6), tip, hr * 0.32, dark)
    pen.oval(poll[0] + hr * 0.6, poll[1] + hr * 0.15, hr * 0.16, hr * 0.18, (20, 18, 18), fine=hr * 0.16)
    pen.oval(muzzle[0] + hr * 0.4, muzzle[1], hr * 0.26, hr * 0.24, (36, 30, 30), fine=hr * 0.2)


def _bird(prop: Prop, s: Shapes) -> None:
    pen = s.beside(prop.x, prop.y, prop.scale * 1.25, 1 if sin(prop.yaw) >= 0 else -1)
    coat = COLOURS[prop.colour]
    stride = 0.05 if prop.posture == "walking" else 0.015
    for off in (-stride, stride):
        pen.capsule((off * 0.4, 0.12), (off, 0.0), 0.009, 0.009, (206, 130, 50))
    pen.poly([(-0.12, 0.2), (-0.3, 0.13), (-0.28, 0.2), (-0.08, 0.27)], shade(coat, 0.6))
    pen.limb((-0.06, 0.18), (0.07, 0.22), 0.085, 0.075, coat)
    pen.blob((-0.18, 0.17), (0.05, 0.24), 0.05, shade(coat, 0.72))
    pen.limb((0.12, 0.3), (0.12, 0.31), 0.055, 0.055, coat)
    pen.poly([(0.165, 0.32), (0.24, 0.295), (0.165, 0.28)], (222, 150, 50))
    pen.oval(0.135, 0.32, 0.012, 0.012, (20, 18, 18), fine=0.012)


def draw_animal(prop: Prop, s: Shapes) -> None:
    """Append an animal to the shapes; birds come in small flocks."""
    reach = _BUILD.get(prop.kind, (0, 0.4))[1] * prop.scale
    s.oval(prop.x, prop.y, reach * 0.7, reach * 0.12, (0, 0, 0, 70))
    if prop.kind != "bird":
        _quadruped(prop, s)
        return
    for k in range(1 + int(prop.variant * 3)):
        shift = 0.5 * k * prop.scale * (1 if k % 2 else -1)
        _bird(replace(prop, x=prop.x + shift, yaw=prop.yaw + k * pi * (k % 2)), s)
