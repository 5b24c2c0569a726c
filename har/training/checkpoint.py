"""The state of a training after an epoch, in a file from which a later process goes on as if undisturbed."""

import time
import zipfile
from pathlib import Path

import torch

from har.core.files import replacing


class Checkpoint:
    """The state of `parts` (model, optimiser, schedule: what has a state_dict) and of torch's random numbers in `file`;
    None keeps nothing."""

    def __init__(self, file: Path | None, **parts):
        self.file, self.parts = file, parts
        self.due = time.monotonic() + 1.0

    def load(self) -> tuple | None:
        """What `save` was given, after putting the state back; None where there is no file, a damaged one or one of
        another device."""
        try:
            with zipfile.ZipFile(self.file) as members:
                if members.testzip():  # torch does not look at its checksums
                    return None
            state = torch.load(self.file, map_location="cpu", weights_only=True)
        except Exception:  # damage shows in many ways
            return None
        generators = _random()
        if len(generators) != len(state["random"]):  # begun on a device that is not in use now
            return None
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        for module, numbers in zip(generators, state["random"], strict=True):
            module.set_rng_state(numbers)
        return state["carried"]

    def save(self, *carried) -> None:
        """Keep the state and what else the loop carries, unless that was done within the last second, or takes more
        than 2 % of the time."""
        start = time.monotonic()
        if self.file is None or start < self.due:
            return
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        random = [module.get_rng_state() for module in _random()]
        try:
            with replacing(self.file) as temporary:
                torch.save({"parts": parts, "random": random, "carried": carried}, temporary)
        except (OSError, RuntimeError):  # a full disk: training itself needs none
            self.file = None
        end = time.monotonic()
        self.due = end + max(1.0, 50 * (end - start))


def _random() -> list:
    """The modules whose generators torch.manual_seed sets, of the devices in use."""
    cuda = [torch.cuda] if torch.cuda.is_available() and torch.cuda.is_initialized() else []
    return [torch, *cuda, *([torch.mps] if torch.backends.mps.is_available() else [])]
