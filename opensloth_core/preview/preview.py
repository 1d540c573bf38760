"""What a preview shows, whatever it is shown on."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from opensloth_core.preview.examples import Part, PreparedUnits, Unit
from opensloth_core.preview.pieces import TokenPieces
from opensloth_core.preview.visible import visible
from opensloth_core.store.prepared import PreparedManifest


@dataclass(frozen=True)
class Token:
    """A token that can be seen."""

    text: str
    number: int
    """Its id."""

    is_trained: bool
    is_special: bool


@dataclass(frozen=True)
class Preview:
    """Some examples of prepared data."""

    manifest: PreparedManifest
    num_units: int
    units: tuple[tuple[Unit, int], ...]
    """Units, and how many of the examples of each are shown."""

    pieces: TokenPieces

    @classmethod
    def of(cls, folder: Path, manifest: PreparedManifest, model_dir: Path, num_examples: int) -> "Preview":
        """The preview of a prepared artifact.

        Raises:
            ModelError: the model's tokenizer cannot be read.
        """
        units = PreparedUnits(folder, manifest)
        chosen = tuple(units.units_from(units.typical(), num_examples))
        return cls(manifest, len(units), chosen, TokenPieces.of_model(model_dir))

    @property
    def title(self) -> str:
        """`sft · embedded · my_data`."""
        made = self.manifest.preparation
        sources = " ".join(Path(source).name for source in made["data"])
        return f"{made['method']} · {Path(made['model']).name} · {sources}"

    def tokens(self, part: Part) -> Iterator[Token]:
        """The tokens of a part, to be seen."""
        numbers = part.input_ids_T.tolist()
        for number, text, trained in zip(
            numbers, self.pieces.texts(numbers), part.trained_T.tolist(), strict=True
        ):
            yield Token(visible(text), number, trained, self.pieces.is_special(number))

    def unit_line(self, unit: Unit) -> str:
        """`pack 397 of 792: 9 examples, 2,046 of 2,048 tokens`."""
        place = f"{unit.number + 1:,} of {self.num_units:,}"
        pack_length = self.manifest.ledger.pack_length
        if pack_length is None:
            kind = "prompt" if len(unit.examples[0]) == 1 else "pair"
            return f"{kind} {place}: {unit.num_tokens:,} tokens"
        count = len(unit.examples)
        examples = f"{count} example{'' if count == 1 else 's'}"
        return f"pack {place}: {examples}, {unit.num_tokens:,} of {pack_length:,} tokens"


def pretty_columns(columns: str) -> str:
    """What the rewards of a prompt read, one column a line."""
    values = json.loads(columns)
    return visible_lines(
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items()
    )


def visible_lines(lines: Iterable[str]) -> str:
    """Lines of which none breaks or steers a terminal."""
    return "\n".join(visible(line).replace("\n", "") for line in lines)


def example_lines(unit: Unit) -> list[str]:
    """A line on each example of a pack: its tokens in the pack, its positions, how much is trained."""
    lines, start = [], 0
    for number, parts in enumerate(unit.examples, start=1):
        length = sum(map(len, parts))
        trained = sum(part.num_trained for part in parts)
        positions = "positions restart 0" if number > 1 else "positions 0"
        lines.append(
            f"example {number} of {len(unit.examples)}: tokens {start:,}-{start + length - 1:,}, "
            f"{positions}-{length - 1:,}, {trained:,} of {length:,} trained"
        )
        start += length
    return lines
