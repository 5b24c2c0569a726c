"""The paper's figures stand beside ours where the task is the paper's; elsewhere they would mean nothing."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from har.reporting import paper
from har.reporting.table import Table

TITLES = {
    "size_tests": "Does a class differ in size?",
    "statistics": "One-way ANOVA and paired t-test, on test accuracy of the runs",
    "tests": "Tests over runs",
}


REMARK = ", and the paper lists eight models where it says seven"


def is_the_papers(classes: Sequence[str]) -> bool:
    """Whether these are the paper's three activities."""
    return set(classes) == set(paper.TABLE1) - {"all"}


def without_paper(table: Table, classes: int) -> Table:
    """The table without the paper's columns, remarks and numbering, for a task of `classes` classes."""
    theirs = [name for name in table.frame.columns if name.startswith("paper_")]
    if "paper_accuracy" in theirs:
        theirs.append("difference")  # ours minus theirs
    shown = [name for name in table.text.columns if name.startswith("Paper") or name == "Ours − paper"]
    title = TITLES.get(table.name) or re.sub(r"^Table \d\. ", "", table.title)
    return replace(
        table,
        title=title.replace("three activities", f"{classes} classes"),
        frame=table.frame.drop(columns=theirs),
        text=table.text.drop(columns=shown),
        notes=tuple(note.replace(REMARK, "") for note in table.notes if not note.startswith("The paper")),
    )


def for_task(tables: Mapping[str, Table], classes: Sequence[str]) -> dict[str, Table]:
    """The tables as they are for the paper's activities, else without the paper."""
    if is_the_papers(classes):
        return dict(tables)
    return {name: without_paper(table, len(classes)) for name, table in tables.items()}
