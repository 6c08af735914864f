"""Where an encoder's weights lie and what their hash is, found out without importing torch."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from g2d_bench.cards.encoder import HUB, HUB_FILE, TIMM, EncoderCard
from g2d_bench.cards.library import known
from g2d_bench.errors import InputError, first_line
from g2d_bench.hashing import digest_file, digest_json
from g2d_bench.paths import PACKAGE

WEIGHTS_FILES = ("model.safetensors", "pytorch_model.bin")
"""How the hub calls a model's weights."""
OPEN_CLIP_FILES = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
"""How the hub calls those of a model of open_clip, which may lie beside those of another library."""
_CONFIGURATIONS = {"transformers": ("config.json",), "open-clip": ("open_clip_config.json",)}
"""What a library, by its name in the registry, reads beside the weights and moves its numbers by."""
_COUNTERS = "num_batches_tracked"
"""End of the names of what counts the steps of a normalisation, which starts at nought and moves nothing."""


def weights_file(card: EncoderCard, checkpoint: Path | None = None, dataset: str = "") -> Path | None:
    """Return the file from which a card is loaded, or None for a random encoder.

    Of an ensemble it is the folder that holds its files.

    Args:
        card: the encoder.
        checkpoint: what the user gave; it goes before what the card says. A folder stands for the weights in
            it that are called as on the hub.
        dataset: of which embeddings are wanted; any if empty. Weights are the same for all.

    Raises:
        InputError: there is no such file; the text says how to get one.
    """
    if checkpoint is not None:
        if checkpoint.is_dir() and (card.ensemble > 1 or known(card.image.library) in _CONFIGURATIONS):
            return _in_folder(card, checkpoint)
        if not checkpoint.is_file():
            raise InputError("no such file" if not checkpoint.exists() else "not a file", file=checkpoint)
        return checkpoint
    if card.embeddings is not None:
        return embeddings_file(card, dataset)
    if card.weights == "none":
        return None
    if card.weights.startswith(TIMM):
        found = _timm_cache(card.weights.removeprefix(TIMM))
        if found is None:
            raise InputError(
                f"{card.weights.removeprefix(TIMM)} is not in the Hugging Face cache; run "
                f"`g2d-bench doctor --encoder {card.name}` once with network, or give a file",
                field=card.name,
            )
        return found
    if card.weights.startswith(HUB):
        found = _hub_cache(card.weights)
        if found is None:
            raise InputError(
                f"{card.weights.removeprefix(HUB)} is not in the Hugging Face cache; run `g2d-bench doctor "
                f"--encoder {card.name}` once with network{_accept(card)}, or give a file",
                field=card.name,
            )
        return found
    if not card.weights:
        raise InputError(
            f"published weights are not shipped; give --checkpoint {card.name}=FILE", field=card.name
        )
    if card.folder is not None:
        beside = card.folder / card.weights
        if beside.is_file():
            return beside
        taken = (PACKAGE / "weights" / card.weights).is_file()
        why = ", and a card of your own takes no shipped weights" if taken else ""
        raise InputError(
            f"no {card.weights} beside the card{why}; put it there, or give --checkpoint {card.name}=FILE",
            field=card.name,
        )
    shipped = PACKAGE / "weights" / card.weights
    if not shipped.is_file():
        raise InputError(
            f"{card.weights} is not in this installation; `make weights` makes it", field=card.name
        )
    return shipped


def embeddings_file(card: EncoderCard, dataset: str = "") -> Path:
    """Return the file of embeddings that a card names for a data set, or its first one.

    Raises:
        InputError: the card names none, or it is not there.
    """
    assert card.embeddings is not None
    files = card.embeddings.files
    if not files or (dataset and dataset not in files):
        what = f"no embeddings of {dataset}" if dataset else "names no embeddings"
        there = f" (it has {', '.join(files)})" if files else ""
        raise InputError(
            f"{what}{there}; add a file under [embeddings.files], or give --checkpoint {card.name}=FILE",
            field=card.name,
        )
    file = (card.folder or Path()) / files[dataset or next(iter(files))]
    if not file.is_file():
        raise InputError(f"no {file.name} beside the card", field=card.name)
    return file


def weights_state(card: EncoderCard, checkpoint: Path | None = None) -> tuple[bool, str]:
    """Say whether a card's weights are at hand, and if not, why; the file is not opened."""
    try:
        weights_file(card, checkpoint)
    except InputError as error:
        return False, str(error)
    return True, ""


def weights_digest(
    card: EncoderCard, checkpoint: Path | None = None, seed: int = 0, dataset: str = ""
) -> str:
    """Name the weights: the sha256 of their file, or ``init:<model>:<options>:<seed>`` for a random encoder.

    Of a file that lacks entries which are drawn at random it is ``init:<sha256>:<seed>``.

    Raises:
        InputError: see :func:`weights_file`.
    """
    file = weights_file(card, checkpoint, dataset)
    if file is None:
        return f"init:{card.image.model}:{digest_json(card.image.options)[:8]}:{seed}"
    files = members(file) if file.is_dir() else [file]
    if file.is_dir():
        found = digest_json([file_hash(one) for one in files])
    else:
        beside = [file.with_name(name) for name in _CONFIGURATIONS.get(known(card.image.library), ())]
        told = {one.name: file_hash(one) for one in beside if one.is_file()}
        found = digest_json({"weights": file_hash(file), **told}) if told else file_hash(file)
    return f"init:{found}:{seed}" if _drawn_by_seed(card, files) else found


