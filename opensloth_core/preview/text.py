"""A preview as text, in colours or with marks."""

from collections.abc import Iterator, Sequence
from typing import Protocol

from opensloth_core.preview.examples import Part, Unit
from opensloth_core.preview.preview import Preview, Token, example_lines, pretty_columns

BAR_WIDTH = 76


class Style(Protocol):
    """How tokens are told apart."""

    legend: str

    def heading(self, text: str) -> str: ...

    def tokens(self, tokens: Iterator[Token]) -> str: ...

    def cell(self, is_trained: bool) -> str: ...


class Marks:
    """With characters: `⟦` and `⟧` around what is trained, `│` between tokens."""

    legend = "⟦ ⟧ around what is trained, │ between tokens, ⏎ newline"

    def heading(self, text: str) -> str:
        return text

    def tokens(self, tokens: Iterator[Token]) -> str:
        written, inside = [], False
        for token in tokens:
            if token.is_trained != inside:
                written.append("⟦" if token.is_trained else "⟧")
            elif written and not written[-1].endswith("\n"):
                written.append("│")
            inside = token.is_trained
            written.append(token.text)
        return "".join(written) + ("⟧" if inside else "")

    def cell(self, is_trained: bool) -> str:
        return "█" if is_trained else "░"


class Colours:
    """With ANSI colours; neighbouring tokens differ in shade."""

    legend = (
        "\x1b[30;48;5;114m trained \x1b[0m \x1b[38;5;252;48;5;238m not trained \x1b[0m"
        ", neighbouring tokens in two shades, ⏎ newline"
    )
    _TRAINED = ("30;48;5;114", "30;48;5;150")
    _OTHER = ("38;5;252;48;5;238", "38;5;252;48;5;235")
    _SPECIAL = ";1;4"

    def heading(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m"

    def tokens(self, tokens: Iterator[Token]) -> str:
        return "".join(self._token(token, number % 2) for number, token in enumerate(tokens))

    def cell(self, is_trained: bool) -> str:
        return "\x1b[38;5;71m█\x1b[0m" if is_trained else "\x1b[38;5;240m█\x1b[0m"

    def _token(self, token: Token, shade: int) -> str:
        code = (self._TRAINED if token.is_trained else self._OTHER)[shade]
        code += self._SPECIAL if token.is_special else ""
        # A colour left on at a line's end would fill the rest of the line.
        lines = token.text.split("\n")
        return "\n".join(f"\x1b[{code}m{line}\x1b[0m" if line else "" for line in lines)


def preview_text(preview: Preview, style: Style) -> Iterator[str]:
    """The preview, line by line."""
    yield style.legend
    for unit, num_shown in preview.units:
        yield ""
        yield style.heading(f"{preview.unit_line(unit)} (shard {unit.shard}, row {unit.row})")
        if preview.manifest.ledger.pack_length is not None:
            yield _bar(unit, style)
        titles = example_lines(unit) if preview.manifest.ledger.pack_length is not None else [""]
        for title, parts in list(zip(titles, unit.examples, strict=True))[:num_shown]:
            if title:
                yield "\n" + style.heading(title)
            for part in parts:
                yield from _part(preview, part, style)
        if unit.columns is not None:
            yield style.heading("columns")
            yield pretty_columns(unit.columns)
        if left := len(unit.examples) - num_shown:
            yield f"\n… and {left} more example{'' if left == 1 else 's'} in this pack; --rows shows more"


def _part(preview: Preview, part: Part, style: Style) -> Iterator[str]:
    if part.name:
        yield style.heading(f"{part.name}: {len(part):,} tokens")
    text = style.tokens(preview.tokens(part))
    yield text.removesuffix("\n")


def _bar(unit: Unit, style: Style) -> str:
    """A pack in one line: a border before each example, and how what is trained lies in it."""
    cells_per_token = min(1, BAR_WIDTH / unit.num_tokens)
    cells = []
    for parts in unit.examples:
        trained = parts[0].trained_T.tolist()
        width = max(1, round(len(trained) * cells_per_token) - 1)
        cells.append("│" + "".join(style.cell(_mostly(trained, cell, width)) for cell in range(width)))
    return "".join(cells) + "│"


def _mostly(trained: Sequence[bool], cell: int, width: int) -> bool:
    """Whether more than half of the tokens of a cell, of so many, are trained."""
    piece = trained[cell * len(trained) // width : (cell + 1) * len(trained) // width]
    return 2 * sum(piece) > len(piece)
