from __future__ import annotations

import argparse
import os
import pickle
import sys
import tarfile
import types
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from g2d_bench.cards.encoder import EncoderCard, Layout
from g2d_bench.cards.io import load_card
from g2d_bench.encoders.checkpoint import (
    Checkpoint,
    load_into,
    match,
    match_any,
    open_checkpoint,
    tensor_hash,
)
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.encoders.load import build_image
from g2d_bench.errors import InputError
from g2d_bench.paths import shipped

MakeCard = Callable[[str], EncoderCard]
MakeState = Callable[[str], "OrderedDict[str, Tensor]"]
FILES = [
    *("imagenet.r50", "imagenet.r50 old", "imagenet.vit-b16", "gloria.chexpert-r50", "gloria.mimic-r50"),
    *("mgca.r50", "mgca.vit-b16", "convirt.benchx-r50", "g2d.r50", "g2d.r50 encoder-decoder"),
    *("g2d.r50 checkpoint no-decoder",),
    *("g2d.r50 no-decoder", "g2d.r50 encoder", "biovil.r50", "medklip.r50", "mflag.r50"),
    *("mflag.r50 encoder", "mrm.vit-b16"),
]
COUNTS = {"imagenet.r50 old": 265, "medklip.r50": 258}
PLAIN = Layout(layout="plain", expect=318)


def state_of(path: Path) -> dict[str, Tensor]:
    """The largest state dict of a file."""
    largest: Mapping[str, Tensor] = max(open_checkpoint(path).states.values(), key=len)
    return dict(largest)


def refusal(action: Callable[[], object]) -> str:
    with pytest.raises(InputError) as caught:
        action()
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.mark.parametrize("name", FILES)
def test_published_layouts_load_completely(
    name: str, small_card: MakeCard, saved: Callable[[str], Path], trained_state: MakeState
) -> None:
    card = small_card(name.split()[0])
    image = build_image(card, seed=0)
    before = image.body.state_dict()
    report = match_any(open_checkpoint(saved(name)), card.checkpoint, image.body)
    count = COUNTS.get(name, 150 if "vit" in name else 318)
    assert (report.matched, report.missing, report.unexpected, report.shape_mismatch) == (count, (), (), ())
    assert set(report.tensors) | set(report.excused) == set(before)
    load_into(image.body, report)
    truth = trained_state(card.image.model)
    for key, value in image.body.state_dict().items():
        expected = truth[key] if key in report.tensors else before[key]
        assert torch.equal(value, expected), key


@pytest.mark.parametrize(("name", "count"), [("mgca.r50", 318), ("mgca.vit-b16", 150)])
def test_full_size_architectures_have_the_published_number_of_entries(name: str, count: int) -> None:
    card = load_card(shipped("baselines") / f"{name}.toml", EncoderCard)
    skip = {"weight_init": "skip"} if "vit" in name else {}
    body = ImageEncoder(card.image.model, options=skip).body
    # Zeros, since what a skipped initialisation leaves is whatever stood in memory, NaN at times.
    state = {
        "img_encoder_q.model." + key: torch.zeros_like(value) for key, value in body.state_dict().items()
    }
    report = match(Checkpoint(Path("x.ckpt"), {"state_dict": state}), card.checkpoint[0], body)
    assert report.ok
    assert report.matched == report.expected == count


# Files that must not load


def test_file_of_another_method(small_card: MakeCard, saved: Callable[[str], Path]) -> None:
    path = saved("convirt.benchx-r50")
    card = small_card("mgca.r50")
    text = refusal(lambda: match_any(open_checkpoint(path), card.checkpoint, build_image(card, 0).body))
    assert text == (
        f"{path}: checkpoint: fits no layout of the card: layout 'lightning': "
        "no state_dict (the file has model)"
    )


