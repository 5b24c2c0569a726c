"""Class-specific noise: its terms do what they say, it stays in its bound, and test images choose nothing."""

import dataclasses
import math

import numpy as np
import pandas as pd
import parameters
import pytest
import torch
from conftest import CLASSES, one_by_one, picture
from PIL import Image
from test_models import CNN
from torch.nn.functional import log_softmax

from har.config.studies import Noise, NoiseTerms
from har.core.errors import HarError
from har.data import store as image_store
from har.models.build import build, logits
from har.models.checkpoint import load_kept
from har.studies.masking.conditions import at_random
from har.studies.masking.predictors import Trained
from har.studies.masking.scores import per_image
from har.studies.noise.learn import ERASING, NOTHING, FittedNoise, Run, learn, under_masks
from har.studies.noise.objective import noisy, objective, passes, probabilities
from har.studies.noise.report import build_tables, class_bias, draw, verdict
from har.studies.noise.select import Study, study
from har.training.loop import save

MASKS = parameters.profile().masking.model_copy(
    update={"kinds": ["patches", "ellipse"], "shares": [0.1, 0.5], "seed": 5}
)
FULL = NoiseTerms(patterns="class", margin=1.0, gain=1.0, size=0.1, masked=True)
SHARED = FULL.model_copy(update={"patterns": "shared", "gain": 0.0})
SETTINGS = Noise(bounds=[8.0], epochs=2, batch_size=4, step=0.3, checks=2,
                 variants={"class_noise": FULL, "shared_noise": SHARED}, erasing=[0.001], seed=0,
                 labels={"shares": [0.2], "draws": 1, "seed": 0})  # fmt: skip
REPORT = parameters.profile().report.model_copy(update={"resamples": 200})
WEIGHTS = torch.randn(3, 12, generator=torch.Generator().manual_seed(0))


def forward(pixels):
    """A linear classifier of 2 x 2 pictures."""
    return (pixels / 50).flatten(1) @ WEIGHTS.T


def batch(n=5):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(60, 200, (n, 3, 2, 2), generator=generator).float(), torch.arange(n) % 3


def patterns(count=3, scale=4.0):
    return scale * torch.randn(count, 3, 2, 2, generator=torch.Generator().manual_seed(2))


class TestObjective:
    @pytest.mark.parametrize(
        ("terms", "scores"),
        [
            # the true class under its own pattern
            ({"gain": 0.0, "size": 0.0}, lambda x, y: forward(noisy(x, patterns()[y]))),
            # every class under its own pattern
            (
                {"margin": 1e-9, "size": 0.0},
                lambda x, y: torch.stack([log_softmax(forward(noisy(x, patterns()[c])), 1)[:, c] for c in range(3)], 1),
            ),
        ],
        ids=["margin", "gain"],
    )
    def test_the_true_class_is_to_win(self, terms, scores):
        x, y = batch()
        expected = []
        for row, true in zip(scores(x, y).tolist(), y.tolist(), strict=True):
            ahead = max(row[:true] + row[true + 1 :]) - row[true]
            expected.append(math.log1p(math.exp(ahead)))
        found = objective(forward, x, y, patterns(), 8.0, FULL.model_copy(update=terms))
        assert float(found) == pytest.approx(np.mean(expected), rel=1e-4)

    def test_size_is_counted_in_units_of_the_bound(self):
        x, y = batch()
        free, priced = (FULL.model_copy(update={"size": size}) for size in (0.0, 1.0))
        at_bound = torch.full((3, 3, 2, 2), 8.0)
        gap = objective(forward, x, y, at_bound, 8.0, priced) - objective(forward, x, y, at_bound, 8.0, free)
        assert float(gap) == pytest.approx(1.0, rel=1e-5)

    def test_passes_are_counted(self):
        assert [passes(terms, 3) for terms in (FULL, FULL.model_copy(update={"gain": 0.0}), SHARED)] == [3, 1, 1]

    @pytest.mark.parametrize("count", [1, 3])
    def test_both_rules_tell_probabilities_and_without_noise_the_models_own(self, count):
        x, _ = batch()
        assert noisy(x, patterns(1, 300.0)).aminmax() == (0, 255)  # pixels stay pixels
        for chances in probabilities(forward, x, torch.zeros(count, 3, 2, 2)).values():
            torch.testing.assert_close(chances, torch.softmax(forward(x).double(), 1))
        for chances in probabilities(forward, x, patterns(count, 60.0)).values():
            torch.testing.assert_close(chances.sum(1), torch.ones(5, dtype=torch.double))
            assert float(chances.min()) >= 0


