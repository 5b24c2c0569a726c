"""A small generated world that speaks COCO: illustrated scenes of people, drawn from (seed, image id).

    scene = sample_scene(seed=7, image_id=42)
    pixels = render(scene)                     # uint8 [height, width, 3]
    sentences = captions(scene)                # five
    people = person_annotations(scene)         # COCO boxes, masks, keypoints

Equal arguments give equal scenes, pixels, captions and annotations, in any order and any process.
"""

from har.world.captions import captions, vocabulary
from har.world.coco import coco_annotations, person_annotations
from har.world.labels import ACTIVITIES, ANIMALS, FACTORS, INDOOR, LIGHTING, OBJECTS, PEOPLE_BUCKETS, PLACES
from har.world.render import render
from har.world.sample import sample_scene
from har.world.scene import Scene, activity, factors

__all__ = [
    "ACTIVITIES", "ANIMALS", "FACTORS", "INDOOR", "LIGHTING", "OBJECTS", "PEOPLE_BUCKETS", "PLACES", "Scene",
    "activity", "captions", "coco_annotations", "factors", "person_annotations", "render", "sample_scene", "vocabulary",
]  # fmt: skip
