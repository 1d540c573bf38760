"""A conversation on a terminal, through a pipe, or of one message."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from opensloth_core.chat.conversation import Conversation
from opensloth_core.errors import OpenSlothError

PROMPT = "> "
COMMANDS = "/reset forgets the conversation, /system TEXT sets the system message, /quit ends"


@dataclass(frozen=True)
class Voice:
    """Who answers."""

    name: str
    conversation: Conversation


class Talk:
    """One or two voices that are asked the same."""

    def __init__(self, voices: Sequence[Voice]) -> None:
        self._voices = voices

    def set_system(self, text: str) -> None:
        """See `Conversation.set_system`."""
        for voice in self._voices:
            voice.conversation.set_system(text)

    def answer_once(self, text: str) -> None:
        """Print the answer to one message."""
        for voice in self._voices:
            self._stream(voice, text)

    def with_pipe(self, lines: TextIO) -> None:
        """Answer each line as a conversation of its own, in one line; with two voices two columns."""
        for line in lines:
            question = line.strip()
            if not question:
                continue
            answers = []
            for voice in self._voices:
                voice.conversation.reset()
                answers.append(" ".join(voice.conversation.ask(question).split()))
            print("\t".join(answers), flush=True)

    def with_person(self) -> None:
        """Talk until /quit or Ctrl-D."""
        # Imported for what it does to input(): editing and history.
        import readline  # noqa: F401

        print(f"{COMMANDS}; Ctrl-C stops an answer", file=sys.stderr)
        while True:
            try:
                text = input(PROMPT).strip()
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print("\n/quit or Ctrl-D ends", file=sys.stderr)
                continue
            if text == "/quit":
                return
            if text:
                self._react(text)

    def _react(self, text: str) -> None:
        command, _, rest = text.partition(" ")
        if command == "/reset" and not rest:
            for voice in self._voices:
                voice.conversation.reset()
            print("forgotten", file=sys.stderr)
        elif command == "/system":
            self.set_system(rest)
            print("begun anew, " + ("with it" if rest.strip() else "without one"), file=sys.stderr)
        elif command.startswith("/"):
            print(f"{command}: no such command; {COMMANDS}", file=sys.stderr)
        else:
            self._answer(text)

    def _answer(self, text: str) -> None:
        try:
            for voice in self._voices:
                self._stream(voice, text)
        except KeyboardInterrupt:
            print("\nstopped; it is as if you had not asked", file=sys.stderr)
        except OpenSlothError as err:
            print(f"{err}; /reset begins anew", file=sys.stderr)

    def _stream(self, voice: Voice, text: str) -> None:
        if len(self._voices) > 1:
            print(f"{voice.name}: ", end="", flush=True)
        voice.conversation.ask(text, lambda piece: print(piece, end="", flush=True))
        print(flush=True)
