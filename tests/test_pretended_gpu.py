"""Work of cells on a pretended GPU: nothing that is computed with is left behind on the host."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from pretended_gpu import missing

HERE = Path(__file__).parent
ON_IT = """
import pytest, torch
host, there = torch.rand(4, 3), torch.rand(4, 3, device="cuda")
assert str(there.device) == "cuda:0"
torch.testing.assert_close((there @ there.T).cpu(), there.cpu() @ there.cpu().T)
layer = torch.nn.Conv2d(1, 2, 3).cuda()
layer(torch.rand(2, 1, 8, 8, device="cuda")).sum().backward()
assert layer.weight.grad.is_cuda
for mixed in (lambda: there + host, lambda: torch.cat([there, host]), lambda: host[torch.tensor([0]).cuda()]):
    with pytest.raises(RuntimeError, match="same device"):
        mixed()
with pytest.raises(TypeError, match="numpy"):
    there.numpy()
with pytest.raises(RuntimeError, match="generator"):
    torch.rand(2, device="cuda", generator=torch.Generator())
torch.cuda.set_sync_debug_mode("warn")
with pytest.warns(UserWarning, match="synchronizing"):
    there.cpu()
"""
CELLS = ("linear", "lbfgs", "by_scorer", "zero_shot", "finetune")
"""Adapters whose tests run there."""


def on_it(*call: str) -> subprocess.CompletedProcess[str]:
    """Run Python on the pretended GPU."""
    command = [sys.executable, str(HERE / "support" / "pretended_gpu.py"), *call]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_XDIST")}
    return subprocess.run(command, env=clean, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing() or "it can be made here")
def test_it_minds_on_which_device_tensors_are_as_a_real_one_does(tmp_path: Path) -> None:
    script = tmp_path / "on_it.py"
    script.write_text(ON_IT)
    done = on_it(str(script))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(bool(missing()), reason=missing() or "it can be made here")
@pytest.mark.parametrize("name", CELLS)
def test_adapters_keep_what_they_compute_with_on_one_device(name: str) -> None:
    done = on_it("-m", "pytest", "-q", "-p", "no:cacheprovider", str(HERE / "adapters" / f"test_{name}.py"))
    assert done.returncode == 0, done.stdout[-3000:]
    assert " passed" in done.stdout
