"""Can it be seen what a scene's main people do? A rule on their joints, as the camera sees them.

A walker who comes straight at the camera looks like one who stands; legs out of the picture or behind a bush tell
nothing; and where bystanders fill more of the picture, it shows what they do. The thresholds were chosen on 300 scenes
judged by eye, and tried on 320 further ones: both are in har/studies/audit/judged.csv.
"""

from collections.abc import Mapping
from math import atan2, degrees
from typing import Any

import numpy as np

from har.synthetic.keypoints import HELD_CODE, PACK_CODE, PERSON_CODE, Joint, joints
from har.synthetic.pose import SHANK, THIGH
from har.synthetic.scene import Person, Scene

_SIDES = ("left", "right")
_SMALLEST = 0.1  # a leg's length, in heights of the picture
# Walking shows from here on: degrees between the legs and of the more bent knee, and how far one ankle lies above the
# other, in lengths of a leg. In 200 of the scenes people who stood had at most 13, 44 and 0.21.
_APART, _BENT, _RAISED = 24.0, 45.0, 0.35
_STRAIGHT = 30.0  # degrees: with a knee bent further, one who stands seems to take a step


def visible(scene: Scene, codes: np.ndarray | None = None, regions: Mapping[int, dict[str, Any]] | None = None) -> bool:
    """Whether somebody plainly shows each activity of the main people; True where there are none.

    Without codes (`render.owners`) and regions (each owner's visible `area` in pixels, by its number) nothing is taken
    to hide anything: quick, and False only where it is False with them.
    """
    main = {i: person for i, person in enumerate(scene.people) if person.main}
    shown = {person.activity for i, person in main.items() if _shows(scene, i, codes)}
    doings = {person.activity for person in main.values()}
    if shown != doings or regions is None:
        return shown == doings
    areas = [regions.get(PERSON_CODE + i, {"area": 0.0})["area"] for i in range(len(scene.people))]
    others = sum(area for area, person in zip(areas, scene.people, strict=True) if person.activity not in doings)
    return others <= sum(areas[i] for i in main)


def _shows(scene: Scene, index: int, codes: np.ndarray | None) -> bool:
    """Whether one person's legs are large, in the picture, behind nothing, and posed as the activity's are."""
    person = scene.people[index]
    if (THIGH + SHANK) * person.height * person.scale < _SMALLEST:
        return False
    body = joints(scene, person)
    own = (PERSON_CODE + index, HELD_CODE + index, PACK_CODE + index)

    def clear(joint: str) -> list[bool]:
        found = []
        for side in _SIDES:
            x, y = (v * scene.height for v in body[f"{side}_{joint}"][:2])
            inside = 0 <= x < scene.width and 0 <= y < scene.height
            found.append(inside and (codes is None or codes[int(y), int(x)] >> 6 in own))
        return found

    hips, knees, ankles = clear("hip"), clear("knee"), clear("ankle")
    if person.activity == "sitting":
        return sum(hips + knees + ankles) >= 4
    apart, bent, raised = _stance(person, body)
    steps = apart >= _APART or bent >= _BENT or raised >= _RAISED
    return all(knees + ankles) and (steps if person.activity == "walking_running" else bent <= _STRAIGHT)


def _stance(person: Person, body: dict[str, Joint]) -> tuple[float, float, float]:
    """In the picture: degrees between the legs and of the more bent knee, how far one ankle lies above the other."""

    def direction(start: str, end: str, side: str) -> float:
        (ax, ay, _), (bx, by, _) = body[f"{side}_{start}"], body[f"{side}_{end}"]
        return degrees(atan2(bx - ax, by - ay))

    def between(one: float, other: float) -> float:
        return abs((one - other + 180) % 360 - 180)

    apart = between(*(direction("hip", "ankle", side) for side in _SIDES))
    bent = max(between(direction("hip", "knee", side), direction("knee", "ankle", side)) for side in _SIDES)
    leg = (THIGH + SHANK) * person.height * person.scale
    return apart, bent, abs(body["left_ankle"][1] - body["right_ankle"][1]) / leg
