"""Several departments that write to the same people, each over a channel of its own, with caps."""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.accounts.people.model import Role, User
from service.campaigns.core.store import get_campaign
from service.channels.contract.model import Channel
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.forecast.cap_conflicts import CapConflicts, find_cap_conflicts
from service.storage.postgres import Connection, Pool
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

RULE = "carrier = mobile"

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


async def add_plan(
    conn: Connection, scene: Scene, at: datetime, *, text: str, state: str = "scheduled"
) -> UUID:
    """An approved campaign to everybody that is to fire at an instant."""
    version = await conn.fetchval(
        "INSERT INTO template_versions (template_id, no, text, lint, edited_by, created_at) "
        "SELECT template_id, (SELECT max(no) + 1 FROM template_versions), $2, '[]', edited_by, $3 "
        "FROM template_versions WHERE id = $1 RETURNING id",
        scene.template_version,
        text,
        at,
    )
    made: UUID = await conn.fetchval(
        """
        INSERT INTO campaigns (department_id, name, template_version_id, segment_id, priority,
            schedule, state, created_by, created_at, edited_by, frozen_rule, text_edited_by,
            rule_edited_by, submitted_by, submitted_at, content_hash, approved_by, approved_at,
            approved_hash, next_fire_at)
        SELECT $1, 'c', $2, $3, 'normal', schedule, $8, $4, $6, $4, $7, $4, $4, $4, $6, 'h', $5, $6,
            'h', $6
        FROM (SELECT $9::jsonb AS schedule) s
        RETURNING id
        """,
        scene.department,
        version,
        scene.segment,
        scene.operator,
        scene.approver,
        at,
        RULE,
        state,
        {
            "kind": "once",
            "start_at": at.isoformat(),
            "timezone": "Asia/Shanghai",
            "send_hours": [["08:00", "20:00"]],
            "late": "run",
            "validity_minutes": 60,
        },
    )
    return made


async def look(conn: Connection, scene: Scene, plan: UUID, now: datetime) -> CapConflicts:
    """Whom the caps will cost a plan, as its operator sees it."""
    actor = User(scene.operator, scene.department, "police", "", "", frozenset({Role.OPERATOR}))
    campaign = await get_campaign(conn, plan, None)
    assert campaign is not None
    return await find_cap_conflicts(conn, actor, campaign, RULE, now)
