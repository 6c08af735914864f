"""The page and the plot of :mod:`transfer`, from what it measured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from does_it_learn import spread
from film_gap import QUANTILES
from film_statistics import WORDS
from transfer_cells import FRACTIONS, NEAR, by_candidate
from transfer_shallow import WITHOUT

from g2d_bench.plain import counted

Run = Mapping[str, Any]

ENCODERS = ("random", "convirt", "gloria", "mgca", "g2d")
KINDS = {
    "linear": ("a linear head, {fraction} of the labels", "rsna-cls and cxr14-cls", "nih1k"),
    "zero-shot": ("zero-shot", "rsna-zeroshot and cxr14-zeroshot", "nih1k"),
    "lungs": ("lungs, linear head", "covid-cxr-seg", "covid-cxr, trained on generated films"),
}
"""Kind to its words, its generated tasks and its real one."""
COLOURS = ("#d08a2e", "#2b6cb0", "#7a4fa3")

NONE_YET = "–"


def summary(runs: Mapping[str, Run]) -> list[str]:
    """Write the one table: every measure, every encoder, every state of the generator."""
    lines = [f"| measure | films | {' | '.join(ENCODERS)} |", f"|---|---|{'---|' * len(ENCODERS)}"]
    rows: dict[str, dict[str, dict[str, str]]] = {}
    for label, run in runs.items():
        for measure, cells in _measures(run):
            rows.setdefault(measure, {})[label] = cells
    for measure, states in rows.items():
        for label, cells in states.items():
            shown = " | ".join(cells.get(name, NONE_YET) for name in ENCODERS)
            lines.append(f"| {measure} | {label} | {shown} |")
    return lines


def _measures(run: Run) -> Iterable[tuple[str, dict[str, str]]]:
    parts = run["parts"]
    if "a" in parts:
        for fraction in FRACTIONS:
            scores = by_candidate(parts["a"]["linear"], fraction=fraction)
            what = f"pneumonia, linear head, {100 * fraction:g} % of the labels"
            yield what, _spreads(scores)
            if alike := by_candidate(parts["a"]["linear"], of="equal_grey", fraction=fraction):
                yield f"{what}, films of equal grey", _spreads(alike)
        yield "pneumonia, zero-shot", _spreads(by_candidate(parts["a"]["zero-shot"]))
    if "b" in parts:
        for head, words in (("head", "linear head"), ("decoder", "U-Net decoder")):
            yield f"lungs (Dice), {words} taught on generated films", _spreads(by_candidate(parts["b"][head]))
    for dataset, found in parts.get("c", {}).items():
        for saw in ("film", "chest"):
            apart: dict[str, list[float]] = {}
            for row in found["apart"]:
                if row["saw"] == saw:
                    apart.setdefault(row["encoder"].split()[0], []).append(row["auroc"])
            if apart:
                where = "" if saw == "film" else ", lungs' box only"
                cells = {name: spread(values) for name, values in apart.items()}
                yield f"generated told from {dataset}{where}", cells


def _spreads(scores: Mapping[tuple[str, int], float]) -> dict[str, str]:
    """Encoder to mean and deviation over its trainings or initialisations."""
    found: dict[str, list[float]] = {}
    for (encoder, _), value in scores.items():
        found.setdefault(encoder, []).append(value)
    return {encoder: spread(values) for encoder, values in found.items()}


def goals(run: Run) -> list[tuple[str, bool]]:
    """Say which of the goals a state of the generator reaches, as far as its parts tell."""
    parts = run["parts"]
    found: list[tuple[str, bool]] = []
    if "a" in parts:
        asked = [float(np.mean(v)) for v in _by_encoder(by_candidate(parts["a"]["zero-shot"])).values()]
        found.append(
            (
                "zero-shot at least 70 for three of the four methods and 60 for all",
                sum(value >= 0.7 for value in asked) >= 3 and min(asked) >= 0.6,
            )
        )
        scores = _by_encoder(by_candidate(parts["a"]["linear"], fraction=FRACTIONS[0]))
        chance = float(np.mean(scores.pop("random")))
        gains = [float(np.mean(values) - chance) for values in scores.values()]
        found.append(
            (
                "linear at 10 % at least 6 points above random for all four (least: "
                + _signed(min(gains))
                + ")",
                min(gains) >= 0.06,
            )
        )
    if "b" in parts:
        dice = [
            float(np.mean(v))
            for head in ("head", "decoder")
            for name, v in _by_encoder(by_candidate(parts["b"][head])).items()
            if name != "random"
        ]
        found.append(
            (
                f"lungs taught on generated films: Dice at least 90 (best: {100 * max(dice):.1f})",
                max(dice) >= 0.9,
            )
        )
    for dataset, one in parts.get("c", {}).items():
        rows = [r for r in one["apart"] if r["saw"] == "film" and r["encoder"].startswith("random")]
        told = float(np.mean([row["auroc"] for row in rows]))
        words = f"told apart with less than 95 on random features, `{dataset}` ({100 * told:.1f})"
        found.append((words, told < 0.95))
    return found


def _by_encoder(scores: Mapping[tuple[str, int], float]) -> dict[str, list[float]]:
    found: dict[str, list[float]] = {}
    for (encoder, _), value in scores.items():
        found.setdefault(encoder, []).append(value)
    return found


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def orders(runs: Mapping[str, Run]) -> list[str]:
    """Write the table of part (d)."""
    lines = [
        "| kind | encoders | films | how many | Spearman | Kendall |",
        "|---|---|---|---|---|---|",
    ]
    for label, run in runs.items():
        for row in run["parts"].get("d", []):
            lines.append(
                f"| {row['kind']} | {row['encoders']} | {label} | {row['count']} | "
                f"{_correlation(row, 'spearman')} | {_correlation(row, 'kendall')} |"
            )
    return lines


def _correlation(row: Mapping[str, Any], name: str) -> str:
    value, limits = row[name], row[f"{name}_interval"]
    if value is None:
        return "no order"
    shown = f"{value:.2f}"
    return (f"{shown} ({limits[0]:.2f} to {limits[1]:.2f})" if limits else shown).replace("-", "−")


def differences(runs: Mapping[str, Run], dataset: str) -> list[str]:
    """Write the table of the statistics of part (c), in the order of the latest films' distance."""
    states = {label: run["parts"]["c"][dataset] for label, run in runs.items() if dataset in _gaps(run)}
    if not states:
        return []
    latest = list(states.values())[-1]
    heads = [f"{label}: mean ± sd | W1 | KS | AUROC" for label in states]
    lines = [
        f"| statistic | real: mean ± sd | {' | '.join(heads)} |",
        f"|---|---|{'---|---|---|---|' * len(states)}",
    ]
    for name in sorted(latest["statistics"], key=lambda one: -latest["statistics"][one]["auroc"]):
        cells = [WORDS[name], _moments(latest["statistics"][name]["real"])]
        for state in states.values():
            row = state["statistics"].get(name)
            cells += [NONE_YET] * 4 if row is None else [_moments(row["generated"]), *_distances(row)]
        lines.append(f"| {' | '.join(cells)} |")
    pooled = [cell for state in states.values() for cell in (NONE_YET, *_distances(state["histogram"]))]
    lines.append(f"| grey histogram of all pixels | {NONE_YET} | {' | '.join(pooled)} |")
    return lines


