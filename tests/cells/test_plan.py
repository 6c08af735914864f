from __future__ import annotations

from collections.abc import Callable

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.cards.encoder import EncoderCard
from g2d_bench.cells.plan import make_cells
from g2d_bench.errors import InputError
from g2d_bench.records.cell import Cell


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


def test_what_happens_to_lie_in_the_hubs_cache_joins_only_by_name(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    usable = ("random", "rad-dino", "dinov2.b14")
    # Files that the user gave: no cache has them.
    assert [cell.encoder for cell in _plan(catalogue, usable=usable)][1:] == ["dinov2.b14", "rad-dino"]
    monkeypatch.setattr("g2d_bench.cells.plan.weights_state", lambda card: (True, ""))
    assert [cell.encoder for cell in _plan(catalogue, usable=usable)] == ["random"]
    assert [cell.encoder for cell in _plan(catalogue, ("rad-dino",), usable)] == ["rad-dino"]


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
    assert left == ["g2d+decoder in rsna-cls: takes no pre-trained decoder under clean"]
    with pytest.raises(InputError, match="only segments, by training; rsna-cls takes none"):
        made("rsna-cls")


def test_shots_stand_beside_fractions_or_in_their_place(catalogue: Catalogue) -> None:
    def drawn(tasks: list[str], fractions: list[float], protocol: str = "clean") -> list[tuple[float, int]]:
        cells, _ = make_cells(
            catalogue,
            tasks=tasks,
            encoders=["random"],
            fractions=fractions,
            shots=[16, 1],
            seeds=[0],
            protocol=protocol,
            weights=_with("random"),
        )
        return [cell.drawn for cell in cells]

    assert drawn(["siim-seg"], []) == [(1.0, 1), (1.0, 16)]
    assert drawn(["siim-seg"], [0.1]) == [(1.0, 1), (1.0, 16), (0.1, 0)]
    assert drawn(["siim-zeroshot"], []) == [(1.0, 0)]
    with pytest.raises(InputError, match="--shots: protocol 'legacy' draws images as published"):
        drawn(["siim-seg"], [], "legacy")


def test_a_task_that_is_tested_elsewhere_brings_its_inside_score_along(catalogue: Catalogue) -> None:
    cells, _ = make_cells(
        catalogue,
        tasks=["rsna-to-cxr14-cls"],
        encoders=["random"],
        fractions=[0.1],
        seeds=[0],
        protocol="clean",
        weights=_with("random"),
    )
    assert [cell.task for cell in cells] == ["rsna-to-cxr14-cls", "rsna-cls"]
