"""Pages of records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_record_says_how_to_repeat_it_and_what_its_signature_means(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.grid({"g2d": 0.6}, command="g2d-bench reference --jobs 1")
    made()
    page = next((tmp_path / "site" / "records").rglob("0.01-s1-*.html"))
    said = words(page)
    again = "g2d-bench run --task siim-seg --encoder g2d --fraction 0.01 --seed 1 --protocol clean --phantom"
    assert again in said
    assert "It was measured, with others, by: g2d-bench reference --jobs 1" in said
    assert "g2d-bench compare --to RESULTS --task siim-seg" in said
    for part in ("siim-seg@1.0#aaaa", "phantom:siim#bbbbbbbb", "split:clean#cccccccc", "clean@1.0#dddd"):
        assert part in said
    assert "version of the code's numbers" in said
    assert "Other seeds: 0 2" in said
    assert "It took 3.5 s (train and predict 3.5 s; at most 700 MB)" in said
    value = json.loads(page.with_suffix(".json").read_text())["metrics"]["dice_positive"]
    assert f"dice_positive ★ {100 * value:.1f} [" in said
    assert "g2d-bench 0.1.0, torch 2.15.0" in said
    assert page.with_suffix(".json").name in page.read_text()


def test_its_own_command_is_shown_as_it_is_and_real_data_need_their_folder(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.add("g2d", command="g2d-bench run --task siim-seg --encoder g2d --tasks-dir mine")
    folder.add("mgca", data_kind="real")
    made()
    mine, real = sorted((tmp_path / "site" / "records").rglob("*.html"))
    assert "--tasks-dir mine" in words(mine)
    assert "It was measured, with others, by" not in words(mine)
    assert "copy of the data" in words(real)


def test_a_record_without_numbers_says_why(
    folder: Any, made: Callable[..., Any], words: Callable[[Path], str], tmp_path: Path
) -> None:
    folder.add("g2d", 0.6)
    found = folder.add("random", task="rsna-zeroshot", fraction=1.0, kind="zero-shot")
    none = found.record.model_copy(
        update={"metrics": dict.fromkeys(found.record.metrics), "notes": {"n/a": "no text encoder"}}
    )
    found.path.with_suffix(".npz").unlink()
    folder.store.save(found.path, none.model_copy(update={"predictions": None, "references": {}}), {})
    made()
    page = next((tmp_path / "site" / "records" / "phantom" / "random").rglob("*.html"))
    said = words(page)
    assert "No number: no text encoder." in said
    assert "predictions not kept" in said
    assert "rsna-zeroshot · random · clean" in said
