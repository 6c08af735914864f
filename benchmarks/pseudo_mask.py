"""Pseudo-masks of the released G2D step: the literal way against ours, side by side, same inputs, same bits.

The literal way: attention to the host, heads averaged, nearest-neighbour enlargement, `numpy.quantile` over
the pixels of each image, masks back to a tensor on the device. Ours: `g2d_bench.pretrain.pseudo_mask`. The
paper's steps (body mask, smoothing) have no published code to race against; their time is given alone.

    python benchmarks/pseudo_mask.py [--device cuda] [--threads 2] [--repeats 20] [--out benchmarks/results]

Writes pseudo_mask.json and pseudo_mask.md; fails where the masks differ or the ratio is below 5.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from g2d_bench.pretrain.pseudo_mask import PseudoMaskConfig, pseudo_masks

CASES = [(64, 8, 256), (32, 8, 128), (128, 7, 224), (16, 16, 512), (64, 8, 250)]
"""Images, cells per side, pixels per side. 250 pixels are no multiple of 8 cells."""
GOAL = 5.0


def literal(attention: Tensor, image: Tensor) -> Tensor:
    """One step as released, one image after the other."""
    maps = attention.sum(dim=1).div(4).detach().cpu().numpy()
    side, cells = image.shape[-1], maps.shape[-1]
    source = np.arange(side) * cells // side
    masks = []
    for one in maps:
        big = one[source][:, source]
        masks.append((big > np.quantile(big, 0.85)).astype(np.float32))
    return torch.from_numpy(np.stack(masks)).unsqueeze(1).to(attention.device)


def released(attention: Tensor, image: Tensor) -> Tensor:
    return pseudo_masks(attention, image, PseudoMaskConfig("released"))


def paper(attention: Tensor, image: Tensor) -> Tensor:
    return pseudo_masks(attention, image, PseudoMaskConfig("paper"))


def milliseconds(step: Callable[[Tensor, Tensor], Tensor], attention: Tensor, image: Tensor) -> float:
    """Time one call, the device's work included."""
    start = time.perf_counter()
    step(attention, image)
    if attention.is_cuda:
        torch.cuda.synchronize()
    return 1e3 * (time.perf_counter() - start)


def measure(batch: int, cells: int, side: int, device: str, repeats: int) -> dict[str, float | str | bool]:
    """Race the ways on one size, in turns, so that a busy machine disturbs all alike."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn((batch, 4, cells * cells), generator=generator)
    attention = logits.softmax(dim=2).reshape(batch, 4, cells, cells).to(device)
    image = torch.rand((batch, 1, side, side), generator=generator).to(device)
    ways = {"literal": literal, "released": released, "paper": paper}
    equal = torch.equal(literal(attention, image), released(attention, image))
    times: dict[str, list[float]] = {name: [] for name in ways}
    paper(attention, image)
    for _ in range(repeats):
        for name, way in ways.items():
            times[name].append(milliseconds(way, attention, image))
    middle = {name: statistics.median(values) for name, values in times.items()}
    return {
        "size": f"{batch} x {cells}² cells -> {side}² px",
        **{f"{name}_ms": round(value, 3) for name, value in middle.items()},
        "ratio": round(middle["literal"] / middle["released"], 1),
        "bit_equal": equal,
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    rows = [measure(*case, options.device, options.repeats) for case in CASES]
    machine = {
        "device": torch.cuda.get_device_name() if options.device.startswith("cuda") else "cpu",
        "processor": platform.machine(),
        "cores": os.cpu_count(),
        "threads": options.threads,
        "load": round(os.getloadavg()[0], 1),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "statistic": f"median of {options.repeats} calls, in turns",
    }
    table = [
        "| images, map, image | literal, ms | ours, ms | ratio | bit-equal | paper's steps, ms |",
        "|---|---|---|---|---|---|",
    ]
    table += [
        f"| {row['size']} | {row['literal_ms']} | {row['released_ms']} | **{row['ratio']}×** "
        f"| {'yes' if row['bit_equal'] else 'NO'} | {row['paper_ms']} |"
        for row in rows
    ]
    notes = ", ".join(f"{key} {value}" for key, value in machine.items())
    text = "# Pseudo-masks of the released G2D step\n\n" + "\n".join(table)
    text += f"\n\nBy `python benchmarks/pseudo_mask.py`: {notes}.\n"
    options.out.mkdir(parents=True, exist_ok=True)
    for name, content in {
        "pseudo_mask.json": json.dumps({"machine": machine, "rows": rows}, indent=2) + "\n",
        "pseudo_mask.md": text,
    }.items():
        draft = options.out / f".{name}.tmp"
        draft.write_text(content)
        draft.replace(options.out / name)
    print(text)
    good = all(row["bit_equal"] and float(row["ratio"]) >= GOAL for row in rows)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
