"""Embeddings that somebody else computed: what is read, what is refused, and that tasks run on them."""

from __future__ import annotations

import csv
import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save_file

from g2d_bench.encoders.given import Given, GivenImage, _npz, read_given, require_ids
from g2d_bench.errors import InputError
from g2d_bench.phantom import ensure
from g2d_bench.records.store import Store

CARD = """
title = "Somebody's model"
objective = "other"
scale = "published"
pretraining = ["mimic-cxr"]
[embeddings]
spec = "a mean of patches, computed for this test from the exported PNG"
files = { rsna = "mine-rsna.npz" }
"""


def arrays(**changes: Any) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made: dict[str, Any] = {
        "ids": np.array(["a", "b", "c"]),
        "vectors": rng.normal(size=(3, 5)).astype(np.float32),
        "joint": rng.normal(size=(3, 4)),
        "texts": np.array(["yes", "no"]),
        "text_vectors": rng.normal(size=(2, 4)),
    }
    return {name: value for name, value in (made | changes).items() if value is not None}


def written(folder: Path, **changes: Any) -> Path:
    np.savez(folder / "e.npz", **arrays(**changes))
    return folder / "e.npz"


def test_both_forms_say_the_same(tmp_path: Path) -> None:
    first = read_given(written(tmp_path))
    made = arrays()
    said = {name: json.dumps(made.pop(name).tolist()) for name in ("ids", "texts")}
    save_file(made, tmp_path / "e.safetensors", metadata=said)
    second = read_given(tmp_path / "e.safetensors")
    assert first.ids == second.ids == ("a", "b", "c")
    assert first.texts == second.texts
    for one, other in zip((first.vectors, first.joint), (second.vectors, second.joint), strict=True):
        assert one.dtype == np.float32
        np.testing.assert_array_equal(one, other)
    # Without a space of their own, the vectors are compared with texts.
    alone = read_given(written(tmp_path, joint=None, texts=None, text_vectors=None))
    assert alone.joint is alone.vectors
    assert alone.text_vectors is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": None}, "ids: is missing"),
        ({"vectors": None}, "vectors: is missing"),
        ({"ids": np.array(["a", "b", "a"])}, "ids: 1 stand twice (the first is 'a')"),
        ({"ids": np.array([1, 2, 3])}, "ids: must be texts, one per line of vectors"),
        ({"ids": np.array(["a", "b"])}, "vectors: 3 lines for 2 ids"),
        ({"vectors": np.zeros((3, 5), int)}, "vectors: must be floating point [N, D], not int64 [3, 5]"),
        ({"vectors": np.zeros(3)}, "not float64 [3]"),
        ({"vectors": np.full((3, 5), np.nan)}, "vectors: NaN or infinity in 3 lines, the first is 0"),
        ({"vectors": np.full((3, 5), 1e300)}, "vectors: a number beyond float32 in 3 lines, the first is 0"),
        ({"vectors": np.zeros((3, 0))}, "0 values each"),
        ({"texts": None}, "texts and text_vectors go together"),
        ({"texts": np.array(["yes"])}, "text_vectors: 2 lines for 1 texts"),
        ({"reports": np.array(["0a", "1b"])}, "reports and report_vectors go together"),
        (
            {"reports": np.array(["0a", "1b"]), "report_vectors": np.zeros((1, 4))},
            "report_vectors: 1 lines for 2 reports",
        ),
        (
            {"reports": np.array(["0a"]), "report_vectors": np.zeros((1, 9))},
            "report_vectors: 9 values each, but joint has 4",
        ),
        ({"text_vectors": np.zeros((2, 7))}, "7 values each, but joint has 4: they share no space"),
        ({"joint": None}, "4 values each, but vectors has 5: they share no space"),
        ({"labels": np.zeros(3)}, "labels: unknown array"),
        ({"vectors": np.array([{}], dtype=object)}, "cannot be read: Object arrays"),
    ],
)
def test_files_that_are_refused(changes: dict[str, Any], message: str, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        # One line is all that is said.
        warnings.simplefilter("error")
        with pytest.raises(InputError) as caught:
            read_given(written(tmp_path, **changes))
    text = str(caught.value)
    assert message in text
    assert str(tmp_path / "e.npz") in text
    assert "\n" not in text


def test_no_files_of_ours(tmp_path: Path) -> None:
    (tmp_path / "e.npz").write_bytes(b"<html>")
    (tmp_path / "e.safetensors").write_bytes(b"<html>")
    for name, message in (
        ("e.npz", "cannot be read"),
        ("e.safetensors", "cannot be read"),
        ("none.npz", "no such file"),
        ("none.safetensors", "no such file"),
        ("e.csv", ".csv; embeddings are .npz or .safetensors"),
    ):
        with pytest.raises(InputError, match=message):
            read_given(tmp_path / name)


def test_ids_are_held_against_the_task(tmp_path: Path) -> None:
    given = read_given(written(tmp_path))
    require_ids(given, tmp_path, ["a", "b", "c", "d"], ["a", "c"], "rsna")
    with pytest.raises(InputError, match=r"1 ids are no images of rsna \('c'\)"):
        require_ids(given, tmp_path, ["a", "b"], [], "rsna")
    with pytest.raises(InputError, match=r"2 ids of the task are missing \('d', 'e'\)"):
        require_ids(given, tmp_path, "abcde", "abcde", "rsna")


def test_vectors_stand_in_the_order_of_the_data_set() -> None:
    vectors = np.arange(6, dtype=np.float32).reshape(3, 2)
    image = GivenImage(Given(("c", "a", "b"), vectors, vectors, (), None, ""), ["a", "b", "z", "c"])
    assert image.vectors.tolist() == [[2, 3], [4, 5], [0, 0], [0, 1]]
    with pytest.raises(TypeError, match="no image can be encoded"):
        image(image.vectors)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small generated data set and a cache of its own."""
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    ensure("rsna", root=tmp_path / "data", count=60, size=64, workers=1)
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "mine.toml").write_text(CARD)
    return tmp_path


def embed(exported: Path, file: Path, **changes: Any) -> dict[str, Any]:
    """Do what a user does: read the exported files, and write a vector for each id and text."""
    rows = list(csv.DictReader((exported / "ids.csv").open()))
    films = [np.asarray(Image.open(exported / row["file"]), dtype=np.float64) for row in rows]
    patches = [film[:64, :64].reshape(8, 8, 8, 8).mean(axis=(1, 3)).ravel() / 255 for film in films]
    texts = (exported / "texts.txt").read_text().splitlines()
    rng = np.random.default_rng(1)
    made: dict[str, Any] = {
        "ids": np.array([row["id"] for row in rows]),
        "vectors": np.array(patches),
        "texts": np.array(texts),
        "text_vectors": rng.normal(size=(len(texts), 64)),
        "content": np.array(json.loads((exported / "export.json").read_text())["content"]),
    }
    made |= changes
    np.savez(file, **{name: value for name, value in made.items() if value is not None})
    return made


def test_export_embed_run_table(place: Path, cli: Callable[..., Any]) -> None:
    where = ("--data-root", place / "data", "--encoders-dir", place / "cards")
    done = cli("export-images", "rsna-zeroshot", "--out", "rsna", "--data-root", place / "data")
    assert done.exit_code == 0, done.output
    assert "wrote rsna: 60 images of rsna (phantom), " in done.stdout
    made = embed(place / "rsna", place / "cards" / "mine-rsna.npz")
    done = cli(
        *("run", "--encoder", "mine", "--results", "runs", "--jobs", "1"),
        *("--task", "rsna-cls,rsna-zeroshot,rsna-seg,rsna-ground,siim-zeroshot"),
        *("--fraction", "1", *where),
    )
    assert done.exit_code == 0, done.output
    assert "left out: mine in siim-zeroshot: its card has no embeddings of siim" in done.stderr
    records = {record.cell.task: record for _, record in Store(place / "runs")}
    assert set(records) == {"rsna-cls", "rsna-zeroshot", "rsna-seg", "rsna-ground"}
    for record in records.values():
        assert record.encoder.form == "embeddings"
        assert record.notes["embeddings"]["self_reported"] is True
    assert records["rsna-seg"].notes["n/a"] == "gives no feature maps"
    assert records["rsna-ground"].notes["n/a"].startswith("gives no cells of an image")
    assert records["rsna-cls"].metrics["auroc"] is not None

    # Zero-shot by hand: cosine with the mean unit prompt for, less that with the one against.
    from g2d_bench.cards.catalogue import Catalogue
    from g2d_bench.records.record import read_predictions

    path = next(path for path, record in Store(place / "runs") if record.cell.task == "rsna-zeroshot")
    stored = read_predictions(path, records["rsna-zeroshot"])
    task = Catalogue.open().tasks["rsna-zeroshot"]
    assert task.prompts is not None
    prompts, _ = task.prompts.of(task.labels[0], "other")
    place_of = {text: n for n, text in enumerate(made["texts"].tolist())}

    def anchor(texts: tuple[str, ...]) -> Any:
        vectors = made["text_vectors"][[place_of[text] for text in texts]]
        mean = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).mean(axis=0)
        return mean / np.linalg.norm(mean)

    image = {
        name: v / np.linalg.norm(v) for name, v in zip(made["ids"].tolist(), made["vectors"], strict=True)
    }
    for name, score in zip(stored["id"].tolist(), stored["scores"][:, 0], strict=True):
        expected = image[name] @ anchor(prompts.positive) - image[name] @ anchor(prompts.negative)
        assert score == pytest.approx(expected, abs=1e-5)

    # Marked in every format.
    for style in ("text", "md", "latex", "csv", "json"):
        shown = cli("table", "--results", "runs", "--task", "rsna-cls", "--format", style)
        assert shown.exit_code == 0, shown.output
        assert ("self-reported embeddings" if style not in ("csv",) else ",embeddings,") in shown.stdout
    page = cli("leaderboard", "--results", "runs", "--out", "site")
    assert page.exit_code == 0, page.output
    assert "[self-reported embeddings]" in (place / "site" / "index.html").read_text()
    figure = cli("figure", "curves", "--results", "runs", "--task", "rsna-cls", "--out", "f.svg")
    assert figure.exit_code == 0, figure.output
    assert "self-reported embeddings" in figure.stderr


def test_what_a_run_says_of_a_wrong_file(place: Path, cli: Callable[..., Any]) -> None:
    where = ("--data-root", place / "data", "--encoders-dir", place / "cards")
    run = ("run", "--encoder", "mine", "--task", "rsna-zeroshot", "--results", "runs", *where)
    missing = cli(*run)
    assert missing.exit_code == 2
    assert "no mine-rsna.npz beside the card" in missing.stderr
    assert cli("export-images", "rsna-zeroshot", "--out", "rsna", *where[:2]).exit_code == 0
    file = place / "cards" / "mine-rsna.npz"
    made = embed(place / "rsna", file)
    for changes, message in (
        ({"ids": np.array(["x", *made["ids"][1:]])}, "ids: 1 ids are no images of rsna ('x')"),
        ({"ids": made["ids"][1:], "vectors": made["vectors"][1:]}, "ids: 1 ids of the task are missing ("),
        ({"content": np.array("0" * 64)}, "content: embeds other images than these"),
        ({"texts": made["texts"][1:], "text_vectors": made["text_vectors"][1:]}, "no vector for the text"),
    ):
        embed(place / "rsna", file, **changes)
        done = cli(*run)
        assert done.exit_code == 2, done.output
        assert message in done.stderr
    embed(place / "rsna", file, texts=None, text_vectors=None)
    assert cli(*run).exit_code == 0
    (record,) = [record for _, record in Store(place / "runs")]
    assert record.notes["n/a"] == "no text encoder: mine-rsna.npz has no text_vectors"
    tuned = cli(*run[:3], "--task", "rsna-cls", "--protocol", "clean-finetune", "--fraction", "1", *run[5:])
    assert tuned.exit_code == 0, tuned.output
    tuned_record = next(r for _, r in Store(place / "runs") if r.cell.task == "rsna-cls")
    assert tuned_record.notes["n/a"].startswith("embeddings are given")


def test_an_export_is_exact_and_whole(place: Path, cli: Callable[..., Any]) -> None:
    from g2d_bench.readers.registry import open_dataset

    where = ("--data-root", place / "data")
    assert cli("export-images", "rsna-cls", "--out", "films", *where).exit_code == 0
    dataset = open_dataset("rsna", place / "data")
    samples = {sample.id: sample for sample in dataset.samples()}
    rows = list(csv.DictReader((place / "films" / "ids.csv").open()))
    assert {row["id"] for row in rows} == set(samples)
    assert {row["part"] for row in rows} == {"train", "val", "test"}
    for row in rows[:5]:
        pixels = np.asarray(Image.open(place / "films" / row["file"]))
        np.testing.assert_array_equal(pixels, dataset.read_image(samples[row["id"]]))
    assert not (place / "films" / "texts.txt").exists()
    again = cli("export-images", "rsna-cls", "--out", "films", *where)
    assert again.exit_code == 2
    assert "is there already; give a new folder" in again.stderr
    assert cli("export-images", "rsna-cls", "--out", "small", "--size", "48", *where).exit_code == 0
    assert Image.open(place / "small" / "images" / "00.png").size == (48, 48)


def test_reports_by_name_are_found_by_their_images(
    tmp_path: Path, cli: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("G2D_BENCH_CACHE", str(tmp_path / "cache"))
    ensure("openi", root=tmp_path / "data", count=60, size=64, workers=1)
    cards = tmp_path / "cards"
    cards.mkdir()
    (cards / "mine.toml").write_text(CARD.replace("rsna", "openi"))
    done = cli("export-images", "openi-retrieval", "--out", "openi", "--data-root", "data", "--size", "64")
    assert done.exit_code == 0, done.output
    assert " reports" in done.stdout
    rows = list(csv.DictReader((tmp_path / "openi" / "ids.csv").open()))
    told = {row["report"]: row["text"] for row in csv.DictReader((tmp_path / "openi" / "reports.csv").open())}
    assert {row["report"] for row in rows if row["part"] == "test"} == set(told)
    assert not any(row["report"] for row in rows if row["part"] != "test")
    assert all(text.strip() for text in told.values())
    rng = np.random.default_rng(2)
    of_report = {name: rng.normal(size=32) for name in told}
    vectors = [of_report[row["report"]] if row["report"] else rng.normal(size=32) for row in rows]
    made: dict[str, Any] = {
        "ids": np.array([row["id"] for row in rows]),
        "vectors": np.array(vectors),
        "reports": np.array(list(told)),
        "report_vectors": np.array(list(of_report.values())),
    }
    run = ("run", "--encoder", "mine", "--task", "openi-retrieval", "--fraction", "1", "--results", "runs")
    where = ("--data-root", "data", "--encoders-dir", "cards")

    def ran(**changes: Any) -> Any:
        np.savez(cards / "mine-openi.npz", **{k: v for k, v in (made | changes).items() if v is not None})
        return cli(*run, *where)

    assert ran().exit_code == 0
    (record,) = [record for _, record in Store(tmp_path / "runs")]
    assert record.metrics["i2t_r1"] == record.metrics["t2i_r1"] == 1.0
    assert not any(text in json.dumps(record.model_dump()) for text in told.values())
    # Another order of vectors finds other reports, so the names are read.
    assert ran(reports=np.roll(made["reports"], 1)).exit_code == 0
    worse = [record.metrics["i2t_r1"] for _, record in Store(tmp_path / "runs")]
    assert min(value for value in worse if value is not None) < 0.5
    missing = ran(reports=made["reports"][1:], report_vectors=made["report_vectors"][1:])
    assert missing.exit_code == 2
    name, text = next(iter(told.items()))
    assert f"no vector for {name}, a text or report of {len(text)} characters" in missing.stderr
    assert text not in missing.stderr
    given = {"texts": np.array(["x"]), "text_vectors": np.ones((1, 32))}
    assert ran(reports=None, report_vectors=None, **given).exit_code == 0
    notes = [record.notes.get("n/a") for _, record in Store(tmp_path / "runs")]
    assert "the embeddings give no vectors of reports" in notes


def test_an_archive_that_unpacks_to_far_more_is_not_unpacked(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "e.npz", vectors=np.zeros((20_000, 1024), np.float32))
    with pytest.raises(InputError, match=r"e\.npz: unpacks to 78 MiB from 0, as no vectors do"):
        _npz(tmp_path / "e.npz")
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(InputError, match=r"pipe\.npz: is no regular file"):
        _npz(tmp_path / "pipe.npz")
