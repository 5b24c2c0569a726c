"""The graph: stages name the packages that they run and the parameters that they read, and stay thin."""

import ast
import json
import re
from pathlib import Path

import grimp
import parameters
import pytest
import yaml
from dvc.repo import Repo
from importlinter.cli import lint_imports
from pydantic import BaseModel

from har.config import data, models, report, studies, training
from har.config.profile import load_params
from har.config.resolved import resolved
from har.core.errors import HarError
from har.core.files import write_json
from stages.__main__ import main
from stages.check import tidy
from stages.lib import context

GRAPH = yaml.safe_load(Path("dvc.yaml").read_text())["stages"]
STAGES = {name: stage.get("do", stage) for name, stage in GRAPH.items()}
# What is in git and so not in DVC's run cache; publish comes last but for the page.
IN_GIT = {"check", "pretrain", "tune", "simulate", "publish"}


@pytest.fixture(scope="module")
def modules() -> grimp.ImportGraph:
    """Without har.config, which decides whether a run starts and not what comes out."""
    graph = grimp.build_graph("har", "stages", cache_dir=None)
    for module in {"har.config", *graph.find_descendants("har.config")}:
        graph.remove_module(module)
    return graph


def closure(modules: grimp.ImportGraph, name: str) -> set[Path]:
    """Files that importing `name` runs, those of the packages on the way among them unless they are empty."""
    seen, todo = set(), {name}
    while todo:
        module = todo.pop()
        seen.add(module)
        reached = {module.rpartition(".")[0], *modules.find_modules_directly_imported_by(module)}
        todo |= (reached & modules.modules) - seen
    bases = [Path(*module.split(".")) for module in seen]
    files = [base / "__init__.py" if base.is_dir() else base.with_suffix(".py") for base in bases]
    return {file for file in files if file.name != "__init__.py" or len(ast.parse(file.read_text()).body) > 1}


# Pretraining takes an hour and its weights are in git: it depends on what decides them alone.
@pytest.mark.parametrize("name", sorted(set(STAGES) - {"pretrain"}))
def test_deps_cover_the_import_closure(modules, name):
    deps = [Path(dep) for dep in STAGES[name]["deps"]]
    assert STAGES[name]["cmd"].split()[:4] == ["python", "-m", "stages", name]
    files = closure(modules, f"stages.{name}")
    missing = [file for file in files - {Path("stages/__init__.py")} if not {file, *file.parents} & set(deps)]
    assert not missing, f"dvc.yaml, stage {name}: deps lack {', '.join(map(str, sorted(missing)))}"
    reached = {path for file in files for path in (file, *file.parents)}
    spare = [dep for dep in deps if dep.parts[0] in ("har", "stages") and dep not in reached]
    assert name == "check" or not spare, f"dvc.yaml, stage {name} does not run {', '.join(map(str, spare))}"


def whole_of(params) -> dict:
    """data/params.json of these parameters."""
    return json.loads(json.dumps(resolved(params)))


def test_every_stage_of_this_run_finds_its_parameters():
    """Templates included: what DVC resolves is what the stage is given."""
    with Repo() as repo:
        found = {stage.addressing: stage for stage in repo.index.stages}
    whole = whole_of(load_params())
    for name, stage in found.items():
        _, _, _, script, *arguments = stage.cmd.split()
        if script != "check":
            keys = context.keys(script, arguments, whole)
            told = {key for dep in stage.params for key in dep.params}
            assert set(keys) == told, name
            context.partial(whole, keys)


def test_only_what_is_in_git_is_out_of_the_run_cache():
    def uncached(stage: dict) -> bool:
        return any(isinstance(out, dict) and next(iter(out.values())).get("cache") is False for out in stage["outs"])

    assert {name for name, stage in STAGES.items() if uncached(stage)} == IN_GIT


