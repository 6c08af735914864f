"""Write the page of encoders from their cards: ``python docs/encoders.py`` writes ``encoders.md`` here.

``python docs/encoders.py FOLDER`` also measures on the films (PNG, JPEG) in a folder. Without one, a number
of the page that is larger than what is found stays: it was found on films that are not here.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import LIBRARY, SHIPPED, EncoderCard
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.load import Encoder
from g2d_bench.phantom.generate import generate
from g2d_bench.phantom.profile import profile_of
from g2d_bench.readers.images import letterbox

PAGE = Path(__file__).with_name("encoders.md")
Film = NDArray[np.uint8]
Prepare = Callable[[Film], Tensor]
"""From a film [H, W] to what a library gives its model, [C, S, S]."""

WAYS = {
    "transformers": (
        *("rad-dino", "rad-dino.dinov2", "rad-dino-maira-2", "cxformer.b14", "cxformer.s14", "medsiglip"),
        *("medgemma", "xrayclip.b16-512", "xraysiglip.b16-512"),
    ),
    "open_clip": ("biomedclip", "unimed-clip.b16"),
    "timm": ("dinov2.b14", "dinov3.b16", "eva-x.s16", "eva-x.b16", "chexfound"),
    "torchvision": (
        *("ark.swin-b", "cxr-clip.r50", "cxr-clip.swin-t", "kad.r50", "mavl.r50", "biovil-t.r50"),
        "biovil.r50",
    ),
    "its own steps": (
        *("chexzero", "medclip.r50", "medclip.swin-t"),
        *("torchxrayvision.densenet121", "torchxrayvision.r50"),
    ),
}
WAY = {name: way for way, names in WAYS.items() for name in names}
"""Against whose preprocessing a card's input is measured; others letterbox as GLoRIA's and MGCA's code do."""


HEAD = """
This page is made from the cards in `baselines/` by `python docs/encoders.py`. It lists the encoders of
published scale. None of their weights is shipped; [add-an-encoder.md](add-an-encoder.md) says how a file is
given and how a card is written. `g2d-bench doctor --encoder NAME --checkpoint FILE` says whether a file fits.
`pip install 'g2d-bench[encoders]'` installs open_clip. No code that lies beside weights is ever run.

## What can be measured

Kinds that ask an image's vector or maps (classification, segmentation, detection) run with every encoder.
Zero-shot, grounding and phrase tasks need its text side, too; without one their cells say `n/a` and why.
""".strip().split("\n")
INPUT = """
The tensor that an encoder is given, against the one that its library's own preprocessing makes of the same
film: the largest difference of any pixel, and the mean difference on the worst film, in the units of the
tensor. Measured on a generated film and on real ones. `letterbox` stands for the area-averaged letterbox of
GLoRIA's and MGCA's code, which is this package's own. What is left comes from rounding to whole grey values
between the steps, from the borders of padding (`chexzero`, `medclip`), and for `rad-dino.dinov2` from the
centre of an odd rest, which lies a pixel beside the one of transformers. `biovil.r50` is older than this
table, and its numbers are not to move: it is given the whole film, where the publisher scales to 512 and
crops 480; with `fit = "crop"` and `resize = 512` on a card of one's own the difference is nought. Tasks that
ask where something is show every encoder the whole film, letterboxed, whatever its card says.
""".strip().split("\n")


def generated_film() -> Film:
    """Return a film that is no square, so that the ways differ."""
    film = generate("cxr14", 3, seed=0, size=700, profile=profile_of("cxr14")).image
    return np.ascontiguousarray(film[:, 31:640])