def _gaps(run: Run) -> Mapping[str, Any]:
    found: Mapping[str, Any] = run["parts"].get("c", {})
    return found


def _moments(side: Mapping[str, float]) -> str:
    digits = 1 if abs(side["mean"]) >= 10 else 3
    return f"{side['mean']:.{digits}f} ± {side['sd']:.{digits}f}".replace("-", "−")


def _distances(row: Mapping[str, float]) -> list[str]:
    return [f"{row['w1']:.2f}", f"{row['ks']:.2f}", f"{100 * row['auroc']:.1f}"]


def readings(runs: Mapping[str, Run]) -> list[str]:
    """Write the zero-shot scores with their intervals, and what the view of a film does to them."""
    lines = []
    for label, run in runs.items():
        for one in run["parts"].get("a", {}).get("zero-shot", []):
            low, high = one["interval"]
            within = " / ".join(f"{100 * one['views'][view]:.1f}" for view in sorted(one["views"]))
            lines.append(
                f"| {one['encoder']} {one['training']} | {label} | {100 * one['value']:.1f} "
                f"({100 * low:.1f} to {100 * high:.1f}) | {within} | {100 * one['bedside']:.1f} |"
            )
    heads = [
        "| zero-shot, training | films | all (95 % over patients) | AP / PA alone | AP told from PA |",
        "|---|---|---|---|---|",
    ]
    return [*heads, *lines, ""] if lines else []


