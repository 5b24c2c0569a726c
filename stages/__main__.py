"""Run one stage: `python -m stages train activity clip`, as dvc.yaml does; with HAR_WARM=0 in a process that loads
everything itself."""

import sys
from pathlib import Path

from har.core import warm
from stages.lib.guard import guard


def main() -> None:
    stages = {path.stem for path in Path(__file__).parent.glob("[a-z]*.py")}
    if len(sys.argv) < 2 or sys.argv[1] not in stages:
        sys.exit("usage: python -m stages STAGE [ARGUMENT...], as in dvc.yaml")
    guard()  # before anything takes long, and also where a server runs the stage for us
    warm.run(["stages.lib.run", *sys.argv[1:]])


if __name__ == "__main__":
    main()