def films_in(folder: Path, most: int = 8) -> list[Film]:
    """Read some films of a folder, evenly spaced by name."""
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in (".png", ".jpg", ".jpeg"))
    chosen = found[:: max(1, len(found) // most)][:most]
    return [np.asarray(Image.open(path).convert("L")) for path in chosen]


def prepare_of(card: EncoderCard) -> Prepare:
    """Return a library's own preprocessing, told what the publisher tells it."""
    image, way = card.image, WAY.get(card.name, "")
    size = image.size
    mean, std = [list(values) for values in (card.mean, card.std)]
    three = cast(Any, {"image_mean": (mean * 3)[:3], "image_std": (std * 3)[:3]})
    filters = {"bilinear": 2, "bicubic": 3, "lanczos": 1}
    if way == "transformers":
        from transformers import BitImageProcessor, SiglipImageProcessor

        resample = filters[image.interpolation]
        square = {"height": size, "width": size}
        processor: Any = (
            SiglipImageProcessor(size=square, resample=resample, **three)
            if image.fit == "stretch"
            else BitImageProcessor(
                size={"shortest_edge": image.resize or size}, crop_size=square, resample=resample, **three
            )
        )
        return lambda film: processor(Image.fromarray(film).convert("RGB"), return_tensors="pt")[
            "pixel_values"
        ][0]
    if way == "open_clip":
        from open_clip.transform import image_transform

        return cast(Prepare, _of_rgb(image_transform(size, is_train=False, mean=tuple(mean), std=tuple(std))))
    if way == "timm":
        from timm.data import create_transform

        told = {"interpolation": image.interpolation, "crop_pct": 1.0}
        mean3, std3 = (mean * 3)[:3], (std * 3)[:3]
        return _of_rgb(create_transform((3, size, size), mean=mean3, std=std3, is_training=False, **told))
    if way == "torchvision":
        from torchvision import transforms

        how = transforms.InterpolationMode(
            image.interpolation if image.interpolation != "area" else "bilinear"
        )
        first = (
            [transforms.Resize(image.resize or size, how), transforms.CenterCrop(size)]
            if image.fit != "stretch"
            else [transforms.Resize((size, size), how)]
        )
        return _of_rgb(transforms.Compose([*first, transforms.ToTensor(), transforms.Normalize(mean, std)]))
    if card.name == "chexzero":
        return lambda film: _chexzero(film, size, mean[0], std[0])
    if card.name.startswith("medclip"):
        return lambda film: _medclip(film, size, mean[0], std[0])
    if card.name.startswith("torchxrayvision"):
        return lambda film: _torchxrayvision(film, size)
    view = torch.tensor(mean).view(-1, 1, 1), torch.tensor(std).view(-1, 1, 1)
    return lambda film: (torch.from_numpy(letterbox(film, size))[None] / 255 - view[0]) / view[1]


def _of_rgb(transform: Any) -> Prepare:
    return lambda film: transform(Image.fromarray(film).convert("RGB"))


def _chexzero(film: Film, size: int, mean: float, std: float) -> Tensor:
    """Scale the film into a table of 320 px, normalise, then scale again (CheXzero's data and its loader)."""
    from torchvision.transforms import InterpolationMode, functional

    ratio = 320 / max(film.shape)
    rows, columns = (int(n * ratio) for n in film.shape)
    small = Image.fromarray(film).resize((columns, rows), Image.Resampling.LANCZOS)
    table = Image.new("L", (320, 320))
    table.paste(small, ((320 - columns) // 2, (320 - rows) // 2))
    grey = (torch.from_numpy(np.array(table)).float().expand(3, -1, -1) - mean) / std
    return cast(Tensor, functional.resize(grey, [size, size], InterpolationMode.BICUBIC, antialias=True))


def _medclip(film: Film, size: int, mean: float, std: float) -> Tensor:
    """Pad the film to a square, then scale it."""
    side = max(film.shape)
    square = Image.new("L", (side, side))
    square.paste(Image.fromarray(film), ((side - film.shape[1]) // 2, (side - film.shape[0]) // 2))
    small = np.array(square.resize((size, size), Image.Resampling.BICUBIC))
    return ((torch.from_numpy(small).float() / 255 - mean) / std).expand(3, -1, -1)


def _torchxrayvision(film: Film, size: int) -> Tensor:
    """Cut out the centre, bring it to [-1024, 1024], and scale it by the engine ``cv2``.

    Linear when enlarging, as its default engine does.
    """
    import cv2

    side = min(film.shape)
    top, left = (n // 2 - side // 2 for n in film.shape)
    grey = (2 * (film[top : top + side, left : left + side].astype(np.float32) / 255) - 1) * 1024
    how = cv2.INTER_AREA if size < side else cv2.INTER_LINEAR
    return torch.from_numpy(cv2.resize(grey, (size, size), interpolation=how))[None]


def difference(card: EncoderCard, films: Iterable[Film]) -> tuple[float, float]:
    """Return the largest difference of the pixel tensor, and the mean one of the worst film."""
    encoder = Encoder(card, cast(ImageEncoder, nn.Identity()), "none")
    prepare, worst, mean = prepare_of(card), 0.0, 0.0
    for film in films:
        size, frame = card.image.size, card.image.frame
        square = letterbox(film, size) if frame is None else frame.image_forward(film, size)
        ours = encoder.preprocess(torch.from_numpy(np.array(square))[None])[0]
        gap = (ours - prepare(film)).abs()
        worst, mean = max(worst, float(gap.max())), max(mean, float(gap.mean()))
    return worst, mean


def published() -> list[EncoderCard]:
    """Return the cards of published encoders, controls left out."""
    return [card for card in Catalogue.open().encoders if card.scale == "published"]


def input_of(card: EncoderCard) -> str:
    """Say in a few words what an encoder is fed."""
    image = card.image
    words = [f"{image.size}", image.fit]
    if image.resize:
        words.append(f"by way of {image.resize}")
    words.append(image.interpolation)
    if image.channels == 1:
        words.append("1 channel")
    if image.resize_inside:
        words.append(f"{image.resize_inside} inside")
    return ", ".join(words)


def text_of(card: EncoderCard) -> str:
    """Say in a few words what an encoder's text side is."""
    if card.text is None:
        return "none"
    if card.text.source == LIBRARY:
        return f"the same model's, {card.text.max_length} pieces"
    name = card.text.source if card.text.source == SHIPPED else card.text.source.split("/")[-1]
    return f"{name}, {card.text.max_length} pieces"


def runs(card: EncoderCard) -> str:
    """Say which kinds of task run with it, as far as its card tells."""
    return "images and text" if card.text is not None else "images"


def terms_of(card: EncoderCard) -> str:
    """Say under which terms its weights are."""
    words = card.licence_id or card.licence or "none stated"
    words = f"[{words}]({card.terms})" if card.terms else words
    return words + (", gated" if card.gated else "")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Write a table of Markdown."""
    return [
        "| " + " | ".join(head) + " |",
        "|" + "---|" * len(head),
        *("| " + " | ".join(cell.replace("|", "/") for cell in row) + " |" for row in rows),
    ]


def stated(page: str) -> dict[str, tuple[float, float]]:
    """Read the differences that a page states, by card."""
    rows = re.findall(r"^\| `([\w.-]+)` \| [\w ]+ \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
    return {name: (float(worst), float(mean)) for name, worst, mean in rows}


def rounded_up(value: float) -> float:
    """Round up to four places, so that what is stated is not exceeded."""
    return max(0.0, float(np.ceil(value * 1e4 - 1e-2) / 1e4))


def render(differences: dict[str, tuple[float, float]]) -> str:
    """Write the page."""
    cards = published()
    lines = [
        "# Encoders",
        "",
        *HEAD,
        "",
        *table(
            ("card", "library, model", "input", "text side", "runs", "licence"),
            (
                (
                    f"`{card.name}`",
                    f"{card.image.library}, `{card.image.model}`",
                    input_of(card),
                    text_of(card),
                    runs(card),
                    terms_of(card),
                )
                for card in cards
            ),
        ),
        "",
        "## What they saw, and where they are",
        "",
        "`NAME:labels` says that the labels of a data set took part, not its images alone.",
        "",
        *table(
            ("card", "pre-training", "where the weights are", "to know"),
            (
                (
                    f"`{card.name}`",
                    ", ".join(card.pretraining) or ("none" if card.objective == "none" else "not stated"),
                    card.source or card.weights or "; ".join(one.note for one in card.checkpoint if one.note),
                    card.notes,
                )
                for card in cards
            ),
        ),
        "",
        "## The input, held against each library",
        "",
        *INPUT,
        "",
        *table(
            ("card", "against", "largest", "mean"),
            (
                (f"`{name}`", WAY.get(name, "letterbox"), f"{worst:.4f}", f"{mean:.4f}")
                for name, (worst, mean) in differences.items()
            ),
        ),
        "",
    ]
    return "\n".join(lines)


def main(folders: Sequence[str]) -> None:
    """Measure, and write the page; a word that is no folder ends it with 2 and leaves the page alone."""
    for folder in folders:
        if not Path(folder).is_dir():
            print(f"encoders.py: {folder}: no folder of films", file=sys.stderr)
            sys.exit(2)
    films = [generated_film(), *(film for folder in folders for film in films_in(Path(folder)))]
    before = stated(PAGE.read_text(encoding="utf-8")) if PAGE.is_file() else {}
    differences = {}
    for card in published():
        worst, mean = (rounded_up(value) for value in difference(card, films))
        old = before.get(card.name, (0.0, 0.0)) if not folders else (0.0, 0.0)
        differences[card.name] = (max(worst, old[0]), max(mean, old[1]))
    PAGE.write_text(render(differences), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
