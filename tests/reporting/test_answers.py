"""The sentences of findings and of each section hold no number that their tables lack, and need no table."""

import re

import pandas as pd
import pytest

from har.reporting.answers import ANSWERS, answers, findings

INTERVAL = {"difference": [0.217, -0.124], "difference_low": [0.111, -0.233], "difference_high": [0.319, -0.012]}
BALANCED = {"balanced_accuracy": [0.712, 0.613], "balanced_low": [0.651, 0.552], "balanced_high": [0.763, 0.664]}
SCORES = {"split": ["held_out"] * 2, "n": [1000, 1000], **BALANCED}
TABLES = {
    "significance/claims.csv": {"question": ["Better?", "Worse?"], "a": ["clip"] * 2, "b": ["zero_shot", "cnn_base"],
                                "verdict": ["better", "worse"], **INTERVAL},
    "tables/table7.csv": {"model": ["cnn_base", "cnn_gen"], **SCORES},
    "tables/table3.csv": {"policy": ["rotation", "none"], **SCORES},
    "tables/table5.csv": {"model": ["clip", "vit"], **SCORES},
    "significance/pairs.csv": {"task": ["activity"] * 2, "split": ["held_out", "test"], "n": [1000, 29],
                               "detectable": [0.052, 0.217]},
    "cross_validation/cross_validation.csv": {"model": ["clip", "vit"], "images": [285, 285], **BALANCED},
    "significance/learning_curve.csv": {"model": ["clip"] * 2, "split": ["extended"] * 2, "size": [15, 228],
                                        "balanced_accuracy": [0.411, 0.713]},
    "controls/controls.csv": {"shown": ["captions", "labels"], "split": ["held_out"] * 2, **INTERVAL},
    "controls/prompts.csv": {"score": [0.66], "score_low": [0.631], "score_high": [0.687], "lowest": [0.431],
                             "highest": [0.711]},
    "ablation/ablation.csv": {"variant": ["head_only", "lora"], "split": ["out_of_fold"] * 2, **INTERVAL},
    "errors/miss_counts.csv": {"missed_by": [0, 2], "task": ["activity"] * 2, "models": [2, 2], "images": [71, 22]},
    "errors/factors.csv": {"model": ["vit", "clip"], "task": ["activity"] * 2, "factor": ["person_size"] * 2,
                           "rho": [-0.144, 0.023], "p_holm": [0.001, 1.0]},
    "explain/differences.csv": {"model": ["vit", "vit", "clip"], "rival": ["rollout", "centre", "rollout"],
                                "auc_n": [287, 287, 29], "auc_low": [0.051, -0.2, 0.1]},
    "explain/scores.csv": {"model": ["vit"], "method": ["legrad"], "n": [287], "auc": [0.68], "auc_low": [0.654],
                           "auc_high": [0.705]},
    "masking/masking.csv": {"model": ["clip"], "accuracy_0": [0.741], "accuracy_50": [0.414]},
    "masking/context.csv": {"model": ["clip"], "crop_box": [0.777], "person_minus_context_mean_low": [0.251],
                            "person_minus_context_black_low": [-0.19]},
    "noise/noise.csv": {"method": ["class_noise"], "masked_accuracy_change": [0.019], "masked_accuracy_low": [0.002],
                        "masked_accuracy_high": [0.036]},
    "audit/labels.csv": {"agree_share": [0.996], "agree_low": [0.991], "agree_high": [0.998]},
    "audit/leakage.csv": {"check": ["file", "pixels", "embedding"], "status": ["done"] * 3, "across_splits": [1, 2, 9]},
    "consistency/rows.csv": {"rows": [6], "largest_distance": [5e-07]},
    "consistency/paper_consistency.csv": {"verdict": ["consistent", "no matrix"]},
}  # fmt: skip


@pytest.mark.parametrize("section", ANSWERS)
def test_every_number_stands_in_the_table(tmp_path, section):
    for path, _ in ANSWERS[section]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(TABLES[path]).to_csv(tmp_path / path, index=False)
    told = answers(section, tmp_path)
    assert len(told) >= len(ANSWERS[section])
    cells = pd.concat([pd.DataFrame(TABLES[path]).select_dtypes("number").stack() for path, _ in ANSWERS[section]])
    known = {f"{abs(value):.3f}" for value in cells} | {"0.5"}
    assert set(re.findall(r"\d\.\d+", " ".join(told))) <= known
    assert "{" not in " ".join(told)


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("audit/leakage.csv", "Pairs of equal or nearly equal images across splits: 2."),  # that of files too
        (
            "explain/differences.csv",  # on the split with the most images
            "LeGrad ranks the patches that show people better than attention rollout for ViT; better than the middle "
            "of the image for none.",
        ),
    ],
)
def test_nothing_is_counted_twice(path, said):
    tell = next(tell for every in ANSWERS.values() for one, tell in every if one == path)
    assert tell(pd.DataFrame(TABLES[path])) == said


