"""The graph: stages name the packages that they run and the parameters that they read, and stay thin."""

import ast
import functools
import json
import re
from pathlib import Path

import parameters
import pytest
import yaml
from dvc.repo import Repo
from pydantic import BaseModel

import har.config.data
import har.config.models
import har.config.report
import har.config.studies
import har.config.training
from har.config.resolved import resolved
from har.core.errors import HarError
from har.core.files import write_json
from stages.lib import context

GRAPH = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in GRAPH.items()}
# What is in git and so not in DVC's run cache; publish comes last but for the page.
IN_GIT = {"check", "pretrain", "tune", "simulate", "publish"}


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


@functools.cache
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


# Pretraining takes an hour and its weights are in git: it depends on what decides them alone.
@pytest.mark.parametrize("name", sorted(set(STAGES) - {"pretrain"}))
def test_deps_cover_the_import_closure(name):
    deps = [Path(dep) for dep in STAGES[name]["deps"]]
    script = Path("stages", f"{name}.py")
    assert STAGES[name]["cmd"].split()[:4] == ["python", "-m", "stages", name]
    files = closure(script)
    missing = [file for file in files - {Path("stages/__init__.py")} if not {file, *file.parents} & set(deps)]
    assert not missing, f"dvc.yaml, stage {name}: deps lack {', '.join(map(str, sorted(missing)))}"
    reached = {path for file in files for path in (file, *file.parents)}
    spare = [dep for dep in deps if dep.parts[0] in ("har", "stages") and dep not in reached]
    assert name == "check" or not spare, f"dvc.yaml, stage {name} does not run {', '.join(map(str, spare))}"


def listed(stage: dict) -> list[str]:
    return [key for file in stage.get("params", ()) for key in file["data/params.json"]]


def test_every_stage_of_this_run_finds_its_parameters():
    """Templates included: what DVC resolves is what the stage is given."""
    with Repo() as repo:
        found = {stage.addressing: stage for stage in repo.index.stages}
    whole = json.loads(json.dumps(resolved(har.config.profile.load_params())))
    for name, stage in found.items():
        _, _, _, script, *arguments = stage.cmd.split()
        if script != "check":
            keys = context.keys(script, arguments, whole)
            told = {key for dep in stage.params for key in dep.params}
            assert set(keys) == told, name
            context.partial(whole, keys)


def test_a_run_of_a_task_that_the_profile_lacks_is_given_no_class():
    whole = json.loads(json.dumps(resolved(har.config.profile.load_params())))
    whole["tasks"]["posture"] = []
    assert context.partial(whole, ["tasks.posture"])[1].tasks == {"posture": []}


def test_only_what_is_in_git_is_out_of_the_run_cache():
    def uncached(stage: dict) -> bool:
        return any(isinstance(out, dict) and next(iter(out.values())).get("cache") is False for out in stage["outs"])

    assert {name for name, stage in STAGES.items() if uncached(stage)} == IN_GIT


