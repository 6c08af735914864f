from __future__ import annotations

import json
from collections.abc import Sequence
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from g2d_bench.encoders.decoder import PAPER_WIDTHS, PHANTOM_WIDTHS, UNetDecoder, doubled, load_smp_decoder
from g2d_bench.encoders.image import ImageEncoder
from g2d_bench.errors import InputError

STRIDES = (2, 4, 8, 16, 32)
PHANTOM_CHANNELS = (16, 16, 32, 64, 192)


class SmpBlock(nn.Module):
    """The decoder block of segmentation-models-pytorch, by its documented arithmetic and names."""

    def __init__(self, below: int, skip: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(below + skip, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )

    def forward(self, x: Tensor, skip: Tensor | None) -> Tensor:
        x = functional.interpolate(x, scale_factor=2, mode="nearest")
        if skip is not None:
            x = torch.cat([x, skip], dim=1)
        return cast(Tensor, self.conv2(self.conv1(x)))


class SmpUnet(nn.Module):
    """What lies behind an smp.Unet's encoder."""

    def __init__(self, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        decoder = nn.Module()
        below = [channels[-1], *widths[:-1]]
        skips = [*channels[-2::-1], 0]
        decoder.blocks = nn.ModuleList(
            SmpBlock(b, s, w) for b, s, w in zip(below, skips, widths, strict=True)
        )
        self.decoder = decoder
        self.segmentation_head = nn.Sequential(nn.Conv2d(widths[-1], 1, 3, padding=1), nn.Identity())

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        x = pyramid[-1]
        skips: list[Tensor | None] = [*pyramid[-2::-1], None]
        for block, skip in zip(cast(nn.ModuleList, self.decoder.blocks), skips, strict=True):
            x = block(x, skip)
        return cast(Tensor, self.segmentation_head(x))


def pyramid(channels: Sequence[int], strides: Sequence[int], side: int, batch: int = 2) -> list[Tensor]:
    return [
        torch.randn(batch, c, -(-side // s), -(-side // s)) for c, s in zip(channels, strides, strict=True)
    ]


@pytest.fixture
def smp() -> SmpUnet:
    torch.manual_seed(0)
    unet = SmpUnet((4, 6, 8, 10, 12), (9, 8, 7, 6, 5))
    for module in unet.modules():
        if isinstance(module, nn.BatchNorm2d):  # statistics that matter
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
            nn.init.normal_(module.weight)
    return unet


@pytest.mark.parametrize("training", [False, True])
def test_smp_weights_give_the_same_logits(smp: SmpUnet, training: bool) -> None:
    state = {f"img_model.{name}": tensor for name, tensor in smp.state_dict().items()}
    state["img_model.encoder.conv1.weight"] = torch.zeros(1)
    ours = load_smp_decoder(state, (4, 6, 8, 10, 12), STRIDES, prefix="img_model.")
    maps = pyramid((4, 6, 8, 10, 12), STRIDES, 64)
    ours.train(training), smp.train(training)
    assert torch.equal(ours(maps), smp(maps))


def test_smp_weights_that_do_not_fit_are_refused(smp: SmpUnet) -> None:
    state = smp.state_dict()
    with pytest.raises(InputError, match=r"no U-Net decoder under 'other\.'"):
        load_smp_decoder(state, (4, 6, 8, 10, 12), STRIDES, prefix="other.")
    with pytest.raises(InputError, match=r"does not fit.*blocks\.0\.conv1\.0\.weight"):
        load_smp_decoder(state, (4, 6, 8, 11, 12), STRIDES)
    del state["decoder.blocks.3.conv1.1.running_mean"]
    with pytest.raises(InputError, match=r"Missing.*blocks\.3\.conv1\.1\.running_mean"):
        load_smp_decoder(state, (4, 6, 8, 10, 12), STRIDES)
    headless = {name: tensor for name, tensor in smp.state_dict().items() if "head" not in name}
    with pytest.raises(InputError, match="no U-Net decoder"):
        load_smp_decoder(headless, (4, 6, 8, 10, 12), STRIDES)


def test_phantom_decoder_is_small_and_fills_the_image() -> None:
    decoder = UNetDecoder(PHANTOM_CHANNELS, STRIDES, PHANTOM_WIDTHS)
    assert sum(p.numel() for p in decoder.parameters()) <= 350_000
    assert decoder(pyramid(PHANTOM_CHANNELS, STRIDES, 128)).shape == (2, 1, 128, 128)


def test_resnet50_widths_count_as_in_smp() -> None:
    decoder = UNetDecoder((64, 256, 512, 1024, 2048), STRIDES)
    # sum over blocks of 9 (in + out) out weights and 4 out for the two norms, then the head.
    blocks = [(3072, 256), (768, 128), (384, 64), (128, 32), (32, 16)]
    expected = sum(9 * (i + o) * o + 4 * o for i, o in blocks) + 9 * 16 + 1
    assert sum(p.numel() for p in decoder.parameters()) == expected
    assert decoder.options["widths"] == list(PAPER_WIDTHS)


@pytest.mark.parametrize("upsample", ["nearest", "bilinear"])
@pytest.mark.parametrize("norm", ["batch", "group"])
def test_every_map_and_parameter_takes_part(norm: str, upsample: str) -> None:
    channels = (4, 4, 6, 6, 8)
    decoder = UNetDecoder(channels, STRIDES, (8, 6, 6, 5, 4), 2, norm=norm, upsample=upsample)  # type: ignore[arg-type]
    maps = [level.requires_grad_() for level in pyramid(channels, STRIDES, 64)]
    decoder(maps).square().sum().backward()
    for tensor in (*maps, *decoder.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0
    rebuilt = UNetDecoder(channels, STRIDES, **json.loads(json.dumps(decoder.options)))
    rebuilt.load_state_dict(decoder.state_dict())
    assert torch.equal(rebuilt.eval()(maps), decoder.eval()(maps))


def test_group_norm_does_not_mix_images() -> None:
    decoder = UNetDecoder((4, 6), (2, 4), (7, 5), norm="group")
    maps = pyramid((4, 6), (2, 4), 16, batch=3)
    alone = decoder([level[:1] for level in maps])
    torch.testing.assert_close(decoder(maps)[:1], alone)


def test_vit_pyramid() -> None:
    decoder = UNetDecoder((12,) * 4, (16,) * 4, (16, 12, 8, 8, 4))
    maps = [level.requires_grad_() for level in pyramid((12,) * 4, (16,) * 4, 96)]
    logits = decoder(maps)
    assert logits.shape == (2, 1, 96, 96)
    logits.square().sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in maps)


def test_sides_that_are_no_multiple_of_the_stride() -> None:
    decoder = UNetDecoder((4, 4, 6, 6, 8), STRIDES, (8, 6, 6, 5, 4))
    maps = pyramid((4, 4, 6, 6, 8), STRIDES, 75)  # sides 38, 19, 10, 5, 3
    assert decoder(maps).shape == (2, 1, 76, 76)


def test_with_a_real_encoder() -> None:
    options = {"channels": [16, 32, 64, 192], "stem_type": "deep", "stem_width": 8, "avg_down": True}
    encoder = ImageEncoder("resnet18", options=options)
    assert encoder.channels == PHANTOM_CHANNELS
    decoder = UNetDecoder(encoder.channels, encoder.strides, PHANTOM_WIDTHS)
    assert decoder(encoder(torch.randn(2, 3, 64, 64)).pyramid).shape == (2, 1, 64, 64)


@pytest.mark.parametrize(
    ("channels", "strides", "widths", "match"),
    [
        ((4, 4), (2, 6), (4, 4, 4), "powers of two"),
        ((4, 4), (4, 2), (4, 4, 4), "powers of two"),
        ((4,), (2, 4), (4, 4, 4), "1 channels for 2 strides"),
        ((), (), (4, 4, 4), "0 channels"),
        ((4, 4), (8, 16), (), "needs widths above 0"),
        ((4, 4), (2, 4), (4, 0), "above 0"),
    ],
)
def test_shapes_that_cannot_be(
    channels: tuple[int, ...], strides: tuple[int, ...], widths: tuple[int, ...], match: str
) -> None:
    with pytest.raises(InputError, match=match):
        UNetDecoder(channels, strides, widths)


def test_another_number_of_maps() -> None:
    with pytest.raises(ValueError, match="built for 2 maps, not 3"):
        UNetDecoder((4, 4), (2, 4), (4, 4))(pyramid((4, 4, 4), (2, 4, 8), 16))


def test_fewer_blocks_than_doublings_end_in_an_upsampling() -> None:
    """The logits of the last block, enlarged to the input's size."""
    torch.manual_seed(0)
    decoder = UNetDecoder((4, 4, 4), (2, 4, 8), (6, 5)).eval()
    pyramid = [torch.randn(2, 4, side, side) for side in (16, 8, 4)]
    coarse = decoder.head(
        decoder.blocks[1](
            torch.cat(
                [
                    functional.interpolate(
                        decoder.blocks[0](
                            torch.cat([functional.interpolate(pyramid[2], scale_factor=2), pyramid[1]], 1)
                        ),
                        scale_factor=2,
                    ),
                    pyramid[0],
                ],
                1,
            )
        )
    )
    logits = decoder(pyramid)
    assert logits.shape == (2, 1, 32, 32)
    expected = functional.interpolate(coarse, size=(32, 32), mode="bilinear", align_corners=False)
    torch.testing.assert_close(logits, expected)


@pytest.mark.parametrize("side", [1, 2, 7])
def test_doubling_by_shifts_is_bilinear(side: int) -> None:
    x = torch.randn(2, 3, side, side + 1, dtype=torch.float64, requires_grad=True)
    wanted = torch.nn.functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
    found = doubled(x)
    torch.testing.assert_close(found, wanted)
    weight = torch.randn_like(found)
    one, other = (torch.autograd.grad((y * weight).sum(), x)[0] for y in (found, wanted))
    torch.testing.assert_close(one, other)
