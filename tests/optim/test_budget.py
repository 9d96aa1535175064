"""Which bits are raised under a byte budget."""

from __future__ import annotations

from styleshuffle.optim.budget import Stream, raised

HELD = (4.0, 1.5, 0.5)  # squared errors by 2, 3 and 4 bits, where the update has the squared norm 1


def test_bits_are_raised_until_the_error_floor_does_not_dominate() -> None:
    assert raised([Stream(2, 10, 1.0, HELD)], 1000) == [4]
    assert raised([Stream(2, 10, 2.0, HELD)], 1000) == [3]  # 3 bits hold back sqrt(1.5 / 2) of a step
    assert raised([Stream(2, 10, 5.0, HELD)], 1000) == [2]


def test_the_budget_is_never_exceeded_and_goes_where_a_byte_takes_most_error_away() -> None:
    streams = [Stream(2, 100, 1.0, HELD), Stream(2, 10, 1.0, HELD), Stream(2, 10, 1.0, (2.0, 1.5, 0.5))]
    assert raised(streams, 0) == [2, 2, 2]
    assert raised(streams, 10) == [2, 3, 2]
    assert raised(streams, 20) == [2, 4, 2]
    assert raised(streams, 40) == [2, 4, 4]
    assert raised(streams, 139) == [2, 4, 4]
    assert raised(streams, 140) == [3, 4, 4]


def test_full_bits_unrounded_streams_and_gradients_of_zero_stay() -> None:
    assert raised([Stream(4, 1, 1e-9, HELD), Stream(32, 1, 1e-9, HELD), Stream(2, 1, 0.0, (0.0,) * 3)], 100) == [4, 32, 2]
