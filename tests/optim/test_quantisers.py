"""Quantisers: levels, ties, zeros and scales with known answers, and codes that survive packing to bits."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from styleshuffle.optim.quantisers import (
    decode,
    dequantise,
    encode,
    magnitudes,
    pack,
    packed_size,
    quantise,
    quantise_weights,
    scales,
    unpack,
)


def quantised(values: Tensor, bits: int) -> Tensor:
    """Q_g of one tensor."""
    scale = [float(value) for value in scales([values])]
    return dequantise(quantise([values], scale, bits), scale, [values.numel()], bits).view(values.shape)


def test_levels_are_zero_and_the_powers_of_two_that_fit() -> None:
    assert magnitudes(2) == [0, 1]
    assert magnitudes(3) == [0, 1 / 4, 1 / 2, 1]
    assert magnitudes(4) == [0, 1 / 64, 1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 1]
    for bits in (2, 3, 4):  # one code is left over: minus 0
        assert 2 * len(magnitudes(bits)) - 1 == 2**bits - 1


def test_ternary() -> None:
    values = torch.tensor([4.0, -4.0, 2.1, -2.1, 2.0, -2.0, 1.9, -1.9, 0.0])
    assert quantised(values, 2).tolist() == [4, -4, 4, -4, 0, 0, 0, 0, 0]


def test_seven_levels() -> None:
    values = torch.tensor([8.0, 6.1, 6.0, 5.9, 3.1, 3.0, 2.9, 1.1, 1.0, 0.9, 0.0])
    expected = [8, 8, 4, 4, 4, 2, 2, 2, 0, 0, 0]
    assert quantised(values, 3).tolist() == expected
    assert quantised(-values, 3).tolist() == [-value for value in expected]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_every_value_goes_to_the_nearest_level_and_every_tie_to_the_smaller(bits: int) -> None:
    units = torch.rand(2000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    levels = torch.tensor([sign * level for level in magnitudes(bits) for sign in (1, -1)])
    nearest = (units[:, None] - levels).abs().min(1).values
    assert torch.equal((units - decode(encode(units, bits), bits)).abs(), nearest)
    for lower, upper in pairwise(magnitudes(bits)):
        tie = torch.tensor((lower + upper) / 2)
        around = torch.stack([tie, torch.nextafter(tie, torch.tensor(1.0))])
        assert decode(encode(around, bits), bits).tolist() == [lower, upper]
        assert decode(encode(-around, bits), bits).tolist() == [-lower, -upper]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_levels_keep_their_values_and_a_scale_is_exact(bits: int) -> None:
    levels = torch.tensor([sign * level for level in magnitudes(bits) for sign in (1, -1)])
    for scale in (1.0, 0.3, 1e-30, 1e30):
        assert torch.equal(quantised(levels * scale, bits), levels * scale)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_every_tensor_has_a_scale_of_its_own(bits: int) -> None:
    tensors = [torch.tensor([[5.0, 0.0], [-5.0, 1.0]]), torch.tensor(-1e-3), torch.tensor([2.0, -1e-9, 1e-9])]
    own = [float(value) for value in scales(tensors)]
    assert own == pytest.approx([5.0, 1e-3, 2.0])
    values = dequantise(quantise(tensors, own, bits), own, [4, 1, 3], bits)
    assert torch.equal(values, torch.cat([quantised(tensor, bits).flatten() for tensor in tensors]))
    assert values[[0, 2, 4, 5, 6, 7]].tolist() == [5, -5, -tensors[1].abs(), 2, 0, 0]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_zeros_stay_zeros_and_the_tiniest_numbers_do_no_harm(bits: int) -> None:
    assert quantised(torch.zeros(5), bits).abs().tolist() == [0] * 5
    values = torch.tensor([1e-42, -1e-45, 0.0])
    assert (quantised(values, bits) - values).abs().max() <= 1e-42


def test_a_scale_tells_what_is_not_a_number() -> None:
    found = torch.stack(scales([torch.tensor([1.0, float("nan"), 3.0]), torch.tensor([-float("inf"), 0.0])]))
    assert found[0].isnan() and found[1] == float("inf")


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_codes_of_any_number_survive_packing(bits: int) -> None:
    for count in (1, 2, 7, 8, 9, 15, 16, 17, 1000):
        codes = torch.randint(0, 2**bits, (count,), dtype=torch.uint8, generator=torch.Generator().manual_seed(count))
        packed = pack(codes, bits)
        assert packed.dtype == torch.uint8 and packed.shape == (packed_size(count, bits),)
        assert packed_size(count, bits) == bits * ((count + 7) // 8)
        assert torch.equal(unpack(packed, bits, count), codes)


def test_packing_has_a_known_layout() -> None:
    codes = torch.tensor([1, 0, 2, 3, 0, 0, 0, 3, 1], dtype=torch.uint8)  # two bytes a plane: those of even and odd codes
    low_even, low_odd = 0b10001, 0b01010  # codes 0 and 8; codes 3 and 7
    high_even, high_odd = 0b00010, 0b01010  # code 2; codes 3 and 7
    assert pack(codes, 2).tolist() == [low_even, low_odd, high_even, high_odd]


def test_weights_go_to_a_grid_that_holds_zero_and_both_ends() -> None:
    weights = torch.tensor([-1.27, -0.011, -0.004, 0.0, 0.006, 0.634, 1.27])
    assert quantise_weights(weights, 8).tolist() == pytest.approx([-1.27, -0.01, 0, 0, 0.01, 0.63, 1.27])
    assert quantise_weights(torch.tensor([[3.0, 1.4], [-1.6, 0.0]]), 2).tolist() == [[3, 0], [-3, 0]]
    assert quantise_weights(torch.zeros(2, 3), 8).tolist() == [[0] * 3] * 2


@pytest.mark.parametrize("bits", [2, 4, 8, 16])
def test_weights_are_off_by_half_a_step_at_most(bits: int) -> None:
    weights = torch.randn(500, generator=torch.Generator().manual_seed(0))
    found = quantise_weights(weights, bits)
    step = weights.abs().max() / (2 ** (bits - 1) - 1)
    assert (found - weights).abs().max() <= step / 2 * 1.001
    assert len(found.unique()) <= 2**bits - 1
