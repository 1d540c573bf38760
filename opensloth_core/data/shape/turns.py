"""A list of turns as messages, whatever the data calls their keys and roles."""

from dataclasses import dataclass, field
from typing import Any

from opensloth_core.data.row import RowError
from opensloth_core.data.shape.json_value import parse, shown, type_name
from opensloth_core.data.shape.message import Message, is_untrained, message, turn_message
from opensloth_core.data.shape.names import CALL, ROLES, TURN_KEYS, plain_role
from opensloth_core.data.shape.reasons import EMPTY, NOT_A_TURN, UNKNOWN_ROLE

_ASSISTANTS = frozenset({"assistant", CALL})


@dataclass(slots=True)
class Turns:
    """Messages, and which of them (assistant turns) are not to be trained."""

    messages: list[Message]
    untrained: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class TurnFormat:
    """The names that a file's turns use.

    Attributes:
        role_keys: keys that may hold a turn's role.
        content_keys: keys that may hold its content.
        roles: names of roles to roles.
    """

    role_keys: tuple[str, ...] = TURN_KEYS["role"]
    content_keys: tuple[str, ...] = TURN_KEYS["content"]
    roles: dict[str, str] = field(default_factory=lambda: dict(ROLES))

    def role(self, turn: Any, place: str) -> str:
        """The role of a turn: system, user, assistant, tool or `CALL`.

        Raises:
            RowError: it is no turn, or its role is none that we know.
        """
        if not isinstance(turn, dict):
            raise RowError(NOT_A_TURN, f"{place} is {type_name(turn)}")
        name = _first(turn, self.role_keys)
        if name is None:
            raise RowError(NOT_A_TURN, f"{place} has no {' or '.join(self.role_keys)}")
        if not isinstance(name, str):
            raise RowError(UNKNOWN_ROLE, f"{place} role is {type_name(name)}")
        role = self.roles.get(name) or self.roles.get(plain_role(name))
        if role is None:
            way_out = f"if it is the user, say so with --map role.user={name[:40]}"
            raise RowError(UNKNOWN_ROLE, f"{place} is {shown(name)}; {way_out}")
        return role


def turns(value: Any, place: str, form: TurnFormat) -> Turns:
    """The messages of a list of turns, also as JSON text.

    Raises:
        RowError: it is no list, or one of its turns cannot be used.
    """
    if isinstance(value, str) and value.lstrip().startswith("["):
        value = parse(value, NOT_A_TURN, place)
    if not isinstance(value, list):
        raise RowError(NOT_A_TURN, f"{place} is {type_name(value)}")
    if not value:
        raise RowError(EMPTY, f"{place} has no turns")
    parsed = Turns([])
    previous_calls: list[Any] | None = None
    for index, turn in enumerate(value):
        turn_place = f"{place}[{index}]"
        role = form.role(turn, turn_place)
        content = _first(turn, form.content_keys)
        if len(turn) == 2 and content is not None and role != CALL:
            parsed.messages.append(message(role, content, f"{turn_place} content"))
            previous_calls = None
            continue
        untrained = role in _ASSISTANTS and is_untrained(turn, turn_place)
        full = turn_message(role, content, turn, turn_place)
        was_untrained = bool(parsed.untrained) and parsed.untrained[-1] == len(parsed.messages) - 1
        if role == CALL and previous_calls is not None and untrained == was_untrained:
            # Calls that no result parts are made at once, in one turn.
            previous_calls += full["tool_calls"]
            continue
        previous_calls = full["tool_calls"] if role == CALL else None
        if untrained:
            parsed.untrained.append(len(parsed.messages))
        parsed.messages.append(full)
    return parsed


def _first(turn: dict[str, Any], keys: tuple[str, ...]) -> Any:
    for key in keys:
        if (value := turn.get(key)) is not None:
            return value
    return None
