"""A display list: flat shapes in scene units, back to front, drawn later at any size.

Scene units: y runs down from 0 to 1 over the image height; x uses the same unit, from 0 to width / height.
Each solid shape carries a code, owner * 64 + part, so that one pass can draw colours and another the owners.
"""

from collections.abc import Sequence
from math import cos, pi, sin

Colour = tuple[int, int, int]
Ink = tuple[int, ...]  # RGB, or RGBA for what only tints (shadows, glows)
XY = tuple[float, float]

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
    """Collects shapes in drawing order. `fine` shapes are details lost, and skipped, at small sizes."""

    def __init__(self) -> None:
        # kind "c": six capsule numbers; "p": flat coordinates; "r": rectangle corners.
        self.items: list[tuple[str, Sequence[float], Ink, int, float]] = []
        self.code = 0

    def capsule(self, a: XY, b: XY, ra: float, rb: float, ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """A limb from a (radius ra) to b (radius rb)."""
        self.items.append(("c", (a[0], a[1], ra, b[0], b[1], rb), ink, self.code + part, fine))

    def limb(self, a: XY, b: XY, ra: float, rb: float, colour: Colour, part: int = 0) -> None:
        """A capsule with a dark rim on the shadow side: separates limbs that cross."""
        self.items.append(("c", (a[0], a[1], ra * 1.06, b[0], b[1], rb * 1.06), shade(colour, 0.66),
                           self.code + part, 0.0))  # fmt: skip
        d, e = ra * 0.16, rb * 0.16
        self.items.append(("c", (a[0] - d, a[1] - d, ra * 0.84, b[0] - e, b[1] - e, rb * 0.84), colour,
                           self.code + part, ra * 0.3))  # fmt: skip

    def stub(self, a: XY, b: XY, ra: float, rb: float, colour: Colour, part: int = 0) -> None:
        """Repaints the lit side of a limb near its end b: hides the rim where the next bone joins it."""
        t = max(0.0, 1 - 2.2 * rb / (((b[0] - a[0]) ** 2 + (b[1] - a[1]) ** 2) ** 0.5 + 1e-6))
        x, y, r = a[0] + (b[0] - a[0]) * t, a[1] + (b[1] - a[1]) * t, ra + (rb - ra) * t
        self.items.append(("c", (x - r * 0.16, y - r * 0.16, r * 0.84, b[0] - rb * 0.16, b[1] - rb * 0.16, rb * 0.84),
                           colour, self.code + part, rb * 0.3))  # fmt: skip

    def poly(self, points: Sequence[XY], ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """A filled polygon."""
        flat = [v for point in points for v in point]
        self.items.append(("p", flat, ink, self.code + part, fine))

    def rect(self, x0: float, y0: float, x1: float, y1: float, ink: Ink, fine: float = 0.0) -> None:
        """An upright rectangle."""
        self.items.append(("r", (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), ink, self.code, fine))

    def oval(self, x: float, y: float, rx: float, ry: float, ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """An upright ellipse."""
        flat: list[float] = []
        for c, s in _CIRCLE if rx < 0.07 else _SMOOTH:
            flat += (x + rx * c, y + ry * s)
        self.items.append(("p", flat, ink, self.code + part, fine))

    def blob(self, a: XY, b: XY, width: float, ink: Ink, part: int = 0, fine: float = 0.0) -> None:
        """An ellipse whose long axis runs from a to b."""
        mx, my, ux, uy = (a[0] + b[0]) / 2, (a[1] + b[1]) / 2, (b[0] - a[0]) / 2, (b[1] - a[1]) / 2
        norm = (ux * ux + uy * uy) ** 0.5 or 1e-6
        vx, vy = -uy / norm * width, ux / norm * width
        flat: list[float] = []
        for c, s in _CIRCLE:
            flat += (mx + ux * c + vx * s, my + uy * c + vy * s)
        self.items.append(("p", flat, ink, self.code + part, fine))


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
        return (
            self.x + self.scale * across,
            self.y - self.scale * (u * self.level - near * self.tilt),
            near * self.level + u * self.tilt,
        )

    def xy(self, f: float, l: float, u: float) -> XY:
        """As `at`, without the depth."""
        across = f * self.sin + l * self.cos
        near = f * self.cos - l * self.sin
        return self.x + self.scale * across, self.y - self.scale * (u * self.level - near * self.tilt)

    def box(self, shapes: Shapes, f: tuple[float, float], l: tuple[float, float], u: tuple[float, float],
            colour: Colour) -> None:  # fmt: skip
        """A cuboid given by its extents in metres; only the faces turned to the viewer are drawn."""
        front = f[1] if self.cos > 0 else f[0]  # the face across `forward` that the viewer sees
        flank = l[0] if self.sin > 0 else l[1]
        corner = self.xy
        faces = []
        if abs(self.cos) > 0.03:
            face = [corner(front, l[0], u[0]), corner(front, l[1], u[0]), corner(front, l[1], u[1]),
                    corner(front, l[0], u[1])]  # fmt: skip
            faces.append((face, 0.62 + 0.28 * abs(self.cos)))
        if abs(self.sin) > 0.03:
            face = [corner(f[0], flank, u[0]), corner(f[1], flank, u[0]), corner(f[1], flank, u[1]),
                    corner(f[0], flank, u[1])]  # fmt: skip
            faces.append((face, 0.58 + 0.24 * abs(self.sin)))
        top = [corner(f[0], l[0], u[1]), corner(f[1], l[0], u[1]), corner(f[1], l[1], u[1]), corner(f[0], l[1], u[1])]
        faces.append((top, 1.06))
        for face, light in faces:
            shapes.poly(face, shade(colour, light))
