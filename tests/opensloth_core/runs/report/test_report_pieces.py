"""What Prefect's page shows of a run: its curves and ranks while it trains, its evaluation, its report."""

import base64
from pathlib import Path

from markdown_it import MarkdownIt

from opensloth_core.runs.report.embedded import embedded_report, picture_markdown
from opensloth_core.runs.report.evaluated import NOTHING_HELD_OUT, evaluated
from opensloth_core.runs.report.live import WINDOW_STEPS, LiveRun
from opensloth_core.runs.report.markdown import write_report
from opensloth_core.runs.report.result_card import result_card
from tests.opensloth_core.runs.report.written_run import EVENTS, FIRST_ATTEMPT, SETTINGS, step, write_run


def test_the_ranks_table_says_who_waits_for_whom() -> None:
    live = LiveRun("sft", ("cuda:0", "cuda:1"))
    assert live.rank_rows() == []
    steps = [step(2.0 * n, rank, n, 0.5) for n in range(1, 8) for rank in (0, 1)]
    assert live.add(steps) and not live.add([])
    # Rank 0 has 100 tokens a step of 2 s and rank 1 has 200, so rank 0 waits for half of each.
    assert live.rank_rows() == [
        {
            "rank": "0",
            "device": "cuda:0",
            "step": "7",
            "tokens/s": "50",
            "time a step": "2.0 s",
            "peak memory": "3.7 GB",
            "data wait": "0.0 %",
            "wait for ranks": "50.0 %",
        },
        {
            "rank": "1",
            "device": "cuda:1",
            "step": "7",
            "tokens/s": "100",
            "time a step": "2.0 s",
            "peak memory": "3.7 GB",
            "data wait": "0.0 %",
            "wait for ranks": "0.0 %",
        },
    ]


def test_the_ranks_table_is_of_the_last_steps_but_its_memory_is_the_peak() -> None:
    live = LiveRun("sft", ("cpu",))
    live.add([step(1, 0, 1, 9.0, memory_bytes=8_000_000_000)])
    live.add(step(1.0 + n, 0, n, 0.5, tokens=10, memory_bytes=1) for n in range(2, WINDOW_STEPS + 3))
    (row,) = live.rank_rows()
    assert row["tokens/s"] == "5" and row["peak memory"] == "8.0 GB" and "wait for ranks" not in row


def test_the_live_curves_are_those_of_the_report() -> None:
    from opensloth_core.runs.report.panels import panels

    live = LiveRun("dpo", ("cuda:0", "cuda:1"))
    live.add(EVENTS)
    of_rank_0 = [event for event in EVENTS if not event.get("rank")]
    assert live.panels() == panels(of_rank_0, "dpo")
    assert live.last_step is not None and live.last_step["step"] == 6


def test_the_evaluation_is_that_of_the_ranks_beside_what_it_was_before_training(tmp_path: Path) -> None:
    found = evaluated(write_run(tmp_path / "run", EVENTS, SETTINGS))
    assert found.metrics == {"loss": 0.3, "accuracy": 0.75, "margin": 0.4}
    assert "loss 0.7 → 0.3" in found.summary.replace("0.7000", "0.7").replace("0.3000", "0.3")
    assert "| metric | before training | after step 6 |" in found.markdown
    assert "## Answers before and after" in found.markdown
    html = MarkdownIt("commonmark").enable("table").render(found.markdown)
    assert "<b>hi</b>" not in html  # an answer is text, whatever it says


def test_where_nothing_is_held_out_the_evaluation_says_so(tmp_path: Path) -> None:
    events = [dict(event) for event in FIRST_ATTEMPT if event["kind"] != "eval"]
    for event in events:
        if event["kind"] == "prepared":
            event["ledger"] = {**event["ledger"], "rows_held_out": 0}
    found = evaluated(write_run(tmp_path / "run", events, SETTINGS))
    assert found.metrics == {} and found.summary == NOTHING_HELD_OUT


def test_the_report_for_the_page_needs_no_files_beside_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS, SETTINGS)
    write_report(run)
    text = embedded_report(run)
    picture = base64.b64encode(run.picture_path.read_bytes()).decode()
    assert f"](data:image/svg+xml;base64,{picture})" in text
    assert f"- `{run.config_path}`: the resolved settings" in text
    assert "](config.json)" not in text and "](loss.svg)" not in text
    assert run.report_path.read_text().splitlines()[0] == text.splitlines()[0]


def test_a_picture_is_one_line_of_markdown() -> None:
    assert picture_markdown(b"<svg/>", "loss") == "![loss](data:image/svg+xml;base64,PHN2Zy8+)\n"


def test_the_card_of_a_result_says_where_it_is_and_how_to_train_on_from_it(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", EVENTS, SETTINGS)
    run.adapter_dir.mkdir(exist_ok=True)
    (run.adapter_dir / "adapter_model.safetensors").write_bytes(b"x" * 4_600_000)
    card = result_card(run, tmp_path / "copy")
    assert f"`{run.adapter_dir}`" in card and f"`{tmp_path / 'copy'}`" in card and "4.6 MB" in card
    assert f"--init-from {run.path.name}" in card and "secret" not in card
