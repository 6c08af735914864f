"""Does what is learnt on generated films, and how encoders rank on them, carry over to real ones?

Real films pre-train nothing and choose no generated film: they are read to be tested on and compared with.

  a  pneumonia on the open films of ChestX-ray14: a linear head, and none (zero-shot)
  b  lungs: segmentation trained on generated films alone, tested on real masks
  c  the gap: what tells generated from real films, and how well
  d  whether ranks of encoders on generated tasks are those on real ones
  e  what of (a) is read without an encoder, and after each stage of one

    python benchmarks/transfer.py --real FOLDER [--parts a,b,c,d,e] [--seeds 5] [--trainings 3]
    python benchmarks/transfer.py --real FOLDER --parts c --films covid-cxr --show

FOLDER holds covid-cxr/ and nih1k/ or cxr14/ in their public layouts. Finished trainings (below --weights) and
cells (below --runs) are not made again; the first training is the shipped encoder. Writes docs/transfer.md,
docs/img/transfer.png and benchmarks/results/transfer.json, or with --show nothing: then tables are printed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

PARTS = ("a", "b", "c", "d", "e")
FILMS = ("covid-cxr", "nih1k")
ROOT = Path(__file__).resolve().parents[1]
RECORD = ROOT / "benchmarks" / "results" / "transfer.json"
PAGE, PICTURE = ROOT / "docs" / "transfer.md", ROOT / "docs" / "img" / "transfer.png"


def encoders_for_gap(seeds: int) -> dict[str, Any]:
    """Load random encoders, which see grey values as they are, and the shipped ones as they are used."""
    from film_gap import as_shown

    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.encoders.load import load_encoder
    from g2d_bench.pretrain.pretrain import shipped_methods

    cards = Catalogue.open().encoders
    found = {f"random {seed}": load_encoder(as_shown(cards["random"]), seed=seed) for seed in range(seeds)}
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


def part_d(found: Mapping[str, Any], generated: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Correlate the order of encoders on generated films with that on real ones, kind by kind.

    Args:
        found: parts a and b.
        generated: scores on generated films, see :func:`transfer_cells.on_generated`.
    """
    from agreement import agreement
    from transfer_cells import FRACTIONS, by_candidate
    from transfer_page import KINDS

    wanted: list[tuple[str, str, Any, dict[str, Any]]] = [
        (
            "linear",
            KINDS["linear"][0].format(fraction=f"{100 * share:g} %"),
            found["a"]["linear"],
            {"fraction": share},
        )
        for share in FRACTIONS
    ]
    wanted.append(("zero-shot", KINDS["zero-shot"][0], found["a"]["zero-shot"], {}))
    wanted.append(("lungs", KINDS["lungs"][0], found["b"]["head"], {}))
    rows = []
    for kind, words, real, choice in wanted:
        ours, theirs = by_candidate(generated[kind], **choice), by_candidate(real, **choice)
        everybody = [key for key in ours if key in theirs]
        groups = {"all": everybody, "trained": [key for key in everybody if key[0] != "random"]}
        if groups["all"] == groups["trained"]:
            del groups["all"]
        for name, keys in groups.items():
            same = agreement([ours[key] for key in keys], [theirs[key] for key in keys])
            rows.append({"kind": words, "encoders": name, **asdict(same)})
    return rows


