"""Run one stage: `python -m stages train activity clip`, as dvc.yaml does; `python -m stages.train activity clip` does
the same in a process that loads everything itself."""

import sys
from pathlib import Path

from har.core import warm


def main() -> None:
    if len(sys.argv) < 2 or not Path(__file__).with_name(f"{sys.argv[1]}.py").exists():
        sys.exit("usage: python -m stages STAGE [ARGUMENT...], as in dvc.yaml")
    warm.run([f"stages.{sys.argv[1]}", *sys.argv[2:]])


if __name__ == "__main__":
    main()
