"""Does pre-training learn anything? Retrieval against chance, a linear probe against the random encoder.

Per method and seed an encoder is pre-trained on generated radiographs and reports (the recipe of the shipped
encoders; seed 0 is the shipped one). Then it must find the own report of 200 held-out images and the image
of 200 held-out reports, and linear heads are fitted on its frozen features. The random encoder has the same
architecture and the initialisation of the same seed; the seed also draws the labelled images. With fewer
trainings than seeds, the shipped encoders stand in for the others: the spread is then that of labels and
initialisation alone.

    python benchmarks/does_it_learn.py [--seeds 3] [--trainings 3] [--longer convirt=2400]

Finished trainings and cells are not run again. About half an hour per further seed on two cores. Writes the
page and benchmarks/results/does_it_learn.json; fails where a method is no better than chance or than the
random encoder.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np

from g2d_bench.plain import counted

TASKS = ("rsna-cls", "chexpert-cls", "cxr14-cls")
FRACTION = 0.1
CHANCE_DEVIATIONS = 4
"""By how many standard deviations the mean recall over trainings must pass chance. A training that learned
nothing ranks the 200 pairs by luck, each training anew: deviations are binomial, of all rankings together."""


def trained(method: str, seed: int, runs: Path) -> tuple[Path, dict[str, Any]]:
    """Return weights and model card of a method's encoder: the shipped one, or one that is trained here."""
    from g2d_bench.encoders.checkpoint import open_checkpoint
    from g2d_bench.paths import PACKAGE
    from g2d_bench.pretrain.pretrain import pretrain

    shipped = PACKAGE / "weights" / f"{method}.safetensors"
    card = dict(open_checkpoint(shipped).metadata)
    if card["seed"] == seed:
        return shipped, card
    made = pretrain(method, out=runs / f"seed{seed}" / method, seed=seed)
    return made.weights, dict(made.card)


def probes(seed: int, weights: dict[str, Path], runs: Path) -> dict[str, dict[str, float]]:
    """Fit linear heads: encoder to task to AUROC on the test images."""
    from g2d_bench.cells.bench import Bench
    from g2d_bench.cells.settings import Settings
    from g2d_bench.cells.workers import execute
    from g2d_bench.records.cell import Cell

    bench = Bench(Settings(results=runs / f"seed{seed}" / "cells", checkpoints=weights))
    cells = [Cell(t, FRACTION, "clean", seed, encoder) for encoder in ("random", *weights) for t in TASKS]
    report = execute(cells, bench)
    if report.failures:
        raise SystemExit(f"{report.failures[0].cell.task}: {report.failures[0].error}")
    found: dict[str, dict[str, float]] = {}
    for record in report.records:
        auroc = record.metrics["auroc"]
        assert auroc is not None
        found.setdefault(record.cell.encoder, {})[record.cell.task] = auroc
    return found


def spread(values: list[float]) -> str:
    """Write mean and standard deviation in percent."""
    mean = f"{100 * float(np.mean(values)):.1f}"
    return mean if len(values) == 1 else f"{mean} ± {100 * float(np.std(values, ddof=1)):.1f}"


def _count(seeds: list[int], word: str) -> str:
    return f"{counted(len(seeds), word)} ({', '.join(map(str, seeds))})"


