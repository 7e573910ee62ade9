"""What is owed to people who wrote, and the texts of ours that answer them."""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from service.delivery.inbound.replies import TOGETHER, send_replies
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import sweep_store
from service.dispatch.handoff.lease_store import Lease
from service.storage.postgres import Record, transaction
from tests.harness.handset import Handsets
from tests.harness.ledger import add_run, phone
from tests.harness.stage import Stage

LATER = TOGETHER + timedelta(seconds=1)


@dataclass
class Answering:
    """A scene of handsets whose replies are made on demand, a minute after they wrote."""

    handsets: Handsets
    _lease: Lease | None = None

    @property
    def now(self) -> datetime:
        return self.handsets.now

    async def send(self, at: datetime | None = None) -> set[int]:
        return await send_replies(self.handsets.pool, self.handsets.keyring, at or self.now + LATER)

    async def due(self) -> list[Record]:
        """All that was ever owed, in its order."""
        return await self.handsets.pool.fetch(
            "SELECT * FROM replies_due ORDER BY due_at, kind, cause"
        )

    async def skips(self) -> list[str | None]:
        return [row["skipped"] for row in await self.due()]

    async def runs(self) -> list[Record]:
        """The runs that answer, in their order."""
        return await self.handsets.pool.fetch("SELECT * FROM runs WHERE kind = 'reply' ORDER BY id")

    async def answered(self) -> list[tuple[str, int]]:
        """Each text of ours that has a row in a ledger: what it says, and to whom (a person)."""
        rows = await self.handsets.pool.fetch(
            "SELECT r.text, m.phone_cipher FROM runs r JOIN messages m ON m.run_id = r.id "
            "WHERE r.kind = 'reply' ORDER BY r.id, m.no"
        )
        decrypt = self.handsets.keyring.decrypt
        return [
            (row["text"], int(decrypt("phone", row["phone_cipher"])[3:]) - 19790000000)
            for row in rows
        ]

    def stage_of(self, run: uuid.UUID) -> Stage:
        """The same scene, with a run that answers in the middle."""
        on = self.handsets.stage
        return Stage(on.pool, on.keyring, on.scene, on.channel, run, self.now)

    async def hand_off(self, run: uuid.UUID) -> dict[int, int]:
        """Take the first slice of a run and mark all that is queued in it."""
        stage = self.stage_of(run)
        lease = self._lease = self._lease or await stage.take_over()
        await self.handsets.pool.execute(
            "UPDATE slices SET slot = $2, epoch = $3 WHERE run_id = $1 AND no = 1",
            run,
            lease.slot,
            lease.epoch,
        )
        nos = await self.handsets.pool.fetch("SELECT no FROM messages WHERE run_id = $1", run)
        return await stage.mark(lease, [row["no"] for row in nos])

    async def close_runs(self) -> None:
        async with transaction(self.handsets.pool) as conn:
            await sweep_store.close_direct_runs(conn, self.now)

    async def campaign_run(self, message_class: str, *, expand: bool = True) -> uuid.UUID:
        """A run of the department's campaign in this class, to everybody."""
        async with self.handsets.pool.acquire() as conn:
            run = await add_run(conn, self.handsets.stage.scene, self.now)
            await conn.execute("UPDATE runs SET class = $2 WHERE id = $1", run, message_class)
        if expand:
            await expand_run(self.handsets.pool, run, self.now)
        return run

    async def suppress(
        self, person: int, reason: str, classes: list[str], department: uuid.UUID | None = None
    ) -> uuid.UUID:
        made: uuid.UUID = await self.handsets.pool.fetchval(
            "INSERT INTO suppressions (phone_hash, reason, created_at, classes, department_id) "
            "VALUES ($1, $2, $3, $4, $5) RETURNING id",
            self.handsets.keyring.phone_index(phone(person)),
            reason,
            self.now,
            classes,
            department,
        )
        return made

    async def left_out(self, run: uuid.UUID) -> dict[str, int]:
        rows: list[Any] = await self.handsets.pool.fetch(
            "SELECT reason, count(*) AS n FROM exclusions WHERE run_id = $1 GROUP BY reason", run
        )
        return {row["reason"]: row["n"] for row in rows}
