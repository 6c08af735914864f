"""Generated numbers that call themselves real are known by the hash of their data."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import sealed_again
from forging import call_real, forge, forge_arrays

from g2d_bench.cells import checks_kind
from g2d_bench.cells.checks_kind import SHIPPED, shipped_hashes
from g2d_bench.cells.review import review
from g2d_bench.cells.settings import Settings
from g2d_bench.cells.verify import require_sound, verify
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped
from g2d_bench.records.record import read_record
from g2d_bench.records.selection import select
from g2d_bench.records.shown import SHOWN


def test_by_other_records_beside_them(folder: Any, other: Any) -> None:
    other.grid({"g2d": 0.6})
    paths = call_real(other.root)
    assert verify(other.root).problems == (), "alone, nothing tells"
    folder.grid({"mgca": 0.5})
    shutil.copytree(other.root, folder.root, dirs_exist_ok=True)
    found = verify(folder.root).problems
    mine = [line for line in found if "/real/" in line.partition(": ")[0]]
    assert len(mine) == len(paths)
    for line in mine:
        assert "data.kind: says real, but by their hash the data are generated, as in /" in line
    # Nobody here knows which of the two is right.
    assert sum("data.kind: says phantom, but" in line for line in found) == 3
    with pytest.raises(InputError, match="by their hash the data are"):
        require_sound(select(folder.root))


def test_by_what_ships(
    folder: Any, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path / "package" / "phantom"
    found = folder.add("g2d")
    shutil.copytree(folder.root / "phantom", place)
    (place / "g2d" / "siim-seg@1.0" / "clean" / "odd.json").write_text("[1")
    monkeypatch.setattr(checks_kind, "shipped", lambda name: tmp_path / "package")
    shipped_hashes.cache_clear()
    try:
        assert shipped_hashes() == {found.record.data.hash}
        assert verify(folder.root).problems == ()
        (path,) = call_real(folder.root)
        said = f"data.kind: says real, but by their hash the data are generated, as in {SHIPPED}"
        expected = f"{path}: {said}"
        assert verify(folder.root).problems == (expected,)
        refused = cli("table")
        assert refused.exit_code == 2
        assert expected in refused.stderr.replace("runs/real", str(folder.root / "real"))
        # Beside an honest record only the liar is named.
        folder.add("mgca")
        assert verify(folder.root).problems == (expected,)
    finally:
        shipped_hashes.cache_clear()


def test_all_generated_data_of_the_reference_are_known() -> None:
    path = next((shipped("results") / "phantom").rglob("*.json"))
    assert read_record(path).data.hash in shipped_hashes()
    assert len(shipped_hashes()) > 10


def test_in_a_bundle(bundle: Path, other: Any) -> None:
    paths = call_real(bundle / "records")
    for path in paths:
        forge_arrays(path, lambda arrays: [arrays.pop(name) for name in list(arrays) if name in SHOWN])
    (stated,) = (bundle / "submissions").glob("*.json")
    stated.write_text(stated.read_text().replace("records/phantom/", "records/real/"))
    sealed_again(bundle)
    found = review(bundle, other.root, Settings())
    lines = [line for line in found.problems if "data.kind: says real, but" in line]
    assert [line.partition(":")[0] for line in lines] == [str(p.relative_to(bundle)) for p in paths]
    # The other way round, too: to make honest real records look like forged ones.
    call_real(other.root)
    shutil.move(bundle / "records" / "real", bundle / "records" / "phantom")
    for path in (bundle / "records").rglob("*.json"):
        forge(path, _phantom)
    stated.write_text(stated.read_text().replace("records/real/", "records/phantom/"))
    sealed_again(bundle)
    found = review(bundle, other.root, Settings())
    assert sum("data.kind: says phantom, but" in line for line in found.problems) == 3


def _phantom(raw: dict[str, Any]) -> None:
    raw["signature"] = raw["signature"].replace("|real:", "|phantom:")
    raw["data"]["kind"] = "phantom"