def test_sentences_name_the_unit(tmp_path):
    (tmp_path / "errors").mkdir()
    pd.DataFrame(TABLES["errors/miss_counts.csv"]).to_csv(tmp_path / "errors/miss_counts.csv", index=False)
    for unit in ("images", "clips"):
        (told,) = answers("Where do they fail?", tmp_path, unit)
        assert told.startswith(f"Of 93 {unit} 22 are missed by all 2 rows")


def test_what_is_missing_is_not_told(tmp_path):
    assert [answers(section, tmp_path) for section in ANSWERS] == [[]] * len(ANSWERS)
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation/ablation.csv").write_text("variant,split,difference,difference_low,difference_high\n")
    assert answers("What is each setting worth?", tmp_path) == []


# --- findings

PATHS = ("tables/table7.csv", "significance/pairs.csv", "significance/per_class.csv")
RANKED = pd.DataFrame(
    [
        ("clip", "held_out", 1000, 0.70, 0.66, 0.74, None, None, None, None),
        ("vit", "held_out", 1000, 0.68, 0.64, 0.72, None, None, None, None),
        ("ensemble_person", "held_out", 1000, 0.83, 0.79, 0.86, None, None, None, None),
        ("cnn_base", "held_out", 1000, 0.41, 0.37, 0.45, None, None, None, None),
        ("clip", "test", 29, 0.71, 0.53, 0.84, 0.69, 0.52, 0.83, 0.7586),
        ("cnn_base", "test", 29, 0.35, 0.22, 0.51, 0.31, 0.21, 0.48, 0.3862),
    ],
    columns=["model", "split", "n", "balanced_accuracy", "balanced_low", "balanced_high", "accuracy", "ci_low",
             "ci_high", "paper_accuracy"],
).assign(runs=5)  # fmt: skip
PAIRS = pd.DataFrame(
    [("vit", "clip", -0.02, -0.05, 0.01), ("clip", "cnn_base", 0.29, 0.25, 0.33),
     ("ensemble_person", "clip", 0.13, 0.1, 0.16)],
    columns=["a", "b", "difference", "difference_low", "difference_high"],
).assign(task="activity", split="held_out", verdict="", only_a=0, only_b=0)  # fmt: skip
PER_CLASS = pd.DataFrame(
    [("clip", "sitting", 0.81, 0.77, 0.85), ("clip", "standing", 0.57, 0.52, 0.62)],
    columns=["model", "class", "recall", "recall_low", "recall_high"],
).assign(task="activity", split="held_out")


@pytest.fixture
def folder(tmp_path):
    for path, table in zip(PATHS, (RANKED, PAIRS, PER_CLASS), strict=True):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        table.to_csv(tmp_path / path, index=False)
    return tmp_path


def test_they_name_the_leader_what_it_beats_and_what_it_does_not(folder):
    best, others, fails, boxes, paper = findings(folder, "activity", 3)
    assert best.startswith("CLIP has the highest balanced accuracy of 3 rows: 0.70 [0.66, 0.74] on 1,000 held-out")
    assert "better than 1 of the 2 others, the closest of these CNN_base by +0.290 [+0.250, +0.330]" in others
    assert others.endswith("Not shown to differ from it: ViT by +0.020 [−0.010, +0.050].")
    assert boxes == "Where a person's box is annotated: Ensemble, person boxes, 0.83 [0.79, 0.86]."
    assert "standing: it finds 0.57 [0.52, 0.62]" in fails
    assert "CNN_base, accuracy 0.31 [0.21, 0.48] on 29 test images; the paper prints 0.39." in paper


def test_they_survive_what_is_missing(folder):
    (folder / PATHS[1]).unlink()
    (folder / PATHS[2]).unlink()
    RANKED[RANKED.split == "test"].drop(columns="paper_accuracy").to_csv(folder / PATHS[0], index=False)
    assert findings(folder, "activity", 3) == [
        "CLIP has the highest balanced accuracy of 2 rows: 0.71 [0.53, 0.84] on 29 test images, where chance is 0.33."
    ]
    assert "on 29 test clips, where" in findings(folder, "activity", 3, "clips")[0]
    (folder / PATHS[0]).unlink()
    assert findings(folder, "activity", 3) == []
