"""What each step of pre-training sees, from the seed and its own number alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from g2d_bench.devices import sent
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.pretrain.augment import Augment, apply, draw, mix
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.objective import Objective
from g2d_bench.pretrain.pairs import PairData
from g2d_bench.pretrain.presets import Recipe


@dataclass
class Batches:
    """What each step sees.

    Attributes:
        data: the pairs.
        recipe: sizes and augmentation.
        objective: how it wants its text.
        text: whose tokenizer is used.
        seed: of the run.
        here: which part of each batch this process takes.
    """

    data: PairData
    recipe: Recipe
    objective: Objective
    text: TextEncoder
    seed: int
    here: World
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _order: tuple[int, NDArray[np.intp]] = field(default=(-1, np.empty(0, np.intp)), init=False)

    @property
    def per_epoch(self) -> int:
        """Steps per epoch; an incomplete last batch is left out."""
        return len(self.data.parts["train"]) // self.recipe.batch

    def indices(self, step: int) -> NDArray[np.intp]:
        """Return the pairs of a step, over all processes."""
        epoch, place = divmod(step, self.per_epoch)
        if self._order[0] != epoch:
            order = np.random.default_rng(mix("order", self.seed, epoch)).permutation(
                self.data.parts["train"]
            )
            self._order = (epoch, order)
        return self._order[1][place * self.recipe.batch :][: self.recipe.batch]

    def raw(self, step: int) -> list[tuple[Tensor, dict[str, Tensor], tuple[str, ...], Tensor, Tensor]]:
        """Gather pixels, tokens, ids and augmentation parameters of this process, one entry per part."""
        chosen = self.indices(step)
        grid, tone = draw(self.recipe.augment, len(chosen), self.seed, step)
        size = len(chosen) // self.recipe.accumulate
        found = []
        for start in range(0, len(chosen), size):
            mine = self.here.share(size)
            mine = slice(start + mine.start, start + mine.stop)
            # All texts of the part are cut to one length, whichever process has the longest.
            tokens = self.tokens(chosen[start : start + size], "step", step)
            tokens = {name: value[mine.start - start : mine.stop - start] for name, value in tokens.items()}
            ids = tuple(self.data.ids[index] for index in chosen[mine])
            pixels = torch.from_numpy(np.array(self.data.images[chosen[mine]]))
            if self.here.device.type == "cuda":
                pixels = pixels.pin_memory()
            found.append((pixels, tokens, ids, grid[mine], tone[mine]))
        return found

    def tokens(self, chosen: NDArray[np.intp], *place: int | str) -> dict[str, Tensor]:
        """Draw and tokenise the texts of pairs; chance depends on seed, place and pair.

        For a GPU they stay on the processor, so that this thread does not wait for what the GPU still does.
        """
        texts = [
            self.objective.choose_text(
                self.data.text(index, self.objective.text.part),
                np.random.default_rng(mix("text", self.seed, *place, self.data.ids[index])),
            )
            for index in chosen
        ]
        with self._lock:  # the tokenizer does not bear two threads
            return self.text.tokenize(texts, self.recipe.max_length, host=self.here.device.type == "cuda")

    def sent(self, tokens: dict[str, Tensor]) -> dict[str, Tensor]:
        """Bring tokens to where this process computes."""
        return {name: sent(value, self.here.device) for name, value in tokens.items()}

    def train(
        self, start: int, stop: int
    ) -> Iterator[list[tuple[Tensor, dict[str, Tensor], tuple[str, ...]]]]:
        """Yield the augmented parts of each step; the next step's pixels are gathered meanwhile."""
        device, size, reach = self.here.device, self.recipe.size, self.recipe.augment.blur[1]
        with ThreadPoolExecutor(1) as pool:
            ahead: Future[Any] = pool.submit(self.raw, start)
            for step in range(start, stop):
                parts = ahead.result()
                if step + 1 < stop:
                    ahead = pool.submit(self.raw, step + 1)
                yield [
                    (
                        apply(pixels.to(device, non_blocking=True), grid, tone, size, reach=reach),
                        self.sent(tokens),
                        ids,
                    )
                    for pixels, tokens, ids, grid, tone in parts
                ]

    def validation(self) -> Iterator[tuple[Tensor, dict[str, Tensor], tuple[str, ...]]]:
        """Yield the validation pairs, unchanged, with the same texts every time."""
        val, size = self.data.parts["val"], self.recipe.batch // self.recipe.accumulate
        size = min(size, len(val) // self.here.size * self.here.size)
        if not size:
            return
        for start in range(0, len(val) - size + 1, size):
            mine = self.here.share(size)
            chosen = val[start : start + size]
            tokens = {name: value[mine] for name, value in self.tokens(chosen, "val").items()}
            grid, tone = draw(Augment(), size, 0, 0)
            grid[:, :2, :2] *= self.recipe.size / self.recipe.store
            pixels = torch.from_numpy(np.array(self.data.images[chosen[mine]])).to(self.here.device)
            grey = apply(pixels, grid[mine], tone[mine], self.recipe.size)
            yield grey, self.sent(tokens), tuple(self.data.ids[index] for index in chosen[mine])
