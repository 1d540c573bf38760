"""The events of a run, as its log has them."""

from typing import Any


def event(kind: str, time: float = 0.0, **fields: Any) -> dict[str, Any]:
    return {"time": time, "kind": kind, **fields}


def step(number: int, time: float, total: int = 30, rank: int = 0) -> dict[str, Any]:
    return event(
        "step", time, rank=rank, step=number, total_steps=total, loss=2.3456, grad_norm=1.2,
        learning_rate=2e-4, tokens_per_second=12345.6,
    )  # fmt: skip


RUN = [
    event("state", 0, state="created"),
    event("message", 0, level="info", text="no GPU here: 2 CPU processes"),
    event("state", 0, state="preparing"),
    *[event("progress", 1 + i / 10, phase="tokenise", done=747 * i, total=7470) for i in range(11)],
    event("prepared", 2.5, key="0123456789abcdef", cached=False, seconds=1.5),
    event("state", 3, state="warming"),
    event("message", 4, level="warning", text="a long warning " + "about something " * 10),
    event("state", 5, state="training"),
    *[step(n, 5 + n / 2, rank=rank) for n in range(1, 31) for rank in (0, 1)],
    event("state", 21, state="saving"),
    event("result", 22, adapter_dir="/runs/r/adapter", final_loss=0.5, tokens_per_second=12345.6),
    event("state", 23, state="completed"),
]
