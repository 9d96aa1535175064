"""The decoder chain: what each segment gives, how well photographs come back, and whose decoder it is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from helpers import sample_tensor

from styleshuffle.errors import WeightsError
from styleshuffle.networks.decoder import SEGMENTS, Decoder, decoder_for, load_decoder, save_decoder
from styleshuffle.networks.vgg import VGG
from styleshuffle.training import decoding
from styleshuffle.training.decoding import WhitenedDecoder, psnr, reconstruct


@pytest.mark.parametrize("level", [1, 2, 3, 4])
def test_each_segment_gives_the_next_finer_level(encoder: VGG, level: int) -> None:
    decoder = decoder_for(encoder)
    with torch.inference_mode():
        found = decoder(torch.rand(2, encoder.channels[level], 4, 6), level)
    assert found.shape == ((2, encoder.channels[level - 1], 8, 12) if level > 1 else (2, 3, 4, 6))
    assert level == 1 or float(found.min()) >= 0


def test_the_folded_decoder_is_the_same_function(encoder: VGG) -> None:
    torch.manual_seed(0)
    crops = (torch.rand(6, 3, 4, 4).repeat_interleave(8, 2).repeat_interleave(8, 3) * 255).byte()
    whitened = WhitenedDecoder(encoder, crops)
    for name, parameter in whitened.named_parameters():  # biases start at 0, which would hide a wrong fold
        if name.endswith("bias"):
            torch.nn.init.uniform_(parameter, -0.2, 0.2)
    plain = whitened.folded(encoder)
    with torch.inference_mode():
        for level, features in encoder(crops.float() / 255, SEGMENTS["compact"]).items():
            expected, found = whitened(features, level), plain(features, level)
            assert float(expected.std()) > 0
            assert float((found - expected).norm() / expected.norm()) < 1e-3


@pytest.mark.parametrize(("level", "floor"), [(2, 22.0), (4, 16.0)])
@pytest.mark.parametrize("name", ["cat.jpg", "coffee.jpg"])
def test_the_bundled_networks_give_photographs_back(
    encoder: VGG, decoder: Decoder, name: str, level: int, floor: float
) -> None:
    picture = sample_tensor(f"content/{name}", (192, 128))
    assert psnr(encoder, decoder, picture, level) > floor
    back = reconstruct(encoder, decoder, picture, level)
    assert back.shape == picture.shape and float(back.min()) >= 0 and float(back.max()) <= 1


def test_psnr_of_a_known_error(encoder: VGG, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "reconstruct", lambda encoder, decoder, pictures, level: pictures + 0.1)
    assert psnr(encoder, None, torch.rand(5, 3, 8, 8), 1, batch=2) == pytest.approx(20, abs=1e-3)


def test_a_decoder_belongs_to_its_encoder(encoder: VGG, tmp_path: Path) -> None:
    torch.manual_seed(0)
    decoder = decoder_for(encoder)
    save_decoder(decoder, encoder, tmp_path / "decoder.safetensors")
    loaded = load_decoder(encoder, tmp_path / "decoder.safetensors")
    for key, value in decoder.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value.half().float())
    with pytest.raises(WeightsError, match=r"decoder\.safetensors: was trained for another encoder"):
        load_decoder(VGG(), tmp_path / "decoder.safetensors")
