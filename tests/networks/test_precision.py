"""Networks in 16 bits: near those in float32, in float32 outside, chosen by what the processor can do."""

from __future__ import annotations

import math
from copy import deepcopy

import pytest
import torch
from helpers import sample_image

from styleshuffle import Stylizer
from styleshuffle.errors import SettingsError
from styleshuffle.networks import precision
from styleshuffle.networks.decoder import Decoder
from styleshuffle.networks.precision import choose_precision, computing_in
from styleshuffle.networks.vgg import VGG

CPU, GPU = torch.device("cpu"), torch.device("cuda")


@pytest.mark.parametrize("instructions", [True, False])
def test_auto_takes_bfloat16_where_the_processor_has_it(monkeypatch: pytest.MonkeyPatch, instructions: bool) -> None:
    monkeypatch.setattr(precision, "has_bfloat16", lambda: instructions)
    assert choose_precision("auto", CPU) == (torch.bfloat16 if instructions else torch.float32)
    assert choose_precision("auto", CPU, gradients=True) == torch.float32
    assert choose_precision("auto", GPU) == torch.float32
    assert choose_precision("bfloat16", CPU) == torch.bfloat16 and choose_precision("float16", GPU) == torch.float16


@pytest.mark.parametrize(("name", "reason"), [("float16", "needs a GPU"), ("half", "use one of auto, float32")])
def test_what_cannot_be_is_refused(name: str, reason: str) -> None:
    with pytest.raises(SettingsError, match=f"precision: .*{reason}"):
        Stylizer(device="cpu", precision=name)


@pytest.mark.parametrize(
    ("capabilities", "has"), [({"avx512_bf16": True}, True), ({"avx512_f": True}, False), ({}, False)]
)
def test_the_processor_is_asked(monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], has: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert precision.has_bfloat16() is has


def test_features_and_pictures_are_near_those_of_float32_and_are_float32(encoder: VGG, decoder: Decoder) -> None:
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    short = [computing_in(deepcopy(net), torch.bfloat16) for net in (encoder, decoder)]
    with torch.inference_mode():
        whole, half = encoder(picture, [4, 3, 2, 1]), short[0](picture, [4, 3, 2, 1])
        for level, features in whole.items():
            assert half[level].dtype == torch.float32
            assert float((half[level] - features).norm()) < 0.02 * float(features.norm())
        drawn, drawn_half = decoder(whole[1], 1), short[1](whole[1], 1)
    assert drawn_half.dtype == torch.float32 and float((drawn - drawn_half).abs().max()) < 0.05


def test_a_picture_of_bfloat16_networks_has_no_bands(encoder: VGG, decoder: Decoder) -> None:
    """Numbers of bfloat16 lie 1/256 apart above 0.5; the picture has finer ones."""
    ramp = torch.linspace(0.55, 0.9, 64 * 64).view(1, 1, 64, 64).expand(1, 3, 64, 64)
    short = computing_in(deepcopy(decoder), torch.bfloat16)
    with torch.inference_mode():
        drawn = short(encoder(ramp, [1])[1], 1)
    assert drawn.dtype == torch.float32 and len(drawn[0, 1].unique()) > 2000


def test_pictures_differ_little() -> None:
    content = sample_image("content/cat.jpg", (96, 72))
    style = sample_image("style/swirling_night.jpg", (96, 80))
    results = [
        torch.tensor(list(Stylizer(device="cpu", precision=name).set_style(style).stylize(content).tobytes()))
        for name in ("float32", "bfloat16")
    ]
    noise = float((results[0] - results[1]).float().square().mean())
    assert 10 * math.log10(255**2 / noise) > 25  # single matches differ
