"""The names that data gives to things: its columns, its turns' keys, its roles."""

from typing import Final

COLUMNS: Final[dict[str, tuple[str, ...]]] = {
    "messages": ("messages",),
    "conversations": ("conversations", "conversation"),
    "prompt": ("prompt",),
    "completion": ("completion", "response"),
    "question": ("question", "query", "problem"),
    "answer": ("answer", "response"),
    "instruction": ("instruction",),
    "input": ("input", "context"),
    "output": ("output", "response"),
    "system": ("system", "system_prompt"),
    "history": ("history",),
    "text": ("text",),
    "tools": ("tools", "functions"),
    "chosen": ("chosen",),
    "rejected": ("rejected",),
}
"""Our name of a column to its names in data, the first of them preferred."""

TURN_KEYS: Final[dict[str, tuple[str, ...]]] = {"role": ("role", "from"), "content": ("content", "value")}
"""What a turn has to its keys in data; of several that are not null the first is taken."""

CALL: Final = "call"
"""The role of turns whose content is a tool call, as JSON; they become assistant turns."""

ROLES: Final[dict[str, str]] = {
    name: role
    for role, names in {
        "system": "system developer",
        "user": "user human prompter",
        "assistant": "assistant gpt model bot ai chatgpt bing bard",
        "tool": "tool function observation ipython tool_response tool_result function_response",
        CALL: "function_call tool_call",
    }.items()
    for name in names.split()
}
"""A role's name in data to its role; names are compared in lower case, `-` and blanks as `_`."""

ROLE_PREFIX: Final = "role."
MAPPED_ROLES: Final = ("user", "assistant", "system", "tool")

MAP_NAMES: Final = (*COLUMNS, *TURN_KEYS, *(ROLE_PREFIX + role for role in MAPPED_ROLES))
"""What `--map NAME=COLUMN` takes as NAME."""

MEDIA_COLUMNS: Final = frozenset({"image", "images", "video", "videos", "audio", "audios"})
REASONING_KEYS: Final = ("reasoning_content", "reasoning", "thinking")
WEIGHT_KEYS: Final = ("weight", "train", "loss")
TEXT_PARTS: Final = frozenset({"text", "input_text", "output_text"})


def plain_role(name: str) -> str:
    """A role's name as it is compared: `Function Call` is `function_call`."""
    return name.strip().lower().replace("-", "_").replace(" ", "_")
