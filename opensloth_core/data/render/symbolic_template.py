"""Chat templates, run on symbols, so that one run tells the text of every row like the one at hand.

A text with placeholders is not a guess: it is what the template's own compiled code writes, with each
use of a content accounted for (see symbol.py). Any other row with the same roles that passes the
guards renders to it, with its own contents in the places of the placeholders.
"""

import functools
from collections.abc import Callable, Iterable
from typing import Any, cast

from jinja2 import Environment, Undefined, nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.nodes import EvalContext
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from opensloth_core.data.example import Message, Tool
from opensloth_core.data.render.chat_environment import chat_environment
from opensloth_core.data.render.compiled import CompiledTemplate
from opensloth_core.data.render.rendered import Span
from opensloth_core.data.render.symbol import Length, Symbol, Unknown, text_of


def _concat(parts: Iterable[Any]) -> Any:
    parts = list(parts)
    symbols = [part for part in parts if isinstance(part, Symbol)]
    return symbols[0]._joined(*parts) if symbols else "".join(parts)


def _always(answer: bool) -> Callable[..., bool]:
    return lambda *_: answer


def _default(value: Symbol, default_value: Any = "", boolean: bool = False) -> Any:
    return default_value if boolean and not value else value


_FILTERS: dict[str, Callable[..., Any]] = {
    "trim": Symbol.strip,
    "string": lambda symbol: symbol,
    "default": _default,
    "d": _default,
    "length": Length,
    "count": Length,
}
# These do with symbols inside of lists and dicts what the template's own code would do.
_CONTAINER_FILTERS = {
    "count", "first", "items", "join", "last", "length", "list", "map",
    "reject", "rejectattr", "select", "selectattr", "tojson",
}  # fmt: skip
_TESTS: dict[str, Callable[..., bool]] = {
    name: _always(name in ("string", "iterable", "sequence", "defined"))
    for name in (
        "string", "iterable", "sequence", "defined", "undefined", "none", "mapping", "boolean", "callable",
        "false", "true", "float", "integer", "number",
    )
}  # fmt: skip
# What can hold no symbol, and what Jinja itself hands to filters.
_SCALARS = (str, int, float, type(None), Undefined, Environment, EvalContext, Context)
_OPERATOR_TESTS = {"==", "eq", "equalto", "!=", "ne", "in"}


class _CodeGenerator(CodeGenerator):
    """As Jinja's own, but for `str()` around what is written."""

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("environment.written(")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write(")")

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:
        self.write("environment.concat([")
        for child in node.nodes:
            self.write("environment.written(")
            self.visit(child, frame)
            self.write("), ")
        self.write("])")


class _SymbolicEnvironment(ImmutableSandboxedEnvironment):
    code_generator_class = _CodeGenerator
    concat = staticmethod(_concat)

    @staticmethod
    def written(value: Any) -> Any:
        return value if isinstance(value, Symbol) else str(value)


def _guarded(
    name: str, function: Callable[..., Any], on_symbols: dict[str, Callable[..., Any]], on_others: set[str]
) -> Callable[..., Any]:
    """A filter or test that knows what to do with symbols, or raises `Unknown`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        if not any(isinstance(value, Symbol | Length) for value in (*args, *kwargs.values())):
            if name in on_others or all(isinstance(value, _SCALARS) for value in (*args, *kwargs.values())):
                return function(*args, **kwargs)
            raise Unknown
        if name in on_symbols and isinstance(args[0], Symbol):
            return on_symbols[name](*args, **kwargs)
        if name in _OPERATOR_TESTS and name in on_others:
            return function(*args, **kwargs)
        raise Unknown

    return call


class SymbolicTemplate:
    """A template for the messages of one recorder.

    Raises:
        Unknown: it uses the contents in a way that symbols cannot follow.
    """

    has_tags = False

    def __init__(self, template: CompiledTemplate) -> None:
        environment = chat_environment(environment_class=_SymbolicEnvironment)
        for name, function in list(environment.filters.items()):
            environment.filters[name] = _guarded(name, function, _FILTERS, _CONTAINER_FILTERS)
        for name, function in list(environment.tests.items()):
            others = {*_TESTS, *_OPERATOR_TESTS, "filter", "test", "sameas"}
            environment.tests[name] = _guarded(name, cast(Any, function), _TESTS, others)
        self._special_tokens = template.special_tokens
        self._template = environment.from_string(template.source)

    def render(self, messages: list[Message], tools: list[Tool] | None = None, header: bool = False) -> str:
        """The text with placeholders."""
        context = self._template.new_context(
            {
                "messages": messages,
                "tools": tools,
                "documents": None,
                "add_generation_prompt": header,
                **self._special_tokens,
            }
        )
        try:
            text = _concat(self._template.root_render_func(context))
        except Exception as err:
            raise Unknown from err
        return text_of(text)

    def tagged(self, messages: list[Message], tools: list[Tool] | None, text: str) -> list[Span]:
        raise Unknown
