"""Generic Adam: against a float64 reference, bit for bit where it resumes, and against Adam where Adam goes wrong."""

from __future__ import annotations

import copy
import io
import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from styleshuffle.errors import SettingsError
from styleshuffle.optim import GenericAdam

SHAPES = ((4, 3, 3), (5,), (), (2, 6))


def tensors(seed: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) for shape in SHAPES]


def parameters(dtype: torch.dtype = torch.float32) -> list[Tensor]:
    return [tensor.requires_grad_() for tensor in tensors(0, dtype)]


def train(params: list[Tensor], optimizer: torch.optim.Optimizer, first: int, last: int) -> None:
    """Steps with gradients that depend on the step alone."""
    for t in range(first, last + 1):
        for parameter, gradient in zip(params, tensors(t), strict=True):
            parameter.grad = gradient.to(parameter.dtype)
        optimizer.step()


def trained(steps: int = 20, dtype: torch.dtype = torch.float32, **settings: Any) -> list[Tensor]:
    params = parameters(dtype)
    train(params, GenericAdam(params, **settings), 1, steps)
    return [parameter.detach() for parameter in params]


def reference(
    steps: int,
    alpha: Callable[[int], float],
    theta: Callable[[int], float],
    beta: Callable[[int], float],
    eps: float,
    decay: float = 0.0,
) -> list[Tensor]:
    """The formulas once more, in float64."""
    xs = tensors(0, torch.float64)
    ms, vs = [torch.zeros_like(x) for x in xs], [torch.full_like(x, eps) for x in xs]
    for t in range(1, steps + 1):
        for i, g in enumerate(tensors(t, torch.float32)):
            g = g.double() + decay * xs[i]
            vs[i] = theta(t) * vs[i] + (1 - theta(t)) * g**2
            ms[i] = beta(t) * ms[i] + (1 - beta(t)) * g
            xs[i] = xs[i] - alpha(t) * ms[i] / vs[i].sqrt()
    return xs


def assert_close(found: list[Tensor], expected: list[Tensor], tolerance: float = 1e-12) -> None:
    for some, other in zip(found, expected, strict=True):
        assert torch.allclose(some.double(), other.double(), rtol=0, atol=tolerance)


def assert_same(found: list[Tensor], expected: list[Tensor]) -> None:
    assert all(torch.equal(some, other) for some, other in zip(found, expected, strict=True))


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


# ----------------------------------------------------------------------------------------------------- save and resume


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weight_decay": 0.1, "a": 0.5, "foreach": False},
        {"alpha": lambda t: 0.1 / t**0.5, "theta": lambda t: 1 - 0.9 / t, "beta": lambda t: 0.8 + 0.1 / t},
    ],
)
def test_a_resumed_optimiser_goes_on_bit_for_bit(settings: dict[str, Any]) -> None:
    expected = trained(20, **settings)
    params = parameters()
    optimizer = GenericAdam(params, **settings)
    train(params, optimizer, 1, 9)
    file = io.BytesIO()
    torch.save({"params": params, "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    resumed = [parameter.detach().requires_grad_() for parameter in saved["params"]]
    # numbers come from what is loaded, functions from the new optimiser
    functions = {name: value for name, value in settings.items() if callable(value)}
    other = GenericAdam(resumed, lr=7.0, **functions)
    other.load_state_dict(saved["optimizer"])
    train(resumed, other, 10, 20)
    assert_same(resumed, expected)


def test_saving_leaves_the_optimisers_own_functions_alone() -> None:
    params = parameters()
    optimizer = GenericAdam(params, theta=lambda t: 1 - 0.9 / t)
    state = optimizer.state_dict()
    assert "theta" not in state["param_groups"][0] and state["param_groups"][0]["alpha"] is None
    train(params, optimizer, 1, 2)
    assert callable(optimizer.param_groups[0]["theta"])


def test_a_state_saved_with_a_function_asks_for_it() -> None:
    saved = GenericAdam(parameters(), theta=lambda t: 1 - 0.9 / t).state_dict()
    with pytest.raises(SettingsError, match="function for theta; give the same one"):
        GenericAdam(parameters()).load_state_dict(saved)


def test_the_state_of_another_optimiser_is_refused() -> None:
    saved = torch.optim.Adam(parameters()).state_dict()
    with pytest.raises(SettingsError, match="the saved state is of another optimiser; load one of GenericAdam"):
        GenericAdam(parameters()).load_state_dict(saved)


def test_a_saved_number_replaces_a_function() -> None:
    saved = GenericAdam(parameters(), beta=0.7).state_dict()
    optimizer = GenericAdam(parameters(), beta=lambda t: 0.5)
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["beta"] == 0.7


def test_a_state_with_other_groups_is_refused_by_torch() -> None:
    x, y = parameters()[:2]
    saved = GenericAdam([{"params": [x]}, {"params": [y]}]).state_dict()
    with pytest.raises(ValueError, match="parameter groups"):
        GenericAdam([x]).load_state_dict(saved)


def test_a_copy_goes_on_as_the_original() -> None:
    params = parameters()
    optimizer = GenericAdam(params, beta=lambda t: 0.9 - 0.1 / t)
    train(params, optimizer, 1, 3)
    twin = copy.deepcopy(optimizer)
    others = twin.param_groups[0]["params"]
    train(params, optimizer, 4, 6)
    train(others, twin, 4, 6)
    assert_same(others, params)


# --------------------------------------------------------------------------------------------- settings and schedules


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"lr": -1.0}, "lr is -1.0; give a number of at least 0"),
        ({"lr": math.nan}, "lr is nan"),
        ({"lr": "fast"}, "lr is 'fast'; give a number"),
        ({"lr": torch.tensor(0.1)}, r"lr is tensor.*of a tensor, lr\.item\(\)"),
        ({"s": -0.5}, "s is -0.5"),
        ({"r": math.inf}, "r is inf"),
        ({"a": 0.0}, "a is 0.0; give a number above 0 and at most 1"),
        ({"a": 1.1}, "a is 1.1"),
        ({"beta": 1.0}, "beta is 1.0; give a number of at least 0 and below 1"),
        ({"eps": 0.0}, "eps is 0.0; give a number above 0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1"),
        ({"alpha": 0.1}, "alpha is 0.1; give a function of the step .s=0 "),
        ({"theta": 0.99}, "theta is 0.99; give a function of the step .r=0, a=1-theta "),
    ],
)
def test_settings_out_of_range_are_refused_in_one_line(settings: dict[str, Any], message: str) -> None:
    for groups, rest in ((parameters(), settings), ([{"params": parameters(), **settings}], {})):
        with pytest.raises(ValueError, match=message) as raised:
            GenericAdam(groups, **rest)
        assert isinstance(raised.value, SettingsError) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"theta": lambda t: 1.5 if t == 3 else 0.99}, "theta is 1.5 at step 3"),
        ({"beta": lambda t: -0.5 if t == 3 else 0.9}, "beta is -0.5 at step 3"),
        ({"alpha": lambda t: math.nan if t == 3 else 0.1}, "alpha is nan at step 3"),
    ],
)
@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_a_function_that_leaves_its_range_stops_before_it_does_harm(settings: dict[str, Any], message: str) -> None:
    params = parameters()
    optimizer = GenericAdam(params, **settings)
    train(params, optimizer, 1, 2)
    before = [parameter.detach().clone() for parameter in params]
    with pytest.raises(SettingsError, match=message):
        train(params, optimizer, 3, 3)
    assert_same(params, before)


