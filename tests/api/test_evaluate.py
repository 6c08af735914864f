"""Models are measured from Python, silently, and left as they were."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import gc
import random
import re
import subprocess
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import g2d_bench as gb
from g2d_bench.api import evaluate as module
from g2d_bench.api.around import as_found
from g2d_bench.devices import accelerator
from g2d_bench.encoders import dense

SPEC = gb.ImageSpec(64, scale="phantom")
ALL = ["rsna-cls", "rsna-zeroshot", "rsna-ground", "rsna-seg", "rsna-det"]
NO_MAPS, NO_CELLS = (
    "gives no feature maps",
    "gives no cells of an image that a text could be compared with",
)


def measured(model: Any, tasks: str | list[str], **more: Any) -> gb.Results:
    given: dict[str, Any] = {"spec": SPEC, "fractions": [1.0], "protocol": "quick"}
    return gb.evaluate(model, tasks, **(given | more))


def reasons(results: gb.Results) -> dict[str, str]:
    return {record.cell.task: record.notes.get("n/a", "") for record in results.records}


@pytest.mark.parametrize(
    ("name", "text", "cells"),
    [
        ("vector", "no text encoder", "no text encoder"),
        ("clip", "", NO_CELLS),
        ("local_clip", "", ""),
    ],
)
def test_kinds_that_need_what_a_model_lacks_say_so(
    name: str, text: str, cells: str, request: pytest.FixtureRequest
) -> None:
    results = measured(request.getfixturevalue(name), ALL)
    assert reasons(results) == {
        "rsna-cls": "",
        "rsna-zeroshot": text,
        "rsna-ground": cells,
        "rsna-seg": NO_MAPS,
        "rsna-det": NO_MAPS,
    }
    for record in results.records:
        assert ("n/a" in record.notes) == (set(record.metrics.values()) == {None})


def test_maps_are_segmented_and_boxes_found(pyramid: nn.Module) -> None:
    results = measured(pyramid, ["rsna-seg", "rsna-det"])
    assert reasons(results) == {"rsna-seg": "", "rsna-det": ""}
    for record in results.records:
        assert record.notes["encoder_frozen"]
        assert record.references


class Few(nn.Module):
    """Gives one map, or two of different widths."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(3, 8, 8, stride=8)
        self.more = nn.ModuleList(nn.Conv2d(8, 4, 3, stride=2, padding=1) for _ in range(count - 1))

    def forward(self, x: Tensor) -> list[Tensor]:
        found = self.body(x)
        return [found, *(step(found) for step in self.more)]


@pytest.mark.parametrize("count", [1, 2])
def test_boxes_are_found_on_few_maps(count: int) -> None:
    [record] = measured(Few(count), "rsna-det").records
    assert "n/a" not in record.notes
    assert record.references


def test_a_record_says_what_the_model_was_and_how_to_repeat_it(vector: nn.Module) -> None:
    [record] = measured(vector, "rsna-cls", name="Mine", pretraining=["mimic-cxr"]).records
    assert record.encoder.weights.startswith("memory:")
    assert (record.encoder.title, record.encoder.pretraining) == ("Mine", ("mimic-cxr",))
    note = record.notes["in_memory"]
    assert note["class"].endswith("Vector")
    assert note["spec"] == {"size": 64, "mean": 0.5, "std": 0.5, "fit": "letterbox", "scale": "phantom"}
    assert "not part of its identity" in note["code"]
    assert record.command.startswith("gb.evaluate(model, 'rsna-cls', spec=gb.ImageSpec(size=64")
    again = eval(record.command, {"gb": gb, "model": vector})
    assert again.records[0].key == record.key
    assert again.records[0].metrics == record.metrics


class Other(nn.Module):
    """Has the state of another model and other code."""

    def __init__(self, inner: nn.Module, sign: float) -> None:
        super().__init__()
        self.inner, self.sign = inner, sign

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.inner(x)
        return found if self.sign > 0 else torch.zeros_like(found)


def test_features_never_reach_a_model_with_the_same_state_and_other_code(
    vector: nn.Module, shared_cache: Path
) -> None:
    def features() -> set[Path]:
        return set((shared_cache / "features").glob("*"))

    before = features()
    good, blank = (measured(Other(vector, sign), "rsna-cls").records[0] for sign in (1.0, -1.0))
    assert good.encoder.weights == blank.encoder.weights
    assert blank.metrics["auroc"] == 0.5
    assert good.metrics["auroc"] != 0.5
    assert features() == before