def page(result: dict[str, Any]) -> str:
    """Write the report."""
    seeds, methods, trained_seeds = result["seeds"], result["methods"], result["trainings"]
    chance = result["chance"]
    lines = [
        "# Does it learn?",
        "",
        "GENERATED DATA (phantom): this says whether the four objectives and their training loop work, and "
        "nothing about patients.",
        "",
        f"Each method is pre-trained with {_count(trained_seeds, 'seed')} by the recipe "
        f"of the shipped encoders: {result['steps']} steps of {result['batch']} pairs, {result['pairs']} "
        "training pairs of image and report, no label. ± is the standard deviation over seeds (n − 1), where "
        "there are several.",
        "",
        "## The own report among 200 held-out ones",
        "",
        "Recall within rank 1, 5 and 10, in %, image to report / report to image.",
        "",
        "| encoder | R@1 | R@5 | R@10 | mean reciprocal rank |",
        "|---|---|---|---|---|",
        f"| chance | {100 * chance['r@1']:.1f} | {100 * chance['r@5']:.1f} | {100 * chance['r@10']:.1f} "
        f"| {100 * chance['mrr']:.1f} |",
    ]
    for method in methods:
        cells = [
            " / ".join(
                spread([result["retrieval"][method][str(s)][way][name] for s in trained_seeds])
                for way in ("image_to_text", "text_to_image")
            )
            for name in ("r@1", "r@5", "r@10", "mrr")
        ]
        lines.append(f"| {method} | {' | '.join(cells)} |")
    for one in result["longer"]:
        recall = _recalls(one["retrieval"])
        before = _recalls(result["retrieval"][one["method"]][str(trained_seeds[0])])
        losses = [result["val_loss"][one["method"]][str(trained_seeds[0])], one["val_loss"]]
        lines += [
            "",
            f"Trained longer, {one['method']} goes on learning: {one['steps']} steps (seed "
            f"{trained_seeds[0]}) give R@10 {100 * recall[0]:.1f} / {100 * recall[1]:.1f}, and the loss on "
            f"held-out pairs falls from {losses[0]:.2f} to {losses[1]:.2f}."
            if losses[1] < losses[0] and max(recall) > max(before)
            else f"Trained longer, {one['method']} gains nothing: {one['steps']} steps give R@10 "
            f"{100 * recall[0]:.1f} / {100 * recall[1]:.1f}, loss {losses[0]:.2f} to {losses[1]:.2f}.",
        ]
    lines += [
        "",
        f"## A linear probe on frozen features, {100 * FRACTION:g} % of the labels",
        "",
        f"Macro AUROC on the test images, in %, over {_count(seeds, 'seed')} of labelled images and of the "
        "random encoder; in brackets the difference to the random encoder of the same seed.",
        "",
        f"| encoder | {' | '.join(TASKS)} |",
        f"|---|{'---|' * len(TASKS)}",
    ]
    for encoder in ("random", *methods):
        cells = []
        for task in TASKS:
            own = [result["probe"][encoder][str(s)][task] for s in seeds]
            gain = [o - result["probe"]["random"][str(s)][task] for o, s in zip(own, seeds, strict=True)]
            cells.append(
                spread(own) + ("" if encoder == "random" else f" (+{spread(gain)})".replace("+-", "−"))
            )
        lines.append(f"| {encoder} | {' | '.join(cells)} |")
    minutes = {
        m: " / ".join(f"{result['seconds'][m][str(s)] / 60:.1f}" for s in trained_seeds) for m in methods
    }
    threads = sorted({result["threads"][m][str(s)] for m in methods for s in trained_seeds})
    lines += [
        "",
        "## What it cost",
        "",
        f"Minutes of each training by its card, seeds {', '.join(map(str, trained_seeds))} in turn, with "
        f"{' or '.join(map(str, threads))} thread{'s' if threads != [1] else ''} of the processor; machines, "
        "and what else ran on them, differ: " + ", ".join(f"{m} {v}" for m, v in minutes.items()) + ".",
        "",
        result["verdict"],
        "",
        f"Made by `python benchmarks/does_it_learn.py{result['options']}`.",
        "",
    ]
    return "\n".join(lines)


def _recalls(found: dict[str, Any]) -> list[float]:
    """Return the recall within rank 10, both ways."""
    return [found[way]["r@10"] for way in ("image_to_text", "text_to_image")]


