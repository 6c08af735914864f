"""What one GPU does for us, beside a bare loop over the same weights and pixels in the same process.

    python benchmarks/gpu.py [--only encode-r50,segmentation] [--out FILE.json] [--quick]

Each row is printed as soon as it is measured; a row that fails prints its error and the others go on. Bare
loops keep everything on the device, use channels-last, cuDNN's own choice of kernels and no determinism; ours
compute by deterministic kernels. Rates are per second of wall clock. ``encode-*``: images, from the table of
pixels to the table of features (with hashing of the weights and writing). ``segmentation``, ``detection``,
``finetune*``: optimiser steps between two validations. ``pretrain-*``: pairs. ``agree-*``: how far features
and metrics of both precisions, and of GPU and processor, lie apart.

Without a GPU it says so and ends; ``--quick`` runs every row on whatever is there, with tiny sizes, to show
that it runs.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

GOAL = {"encode-r50-fp32": 7000, "encode-r50-fast": 15000, "segmentation": 115, "pretrain-g2d": 2200}
"""Rates to reach; ``pretrain-gloria`` and all others: a share of the bare loop."""
GOAL |= {"pretrain-gloria": 2500}
SHARE = 0.8
QUICK = "--quick" in sys.argv


@dataclass
class Row:
    """One line of the table."""

    work: str
    unit: str
    ours: float
    bare: float | None = None
    note: str = ""

    def __str__(self) -> str:
        share = f"{self.ours / self.bare:7.2f}" if self.bare else "      -"
        bare = f"{self.bare:10,.1f}" if self.bare else "         -"
        goal = GOAL.get(self.work)
        reached = self.ours >= goal if goal else None if self.bare is None else self.ours >= SHARE * self.bare
        reached = None if QUICK else reached
        mark = {True: "reached", False: "MISSED", None: ""}[reached]
        return f"{self.work:24} {self.ours:10,.1f} {bare} {share}  {self.unit:9} {mark:8} {self.note}"


@dataclass
class Place:
    """Where and how large everything is.

    Attributes:
        folder: scratch.
        device: where to compute.
        quick: tiny sizes.
    """

    folder: Path
    device: torch.device
    quick: bool
    opened: dict[str, Any] = field(default_factory=dict)

    def choose(self, usual: int, quick: int) -> int:
        return quick if self.quick else usual

    def wait(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def rate(self, step: Callable[[], Any], count: int, warm: int = 10) -> float:
        """Return how often per second a step is done."""
        for _ in range(self.choose(warm, 1)):
            step()
        self.wait()
        start = time.perf_counter()
        for _ in range(count):
            step()
        self.wait()
        return count / (time.perf_counter() - start)

    def bench(self) -> Any:
        """Open generated RSNA films at the side that a ResNet-50 takes."""
        if "bench" not in self.opened:
            from g2d_bench.cells.bench import Bench
            from g2d_bench.cells.settings import Settings
            from g2d_bench.phantom import ensure

            size, count = self.choose(256, 64), self.choose(1000, 60)
            ensure("rsna", root=self.folder / "data", count=count, size=size)
            root, runs = self.folder / "data", self.folder / "runs"
            self.opened["bench"] = Bench(Settings(data_root=root, results=runs))
        return self.opened["bench"]

    def job(
        self,
        task: str,
        protocol: str,
        card: str,
        *,
        rule: str,
        budget: int = 2 << 30,
        seed: int = 0,
        fraction: float = 1.0,
        **changes: Any,
    ) -> Any:
        """Open one cell under a shortened protocol; at ``--quick`` the small encoder stands for all."""
        from g2d_bench.adapters.base import Job
        from g2d_bench.encoders.load import load_encoder
        from g2d_bench.records.cell import Cell

        bench, card = self.bench(), "random" if self.quick else card
        cell = Cell(task=task, fraction=fraction, protocol=protocol.split("+")[0], seed=seed, encoder=card)
        found = bench.catalogue.protocols[protocol]
        if rule:
            one = getattr(found, rule)
            if rule == "classification":
                one = one.model_copy(update={"training": one.training.model_copy(update=changes)})
            else:
                one = one.model_copy(update={**changes, "case": ()})
            found = found.model_copy(update={rule: one})
        encoder = load_encoder(bench.catalogue.encoders[card], seed=0)
        data = bench.resolve(cell).data()
        return Job(bench.catalogue.tasks[task], found, data, encoder, seed, False, budget)


def encoder_of(place: Place, model: str, size: int, options: dict[str, Any] | None = None) -> Any:
    """Make a randomly initialised encoder of the size that is published."""
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.encoders.load import load_encoder

    card = Catalogue.open().encoders["random"]
    if not place.quick:
        image = card.image.model_copy(update={"model": model, "size": size, "options": options or {}})
        card = card.model_copy(update={"image": image, "scale": "published"})
    encoder = load_encoder(card, seed=0)
    with torch.no_grad():
        for name, value in encoder.image.named_parameters():
            # DINOv2 begins with blocks that hardly add anything, by which no precision could be told.
            if name.endswith(".gamma"):
                value.fill_(1.0)
    return encoder.to(place.device)


def pixels_of(place: Place, size: int, count: int) -> Any:
    """Make random pixels, uint8 [count, size, size], each batch of 64 of another brightness."""
    generator = np.random.default_rng(0)
    base = generator.integers(0, 256, (64, size, size), dtype=np.uint8)
    table = np.empty((count, size, size), np.uint8)
    for n, start in enumerate(range(0, count, 64)):
        part = table[start : start + 64]
        # In a byte, sums begin again at 256.
        np.add(base[: len(part)] // (1 + n % 4), np.uint8(n % 256), out=part)
    return table


def encode(place: Place, model: str, size: int, count: int, batch: int, precision: str) -> Row:
    from g2d_bench.devices import half, steady, switched
    from g2d_bench.encoders.features import batch_size, forward, pooled_features

    encoder = encoder_of(place, model, size)
    size = encoder.card.image.size
    count, batch = place.choose(count, 64), place.choose(batch, 32)
    pixels = pixels_of(place, size, count)
    encoder.precision = precision
    label = {"resnet50": "r50", "vit_base_patch16_224": "vit-b16"}.get(model, "dinov2-b14")

    def ours(rows: Any, content: str) -> Any:
        with steady(place.device, encoder.precision):
            return pooled_features(encoder, pixels, rows, content=content, folder=place.folder / "features")

    ours(range(min(count, batch_size(encoder))), "warm")
    place.wait()
    start = time.perf_counter()
    found = ours(range(count), f"{model} {size} {precision}")
    rate = count / (time.perf_counter() - start)
    start = time.perf_counter()
    with steady(place.device, encoder.precision):
        for _, features in forward(encoder, pixels, np.arange(count)):
            last = features.pooled
        last.sum().item()
    alone = count / (time.perf_counter() - start)

    image = encoder.image.eval().to(memory_format=torch.channels_last)
    table = torch.from_numpy(pixels).to(place.device)
    with torch.inference_mode(), half(place.device, encoder.precision), bare_flags(precision):
        turns = iter(range(0, 10**9, batch))

        def step() -> Any:
            first = next(turns) % max(1, count - batch + 1)
            return image(encoder.preprocess(table[first : first + batch])).pooled

        bare = batch * place.rate(step, max(1, min(count, 64 * batch) // batch), warm=3)
    with torch.inference_mode(), switched(place.device):
        exact = torch.cat([image(encoder.preprocess(table[n : n + 32])).pooled for n in (0, 32)])
    exact = exact.cpu().numpy()
    apart = np.linalg.norm(found[:64] - exact[:64]) / np.linalg.norm(exact[:64])
    note = f"encoder alone {alone:,.0f}; features {apart:.1e} from plain fp32"
    return Row(f"encode-{label}-{precision}", "images/s", rate, bare, note)


@contextlib.contextmanager
def watched(module: Any) -> Iterator[list[float]]:
    """Note the time at which each validation of a training starts and ends."""
    real, times = module.learn, []

    def learn(model: Any, batches: Any, loss: Any, score: Callable[[], float], plan: Any, **more: Any) -> Any:
        def timed() -> float:
            if more["device"].type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter())
            found = score()
            if more["device"].type == "cuda":
                torch.cuda.synchronize()
            times.append(time.perf_counter())
            return found

        return real(model, batches, loss, timed, plan, **more)

    module.learn = learn
    try:
        yield times
    finally:
        module.learn = real


def between(times: list[float], steps: int) -> float:
    """Return steps per second after the first validation."""
    spans = [second - first for first, second in zip(times[1::2], times[2::2], strict=False)]
    return steps * len(spans) / sum(spans)


def schedule(place: Place, usual: int = 100) -> tuple[int, dict[str, int]]:
    every = place.choose(usual, 3)
    lengths = {"epochs": 1, "min_steps": 3 * every, "max_steps": 3 * every, "validate_every": every}
    return every, {**lengths, "patience": 9}


@contextlib.contextmanager
def bare_flags(precision: Any) -> Iterator[None]:
    """Let cuDNN search and forget determinism; TF32 as the precision has it."""
    from g2d_bench.devices import rounded

    cudnn = torch.backends.cudnn
    before = cudnn.benchmark
    cudnn.benchmark = True
    try:
        with rounded(precision):
            yield
    finally:
        cudnn.benchmark = before


def bare_steps(
    place: Place,
    parameters: Any,
    loss: Callable[[torch.Tensor], torch.Tensor],
    count: int,
    batch: int,
    precision: str,
) -> float:
    """Return the steps per second of a loop that does nothing else."""
    optimiser = torch.optim.AdamW([p for p in parameters if p.requires_grad], lr=1e-4, fused=True)
    rows = torch.randint(count, (256, batch), device=place.device)
    turns = iter(range(10**9))

    def step() -> None:
        with torch.autocast(place.device.type, torch.bfloat16, enabled=precision == "fast"):
            total = loss(rows[next(turns) % len(rows)])
        optimiser.zero_grad(set_to_none=True)
        total.backward()
        optimiser.step()

    with bare_flags(precision):
        return place.rate(step, place.choose(100, 3), warm=15)


def segment(place: Place, name: str, protocol: str, budget: int = 2 << 30) -> Row:
    from g2d_bench.adapters.mm.runner import import_quietly
    from g2d_bench.devices import steady
    from g2d_bench.encoders.decoder import UNetDecoder
    from g2d_bench.encoders.features import pyramid_features

    segmentation = import_quietly("g2d_bench.adapters.segmentation")
    seg_steps = import_quietly("g2d_bench.adapters.mm.segmentation_steps")
    every, short = schedule(place)
    job = place.job(
        "rsna-seg", protocol, "random.r50", rule="segmentation", budget=budget, settle_steps=0, **short
    )
    precision, rule = job.protocol.precision, job.protocol.segmentation
    with watched(seg_steps) as times, loop(True), replayed("g2d_bench.adapters.mm.steps") as made:
        outcome = segmentation.run(job)
    ours = between(times, every)

    encoder, size = job.encoder.to(place.device), job.encoder.card.image.size
    table = job.data.pixels(size)
    chosen = table.rows(job.data.train[:256])
    side = size
    truth = torch.rand(len(chosen), 1, side, side, device=place.device).round()
    tuned = rule.tuning == "finetune"
    decoder = UNetDecoder(
        encoder.image.channels, encoder.image.strides, rule.decoder_widths[encoder.card.scale]
    )
    decoder = decoder.to(place.device, memory_format=torch.channels_last).train()
    image = encoder.image.to(memory_format=torch.channels_last).train(tuned).requires_grad_(tuned)
    images = torch.from_numpy(table.pixels[chosen]).to(place.device)
    maps = None
    if not tuned and budget > 1:
        with steady(place.device, precision):
            encoder.precision = precision
            maps = pyramid_features(encoder, table.pixels, chosen)

    def loss(rows: torch.Tensor) -> torch.Tensor:
        if maps is None:
            with torch.set_grad_enabled(tuned):
                pyramid = image(
                    encoder.preprocess(images[rows]).contiguous(memory_format=torch.channels_last)
                ).pyramid
        else:
            pyramid = [level[rows] for level in maps]
        logits, true = decoder(pyramid).float(), truth[rows]
        if logits.shape != true.shape:
            true = F.interpolate(true, logits.shape[2:], mode="area")
        chance = logits.sigmoid()
        dice = (2 * (chance * true).sum() + 1) / (chance.sum() + true.sum() + 1)
        return F.binary_cross_entropy_with_logits(logits, true) + 1 - dice

    parameters = [*decoder.parameters(), *(image.parameters() if tuned else ())]
    bare = bare_steps(place, parameters, loss, len(chosen), rule.batch_size, precision)
    kernels = outcome.notes.get("nondeterministic_kernels")
    return Row(name, "steps/s", ours, bare, f"{precision}, batch {rule.batch_size}{how(made)}{kernels or ''}")


def detect(place: Place, name: str, protocol: str) -> Row:
    from g2d_bench.adapters import detection
    from g2d_bench.adapters.mm.runner import import_quietly

    det_steps = import_quietly("g2d_bench.adapters.mm.detection_steps")
    every, short = schedule(place)
    job = place.job("rsna-det", protocol, "random.r50", rule="detection", **short)
    precision, rule = job.protocol.precision, job.protocol.detection
    caught: dict[str, Any] = {}
    real = det_steps.learn

    def keep(model: Any, batches: Any, loss: Any, *more: Any, **named: Any) -> Any:
        caught.update(model=model, loss=loss)
        return real(model, batches, loss, *more, **named)

    det_steps.learn = keep
    try:
        with watched(det_steps) as times, loop(True), replayed("g2d_bench.adapters.mm.steps") as made:
            outcome = detection.run(job)
    finally:
        det_steps.learn = real
    ours = between(times, every)
    # The loss as such (mmdet's, from targets on the device) is the same; the loop around it is bare.
    model = caught["model"].train()
    bare = bare_steps(
        place,
        list(model.parameters()),
        caught["loss"],
        64 if not place.quick else 16,
        rule.batch_size,
        precision,
    )
    kernels = outcome.notes.get("nondeterministic_kernels")
    return Row(name, "steps/s", ours, bare, f"{precision}, batch {rule.batch_size}{how(made)}{kernels or ''}")


def finetune(place: Place, name: str, protocol: str) -> Row:
    from g2d_bench.adapters import classification
    from g2d_bench.adapters import finetune as module

    every, short = schedule(place, 40)
    job = place.job("rsna-cls", protocol, "random.r50", rule="classification", **short)
    rule, precision = job.protocol.classification.training, job.protocol.precision
    times: list[float] = []
    real = classification._judge

    def judged(one: Any) -> Any:
        judge = real(one)

        def timed(scores: Any) -> float:
            times.append(time.perf_counter())
            found = judge(scores)
            times.append(time.perf_counter())
            return found

        return timed

    classification._judge = judged
    try:
        with replayed("g2d_bench.adapters.finetune") as made:
            outcome = classification.run(job)
    finally:
        classification._judge = real
    # Predicting the validation set is part of these spans: the bare loop predicts it, too.
    ours = between(times, every)
    encoder, size = job.encoder.to(place.device), job.encoder.card.image.size
    table = job.data.pixels(size)
    images = torch.from_numpy(np.array(table.pixels)).to(place.device)
    model = module.Classifier(encoder, len(job.task.labels), freeze_norm=False).to(place.device)
    model = model.to(memory_format=torch.channels_last).train()
    truth = torch.rand(len(images), len(job.task.labels), device=place.device).round()

    def loss(rows: torch.Tensor) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(model(images[rows]).float(), truth[rows])

    batch = min(rule.batch_size, len(job.data.train))
    alone = bare_steps(place, list(model.parameters()), loss, len(images), batch, precision)
    model.eval()
    start = time.perf_counter()
    with (
        torch.inference_mode(),
        torch.autocast(place.device.type, torch.bfloat16, enabled=precision == "fast"),
    ):
        for n in range(0, len(job.data.val), 64):
            model(images[n : n + 64])
    place.wait()
    bare = every / (every / alone + time.perf_counter() - start)
    kernels = outcome.notes.get("nondeterministic_kernels")
    note = f"{precision}, batch {batch}, validation included{how(made)}{kernels or ''}"
    return Row(name, "steps/s", ours, bare, note)


def pretraining(place: Place, method: str) -> Row:
    from g2d_bench.pretrain.batches import Batches
    from g2d_bench.pretrain.distributed import world
    from g2d_bench.pretrain.pairs import PairData, read_pairs
    from g2d_bench.pretrain.presets import recipe
    from g2d_bench.pretrain.pretrain import build
    from g2d_bench.pretrain.run_folder import RunFolder
    from g2d_bench.pretrain.train import fit

    overrides: dict[str, Any] = {"steps": 120, "batch": 128, "model": "resnet50", "options": {}, "amp": True}
    overrides |= {"size": 224, "store": 256, "heads": {}, "constants": {}}
    if place.quick:
        overrides = {"steps": 4, "batch": 8, "size": 64, "store": 72}
    made = recipe(method, overrides=overrides)
    key = f"pairs {made.store}"
    if key not in place.opened:
        read = read_pairs("phantom", count=place.choose(1200, 60))
        place.opened[key] = PairData(read, made.store, cache=place.folder / "pairs")
    pairs = place.opened[key]
    with world(place.device.type) as here:
        folder = RunFolder(place.folder / f"pretrain-{method}", {"bench": method})
        model = build(made, pairs, folder, here, 0)
        batches = Batches(pairs, made, model.objective, model.text, 0, here)
        with replayed("g2d_bench.pretrain.learner") as steps:
            fit(model, batches, folder, save_every=10**9)
        seconds = [entry["seconds"] for entry in folder.entries()]
        ours = made.batch / float(np.mean(seconds[len(seconds) // 2 : -1]))
        (grey, tokens, ids), *_ = next(iter(batches.train(0, 1)))
        model = build(made, pairs, folder, here, 0).train()
        model.image.to(memory_format=torch.channels_last)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, fused=True)
        half = made.amp and place.device.type == "cuda"

        def step() -> None:
            with torch.autocast(place.device.type, torch.bfloat16, enabled=half):
                losses = model(grey, tokens, ids)
            losses["loss"].backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

        bare = made.batch * place.rate(step, place.choose(20, 2), warm=5)
    note = f"{made.model}, {made.size} px, batch {made.batch}, {'bf16' if half else 'fp32'}{how(steps)}"
    return Row(f"pretrain-{method}", "pairs/s", ours, bare, note)


@contextlib.contextmanager
def loop(ours: bool) -> Iterator[None]:
    """Train a head by the loop of a GPU, or by mmengine's, wherever it is trained."""
    from g2d_bench.adapters.mm.runner import import_quietly

    module: Any = import_quietly("g2d_bench.adapters.mm.train")
    real = module.stays
    module.stays = lambda *_: ours
    try:
        yield
    finally:
        module.stays = real


