"""The elements of one JSON array, read block by block, so that no file is held whole."""

import json
from collections.abc import Callable, Iterator
from typing import Any

from opensloth_core.errors import DataError

_BLOCK_CHARS = 1 << 20
_SPACE = " \t\r\n"
_AFTER_ELEMENT = tuple(_SPACE + ",]")
_DECODER = json.JSONDecoder()


def syntax_error(err: json.JSONDecodeError) -> str:
    """What is wrong, without the "at" that json ends some of its messages with."""
    return err.msg.removesuffix(" at").removesuffix(" starting")


class ArrayElements:
    """Iterates `(line, value, source)` over the elements of the array that `read` gives as text.

    Args:
        read: called with a number of characters, returns about that many; "" at the end.
        place: the file, for messages.
    """

    def __init__(self, read: Callable[[int], str], place: str) -> None:
        self._read = read
        self._place = place
        self._text = ""
        self._pos = 0
        self._line = 1

    def __iter__(self) -> Iterator[tuple[int, Any, str]]:
        """
        Raises:
            DataError: the document is not one well-formed JSON array; names the line.
        """
        self._next_char()
        self._advance(self._pos + 1)
        closed = self._next_char() == "]"
        while not closed:
            if not self._next_char():
                raise self._error("the list is not closed", self._pos)
            line = self._line
            value, end = self._value()
            source = self._text[self._pos : end]
            self._advance(end)
            yield line, value, source
            closed = self._next_char() == "]"
            if not closed:
                if self._next_char() not in (",", ""):
                    raise self._error("',' or ']' expected after an element", self._pos)
                self._advance(self._pos + 1)
        self._advance(self._pos + 1)
        if self._next_char():
            raise self._error("more text after the end of the list", self._pos)

    def _value(self) -> tuple[Any, int]:
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._pos)
            except json.JSONDecodeError as err:
                offset = err.pos - self._pos
                # The element may only be cut off by the end of the block.
                if not self._refill():
                    raise self._error(syntax_error(err), self._pos + offset) from err
            except RecursionError as err:
                raise self._error("nested too deeply", self._pos) from err
            except ValueError as err:
                raise self._error(str(err).split(":")[0], self._pos) from err
            else:
                # The end of the block may cut a number in two, as in 1|2 and 1.|2.
                if self._text[end : end + 1] in _AFTER_ELEMENT or not self._refill():
                    return value, end

    def _next_char(self) -> str:
        """The next character that is no space, left unread; "" at the end of the document."""
        while True:
            end = self._pos
            while end < len(self._text) and self._text[end] in _SPACE:
                end += 1
            self._advance(end)
            if end < len(self._text):
                return self._text[end]
            if not self._refill():
                return ""

    def _advance(self, end: int) -> None:
        self._line += self._text.count("\n", self._pos, end)
        self._pos = end

    def _refill(self) -> bool:
        """Append the next block; False at the end. Moves `_pos` to 0."""
        rest = self._text[self._pos :]
        # Doubling keeps a huge element linear, though it is parsed again after every block.
        try:
            block = self._read(max(_BLOCK_CHARS, len(rest)))
        except UnicodeDecodeError as err:
            seen = rest.count("\n") + err.object[: err.start].count(b"\n")
            raise DataError(f"{self._place}:{self._line + seen}: not valid UTF-8") from err
        self._text, self._pos = rest + block, 0
        return bool(block)

    def _error(self, message: str, pos: int) -> DataError:
        line = self._line + self._text.count("\n", self._pos, pos)
        return DataError(
            f"{self._place}:{line}: not valid JSON: {message}; mend it, since the file is one list"
        )
