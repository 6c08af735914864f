from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from g2d_bench.encoders.image import ImageEncoder, ImageFeatures
from g2d_bench.encoders.text import TextStates
from g2d_bench.errors import InputError
from g2d_bench.pretrain.g2d import BOUND, G2D, GUARDS, released_segmentation_loss, segmentation_loss
from g2d_bench.pretrain.objective import Batch, make_objective
from g2d_bench.pretrain.pseudo_mask import PseudoMaskConfig, pseudo_masks


def paper_loop(z: Tensor, m: Tensor, smooth: float = 1.0) -> float:
    """Half of (mean Dice loss of the images + mean cross-entropy of the pixels), pixel by pixel."""
    dice = bce = 0.0
    for image, mask in zip(z.tolist(), m.tolist(), strict=True):
        overlap = total = 0.0
        for row, targets in zip(image[0], mask[0], strict=True):
            for logit, target in zip(row, targets, strict=True):
                p = 1 / (1 + math.exp(-logit))
                overlap += p * target
                total += p + target
                bce -= target * math.log(p) + (1 - target) * math.log(1 - p)
        dice += 1 - (2 * overlap + smooth) / (total + smooth)
    return 0.5 * (dice / len(z) + bce / z.numel())


def released_loop(z: Tensor, m: Tensor) -> float:
    dice = bce = 0.0
    for image, mask in zip(z.tolist(), m.tolist(), strict=True):
        overlap = total = 0.0
        for row, targets in zip(image[0], mask[0], strict=True):
            for logit, target in zip(row, targets, strict=True):
                overlap += logit * target
                total += logit + target
                bce += math.log1p(math.exp(logit)) - target * logit
        dice += 1 - (2 * overlap + 1e-5) / (total + 1e-5)
    return dice / len(z) + 0.2 * bce / z.numel()


