"""Tables: each row recomputes from its predictions, the paper's values stand beside it, no cell is NaN."""

import numpy as np
import pytest
from predicted import REPORT, SIZES, TASKS, labelled, seed_scores, simulate

from har.evaluation.predictions import majority_predictions, zero_shot_predictions
from har.reporting import paper
from har.reporting.names import class_name, model_name, policy_name
from har.reporting.table import NONE, write_tables
from har.reporting.tables import paper_tables

HEADER = "Profile sample"


@pytest.fixture(scope="module")
def inputs():
    every, binary, policies = (paper.TABLES[table] for table in ("table7", "table5", "table3"))
    predictions = {("activity", name): simulate("activity", 0.3 * i, i) for i, name in enumerate(every)}
    predictions |= {("posture", name): simulate("posture", 1, 50 + i) for i, name in enumerate(binary)}
    predictions["activity", "my_resnet"] = simulate("activity", 1, 99)
    for task, classes in TASKS.items():
        frame = labelled(task)
        predictions[task, "majority"] = majority_predictions(frame, classes)
        cosines = np.random.default_rng(5).normal(0.2, 0.02, (len(frame), len(classes)))
        predictions[task, "zero_shot"] = zero_shot_predictions(cosines, 100, frame, classes)
    sizes = {"validation": SIZES["validation"]}
    augment = {name: simulate("activity", 0.5, i, sizes=sizes) for i, name in enumerate(policies)}
    return {
        "predictions": predictions, "augment": augment, "parameters": {"cnn_base": 1_000_000, "fnn_base": 1_000_123},
        "classes": TASKS["activity"], "header": HEADER, "report": REPORT,
    }  # fmt: skip


@pytest.fixture(scope="module")
def few(inputs):
    """A row for each table."""
    models = {"activity": ("cnn_base", "cnn_gen", "clip", "multimodal", "majority"), "posture": ("vit",)}
    kept = {(task, name): inputs["predictions"][task, name] for task, names in models.items() for name in names}
    return inputs | {"predictions": kept, "augment": {"none": inputs["augment"]["none"]}}


@pytest.fixture(scope="module")
def built(inputs):
    return paper_tables.build_tables(**inputs)


def test_every_table_is_there_and_no_cell_is_nan(built, tmp_path):
    assert list(built) == [*(f"table{i}" for i in range(2, 8)), "summary"]
    write_tables(built, tmp_path)
    for name, table in built.items():
        assert not any(isinstance(v, float) and v != v for row in table.rows for v in row.values()), name
        text = (tmp_path / f"{name}.md").read_text()
        assert "nan" not in text.lower().split(), name
        assert NONE not in table.text.to_numpy() or "- –: not printed" in text
    assert "1,000,123" in built["table2"].markdown()


def test_rows_recompute_from_their_predictions(built, inputs):
    for name, task in (("table2", "activity"), ("table5", "posture"), ("table7", "activity")):
        for row in built[name].frame.to_dict("records"):
            for metric in ("accuracy", "balanced_accuracy", "precision", "recall", "f1"):
                scores = seed_scores(inputs["predictions"][task, row["model"]], row["split"], metric)
                assert row[metric] == pytest.approx(scores.mean(), abs=1e-6)
            assert row["ci_low"] <= row["accuracy"] <= row["ci_high"]


def test_the_papers_values_stand_on_its_own_split_only(built):
    for name in ("table2", "table4", "table5", "table6", "table7"):
        frame = built[name].frame
        assert frame.loc[frame["split"] == "held_out", "paper_accuracy"].isna().all()
    test = built["table4"].frame.query("split == 'test'").set_index("model")
    assert test.loc["cnn_base", "paper_accuracy"] == 0.3793
    assert test.loc["cnn_base", "difference"] == pytest.approx(test.loc["cnn_base", "accuracy"] - 0.3793, abs=1e-6)
    assert test.loc["majority", "paper_accuracy"] is None
    assert "≈ .76 (22/29)" in built["table7"].markdown()


def test_order_of_rows(built):
    for split in ("test", "held_out"):
        frame = built["table7"].frame
        scores = frame.loc[frame["split"] == split, "balanced_accuracy"].tolist()
        assert scores == sorted(scores, reverse=True)
    policies = built["table3"].frame
    assert set(policies["split"]) == {"validation"}
    assert len(policies) == 11  # ten and the majority class
    assert built["table5"].frame["model"].tolist()[:3] == ["vit", "clip", "siglip2"]
    assert {"majority", "zero_shot", "my_resnet"} <= set(built["table7"].frame["model"])


