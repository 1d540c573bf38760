"""Rows that are set aside for evaluation."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.opensloth_core.data.questions import question

Write = Callable[..., Path]
Prepare = Callable[..., Any]
Refuse = Callable[..., str]


def prompts(rows: list[tuple[str, str]]) -> set[str]:
    return {text.partition("<|im_start|>assistant")[0] for text, _ in rows}


def test_what_is_held_out_has_no_prompt_in_common_with_what_is_trained(
    jsonl: Write, prepared: Prepare
) -> None:
    # 20 questions with five different answers each, and some rows twice.
    rows = [{"question": f"Q{n % 20}?", "answer": f"A{n}."} for n in range(100)]
    found = prepared(jsonl([*rows, *rows[:30]]), eval_size=26)
    trained, held = found.examples(), found.examples(found.table("eval.arrow"))
    assert len(trained) + len(held) == 130
    assert not prompts(trained) & prompts(held)
    ledger = found.ledger
    assert (ledger.rows_kept, ledger.rows_held_out) == (len(trained), len(held))
    # 26 are asked for, and whole groups of 5 to 7 rows are held out.
    assert 26 <= len(held) < 26 + 7
    assert ledger.tokens_in == sum(len(row["input_ids"]) for row in found.rows)


def test_all_turns_before_the_first_answer_are_the_prompt(jsonl: Write, prepared: Prepare) -> None:
    def chat(asked: str, more: str) -> dict[str, Any]:
        turns = [("user", asked), ("assistant", "Yes."), ("user", more), ("assistant", "No.")]
        return {"messages": [{"role": role, "content": content} for role, content in turns]}

    rows = [chat(f"Q{n % 10}?", f"And {n}?") for n in range(60)]
    found = prepared(jsonl(rows), eval_size=12)
    trained, held = found.examples(), found.examples(found.table("eval.arrow"))
    assert not prompts(trained) & prompts(held)
    assert len(held) == 12


def test_without_an_eval_size_nothing_is_held_out(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([question(1), question(2)]))
    assert not (found.folder / "eval.arrow").exists()
    assert found.ledger.rows_held_out == 0


def test_a_number_of_rows_is_held_out_of_the_sample(jsonl: Write, prepared: Prepare) -> None:
    found = prepared(jsonl([question(number) for number in range(100)]), samples=30, eval_size=10)
    assert (found.ledger.rows_kept, found.ledger.rows_held_out) == (20, 10)
    assert found.ledger.rows_not_sampled == 70
    assert list(found.ledger.warnings()) == []


def test_one_prompt_cannot_be_on_both_sides(jsonl: Write, error: Refuse) -> None:
    rows = [{"question": "Why?", "answer": f"A{number}"} for number in range(10)]
    assert error(jsonl(rows), eval_size=2) == (
        "eval_size 2: of 10 usable rows with 1 different prompts it would hold out 10; give a size that "
        "leaves rows on both sides"
    )


def test_data_that_grows_and_is_shuffled_moves_no_row_to_training(jsonl: Write, prepared: Prepare) -> None:
    """What a model of earlier data was measured on, one of later data never trains on; nor does it train on
    another answer to it, or on a second copy."""
    first = [question(number) for number in range(60)]
    before = prepared(jsonl(first), eval_size=0.2)
    copies = [*first[::-1], *first[:20], *(row | {"answer": "Another."} for row in first)]
    later = prepared(jsonl([question(number) for number in range(60, 200)] + copies), eval_size=0.2)
    trained, held = prompts(before.examples()), prompts(before.examples(before.table("eval.arrow")))
    trained_later = prompts(later.examples())
    held_later = prompts(later.examples(later.table("eval.arrow")))
    assert len(trained) + len(held) == 60 and held
    assert held <= held_later and trained <= trained_later
    assert not held_later & (trained | trained_later)
    assert later.ledger.rows_kept + later.ledger.rows_held_out == 280
