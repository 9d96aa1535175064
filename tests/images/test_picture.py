"""Pictures from Pillow images, tensors and arrays, their sizes, and the way back."""

import io
import sys
import types

import numpy as np
import pytest
import torch
from picture_files import (
    noise,
    refused,
)
from PIL import Image

from styleshuffle.errors import SettingsError
from styleshuffle.images import fit_size, read, to_pil


def test_pillow_image_is_not_changed():
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([10, 20, 30, 40, 50, 60])
    image.info["transparency"] = 1
    read(image)
    assert image.mode == "P" and image.tobytes() == bytes([0, 1]) and image.info == {"transparency": 1}


def test_tensors_and_arrays():
    pixels = noise()
    chw = torch.from_numpy(pixels).permute(2, 0, 1)
    for source in (pixels, chw, chw[None], np.asfortranarray(pixels)):
        picture = read(source)
        assert picture.bits == 8 and np.array_equal(picture.rgb, pixels)
    unit = chw.double() / 255
    for source in (unit, unit.float()[None].requires_grad_(), unit.permute(1, 2, 0).numpy()):
        picture = read(source)
        assert picture.bits == 16 and picture.rgb.dtype == np.float32
        assert np.allclose(picture.rgb, pixels / 255, atol=1e-7)
        assert np.array_equal(np.array(picture.pil()), pixels)
    assert read(torch.ones(3, 2, 2).bfloat16()).rgb.max() == 1
    source = pixels.copy()
    picture = read(source)
    source[:] = 0
    assert np.array_equal(picture.rgb, pixels)


@pytest.mark.parametrize(
    "source, word",
    [
        (torch.zeros(2, 3, 4, 4), "(2, 3, 4, 4)"),
        (torch.zeros(4, 4, 3), "(4, 4, 3)"),
        (torch.zeros(3, 0, 4), "(3, 0, 4)"),
        (torch.zeros(4, 4), "(4, 4)"),
        (torch.zeros(3, 4, 4, dtype=torch.int64), "int64"),
        (torch.zeros(3, 4, 4, dtype=torch.bool), "bool"),
        (torch.full((3, 4, 4), 255.0), "255"),
        (torch.full((3, 4, 4), -0.5), "-0.5"),
        (torch.full((3, 4, 4), float("nan")), "nan"),
        (np.zeros((4, 4), np.uint8), "(4, 4)"),
        (np.zeros((3, 4, 4), np.uint8), "(3, 4, 4)"),
        (np.zeros((0, 4, 3), np.uint8), "(0, 4, 3)"),
        (np.zeros((4, 4, 3), np.uint16), "uint16"),
        (np.full((4, 4, 3), np.inf), "inf"),
        (Image.new("RGB", (0, 5)), "0 x 5"),
        (17, "int"),
        (None, "NoneType"),
    ],
)
def test_unusable_objects_are_refused(source, word):
    assert word in refused(read, source)


def test_tensor_of_a_picture():
    pixels = noise()
    tensor = read(pixels).tensor()
    assert tensor.shape == (1, 3, 24, 30) and tensor.dtype == torch.float32 and tensor.is_contiguous()
    assert torch.equal(tensor[0], torch.from_numpy(pixels).permute(2, 0, 1) / 255)
    assert torch.equal(read(pixels).tensor((30, 24)), tensor)


def test_tensor_is_a_copy():
    for source in (noise(), noise() / 255):
        picture = read(source)
        before = picture.rgb.copy()
        picture.tensor().zero_()
        assert np.array_equal(picture.rgb, before)


@pytest.mark.parametrize("scale", [1, 255])
def test_resizing_is_antialiased_and_in_range(scale):
    board = np.indices((64, 64)).sum(0) % 2
    source = np.repeat(board[..., None], 3, 2) * (255 if scale == 255 else 1.0)
    picture = read(source.astype(np.uint8 if scale == 255 else np.float32))
    small = picture.tensor((8, 4))
    assert small.shape == (1, 3, 4, 8) and (small[..., 1:-1, 1:-1] - 0.5).abs().max() < 0.02
    edge = np.zeros((8, 8, 3))
    edge[:, 4:] = scale
    large = read(edge.astype(np.uint8 if scale == 255 else np.float32)).tensor((50, 20))
    assert large.shape == (1, 3, 20, 50) and large.min() == 0 and large.max() == 1  # Lanczos overshoots by itself
    flat = read(np.full((7, 5, 3), 0.3)).tensor((3, 3))
    assert torch.allclose(flat, torch.tensor(0.3), atol=1e-6)


