"""Does what is learnt on generated films, and how encoders rank on them, carry over to real ones?

Real films pre-train nothing and choose no generated film: they are read to be tested on and compared with.

  a  pneumonia on the open films of ChestX-ray14: a linear head, and none (zero-shot)
  b  lungs: segmentation trained on generated films alone, tested on real masks
  c  the gap: what tells generated from real films, and how well
  d  whether ranks of encoders on generated tasks are those on real ones

    python benchmarks/transfer.py --real FOLDER [--parts a,b,c,d] [--seeds 5] [--trainings 1]
    python benchmarks/transfer.py --real FOLDER --parts c --films covid-cxr --show

FOLDER holds covid-cxr/ and nih1k/ or cxr14/ in their public layouts. Finished trainings and cells, kept below
--runs, are not made again; the first training is the shipped encoder. Writes docs/transfer.md,
docs/img/transfer.png and benchmarks/results/transfer.json, or with --show nothing: then tables are printed.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

PARTS = ("a", "b", "c", "d")
FILMS = ("covid-cxr", "nih1k")


def encoders_for_gap(seeds: int) -> dict[str, Any]:
    """Load random encoders and the shipped ones."""
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.encoders.load import load_encoder
    from g2d_bench.pretrain.pretrain import shipped_methods

    cards = Catalogue.open().encoders
    found = {f"random {seed}": load_encoder(cards["random"], seed=seed) for seed in range(seeds)}
    return found | {name: load_encoder(cards[name], text=False) for name in shipped_methods()}


def part_c(options: argparse.Namespace) -> dict[str, Any]:
    """Compare generated with real films."""
    from film_gap import gap, generated_films, probed, real_films

    encoders = encoders_for_gap(options.seeds)
    found = {}
    for dataset in options.films:
        real = real_films(dataset, options.real)
        generated = generated_films(dataset, options.count or len(real))
        apart = [
            {"encoder": encoder, "saw": saw, "auroc": auroc[0], "sd": auroc[1]}
            for encoder, saw, auroc in probed(generated, real, encoders)
        ]
        found[dataset] = {**gap(generated, real), "apart": apart}
    return found


def show_c(found: dict[str, Any]) -> list[str]:
    """Write part (c) as text, the most telling statistics first."""
    from film_statistics import WORDS

    lines = []
    for dataset, one in found.items():
        films = one["films"]
        lines += [
            f"{dataset}: {films['generated']} generated films, {films['real']} real ones",
            f"{'':16s} {'generated':>18s} {'real':>18s} {'W1/sd':>7s} {'KS':>5s} {'AUROC':>6s}",
        ]
        ordered = sorted(one["statistics"].items(), key=lambda item: -item[1]["auroc"])
        for name, row in ordered:
            sides = " ".join(
                f"{row[side]['mean']:9.3f} ±{row[side]['sd']:7.3f}" for side in ("generated", "real")
            )
            lines.append(
                f"{name:16s} {sides} {row['w1']:7.2f} {row['ks']:5.2f} {row['auroc']:6.3f}  {WORDS[name]}"
            )
        pooled = one["histogram"]
        lines.append(
            f"{'grey histogram':54s} {pooled['w1']:7.2f} {pooled['ks']:5.2f} {pooled['auroc']:6.3f}  pixels"
        )
        lines.append("real told from generated, AUROC of a linear probe (± over folds):")
        lines += [
            f"  {row['encoder']:10s} {row['saw']:8s} {row['auroc']:6.3f} ± {row['sd']:.3f}"
            for row in one["apart"]
        ]
        lines.append("")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--real", type=Path, required=True, metavar="FOLDER", help="of real films")
    parser.add_argument("--parts", default=",".join(PARTS), help="which parts, by letter")
    parser.add_argument("--seeds", type=int, default=5, help="of labelled images and of random encoders")
    parser.add_argument("--films", default=",".join(FILMS), help="part c: data sets to compare")
    parser.add_argument(
        "--count", type=int, help="part c: generated films; as many as real ones if not given"
    )
    parser.add_argument("--show", action="store_true", help="print, and write nothing")
    options = parser.parse_args()
    from g2d_bench.errors import InputError, did_you_mean

    options.parts, options.films = options.parts.split(","), options.films.split(",")
    try:
        for field, words, known in (("--parts", options.parts, PARTS), ("--films", options.films, FILMS)):
            for word in words:
                if word not in known:
                    raise InputError(f"unknown {word!r}; {did_you_mean(word, known)}", field=field)
        if not options.real.is_dir():
            raise InputError("no such folder", file=options.real, field="--real")
        print("\n".join(show_c(part_c(options))))
    except InputError as error:
        print(f"transfer.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