def page(runs: Mapping[str, Run]) -> str:
    """Write the page.

    Args:
        runs: a state of the generated films ("before", "now") to what was measured with it.
    """
    last = list(runs.values())[-1]
    states = "; ".join(
        f"**{label}**: generator {run['generator'][:8]}, numbers version {run['numbers']}, "
        f"{counted(run['trainings'], 'training')} of each method, "
        f"{counted(run['seeds'], 'split')} and as many random encoders"
        for label, run in runs.items()
    )
    lines = [
        "# Do generated films carry over to real ones?",
        "",
        "Encoders that were pre-trained on generated films and reports alone, and heads that were taught on "
        "generated films, are tested on real ones here; and it is measured how far the films of both kinds "
        "are apart. Real films pre-train nothing. Those of `nih1k` (pneumonia) are the test: neither the "
        "generator nor anything else is fitted to them. Distributions of the generator may be fitted to "
        "the images of `covid-cxr`. Encoders are of phantom scale, and no number here is one of a published "
        "encoder.",
        "",
        f"Films: {states}. In %; ± is the deviation over trainings, for the random encoder over "
        "initialisations.",
        "",
        *summary(runs),
        "",
        "* **Pneumonia**: AUROC on the films of `nih1k` that are at hand. Linear heads: mean over splits by "
        "patient (50 / 15 / 35 %), each with its own draw of labels; films of equal grey: over "
        f"pairs whose mean greys differ by at most {NEAR:g} of 255. Zero-shot: all films but those of a few "
        "patients, nothing is trained.",
        "* **Lungs**: mean Dice on all real masks of `covid-cxr`; training and validation see generated "
        "films alone ([trained here, tested there](harder-questions.md)).",
        "* **Told apart**: AUROC of a linear probe on frozen features, cross-validated by patient; 50 is not "
        "at all. Random: mean over initialisations, which see grey values as they are; the others "
        "as they are used.",
        "",
        *_readings_text(runs),
        *_goals_text(last),
        *_depth_text(runs),
        "## Does the order of encoders on generated films predict that on real ones?",
        "",
        *_orders_text(runs),
        "## What differs between the films",
        "",
        *([] if _gaps(last) else ["Not measured yet.", ""]),
        "One estimator for both sides. A film's longest side is brought to 256 px first. W1: "
        "Wasserstein-1 distance in standard deviations of the real films; KS: greatest difference of the "
        "cumulative distributions; AUROC: with which the number alone tells real from generated films.",
        "",
    ]
    for dataset in _gaps(last):
        films = last["parts"]["c"][dataset]["films"]
        lines += [
            f"### `{dataset}`: {films['real']} real films, {films['generated']} generated ones",
            "",
            *differences(runs, dataset),
            "",
        ]
    about = [
        "Lungs, chest and ratios need the mask of both lungs, and are those of films that have one. The "
        "masks of the real films go on behind heart and mediastinum; the chest's width and the "
        "cardiothoracic ratio use the outer walls alone, which no convention moves. The **cardiothoracic "
        "ratio** is estimated from them and the greys: in the rows at 45 to 80 % of the lungs' height, the "
        "heart ends where the smoothed row, followed outwards from the midline, first falls below the middle "
        "between mediastinum and lung; its extent to either side is the 80th percentile over rows. On "
        "generated films, whose hearts are known, the estimate is a little small and follows the truth (a "
        "test holds the correlation above 0.9).",
        "",
        "![Cumulative distributions of the statistics, real films and generated ones](img/transfer.png)",
        "",
    ]
    lines += [
        *(about if _gaps(last) else []),
        "Made by `python benchmarks/transfer.py --real FOLDER`, where FOLDER holds `covid-cxr` and `nih1k` "
        "or `cxr14`; see [real films for everyone](real-films.md).",
        "",
    ]
    return "\n".join(lines)


def _readings_text(runs: Mapping[str, Run]) -> list[str]:
    table = readings(runs)
    if not table:
        return []
    return [
        "On `nih1k`, films without finding are taken AP more often than those with pneumonia, against what "
        "is usual, on generated films, too: an encoder that reads the view instead of the lung is turned "
        "round by that. The last column is the AUROC with which the score tells the views apart.",
        "",
        *table,
    ]


def depths(runs: Mapping[str, Run]) -> list[str]:
    """Write the table of part (e): without an encoder, and after each stage of one."""
    rows = []
    for label, run in runs.items():
        scores = run["parts"].get("e", [])
        places = {(one["encoder"], one["stage"]) for one in scores}
        for encoder, place in sorted(places, key=lambda one: (("", *ENCODERS).index(one[0]), one[1])):
            what = f"{encoder}, stage {place + 1}" if encoder else WITHOUT[place]
            values = [spread(_at_stage(scores, encoder, place, share)) for share in FRACTIONS]
            rows.append(f"| {what} | {label} | {' | '.join(values)} |")
    heads = " | ".join(f"{100 * share:g} % of the labels" for share in FRACTIONS)
    return [f"| what the head is given | films | {heads} |", f"|---|---|{'---|' * len(FRACTIONS)}", *rows]


def _at_stage(scores: Iterable[Mapping[str, Any]], encoder: str, place: int, fraction: float) -> list[float]:
    """Return the mean over splits after a stage, one of each training or initialisation."""
    return list(by_candidate(scores, encoder=encoder, stage=place, fraction=fraction).values())


