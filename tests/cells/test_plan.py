from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cards.task import TaskCard
from g2d_bench.cells.plan import make_cells
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell, percent


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.open()


def _with(*names: str) -> Callable[[EncoderCard], tuple[bool, str]]:
    return lambda card: (card.name in names, "" if card.name in names else "no weights here")


def _plan(
    catalogue: Catalogue, encoders: tuple[str, ...] = (), usable: tuple[str, ...] = ("random", "g2d")
) -> list[Cell]:
    cells, _ = make_cells(
        catalogue,
        tasks=["siim-seg"],
        encoders=encoders,
        fractions=[0.01],
        seeds=[0],
        protocol="clean",
        weights=_with(*usable),
    )
    return cells


def test_encoders_with_usable_weights_run_controls_first(catalogue: Catalogue) -> None:
    assert [cell.encoder for cell in _plan(catalogue)] == ["random", "g2d", "g2d+decoder"]


def test_published_controls_join_a_published_encoder_of_the_same_architecture(catalogue: Catalogue) -> None:
    usable = ("random", "random.r50", "imagenet.vit-b16")
    assert [cell.encoder for cell in _plan(catalogue, usable=usable)] == ["random"]
    with_mgca = _plan(catalogue, usable=(*usable, "mgca.r50"))
    assert [cell.encoder for cell in with_mgca] == ["random", "random.r50", "mgca.r50"]


def test_left_out_encoders_are_named(catalogue: Catalogue) -> None:
    _, skipped = make_cells(
        catalogue,
        tasks=["siim-seg"],
        encoders=(),
        fractions=(),
        seeds=[0],
        protocol="clean",
        weights=_with("random"),
    )
    assert {left.name for left in skipped} == {"convirt", "gloria", "mgca", "g2d"}
    assert {left.reason for left in skipped} == {"no weights here"}


def test_the_grid_takes_the_cards_fractions_and_no_cell_twice(catalogue: Catalogue) -> None:
    cells, _ = make_cells(
        catalogue,
        tasks=["siim-seg", "covid-cxr-seg", "siim-seg"],
        encoders=["random"],
        fractions=(),
        seeds=[0, 1],
        protocol="clean",
        weights=_with("random"),
    )
    assert len(cells) == len(set(cells)) == 2 * (3 + 2)
    assert [cell.fraction for cell in cells if cell.seed == 0 and cell.task == "siim-seg"] == [0.01, 0.1, 1.0]


