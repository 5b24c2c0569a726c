"""A display list: flat shapes in scene units, back to front, drawn later at any size.

Scene units: y runs down from 0 to 1 over the image height; x uses the same unit, from 0 to width / height.
Each solid shape carries a code, owner * 64 + part, so that one pass can draw colours and another the owners.
"""

from collections.abc import Sequence
from copy import copy
from math import cos, pi, sin

Colour = tuple[int, int, int]
Ink = tuple[int, ...]  # RGB, or RGBA for what only tints (shadows, glows)
XY = tuple[float, float]
Point = tuple[float, float, float]  # forward, left, up in metres

_CIRCLE = [(cos(i * pi / 7), sin(i * pi / 7)) for i in range(14)]
_SMOOTH = [(cos(i * pi / 20), sin(i * pi / 20)) for i in range(40)]  # for what is large enough to show corners


def shade(colour: Colour, factor: float) -> Colour:
    """Darker (< 1) or lighter (> 1, towards white) by a factor."""
    r, g, b = colour
    if factor <= 1:
        return int(r * factor), int(g * factor), int(b * factor)
    t = min(1.0, factor - 1)
    return int(r + (255 - r) * t), int(g + (255 - g) * t), int(b + (255 - b) * t)


def mix(a: Colour, b: Colour, t: float) -> Colour:
    """a at t = 0, b at t = 1."""
    return int(a[0] + (b[0] - a[0]) * t), int(a[1] + (b[1] - a[1]) * t), int(a[2] + (b[2] - a[2]) * t)


def hull(points: Sequence[XY]) -> list[XY]:
    """Convex hull, counter-clockwise (Andrew's monotone chain)."""
    ordered = sorted(points)

    def half(run: Sequence[XY]) -> list[XY]:
        out: list[XY] = []
        for x, y in run:
            while len(out) > 1:
                (ax, ay), (bx, by) = out[-2], out[-1]
                if (bx - ax) * (y - ay) - (by - ay) * (x - ax) > 0:
                    break
                out.pop()
            out.append((x, y))
        return out[:-1]

    return half(ordered) + half(ordered[::-1])


def inset(outline: Sequence[XY], factor: float, shift: float) -> list[XY]:
    """An outline shrunk about its middle and moved towards the light."""
    cx, cy = sum(x for x, _ in outline) / len(outline), sum(y for _, y in outline) / len(outline)
    return [(cx + (x - cx) * factor - shift, cy + (y - cy) * factor - shift) for x, y in outline]


