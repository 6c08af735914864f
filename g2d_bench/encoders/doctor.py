"""Looks an encoder over: does the file fit, does it do what an encoder must, is the installation sound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from g2d_bench.cards.encoder import EncoderCard, ImageInput, Layout
from g2d_bench.cards.pretraining import hints
from g2d_bench.encoders.checkpoint import LoadReport
from g2d_bench.encoders.doctor_text import Check, TextFindings, listed, look_at_text, render_text
from g2d_bench.encoders.features import frozen_hash
from g2d_bench.encoders.image_side import build_image
from g2d_bench.encoders.load import Encoder, load_encoder
from g2d_bench.encoders.weights import file_hash, file_md5, weights_file
from g2d_bench.errors import InputError

# The maintained fork and the original own the same module folders.
RIVALS = (
    ("onedl-mmengine", "mmengine"),
    ("onedl-mmcv", "mmcv"),
    ("onedl-mmcv", "mmcv-lite"),
    ("onedl-mmdetection", "mmdet"),
    ("onedl-mmsegmentation", "mmsegmentation"),
)


@dataclass(frozen=True)
class DoctorReport:
    """What was found.

    Attributes:
        card: the encoder.
        file: its weights, or None for a random one.
        weights_hash: see :func:`g2d_bench.encoders.weights.weights_digest`.
        load: how the file fitted; None for a random encoder.
        parameters: of the image encoder.
        shapes: per pyramid level [C, H, W] and strides.
        pooled: width of the pooled vector.
        text: what was found of the text side; None where there is none.
        no_text: why there is none, where that is known.
        unread: names in the file that belong to no part that is read.
        checks: the properties.
        warnings: what may go wrong elsewhere.
    """

    card: EncoderCard
    file: Path | None
    weights_hash: str
    load: LoadReport | None
    parameters: int
    shapes: tuple[tuple[tuple[int, ...], int], ...]
    pooled: int
    text: TextFindings | None
    no_text: str
    unread: tuple[str, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every property holds."""
        return all(check.ok for check in self.checks)


def diagnose(
    card: EncoderCard,
    checkpoint: Path | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    download: bool = True,
    installed: Callable[[str], bool] | None = None,
) -> DoctorReport:
    """Load an encoder and look it over.

    Args:
        card: which one.
        checkpoint: a weights file that goes before what the card says.
        seed: of the initialisation.
        device: where to run it.
        download: fetch timm's weights, and the tokenizer of a published text encoder, where the card wants
            them and they are not in the cache.
        installed: says whether a distribution is installed; for tests.

    Raises:
        InputError: there are no weights, or they do not fit.
    """
    if card.embeddings is not None:
        raise InputError(
            "has vectors in the place of an image encoder, which are looked at where they are measured",
            field=card.name,
        )
    encoder = load_encoder(card, checkpoint=checkpoint, seed=seed, device=device, download=download)
    file = encoder.report.file if encoder.report else weights_file(card, checkpoint)
    size = card.image.size
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (2, size, size), dtype=torch.uint8, generator=generator).to(device)
    before = frozen_hash(encoder.image)
    with torch.inference_mode():
        first = encoder.image(encoder.preprocess(images))
        second = encoder.image(encoder.preprocess(images))
    same = torch.equal(first.pooled, second.pooled) and all(
        torch.equal(a, b) for a, b in zip(first.pyramid, second.pyramid, strict=True)
    )
    finite = all(bool(torch.isfinite(part).all()) for part in (*first.pyramid, first.pooled))
    spread = float((first.pooled[0] - first.pooled[1]).abs().max())
    checks = [
        Check(
            "deterministic", same, "the same images twice give the same bits" if same else "results differ"
        ),
        Check("frozen", frozen_hash(encoder.image) == before, f"state {before[:12]} before and after"),
        Check("finite", finite, "no NaN or infinity in the features" if finite else "NaN or infinity"),
        Check("sees the image", spread > 0, f"two images differ by up to {spread:.3g} in the pooled vector"),
    ]
    if encoder.report is not None:
        checks.append(_moved(encoder, images, first.pooled, seed))
    text = look_at_text(encoder, first, seed)
    return DoctorReport(
        card=card,
        file=file,
        weights_hash=encoder.weights_hash,
        load=encoder.report,
        parameters=sum(parameter.numel() for parameter in encoder.image.parameters()),
        shapes=tuple(
            (tuple(level.shape[1:]), stride)
            for level, stride in zip(first.pyramid, encoder.image.strides, strict=True)
        ),
        pooled=int(first.pooled.shape[1]),
        text=text,
        no_text=encoder.no_text,
        unread=_unread(encoder),
        checks=(*checks, *(text.checks if text else ())),
        warnings=(
            *hints(card.pretraining),
            *_file_warnings(card, encoder.report),
            *_package_warnings(installed or _installed),
        ),
    )


