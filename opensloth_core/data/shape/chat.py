"""A row for SFT as a conversation."""

from opensloth_core.data.example import Chat
from opensloth_core.data.row import RowError
from opensloth_core.data.shape.asked import asked, text_or_turns, with_system
from opensloth_core.data.shape.fits import Columns
from opensloth_core.data.shape.layout import Layout
from opensloth_core.data.shape.reasons import NO_ASSISTANT, NOTHING_TRAINED, OPEN_END
from opensloth_core.data.shape.tools import tools

_NONE: frozenset[int] = frozenset()


def chat(row: Columns, layout: Layout) -> Chat:
    """The conversation of a row.

    Of a prompt and its completion only the completion is trained. All else that an assistant says is
    trained, unless the data says otherwise (weight 0).

    Raises:
        RowError: it cannot be used: no text, no assistant turn, turns after the last assistant turn,
            nothing to train, tools that cannot be read.
    """
    parsed = asked(row, layout)
    if len(layout.names) == 2:
        name = layout.names[1]
        column = layout.column[name]
        answer = text_or_turns(row[column], "assistant", column, layout.form)
        num_asked = len(parsed.messages)
        if name == "completion":
            roles = enumerate(turn["role"] for turn in parsed.messages)
            parsed.untrained = [index for index, role in roles if role == "assistant"]
        parsed.messages += answer.messages
        parsed.untrained += [num_asked + index for index in answer.untrained]
    parsed = with_system(row, layout, parsed)
    messages = parsed.messages
    if messages[-1]["role"] != "assistant":
        if all(turn["role"] != "assistant" for turn in messages):
            raise RowError(NO_ASSISTANT)
        raise RowError(OPEN_END, f"the last turn is {messages[-1]['role']}")
    if parsed.untrained and len(parsed.untrained) == sum(turn["role"] == "assistant" for turn in messages):
        raise RowError(NOTHING_TRAINED, "every assistant turn has weight 0")
    untrained = frozenset(parsed.untrained) if parsed.untrained else _NONE
    return Chat(messages, tools(layout.value(row, "tools")), untrained)
