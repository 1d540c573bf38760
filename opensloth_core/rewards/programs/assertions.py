"""Takes tests in Python apart into steps, so that each assertion counts and what it expects stays here."""

import ast
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from opensloth_core.errors import DataError
from opensloth_core.rewards.programs.guard import SIGNS, guarded, is_raises
from opensloth_core.rewards.reference import quoted


class _Unknown:
    """Stands for a side that only the program's process can work out."""


UNKNOWN = _Unknown()

_MIRRORED = {"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


@dataclass(frozen=True, slots=True)
class Setup:
    """Statements that are no test: imports, data, definitions."""

    source: str
    function: str = ""
    """Of which test function it is a part; where it fails, what follows in that function has failed."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`assert left operator right`, where what is a literal is kept from the program.

    Attributes:
        operator: as in Python, or `true` where `left` alone must be true.
        sources: the expressions that the program's process works out, from left to right.
        literals: the value of each side, `UNKNOWN` where it is one of `sources`.
        literal_source: the literal on the right as Python, for values that cannot be sent.
        function: as in `Setup`.
    """

    operator: str
    sources: tuple[str, ...]
    literals: tuple[Any, ...]
    literal_source: str = ""
    function: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A test of any other form, such as a loop with assertions in it: it passes when nothing is raised."""

    source: str
    function: str = ""


Step = Setup | Comparison | Statement

_HOOKS = ("setup_module", "setup_function", "setup_class", "setup_method")
_Functions = Mapping[str, ast.FunctionDef]


def steps_of(sources: Sequence[str], entry_point: str | None = None) -> list[Step]:
    """The steps of tests that are one text or several; there need be no test in them.

    The assertions of `test_…()` functions, and of `check(candidate)` where it is called, count one by
    one, as do the calls of functions that assert; a method of a test class counts as one, and so does a
    test function that just must not raise.

    Args:
        entry_point: what `check(candidate)` is called with where a text does not call it itself.

    Raises:
        DataError: a text is no Python, or has a test that only pytest can call.
    """
    functions: dict[str, ast.FunctionDef] = {}
    steps: list[Step] = []
    num_lines = 0
    for source in sources:
        try:
            tree = ast.increment_lineno(ast.parse(source), num_lines)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as err:
            raise DataError(f"reward code: the tests {quoted(source)} are not Python: {err}") from err
        num_lines += source.count("\n") + 1
        body = tree.body
        own = {node.name: node for node in body if isinstance(node, ast.FunctionDef)}
        functions |= own
        called = {_name(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
        if "check" in own and entry_point and not any(_called(node) == "check" for node in body):
            body = [*body, *ast.parse(f"check({entry_point})").body]
        for node in body:
            _refuse_uncallable(node, called)
            steps += _steps(node, functions)
    return steps


def _refuse_uncallable(node: ast.stmt, called: set[str]) -> None:
    """Raises DataError for a test that pytest gives arguments or otherwise treats as we cannot."""
    if isinstance(node, ast.ClassDef):
        for method in node.body if node.name.startswith("Test") and not _is_unittest(node) else ():
            _refuse_uncallable_function(method, num_arguments=1)
    elif not isinstance(node, ast.FunctionDef) or node.name not in called:
        _refuse_uncallable_function(node, num_arguments=0)


def _refuse_uncallable_function(node: ast.stmt, num_arguments: int) -> None:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return
    if node.name in _HOOKS:
        raise _only_pytest(node, "is called by pytest before tests")
    if not node.name.startswith("test"):
        return
    if node.decorator_list:
        raise _only_pytest(node, f"has the decorator @{ast.unparse(node.decorator_list[0])}")
    if isinstance(node, ast.AsyncFunctionDef):
        raise _only_pytest(node, "is async")
    if len(node.args.args) - len(node.args.defaults) > num_arguments:
        raise _only_pytest(node, f"takes the argument {node.args.args[num_arguments].arg}")


def _only_pytest(node: ast.FunctionDef | ast.AsyncFunctionDef, why: str) -> DataError:
    return DataError(
        f"reward code: {node.name} in line {node.lineno} of the tests {why}, which is not understood; write "
        "its cases out as assertions in functions without arguments"
    )


def _steps(node: ast.stmt, functions: _Functions) -> Iterator[Step]:
    called = functions.get(_called(node) or "")
    if isinstance(node, ast.Assert):
        yield _comparison(node.test)
    elif isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
        return
    elif isinstance(node, ast.FunctionDef) and _is_test(node):
        yield from _inlined(node, _call(node.name), functions)
    elif called is not None and _is_test(called):
        return  # its assertions stand where it is defined
    elif called is not None and _asserts(called, functions):
        assert isinstance(node, ast.Expr) and isinstance(node.value, ast.Call), "what _called names"
        yield from _inlined(called, node.value, functions)
    elif isinstance(node, ast.ClassDef):
        yield Setup(guarded(node))
        yield from _methods(node)
    elif not isinstance(node, ast.FunctionDef) and _asserts(node, functions):
        yield Statement(guarded(node))
    else:
        yield Setup(guarded(node))


def _inlined(function: ast.FunctionDef, call: ast.Call, functions: _Functions) -> Iterator[Step]:
    """The function's statements as if they stood outside, or one call where that would not be the same."""
    arguments = function.args
    names = [argument.arg for argument in arguments.args]
    leaves = (ast.Return, ast.Yield, ast.YieldFrom, ast.Global, ast.Nonlocal)
    has_leave = any(isinstance(node, leaves) for node in ast.walk(function))
    has_other = arguments.posonlyargs or arguments.vararg or arguments.kwonlyargs or arguments.kwarg
    is_plain = not call.keywords and not any(isinstance(value, ast.Starred) for value in call.args)
    steps: list[Step] = []
    if is_plain and not has_leave and not has_other and len(names) == len(call.args):
        nested = {node.name: node for node in function.body if isinstance(node, ast.FunctionDef)}
        inside = {name: node for name, node in {**functions, **nested}.items() if node is not function}
        if names:
            steps.append(Setup(f"{', '.join(names)} = {', '.join(map(ast.unparse, call.args))}"))
        steps += [step for node in function.body for step in _steps(node, inside)]
    if all(isinstance(step, Setup) for step in steps):
        steps = [Setup(guarded(function)), Statement(ast.unparse(call))]
    place = getattr(call, "lineno", 0), getattr(call, "col_offset", 0)
    for step in steps:
        # What of pytest is understood needs no pytest, which may not be there.
        is_pytest = isinstance(step, Setup) and step.source.startswith(("import pytest", "from pytest "))
        yield step if is_pytest else replace(step, function=f"{function.name}:{function.lineno} at {place}")


def _call(name: str) -> ast.Call:
    return ast.Call(ast.Name(name, ast.Load()), [], [])


def _methods(node: ast.ClassDef) -> Iterator[Step]:
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and method.name.startswith("test"):
            name = method.name
            yield Statement(
                f"{node.name}({name!r}).debug()" if _is_unittest(node) else f"{node.name}().{name}()"
            )


def _is_unittest(node: ast.ClassDef) -> bool:
    return any("TestCase" in ast.unparse(base) for base in node.bases)


def _comparison(test: ast.expr) -> Comparison:
    if not isinstance(test, ast.Compare) or len(test.ops) != 1:
        return Comparison("true", (ast.unparse(test),), (UNKNOWN,))
    sign = SIGNS[type(test.ops[0])]
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


def _asserts(node: ast.AST, functions: _Functions, seen: frozenset[str] = frozenset()) -> bool:
    """Whether it, or a function that it calls, says what must be: by `assert` or another's `assert_…()`."""
    for part in ast.walk(node):
        if isinstance(part, ast.Assert) or is_raises(part):
            return True
        if isinstance(part, ast.Raise) and part.exc and "AssertionError" in ast.unparse(part.exc):
            return True
        if not isinstance(part, ast.Call):
            continue
        if _name(part.func).startswith("assert"):
            return True
        name = part.func.id if isinstance(part.func, ast.Name) else ""
        if name in functions and name not in seen and _asserts(functions[name], functions, seen | {name}):
            return True
    return False


def _name(function: ast.expr) -> str:
    """`f` of `f` and of `a.b.f`."""
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""
