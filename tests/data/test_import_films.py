"""Somebody's own films made ready."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from g2d_bench.cards.catalogue import Catalogue
from g2d_bench.data.import_films import Imported, import_films
from g2d_bench.data.manifest import Manifest
from g2d_bench.errors import InputError
from g2d_bench.readers.registry import open_dataset

COUNT = 24
HEADER = "image,patient,Mass,Rare,operator,report,boxes"


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> Path:
    return own_cache


def write(root: Path, header: str = HEADER, count: int = COUNT) -> tuple[Path, Path]:
    films = root / "films"
    films.mkdir()
    rows = [header]
    for n in range(count):
        pixels = np.random.default_rng(n).integers(0, 255, (16, 16)).astype(np.uint8)
        Image.fromarray(pixels).save(films / f"f{n}.png")
        box = "Mass: 2 3 4 5" if n % 2 else ""
        rows.append(f"f{n}.png,P{n // 2},{n % 2},{int(n == 0)},Dr. {n},Report of film {n} is here.,{box}")
    (root / "films.csv").write_text("\n".join(rows) + "\n")
    return films, root / "films.csv"


def bring(root: Path, **more: object) -> Imported:
    options = {"name": "ours", "columns": {}, **more}
    return import_films(root / "films", root / "films.csv", root / "out", **options)  # type: ignore[arg-type]


def test_cards_of_the_kinds_that_the_columns_allow(tmp_path: Path) -> None:
    write(tmp_path)
    made = bring(tmp_path)
    assert made.tasks == tuple(
        f"ours-{word}" for word in ("cls", "zeroshot", "ground", "det", "phrase", "retrieval")
    )
    catalogue = Catalogue.open((tmp_path / "out" / "tasks",))
    card = catalogue.tasks["ours-zeroshot"]
    assert card.labels == ("Mass",)
    assert card.prompts is not None
    assert card.prompts.label["Mass"].positive == ("There is mass.", "Findings consistent with mass.")
    lines = "\n".join(made.lines)
    for line in (
        f"{COUNT} films of {COUNT // 2} patients below ",
        "columns read: image: image, patient: patient, report: report, boxes: boxes",
        "label Mass: 12 with, 12 without, 12 boxes",
        f"reports: {COUNT}",
        "left out: column operator (neither a label nor a known word: Dr. 0, Dr. 1, Dr. 10, …)",
        "left out: label Rare (1 patients show it, 3 are needed)",
        "task ours-cls (classification): train ",
    ):
        assert line in lines
    dataset = open_dataset("folder", tmp_path / "out")
    assert len(dataset.samples()) == COUNT


def test_the_split_of_the_table_holds(tmp_path: Path) -> None:
    _, table = write(tmp_path)
    rows = table.read_text().splitlines()
    parts = ["split"] + ["train" if n < 16 else "test" for n in range(COUNT)]
    table.write_text("\n".join(f"{row},{part}" for row, part in zip(rows, parts, strict=True)) + "\n")
    made = bring(tmp_path)
    assert "split: as the table says, train 16, valid 0, test 8" in made.lines
    card = Catalogue.open((tmp_path / "out" / "tasks",)).tasks["ours-cls"]
    assert card.split["clean"].official
    assert any(line.startswith("task ours-cls") and line.endswith("test 8") for line in made.lines)


def test_again_is_written_anew_and_nothing_else_is_touched(tmp_path: Path) -> None:
    write(tmp_path)
    bring(tmp_path, name="first")
    assert "second-cls" in bring(tmp_path, name="second").tasks
    assert not (tmp_path / "out" / "tasks" / "first-cls.toml").exists()
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    prompts, card = (tmp_path / "out" / "tasks" / one for one in ("prompts/second.toml", "second-cls.toml"))
    prompts.write_text(prompts.read_text().replace("There is mass.", "A mass is seen."))
    (tmp_path / "out" / "tasks" / "mine.toml").write_text(card.read_text())
    (tmp_path / "out" / "runs").mkdir()
    assert "kept: tasks/prompts/second.toml, which is edited" in bring(tmp_path, name="second").lines
    assert "A mass is seen." in prompts.read_text()
    assert (tmp_path / "out" / "tasks" / "mine.toml").is_file()
    assert (tmp_path / "out" / "runs").is_dir()
    card.write_text(card.read_text() + "# edited\n")
    table = tmp_path / "films.csv"
    table.write_text(table.read_text().replace("Mass", "Lump"))
    line = r"out: --out: tasks/prompts/second\.toml is not as an import wrote it \(and 1 more\)"
    with pytest.raises(InputError, match=line):
        bring(tmp_path, name="second")
    assert card.read_text().endswith("# edited\n")
    with pytest.raises(InputError, match="exists, and no import wrote it"):
        import_films(tmp_path / "films", tmp_path / "films.csv", other, name="ours", columns={})
    assert sorted(path.name for path in other.iterdir()) == ["mine.txt"]


def test_names_that_json_and_toml_write_otherwise(tmp_path: Path) -> None:
    root = tmp_path / "films of \N{PERSONAL COMPUTER} \x7f"
    root.mkdir()
    odd = "Mass \N{LUNGS}\x7f\u202e"
    write(root, HEADER.replace("Mass", odd))
    assert "ours-cls" in bring(root).tasks
    card = Catalogue.open((root / "out" / "tasks",)).tasks["ours-zeroshot"]
    assert card.labels[0] == odd
    assert len(open_dataset("folder", root / "out").samples()) == COUNT


def test_a_path_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    root = tmp_path / "films of caf\udce9"
    root.mkdir()
    write(root)
    with pytest.raises(InputError, match="its path is no UTF-8"):
        import_films(root / "films", root / "films.csv", tmp_path / "out", name="ours", columns={})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "more", "line"),
    [
        (("f3.png", "g3.png"), {}, r"films\.csv:5: image: no file 'g3\.png' below"),
        ((",1,0,Dr. 1,", ",9,0,Dr. 1,"), {}, r"films\.csv:3: Mass: '9' is none of 1, 0, -1"),
        (("Mass: 2 3 4 5", "Mass: 2 30 4 5"), {}, r"films\.csv:3: boxes: box from 30 to 35 lies outside"),
        (("Report of film 3 is", "Report, of film 3 is"), {}, r"films\.csv:5: has 8 cells, 7 are needed"),
        (None, {"name": "Ours"}, "--name: 'Ours': want small letters"),
        (None, {"name": "siim"}, "a task 'siim-zeroshot' is shipped; choose another name"),
        (None, {"columns": {"patient": "pat"}}, "no column 'pat'; did you mean 'patient'"),
    ],
)
def test_what_is_wrong_leaves_nothing(
    tmp_path: Path, change: tuple[str, str] | None, more: dict[str, object], line: str
) -> None:
    _, table = write(tmp_path)
    if change:
        text = table.read_text()
        assert change[0] in text
        table.write_text(text.replace(*change, 1))
    with pytest.raises(InputError, match=line) as caught:
        bring(tmp_path, **more)
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.iterdir()} - {"cache"} == {"films", "films.csv"}


def add_masks(root: Path) -> None:
    """Give every second film a mask file beside the table, of half its side, and run lengths of a label."""
    (root / "masks").mkdir()
    rows = (root / "films.csv").read_text().splitlines()
    for n in range(COUNT):
        mask = np.zeros((8, 8), np.uint8)
        mask[2:4, 1:5] = 255
        Image.fromarray(mask).save(root / "masks" / f"m{n}.png")
        rows[n + 1] += f",masks/m{n}.png,{n + 1} 2 40 3" if n % 2 else ",,"
    rows[0] += ",mask:Mass,rle:Node"
    (root / "films.csv").write_text("\n".join(rows) + "\n")


def test_masks_are_decoded(tmp_path: Path) -> None:
    write(tmp_path)
    add_masks(tmp_path)
    made = bring(tmp_path)
    assert "label Mass: 12 with, 12 without, 12 masks (files), 12 boxes" in made.lines
    assert "ours-seg-mass" in made.tasks
    # A mask that lies beside the table is part of the data: changed, it makes other data.
    dataset = open_dataset("folder", tmp_path / "out")
    before = Manifest.open(dataset).content_hash
    mask = np.zeros((8, 8), np.uint8)
    mask[5:, 5:] = 255
    Image.fromarray(mask).save(tmp_path / "masks" / "m3.png")
    assert Manifest.open(open_dataset("folder", tmp_path / "out")).content_hash != before


@pytest.mark.parametrize(
    ("change", "shape", "value", "line"),
    [
        (
            (",4 2 40 3", ",4 2 3 3"),
            (8, 8),
            255,
            r"films\.csv:5: rle:Node: the run from 3 overlaps .*--rle rel",
        ),
        ((",4 2 40 3", ",4 2 256 3"), (8, 8), 255, r"films\.csv:5: rle:Node: runs reach pixel 258 of 256"),
        (
            None,
            (8, 6),
            255,
            r"films\.csv:5: mask:Mass: .*m3\.png: mask has 6x8 pixels, image f3\.png has 16x16",
        ),
        (None, (8, 8), 0, r"films\.csv:5: mask:Mass: 'Mass' is 1, but .*m3\.png is black all over"),
        (None, (0, 0), 0, r"films\.csv:5: mask:Mass: .*m3\.png: "),
    ],
    ids=["overlap", "beyond", "aspect", "black", "truncated"],
)
def test_a_mask_that_is_none_stops_an_import(
    tmp_path: Path, change: tuple[str, str] | None, shape: tuple[int, int], value: int, line: str
) -> None:
    _, table = write(tmp_path)
    add_masks(tmp_path)
    path = tmp_path / "masks" / "m3.png"
    if change:
        assert change[0] in table.read_text()
        table.write_text(table.read_text().replace(*change, 1))
    if shape == (0, 0):
        path.write_bytes(path.read_bytes()[:-30])
    else:
        Image.fromarray(np.full(shape, value, np.uint8)).save(path)
    with pytest.raises(InputError, match=line) as caught:
        bring(tmp_path)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_black_mask_where_nobody_is_sure(tmp_path: Path) -> None:
    _, table = write(tmp_path)
    add_masks(tmp_path)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "masks" / "m3.png")
    table.write_text(
        table.read_text()
        .replace("f3.png,P1,1,", "f3.png,P1,-1,")
        .replace("here.,Mass: 2 3 4 5,masks/m3", "here.,,masks/m3")
    )
    assert "label Mass: 11 with, 12 without, 1 uncertain, 12 masks (files), 11 boxes" in bring(tmp_path).lines


def test_nothing_to_measure(tmp_path: Path) -> None:
    _, table = write(tmp_path)
    table.write_text("image,patient\n" + "".join(f"f{n}.png,P{n}\n" for n in range(COUNT)))
    with pytest.raises(InputError, match="the columns allow no task"):
        bring(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        import_films(tmp_path / "none", table, tmp_path / "out", name="ours", columns={})
