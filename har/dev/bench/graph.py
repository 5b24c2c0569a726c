"""DVC's own time: this graph with commands that do next to nothing, and a project of as many stages without any.

In the first a stage writes one small file for each of its outs; deps, params, matrices and outs are those of dvc.yaml.
In the second a stage has one dep and one out, the least with which DVC can tell that nothing changed.
"""

import re
import shutil
from pathlib import Path, PurePosixPath

import yaml

TEMPLATE = re.compile(r"\$\{[^}]*\}")
OWN = re.compile(r"\$\{(item\b|key\})")  # which only the stage itself knows, one of several that its entry stands for
KEPT = ("har", "stages", "docs", "params.yaml", ".dvcignore")
# What the others read their parameters from, and DVC empties before its stage: made by a copy.
PARAMS = "data/params.json"


def hollow(project: Path, folder: Path) -> int:
    """The graph of `project` in `folder`, with commands that only write; the number of its stages."""
    folder.mkdir(parents=True)
    for name in KEPT:
        source = project / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder / name)
    shutil.copy(project / "dvc.yaml", folder / "dvc.yaml")
    shutil.copy(project / PARAMS, folder / "params.json")
    (folder / "data").mkdir()
    shutil.copy(project / PARAMS, folder / PARAMS)
    graph = yaml.safe_load((folder / "dvc.yaml").read_text(encoding="utf-8"))
    listed = [stage.get("do", stage) for stage in graph["stages"].values()]
    deps = {dep for stage in listed for dep in stage["deps"] if not OWN.search(dep)} | asked_for(folder)
    for stage in listed:
        # one command: each line of a list would start a shell
        outs = [name_of(out) for out in (*stage["outs"], *stage.get("metrics", ()))]
        stage["cmd"] = " && ".join(line for out in outs for line in written(out, deps))
    (folder / "dvc.yaml").write_text(yaml.safe_dump(graph, sort_keys=False), encoding="utf-8")
    return stages(folder)


def empty(folder: Path, count: int) -> None:
    """A project of `count` stages, each from the same file to one of its own."""
    folder.mkdir(parents=True)
    (folder / "in.txt").write_text("in\n")
    listed = {f"stage{i}": {"cmd": f"echo > {i}.txt", "deps": ["in.txt"], "outs": [f"{i}.txt"]} for i in range(count)}
    (folder / "dvc.yaml").write_text(yaml.safe_dump({"stages": listed}), encoding="utf-8")


def name_of(out: str | dict) -> str:
    """An out's path; in dvc.yaml it may come with options."""
    return next(iter(out)) if isinstance(out, dict) else out


def written(out: str, deps: set[str]) -> list[str]:
    """Shell commands that make `out`: a file where its name has a suffix, else a folder with what other stages ask of
    it, or with one file."""
    if out == PARAMS:
        return ["mkdir -p data", f"cp params.json {PARAMS}"]
    if PurePosixPath(TEMPLATE.sub("x", out)).suffix:
        files = [out]
    else:
        files = sorted(dep for dep in deps if dep.startswith(f"{out}/")) or [f"{out}/one.txt"]
    folders = sorted({str(PurePosixPath(file).parent) for file in files})
    return [f"mkdir -p {' '.join(folders)}", *(f"echo > {file}" for file in files)]


def asked_for(folder: Path) -> set[str]:
    """The deps of all stages of the project in `folder`, templates filled in."""
    from dvc.repo import Repo

    with Repo(str(folder), uninitialized=True) as repo:
        return {dep.def_path for stage in repo.index.stages for dep in stage.deps}


def stages(folder: Path) -> int:
    """The number of stages of the project in `folder`, its matrices unrolled."""
    from dvc.repo import Repo

    with Repo(str(folder), uninitialized=True) as repo:
        return len(repo.index.stages)
