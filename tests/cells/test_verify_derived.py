"""What stands in a record and can be derived is derived: an edit is found where it was made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from forging import Change, forge, forge_arrays, said

from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import require_sound, verify
from g2d_bench.cli.main import main
from g2d_bench.errors import InputError
from g2d_bench.records.compare import Tolerance, compare
from g2d_bench.records.selection import by_cell, select
from g2d_bench.records.signature import NUMBERS


@pytest.mark.parametrize(
    ("how", "problem"),
    [
        (
            lambda raw: raw["references"]["all-empty"].update(dice_legacy=0.9),
            "references.all-empty.dice_legacy: says 0.9, the predictions give 0.",
        ),
        (
            lambda raw: raw["references"]["all-empty"].update(dice_positive=None),
            "references.all-empty.dice_positive: says nan",
        ),
        (
            lambda raw: raw["references"]["all-empty"].update(dice_positive=1.5),
            "references.all-empty.dice_positive: 1.5 lies outside 0 to 1",
        ),
        (
            lambda raw: raw["references"]["all-empty"].pop("dice_positive"),
            "references.all-empty.dice_positive: is missing",
        ),
        (
            lambda raw: raw["references"]["all-empty"].update(x=0.5),
            "references.all-empty.x: is no metric of the record",
        ),
        (lambda raw: raw.update(references={}), "references: are none, a segmentation task has all-empty"),
        (
            lambda raw: raw.update(references={"best": {}}),
            "references: are best, a segmentation task has all-empty",
        ),
        (
            lambda raw: raw["data"]["images"].update(test=61),
            "data.images.test: says 61, the predictions hold 60",
        ),
        (
            lambda raw: raw["data"]["positive"].update(test=3),
            "data.positive.test: says 3, the predictions hold ",
        ),
        (
            lambda raw: raw["data"]["images"].update(val=41),
            "data.images.val: says 41, 5 other records of the same signature differ",
        ),
        (
            lambda raw: raw["data"]["images"].update(train=99),
            "data.images.train: says 99, 2 other records of the same signature, fraction and seed differ",
        ),
        (lambda raw: raw["data"]["positive"].update(train=2), "data.positive.train: says 2, 2 other records"),
        (
            lambda raw: raw["data"].update(hash="bbbbbbbb" + "c" * 56),
            "data.hash: 5 other records of the same signature differ",
        ),
        (
            lambda raw: raw["encoder"].update(weights="init:resnet18:x:7"),
            "encoder.weights: 'init:resnet18:x:7' are not those of seed 0",
        ),
        (
            lambda raw: raw.update(kind="detection"),
            "references: are all-empty, a detection task has mean-box",
        ),
    ],
)
def test_an_edit_is_named_by_its_field(several: list[Path], folder: Any, how: Change, problem: str) -> None:
    assert verify(folder.root).problems == ()
    path = several[0]
    forge(path, how)
    assert any(line.startswith(problem) for line in said(path, verify(folder.root)))
    with pytest.raises(InputError, match="see `g2d-bench verify`"):
        require_sound(select(folder.root))


def test_a_change_of_what_proves_nothing_breaks_the_seal(folder: Any, edit: Callable[..., None]) -> None:
    path = folder.add("g2d").path
    edit(path, lambda raw: raw.update(created="2025-01-01T00:00:00+00:00"))
    assert said(path, verify(folder.root)) == ["digest: the record was changed after it was written"]
    # A record of before there were seals is said to have none.
    edit(path, lambda raw: raw.pop("digest"))
    checked = verify(folder.root)
    assert checked.problems == ()
    assert "1 x digest: the record bears none, as those of older versions" in checked.undecided


def test_records_of_other_code_are_not_called_edited(folder: Any) -> None:
    path = folder.add("g2d").path

    def older(raw: dict[str, Any]) -> None:
        raw["signature"] = raw["signature"].replace(f"|n{NUMBERS}", "|n0")
        raw["metrics"]["dice_positive"] += 0.1
        raw["references"] = {}

    forge(path, older)
    checked = verify(folder.root)
    assert checked.problems == ()
    assert "1 x metrics measured by other code, which does not compute them alike" in checked.undecided
    require_sound(select(folder.root))


@pytest.fixture
def measured(
    tmp_path: Path, tiny_root: Path, quick_protocols: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Path, Settings]:
    """A record of a real run on tiny films, and where its data and cards are."""
    monkeypatch.chdir(tmp_path)
    common = ["--data-root", str(tiny_root), "--protocols-dir", str(quick_protocols)]
    cell = ["--task", "covid-cxr-seg", "--encoder", "random", "--fraction", "100%", "--protocol", "quick"]
    assert CliRunner().invoke(main, ["run", *cell, *common], catch_exceptions=False).exit_code == 0
    (path,) = Path("runs").rglob("*.json")
    return path, Settings(data_root=tiny_root, protocol_dirs=(quick_protocols,))


def test_against_the_split(measured: tuple[Path, Settings]) -> None:
    path, settings = measured
    root = Path("runs")
    before = {one: one.read_bytes() for one in (path, path.with_suffix(".npz"))}
    checked = verify(root, settings)
    alike = "1 x data.leaks: films that are alike are not looked for again"
    assert (checked.problems, checked.undecided) == ((), (alike,))
    for how, problem in (
        (lambda raw: raw["data"]["images"].update(train=25), "data.images.train: says 25, the split has 24"),
        (lambda raw: raw["data"]["positive"].update(val=5), "data.positive.val: says 5, the split has 6"),
    ):
        forge(path, how)
        assert said(path, verify(root, settings)) == [problem]
        path.write_bytes(before[path])
    arrays_of = "predictions: ids and patients are not those of the split's test part, in its order"
    truth_of = "predictions: the truth is not that of these images"
    for change, problem in (
        (lambda a: a.update(patient=np.array(["p"] * 10)), arrays_of),
        (lambda a: a.update(id=a["id"][::-1]), arrays_of),
        (lambda a: [a.update({n: a[n][::-1]}) for n in ("intersection", "predicted", "true")], truth_of),
    ):
        forge_arrays(path, change)
        assert said(path, verify(root, settings)) == [problem]
        # Nobody else can tell.
        alone = verify(root, Settings(protocol_dirs=settings.protocol_dirs))
        assert alone.problems == ()
        untold = "ids, patients, truth, leaks and what training images tell"
        assert alone.undecided == (f"1 x {untold}: no folder of real data is configured (--data-root)",)
        for one, data in before.items():
            one.write_bytes(data)


def test_nothing_is_drawn_before_all_are_looked_at(
    folder: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from g2d_bench.cells import ahead
    from g2d_bench.records import evidence

    folder.grid({"g2d": 0.6, "mgca": 0.5})
    path = folder.add("random").path
    forge(path, lambda raw: raw["metrics"].update(iou_positive=0.9))

    def never(*_: Any) -> None:
        pytest.fail("looked at first")

    monkeypatch.setattr(ahead, "draw_ahead", never)
    monkeypatch.setattr(evidence, "draw", never)
    for command in (("leaderboard", "--out", "site"), ("table",), ("table", "--summary")):
        result = cli(*command)
        assert result.exit_code == 2
        assert "metrics.iou_positive: says 0.9, the predictions give" in result.stderr
    assert not Path("site").exists()


@pytest.mark.parametrize("side", ["reference", "measured"])
def test_an_edited_number_is_not_compared(
    folder: Any, other: Any, cli: Callable[..., Any], side: str
) -> None:
    for one in (folder, other):
        one.grid({"g2d": 0.6, "mgca": 0.5}, step=0.05)
    root = {"reference": other, "measured": folder}[side].root
    found = next(one for one in select(root) if one.cell.encoder == "g2d")
    assert found.path is not None
    forge(found.path, lambda raw: raw["metrics"].update(dice_positive=raw["metrics"]["dice_positive"] + 0.01))
    lines = compare(by_cell(select(other.root)), by_cell(select(folder.root)), Tolerance("seeds"))
    assert {line.state for line in lines} == {"same"}, "the edit is within the tolerance"
    result = cli("compare", "--to", other.root)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "metrics.dice_positive: says" in result.stderr
    assert "edited by +0.01" in result.stderr


@pytest.mark.parametrize("command", ["table", "export", "compact", "figure"])
def test_a_record_out_of_its_place_is_refused_by_all(
    folder: Any, cli: Callable[..., Any], command: str
) -> None:
    """As `verify` does: a copy of a record under another encoder's name, and one that stands there twice."""
    words = {
        "table": ["table"],
        "export": ["export", "csv", "--out", "numbers.csv"],
        "compact": ["compact", "runs", "small"],
        "figure": ["figure", "curves", "--out", "figure.svg"],
    }[command]
    folder.grid({"g2d": 0.6, "mgca": 0.5}, (0.01, 0.1))
    assert cli(*words).exit_code == 0
    for made in (Path("numbers.csv"), Path("figure.svg")):
        made.unlink(missing_ok=True)
    path = next(one.path for one in select(folder.root) if one.cell.encoder == "g2d")
    assert path is not None
    moved = folder.root / "phantom" / "better" / path.relative_to(folder.root / "phantom" / "g2d")
    for suffix in (".json", ".npz"):
        moved.parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(suffix).rename(moved.with_suffix(suffix))
    expected = f"lies where phantom/g2d/{path.parent.parent.name}/{path.parent.name}/{path.name} was expected"
    assert said(moved, verify(folder.root)) == [expected]
    refused = cli(*words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert expected in refused.stderr
    for suffix in (".json", ".npz"):
        path.with_suffix(suffix).write_bytes(moved.with_suffix(suffix).read_bytes())
    refused = cli(*words)
    assert (refused.exit_code, refused.stdout) == (2, "")
    assert "two records for one cell" in refused.stderr
    assert not Path("numbers.csv").exists()
    assert not Path("figure.svg").exists()


def test_a_part_of_a_folder_of_results_is_read_as_before(folder: Any) -> None:
    folder.grid({"g2d": 0.6})
    require_sound(select(folder.root / "phantom" / "g2d"))
    require_sound(select(next(folder.root.rglob("*.json")).parent))
