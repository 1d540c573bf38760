"""What a person sees of a run."""

import io
import json
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from flows.cli.bars_view import BarsView
from flows.cli.console import RunConsole, view_for
from flows.cli.lines import lines_for
from flows.cli.plain_view import PlainView
from flows.cli.shown import Shown
from opensloth_core.runs.events import EventLog, read_events
from tests.flows.cli.run_events import RUN, event, step


def plain(events: list[dict[str, Any]]) -> list[str]:
    stream = io.StringIO()
    view = PlainView(stream)
    for one in events:
        view.show(one)
    view.close()
    lines = stream.getvalue().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d ", line) for line in lines)
    return [line[9:] for line in lines]


def test_a_step_in_one_line() -> None:
    line = "step 3/30 · loss 2.346 · grad norm 1.20 · lr 2.0e-04 · 12,346 tokens/s"
    assert lines_for(step(3, 0)) == [line]
    assert lines_for(event("step", step=3, total_steps=None, loss=None)) == ["step 3"]


def test_progress_with_and_without_a_total() -> None:
    assert lines_for(event("progress", phase="pack", done=1234, total=5000)) == ["pack 1,234/5,000 (24 %)"]
    assert lines_for(event("progress", phase="read", done=1234, total=None)) == ["read 1,234"]


def test_where_the_data_came_from() -> None:
    cached = event("prepared", key="0123456789abcdef", cached=True, seconds=0.1)
    assert lines_for(cached) == ["data: cached, nothing to prepare (key 0123456789ab)"]
    made = event("prepared", key="0123456789abcdef", cached=False, seconds=61.0)
    assert lines_for(made) == ["data: prepared in 1 min 01 s (key 0123456789ab)"]


def test_a_message_of_two_lines_is_two_lines_with_its_level() -> None:
    assert lines_for(event("message", level="warning", text="a\nb")) == ["warning: a", "warning: b"]


def test_unknown_kinds_and_states_are_not_shown() -> None:
    assert lines_for(event("heartbeat")) == []
    assert lines_for(event("state", state="created")) == []


def test_a_failed_run_leaves_its_error_to_the_commands_last_line() -> None:
    assert lines_for(event("state", state="failed", message="rank 1 died")) == ["failed"]


def test_an_evaluation_is_one_line() -> None:
    found = event("eval", step=40, metrics={"loss": 1.25, "token_accuracy": 0.6125})
    assert lines_for(found) == ["held out, after step 40: loss 1.250, token_accuracy 61.3 %"]


def test_plain_lines_show_first_and_last_and_one_in_five_seconds() -> None:
    # Half a second a step: step 1 at 5.5 s is due, then 11 at 10.5 s, 21 at 15.5 s; 30 is the last.
    steps = [line.split(" ")[1] for line in plain(RUN) if line.startswith("step")]
    assert steps == ["1/30", "11/30", "21/30", "30/30"]


def test_plain_lines_show_the_start_and_end_of_a_phase() -> None:
    phases = [line for line in plain(RUN) if line.startswith("tokenise")]
    assert phases == ["tokenise 0/7,470 (0 %)", "tokenise 7,470/7,470 (100 %) in 1.0 s"]


def test_plain_lines_show_the_last_step_before_a_failure() -> None:
    lines = plain([step(1, 0), step(2, 1), step(3, 2), event("state", 3, state="failed")])
    assert [line.split(" · ")[0] for line in lines] == ["step 1/30", "step 3/30", "failed"]


def drawn(width: int, monkeypatch: pytest.MonkeyPatch, events: Sequence[dict[str, Any]] = RUN) -> str:
    monkeypatch.setenv("TERM", "xterm")
    stream = io.StringIO()
    view = BarsView(Console(file=stream, width=width, height=24, force_terminal=True))
    for one in events:
        view.show(one)
        view.refresh()
    view.close()
    return stream.getvalue()


@pytest.mark.parametrize("width", [20, 40, 64, 75, 80, 200])
def test_bars_are_never_wider_than_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    plain_text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn(width, monkeypatch))
    assert max(len(line) for line in re.split(r"[\r\n]+", plain_text)) <= width


def test_bars_show_the_stages_and_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    text = drawn(80, monkeypatch)
    for part in ("tokenise", "loading the model", "training", "30/30", "loss 2.346", "12k tok/s"):
        assert part in text


def test_no_color_is_respected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert not re.search(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|38|9[0-7])[;m]", drawn(80, monkeypatch))


def test_a_pipe_gets_lines() -> None:
    assert isinstance(view_for(io.StringIO()), PlainView)


