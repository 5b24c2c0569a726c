"""Runs trained side by side end where each ends alone."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import CLASSES
from test_loop import features
from test_models import MLP

from har.core.errors import HarError
from har.training import loop
from har.training.refit import TOGETHER, Fit, Recipe, _groups
from har.training.run import Inputs
from har.training.stacked import train_together

NEAR = 5e-4  # rounding, over some thirty steps; another seed differs by a hundred times that
DEEP = MLP.model_copy(update={"hidden": [8, 6], "epochs": 6, "label_smoothing": 0.1, "warmup": 0.2, "batch_size": 5})


def runs(count: int) -> list[Inputs]:
    """Each on other images, some told of more of them than others."""
    given = features(30)
    orders = [np.random.default_rng(seed).permutation(30) for seed in range(count)]
    return [Inputs(given.x, given.y, one[:21], one[21:24], one[24 - place :]) for place, one in enumerate(orders)]


@pytest.mark.parametrize("config", [MLP, DEEP], ids=["one hidden layer", "two"])
def test_each_ends_where_it_ends_alone(config, strength):
    given, seeds = runs(3), [5, 0, 9]
    for together, inputs, seed in zip(train_together(config, CLASSES, given, seeds), given, seeds, strict=True):
        alone = loop.train(config, CLASSES, inputs, seed, strength=strength)
        np.testing.assert_allclose(together.probabilities, alone.probabilities, atol=NEAR)
        assert len(together.probabilities) == len(inputs.told)
        assert (together.seed, together.epoch, together.parameters) == (seed, alone.epoch, alone.parameters)
        assert together.validation_loss == pytest.approx(alone.validation_loss, abs=NEAR)
        for here, there in zip(together.history, alone.history, strict=True):
            assert here == pytest.approx(there, abs=NEAR)


def test_a_run_does_not_depend_on_those_beside_it():
    given = runs(4)
    four = train_together(DEEP, CLASSES, given, [0, 1, 2, 3])
    two = train_together(DEEP, CLASSES, given[2:], [2, 3])
    for one, other in zip(four[2:], two, strict=True):
        np.testing.assert_allclose(one.probabilities, other.probabilities, atol=NEAR)


def test_the_run_whose_loss_is_not_finite_is_named():
    given = runs(2)
    spoilt = given[1].x.copy()
    spoilt[given[1].train] = np.inf
    given[1] = replace(given[1], x=spoilt)
    with pytest.raises(HarError, match="seed 8: the loss is not finite in epoch 1"):
        train_together(DEEP, CLASSES, given, [3, 8])


def test_only_mlps_of_one_shape_go_together():
    x = np.zeros((40, 4), np.float32)
    stopping = MLP.model_copy(update={"patience": 2})
    recipes = {"mlp": Recipe(MLP, x), "other": Recipe(MLP, x), "stopping": Recipe(stopping, x)}

    def fits(model, size, count):
        return [Fit(model, np.arange(size), np.arange(0), np.arange(size, 40), seed) for seed in range(count)]

    listed = [*fits("mlp", 30, TOGETHER + 2), *fits("mlp", 29, 2), *fits("other", 29, 1), *fits("stopping", 29, 2)]
    groups = _groups(range(len(listed)), listed, recipes)
    assert [len(group) for group in groups] == [TOGETHER, 2, 2, 1, 1, 1]
    assert [place for group in groups for place in group] == list(range(len(listed)))