def where_it_is_lost(run: Run) -> str:
    """Say what pre-training does to the second stage, and what becomes of it in the last."""
    scores = run["parts"].get("e", [])
    depth: dict[str, int] = {}
    for one in scores:
        depth[one["encoder"]] = max(one["stage"], depth.get(one["encoder"], 0))
    stages = {
        name: [float(np.mean(_at_stage(scores, name, place, FRACTIONS[0]))) for place in (1, depth[name])]
        for name in ENCODERS
        if name in depth
    }
    methods = [stages[name] for name in ENCODERS if name != "random" and name in stages]
    if not methods or "random" not in stages:
        return ""

    def across(values: list[float]) -> str:
        return f"{_signed(min(values))} to {_signed(max(values))}"

    gained = [second - stages["random"][0] for second, _ in methods]
    kept = [last - second for second, last in methods]
    return (
        f"With {100 * FRACTIONS[0]:g} % of the labels the second stage of a pre-trained encoder differs from "
        f"that of random ones by {across(gained)} points. From there to the last stage a pre-trained encoder "
        f"changes by {across(kept)}, a random one by {_signed(stages['random'][1] - stages['random'][0])}."
    )


def _depth_text(runs: Mapping[str, Run]) -> list[str]:
    table = depths(runs)
    if len(table) < 3:
        return []
    return [
        "## What of it is read without a lung",
        "",
        "Pneumonia on the films of `nih1k`, the same linear heads, splits and labels as above. Given are the "
        "mean and the standard deviation of a film's greys, or the film at 8 × 8 pixels: what is read from "
        "those is exposure and framing. Then the mean over the cells of each stage of an encoder, of which "
        "tasks get the last one; of each method its first training.",
        "",
        *table,
        "",
        *(f"**{label}**: {said}" for label, run in runs.items() if (said := where_it_is_lost(run))),
        "",
    ]


def _goals_text(run: Run) -> list[str]:
    found = goals(run)
    if not found:
        return []
    rows = [f"| {text} | {'yes' if reached else 'no'} |" for text, reached in found]
    return ["| goal, for the latest films | reached |", "|---|---|", *rows, ""]


def _orders_text(runs: Mapping[str, Run]) -> list[str]:
    table = orders(runs)
    if len(table) < 3:
        return ["Not measured yet.", ""]
    tasks = "; ".join(
        f"{words.format(fraction='a share')}: {generated} (mean) against {real}"
        for words, generated, real in KINDS.values()
    )
    return [
        "Rank correlation of encoders between generated and real tasks, with 95 % intervals over draws of "
        f"the encoders. {tasks[0].upper()}{tasks[1:]}. Trainings of one method are alike, so the intervals "
        "are rather too narrow; without random encoders, what is left is the order of trained ones.",
        "",
        *table,
        "",
    ]


SHOWN = (
    *("mean", "sd", "black", "white", "sides", "corners above", "corners below", "text"),
    *("slope", "octave 4", "octave 16", "octave 64", "mirror", "others", "tilt", "chest area"),
    *("box width", "box height", "box shape", "box y", "cardiothoracic", "between", "depth", "lung grey"),
    *("ribs", "texture", "diaphragm", "heart border"),
)
"""Statistics of the plot."""


def plot(runs: Mapping[str, Run], dataset: str, path: Path) -> None:
    """Draw the cumulative distributions, real and generated; no film is shown."""
    from matplotlib.figure import Figure

    states = {label: run["parts"]["c"][dataset] for label, run in runs.items() if dataset in _gaps(run)}
    if not states:
        return
    latest = list(states.values())[-1]
    names = [name for name in SHOWN if name in latest["statistics"]]
    columns = 6
    rows = -(-(len(names) + 1) // columns)
    figure = Figure(figsize=(2.3 * columns, 2.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    share = np.array(QUANTILES) / 100
    for place, name in zip(axes, names, strict=False):
        place.plot(latest["statistics"][name]["real"]["quantiles"], share, color="black", label="real")
        for colour, (label, state) in zip(COLOURS, states.items(), strict=False):
            row = state["statistics"].get(name)
            if row is not None:
                place.plot(row["generated"]["quantiles"], share, color=colour, label=f"generated, {label}")
        place.set_title(name, fontsize=9)
    greys = axes[len(names)]
    greys.plot(np.cumsum(latest["histogram"]["real"]), color="black")
    for colour, state in zip(COLOURS, states.values(), strict=False):
        greys.plot(np.cumsum(state["histogram"]["generated"]), color=colour)
    greys.set_title("grey, all pixels", fontsize=9)
    for place in axes[: len(names) + 1]:
        place.tick_params(labelsize=7)
        place.set_yticks([0, 0.5, 1])
    for place in axes[len(names) + 1 :]:
        place.set_axis_off()
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower right", fontsize=9, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=90, metadata={"Software": None})