def test_dense_maps_of_a_model_in_memory_are_not_kept(pyramid: nn.Module) -> None:
    before = dict(dense._kept)
    measured(pyramid, "rsna-seg")
    assert dict(dense._kept) == before


def snapshot(model: nn.Module) -> list[Any]:
    return [
        *(value.clone() for value in model.state_dict().values()),
        [id(value) for value in (*model.parameters(), *model.buffers())],
        [module.training for module in model.modules()],
        [(one.device, one.requires_grad, id(one.grad)) for one in model.parameters()],
    ]


def numpy_state() -> list[int]:
    return np.random.get_state()[1].tolist()  # type: ignore[index, no-any-return]  # noqa: NPY002


def same(first: list[Any], second: list[Any]) -> bool:
    return all(
        torch.equal(a, b) if isinstance(a, Tensor) else a == b for a, b in zip(first, second, strict=True)
    )


def test_the_model_and_all_around_it_are_left_as_they_were(pyramid: nn.Module) -> None:
    pyramid.train()
    first, *_ = pyramid.parameters()
    first.requires_grad_(False)
    pyramid(torch.rand(2, 3, 64, 64))["pooled"].sum().backward()
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    before = snapshot(pyramid)
    states = random.getstate(), numpy_state(), torch.get_rng_state()
    try:
        measured(pyramid, ["rsna-cls", "rsna-seg"])
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert same(before, snapshot(pyramid))
    assert random.getstate() == states[0]
    assert numpy_state() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])
    pyramid(torch.rand(2, 3, 64, 64))["pooled"].sum().backward()


@pytest.mark.parametrize("move", [nn.Module.double, lambda part: part.to(accelerator())])
def test_a_module_that_was_moved_comes_back_with_its_gradients(move: Any, pyramid: nn.Module) -> None:
    pyramid(torch.rand(2, 3, 64, 64))["pooled"].sum().backward()
    before = snapshot(pyramid)
    kept = [(one.grad, one.grad.clone()) for one in pyramid.parameters() if one.grad is not None]
    with as_found([pyramid]):
        move(pyramid)
    assert same(before, snapshot(pyramid))
    assert len(kept) > 3
    assert all(torch.equal(one, value) and one.dtype == value.dtype for one, value in kept)
    pyramid(torch.rand(2, 3, 64, 64))["pooled"].sum().backward()


def tuned() -> None:
    text = (Path(__file__).parents[2] / "tasks" / "protocols" / "clean-finetune.toml").read_text()
    for key, value in {"epochs": 1, "min_steps": 6, "max_steps": 6, "validate_every": 3}.items():
        text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
    Path("mine").mkdir()
    Path("mine/tuned.toml").write_text(text)
    Path("g2d-bench.toml").write_text("protocols_dir = ['mine']\n")


@pytest.mark.parametrize("task", ["rsna-cls", "rsna-seg"])
def test_a_protocol_that_trains_the_encoder_trains_a_copy(task: str, pyramid: nn.Module) -> None:
    tuned()
    pyramid.train()
    before = snapshot(pyramid)
    [record] = measured(pyramid, task, protocol="tuned").records
    assert not record.notes["encoder_frozen"]
    assert same(before, snapshot(pyramid))


def test_a_function_is_measured_as_the_module_that_it_calls(vector: nn.Module) -> None:
    vector.train()
    before = snapshot(vector)
    wanted = measured(vector, "rsna-cls").records[0].metrics
    for given in (vector.forward, lambda x: vector(x)):
        assert measured(given, "rsna-cls").records[0].metrics == wanted
        assert same(before, snapshot(vector))


@pytest.mark.parametrize(
    ("way", "text"),
    [
        (lambda net: lambda x: net(x), "must be copied, which fails: .* give the module itself"),
        (lambda net: lambda x: x.mean(dim=(2, 3)), "no parameters can be found that it computes with"),
    ],
)
def test_what_trains_nothing_is_not_called_fine_tuned(way: Any, text: str, vector: nn.Module) -> None:
    tuned()
    before = snapshot(vector)
    with pytest.raises(gb.InputError, match=text):
        measured(way(vector), "rsna-cls", protocol="tuned")
    assert same(before, snapshot(vector))


def test_what_cannot_be_copied_is_not_trained(pyramid: nn.Module) -> None:
    from g2d_bench.api.model import wrap
    from g2d_bench.cells.resolve import _copied

    pyramid.lock = threading.Lock()  # type: ignore[assignment]
    with pytest.raises(gb.InputError, match="must be copied"):
        _copied(wrap(pyramid, SPEC)[1].encoder)


