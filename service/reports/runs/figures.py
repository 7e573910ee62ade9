"""What the report of a run counts, from its ledger: by state, carrier, town, role and reason."""

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from service.ledger.states import MessageState
from service.reports import store
from service.storage.postgres import Connection, Record

REACHED = MessageState.DELIVERED.value
RunFigures = dict[str, Any]
"""The counts of a report, as JSON has them."""


async def count_figures(conn: Connection, run_id: uuid.UUID) -> RunFigures:
    """Count a run's ledger. Towns have their codes alone."""
    cells = await store.count_messages(conn, run_id)
    states: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    for cell in cells:
        states[cell["state"]] += cell["messages"]
        if cell["reason"]:
            reasons[cell["reason"]] += cell["messages"]
    return {
        "excluded": await store.count_exclusions(conn, run_id),
        "states": dict(states),
        "reached": states[REACHED],
        "by_carrier": _grouped(cells, "carrier"),
        "by_area": _grouped(cells, "town"),
        "by_role": _grouped(cells, "roles"),
        "merged": _merged(cells),
        "by_reason": dict(reasons),
        "parts": sum(cell["parts"] for cell in cells)
        + await store.count_earlier_parts(conn, run_id),
    }


def _grouped(cells: Iterable[Record], key: str) -> dict[str, dict[str, Any]]:
    """Target, reached and states of each value of `key`; "none" where a person has none. Somebody
    with several roles counts under each.
    """
    groups: dict[str, Counter[str]] = defaultdict(Counter)
    for cell in cells:
        found = cell[key]
        for value in (found or ["none"]) if isinstance(found, list) else [found or "none"]:
            groups[value][cell["state"]] += cell["messages"]
    return {
        value: {"target": states.total(), "reached": states[REACHED], "states": dict(states)}
        for value, states in sorted(groups.items())
    }


def _merged(cells: Iterable[Record]) -> dict[str, dict[str, int]]:
    """Of those who hold several roles: how many by the role that was merged, and into which. The
    first role of a message is the one by which the person got the text.
    """
    merged: dict[str, Counter[str]] = defaultdict(Counter)
    for cell in cells:
        for role in (cell["roles"] or [])[1:]:
            merged[role][cell["roles"][0]] += cell["messages"]
    return {role: dict(sorted(into.items())) for role, into in sorted(merged.items())}
