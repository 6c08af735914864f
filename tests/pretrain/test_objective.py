"""Two processes with half a batch each must learn what one learns from the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.spawn import spawn

from g2d_bench.encoders.heads.base import Embeddings
from g2d_bench.pretrain.convirt import ConVIRT
from g2d_bench.pretrain.gloria import GLoRIA
from g2d_bench.pretrain.mgca import MGCA
from g2d_bench.pretrain.objective import Objective, gather

BATCH, WIDTH, WORDS = 6, 4, 5


class Projection(nn.Module):
    """Stands for encoders and heads: one shared weight, whose gradient is what data parallelism averages."""

    dim = WIDTH

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.linspace(-1, 1, WIDTH * WIDTH).double().view(WIDTH, WIDTH).sin())

    def embed(self, part: slice) -> Embeddings:
        generator = torch.Generator().manual_seed(11)
        image, text = torch.randn(2, BATCH, WIDTH, generator=generator, dtype=torch.float64)
        cells = torch.randn(BATCH, 2, 3, WIDTH, generator=generator, dtype=torch.float64)
        words = torch.randn(BATCH, WORDS, WIDTH, generator=generator, dtype=torch.float64)
        mask = torch.arange(WORDS) < torch.tensor([1, 5, 2, 3, 4, 2])[:, None]
        weights = mask / mask.sum(dim=1, keepdim=True).double()
        # Processes pad to their own longest text.
        longest = int(mask[part].sum(dim=1).max())
        return Embeddings(
            image[part] @ self.weight,
            (cells[part] @ self.weight).movedim(-1, 1),
            text[part] @ self.weight,
            words[part, :longest] @ self.weight,
            mask[part, :longest],
            weights[part, :longest],
        )


def objectives() -> list[Objective]:
    torch.manual_seed(0)
    mgca = MGCA(Projection(), prototypes=3).double()
    mgca.epoch = 1
    return [ConVIRT(Projection()), GLoRIA(Projection(), block=1), mgca]


def outcome(objective: Objective, part: slice) -> tuple[Tensor, dict[str, Tensor]]:
    loss = objective.losses(objective.heads.embed(part))["loss"]
    torch.autograd.backward(loss)
    return loss.detach(), {k: p.grad for k, p in objective.named_parameters() if p.grad is not None}


def process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    try:
        results = []
        for objective in objectives():
            loss, gradients = outcome(objective, slice(rank * 3, rank * 3 + 3))
            for value in (loss, *gradients.values()):
                torch.distributed.all_reduce(value)
                value /= 2
            results.append((loss, gradients))
        if rank == 0:
            torch.save(results, Path(folder) / "results.pt")
    finally:
        torch.distributed.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    spawn(process, (str(tmp_path),), nprocs=2)  # type: ignore[no-untyped-call]
    together: list[Any] = torch.load(tmp_path / "results.pt")
    for objective, (loss, gradients) in zip(objectives(), together, strict=True):
        alone, expected = outcome(objective, slice(None))
        torch.testing.assert_close(loss, alone)
        assert set(expected) == set(gradients)
        for name, gradient in expected.items():
            assert gradient.any()
            torch.testing.assert_close(gradients[name], gradient)


def test_local_negatives_differ() -> None:
    alone, _ = outcome(objectives()[0], slice(None))
    half, _ = outcome(objectives()[0], slice(0, 3))
    assert alone.item() != half.item()


def test_gather_of_one_process_is_the_identity() -> None:
    part = torch.ones(2)
    assert gather(part) is part
