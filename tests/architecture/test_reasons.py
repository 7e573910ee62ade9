"""Every reason of the ledger's registry is given by somebody, and nobody has a table of his own."""

import ast
import re
from collections.abc import Iterator

import pytest

from service.ledger.reasons import SUPPRESSIONS, Reason
from tests.architecture import reason_words
from tests.architecture.tree import ROOT, modules, nodes

pytestmark = pytest.mark.xdist_group("tree")

_REGISTRY = ROOT / "service" / "ledger" / "reasons.py"
_QUOTED = re.compile(r"'([a-z_]+)'")
_OTHER_WORDS = {"decided", "other", "rejected", "statement"}
"""Codes that are other things as well: a state, a kind of text, a heading. Of these only what is
compared with a reason is taken for one.
"""
_COMPARED = re.compile(r"\breason\b[^'\n]{0,30}'([a-z_]+)'(?:, '([a-z_]+)')*")
_STATEMENT = re.compile(
    r"\b(SELECT|UPDATE|INSERT|DELETE|FROM|WHERE|WHEN|CASE|AND|SET|coalesce|reason)\b"
)


def _given() -> Iterator[str]:
    """The codes that modules name: members, and what stands quoted in their statements."""
    for path in modules():
        if path == _REGISTRY or "tocsin_client" in path.parts or "simulator" in path.parts:
            continue
        for node in nodes(path):
            match node:
                case ast.Attribute(ast.Name("Reason"), name) if name in Reason.__members__:
                    yield Reason[name].value
                case ast.Constant(str(text)):
                    yield from _QUOTED.findall(text)


def quoted_reasons(text: str) -> set[str]:
    """The codes of reasons that stand quoted in a statement."""
    compared = {code for found in _COMPARED.findall(text) for code in found}
    codes = {reason.value for reason in Reason if reason}
    return (set(_QUOTED.findall(text)) & codes - _OTHER_WORDS) | compared & codes


def _statements() -> Iterator[tuple[str, str]]:
    """All text of statements: the files of SQL, and what looks like SQL in modules, each with where
    it stands. The name of a member in an f-string is no text of it.
    """
    for path in modules():
        if path == _REGISTRY or "tocsin_client" in path.parts or "simulator" in path.parts:
            continue
        for node in nodes(path):
            match node:
                case ast.Constant(str(text)) if _STATEMENT.search(text) or text.startswith("'"):
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", text
    for path in (ROOT / "service").rglob("*.sql"):
        if "migrations" not in path.parts:
            yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def test_no_statement_has_a_reason_that_is_not_the_registrys() -> None:
    found = {place: codes for place, text in _statements() if (codes := quoted_reasons(text))}
    assert not found, f"write '{{Reason.…}}' instead: {found}"


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("SELECT 'no_route'", {"no_route"}),
        ("WHERE s.reason = 'dead_number' AND", {"dead_number"}),
        ("'test_key'", {"test_key"}),
        ("m.reason IN ('decided', 'statement') AS", {"decided", "statement"}),
        ("WHEN decided THEN 'decided' WHERE state = 'rejected'", set()),
        ("SELECT reason, state = 'queued'", set()),
    ],
)
def test_a_quoted_reason_is_recognised(text: str, codes: set[str]) -> None:
    assert quoted_reasons(text) == codes


def test_each_reason_is_given_somewhere() -> None:
    entered = set(SUPPRESSIONS)  # by persons, as the API takes them
    assert set(filter(None, Reason)) - entered - set(_given()) == set()


def test_the_client_has_the_labels_of_the_registry() -> None:
    written = reason_words.MODULE.read_text("utf-8")
    assert written == reason_words.source(), "run python -m tests.architecture.reason_words --write"
