"""Examples for the self-test, as uneven in length as real ones: a step that is divided wrongly shows."""

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Method = Literal["sft", "dpo"]

COLOURS = ("red", "green", "blue", "yellow", "white", "black", "brown", "grey")
MOST_COLOURS = 12


def write_examples(path: Path, method: Method, num_rows: int, seed: int = 0) -> Path:
    """Write conversations (sft) or preference pairs (dpo) as JSON lines; gives the path.

    A byte is a token of the tiny model: answers have from 11 to some 90 tokens.
    """
    rows = _chats(num_rows, seed) if method == "sft" else _pairs(num_rows, seed)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def _chats(num_rows: int, seed: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(seed)
    for number in range(num_rows):
        answer = _colours(draw, draw.randint(1, MOST_COLOURS))
        yield {"question": f"Which colours has flag {number}?", "answer": f"It has {answer}."}


def _pairs(num_rows: int, seed: int) -> Iterator[dict[str, Any]]:
    draw = random.Random(seed)
    for number in range(num_rows):
        chosen, rejected = (_colours(draw, draw.randint(1, MOST_COLOURS)) for _ in range(2))
        yield {
            "prompt": f"Which colours has flag {number}?",
            "chosen": f"It has {chosen}.",
            "rejected": f"Perhaps {rejected}.",
        }


def _colours(draw: random.Random, count: int) -> str:
    return " ".join(draw.choice(COLOURS) for _ in range(count))
