"""`os-train runs compare`: what differs, and the curves as text and as files."""

import json
import re

import pytest

from flows.cli.runs.chart import HEIGHT, chart
from opensloth_core.runs.statistics import StepValue


def test_runs_are_compared_by_what_differs_and_by_their_results(write_run, typed) -> None:
    one, two = write_run(age=20), write_run(age=10, steps=2, state="failed", training={"learning_rate": 1e-3})
    code, out, err = typed(f"os-train runs compare {one.path.name} {two.path.name}")
    assert (code, err) == (0, "")
    lines = [re.sub(" +", " ", line).strip() for line in out.splitlines()]
    assert lines[:2] == [f"A {one.path.name} completed", f"B {two.path.name} failed"]
    assert lines[3:5] == ["Settings that differ A B", "training.learning_rate 0.0002 0.001"]
    assert "final loss 4 4.500" in lines and "steps 3 2" in lines
    assert "Loss" in lines
    assert max(map(len, out.splitlines())) <= 80
    assert "\x1b" not in out


def test_runs_of_equal_settings_say_so(write_run, typed) -> None:
    write_run(age=20)
    write_run(age=10)
    ends = [one["name"][-4:] for one in json.loads(typed("os-train runs ls --json")[1])["runs"]]
    assert "No setting differs." in typed(f"os-train runs compare {ends[0]} {ends[1]}")[1]


def test_a_run_that_took_no_step_is_compared_without_a_curve(write_run, typed) -> None:
    one, two = write_run(age=20), write_run(age=10, steps=0, state="failed")
    code, out, _ = typed(f"os-train runs compare {one.path.name} {two.path.name}")
    assert code == 0
    assert "A" in out.split("Loss\n")[1] and "B" not in out.split("Loss\n")[1]


def test_the_comparison_is_written_as_picture_and_as_page(write_run, typed, tmp_path) -> None:
    one, two = write_run(age=20), write_run(age=10, steps=5)
    svg, page = tmp_path / "two.svg", tmp_path / "two.html"
    line = f"os-train runs compare {one.path.name} {two.path.name} --svg {svg} --html {page}"
    assert typed(line)[0] == 0
    before = svg.read_bytes()
    assert before.startswith(b"<?xml") and one.path.name.encode() in before
    text = page.read_text()
    assert text.count("<svg") == 1 and two.path.name in text and "final loss" in text
    assert typed(line)[0] == 0 and svg.read_bytes() == before
    assert typed(f"{line} --svg {tmp_path}/none/a.svg".replace(f"--svg {svg} ", ""))[0] == 1


@pytest.mark.parametrize("flags", ["last", "last last"])
def test_one_run_is_not_compared(flags, write_run, typed) -> None:
    write_run()
    code, out, err = typed(f"os-train runs compare {flags}")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "is one run" in err


def test_a_falling_line_goes_from_the_upper_left_to_the_lower_right() -> None:
    lines = chart({"A": [StepValue(step, float(100 - step)) for step in range(1, 101)]}, 60, False)
    rows = [line.split("┤")[-1].split("│")[-1] for line in lines[:HEIGHT]]
    places = [len(row) - len(row.lstrip()) for row in rows]
    assert places == sorted(places) and places[0] == 0
    assert len(rows[-1]) > 50 and len(lines[-1]) <= 60
    assert lines[0].strip().startswith("99.00 ┤") and lines[HEIGHT - 1].strip().startswith("0 ┤")
    assert lines[-1].split() == ["step", "1", "100"]


def test_every_curve_carries_its_letter_and_values_that_are_no_numbers_are_left_out() -> None:
    curves = {
        "A": [StepValue(1, 1.0), StepValue(2, float("nan")), StepValue(3, 1.0)],
        "B": [StepValue(step, 1.0) for step in range(1, 4)],
        "C": [StepValue(2, 1.0)],
    }
    text = "\n".join(chart(curves, 80, False)[:HEIGHT])
    assert all(letter in text for letter in curves)
    assert chart({"A": [StepValue(1, float("nan"))]}, 80, False) == []


def test_the_lines_of_a_picture_are_as_long_with_colours() -> None:
    curves = {"A": [StepValue(1, 2.0), StepValue(9, 1.0)], "B": [StepValue(1, 1.0), StepValue(9, 3.0)]}
    coloured = chart(curves, 80, True)
    assert "\x1b[36m" in "".join(coloured) and "\x1b[33m" in "".join(coloured)
    plain = [re.sub(r"\x1b\[\d+m", "", line).rstrip() for line in coloured]
    assert plain == chart(curves, 80, False)
