"""What a check finds out."""

from dataclasses import dataclass
from typing import Literal

Mark = Literal["ok", "note", "warning", "error"]
"""`note` is neither good nor bad: a machine without a GPU, a check that does not apply."""


@dataclass(frozen=True)
class Finding:
    """One line of the doctor's."""

    check: str
    mark: Mark
    text: str

    remedy: str | None = None
    """What to do about it; every error has one."""


def ok(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", text)


def note(check: str, text: str) -> Finding:
    """Nothing to judge."""
    return Finding(check, "note", text)


def warning(check: str, text: str, remedy: str) -> Finding:
    """Runs may be slower, or something that not all need is missing."""
    return Finding(check, "warning", text, remedy)


def error(check: str, text: str, remedy: str) -> Finding:
    """Runs cannot work so."""
    return Finding(check, "error", text, remedy)
