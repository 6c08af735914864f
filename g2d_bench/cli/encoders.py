"""Commands about encoders: pre-train them, re-make the shipped ones, look whether weights load."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from g2d_bench.cli.options import PATH, SEED, bench, settings_options
from g2d_bench.errors import InputError
from g2d_bench.plain import visible

if TYPE_CHECKING:
    from g2d_bench.cards.encoder import EncoderCard


@click.command()
@click.option("--objective", "method", default="", help="convirt, gloria, mgca, g2d, or one of a package.")
@click.option("--encoder", "older", default="", hidden=True)
@click.option(
    "--data",
    default="phantom",
    show_default=True,
    help="phantom, mimic-cxr, covid-cxr, or a folder with images and same-named .txt files or a pairs.csv.",
)
@click.option("--out", type=PATH, required=True, help="Folder of the run; an interrupted one goes on.")
@click.option("--variant", type=click.Choice(["paper", "released"]), default="paper", show_default=True)
@click.option("--preset", type=click.Choice(["paper", "phantom"]), default="phantom", show_default=True)
@click.option("--name", default="", help="Of the encoder on its card.  [default: after the folder]")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--data-root", type=PATH, help="Folder with real data (or G2D_BENCH_DATA).")
@click.option("--set", "changes", multiple=True, metavar="KEY=VALUE", help="Change a field of the recipe.")
@click.option("--device", help="cpu or cuda.  [default: the accelerator if there is one]")
@click.option("--save-every", type=click.IntRange(1, 10**9), default=200, show_default=True, help="Steps.")
@click.option("--tensorboard", is_flag=True, help="Write the log for TensorBoard, too.")
def pretrain(
    method: str,
    older: str,
    data: str,
    out: Path,
    variant: str,
    preset: str,
    name: str,
    seed: int,
    data_root: Path | None,
    changes: tuple[str, ...],
    device: str | None,
    save_every: int,
    tensorboard: bool,
) -> None:
    """Pre-train an encoder on paired images and reports.

    Several GPUs: torchrun --nproc-per-node 8 -m g2d_bench pretrain ...
    """
    from g2d_bench.cells.settings import resolve
    from g2d_bench.pretrain.pretrain import pretrain as run
    from g2d_bench.pretrain.pretrain import summary

    if not (method or older):
        raise click.MissingParameter(param_hint="'--objective'", param_type="option")
    made = run(
        method or older,
        data,
        out=out,
        variant=variant,
        preset=preset,
        seed=seed,
        data_root=resolve(data_root=data_root).data_root,
        overrides=_changes(changes),
        device=device,
        save_every=save_every,
        tensorboard=tensorboard,
        name=name,
    )
    click.echo(summary(made.card))
    click.echo(f"weights: {made.weights}")
    click.echo(f"card: {made.encoder} (run with --encoder {made.encoder.stem} --encoders-dir {out})")


@click.command()
@click.option("--out", type=PATH, help="Folder for the files.")
@click.option("--into-package", is_flag=True, help="Replace the encoders that the package ships.")
@click.option("--runs", type=PATH, default=Path("runs") / "pretrain", show_default=True, help="Work folder.")
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--method", "methods", multiple=True, help="Only these.")
def weights(out: Path | None, into_package: bool, runs: Path, seed: int, methods: tuple[str, ...]) -> None:
    """Train the shipped phantom-scale encoders again, all on equal terms: an hour or more.

    Where weights of published encoders are to be had is said by `g2d-bench show NAME`.
    """
    from g2d_bench.paths import PACKAGE
    from g2d_bench.pretrain.pretrain import make_all, shipped_methods

    if (out is None) != into_package:
        raise InputError("give a folder, or --into-package to replace the shipped encoders", field="--out")
    make_all(out or PACKAGE / "weights", runs=runs, seed=seed, methods=methods or shipped_methods())


@click.command()
@click.option("--encoder", "name", required=True, help="Encoder name.")
@click.option("--checkpoint", type=PATH, help="Weights file; otherwise what the card or the settings say.")
@click.option("--encoders-dir", "encoder_dirs", type=PATH, multiple=True, help="Folder with your own cards.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Of the initialisation.")
def doctor(name: str, checkpoint: Path | None, encoder_dirs: tuple[Path, ...], seed: int) -> None:
    """Say whether an encoder's weights load, and what it does with an image."""
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.cells.settings import resolve
    from g2d_bench.encoders.doctor import diagnose, render

    settings = resolve(encoder_dirs=encoder_dirs)
    card = Catalogue.open(encoder_dirs=settings.encoder_dirs).encoders[name]
    report = diagnose(card, checkpoint or settings.checkpoint(name), seed=seed)
    click.echo(render(report))
    if not report.ok:
        sys.exit(1)


