from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pytest
import torch
from safetensors import safe_open

from g2d_bench.cards.objective import OBJECTIVES
from g2d_bench.encoders.checkpoint import METADATA_KEY, open_checkpoint
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.own import load_companions
from g2d_bench.encoders.tone import standardised
from g2d_bench.errors import InputError
from g2d_bench.hashing import digest_file
from g2d_bench.pretrain import export as module
from g2d_bench.pretrain import pretrain as run
from g2d_bench.pretrain.augment import plain
from g2d_bench.pretrain.distributed import World
from g2d_bench.pretrain.export import export, retrieval, similarities
from g2d_bench.pretrain.pairs import PairData, read_pairs
from g2d_bench.pretrain.presets import recipe
from g2d_bench.pretrain.pretrain import Pretrained, make_all, summary
from g2d_bench.pretrain.run_folder import RunFolder


class Go(Protocol):
    def __call__(self, out: Path, method: str = "convirt", **changes: Any) -> Pretrained: ...


def test_retrieval_against_a_plain_loop() -> None:
    scores = np.random.default_rng(0).normal(size=(40, 40)).round(1)
    scores[np.diag_indices(40)] += 1
    found = retrieval(scores)
    for way, matrix in (("image_to_text", scores), ("text_to_image", scores.T)):
        ranks, shares = [], []
        for i in range(40):
            better = sum(matrix[i, j] > matrix[i, i] for j in range(40) if j != i)
            equal = sum(matrix[i, j] == matrix[i, i] for j in range(40) if j != i)
            # Each place among its equals is as likely as the others.
            ranks += [1 + better + place for place in range(equal + 1)]
            shares += [1 / (equal + 1)] * (equal + 1)
        assert found[way]["mrr"] == pytest.approx(np.dot(shares, 1 / np.array(ranks)) / 40)
        for k in (1, 5, 10):
            assert found[way][f"r@{k}"] == pytest.approx(np.dot(shares, np.array(ranks) <= k) / 40)
    assert found["chance"]["r@5"] == 5 / 40
    assert found["pairs"] == 40


def test_retrieval_at_its_ends() -> None:
    perfect = retrieval(np.eye(20))
    assert perfect["image_to_text"] == {"r@1": 1.0, "r@5": 1.0, "r@10": 1.0, "mrr": 1.0}
    # A similarity that knows nothing earns what chance earns.
    constant = retrieval(np.zeros((20, 20)))
    assert constant["image_to_text"] == pytest.approx(constant["chance"])
    chances = [retrieval(np.random.default_rng(seed).random((50, 50))) for seed in range(40)]
    for name in ("r@1", "r@5", "r@10", "mrr"):
        mean = np.mean([found["image_to_text"][name] for found in chances])
        assert mean == pytest.approx(chances[0]["chance"][name], rel=0.15)


@pytest.mark.parametrize("method", OBJECTIVES.names)
def test_the_file_loads_and_gives_the_run_s_features(
    toy: Path, go: Go, tiny: dict[str, Any], tmp_path: Path, method: str
) -> None:
    made = go(tmp_path / "run", method, steps=3)
    card = made.card
    checkpoint = open_checkpoint(made.weights)
    assert checkpoint.metadata["tensors"] == card["tensors"]
    assert checkpoint.metadata["method"] == method
    assert card["tokenizer"] == digest_file(tmp_path / "run/tokenizer.json")
    assert (
        card["data"]["pairs"] == {"train": 43, "val": 1, "held": 4}
        or sum(card["data"]["pairs"].values()) == 48
    )
    assert card["steps"] == 3
    assert json.loads((tmp_path / "run/result.json").read_text()) == card
    state = checkpoint.states[""]
    prefixes = {name.partition(".")[0] for name in state}
    assert prefixes == {"image", "text", "heads"} | ({"decoder"} if method == "g2d" else set())
    for name, tensor in state.items():
        single = name.endswith(("running_mean", "running_var"))
        assert not tensor.is_floating_point() or tensor.dtype == (torch.float32 if single else torch.float16)

    image = ImageEncoder(tiny.get("model", "resnet18"), options=tiny["options"])
    body = {name.removeprefix("image."): t.float() for name, t in state.items() if name.startswith("image.")}
    image.body.load_state_dict(body)
    parts = load_companions(checkpoint, image)
    assert parts.text is not None
    assert parts.heads is not None
    assert (parts.decoder is not None) == (method == "g2d")
    image.eval()
    parts.text.eval()
    parts.heads.eval()
    # The run's own modules, from its checkpoint in full precision.
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    recipe_ = recipe(method, overrides=tiny | {"steps": 3})
    world = World(0, 1, torch.device("cpu"))
    config = json.loads((tmp_path / "run/config.json").read_text())
    model = run.build(
        recipe_,
        pairs,
        RunFolder(tmp_path / "run", {name: value for name, value in config.items() if name != "card"}),
        world,
        0,
    )
    model.load_state_dict(torch.load(tmp_path / "run/checkpoint.pt", weights_only=True)["model"])
    chosen = np.arange(12)
    wanted = similarities(model, pairs, chosen, recipe_)
    grey = plain(torch.from_numpy(np.array(pairs.images[chosen])), 32, share=32 / 36)
    words = [module._whole(method, pairs.sentences[k]) for k in chosen]
    with torch.no_grad():
        tokens = parts.text.tokenize(words, 48)
        vectors = parts.heads.embed_image(image(standardised(grey).expand(-1, 3, -1, -1))).vector
        texts = parts.heads.embed_text(parts.text(tokens), tokens).vector
    found = parts.heads.global_similarity(vectors, texts)
    assert wanted.shape == (12, 12)
    torch.testing.assert_close(found, wanted, atol=0.02, rtol=0)