@pytest.mark.parametrize(
    ("encoders", "usable", "message"),
    [
        (("gd2",), ("random",), r"unknown encoder 'gd2'; did you mean 'g2d'\?"),
        (("mgca",), ("random",), r"mgca.toml: weights: no weights here"),
        (("random+decoder",), ("random",), r"'random' has no pre-trained decoder"),
        ((), (), "no encoder with usable weights"),
    ],
)
def test_what_cannot_run_is_said(
    catalogue: Catalogue, encoders: tuple[str, ...], usable: tuple[str, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        _plan(catalogue, encoders, usable)


def test_a_decoder_that_was_asked_for_and_has_no_place_is_named(catalogue: Catalogue) -> None:
    def made(*tasks: str) -> tuple[list[Cell], list[str]]:
        cells, skipped = make_cells(
            catalogue,
            tasks=tasks,
            encoders=["g2d+decoder"],
            fractions=[0.01],
            seeds=[0],
            protocol="clean",
            weights=_with("g2d"),
        )
        return cells, [f"{left.name}: {left.reason}" for left in skipped]

    cells, left = made("siim-seg", "rsna-cls")
    assert [cell.task for cell in cells] == ["siim-seg"]
    assert left == ["g2d+decoder in rsna-cls: a pre-trained decoder only segments"]
    with pytest.raises(InputError, match="a pre-trained decoder only segments; rsna-cls takes none"):
        made("rsna-cls")


def test_unknown_task_and_protocol(catalogue: Catalogue) -> None:
    with pytest.raises(InputError, match=r"unknown task 'siim-sgg'; did you mean 'siim-seg'\?"):
        catalogue.tasks["siim-sgg"]
    with pytest.raises(InputError, match=r"unknown protocol 'clan'; did you mean 'clean'\?"):
        catalogue.protocols["clan"]


def test_own_cards_join_but_may_not_take_a_name(tmp_path: Path) -> None:
    shipped = Path(__file__).resolve().parents[2] / "tasks" / "siim-seg.toml"
    mine = tmp_path / "mine.toml"
    mine.write_text(shipped.read_text())
    assert Catalogue.open((tmp_path,)).tasks["mine"].name == "mine"
    (tmp_path / "siim-seg.toml").write_text(shipped.read_text())
    with pytest.raises(InputError, match=r"'siim-seg' is taken"):
        Catalogue.open((tmp_path,))
    with pytest.raises(InputError, match="no such folder"):
        Catalogue.open((tmp_path / "none",))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('kind = "segmentation"', 'kind = "segmentaton"', r"kind: .*did you mean 'segmentation'"),
        ('dataset = "siim"', 'dataset = "sim"', r"dataset: unknown data set 'sim'; did you mean 'siim'"),
        ("eval_size = 256", "evalsize = 256", r"evalsize: unknown key; did you mean 'eval_size'"),
        ("eval_size = 256", "eval_size = -1", r"eval_size: .*greater than 0"),
        ("eval_size = 256", 'eval_size = "big"', r"eval_size: .*integer"),
        ('main = "dice_positive"', 'main = "dice"', r"main = 'dice' is not among metrics"),
        ('"iou_positive"]', '"iou_positve"]', r"metrics: unknown metric .*did you mean 'iou_positive'"),
        ("ratios = [0.70, 0.15, 0.15]", "ratios = [0.70, 0.15, 0.25]", r"split.clean: .*add up to 1"),
        ("[split.clean]", "[split.other]", r"split.clean is missing"),
        ("fractions = [0.01, 0.1, 1.0]", "fractions = [0, 2]", r"fractions must lie above 0"),
        ('version = "1.0"', "version = 1", r"version: .*string"),
        ('version = "1.0"', "", r"version: required key is missing"),
    ],
)
def test_a_wrong_card_costs_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = (Path(__file__).resolve().parents[2] / "tasks" / "siim-seg.toml").read_text()
    assert old in text
    (tmp_path / "mine.toml").write_text(text.replace(old, new))
    with pytest.raises(InputError, match=message) as caught:
        _ = Catalogue.open((tmp_path,)).tasks["mine"]
    assert "mine.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_digest_changes_with_what_moves_a_number_only(catalogue: Catalogue) -> None:
    card = catalogue.tasks["siim-seg"]
    assert card.digest("clean") == card.model_copy(update={"title": "x", "papers": ("y",)}).digest("clean")
    assert card.digest("clean") != card.model_copy(update={"eval_size": 128}).digest("clean")
    assert card.digest("clean") != card.digest("legacy")
    protocol = catalogue.protocols["clean"]
    assert protocol.table("segmentation") is not None
    other = protocol.table("segmentation").model_copy(update={"threshold": 0.4})
    changed = protocol.model_copy(update={"segmentation": other})
    assert protocol.digest("segmentation") != changed.digest("segmentation")
    # A number of another kind has nothing to do with it.
    assert protocol.digest("detection") == changed.digest("detection")
    renamed = protocol.model_copy(update={"main": {"detection": "ap_50"}})
    assert protocol.digest("detection") != renamed.digest("detection")
    assert protocol.digest("segmentation") == renamed.digest("segmentation")


def test_digest_leaves_out_what_a_card_does_not_say(catalogue: Catalogue) -> None:
    class Later(TaskCard):
        added: int = 3

    card = catalogue.tasks["siim-seg"]
    given = {name: getattr(card, name) for name in card.model_fields_set}
    assert Later(**given).digest("clean") == card.digest("clean")
    assert Later(**given, added=3).digest("clean") == card.digest("clean")
    assert Later(**given, added=4).digest("clean") != card.digest("clean")


def test_percent_is_as_the_field_writes_it() -> None:
    assert [percent(f) for f in (0.01, 0.1, 1.0, 0.005)] == ["1 %", "10 %", "100 %", "0.5 %"]
