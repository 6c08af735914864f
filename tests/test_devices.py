"""What is switched on a GPU, and put back; no GPU is needed for that."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings

import pytest
import torch

from g2d_bench.adapters.mm.runner import quiet
from g2d_bench.devices import accelerator, half, room, stays, steady
from g2d_bench.pretrain.distributed import world
from g2d_bench.provenance import hardware

CPU, GPU = torch.device("cpu"), torch.device("cuda")


def state() -> tuple[bool, ...]:
    return (
        torch.backends.cuda.matmul.allow_tf32,
        torch.backends.cudnn.allow_tf32,
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
        torch.are_deterministic_algorithms_enabled(),
    )


def test_a_gpu_computes_by_deterministic_kernels_within_the_block() -> None:
    before = state()
    with steady(GPU):
        assert state() == (False, False, False, True, True)
        assert torch.is_deterministic_algorithms_warn_only_enabled()
    assert state() == before
    with steady(GPU, "fast"):
        assert state() == (True, True, False, True, True)
    with pytest.raises(RuntimeError, match="planted"), steady(GPU):
        raise RuntimeError("planted")
    assert state() == before
    with steady(CPU) as kernels:
        assert state() == before
    assert kernels == []


SWITCHES = """
import os, sys, torch
from g2d_bench.devices import steady
backends = torch.backends
cudnn, mkldnn = backends.cudnn, backends.mkldnn
parts = [backends.cuda.matmul, cudnn.conv, cudnn.rnn, mkldnn.matmul, mkldnn.conv]
def told(ask):
    try:
        return ask()
    except RuntimeError:
        return "refused"
def older():
    allowed = (lambda: backends.cuda.matmul.allow_tf32), (lambda: backends.cudnn.allow_tf32)
    return [told(ask) for ask in (torch.get_float32_matmul_precision, *allowed)]
def newer():
    return [part.fp32_precision for part in parts]
def check(asked):
    exec(asked)
    before = older(), newer()
    with steady(torch.device("cuda")):
        assert (older(), newer()) == (["highest", False, False], ["ieee"] * 5), (older(), newer())
    with steady(torch.device("cuda"), "fast"):
        assert (older(), newer()) == (["high", True, True], ["tf32"] * 3 + ["ieee"] * 2), (older(), newer())
    assert (older(), newer()) == before, (older(), newer(), before)
for asked in sys.argv[1:]:
    # torch remembers for ever what a process has switched.
    if not (child := os.fork()):
        check(asked)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, asked
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, "fp32_precision"), reason="this torch has older switches alone"
)
def test_whatever_a_process_has_switched_products_are_exact_within_and_all_is_as_before_afterwards() -> None:
    asked = (
        "pass",
        "torch.backends.fp32_precision = 'tf32'",
        "torch.backends.cuda.matmul.fp32_precision = 'tf32'",
        "torch.backends.cuda.matmul.allow_tf32 = True",
        "torch.set_float32_matmul_precision('high')",
        "torch.set_float32_matmul_precision('medium')",
        "torch.backends.cudnn.allow_tf32 = False",
        "torch.backends.cudnn.fp32_precision = 'tf32'",
        "torch.backends.mkldnn.fp32_precision = 'bf16'",
    )
    subprocess.run([sys.executable, "-c", SWITCHES, *asked], check=True)


def test_kernels_that_are_not_deterministic_are_named_and_other_warnings_pass() -> None:
    said = "does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms"
    with warnings.catch_warnings(record=True) as passed, steady(GPU) as kernels:
        warnings.simplefilter("always")
        for _ in range(2):
            warnings.warn(f"grid_sampler_2d_backward_cuda {said}", stacklevel=1)
        # Also where the libraries are kept from printing.
        with quiet():
            warnings.warn(f"cumsum_cuda_kernel {said}", stacklevel=1)
        warnings.warn("something else", stacklevel=1)
    assert [str(warning.message) for warning in passed] == ["something else"]
    assert kernels == ["cumsum_cuda_kernel", "grid_sampler_2d_backward_cuda"]


def test_the_environment_may_forbid_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("G2D_BENCH_DEVICE", raising=False)
    assert accelerator() == GPU
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "a card")
    assert hardware()["accelerator"] == "a card"
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    assert accelerator() == CPU
    assert hardware()["accelerator"] == "none"
    for word, device in (("CPU", CPU), (" cuda ", GPU), ("", GPU)):
        monkeypatch.setenv("G2D_BENCH_DEVICE", word)
        assert accelerator() == device
    monkeypatch.setenv("G2D_BENCH_DEVICE", "cpu")
    with world() as here:
        assert here.device == CPU


def test_on_a_processor_nothing_changes_in_single_precision() -> None:
    assert not stays(CPU, "fp32")
    assert stays(CPU, "fast")
    assert stays(GPU, "fp32")
    assert room(CPU, 7) == 7
    product = torch.ones(2, 2)
    with half(CPU, "fp32"):
        assert (product @ product).dtype == torch.float32
    with half(CPU, "fast"):
        assert (product @ product).dtype == torch.bfloat16
