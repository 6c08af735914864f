"""What a model in memory may be, and what is said of one that is none."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import g2d_bench as gb
from g2d_bench.api.model import slug, wrap
from g2d_bench.errors import InputError

SPEC = gb.ImageSpec(64, scale="phantom")


class Gives(nn.Module):
    def __init__(self, what: Any) -> None:
        super().__init__()
        self.what = what

    def forward(self, x: Tensor) -> Any:
        return self.what(x)


@pytest.mark.parametrize(
    ("what", "text"),
    [
        (lambda x: x.mean(dim=(0, 2, 3))[None], "another number of rows than it was given images"),
        (lambda x: x @ torch.ones(3, 3), "does not take images"),
        (lambda x: x.sum(), "must give a vector"),
    ],
)
def test_a_model_that_does_not_fit_is_refused_in_one_line(what: Any, text: str) -> None:
    with pytest.raises(InputError, match=text) as caught:
        wrap(Gives(what), SPEC)
    assert "\n" not in str(caught.value)


def test_a_module_without_values_is_refused() -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    with pytest.raises(
        InputError, match=r"^model: torch\.nn\.modules\.container\.Sequential lies on the device"
    ):
        wrap(model, SPEC)


class Pair:
    """Takes images, and says of texts whatever it is told to."""

    def __init__(self, texts: Any) -> None:
        self.texts = texts

    def encode_image(self, images: Tensor) -> Tensor:
        return images.mean(dim=(2, 3))

    def encode_text(self, texts: list[str]) -> Tensor:
        return self.texts(texts)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        (lambda t: torch.ones(len(t), 5), r"must give a tensor \[2, 3\], .* not \[2, 5\]"),
        (lambda t: torch.ones(3), r"must give a tensor \[2, 3\], .* not \[3\]"),
        (lambda t: torch.ones(len(t), 3).numpy(), r"must give a tensor \[2, 3\], .* not ndarray"),
        (lambda t: torch.full((len(t), 3), float("nan")), "gives NaN or infinity; finite numbers are wanted"),
        (
            lambda t: nn.functional.embedding(t, torch.ones(3, 3)),
            "must take a list of texts, tokenizing them itself; it says TypeError: .*not list",
        ),
    ],
)
def test_a_text_side_that_does_not_fit_is_named(texts: Any, says: str) -> None:
    text: Any = wrap(Pair(texts), SPEC)[1].encoder.text
    with pytest.raises(InputError, match=rf"^model: {__name__}\.Pair\.encode_text {says}") as caught:
        text(text.tokenize(["a", "b"]))
    assert "\n" not in str(caught.value)


def test_a_text_side_that_wants_gradients_is_asked_without() -> None:
    wants = torch.nn.Parameter(torch.ones(1, 3))

    def texts(given: list[str]) -> Tensor:
        with torch.enable_grad():
            return wants.expand(len(given), 3) * 2

    text: Any = wrap(Pair(texts), SPEC)[1].encoder.text
    assert not text(text.tokenize(["a", "b"])).requires_grad


def test_pretraining_is_a_list_of_names(vector: nn.Module) -> None:
    with pytest.raises(InputError, match=r"^pretraining: must be a list of data sets, such as \['rsna'\]"):
        wrap(vector, SPEC, pretraining="rsna")
    with pytest.raises(InputError, match=r"^pretraining\[0\]: .*the name of a data set.*got '\?'"):
        wrap(vector, SPEC, pretraining=["?"])


def test_the_digest_is_of_state_class_and_spec(vector: nn.Module, pyramid: nn.Module) -> None:
    def digest(model: nn.Module, spec: gb.ImageSpec = SPEC) -> str:
        return wrap(model, spec)[1].digest

    first = digest(vector)
    assert first.startswith("memory:")
    assert digest(vector) == first
    assert digest(vector, gb.ImageSpec(96, scale="phantom")) != first
    assert digest(pyramid) != first
    with torch.no_grad():
        next(vector.parameters()).add_(1.0)
    assert digest(vector) != first


def test_names_come_from_the_class_or_are_given(vector: nn.Module) -> None:
    assert wrap(vector, SPEC)[0].name == "vector"
    card, _ = wrap(vector, SPEC, name="My Net (v2)", pretraining=["mimic-cxr"])
    assert (card.name, card.title, card.seen) == ("my-net-v2", "My Net (v2)", ("mimic-cxr",))
    assert slug("__") == "model"


@pytest.mark.parametrize(
    ("name", "gives"),
    [
        ("vector", {"vector"}),
        ("pyramid", {"vector", "maps"}),
        ("clip", {"vector", "text"}),
        ("local_clip", {"vector", "text", "cells"}),
    ],
)
def test_what_a_model_gives(name: str, gives: set[str], request: pytest.FixtureRequest) -> None:
    _, model = wrap(request.getfixturevalue(name), SPEC)
    assert model.encoder.gives == gives


def test_modules_of_a_plain_object_are_its_state(clip: nn.Module) -> None:
    class Plain:
        def __init__(self) -> None:
            self.net = clip

        def encode_image(self, images: Tensor) -> Tensor:
            return clip.encode_image(images)  # type: ignore[operator, no-any-return]

        def encode_text(self, texts: list[str]) -> Tensor:
            return clip.encode_text(texts)  # type: ignore[operator, no-any-return]

    _, before = wrap(Plain(), SPEC)
    assert before.encoder.gives == {"vector", "text"}
    assert before.notes["in_memory"]["state"].startswith("digest")
    with torch.no_grad():
        next(clip.parameters()).add_(1.0)
    assert wrap(Plain(), SPEC)[1].digest != before.digest


def test_an_object_without_state_says_so() -> None:
    class Means:
        def encode_image(self, images: Tensor) -> Tensor:
            return images.mean(dim=(2, 3))

        def encode_text(self, texts: list[str]) -> Tensor:
            return torch.ones(len(texts), 3)

    _, model = wrap(Means(), SPEC)
    assert model.notes["in_memory"]["state"] == "none that can be read"
    assert model.encoder.device == torch.device("cpu")


def test_what_a_model_keeps_of_a_call_can_be_trained_with() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))
            self.table: Tensor | None = None

        def forward(self, x: Tensor) -> Tensor:
            x.mul_(1.0)
            if self.table is None:
                self.table = torch.arange(3.0)
            return x.mean(dim=(2, 3)) * self.weight * self.table

    model = Keeps()
    wrap(model, SPEC)
    model(torch.ones(1, 3, 4, 4)).sum().backward()
    assert model.weight.grad is not None


class Nested:
    """Keeps its two sides in an object in an object."""

    def __init__(self, inner: Any) -> None:
        self.inner = [inner]

    def encode_image(self, images: Tensor) -> Tensor:
        return self.inner[0].encode_image(images)  # type: ignore[no-any-return]

    def encode_text(self, texts: list[str]) -> Tensor:
        return self.inner[0].encode_text(texts)  # type: ignore[no-any-return]


def ways(net: Any) -> dict[str, Any]:
    class Listed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.parts = [net]

        def forward(self, x: Tensor) -> Any:
            return self.parts[0](x)

    return {
        "bound": net.forward,
        "function": lambda x: net(x),
        "parts": lambda x: net.body(x).mean(dim=(2, 3)),
        "listed": Listed(),
    }


@pytest.mark.parametrize("way", ["bound", "function", "parts", "listed"])
def test_modules_take_part_wherever_they_lie(way: str, vector: nn.Module) -> None:
    vector.train()
    before = {name: value.clone() for name, value in vector.state_dict().items()}
    images = torch.rand(4, 3, 64, 64)
    given = ways(vector)[way]
    _, model = wrap(given, SPEC)
    image = model.encoder.image
    assert all(torch.equal(before[name], value) for name, value in vector.state_dict().items())
    assert all(part.training for part in vector.modules())
    assert set(vector.modules()) <= set(image.modules())
    assert model.notes["in_memory"]["state"].startswith("digest")
    wanted = vector.eval()(images)
    vector.train()
    image.eval()
    assert torch.equal(image(images).pooled, wanted)
    with torch.no_grad():
        next(vector.parameters()).add_(1.0)
    assert wrap(given, SPEC)[1].digest != model.digest


def test_a_function_is_asked_in_the_type_of_what_it_calls(vector: nn.Module) -> None:
    vector.bfloat16()
    image = wrap(lambda x: vector(x), SPEC)[1].encoder.image
    assert image(torch.rand(2, 3, 64, 64)).pooled.shape == (2, 8)
    with pytest.raises(InputError, match="does not take images"):
        wrap(lambda x: vector(x[:, :2]), SPEC)


def test_a_hidden_text_side_takes_part(clip: Any) -> None:
    class Sides:
        image, text, encode_image = clip.image, clip.text, staticmethod(clip.encode_image)
        encode_text = staticmethod(clip.encode_text)

    image = wrap(Nested(Sides()), SPEC)[1].encoder.image
    assert {*clip.image.modules(), *clip.text.modules()} <= set(image.modules())


def test_a_copy_has_modules_of_its_own_or_is_none(vector: nn.Module) -> None:
    for way in ("bound", "listed"):
        image = wrap(ways(vector)[way], SPEC)[1].encoder.image
        assert not set(copy.deepcopy(image).modules()) & set(image.modules())
    for way in ("function", "parts"):
        image = wrap(ways(vector)[way], SPEC)[1].encoder.image
        with pytest.raises(InputError, match="goes on computing with the original; give the module itself"):
            copy.deepcopy(image)


def test_a_copy_of_a_scripted_module_can_be_trained(vector: nn.Module) -> None:
    image = copy.deepcopy(wrap(torch.jit.script(vector), SPEC)[1].encoder.image).requires_grad_(True)
    image(torch.rand(2, 3, 64, 64)).pooled.sum().backward()
    assert all(one.is_leaf and one.grad is not None for one in image.parameters())


def test_what_is_made_anew_in_every_call_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"^model: torch\.nn\.modules\.linear\.Linear is made anew in every call"
    ):
        wrap(lambda x: nn.Linear(3, 4)(x.mean(dim=(2, 3))), SPEC)
    assert wrap(lambda x: nn.ReLU()(x).mean(dim=(2, 3)), SPEC)[1].encoder.gives == {"vector"}


def test_parameters_of_inference_mode_are_refused() -> None:
    with torch.inference_mode():
        model = nn.Sequential(nn.Conv2d(3, 4, 8, 8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(
        InputError, match=r"^model: has parameters that were made under torch\.inference_mode"
    ):
        wrap(model, SPEC)