def _drawn_by_seed(card: EncoderCard, files: Sequence[Path]) -> bool:
    """Say whether a file lacks entries that are drawn; files are opened only if the card lets them."""
    may = {pattern for layout in card.checkpoint for pattern in layout.missing_ok}
    if all(pattern.endswith(_COUNTERS) for pattern in may):
        return False
    from g2d_bench.encoders.drawn import drawn_by_seed

    return any(drawn_by_seed(card, file, file_hash(file)) for file in files)


def members(folder: Path) -> list[Path]:
    """Return the files of an ensemble, by name."""
    suffixes = (".pt", ".pth", ".ckpt", ".tar", ".bin", ".safetensors")
    return sorted(path for path in folder.iterdir() if path.is_file() and path.suffix in suffixes)


def _in_folder(card: EncoderCard, folder: Path) -> Path:
    """Return what a folder stands for: itself for an ensemble, else the weights in it."""
    if card.ensemble > 1:
        found = len(members(folder))
        if found != card.ensemble:
            raise InputError(f"holds {found} weights files, the ensemble has {card.ensemble}", file=folder)
        return folder
    return weights_in(folder, card.image.library)


def weights_in(folder: Path, library: str) -> Path:
    """Return the weights in a folder.

    Raises:
        InputError: there are none under a name that is known.
    """
    names = weights_files(library)
    found = next((folder / name for name in names if (folder / name).is_file()), None)
    if found is None:
        parts = [folder / f"{name}.index.json" for name in names]
        if index := next((one for one in parts if one.is_file()), None):
            raise InputError(
                "weights in several files, which are not read; save them in one with the library, see "
                "docs/add-an-encoder.md",
                file=index,
            )
        raise InputError(f"a folder without {' or '.join(names)}", file=folder)
    return found


def weights_files(library: str) -> tuple[str, ...]:
    """Return how a library's weights are called on the hub, the best first."""
    return (*OPEN_CLIP_FILES, *WEIGHTS_FILES) if known(library) == "open-clip" else WEIGHTS_FILES


def check_hash(card: EncoderCard, file: Path) -> None:
    """Refuse another file than the one whose hash the card states.

    Raises:
        InputError: the hashes differ.
    """
    if card.sha256 and file.is_file() and file_hash(file) != card.sha256:
        raise InputError(
            f"is not the file of the card: sha256 {file_hash(file)[:16]}..., not {card.sha256[:16]}...",
            file=file,
            field="sha256",
        )


def file_hash(path: Path) -> str:
    """Return the sha256 of a file, computed once per process for as long as the file does not change."""
    stat = path.stat()
    return _hash(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def _hash(path: Path, size: int, modified: int) -> str:
    return digest_file(path)


def file_md5(path: Path) -> str:
    """Return the MD5 of a file, for comparison with what a publisher states."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "md5").hexdigest()


def download_timm(card: EncoderCard) -> Path:
    """Return the file of timm's weights, from the cache or from the network.

    Raises:
        InputError: neither has it.
    """
    name = card.weights.removeprefix(TIMM)
    found = _timm_cache(name)
    if found is not None:
        return found
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(f"timm/{name}", WEIGHTS_FILES[0]))
    except Exception as error:  # offline, unknown repository, full disk: each library version raises its own
        raise InputError(
            f"{name} can be had neither from the cache nor by network: {first_line(error)}", field=card.name
        ) from None


def download_hub(card: EncoderCard) -> Path:
    """Return a card's file of the Hugging Face hub, with what lies beside it, from the cache or the network.

    Raises:
        InputError: neither has it.
    """
    found = _hub_cache(card.weights)
    if found is not None:
        return found
    from huggingface_hub import snapshot_download

    said = HUB_FILE.fullmatch(card.weights)
    assert said is not None
    beside = ["*.json", "*.txt", "*.model"]
    try:
        folder = snapshot_download(
            said["repository"], revision=said["revision"], allow_patterns=[said["file"], *beside]
        )
    except Exception as error:  # offline, gated, unknown repository: each library version raises its own
        raise InputError(
            f"{card.weights.removeprefix(HUB)} can be had neither from the cache nor by network"
            f"{_accept(card)}: {first_line(error)}",
            field=card.name,
        ) from None
    return Path(folder) / said["file"]


def _accept(card: EncoderCard) -> str:
    return f", after its terms were accepted at {card.terms}" if card.gated else ""


def _hub_cache(weights: str) -> Path | None:
    said = HUB_FILE.fullmatch(weights)
    return None if said is None else in_hub_cache(said["repository"], (said["file"],), said["revision"])


def _timm_cache(name: str) -> Path | None:
    return in_hub_cache(f"timm/{name}", WEIGHTS_FILES)


def in_hub_cache(repository: str, files: Sequence[str], revision: str | None = None) -> Path | None:
    """Return the first of some files of a hub's repository that is in the Hugging Face cache."""
    from huggingface_hub import try_to_load_from_cache

    wanted = {} if revision is None else {"revision": revision}
    for file in files:
        found = try_to_load_from_cache(repository, file, **wanted)
        if isinstance(found, str):
            return Path(found)
    return None
