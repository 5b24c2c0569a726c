"""A small generated world that speaks COCO: illustrated scenes of people, drawn from (seed, image id).

    scene = sample_scene(seed=7, image_id=42)
    pixels = render(scene)                     # uint8 [height, width, 3]
    sentences = captions(scene)                # five
    files = coco_annotations(7, [42])          # captions, boxes, masks and keypoints as COCO's files hold them

Equal arguments give equal scenes, pixels, captions and annotations, in any order and any process.
"""

from har.synthetic.annotations import coco_annotations
from har.synthetic.captions import captions, vocabulary
from har.synthetic.labels import ACTIVITIES, FACTORS, PLACES
from har.synthetic.render import render
from har.synthetic.sample import sample_scene
from har.synthetic.scene import Scene, activity, factors

__all__ = [
    "ACTIVITIES", "FACTORS", "PLACES", "Scene", "activity", "captions", "coco_annotations", "factors", "render",
    "sample_scene", "vocabulary",
]  # fmt: skip
