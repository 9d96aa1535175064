"""Generic Adam: its formulas, hard cases, and torch's interfaces."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from generic_runs import assert_close, assert_same, parameters, reference, tensors, train, trained
from torch import Tensor, nn

from styleshuffle.errors import SettingsError
from styleshuffle.optim import GenericAdam

SHAPES = ((4, 3, 3), (5,), (), (2, 6))


# ---------------------------------------------------------------------------------------------------------- formulas


def test_the_family_follows_the_formulas() -> None:
    expected = reference(20, lambda t: 0.1 / t**0.6, lambda t: 1 - 0.7 / t**1.1, lambda t: 0.8, 1e-3)
    assert_close(trained(dtype=torch.float64, lr=0.1, s=0.6, r=1.1, a=0.7, beta=0.8, eps=1e-3), expected)
    assert_close(trained(lr=0.1, s=0.6, r=1.1, a=0.7, beta=0.8, eps=1e-3), expected, 1e-5)


def test_functions_follow_the_formulas_and_lr_is_a_factor_of_alpha() -> None:
    alpha, theta, beta = (lambda t: 0.2 / t**0.5), (lambda t: 1 - 0.5 / t), (lambda t: 0.9 - 0.4 / t)
    expected = reference(20, alpha, theta, beta, 1e-12)
    assert_close(trained(dtype=torch.float64, alpha=alpha, theta=theta, beta=beta), expected)
    halved = reference(20, lambda t: alpha(t) / 2, theta, beta, 1e-12)
    assert_close(trained(dtype=torch.float64, lr=0.5, alpha=alpha, theta=theta, beta=beta), halved)


def test_functions_of_the_family_train_as_the_family_does() -> None:
    functions = {"alpha": lambda t: t**-0.5, "theta": lambda t: 1 - 0.9 * t**-1.0, "beta": lambda t: 0.9}
    assert_same(trained(lr=0.02, **functions), trained(lr=0.02))


@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_constant_theta_is_adam_without_bias_correction() -> None:
    expected = reference(20, lambda t: 0.01, lambda t: 0.999, lambda t: 0.9, 1e-8)
    assert_close(trained(dtype=torch.float64, lr=0.01, s=0, r=0, a=0.001, eps=1e-8), expected)


@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_with_adams_bias_correction_put_into_alpha_it_is_torchs_adam() -> None:
    expected = parameters(torch.float64)
    train(expected, torch.optim.Adam(expected, lr=0.01, betas=(0.9, 0.999), eps=1e-30), 1, 20)
    corrected = trained(
        dtype=torch.float64,
        lr=0.01,
        alpha=lambda t: math.sqrt(1 - 0.999**t) / (1 - 0.9**t),
        theta=lambda t: 0.999,
        eps=1e-30,
    )
    assert_close(corrected, expected)


def test_weight_decay_is_an_l2_penalty_on_the_gradient() -> None:
    expected = reference(20, lambda t: 0.01 / t**0.5, lambda t: 1 - 0.9 / t, lambda t: 0.9, 1e-12, decay=0.3)
    assert_close(trained(dtype=torch.float64, weight_decay=0.3), expected)


@pytest.mark.parametrize("decay", [0.0, 0.3])
def test_maximize_is_minimizing_the_negative(decay: float) -> None:
    up, down = parameters(), parameters()
    optimizers = GenericAdam(up, maximize=True, weight_decay=decay), GenericAdam(down, weight_decay=decay)
    for t in range(1, 6):
        for a, b, gradient in zip(up, down, tensors(t), strict=True):
            a.grad, b.grad = gradient, -gradient
        for optimizer in optimizers:
            optimizer.step()
    assert_same(up, down)
    for a, b, gradient in zip(up, down, tensors(5), strict=True):  # left as they were
        assert torch.equal(a.grad, gradient) and torch.equal(b.grad, -gradient)


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "maximize": True}, {"a": 1.0, "beta": 0.0}])
def test_together_and_one_by_one_are_the_same_bit_for_bit(settings: dict[str, Any]) -> None:
    assert_same(trained(foreach=True, **settings), trained(foreach=False, **settings))


@pytest.mark.parametrize("settings", [{}, {"weight_decay": 0.1, "maximize": True}, {"a": 1.0, "beta": 0.0}])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_torchs_kernel_follows_the_same_formulas(settings: dict[str, Any], dtype: torch.dtype) -> None:
    tolerance = 1e-12 if dtype == torch.float64 else 1e-5
    assert_close(
        trained(dtype=dtype, **settings), [x.double() for x in trained(dtype=dtype, foreach=True, **settings)], tolerance
    )


def test_tensors_that_lie_in_memory_otherwise_than_their_gradients_train_alike() -> None:
    plain, turned = (torch.ones(2, 4, 3, 3) for _ in range(2))
    turned = turned.contiguous(memory_format=torch.channels_last)
    gradients = [torch.randn(2, 4, 3, 3, generator=torch.Generator().manual_seed(t)) for t in range(3)]
    for x in (plain, turned):
        optimizer = GenericAdam([x.requires_grad_()])
        for gradient in gradients:
            x.grad = gradient  # contiguous
            optimizer.step()
    assert torch.allclose(plain, turned, atol=1e-6) and not torch.equal(plain, torch.ones(2, 4, 3, 3))


# -------------------------------------------------------------------------------------------------------- hard cases


def test_theta_of_1_keeps_v_as_it_is() -> None:
    expected = reference(3, lambda t: 0.1, lambda t: 1.0, lambda t: 0.9, 1.0)
    with pytest.warns(UserWarning, match="may not converge"):
        assert_close(trained(3, alpha=lambda t: 0.1, theta=lambda t: 1.0, eps=1.0), expected, 1e-5)


def test_a_tensor_without_elements_does_no_harm() -> None:
    params = [torch.empty(0, 3, requires_grad=True), torch.ones(2, requires_grad=True)]
    for x in params:
        x.grad = torch.ones_like(x)
    GenericAdam(params, lr=0.1).step()
    assert params[0].shape == (0, 3) and params[1].max() < 1


def test_a_compiled_step_is_not_compiled_again_for_every_t(recwarn: pytest.WarningsRecorder) -> None:
    params = parameters()
    optimizer = GenericAdam(params, lr=0.1)
    graphs: list[Any] = []

    def backend(graph: Any, inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    compiled = torch.compile(lambda: optimizer.step(), backend=backend)
    for t in range(1, 13):
        for parameter, gradient in zip(params, tensors(t), strict=True):
            parameter.grad = gradient
        compiled()
    assert len(graphs) <= 1
    assert not [str(warning.message) for warning in recwarn if "GenericAdam" in str(warning.message)]
    assert_same([parameter.detach() for parameter in params], trained(12, lr=0.1))


def test_theta_1_of_0_and_a_gradient_of_0_leave_the_parameter_where_it_is() -> None:
    x = torch.tensor([1.0, 2.0], requires_grad=True)
    optimizer = GenericAdam([x], lr=0.1, a=1.0)
    x.grad = torch.tensor([0.0, 3.0])
    optimizer.step()
    assert x.tolist() == pytest.approx([1.0, 2.0 - 0.1 * 0.1])  # v = g^2, m = 0.1 g
    x.grad = torch.tensor([5.0, 3.0])
    optimizer.step()
    assert x.isfinite().all() and x[0].item() < 1


@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_a_second_moment_that_underflows_does_no_harm() -> None:
    x = torch.ones(3, requires_grad=True)
    optimizer = GenericAdam([x], lr=0.1, s=0, r=0, a=0.9, eps=1e-30, beta=0.3)
    for gradient in ([0.0, 1e-25, 1e-3], *[[0.0, 0.0, 0.0]] * 60):
        x.grad = torch.tensor(gradient)
        optimizer.step()
    assert x.isfinite().all() and x[0].item() == 1
    assert 0.5 < x[1].item() <= 1  # a gradient too small for its square moves x by no more than its due


def test_a_parameter_counts_its_own_steps_and_those_without_gradients_stay() -> None:
    early, late = (torch.zeros(2, requires_grad=True) for _ in range(2))
    optimizer = GenericAdam([early, late], lr=0.1)
    early.grad = torch.ones(2)
    optimizer.step()
    assert late.tolist() == [0, 0] and late not in optimizer.state
    first = early.detach().clone()
    late.grad = torch.ones(2)
    optimizer.step()
    assert torch.equal(late, first)
    assert [optimizer.state[parameter]["step"] for parameter in (early, late)] == [2, 1]


def test_parameters_of_different_types_train_together() -> None:
    params = [torch.ones(2, dtype=dtype, requires_grad=True) for dtype in (torch.float64, torch.float32, torch.bfloat16)]
    for parameter in params:
        parameter.grad = torch.tensor([0.5, 0]).to(parameter)
    GenericAdam(params, lr=1, a=1).step()
    for parameter in params:
        assert parameter.tolist() == pytest.approx([0.9, 1], abs=4e-3)


def test_sparse_gradients_and_complex_parameters_are_refused() -> None:
    table = nn.Embedding(4, 2, sparse=True)
    table(torch.tensor([1])).sum().backward()
    with pytest.raises(SettingsError, match="sparse"):
        GenericAdam(table.parameters()).step()
    x = torch.ones(2, dtype=torch.complex64, requires_grad=True)
    x.grad = torch.ones_like(x)
    with pytest.raises(SettingsError, match="complex"):
        GenericAdam([x]).step()


# ------------------------------------------------------------------------------------------------- torch's interfaces


def test_a_closure_is_evaluated_with_gradients_and_its_loss_returned() -> None:
    x = torch.tensor([3.0], requires_grad=True)
    optimizer = GenericAdam([x], lr=0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (x**2).sum()
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 9
    assert x.grad.tolist() == [6] and x.item() < 3
    assert optimizer.step() is None


def test_groups_have_their_own_settings() -> None:
    params = parameters()
    settings: list[dict[str, Any]] = [{"lr": 0.1}, {"beta": 0.5}, {"r": 0.5, "weight_decay": 0.1}]
    added = {"alpha": lambda t: 0.5 / t**0.5, "maximize": True}
    optimizer = GenericAdam([{"params": [x], **some} for x, some in zip(params[:3], settings, strict=True)], lr=0.01)
    optimizer.add_param_group({"params": params[3], **added})
    train(params, optimizer, 1, 5)
    for i, some in enumerate([*settings, added]):
        assert torch.equal(params[i], trained(5, **{"lr": 0.01, **some})[i])


def test_lr_defaults_to_a_hundredth_and_to_1_beside_alpha() -> None:
    x = torch.ones(1, requires_grad=True)
    assert GenericAdam([x]).param_groups[0]["lr"] == 0.01
    assert GenericAdam([x], alpha=lambda t: t**-0.5).param_groups[0]["lr"] == 1
    assert GenericAdam([x], lr=0.3, alpha=lambda t: t**-0.5).param_groups[0]["lr"] == 0.3


def test_schedulers_of_torch_change_the_step_size() -> None:
    params = parameters(torch.float64)
    optimizer = GenericAdam(params, lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.5)
    for t in range(1, 11):
        train(params, optimizer, t, t)
        scheduler.step()
    expected = reference(10, lambda t: 0.1 * 0.5 ** ((t - 1) // 3) / t**0.5, lambda t: 1 - 0.9 / t, lambda t: 0.9, 1e-12)
    assert_close([parameter.detach() for parameter in params], expected)


def test_a_step_size_of_0_moves_nothing() -> None:
    assert_same(trained(lr=0.0), tensors(0))


def test_a_decoder_shaped_network_learns() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 3, 3, padding=1))
    x = torch.randn(2, 4, 8, 8)
    target = torch.nn.functional.conv2d(x, torch.randn(3, 4, 3, 3) / 6, padding=1)
    optimizer = GenericAdam(net.parameters(), lr=0.1)
    losses = []
    for _ in range(150):
        optimizer.zero_grad()
        loss = (net(x) - target).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