def render(report: DoctorReport) -> str:
    """Write a report as plain text."""
    card, load, image = report.card, report.load, report.card.image
    lines = [f"{card.name}: {card.title}", f"weights     {report.file or 'none: random initialisation'}"]
    lines.append(f"hash        {report.weights_hash}")
    if load is not None:
        lines.append(f"layout      {load.layout}: {load.matched} of {load.wanted} entries loaded")
        if any(one.layout == load.layout and one.expect is None for one in card.checkpoint):
            lines.append(
                f"            expect = {load.matched} in the card's layout {load.layout!r} would pin it"
            )
        lines += [
            f"            {label}: {listed(names)}"
            for label, names in (("absent, as the card allows", load.excused), ("left aside", load.dropped))
            if names
        ]
        if report.text is not None and report.text.loads:
            if report.unread:
                lines.append(f"            of no part that is read: {listed(report.unread)}")
        elif load.outside:
            lines.append(f"            outside of the image encoder: {len(load.outside)}")
    inside = f", upsampled inside to {image.resize_inside}" if image.resize_inside else ""
    lines.append(f"input       {image.size} px{inside}, {_formula(image)}")
    lines.append(f"model       {image.model}, {report.parameters:,} parameters")
    for shape, stride in report.shapes:
        lines.append(f"features    {' x '.join(str(n) for n in shape)} at stride {stride}")
    lines.append(f"pooled      {report.pooled}")
    if report.text is not None:
        lines += render_text(report.text)
    elif report.no_text or card.text is not None:
        lines.append(f"text        n/a: {report.no_text or 'none in the weights that were read'}")
    lines += [f"{'ok' if check.ok else 'FAILED':11} {check.name}: {check.detail}" for check in report.checks]
    lines += [f"warning     {text}" for text in report.warnings]
    return "\n".join(lines)


def _formula(image: ImageInput) -> str:
    """Say what becomes of a grey value, as :meth:`Encoder.preprocess` computes it."""
    if image.standardise:
        return "each over its own deviation"
    black, white = image.range
    wide = white - black
    grey = {1.0: "grey / 255", 255.0: "grey"}.get(wide, f"grey / 255 * {wide:g}")
    shift = f" {'-' if black < 0 else '+'} {abs(black):g}" if black else ""
    return f"({grey}{shift} - {image.mean}) / {image.std}"


def _unread(encoder: Encoder) -> tuple[str, ...]:
    """Names of a published file that neither image encoder, text encoder, heads nor decoder has a use for."""
    load = encoder.report
    layout = next((one for one in encoder.card.checkpoint if load and one.layout == load.layout), None)
    if load is None or layout is None:
        return ()
    others = [set(report.outside) for report in encoder.text_reports]
    decoder = layout.decoder_prefix
    parts = () if decoder is None else (f"{decoder}decoder.", f"{decoder}segmentation_head.")
    return tuple(
        name
        for name in load.outside
        if all(name in other for other in others) and not (parts and name.startswith(parts))
    )


@torch.inference_mode()
def _moved(encoder: Encoder, images: torch.Tensor, pooled: torch.Tensor, seed: int) -> Check:
    file = encoder.report.file if encoder.report else None
    fresh = build_image(encoder.card, seed, file).to(encoder.device)
    distance = float((fresh(encoder.preprocess(images)).pooled - pooled).norm() / pooled.norm())
    detail = f"relative distance {distance:.3g} from the initialisation's features"
    return Check("differs from its initialisation", distance > 1e-6, detail)


def _file_warnings(card: EncoderCard, load: LoadReport | None) -> list[str]:
    layout = next((item for item in card.checkpoint if load and item.layout == load.layout), None)
    return [] if load is None or layout is None else _hash_warnings(load.file, layout)


def _hash_warnings(file: Path, layout: Layout) -> list[str]:
    stated = [("md5", layout.md5, file_md5), ("sha256", layout.sha256, file_hash)]
    return [
        f"the file's {name} is not that of the published file ({published}): another version, or re-saved"
        for name, published, compute in stated
        if published and compute(file) != published
    ]


def _package_warnings(installed: Callable[[str], bool]) -> list[str]:
    return [
        f"{fork} and {original} are both installed and overwrite each other: uninstall both, then install one"
        for fork, original in RIVALS
        if installed(fork) and installed(original)
    ]


def _installed(distribution: str) -> bool:
    try:
        version(distribution)
    except PackageNotFoundError:
        return False
    return True
