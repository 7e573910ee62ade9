"""Plans that can be staggered: villages with residents and people on file, and drafts."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from service.audience.areas.area_store import load_areas
from service.campaigns.calendar.schedule import Schedule
from service.clock import CHINA
from service.storage.postgres import transaction
from tests.factories import make_contact, make_draft
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

START = datetime(2027, 1, 18, 9, tzinfo=CHINA)
PER_VILLAGE = 3
_FIRST_NUMBER = 40_000


async def people_of_villages(
    api: Api, count: int, others: Sequence[str | None] = (), channel: int | None = 1
) -> list[str]:
    """So many villages, each with residents and some people of the county's on file; others: where
    one more person each lives. channel: the port of one that takes them; None: there is one.
    """
    keyring, team = api.runtime.keyring, api.teams["county"]
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        if channel is not None:
            await add_channel(conn, keyring, channel, api.clock.at, tps=100)
        rows = await conn.fetch(
            "SELECT code FROM areas WHERE level IN ('village', 'community')"
            " ORDER BY parent_code, code LIMIT $1",
            count,
        )
        found = [row["code"] for row in rows]
        places = [code for code in found for _ in range(PER_VILLAGE)] + list(others)
        for n, code in enumerate(places, _FIRST_NUMBER):
            await make_contact(
                conn, keyring, team.department_id, n, now=api.clock.at, area_code=code
            )
        for code in found:
            await conn.execute(
                "INSERT INTO denominators (area_code, kind, people, source, as_of, entered_at,"
                " entered_by) VALUES ($1, 'residents', 1000, 's', '2026-01-01', $2, $3)",
                code, api.clock.at, team.operator.id,
            )  # fmt: skip
    return found


async def draft(api: Api, start: datetime = START, **more: Any) -> UUID:
    """A draft of the county's that is to be sent once."""
    schedule = Schedule("once", start, **more)
    async with transaction(api.runtime.pool) as conn:
        made = await make_draft(
            conn, api.teams["county"].operator, now=api.clock.at, schedule=schedule
        )
    return made.id
