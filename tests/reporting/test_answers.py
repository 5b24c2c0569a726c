"""The sentences of each section hold no number that its table lacks, and need no table."""

import re

import pandas as pd
import pytest

from har.reporting.answers import ANSWERS, answers

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
                                        "accuracy": [0.411, 0.713]},
    "controls/controls.csv": {"shown": ["captions", "labels"], "split": ["held_out"] * 2, **INTERVAL},
    "controls/prompts.csv": {"score": [0.66], "score_low": [0.631], "score_high": [0.687], "lowest": [0.431],
                             "highest": [0.711]},
    "ablation/ablation.csv": {"variant": ["head_only", "lora"], "split": ["out_of_fold"] * 2, **INTERVAL},
    "errors/miss_counts.csv": {"missed_by": [0, 2], "task": ["activity"] * 2, "models": [2, 2], "images": [71, 22]},
    "errors/factors.csv": {"model": ["vit", "clip"], "task": ["activity"] * 2, "factor": ["person_size"] * 2,
                           "rho": [-0.144, 0.023], "p_holm": [0.001, 1.0]},
    "explain/differences.csv": {"model": ["vit", "vit"], "rival": ["rollout", "centre"], "auc_low": [0.051, -0.2]},
    "explain/scores.csv": {"model": ["vit"], "method": ["legrad"], "n": [287], "auc": [0.68], "auc_low": [0.654],
                           "auc_high": [0.705]},
    "masking/masking.csv": {"model": ["clip"], "accuracy_0": [0.741], "accuracy_50": [0.414]},
    "masking/context.csv": {"model": ["clip"], "crop_box": [0.777], "person_minus_context_mean_low": [0.251],
                            "person_minus_context_black_low": [-0.19]},
    "noise/noise.csv": {"method": ["class_noise"], "masked_accuracy_change": [0.019], "masked_accuracy_low": [0.002],
                        "masked_accuracy_high": [0.036]},
    "audit/labels.csv": {"agree_share": [0.996], "agree_low": [0.991], "agree_high": [0.998]},
    "audit/leakage.csv": {"check": ["file"], "status": ["done"], "across_splits": [0]},
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
    known = {f"{abs(value):.3f}" for value in cells} | {f"{cell:g}" for cell in (0.5,)}
    assert set(re.findall(r"\d\.\d+", " ".join(told))) <= known
    assert "{" not in " ".join(told)


@pytest.mark.parametrize("unit", ["images", "clips"])
def test_sentences_name_the_unit(tmp_path, unit):
    (tmp_path / "errors").mkdir()
    pd.DataFrame(TABLES["errors/miss_counts.csv"]).to_csv(tmp_path / "errors/miss_counts.csv", index=False)
    (told,) = answers("Where do they fail?", tmp_path, unit)
    assert told.startswith(f"Of 93 {unit} 22 are missed by all 2 rows")


def test_what_is_missing_is_not_told(tmp_path):
    assert [answers(section, tmp_path) for section in ANSWERS] == [[]] * len(ANSWERS)
    (tmp_path / "ablation").mkdir()
    (tmp_path / "ablation/ablation.csv").write_text("variant,split,difference,difference_low,difference_high\n")
    assert answers("What is each setting worth?", tmp_path) == []
