"""Plans for the rows that come, made as they come."""

from collections.abc import Callable, Sequence

from opensloth_core.data.example import Message
from opensloth_core.data.render.plan import Plan, contents_of, make_plan
from opensloth_core.data.render.rendered import Rendered
from opensloth_core.data.render.symbol import Recorder
from opensloth_core.data.render.turns import TurnRenderer

_MAX_PLANNED_TURNS = 64
_MAX_PLANS = 1024
_MAX_TRIES = 8
"""Plans per sequence of roles: a template may take several ways through one."""

_Key = tuple[str, tuple[str, ...], int]
Work = Callable[[TurnRenderer, Sequence[list[Message]]], list[Rendered]]
"""What is rendered of one or several lists of messages, without tools."""


class Planner:
    """Does work by plan where one fits, else exactly, which gives the same.

    Args:
        exact: renders messages with text.
        symbolic: makes one for messages with symbols; None where plans cannot be made.
        turn_ends: special tokens, any of which may end a turn.
    """

    def __init__(
        self,
        exact: TurnRenderer,
        symbolic: Callable[[Recorder], TurnRenderer] | None,
        turn_ends: tuple[str, ...],
    ) -> None:
        self._exact = exact
        self._symbolic = symbolic
        self._turn_ends = turn_ends
        self._plans: dict[_Key, list[Plan | None]] = {}

    def do(self, kind: str, work: Work, parts: Sequence[list[Message]]) -> list[Rendered]:
        """What `work` gives for messages that are plain turns (see `are_plain`).

        Args:
            kind: a name of the work: rows of one kind with the same roles share plans.
        """
        key = kind, tuple([message["role"] for messages in parts for message in messages]), len(parts[0])
        plans = self._plans.get(key)
        if plans is not None:
            contents = contents_of(parts)
            for plan in plans:
                if plan is not None and (rendered := plan.render(contents)) is not None:
                    return rendered
        rendered = work(self._exact, parts)
        self._try_to_plan(key, work, parts, rendered)
        return rendered

    def _try_to_plan(
        self, key: _Key, work: Work, parts: Sequence[list[Message]], rendered: list[Rendered]
    ) -> None:
        symbolic = self._symbolic
        if symbolic is None or len(key[1]) > _MAX_PLANNED_TURNS or len(self._plans) == _MAX_PLANS:
            return
        tries = self._plans.setdefault(key, [])
        if len(tries) == _MAX_TRIES:
            return
        plan = make_plan(parts, lambda symbols, recorder: work(symbolic(recorder), symbols), self._turn_ends)
        # A row's contents may give a text a form by chance; such a row says nothing of others.
        same = plan is not None and plan.render(contents_of(parts)) == rendered
        tries.append(plan if same else None)


def are_plain(messages: list[Message]) -> bool:
    """Whether all turns have a role and a text, and no more."""
    for message in messages:
        if len(message) != 2 or type(message.get("content")) is not str or message["role"] == "tool":
            return False
    return True
