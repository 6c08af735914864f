"""Models of open_clip, from its JSON configuration and a weights file; both towers and the tokenizer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import open_clip
from open_clip.model import _build_text_tower, _build_vision_tower
from open_clip.tokenizer import HFTokenizer
from torch import Tensor, nn

from g2d_bench.cards.encoder import HUB, EncoderCard, Part
from g2d_bench.cards.encoder import LIBRARY as OF_LIBRARY
from g2d_bench.cards.library import LIBRARIES
from g2d_bench.encoders.checkpoint import load_into, match_part, open_checkpoint
from g2d_bench.encoders.library import Library, Plan, TextSide, spaced
from g2d_bench.encoders.pair import Matrix, PairHeads, PairText, Pooled
from g2d_bench.encoders.text_folder import absent, download_folder, text_folder
from g2d_bench.encoders.wrapped import layout_state
from g2d_bench.errors import InputError, did_you_mean, first_line
from g2d_bench.files import read_regular
from g2d_bench.safe_files import LARGEST_JSON

CONFIG = "open_clip_config.json"
"""How the hub's repositories of open_clip call their configuration."""

_TEXT = (
    "transformer.",
    "token_embedding.",
    "positional_embedding",
    "ln_final.",
    "text_projection",
    "cls_emb",
)
"""How names of a text tower begin that has no prefix."""


class OpenClip(Library):
    """The image tower of an open_clip model, without its last projection, which belongs to the heads.

    The configuration is that beside the weights, else the card's ``options`` (the entries ``embed_dim``,
    ``vision_cfg`` and ``text_cfg``), else open_clip's own of the model's name.
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
        """Make an image tower; see :meth:`Library.build`."""
        if channels != 3:
            raise InputError("models of open_clip take 3", field="image.channels")
        config = configuration(model, options, folder)
        try:
            vision = {**config["vision_cfg"], "timm_model_pretrained": False}
            body: Any = _build_vision_tower(config["embed_dim"], vision, config.get("quick_gelu", False))
        except Exception as error:  # open_clip checks little
            raise InputError(
                f"open_clip's {model} refuses its configuration: {first_line(error)}", field="image.options"
            ) from None
        if hasattr(body, "trunk"):
            if hasattr(body.head, "pool"):
                raise InputError(
                    f"open_clip's {model} pools in its head, by {vision['timm_pool']!r}, which is not read",
                    field="image.options.vision_cfg",
                )
            body.head = nn.Identity()
        elif getattr(body, "proj", None) is not None:
            body.proj = None
        tower: nn.Module = body
        return tower.eval()

    def plan(self, body: nn.Module, model: str, options: Mapping[str, Any], pool: str | None) -> Plan:
        """Say what is read; see :meth:`Library.plan`."""
        tower: Any = body
        if hasattr(tower, "trunk"):
            return LIBRARIES["timm"].plan(tower.trunk, model, options, pool or "library")  # type: ignore[no-any-return]
        resnet = hasattr(tower, "attnpool")
        if not resnet and not hasattr(tower, "ln_post"):
            raise InputError(f"of open_clip's {model} the maps are not known", field="image.model")
        own = "map" if resnet or tower.attn_pool is not None else _POOLS.get(tower.pool_type, "library")
        if not resnet and tower.pool_type not in _POOLS:
            raise InputError(
                f"open_clip's {model} makes several vectors of an image, not one; "
                "of attentional_pool only true is read, with pool_type 'tok' or 'avg'",
                field="image.options.vision_cfg",
            )
        if pool not in (None, "library", own):
            raise InputError(
                f"open_clip's {model} pools by {own!r}, the card says {pool!r}", field="image.pool"
            )
        if resnet:
            widths = tuple(int(stage[-1].bn3.num_features) for stage in _stages(tower))
            return Plan(widths, (4, 8, 16, 32), tower.output_dim, tower.image_size, (1, 2, 3, 4), 0, own)
        width, patch = int(tower.conv1.out_channels), int(tower.patch_size[0])
        blocks = spaced(len(tower.transformer.resblocks))
        levels = len(blocks)
        side = int(tower.image_size[0])
        length = int(tower.ln_post.normalized_shape[0])
        return Plan((width,) * levels, (patch,) * levels, length, side, blocks, 1, own)

    def version(self) -> str:
        """Name the installed version; see :meth:`Library.version`."""
        return str(open_clip.__version__)

    def features(self, body: nn.Module, plan: Plan, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """Compute pyramid and vector; see :meth:`Library.features`."""
        tower: Any = body
        if hasattr(tower, "trunk"):
            return LIBRARIES["timm"].features(tower.trunk, plan, x)  # type: ignore[no-any-return]
        found = tower.forward_intermediates(x, indices=list(plan.blocks))
        maps = list(found["image_intermediates"])
        # What an attention pools, it normalises itself.
        if plan.pool != "map":
            maps[-1] = tower.ln_post(maps[-1].permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        return maps, found["image_features"]

    def folder_of(self, file: Path) -> Path | None:
        """Return the folder of a file that has open_clip's configuration beside it."""
        return file.parent if (file.parent / CONFIG).is_file() else None

    def text_side(
        self, card: EncoderCard, image: Any, file: Path, *, download: bool = False
    ) -> TextSide | None:
        """Build the text tower, the tokenizer and the images' projection of the same configuration.

        Raises:
            InputError: an entry of the file is missing, unknown or of another shape.
        """
        if card.text is None:
            return None
        config = configuration(card.image.model, card.image.options, self.folder_of(file))
        # A captioning model's tower gives its tokens, too, where it is asked for them.
        told = {**config["text_cfg"], "output_tokens": False}
        folder: Path | None = None
        if told.get("hf_model_name"):
            if not card.text.source.startswith(HUB) and card.text.source != OF_LIBRARY:
                return None
            folder = _folder(card, file, told["hf_model_name"], download)
            if folder is None:
                return TextSide(None, None, (), absent(card, file))
            told |= {"hf_model_name": str(folder), "hf_model_pretrained": False}
        dim = int(config["embed_dim"])
        try:
            tower: Any = _build_text_tower(dim, told, config.get("quick_gelu", False)).eval()
        except Exception as error:  # as above
            raise InputError(f"its text tower: {first_line(error)}", file=folder or file) from None
        state, layout = _entries(card, file)
        inside = any(name.startswith("text.") for name in state)
        names = {"text.": ""} if inside else {start: start for start in _TEXT}
        drop = ["transformer.embeddings.position_ids", "transformer.pooler.*", "attn_mask"]
        first = match_part(file, layout, state, Part(names=names, drop=drop), tower)
        project, second = _projection(image, state, file, layout, dim)
        for what, report in (("text tower", first), ("projection of images", second)):
            if report is not None and not report.ok:
                raise InputError(f"{what}: {report.reason}", file=file, field="checkpoint")
        load_into(tower, first)
        tokenizer = _tokenizer(folder, told, card.text.max_length)
        reports = tuple(report for report in (first, second) if report is not None)
        layers = int(told.get("layers", 0) or tower.transformer.config.num_hidden_layers)
        text = PairText(
            _Tower(tower), tokenizer.tokenize, tokenizer.vocabulary, dim=dim, layers=layers, source=str(file)
        )
        heads = PairHeads(project, _cell(image.body, project), dim=dim).eval()
        return TextSide(text, heads, reports, "")