def test_prefix_is_taken_from_the_start_only(trained_state: MakeState) -> None:
    state = {f"old.encoder.{name}": tensor for name, tensor in trained_state("resnet50").items()}
    body = ImageEncoder("resnet50", options={"channels": [8, 8, 8, 8]}).body
    report = match(
        Checkpoint(Path("x"), {"": state}), Layout(layout="l", prefix="encoder.", expect=318), body
    )
    assert not report.ok
    assert report.matched == 0
    assert report.reason.startswith("no entry under 'encoder.' (the file has old.encoder.conv1.weight, ")


def test_missing_layer(small_card: MakeCard, trained_state: MakeState) -> None:
    body = build_image(small_card("g2d.r50"), 0).body
    state = {k: v for k, v in trained_state("resnet50").items() if not k.startswith("layer4.2.")}
    report = match(Checkpoint(Path("x"), {"": state}), PLAIN, body)
    assert len(report.missing) == 18
    assert report.reason == (
        "300 of 318 entries match, 18 missing (layer4.2.conv1.weight, layer4.2.bn1.weight, ...)"
    )


def test_a_deeper_network_is_not_its_shallow_part(small_card: MakeCard) -> None:
    deeper = ImageEncoder("resnet101", options={"channels": [8, 8, 8, 8]}).body.state_dict()
    body = build_image(small_card("g2d.r50"), 0).body
    report = match(Checkpoint(Path("x"), {"": deeper}), PLAIN, body)
    assert report.matched == 318, "every entry of ResNet-50 is in ResNet-101, with its shape"
    assert not report.ok
    assert "306 unexpected (layer3.6.conv1.weight" in report.reason


def test_another_width_or_family(small_card: MakeCard, trained_state: MakeState) -> None:
    body = build_image(small_card("g2d.r50"), 0).body
    wide = ImageEncoder("resnet50", options={"channels": [8, 8, 8, 16]}).body.state_dict()
    report = match(Checkpoint(Path("x"), {"": wide}), PLAIN, body)
    assert len(report.shape_mismatch) > 0
    assert "of other shape (layer4.0.conv1.weight is (16, 32, 1, 1), not (8, 32, 1, 1))" in report.reason
    report = match(Checkpoint(Path("x"), {"": trained_state("vit_base_patch16_224")}), PLAIN, body)
    assert report.reason.startswith("no entry of this architecture (the file has cls_token, ")


def test_not_a_number_in_the_weights(small_card: MakeCard, trained_state: MakeState) -> None:
    state = trained_state("resnet50")
    state["layer2.0.conv1.weight"] = torch.full_like(state["layer2.0.conv1.weight"], float("nan"))
    report = match(Checkpoint(Path("x"), {"": state}), PLAIN, build_image(small_card("g2d.r50"), 0).body)
    assert report.reason == "NaN or infinity in layer2.0.conv1.weight"


def test_the_initialisation_itself_is_no_checkpoint(small_card: MakeCard) -> None:
    body = build_image(small_card("g2d.r50"), 3).body
    state = {name: tensor.clone() for name, tensor in body.state_dict().items()}
    report = match(Checkpoint(Path("x"), {"": state}), PLAIN, body)
    assert report.ok
    assert "loading changed nothing" in refusal(lambda: load_into(body, report))


def test_every_layout_says_why(small_card: MakeCard, tmp_path: Path) -> None:
    card = small_card("g2d.r50")
    path = tmp_path / "x.pth"
    torch.save({"weight": torch.zeros(2)}, path)
    text = refusal(lambda: match_any(open_checkpoint(path), card.checkpoint, build_image(card, 0).body))
    for layout in card.checkpoint:
        assert f"layout {layout.layout!r}: " in text


# Containers and precisions


