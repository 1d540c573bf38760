"""The elements of one JSON array, read block by block, so that no file is held whole."""

import codecs
import json
from collections.abc import Callable, Iterator
from typing import BinaryIO

from opensloth_core.data.read.memory import STEP_BYTES, memory_ceiling
from opensloth_core.data.read.raw_row import MAX_ROW_BYTES, RawRow, syntax_error
from opensloth_core.errors import DataError

_BLOCK_CHARS = 1 << 20
_CUT_CHARS = 16
"""How close to a block's end a syntax error may come from it; the longest literal is `-Infinity`."""

_SPACE = " \t\r\n"
_AFTER_ELEMENT = tuple(_SPACE + ",]")
_DECODER = json.JSONDecoder()


def array_rows(stream: BinaryIO, place: str) -> Iterator[RawRow]:
    """The elements of an array as their text, each with the line it starts on.

    Raises:
        DataError: the document is not one well-formed JSON array; names the line.
    """
    for line, source in ArrayElements(_text_of(stream.read), place):
        yield RawRow(line, source.encode())


def _text_of(read: Callable[[int], bytes]) -> Callable[[int], str]:
    """A function that reads UTF-8 text where `read` gives bytes; a byte order mark is passed over."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()

    def read_text(size: int) -> str:
        while True:
            data = read(size)
            text = decoder.decode(data, final=not data)
            if text or not data:
                return text

    return read_text


class ArrayElements:
    """Iterates `(line, source)` over the elements of the array that `read` gives as text.

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

    def __iter__(self) -> Iterator[tuple[int, str]]:
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
            end = self._end_of_value()
            source = self._text[self._pos : end]
            self._advance(end)
            yield line, source
            closed = self._next_char() == "]"
            if not closed:
                if self._next_char() not in (",", ""):
                    raise self._error("',' or ']' expected after an element", self._pos)
                self._advance(self._pos + 1)
        self._advance(self._pos + 1)
        if self._next_char():
            raise self._error("more text after the end of the list", self._pos)

    def _end_of_value(self) -> int:
        while True:
            try:
                end = self._decoded_to()
            except MemoryError as err:
                problem = f"parsing an element takes more than {STEP_BYTES >> 20} MiB of memory"
                raise self._error(problem, self._pos) from err
            except json.JSONDecodeError as err:
                offset = err.pos - self._pos
                if not self._may_be_cut(err) or not self._refill():
                    raise self._error(syntax_error(err), self._pos + offset) from err
            except RecursionError as err:
                raise self._error("nested too deeply", self._pos) from err
            except ValueError as err:
                raise self._error(str(err).split(":")[0], self._pos) from err
            else:
                # The end of the block may cut a number in two, as in 1|2 and 1.|2.
                if self._text[end : end + 1] in _AFTER_ELEMENT or not self._refill():
                    return end

    def _decoded_to(self) -> int:
        if len(self._text) <= 2 * _BLOCK_CHARS:
            return _DECODER.raw_decode(self._text, self._pos)[1]
        # Only an element that is longer than a block makes the text so long.
        with memory_ceiling():
            return _DECODER.raw_decode(self._text, self._pos)[1]

    def _may_be_cut(self, err: json.JSONDecodeError) -> bool:
        """Whether the end of the block may be what is wrong; else the whole file would be read in vain."""
        near_end = err.pos >= len(self._text) - _CUT_CHARS
        return near_end or err.msg.startswith("Unterminated string")

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
        if len(rest) > MAX_ROW_BYTES:
            raise self._error(f"an element of more than {MAX_ROW_BYTES >> 20} MiB", self._pos)
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
