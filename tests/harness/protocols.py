"""The stream protocols, and how a test runs for each: its cases as data, protocol by protocol.

Whoever adds a protocol adds it here; each test of the suite then wants its cases, or the reason why
there are none.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tests.harness.cmpp import CMPP, CMPP20
from tests.harness.scripted import Protocol
from tests.harness.sgip import SGIP, SGIP_LISTENER
from tests.harness.smgp import SMGP
from tests.harness.smpp import SMPP

PROTOCOLS = {protocol.name: protocol for protocol in (CMPP, SGIP, SMGP, SMPP)}
LINKS = {**PROTOCOLS, CMPP20.name: CMPP20, SGIP_LISTENER.name: SGIP_LISTENER}
"""Every kind of link on which a carrier hands on what it has."""

Reasons = Mapping[str, str]


def each(
    *, but: Reasons | None = None, of: Mapping[str, Protocol] = PROTOCOLS
) -> pytest.MarkDecorator:
    """Runs a test for each protocol. but: those it does not hold for, with the reason."""
    return pytest.mark.parametrize("protocol", _those(of, but or {}), ids=str)


def rows(
    names: str,
    cases: Mapping[str, Sequence[Any]],
    *,
    but: Reasons | None = None,
) -> pytest.MarkDecorator:
    """Runs a test for each case of each protocol; names: those of a case's values."""
    left_out = but or {}
    assert set(cases) == {protocol.name for protocol in _those(PROTOCOLS, left_out)}
    return pytest.mark.parametrize(f"protocol, {names}", list(_params(cases)))


def _those(known: Mapping[str, Protocol], but: Reasons) -> list[Protocol]:
    assert set(but) <= set(known)
    assert all(but.values()), "a reason is missing"
    return [protocol for name, protocol in known.items() if name not in but]


def _params(cases: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    for name, values in cases.items():
        for number, case in enumerate(values, start=1):
            row = case if isinstance(case, tuple) else (case,)
            shown = str(row[0]) if isinstance(row[0], int | str) else f"#{number}"
            yield pytest.param(PROTOCOLS[name], *row, id=f"{name}-{shown}")
