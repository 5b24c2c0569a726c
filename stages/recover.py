"""Put in order what a killed DVC left; `make repro` does so before it runs: `python -m stages.recover`."""

from pathlib import Path

from har.core.recovery import recover
from stages.guard import COPY

# beside the copy downloads wait to be gone on with
made = [path for path in (*Path("data").glob("*/"), Path("reports")) if path != COPY.parent]
for line in recover(Path(), COPY, made):
    print(f"recovered: {line}")
