"""Stand-ins for contents, which record what a chat template does with them.

A `Symbol` stands for a message's content. What is done with it is carried out on the symbol:

* joining and stripping give new symbols, in the end a text with placeholders;
* a question (`'<think>' in content`, `content == ''`) is answered for the row at hand, and recorded
  as a guard: for rows that answer all guards alike, the template takes the same way through its code;
* anything else raises `Unknown`, and the template has to be run for each row.
"""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

# Private characters: a template that writes one itself is not run on symbols.
_FIRST_PLACEHOLDER = 0x100000
_MAX_PLACEHOLDERS = 0xFFFD


class Unknown(Exception):
    """The template did something with a content that symbols cannot follow.

    No kind of TypeError or LookupError, since Jinja takes those for an undefined value.
    """


class Atom(NamedTuple):
    """A piece of text: a content after some strips."""

    slot: int
    strips: tuple[tuple[str, str | None], ...]
    """Names of `str`'s strip methods, and their argument."""

    def of(self, contents: list[str]) -> str:
        value = contents[self.slot]
        for name, chars in self.strips:
            value = getattr(value, name)(chars)
        return value


class Guard(NamedTuple):
    """A question about an atom, as a function of its text and an argument, and the answer."""

    test: Callable[[str, Any], bool]
    atom: int
    argument: Any
    answer: bool


class Recorder:
    """What happened to the symbols of one row."""

    def __init__(self, contents: list[str]) -> None:
        self.contents = contents
        self.atoms: list[Atom] = []
        self.guards: dict[tuple[Any, ...], Guard] = {}

    def symbol(self, slot: int, strips: tuple[tuple[str, str | None], ...] = ()) -> "Symbol":
        atom = Atom(slot, strips)
        if atom not in self.atoms:
            if len(self.atoms) == _MAX_PLACEHOLDERS:
                raise Unknown
            self.atoms.append(atom)
        return Symbol(self, chr(_FIRST_PLACEHOLDER + self.atoms.index(atom)))

    def ask(self, test: Callable[[str, Any], bool], index: int, argument: Any) -> bool:
        answer = test(self.atoms[index].of(self.contents), argument)
        self.guards[test, index, argument] = Guard(test, index, argument, answer)
        return answer


def placeholder_index(char: str) -> int | None:
    """Which atom a character stands for; None for all others."""
    index = ord(char) - _FIRST_PLACEHOLDER
    return index if index >= 0 else None


def _plain(value: object) -> str:
    """A text of the template's own; `Unknown` for all else."""
    if type(value) is not str or any(placeholder_index(char) is not None for char in value):
        raise Unknown
    return value


class Symbol:
    """A text with placeholders in it. Its public names are `str`'s, for templates to use."""

    __slots__ = ("_recorder", "_text")

    def __init__(self, recorder: Recorder, text: str) -> None:
        self._recorder = recorder
        self._text = text

    def _single(self) -> int:
        index = placeholder_index(self._text) if len(self._text) == 1 else None
        if index is None:
            raise Unknown
        return index

    def _atom(self) -> Atom:
        return self._recorder.atoms[self._single()]

    def _ask(self, test: Callable[[str, Any], bool], argument: Any) -> bool:
        return self._recorder.ask(test, self._single(), _plain(argument))

    def _strip(self, name: str, chars: str | None) -> "Symbol":
        atom = self._atom()
        return self._recorder.symbol(
            atom.slot, (*atom.strips, (name, chars if chars is None else _plain(chars)))
        )

    def strip(self, chars: str | None = None) -> "Symbol":
        return self._strip("strip", chars)

    def lstrip(self, chars: str | None = None) -> "Symbol":
        return self._strip("lstrip", chars)

    def rstrip(self, chars: str | None = None) -> "Symbol":
        return self._strip("rstrip", chars)

    def startswith(self, prefix: str) -> bool:
        return self._ask(str.startswith, prefix)

    def endswith(self, suffix: str) -> bool:
        return self._ask(str.endswith, suffix)

    def split(self, separator: str) -> list["Symbol"]:
        if separator in self:
            raise Unknown
        return [self]

    def __contains__(self, part: str) -> bool:
        # Of a joined text only what the template itself wrote is known for all rows.
        if len(self._text) > 1 and _plain(part) in self._text:
            return True
        return self._ask(operator.contains, part)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Symbol):
            if self._text == other._text:
                return True
            raise Unknown
        return isinstance(other, str) and self._ask(operator.eq, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __bool__(self) -> bool:
        if any(placeholder_index(char) is None for char in self._text):
            return True
        return not self._ask(operator.eq, "")

    def __add__(self, other: object) -> "Symbol":
        return self._joined(self, other) if isinstance(other, str | Symbol) else NotImplemented

    def __radd__(self, other: object) -> "Symbol":
        return self._joined(other, self) if isinstance(other, str) else NotImplemented

    def _joined(self, *parts: Any) -> "Symbol":
        return Symbol(self._recorder, "".join(map(text_of, parts)))

    def __getitem__(self, key: object) -> NoReturn:
        # Of a str, `content.name` and `content['name']` are undefined, unless it is one of str's own.
        if isinstance(key, str) and not hasattr(str, key):
            raise TypeError
        raise Unknown

    def _unknown(self, *_: object) -> NoReturn:
        raise Unknown

    __hash__ = __str__ = __repr__ = __format__ = __iter__ = __len__ = _unknown
    __int__ = __float__ = __index__ = __call__ = __reversed__ = _unknown


class Length:
    """The length of a symbol, which can only be compared with zero."""

    def __init__(self, symbol: Symbol) -> None:
        self._symbol = symbol

    def _is_positive(self, other: object) -> bool:
        if type(other) is not int or other != 0:
            raise Unknown
        return bool(self._symbol)

    __gt__ = __ne__ = _is_positive

    def __eq__(self, other: object) -> bool:
        return not self._is_positive(other)

    def __bool__(self) -> bool:
        return bool(self._symbol)

    def _unknown(self, *_: object) -> NoReturn:
        raise Unknown

    __hash__ = __str__ = __repr__ = __index__ = __int__ = _unknown
    __lt__ = __ge__ = __le__ = __add__ = __radd__ = __sub__ = __rsub__ = __mod__ = _unknown


def atom_of(content: Symbol) -> Atom:
    """What a symbol that is one placeholder stands for."""
    return content._atom()


def text_of(part: Any) -> str:
    """A symbol's text with placeholders, or a text of the template's own."""
    return part._text if isinstance(part, Symbol) else _plain(part)
