"""From a scene to pixels: the display list, its colours, and the map of who owns which pixel."""

import numpy as np
from PIL import Image, ImageChops, ImageDraw

from har.synthetic.animals import draw_animal
from har.synthetic.backdrop import Backdrop
from har.synthetic.body import draw_person
from har.synthetic.keypoints import PROP_CODE
from har.synthetic.labels import ANIMALS
from har.synthetic.places import PAINTERS
from har.synthetic.props import DRAWERS
from har.synthetic.random import Dice
from har.synthetic.scene import Scene
from har.synthetic.shapes import Shapes
from har.synthetic.texture import grain, light_map, paint_backdrop

_ARC = np.linspace(-np.pi / 2, np.pi / 2, 6)


def _shadow(shapes: Shapes, x: float, y: float, radius: float) -> None:
    shapes.oval(x, y, radius, radius * 0.3, (0, 0, 0, 60))
    shapes.oval(x, y, radius * 0.7, radius * 0.2, (0, 0, 0, 60), fine=radius * 0.1)


def compose(scene: Scene) -> tuple[Backdrop, Shapes]:
    """The backdrop and all shapes of a scene, back to front."""
    shapes = Shapes()
    backdrop = PAINTERS[scene.place](scene, Dice(scene.detail), shapes)
    # Things stand on one ground plane, so what has its foot lower in the picture is nearer. Seats come just before
    # their sitters when seen from the front and just after them from behind.
    order = [(person.y, True, i) for i, person in enumerate(scene.people)]
    for k, prop in enumerate(scene.props):
        feet = [scene.people[i].y for i in prop.people] or [prop.y]
        apart = 1e-6 if prop.people else 0.0
        order.append((max(feet) + apart if np.cos(prop.yaw) < -0.1 else min(feet) - apart, False, k))
    for _, is_person, index in sorted(order):
        if is_person:
            person = scene.people[index]
            wide = 0.36 if person.pose.seat is None else 0.5
            _shadow(shapes, person.x, person.y, wide * person.scale * person.height)
            draw_person(scene, index, shapes)
            continue
        prop = scene.props[index]
        shapes.code = (PROP_CODE + index) * 64
        if prop.kind in ANIMALS:
            draw_animal(prop, shapes)
        else:
            if prop.kind not in ("kite", "boat"):
                wide = 1.5 if prop.kind == "dining table" else max(prop.width, 0.6)
                _shadow(shapes, prop.x, prop.y, 0.45 * wide * prop.scale)
            DRAWERS[prop.kind](scene, prop, shapes)
        shapes.code = 0
    return backdrop, shapes


def _coordinates(shapes: Shapes, sx: float, sy: float) -> list[list[float]]:
    """Pixel coordinates of every shape, capsules turned into polygons all at once."""
    items = shapes.items
    caps = np.array([data for kind, data, *_ in items if kind == "c"], dtype=np.float64).reshape(-1, 6)
    ax, ay, ra, bx, by, rb = caps.T[:, :, None]
    angle = np.arctan2(by - ay, bx - ax)
    tip, tail = angle + _ARC, angle + _ARC + np.pi
    xs = np.concatenate([bx + rb * np.cos(tip), ax + ra * np.cos(tail)], axis=1) * sx
    ys = np.concatenate([by + rb * np.sin(tip), ay + ra * np.sin(tail)], axis=1) * sy
    capsules = iter(np.stack([xs, ys], axis=2).reshape(len(caps), 4 * len(_ARC)).tolist())
    out = []
    for kind, data, *_ in items:
        if kind == "c":
            out.append(next(capsules))
        else:
            flat = [v * sx for v in data]
            flat[1::2] = [v * sy for v in data[1::2]]
            out.append(flat)
    return out


def _draw(image: Image.Image, scene: Scene, shapes: Shapes, codes: bool = False) -> None:
    """Draw all shapes in their inks, or the solid ones in their codes."""
    sx, sy = image.width / scene.aspect, float(image.height)
    solid = ImageDraw.Draw(image)
    glass = None if codes else ImageDraw.Draw(image, "RGBA")  # blends inks that have an alpha
    for (kind, _, ink, code, fine), flat in zip(shapes.items, _coordinates(shapes, sx, sy), strict=True):
        draw = solid if len(ink) == 3 else glass
        if draw and not (fine and fine * sy < (0.5 if codes else 1.0)):
            (draw.rectangle if kind == "r" else draw.polygon)(flat, fill=code if codes else ink)


def render(scene: Scene, width: int | None = None, height: int | None = None) -> np.ndarray:
    """Draw a scene as uint8 [height, width, 3]; native size by default, any other squeezes it to fit."""
    width, height = width or scene.width, height or scene.height
    backdrop, shapes = compose(scene)
    over = 3 if max(width, height) <= 160 else 2
    large = (width * over, height * over)
    image = paint_backdrop(backdrop, scene, width, height).resize(large, Image.Resampling.NEAREST)
    _draw(image, scene, shapes)
    return grain(ImageChops.multiply(image.reduce(over), light_map(scene, width, height)), scene)


def owners(scene: Scene) -> np.ndarray:
    """Map of codes at the native size, int32 [height, width]: 0 for scenery, else owner * 64 + part."""
    image = Image.new("I", (scene.width, scene.height))
    _draw(image, scene, compose(scene)[1], codes=True)
    return np.asarray(image)
