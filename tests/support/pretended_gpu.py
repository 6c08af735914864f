"""A pretended GPU: torch's own CUDA build over a runtime of ordinary memory, with kernels of the processor.

    python tests/support/pretended_gpu.py -m pytest tests/adapters/test_finetune.py

Tensors say ``cuda:0`` and are CUDA tensors to torch: ``.numpy()``, pinned memory, streams, events,
generators, autocast, the caching allocator and the watch for waits are the real ones. What would launch a
kernel is given to the processor's kernel on the same memory, after the check that real ones make: no tensor
with dimensions may lie elsewhere. What it cannot show: recorded steps (recording is refused, so steps stay
plain), races, kernels that a GPU lacks for a type, speed, and the rounding of cuDNN and cuBLAS.

Wants Linux, a torch that is built for CUDA, its triton (for headers) and g++.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import runpy
import shutil
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
import torchvision  # noqa: F401  (brings kernels of its own)
from torch import Tensor
from torch.utils._pytree import tree_map

ENTRIES = """CtxGetCurrent CtxSetCurrent DeviceGet DeviceGetAttribute DevicePrimaryCtxRetain FuncGetAttribute
FuncSetAttribute FuncSetCacheConfig GetErrorString LaunchCooperativeKernel LaunchKernel LinkAddData_v2
LinkComplete LinkCreate_v2 ModuleGetFunction ModuleLoad ModuleLoadData ModuleLoadDataEx ModuleUnload
OccupancyMaxActiveBlocksPerMultiprocessor PointerGetAttribute TensorMapEncodeTiled Init"""
"""What torch looks up in the driver and never calls here."""
MEMORY = """empty empty_strided _local_scalar_dense set_ resize_ view as_strided _reshape_alias unfold
view_as_real view_as_complex record_stream _pin_memory is_pinned is_set_to"""
"""Operators that touch memory alone; torch's own do."""
INDEXING = {"index", "index_put_", "_index_put_impl_", "_unsafe_index"}
WAITING = {"nonzero", "masked_select", "_unique2", "unique_dim", "unique_consecutive", "bincount", "nms"}
"""Operators whose result has a size that the host must know."""
WAITS = "called a synchronizing CUDA operation"


def missing() -> str:
    """Say what is missing for it here, or nothing."""
    if not sys.platform.startswith("linux") or torch.version.cuda is None:
        return "wants Linux, and a torch that is built for CUDA"
    if torch.cuda.is_available():
        return "there is a real GPU"
    if _headers() is None or shutil.which("g++") is None:
        return "wants triton's headers and g++"
    return ""


def build(folder: Path) -> dict[str, str]:
    """Compile runtime and driver (seconds), and return the variables of a process that takes them."""
    driver = "int cuDevicePrimaryCtxGetState(int d, unsigned* f, int* a) { *f = 0; *a = 1; return 0; }\n"
    driver += "".join(f"int cu{name}() {{ return 999; }}\n" for name in ENTRIES.split())
    runtime = Path(__file__).with_name("pretended_runtime.cpp").read_text()
    for name, text, how in (
        ("libpretended.so", runtime, ["-x", "c++", "-I", str(_headers())]),
        ("libcuda.so.1", driver, ["-x", "c", "-w"]),
    ):
        made = ["g++", *how, "-O1", "-fPIC", "-shared", "-", "-o", str(folder / name)]
        subprocess.run(made, input=text, text=True, check=True)
    return {
        "LD_PRELOAD": str(folder / "libpretended.so"),
        "LD_LIBRARY_PATH": str(folder),
        "TORCH_CPP_LOG_LEVEL": "ERROR",
    }


def _headers() -> Path | None:
    found = importlib.util.find_spec("triton")
    places = [] if found is None else found.submodule_search_locations or []
    headers = [Path(place, "backends/nvidia/include") for place in places]
    return next((one for one in headers if (one / "cuda_runtime_api.h").is_file()), None)


def install() -> None:
    """Give every kernel of the GPU to the processor's one."""
    torch.backends.cudnn.enabled = False
    names = set(torch._C._dispatch_get_registrations_for_dispatch_key("CUDA"))
    names |= {"aten::convolution", "aten::convolution_backward", "aten::copy_"}
    for full in sorted(names):
        space, rest = full.split("::")
        name, _, overload = rest.partition(".")
        op = getattr(getattr(getattr(torch.ops, space), name, None), overload or "default", None)
        if name not in MEMORY.split() and op is not None:
            _library(space).impl(rest, _kernel(op, space, name), "CUDA", allow_override=True)


