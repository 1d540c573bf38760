"""The program in a completion."""

import re

from opensloth_core.rewards.after_thinking import after_thinking

_FENCE = re.compile(r"^[ \t]*(?P<fence>```+|~~~+)[ \t]*(?P<language>[\w+-]*)[^\n`]*$", re.MULTILINE)
_PYTHON = frozenset(("python", "py", "python3"))


def last_program(text: str) -> str | None:
    """The last closed block that is fenced as Python, or else as no language; `None` where there is none."""
    programs: dict[bool, str] = {}
    said = after_thinking(text)
    opened: re.Match[str] | None = None
    for match in _FENCE.finditer(said):
        if opened is None:
            opened = match
        elif not match["language"] and match["fence"].startswith(opened["fence"]):
            language = opened["language"].lower()
            if language in _PYTHON or not language:
                programs[language in _PYTHON] = said[opened.end() + 1 : match.start()]
            opened = None
    program = programs.get(True, programs.get(False))
    return program if program and program.strip() else None
