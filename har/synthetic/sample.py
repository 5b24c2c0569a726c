"""Drawing a scene's content from (seed, image id): who does what, where, among which things."""

from dataclasses import replace
from math import exp, pi, radians

from har.synthetic.labels import ACTIVITIES, COLOURS, HAIRS, INDOOR, SIZES, SKINS
from har.synthetic.pose import Pose, sitting, standing, walking
from har.synthetic.random import Dice
from har.synthetic.scene import Person, Prop, Scene
from har.synthetic.shapes import Local

SEAT_HEIGHT = {"ground": 0.0, "chair": 0.45, "bench": 0.44, "couch": 0.42, "step": 0.36, "wall": 0.52, "rock": 0.4}
_GREEN = ("park", "field", "trail", "snow")
_SHARED = ("bench", "couch", "step", "wall")

# place -> weights of (walking, sitting, standing): every place hosts all three, with a mild bias as in life.
_PLACES = {
    "street": (1.3, 0.75, 1.0), "park": (1.0, 1.1, 0.9), "beach": (1.1, 0.95, 0.95), "field": (1.15, 0.85, 1.0),
    "living room": (0.75, 1.2, 1.0), "kitchen": (0.75, 1.0, 1.2), "office": (0.8, 1.2, 1.0),
    "platform": (1.0, 0.95, 1.1), "plaza": (1.1, 1.0, 0.95), "trail": (1.15, 0.95, 0.95), "snow": (1.1, 0.8, 1.1),
}  # fmt: skip
_SEATS = {
    "street": (("bench", 3), ("chair", 2), ("step", 2.5), ("wall", 2), ("ground", 1.5)),
    "park": (("bench", 4), ("ground", 3.5), ("chair", 1), ("wall", 1.2), ("rock", 1)),
    "beach": (("ground", 4), ("chair", 3), ("rock", 1.2), ("bench", 0.8), ("wall", 1)),
    "field": (("ground", 3.5), ("bench", 3), ("chair", 2), ("step", 1)),
    "living room": (("couch", 4), ("chair", 3), ("ground", 2)),
    "kitchen": (("chair", 5), ("ground", 1.5), ("bench", 1)),
    "office": (("chair", 5), ("couch", 2), ("ground", 1)),
    "platform": (("bench", 4), ("ground", 1.5), ("chair", 1), ("wall", 1.2), ("step", 1)),
    "plaza": (("step", 3), ("bench", 2.5), ("wall", 2), ("chair", 2), ("ground", 1.5)),
    "trail": (("rock", 3.5), ("ground", 3), ("bench", 1), ("wall", 0.8)),
    "snow": (("ground", 2.5), ("bench", 2), ("rock", 1.2), ("chair", 1.2), ("wall", 0.8)),
}  # fmt: skip
# Things that stand about, with how often. Empty seats are as common as taken ones.
_THINGS = {
    "street": (("car", 0.6), ("car", 0.3), ("bicycle", 0.22), ("traffic light", 0.3), ("stop sign", 0.16),
               ("bench", 0.2), ("chair", 0.12), ("bus", 0.12), ("potted plant", 0.1)),
    "park": (("bench", 0.42), ("bicycle", 0.18), ("kite", 0.12), ("sports ball", 0.15), ("chair", 0.1)),
    "beach": (("umbrella", 0.3), ("surfboard", 0.2), ("chair", 0.32), ("boat", 0.3), ("kite", 0.16),
              ("sports ball", 0.12), ("bench", 0.1)),
    "field": (("sports ball", 0.4), ("bench", 0.28), ("chair", 0.16), ("car", 0.1), ("kite", 0.08)),
    "living room": (("couch", 0.42), ("chair", 0.4), ("tv", 0.36), ("potted plant", 0.35), ("dining table", 0.22)),
    "kitchen": (("chair", 0.5), ("chair", 0.25), ("dining table", 0.45), ("potted plant", 0.2)),
    "office": (("chair", 0.5), ("dining table", 0.4), ("tv", 0.3), ("potted plant", 0.3), ("couch", 0.15)),
    "platform": (("bench", 0.45), ("suitcase", 0.32), ("bicycle", 0.08), ("chair", 0.08)),
    "plaza": (("bench", 0.3), ("bicycle", 0.2), ("chair", 0.26), ("potted plant", 0.15), ("suitcase", 0.08)),
    "trail": (("bench", 0.16), ("bicycle", 0.14)),
    "snow": (("bench", 0.25), ("car", 0.14), ("chair", 0.08)),
}  # fmt: skip
_BEASTS = {
    "street": (("dog", 5), ("cat", 2), ("bird", 2), ("horse", 1)), "park": (("dog", 5), ("bird", 3), ("horse", 1)),
    "beach": (("dog", 4), ("bird", 4), ("horse", 1)), "field": (("dog", 3), ("horse", 2), ("cow", 3), ("bird", 1)),
    "living room": (("dog", 4), ("cat", 5)), "kitchen": (("cat", 4), ("dog", 4)), "office": (("cat", 2), ("dog", 2)),
    "platform": (("dog", 3), ("bird", 2), ("cat", 1)), "plaza": (("bird", 4), ("dog", 4), ("cat", 1)),
    "trail": (("dog", 3), ("cow", 3), ("horse", 3)), "snow": (("dog", 4), ("horse", 2), ("bird", 1)),
}  # fmt: skip
_COATS = {"dog": ("brown", "black", "tan", "white", "gray"), "cat": ("orange", "black", "gray", "white", "tan"),
          "bird": ("gray", "white", "black", "brown"), "horse": ("brown", "black", "white", "tan"),
          "cow": ("black", "brown", "white", "tan")}  # fmt: skip
