"""What a scene holds, as frozen data, and the questions whose answers are known: activity and factors."""

from dataclasses import dataclass

from har.synthetic.labels import LIGHTING, OBJECTS, PLACES
from har.synthetic.pose import Pose
from har.synthetic.shapes import Colour, Local


@dataclass(frozen=True)
class Person:
    """One body. x, y: the point on the ground below the pelvis, in scene units; scale: units per metre."""

    activity: str
    main: bool
    kind: str  # man, woman, boy, girl
    x: float
    y: float
    scale: float
    yaw: float  # radians; 0 faces the viewer, pi / 2 faces right
    pose: Pose
    running: bool
    seat: str  # what is sat on: "", ground, chair, bench, couch, step, wall, rock
    height: float  # over 1.72 m
    hips: float
    shoulders: float
    head_size: float
    girth: float
    skin: Colour
    hair: Colour
    hair_style: str  # short, long, bun, bald
    hat: str  # "", cap, brim
    top: str  # colour names
    bottom: str
    legwear: str  # trousers, shorts, skirt, dress
    sleeves: str  # long, short, none
    shoes: Colour
    backpack: str  # colour name or ""
    extra: str  # colour name of hat, bag, umbrella


@dataclass(frozen=True)
class Prop:
    """A thing or an animal. x, y: its point on the ground, in scene units; scale: units per metre."""

    kind: str
    x: float
    y: float
    scale: float
    yaw: float
    colour: str
    posture: str = ""  # animals: standing, sitting, walking, lying
    width: float = 1.0  # metres along the seat, for what several people share
    people: tuple[int, ...] = ()  # indices of who sits on it
    variant: float = 0.0  # free choice of details, in [0, 1)


@dataclass(frozen=True)
class Scene:
    """Everything an image shows and its captions may speak of. Coordinates hold at every image size."""

    seed: int
    image_id: int
    width: int
    height: int
    place: str
    lighting: str
    horizon: float  # y of the horizon, scene units
    camera: float  # height of the camera in metres: a point on the ground at `scale` lies at horizon + scale * camera
    wall: float  # scale at which a room ends, or the scenery stands
    people: tuple[Person, ...] = ()
    props: tuple[Prop, ...] = ()
    licence: int = 0
    detail: int = 0  # seeds what no caption speaks of: leaves, windows, grain

    @property
    def aspect(self) -> float:
        """Width over height."""
        return self.width / self.height

    @property
    def far(self) -> float:
        """y of the foot of the scenery, or of a room's wall."""
        return self.ground(self.wall)

    def ground(self, scale: float) -> float:
        """y of the ground where a metre is `scale` units."""
        return self.horizon + scale * self.camera

    def tilt(self, y: float) -> float:
        """Sine of the angle at which the camera looks down on a point on the ground at y."""
        return max(0.02, min(0.5, (y - self.horizon) / 1.35))

    def frame(self, one: Person | Prop) -> Local:
        """Its own axes in metres."""
        return Local(one.x, one.y, one.scale, one.yaw, self.tilt(one.y))


def activity(scene: Scene) -> str | None:
    """The activity of the main people, None where there are none or they differ."""
    seen = sorted({p.activity for p in scene.people if p.main})
    return seen[0] if len(seen) == 1 else None


def carried(scene: Scene) -> list[tuple[int, str]]:
    """(person index, object kind) of what people hold in a hand or wear on the back."""
    return [
        (i, kind)
        for i, person in enumerate(scene.people)
        for kind in (person.pose.holds, "backpack" if person.backpack else "")
        if kind
    ]


def factors(scene: Scene) -> dict[str, int]:
    """Labels without the activity: place, lighting, bucket of the number of people, presence of each object.

    Keys and class counts are those of `FACTORS`.
    """
    count = len(scene.people)
    bucket = count if count < 3 else (3 if count < 5 else 4)
    present = {prop.kind for prop in scene.props} | {kind for _, kind in carried(scene)}
    labels = {"place": PLACES.index(scene.place), "lighting": LIGHTING.index(scene.lighting), "people": bucket}
    return labels | {name: int(name in present) for name in OBJECTS}
