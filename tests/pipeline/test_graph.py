"""The graph: deps name all the code that a stage runs, and the stages stay thin."""

import ast
import json
import re
from pathlib import Path

import pytest
import yaml
from dvc.repo import Repo
from pydantic import BaseModel

import har.config.data
import har.config.models
import har.config.report
import har.config.studies
import har.config.training
from har.config.profile import load_params
from har.config.settings import read, subset
from har.core.errors import HarError
from har.core.files import write_json
from har.core.sources import fingerprint
from stages.settings import keys

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
    """Without har/config, which decides whether a run starts and not what comes out."""
    seen, todo = set(), {file}
    while todo:
        now = todo.pop()
        seen.add(now)
        todo |= {used for used in imports(now) if Path("har/config") not in used.parents} - seen
    # empty packages carry no behaviour
    return {f for f in seen if f.name != "__init__.py" or len(ast.parse(f.read_text()).body) > 1}


def script_of(name: str) -> Path:
    return Path("stages", STAGES[name]["cmd"].split()[3]).with_suffix(".py")


@pytest.mark.parametrize("name", [name for name in STAGES if name != "check"])
def test_deps_cover_the_import_closure(name):
    """By way of data/stages/<stage>.json, which `check` writes: it names every file that the stage runs, with its
    hash."""
    stem = script_of(name).stem
    noted = [dep for dep in STAGES[name]["deps"] if re.match(rf"data/stages/{stem}[.-]", dep)]
    assert len(noted) == 1, f"dvc.yaml, stage {name}: deps lack data/stages/{stem}….json"
    files = sorted(Path("data/stages").glob(Path(re.sub(r"\$\{[^}]*\}", "*", noted[0])).name))
    now = fingerprint(script_of(name), leave_out=[Path("har/config")])
    codes = [json.loads(file.read_text())["code"] for file in files] or [now]  # none where `run` lists none
    named = set(map(Path, codes[0]))
    # what params.yaml may hold is `check`'s concern; what it holds is in each stage's settings
    code = closure(script_of(name))
    assert not code - named, f"{noted} lacks {', '.join(map(str, sorted(code - named)))}: run `dvc repro check`"
    assert all(one == now for one in codes), "dvc repro check"


def test_check_sees_all_code_and_writes_all_hashes():
    assert {"params.yaml", "har", "stages"} <= set(STAGES["check"]["deps"])
    outs = [next(iter(out)) if isinstance(out, dict) else out for out in STAGES["check"]["outs"]]
    assert "data/stages" in outs


def test_each_stage_waits_for_its_settings_and_no_other():
    noted = keys(load_params())
    with Repo() as repo:
        for stage in repo.index.stages:
            if stage.addressing == "check":
                continue
            name = "-".join(stage.cmd.split()[3:])
            assert [d for d in map(str, stage.deps) if "stages" in d] == [f"data/stages/{name}.json"]
            assert name in noted
            assert not stage.params, f"{stage.addressing}: dvc.yaml has params; put them into stages/settings.py"


class TestSettings:
    """A stage sees the part of params.yaml that it names, and no more."""

    params = load_params()

    def restricted(self, tmp_path, *names):
        write_json(tmp_path / "one.json", {"settings": subset(self.params, names)})
        return read(tmp_path / "one.json")

    def test_what_is_named_comes_back_as_it_was(self, tmp_path):
        for name, wanted in keys(self.params).items():
            params, profile = self.restricted(tmp_path, *wanted)
            for key in wanted:
                top, *path = key.split(".")
                found, expected = (params, self.params) if hasattr(self.params, top) else (profile, self.params.active)
                for part in [top, *path]:
                    found, expected = (v[part] if isinstance(v, dict) else getattr(v, part) for v in (found, expected))
                assert found == expected, f"{name}: {key}"

    def test_nothing_else_is_seen(self, tmp_path):
        params, profile = self.restricted(
            tmp_path, "profile", "models.clip", "run.encoders", "data.source", "tasks.activity"
        )
        assert list(profile.models) == ["clip"]
        assert not profile.data.own
        assert list(profile.tasks) == ["activity"]
        for block, name in (
            (profile, "training"),
            (profile.data, "server"),
            (params, "simulation"),
            (params.run, "train"),
        ):
            with pytest.raises(AttributeError, match=name):
                getattr(block, name)

    def test_another_model_changes_nothing(self):
        changed = self.params.model_copy(deep=True)
        object.__setattr__(changed.active.models["clip"], "learning_rate", 0.5)
        before, after = ({n: subset(p, k) for n, k in keys(p).items()} for p in (self.params, changed))
        rerun = {name for name in before if before[name] != after[name]}
        assert {"train-activity-clip", "train-posture-clip", "cards", "masking"} <= rerun
        assert not rerun & {"train-activity-vit", "embed-clip", "tables", "augment", "images"}

    def test_another_profile_changes_all_but_what_is_the_same_for_each(self):
        other = next(name for name in self.params.profiles if name != self.params.profile)
        changed = self.params.model_copy(update={"profile": other})
        before, after = ({n: subset(p, k) for n, k in keys(p).items()} for p in (self.params, changed))
        same = {name for name in before if before[name] == after.get(name)}
        assert same == {"simulate", *(f"pretrain-{name}" for name in self.params.pretrain.models)}

    def test_a_key_that_does_not_exist_is_a_mistake_of_the_table(self):
        with pytest.raises(KeyError, match="modles"):
            subset(self.params, ["modles.clip"])

    def test_a_missing_file_says_what_writes_it(self, tmp_path):
        with pytest.raises(HarError, match="dvc repro check"):
            read(tmp_path / "none.json")
        (tmp_path / "half.json").write_text("{")
        with pytest.raises(HarError, match="dvc repro -f check"):
            read(tmp_path / "half.json")


def test_no_parameter_has_a_default():
    """So params.yaml alone decides: har/config, whose code no stage depends on, adds no value of its own."""
    blocks = [har.config.data, har.config.models, har.config.report, har.config.studies, har.config.training]
    found = [m for block in blocks for m in vars(block).values()]
    models = [m for m in found if isinstance(m, type) and issubclass(m, BaseModel)]
    assert len(models) > 20
    assert not [f"{m.__name__}.{n}" for m in models for n, f in m.model_fields.items() if not f.is_required()]


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
    with Repo() as repo:
        names = {stage.addressing for stage in repo.index.stages}
    assert {"check", "pretrain@clip", "train@activity-clip", "augment", "tables"} <= names
