"""A campaign and its people straight into the database, for tests below the API."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.accounts.people.model import Role
from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.changes import confirm, create
from service.channels.config.changes_store import list_proposals
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import Channel, ChannelSettings
from service.crypto import Keyring
from service.storage.postgres import Connection, Pool
from tests.factories import make_user

ALWAYS = [["00:00", "24:00"]]
TEXT = "【旌德县公安局】先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。"


def phone(number: int) -> str:
    """A synthetic number of China Mobile."""
    return f"+86{19790000000 + number}"


@dataclass(frozen=True)
class Scene:
    """What `make_scene` made."""

    department: uuid.UUID
    operator: uuid.UUID
    approver: uuid.UUID
    template_version: uuid.UUID
    segment: uuid.UUID


async def lift_caps(conn: Connection) -> None:
    """Let everybody get any number of texts: for tests that send to the same people again."""
    await conn.execute(
        "INSERT INTO frequency_caps (class, same_text, reason, set_at) "
        "VALUES ('public_interest', true, 'test', now()), ('service', true, 'test', now())"
    )


async def make_scene(
    conn: Connection, now: datetime, *, text: str = TEXT, capped: bool = False
) -> Scene:
    """A department with its people and its text; without caps unless `capped`."""
    if not capped:
        await lift_caps(conn)
    department = await conn.fetchval(
        "INSERT INTO departments (name, kind) VALUES ($1, 'police') RETURNING id",
        f"公安局 {uuid.uuid4().hex[:6]}",
    )
    people = [
        await conn.fetchval(
            "INSERT INTO users (department_id, login, name, roles, bootstrap) "
            "VALUES ($1, $2, $2, $3, true) "
            "RETURNING id",
            department,
            f"{role}-{uuid.uuid4().hex[:8]}",
            [role],
        )
        for role in ("operator", "approver")
    ]
    template = await conn.fetchval(
        "INSERT INTO templates (department_id, name, class, created_at) "
        "VALUES ($1, 't', 'public_interest', $2) RETURNING id",
        department,
        now,
    )
    version = await conn.fetchval(
        "INSERT INTO template_versions (template_id, no, text, lint, edited_by, created_at) "
        "VALUES ($1, 1, $2, '[]', $3, $4) RETURNING id",
        template,
        text,
        people[0],
        now,
    )
    segment = await conn.fetchval(
        "INSERT INTO segments (department_id, name, rule, edited_by, created_at, edited_at) "
        "VALUES ($1, 's', 'carrier != broadnet', $2, $3, $3) RETURNING id",
        department,
        people[0],
        now,
    )
    return Scene(department, people[0], people[1], version, segment)


async def add_contacts(
    conn: Connection, keyring: Keyring, scene: Scene, phones: Sequence[str], now: datetime
) -> None:
    await conn.executemany(
        "INSERT INTO contacts (department_id, phone_hash, phone_cipher, carrier, synthetic, "
        "created_at, updated_at) VALUES ($1, $2, $3, 'china_mobile', true, $4, $4)",
        [
            (scene.department, keyring.phone_index(p), keyring.encrypt("phone", p), now)
            for p in phones
        ],
    )


async def add_run(
    conn: Connection,
    scene: Scene,
    now: datetime,
    *,
    text: str = TEXT,
    priority: str = "normal",
    max_tps: int | None = None,
    send_hours: object = ALWAYS,
    valid_until: datetime | None = None,
) -> uuid.UUID:
    """An approved campaign that fired now: its run waits for its ledger."""
    campaign = await conn.fetchval(
        """
        INSERT INTO campaigns (department_id, name, template_version_id, segment_id, priority,
            schedule, state, created_by, created_at, edited_by, frozen_rule, text_edited_by,
            rule_edited_by, submitted_by, submitted_at, content_hash, approved_by, approved_at,
            approved_hash)
        VALUES ($1, 'c', $2, $3, $4, '{}', 'running', $5, $7, $5, 'carrier != broadnet', $5, $5, $5,
            $7, 'h', $6, $7, 'h')
        RETURNING id
        """,
        scene.department,
        scene.template_version,
        scene.segment,
        priority,
        scene.operator,
        scene.approver,
        now,
    )
    run: uuid.UUID = await conn.fetchval(
        """
        INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text, rule,
            send_hours, timezone, valid_until, max_tps, created_at)
        VALUES ($1, $2, $3, 'expanding', $4, 'public_interest', $5, 'carrier != broadnet', $6,
            'Asia/Shanghai', $7, $8, $3)
        RETURNING id
        """,
        campaign,
        scene.department,
        now,
        priority,
        text,
        json.loads(json.dumps(send_hours)),
        valid_until,
        max_tps,
    )
    return run


async def add_channel(
    conn: Connection,
    keyring: Keyring,
    port: int,
    now: datetime,
    **settings: Any,
) -> Channel:
    return await insert_channel(conn, keyring, _cmpp(port, **settings), now)


async def add_real_channel(conn: Connection, keyring: Keyring, now: datetime) -> int:
    """One that the machine has set up and an administrator has confirmed."""
    made = await create(conn, keyring, _cmpp(1, simulated=False), None, now)
    (proposal,) = await list_proposals(conn, made.id, None, 10)
    admin = await make_user(conn, Role.ADMIN, now=now, kind="county")
    await confirm(conn, keyring, made.id, proposal.id, admin, now)
    return made.id


def _cmpp(port: int, *, simulated: bool = True, **settings: Any) -> ChannelSettings:
    config = parse_settings(
        "cmpp",
        {
            "host": "127.0.0.1",
            "port": port,
            "account": "901234",
            "secret": "1qaz2wsx",
            "access_number": "1065720001234",
        },
    )
    return ChannelSettings(
        name=f"cmpp-{uuid.uuid4().hex[:6]}",
        kind="cmpp",
        simulated=simulated,
        carriers=tuple(CARRIERS),
        config=config,
        **settings,
    )


async def correct(pool: Pool, run_id: uuid.UUID) -> None:
    """A correction of a run has fired."""
    await pool.execute(
        "INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,"
        " rule, send_hours, timezone, created_at, follows, relation)"
        " SELECT campaign_id, department_id, fire_at, 'running', priority, class, text, rule,"
        " send_hours, timezone, created_at, id, 'correction' FROM runs WHERE id = $1",
        run_id,
    )


async def states(conn: Connection, run_id: uuid.UUID) -> dict[str, int]:
    rows = await conn.fetch(
        "SELECT state::text, count(*) AS n FROM messages WHERE run_id = $1 GROUP BY 1", run_id
    )
    return {row["state"]: row["n"] for row in rows}