def longer(wanted: list[str], runs: Path) -> list[dict[str, Any]]:
    """Train methods for more steps (``METHOD=STEPS``) with the first seed."""
    from g2d_bench.pretrain.pretrain import pretrain

    made = []
    for text in wanted:
        method, steps = text.split("=")
        out = runs / "longer" / f"{method}-{steps}"
        card = pretrain(method, out=out, seed=0, overrides={"steps": int(steps)}).card
        val_loss = card["losses"]["validation"]["val_loss"]
        made.append(
            {"method": method, "steps": int(steps), "retrieval": card["retrieval"], "val_loss": val_loss}
        )
    return made


def verdict(result: dict[str, Any]) -> tuple[bool, str]:
    """Say whether every method beats chance and the random encoder."""
    worse = []
    chance = result["chance"]["r@10"]
    rankings = 200 * len(result["trainings"])
    margin = CHANCE_DEVIATIONS * math.sqrt(chance * (1 - chance) / rankings)
    for method in result["methods"]:
        for way in ("image_to_text", "text_to_image"):
            mean = np.mean([result["retrieval"][method][str(s)][way]["r@10"] for s in result["trainings"]])
            if mean <= chance + margin:
                worse.append(f"{method} does not beat chance ({way}, R@10 {100 * mean:.1f} %)")
        for task in TASKS:
            gain = [
                result["probe"][method][str(s)][task] - result["probe"]["random"][str(s)][task]
                for s in result["seeds"]
            ]
            if min(gain) <= 0:
                worse.append(f"{method} does not beat the random encoder on {task} with every seed")
    if worse:
        return False, "**Not all is well:** " + "; ".join(worse) + "."
    return True, (
        f"Every method finds its own reports more often than chance (mean R@10 above "
        f"{100 * (chance + margin):.1f} %, {CHANCE_DEVIATIONS} standard deviations above it, both ways) "
        "and beats the random encoder on every task with every seed."
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=3, help="of labelled images and the random encoder")
    parser.add_argument("--trainings", type=int, default=3, help="of these seeds, how many pre-train anew")
    parser.add_argument("--longer", action="append", default=[], metavar="METHOD=STEPS")
    parser.add_argument("--runs", type=Path, default=Path("runs") / "learn")
    parser.add_argument("--out", type=Path, default=Path("docs") / "does-it-learn.md")
    options = parser.parse_args()
    from g2d_bench.pretrain.pretrain import shipped_methods
    from g2d_bench.records.cell import encoder_order

    methods = sorted(shipped_methods(), key=encoder_order)
    seeds = list(range(options.seeds))
    result: dict[str, Any] = {
        "seeds": seeds,
        "trainings": seeds[: options.trainings],
        "methods": methods,
        "retrieval": {},
        "val_loss": {},
        "probe": {},
        "seconds": {},
        "threads": {},
    }
    for seed in seeds:
        weights = {}
        for method in methods:
            training = seed if seed < options.trainings else 0
            weights[method], card = trained(method, training, options.runs)
            result["retrieval"].setdefault(method, {})[str(seed)] = card["retrieval"]
            val_loss = card["losses"]["validation"]["val_loss"]
            result["val_loss"].setdefault(method, {})[str(seed)] = val_loss
            result["seconds"].setdefault(method, {})[str(seed)] = card["seconds"]
            result["threads"].setdefault(method, {})[str(seed)] = card["made"]["hardware"]["threads"]
            result |= {
                "steps": card["steps"],
                "batch": card["recipe"]["batch"],
                "pairs": card["data"]["pairs"]["train"],
            }
            result["chance"] = card["retrieval"]["chance"]
        for encoder, found in probes(seed, weights, options.runs).items():
            result["probe"].setdefault(encoder, {})[str(seed)] = found
    result["longer"] = longer(options.longer, options.runs)
    result["options"] = "".join(f" --longer {text}" for text in options.longer)
    good, result["verdict"] = verdict(result)
    options.out.write_text(page(result), encoding="utf-8")
    record = Path(__file__).parent / "results" / "does_it_learn.json"
    record.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