@contextlib.contextmanager
def replayed(name: str) -> Iterator[list[Any]]:
    """Note the steps that a module gives a GPU to replay, each with the losses of its first ten calls."""
    from g2d_bench.adapters.mm.runner import import_quietly

    module: Any = import_quietly(name)
    real, made = module.Replayed, []

    class Noted(real):  # type: ignore[misc,valid-type]
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.losses: list[torch.Tensor] = []
            made.append(self)

        def __call__(self, *inputs: torch.Tensor, **more: Any) -> Any:
            found = super().__call__(*inputs, **more)
            if len(self.losses) < 10:
                self.losses.append(found["loss"])
            return found

    module.Replayed = Noted
    try:
        yield made
    finally:
        module.Replayed = real


def how(made: list[Any]) -> str:
    """Say how often a step was replayed, or why it was not."""
    (step,) = made
    return f"; {step.replays} replays" if step.plain is None else f"; not recorded: {step.plain}"


AGREE = {"classification": 0.1, "segmentation": 1.0, "detection": 1.0}
"""Share of the training images of each kind's cell that is held against the processor."""
SEEDS = (0, 1, 2)


def agreement(place: Place, kind: str) -> Row:
    """Print the main metric of three cells by the processor and by the GPU in both precisions.

    The cells are trained until they have learned something: at the edge of all-empty predictions the last bit
    of a sum decides between nothing and thirty points. For heads that are trained, the note also says how far
    the losses of the first ten steps lie from the processor's, which training has not yet pulled apart.
    """
    from g2d_bench.adapters.base import run_jobs
    from g2d_bench.encoders.dense import _kept

    task = {"segmentation": "rsna-seg", "detection": "rsna-det", "classification": "rsna-cls"}[kind]
    main = place.bench().catalogue.tasks[task].main
    trained = kind != "classification"
    steps = place.choose(240, 3)
    changes: dict[str, Any] = {}
    if trained:
        changes = {"rule": kind, "epochs": 1, "min_steps": steps, "max_steps": steps, "validate_every": steps}
        # What the protocol has for encoders of this size; detection is shorter here, so it hurries.
        changes["learning_rate"] = {"segmentation": 3e-3, "detection": 5e-3}[kind]
    losses: dict[tuple[str, int], list[float]] = {}

    def one(label: str, protocol: str, device: str, seed: int) -> tuple[float, Any]:
        _kept.clear()
        os.environ["G2D_BENCH_DEVICE"] = device
        try:
            job = place.job(task, protocol, "g2d", seed=seed, fraction=AGREE[kind], **{"rule": "", **changes})
            with contextlib.ExitStack() as stack:
                if trained:
                    # On a processor both loops give the same bits.
                    stack.enter_context(loop(label != "mmengine"))
                    made = stack.enter_context(replayed("g2d_bench.adapters.mm.steps"))
                (outcome,) = run_jobs([job])
                if trained and made:
                    losses[label, seed] = torch.stack(made[0].losses).tolist()
        finally:
            os.environ["G2D_BENCH_DEVICE"] = ""
        return 100 * outcome.metrics[main], outcome

    legs = {"processor": ("clean", "cpu"), "fp32": ("clean", ""), "fast": ("clean+fast", "")}
    found = {(label, seed): one(label, *leg, seed) for label, leg in legs.items() for seed in SEEDS}
    values = {label: np.array([found[label, seed][0] for seed in SEEDS]) for label in legs}
    repeated = {}
    for label in ("fp32", "fast"):
        _, again = one(label, *legs[label], SEEDS[0])
        before = found[label, SEEDS[0]][1].predictions
        repeated[label] = all(
            np.array_equal(before[name], value) for name, value in again.predictions.items()
        )
    parts = [
        f"{label} {each.mean():.2f} ({', '.join(f'{value:.2f}' for value in each)})"
        for label, each in values.items()
    ]
    if kind == "segmentation" and place.device.type == "cuda":
        parts.append(
            f"mmengine's loop on the GPU, seed {SEEDS[0]}: {one('mmengine', 'clean', '', SEEDS[0])[0]:.2f}"
        )
    if trained:
        apart = {
            label: max(
                abs(a - b) / abs(b)
                for seed in SEEDS
                for a, b in zip(losses[label, seed], losses["processor", seed], strict=True)
            )
            for label in ("fp32", "fast")
        }
        parts.append(f"first losses apart by fp32 {apart['fp32']:.1e}, fast {apart['fast']:.1e}")
    kernels = found["fp32", SEEDS[0]][1].notes.get("nondeterministic_kernels", [])
    bits = f"repeated to the last bit: fp32 {repeated['fp32']}, fast {repeated['fast']} {kernels or ''}"
    note = "; ".join([*parts, bits.strip()])
    return Row(f"agree-{kind}", "points", abs(values["fp32"].mean() - values["processor"].mean()), None, note)


