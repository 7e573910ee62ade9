"""Every operation of the API is asked by a page: callbacks, probes and the document are none."""

import ast
import inspect
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import service.console
from service.api.routes import OPS


def _modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(service.console.__path__, "service.console."):
        yield import_module(found.name)


def _named_in(module: ModuleType) -> Iterator[Any]:
    """What a module names: its own globals, and attributes of the modules that it imports."""
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.Name):
            yield vars(module).get(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield getattr(vars(module).get(node.value.id), node.attr, None)


def test_each_operation_has_a_page() -> None:
    reached = {id(thing) for module in _modules() for thing in _named_in(module)}
    lacking = [f"{op.method} {op.path}" for op in OPS if id(op.handler) not in reached]
    assert not lacking