def surroundings() -> list[Any]:
    return [
        contextlib.nullcontext(),
        torch.no_grad(),
        torch.inference_mode(),
        torch.autocast("cpu", dtype=torch.bfloat16),
    ]


@pytest.mark.parametrize("around", surroundings(), ids=["none", "no-grad", "inference", "autocast"])
def test_what_a_loop_has_switched_on_moves_no_number(around: Any, vector: nn.Module) -> None:
    plain = gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0)
    with around:
        assert gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0) == plain


def test_defaults_of_a_notebook_move_no_number(vector: nn.Module) -> None:
    plain = gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0)
    torch.set_default_dtype(torch.float64)
    try:
        assert gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0) == plain
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_model_of_half_precision_is_measured(vector: nn.Module) -> None:
    found = gb.probe(vector.bfloat16(), "rsna-cls", spec=SPEC, fraction=1.0)
    assert 0.0 <= found["auroc"] <= 1.0
    assert next(vector.parameters()).dtype == torch.bfloat16


def test_it_is_silent_unless_asked(vector: nn.Module, pyramid: nn.Module, capfd: Any) -> None:
    measured(vector, ["rsna-cls", "rsna-zeroshot"])
    measured(pyramid, "rsna-seg")
    assert capfd.readouterr() == ("", "")
    measured(vector, ["rsna-cls", "rsna-zeroshot"], progress=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "rsna-zeroshot · vector" in err


def test_it_runs_where_a_loop_of_asyncio_runs_already(vector: nn.Module) -> None:
    async def cell() -> dict[str, float]:
        await asyncio.sleep(0)
        here = gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0)
        aside = await asyncio.to_thread(gb.probe, vector, "rsna-cls", spec=SPEC, fraction=1.0)
        assert aside == here
        return here

    assert set(asyncio.run(cell())) >= {"auroc"}


def test_two_threads_are_measured_one_after_the_other(vector: nn.Module) -> None:
    order: list[int] = []
    models = [vector, copy.deepcopy(vector)]
    for place, model in enumerate(models):
        model.register_forward_pre_hook(lambda *_, place=place: order.append(place))
    wanted = measured(vector, "rsna-cls").records[0].metrics
    around = list(warnings.filters), sys.stdout, sys.stderr
    order.clear()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda model: measured(model, "rsna-cls").records[0].metrics, models))
    assert found == [wanted, wanted]
    assert [place for place, _ in groupby(order)] in ([0, 1], [1, 0])
    assert (list(warnings.filters), sys.stdout, sys.stderr) == around


SCRIPT = """
import g2d_bench as gb, torch
model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 8, 8), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
found = gb.evaluate(model, "rsna-cls", spec=gb.ImageSpec(64, scale="phantom"), fractions=[1.0])
assert len(found) == 1 and found.frame().value.notna().any()
named = gb.evaluate(["random", "g2d"][0], "rsna-cls", fractions=[0.5, 1.0], seeds=2, jobs=2)
assert len(named) == 4
"""


