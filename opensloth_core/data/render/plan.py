"""Rendering by plan: what a template makes of a row with given roles, worked out once for all of them.

A plan is the outcome of rendering one row on symbols (see symbolic_template.py): texts with placeholders, the
spans in them, and guards. For another row with the same roles it takes a few string operations,
and gives up on a row that fails a guard.
"""

import itertools
from collections.abc import Callable, Sequence
from typing import NamedTuple

from opensloth_core.data.example import Message
from opensloth_core.data.render.rendered import Rendered
from opensloth_core.data.render.symbol import Atom, Guard, Recorder, Unknown, placeholder_index
from opensloth_core.data.row import RowError


class _Border(NamedTuple):
    """Where a span starts or ends, counted from the border before it."""

    num_chars: int
    atoms: tuple[int, ...]


class _Form(NamedTuple):
    """A text to fill in."""

    pieces: list[str]
    """Every second piece is a content's place."""

    atoms: list[int]
    """What to put there."""

    borders: list[_Border]
    """Starts and ends of the spans, in turn."""


class Plan:
    """How to render all rows that have the roles of one row and pass its guards."""

    def __init__(self, forms: list[_Form], atoms: list[Atom], guards: list[Guard]) -> None:
        self._forms = forms
        self._guards = guards
        # The contents as they are come first, then what is stripped of them.
        self._stripped = [atom for atom in atoms if atom.strips]
        self._slots = [atom.slot for atom in atoms if not atom.strips]

    def render(self, contents: list[str]) -> list[Rendered] | None:
        """The row's examples; None when it fails a guard."""
        values = [contents[slot] for slot in self._slots]
        for atom in self._stripped:
            values.append(atom.of(contents))
        for test, index, argument, answer in self._guards:
            if test(values[index], argument) is not answer:
                return None
        examples = []
        for form in self._forms:
            pieces = form.pieces.copy()
            pieces[1::2] = [values[index] for index in form.atoms]
            at, places = 0, []
            for num_chars, inside in form.borders:
                at += num_chars
                for index in inside:
                    at += len(values[index])
                places.append(at)
            examples.append(Rendered("".join(pieces), list(zip(places[::2], places[1::2], strict=True))))
        return examples


Job = Callable[[list[list[Message]], Recorder], list[Rendered]]
"""What is rendered of one or several lists of messages, whose contents are the recorder's symbols."""


def make_plan(parts: Sequence[list[Message]], job: Job, turn_ends: tuple[str, ...]) -> Plan | None:
    """A plan for rows with the roles of `parts`.

    Args:
        parts: lists of messages, all contents text.
        job: to be done with them; gives texts with placeholders.
        turn_ends: with one of which every span must end that is not its whole text: else the turn's
            end depends on contents.

    Returns:
        None where the template does more with contents than symbols can follow.
    """
    recorder = Recorder(contents_of(parts))
    slots = itertools.count()
    symbols = [
        [{**message, "content": recorder.symbol(next(slots))} for message in messages] for messages in parts
    ]
    try:
        examples = job(symbols, recorder)
    except (Unknown, RowError):
        return None
    for text, spans in examples:
        if spans != [(0, len(text))] and any(not text[:end].endswith(turn_ends) for _, end in spans):
            return None
    return _ordered(examples, recorder.atoms, list(recorder.guards.values()))


def contents_of(parts: Sequence[list[Message]]) -> list[str]:
    """All contents, in order."""
    return [message["content"] for messages in parts for message in messages]


def _ordered(examples: list[Rendered], atoms: list[Atom], guards: list[Guard]) -> Plan:
    """The plan, with the atoms in the order in which it computes them."""
    order = sorted(range(len(atoms)), key=lambda index: bool(atoms[index].strips))
    place = {index: position for position, index in enumerate(order)}
    return Plan(
        [_form(example, place) for example in examples],
        [atoms[index] for index in order],
        [guard._replace(atom=place[guard.atom]) for guard in guards],
    )


def _form(example: Rendered, place: dict[int, int]) -> _Form:
    text, spans = example
    pieces, atoms = [""], []
    for char in text:
        index = placeholder_index(char)
        if index is None:
            pieces[-1] += char
        else:
            atoms.append(place[index])
            pieces += ["", ""]
    borders, start = [], 0
    for end in (border for span in spans for border in span):
        inside = [placeholder_index(char) for char in text[start:end]]
        indices = tuple(place[index] for index in inside if index is not None)
        borders.append(_Border(inside.count(None), indices))
        start = end
    return _Form(pieces, atoms, borders)
