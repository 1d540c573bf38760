"""Any row of a known layout as an example."""

from collections.abc import Callable

from opensloth_core.data.example import Example, Text
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.chat import chat
from opensloth_core.data.shape.fits import Columns
from opensloth_core.data.shape.foreign import other_method
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.mapping import column_names
from opensloth_core.data.shape.message import message
from opensloth_core.data.shape.names import MEDIA_COLUMNS
from opensloth_core.data.shape.preference import preference
from opensloth_core.data.shape.prompt import prompt
from opensloth_core.data.shape.reasons import MULTIMODAL, OTHER_METHOD, WRONG_COLUMNS
from opensloth_core.data.shape.shapes import Shape


def normalise(row: Columns, layout: Layout) -> Example:
    """The example of a row, of JSON values.

    Columns that the layout does not read are no hindrance, unless they make the row ambiguous or one
    of another method, or hold images, video or audio.

    Raises:
        RowError: the row has other columns than its file, or cannot be used for the method.
    """
    for column in layout.required:
        if row.get(column) is None:
            raise RowError(WRONG_COLUMNS, f"found: {column_names(row)}; the file has {layout.shape}")
    if not layout.suspects.isdisjoint(row):
        _check(row, layout)
    if layout.shape is Shape.TEXT:
        return Text(message("user", row[layout.required[0]], "text")["content"])
    return _EXAMPLE[layout.method](row, layout)


def _check(row: Columns, layout: Layout) -> None:
    if reason := other_method(row, layout.method, layout.shape, layout.used):
        raise RowError(OTHER_METHOD, reason)
    for columns in layout.rivals:
        if all(row.get(column) is not None for column in columns):
            raise RowError(
                WRONG_COLUMNS,
                f"found: {column_names(row)}; the file has {layout.shape}, the row {', '.join(columns)} too",
            )
    for column, value in row.items():
        if value and column in MEDIA_COLUMNS and column not in layout.used:
            raise RowError(MULTIMODAL, f"the row has {column}")


_EXAMPLE: dict[str, Callable[[Columns, Layout], Example]] = {"sft": chat, "dpo": preference, "grpo": prompt}
