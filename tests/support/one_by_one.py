"""Predictions that, as those of har.evaluation.stored_predictions, are made anew when asked for; two at a time fail
the test."""

import weakref
from collections.abc import Mapping


class OneByOne(Mapping):
    def __init__(self, frames):
        self.frames, self.last = frames, lambda: None

    def __getitem__(self, key):
        assert self.last() is None, f"another frame is in memory when {key} is asked for"
        frame = self.frames[key].copy()
        self.last = weakref.ref(frame)
        return frame

    def __iter__(self):
        return iter(self.frames)

    def __len__(self):
        return len(self.frames)
