"""The line through a noisy curve, and the points that are drawn of it."""

import numpy as np
import pytest

from opensloth_core.runs.report.smoothing import smoothed, visible_places


def test_the_smoothed_curve_is_the_best_weighted_line_at_each_point() -> None:
    values = np.random.default_rng(0).normal(size=200)
    places = np.arange(200)
    weights = [np.exp(-40 / 200) ** abs(places - t) for t in places]
    expected = [
        np.polyval(np.polyfit(places - t, values, 1, w=np.sqrt(weights[t])), 0) for t in places.tolist()
    ]
    assert smoothed(values) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("count", [1, 2, 3, 20, 1000])
def test_a_straight_line_stays_what_it_is_to_its_ends(count: int) -> None:
    values = 3 - 0.5 * np.arange(count, dtype=float)
    assert smoothed(values) == pytest.approx(values, abs=1e-6)


def test_values_that_are_no_numbers_do_not_count() -> None:
    values = np.arange(100, dtype=float)
    values[[0, 50, 99]] = [np.nan, np.inf, -np.inf]
    known = np.isfinite(values)
    assert smoothed(values)[known] == pytest.approx(values[known], abs=1e-9)
    assert np.isnan(smoothed(np.array([np.nan, np.nan]))).all()


def test_few_points_are_all_drawn() -> None:
    assert visible_places(np.zeros(20), 10).tolist() == list(range(20))


def test_a_spike_is_drawn_however_many_steps_there_are() -> None:
    values = np.zeros(100_000)
    values[[31_415, 77_777]] = [9.0, -9.0]
    values[500] = np.nan
    places = visible_places(values, 700)
    assert len(places) <= 2 * 700 + 2
    assert {0, 31_415, 77_777, 99_999} <= set(places.tolist())
    assert (np.diff(places) > 0).all()
