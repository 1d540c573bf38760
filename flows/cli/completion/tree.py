"""Programs, groups and commands as completion sees them: at each place, the words, flags and values."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from flows.cli.command import Command, Program
from flows.cli.flags import Flag

ALWAYS = (("--help", "Help."), ("--help-all", "All flags."))
VERSION = ("--version", "The version of OpenSloth.")


@dataclass(frozen=True)
class Word:
    """Something that may be typed, and what it is."""

    text: str
    help: str


@dataclass(frozen=True)
class Option:
    """A flag under all names that help shows."""

    spellings: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...] = ()
    is_path: bool = False
    is_folder: bool = False


@dataclass(frozen=True)
class Node:
    """What may follow the words that lead here."""

    path: str
    """`os-train cache explain`."""

    words: tuple[Word, ...]
    """Commands and groups, or the choices of an argument."""

    options: tuple[Option, ...]

    takes_path: bool = False
    """Whether an argument may be a file."""


def nodes(programs: Sequence[Program]) -> list[Node]:
    """Every place on a command line of these programs."""
    return [node for program in programs for node in _nodes(program)]


def programs(nodes: Sequence[Node]) -> list[str]:
    """The names of the programs that these places are of."""
    return list(dict.fromkeys(node.path.split()[0] for node in nodes))


def _nodes(program: Program) -> Iterator[Node]:
    words = [Word(name, command.summary) for name, command in program.commands.items()]
    words += [Word(name, group.summary) for name, group in program.groups.items()]
    default = _of_command(program.name, program.default) if program.default else None
    own = [Option((text,), help, False) for text, help in (*ALWAYS, VERSION)]
    options = [
        *(default.options if default else ()),
        *(o for o in own if not default or o.spellings[0] == VERSION[0]),
    ]
    yield Node(program.name, tuple(words), tuple(options), bool(default and default.takes_path))
    for name, command in program.commands.items():
        yield _of_command(f"{program.name} {name}", command)
    for name, group in program.groups.items():
        # A group is called by the word under which its program has it.
        yield from (node for node in _nodes(group) if node.path.startswith(f"{program.name} {name}"))


def _of_command(path: str, command: Command) -> Node:
    flags = command.flags
    arguments = [flag for flag in flags if not flag.spellings]
    words = [Word(choice, flag.help) for flag in arguments for choice in flag.choices]
    options = [option for flag in flags if flag.spellings for option in _options(flag)]
    options += [Option((text,), help, False) for text, help in ALWAYS]
    takes_path = any(flag.is_path for flag in arguments)
    return Node(path, tuple(words), tuple(options), takes_path)


def _options(flag: Flag) -> Iterator[Option]:
    if flag.is_switch:
        yield Option(flag.spellings, flag.help, False)
        negated = tuple(s.replace("--", "--no-", 1) for s in flag.spellings if s.startswith("--"))
        yield Option(negated, f"Not: {flag.help}", False)
        return
    if flag.value_if_bare:  # the next word is not its value
        yield Option(flag.spellings, flag.help, False)
        return
    yield Option(flag.spellings, flag.help, True, flag.choices, flag.is_path, flag.is_folder)