class TestContext:
    """A stage sees the parameters that dvc.yaml lists, and no more."""

    whole = whole_of(parameters.params())

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
        hidden = {"models": profile, "seeds": profile.training, "server": profile.data, "simulation": params}
        for name, block in hidden.items():
            with pytest.raises(AttributeError, match=name):
                getattr(block, name)
        assert set(others.values()) == {None}

    def test_a_study_sees_the_models_that_it_trains(self):
        _, profile, _ = context.partial(self.whole, ["fitted.ablate"])
        assert list(profile.models) == ["clip", "clip_scratch"]

    def test_a_study_sees_the_members_of_an_ensemble(self, tmp_path):
        both = {"kind": "ensemble", "members": ["probe_clip_views", "clip"]}
        whole = resolved(load_params(parameters.write(tmp_path, {"rows.ensemble_views": both})))
        _, profile, _ = context.partial(whole, ["fitted.cross_validation"])
        assert {"clip", "feature"} == profile.models.keys()
        assert {"probe_clip_views", "ensemble_views"} < profile.rows.keys()

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
        after = whole_of(other)

        def values(whole: dict, name: str, *arguments: str) -> list:
            return [context.at(whole, key) for key in context.keys(name, arguments, whole)]

        for stage in (("train", "activity", "clip"), ("ablate",), ("noise",), ("explain",), ("cross_validation",)):
            assert values(self.whole, *stage) == values(after, *stage), stage
        for stage in (("train", "activity", "cnn_base"), ("augment",)):
            assert values(self.whole, *stage) != values(after, *stage), stage

    def test_how_tables_are_made_retrains_nothing(self):
        for stage in (("train", "activity", "clip"), ("augment",), ("baselines",), ("learning_curve",)):
            assert not [key for key in context.keys(*stage[:1], stage[1:], self.whole) if key.startswith("report")]

    def test_a_task_that_the_profile_lacks_holds_no_classes(self, tmp_path):
        file = parameters.write(tmp_path, {"profiles.sample.tasks": {"activity": ["sitting", "standing"]}})
        params = load_params(file)
        assert params.skipped == ["posture-vit", "posture-clip", "posture-siglip2"]
        whole = whole_of(params)
        assert whole["tasks"] == {"activity": ["sitting", "standing"], "posture": []}
        assert not [name for name in whole["run"]["train"] if name.startswith("posture")]
        assert context.partial(whole, ["tasks.posture"])[1].tasks == {"posture": []}


def test_no_parameter_has_a_default():
    """So params.yaml alone decides: har/config, whose code no stage depends on, adds no value of its own. What is left
    out is at most empty."""
    found = [m for module in (data, models, report, studies, training) for m in vars(module).values()]
    blocks = [m for m in found if isinstance(m, type) and issubclass(m, BaseModel)]
    assert len(blocks) > 20
    fields = [(f"{m.__name__}.{n}", f) for m in blocks for n, f in m.model_fields.items()]
    assert not [name for name, field in fields if not field.is_required() and field.default]


def test_each_stage_has_a_thin_script_and_says_what_it_is():
    scripts = {path.stem: path for path in Path("stages").glob("[a-z]*.py")}
    assert scripts.keys() == STAGES.keys()
    assert not [name for name, path in scripts.items() if len(path.read_text().splitlines()) >= 100]
    assert not [name for name, stage in STAGES.items() if not stage.get("desc")]


@pytest.mark.parametrize("name", ["guard", "lib", "__init__", "../stages/split", "nothing"])
def test_only_stages_can_be_run(name, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["stages", name])
    with pytest.raises(SystemExit) as ended:
        main()
    assert "usage" in str(ended.value)


def test_packages_import_what_lies_below_them():
    """The contracts stand in pyproject.toml."""
    assert lint_imports() == 0
    assert [path.name for path in Path("har").glob("*.py")] == ["__init__.py"]


def test_artifacts_are_models_of_the_shipped_run():
    listed = yaml.safe_load(Path("dvc.yaml").read_text())["artifacts"]
    names = {Path(one["path"]).name for one in listed.values()}
    assert names == set(parameters.params().run.train)
    assert all(re.fullmatch(r"[a-z0-9]([a-z0-9-/]*[a-z0-9])?", name) for name in listed)  # DVC's rule


def test_what_the_run_lists_no_more_is_removed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    of_one_stage = "explain/activity-gone/maps.npy"  # which DVC empties
    kept = {"models/activity-clip/w", "predictions/activity-clip.parquet", "embeddings/clip/e", "models/posture-vit/w",
            "split.csv", of_one_stage}  # fmt: skip
    gone = {"models/activity-gone/w", "predictions/activity-gone.parquet", "embeddings/old/e"}
    for name in kept | gone:
        path = Path("data/sample", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    tidy(parameters.params())
    left = {path.relative_to("data/sample").as_posix() for path in Path("data/sample").rglob("*") if path.is_file()}
    assert left == kept
