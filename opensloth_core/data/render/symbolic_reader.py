"""Questions about texts with placeholders, answered for all rows that pass the guards."""

from itertools import takewhile
from typing import Any

from opensloth_core.data.render.reader import Reader
from opensloth_core.data.render.symbol import Atom, Recorder, Unknown, atom_of, placeholder_index


class SymbolicReader(Reader):
    """Answers for texts with placeholders, and adds to the recorder's guards what they depend on."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def find(self, text: str, value: Any, start: int) -> int:
        slot = atom_of(value).slot
        for position in range(start, len(text)):
            index = placeholder_index(text[position])
            if index is not None and self._recorder.atoms[index].slot == slot:
                self._check_whole(self._recorder.atoms[index])
                return position + 1
        return -1

    def _check_whole(self, atom: Atom) -> None:
        """Stripping whitespace loses nothing; stripping other characters may."""
        if any(chars is not None and chars.strip() for _, chars in atom.strips):
            raise Unknown

    def starts_with(self, text: str, prefix: str) -> bool:
        if text.startswith(prefix):
            return True
        pairs = zip(text, prefix, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        rest, other = text[same:], prefix[same:]
        if not rest:
            # Longer by contents alone: they may be empty.
            if all(placeholder_index(char) is not None for char in other):
                raise Unknown
            return False
        index, run = placeholder_index(rest[0]), _own_start(other)
        if index is None:
            index, run = placeholder_index(other[0]), _own_start(rest)
        if index is None:
            return False
        if not run or not self._recorder.ask(differs, index, run):
            raise Unknown
        return False

    def check_own_end(self, text: str) -> None:
        written = text.rstrip()
        if written and placeholder_index(written[-1]) is not None:
            raise Unknown


def differs(content: str, text: str) -> bool:
    """Whether two texts differ within the length of the shorter one."""
    length = min(len(content), len(text))
    return content[:length] != text[:length]


def _own_start(text: str) -> str:
    """What the template itself wrote, up to the first placeholder."""
    return "".join(takewhile(lambda char: placeholder_index(char) is None, text))