def test_training_sees_whole_and_masked_images_and_never_the_masks_of_the_test():
    x, ids = np.full((60, 3, 16, 16), 200, dtype=np.uint8), np.arange(60)
    first, again = (at_random(x, ids, MASKS, 0, epoch) for epoch in (0, 1))
    hidden = (first == 0).all(1).mean((1, 2)).round(2)
    assert set(hidden) == {0.0, 0.1, 0.5}
    assert (first != again).any()
    found = {condition: images for condition, _, images in under_masks(x, ids, MASKS)}
    assert list(found) == ["none", "any-10", "any-50"]
    half = hidden == 0.5
    assert (first[half] != found["any-50"][half]).any((1, 2, 3)).all()


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """A trained network, a store and a split of 30 pictures whose brightness tells the class."""
    root = tmp_path_factory.mktemp("noise")
    files = {}
    for i in range(30):
        files[i] = root / f"{i}.png"
        Image.fromarray(picture(i, 24, 24) // 2 + np.uint8(60 * (i % 3))).save(files[i])
    image_store.build(files, root / "store", short_side=24)
    torch.manual_seed(0)
    network, _ = build(CNN, CLASSES)
    save(network, CNN, CLASSES, root / "cnn", None)
    split = pd.DataFrame({"image_id": range(30), "label": [CLASSES[i % 3] for i in range(30)],
                          "split": ["train"] * 12 + ["validation"] * 6 + ["test"] * 6 + ["extended"] * 6})  # fmt: skip
    return Trained("cnn_base", root / "cnn"), split, root / "store"


def learnt(task, run) -> FittedNoise:
    model, images, folder = task
    return learn(run, model, images, CLASSES, folder, MASKS, SETTINGS, "cpu")


class TestLearning:
    @pytest.mark.parametrize(("terms", "count"), [(FULL, 3), (SHARED, 1)], ids=["class", "shared"])
    def test_patterns_stay_in_their_bound_and_are_learnt(self, task, terms, count):
        found = learnt(task, Run("some", terms, bound=8.0))
        assert found.patterns.shape == (count, 3, 16, 16)
        assert 0 < np.abs(found.patterns).max() <= 8.0
        assert len(found.candidates) == 4  # two checks, two rules
        assert found.candidates.nll.is_monotonic_increasing

    @pytest.mark.parametrize("run", [Run("some", FULL, bound=8.0), Run(ERASING, rate=0.01)], ids=["noise", "erasing"])
    def test_test_labels_choose_nothing_and_a_second_run_is_the_same(self, task, run):
        model, split, folder = task
        held = split.split.isin(["test", "extended"])
        other = split.assign(label=np.where(held, np.roll(split.label, 1), split.label))
        first, other = learnt(task, run), learnt((model, other, folder), run)
        pd.testing.assert_frame_equal(first.candidates, other.candidates, check_exact=True)
        columns = [f"p_{name}" for name in CLASSES]
        pd.testing.assert_frame_equal(first.predictions[columns], other.predictions[columns], check_exact=True)

    def test_nothing_is_the_model_as_it_is(self, task):
        found = learnt(task, Run(NOTHING)).predictions
        network, preprocess = load_kept(task[0].folder, CLASSES)
        x = torch.as_tensor(preprocess.load(image_store.Store(task[2]), range(18, 30)))
        with torch.no_grad():
            expected = torch.softmax(logits(network, preprocess.normalise(x)), 1)
        np.testing.assert_allclose(found[found.condition == "none"].filter(like="p_"), expected, atol=2e-6)

    def test_an_exploding_rate_is_told_in_one_line(self, task):
        with pytest.raises(HarError, match=r"lower noise\.step or noise\.erasing"):
            learnt(task, Run(ERASING, rate=1e30))


@pytest.fixture(scope="module")
def whole(task) -> Study:
    model, split, folder = task
    return study(model, split, CLASSES, folder, MASKS, SETTINGS, one_by_one())


class TestReport:
    def test_each_method_is_shown_at_its_best_on_validation(self, whole):
        assert list(whole.best) == ["nothing", "class_noise", "shared_noise", "erasing"]
        for method, one in whole.best.items():
            assert one.loss == whole.candidates[whole.candidates.method == method].nll.min()
        rivals = {name: one.loss for name, one in whole.best.items() if name != ERASING}
        assert rivals[whole.chosen] == min(rivals.values())

    def test_tables_and_figure(self, whole, tmp_path):
        tables = build_tables(whole, CLASSES, MASKS.shares, "cnn_base", "profile test", REPORT)
        assert set(tables) == {"noise", "effects", "validation"}
        frame = tables["noise"].frame.set_index("method")
        assert frame.loc["nothing", "masked_accuracy_change"] == 0
        for name, row in frame.iterrows():
            gap = row.masked_accuracy - frame.loc["nothing", "masked_accuracy"]
            assert row.masked_accuracy_change == pytest.approx(gap), name
            assert row.masked_accuracy_low <= gap <= row.masked_accuracy_high
        assert frame.chosen.sum() == 1
        for table in tables.values():
            assert "nan" not in table.markdown()
        draw(whole, CLASSES, MASKS.shares, tmp_path / "noise.svg", "Noise", 0.95)
        assert "share that is black (band: 95% interval)" in (tmp_path / "noise.svg").read_text()

    def test_a_class_without_images_has_no_recall_and_stops_nothing(self, whole):
        few = {
            name: dataclasses.replace(one, predictions=one.predictions[one.predictions.label != CLASSES[0]])
            for name, one in whole.best.items()
        }
        found = Study(few, whole.candidates)
        table = build_tables(found, CLASSES, MASKS.shares, "cnn_base", "profile test", REPORT)["effects"]
        assert table.frame[f"recall_{CLASSES[0]}"].isna().all()
        assert not table.frame[f"recall_{CLASSES[1]}"].isna().any()

    @pytest.mark.parametrize(
        ("low", "high", "said"), [(0.01, 0.05, "better"), (-0.05, -0.01, "worse"), (-0.01, 0.05, "no effect shown")]
    )
    def test_the_verdict_follows_the_interval(self, whole, low, high, said):
        gaps = {f"{where}_{measure}_{end}": value for where in ("whole", "masked")
                for measure in ("accuracy", "true_class")
                for end, value in {"change": (low + high) / 2, "low": low, "high": high}.items()}  # fmt: skip
        first, *others = verdict(whole, {name: gaps for name in whole.best})
        assert "Lowest validation loss" in first
        assert others
        assert all(sentence.count(said) == 3 for sentence in others)

    def test_class_bias_is_the_distance_of_two_shares_and_draws_groups(self):
        rows = [{"condition": c, "covered": 0.0, "image_id": i, "split": "test", "label": CLASSES[i // 2 % 2],
                 "group": f"g{i // 2}", "p_walking": 1.0, "p_sitting": 0.0, "p_standing": 0.0}
                for c in ("none", "any-10") for i in range(8)]  # fmt: skip
        grouped = pd.DataFrame(rows)
        found, alone = (
            class_bias(per_image(frame), ["any-10"], CLASSES, 400, 0)
            for frame in (grouped, grouped.drop(columns="group"))
        )
        assert found[0] == alone[0] == pytest.approx(0.5)
        assert found.std() > 1.2 * alone.std()  # two images of a group are of one class