def test_half_precision_becomes_single(
    small_card: MakeCard, trained_state: MakeState, tmp_path: Path
) -> None:
    body = build_image(small_card("g2d.r50"), 0).body
    half = {k: v.half() if v.is_floating_point() else v for k, v in trained_state("resnet50").items()}
    path = tmp_path / "half.safetensors"
    save_file(half, path)
    report = match(open_checkpoint(path), PLAIN, body)
    assert report.ok
    assert report.tensors["conv1.weight"].dtype == torch.float32
    assert torch.equal(report.tensors["conv1.weight"], half["conv1.weight"].float())


def test_old_torch_format(trained_state: MakeState, tmp_path: Path) -> None:
    path = tmp_path / "old.pth"
    state = trained_state("resnet18")
    torch.save({"state_dict": state}, path, _use_new_zipfile_serialization=False)
    read = state_of(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


class _Config:
    """Stands for a foreign class whose package is gone when the file is read."""

    def __init__(self) -> None:
        self.content = {"lr": 0.1}


def _foreign(root: str, name: str = "DictConfig") -> type:
    module = types.ModuleType(root)
    made = type(name, (_Config,), {"__module__": root, "__qualname__": name})
    setattr(module, name, made)
    sys.modules[root] = module
    return made


@pytest.mark.parametrize("new_format", [True, False])
def test_lightning_file_with_a_foreign_object(
    new_format: bool, small_card: MakeCard, published: Callable[[str], Any], tmp_path: Path
) -> None:
    root = published("gloria.chexpert-r50")
    made = _foreign("omegaconf_lookalike")
    root["hyper_parameters"] = {"config": made(), "namespace": argparse.Namespace(lr=0.1), "kind": int}
    root["callbacks"] = {made: [made()]}
    path = tmp_path / "lightning.ckpt"
    torch.save(root, path, _use_new_zipfile_serialization=new_format)
    del sys.modules["omegaconf_lookalike"]
    with pytest.raises(pickle.UnpicklingError):
        torch.load(path, weights_only=True)
    card = small_card("gloria.chexpert-r50")
    report = match_any(open_checkpoint(path), card.checkpoint, build_image(card, 0).body)
    assert report.matched == 318
    assert "omegaconf_lookalike" not in sys.modules


def test_parameters_and_shells_in_a_state_dict(tmp_path: Path) -> None:
    made = _foreign("lost_package")
    path = tmp_path / "x.pth"
    weight = nn.Parameter(torch.arange(6.0).reshape(2, 3).t())
    view = torch.arange(10.0)[3:7]
    rest = {"d": made(), "e": torch.float16, "f": torch.Size([2]), "g": np.float64(1), "h": b"bytes"}
    torch.save({"a": weight, "b": view, "c": torch.zeros(2, dtype=torch.bfloat16), **rest}, path)
    del sys.modules["lost_package"]
    state = state_of(path)
    assert state.keys() == {"a", "b", "c"}
    assert torch.equal(state["a"], weight.detach())
    assert torch.equal(state["b"], view)


# Pickles with code, and things that are no checkpoints


class _Attack:
    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, tuple[Any, ...]]:
        return self.call, self.arguments


def _attacks(witness: Path) -> dict[str, _Attack]:
    script = f"open({str(witness)!r}, 'w').close()"
    return {
        "os.system": _Attack(os.system, f"touch {witness}"),
        "eval": _Attack(eval, script),
        "exec": _Attack(exec, script),
        "getattr": _Attack(getattr, os, "system"),
        "os.makedirs": _Attack(os.makedirs, str(witness)),
    }


@pytest.mark.parametrize("attack", ["os.system", "eval", "exec", "os.makedirs"])
@pytest.mark.parametrize("form", ["zip", "old", "bare pickle", "beside weights"])
def test_code_in_a_pickle_is_refused_and_not_run(attack: str, form: str, tmp_path: Path) -> None:
    witness, path = tmp_path / "was-here", tmp_path / "evil.pth"
    evil: Any = _attacks(witness)[attack]
    if form == "bare pickle":
        path.write_bytes(pickle.dumps(evil))
    elif form == "beside weights":
        torch.save({"state_dict": {"conv1.weight": torch.zeros(3)}, "hyper_parameters": evil}, path)
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=form == "zip")
    text = refusal(lambda: open_checkpoint(path))
    assert text.startswith(f"{path}: has code in it (")
    assert "not run" in text
    assert not witness.exists()
    pickle.loads(pickle.dumps(evil))
    assert witness.exists(), "the attack works where nothing stops it, so the test can fail"