@pytest.mark.parametrize("how", ["-c", "script", "stdin"])
def test_scripts_need_no_guard_and_print_nothing(how: str, tmp_path: Path) -> None:
    (tmp_path / "notebook.py").write_text(SCRIPT)
    arguments = {"-c": ["-c", SCRIPT], "script": ["notebook.py"], "stdin": ["-"]}[how]
    done = subprocess.run(
        [sys.executable, *arguments],
        input=SCRIPT if how == "stdin" else None,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_numbers_of_numpy_are_numbers() -> None:
    more: dict[str, Any] = {"fractions": np.array([0.5]), "shots": np.array([2]), "seeds": np.arange(1)}
    found = gb.evaluate("random", "rsna-zeroshot", **more).frame(intervals=False)
    assert set(found.seed) == {0}


def wrong(**more: Any) -> Callable[[Any], Any]:
    return lambda model: gb.evaluate(model, "rsna-cls", spec=SPEC, **more)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda m: gb.evaluate(m, "rsna-cls"), "spec: a model in memory needs a spec"),
        (lambda m: gb.evaluate(m, "rsna-clss", spec=SPEC), "rsna-cls"),
        (lambda m: gb.evaluate(m, "rsna-cls", spec=SPEC, name="g2d"), "taken"),
        (lambda m: gb.evaluate(m, "siim-seg", spec=SPEC), "siim"),
        (lambda m: gb.evaluate(m, "rsna-cls", spec=SPEC, fractions=[2.0]), "fraction"),
        (wrong(fractions="10%"), "fractions: must be a list"),
        (wrong(fractions=["10%"]), "'10%' is no share"),
        (wrong(fractions=0.1), "fractions: must be a list"),
        (wrong(shots=4), "shots: must be a list"),
        (wrong(shots=["4"]), "'4' is no number of images"),
        (wrong(seeds="0-2"), "seeds"),
        (lambda m: gb.evaluate(m, "rsna-cls", spec=SPEC, seeds=0), "seeds"),
        (lambda m: gb.evaluate(m, "rsna-cls", spec=SPEC, seeds=[-1]), "seeds"),
        (lambda m: gb.evaluate(m, [], spec=SPEC), "tasks"),
        (lambda m: gb.evaluate("randm", "rsna-cls"), "did you mean 'random'"),
        (lambda m: gb.evaluate("random", "rsna-cls", spec=SPEC), "describe a model in memory"),
        (lambda m: gb.evaluate("no/such/card.toml", "rsna-cls"), "no such card"),
        (lambda m: gb.probe(m, "rsna-zeroshot", spec=SPEC), "rsna-zeroshot: n/a: no text encoder"),
        (lambda m: gb.probe(m, cast(Any, ALL), spec=SPEC), "task: must be one name, not ["),
        (lambda m: gb.evaluate(m, "rsna-cls", spec=cast(Any, 64)), "spec: must be an ImageSpec, such as"),
        (wrong(protocol=None), "protocol: must be one name, not None"),
        (wrong(name=3), "name: must be one name, not 3"),
        (wrong(pretraining=None), "pretraining: must be a list of names"),
        (wrong(results=3), "results: must be the path of a folder"),
        (wrong(jobs=0), "jobs: must be a number of processes"),
        (lambda m: gb.evaluate(object(), "rsna-cls", spec=SPEC), "model: "),
    ],
)
def test_errors_are_one_line(call: Any, text: str, vector: nn.Module, capfd: Any) -> None:
    with pytest.raises(gb.InputError) as caught:
        call(vector)
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)
    assert capfd.readouterr().out == ""


def test_what_is_finished_is_in_the_error_of_what_failed(vector: nn.Module) -> None:
    class Tires(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.calls = vector, 0

        def encode_image(self, images: Tensor) -> Tensor:
            found: Tensor = vector(images)
            return found

        def encode_text(self, texts: list[str]) -> Tensor:
            raise RuntimeError("tired\nof it")

    with pytest.raises(gb.EvaluationError) as caught:
        measured(Tires(), ["rsna-cls", "rsna-zeroshot"])
    assert "RuntimeError: tired" in str(caught.value)
    assert [record.cell.task for record in caught.value.results.records] == ["rsna-cls"]
    assert "tired" in caught.value.failures[0].traceback


def test_a_card_and_a_name_are_measured_alike(tmp_path: Path) -> None:
    source = Path(__file__).parents[2] / "baselines" / "random.toml"
    (tmp_path / "cards").mkdir()
    (tmp_path / "cards" / "mine.toml").write_text(source.read_text())
    named, filed = (
        gb.evaluate(what, "rsna-cls", fractions=[1.0]).records[0]
        for what in ("random", tmp_path / "cards" / "mine.toml")
    )
    assert (named.cell.encoder, filed.cell.encoder) == ("random", "mine")
    assert named.metrics == filed.metrics


def test_finished_cells_of_a_named_encoder_are_not_run_again(tmp_path: Path) -> None:
    first, second = (
        gb.evaluate("random", "rsna-cls", fractions=[1.0], results=tmp_path / "kept") for _ in range(2)
    )
    assert first.records[0].created == second.records[0].created


def test_nothing_stays_on_disk_and_nobody_is_warned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        results = gb.evaluate("random", "rsna-zeroshot")
        [folder] = (tmp_path / "temporary").iterdir()
        assert len(results.frame())
        del results
        gc.collect()
    assert not folder.exists()


def test_missing_data_may_be_there_when_it_is_tried_again(vector: nn.Module, films: Path) -> None:
    root = Path("later")
    root.mkdir()
    with pytest.raises(gb.InputError):
        measured(vector, "rsna-cls", data_root=root)
    (root / "rsna").symlink_to(films / "rsna")
    assert len(measured(vector, "rsna-cls", data_root=root)) == 1


def test_a_warm_probe_opens_no_data_again(vector: nn.Module) -> None:
    gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0)
    before = module._source.cache_info()
    gb.probe(vector, "rsna-cls", spec=SPEC, fraction=1.0)
    after = module._source.cache_info()
    assert (after.hits, after.misses) == (before.hits + 1, before.misses)