def rows(place: Place) -> dict[str, Callable[[], Row]]:
    """Name the rows, those first that no table has yet."""
    found: dict[str, Callable[[], Row]] = {}
    large, usual = "vit_base_patch14_dinov2", "vit_base_patch16_224"
    found["agree-segmentation"] = lambda: agreement(place, "segmentation")
    found["agree-detection"] = lambda: agreement(place, "detection")
    found["agree-classification"] = lambda: agreement(place, "classification")
    found["segmentation-finetune"] = lambda: segment(place, "segmentation-finetune", "clean-finetune+fast")
    found["segmentation-per-step"] = lambda: segment(place, "segmentation-per-step", "clean", 1)
    found["detection-fast"] = lambda: detect(place, "detection-fast", "clean+fast")
    found["finetune"] = lambda: finetune(place, "finetune", "clean-finetune")
    found["finetune-fast"] = lambda: finetune(place, "finetune-fast", "clean-finetune+fast")
    for method in ("convirt", "mgca"):
        found[f"pretrain-{method}"] = lambda method=method: pretraining(place, method)
    found["encode-dinov2-b14-fp32"] = lambda: encode(place, large, 518, 128, 64, "fp32")
    found["encode-dinov2-b14-fast"] = lambda: encode(place, large, 518, 2048, 64, "fast")
    for kind in ("fast", "fp32"):
        found[f"encode-r50-{kind}"] = lambda kind=kind: encode(place, "resnet50", 224, 13312, 512, kind)
        found[f"encode-vit-b16-{kind}"] = lambda kind=kind: encode(place, usual, 224, 8192, 256, kind)
    for method in ("g2d", "gloria"):
        found[f"pretrain-{method}"] = lambda method=method: pretraining(place, method)
    found["segmentation"] = lambda: segment(place, "segmentation", "clean")
    found["segmentation-fast"] = lambda: segment(place, "segmentation-fast", "clean+fast")
    found["detection"] = lambda: detect(place, "detection", "clean")
    return found


