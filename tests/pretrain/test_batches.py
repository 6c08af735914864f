"""What each step sees."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from g2d_bench.pretrain import pretrain as run
from g2d_bench.pretrain.batches import Batches
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import recipe
from g2d_bench.pretrain.run_folder import RunFolder

ALONE = World(0, 1, torch.device("cpu"))


def test_batches_cover_an_epoch_and_depend_on_the_step_alone(
    toy: Path, tmp_path: Path, tiny: dict[str, Any]
) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    made = recipe("convirt", overrides=tiny)
    model = run.build(made, pairs, RunFolder(tmp_path, {}), ALONE, 0)

    def batches(rank: int = 0, size: int = 1, **changes: Any) -> Batches:
        world = World(rank, size, torch.device("cpu"))
        return Batches(
            pairs, recipe("convirt", overrides=tiny | changes), model.objective, model.text, 0, world
        )

    one = batches()
    assert one.per_epoch == len(pairs.parts["train"]) // 8
    seen = np.concatenate([one.indices(step) for step in range(one.per_epoch)])
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(pairs.parts["train"])
    assert not np.array_equal(one.indices(0), one.indices(one.per_epoch))  # another epoch, another order
    assert np.array_equal(one.indices(3), batches().indices(3))
    # Two processes see the halves of what one process sees; four parts the quarters.
    (whole,) = next(one.train(5, 6))
    halves = [next(batches(rank, 2).train(5, 6))[0] for rank in range(2)]
    close = partial(torch.testing.assert_close, atol=1e-5, rtol=0)  # the last bit depends on the batch's size
    close(whole[0], torch.cat([half[0] for half in halves]))
    assert torch.equal(whole[1]["input_ids"], torch.cat([half[1]["input_ids"] for half in halves]))
    assert whole[2] == halves[0][2] + halves[1][2]
    parts = next(batches(accumulate=4).train(5, 6))
    assert len(parts) == 4
    close(whole[0], torch.cat([part[0] for part in parts]))
    # Validation sees the pixels as they are.
    grey, _, ids = next(one.validation())
    assert [pairs.ids.index(name) in pairs.parts["val"] for name in ids] == [True] * len(ids)
    stored = torch.from_numpy(np.array(pairs.images[pairs.ids.index(ids[0])]))
    torch.testing.assert_close(grey[0, 0], stored[2:34, 2:34] / 255, atol=1e-4, rtol=0)
