"""The half of peer_eva.py that runs in kaiko-eva's environment: features, then heads, by its interface."""

from __future__ import annotations

import importlib.metadata
import json
import sys
from pathlib import Path
from typing import Any

import pydicom
import torch
from eva.core import Interface, Trainer
from eva.core.callbacks import ClassificationEmbeddingsWriter
from eva.core.data.dataloaders import DataLoader
from eva.core.data.datamodules import DataModule
from eva.core.data.datamodules.schemas import DataloadersSchema, DatasetsSchema
from eva.core.data.datasets import Dataset
from eva.core.data.datasets.classification import EmbeddingsClassificationDataset
from eva.core.metrics.defaults import BinaryClassificationMetrics
from eva.core.metrics.structs import MetricsSchema
from eva.core.models.modules import HeadModule
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint

PARTS = ("train", "val", "test")


class Films(Dataset):
    """The films of one part."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self._rows = rows

    def filename(self, index: int) -> str:
        """Return the name under which a film's vector is kept."""
        return Path(self._rows[index]["path"]).name

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor, dict[str, Any]]:
        row = self._rows[index]
        pixels = torch.from_numpy(pydicom.dcmread(row["path"]).pixel_array)
        return pixels, torch.tensor(row["label"]), {}


def loader(batch: int, *, shuffle: bool = False) -> DataLoader:
    """Load in this process: with workers, each would import everything again."""
    return DataLoader(
        batch_size=batch,
        shuffle=shuffle,
        num_workers=0,
        prefetch_factor=None,
        persistent_workers=False,
        pin_memory=False,
    )


def main(path: str) -> None:
    """Compute features of all films, fit the heads, and print what came out."""
    torch.set_num_threads(1)
    plan = json.loads(Path(path).read_text())
    root, monitor = f"{plan['out']}/embeddings", f"val/{plan['monitor']}"
    features = DatasetsSchema(
        **{part: EmbeddingsClassificationDataset(root, "manifest.csv", part) for part in PARTS},
        predict=[Films([row for row in plan["rows"] if row["part"] == part]) for part in PARTS],
    )
    trainer = Trainer(
        default_root_dir=f"{plan['out']}/logs",
        n_runs=plan["runs"],
        max_steps=12500,
        max_epochs=plan["epochs"],
        accelerator="cpu",
        enable_progress_bar=False,
        callbacks=[
            ClassificationEmbeddingsWriter(
                root,
                backbone=torch.jit.load(plan["encoder"]),
                dataloader_idx_map=dict(enumerate(PARTS)),
                overwrite=True,
            ),
            ModelCheckpoint(filename="best", save_last=True, save_top_k=1, monitor=monitor, mode="max"),
            EarlyStopping(monitor=monitor, mode="max", patience=plan["patience"], min_delta=0.0),
        ],
    )
    model = HeadModule(
        head=torch.nn.Linear(plan["features"], 1),
        criterion=lambda logits, targets: torch.nn.functional.binary_cross_entropy_with_logits(
            logits, targets.float()
        ),
        optimizer=lambda parameters: torch.optim.AdamW(parameters, lr=3e-4),
        metrics=MetricsSchema(common=BinaryClassificationMetrics()),
    )
    data = DataModule(
        datasets=features,
        dataloaders=DataloadersSchema(
            train=loader(plan["batch"], shuffle=True),
            val=loader(plan["batch"]),
            test=loader(plan["batch"]),
            predict=loader(64),
        ),
    )
    Interface().predict_fit(trainer, model, data)
    (session,) = Path(f"{plan['out']}/logs").iterdir()
    found = json.loads((session / "results.json").read_text())
    versions = {name: importlib.metadata.version(name) for name in ("kaiko-eva", "torch")}
    (test,) = found["metrics"]["test"]
    print("RESULT", json.dumps({"auroc": test["test/BinaryAUROC"]["values"], "versions": versions}))


if __name__ == "__main__":
    main(sys.argv[1])
