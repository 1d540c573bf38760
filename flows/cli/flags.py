"""Flags generated from the settings models: a field is a flag, its docstring the flag's help.

The command line documents, converts and checks nothing itself. A flag's value goes to pydantic as
the text the user typed, and a flag that was not given is absent, so no default of the command line
can beat a weaker layer of settings.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opensloth_core.config.nest import names_of, nested_settings

POSITIONAL = "data"
"""The setting given without a flag, where the command names no other."""

FOLDERS_ONLY = frozenset({"output", "data_output", "pretrained_lora", "root", "output_root"})
"""Of the settings that are paths, those for which completion offers folders only."""

FILES = frozenset({"data", "model", "config", "html", "prepared", "file"})
"""Settings for which completion offers files and folders."""

REPEATABLE = frozenset({"data", "map", "reward", "keys", "runs", "root", "output_root"})
"""Settings that may be given several times on one line; their values reach pydantic as a list."""

SHORT = {"model": "-m", "gpus": "-g", "output": "-o", "epochs": "-e", "batch_size": "-b"}

ALSO_SHOWN = {"lr", "stall_timeout"}
"""Aliases that help shows beside the field's name; the ancestor's other names are accepted unseen."""

VALUE_IF_BARE = {"tmux": "auto"}
"""Flags that may be given without a value, and the one they have then; their own follows an equals sign."""

METAVARS = {
    "tmux": "NAME",
    "data": "DATA",
    "gpus": "N",
    "samples": "N",
    "map": "NAME=COLUMN",
    "split": "NAME",
    "eval_size": "SHARE|N",
    "config": "FILE",
    "preset": "NAME",
    "file": "FILE",
    "name": "NAME",
    "html": "FILE",
    "prepared": "KEY|PATH",
    "batch_size": "N|auto",
    "reward": "NAME[=WEIGHT]",
    "init_from": "RUN",
    "key": "KEY",
    "keys": "KEY",
    "runs": "RUN",
    "svg": "FILE",
    "state": "STATE",
    "why": "TEXT",
    "max_age": "AGE",
    "max_size": "SIZE",
    "root": "DIR|URL",
    "output_root": "DIR",
}
"""Where the type alone would say too much or too little."""


@dataclass(frozen=True)
class Flag:
    """One setting as the command line knows it."""

    name: str
    """The field's name, which is unique over all groups."""

    group: str | None
    """The nested settings the field belongs to."""

    spellings: tuple[str, ...]
    """As help shows them, short form first; empty for the positional argument."""

    hidden_spellings: tuple[str, ...]
    """Accepted, not shown."""

    metavar: str
    """What the value is; empty for a switch, which takes none."""

    help: str

    default: str | None
    """For a person; None when there is no default worth naming."""

    is_repeatable: bool = False
    """Whether it may be given several times."""

    choices: tuple[str, ...] = ()
    """Words that it may be; where it may be something else too, those among them that are words."""

    value_if_bare: str | None = None
    """The value where none is given; None where one is needed."""

    @property
    def is_path(self) -> bool:
        """Whether completion offers files."""
        return self.name in FILES or self.is_folder

    @property
    def is_folder(self) -> bool:
        """Whether completion offers folders only."""
        return self.name in FOLDERS_ONLY

    @property
    def is_switch(self) -> bool:
        return not self.metavar

    @property
    def label(self) -> str:
        """How help and errors introduce it: `-g, --gpus N`."""
        if not self.spellings:
            return f"{self.metavar} …" if self.is_repeatable else self.metavar
        if self.is_switch:
            return "--[no-]" + self.spellings[-1].removeprefix("--")
        if self.value_if_bare:
            return f"{', '.join(self.spellings)}[={self.metavar}]"
        return f"{', '.join(self.spellings)} {self.metavar}"

    @property
    def called(self) -> str:
        """Its one name in a message: `--gpus`."""
        return long_form(self.name) if self.spellings else self.metavar


def flags_of(
    model: type[BaseModel],
    hidden: Collection[str] = (),
    positional: str | tuple[str, ...] = POSITIONAL,
    also: Mapping[str, tuple[str, ...]] | None = None,
    metavars: Mapping[str, str] | None = None,
) -> list[Flag]:
    """Every leaf setting of `model`, nested groups flattened, in the order they are declared.

    Args:
        hidden: settings, or groups of them, that are no flags of this command.
        positional: the setting that is given without a flag, or several in their order.
        also: further spellings of this command's flags, by setting.
        metavars: what values of this command's flags are, where it is not what they are elsewhere.
    """
    groups = nested_settings(model)
    also = also or {}
    flags: list[Flag] = []
    for name, field in model.model_fields.items():
        if name in hidden:
            continue
        if name in groups:
            inner = groups[name]
            flags += [_flag(inner, n, f, name) for n, f in inner.model_fields.items()]
        else:
            flags.append(_flag(model, name, field, None, positional, also.get(name, ())))
    own = metavars or {}
    return [replace(flag, metavar=own[flag.name], choices=()) if flag.name in own else flag for flag in flags]


def long_form(name: str) -> str:
    """`max_steps` as `--max-steps`."""
    return "--" + name.replace("_", "-")


def _flag(
    model: type[BaseModel],
    name: str,
    field: FieldInfo,
    group: str | None,
    positional: str | tuple[str, ...] = POSITIONAL,
    also: tuple[str, ...] = (),
) -> Flag:
    aliases = [alias for alias in names_of(model, name)[1:] if len(alias) > 1]
    shown = [name, *(alias for alias in aliases if alias in ALSO_SHOWN)]
    hidden = [alias for alias in aliases if alias not in shown]
    spellings = [*(word for word in also if not word.startswith("--")), *map(long_form, shown)]
    spellings += [word for word in also if word.startswith("--")]
    if name in SHORT:
        spellings.insert(0, SHORT[name])
    if name in ((positional,) if isinstance(positional, str) else positional):
        spellings, hidden = [], [*shown, *hidden]
    return Flag(
        name=name,
        group=group,
        spellings=tuple(spellings),
        hidden_spellings=tuple(long_form(alias) for alias in hidden),
        metavar=METAVARS.get(name) or _metavar(name, field.annotation),
        help=" ".join((field.description or "").split()),
        default=None if field.is_required() else _shown_default(field.get_default(call_default_factory=True)),
        is_repeatable=name in REPEATABLE,
        choices=_choices(field.annotation),
        value_if_bare=VALUE_IF_BARE.get(name),
    )


def _metavar(name: str, annotation: Any) -> str:
    kind = _without_none(annotation)
    if kind is bool:
        return ""
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        return "A,B,…"
    return {int: "N", float: "X", Path: "DIR"}.get(kind, name.upper())


def _choices(annotation: Any) -> tuple[str, ...]:
    """The words of every `Literal` in a type."""
    if get_origin(annotation) is Literal:
        return tuple(map(str, get_args(annotation)))
    if get_origin(annotation) is Annotated:
        return _choices(annotation.__origin__)
    if get_origin(annotation) in (Union, UnionType):
        return tuple(choice for kind in get_args(annotation) for choice in _choices(kind))
    return ()


def _without_none(annotation: Any) -> Any:
    """`int` for `int | None` and for `Annotated[int, …] | None`."""
    if get_origin(annotation) in (Union, UnionType):
        (annotation,) = (kind for kind in get_args(annotation) if kind is not type(None))
    while hasattr(annotation, "__metadata__"):
        annotation = annotation.__origin__
    return annotation


def _shown_default(value: Any) -> str | None:
    if value is None or value is False or value in ({}, ()):
        return None
    if isinstance(value, float):
        return f"{value:g}"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