def test_summary_ranks_by_balanced_accuracy_on_the_held_out_images(built):
    text = built["summary"].markdown()
    assert f"*{HEADER}*" in text
    assert "Balanced accuracy, held out (n = 119)" in text
    assert "Held-out images: walking / running " in text
    held_out = built["table7"].frame.query("split == 'held_out'")
    ranked = [model_name(name) for name in held_out["model"]]
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("|")][2:]
    assert rows == ranked


def test_out_of_fold_scores_stand_beside_the_held_out_ones(few):
    folds = {"clip": {"fold_images": 285, "fold_balanced": 0.5, "fold_low": 0.4, "fold_high": 0.6}}
    summary = paper_tables.build_tables(**few, out_of_fold=folds, protocol="As fixed.")["summary"]
    cells = summary.text.set_index("Model")["Out of fold (n = 285)"]
    assert cells["CLIP"] == "0.50 [0.40, 0.60]"
    assert set(cells.drop("CLIP")) == {"–"}
    assert "As fixed." in summary.notes


def test_a_collapsed_run_and_the_processor_are_named(few):
    key = ("activity", "cnn_gen")
    frame = few["predictions"][key].copy()
    columns, seed = [f"p_{name}" for name in TASKS["activity"]], frame.seed.max()
    frame.loc[frame.seed == seed, columns] = [0.1, 0.8, 0.1]
    predictions = few["predictions"] | {key: frame}
    built = paper_tables.build_tables(**few | {"predictions": predictions}, processor="A Processor")
    said = f"Collapsed runs, which predict one class for every image: CNN_gen seed {seed} (sitting)."
    for name, table in built.items():
        named = name in ("table4", "table7", "summary")  # those with a row of CNN_gen
        assert (said in table.markdown()) == named, name
    text = built["summary"].markdown()
    assert "Made on A Processor. Another processor rounds sums differently" in text
    limits = {
        row["model"]: max(0.01, 1 / row["n"], 3 * (row["accuracy_sd"] or 0) * (2 / row["runs"]) ** 0.5)
        for row in built["table7"].rows
        if row["split"] == "held_out"
    }
    most = max(limits, key=limits.get)
    assert f"{min(limits.values()):.2f} to {limits[most]:.2f} ({model_name(most)}) on held out" in text


def test_a_run_of_two_models_has_what_it_can(inputs):
    few = {("activity", name): inputs["predictions"]["activity", name] for name in ("clip", "cnn_gen")}
    few = {key: frame[frame["split"] != "extended"] for key, frame in few.items()}
    built = paper_tables.build_tables(**{**inputs, "predictions": few, "augment": {}})
    assert list(built) == ["table4", "table7", "summary"]
    assert "Not in this run: CNN_base." in built["table4"].markdown()
    assert "CLIP" in built["summary"].markdown()


def test_other_images_stand_without_the_papers_figures(few):
    built = paper_tables.build_tables(**{**few, "classes": ("reading", "sitting", "writing", "lying")}, papers=False)
    assert built["table7"].title == "Table 7. All models, 4 classes"
    for table in built.values():
        assert "paper" not in table.markdown().replace(model_name("clip_patches"), "").lower()
        assert not any("paper" in name for name in table.frame.columns)


# --- the paper's printed values, whole images where it says so


def test_counts_and_shares_of_table_1():
    classes = [row for label, row in paper.TABLE1.items() if label != "all"]
    assert sum(row.count for row in classes) == paper.TABLE1["all"].count == 285
    for row in classes:
        assert row.share == pytest.approx(row.count / 285, abs=5e-4)


def test_scores_of_table_2_are_whole_images_of_five_runs():
    right = [score.accuracy * 5 * 29 for score in paper.TABLES["table2"].values()]
    assert right == pytest.approx([round(one) for one in right], abs=0.01)


def test_what_is_not_printed_is_none():
    assert paper.score("table7", "vit").accuracy is None
    assert paper.score("table2", "clip") == paper.Score()
    assert paper.activity_score("vit") == (paper.Score(), "")
    assert [paper.activity_score(model)[1] for model in ("clip", "multimodal")] == ["table7", "table6"]


def test_unknown_names_stand_for_themselves():
    assert model_name("clip") == "CLIP"
    assert model_name("my_resnet") == "my_resnet"
    assert policy_name("cut_out") == "Cut out"
    assert class_name("walking_running") == "walking / running"
