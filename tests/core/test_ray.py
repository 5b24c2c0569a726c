"""Backend ray: predictions are those of one process, also where a node dies in the middle; mistakes take one line."""

import sys
import threading
import time
from functools import partial, update_wrapper
from pathlib import Path

import pandas as pd
import pytest
from conftest import CLASSES, one_by_one
from joblib import delayed
from test_loop import images, split_of
from test_models import CNN, DENSE

from har.core import ray as cluster
from har.core.errors import HarError
from har.core.parallel import side_by_side
from har.training import experiment, refit
from har.training.refit import Recipe

SEEDS = [0, 1, 2, 3, 4, 5]
DOOMED = 2  # the seed whose node dies while it runs


@pytest.mark.skipif("ray" in sys.modules, reason="tells what happens where Ray is not installed")
def test_without_ray_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(HarError, match=r"training.backend is ray, .* pip install -e '\.\[ray\]'"):
        list(side_by_side(one_by_one(backend="ray"), 2)([delayed(max)(1, 2)]))


def test_a_call_runs_in_the_projects_folder_with_its_arguments(tmp_path, monkeypatch):
    monkeypatch.chdir(Path.cwd())  # and back
    assert cluster._call(str(tmp_path), sorted, ("reverse",), [1, 3, 2], True) == [3, 2, 1]
    assert Path.cwd() == tmp_path


def marked(folder: Path, run, recipe, y, classes, fit, **options):
    """`run`, after a file has told where; the first attempt at DOOMED's goes on until its node dies."""
    import ray

    try:
        with open(folder / f"{fit.seed}.txt", "x") as file:
            file.write(ray.get_runtime_context().get_node_id())
    except FileExistsError:
        return run(recipe, y, classes, fit, **options)  # again, elsewhere
    if fit.seed == DOOMED:
        time.sleep(120)
        raise RuntimeError("its node was to die")
    return run(recipe, y, classes, fit, **options)


@pytest.mark.slow
class TestCluster:
    @pytest.fixture
    def nodes(self):
        """Two nodes of one core beside a head that computes nothing."""
        ray = pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
        from ray.cluster_utils import Cluster

        ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers do not have tests/ on their path
        local = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
        nodes = [local.add_node(num_cpus=1) for _ in range(2)]
        yield local, nodes
        ray.shutdown()
        local.shutdown()

    @staticmethod
    def told(strength, config=CNN, **training):
        inputs = images(28)
        return experiment.run(
            Recipe(config, inputs.x), CLASSES, split_of(inputs), training=one_by_one(seeds=SEEDS, **training),
            strength=strength, name="activity-test",
        )  # fmt: skip

    def test_a_node_killed_in_the_middle_changes_no_byte(self, strength, nodes, tmp_path, monkeypatch):
        local, workers = nodes
        alone = self.told(strength)
        call = partial(marked, tmp_path, refit._fit)
        monkeypatch.setattr(refit, "_fit", update_wrapper(call, refit._fit))  # kept under the name it has
        file, killed = tmp_path / f"{DOOMED}.txt", []

        def kill():
            while not (file.exists() and file.read_text()):
                time.sleep(0.05)
            node = next(one for one in workers if one.node_id == file.read_text())
            killed.append(node.node_id)
            local.remove_node(node, allow_graceful=False)

        thread = threading.Thread(target=kill, daemon=True)
        thread.start()
        beside = self.told(strength, backend="ray", ray={"address": local.address, "cpus": 1, "gpus": 0.0})
        thread.join(10)
        assert killed
        assert len({(tmp_path / f"{seed}.txt").read_text() for seed in SEEDS}) == 2  # both nodes worked
        pd.testing.assert_frame_equal(alone[0], beside[0], check_exact=True)
        pd.testing.assert_frame_equal(alone[1], beside[1], check_exact=True)
        assert alone[2] == beside[2]

    def test_a_mistake_in_a_run_is_still_one_line(self, strength, nodes):
        config = DENSE.model_copy(update={"learning_rate": 1e30, "epochs": 4})
        ray = {"address": nodes[0].address, "cpus": 1, "gpus": 0.0}
        with pytest.raises(HarError, match=r"^seed \d: the loss is not finite[^\n]*$"):
            self.told(strength, config, backend="ray", ray=ray)


@pytest.mark.slow
def test_an_address_without_a_cluster_is_told():
    pytest.importorskip("ray", reason="Ray is not installed: pip install -e '.[ray]'")
    ray = {"address": "127.0.0.1:1", "cpus": 1, "gpus": 0.0}
    with pytest.raises(HarError, match=r"training\.ray\.address: '127\.0\.0\.1:1'"):
        list(side_by_side(one_by_one(backend="ray", ray=ray), 1)([delayed(max)(1, 2)]))
