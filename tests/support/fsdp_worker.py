"""A process of several that train shares of one model: FOLDER (a tiny LLaVA) OUT. See test_llava_processes.py.

accelerate itself shards on GPUs only. Told that this is FSDP it does the same on CPUs, with torch's own fully_shard.
"""

import sys
from pathlib import Path

from accelerate import Accelerator
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from test_llava import CONFIG, IDS, LABELS, TARGETS, opened
from torch.distributed.fsdp import FSDPModule

from har.core.files import write_json
from har.models import llava
from har.training import llava as tune

folder, out = map(Path, sys.argv[1:])
accelerator = Accelerator(cpu=True)
accelerator.state.distributed_type = DistributedType.FSDP
accelerator.state.fsdp_plugin = FullyShardedDataParallelPlugin(
    fsdp_version=2, auto_wrap_policy="transformer_based_wrap", cpu_ram_efficient_loading=False
)
vlm = llava.load(folder, CONFIG.dtype, "cpu")
tuned, history = tune.tune(vlm, IDS, TARGETS, opened, LABELS, CONFIG, 0, accelerator)
tune.save(tuned, history, out / "saved", CONFIG, accelerator)
parameters = list(tuned.model.parameters())
shared = sum(isinstance(module, FSDPModule) for module in tuned.model.modules())
sizes = {"shared": shared, "own": sum(p.to_local().numel() for p in parameters)}
sizes["all"] = sum(p.numel() for p in parameters)
write_json(out / f"{accelerator.process_index}.json", sizes)
