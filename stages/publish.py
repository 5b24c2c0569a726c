"""Copy the reports of all stages to where git keeps them, and put them below one another in a README."""

import shutil
from pathlib import Path

from har.core.files import write_text
from har.reporting.contents import markdown
from stages.lib.context import Context


def publish(context: Context) -> None:
    for path in sorted(context.reports.iterdir()):
        if path.suffix != ".html":
            copy(path, context.published / path.name)
    name, unit = context.params.profile, context.profile.data.unit
    write_text(context.published / "README.md", markdown(context.published, name, context.papers, unit))


def copy(source: Path, to: Path) -> None:
    """Content alone: DVC's cache may hold files that nobody may write. Tables as HTML are for the page alone."""
    if source.is_dir():
        no_html = shutil.ignore_patterns("*.html")
        shutil.copytree(source, to, ignore=no_html, copy_function=shutil.copyfile, dirs_exist_ok=True)
    else:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, to)
