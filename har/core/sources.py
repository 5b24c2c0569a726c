"""Which code a stage runs, as a file that DVC can watch: DVC follows no imports.

The closure of a script is every module of the project that it imports, anywhere, also inside functions, and the
data files of the packages among them. Its fingerprint has the hash of what each of these does, so that a
comment or a docstring retrains nothing.
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path


@cache  # stages share most of their modules
def module_files(name: str, root: Path) -> list[Path]:
    """Files below `root` that importing `name` runs: the packages on its way and the module itself."""
    found, here = [], root
    for part in name.split("."):
        here = here / part
        if (here / "__init__.py").exists():
            found.append(here / "__init__.py")
        elif here.with_suffix(".py").exists():
            found.append(here.with_suffix(".py"))
    return found


# A statement that imports, by its lines alone: to parse thirty modules whole takes each stage a third of a second.
# One in a string is found too, which at worst watches a file too many.
IMPORTS = re.compile(rb"^[ \t]*(from[ \t]+[\w.]+[ \t]+import[ \t]+(?:\([^)]*\)|[^(\n]+)|import[ \t]+[^\n]+)", re.M)


@cache
def imports(file: Path, root: Path, packages: tuple[str, ...]) -> frozenset[Path]:
    """Files of `packages` that `file` imports anywhere. Relative imports are not followed: the project has none."""
    found: set[Path] = set()
    for statement in IMPORTS.findall(file.read_bytes()):
        try:
            node = ast.parse(statement).body[0]
        except SyntaxError:  # prose
            continue
        names = [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            names = [node.module, *(f"{node.module}.{name}" for name in names)]
        for name in names:
            if name.split(".")[0] in packages:
                found.update(module_files(name, root))
    return frozenset(found)


def closure(
    script: Path, root: Path = Path(), packages: tuple[str, ...] = ("har", "stages"), leave_out: Iterable[Path] = ()
) -> set[Path]:
    """All files of `packages` below `root` whose content can change what `script` does, itself included.

    leave_out: folders whose files do not count, nor what only they import.
    """
    seen: set[Path] = set()
    todo, leave_out = {script}, tuple(leave_out)
    while todo:
        now = todo.pop()
        seen.add(now)
        todo |= {f for f in imports(now, root, packages) - seen if not any(map(f.is_relative_to, leave_out))}
    return seen.union(*(data_files(file.parent) for file in seen if file.name == "__init__.py"))


@cache
def data_files(package: Path) -> frozenset[Path]:
    """Files of a package that are no modules; templates and styles live in folders without modules of their own."""
    found = {f for f in package.glob("*/*") if f.is_file() and not any(f.parent.glob("*.py"))}
    found |= {f for f in package.iterdir() if f.is_file() and f.suffix not in (".py", ".pyc")}
    return frozenset(f for f in found if "__pycache__" not in f.parts)


def fingerprint(script: Path, root: Path = Path(), leave_out: Iterable[Path] = ()) -> dict[str, str]:
    """The path of each file of the closure, in order, to the sha256 of its `substance`. leave_out: as for `closure`."""
    files = sorted(closure(script, root, leave_out=leave_out))
    return {file.relative_to(root).as_posix(): digest(file) for file in files}


@cache
def digest(file: Path) -> str:
    """sha256 of a file, of a Python file's `substance`."""
    content = file.read_bytes()
    if file.suffix == ".py":
        content = substance(content.decode("utf-8")).encode("utf-8")
    return hashlib.sha256(content).hexdigest()


# A string or a comment, whichever begins first. Python's own tokenizer takes fifty times as long (up to 3.11).
TEXT = re.compile(
    r"""("{3}|'{3})(\\.|.)*?\1|"(\\.|[^"\\\n])*"|'(\\.|[^'\\\n])*'|(?P<comment>\#.*?$)""", re.DOTALL | re.MULTILINE
)


def substance(source: str) -> str:
    """Python source without comments and docstrings. The same for every Python that reads it."""
    old = source.splitlines()
    new = TEXT.sub(lambda found: "" if found["comment"] else found[0], source).splitlines()
    lines = [line if line == before else line.rstrip() for before, line in zip(old, new, strict=True)]
    dropped = {row for row, line in enumerate(lines, 1) if not line and old[row - 1]}
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            # one that shares its line with code stays, and one that is all there is
            alone = len(node.body) == 1 and not isinstance(node, ast.Module)
            starts = is_text and not lines[first.lineno - 1][: first.col_offset].strip()
            if starts and isinstance(first.value.value, str) and not alone:
                dropped.update(range(first.lineno, first.end_lineno + 1))
    return "\n".join(line for row, line in enumerate(lines, 1) if row not in dropped) + "\n"


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """`node` and all statements in it; what they are made of has no docstrings."""
    yield node
    for block in ("body", "orelse", "finalbody", "handlers", "cases"):
        for inner in getattr(node, block, ()):
            yield from _statements(inner)
