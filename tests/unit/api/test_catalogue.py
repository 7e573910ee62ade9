"""Every error that the API may answer with has a page that says what to do."""

import ast
import importlib
import pkgutil
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import service
from service.api.catalogue import PROBLEMS, page
from service.channels.contract.gateway import GatewayError
from service.errors import TocsinError
from service.words.phrase import translated

ROOT = Path(service.__file__).parent
BUILT = {"no_time_column", "no_status_column", "signature_taken", "extension_taken"}
"""Codes that are put together of words where they are raised."""
WRITE = 'from service.api.catalogue import page; print(page(), end="")'
OF_THE_SERVER = {"error", "method_not_allowed"}


def _subclasses(kind: type[TocsinError]) -> Iterator[type[TocsinError]]:
    for below in kind.__subclasses__():
        if not issubclass(below, GatewayError):  # answered as what they are to a channel
            yield below
            yield from _subclasses(below)


def _codes() -> set[str]:
    for module in pkgutil.walk_packages(service.__path__, "service."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    known = (kind for kind in _subclasses(TocsinError) if kind.__module__.startswith("service."))
    classes = {kind.__name__: kind for kind in known}
    found = {kind.code for kind in classes.values() if kind.__module__.split(".")[1] != "protocols"}
    for path in ROOT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            raised = node.func
            if isinstance(raised, ast.Attribute) and raised.attr == "at":  # Invalid.at
                raised = raised.value
            if getattr(raised, "id", getattr(raised, "attr", "")) not in classes:
                continue
            for word in node.keywords:
                if word.arg == "code" and isinstance(word.value, ast.Constant):
                    found.add(str(word.value.value))
    return found


def test_every_code_has_its_entry() -> None:
    assert _codes() - PROBLEMS.keys() == set()
    assert PROBLEMS.keys() >= BUILT | OF_THE_SERVER


def test_no_entry_is_of_a_code_that_there_is_not() -> None:
    written = "\n".join(path.read_text() for path in ROOT.rglob("*.py"))
    gone = {code for code in PROBLEMS if f'"{code}"' not in written} - BUILT
    assert gone == set()


def test_each_problem_is_explained_in_both_languages() -> None:
    for code, said in PROBLEMS.items():
        assert re.search("[一-鿿]", translated(said, "zh")), code
        assert not re.search("[一-鿿]", said.replace("编号", "").replace("手机号码", "")), code


def test_the_page_in_the_documents_is_the_catalogue() -> None:
    written = (ROOT.parent / "docs" / "problems.md").read_text("utf-8")
    assert written == page(), f"write it anew: {sys.executable} -c '{WRITE}' > docs/problems.md"
