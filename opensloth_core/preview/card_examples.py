"""Examples of prepared data in Markdown, with what is trained in bold."""

from collections.abc import Iterator
from itertools import groupby

from opensloth_core.preview.examples import Part
from opensloth_core.preview.preview import Preview
from opensloth_core.runs.report.markup import code, plain, table

LONGEST_TEXT = 700
"""Characters of a run of tokens that are shown."""


def example_tables(preview: Preview) -> Iterator[str]:
    """A table an example: a line for every run of tokens that are all trained, or all not."""
    number = 0
    for unit, num_shown in preview.units:
        for parts in unit.examples[:num_shown]:
            number += 1
            num_tokens, trained = sum(map(len, parts)), sum(part.num_trained for part in parts)
            yield ""
            yield f"**Example {number}**: {num_tokens:,} tokens, {trained:,} trained"
            yield ""
            yield from table(("tokens", "text"), (row for part in parts for row in _rows(preview, part)))
        if unit.columns is not None:
            yield ""
            yield f"Read by the rewards: {code(unit.columns[:LONGEST_TEXT])}"


def _rows(preview: Preview, part: Part) -> Iterator[tuple[str, str]]:
    name = f"{part.name}, " if part.name else ""
    for is_trained, tokens in groupby(preview.tokens(part), key=lambda token: token.is_trained):
        texts = [token.text for token in tokens]
        # Markdown takes what begins or ends with a space for no bold text.
        text = plain("".join(texts), LONGEST_TEXT) or "␣"
        if is_trained:
            yield (
                f"**{name}{len(texts):,} trained**",
                "<br>".join(f"**{line}**" for line in text.split("<br>")),
            )
        else:
            yield f"{name}{len(texts):,} masked", text