class TestContext:
    """A stage sees the parameters that dvc.yaml lists, and no more."""

    whole = json.loads(json.dumps(resolved(parameters.params())))

    def test_what_is_listed_comes_back_as_it_was(self):
        expected = parameters.params()
        params, profile, others = context.partial(
            self.whole, ["models.clip", "run.train", "run.noise", "report", "sources", "curate", "errors", "masking"]
        )
        assert profile.models == {"clip": expected.active.models["clip"]}
        assert list(params.run.train) == list(expected.run.train)
        assert params.run.tasks == expected.run.tasks
        assert params.run.noise == expected.run.noise
        for block in ("report", "curate", "errors", "masking"):
            assert getattr(profile, block) == getattr(expected.active, block)
        assert list(others["sources"]) == expected.run.encoders

    def test_nothing_else_is_seen(self):
        params, profile, others = context.partial(self.whole, ["run.encoders", "data.source", "tasks.activity"])
        assert not profile.data.own
        assert list(profile.tasks) == ["activity"]
        assert profile.training.jobs > 0  # no result depends on it
        for block, name in (
            (profile, "models"),
            (profile.training, "seeds"),
            (profile.data, "server"),
            (params, "simulation"),
            (params.run, "train"),
        ):
            with pytest.raises(AttributeError, match=name):
                getattr(block, name)
        assert others == dict.fromkeys(
            ("sources", "seen", "views", "already", "papers", "header", "digest", "protocol")
        )

    def test_a_study_sees_the_models_that_it_trains(self):
        _, profile, _ = context.partial(self.whole, ["fitted.ablate"])
        assert list(profile.models) == ["clip", "clip_scratch"]

    def test_templates_are_filled_in_from_the_command_and_the_run(self):
        assert "models.clip" in context.keys("train", ["activity", "clip"], self.whole)
        assert "tasks.activity" in context.keys("train", ["activity", "clip"], self.whole)
        assert context.keys("backbone", ["vit", "further"], self.whole) == ["backbones.vit"]

    def test_a_missing_or_broken_file_says_what_writes_it(self, tmp_path, monkeypatch):
        graph = Path("dvc.yaml").read_text()
        monkeypatch.chdir(tmp_path)
        with pytest.raises(HarError, match="dvc repro check"):
            context.read_context("split", [])
        (tmp_path / "dvc.yaml").write_text(graph)
        write_json(Path("data/params.json"), {"profile": "sample"})
        with pytest.raises(HarError, match="dvc repro -f check"):
            context.read_context("split", [])

    def test_another_model_changes_nothing(self):
        other = parameters.params().model_copy(deep=True)
        object.__setattr__(other.active.models["cnn_base"], "learning_rate", 0.5)
        after = json.loads(json.dumps(resolved(other)))

        def values(whole: dict, name: str, *arguments: str) -> list:
            return [context.at(whole, key) for key in context.keys(name, arguments, whole)]

        for stage in (("train", "activity", "clip"), ("ablate",), ("noise",), ("explain",), ("cross_validation",)):
            assert values(self.whole, *stage) == values(after, *stage), stage
        for stage in (("train", "activity", "cnn_base"), ("augment",)):
            assert values(self.whole, *stage) != values(after, *stage), stage

    def test_how_tables_are_made_retrains_nothing(self):
        for stage in ("train", "augment", "baselines", "learning_curve"):
            assert not [key for key in listed(STAGES[stage]) if key.startswith("report")]

    def test_a_task_that_the_profile_lacks_holds_no_classes(self, tmp_path):
        file = parameters.write(tmp_path, {"profiles.sample.tasks": {"activity": ["sitting", "standing"]}})
        params = har.config.profile.load_params(file)
        assert params.skipped == ["posture-vit", "posture-clip", "posture-siglip2"]
        whole = resolved(params)
        assert whole["tasks"] == {"activity": ["sitting", "standing"], "posture": []}
        assert not [name for name in whole["run"]["train"] if name.startswith("posture")]


def test_no_parameter_has_a_default():
    """So params.yaml alone decides: har/config, whose code no stage depends on, adds no value of its own. What is left
    out is at most empty."""
    blocks = [har.config.data, har.config.models, har.config.report, har.config.studies, har.config.training]
    found = [m for block in blocks for m in vars(block).values()]
    models = [m for m in found if isinstance(m, type) and issubclass(m, BaseModel)]
    assert len(models) > 20
    fields = [(f"{m.__name__}.{n}", f) for m in models for n, f in m.model_fields.items()]
    assert not [name for name, field in fields if not field.is_required() and field.default]


@pytest.mark.parametrize("file", sorted(Path("stages").glob("*.py")), ids=str)
def test_stage_files_stay_thin(file):
    assert len(file.read_text().splitlines()) < 100


@pytest.mark.parametrize("name", STAGES)
def test_each_stage_says_what_it_is(name):
    assert STAGES[name].get("desc"), f"dvc.yaml, stage {name}: no desc"


def test_each_stage_has_a_script_and_each_script_a_stage():
    scripts = {path.stem for path in Path("stages").glob("[a-z]*.py")}
    assert scripts == set(STAGES)


@pytest.mark.parametrize("name", ["guard", "lib", "__init__", "../stages/split", "nothing"])
def test_only_stages_can_be_run(name, monkeypatch, capsys):
    from stages.__main__ import main

    monkeypatch.setattr("sys.argv", ["stages", name])
    with pytest.raises(SystemExit) as ended:
        main()
    assert "usage" in str(ended.value)


def test_nothing_in_har_knows_the_stages():
    assert not [f for f in Path("har").rglob("*.py") if any(used.parts[0] == "stages" for used in imports(f))]


def test_artifacts_are_models_of_the_shipped_run():
    listed = yaml.safe_load(Path("dvc.yaml").read_text())["artifacts"]
    names = {Path(one["path"]).name for one in listed.values()}
    assert names == set(parameters.params().run.train)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-/]*[a-z0-9])?", name) for name in listed)  # DVC's rule


class TestTidy:
    def test_what_the_run_lists_no_more_is_removed(self, tmp_path, monkeypatch):
        from stages.check import tidy

        monkeypatch.chdir(tmp_path)
        made = ["models/activity-clip/w", "models/activity-gone/w", "predictions/activity-clip.parquet",
                "predictions/activity-gone.parquet", "embeddings/clip/e", "embeddings/old/e",
                "models/posture-vit/w", "split.csv", "explain/activity-gone/maps.npy"]  # fmt: skip
        for name in made:
            path = Path("data/sample", name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        tidy(parameters.params())
        left = {path.relative_to("data/sample").as_posix() for path in Path("data/sample").rglob("*") if path.is_file()}
        assert left == {name for name in made if "gone" not in name and "old" not in name} | {
            "explain/activity-gone/maps.npy"  # of one stage alone, which DVC empties
        }
