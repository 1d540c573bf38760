"""Files of mutated rows, prepared whole: every row is trained as it says, or rejected at its place."""

import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opensloth_core.errors import OpenSlothError
from tests.opensloth_core.data.fuzzed_rows import GOOD, METHODS, file_of, line_of, mutated
from tests.opensloth_core.data.independent_render import HEADER, expected

Prepare = Callable[..., Any]

NUM_GOOD = 6
"""Rows at the start of each file, of which its layout is seen."""

SEEDS = range(12)


def lines_of(content: bytes) -> dict[int, bytes]:
    """The lines of a file that are not blank, by their number."""
    lines = content.removeprefix(b"\xef\xbb\xbf").split(b"\n")
    return {number: line for number, line in enumerate(lines, 1) if line.strip(b" \t\r\n")}


def one_line(err: OpenSlothError) -> bool:
    return 10 < len(str(err)) < 2000 and "\n" not in str(err) and str(err).isprintable()


def kept_rows(found: Any, lines: dict[int, bytes]) -> list[Any]:
    """The rows that were not rejected; checks that every row is accounted for at its place."""
    ledger = found.ledger
    ledger.check()
    assert ledger.rows_read == len(lines)
    rejected = [row["line"] for row in found.rejected]
    assert len(rejected) == len(set(rejected)) == ledger.num_rejected
    assert set(rejected) <= set(lines)
    assert all(row["file"] == "train.jsonl" and row["reason"] for row in found.rejected)
    assert all(len(row["detail"]) <= 303 and "\n" not in row["detail"] for row in found.rejected)
    kept = [json.loads(line.strip(b" \t\r\n")) for number, line in lines.items() if number not in rejected]
    assert len(kept) == ledger.rows_kept
    return kept


def sft_examples(kind: str, rows: list[Any]) -> list[tuple[str, str]]:
    return sorted(expected(kind, row) for row in rows)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("kind", GOOD)
def test_every_row_is_trained_as_it_says_or_rejected(
    kind: str, seed: int, tmp_path: Path, prepared: Prepare
) -> None:
    rng = random.Random(f"{kind} {seed}")
    good = GOOD[kind]
    rows = [good] * NUM_GOOD + [mutated(good, rng) for _ in range(60)]
    lines = [json.dumps(row).encode() for row in rows[:NUM_GOOD]]
    content = file_of(lines + [line_of(row, rng) for row in rows[NUM_GOOD:]], rng)
    path = tmp_path / "train.jsonl"
    path.write_bytes(content)
    try:
        found = prepared(path, method=METHODS.get(kind, "sft"), max_rejected=1.0, max_seq_length=8192)
    except OpenSlothError as err:
        # Only what is wrong with the file as a whole.
        assert one_line(err) and str(err).startswith(("train.jsonl", f"{tmp_path}/train.jsonl"))
        return
    kept = kept_rows(found, lines_of(content))
    assert len(kept) >= NUM_GOOD
    if kind == "pair":
        check_pairs(found, kept)
    elif kind == "prompt":
        check_prompts(found, kept)
    else:
        assert found.examples() == sft_examples(kind, kept)


def header(row: dict[str, Any], asked: str) -> str:
    system = f"<|im_start|>system\n{row['system']}<|im_end|>\n" if row.get("system") else ""
    return f"{system}<|im_start|>user\n{asked}<|im_end|>\n{HEADER}"


def check_pairs(found: Any, kept: list[Any]) -> None:
    """Of rows whose three columns are text; other forms are checked where they are shaped."""
    columns = ("prompt_ids", "chosen_ids", "rejected_ids")
    written = Counter(tuple(found.decode(row[column]) for column in columns) for row in found.rows)
    assert written.total() == len(kept)
    for row in kept:
        if all(isinstance(row[name], str) for name in ("prompt", "chosen", "rejected")):
            if row["prompt"].lstrip().startswith("["):
                continue
            answers = [f"{row[name]}<|im_end|>" for name in ("chosen", "rejected")]
            pair = (header(row, row["prompt"]), *answers)
            assert written[pair] > 0, pair
            written[pair] -= 1


def check_prompts(found: Any, kept: list[Any]) -> None:
    written = Counter((found.decode(row["prompt_ids"]), row["columns"]) for row in found.rows)
    assert written.total() == len(kept)
    for row in kept:
        if isinstance(row["prompt"], str):
            messages = [{"role": "user", "content": row["prompt"]}]
            if row.get("system"):
                messages.insert(0, {"role": "system", "content": row["system"]})
            others = {name: value for name, value in row.items() if name not in ("prompt", "system", "tools")}
            columns = json.dumps({**others, "prompt": messages}, ensure_ascii=False, separators=(",", ":"))
            prompt = (header(row, row["prompt"]), columns)
            assert written[prompt] > 0, prompt
            written[prompt] -= 1
