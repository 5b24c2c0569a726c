"""`make faults MOMENTS=100`: in a folder of its own, which a second call goes on with."""

import argparse
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from faults import disk, kills, network, report
from faults.project import clone, lost, repro, snapshot


def main() -> int:
    parser = argparse.ArgumentParser(prog="faults", description=__doc__)
    parser.add_argument("--moments", type=int, default=100, help="at which dvc repro is killed (default: 100)")
    parser.add_argument("--seed", type=int, default=2017, help="of the moments, the victims and the network's faults")
    parser.add_argument(
        "--folder", type=Path, default=Path("build/faults"), help="for the clones (default: build/faults)"
    )
    parser.add_argument("--report", type=Path, default=Path("reports/faults.md"))
    parser.add_argument("--minutes", type=float, default=60, help="after which the kills are given up (default: 60)")
    parser.add_argument("--only", choices=["kills", "disk", "network"], help="one kind of fault, and no report")
    parser.add_argument("targets", nargs="*", help="stages to run (default: all), as in dvc repro")
    asked = parser.parse_args()
    folder, begun = asked.folder.resolve(), time.monotonic()
    settings = {
        "commit": commit_of("har", "stages", "dvc.yaml", "params.yaml", "tests/harness/faults/project.py"),
        "seed": asked.seed,
        "moments": asked.moments,
        "targets": asked.targets,
    }
    if subprocess.run(["git", "status", "--porcelain", "--untracked-files=no"], capture_output=True, check=True).stdout:
        print("faults: what is not committed is not tried")

    memo = folder / "settings.json"
    before = json.loads(memo.read_text()) if memo.exists() else {}
    if {**before, "moments": 0} != {**settings, "moments": 0}:
        shutil.rmtree(folder, ignore_errors=True)
    elif before["moments"] != asked.moments:  # other moments, the same undisturbed run
        shutil.rmtree(folder / "killed", ignore_errors=True)
        (folder / "moments.jsonl").unlink(missing_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    memo.write_text(json.dumps(settings))

    stages, truth = undisturbed(folder, asked.targets)
    whole = sum(seconds for _, seconds in stages)
    print(f"undisturbed: {len(stages)} stages, {whole:.0f} s, {len(truth)} results", flush=True)
    struck, missing, net, full = [], {}, None, None
    if asked.only in (None, "kills"):
        killed = folder / "killed"
        if not killed.exists():
            clone(Path.cwd(), killed)
        moments = kills.plan(stages, asked.moments, asked.seed)
        options = {"targets": asked.targets, "limit": 60 * asked.minutes}
        struck = kills.suffer(killed, moments, truth, folder / "moments.jsonl", **options)
        missing = lost(killed, truth)
        print(f"killed: {len(struck)} moments, {sum(missing.values())} bytes lost in {len(missing)} files", flush=True)
    if asked.only in (None, "network"):
        place = folder / "network"
        net = once(
            place, network.Fetched, lambda: network.suffer(folder / "undisturbed", place, kills=3, seed=asked.seed)
        )
        print(
            f"network: {net.whole} of {net.files} files whole, {sum(net.seen.values())} faults, {net.runs} runs",
            flush=True,
        )
    if asked.only in (None, "disk"):
        place = folder / "full"
        full = once(place, disk.Full, lambda: disk.suffer(Path.cwd(), place, truth, asked.targets))
        print(f"full: {len(full.told)} times, {sum(full.lost.values())} bytes lost", flush=True)

    results = (len(truth), sum(size for _, size in truth.values()))
    spent = folder / "seconds"  # of all calls
    spent.write_text(str(time.monotonic() - begun + (float(spent.read_text()) if spent.exists() else 0.0)))
    seconds = (whole, float(spent.read_text()))
    found = report.Found(asked.seed, len(stages), seconds, results, struck, missing, net, full)
    for failure in found.failures:
        print(f"faults: {failure}")
    if asked.only is None:
        print(report.write(found, asked.report))
    return 1 if found.failures else 0


def once(place: Path, kind: type, suffer: Callable):
    """What `suffer` gives, a `kind`; kept beside `place`, where it works, for a second call."""
    memo = place.with_suffix(".json")
    if not memo.exists():
        shutil.rmtree(place, ignore_errors=True)
        memo.write_text(json.dumps(vars(suffer())))
    return kind(**json.loads(memo.read_text()))


def commit_of(*paths: str) -> str:
    """The last commit that changed one of `paths`."""
    asked = ["git", "rev-list", "-1", "HEAD", "--", *paths]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


def undisturbed(folder: Path, targets: list[str]) -> tuple[list[tuple[str, float]], dict]:
    """Each stage with its seconds, and all results, of one run that nothing disturbs; kept for a second call."""
    memo = folder / "undisturbed.json"
    if not memo.exists():
        shutil.rmtree(folder / "undisturbed", ignore_errors=True)
        made = clone(Path.cwd(), folder / "undisturbed")
        stages = [(name, seconds) for name, seconds, _ in repro(made, *targets)]
        memo.write_text(json.dumps({"stages": stages, "results": snapshot(made)}))
    known = json.loads(memo.read_text())
    stages = [(name, seconds) for name, seconds in known["stages"]]
    return stages, {name: tuple(result) for name, result in known["results"].items()}


if __name__ == "__main__":
    sys.exit(main())
