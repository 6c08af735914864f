"""From a method's name to a trained encoder: what `g2d-bench pretrain` and `make weights` call."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from g2d_bench import __version__
from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.heads.make import HEADS
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.text import TextEncoder
from g2d_bench.encoders.tokenizer import load_tokenizer, save_tokenizer, train_tokenizer
from g2d_bench.errors import InputError, first_line
from g2d_bench.hashing import digest_code, digest_file
from g2d_bench.metrics.retrieval import RANKS
from g2d_bench.paths import shipped
from g2d_bench.pretrain.augment import mix
from g2d_bench.pretrain.batches import Batches
from g2d_bench.pretrain.distributed import World, world
from g2d_bench.pretrain.export import MAX_BYTES, evaluate_retrieval, export, learnt
from g2d_bench.pretrain.objective import Objective, Variant, make_objective
from g2d_bench.pretrain.own_card import WEIGHTS, card_name, card_of, write_card
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import Recipe, recipe
from g2d_bench.pretrain.recipe_check import check_options
from g2d_bench.pretrain.rehearsal import FAULTS
from g2d_bench.pretrain.run_folder import RunFolder
from g2d_bench.pretrain.train import Model, fit
from g2d_bench.provenance import commit, hardware, now, versions

TOKENIZER, RESULT = "tokenizer.json", "result.json"
PHANTOM_COUNT = 6000
"""Images generated for pre-training at phantom scale."""
MIN_RETRIEVAL = 10
"""Fewer different held-out reports say nothing about retrieval."""


@dataclass(frozen=True, slots=True)
class Pretrained:
    """What a finished run left.

    Attributes:
        weights: the safetensors file; its tokenizer lies beside it.
        card: its model card.
        encoder: the encoder card beside them, which ``--encoders-dir`` of that folder loads.
    """

    weights: Path
    card: Mapping[str, Any]
    encoder: Path


def pretrain(
    method: str,
    data: str = "phantom",
    *,
    out: Path,
    variant: str = "paper",
    preset: str = "phantom",
    seed: int = 0,
    data_root: Path | None = None,
    count: int = PHANTOM_COUNT,
    strict: bool | None = None,
    overrides: Mapping[str, Any] | None = None,
    device: str | None = None,
    save_every: int = 200,
    tensorboard: bool = False,
    cache: Path | None = None,
    name: str = "",
) -> Pretrained:
    """Pre-train one encoder; go on where an interrupted run in the same folder stopped.

    Args:
        method: an objective; see :data:`g2d_bench.cards.objective.OBJECTIVES`.
        data: ``phantom``, ``mimic-cxr``, ``covid-cxr`` or a folder; see
            :func:`~g2d_bench.pretrain.pairs.read_pairs`.
        out: folder of the run: configuration, log, checkpoint, tokenizer, weights, result.
        variant: ``paper`` or ``released``.
        preset: ``paper`` or ``phantom``.
        seed: of initialisation, order, augmentation, drawn sentences and dropout.
        data_root: where named data sets lie.
        count: how many phantom images to generate.
        strict: whether incomplete pairs raise; see :func:`~g2d_bench.pretrain.pairs.read_pairs`.
        overrides: fields of the recipe to change.
        device: ``cpu`` or ``cuda``; by default the accelerator if there is one.
        save_every: steps between checkpoints.
        tensorboard: write the log for TensorBoard too.
        cache: folder of decoded images; the user's cache by default.
        name: of the encoder on its card; after the folder if empty.

    Raises:
        InputError: bad data, recipe or folder, a folder of another run, or a loss that is not finite.
    """
    made = recipe(method, preset=preset, variant=variant, overrides=overrides)
    if not 0 <= seed < 1 << 32:
        raise InputError(f"must lie between 0 and {(1 << 32) - 1}, not {seed}", field="--seed")
    card_name(out, name)  # what is wrong with a name is said before anything is written
    with world(device) as here:
        if not here.first:
            here.barrier()  # the first process generates and decodes, the others find it done
        read = read_pairs(data, data_root=data_root, count=count, strict=strict)
        pairs = PairData(read, made.store, cache=cache, strict=strict is not False)
        source = {"source": pairs.source, "hash": pairs.hash, "pairs": len(pairs)}
        code = foreign_code(method)
        config = {"recipe": made.as_json(), "seed": seed, "data": source}
        folder = RunFolder(out, config | ({"code": code} if code else {}))
        encoder = card_of(folder, name)
        if here.first:
            folder.name_card(encoder.stem)
            here.barrier()
        try:
            done = _run(
                made, pairs, folder, here, seed, preset, save_every=save_every, tensorboard=tensorboard
            )
        except Exception:
            if here.first:
                folder.abandon(TOKENIZER)
            raise
        weights = folder.path / WEIGHTS
        if here.first:
            write_card(encoder, method, weights, done)
        return Pretrained(weights, done, encoder)


def foreign_code(method: str) -> dict[str, str]:
    """Hash the modules of another package that define an objective or its heads, as records do of scorers.

    The suite's own stand for its version, so that finished runs stay finished when it gets a new one.
    """
    modules = {"objective": OBJECTIVES.module(method)}
    if method in HEADS:
        modules["heads"] = HEADS.module(method)
    return {what: digest_code(one) for what, one in modules.items() if one.partition(".")[0] != "g2d_bench"}


def shipped_methods() -> tuple[str, ...]:
    """Return the objectives for each of which a small encoder of its name ships."""
    return tuple(name for name in OBJECTIVES if (shipped("baselines") / f"{name}.toml").is_file())


def make_all(
    out: Path, *, runs: Path, seed: int = 0, count: int = PHANTOM_COUNT, methods: Sequence[str]
) -> list[Pretrained]:
    """Make the shipped encoders one after the other; finished ones are not made again.

    Args:
        out: folder of the shipped files: ``<method>.safetensors`` and ``tokenizer.json``.
        runs: folder for the runs, one below it per method.
        seed: the same for all.
        count: how many phantom images to generate.
        methods: which ones.

    Raises:
        InputError: see :func:`pretrain`; a file larger than may be shipped.
    """
    made = []
    for method in methods:
        found = pretrain(method, out=runs / method, seed=seed, count=count)
        size = found.weights.stat().st_size
        if size > MAX_BYTES:
            raise InputError(f"{size:,} bytes, {MAX_BYTES:,} may be shipped", file=found.weights)
        out.mkdir(parents=True, exist_ok=True)
        for source, name in (
            (found.weights, f"{method}.safetensors"),
            (found.weights.with_name(TOKENIZER), TOKENIZER),
        ):
            draft = out / f".{name}.tmp"
            draft.write_bytes(source.read_bytes())
            draft.replace(out / name)
        made.append(found)
        print(summary(found.card), flush=True)
    return made


def summary(card: Mapping[str, Any]) -> str:
    """Say in one line what a run reached; "" for the empty card of a process that is not the first."""
    if not card:
        return ""
    first, last = card["losses"]["first"], card["losses"]["last"]
    line = f"{card['method']}: {card['steps']} steps"
    if card.get("stopped_early"):
        line += f" (stopped early: validation no better for {card['recipe']['early_stop']} epochs)"
    if first and last:
        line += f" in {card['seconds'] / 60:.1f} min, loss {first['loss']:.2f} -> {last['loss']:.2f}"
    else:
        line += ", loss not known (log.jsonl lacks it)"
    pairs, reports = card["data"]["pairs"]["train"], card["data"].get("reports", {}).get("train", math.inf)
    if reports < pairs / 2:
        line += f"; {reports} different reports in {pairs} training pairs"
    found = card.get("retrieval")
    if not found:
        return f"{line}; too few different held-out reports for retrieval"
    ways, chance = (found["image_to_text"], found["text_to_image"]), found["chance"]
    recalls = ", ".join(
        f"R@{rank} {ways[0][f'r@{rank}']:.3f}/{ways[1][f'r@{rank}']:.3f} (chance {chance[f'r@{rank}']:.3f})"
        for rank in RANKS
    )
    return f"{line}; own report among {found['pairs']}, image to text/text to image: {recalls}"


def build(made: Recipe, pairs: PairData, folder: RunFolder, here: World, seed: int) -> Model:
    """Make tokenizer, encoders and objective, initialised by the seed alone: alike for all methods."""
    objectives: type[Objective] = OBJECTIVES[made.method]
    reads = objectives.text_reads.get(cast(Variant, made.variant), {})
    with torch.random.fork_rng(devices=[]):
        if made.text == "small":
            path = folder.path / TOKENIZER
            if here.first and not path.is_file():
                texts = [line for index in pairs.part("train") for line in pairs.sentences[index]]
                save_tokenizer(train_tokenizer(texts), path)
            here.barrier()
            torch.default_generator.manual_seed(mix("text", seed))
            text = TextEncoder.small(load_tokenizer(path), **made.text_options, **reads)
        else:
            text = TextEncoder.open(made.text, layers=made.text_layers, **reads)
        text.freeze(made.frozen_layers, embeddings=made.freeze_embeddings)
        torch.default_generator.manual_seed(mix("image", seed))
        image = ImageEncoder(
            made.model,
            upsample_inside=made.resize_inside,
            options=made.options,
            pretrained=made.pretrained,
        )
        check_options(made.constants, objectives, "--set constants")
        if made.method in HEADS:
            check_options(made.heads, HEADS[made.method], "--set heads")
        torch.default_generator.manual_seed(mix("heads", seed))
        try:
            objective = make_objective(
                made.method,
                variant=made.variant,
                channels=image.channels,
                strides=image.strides,
                num_features=image.num_features,
                text_width=text.width,
                heads=made.heads,
                **made.constants,
            )
        except FAULTS as error:
            # Options of heads and objective are checked by the modules that they build.
            raise InputError(f"not built: {first_line(error)}", field="--set heads, constants") from None
        objective.watch(image)
    return Model(image, text, objective, made).to(here.device)


def _run(
    made: Recipe,
    pairs: PairData,
    folder: RunFolder,
    here: World,
    seed: int,
    preset: str,
    *,
    save_every: int,
    tensorboard: bool,
) -> Mapping[str, Any]:
    """Train and export; return the model card, empty in a process that is not the first."""
    weights, result = folder.path / WEIGHTS, folder.path / RESULT
    if result.is_file() and weights.is_file():
        again = "; remove it, and the run makes it again from its checkpoint"
        kept = folder.read(RESULT, f"damaged{again}")
        if learnt(weights) != kept.get("tensors"):
            raise InputError(f"holds other weights than {RESULT} says{again}", file=weights)
        return kept
    model = build(made, pairs, folder, here, seed)
    ended = fit(
        model,
        Batches(pairs, made, model.objective, model.text, seed, here),
        folder,
        save_every=save_every,
        tensorboard=tensorboard,
    )
    if not here.first:
        return {}
    entries = folder.entries()
    card = {
        "seed": seed,
        "preset": preset,
        "variant": made.variant,
        "recipe": made.as_json(),
        "data": {
            "source": pairs.source,
            "kind": pairs.kind,
            **({"own": True} if pairs.own else {}),
            "hash": pairs.hash,
            "skipped": pairs.skipped,
            "pairs": {name: len(indices) for name, indices in pairs.parts.items()},
            "reports": {name: pairs.reports(name) for name in pairs.parts},
        },
        "steps": ended.steps,
        **({"stopped_early": True} if ended.early else {}),
        "losses": {
            "first": _mean([entry for entry in entries if entry["step"] < 20]),
            "last": _mean([entry for entry in entries if entry["step"] >= ended.steps - 100]),
            "validation": _validation(entries),
        },
        "seconds": round(sum(entry["seconds"] for entry in entries), 1),
        "parameters": _sizes(model),
        "made": {
            "by": f"g2d-bench {__version__}",
            "commit": commit(),
            "at": now(),
            "versions": versions(),
            "hardware": hardware(),
        },
    }
    if code := foreign_code(made.method):
        card["code"] = code
    if made.text == "small":
        card["tokenizer"] = digest_file(folder.path / TOKENIZER)
    if pairs.reports("held") >= MIN_RETRIEVAL:
        card["retrieval"] = evaluate_retrieval(model, pairs, made)
    card = export(model, made, card, weights)
    folder.write(RESULT, json.dumps(card, indent=1, sort_keys=True) + "\n")
    return card


def _mean(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Average the losses of some log lines."""
    skip = {"step", "epoch", "lr", "grad_norm", "seconds"}
    names = (
        [name for name in entries[0] if name not in skip and not name.startswith("val_")] if entries else []
    )
    return {name: float(np.mean([entry[name] for entry in entries if name in entry])) for name in names}


def _validation(entries: list[dict[str, Any]]) -> dict[str, float]:
    """Return the last validation losses."""
    for entry in reversed(entries):
        if "val_loss" in entry:
            return {name: value for name, value in entry.items() if name.startswith("val_")}
    return {}


def _sizes(model: Model) -> dict[str, int]:
    """Count the parameters of each part."""
    parts = {"image": model.image, "text": model.text, "objective": model.objective}
    return {name: sum(p.numel() for p in module.parameters()) for name, module in parts.items()}
