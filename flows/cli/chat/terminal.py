"""A conversation on a terminal, through a pipe, or of one message."""

import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from io import TextIOWrapper
from typing import TextIO

from flows.cli.run import Terminated
from opensloth_core.chat.conversation import Conversation
from opensloth_core.chat.model import Answer
from opensloth_core.errors import ConfigError, OpenSlothError

PROMPT = "> "
COMMANDS = "/reset forgets the conversation, /system TEXT sets the system message, /quit ends"
_ENDS = ("/quit", "/exit")
_NARROWEST = 20


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
        """Answer each line as a conversation of its own, in one line; with two voices two columns.

        Raises:
            ConfigError: a line is not UTF-8, or too long for the model; says which.
        """
        if isinstance(lines, TextIOWrapper):
            lines.reconfigure(encoding="utf-8", errors="surrogateescape")
        for number, line in enumerate(lines, start=1):
            question = line.strip()
            if not question:
                continue
            try:
                question.encode()
                answers = [self._alone(voice, question) for voice in self._voices]
                for answer in answers:
                    _note_cut(answer, f"line {number}: ")
            except UnicodeEncodeError as err:
                raise ConfigError(f"line {number}: not UTF-8; convert it, as with iconv") from err
            except ConfigError as err:
                raise ConfigError(f"line {number}: {err}") from err
            print("\t".join(" ".join(answer.text.split()) for answer in answers), flush=True)

    def with_person(self) -> None:
        """Talk until /quit or Ctrl-D."""
        # Imported for what it does to input(): editing and history.
        import readline  # noqa: F401

        _note(f"{COMMANDS}; Ctrl-C stops an answer")
        while True:
            try:
                text = input(PROMPT).strip()
            except EOFError:
                print()
                return
            except Terminated:
                raise
            except KeyboardInterrupt:
                _note("\n/quit or Ctrl-D ends")
                continue
            if text in _ENDS:
                return
            if text:
                self._react(text)

    def _react(self, text: str) -> None:
        command, _, rest = text.partition(" ")
        if command == "/reset" and not rest:
            for voice in self._voices:
                voice.conversation.reset()
            _note("a new conversation begins")
        elif command == "/system":
            self.set_system(rest)
            _note(f"a new conversation begins, with{'' if rest.strip() else 'out'} a system message")
        elif command == "/help":
            _note(COMMANDS)
        elif command.startswith("/"):
            _note(f"{command}: no such command; {COMMANDS}")
        else:
            self._answer(text)

    def _answer(self, text: str) -> None:
        """Answer; where one voice does not come to its end, nobody remembers the question."""
        before = [voice.conversation.num_turns for voice in self._voices]
        try:
            for voice in self._voices:
                self._stream(voice, text)
            return
        except Terminated:
            raise
        except KeyboardInterrupt:
            _note("\nstopped; it is as if you had not asked")
        except OpenSlothError as err:
            _note(f"{err}; /reset begins a new conversation")
        for voice, num_turns in zip(self._voices, before, strict=True):
            voice.conversation.rewind(num_turns)

    @staticmethod
    def _alone(voice: Voice, question: str) -> Answer:
        voice.conversation.reset()
        return voice.conversation.ask(question)

    def _stream(self, voice: Voice, text: str) -> None:
        if len(self._voices) > 1:
            print(f"{voice.name}: ", end="", flush=True)
        answer = voice.conversation.ask(text, lambda piece: print(piece, end="", flush=True))
        print(flush=True)
        _note_cut(answer)


def _note_cut(answer: Answer, place: str = "") -> None:
    if answer.is_cut:
        _note(f"{place}cut after {answer.num_tokens:,} tokens; --max-tokens allows more")


def _note(text: str) -> None:
    """Say something that is no answer; a line break at its beginning stays."""
    width = max(_NARROWEST, shutil.get_terminal_size().columns - 1)
    for line in text.split("\n"):
        print(textwrap.fill(line, width, break_on_hyphens=False), file=sys.stderr)
