from __future__ import annotations

from pathlib import Path

import pytest

from g2d_bench.cells.settings import Settings, resolve
from g2d_bench.errors import InputError


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("DATA", "RESULTS", "WEIGHTS", "CONFIG"):
        monkeypatch.delenv(f"G2D_BENCH_{name}", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)


def test_without_anything_data_are_generated() -> None:
    settings = resolve()
    assert settings.data_root is None
    assert settings.results == Path("runs")


def test_flag_beats_environment_beats_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("flag", "env", "config"):
        (tmp_path / name).mkdir()
    (tmp_path / "g2d-bench.toml").write_text('data_root = "config"\nresults = "records"\n')
    assert resolve().data_root == Path("config")
    assert resolve().results == Path("records")
    monkeypatch.setenv("G2D_BENCH_DATA", str(tmp_path / "env"))
    assert resolve().data_root == tmp_path / "env"
    assert resolve(data_root=tmp_path / "flag").data_root == tmp_path / "flag"
    assert resolve(data_root=tmp_path / "flag", phantom=True).data_root is None


def test_config_paths_start_at_the_config_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "conf"
    (folder / "w").mkdir(parents=True)
    (folder / "w" / "mgca.r50.ckpt").write_bytes(b"x")
    (folder / "mine.toml").write_text('weights_dir = "w"\n[checkpoints]\n"g2d.r50" = "w/mgca.r50.ckpt"\n')
    monkeypatch.setenv("G2D_BENCH_CONFIG", str(folder / "mine.toml"))
    settings = resolve()
    assert settings.checkpoint("mgca.r50") == folder / "w" / "mgca.r50.ckpt"
    assert settings.checkpoint("g2d.r50") == folder / "w" / "mgca.r50.ckpt"
    assert settings.checkpoint("mgca") is None


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ('data_rot = "x"', "data_root"),
        ("results = 3", "results"),
        ("results = ", "TOML"),
    ],
)
def test_wrong_config_is_one_line(tmp_path: Path, text: str, wanted: str) -> None:
    (tmp_path / "g2d-bench.toml").write_text(text)
    with pytest.raises(InputError, match=wanted) as caught:
        resolve()
    assert "g2d-bench.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["tasks_dir", "encoders_dir", "protocols_dir"])
def test_one_folder_is_a_list_of_one(tmp_path: Path, key: str) -> None:
    def folders(text: str) -> tuple[Path, ...]:
        (tmp_path / "g2d-bench.toml").write_text(f"{key} = {text}")
        settings = resolve()
        return {
            "tasks_dir": settings.task_dirs,
            "encoders_dir": settings.encoder_dirs,
            "protocols_dir": settings.protocol_dirs,
        }[key]

    assert folders('"/data/cards"') == (Path("/data/cards"),)
    assert folders('["/data/cards", "mine"]') == (Path("/data/cards"), Path("mine"))
    assert folders("[]") == ()
    for wrong in ("3", "[3]", "true", '{ a = "b" }'):
        with pytest.raises(InputError, match=rf"g2d-bench\.toml: {key}: want a path, or a list of paths"):
            folders(wrong)


def test_missing_places_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"nowhere.*--data-root.*no such folder"):
        resolve(data_root=tmp_path / "nowhere")
    with pytest.raises(InputError, match="is not a folder"):
        resolve(data_root=tmp_path / "file")
    with pytest.raises(InputError, match="no such checkpoint"):
        resolve(checkpoints={"g2d": tmp_path / "nothing.pt"})
    monkeypatch.setenv("G2D_BENCH_CONFIG", str(tmp_path / "none.toml"))
    with pytest.raises(InputError, match="G2D_BENCH_CONFIG"):
        resolve()


@pytest.mark.parametrize(
    "name", ["G2D_BENCH_CACHE", "G2D_BENCH_RESULTS", "G2D_BENCH_DATA", "G2D_BENCH_WEIGHTS"]
)
def test_the_home_of_nobody_in_the_environment(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "~nobody-of-that-name/x")
    with pytest.raises(InputError, match=rf"~nobody-of-that-name/x: {name}: no such home folder"):
        _ = resolve().phantom_root


@pytest.mark.parametrize(
    ("key", "line"),
    [
        ("results", 'results = "~nobody-of-that-name"'),
        ("tasks_dir", 'tasks_dir = ["~nobody-of-that-name"]'),
        ("checkpoints.g2d", '[checkpoints]\ng2d = "~nobody-of-that-name"'),
    ],
)
def test_the_home_of_nobody_in_a_config_file(
    key: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g2d-bench.toml").write_text(line)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"g2d-bench\.toml: {key}: no such home folder"):
        resolve()


def test_who_has_no_home_folder_has_no_config_file_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert resolve().results == Path("runs")


def test_two_files_of_one_encoder_are_refused(tmp_path: Path) -> None:
    settings = Settings(weights_dir=tmp_path)
    (tmp_path / "mine.ckpt").touch()
    (tmp_path / "mine.r50.pt").touch()
    assert settings.checkpoint("mine") == tmp_path / "mine.ckpt"
    (tmp_path / "mine.safetensors").touch()
    with pytest.raises(
        InputError, match=r"weights folder: mine.ckpt and mine.safetensors are both of encoder"
    ):
        settings.checkpoint("mine")
    named = Settings(weights_dir=tmp_path, checkpoints={"mine": tmp_path / "mine.ckpt"})
    assert named.checkpoint("mine") == tmp_path / "mine.ckpt"
    assert settings.checkpoint("mine.r50") == tmp_path / "mine.r50.pt"
