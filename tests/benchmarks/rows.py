"""Chat rows to measure with: GSM8K and the Alpaca demo, each copy made different by a number.

The rows are written as JSONL in the messages layout, which every tool under test reads:

    {"messages": [{"role": "user", "content": "Task 17. Natalia sold …"}, {"role": "assistant", …}]}
"""

import json
import random
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

SHARED_DATA = Path(__file__).parents[3] / "shared" / "data"

_SEED = 0


def chat_rows(data_dir: Path = SHARED_DATA) -> Iterator[str]:
    """Endless different JSON lines, in one order on every machine.

    Raises:
        SystemExit: the data sets are not there.
    """
    pairs = _gsm8k(data_dir) + _alpaca(data_dir)
    random.Random(_SEED).shuffle(pairs)
    for number in count():
        question, answer = pairs[number % len(pairs)]
        messages = [
            {"role": "user", "content": f"Task {number}. {question}"},
            {"role": "assistant", "content": answer},
        ]
        yield json.dumps({"messages": messages}, ensure_ascii=False) + "\n"


def write_rows(path: Path, num_rows: int) -> None:
    """Write the first `num_rows` rows."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(islice(chat_rows(), num_rows))


def write_bytes(path: Path, size_bytes: int) -> int:
    """Write rows until the file has `size_bytes` or a row more; the number of rows."""
    rows = chat_rows()
    num_rows = written = 0
    with path.open("wb") as file:
        while written < size_bytes:
            written += file.write(next(rows).encode())
            num_rows += 1
    return num_rows


def _gsm8k(data_dir: Path) -> list[tuple[str, str]]:
    lines = _read(data_dir / "gsm8k_train.jsonl").strip().split("\n")
    return [(row["question"], row["answer"]) for row in map(json.loads, lines)]


def _alpaca(data_dir: Path) -> list[tuple[str, str]]:
    rows = json.loads(_read(data_dir / "alpaca_en_demo.json"))
    return [("\n".join(filter(None, (row["instruction"], row["input"]))), row["output"]) for row in rows]


def _read(path: Path) -> str:
    if not path.is_file():
        raise SystemExit(
            f"{path}: no such file. Put the shared data beside the checkout, or pass --data FILE"
        )
    return path.read_text(encoding="utf-8")
