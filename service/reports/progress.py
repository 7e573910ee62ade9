"""One run in figures: target, states, reached, by carrier, area, role and reason; and its ledger.

All figures come from the ledger itself, or from what was counted of it in the very state that it is
in, so target = Σ states at any moment. A message counts as reached only when a receipt says
delivered; "sent" is never taken for "reached".
"""

import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from service.audience.areas.area_store import area_names
from service.audience.numbers.number import mask
from service.crypto import Keyring
from service.errors import NotFound
from service.ledger.message_id import message_id
from service.reports import store
from service.reports.runs.fact_store import read_figures
from service.reports.runs.figures import count_figures
from service.storage.postgres import Connection, Record
from service.words.phrase import phrase


async def run_report(conn: Connection, run_id: uuid.UUID) -> dict[str, Any]:
    """The report of a run.

    Raises:
        NotFound: no such run.
    """
    run = await store.get_run(conn, run_id)
    if run is None:
        raise NotFound(phrase("there is no such run"))
    figures = await read_figures(conn, run_id) or await count_figures(conn, run_id)
    return {
        "run_id": str(run_id),
        "campaign_id": run["campaign_id"],
        "text_no": run["text_no"],
        "follows": run["follows"],
        "relation": run["relation"],
        "state": run["state"],
        "baseline": run["baseline"],
        "target": run["target"] if run["target"] is not None else 0,
        **figures,
        "by_area": await _named(conn, figures["by_area"]),
        "started_at": run["started_at"],
        "finished_at": run["finished_at"],
    }


async def _named(conn: Connection, towns: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    names = await area_names(conn, towns)
    return {code: {**figures, "area_name": names.get(code)} for code, figures in towns.items()}


async def list_messages(
    conn: Connection,
    keyring: Keyring,
    run_id: uuid.UUID,
    *,
    after_no: int,
    limit: int,
    state: str | None,
) -> list[dict[str, Any]]:
    """A page of a run's ledger in its order, phones masked, each message with its hand-offs from
    the first to the last; `state` keeps only that state.
    """
    rows = await store.list_messages(conn, run_id, after_no, limit, state)
    return await _with_attempts(conn, keyring, run_id, rows)


async def find_messages(
    conn: Connection, keyring: Keyring, run_id: uuid.UUID, nos: Sequence[int]
) -> list[dict[str, Any]]:
    """These rows of a run's ledger, as `list_messages` shows them."""
    return await _with_attempts(conn, keyring, run_id, await store.find_messages(conn, run_id, nos))


async def _with_attempts(
    conn: Connection, keyring: Keyring, run_id: uuid.UUID, rows: Sequence[Record]
) -> list[dict[str, Any]]:
    attempts: dict[int, list[Record]] = defaultdict(list)
    for attempt in await store.list_attempts(conn, run_id, [row["no"] for row in rows]):
        attempts[attempt["no"]].append(attempt)
    areas = await area_names(conn, (row["area_code"] for row in rows))
    return [
        _message(row, attempts[row["no"]], keyring)
        | {"area_name": areas.get(row["area_code"] or "")}
        for row in rows
    ]


def _message(row: Record, attempts: list[Record], keyring: Keyring) -> dict[str, Any]:
    cipher = row["phone_cipher"]
    shown = ("no", "state", "reason", "code", "carrier", "area_code", "attempt", "part_count")
    instants = ("marked_at", "submitted_at", "final_at")
    return {
        "id": message_id(row["run_id"], row["no"]),
        "phone": mask(keyring.decrypt("phone", cipher)) if cipher is not None else None,
        **{name: row[name] for name in shown + instants},
        "attempts": [dict(attempt) for attempt in attempts],
    }
