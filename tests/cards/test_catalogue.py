"""Cards and where they are found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.records.signature import signature


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue.open()


def test_any_protocol_has_a_fast_form_and_no_other() -> None:
    catalogue = Catalogue.open()
    assert "clean+fast" not in catalogue.protocols.names
    for name in ("cleen+fast", "clean+quick", "clean+fast+fast"):
        with pytest.raises(InputError, match="unknown protocol"):
            catalogue.protocols[name]
    task, protocols = catalogue.tasks["siim-seg"], catalogue.protocols
    one, other = (
        signature(task, protocols[name], data_kind="real", data_hash="a" * 8, split_hash="b" * 8)
        for name in ("clean", "clean+fast")
    )
    assert "|clean@1.0#" in one
    assert "|clean+fast@1.0#" in other


def write(folder: Path, name: str, shipped_name: str, title: str = "") -> Path:
    """Copy a shipped task card into a folder, under another name."""
    folder.mkdir(exist_ok=True)
    text = (shipped("tasks") / f"{shipped_name}.toml").read_text()
    (folder / f"{name}.toml").write_text(
        re.sub(r"(?m)^title = .*$", f'title = "{title}"', text) if title else text
    )
    return folder


def test_own_folders_add_to_the_shipped_cards(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", "mine", "siim-seg", "Mine")
    shipped_names, tasks = Catalogue.open().tasks.names, Catalogue.open((folder,)).tasks
    assert tasks.names == sorted([*shipped_names, "mine"])
    assert (tasks["mine"].name, tasks["mine"].title) == ("mine", "Mine")
    assert [card.name for card in tasks] == tasks.names


def test_a_card_is_read_once_and_only_when_asked_for(tmp_path: Path) -> None:
    (tmp_path / "broken.toml").write_text("x")
    tasks = Catalogue.open((tmp_path,)).tasks
    assert tasks["siim-seg"] is tasks["siim-seg"]
    with pytest.raises(InputError, match=r"broken\.toml: not valid TOML"):
        tasks["broken"]


def test_a_taken_name_and_a_folder_that_is_not_there(tmp_path: Path) -> None:
    folder = write(tmp_path / "own", "siim-seg", "siim-seg")
    with pytest.raises(InputError, match=r"own/siim-seg\.toml: the name 'siim-seg' is taken by .*rename"):
        Catalogue.open((folder,))
    with pytest.raises(InputError, match=r"none: encoders: no such folder$"):
        Catalogue.open(encoder_dirs=(tmp_path / "none",))


def test_unknown_names_get_the_nearest() -> None:
    catalogue = Catalogue.open()
    with pytest.raises(InputError, match=r"^unknown task 'siim-sag'; did you mean 'siim-seg'"):
        catalogue.tasks["siim-sag"]
    with pytest.raises(InputError, match=r"^unknown encoder 'mcga'; did you mean 'mgca'"):
        catalogue.encoders["mcga"]


def test_an_encoder_in_memory_joins_and_takes_no_name() -> None:
    catalogue = Catalogue.open()
    card = catalogue.encoders["random"].model_copy(update={"name": "in-memory"})
    more = catalogue.with_encoder(card)
    assert more.encoders["in-memory"] is card
    assert set(more.encoders.names) - set(catalogue.encoders.names) == {"in-memory"}
    with pytest.raises(InputError, match=r"^name: the name 'in-memory' is taken by in-memory\.toml"):
        more.with_encoder(card)


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


def test_the_suites_own_cards_are_the_same_whatever_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Catalogue.of_the_suite().tasks.names
    (tmp_path / "cards_of_a_package").mkdir()
    (tmp_path / "cards_of_a_package" / "__init__.py").write_text("")
    write(tmp_path / "cards_of_a_package", "theirs-seg", "siim-seg")
    folder = tmp_path / "theirs-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[g2d_bench.tasks]\ntheirs = cards_of_a_package\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "theirs-seg" in Catalogue.open().tasks.names
    assert Catalogue.of_the_suite().tasks.names == own