def tidy() -> None:
    """Give back what a row has left."""
    from g2d_bench.encoders.dense import _kept

    _kept.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="these rows, with commas")
    parser.add_argument("--out", type=Path, help="a JSON file")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument(
        "--seconds", type=float, default=120, help="after which no further row is begun; one takes up to 30"
    )
    given = parser.parse_args()
    if not given.quick and not torch.cuda.is_available():
        print("no GPU is here; nothing is measured (--quick shows on a processor that every row runs)")
        return 0
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    start, done = time.perf_counter(), []
    with tempfile.TemporaryDirectory(prefix="g2d-bench-gpu-") as name:
        os.environ["G2D_BENCH_CACHE"] = f"{name}/cache"
        place = Place(Path(name), device, given.quick)
        known = rows(place)
        chosen = [one for one in given.only.split(",") if one] or list(known)
        if unknown := [one for one in chosen if one not in known]:
            parser.error(f"no row {', '.join(unknown)}; there are {', '.join(known)}")
        card = torch.cuda.get_device_name() if device.type == "cuda" else "a processor, tiny sizes"
        print(f"# {card}, torch {torch.__version__}, {os.cpu_count()} cores")
        print(f"{'work':24} {'ours':>10} {'bare':>10} {'ours/bare':>7}  unit      goal     note", flush=True)
        for one in chosen:
            begun = time.perf_counter()
            if begun - start > given.seconds:
                print(f"{one:24} not begun: {given.seconds:.0f} s are over", flush=True)
                continue
            try:
                row = known[one]()
            except Exception as error:
                where = traceback.extract_tb(error.__traceback__)[-1]
                text = " ".join(str(error).split())[:300]
                print(
                    f"{one:24} FAILED: {type(error).__name__}: {text} ({where.filename}:{where.lineno})",
                    flush=True,
                )
                traceback.print_exc(file=sys.stderr)
                continue
            finally:
                tidy()
            spent = time.perf_counter() - begun
            done.append({**vars(replace(row, work=one)), "seconds": round(spent, 1)})
            row.work = one
            print(f"{row} [{spent:.0f} s]", flush=True)
            if given.out:
                given.out.parent.mkdir(parents=True, exist_ok=True)
                table = {"device": card, "torch": torch.__version__, "rows": done}
                given.out.write_text(json.dumps(table, indent=1) + "\n")
    return 0 if len(done) == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main())
