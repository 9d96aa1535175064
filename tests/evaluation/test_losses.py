"""The losses, and what the paper says of how they hang together."""

from __future__ import annotations

import itertools

import pytest
import torch
from helpers import sample_tensor
from torch import Tensor

from styleshuffle.errors import SettingsError
from styleshuffle.evaluation import losses
from styleshuffle.evaluation.losses import (
    assign,
    content_loss,
    gram,
    gram_loss,
    local_loss,
    reshuffle_loss,
    total_loss,
    usage_deviation,
)
from styleshuffle.networks.vgg import VGG
from styleshuffle.reshuffle.nnf import NNF

PENALTIES = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 10.0)


def features(encoder: VGG, name: str, size: tuple[int, int] = (160, 128)) -> Tensor:
    """relu3_1 of a sample, (128, H / 4, W / 4)."""
    return encoder(sample_tensor(name, size), [3])[3][0]


@pytest.fixture(scope="module")
def content(encoder: VGG) -> Tensor:
    return features(encoder, "content/cat.jpg")


@pytest.fixture(scope="module")
def style(encoder: VGG) -> Tensor:
    return features(encoder, "style/swirling_night.jpg")


def permuted(style: Tensor) -> Tensor:
    order = torch.randperm(style[0].numel(), generator=torch.Generator().manual_seed(0))
    return style.flatten(1)[:, order].view_as(style)


def voted(style: Tensor, field: NNF) -> Tensor:
    """The style's features where the field puts them."""
    return style.flatten(1)[:, field.match.flatten()].view(len(style), *field.content)


# ---------------------------------------------------------------------------------------------------- known answers


def test_small_cases_by_hand() -> None:
    output, style = torch.tensor([[[0.0, 3.0]], [[1.0, 1.0]]]), torch.tensor([[[0.0, 1.0]], [[1.0, 1.0]]])
    assert float(content_loss(output, style)) == 1.0  # one of four numbers differs, by 2
    assert gram(style).tolist() == [[0.5, 0.5], [0.5, 1.0]]
    assert float(gram_loss(output, style)) == pytest.approx((4.0**2 + 1.0**2 + 1.0**2) / 4)
    assert assign(output, style, patch=1).match.tolist() == [[0, 1]]
    assert float(local_loss(output, style, patch=1)) == 1.0
    swapped = NNF(torch.tensor([[1, 0]]), torch.zeros(1, 2))
    assert float(reshuffle_loss(output, style, patch=1, nnf=swapped)) == (1 + 9) / 4
    assert float(total_loss(output, output, style, 0.25, patch=1)) == 0.75


def test_a_fixed_field_gives_the_pull_towards_the_patches_taken() -> None:
    output = torch.zeros(1, 1, 3, requires_grad=True)
    style = torch.tensor([[[1.0, 2.0]]])
    reshuffle_loss(output, style, patch=1, nnf=NNF(torch.tensor([[1, 0, 1]]), torch.zeros(1, 2))).backward()
    assert output.grad.flatten().tolist() == pytest.approx([-4 / 3, -2 / 3, -4 / 3])


def test_equal_use_gives_each_style_patch_its_share() -> None:
    output, style = torch.tensor([[[0.9, 1.0, 1.1, 1.2]]]), torch.tensor([[[1.0, 3.0]]])
    free, equal = assign(output, style, 0.0, 1), assign(output, style, 100.0, 1)
    assert (usage_deviation(free), usage_deviation(equal)) == (0.5, 0.0)
    assert equal.match.tolist() == [[0, 0, 1, 1]]  # those that lose least go to the far one


# ------------------------------------------------------------------------------------------------- the paper's theory


def test_a_permutation_of_the_style_has_no_gram_and_no_reshuffle_loss(style: Tensor) -> None:
    output = permuted(style)
    scale = float(gram(style).square().mean())
    assert float(gram_loss(output, style)) < 1e-10 * scale
    for penalty in (0.0, 0.1, 1.0):
        assert float(reshuffle_loss(output, style, penalty, patch=1)) < 1e-10 * float(style.square().mean())
    assert float(content_loss(output, style)) > 0.1 * float(style.var())


@pytest.mark.parametrize("patch", [1, 3])
def test_the_local_loss_is_the_reshuffle_loss_at_0_and_never_above_it(content: Tensor, style: Tensor, patch: int) -> None:
    local = float(local_loss(content, style, patch))
    found = [float(reshuffle_loss(content, style, penalty, patch)) for penalty in PENALTIES]
    assert found[0] == local
    assert all(local <= loss for loss in found)
    assert found[-1] > 1.05 * local


@pytest.mark.parametrize("size", [(160, 128), (96, 160), (200, 104)])
def test_growing_lambda_evens_the_use_and_brings_the_gram_matrix(
    encoder: VGG, content: Tensor, size: tuple[int, int]
) -> None:
    style = features(encoder, "style/swirling_night.jpg", size)
    fields = [assign(content, style, penalty, patch=1) for penalty in PENALTIES]
    uneven = [usage_deviation(field) for field in fields]
    distances = [float(gram_loss(voted(style, field), style)) for field in fields]
    assert all(later <= earlier + 0.002 for earlier, later in itertools.pairwise(uneven))
    assert all(later <= 1.01 * earlier for earlier, later in itertools.pairwise(distances))
    assert uneven[-1] < 0.35 * uneven[0]
    assert distances[-1] < 0.05 * distances[0]


def test_where_the_style_is_permuted_makes_no_difference_to_1_x_1_patches(content: Tensor, style: Tensor) -> None:
    for penalty in (0.0, 0.1):
        one, other = (float(reshuffle_loss(content, some, penalty, 1)) for some in (style, permuted(style)))
        assert one == pytest.approx(other, rel=1e-4)
    assert float(gram_loss(content, style)) == pytest.approx(float(gram_loss(content, permuted(style))), rel=1e-4)


def test_too_many_positions_are_refused_and_blocks_change_nothing(
    content: Tensor, style: Tensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = assign(content, style).match
    monkeypatch.setattr(losses, "_BLOCK", 100)
    assert torch.equal(assign(content, style).match, whole)
    monkeypatch.setattr(losses, "LARGEST", 100)
    with pytest.raises(SettingsError, match="usage_penalty: 1280 positions are too many; pass a field, or up to 100"):
        assign(content, style, 0.1)