@click.command("add-encoder")
@click.argument("source", metavar="FILE|FOLDER|HUB_NAME")
@click.option("--name", default="", help="Of the encoder.  [default: after the file]")
@click.option("--out", type=PATH, help="Folder for the card.  [default: beside the file]")
def add_encoder(source: str, name: str, out: Path | None) -> None:
    """Draft a card from a weights file, a folder or a repository of the hub, then run `doctor` on it.

    The card says on its first lines what the file could not tell; fill that in. Exit 1 if the weights do not
    load as drafted. Example: g2d-bench add-encoder ~/Downloads/my-clip.pth --out encoders
    """
    from g2d_bench.api.model import slug
    from g2d_bench.cards.encoder import BESIDE, HUB, NAME, NAME_IN_WORDS
    from g2d_bench.encoders.doctor import diagnose, render
    from g2d_bench.encoders.draft import draft
    from g2d_bench.encoders.draft_card import Draft, card_text
    from g2d_bench.encoders.draft_folder import draft_folder, fetch_configs, weights_on_hub
    from g2d_bench.encoders.weights import weights_in

    path, made, file = Path(source).expanduser(), Draft(), None
    on_hub = not path.exists() and re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", source.removeprefix(HUB)) is not None
    if on_hub:
        stem = source.removeprefix(HUB)
        made, folder = draft_folder(fetch_configs(stem)), out or Path()
        made.model = stem.rpartition("/")[2] if made.library == "open_clip" else made.model
        weights = weights_on_hub(stem, made.library, made.asks)
    else:
        if path.is_dir():
            made, stem = draft_folder(path), path.resolve().name
            file = weights_in(path, made.library)
        else:
            made, file, stem = draft(path), path, path.name.split(".")[0]
        folder = out or file.parent
        beside = folder.resolve() == file.parent.resolve()
        weights = file.name if beside and re.fullmatch(BESIDE, file.name) else ""
    wanted = name or slug(stem.rpartition("/")[2])
    if not re.fullmatch(NAME, wanted):
        raise InputError(f"{wanted!r} is no name of an encoder, want {NAME_IN_WORDS}", field="--name")
    if not folder.is_dir() and not folder.absolute().parent.is_dir():
        raise InputError("no such folder", file=folder.parent, field="--out")
    card_file = folder / f"{wanted}.toml"
    if card_file.exists():
        raise InputError("is there already; give another --name", file=card_file)
    card = _placed(card_file, card_text(made, stem, weights))
    click.echo(f"wrote {card_file}")
    for ask in made.asks:
        click.echo(f"  could not know: {visible(ask)}")
    if not made.model:
        raise InputError("which model it is must be filled in before anything can be loaded", file=card_file)
    words = ["g2d-bench", "doctor", "--encoder", wanted, "--encoders-dir", str(folder)]
    click.echo(shlex.join([*words, *([] if weights else ["--checkpoint", str(file)])]))
    report = diagnose(card, None if weights else file)
    click.echo(render(report))
    if not report.ok:
        sys.exit(1)


def _placed(file: Path, text: str) -> EncoderCard:
    """Write a card that can be read; of another one nothing is left.

    Raises:
        InputError: it cannot be read; the text says in what.
    """
    import tempfile

    from g2d_bench.cards.encoder import EncoderCard
    from g2d_bench.cards.io import load_card
    from g2d_bench.files import write_out

    with tempfile.TemporaryDirectory(prefix="g2d-bench-") as elsewhere:
        trial = Path(elsewhere) / file.name
        trial.write_text(text, encoding="utf-8")
        try:
            load_card(trial, EncoderCard)
        except InputError as error:
            said = str(error).removeprefix(f"{trial}: ")
            raise InputError(f"no card can be drafted: {said}; write one by hand", file=file) from None
    write_out(file, text.encode())
    return load_card(file, EncoderCard)


@click.command("export-images")
@click.argument("task")
@click.option("--out", type=PATH, required=True, help="New folder to write.")
@click.option("--size", type=click.IntRange(32, 4096), help="Side of squares.  [default: films as they are]")
@click.option("--protocol", default="clean", show_default=True, help="Protocol, which names the split.")
@settings_options
def export_images(task: str, out: Path, size: int | None, protocol: str, **given: Any) -> None:
    """Write the images of a task as PNG, with ids, prompts and reports, to embed them elsewhere.

    ids.csv says which file is which image and part; a file of embeddings holds these ids. reports.csv has
    the reports that a retrieval task compares with, by name; the file of embeddings holds the names alone.
    Example: g2d-bench export-images rsna-zeroshot --out rsna
    """
    from g2d_bench.data.export_images import export_images as export

    opened = bench(given)
    card = opened.catalogue.tasks[task]
    dataset, manifest = opened.source.opened(card.dataset)
    made = export(card, opened.catalogue.protocols[protocol], dataset, manifest, out, size=size)
    more = "".join(f", {made[what]} {what}" for what in ("texts", "reports") if made.get(what))
    click.echo(f"wrote {out}: {made['images']} images of {card.dataset} ({made['kind']}){more}")


def _changes(texts: tuple[str, ...]) -> dict[str, object]:
    """Read KEY=VALUE pairs; values are TOML, so numbers are numbers."""
    import tomllib

    changes: dict[str, object] = {}
    for text in texts:
        try:
            changes |= tomllib.loads(text)
        except (ValueError, RecursionError) as error:
            shown = repr(text if len(text) <= 80 else f"{text[:80]}...")
            why = "nested too deeply" if isinstance(error, RecursionError) else str(error)[:160]
            raise InputError(f"{shown} is not KEY=VALUE ({why})", field="--set") from None
    return changes