def numerical_gradient(loss: Callable[[Tensor], float], at: Tensor) -> Tensor:
    gradient = torch.zeros_like(at)
    for place in range(at.numel()):
        step = torch.zeros(at.numel(), dtype=at.dtype)
        step[place] = 1e-6
        step = step.reshape(at.shape)
        gradient.view(-1)[place] = (loss(at + step) - loss(at - step)) / 2e-6
    return gradient


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    """Models this small only lose by threads, badly so on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def problem(seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(3, 1, 4, 5, dtype=torch.double, generator=generator) + 1.5
    masks = (torch.rand(3, 1, 4, 5, generator=generator) < 0.4).double()
    return logits, masks


@pytest.mark.parametrize(
    ("ours", "loop"), [(segmentation_loss, paper_loop), (released_segmentation_loss, released_loop)]
)
def test_losses_and_gradients_equal_the_loops(
    ours: Callable[[Tensor, Tensor], Tensor], loop: Callable[[Tensor, Tensor], float]
) -> None:
    logits, masks = problem()
    masks[1] = 0
    masks[2] = 1
    z = logits.clone().requires_grad_()
    loss = ours(z, masks)
    torch.autograd.backward(loss)
    assert loss.item() == pytest.approx(loop(logits, masks), rel=1e-12)
    assert z.grad is not None
    expected = numerical_gradient(lambda at: loop(at, masks), logits)
    torch.testing.assert_close(z.grad, expected, rtol=1e-5, atol=1e-7)


def test_paper_loss_is_bounded_below_and_zero_for_the_mask_itself() -> None:
    _, masks = problem()
    assert float(segmentation_loss(1e3 * (2 * masks - 1), masks)) == pytest.approx(0, abs=1e-9)
    assert float(segmentation_loss(-1e3 * (2 * masks - 1), masks)) > 100
    empty = torch.zeros_like(masks)
    assert float(segmentation_loss(torch.full_like(masks, -1e3), empty)) == pytest.approx(0, abs=1e-9)


def nine_of_64() -> Tensor:
    mask = torch.zeros(64, dtype=torch.double)
    mask[:9] = 1
    return mask.reshape(1, 1, 8, 8).repeat_interleave(32, 2).repeat_interleave(32, 3)


@pytest.mark.parametrize(("inside", "outside"), [(5.0, -0.98), (10.0, -1.79), (54.0, -9.0)])
def test_released_loss_has_no_lower_bound(inside: float, outside: float) -> None:
    """9,216 pixels in the mask, 56,320 outside: D = 1 - (2 a 9216 + s) / (a 9216 + b 56320 + 9216 + s)."""
    mask = nine_of_64()
    logits = torch.where(mask > 0, inside, outside)
    below = 9216 * inside + 56320 * outside + 9216 + 1e-5
    dice = 1 - (2 * 9216 * inside + 1e-5) / below
    loss = float(released_segmentation_loss(logits, mask, guard="none"))
    assert loss == pytest.approx(dice, rel=1e-3)
    assert loss < -200
    if outside == -0.98:
        assert round(loss) == -899
    if outside == -9.0:  # the denominator is the smoothing alone
        assert loss == pytest.approx(-2 * 54 * 9216 / 1e-5)
    assert float(released_segmentation_loss(logits, mask)) == pytest.approx(-BOUND, abs=0.2)
    with pytest.raises(InputError, match=r"segmentation: .* no lower bound; use variant 'paper'"):
        released_segmentation_loss(logits, mask, guard="error")


@pytest.mark.parametrize("shift", [0.0, 1e-4, -1e-4])
def test_guard_keeps_value_and_gradient_finite_at_the_pole(shift: float) -> None:
    mask = torch.zeros(1, 1, 2, 2)
    mask[..., 0, 0] = 1
    logits = torch.tensor([[[[2.0, -1.0], [-1.0, -1.0 + shift]]]], requires_grad=True)
    loss = released_segmentation_loss(logits, mask, smooth=0.0)
    torch.autograd.backward(loss)
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
    assert abs(loss.item()) < BOUND + 1
    # What is left pulls the logits to the mask.
    assert (logits.grad * (2 * mask - 1) < 0).all()


def test_guard_leaves_a_harmless_loss_and_a_nan_alone() -> None:
    logits, masks = problem()
    values = [float(released_segmentation_loss(logits, masks, guard=guard)) for guard in GUARDS]
    assert values[0] == values[1] == values[2]
    logits[0, 0, 0, 0] = math.nan
    assert released_segmentation_loss(logits, masks).isnan()


# The objective


OPTIONS = {"channels": [8, 8, 16, 16], "stem_type": "deep", "stem_width": 8, "zero_init_last": False}


def objective(**arguments: Any) -> tuple[G2D, ImageEncoder]:
    torch.manual_seed(0)
    encoder = ImageEncoder("resnet18", options=OPTIONS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = make_objective(
            "g2d",
            channels=encoder.channels,
            strides=encoder.strides,
            num_features=encoder.num_features,
            text_width=6,
            decoder={"widths": (8, 6, 4, 4)},
            heads={"level": -2, "dim": 16, "grid": 4},
            **arguments,
        )
    return cast(G2D, made), encoder


def inputs(batch: int = 4, side: int = 64) -> tuple[Batch, TextStates]:
    torch.manual_seed(1)
    states = TextStates((torch.randn(batch, 5, 6),), None, torch.ones(batch, 5).bool())
    return Batch(torch.rand(batch, 1, side, side), {}), states


def run(
    made: G2D, encoder: ImageEncoder, batch: Batch, states: TextStates
) -> tuple[dict[str, Tensor], ImageFeatures]:
    seen = encoder(2 * batch.grey.expand(-1, 3, -1, -1) - 1)
    return made(batch, seen, states), seen


def literal_alignment(image: Tensor, text: Tensor, tau: float) -> float:
    image, text, count = image.detach(), text.detach(), len(image)
    s = [
        [float(image[i] @ text[j] / image[i].norm() / text[j].norm()) / tau for j in range(count)]
        for i in range(count)
    ]
    total = 0.0
    for i in range(count):
        total += math.log(sum(math.exp(s[i][j]) for j in range(count))) - s[i][i]
        total += math.log(sum(math.exp(s[j][i]) for j in range(count))) - s[i][i]
    return total / count


@pytest.mark.parametrize("variant", ["paper", "released"])
def test_total_is_alignment_plus_segmentation(variant: str) -> None:
    made, encoder = objective(variant=variant)
    made.eval(), encoder.eval()
    made.double(), encoder.double()
    batch, states = inputs()
    batch = Batch(batch.grey.double(), {})
    states = TextStates((states.hidden[0].double(),), None, states.mask)
    made.at(10_000, 0)
    losses, seen = run(made, encoder, batch, states)
    embedding, attention = made.heads.pool(seen)
    text = made.heads.embed_text(states, {})
    assert losses["alignment"].item() == pytest.approx(
        literal_alignment(embedding.vector, text.vector, 0.07), rel=1e-9
    )
    masks = pseudo_masks(attention, batch.grey, PseudoMaskConfig(variant))  # type: ignore[arg-type]
    loss = segmentation_loss if variant == "paper" else released_segmentation_loss
    expected = loss(made.decoder(seen.pyramid), masks)
    torch.testing.assert_close(losses["segmentation"], expected)
    torch.testing.assert_close(losses["loss"], losses["alignment"] + losses["segmentation"])


def test_variants_differ_as_documented() -> None:
    paper, released = objective()[0], objective(variant="released")[0]
    assert (paper.alignment_steps, released.alignment_steps) == (0, 200)
    assert (paper.gather_negatives, released.gather_negatives) == (True, False)
    assert (paper.loss, released.loss) == ("paper", "released")
    assert (paper.config.variant, released.config.variant) == ("paper", "released")
    assert (paper.heads.text_rows, released.heads.text_rows) == ("cls", "all")


@pytest.mark.parametrize(
    ("variant", "step", "late"), [("paper", 0, True), ("released", 199, False), ("released", 200, True)]
)
def test_when_the_decoder_starts_to_learn(variant: str, step: int, late: bool) -> None:
    made, encoder = objective(variant=variant)
    made.at(step, 0)
    losses, _ = run(made, encoder, *inputs())
    torch.autograd.backward(losses["loss"])
    assert all((parameter.grad is not None) == late for parameter in made.decoder.parameters())
    assert set(losses) == {"loss", "alignment", "segmentation"}


def test_every_parameter_learns_and_masks_do_not_teach_the_pooling() -> None:
    made, encoder = objective()
    batch, states = inputs()
    losses, _ = run(made, encoder, batch, states)
    torch.autograd.backward(losses["segmentation"], retain_graph=True)
    assert all(parameter.grad is None for parameter in made.heads.parameters())
    torch.autograd.backward(losses["alignment"])
    # A bias of keys moves all scores of a query alike, so its gradient is nothing but rounding.
    for name, parameter in (*made.named_parameters(), *encoder.body.named_parameters()):
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().sum() > 0, name


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("grey", [0.0, 0.5, 1.0])
def test_constant_images(variant: str, grey: float) -> None:
    made, encoder = objective(variant=variant)
    made.at(500, 0)
    _, states = inputs()
    losses, _ = run(made, encoder, Batch(torch.full((4, 1, 64, 64), grey), {}), states)
    torch.autograd.backward(losses["loss"])
    assert losses["loss"].isfinite()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in encoder.body.parameters())


def test_inputs_that_are_no_multiple_of_the_stride() -> None:
    made, encoder = objective()
    losses, _ = run(made, encoder, *inputs(side=75))
    assert losses["loss"].isfinite()


def test_half_precision_features_give_single_precision_losses() -> None:
    made, encoder = objective()
    batch, states = inputs()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses, _ = run(made, encoder, batch, states)
    assert all(loss.dtype == torch.float32 and loss.isfinite() for loss in losses.values())


def test_it_learns_what_it_is_shown() -> None:
    """On four pairs, a few steps push both losses well below where they began."""
    made, encoder = objective()
    batch, states = inputs(side=32)
    optimiser = torch.optim.AdamW([*made.parameters(), *encoder.parameters()], lr=3e-3)
    curve = []
    for _ in range(20):
        losses, _ = run(made, encoder, batch, states)
        optimiser.zero_grad()
        torch.autograd.backward(losses["loss"])
        optimiser.step()
        curve.append((losses["alignment"].item(), losses["segmentation"].item()))
    assert curve[-1][0] < 0.5 * curve[0][0]
    assert curve[-1][1] < 0.9 * curve[0][1]


@pytest.mark.parametrize("guard", ["clamp", "none"])
def test_released_loss_says_what_it_is(guard: str) -> None:
    made, _ = objective()
    with pytest.warns(UserWarning, match="no lower bound"):
        G2D(made.heads, made.decoder, loss="released", guard=guard)  # type: ignore[arg-type]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        G2D(made.heads, made.decoder, loss="released", guard="error")
        G2D(made.heads, made.decoder)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"loss": "best"}, "constants.loss"),
        ({"guard": "maybe"}, "constants.guard"),
        ({"pseudo_mask": {"quantil": 0.5}}, "pseudo_mask.*quantil"),
        ({"pseudo_mask": {"quantile": 2}}, "pseudo_mask.quantile"),
        ({"variant": "draft"}, "variant"),
    ],
)
def test_options_that_cannot_be(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(InputError, match=match):
        objective(**arguments)


def test_decoder_and_head_options_that_cannot_be() -> None:
    shape: dict[str, Any] = {"channels": (4, 6), "strides": (2, 4), "num_features": 6, "text_width": 5}
    with pytest.raises(InputError, match=r"decoder: .*wdiths"):
        G2D.build(**shape, decoder={"wdiths": (4, 4)})
    with pytest.raises(InputError, match="3 attention heads"):
        G2D.build(**shape, decoder={"widths": (4, 4)}, heads={"heads": 3})


def test_fields_of_the_masks_join_those_of_the_variant() -> None:
    made, _ = objective(variant="released", pseudo_mask={"quantile": 0.75})
    assert made.config == PseudoMaskConfig("released", quantile=0.75)
