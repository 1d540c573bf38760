"""The report of a run, from its event log."""

import json
import math
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opensloth_core.errors import StoreError
from opensloth_core.runs.directory import PICTURE_FILE, REPORT_FILE, RunDirectory
from opensloth_core.runs.report.markdown import report_markdown, write_report
from tests.opensloth_core.runs.report.written_run import (
    EVENTS,
    FIRST_ATTEMPT,
    SETTINGS,
    at,
    state,
    write_run,
)


def section(report: str, title: str) -> str:
    """The text under a heading."""
    [text] = [part for part in report.split("\n## ") if part.startswith(f"{title}\n")]
    return text.removeprefix(f"{title}\n\n").rstrip("\n")


def headings(report: str) -> list[str]:
    return [line.removeprefix("## ") for line in report.splitlines() if line.startswith("## ")]


def first_sentence(report: str) -> str:
    return report.splitlines()[2]


@pytest.fixture
def report(tmp_path: Path) -> str:
    return report_markdown(write_run(tmp_path / "dpo-run", EVENTS))


def test_the_first_sentence_says_how_it_went(report: str) -> None:
    assert first_sentence(report) == (
        "**DPO with LoRA of `tiny-llama` on `pairs` completed**: 6 of 6 steps on 2 GPUs (H200) in 1 min 09 s "
        "(2 attempts); first step to last: loss 0.7000 → 0.2000, reward margin 0.1000 → 0.6000, "
        "reward accuracy 55.0 % → 80.0 %; held out: loss 0.7000 → 0.3000, "
        "accuracy 50.0 % → 75.0 %, margin 0 → 0.4000."
    )
    assert "- 2 of 30 rows cannot be used" in report
    assert f"![loss, reward margin, reward accuracy by step]({PICTURE_FILE})" in report


def test_answers_stand_below_one_another(report: str) -> None:
    assert section(report, "Answers before and after").splitlines() == [
        "| prompt | Say \\*hi\\* \\| bye<br>now |",
        "| --- | --- |",
        "| **before** | \\`what\\`? |",
        "| **after** | hi<br><br>there |",
        "| **reference** | &lt;b&gt;hi&lt;/b&gt; |",
    ]


def test_evaluations_are_a_table_with_the_best_marked(report: str) -> None:
    assert section(report, "Evaluation on the rows held out").splitlines()[2:] == [
        "| 0 | 0.7000 | 50.0 % | 0 | 4 | 2.0 s |",
        "| **6** (best) | 0.3000 | 75.0 % | 0.4000 | 4 | 2.0 s |",
    ]


def test_of_many_evaluations_the_first_the_best_and_the_last_are_shown(tmp_path: Path) -> None:
    evals = [at(n, "eval", step=n, metrics={"loss": abs(n - 20) + 1.0}) for n in range(50)]
    lines = section(report_markdown(write_run(tmp_path / "run", evals)), "Evaluation on the rows held out")
    steps = [line.split(" | ")[0].removeprefix("| ") for line in lines.splitlines()[2:-2]]
    assert steps == ["0", "**20** (best)", *map(str, range(40, 50))]
    assert lines.endswith("38 of 50 evaluations are left out here; `events.jsonl` has all.")


def test_settings_that_differ_from_the_defaults_of_the_method_come_first(report: str) -> None:
    chosen, _, everything = section(report, "Settings").partition("<details>")
    assert chosen.rstrip().splitlines()[2:] == [
        "| `method` | dpo |  |",
        "| `model` | org/tiny-llama |  |",
        "| `data` | https://\\*\\*\\*@host/pairs.jsonl?X-Amz-Signature=\\*\\*\\* |  |",
        "| `eval_size` | 4 | - |",
        "| `training.max_steps` | 6 | - |",
        "| `training.batch_size` | 2 | - |",
        "| `training.gradient_accumulation_steps` | 3 | - |",
    ]
    assert "| `dpo.beta` | 0.1 |" in everything
    assert "| `training.learning_rate` | 5e-06 |" in everything
    assert "grpo" not in everything


def test_batches_are_worked_out(report: str) -> None:
    assert section(report, "Batches").splitlines() == [
        "2 pairs x 3 micro-batches x 2 GPUs = **12 pairs** in an optimizer step.",
        "A step ran 300 tokens on average, 150 of them trained.",
    ]


def test_the_batches_of_grpo_are_completions_of_prompts(tmp_path: Path) -> None:
    grpo = {"reward": ["length"], "num_generations": 4}
    values = SETTINGS | {"method": "grpo", "grpo": grpo, "training": {"batch_size": 8}}
    report = report_markdown(write_run(tmp_path / "run", FIRST_ATTEMPT, values))
    assert section(report, "Batches").splitlines()[0] == (
        "8 completions x 1 micro-batch x 2 GPUs = **16 completions** in an optimizer step, "
        "4 for each of 4 prompts."
    )


def test_the_data_has_its_key_its_source_and_a_ledger_that_adds_up(report: str) -> None:
    assert section(report, "Data").splitlines() == [
        "Key `0123abcd`, cached: nothing had to be prepared, from",
        "",
        "- `https://***@host/pairs.jsonl?X-Amz-Signature=***`",
        "",
        "|  | total | of which |  |",
        "| --- | --: | --- | --- |",
        "| Rows | 30 read | 24 kept + 2 rejected + 4 held out | rejected: 2 no \\| chosen |",
        "| Tokens | 3,000 in | 1,500 trained + 1,300 masked + 200 dropped |  |",
        "| Cells | 2,800 | 1,500 trained + 1,300 masked | 24 examples, nothing is packed |",
    ]


