"""Put in order what a killed DVC left in a project. What DVC itself puts right is left to it.

The one module here that knows of DVC, and of its files alone.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import yaml

from har.core.files import write_json, write_text

LOCK, TMP = Path("dvc.lock"), Path(".dvc/tmp")
LEFT = re.compile(r"\..*\.(\d+)-\d+\.part(\..*)?|\..*\.part")  # har.core.files.temporary_beside, har.data.download


def recover(root: Path, copy: Path, made: Iterable[Path]) -> list[str]:
    """What was put right, a sentence each. Nothing is touched while another DVC is at work in the project `root`.

    copy: a copy of dvc.lock, of when the last stage started; made: folders in which stages write.
    """
    with undisturbed(root) as alone:
        if not alone:
            return []
        return [*lock_file(root, copy), *rwlock(root), *git_index(root), *leftovers(made)]


@contextmanager
def undisturbed(root: Path) -> Iterator[bool]:
    """Holds DVC's own lock, so that none starts meanwhile; False where one is at work."""
    (root / TMP).mkdir(parents=True, exist_ok=True)
    with open(root / TMP / "lock", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)  # as zc.lockfile, which DVC uses
        except OSError:
            yield False
            return
        # while it runs a stage DVC lets go of that lock and holds entries in rwlock
        yield not any(is_dvc(holder["pid"]) for _, holder in holders(read_rwlock(root)))


def is_dvc(pid: int) -> bool:
    """Whether a process of that number is a DVC: after a restart of the machine it is another's."""
    try:
        return any(Path(word).name == "dvc" or word == "dvc.cli" for word in psutil.Process(pid).cmdline())
    except psutil.Error:
        return False


def maker(root: Path, path: Path) -> str:
    """Who writes `path` in the project `root` at this moment, in words; empty where nobody does."""
    for name, holder in holders({"write": (read_rwlock(root) or {}).get("write", {})}):
        if Path(name) == path.resolve() and is_dvc(holder["pid"]):
            return f"process {holder['pid']} ({holder['cmd']}) is making it now"
    return ""


# --- dvc.lock ------------------------------------------------------------------------------------------------


def is_whole(text: str) -> bool:
    """Whether `text` is a dvc.lock as DVC writes it, to its last line."""
    try:
        stages = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))["stages"]
        files = [file for stage in stages.values() for kind in ("deps", "outs") for file in stage.get(kind, [])]
        known = all("cmd" in stage for stage in stages.values()) and all("path" in file for file in files)
        hashes = [file["md5"] for file in files if "md5" in file]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError):
        return False
    return known and text.endswith("\n") and all(re.fullmatch(r"[0-9a-f]{32}(\.dir)?", str(md5)) for md5 in hashes)


def is_start(text: str, whole: str) -> bool:
    """Whether the stages of `text` are the first ones of `whole`, and not all: a cut between two of them."""
    stages = [re.findall(r"^  (\S.*):$", one, re.MULTILINE) for one in (text, whole)]
    return len(stages[0]) < len(stages[1]) and stages[0] == stages[1][: len(stages[0])]


def lock_file(root: Path, copy: Path) -> list[str]:
    """DVC writes dvc.lock in place; one that a kill cut short is replaced by the copy that the last stage made."""
    lock = root / LOCK
    if not lock.exists():
        return []
    text = lock.read_text(encoding="utf-8", errors="replace")
    last = copy.read_text(encoding="utf-8") if copy.exists() else ""
    found = subprocess.run(["git", "show", f"HEAD:./{LOCK}"], cwd=root, capture_output=True, text=True, check=False)
    if (found.returncode == 0 and text == found.stdout) or (is_whole(text) and not is_start(text, last)):
        return []
    for whole, when in ((last, "when the last stage started"), (found.stdout, "in the last commit")):
        if is_whole(whole):
            write_text(lock, whole)
            return [f"dvc.lock was cut short; it is again as it was {when}"]
    lock.unlink()
    return ["dvc.lock was cut short and there was no copy of it: all stages are looked at anew"]


# --- who reads and writes what -----------------------------------------------------------------------------------


def read_rwlock(root: Path) -> dict | None:
    """DVC's list of who reads and writes which path; {} without one, None where it is no such list."""
    path = root / TMP / "rwlock"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        list(holders(found))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, KeyError, TypeError):
        return None
    return found


def holders(rwlock: dict | None) -> Iterator[tuple[str, dict]]:
    """Path and {pid, cmd} of each entry."""
    for kind in ("write", "read"):
        for path, held in (rwlock or {}).get(kind, {}).items():
            for holder in held if isinstance(held, list) else [held]:
                yield path, {"pid": int(holder["pid"]), "cmd": holder["cmd"]}


def rwlock(root: Path) -> list[str]:
    """Entries of a process that is gone DVC drops itself, but not where another process has its number by now, nor
    where the list is cut short."""
    path, found = root / TMP / "rwlock", read_rwlock(root)
    if found is None:
        path.unlink()
        return [f"{path} was cut short; removed"]
    if dead := {holder["pid"] for _, holder in holders(found)}:  # none of them a DVC: undisturbed has looked
        write_json(path, {})
        return [f"{path} named process {', '.join(map(str, sorted(dead)))}, which is no dvc any more; emptied"]
    return []


# --- what else is left -----------------------------------------------------------------------------------------


def git_index(root: Path) -> list[str]:
    """DVC adds dvc.lock to git's index; killed meanwhile it leaves git's own lock."""
    found = subprocess.run(
        ["git", "rev-parse", "--absolute-git-dir"], cwd=root, capture_output=True, text=True, check=False
    )
    lock = Path(found.stdout.strip() or ".") / "index.lock"
    if found.returncode or not lock.exists() or any(one.name() == "git" for one in psutil.process_iter(["name"])):
        return []
    lock.unlink()
    return [f"{lock} was left by a process that is gone; removed"]


def leftovers(made: Iterable[Path]) -> list[str]:
    """Unfinished files of processes that are gone."""
    count = 0
    for top in made:
        for folder, folders, files in os.walk(top):
            for name in [*files, *folders]:
                match = LEFT.fullmatch(name)
                if match and not (match[1] and psutil.pid_exists(int(match[1]))):
                    path = Path(folder, name)
                    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
                    count += 1
            folders[:] = [name for name in folders if not LEFT.fullmatch(name)]
    return [f"{count} unfinished files of killed processes removed"] if count else []
