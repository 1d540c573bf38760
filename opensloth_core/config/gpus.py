"""The one way to say which GPUs: a count, `auto`, or device ids."""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema

GpuSelection = int | tuple[int, ...] | Literal["auto"]


def parse_gpus(value: Any) -> GpuSelection:
    """A count (`2`, `"2"`), `"auto"`, or distinct device ids (`"0,3"`, `[0, 3]`).

    A trailing comma makes one id of a single number: `"1,"` is device 1, `"1"` is one GPU.

    Raises:
        ValueError: anything else, a count below 1, a negative or repeated id.
    """
    if isinstance(value, str):
        value = _from_text(value.strip())
    if value == "auto":
        return "auto"
    if isinstance(value, bool) or not isinstance(value, int | list | tuple):
        raise ValueError('give a number of GPUs (2), device ids (0,3) or "auto"')
    if isinstance(value, int):
        if value < 1:
            raise ValueError("at least 1 GPU is needed")
        return value
    ids = tuple(value)
    if not ids or any(isinstance(i, bool) or not isinstance(i, int) or i < 0 for i in ids):
        raise ValueError("device ids are whole numbers from 0 up, such as 0,3")
    if len(set(ids)) != len(ids):
        raise ValueError("each device id may be named once")
    return ids


def _from_text(text: str) -> Any:
    if "," in text:
        parts = [part.strip() for part in text.split(",")]
        if parts[-1] == "":
            parts.pop()
        return tuple(int(part) if part.isdecimal() else part for part in parts)
    return int(text) if text.removeprefix("-").isdecimal() else text


def _to_json(value: GpuSelection) -> int | str:
    if isinstance(value, tuple):
        return ",".join(map(str, value)) + ("," if len(value) == 1 else "")
    return value


Gpus = Annotated[
    GpuSelection,
    BeforeValidator(parse_gpus),
    PlainSerializer(_to_json, return_type=int | str),
    WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]}),
]
