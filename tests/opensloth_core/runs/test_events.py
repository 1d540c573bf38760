"""The event log: many writers, one reader that may be early."""

import json
import multiprocessing
from pathlib import Path

from opensloth_core.runs.events import EventLog, EventReader, read_events

NUM_WRITERS = 4
NUM_EVENTS = 200
LONG_TEXT = "x" * 3000


def write_many(path: Path, writer: int) -> None:
    log = EventLog(path)
    for number in range(NUM_EVENTS):
        log.write("step", writer=writer, number=number, text=LONG_TEXT)


def test_lines_of_several_processes_do_not_mix(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    spawn = multiprocessing.get_context("spawn")
    writers = [spawn.Process(target=write_many, args=(path, n)) for n in range(NUM_WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    events = read_events(path)
    for writer_number in range(NUM_WRITERS):
        own = [event for event in events if event["writer"] == writer_number]
        assert [event["number"] for event in own] == list(range(NUM_EVENTS))
    assert all(event["text"] == LONG_TEXT for event in events)


def test_a_reader_gets_only_what_is_new(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    reader = EventReader(log.path)
    log.message("one")
    assert [event["text"] for event in reader.new_events()] == ["one"]
    assert list(reader.new_events()) == []
    log.message("two")
    assert [event["text"] for event in reader.new_events()] == ["two"]


def test_a_half_written_line_is_left_for_the_next_read(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    reader = EventReader(path)
    line = json.dumps({"time": 1.0, "kind": "message", "level": "info", "text": "größer"}).encode()
    with path.open("ab", buffering=0) as file:
        file.write(line + b"\n" + line[:20])
        assert len(list(reader.new_events())) == 1
        assert list(reader.new_events()) == []
        file.write(line[20:])
        assert list(reader.new_events()) == []
        file.write(b"\n")
        assert [event["text"] for event in reader.new_events()] == ["größer"]


def test_a_log_that_does_not_exist_yet_is_empty(tmp_path: Path) -> None:
    reader = EventReader(tmp_path / "events.jsonl")
    assert list(reader.new_events()) == []
    EventLog(tmp_path / "events.jsonl").state("created")
    assert [event["state"] for event in reader.new_events()] == ["created"]


def test_every_event_has_its_time_and_kind(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.state("training")
    log.state("failed", "rank 1 died")
    log.progress("pack", 3, None)
    log.message("careful\nnow", "warning")
    log.write("result", adapter_dir=tmp_path)
    state, failed, progress, message, result = read_events(log.path)
    assert all(event["time"] > 1.7e9 for event in (state, failed, progress, message, result))
    assert "message" not in state and failed["message"] == "rank 1 died"
    assert (progress["phase"], progress["done"], progress["total"]) == ("pack", 3, None)
    assert (message["level"], message["text"]) == ("warning", "careful\nnow")
    assert result["adapter_dir"] == str(tmp_path)


def test_a_line_torn_by_a_kill_costs_only_itself(tmp_path: Path) -> None:
    log = EventLog(tmp_path / "events.jsonl")
    log.message("before")
    with log.path.open("ab") as file:
        file.write(b'{"time": 1, "kind": "mess')
    log.mend()
    log.mend()
    log.message("after")
    assert [event["text"] for event in read_events(log.path)] == ["before", "after"]
