"""A trained ViT, or CLIP on its patches, opens with transformers alone, and gives the same probabilities."""

import json
import subprocess
import sys
import textwrap

import pytest
from projects import IMAGES

from har.app.export import export
from har.app.predict import load

# run with -I and from elsewhere, and this project blocked: nothing of it can help
ALONE = """
import json, sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"har", "stages"}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Blocked())
import torch
torch.set_num_threads(1)
from transformers import AutoImageProcessor, pipeline
options = {}
if sys.argv[2]:
    options["image_processor"] = AutoImageProcessor.from_pretrained(sys.argv[1], backend=sys.argv[2])
classify = pipeline("image-classification", model=sys.argv[1], device="cpu", **options)
try:
    import har
except ModuleNotFoundError:
    print(json.dumps([{one["label"]: one["score"] for one in classify(photo, top_k=99)} for photo in sys.argv[3:]]))
"""


def alone(folder, files, tmp_path, backend="") -> list[dict]:
    command = [sys.executable, "-I", "-c", textwrap.dedent(ALONE), str(folder), backend, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def largest_difference(mine, others) -> float:
    return max(
        abs(one.probabilities[name] - other[name]) for one, other in zip(mine, others, strict=True) for name in other
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["vit", "clip_patches"])
def test_the_hub_s_pipeline_gives_the_same_probabilities(project, tmp_path, model):
    files = [project / f"data/sample/images/{i:012d}.jpg" for i in IMAGES]
    folder = tmp_path / "kept"
    export(f"activity-{model}", folder, root=project)
    default = alone(folder, files, tmp_path)
    # the store's short side and torchvision's rounding are what is left without, and they are small
    ours = load(folder)
    assert largest_difference(ours.predict(files), default) < 0.1
    if model == "vit":  # Pillow resizes, as this project does: then our own reading at full size is the same
        ours.short_side = None
        assert largest_difference(ours.predict(files), alone(folder, files, tmp_path, backend="pil")) < 1e-5