_BOTTOMS = (("navy", 3), ("blue", 3), ("black", 4), ("gray", 2), ("tan", 2), ("brown", 1.5), ("white", 1), ("green", 1),
            ("red", 0.6), ("purple", 0.4))  # fmt: skip


def _yaw(dice: Dice, doing: str) -> float:
    """Heading in radians. Every activity is seen from all sides; walkers somewhat more in profile."""
    front, slant, profile, back = {
        "walking_running": (0.22, 0.3, 0.36, 0.12), "sitting": (0.32, 0.32, 0.27, 0.09),
        "standing": (0.33, 0.3, 0.25, 0.12),
    }[doing]  # fmt: skip
    side = 1.0 if dice.chance(0.5) else -1.0
    kind = dice.weighted((("front", front), ("slant", slant), ("profile", profile), ("back", back)))
    low, high = {"front": (0, 28), "slant": (28, 62), "profile": (62, 108), "back": (125, 180)}[kind]
    return side * radians(dice.between(low, high))


def _looks(dice: Dice, place: str) -> dict:
    """A body and its clothes, as fields of a Person."""
    kind = dice.weighted((("man", 4), ("woman", 3.8), ("boy", 1.1), ("girl", 1.1)))
    female, young = kind in ("woman", "girl"), kind in ("boy", "girl")
    height = dice.between(0.6, 0.82) if young else dice.normal(0.97 if female else 1.04, 0.04)
    names = tuple(COLOURS)
    legwear = dice.weighted((("trousers", 6), ("shorts", 2.6), *((("skirt", 1.2), ("dress", 1.6)) if female else ())))
    if place == "snow" and legwear != "dress":
        legwear = "trousers"
    top = dice.pick(names)
    return dict(
        kind=kind, height=height, hips=0.1 if female else 0.092,
        shoulders=0.15 if young else (0.165 if female else 0.19),
        head_size=1.34 - 0.34 * (height - 0.6) / 0.4 if young else 1.0,
        legwear=legwear, top=top, bottom=top if legwear == "dress" else dice.weighted(_BOTTOMS),
        girth=dice.between(0.86, 1.22), skin=dice.pick(SKINS), hair=dice.pick(HAIRS),
        hair_style=dice.weighted((("long", 5), ("bun", 2), ("short", 2)) if female else (("short", 8), ("bald", 1))),
        hat=dice.weighted((("", 8), ("cap", 1.6), ("brim", 0.9))),
        sleeves="long" if place == "snow" else dice.weighted((("long", 4), ("short", 4.5), ("none", 1))),
        shoes=dice.pick(((40, 38, 40), (230, 228, 222), (96, 64, 42), (150, 40, 40), (60, 74, 110))),
        backpack=dice.pick(names) if dice.chance(0.12) else "", extra=dice.pick(names),
    )  # fmt: skip


def _pose(dice: Dice, doing: str, seat: str, running: bool) -> Pose:
    if doing == "sitting":
        return sitting(dice, SEAT_HEIGHT[seat])
    return walking(dice, running) if doing == "walking_running" else standing(dice)


