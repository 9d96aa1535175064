"""Quantisers: levels, ties, zeros and scales with known answers, and codes that survive packing to bits."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from styleshuffle.optim.codec import Meter, decode_part, encode_window
from styleshuffle.optim.layout import Part, parts
from styleshuffle.optim.packing import pack, packed_size, unpack
from styleshuffle.optim.quantisers import decode, encode, magnitudes, nearest, quantise_weights


def messages(tensors: list[Tensor], bits: list[int], servers: int = 1) -> tuple[list[tuple[Part, Tensor]], Tensor]:
    """The messages of all parts, and Q_g of all tensors, flat."""
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    sent, values = [], torch.zeros_like(flat)
    for part in parts([tensor.numel() for tensor in tensors], [0] * len(tensors), bits, servers, "cpu"):
        message = torch.zeros(part.bytes, dtype=torch.uint8)
        for window in part.windows:
            here = slice(window.start, window.stop)
            values[here] = encode_window(window, flat[here], message, Meter())
        sent.append((part, message))
    return sent, values


def quantised(values: Tensor, bits: int) -> Tensor:
    """Q_g of one tensor, sent and received."""
    ((part, message),), sent = messages([values], [bits])
    received = torch.zeros(values.numel())
    decode_part(part, message, received, add=False)
    assert torch.equal(received, sent)
    return received.view(values.shape)


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
    units = torch.cat([units, units / 100, torch.tensor([0.0, -0.0, 1.0, -1.0, 1e-42, -1e-45])])
    levels = torch.tensor([sign * level for level in magnitudes(bits) for sign in (1, -1)])
    distance = (units[:, None] - levels).abs().min(1).values
    found = nearest(units, bits)
    codes = encode(found, bits)
    assert torch.equal(decode(codes, bits), found) and codes.max() < 2**bits
    assert torch.equal((units - found).abs(), distance)
    for lower, upper in pairwise(magnitudes(bits)):
        tie = torch.tensor((lower + upper) / 2)
        around = torch.stack([tie, torch.nextafter(tie, torch.tensor(1.0))])
        assert nearest(around, bits).tolist() == [lower, upper]
        assert nearest(-around, bits).tolist() == [-lower, -upper]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_levels_keep_their_values_and_a_scale_is_exact(bits: int) -> None:
    levels = torch.tensor([sign * level for level in magnitudes(bits) for sign in (1, -1)])
    for scale in (1.0, 0.3, 1e-30, 1e30):
        assert torch.equal(quantised(levels * scale, bits), levels * scale)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_every_tensor_has_a_scale_of_its_own(bits: int) -> None:
    tensors = [torch.tensor([[5.0, 0.0], [-5.0, 1.0]]), torch.tensor(-1e-3), torch.tensor([2.0, -1e-9, 1e-9])]
    _, values = messages(tensors, [bits] * 3)
    assert torch.equal(values, torch.cat([quantised(tensor, bits).flatten() for tensor in tensors]))
    assert values[[0, 2, 4, 5, 6, 7]].tolist() == [5, -5, -tensors[1].abs(), 2, 0, 0]


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_zeros_stay_zeros_and_the_tiniest_numbers_do_no_harm(bits: int) -> None:
    assert quantised(torch.zeros(5), bits).abs().tolist() == [0] * 5
    values = torch.tensor([1e-42, -1e-45, 0.0])
    assert (quantised(values, bits) - values).abs().max() <= 1e-42


def test_parts_of_tensors_with_different_bits_arrive_as_they_were_sent() -> None:
    random = torch.Generator().manual_seed(0)
    sizes, bits = [5, 0, 70_001, 1, 30, 200_000], [2, 2, 4, 32, 3, 2]
    tensors = [torch.randn(size, generator=random) for size in sizes]
    sent, values = messages(tensors, bits, servers=3)
    received = torch.zeros(sum(sizes))
    for part, message in sent:
        decode_part(part, message, received[part.start : part.stop], add=True)
    assert torch.equal(received, values)
    assert received[70_006] == tensors[3]  # 32 bits: as it was
    assert sum(part.size for part, _ in sent) == sum(sizes)
    spread = [part.size for part, _ in sent]
    assert max(spread) - min(spread) <= 1
    assert sum(len(message) for _, message in sent) < 1.02 * sum(s * b / 8 for s, b in zip(sizes, bits, strict=True))


@pytest.mark.parametrize("bits", range(1, 17))
def test_codes_of_any_number_survive_packing(bits: int) -> None:
    kind = torch.uint8 if bits <= 8 else torch.int32
    for count in (1, 2, 7, 8, 9, 15, 16, 17, 1000):
        codes = torch.randint(0, 2**bits, (count,), dtype=kind, generator=torch.Generator().manual_seed(count))
        packed = pack(codes, bits)
        assert packed.dtype == torch.uint8 and packed.shape == (packed_size(count, bits),)
        assert packed_size(count, bits) == bits * ((count + 7) // 8)
        assert torch.equal(unpack(packed, bits, count), codes)


def test_packing_has_a_known_layout() -> None:
    codes = torch.tensor([1, 0, 2, 3, 0, 0, 0, 3, 1], dtype=torch.uint8)  # rows of 4: 1023, 0003, 1000, 0000
    assert pack(codes, 2).tolist() == [0b00010001, 0b00000000, 0b00000010, 0b00001111]
    assert pack(codes, 4).tolist() == [0x11, 0x00, 0x02, 0x03, 0x00, 0x00, 0x00, 0x03]  # rows of 8
    low, high = pack(codes, 3)[:4].tolist(), pack(codes, 3)[4:].tolist()  # the lower two bits, then the highest
    assert low == pack(codes, 2).tolist() and high == [0, 0]


# ------------------------------------------------------------------------------------------------------------ weights


def test_weights_go_to_a_grid_that_holds_zero_and_both_ends() -> None:
    weights = torch.tensor([-1.27, -0.011, -0.004, 0.0, 0.006, 0.634, 1.27])
    assert quantise_weights(weights, 8).tolist() == pytest.approx([-1.27, -0.01, 0, 0, 0.01, 0.63, 1.27])
    assert quantise_weights(torch.tensor([[3.0, 1.4], [-1.6, 0.0]]), 2).tolist() == [[3, 0], [-3, 0]]
    assert quantise_weights(torch.zeros(2, 3), 8).tolist() == [[0] * 3] * 2
    assert quantise_weights(torch.zeros(0, 3), 8).shape == (0, 3)


def test_with_the_fixed_range_of_the_paper_the_grid_is_that_of_powers_of_two_and_clips() -> None:
    weights = torch.tensor([0.1, 0.13, -0.9, 0.3, 0.5, -0.26, 0.0])
    assert quantise_weights(weights, 3, 0.5).tolist() == [0, 0.25, -0.5, 0.25, 0.5, -0.25, 0]  # k = 1
    assert quantise_weights(weights, 2, 0.5).tolist() == [0, 0, -0.5, 0.5, 0.5, -0.5, 0]  # k = 0
    fine = quantise_weights(weights, 16, 0.5)
    assert (fine - weights.clamp(-0.5, 0.5)).abs().max() <= 0.5 / 2**14 / 2


@pytest.mark.parametrize("bits", [2, 4, 8, 12, 16])
def test_weights_are_off_by_half_a_step_at_most_and_stay_when_rounded_again(bits: int) -> None:
    weights = torch.randn(500, generator=torch.Generator().manual_seed(0))
    found = quantise_weights(weights, bits)
    step = weights.abs().max() / (2 ** (bits - 1) - 1)
    assert (found - weights).abs().max() <= step / 2 * 1.001
    assert len(found.unique()) <= 2**bits - 1
    assert torch.equal(quantise_weights(found, bits), found)
