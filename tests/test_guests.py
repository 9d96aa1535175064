"""styleshuffle is a guest in somebody's program: it keeps to itself, whatever torch's defaults are and in any thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from helpers import SAMPLES, sample_image

from styleshuffle import Settings, Stylizer
from styleshuffle.keeping import Kept

CONTENT, STYLE = "content/cat.jpg", "style/swirling_night.jpg"


@pytest.fixture
def defaults() -> Iterator[None]:
    """Puts torch's defaults back."""
    before = torch.get_default_dtype()
    yield
    torch.set_default_dtype(before)
    torch.set_default_device(None)


def painted(settings: Settings) -> np.ndarray:
    stylizer = Stylizer(settings, device="cpu").set_style(sample_image(STYLE, (72, 64)))
    return stylizer.render(sample_image(CONTENT, (80, 64))).rgb


@pytest.mark.parametrize(
    "change", [lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_device("meta")]
)
@pytest.mark.parametrize(
    "settings",
    [Settings(), Settings(optimizer="generic-adam", refine=1), Settings(optimizer="lbfgs", refine=1, matching="counts")],
)
def test_torchs_defaults_do_not_matter(defaults: None, settings: Settings, change: Callable[[], None]) -> None:
    expected = painted(settings)
    change()
    found = painted(settings)
    assert found.dtype == np.float32 and np.array_equal(found, expected)


def test_torchs_random_state_stays() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    painted(Settings())
    assert torch.equal(torch.get_rng_state(), before)


def test_global_settings_of_torch_stay() -> None:
    def state() -> tuple[object, ...]:
        return (
            torch.is_grad_enabled(),
            torch.is_inference_mode_enabled(),
            torch.get_num_threads(),
            torch.get_default_dtype(),
            torch.are_deterministic_algorithms_enabled(),
        )

    before = state()
    painted(Settings(optimizer="adam", refine=1))
    assert state() == before


# ------------------------------------------------------------------------------------------------------------- threads


@pytest.fixture(scope="module")
def stylizer() -> Stylizer:
    return Stylizer(Settings(refine=0), device="cpu")


def test_another_style_in_the_middle_of_the_work(stylizer: Stylizer) -> None:
    """The picture in work keeps its style, and the next has the new one."""
    first, second = sample_image(STYLE, (48, 64)), sample_image("style/autumn_avenue.jpg", (64, 48))
    content = sample_image(CONTENT, (64, 64))
    expected = [stylizer.set_style(style).render(content).rgb for style in (first, second)]
    stylizer.set_style(first)
    found = stylizer.render(content, lambda progress: stylizer.set_style(second) and None)
    assert np.array_equal(found.rgb, expected[0])
    assert np.array_equal(stylizer.render(content).rgb, expected[1])


def test_four_threads_share_a_stylizer_and_keep_no_more_styles_than_promised(stylizer: Stylizer) -> None:
    sizes = [(64 + 8 * index, 64) for index in range(8)]
    contents = [sample_image(CONTENT, size) for size in sizes]
    stylizer.set_style(SAMPLES / STYLE)
    expected = [stylizer.render(content).rgb for content in contents]
    stylizer.set_style(SAMPLES / STYLE)
    most = []

    def work(index: int) -> bool:
        result = stylizer.render(contents[index % 8], lambda progress: most.append(len(stylizer._style[1])))
        return np.array_equal(result.rgb, expected[index % 8])

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(16)))
    assert 1 <= max(most) <= 4


def test_threads_that_change_the_style_all_the_time(stylizer: Stylizer) -> None:
    styles = [sample_image(STYLE, size) for size in ((48, 64), (64, 48))]
    content = sample_image(CONTENT, (64, 64))
    expected = [stylizer.set_style(style).render(content).rgb.tobytes() for style in styles]

    def work(index: int) -> bytes:
        stylizer.set_style(styles[index % 2])
        return stylizer.render(content).rgb.tobytes()

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(work, range(12))) <= set(expected)


def test_a_value_is_made_once_for_all_threads_and_the_oldest_goes() -> None:
    kept: Kept[int, int] = Kept(2)
    made: list[int] = []
    barrier = threading.Barrier(4)

    def ask(key: int) -> int:
        barrier.wait()
        return kept.get(key, lambda: made.append(key) or 10 * key)

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(ask, [1, 1, 2, 2])) == [10, 10, 20, 20]
    assert sorted(made) == [1, 2]
    assert kept.get(3, lambda: 30) == 30 and len(kept) == 2
    with pytest.raises(ZeroDivisionError):
        kept.get(4, lambda: 1 // 0)
    assert kept.get(4, lambda: 40) == 40 and len(kept) == 2
