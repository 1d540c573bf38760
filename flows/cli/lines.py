"""Events as lines for a person; pure functions, no clock and no terminal."""

from opensloth_core.runs.events import Event
from opensloth_core.runs.report.numbers import duration, measure

STATES = {
    "preparing": "preparing data",
    "warming": "loading the model",
    "training": "training",
    "saving": "saving the result",
    "evaluating": "evaluating",
    "completed": "completed",
    "failed": "failed",
    "cancelled": "cancelled",
    "crashed": "crashed",
}

COUNTED_IN_BYTES = frozenset({"hash", "tokenize", "download", "upload"})
"""Phases whose progress is counted in bytes."""


def is_echo(event: Event) -> bool:
    """Whether another rank says the same: ranks take their steps together, rank 0 speaks for all."""
    return event["kind"] in ("step", "progress") and bool(event.get("rank"))


def lines_for(event: Event) -> list[str]:
    """What an event says, one entry a line; nothing for events that a person need not see."""
    match event["kind"]:
        case "state":
            return _state(event)
        case "progress":
            return [progress_line(event)]
        case "prepared":
            return [f"data: {data_origin(event)}"]
        case "step":
            return [step_line(event)]
        case "eval":
            return [f"held out, after step {event['step']}: {metrics_line(event)}"]
        case "log":
            return [f"{event['source']}: {event['text']}"]
        case "message":
            level = event.get("level", "info")
            prefix = "" if level == "info" else f"{level}: "
            return [prefix + line for line in str(event["text"]).splitlines()]
        case _:
            return []


def metrics_line(event: Event) -> str:
    """What an evaluation found: `loss 1.25, perplexity 3.49`."""
    return ", ".join(f"{name} {measure(name, value)}" for name, value in event["metrics"].items())


def _state(event: Event) -> list[str]:
    text = STATES.get(event["state"])
    if text is None:
        return []
    # The message of a failed run is its error, which the command prints as its last line.
    ended = event["state"] in ("failed", "cancelled", "crashed")
    message = None if ended else event.get("message")
    if expected := event.get("expected_seconds"):
        text += f", about {duration(expected)}"
    return [f"{text}: {message}" if message else text]


def progress_line(event: Event) -> str:
    """`tokenise 500/7,473 (6 %)`, or without a total `tokenise 500`."""
    share = f" ({100 * event['done'] // event['total']} %)" if event.get("total") else ""
    return f"{event['phase']} {progress_count(event)}{share}"


def progress_count(event: Event) -> str:
    """`500/7,473`, for phases that count bytes `12.5/40.0 MB`; without a total only what is done."""
    done, total = event["done"], event.get("total")
    if event["phase"] in COUNTED_IN_BYTES:
        unit, name = (1e6, "MB") if (total or done) >= 1e6 else (1e3, "kB")
        return f"{done / unit:,.1f}/{total / unit:,.1f} {name}" if total else f"{done / unit:,.1f} {name}"
    return f"{done:,}/{total:,}" if total else f"{done:,}"


def step_line(event: Event) -> str:
    """`step 3/30 · loss 2.346 · grad norm 1.20 · lr 2.0e-04 · 1,234 tokens/s`."""
    place = f"step {event['step']:,}"
    if event.get("total_steps"):
        place += f"/{event['total_steps']:,}"
    measures = [
        ("loss", "loss {:.3f}"),
        ("grad_norm", "grad norm {:.2f}"),
        ("learning_rate", "lr {:.1e}"),
        ("tokens_per_second", "{:,.0f} tokens/s" + (" a GPU" if event.get("world_size", 1) > 1 else "")),
    ]
    known = [shape.format(event[name]) for name, shape in measures if event.get(name) is not None]
    return " · ".join([place, *known])


def data_origin(prepared: Event) -> str:
    """`cached, nothing to prepare (key 1f3a…)` or `prepared in 3.2 s (key …)`."""
    key = str(prepared["key"])[:12]
    if prepared.get("cached"):
        return f"cached, nothing to prepare (key {key})"
    seconds = prepared.get("seconds")
    return f"prepared{f' in {duration(seconds)}' if seconds is not None else ''} (key {key})"
