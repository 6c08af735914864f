"""Where things lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench import paths
from g2d_bench.errors import InputError
from g2d_bench.paths import cache_dir, expanded, shipped


def test_shipped_folders_are_there() -> None:
    assert (shipped("tasks") / "siim-seg.toml").is_file()
    assert (shipped("baselines") / "random.toml").is_file()


def test_a_folder_inside_the_package_goes_before_the_checkout_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "package")
    assert shipped("tasks") == tmp_path / "tasks"
    (tmp_path / "package" / "tasks").mkdir(parents=True)
    assert shipped("tasks") == tmp_path / "package" / "tasks"


def test_home_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert expanded("~/a", "--out") == tmp_path / "a"
    assert expanded("a/~", "--out") == Path("a/~")
    with pytest.raises(InputError, match=r"^~nobody-of-that-name/a: --out: no such home folder$"):
        expanded("~nobody-of-that-name/a", "--out")


@pytest.mark.parametrize(
    ("own", "xdg", "expected"),
    [
        ("~/own", "~/xdg", "own"),
        (None, "~/xdg", "xdg/g2d-bench"),
        (None, None, ".cache/g2d-bench"),
        ("", "", ".cache/g2d-bench"),
    ],
)
def test_where_the_cache_is(
    own: str | None, xdg: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in (("G2D_BENCH_CACHE", own), ("XDG_CACHE_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_dir() == tmp_path / expected


def test_no_path_holds_a_nul() -> None:
    with pytest.raises(InputError, match=r"^a\\x00b: results: holds a NUL"):
        expanded("a\0b", "results")
