"""The repository as files: where it is, and what in it was written by hand."""

import ast
import gc
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("service", "workers", "clients/python/tocsin_client")

_GENERATED = {"__pycache__", "build", "dist", "node_modules"}
_SHOWN_IN_HIDING = {".ci", ".github"}


def modules() -> list[Path]:
    """Every module of the application."""
    return sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a Python file, read once by a test process.

    Nodes have no reference to their parents, so nothing of them is garbage while they are made:
    looking for some takes twice as long as reading them all.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        return ast.parse(path.read_text("utf-8"))
    finally:
        if was_enabled:
            gc.enable()


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """All nodes of the syntax tree of a file, in the order of `ast.walk`, in half of its time."""
    return tuple(_below(parsed(path), ast.AST))


@cache
def statements(path: Path) -> tuple[ast.AST, ...]:
    """The statements of a file, at any depth, without what they are made of: a tenth of its nodes.
    Beside them the parts of `try` and `match` that hold statements.
    """
    return tuple(_below(parsed(path), (ast.stmt, ast.excepthandler, ast.match_case)))


def _below(tree: ast.Module, kinds: type[ast.AST] | tuple[type[ast.AST], ...]) -> list[ast.AST]:
    found: list[ast.AST] = [tree]
    for node in found:  # grows meanwhile
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                found += [one for one in value if isinstance(one, kinds)]
            elif isinstance(value, kinds):
                found.append(value)
    return found


def text_files(folder: Path = ROOT) -> Iterator[tuple[Path, str]]:
    """Every text file that belongs to the repository, with its text."""
    for path in sorted(folder.iterdir()):
        if _is_foreign(path):
            continue
        if path.is_dir():
            yield from text_files(path)
        else:
            text = _read(path)
            if text is not None:
                yield path, text


def _is_foreign(path: Path) -> bool:
    """What tools and runs leave behind: environments, caches, data folders, secrets."""
    name = path.name
    if path.is_dir():
        hidden = name.startswith(".") and name not in _SHOWN_IN_HIDING
        made = name in _GENERATED or name.endswith(".egg-info") or name.startswith("tocsin-data")
        return hidden or made or path == ROOT / "deploy" / "secrets"
    return name.startswith("tocsin-data") or name == ".git"


def _read(path: Path) -> str | None:
    data = path.read_bytes()
    for encoding in ("utf-8", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    return None