_POOLS = {"tok": "token", "avg": "mean"}
"""What open_clip calls ``pool_type``, in the words of a card."""


class _Attended(nn.Module):
    """The attention pooling of a captioning model (CoCa): normalised behind it, one of its vectors taken."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.pool, self.norm, self.average = tower.attn_pool, tower.ln_post, tower.pool_type == "avg"

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.norm(self.pool(tokens))
        return found[:, 1:].mean(dim=1) if self.average else found[:, 0]


def _stages(tower: Any) -> tuple[Any, ...]:
    return tower.layer1, tower.layer2, tower.layer3, tower.layer4


def _cell(body: Any, project: nn.Module) -> nn.Module | None:
    """Return how single patches are projected; None for CLIP's ResNet, whose pooling adds positions."""
    if hasattr(body, "attnpool"):
        return None
    if getattr(body, "attn_pool", None) is not None:
        return Pooled(_Attended(body), project)
    pooling = getattr(getattr(body, "trunk", None), "attn_pool", None)
    return Pooled(pooling, project) if pooling is not None else project


class _Tower(nn.Module):
    """A text tower that is asked by name, as all pairs are."""

    def __init__(self, tower: Any) -> None:
        super().__init__()
        self.tower = tower

    def forward(self, text: Tensor) -> Tensor:
        vectors: Tensor = self.tower(text)
        return vectors


class _Tokenizer:
    def __init__(self, tokenizer: Any, length: int, vocabulary: dict[str, int]) -> None:
        self.vocabulary = vocabulary
        self._tokenizer, self._length = tokenizer, length

    def tokenize(self, texts: list[str]) -> dict[str, Tensor]:
        return {"text": self._tokenizer(texts, context_length=self._length)}


