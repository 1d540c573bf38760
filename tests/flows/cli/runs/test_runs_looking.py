"""`os-train runs ls` and `show`, and how runs are named."""

import fcntl
import json
import re

from opensloth_core.runs.directory import RunDirectory
from opensloth_core.runs.lock import run_lock


def test_runs_are_listed_newest_first_with_what_came_of_them(write_run, typed) -> None:
    older = write_run(age=7200, cached=True)
    newer = write_run(age=60, state="failed", steps=2, method="dpo")
    code, out, err = typed("os-train runs ls")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert re.sub(" +", " ", lines[0]) == "run kind model data gpus state steps loss tok/s took age"
    end = newer.path.name[-4:]
    assert re.sub(" +", " ", lines[1]) == f"{end} dpo tiny colours 2 failed 2/3 4.500 2.0k 24s 1m"
    end = older.path.name[-4:]
    assert re.sub(" +", " ", lines[2]) == f"{end} sft tiny colours* 2 completed 3 4 2.3k 34s 2h"
    assert lines[-1] == "* its data was cached"
    assert max(map(len, lines)) <= 80


def test_a_wide_terminal_shows_whole_names(write_run, typed, monkeypatch) -> None:
    run = write_run()
    monkeypatch.setenv("COLUMNS", "160")
    assert typed("os-train runs ls")[1].splitlines()[1].startswith(run.path.name)


def test_the_list_is_filtered_by_state_method_and_number(write_run, typed) -> None:
    names = [
        write_run(age=age, state=state).path.name
        for age, state in ((30, "failed"), (20, None), (10, "failed"))
    ]

    def listed(flags: str) -> list[str]:
        return [one["name"] for one in json.loads(typed(f"os-train runs ls --json {flags}")[1])["runs"]]

    assert listed("") == names[::-1]
    assert listed("--state failed") == [names[2], names[0]]
    assert listed("--state crashed") == [names[1]]
    assert listed("-n 1") == [names[2]]
    assert listed("--method dpo") == []
    assert "there are older ones: -n 2" in typed("os-train runs ls -n 1")[1]


def test_an_empty_home_says_so(home, typed) -> None:
    assert typed("os-train runs ls") == (0, f"No runs in {home}/runs.\n", "")
    assert typed("os-train runs ls --state failed")[1] == f"No failed runs in {home}/runs.\n"


def test_a_run_that_is_driven_is_not_taken_for_a_killed_one(write_run, typed) -> None:
    run = write_run(state=None)
    with run_lock(run):
        assert " training " in typed("os-train runs ls")[1]
    assert " crashed " in typed("os-train runs ls")[1]


def test_a_run_that_nobody_began_with_counts_as_crashed_once_its_creator_is_gone(write_run, typed) -> None:
    run = write_run(steps=0, state="created")
    run.lock_path.unlink()
    assert " created " in typed("os-train runs ls")[1]
    run = RunDirectory(run.path)  # the last that was left of what created it
    assert " crashed " in typed("os-train runs ls")[1]
    assert "nobody began with it" in typed("os-train runs show last")[1]
    with run.session_path.open("a") as session:
        fcntl.flock(session, fcntl.LOCK_EX)  # as a tmux session does that it was handed to
        assert " created " in typed("os-train runs ls")[1]


def test_a_run_is_shown_with_what_differs_from_the_defaults(write_run, typed) -> None:
    run = write_run(training={"learning_rate": 3e-4, "max_steps": 3})
    (run.checkpoints_dir / "step-000002").mkdir(parents=True)
    code, out, _ = typed("os-train runs show last")
    assert code == 0
    assert out.startswith(run.path.name + "\nState    completed, 34 s, begun 1 h ago")
    assert "Loss     4 (first step 5)\n" in out
    assert re.search(r"\n  training.learning_rate +0.0003  \(0.0002\)\n", out)
    assert "lora_rank" not in out
    assert re.search(r"training +31 s\n +\S+ +completed", out)
    assert "step-000002  0 B  damaged: manifest.json is missing" in out
    assert str(run.events_path) in out


def test_show_says_why_a_run_failed_and_how_to_go_on(write_run, typed) -> None:
    run = write_run(state=None)
    run.events.state("failed", "rank 1 ended with exit code 9; its last lines:\n  boom")
    out = typed("os-train runs show last")[1]
    assert "Why      rank 1 ended with exit code 9; its last lines:\n           boom\n" in out
    assert out.splitlines()[-1] == f"to go on with this run from the start: --resume {run.path.name}"


def test_show_prints_one_json_object(write_run, typed) -> None:
    write_run()
    record = json.loads(typed("os-train runs show last --json")[1])
    assert record["losses"] == [{"step": s, "loss": 5.5 - 0.5 * s} for s in (1, 2, 3)]
    assert [one["state"] for one in record["states"]] == ["created", "preparing", "training", "completed"]
    assert record["settings"]["gpus"] == "2" and "gpus" in record["differing"]


def test_a_run_goes_by_name_beginning_end_folder_and_last(write_run, typed) -> None:
    older, newer = write_run(age=50), write_run(age=40, method="dpo")

    def name(which: object) -> str:
        return typed(f"os-train runs show {which}")[1].splitlines()[0]

    for which in (older.path.name, older.path, "sft", older.path.name[-4:]):
        assert name(which) == older.path.name
    assert name("last") == newer.path.name == name("dpo-tiny")


def test_a_name_that_means_none_or_several_is_one_line(write_run, typed, home) -> None:
    assert typed("os-train runs show last")[0] == 2
    runs = [write_run(age=age) for age in (50, 40)]
    code, out, err = typed("os-train runs show sft-tiny")
    assert (code, out) == (2, "")
    assert "2 runs are called so" in err and all(run.path.name in err for run in runs)
    code, _, err = typed("os-train runs wait sft-tyny-colours")
    assert code == 2
    meant = f"did you mean {runs[1].path.name}?"
    assert err == f"os-train runs wait: sft-tyny-colours: no such run in {home}/runs; {meant}\n"
    assert "; the newest is " in typed("os-train runs logs nothing-like-it")[2]


def test_the_outline_of_a_log_gives_what_the_whole_log_does(write_run) -> None:
    from opensloth_core.runs.history import read_outline
    from opensloth_core.runs.report.record import read_record
    from opensloth_core.runs.report.timeline import running_seconds

    run = write_run(steps=50, state=None)
    with run.events_path.open("a") as log:
        log.write('{"time": 1, "kind": "st')  # torn by a kill
    run.events.mend()
    run.events.write("resumed", step=50, checkpoint=None)
    run.events.state("preparing")
    whole, outline = read_record(run), read_outline(run)
    assert len(outline.events) == len(whole.events) - 98
    assert outline.all("step") == whole.all("step")[-2:]
    assert running_seconds(outline.events) == running_seconds(whole.events)
    assert 500 < running_seconds(whole.events) < 510  # not the hour until it was resumed
