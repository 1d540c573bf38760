"""What a row says, read and rendered with ChatML without any of the code under test."""

import json
from typing import Any

ROLES = {
    "user": "user", "human": "user", "assistant": "assistant", "gpt": "assistant", "system": "system",
    "developer": "system", "tool": "tool", "function": "tool",
}  # fmt: skip
HEADER = "<|im_start|>assistant\n"


class Unexpected(AssertionError):
    """A row that is kept though this rendering cannot tell what it says."""


Turn = tuple[str, str, bool]
"""Role, content, trained."""


def chatml(turns: list[Turn]) -> tuple[str, str]:
    """The text of a conversation and all of it that is trained."""
    text = "".join(f"<|im_start|>{role}\n{content}<|im_end|>\n" for role, content, _ in turns)
    return text, "".join(f"{content}<|im_end|>" for _, content, trained in turns if trained)


def expected(kind: str, row: dict[str, Any]) -> tuple[str, str]:
    """Text and trained text of a row for SFT."""
    if kind != "text" and _holds_something(row.get("tools")):
        raise Unexpected(f"tools, which ChatML does not render: {row['tools']!r}")
    if kind == "text":
        text = row["text"] + ("" if row["text"].endswith("<|im_end|>") else "<|im_end|>")
        return text, _without_first_byte(text)
    if kind == "question":
        turns = [("user", _text(row["question"]), False), ("assistant", _text(row["answer"]), True)]
    elif kind == "alpaca":
        turns = _history(row.get("history"))
        asked = [row.get("instruction"), row.get("input")]
        given = [
            _text(part)
            for part in asked
            if not (part is None or (isinstance(part, str) and not part.strip()))
        ]
        turns += [("user", "\n".join(given), False), ("assistant", _text(row["output"]), True)]
    else:
        turns = conversation(row["messages" if kind == "messages" else "conversations"])
    return chatml(_with_system(row, turns))


def conversation(value: Any) -> list[Turn]:
    """A list of turns, or the JSON text of one."""
    if isinstance(value, str):
        value = json.loads(value)
    return [_turn(turn) for turn in value]


def _turn(turn: dict[str, Any]) -> Turn:
    name = turn.get("role") if turn.get("role") is not None else turn.get("from")
    content = turn.get("content") if turn.get("content") is not None else turn.get("value")
    if turn.get("tool_calls") or _is_said(turn.get("reasoning_content")):
        raise Unexpected("calls or thinking, which ChatML does not render")
    role = ROLES[str(name).strip().lower()]
    flags = [turn.get(key) for key in ("weight", "train", "loss")]
    trained = role == "assistant" and not any(flag is not None and flag == 0 for flag in flags)
    if role == "tool" and not isinstance(content, str) and not _is_parts(content):
        return role, json.dumps(content, ensure_ascii=False), trained
    return role, _text(content), trained


def _with_system(row: dict[str, Any], turns: list[Turn]) -> list[Turn]:
    if not row.get("system"):
        return turns
    first = ("system", _text(row["system"]), False)
    return turns if turns[0][0] == "system" else [first, *turns]


def _history(value: Any) -> list[Turn]:
    pairs = json.loads(value) if isinstance(value, str) and value else value or []
    if pairs and isinstance(pairs[0], dict):
        return conversation(pairs)
    return [
        turn
        for asked, answer in pairs
        for turn in (("user", _text(asked), False), ("assistant", _text(answer), True))
    ]


def _is_parts(value: Any) -> bool:
    return (
        isinstance(value, list)
        and bool(value)
        and all(isinstance(part, dict) and isinstance(part.get("type"), str) for part in value)
    )


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if not _is_parts(value):
        raise Unexpected(f"content is {value!r}")
    return "".join(part["text"] for part in value)


def _holds_something(value: Any) -> bool:
    if isinstance(value, str) and value.strip():
        value = json.loads(value)
    return bool(value) and not (isinstance(value, str) and value.isspace())


def _is_said(value: Any) -> bool:
    return bool(value) and not (isinstance(value, str) and value.isspace())


def _without_first_byte(text: str) -> str:
    """What is left when the first token, a marker or a byte, is taken away."""
    for marker in ("<|im_end|>", "<|im_start|>", "<|endoftext|>"):
        if text.startswith(marker):
            return text.removeprefix(marker)
    return text.encode()[1:].decode(errors="replace")
