"""Models of transformers, from a folder in the hub's layout or a file with its names; never remote code."""

from __future__ import annotations

import inspect
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import AutoModel, AutoTokenizer

from g2d_bench.cards.encoder import LIBRARY as OF_LIBRARY
from g2d_bench.cards.encoder import EncoderCard, Layout
from g2d_bench.encoders.checkpoint import LoadReport, doubled, fits, open_checkpoint, renamed
from g2d_bench.encoders.hub_config import CONFIG, quiet, read_configuration, side_of
from g2d_bench.encoders.library import Library, Plan, TextSide, as_map, spaced
from g2d_bench.encoders.pair import PairHeads, PairText, Pooled
from g2d_bench.encoders.tokenizer import no_panic
from g2d_bench.encoders.weights import WEIGHTS_FILES
from g2d_bench.encoders.wrapped import layout_state
from g2d_bench.errors import InputError, first_line


class Transformers(Library):
    """A model that ``AutoModel`` knows; of a pair of towers (CLIP, SigLIP) the one for images.

    Maps are hidden states: of a model whose states shrink the last of each size, of a model with tokens of
    one size four evenly spaced layers, the last of them normalised. The vector is ``pooler_output``, unless
    the card says ``token`` or ``mean``: those are of the normalised last states.
    """

    def build(
        self,
        model: str,
        options: Mapping[str, Any],
        *,
        channels: int = 3,
        folder: Path | None = None,
        pretrained: bool = False,
    ) -> nn.Module:
        """Make a model; see :meth:`Library.build`."""
        config = read_configuration(model, options, channels, folder)
        try:
            with quiet():
                whole = AutoModel.from_config(config, trust_remote_code=False)
        except Exception as error:  # each model checks its configuration in its own way
            raise InputError(
                f"transformers' {model} refuses its configuration: {first_line(error)}",
                file=None if folder is None else folder / CONFIG,
                field="image.options",
            ) from None
        return _tower(whole.eval())

    def plan(self, body: nn.Module, model: str, options: Mapping[str, Any], pool: str | None) -> Plan:
        """Say what is read; see :meth:`Library.plan`."""
        config: Any = body.config
        fixed = "interpolate_pos_encoding" in _asked(body)
        side, patch = side_of(config, "image_size", 224), side_of(config, "patch_size", 0)
        shape = (1, int(getattr(config, "num_channels", 3)), side, side)
        x = torch.linspace(-1, 1, math.prod(shape)).reshape(shape)
        output = _tried(body, model, x)
        levels = _levels(output, x)
        blocks: tuple[int, ...] = ()
        if levels:
            shapes = [level.shape for level in levels]
            if any(shape[-1] != shape[-2] for shape in shapes):
                raise InputError(f"the maps of transformers' {model} are not known", field="image.model")
            channels = tuple(int(shape[1]) for shape in shapes)
            strides = tuple(round(side / int(shape[-1])) for shape in shapes)
            prefix, width = 0, channels[-1]
        else:
            last = output.get("last_hidden_state")
            if last is None or last.ndim != 3 or not output.get("hidden_states"):
                raise InputError(f"the maps of transformers' {model} are not known", field="image.model")
            cells = side // max(patch, 1)
            prefix, width = int(last.shape[1]) - cells * cells, int(last.shape[2])
            if not patch or prefix < 0:
                raise InputError(f"the maps of transformers' {model} are not known", field="image.model")
            blocks = spaced(len(output.hidden_states) - 1)
            channels, strides = (width,) * len(blocks), (patch,) * len(blocks)
        own = output.get("pooler_output")
        pool = _checked(pool, model, own is not None, prefix, hasattr(body, "head"))
        length = width if pool in ("token", "mean") or own is None else int(own.flatten(1).shape[1])
        return Plan(channels, strides, length, side if fixed else None, blocks, prefix, pool)

    def version(self) -> str:
        """Name the installed version; see :meth:`Library.version`."""
        return str(transformers.__version__)

    def features(self, body: nn.Module, plan: Plan, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute pyramid and vector; see :meth:`Library.features`."""
        output = _run(body, x)
        maps = _levels(output, x)
        last = output.last_hidden_state
        if not maps:
            norm = getattr(body, "post_layernorm", None)
            # SigLIP normalises all tokens, CLIP its first alone.
            if norm is not None and _clip(body):
                last = norm(last)
            side = x.shape[-1] // plan.strides[-1]
            states = [output.hidden_states[block + 1] for block in plan.blocks[:-1]]
            maps = [as_map(state, (side, side), plan.prefix) for state in (*states, last)]
        if plan.pool == "token":
            return maps, last[:, 0]
        if plan.pool == "mean":
            return maps, maps[-1].mean(dim=(2, 3))
        return maps, output.pooler_output.flatten(1)

    def folder_of(self, file: Path) -> Path | None:
        """Return the folder of a file that lies as on the hub, beside its configuration."""
        return file.parent if file.name in WEIGHTS_FILES and (file.parent / CONFIG).is_file() else None

    def load(self, card: EncoderCard, image: Any, file: Path) -> LoadReport:
        """Load a folder whole, or a file's entries under one of the card's layouts.

        Raises:
            InputError: an entry is missing, unknown or of another shape.
        """
        whole, report = self.open(card, file)
        if not report.ok:
            raise InputError(f"fits no layout of the card: {report.reason}", file=file, field="checkpoint")
        image.body = _tower(whole)
        return report

    def open(self, card: EncoderCard, file: Path) -> tuple[Any, LoadReport]:
        """Load the whole model of a card, and say how its entries fitted."""
        spec = card.image
        config = read_configuration(spec.model, spec.options, spec.channels, self.folder_of(file))
        with torch.device("meta"), quiet():
            kind = type(AutoModel.from_config(config, trust_remote_code=False))
        said: dict[str, Any] = {"config": config, "output_loading_info": True, "dtype": torch.float32}
        # They are reported, and a file with one is refused.
        said["ignore_mismatched_sizes"] = True
        if self.folder_of(file) is not None and file.suffix == ".safetensors":
            layout = card.checkpoint[0] if card.checkpoint else Layout(layout="transformers", expect=1)
            said |= {"local_files_only": True, "use_safetensors": True}
            found = _loaded(kind, file.parent, said, file)
            return _judged(found, file, layout)
        opened = open_checkpoint(file)
        best: tuple[Any, LoadReport] | None = None
        for layout in card.checkpoint or [Layout(layout="transformers", expect=1)]:
            state, outside, twice = _state(layout_state(opened.states, layout) or {}, layout)
            if not state:
                continue
            found = _loaded(kind, None, said | {"state_dict": state}, file)
            one = _judged(found, file, layout, outside, twice)
            if one[1].ok:
                return one
            best = best or one
        if best is None:
            containers = ", ".join(name or "a plain state dict" for name in opened.states)
            raise InputError(
                f"no entry under a prefix of the card's layouts (the file has {containers})",
                file=file,
                field="checkpoint",
            )
        return best

    def text_side(
        self, card: EncoderCard, image: Any, file: Path, *, download: bool = False
    ) -> TextSide | None:
        """Take the text tower of the same pair; see :meth:`Library.text_side`."""
        if card.text is None or card.text.source != OF_LIBRARY:
            return None
        whole, _ = self.open(card, file)
        if not hasattr(whole, "text_model"):
            return TextSide(None, None, (), f"transformers' {card.image.model} has no text tower")
        try:
            with quiet(), no_panic():
                tokenizer = AutoTokenizer.from_pretrained(
                    file.parent, local_files_only=True, trust_remote_code=False
                )
        except Exception as error:  # each fault has its own class in the library
            reason = f"no tokenizer in {file.parent} ({first_line(error)}); put those of the model there"
            return TextSide(None, None, (), reason)
        config = whole.config.text_config
        length = min(card.text.max_length, int(config.max_position_embeddings))
        tower = _TextTower(whole)
        # SigLIP reads its padding, and is never told where it is.
        masked = "attention_mask" in getattr(tokenizer, "model_input_names", ()) and _clip(whole)

        def tokenize(texts: list[str]) -> dict[str, Tensor]:
            found = tokenizer(
                texts, padding="max_length", truncation=True, max_length=length, return_tensors="pt"
            )
            return {name: found[name] for name in ("input_ids", *(["attention_mask"] if masked else []))}

        project = getattr(whole, "visual_projection", None)
        head = getattr(_tower(whole), "head", None)
        with torch.inference_mode():
            dim = len(tower(**tokenize(["x"]))[0])
        cell = project if project is not None else (Pooled(head) if head is not None else None)
        text = PairText(
            tower,
            tokenize,
            dict(tokenizer.get_vocab()),
            dim=dim,
            layers=int(config.num_hidden_layers),
            source=str(file.parent),
        )
        heads = PairHeads(project if project is not None else nn.Identity(), cell, dim=dim)
        return TextSide(text, heads, (), "")


class _TextTower(nn.Module):
    """From tokens to vectors of the common space."""

    def __init__(self, whole: Any) -> None:
        super().__init__()
        self.model, self.config = whole.text_model, whole.config.text_config
        self.project = getattr(whole, "text_projection", None) or nn.Identity()

    def forward(self, **tokens: Tensor) -> Tensor:
        vectors: Tensor = self.project(self.model(**tokens).pooler_output)
        return vectors


def _tower(whole: Any) -> nn.Module:
    """Return the image tower of a pair, or the model itself."""
    tower: nn.Module = getattr(whole, "vision_model", whole)
    return tower


def _clip(model: Any) -> bool:
    return str(model.config.model_type).startswith("clip")


def _asked(body: nn.Module) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(body.forward).parameters


def _run(body: Any, x: Tensor) -> Any:
    said: dict[str, Any] = {}
    if "noise" in _asked(body):
        # A masked autoencoder puts its patches in the order of this noise, whether it hides some or none.
        patch = side_of(body.config, "patch_size", 1)
        cells = (x.shape[-2] // patch) * (x.shape[-1] // patch)
        said["noise"] = torch.arange(cells, dtype=torch.float32, device=x.device).expand(len(x), cells)
    return body(pixel_values=x, output_hidden_states=True, return_dict=True, **said)


def _tried(body: nn.Module, model: str, x: Tensor) -> Any:
    """Run a model on one image, and again where it drew random numbers.

    Raises:
        InputError: it reads no images, or asks for more than an image, or gives something else each time.
    """
    asked = _asked(body)
    needed = {one.name for one in asked.values() if one.default is one.empty} - {"kwargs"}
    if "pixel_values" not in asked:
        raise InputError(f"transformers' {model} reads no images", field="image.model")
    if more := sorted(needed - {"pixel_values"}):
        raise InputError(
            f"transformers' {model} asks for {' and '.join(more)} beside an image, which nothing here makes "
            "(models of images in any number of patches, NaFlex, are not read)",
            field="image.model",
        )
    try:
        with torch.inference_mode():
            before = torch.get_rng_state()
            first = _run(body, x)
            second = first if torch.equal(before, torch.get_rng_state()) else _run(body, x)
    except Exception as error:  # as above
        raise InputError(
            f"transformers' {model} cannot be run on an image of {x.shape[-1]} px: {first_line(error)}",
            field="image.model",
        ) from None
    for name in ("last_hidden_state", "pooler_output"):
        one, other = first.get(name), second.get(name)
        if one is not None and not torch.allclose(one, other, rtol=1e-3, atol=1e-4, equal_nan=True):
            raise InputError(
                f"transformers' {model} gives other numbers each time it sees the same image",
                field="image.model",
            )
    return first


def _levels(output: Any, x: Tensor) -> list[Tensor]:
    """Return states that are maps, the last of each size, fine to coarse; none for a model with tokens."""
    states = output.get("reshaped_hidden_states") or output.get("hidden_states") or ()
    # The first state of some is the image itself.
    maps = [state for state in states if state.ndim == 4 and state.shape != x.shape]
    return list({tuple(state.shape[-2:]): state for state in maps}.values())


def _checked(pool: str | None, model: str, own: bool, prefix: int, attends: bool) -> str:
    """Refuse a pooling that a model does not have.

    Raises:
        InputError: it has none of its own and the card names none, or it has not the one that is named.
    """
    if pool == "token" and not prefix:
        raise InputError(f"transformers' {model} has no class token", field="image.pool")
    if pool == "map" and not attends:
        raise InputError(f"transformers' {model} has no attention pooling", field="image.pool")
    if pool in (None, "library", "map") and not own:
        raise InputError(
            f"transformers' {model} makes no vector of its own; say image.pool = 'mean' or 'token'",
            field="image.pool",
        )
    return pool or "library"


def _loaded(kind: Any, folder: Path | None, said: dict[str, Any], file: Path) -> tuple[Any, dict[str, Any]]:
    try:
        with quiet():
            model, info = kind.from_pretrained(folder, **said)
    except Exception as error:  # pickle, safetensors, shapes: each has its own class
        raise InputError(f"cannot be loaded: {first_line(error)}", file=file, field="checkpoint") from None
    return model.eval(), info


def _state(state: Mapping[str, Tensor], layout: Layout) -> tuple[dict[str, Tensor], tuple[str, ...], str]:
    """Return a file's entries with the names of transformers, those under no prefix, and what came twice."""
    found: dict[str, Tensor] = {}
    sources: dict[str, str] = {}
    outside, twice = [], ""
    for name, tensor in state.items():
        prefix = next((one for one in layout.prefixes if name.startswith(one)), None)
        if prefix is None:
            outside.append(name)
            continue
        bare = name.removeprefix(prefix)
        if not fits(bare, layout.drop):
            target = renamed(bare, layout)
            found[target] = tensor
            twice = twice or doubled(state, name, sources.setdefault(target, name), target)
    return found, tuple(outside), twice


def _judged(
    found: tuple[Any, dict[str, Any]],
    file: Path,
    layout: Layout,
    outside: tuple[str, ...] = (),
    problem: str = "",
) -> tuple[Any, LoadReport]:
    model, info = found
    unknown = sorted(info["unexpected_keys"])
    missing = {str(name) for name in info["missing_keys"]}
    other = sorted((str(entry[0]), tuple(entry[1]), tuple(entry[2])) for entry in info["mismatched_keys"])
    absent = missing | {entry[0] for entry in other}
    state = model.state_dict()
    tensors = {name: tensor for name, tensor in state.items() if name not in absent}
    broken = [name for name, tensor in tensors.items() if not torch.isfinite(tensor).all()]
    return model, LoadReport(
        file,
        layout.layout,
        max(layout.expect or 0, len(state) - sum(fits(name, layout.missing_ok) for name in absent)),
        tensors=tensors,
        missing=tuple(sorted(name for name in missing if not fits(name, layout.missing_ok))),
        excused=tuple(sorted(name for name in missing if fits(name, layout.missing_ok))),
        unexpected=tuple(name for name in unknown if not fits(name, layout.drop)),
        shape_mismatch=tuple(other),
        dropped=tuple(name for name in unknown if fits(name, layout.drop)),
        outside=outside,
        problem=problem or (f"NaN or infinity in {broken[0]}" if broken else ""),
    )


LIBRARY = Transformers()