def test_the_console_shows_what_was_written_last_before_it_closed(tmp_path: Path) -> None:
    log, stream = EventLog(tmp_path / "events.jsonl"), io.StringIO()
    with RunConsole(log.path, stream):
        log.message("first")
        log.message("last")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["first", "last"]


def test_what_an_earlier_attempt_left_in_the_log_is_not_shown_again(tmp_path: Path) -> None:
    log, stream = EventLog(tmp_path / "events.jsonl"), io.StringIO()
    log.message("of before")
    since = time.time()
    with RunConsole(log.path, stream, since=since):
        log.message("of now")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["of now"]


def test_a_broken_pipe_ends_the_view_and_not_the_run(tmp_path: Path) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    log = EventLog(tmp_path / "events.jsonl")
    with RunConsole(log.path, Closed()) as console:
        log.message("unseen")
    assert isinstance(console.failure, BrokenPipeError)


def test_a_view_that_breaks_says_so(tmp_path: Path) -> None:
    path, stream = tmp_path / "events.jsonl", io.StringIO()
    path.write_text("{}\n")
    with RunConsole(path, stream):
        pass
    assert "the progress display stopped early: KeyError" in stream.getvalue()


def test_a_machine_gets_every_event_as_it_stands_in_the_log(tmp_path: Path) -> None:
    log, stream = EventLog(tmp_path / "events.jsonl"), io.StringIO()
    with RunConsole(log.path, stream, Shown(as_json=True)):
        log.message("é")
        log.write("step", step=1, loss=float("nan"), metrics={"a": [1.5]})
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert first == read_events(log.path)[0]
    # JSON has no word for what is not a number.
    assert (second["loss"], second["metrics"]) == (None, {"a": [1.5]})


def test_a_quiet_run_shows_nothing_as_it_goes_on(tmp_path: Path) -> None:
    log, stream = EventLog(tmp_path / "events.jsonl"), io.StringIO()
    with RunConsole(log.path, stream, Shown(quiet=True)):
        log.message("unseen")
    assert stream.getvalue() == ""


def test_verbose_shows_what_the_ranks_print_from_now_on_without_escapes(tmp_path: Path) -> None:
    log, stream = EventLog(tmp_path / "events.jsonl"), io.StringIO()
    (tmp_path / "logs").mkdir()
    path = tmp_path / "logs" / "rank-0.log"
    path.write_text("of an attempt before\n")
    with RunConsole(log.path, stream, Shown(verbose=True)), path.open("a") as file:
        file.write("10 %\r50 %\r\x1b[31m100 %\x1b[0m\n\nhalf a li")
    assert [line[9:] for line in stream.getvalue().splitlines()] == ["rank-0: 100 %"]


def test_plain_lines_say_how_long_it_is_going_to_take() -> None:
    # 10 of 40 in 6 s: 30 more in 18 s. Steps 1 to 11 in 5 s: the 19 that are left in 9.5 s.
    reading = [event("progress", 6 * i, phase="read", done=10 * i, total=40) for i in (0, 1)]
    assert plain(reading)[1] == "read 10/40 (25 %), 18 s left"
    assert next(line for line in plain(RUN) if line.startswith("step 11/")).endswith(" · 9.5 s left")


def test_a_stage_that_an_earlier_run_went_through_says_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    warming = event("state", 3, state="warming", expected_seconds=90.0)
    assert plain([warming]) == ["loading the model, about 1 min 30 s"]
    assert re.search(r"loading the model.* 01:30 left", drawn(80, monkeypatch, [warming]))
    last = drawn(80, monkeypatch, [warming, event("state", 5, state="training")]).split("loading the model")[
        -1
    ]
    assert "left" not in last and "00:00" in last


def test_a_resumed_run_shows_its_phases_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    again = [*RUN, event("resumed", 30, step=20, checkpoint="step-20"), *RUN]
    assert len([line for line in plain(again) if line.startswith("tokenise")]) == 4
    assert "30/30" in drawn(80, monkeypatch, again)


def test_progress_of_reading_is_in_bytes() -> None:
    line = "tokenize 12.5/40.0 MB (31 %)"
    assert lines_for(event("progress", phase="tokenize", done=12_500_000, total=40_000_000)) == [line]
    small = event("progress", phase="hash", done=2048, total=4096)
    assert lines_for(small) == ["hash 2.0/4.1 kB (50 %)"]


def test_plain_lines_say_once_that_a_phase_ended() -> None:
    ends = [event("progress", second, phase="pack", done=9, total=9) for second in (0.0, 6.0, 12.0)]
    assert len(plain(ends)) == 1
