"""Where a sequence is going: the power of t that it follows far out, and whether it follows one at all.

No finite number of values shows a limit. What they show is whether log y over log t has become a straight line. So a
schedule is looked at on its first steps, all of them, and then on a few steps far beyond, where a bound that it runs
into, such as the 0.9999 of min(0.9999, 1 - 0.9 / t), shows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

FARTHEST = 10**12  # step at which functions are still evaluated
_A_DECADE = 20  # points between t and 10 t
_SAME = 0.05  # exponents that differ by less are the same
_FLAT = 1e-5  # slopes up to it are rounding errors
_MOST = 0.9  # of the slopes have to agree; the others may be jumps
_JUMPS = 1  # that a sequence may make beyond the last tenfold of the dense steps; more may go on for ever


@dataclass(frozen=True)
class Trend:
    """The power law of the end of a sequence.

    Attributes:
        exponent: p of t^p, the median slope of log y over log t on the last third of the points (in log t).
        settled: whether nearly all of these slopes agree with it, and at most one step far out is a jump.
        falls, rises: whether no slope there is above 0 (below 0).
        start: the step where the last third begins.
    """

    exponent: float
    settled: bool
    falls: bool
    rises: bool
    start: int


def far_steps(horizon: int) -> np.ndarray:
    """Steps beyond the horizon, evenly spaced in log t, ascending, int64."""
    decades = np.log10(FARTHEST / horizon)
    return np.unique(np.geomspace(horizon, FARTHEST, int(_A_DECADE * decades) + 1).astype(np.int64))[1:]


def evaluated(function: Callable[[int], float], steps: np.ndarray) -> np.ndarray:
    """The values at steps; not a number from where the function raises an error (such as a table that ends)."""
    values = np.full(len(steps), np.nan)
    for index, step in enumerate(steps.tolist()):
        try:
            values[index] = function(step)
        except Exception:  # whatever a user's function raises beyond the steps that it was written for
            break
    return values


def tail(dense: np.ndarray, far: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Steps and values: of the last tenfold of the dense ones a sample, then the far ones."""
    horizon = len(dense)
    near = np.unique(np.geomspace(horizon / 10, horizon, _A_DECADE + 1).astype(np.int64))
    return np.concatenate([near, steps[: len(far)]]), np.concatenate([dense[near - 1], far])


def trend(steps: np.ndarray, values: np.ndarray) -> Trend:
    """Of positive values at ascending steps."""
    times = np.log(steps.astype(float))
    slopes = np.diff(np.log(values)) / np.diff(times)
    last = times[1:] > times[-1] - (times[-1] - times[0]) / 3
    ends = slopes[last]
    exponent = float(np.median(ends))
    settled = float(np.mean(np.abs(ends - exponent) < _SAME)) >= _MOST and _jumps(slopes) <= _JUMPS
    start = int(steps[1:][last][0])
    return Trend(exponent, settled, bool((ends <= _FLAT).all()), bool((ends >= -_FLAT).all()), start)


def _jumps(slopes: np.ndarray) -> int:
    """How many slopes beyond the dense steps differ from both neighbours, which agree."""
    before, at, after = slopes[_A_DECADE - 1 : -2], slopes[_A_DECADE:-1], slopes[_A_DECADE + 1 :]
    return int(((np.abs(before - after) < _SAME) & (np.abs(at - (before + after) / 2) > 2 * _SAME)).sum())