def test_resizing_to_nothing_is_refused():
    with pytest.raises(SettingsError):
        read(noise()).tensor((0, 4))


@pytest.mark.parametrize(
    "size, long_side, expected",
    [
        ((400, 300), None, (400, 300)),
        ((400, 300), 200, (200, 150)),
        ((300, 400), 200, (150, 200)),
        ((400, 300), 800, (800, 600)),
        ((5, 5), 7, (7, 7)),
        ((1000, 1), 10, (10, 1)),
        ((3, 1000), 100, (1, 100)),
        ((1000, 667), 500, (500, 334)),  # 333.5
        ((1000, 666), 500, (500, 333)),
    ],
)
def test_fit_size(size, long_side, expected):
    assert fit_size(size, long_side) == expected


@pytest.mark.parametrize("size, long_side", [((4, 3), 0), ((4, 3), -5), ((0, 3), 5), ((4, 0), None)])
def test_fit_size_refusals(size, long_side):
    with pytest.raises(SettingsError, match="; give"):
        fit_size(size, long_side)


def test_to_pil_rounds_and_clips():
    values = torch.tensor([0.0, 1.0, -0.3, 1.7, 0.5 / 255 + 1e-5, 0.5 / 255 - 1e-5, 254.6 / 255, 100.4 / 255])
    expected = [0, 255, 0, 255, 1, 0, 255, 100]
    image = to_pil(values.expand(1, 3, 1, 8))
    assert image.mode == "RGB" and np.array(image)[0, :, 1].tolist() == expected
    levels = torch.arange(256).float() / 255
    assert np.array(to_pil(levels.expand(3, 1, 256)))[0, :, 0].tolist() == list(range(256))
    assert np.array(to_pil(levels.half().expand(3, 1, 256)))[0, :, 0].tolist() == list(range(256))
    assert np.array(to_pil(torch.full((3, 1, 1), 200, dtype=torch.uint8))).tolist() == [[[200] * 3]]


def test_to_pil_leaves_the_tensor_alone():
    tensor = torch.rand(3, 4, 5, requires_grad=True)
    before = tensor.detach().clone()
    to_pil(tensor)
    assert torch.equal(tensor.detach(), before)


def test_to_pil_with_alpha():
    alpha = np.array([[0, 128], [255, 7]], np.uint8)
    image = to_pil(torch.zeros(3, 2, 2), alpha)
    assert image.mode == "RGBA" and np.array(image)[..., 3].tolist() == alpha.tolist()
    assert np.array(to_pil(torch.zeros(3, 2, 2), alpha / 255))[..., 3].tolist() == alpha.tolist()
    grown = np.array(to_pil(torch.zeros(3, 6, 8), np.full((3, 4), 90, np.uint8)))
    assert grown.shape == (6, 8, 4) and (grown[..., 3] == 90).all()


def test_to_pil_refusals():
    assert "finite" in refused(to_pil, torch.full((3, 2, 2), float("nan")))
    assert "(3, 2)" in refused(to_pil, torch.zeros(3, 2))
    assert "the alpha" in refused(to_pil, torch.zeros(3, 2, 2), np.zeros((2, 2, 1), np.uint8))
    assert "int64" in refused(to_pil, torch.zeros(3, 2, 2), np.zeros((2, 2), np.int64))


def test_a_torch_that_another_thread_is_importing_disturbs_nothing(monkeypatch):
    """As in the page's server, which reads pictures while its painter loads torch."""
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))  # it has no Tensor yet
    buffer = io.BytesIO()
    Image.new("RGB", (4, 2), "red").save(buffer, "PNG")
    buffer.seek(0)
    assert read(buffer).size == (4, 2)
