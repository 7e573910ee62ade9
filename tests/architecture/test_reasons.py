"""Every reason of the ledger's registry is given by somebody, and nobody has a table of his own."""

import ast
import re
from collections.abc import Iterator

from service.ledger.reasons import Reason
from tests.architecture.tree import ROOT, modules

_REGISTRY = ROOT / "service" / "ledger" / "reasons.py"
_QUOTED = re.compile(r"'([a-z_]+)'")


def _given() -> Iterator[str]:
    """The codes that modules name: members, and what stands quoted in their statements."""
    for path in modules():
        if path == _REGISTRY or "tocsin_client" in path.parts or "simulator" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr in Reason.__members__:
                yield Reason[node.attr].value
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                yield from _QUOTED.findall(node.value)
                yield node.value


def test_each_reason_is_given_somewhere() -> None:
    assert set(filter(None, Reason)) <= set(_given())
