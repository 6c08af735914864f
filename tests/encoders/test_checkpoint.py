from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from refusing import refusal
from safetensors.torch import save_file
from torch import Tensor

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
from g2d_bench.encoders.image_side import build_image
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
COUNTS = {"imagenet.r50 old": 265, "medklip.r50": 258, "mrm.vit-b16": 148}
PLAIN = Layout(layout="plain", expect=318)


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


def test_a_prefix_without_its_point_is_told_what_stands_behind_it(trained_state: MakeState) -> None:
    state = {f"enc.{name}": tensor for name, tensor in trained_state("resnet50").items()}
    body = ImageEncoder("resnet50", options={"channels": [8, 8, 8, 8]}).body
    report = match(Checkpoint(Path("x"), {"": state}), Layout(layout="l", prefix="enc"), body)
    assert report.reason == (
        "the entries under 'enc' have other names (enc.conv1.weight, enc.bn1.weight, ...; "
        "expected conv1.weight, bn1.weight, ...)"
    )


@pytest.mark.parametrize(
    "layout",
    [Layout(layout="l", prefix=["teacher.", "student."]), Layout(layout="l", rename={"teacher.": ""})],
)
def test_two_entries_of_one_name_are_refused_unless_they_are_the_same(
    layout: Layout, trained_state: MakeState
) -> None:
    state = trained_state("resnet50")
    body = ImageEncoder("resnet50", options={"channels": [8, 8, 8, 8]}).body
    second = "student." if layout.prefix else ""
    both = {f"{start}{name}": tensor for start in ("teacher.", second) for name, tensor in state.items()}
    saved_twice = match(Checkpoint(Path("x"), {"": both}), layout, body)
    assert saved_twice.ok
    assert saved_twice.matched == 318
    name = "layer1.0.conv1.weight"
    both[f"{second}{name}"] = state[name] + 1
    assert match(Checkpoint(Path("x"), {"": both}), layout, body).reason == (
        f"teacher.{name} and {second}{name} differ and both become {name}; "
        "the card must let one of them alone through"
    )


def test_what_is_expected_is_the_least(trained_state: MakeState) -> None:
    state = trained_state("resnet50")
    body = ImageEncoder("resnet50", options={"channels": [8, 8, 8, 8]}).body
    half = {name: tensor for name, tensor in state.items() if not name.startswith("layer4.2.")}
    least = match(Checkpoint(Path("x"), {"": half}), Layout(layout="l", expect=5), body)
    assert least.reason.startswith("300 of 318 entries match, 18 missing (")
    more = match(Checkpoint(Path("x"), {"": half}), Layout(layout="l", expect=400), body)
    assert more.reason.startswith("300 of 400 entries match, 18 missing (")
    whole = match(Checkpoint(Path("x"), {"": state}), Layout(layout="l", missing_ok=["*"]), body)
    assert (whole.ok, whole.matched, whole.wanted) == (True, 318, 318)


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