@lru_cache
def _library(space: str) -> Any:
    """Return what holds the kernels of a space; they are there as long as it is."""
    return torch.library.Library(space, "IMPL")  # type: ignore[no-untyped-call]


def _kernel(op: Any, space: str, name: str) -> Callable[..., Any]:
    if name == "copy_":
        return _copy
    if name == "_fused_sdp_choice":
        return lambda *args, **more: 0
    schema = op._schema
    draws = any(one.name == "generator" for one in schema.arguments)

    def run(*args: Any, **more: Any) -> Any:
        if name in INDEXING and not args[0].is_cuda:
            raise RuntimeError("indices should be on the same device as the indexed tensor (cpu)")
        if name in WAITING:
            _say_that_it_waits(False)
        if draws and more.get("generator") is None:
            more["generator"] = torch.cuda.default_generators[0]
        where: dict[int, tuple[Tensor, Tensor]] = {}
        here: Any = tree_map(lambda value: _on_host(value, op, name, where), (args, more))
        if any(
            str(one.type) == "Tensor" and isinstance(value, (int, float))
            for one, value in zip(schema.arguments, args, strict=False)
        ):
            # A number stands in a tensor's place: the overload for numbers.
            found = getattr(getattr(torch.ops, space), name)(*here[0], **here[1])
        else:
            found = op.redispatch(torch._C.DispatchKeySet(torch._C.DispatchKey.CPU), *here[0], **here[1])
        for key, out in more.items():
            if isinstance(out, Tensor) and out.is_cuda and not out.numel():
                out.resize_(here[1][key].shape)
                _seen(out).copy_(here[1][key])
        if schema.is_mutable and not schema.returns:
            return None
        return tree_map(lambda value: _on_device(value, where), found)

    return run


def _on_host(value: Any, op: Any, name: str, where: dict[int, tuple[Tensor, Tensor]]) -> Any:
    """Return an argument as the processor's kernel takes it, and note which tensor it stands for."""
    if isinstance(value, Tensor) and value.is_cuda:
        seen = _seen(value)
        where[id(seen)] = seen, value
        return seen
    if isinstance(value, Tensor) and value.ndim and name not in INDEXING:
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but {op} is given one of shape "
            f"{list(value.shape)} on cpu"
        )
    if isinstance(value, torch.Generator):
        if value.device.type != "cuda":
            raise RuntimeError("Expected a 'cuda' device type for generator but found 'cpu'")
        value.set_offset(value.get_offset() + 4)
        seed = (value.initial_seed() * 1000003 + value.get_offset()) % 2**63
        return torch.Generator().manual_seed(seed)
    return torch.device("cpu") if isinstance(value, torch.device) and value.type == "cuda" else value


def _on_device(value: Any, where: dict[int, tuple[Tensor, Tensor]]) -> Any:
    """Return what a kernel gave as a tensor of the device."""
    if not isinstance(value, Tensor):
        return value
    if id(value) in where:
        return where[id(value)][1]
    out = torch.empty_strided(value.shape, value.stride(), dtype=value.dtype, device="cuda")
    if value.numel():
        _seen(out).copy_(value)
    return out


def _seen(tensor: Tensor) -> Tensor:
    """Return a tensor of the processor on the same memory."""
    if not tensor.numel():
        return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)
    pairs = zip(tensor.shape, tensor.stride(), strict=True)
    span = 1 + sum((size - 1) * step for size, step in pairs)
    raw = (ctypes.c_char * (span * tensor.element_size())).from_address(tensor.data_ptr())
    return torch.frombuffer(raw, dtype=tensor.dtype).as_strided(tensor.shape, tensor.stride())


def _copy(into: Tensor, source: Tensor, non_blocking: bool = False) -> Tensor:
    """Copy, between host and device too."""
    if into.is_cuda != source.is_cuda:
        _say_that_it_waits(non_blocking)
    (_seen(into) if into.is_cuda else into).copy_(_seen(source) if source.is_cuda else source)
    return into


def _say_that_it_waits(non_blocking: bool) -> None:
    if not non_blocking and torch.cuda.get_sync_debug_mode():
        warnings.warn(WAITS, stacklevel=4)


def main() -> None:
    """Start again over the pretended runtime, and run a module or a script there."""
    if "libpretended" not in os.environ.get("LD_PRELOAD", ""):
        if lacks := missing():
            raise SystemExit(lacks)
        with tempfile.TemporaryDirectory() as folder:
            again = [sys.executable, __file__, *sys.argv[1:]]
            raise SystemExit(subprocess.run(again, env=os.environ | build(Path(folder))).returncode)
    install()
    sys.argv = sys.argv[1:]
    if sys.argv[0] == "-m":
        sys.argv = sys.argv[1:]
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