def test_code_behind_a_torch_helper_is_not_run(tmp_path: Path) -> None:
    witness, path = tmp_path / "was-here", tmp_path / "evil.pth"
    inner = pickle.dumps(_attacks(witness)["os.makedirs"])
    torch.save({"w": torch.zeros(1), "x": _Attack(torch.storage._load_from_bytes, inner)}, path)
    assert state_of(path).keys() == {"w"}, "the helper that would unpickle again is an empty shell"
    assert not witness.exists()


def test_things_that_are_no_checkpoints(tmp_path: Path, trained_state: MakeState) -> None:
    def reading(name: str, content: bytes | None = None) -> str:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        text = refusal(lambda: open_checkpoint(path))
        assert text.startswith(f"{path}: ")
        return text.removeprefix(f"{path}: ")

    assert reading("absent.pth") == "no such file"
    (tmp_path / "folder.pth").mkdir()
    assert reading("folder.pth") == "not a file"
    assert reading("empty.pth", b"") == "is empty"
    assert reading("text.pth", b"<html>quota exceeded</html>").startswith("not a readable checkpoint: ")
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": trained_state("resnet18")}, whole)
    content = whole.read_bytes()
    assert reading("half.pth", content[: len(content) // 2]).startswith("not a readable checkpoint: ")
    old = tmp_path / "old.pth"
    torch.save(trained_state("resnet18"), old, _use_new_zipfile_serialization=False)
    content = old.read_bytes()
    assert reading("half-old.pth", content[: len(content) // 2]).startswith("not a readable checkpoint: ")
    assert reading("broken.safetensors", content).startswith("not a readable safetensors file: ")
    save_file({}, tmp_path / "none.safetensors")
    assert reading("none.safetensors") == "holds no tensors"
    save_file({"a": torch.zeros(1)}, tmp_path / "card.safetensors", metadata={"g2d_bench": "{"})
    assert reading("card.safetensors").startswith("g2d_bench: its model card is not JSON")


def test_other_things_that_torch_saves(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"epoch": 3, "args": {}}, path)
    assert refusal(lambda: open_checkpoint(path)) == f"{path}: holds no state dict (keys epoch, args)"
    torch.save([torch.zeros(1)], path)
    assert refusal(lambda: open_checkpoint(path)) == f"{path}: holds no state dict (no dictionary)"
    torch.save(nn.Linear(2, 2), path)
    assert "holds no state dict" in refusal(lambda: open_checkpoint(path))
    torch.jit.script(nn.Linear(2, 2)).save(str(path))  # type: ignore[no-untyped-call]
    assert "TorchScript" in refusal(lambda: open_checkpoint(path))
    with tarfile.open(path, "w") as archive:
        archive.add(__file__, "x")
    assert "tar archive" in refusal(lambda: open_checkpoint(path))


def test_tensor_hash_sees_values_shape_and_type() -> None:
    a = torch.arange(6.0)
    hashes = {
        tensor_hash([a]),
        tensor_hash([a.reshape(2, 3)]),
        tensor_hash([a.to(torch.float64)]),
        tensor_hash([a + 1e-7]),
        tensor_hash([a, a]),
    }
    assert len(hashes) == 5
    assert tensor_hash([a.reshape(2, 3).t().contiguous().t()]) == tensor_hash([a.reshape(2, 3)])
    assert tensor_hash([torch.tensor(3)]) != tensor_hash([torch.tensor(4)])
