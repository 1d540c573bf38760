"""Of a flood of lines the page shows the first and the last, in order, and says what is missing."""

import asyncio
from pathlib import Path

import pytest

from opensloth_core.launch.process import ProcessFailed, run_process
from tasks import limited_lines
from tasks.limited_lines import FIRST_LINES, LAST_LINES, LONGEST_LINE, LimitedLines, limited

LOG = Path("/runs/a/logs/rank-1.log")


async def test_few_lines_are_all_shown_at_once_and_in_order() -> None:
    shown: list[str] = []
    lines = LimitedLines(shown.append, LOG)
    for number in range(FIRST_LINES):
        lines(f"line {number}")
    assert shown == [f"line {number}" for number in range(FIRST_LINES)]
    lines.flush()
    assert len(shown) == FIRST_LINES


async def test_of_ten_thousand_lines_the_first_and_last_are_shown_and_the_others_counted() -> None:
    shown: list[str] = []
    with limited(shown.append, LOG) as lines:
        for number in range(10_000):
            lines(f"line {number}")
    # 10,000 = 200 first + 9,780 left out + 20 last
    assert (FIRST_LINES, LAST_LINES) == (200, 20)
    assert shown[:200] == [f"line {number}" for number in range(200)]
    assert shown[200] == f"… 9,780 lines are left out here; {LOG} has all of them"
    assert shown[201:] == [f"line {number}" for number in range(9_980, 10_000)]


async def test_what_was_held_back_is_shown_when_the_window_ends_though_nothing_follows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limited_lines, "WINDOW_SECONDS", 0.05)
    shown: list[str] = []
    lines = LimitedLines(shown.append, LOG)
    for number in range(FIRST_LINES + 3):
        lines(f"line {number}")
    assert len(shown) == FIRST_LINES
    await asyncio.sleep(0.2)
    assert shown[-3:] == ["line 200", "line 201", "line 202"]  # none left out, so no line says so
    lines("a new window")
    assert shown[-1] == "a new window"
    lines.flush()


async def test_a_line_that_prefect_would_drop_or_refuse_is_shown_in_part() -> None:
    shown: list[str] = []
    with limited(shown.append, LOG) as lines:
        lines("x" * 1_000_000)
        lines("a\0b")
    assert shown == ["x" * LONGEST_LINE + f" … (996,000 more characters in {LOG})", "a␀b"]


FLOOD = """
import os
for number in range(10_000):
    print("line", number)
print("the last words", flush=True)
os._exit(3)
"""


async def test_a_process_that_floods_and_fails_keeps_every_line_in_its_file_and_its_last_words_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "flood.py").write_text(FLOOD)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    shown: list[str] = []
    log_path = tmp_path / "rank-0.log"
    with pytest.raises(ProcessFailed, match="the last words"), limited(shown.append, log_path) as lines:
        await run_process("rank 0", "flood", [], {}, log_path, lines)
    assert log_path.read_text().splitlines() == [*(f"line {n}" for n in range(10_000)), "the last words"]
    assert len(shown) == FIRST_LINES + 1 + LAST_LINES
    assert shown[-2:] == ["line 9999", "the last words"]