def _prop(dice: Dice, scene: Scene, kind: str, x: float, scale: float, **more: object) -> Prop:
    """A thing on the ground of `scene`; more: fields that are not drawn at random."""
    drawn = {"yaw": _yaw(dice, "standing"), "colour": dice.pick(_COATS.get(kind, tuple(COLOURS))), "variant": dice.u()}
    return Prop(**{"kind": kind, "x": x, "y": scene.ground(scale), "scale": scale, **drawn, **more})


def _group(dice: Dice, scene: Scene, doings: list[str], x: float, scale: float, main: bool) -> Scene:
    """`scene` with people side by side around x: they share a heading and, sitting, often a seat."""
    count, people, props = len(doings), list(scene.people), list(scene.props)
    yaw, seat = _yaw(dice, doings[0]), dice.weighted(_SEATS[scene.place])
    if seat in _SHARED and count > 3:
        seat = "ground" if scene.place in INDOOR else "wall"
    running, gap = dice.chance(0.24), dice.between(0.56, 0.95)
    shared = seat in _SHARED and all(doing == "sitting" for doing in doings)
    ground = scene.ground(scale)
    base = Local(x, ground, scale, yaw, scene.tilt(ground))
    for i, doing in enumerate(doings):
        offset = i - (count - 1) / 2
        pose = _pose(dice, doing, seat, running)
        turn = yaw if shared else yaw + dice.normal(0, radians(16))
        if doing == "walking_running" and dice.chance(0.14):
            turn += pi
        if pose.holds == "umbrella" and scene.place in INDOOR:
            pose = replace(pose, holds="cell phone")
        looks, here = _looks(dice, scene.place), scale
        if shared:
            px, py = base.xy(0.0, offset * gap, 0.0)
        else:  # side by side in the picture, a little staggered in depth
            here = scale * (1 + dice.normal(0, 0.05) * (count > 1))
            px, py = x + offset * gap * 1.12 * scale, scene.ground(here)
        sits = doing == "sitting"
        if sits and not shared and seat != "ground":
            width = 1.5 if seat in _SHARED else 0.5
            props.append(_prop(dice, scene, seat, px, here, yaw=turn, width=width, people=(len(people),)))
        people.append(Person(
            activity=doing, main=main, x=px, y=py, scale=here, yaw=turn, pose=pose,
            running=running and doing == "walking_running", seat=seat if sits else "", **looks,
        ))  # fmt: skip
    if shared:
        width = max(1.35 if seat != "wall" else 2.4, count * gap + 0.35)
        sitters = tuple(range(len(scene.people), len(people)))
        props.append(_prop(dice, scene, seat, x, scale, yaw=yaw, width=width, people=sitters))
    return replace(scene, people=tuple(people), props=tuple(props))


def _animal(dice: Dice, scene: Scene, x: float, scale: float) -> Prop:
    kind = dice.weighted(_BEASTS[scene.place])
    postures = (("standing", 3), ("sitting", 3), ("walking", 2.4), ("lying", 1.2))
    if kind in ("horse", "cow"):
        postures = (("standing", 4), ("walking", 2.4))
    elif kind == "bird":
        postures = (("standing", 3), ("walking", 1.4))
    return _prop(dice, scene, kind, x, scale, posture=dice.weighted(postures))


def _doings(dice: Dice) -> list[str]:
    """Activities of the main people: usually one for all, one time in ten a mixture."""
    first = dice.weighted(tuple(zip(ACTIVITIES, (0.35, 0.33, 0.32), strict=True)))
    count = dice.weighted(((1, 0.54), (2, 0.25), (3, 0.13), (4, 0.06), (5, 0.02)))
    doings = [first] * count
    if dice.chance(0.1):
        other = dice.pick([a for a in ACTIVITIES if a != first])
        doings = [first] * max(1, count - 1) + [other] * (1 if count < 4 else 2)
    return doings


def _camera(dice: Dice, doings: list[str], place: str, aspect: float) -> tuple[float, float, float, float]:
    """Scale of the main people, horizon, height of the camera in metres, and scale at which the scenery stands."""
    # The main people's size comes first; the camera follows from where their feet should be.
    size = max(0.28, min(0.95, exp(dice.normal(-0.48, 0.33))))
    if len(doings) > 2:
        size = min(size, 0.68) * (0.95 if aspect > 1 else 0.72)
    scale = size / 1.66
    if doings and doings[0] == "sitting":
        scale *= 1.2
    scale = min(scale, 0.6)
    feet = dice.between(1.0, 1.14) if dice.chance(0.1) else dice.between(0.76, 0.985)
    horizon = max(0.16, min(0.6, feet - scale * dice.normal(1.5, 0.3)))
    wall = scale * dice.between(0.5, 0.78) if place in INDOOR else scale * dice.between(0.22, 0.42)
    return scale, horizon, (feet - horizon) / scale, wall


