"""Eleven packages, each above what it may import: the contracts stand in pyproject.toml."""

from pathlib import Path

from importlinter.cli import lint_imports

import har


def test_packages_import_what_lies_below_them():
    assert lint_imports() == 0


def test_no_module_lies_at_the_root():
    assert [path.name for path in Path(har.__file__).parent.glob("*.py")] == ["__init__.py"]
