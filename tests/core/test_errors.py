"""What a machine lacks is one line that names the remedy; any other error stays what it is."""

import errno
import os
from concurrent.futures.process import BrokenProcessPool

import pytest
import torch

from har.core.errors import HarError, machine_fault
from har.models.checks import opening
from stages.lib.guard import tell


def no_memory_on_the_cpu() -> RuntimeError:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(10**15)
    return caught.value


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (no_memory_on_the_cpu, "out of memory; lower x"),
        (lambda: torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB.\nGPU 0 has a total ..."),
         "out of memory on the GPU; lower x"),
        (lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"),
         "out of memory on the GPU; lower x"),
        (lambda: RuntimeError("[enforce fail at alloc_cpu.cpp] data. DefaultCPUAllocator: not enough memory"),
         "out of memory; lower x"),
        (MemoryError, "out of memory; lower x"),
        (lambda: OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), "out of memory; lower x"),
        (lambda: BrokenProcessPool("A process died"), "one of its processes was killed (out of memory? then lower x)"),
        (lambda: OSError(errno.ENOSPC, "No space left on device", "data/x"), "the disk is full: data/x"),
        (lambda: RuntimeError("I/O error (os error 28)"), "the disk is full: No space left on device"),
        (lambda: RuntimeError("shapes do not fit"), None),
        (lambda: ValueError("out of memory"), None),
    ],
)  # fmt: skip
def test_what_a_machine_lacks_is_one_line(error, line):
    assert machine_fault(error(), "lower x") == line


def test_a_checkpoint_is_not_blamed_for_want_of_memory(tmp_path):
    with pytest.raises(RuntimeError, match="DefaultCPUAllocator"), opening(tmp_path, "a model"):
        torch.empty(10**15)
    with pytest.raises(HarError, match="not a model: shapes"), opening(tmp_path, "a model"):
        raise RuntimeError("shapes do not fit")


@pytest.mark.parametrize(
    ("stage", "parameter"),
    [("explain", "explain.batch_size"), ("embed@siglip2", "embed.batch_size"), ("ablate", "models.<name>.batch_size")],
)
def test_a_stage_names_the_parameter_to_lower(stage, parameter, monkeypatch, capsys):
    """That a stage's own exceptions come here: tests/pipeline/test_guard.py."""
    monkeypatch.setenv("DVC_STAGE", stage)
    tell(RuntimeError, no_memory_on_the_cpu(), None)
    said = capsys.readouterr().err
    assert said.startswith(f"{stage}: out of memory; lower training.jobs or {parameter}. What is finished")
    assert said.count("\n") == 1


def test_a_refusal_is_one_line_whatever_the_name_holds():
    assert str(HarError("a\nb\x0b\u2028\x1b[31m\ud800.jpg: é 坐")) == "a b   [31m .jpg: é 坐"
