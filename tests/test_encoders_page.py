"""The page of encoders is what its script makes of the cards, and its table of differences is true."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
_SPEC = importlib.util.spec_from_file_location("encoders_page", ROOT / "docs" / "encoders.py")
assert _SPEC is not None
assert _SPEC.loader is not None
page: Any = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(page)


@pytest.fixture(scope="module")
def stated() -> dict[str, tuple[float, float]]:
    found: dict[str, tuple[float, float]] = page.stated(page.PAGE.read_text(encoding="utf-8"))
    return found


def test_the_page_is_made_from_the_cards(stated: dict[str, tuple[float, float]]) -> None:
    assert page.PAGE.read_text(encoding="utf-8") == page.render(stated), "run `python docs/encoders.py`"


def test_every_published_card_has_its_difference(stated: dict[str, tuple[float, float]]) -> None:
    assert sorted(stated) == sorted(card.name for card in page.published())
    assert page.WAY.keys() <= stated.keys()


def test_no_input_differs_by_more_than_the_page_says(stated: dict[str, tuple[float, float]]) -> None:
    films = [page.generated_film()]
    assert films[0].shape[0] != films[0].shape[1]
    for card in page.published():
        worst, mean = page.difference(card, films)
        assert page.rounded_up(worst) <= stated[card.name][0] + 1e-4, card.name
        assert page.rounded_up(mean) <= stated[card.name][1] + 1e-4, card.name


def test_no_input_of_a_real_film_differs_by_more(
    stated: dict[str, tuple[float, float]], real_pack: Path
) -> None:
    films = page.films_in(real_pack / "covid-cxr")[:2]
    assert films
    for card in page.published():
        if card.name in page.WAY:
            worst, mean = page.difference(card, films)
            assert page.rounded_up(worst) <= stated[card.name][0] + 1e-4, card.name
            assert page.rounded_up(mean) <= stated[card.name][1] + 1e-4, card.name


def test_what_biovil_is_fed_differs_by_the_crop_alone() -> None:
    card = next(card for card in page.published() if card.name == "biovil.r50")
    films = [page.generated_film()]
    assert page.difference(card, films)[0] > 0.5
    crop = card.image.model_copy(update={"fit": "crop", "resize": 512, "interpolation": "bilinear"})
    assert page.difference(card.model_copy(update={"image": crop}), films) == (0.0, 0.0)


def test_a_word_that_is_no_folder_leaves_the_page_alone(capsys: pytest.CaptureFixture[str]) -> None:
    before = page.PAGE.read_bytes()
    with pytest.raises(SystemExit) as ended:
        page.main(["--help"])
    assert ended.value.code == 2
    assert capsys.readouterr().err == "encoders.py: --help: no folder of films\n"
    assert page.PAGE.read_bytes() == before