def test_what_does_not_fit_is_refused(toy: Path, tiny: dict[str, Any], tmp_path: Path) -> None:
    pairs = PairData(read_pairs(str(toy)), 36, cache=toy.parent / "cache")
    made = recipe("convirt", overrides=tiny)
    model = run.build(made, pairs, RunFolder(tmp_path / "run", {}), World(0, 1, torch.device("cpu")), 0)
    path = tmp_path / "a.safetensors"
    with pytest.raises(InputError, match=r"a\.safetensors: weights have [\d,]+ bytes, 100 are allowed"):
        export(model, made, {}, path, limit=100)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot be written: a file is where a folder should be"):
        export(model, made, {}, tmp_path / "file" / "a.safetensors")
    card = export(model, made, {"seed": 3}, path)
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()[METADATA_KEY]) == card
    assert card["seed"] == 3
    with torch.no_grad():
        model.objective.heads.image[0].weight[0, 0] = 1e5
    with pytest.raises(InputError, match=r"heads\.image\.0\.weight: a weight does not fit half precision"):
        export(model, made, {}, path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.safetensors", "file", "run"]


@pytest.mark.usefixtures("one_thread")
def test_make_all_ships_and_resumes(
    toy: Path,
    tiny: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    original = run.pretrain
    calls: list[str] = []

    def small(method: str, **arguments: Any) -> Pretrained:
        calls.append(method)
        return original(
            method, str(toy), overrides=tiny, device="cpu", cache=toy.parent / "cache", **arguments
        )

    monkeypatch.setattr(run, "pretrain", small)
    made = make_all(tmp_path / "weights", runs=tmp_path / "runs", methods=("convirt", "gloria"))
    assert calls == ["convirt", "gloria"]
    assert sorted(path.name for path in (tmp_path / "weights").iterdir()) == [
        "convirt.safetensors",
        "gloria.safetensors",
        "tokenizer.json",
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines == [summary(one.card) for one in made]
    assert "convirt: 6 steps in" in lines[0]
    assert lines[0].endswith("too few different held-out reports for retrieval")
    assert summary({}) == ""
    monkeypatch.setattr(run, "fit", None)  # all is made: nothing is trained again
    again = make_all(tmp_path / "weights", runs=tmp_path / "runs", methods=("convirt", "gloria"))
    assert [one.card for one in again] == [one.card for one in made]
    monkeypatch.setattr(run, "MAX_BYTES", 10)
    with pytest.raises(InputError, match="10 may be shipped"):
        make_all(tmp_path / "weights", runs=tmp_path / "runs", methods=("convirt",))


def test_held_out_reports_are_retrieved(toy_writer: Callable[..., Path], go: Go, tmp_path: Path) -> None:
    made = go(tmp_path / "run", data=toy_writer(tmp_path / "toy", 160), steps=2)
    found = made.card["retrieval"]
    assert found["pairs"] == made.card["data"]["pairs"]["held"] >= 10
    assert f"own report among {found['pairs']}, image to text/text to image: R@1 " in summary(made.card)


def test_real_images_and_notes(
    real_pack: Path, tiny: dict[str, Any], tmp_path: Path, one_thread: None
) -> None:
    made = run.pretrain(
        "gloria",
        "covid-cxr",
        data_root=real_pack,
        out=tmp_path / "run",
        overrides=tiny,
        device="cpu",
        cache=tmp_path / "cache",
    )
    assert made.card["data"]["kind"] == "real"
    assert sum(made.card["data"]["pairs"].values()) == 111
    assert made.card["steps"] == 6
    assert made.weights.is_file()