def measure(options: argparse.Namespace, before: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Measure the parts that are asked for, one after the other; part d takes a and b as they are known then.

    Raises:
        InputError: films are not there, or a cell failed.
    """
    from transfer_cells import Runner, candidates, lungs, on_generated, pneumonia, write_cards
    from transfer_shallow import shallow

    from g2d_bench.errors import InputError

    known = dict(before)
    parts = [part for part in PARTS if part in options.parts]
    if "d" in parts and not {"a", "b"} <= {*parts, *known}:
        raise InputError("d needs a and b, which were not measured yet", field="--parts")
    if parts != ["c"]:
        everybody = candidates(options.trainings, options.seeds, options.weights)
        write_cards(options.runs / "cards", options.real, options.seeds)
        on_real = Runner(options.runs / "real", options.real, options.runs / "cards", options.jobs)
        on_films = Runner(options.runs / "generated", None, None, options.jobs)
    for part in parts:
        if part == "a":
            found: dict[str, Any] = {"a": pneumonia(everybody, options.seeds, on_real)}
        elif part == "b":
            found = {"b": lungs(everybody, on_real, options.decoders)}
        elif part == "e":
            first = [one for one in everybody if not one.weights or not one.training]
            cards, own = options.runs / "cards", options.runs / "shallow"
            found = {"e": shallow(first, options.seeds, options.real, cards, own)}
        elif part == "c":
            found = {"c": {**known.get("c", {}), **part_c(options)}}
        else:
            generated = on_generated(everybody, options.seeds, on_films)
            found = {"generated": generated, "d": part_d(known, generated)}
        known |= found
        yield found


def state(options: argparse.Namespace) -> dict[str, Any]:
    """Say what was measured: generator, version of numbers, shipped weights, how many of each."""
    from g2d_bench import __version__
    from g2d_bench.hashing import digest_file, digest_package
    from g2d_bench.paths import PACKAGE
    from g2d_bench.pretrain.pretrain import shipped_methods
    from g2d_bench.records.signature import NUMBERS

    return {
        "version": __version__,
        "numbers": NUMBERS,
        "generator": digest_package(PACKAGE / "phantom"),
        "weights": {
            name: digest_file(PACKAGE / "weights" / f"{name}.safetensors") for name in shipped_methods()
        },
        "trainings": options.trainings,
        "seeds": options.seeds,
    }


def parse() -> argparse.Namespace:
    """Read the command line.

    Raises:
        InputError: a word in a list is unknown, or the folder is not there.
    """
    from g2d_bench.errors import InputError, did_you_mean

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--real", type=Path, required=True, metavar="FOLDER", help="of real films")
    add("--parts", default=",".join(PARTS), help="which parts, by letter")
    add("--seeds", type=int, default=5, help="splits, draws of labels, and random encoders")
    add("--trainings", type=int, help="of each method; by default those that are there")
    add("--decoders", default="random,mgca,g2d", help="part b: encoders for which a decoder is trained, too")
    add("--films", default=",".join(FILMS), help="part c: data sets to compare")
    add("--count", type=int, help="part c: generated films; as many as real ones if not given")
    add("--as", dest="label", default="now", help="by what name the page calls these films")
    add("--show", action="store_true", help="print, and write nothing")
    add("--jobs", type=int, help="processes")
    add("--runs", type=Path, default=Path("runs") / "transfer", help="of cells")
    add("--weights", type=Path, default=Path("runs") / "learn", help="of trainings, as of does_it_learn.py")
    options = parser.parse_args()
    if not options.real.is_dir():
        raise InputError("no such folder", file=options.real, field="--real")
    from transfer_page import ENCODERS

    for name, known in (("parts", PARTS), ("films", FILMS), ("decoders", ENCODERS)):
        words = getattr(options, name).split(",")
        setattr(options, name, words)
        for word in words:
            if word not in known:
                raise InputError(f"unknown {word!r}; {did_you_mean(word, known)}", field=f"--{name}")
    for name in ("seeds", "trainings", "count", "jobs"):
        if getattr(options, name) is not None and getattr(options, name) < 1:
            raise InputError(f"{getattr(options, name)}, want 1 or more", field=f"--{name}")
    return options


def main() -> int:
    from g2d_bench.errors import InputError

    try:
        options = parse()
        kept = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
        if options.trainings is None:
            from transfer_cells import at_hand

            options.trainings = at_hand(options.weights)
        now = state(options)
        old = kept.get(options.label, {})
        # Parts of other films or other weights are not this state's.
        parts = old.get("parts", {}) if {**old, "parts": None} == {**now, "parts": None} else {}
        runs = {**kept, options.label: {**now, "parts": parts}}
        for found in measure(options, parts):
            parts |= found
            if not options.show:
                save(runs)
    except InputError as error:
        print(f"transfer.py: {error}", file=sys.stderr)
        return 2
    from transfer_page import page, summary

    if options.show:
        lines = show_c(parts["c"]) if "c" in options.parts else []
        print("\n".join([*lines, *summary({options.label: runs[options.label]})]))
    else:
        print(page(runs))
    return 0


def save(runs: Mapping[str, Any]) -> None:
    """Write the record, and page and plot from it."""
    from transfer_page import page, plot

    from g2d_bench.files import write_atomically

    text = json.dumps(runs, separators=(",", ":"))
    write_atomically(RECORD, f"{text}\n".encode())
    write_atomically(PAGE, page(runs).encode())
    plot(runs, FILMS[0], PICTURE)


if __name__ == "__main__":
    sys.exit(main())
