"""Many models' predictions, read from their files when they are asked for, as they do not all fit into memory."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd

from har.evaluation.predictions import read_predictions

KEPT = 500_000  # rows that stay in memory, some 60 bytes each; those of the sample's models are 150,000 together


class StoredPredictions(Mapping):
    """(task, model) to its frame. What has been read stays, as long as it is at most KEPT rows together.

    files: (task, model) to its CSV file and classes. HarError, as of read_predictions, when a file is asked for.
    """

    def __init__(self, files: Mapping[tuple[str, str], tuple[Path, Sequence[str]]]):
        self.files = dict(files)
        self.kept: dict[tuple[str, str], pd.DataFrame] = {}
        self.rows = 0

    def __getitem__(self, key: tuple[str, str]) -> pd.DataFrame:
        if key in self.kept:
            return self.kept[key]
        frame = read_predictions(*self.files[key])
        if self.rows + len(frame) <= KEPT:
            self.kept[key] = frame
            self.rows += len(frame)
        return frame

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)
