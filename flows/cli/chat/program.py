"""What `os-train chat` is given."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveInt

from flows.cli.command import Command
from opensloth_core.config.base import Settings


class ChatSettings(Settings):
    """Whom to talk to, and how it answers."""

    run: str = Field(min_length=1)
    """A run: its name, how it begins, the four characters at its end, its folder, or "last"; also the name
    of a promoted model, or the folder of an adapter or a model."""

    message: str | None = Field(default=None, min_length=1)
    """Answer this and end."""

    system: str | None = Field(default=None, min_length=1)
    """A system message to begin with."""

    base: bool = False
    """Also show what the model said before training."""

    temperature: NonNegativeFloat = 0.0
    """Draw tokens: higher is more varied; 0 takes the likeliest, so that an answer is the same each time."""

    max_tokens: PositiveInt = 512
    """Longest answer, in tokens."""

    model: str | None = Field(default=None, min_length=1)
    """The adapter's base model, where it is not where it was: a folder or a hub id."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the model runs; "auto" is the GPU with most free memory, else the CPU."""


def _chat(settings: ChatSettings) -> int:
    from flows.cli.chat.run import run_chat

    return run_chat(settings)


CHAT = Command(
    name="chat",
    summary="Talk to the model that a run trained.",
    usage="os-train chat RUN [flags]",
    description=(
        "Answers what is typed: /reset forgets the conversation, /system TEXT sets the system message, Ctrl-C"
        " stops an answer, /quit or Ctrl-D ends. From a pipe each line is a question of its own, answered by"
        " one line."
    ),
    examples=(
        "os-train chat last",
        'os-train chat a1b2 --message "What is the capital of France?" --base',
        "os-train chat last --max-tokens 64 --temperature 0.7",
    ),
    settings=ChatSettings,
    configure=ChatSettings.of,
    run=_chat,
    positional="run",
)
