"""A row for GRPO as a prompt and the columns its rewards read."""

from opensloth_core.data.example import Prompt
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.asked import asked, with_system
from opensloth_core.data.shape.fits import Columns
from opensloth_core.data.shape.json_value import checked
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.reasons import NO_PROMPT, NOT_JSON, PROMPT_ANSWERED
from opensloth_core.data.shape.shapes import Shape
from opensloth_core.data.shape.tools import tools

REFERENCE = "reference"


def prompt(row: Columns, layout: Layout) -> Prompt:
    """The prompt of a row, with all columns that are no part of it as they are.

    Where a conversation ends with an assistant's answer, the prompt is what comes before it and the
    answer's text becomes the column `reference`, unless the row has one.

    Raises:
        RowError: there is no prompt, or a column holds what JSON cannot.
    """
    columns = {name: checked(value, NOT_JSON, name) for name, value in row.items() if name not in layout.used}
    parsed = asked(row, layout)
    messages = parsed.messages
    if layout.shape in (Shape.MESSAGES, Shape.CONVERSATIONS):
        answers: list[str] = []
        while messages and messages[-1]["role"] == "assistant":
            answers.append(messages.pop()["content"])
        if not messages:
            raise RowError(NO_PROMPT, "all turns are the assistant's")
        if answers:
            columns.setdefault(REFERENCE, "\n".join(reversed(answers)))
    elif messages[-1]["role"] == "assistant":
        raise RowError(PROMPT_ANSWERED)
    messages = with_system(row, layout, parsed).messages
    return Prompt(messages, columns, tools(layout.value(row, "tools")))