@pytest.mark.parametrize(
    ("settings", "condition"),
    [
        ({"r": 0, "a": 0.001}, "tends to 0 .needs r > 0"),
        ({"r": 1.5}, "almost non-increasing"),
        ({"theta": lambda t: 0.999}, "tends to 0"),
        ({"beta": lambda t: 1 - 1 / t}, "beta_t tends to 1"),
    ],
)
def test_wrong_schedules_train_after_one_warning_that_names_the_condition(
    settings: dict[str, Any], condition: str
) -> None:
    params = parameters()
    groups = [{"params": params[:2]}, {"params": params[2:]}]
    with pytest.warns(UserWarning, match=condition) as caught:
        optimizer = GenericAdam(groups, **settings)
        train(params, optimizer, 1, 3)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert not any(torch.equal(parameter, start) for parameter, start in zip(params, tensors(0), strict=True))


def test_right_schedules_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GenericAdam(parameters())
        GenericAdam(parameters(), alpha=lambda t: t**-0.5, theta=lambda t: 1 - 0.9 / t, beta=lambda t: 0.9)


# ----------------------------------------------------------------------------------------------------- counterexample


@pytest.mark.filterwarnings("ignore:GenericAdam may not converge")
def test_on_the_counterexample_constant_theta_goes_wrong_and_r_of_1_goes_right() -> None:
    """As benchmarks/counterexample.py, 8,000 steps: 64 runs from 0.5 in [-1, 1] on a loss of mean slope 0.2."""
    runs = {r: torch.full((64,), 0.5, requires_grad=True) for r in (0, 1)}
    optimizers = {r: GenericAdam([x], lr=0.5, r=r, a=0.01 + 0.99 * r) for r, x in runs.items()}
    generator = torch.Generator().manual_seed(0)
    slopes = torch.where(torch.rand(8000, 64, generator=generator) < 0.01, 1010.0, -10.0)
    halfway = {}
    for t, slope in enumerate(slopes, start=1):
        for r, x in runs.items():
            x.grad = slope
            optimizers[r].step()
            x.detach().clamp_(-1, 1)
        if t == 1000:
            halfway = {r: x.mean().item() for r, x in runs.items()}
    final = {r: x.mean().item() for r, x in runs.items()}
    assert final[0] > 0.85 and final[0] > halfway[0] + 0.1  # away from the optimum at -1
    assert final[1] < 0.35 and final[1] < halfway[1] - 0.1  # towards it
