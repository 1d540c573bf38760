"""`os-train runs ls`."""

import json
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from flows.cli.cache.answer import answered, table, terminal_width
from flows.cli.cache.words import brief_age, compact
from flows.cli.runs.words import brief_duration, brief_loss
from opensloth_core.runs.history import RunSummary, summaries
from opensloth_core.store.home import home_dir

_HEAD = ("run", "kind", "model", "data", "gpus", "state", "steps", "loss", "tok/s", "took", "age")
_NUMBERS = (4, 6, 7, 8, 9, 10)
_YIELDING = (2, 3)
_CACHED = "*"

_BESIDE_NAME = 80
"""Columns that the others take where model and data are not cut much."""

_ID_LENGTH = 4


def run_ls(state: str | None, method: str | None, limit: int, as_json: bool) -> int:
    """List runs and give the exit code."""
    return answered("os-train runs ls", lambda: _ls(state, method, limit, as_json))


def _ls(state: str | None, method: str | None, limit: int, as_json: bool) -> int:
    found = summaries(limit + 1, state, method)
    shown, is_more = found[:limit], len(found) > limit
    if as_json:
        print(json.dumps({"runs": [as_record(one) for one in shown], "more": is_more}, indent=2))
    elif not shown:
        which = " ".join(filter(None, (state, method)))
        print(f"No {which + ' ' if which else ''}runs in {home_dir() / 'runs'}.")
    else:
        names = {one.name: _names(one, shown) for one in shown}
        print(*table([_HEAD, *(_row(one, names[one.name]) for one in shown)], _NUMBERS, _YIELDING), sep="\n")
        notes = [f"{_CACHED} its data was cached"] if any(one.cached for one in shown) else []
        notes += [f"there are older ones: -n {2 * limit}"] if is_more else []
        if notes:
            print("", "; ".join(notes), sep="\n")
    return 0


def as_record(one: RunSummary) -> dict[str, Any]:
    """A run for JSON."""
    return {**asdict(one), "path": str(one.path)}


def _names(one: RunSummary, shown: Sequence[RunSummary]) -> str:
    """Its name, or where there is no room for that its end, as long as it takes to tell it from others."""
    if terminal_width() >= max(len(other.name) for other in shown) + _BESIDE_NAME:
        return one.name
    end = one.name[-_ID_LENGTH:]
    is_alone = [other.name[-_ID_LENGTH:] for other in shown].count(end) == 1
    return end if is_alone and one.name[-_ID_LENGTH - 1 : -_ID_LENGTH] == "-" else one.name


def _row(one: RunSummary, name: str) -> tuple[str, ...]:
    return (
        name,
        one.method if one.trains else "data",
        one.model or "",
        (one.data or "") + (_CACHED if one.cached else ""),
        ""
        if one.gpus is None
        else str(one.gpus)
        if one.gpus
        else "cpu"
        if one.ranks == 1
        else f"{one.ranks}cpu",
        one.state,
        _steps(one),
        "" if one.final_loss is None else brief_loss(one.final_loss),
        "" if one.tokens_per_second is None else compact(round(one.tokens_per_second)),
        brief_duration(one.seconds),
        brief_age(time.time() - one.created),
    )


def _steps(one: RunSummary) -> str:
    if one.step is None:
        return ""
    is_whole = one.total_steps is None or one.step == one.total_steps
    return f"{one.step}" if is_whole else f"{one.step}/{one.total_steps}"
