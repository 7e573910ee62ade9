"""Handsets that write to us; what they write is stored as a channel process stores it."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.channels.contract.gateway import Inbound
from service.channels.contract.model import Channel
from service.crypto import Keyring
from service.delivery.inbound.inbound import read_inbound
from service.delivery.receipts import store
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import Stage

ACCESS = "10657001"


@dataclass
class Handsets:
    """One run on one channel was handed off to some people, who now write back."""

    pool: Pool
    keyring: Keyring
    stage: Stage
    now: datetime

    async def write(
        self,
        person: int,
        text: str,
        *,
        at: datetime | None = None,
        channel: int | None = None,
        header: tuple[int, int, int] = (0, 1, 1),
        recipient: str = ACCESS,
    ) -> None:
        """A text arrives, or a part: header is (reference, number, total)."""
        reference, number, total = header
        item = Inbound(phone(person), recipient, text, reference, number, total)
        async with transaction(self.pool) as conn:
            await store.insert_inbound(
                conn, self.keyring, [(channel or self.stage.channel.id, item)], at or self.now
            )

    async def read(self, at: datetime | None = None) -> int:
        return await read_inbound(self.pool, self.keyring, at or self.now)

    async def texts(self) -> list[dict[str, Any]]:
        """All texts in their order, in the clear."""
        rows = await self.pool.fetch("SELECT * FROM inbound_texts ORDER BY id")
        return [
            {**row, "text": self.keyring.decrypt("inbound", row["text_cipher"])} for row in rows
        ]

    async def only_text(self) -> dict[str, Any]:
        (text,) = await self.texts()
        return text

    async def arrivals(self) -> list[str]:
        """What became of each arrival, in their order."""
        rows = await self.pool.fetch("SELECT state FROM inbound ORDER BY id")
        return [row["state"] for row in rows]

    async def suppressed(self, person: int) -> bool:
        found: bool = await self.pool.fetchval(
            "SELECT EXISTS (SELECT FROM suppressions WHERE phone_hash = $1 AND expires_at IS NULL)",
            self.keyring.phone_index(phone(person)),
        )
        return found

    async def due(self) -> list[str]:
        """The answers that we owe."""
        rows = await self.pool.fetch("SELECT kind FROM replies_due ORDER BY due_at, kind")
        return [row["kind"] for row in rows]

    async def no_of(self, person: int, run: uuid.UUID | None = None) -> int:
        """A person's number in the ledger of the run, or of another."""
        no: int = await self.pool.fetchval(
            "SELECT no FROM messages WHERE run_id = $1 AND phone_hash = $2",
            run or self.stage.run,
            self.keyring.phone_index(phone(person)),
        )
        return no

    async def department(self, kind: str) -> uuid.UUID:
        made: uuid.UUID = await self.pool.fetchval(
            "INSERT INTO departments (name, kind) VALUES ($1, $2) RETURNING id",
            f"部门 {uuid.uuid4().hex[:6]}",
            kind,
        )
        return made

    async def run_set(self, run: uuid.UUID, values: Mapping[str, object]) -> None:
        """Change columns of a run."""
        for column, value in values.items():
            await self.pool.execute(f"UPDATE runs SET {column} = $2 WHERE id = $1", run, value)


async def set_up(
    pool: Pool, keyring: Keyring, now: datetime, *, people: int = 4, kind: str = "department"
) -> Handsets:
    """A run of a department of this kind whose messages wait on a channel."""
    async with pool.acquire() as conn:
        scene, channel = await _scene(conn, keyring, now, people, kind)
        run = await add_run(conn, scene, now)
    made = await expand_run(pool, run, now)
    assert made is not None
    assert made.target == people
    return Handsets(pool, keyring, Stage(pool, keyring, scene, channel, run, now), now)


async def _scene(
    conn: Connection, keyring: Keyring, now: datetime, people: int, kind: str
) -> tuple[Scene, Channel]:
    scene = await make_scene(conn, now)
    await conn.execute("UPDATE departments SET kind = $2 WHERE id = $1", scene.department, kind)
    await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], now)
    return scene, await add_channel(conn, keyring, 1, now)


async def hand_off(handsets: Handsets, *people: int, state: str = "submitted") -> None:
    """Hand off the run's messages to these people, as a channel process does."""
    stage = handsets.stage
    lease = await stage.must_lease()
    assert await stage.claim(lease) is not None
    marked = await stage.mark(lease, [await handsets.no_of(person) for person in people])
    await stage.record(*[await stage.result(no, a, state) for no, a in marked.items()])
