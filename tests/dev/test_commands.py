"""Every command that README and docs show is one that can be run, as far as it can be told without running it; what
else they show is there."""

import contextlib
import re
import shlex
import tomllib
from itertools import pairwise
from pathlib import Path

import parameters
import pytest
import yaml
from dvc.cli.parser import get_main_parser
from dvc.utils.hydra import apply_overrides

from har.app.cli.main import parser
from har.config.profile import load_params
from har.core.errors import HarError
from har.dev.readme import MARKS, quoted

ROOT = Path(__file__).parents[2]
DOCUMENTS = [ROOT / "README.md", ROOT / "data/README.md", *sorted((ROOT / "docs").glob("*.md"))]
# what README's commands start from, of what other commands of it change
SHIPPED = {"models.clip.head": "probe", "models.clip.pretrained": True, "backbones.clip.source": "pretrain"}
PROGRAMS = ("dvc", "har", "make", "pip")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def shown() -> list[tuple[str, str, bool]]:
    """Document, command with its comment, and whether it is whole (of a block) or a mention in a sentence."""
    found = []
    for file in DOCUMENTS:
        text, name = file.read_text(encoding="utf-8"), file.relative_to(ROOT).as_posix()
        for language, block in BLOCK.findall(text):
            if language == "sh":
                found += [(name, line, True) for line in block.replace("\\\n", "").splitlines() if line.strip()]
        for span in re.findall(r"`([^`\n]+)`", BLOCK.sub("", text)):
            if span.split(" ")[0] in (*PROGRAMS, "-S"):
                found.append((name, span, False))
    return found


@pytest.mark.parametrize(("document", "command", "whole"), shown())
def test_a_command_that_is_shown_can_be_run(tmp_path, capsys, document, command, whole):
    words = shlex.split(command.split("  #")[0])
    program, *rest = words if words[0] != "-S" else ["dvc", "exp", "run", *words]
    rest = rest[: rest.index(">")] if ">" in rest else rest
    if program == "har":
        with pytest.raises(SystemExit) if not whole or "--help" in rest else contextlib.nullcontext():
            parser().parse_args(rest if whole else [*rest, "--help"])
        assert "error" not in capsys.readouterr().err
    elif program == "make":
        targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
        assert {word for word in rest if "=" not in word} <= set(targets)
    elif program == "pip":
        extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
        assert set(re.findall(r"\[(\w+)\]", command)) <= set(extras)
    elif program == "dvc":
        options = get_main_parser().parse_args(rest)
        known = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
        for target in getattr(options, "targets", None) or []:
            assert target.split("@")[0] in known or "/" in target, f"{document}: no stage {target}"
        if overrides := [value for option, value in pairwise(rest) if option == "-S"]:
            # as JSON, which DVC changes sooner than YAML
            file = parameters.write(tmp_path, SHIPPED).rename(tmp_path / "params.json")
            apply_overrides(file, overrides)
            load_params(file)
    else:
        raise AssertionError(f"{document}: `{command}` is a command that this test does not know")


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_python_that_is_shown_imports_what_there_is(file):
    for language, block in BLOCK.findall(file.read_text(encoding="utf-8")):
        if language == "python":
            compile(block, file.name, "exec")
            exec("\n".join(line for line in block.splitlines() if line.startswith(("import ", "from "))), {})


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.name)
def test_links_lead_somewhere(file):
    """To a file in git; reports of a run are there after one."""
    for link in re.findall(r"\]\(([^)#\s]+)", file.read_text(encoding="utf-8")):
        if "://" not in link and "reports/" not in link:
            assert (file.parent / link).exists(), f"{file.name}: {link}"


def test_the_readme_has_a_place_for_the_results():
    text = Path("README.md").read_text(encoding="utf-8")
    assert quoted(quoted(text, "new table"), "other table") == quoted(text, "other table")
    assert "new table" in quoted(text, "new table")


@pytest.mark.parametrize("text", ["no marks", f"{MARKS[0]} {MARKS[0]} {MARKS[1]}"])
def test_marks_are_needed(text):
    with pytest.raises(HarError, match="expected one line"):
        quoted(text, "table")