def test_each_attempt_has_its_time_line(report: str) -> None:
    times = section(report, "Time")
    assert times.startswith("The first step was done 27 s after the run was created.")
    first, second = times.split("Attempt 2, 22 h 13 min after the run was created:")
    assert "| import | 5.0 s | 16 s | 10 s |" in first
    assert "| training | 20 s | 28 s | 7.5 s to 8.0 s |" in second
    # 56 cells are 34 s; the evaluation is from second 23 to second 25.
    assert f"evaluation     ▕{' ' * 37}{'█' * 4}{' ' * 15}▏" in first


def test_ranks_are_compared(report: str) -> None:
    assert section(report, "Ranks").splitlines()[2:4] == [
        "| 0 | cuda:0 | 6 | 50 | 2.0 s | 3.6 GB | 0.0 % | 0.67 |",
        "| 1 | cuda:1 | 6 | 100 | 2.0 s | 3.6 GB | 0.0 % | 1.33 |",
    ]


def test_checkpoints_resumes_and_versions_are_told(report: str) -> None:
    assert section(report, "Checkpoints").splitlines()[2:] == [
        "| 2 | removed since | `checkpoints/step-2` | 12 MB | 500 ms |",
        "| 2 | resumed from | `checkpoints/step-2` |  |  |",
    ]
    assert section(report, "Versions") == ("Linux · 2 x H200\n\ntorch 2.13.0 · trl 1.15.0 · python 3.11.9")


def test_files_that_are_there_are_linked(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    run.adapter_dir.mkdir()
    (run.adapter_dir / "adapter_config.json").write_text("{}")
    (run.path / "checkpoints").mkdir()
    lines = section(report_markdown(run), "Files").splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "- [adapter/](adapter)",
        "- [config.json](config.json)",
        "- [events.jsonl](events.jsonl)",
    ]


def test_a_run_that_failed_before_training_says_why_and_nothing_empty(tmp_path: Path) -> None:
    message = "no space on https://me:secret@host; free some, or set OPENSLOTH_HOME"
    run = write_run(tmp_path / "run", [state(0, "created"), state(9, "failed", message=message)])
    report = report_markdown(run)
    assert report.splitlines()[2:5] == [
        "**DPO with LoRA of `tiny-llama` on `pairs` failed** after 9.0 s.",
        "",
        r"> no space on https://\*\*\*@host; free some, or set OPENSLOTH_HOME",
    ]
    assert headings(report) == ["Settings", "Files"]
    assert "![" not in report


def test_a_run_that_was_killed_has_not_ended(tmp_path: Path) -> None:
    report = report_markdown(write_run(tmp_path / "run", FIRST_ATTEMPT))
    assert first_sentence(report).startswith(
        "**DPO with LoRA of `tiny-llama` on `pairs` has not ended, and was training last**: 4 of 6 steps on"
    )


def test_a_directory_without_anything_gives_a_report(tmp_path: Path) -> None:
    assert report_markdown(RunDirectory(tmp_path)) == f"# {tmp_path.name}\n\n**The run has not begun**.\n"


def test_no_secret_of_an_address_is_in_the_report_or_beside_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    written = write_report(run).read_text() + (run.path / PICTURE_FILE).read_text()
    assert "secret" not in written and "1f3a" not in written


def test_the_report_and_its_picture_are_replaced_and_nothing_else_is_left(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FIRST_ATTEMPT)
    before = {path.name for path in run.path.iterdir()}
    old = write_report(run).read_text()
    write_run(run.path, EVENTS)
    assert write_report(run) == run.path / REPORT_FILE
    assert (run.path / REPORT_FILE).read_text() == report_markdown(run) != old
    assert {path.name for path in run.path.iterdir()} == before | {REPORT_FILE, PICTURE_FILE}


def test_a_report_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", FIRST_ATTEMPT)
    (run.path / REPORT_FILE).mkdir()
    with pytest.raises(StoreError, match=r"report\.md: cannot write the report"):
        write_report(run)


def test_lines_that_a_kill_cut_are_left_out(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    whole = report_markdown(run)
    lines = run.events_path.read_text().splitlines(keepends=True)
    torn = lines[-3][:30]
    # The first event after the kill stands on the torn line; one that nobody misses here.
    noise = json.dumps(at(0, "progress", phase="pack", done=1, total=2))
    run.events_path.write_text("".join([*lines[:9], f"{torn}{noise}\n", *lines[9:], torn]))
    assert report_markdown(run) == whole


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(cut=st.integers(0, 100_000))
def test_any_beginning_of_a_log_gives_a_report(tmp_path: Path, cut: int) -> None:
    run = write_run(tmp_path / "run", EVENTS)
    log = run.events_path.read_bytes()
    run.events_path.write_bytes(log[: cut % (len(log) + 1)])
    assert report_markdown(run).startswith("# run\n\n**DPO with LoRA")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_fields_that_are_missing_or_no_numbers_do_not_stop_a_report(
    tmp_path: Path, data: st.DataObject
) -> None:
    events = [dict(event) for event in EVENTS]
    for _ in range(data.draw(st.integers(1, 6))):
        event = events[data.draw(st.integers(0, len(events) - 1))]
        name = data.draw(st.sampled_from(sorted({*event, "kind"} - {"time"})))
        if name == "kind":
            continue
        if isinstance(event.get(name), float) and data.draw(st.booleans()):
            event[name] = data.draw(st.sampled_from([math.nan, math.inf, -math.inf]))
        elif data.draw(st.booleans()):
            event[name] = None
        else:
            del event[name]
    assert report_markdown(write_run(tmp_path / "run", events)).startswith("# run")
