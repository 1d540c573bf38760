"""Rewrites tests in Python so that what they compare, and what is to be raised, is judged by `compare`."""

import ast
import copy

from opensloth_core.rewards.programs.compare import CAUGHT, COMPARE, TRUE

SIGNS: dict[type[ast.cmpop], str] = {
    ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Is: "is",
    ast.IsNot: "is not", ast.In: "in", ast.NotIn: "not in",
}  # fmt: skip
_ERROR = "__error__"


def guarded(node: ast.stmt) -> str:
    """The statement as source, rewritten.

    Assertions inside it compare by `compare.holds`, which sees through objects that lie. `pytest.raises`
    becomes a `try` that fails where nothing is raised: pytest need not be there, nor can it be changed.
    """
    return "\n".join(ast.unparse(ast.fix_missing_locations(part)) for part in _statements(node))


def is_raises(node: ast.AST) -> bool:
    """Whether it is a call of `pytest.raises`."""
    if not isinstance(node, ast.Call):
        return False
    function = node.func
    return function.attr == "raises" if isinstance(function, ast.Attribute) else _is_named(function, "raises")


def _is_named(node: ast.expr, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _statements(node: ast.stmt) -> list[ast.stmt]:
    visited = _Guard().visit(copy.deepcopy(node))
    return visited if isinstance(visited, list) else [visited]


class _Guard(ast.NodeTransformer):
    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.test = _compared(node.test)
        return node

    def visit_With(self, node: ast.With) -> list[ast.stmt]:
        self.generic_visit(node)
        body = node.body
        for item in reversed(node.items):
            call = item.context_expr
            if isinstance(call, ast.Call) and is_raises(call):
                body = _attempt(body, call.args[:1], call.keywords, item.optional_vars)
            else:
                body = [ast.With([item], body)]
        return body

    def visit_Expr(self, node: ast.Expr) -> list[ast.stmt]:
        call = node.value
        if not isinstance(call, ast.Call) or not is_raises(call) or len(call.args) < 2:
            return [node]
        error, function, *arguments = call.args
        return _attempt([ast.Expr(ast.Call(function, arguments, call.keywords))], [error], [], None)


def _attempt(
    body: list[ast.stmt], errors: list[ast.expr], keywords: list[ast.keyword], target: ast.expr | None
) -> list[ast.stmt]:
    """What `with pytest.raises(errors, …) as target: body` does."""
    given = {keyword.arg: keyword.value for keyword in keywords}
    error = errors[0] if errors else given.get("expected_exception", ast.Name("Exception", ast.Load()))
    caught = [ast.Name(_ERROR, ast.Load()), *([given["match"]] if "match" in given else [])]
    seen = ast.Call(ast.Name(CAUGHT, ast.Load()), caught, [])
    then: ast.stmt = ast.Assign([target], seen) if target is not None else ast.Expr(seen)
    missed = ast.Raise(ast.Name("AssertionError", ast.Load()), None)
    attempt = ast.Try(body, [ast.ExceptHandler(error, _ERROR, [then])], [missed], [])
    # What an earlier test caught under that name is nothing that this one has.
    return [attempt] if target is None else [ast.Assign([target], ast.Constant(None)), attempt]


def _compared(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.Compare) and len(test.ops) == 1:
        sides = [ast.Constant(SIGNS[type(test.ops[0])]), test.left, *test.comparators]
        return ast.Call(ast.Name(COMPARE, ast.Load()), sides, [])
    return ast.Call(ast.Name(TRUE, ast.Load()), [test], [])
