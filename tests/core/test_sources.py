"""What a stage's code is: the closure of its imports, and a fingerprint that ignores what does nothing."""

import ast
import io
import tokenize
from pathlib import Path

import pytest

from har.core.sources import closure, fingerprint, imports, module_files, substance

SCRIPT = """import os
from har.inner import deep

def run():
    from har import late
    return late, deep, os
"""


@pytest.fixture
def project(tmp_path):
    for name, text in {
        "stages/__init__.py": "",
        "stages/go.py": SCRIPT,
        "har/__init__.py": "",
        "har/late.py": "x = 1\n",
        "har/unused.py": "x = 1\n",
        "har/inner/__init__.py": "",
        "har/inner/deep.py": "import har.leaf\n",
        "har/inner/static/page.css": "p { }",
        "har/leaf.py": "x = 1\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def prints(project: Path) -> str:
    from har.core import sources

    sources.imports.cache_clear()
    sources.digest.cache_clear()
    return fingerprint(project / "stages/go.py", project)


def test_closure_follows_imports_inside_functions_and_takes_data_files(project):
    found = {f.relative_to(project).as_posix() for f in closure(project / "stages/go.py", project)}
    assert found == {
        "stages/__init__.py", "stages/go.py", "har/__init__.py", "har/late.py", "har/leaf.py", "har/inner/__init__.py",
        "har/inner/deep.py", "har/inner/static/page.css",
    } - {"stages/__init__.py"}  # fmt: skip


@pytest.mark.parametrize("name", ["stages/go.py", "har/leaf.py", "har/late.py", "har/inner/static/page.css"])
def test_a_change_anywhere_in_the_closure_shows(project, name):
    before = prints(project)
    (project / name).write_text((project / name).read_text() + "y = 2\n")
    assert prints(project) != before


def test_what_is_not_imported_and_what_only_comments_does_not_show(project):
    before = prints(project)
    (project / "har/unused.py").write_text("x = 2\n")
    (project / "har/leaf.py").write_text('"""What x is."""\n# because\nx = 1  # one\n')
    assert prints(project) == before


def test_text_that_does_something_stays():
    source = 'x = """a # no comment"""\nX = "# neither"\n\ndef f():\n    """Doc."""\n    return """kept"""\n'
    assert substance(source) == 'x = """a # no comment"""\nX = "# neither"\n\ndef f():\n    return """kept"""\n'


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("x = 1  # one", "x = 1"),
        ("x = '#' # \"'", "x = '#'"),
        (r"x = '\'#' '#'  # it's", r"x = '\'#' '#'"),
        (r'x = "\\"  # "', r'x = "\\"'),
        (r'x = r"\"#"', r'x = r"\"#"'),
        ("x = f'{y:#x}' + \"it's # this\"", "x = f'{y:#x}' + \"it's # this\""),
        ("x = '''a'#\\n\"\"\"#'''  # b", "x = '''a'#\\n\"\"\"#'''"),
        ('x = ""  # ""', 'x = ""'),
        ('x = "a\\\n#b"  # c', 'x = "a\\\n#b"'),
        ("x = 1\n  # alone\n\ny = 2", "x = 1\n\ny = 2"),
    ],
)
def test_comments_go_and_strings_stay(line, kept):
    assert substance(line) == f"{kept}\n"
    assert what_runs(line) == what_runs(kept)


def what_runs(source: str) -> str:
    """The syntax tree without docstrings, but for one that is a whole body."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None and (
                len(node.body) > 1 or isinstance(node, ast.Module)
            ):
                node.body = node.body[1:]
    return ast.dump(tree)


@pytest.mark.parametrize("file", sorted(Path("har").rglob("*.py")), ids=str)
def test_substance_keeps_what_python_runs(file):
    source = file.read_text()
    assert what_runs(substance(source)) == what_runs(source)
    assert len(substance(source)) <= len(source) + 1
    kinds = {token.type for token in tokenize.generate_tokens(io.StringIO(substance(source)).readline)}
    assert tokenize.COMMENT not in kinds


def test_no_import_of_the_project_is_missed():
    root = Path(__file__).parents[2]
    for file in [*root.glob("har/**/*.py"), *root.glob("stages/*.py")]:
        named = set()
        for node in ast.walk(ast.parse(file.read_bytes())):
            match node:
                case ast.Import():
                    named |= {alias.name for alias in node.names}
                case ast.ImportFrom():
                    named |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        ours = {path for name in named if name.split(".")[0] in ("har", "stages") for path in module_files(name, root)}
        assert imports(file, root, ("har", "stages")) >= ours
