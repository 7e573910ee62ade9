"""Several departments that write to the same people, each over a channel of its own, with caps."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from service.channels.contract.model import Channel
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import Pool
from tests.harness.ledger import (
    TEXT,
    Scene,
    add_channel,
    add_contacts,
    add_run,
    make_scene,
    phone,
)
from tests.harness.stage import Stage

Department = tuple[Scene, Channel]


async def departments(
    pool: Pool, keyring: Keyring, now: datetime, number: int, people: int, **channel: Any
) -> list[Department]:
    """Departments that have the same people on their lists."""
    made = []
    async with pool.acquire() as conn:
        for no in range(number):
            scene = await make_scene(conn, now, capped=True)
            await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], now)
            made.append((scene, await add_channel(conn, keyring, no + 1, now, **channel)))
    return made


async def launch(
    pool: Pool,
    keyring: Keyring,
    department: Department,
    now: datetime,
    *,
    text: str | None = None,
    over_cap: str = "stop",
    message_class: str = "public_interest",
    valid_for: timedelta = timedelta(days=2),
    **more: Any,
) -> Stage:
    """A run of the department to everybody, over its own channel, with its whole ledger."""
    scene, channel = department
    text = text or TEXT + uuid.uuid4().hex[:8]  # a part still
    async with pool.acquire() as conn:
        run = await add_run(conn, scene, now, text=text, valid_until=now + valid_for, **more)
        await conn.execute(
            "UPDATE runs SET over_cap = $2, class = $3, channels = $4 WHERE id = $1",
            run,
            over_cap,
            message_class,
            [channel.id],
        )
    assert await expand_run(pool, run, now) is not None
    return Stage(pool, keyring, scene, channel, run, now)


async def received(
    pool: Pool, keyring: Keyring, who: str, instants: Sequence[datetime], text: str = "another"
) -> None:
    """Somebody got publicity at these instants, from new to old; the oldest was this text."""
    await pool.execute(
        """
        INSERT INTO recent_texts (phone_hash, class, at, runs, texts)
        VALUES ($1, 'public_interest', $2, $3,
                array_fill(0::bigint, ARRAY[$4 - 1]) || hashtextextended($5, 0))
        """,
        keyring.phone_index(who),
        list(instants),
        [uuid.uuid4() for _ in instants],
        len(instants),
        text,
    )
