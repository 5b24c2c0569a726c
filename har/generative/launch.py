"""One training as several processes, which `accelerate launch` starts."""

import gc
import shlex
import subprocess
import sys

from har.errors import HarError


def launch(options: str, module: str, *arguments: str) -> None:
    """`accelerate launch OPTIONS -m module arguments`, in this folder. Raises HarError where it fails; what it printed
    tells why."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()  # what this process asked before, it needs no more; the others need the room
    command = [sys.executable, "-m", "accelerate.commands.launch", *shlex.split(options), "-m", module, *arguments]
    code = subprocess.run(command).returncode
    if code:
        raise HarError(f"accelerate launch {options} -m {module} {' '.join(arguments)}: failed with exit code {code}")
