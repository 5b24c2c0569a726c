"""The graph: deps name all the code that a stage runs, and the stages stay thin."""

import ast
from pathlib import Path

import pytest
import yaml

GRAPH = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
STAGES = {name: s.get("do", s) for name, s in GRAPH.items()}


def module_files(name: str) -> list[Path]:
    """Files that importing `name` runs: the packages on its way and the module itself."""
    parts, found = name.split("."), []
    for depth in range(1, len(parts) + 1):
        base = Path(*parts[:depth])
        if (base / "__init__.py").exists():
            found.append(base / "__init__.py")
        elif base.with_suffix(".py").exists():
            found.append(base.with_suffix(".py"))
    return found


def imports(file: Path) -> set[Path]:
    """Project files that `file` imports anywhere, also inside functions."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            if name.split(".")[0] in ("har", "stages"):
                found.update(module_files(name))
    return found


def closure(file: Path) -> set[Path]:
    seen, todo = set(), {file}
    while todo:
        now = todo.pop()
        seen.add(now)
        todo |= imports(now) - seen
    # empty packages carry no behaviour
    return {f for f in seen if f.name != "__init__.py" or len(ast.parse(f.read_text()).body) > 1}


@pytest.mark.parametrize("name", STAGES)
def test_deps_cover_the_import_closure(name):
    stage = STAGES[name]
    script = Path(stage["cmd"].split()[2].replace(".", "/")).with_suffix(".py")
    deps = [Path(d) for d in stage["deps"]]
    code = closure(script)
    missing = sorted(str(f) for f in code if not any(f == d or d in f.parents for d in deps))
    assert not missing, f"dvc.yaml, stage {name}: deps lack {', '.join(missing)}"
    surplus = sorted(
        str(d) for d in deps
        if d.parts[0] in ("har", "stages") and d.exists() and not any(f == d or d in f.parents for f in code)
        and d.name != "__init__.py"
    )  # fmt: skip
    assert not surplus, f"dvc.yaml, stage {name}: deps name {', '.join(surplus)}, which it does not import"


@pytest.mark.parametrize("file", sorted(Path("stages").glob("*.py")), ids=str)
def test_stage_files_stay_thin(file):
    assert len(file.read_text().splitlines()) < 100


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_says_what_it_is(name):
    assert STAGES[name].get("desc"), f"dvc.yaml, stage {name}: no desc"


def test_har_imports_point_one_way():
    """No cycle between modules of har, and nothing in har knows the stages."""
    graph = {f: imports(f) - {f} for f in Path("har").rglob("*.py")}
    assert not [f for f, used in graph.items() if any(u.parts[0] == "stages" for u in used)]
    done: set[Path] = set()

    def visit(file: Path, path: tuple[Path, ...]) -> None:
        assert file not in path, f"cycle: {' -> '.join(map(str, (*path, file)))}"
        if file not in done and file.name != "__init__.py":
            for used in graph.get(file, ()):
                if used.name != "__init__.py":
                    visit(used, (*path, file))
            done.add(file)

    for file in graph:
        visit(file, ())


def test_dvc_itself_reads_the_graph():
    from dvc.repo import Repo

    with Repo() as repo:
        names = {stage.addressing for stage in repo.index.stages}
    assert {"check", "pretrain@clip", "train@activity-clip", "augment", "tables"} <= names
