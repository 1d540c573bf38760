"""The curves of a run as a picture."""

import math
import subprocess
import sys
from typing import Any

import pytest

from opensloth_core.runs.report.panels import Panel, panels
from opensloth_core.runs.report.picture import draw, picture_svg
from opensloth_core.runs.statistics import StepValue
from tests.opensloth_core.runs.report.written_run import EVENTS


def curve(count: int) -> list[StepValue]:
    return [StepValue(n, 2 + math.sin(n)) for n in range(1, count + 1)]


def lines_of(axes: Any) -> dict[str, Any]:
    return {line.get_label(): line for line in axes.get_lines()}


def test_dpo_shows_loss_margin_and_accuracy_with_the_rows_held_out() -> None:
    shown = panels(EVENTS, "dpo")
    assert [panel.title for panel in shown] == ["loss", "reward margin", "reward accuracy"]
    assert [point.value for point in shown[0].curve] == pytest.approx([0.7, 0.6, 0.5, 0.4, 0.3, 0.2])
    assert [panel.held_out for panel in shown] == [
        [(0, 0.7), (6, 0.3)],
        [(0, 0.0), (6, 0.4)],
        [(0, 0.5), (6, 0.75)],
    ]
    assert shown[0].resumed == [2]


def test_grpo_shows_the_reward_above_the_loss() -> None:
    event = {"time": 0.0, "kind": "step", "rank": 0, "step": 1, "loss": 0.0, "metrics": {"reward": 0.5}}
    assert [panel.title for panel in panels([event], "grpo")] == ["reward", "loss"]


def test_a_run_without_steps_has_no_picture() -> None:
    assert panels([{"time": 0.0, "kind": "state", "state": "failed"}], "sft") == []


def test_the_same_events_give_the_same_bytes() -> None:
    shown = panels(EVENTS, "dpo")
    pictures = {picture_svg(shown) for _ in range(5)}
    assert len(pictures) == 1
    assert pictures.pop().startswith(b"<?xml")


@pytest.mark.parametrize("count", [1, 2, 20, 100_000])
def test_any_number_of_steps_is_a_picture_of_limited_size(count: int) -> None:
    assert len(picture_svg([Panel("loss", curve(count), [], [])])) < 200_000


def test_losses_that_are_no_numbers_leave_gaps_and_are_marked() -> None:
    values = [StepValue(1, 2.0), StepValue(2, math.nan), StepValue(3, math.inf), StepValue(4, 1.0)]
    [axes] = draw([Panel("loss", values, [], [])]).axes
    lines = lines_of(axes)
    assert list(lines["not a number"].get_xdata()) == [2, 3]
    assert [math.isnan(value) for value in lines["each step"].get_ydata()] == [False, True, True, False]
    assert axes.get_yscale() == "linear"


def test_a_curve_of_nothing_but_nan_is_drawn() -> None:
    assert picture_svg([Panel("loss", [StepValue(1, math.nan)], [], [])])


def test_matplotlib_is_imported_only_to_draw() -> None:
    check = "import sys, opensloth_core.runs.report.markdown; print('matplotlib' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
