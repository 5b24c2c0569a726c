"""Is a checkpoint from outside fit to be used? Told in one line before it takes memory, time or part in a table."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn

from har.core.errors import HarError, machine_fault
from har.core.readers import one_line

# Of a model without weights, as they would be drawn: 10 GB.
MAX_PARAMETERS = 2_500_000_000
# What a network may have beside the weights it comes with: a new head, a pooler, position indices.
SPARE = 10_000_000


@contextmanager
def opening(folder: str | Path, what: str) -> Iterator[None]:
    """HarError, naming `folder`, for whatever goes wrong in the block: transformers meets a damaged folder with every
    kind of exception, and tokenizers with one that is not even an Exception."""
    try:
        yield
    except (HarError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except Exception as error:
        if machine_fault(error, ""):
            raise
        raise HarError(f"{folder}: not {what}: {one_line(error)}") from None
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Rust, by pyo3
            raise
        raise HarError(f"{folder}: not {what}: {one_line(error)}") from None


def check_size(build: Callable[[], nn.Module], held: int | None) -> None:
    """ValueError where the network that `build` makes is much larger than the `held` numbers of its weights, or, with
    None held, than MAX_PARAMETERS: a configuration must not ask for memory that its file does not fill."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):  # shapes alone, and no random number drawn
        network = build()
        size = sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
    most = MAX_PARAMETERS if held is None else 2 * held + SPARE
    if size > most:
        raise ValueError(f"config.json describes {size:,} numbers, the weights hold {held or 0:,}")


def from_safetensors(auto, folder: Path, new: Callable[[nn.Module], tuple[str, ...]], **options) -> nn.Module:
    """transformers' `auto` class with the weights in `folder`, which are finite and all there but for names that start
    with what `new` tells of the model; ValueError otherwise: transformers draws at random what a file lacks, and goes
    on with a model that is pretrained only in name."""
    options |= {"use_safetensors": True, "local_files_only": True, "trust_remote_code": False}
    # of another shape: told below by name, where transformers points to a report in its log
    options |= {"ignore_mismatched_sizes": True, "output_loading_info": True}
    model, told = auto.from_pretrained(folder, **options)
    keys = sorted({*told["missing_keys"], *(key for key, *_ in told["mismatched_keys"])})
    lacking = [key for key in keys if not key.startswith(new(model))]
    if lacking:
        raise ValueError(f"its weights lack {lacking[0]} or have it in another shape ({len(lacking)} such)")
    check_finite(model)
    return model


def check_finite(network: nn.Module) -> None:
    """ValueError naming the first tensor that holds NaN or infinity."""
    for name, tensor in network.state_dict().items():
        if tensor.is_floating_point() and not tensor.is_meta and not torch.isfinite(tensor).all():
            raise ValueError(f"{name} holds NaN or infinity")


def check_shapes(build: Callable[[], nn.Module], weights: Mapping[str, torch.Tensor]) -> None:
    """ValueError naming the first tensor of `weights` that is not what the network of `build` has."""
    with torch.random.fork_rng(devices=[]), torch.device("meta"):
        wanted = build().state_dict()
    for name in (*wanted, *weights):
        have, want = weights.get(name), wanted.get(name)
        if have is None or want is None or (have.shape, have.dtype) != (want.shape, want.dtype):
            told = [
                "nothing" if t is None else f"{t.dtype} {list(t.shape)}".removeprefix("torch.") for t in (have, want)
            ]
            raise ValueError(f"its weights do not fit its configuration: {name:.80} is {told[0]}, expected {told[1]}")


def check_answers(scores: torch.Tensor, shape: tuple[int, int]) -> None:
    """ValueError unless `scores` are finite numbers of that shape."""
    if not isinstance(scores, torch.Tensor) or tuple(scores.shape) != shape:
        raise ValueError(f"gives {getattr(scores, 'shape', type(scores))}, expected {list(shape)}")
    if not torch.isfinite(scores.float()).all():
        raise ValueError("gives NaN or infinity for an ordinary input")