class Shapes:
    """Collects shapes in drawing order. `fine` shapes are details lost, and skipped, at small sizes.

    Lengths are scene units; those of `beside` are metres from a point, to the right and up.
    """

    def __init__(self) -> None:
        # kind "c": six capsule numbers; "p": flat coordinates; "r": rectangle corners.
        self.items: list[tuple[str, Sequence[float], Ink, int, float]] = []
        self.code = 0
        self.x, self.y, self.unit, self.up, self.stretch = 0.0, 0.0, 1.0, 1.0, 1.0

    def beside(self, x: float, y: float, unit: float, stretch: float = 1.0) -> "Shapes":
        """The same list, drawn to in metres from (x, y): a metre is `unit` high and `unit * stretch` wide."""
        shapes = copy(self)
        shapes.x, shapes.y, shapes.unit, shapes.up, shapes.stretch = x, y, unit, -unit, stretch
        return shapes

    def at(self, a: float, b: float) -> XY:
        """A point in scene units."""
        return self.x + a * self.unit * self.stretch, self.y + b * self.up

    def _add(self, kind: str, numbers: Sequence[float], ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        self.items.append((kind, numbers, ink, self.code + part, fine))

    def capsule(self, a: XY, b: XY, ra: float, rb: float, ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """A limb from a (radius ra) to b (radius rb)."""
        self._add("c", (*self.at(*a), ra * self.unit, *self.at(*b), rb * self.unit), ink, part, fine * self.unit)

    def limb(self, a: XY, b: XY, ra: float, rb: float, colour: Colour, part: int = 0) -> None:
        """A capsule with a dark rim on the shadow side: separates limbs that cross."""
        (ax, ay), (bx, by), ra, rb = self.at(*a), self.at(*b), ra * self.unit, rb * self.unit
        self._add("c", (ax, ay, ra * 1.06, bx, by, rb * 1.06), shade(colour, 0.66), part)
        d, e = ra * 0.16, rb * 0.16
        self._add("c", (ax - d, ay - d, ra * 0.84, bx - e, by - e, rb * 0.84), colour, part, ra * 0.3)

    def stub(self, a: XY, b: XY, ra: float, rb: float, colour: Colour, part: int = 0) -> None:
        """Repaints the lit side of a limb near its end b: hides the rim where the next bone joins it."""
        (ax, ay), (bx, by) = a, b
        t = max(0.0, 1 - 2.2 * rb / (((bx - ax) ** 2 + (by - ay) ** 2) ** 0.5 + 1e-6))
        x, y, r = ax + (bx - ax) * t, ay + (by - ay) * t, ra + (rb - ra) * t
        d, e = r * 0.16, rb * 0.16
        self._add("c", (x - d, y - d, r * 0.84, bx - e, by - e, rb * 0.84), colour, part, rb * 0.3)

    def poly(self, points: Sequence[XY], ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """A filled polygon."""
        self._add("p", [v for point in points for v in self.at(*point)], ink, part, fine * self.unit)

    def rect(self, x0: float, y0: float, x1: float, y1: float, ink: Ink, fine: float = 0.0) -> None:
        """An upright rectangle."""
        (x0, y0), (x1, y1) = self.at(x0, y0), self.at(x1, y1)
        self._add("r", (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), ink, fine=fine * self.unit)

    def oval(self, x: float, y: float, rx: float, ry: float, ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """An upright ellipse."""
        (x, y), rx, ry = self.at(x, y), rx * self.unit, ry * self.unit
        circle = _CIRCLE if rx < 0.07 else _SMOOTH
        self._add("p", [v for c, s in circle for v in (x + rx * c, y + ry * s)], ink, part, fine * self.unit)

    def blob(self, a: XY, b: XY, width: float, ink: Ink) -> None:
        """An ellipse whose long axis runs from a to b."""
        (ax, ay), (bx, by) = self.at(*a), self.at(*b)
        mx, my, ux, uy = (ax + bx) / 2, (ay + by) / 2, (bx - ax) / 2, (by - ay) / 2
        norm = (ux * ux + uy * uy) ** 0.5 or 1e-6
        vx, vy = -uy / norm * (width * self.unit), ux / norm * (width * self.unit)
        self._add("p", [v for c, s in _CIRCLE for v in (mx + ux * c + vx * s, my + uy * c + vy * s)], ink)


class Local:
    """Projects metres around a point on the ground into scene units: yaw, then a camera tilted down.

    Weak perspective: one scale for the whole thing. `tilt` is the sine of the camera's angle; it is what makes
    a thigh that points at the viewer come out short and low.
    """

    def __init__(self, x: float, y: float, scale: float, yaw: float, tilt: float) -> None:
        self.x, self.y, self.scale, self.tilt = x, y, scale, tilt
        self.cos, self.sin = cos(yaw), sin(yaw)
        self.level = (1 - tilt * tilt) ** 0.5

    def at(self, f: float, l: float, u: float) -> tuple[float, float, float]:
        """(forward, left, up) in metres -> x, y in scene units and depth in metres (larger is nearer)."""
        across = f * self.sin + l * self.cos
        near = f * self.cos - l * self.sin
        x, y = self.x + self.scale * across, self.y - self.scale * (u * self.level - near * self.tilt)
        return x, y, near * self.level + u * self.tilt

    def xy(self, f: float, l: float, u: float) -> XY:
        """As `at`, without the depth."""
        return self.at(f, l, u)[:2]

    def rod(self, shapes: Shapes, a: Point, b: Point, ra: float, rb: float, ink: Ink) -> None:
        """A capsule between two points, all in metres."""
        shapes.capsule(self.xy(*a), self.xy(*b), ra * self.scale, rb * self.scale, ink)

    def box(self, shapes: Shapes, f: XY, l: XY, u: XY, colour: Colour) -> None:
        """A cuboid given by its extents in metres; only the faces turned to the viewer are drawn."""
        front = f[1] if self.cos > 0 else f[0]  # the face across `forward` that the viewer sees
        flank = l[0] if self.sin > 0 else l[1]
        top = [(f[0], l[0], u[1]), (f[1], l[0], u[1]), (f[1], l[1], u[1]), (f[0], l[1], u[1])]
        faces = [(top, 1.06)]
        if abs(self.sin) > 0.03:
            face = [(f[0], flank, u[0]), (f[1], flank, u[0]), (f[1], flank, u[1]), (f[0], flank, u[1])]
            faces.insert(0, (face, 0.58 + 0.24 * abs(self.sin)))
        if abs(self.cos) > 0.03:
            face = [(front, l[0], u[0]), (front, l[1], u[0]), (front, l[1], u[1]), (front, l[0], u[1])]
            faces.insert(0, (face, 0.62 + 0.28 * abs(self.cos)))
        for face, light in faces:
            shapes.poly([self.xy(*corner) for corner in face], shade(colour, light))
