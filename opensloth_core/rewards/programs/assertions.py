"""Takes tests in Python apart into steps, so that each assertion counts and what it expects stays here."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opensloth_core.errors import DataError
from opensloth_core.rewards.programs.compare import COMPARE, TRUE
from opensloth_core.rewards.reference import quoted


class _Unknown:
    """Stands for a side that only the program's process can work out."""


UNKNOWN = _Unknown()

_SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Setup:
    """Statements that are no test: imports, data, definitions."""

    source: str


@dataclass(frozen=True, slots=True)
class Comparison:
    """`assert left operator right`, where what is a literal is kept from the program.

    Attributes:
        operator: as in Python, or `true` where `left` alone must be true.
        sources: the expressions that the program's process works out, from left to right.
        literals: the value of each side, `UNKNOWN` where it is one of `sources`.
        literal_source: the literal on the right as Python, for values that cannot be sent.
    """

    operator: str
    sources: tuple[str, ...]
    literals: tuple[Any, ...]
    literal_source: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A test of any other form, such as a loop with assertions in it: it passes when nothing is raised."""

    source: str


Step = Setup | Comparison | Statement


def steps_of(source: str, entry_point: str | None = None) -> list[Step]:
    """The steps of a test file.

    The assertions of `test_…()` functions, and of `check(candidate)` where it is called, count one by
    one; a method of a `TestCase` counts as one.

    Args:
        entry_point: what `check(candidate)` is called with where the file itself does not call it.

    Raises:
        DataError: it is no Python, or has no test.
    """
    try:
        body = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
        raise DataError(f"reward code: the tests {quoted(source)} are not Python: {err}") from err
    functions = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
    checked = functions.get("check")
    if checked and entry_point and not any(_called(node) == "check" for node in body):
        body = [*body, *ast.parse(f"check({entry_point})").body]
    steps = [step for node in body for step in _steps(node, functions)]
    if not any(isinstance(step, Comparison | Statement) for step in steps):
        raise DataError(f"reward code: the tests {quoted(source)} assert nothing")
    return steps


def _steps(node: ast.stmt, functions: dict[str, ast.FunctionDef]) -> Iterator[Step]:
    called = functions.get(_called(node) or "")
    if isinstance(node, ast.Assert):
        yield _comparison(node.test)
    elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return
    elif isinstance(node, ast.FunctionDef) and _is_test(node):
        yield from _inlined(node, [])
    elif called is not None and _is_test(called):
        return  # its assertions stand where it is defined
    elif called is not None and _asserts(called):
        assert isinstance(node, ast.Expr) and isinstance(node.value, ast.Call), "what _called names"
        yield from _inlined(called, node.value.args)
    elif isinstance(node, ast.ClassDef):
        yield Setup(_guarded(node))
        yield from _methods(node)
    elif not isinstance(node, ast.FunctionDef) and _asserts(node):
        yield Statement(_guarded(node))
    else:
        yield Setup(_guarded(node))


def _inlined(function: ast.FunctionDef, arguments: list[ast.expr]) -> Iterator[Step]:
    """The function's statements as if they stood outside, or one call where that would not be the same."""
    names = [argument.arg for argument in function.args.args]
    leaves = (ast.Return, ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal)
    has_leave = any(isinstance(node, leaves) for node in ast.walk(function))
    if has_leave or len(names) != len(arguments):
        yield Setup(_guarded(function))
        yield Statement(f"{function.name}({', '.join(map(ast.unparse, arguments))})")
        return
    for name, argument in zip(names, arguments, strict=True):
        yield Setup(f"{name} = {ast.unparse(argument)}")
    for node in function.body:
        yield from _steps(node, {})


def _methods(node: ast.ClassDef) -> Iterator[Step]:
    is_unittest = any("TestCase" in ast.unparse(base) for base in node.bases)
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name.startswith("test"):
            call = (
                f"{node.name}({method.name!r}).debug()" if is_unittest else f"{node.name}().{method.name}()"
            )
            yield Statement(call)


class _Guard(ast.NodeTransformer):
    """Has assertions inside a statement compare by `compare.holds`, which sees through objects that lie."""

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.test = _guard(node.test)
        return node


def _guarded(node: ast.stmt) -> str:
    return ast.unparse(ast.fix_missing_locations(_Guard().visit(node)))


def _guard(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        sides = [ast.Constant(_SIGNS[type(test.ops[0])]), test.left, *test.comparators]
        return ast.Call(ast.Name(COMPARE, ast.Load()), sides, [])
    return ast.Call(ast.Name(TRUE, ast.Load()), [test], [])


def _comparison(test: ast.expr) -> Comparison:
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return Comparison("true", (ast.unparse(test),), (UNKNOWN,))
    sign = _SIGNS[type(test.ops[0])]
    sides = (test.left, test.comparators[0])
    if sign in _MIRRORED and _literal(sides[0]) is not UNKNOWN:
        sign, sides = _MIRRORED[sign], (sides[1], sides[0])
    literals = tuple(_literal(side) for side in sides)
    if UNKNOWN not in literals:  # of `assert 1 == 1` something must be left to work out
        literals = (UNKNOWN, literals[1])
    sources = tuple(
        ast.unparse(side) for side, literal in zip(sides, literals, strict=True) if literal is UNKNOWN
    )
    return Comparison(sign, sources, literals, ast.unparse(sides[1]))


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return UNKNOWN


def _called(node: ast.stmt) -> str | None:
    call = node.value if isinstance(node, ast.Expr) else None
    return call.func.id if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) else None


def _is_test(function: ast.FunctionDef) -> bool:
    return function.name.startswith("test") and not function.args.args and not function.decorator_list


def _asserts(node: ast.AST) -> bool:
    return any(isinstance(part, ast.Assert) for part in ast.walk(node))
