"""The Jinja dialect of chat templates, as transformers defines it, with two changes.

`{% generation %}` blocks can leave marks in the text, so that their exact place is known even inside
macros, and `strftime_now` answers with one fixed day, so that a row renders to the same bytes
every day.

Source: https://github.com/huggingface/transformers/blob/v5.17.0/src/transformers/utils/chat_template_utils.py
"""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any, NoReturn

from jinja2 import TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment

# Noncharacters: Unicode reserves them for use inside a program, so no text has them by right.
MARK_START = "\ufdd0"
MARK_END = "\ufdd1"

PINNED_DATE = datetime(2024, 7, 26)
"""The day templates see; Llama 3.1's and 3.2's templates fall back to it themselves."""


class _Generation(Extension):
    tags = {"generation"}  # noqa: RUF012 - jinja declares it on the instance

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        # A call block, as in transformers: what the body sets stays inside of it.
        return nodes.CallBlock(self.call_method("_marked"), [], [], body).set_lineno(line)

    def _marked(self, caller: Callable[[], str]) -> str:
        return MARK_START + caller() + MARK_END


class _Unmarked(_Generation):
    def _marked(self, caller: Callable[[], str]) -> str:
        return caller()


def chat_environment(
    marks: bool = False,
    environment_class: type[ImmutableSandboxedEnvironment] = ImmutableSandboxedEnvironment,
) -> ImmutableSandboxedEnvironment:
    """An environment to compile chat templates in; with `marks`, generation blocks leave marks."""
    environment = environment_class(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Generation if marks else _Unmarked, loopcontrols],
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = PINNED_DATE.strftime
    return environment


def _raise_exception(message: str) -> NoReturn:
    raise TemplateError(message)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )
