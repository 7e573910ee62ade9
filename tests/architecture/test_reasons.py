"""Every reason of the ledger's registry is given by somebody, and nobody has a table of his own."""

import ast
import re
from collections.abc import Iterator

from service.ledger.reasons import SUPPRESSIONS, Reason
from tests.architecture import reason_words
from tests.architecture.tree import ROOT, modules

_REGISTRY = ROOT / "service" / "ledger" / "reasons.py"
_QUOTED = re.compile(r"'([a-z_]+)'")


def _given() -> Iterator[str]:
    """The codes that modules name: members, and what stands quoted in their statements."""
    for path in modules():
        if path == _REGISTRY or "tocsin_client" in path.parts or "simulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Attribute(ast.Name("Reason"), name) if name in Reason.__members__:
                    yield Reason[name].value
                case ast.Constant(str(text)):
                    yield from _QUOTED.findall(text)


def test_each_reason_is_given_somewhere() -> None:
    entered = set(SUPPRESSIONS)  # by persons, as the API takes them
    assert set(filter(None, Reason)) - entered - set(_given()) == set()


def test_the_client_has_the_labels_of_the_registry() -> None:
    written = reason_words.MODULE.read_text("utf-8")
    assert written == reason_words.source(), "run python -m tests.architecture.reason_words --write"