def _centre(dice: Dice, people: int, aspect: float, scale: float) -> float:
    """x of the middle of the main people, who stay in the picture where there is room."""
    centre = aspect * (dice.between(0.02, 0.98) if dice.chance(0.08) else dice.between(0.24, 0.76))
    spread = people * 0.8 * scale / 2
    if spread * 2 < aspect * 0.95:
        return max(spread * 0.8, min(aspect - spread * 0.8, centre))
    return aspect / 2


def _bystanders(dice: Dice, scene: Scene, scale: float) -> Scene:
    for _ in range(dice.weighted(((0, 0.55), (1, 0.25), (2, 0.13), (3, 0.07)))):
        far = max(scene.wall * 1.05, scale * dice.between(0.32, 0.62))
        doing = dice.weighted(tuple(zip(ACTIVITIES, (0.36, 0.32, 0.32), strict=True)))
        scene = _group(dice, scene, [doing], scene.aspect * dice.between(0.04, 0.96), far, main=False)
    return scene


def _things(dice: Dice, scene: Scene, centre: float, scale: float) -> list[Prop]:
    """What stands about besides the seats that are taken: things, at times an animal, at times something in front."""
    props, place, aspect = [], scene.place, scene.aspect
    for kind, often in _THINGS[place]:
        if dice.chance(often if scene.people else min(0.85, often * 1.8)):
            far = scale * dice.between(0.5, 0.96)
            if kind in ("car", "bus", "boat"):
                far = max(scene.wall, scale * dice.between(0.3, 0.55))
            x = aspect * dice.between(0.04, 0.96)
            if abs(x - centre) < 0.5 * scale and dice.chance(0.6):
                x = (x + aspect * 0.45) % aspect
            props.append(_prop(dice, scene, kind, x, far, width=1.5 if kind in _SHARED else 0.5))
    if dice.chance(0.17 if scene.people else 0.7) or not (scene.people or props):
        props.append(_animal(dice, scene, aspect * dice.between(0.1, 0.9), scale * dice.between(0.8, 1.12)))
    if scene.people and dice.chance(0.17):
        green = ("bush", "bush", "bench") if place in _GREEN else ("bench", "potted plant", "suitcase", "bicycle")
        kind = dice.pick(("dining table", "chair", "potted plant") if place in INDOOR else green)
        near, x = scale * dice.between(1.16, 1.42), centre + scale * dice.normal(0, 0.5)
        props.append(_prop(dice, scene, kind, x, near, yaw=dice.pick((pi, 0.0, 1.2)), width=1.4))
    return props


def sample_scene(seed: int, image_id: int) -> Scene:
    """The scene of an image id: equal arguments give an equal scene, on every platform and in any order."""
    dice = Dice(seed, image_id)
    width, height = dice.weighted(SIZES)
    doings = _doings(dice) if dice.chance(0.91) else []
    lead = ACTIVITIES.index(doings[0]) if doings else 2
    place = dice.weighted([(name, bias[lead]) for name, bias in _PLACES.items()])
    lights = (("noon", 0.46), ("overcast", 0.24), ("dusk", 0.18), ("night", 0.12))
    lighting = dice.weighted((("indoor", 0.8), ("night", 0.2)) if place in INDOOR else lights)
    scale, horizon, camera, wall = _camera(dice, doings, place, width / height)
    scene = Scene(
        seed=seed, image_id=image_id, width=width, height=height, place=place, lighting=lighting, horizon=horizon,
        camera=camera, wall=wall,
    )  # fmt: skip
    centre = _centre(dice, len(doings), scene.aspect, scale)
    if doings:
        scene = _bystanders(dice, _group(dice, scene, doings, centre, scale, main=True), scale)
    props = (*scene.props, *_things(dice, scene, centre, scale))
    licence = dice.weighted(((1, 24), (2, 13), (3, 30), (4, 19), (5, 9), (6, 4), (7, 0.6), (8, 0.4)))
    return replace(scene, props=props, licence=licence, detail=dice.below(1 << 30))
