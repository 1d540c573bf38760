"""From the words of a command line to the settings that were given."""

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from flows.cli.flags import Flag
from flows.cli.spelling import did_you_mean
from opensloth_core.errors import ConfigError


class UsageError(ConfigError):
    """The command line cannot be read."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message)


def parse_flags(flags: Sequence[Flag], words: Sequence[str]) -> dict[str, Any]:
    """The settings that were given, by their flat names; what was not given is absent.

    Raises:
        UsageError: a flag is unknown or lacks its value, or an argument is one too many.
    """
    positional = next((flag for flag in flags if not flag.spellings), None)
    parser = _parser(flags, positional)
    _refuse_unknown(words, flags)
    try:
        namespace, rest = parser.parse_known_intermixed_args(list(words))
    except argparse.ArgumentError as err:
        name = str(err.argument_name).split("/")[-1]
        raise UsageError(f"{name} {_reworded(err.message)}") from err
    if rest:
        raise UsageError(f"unexpected argument {rest[0]!r}")
    given = vars(namespace)
    if positional and "positional" in given:
        if positional.name in given:
            raise UsageError(f"{positional.metavar} is given twice")
        given[positional.name] = given.pop("positional")
    return given


def accepted_spellings(flag: Flag) -> list[str]:
    """Everything that names this flag, shown or not."""
    spellings = [*flag.spellings, *flag.hidden_spellings]
    negated = [s.replace("--", "--no-", 1) for s in spellings if s.startswith("--")]
    return spellings + negated if flag.is_switch else spellings


def _parser(flags: Sequence[Flag], positional: Flag | None) -> argparse.ArgumentParser:
    parser = _Parser(
        add_help=False,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
        exit_on_error=False,
    )
    if positional:
        parser.add_argument("positional", nargs="?")
    for flag in flags:
        for spelling in accepted_spellings(flag):
            if flag.is_switch:
                on = not spelling.startswith("--no-")
                parser.add_argument(spelling, dest=flag.name, action="store_const", const=on)
            else:
                parser.add_argument(spelling, dest=flag.name)
    return parser


def _refuse_unknown(words: Sequence[str], flags: Sequence[Flag]) -> None:
    """argparse would take the value after a misspelt flag for DATA, so flags are checked first."""
    known = [spelling for flag in flags for spelling in accepted_spellings(flag)]
    for word in words:
        if word == "--":
            return
        name = word.partition("=")[0]
        if not re.match(r"--?[A-Za-z_]", name) or name in known:
            continue
        if not name.startswith("--") and name[:2] in known:
            continue
        raise UsageError(f"unknown flag {name}{did_you_mean(name, known)}")


def _reworded(message: str) -> str:
    if message.startswith("ignored explicit argument"):
        return "takes no value"
    return {"expected one argument": "needs a value"}.get(message, message)
