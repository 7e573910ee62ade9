"""Modules and functions stay small enough to be read, and what others use says what it does.

A long module may stay long if its docstring says why ("One module: …"); a split that only serves
the count is worse. The text of SQL statements in store modules does not count as lines of their
functions: it is read as SQL. A sentence for people, `phrase(…)` with its values, counts as one line
wherever it stands: it is read as a sentence, and must not be made shorter for the count.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT, modules, parsed

pytestmark = pytest.mark.xdist_group("tree")

MODULE_LINES = 400
FUNCTION_LINES = 40
REASON = "One module: "

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, *, private: bool) -> Iterator[tuple[str, Function]]:
    """All functions by name; without `private`, those that others may call."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef | Function):
            hidden = node.name.startswith("_")
            if isinstance(node, Function) and (private or not hidden):
                yield node.name, node
            if private or (isinstance(node, ast.ClassDef) and not hidden):
                for name, inner in functions(node, private=private):
                    yield f"{node.name}.{name}", inner
        elif private or isinstance(node, ast.If | ast.Try | ast.With):
            yield from functions(node, private=private)


def lines(node: ast.expr | ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno - node.lineno + 1


def counted_lines(function: Function, *, sql: bool) -> int:
    """A function's lines, of a sentence one; with `sql`, statements in triple quotes count as one
    line each.
    """
    total = lines(function) - sum(lines(call) - 1 for call in sentences(function))
    if sql:
        texts = [n for n in ast.walk(function) if isinstance(n, ast.Constant | ast.JoinedStr)]
        inner = {id(value) for n in texts if isinstance(n, ast.JoinedStr) for value in n.values}
        for text in texts:
            if id(text) not in inner and text is not _docstring(function):
                total -= lines(text) - 1
    return total


def sentences(tree: ast.AST) -> Iterator[ast.Call]:
    """The sentences for people, without those inside others."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "phrase":
            yield node
        else:
            yield from sentences(node)


def _docstring(function: Function) -> ast.expr | None:
    first = function.body[0]
    return first.value if isinstance(first, ast.Expr) else None


def where(path: Path, line: int) -> str:
    return f"{path.relative_to(ROOT)}:{line}"


def test_modules_are_short_or_say_why_not() -> None:
    offenders = []
    for path in modules():
        text = path.read_text("utf-8")
        length = len(text.splitlines())
        if length > MODULE_LINES:
            length -= sum(lines(call) - 1 for call in sentences(parsed(path)))
        if length > MODULE_LINES and REASON not in (ast.get_docstring(parsed(path)) or ""):
            offenders.append(f"{path.relative_to(ROOT)}: {length} lines")
    assert not offenders, f'over {MODULE_LINES} lines, and no "{REASON}…" in the docstring: ' + (
        "; ".join(offenders)
    )


def test_functions_are_short() -> None:
    offenders = []
    for path in modules():
        store = path.stem.endswith("store")
        for name, function in functions(parsed(path), private=True):
            length = counted_lines(function, sql=store)
            if length > FUNCTION_LINES:
                offenders.append(f"{where(path, function.lineno)} {name}: {length} lines")
    assert not offenders, "\n".join(offenders)


def test_modules_and_public_functions_have_docstrings() -> None:
    offenders = []
    for path in modules():
        tree = parsed(path)
        if ast.get_docstring(tree) is None:
            offenders.append(where(path, 1))
        for name, function in functions(tree, private=False):
            if ast.get_docstring(function) is None and not _is_overload(function):
                offenders.append(f"{where(path, function.lineno)} {name}")
    assert not offenders, "\n".join(offenders)


def _is_overload(function: Function) -> bool:
    return any(isinstance(d, ast.Name) and d.id == "overload" for d in function.decorator_list)


@pytest.mark.parametrize(
    ("source", "sql", "expected"),
    [
        ("def f():\n    return 1\n", False, 2),
        ('def f():\n    """One\n    two."""\n    return 1\n', True, 4),
        ('def f():\n    g("""\n      SELECT 1\n      """, 2)\n', False, 4),
        ('def f():\n    g("""\n      SELECT 1\n      """, 2)\n', True, 2),
        ('def f():\n    g(phrase(\n        "a {b}",\n        b=1))\n', False, 2),
        ('def f(x):\n    g(f"""\n      SELECT {x}\n      """, 2)\n', True, 2),
    ],
)
def test_what_counts_as_a_line(source: str, sql: bool, expected: int) -> None:
    ((_, function),) = functions(ast.parse(source), private=True)
    assert counted_lines(function, sql=sql) == expected
