"""Six seeds of one epoch each, of this folder's work, on COUNT local nodes of Ray with one core each:
`python -m har.dev.bench.nodes COUNT`.

Writes nodes-COUNT.json, the seconds from the first call to the last result. The nodes have run before and their workers
have loaded torch: that is the state of a cluster on which one model after the other is trained.
"""

import os
import sys
import time
from pathlib import Path

from har.core.files import write_json
from har.data import store
from har.dev.bench import task
from har.training import experiment

SEEDS = 6  # three each for two nodes: five would leave one of them idle for a fifth of the time


def main(count: int) -> None:
    os.environ["RAY_worker_niceness"] = "0"  # Ray's workers otherwise stand back behind whatever else runs
    import ray
    from ray.cluster_utils import Cluster

    given, images = task.read(".")
    checkpoint = Path(given.checkpoint)
    store.build(dict(zip(images.image_id, images.file, strict=True)), "store", given.short_side, given.training.jobs)
    x = experiment.images(given.model, store.Store("store"), images.image_id, checkpoint)
    local = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    for _ in range(count):
        local.add_node(num_cpus=1)
    cluster = given.training.ray.model_copy(update={"address": local.address, "cpus": 1, "gpus": 0.0})
    options = {"backend": "ray", "ray": cluster, "device": "cpu"}

    def trained(seeds: int) -> float:
        start = time.perf_counter()
        experiment.run(
            given.model.model_copy(update={"epochs": 1}),
            given.classes,
            images,
            x,
            training=given.training.model_copy(update={**options, "seeds": list(range(seeds))}),
            strength=given.strength,
            name="bench",
            backbone=checkpoint,
        )
        return time.perf_counter() - start

    try:
        trained(2 * count)
        write_json(Path(f"nodes-{count}.json"), {"seconds": trained(SEEDS)})
    finally:
        ray.shutdown()
        local.shutdown()


if __name__ == "__main__":
    main(int(sys.argv[1]))
