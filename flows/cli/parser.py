"""From the words of a command line to the settings that were given."""

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from flows.cli.flags import POSITIONAL, Flag
from opensloth_core.config.spelling import did_you_mean
from opensloth_core.errors import ConfigError


class UsageError(ConfigError):
    """The command line cannot be read."""


class _Parser(argparse.ArgumentParser):
    spelt: dict[str, str]
    """How each flag was given that may be given once, by its name."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


class _Once(argparse.Action):
    """Takes one value; argparse itself would take the last of several."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option_string: str | None = None,
    ) -> None:
        assert isinstance(parser, _Parser) and option_string is not None, "flags of ours"
        first = parser.spelt.setdefault(self.dest, option_string)
        if hasattr(namespace, self.dest):
            twice = (
                f"{first} is given twice"
                if first == option_string
                else f"{first} and {option_string} are one setting"
            )
            raise UsageError(f"{twice}; give one")
        setattr(namespace, self.dest, self.const if self.nargs == 0 else values)


def parse_flags(
    flags: Sequence[Flag], words: Sequence[str], of_others: Mapping[str, str] | None = None
) -> dict[str, Any]:
    """The settings that were given, by their flat names; what was not given is absent.

    Args:
        of_others: spellings of flags that other methods have, with their method.

    Raises:
        UsageError: a flag is unknown or lacks its value, or an argument is one too many.
    """
    # Split here, since argparse forgets what stands after `--` when flags and arguments are mixed.
    end = words.index("--") if "--" in words else len(words)
    _refuse_unknown(words[:end], flags, of_others or {})
    given = _parsed(_parser(flags), _with_optional_values(words[:end], flags))
    arguments = [*given.pop("positional", []), *words[end + 1 :]]
    for flag in (flag for flag in flags if not flag.spellings):
        if arguments and flag.name in given:
            raise UsageError(f"{flag.metavar} is given both with and without a flag")
        if arguments:
            given[flag.name] = arguments if flag.is_repeatable else arguments[0]
            arguments = [] if flag.is_repeatable else arguments[1:]
    if arguments:
        raise UsageError(f"unexpected argument {arguments[0]!r}")
    return given


def _with_optional_values(words: Sequence[str], flags: Sequence[Flag]) -> list[str]:
    """The words with a value for each flag that may do without, as `--tmux=auto` for `--tmux`.

    Its own value follows an equals sign: the next word may be DATA.
    """
    given: list[str] = []
    for i, word in enumerate(words):
        flag = next((flag for flag in flags if flag.value_if_bare and word in flag.spellings), None)
        if flag is None:
            given.append(word)
            continue
        value = words[i + 1] if i + 1 < len(words) else ""
        takes_data = any(other.name == POSITIONAL for other in flags)
        # Typed as the value of any other flag would be; DATA of such a name is a file.
        if takes_data and re.fullmatch(r"\w+(-\w+)*", value) and not Path(value).exists():
            raise UsageError(f"{word} {value}: a name follows an equals sign: {word}={value}")
        given.append(f"{word}={flag.value_if_bare}")
    return given


def _parsed(parser: argparse.ArgumentParser, words: Sequence[str]) -> dict[str, Any]:
    try:
        return vars(parser.parse_intermixed_args(list(words)))
    except argparse.ArgumentError as err:
        name = str(err.argument_name).split("/")[-1]
        raise UsageError(f"{name} {_reworded(err.message)}") from err


def accepted_spellings(flag: Flag) -> list[str]:
    """Everything that names this flag, shown or not."""
    spellings = [*flag.spellings, *flag.hidden_spellings]
    negated = [s.replace("--", "--no-", 1) for s in spellings if s.startswith("--")]
    return spellings + negated if flag.is_switch else spellings


def _parser(flags: Sequence[Flag]) -> argparse.ArgumentParser:
    parser = _Parser(
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        exit_on_error=False,
    )
    parser.spelt = {}
    parser.add_argument("positional", nargs="*")
    for flag in flags:
        for spelling in accepted_spellings(flag):
            if flag.is_switch:
                on = not spelling.startswith("--no-")
                parser.add_argument(spelling, dest=flag.name, action=_Once, nargs=0, const=on)
            else:
                action = "append" if flag.is_repeatable else _Once
                parser.add_argument(spelling, dest=flag.name, action=action)
    return parser


def _refuse_unknown(words: Sequence[str], flags: Sequence[Flag], of_others: Mapping[str, str]) -> None:
    """argparse would take the value after a misspelt flag for DATA, so flags are checked first."""
    known = [spelling for flag in flags for spelling in accepted_spellings(flag)]
    for word in words:
        name = word.partition("=")[0]
        if not re.match(r"--?[A-Za-z_]", name) or name in known:
            continue
        if not name.startswith("--") and name[:2] in known:
            continue
        if name in of_others:
            raise UsageError(f"unknown flag {name}; it is a flag of {of_others[name]}")
        raise UsageError(f"unknown flag {name}{did_you_mean(name, known)}")


def _reworded(message: str) -> str:
    if message.startswith("ignored explicit argument"):
        return "takes no value"
    return {"expected one argument": "needs a value"}.get(message, message)
