"""A campaign of the county that is being sent, for pages and operations that watch or steer it."""

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store
from service.storage.postgres import transaction
from tests.factories import make_contact, make_scheduled
from tests.harness.ledger import add_channel
from tests.harness.stage import claim_one, mark
from tests.integration.api.conftest import Api

PEOPLE = 20


@dataclass
class Sending:
    """A run of the county's campaign on channel 1, with its ledger written."""

    api: Api
    campaign: uuid.UUID
    run: uuid.UUID

    async def hand_off(self, nos: range) -> None:
        """Hand these texts to the carrier, who takes them."""
        now = self.api.clock.at
        async with transaction(self.api.runtime.pool) as conn:
            lease = await lease_store.claim_connection(conn, 1, 0, uuid.uuid4(), now)
            assert lease is not None
            await lease_store.note_connection(conn, lease, "up", "", now)
            await claim_one(conn, lease, now)
            await mark(conn, lease, self.run, nos, 1, now)
        await self.become("submitted", nos)

    async def become(self, state: str, nos: Collection[int], reason: str | None = None) -> None:
        """Put texts into a state."""
        await self.api.runtime.pool.execute(
            "UPDATE messages SET state = $2::message_state, part_count = 1, reason = $5,"
            " submitted_at = CASE WHEN $2 <> 'queued' THEN $3::timestamptz END"
            " WHERE run_id = $1 AND no = ANY ($4)",
            self.run,
            state,
            self.api.clock.at,
            list(nos),
            reason,
        )


async def begin_sending(api: Api, team: str = "county", **more: Any) -> Sending:
    """Fire a campaign of a department and write its ledger."""
    now = api.clock.at
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, now, tps=100)
        department = api.teams[team].department_id
        for n in range(PEOPLE):
            await make_contact(conn, api.runtime.keyring, department, n, now=now)
        campaign = await make_scheduled(conn, api.teams[team], now=now, **more)
    (run,) = await fire_due(api.runtime.pool, now)
    assert await expand_run(api.runtime.pool, run, now) is not None
    return Sending(api, campaign.id, run)
