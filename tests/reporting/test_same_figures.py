"""The same figure wherever it is shown: tables as CSV and Markdown, and the data of the page."""

import re

import numpy as np
import pandas as pd
import pytest
from pages import SETTINGS, TASKS, read_script, reports, source, unpacked
from predicted import REPORT

from har.reporting.page.build import build
from har.reporting.table import write_tables
from har.reporting.tables import significance_tables
from har.reporting.tables.paper_tables import build_tables
from har.studies.error_analysis.agreement import count_table, missed_table
from har.studies.error_analysis.outcomes import FACTORS, outcome_frame


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """The folder of tables and of the page, made of the same predictions."""
    folder = tmp_path_factory.mktemp("same")
    given = source(folder / "data", 60)
    root = reports(folder / "reports")
    build(given, root, SETTINGS)
    manifest = given.manifest.assign(captions_for_label=1, captions_total=5)
    factors = manifest[["image_id"]].assign(**dict.fromkeys(FACTORS, np.nan))
    outcomes = outcome_frame(given.predictions, factors)
    tables = [count_table(outcomes, "header"), missed_table(outcomes, manifest, given.evidence, "header", 30)]
    write_tables({table.name: table for table in tables}, root / "errors")
    write_tables(significance_tables(given.predictions, "header", REPORT), root / "significance")
    write_tables(build_tables(given.predictions, {}, {}, TASKS["activity"], "header", REPORT), root / "tables")
    return root


@pytest.mark.parametrize("task", TASKS)
def test_images_that_every_model_misses(root, task):
    listed = pd.read_csv(root / "errors/missed_by_all.csv").query("task == @task")
    counted = pd.read_csv(root / "errors/miss_counts.csv").query("task == @task and missed_by == models")
    (said,) = re.findall(rf"Task {task}, .*? misses (\d+),", (root / "errors/missed_by_all.md").read_text())
    tally = read_script(root / "page/data/models.js")["tallies"][task]
    asked, right = (unpacked(tally[name], "u1") for name in ("asked", "right"))
    ids = np.array(read_script(root / "page/data/images.js")["id"])
    missed = ids[(asked > 0) & (right == 0)]
    assert sorted(listed.image_id) == missed.tolist()
    assert len(missed) == counted.images.iloc[0] == int(said) > 0
    assert max(asked) == counted.models.iloc[0]


def test_accuracy(root):
    scores = pd.read_csv(root / "significance/scores.csv").query("task == 'activity'").set_index(["model", "split"])
    table = pd.read_csv(root / "tables/table7.csv").set_index(["model", "split"])
    assert table.accuracy.to_dict() == scores.accuracy.to_dict()
    assert table.ci_low.to_dict() == scores.accuracy_low.to_dict()
    assert table.balanced_accuracy.to_dict() == scores.balanced_accuracy.to_dict()
    assert table.balanced_low.to_dict() == scores.balanced_accuracy_low.to_dict()
    for name, digits in (("tables/summary", 2), ("tables/table7", 3), ("significance/scores", 3)):
        for suffix in ("md", "html"):
            figure = f"{scores.balanced_accuracy['clip', 'held_out']:.{digits}f}"
            assert figure in (root / f"{name}.{suffix}").read_text()
