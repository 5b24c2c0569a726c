"""Where a training stands, in a file from which a later process goes on as if nothing had happened."""

import time
import zipfile
from pathlib import Path

import torch

from har.core.files import replacing

# Of a training's time, what keeping its state may take.
SHARE = 0.02
# Seconds that keeping takes, before it was measured: no training that takes less than a second is kept half done.
EXPECTED = 0.02


class Progress:
    """The state of `parts` (model, optimiser, schedule: what has a state_dict), of torch's random numbers, and what
    else the training loop carries from epoch to epoch. file: None keeps nothing.

    An epoch is kept where that takes less than SHARE of the time since the last one that was; so an interruption costs
    one epoch, or 1 / SHARE times what keeping costs where epochs are shorter than that.
    """

    def __init__(self, file: Path | None, **parts):
        self.file, self.parts = file, parts
        self.cost, self.since = EXPECTED, time.perf_counter()

    def resume(self, *carried):
        """What was carried when the state was kept, after putting it back; `carried` itself where there is none."""
        if self.file is None or not self.file.exists():
            return carried
        try:
            with zipfile.ZipFile(self.file) as members:
                if spoilt := members.testzip():  # torch doesn't look at their checksums
                    raise ValueError(f"{spoilt} is not as it was written")
            state = torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception:  # spoilt by the disk, which is told in many ways: from the start
            return carried
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        _set_random(state["random"])
        return state["carried"]

    def save(self, *carried) -> None:
        """Keep the state, if it is time to."""
        start = time.perf_counter()
        if self.file is None or start - self.since < self.cost / SHARE:
            return
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        try:
            with replacing(self.file) as temporary:
                torch.save({"parts": parts, "random": _random(), "carried": carried}, temporary)
        except (OSError, RuntimeError):  # torch's word for a full disk: training itself needs none
            self.file = None
            return
        self.since = time.perf_counter()
        self.cost = self.since - start


def _random() -> dict[str, torch.Tensor]:
    """The state of the generators that torch.manual_seed sets."""
    found = {"cpu": torch.get_rng_state()}
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        found["cuda"] = torch.cuda.get_rng_state()
    if torch.backends.mps.is_available():
        found["mps"] = torch.mps.get_rng_state()
    return found


def _set_random(state: dict[str, torch.Tensor]) -> None:
    torch.set_rng_state(state["cpu"])
    if "cuda" in state:
        torch.cuda.set_rng_state(state["cuda"])
    if "mps" in state:
        torch.mps.set_rng_state(state["mps"])