def configuration(model: str, options: Mapping[str, Any], folder: Path | None = None) -> dict[str, Any]:
    """Return the configuration of a model; see :class:`OpenClip`.

    Raises:
        InputError: there is none, or it lacks an entry.
    """
    said: Any
    if folder is not None:
        file = folder / CONFIG
        try:
            said = json.loads(read_regular(file, LARGEST_JSON))
            said = said.get("model_cfg", said)
        except (OSError, ValueError, AttributeError, RecursionError) as error:
            raise InputError(f"cannot be read: {first_line(error)}", file=file) from None
    elif "embed_dim" in options:
        file, said = None, dict(options)
    else:
        file, said = None, open_clip.get_model_config(model)
        if said is None:
            hint = did_you_mean(model, open_clip.list_models())
            raise InputError(f"open_clip has no {model!r}; {hint}", field="image.model")
        said = {**said, **options}
    for key, kind in (("embed_dim", int), ("vision_cfg", dict), ("text_cfg", dict)):
        if not isinstance(said, dict) or not isinstance(said.get(key), kind):
            raise InputError("is missing or of another type", file=file, field=f"image.options.{key}")
    found: dict[str, Any] = said
    return found


def _folder(card: EncoderCard, file: Path, name: str, download: bool) -> Path | None:
    """Find the folder of a text tower that is a model of transformers: its configuration and tokenizer."""
    assert card.text is not None
    if card.text.source == OF_LIBRARY:
        beside = file.parent
        return beside if (beside / "config.json").is_file() else None
    found = text_folder(card, file)
    if found is None and download:
        found = download_folder(card, file)
    return found


def _entries(card: EncoderCard, file: Path) -> tuple[Mapping[str, Tensor], str]:
    """Return the entries of a file under the container of the card's layout that it has."""
    opened = open_checkpoint(file)
    for layout in card.checkpoint:
        state = layout_state(opened.states, layout)
        if state is not None and any(name.startswith(layout.prefixes) for name in state):
            # What stands before ``visual.`` stands before the text tower's names, too.
            outer = next(p for p in layout.prefixes if any(name.startswith(p) for name in state))
            outer = outer[: outer.find("visual.")] if "visual." in outer else ""
            return {n.removeprefix(outer): t for n, t in state.items() if n.startswith(outer)}, layout.layout
    return next(iter(opened.states.values())), "open_clip"


def _projection(
    image: Any, state: Mapping[str, Tensor], file: Path, layout: str, dim: int
) -> tuple[nn.Module, Any]:
    """Make the projection of images and load it: a matrix, a linear map, a perceptron, or nothing.

    It is a module of its own, so that a file must have its entries whatever the card drops or lets be absent.
    """
    width = image.num_features
    if "visual.proj" in state:
        bare = Matrix(width, dim)
        report = match_part(file, layout, state, Part(names={"visual.proj": "weight"}), bare)
        if report.ok:
            load_into(bare, report)
        return bare, report
    names = [name for name in state if name.startswith("visual.head.")]
    project: nn.Module
    trunk: Any = getattr(image.body, "trunk", None)
    last = None if trunk is None else trunk.get_classifier()
    if isinstance(last, nn.Linear):
        # Without a projection of its own, open_clip takes the classifier of timm's model for one.
        project = nn.Linear(last.in_features, last.out_features, bias=last.bias is not None)
        place = next(name for name, module in trunk.named_modules() if module is last)
        part = Part(names={f"visual.trunk.{place}.": ""})
    elif not names:
        return nn.Identity(), None
    elif any(name.startswith("visual.head.mlp.") for name in names):
        hidden = len(state["visual.head.mlp.fc1.weight"])
        project = nn.Sequential()
        project.add_module("fc1", nn.Linear(width, hidden))
        project.add_module("act", nn.GELU())
        project.add_module("fc2", nn.Linear(hidden, dim, bias="visual.head.mlp.fc2.bias" in state))
        part = Part(names={"visual.head.mlp.": ""})
    else:
        project = nn.Linear(width, dim, bias="visual.head.proj.bias" in state)
        part = Part(names={"visual.head.proj.": ""})
    report = match_part(file, layout, state, part, project)
    if report.ok:
        load_into(project, report)
    return project, report


def _tokenizer(folder: Path | None, told: Mapping[str, Any], longest: int) -> _Tokenizer:
    length = min(longest, int(told.get("context_length", 77)))
    if folder is None and told.get("hf_tokenizer_name"):
        raise InputError("a tokenizer of the hub without its model is not read", field="text_cfg")
    if folder is None:
        simple = open_clip.SimpleTokenizer(context_length=length)
        return _Tokenizer(simple, length, dict(simple.encoder))
    kwargs = dict(told.get("hf_tokenizer_kwargs") or told.get("tokenizer_kwargs") or {})
    found = HFTokenizer(str(folder), context_length=length, **kwargs)
    return _Tokenizer(found, length, dict(found.tokenizer.get_vocab()))


LIBRARY = OpenClip()
