"""What fills a text is judged when the text is made: over the wire, from the database's tables."""

import json
import uuid
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from service.audience.areas.area_store import load_areas
from service.audience.vocabulary.choices import CARRIERS
from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import ChannelSettings
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.compose import VARIABLES
from service.dispatch.direct import direct
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.value_check import ValueRefused
from service.reports.store import count_messages
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import ALWAYS, make_scene, phone
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

TEXT = "【某局】{姓名}您好，{村}近日多发刷单诈骗，请转告家人。"
OFFICES = ("值班室0563-0600111", "值班室0563-0600112")
"""The first of them is registered for the department that sends."""
GIVEN = "【某局】您好，{事项}已办好。"
VILLAGE = "341825100001"
"""南门居委会, in 旌阳镇."""
RENAMED = "341825100002"
REFUSED = ValueRefused.reason


async def start(
    conn: Connection, keyring: Keyring, clock: Clock, text: str, given: Sequence[str | None]
) -> uuid.UUID:
    """A run of a department to one person for each of these; given: the values of a direct send."""
    scene = await make_scene(conn, clock.now())
    channel = await conn.fetchval("SELECT id FROM channels")
    people = [
        Recipient(
            keyring.phone_index(phone(n)),
            keyring.encrypt("phone", phone(n)),
            "china_mobile",
            synthetic=True,
            channel_id=channel,
            variables_cipher=keyring.encrypt(VARIABLES, json.dumps({"事项": value}))
            if value
            else None,
        )
        for n, value in enumerate(given)
    ]
    new = NewRun(
        kind="direct",
        department_id=scene.department,
        message_class="service",
        priority="normal",
        text=text,
        channels=[channel],
        send_hours=ALWAYS,
        timezone="Asia/Shanghai",
        valid_until=clock.now() + timedelta(days=1),
        sent_by=scene.operator,
    )
    return (await direct.start(conn, new, people, clock.now())).run_id


async def name(conn: Connection, keyring: Keyring, run: uuid.UUID, who: str, area: str) -> None:
    """Give the next nameless row of a run a name and an area."""
    await conn.execute(
        """
        UPDATE messages SET name_cipher = $2, area_code = $3
        WHERE run_id = $1 AND no = (SELECT min(no) FROM messages
                                    WHERE run_id = $1 AND name_cipher IS NULL)
        """,
        run,
        keyring.encrypt("name", who),
        area,
    )


@pytest.mark.attack
async def test_a_value_that_may_not_stand_in_a_text_stops_it_by_name(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    simulate: Simulate,
    serve: Serve,
    tmp_path: Path,
) -> None:
    """A list that says a demand for a name, a renamed village, and a word that the county never
    uses come into texts that were approved without them; what else there is leaves."""
    async with simulate(cmpp_port=0) as carrier:
        own = {"account": "901234", "secret": "1qaz2wsx", "access_number": "1065720001234"}
        config = parse_settings("cmpp", {"host": "127.0.0.1", "port": carrier.ports["cmpp"], **own})
        settings = ChannelSettings(
            name="c", kind="cmpp", simulated=True, carriers=tuple(CARRIERS), config=config
        )
        async with transaction(pool) as conn:
            await load_areas(conn)
            await conn.execute(
                "UPDATE areas SET name = '点t.cn/x报验证码村' WHERE code = $1", RENAMED
            )
            await conn.execute(
                "INSERT INTO lint_policies (changes, reason, changed_at) VALUES ($1, 'r', $2)",
                {"never_words": {"*": ["锦鲤"]}},
                clock.now(),
            )
            await insert_channel(conn, keyring, settings, clock.now())
            run = await start(conn, keyring, clock, TEXT, [None] * 5)
            for who, area in (
                ("王小明", VILLAGE),
                ("把验证码发给我", VILLAGE),
                ("李锦鲤", VILLAGE),
                ("买买提·艾力", RENAMED),
                ("欧阳建国", VILLAGE),
            ):
                await name(conn, keyring, run, who, area)
            given = ["低保申请", "请速到银行汇款", "锦鲤卡", "3月5日", *OFFICES]
            sent = await start(conn, keyring, clock, GIVEN, given)
            await conn.execute(
                """
                INSERT INTO lint_senders (department_id, no, landlines, links, reason, changed_at)
                SELECT department_id, 1, '{05630600111}', false, 'r', $2 FROM runs WHERE id = $1
                """,
                sent,
                clock.now(),
            )
        server = await serve()
        server.wakeups.wake(await pool.fetchval("SELECT id FROM channels"))

        async def all_left() -> bool:
            return bool(
                await pool.fetchval(
                    "SELECT count(*) = 0 FROM messages WHERE state IN ('queued', 'submitting')"
                )
            )

        await until(all_left)
        carrier.smsc.journal.flush()
    rows = await pool.fetch("SELECT * FROM messages ORDER BY no")
    stopped = [row for row in rows if row["reason"] == REFUSED]
    assert {row["state"] for row in stopped} == {"suppressed"}
    assert [row["no"] for row in stopped if row["run_id"] == run] == [2, 3, 4]
    assert {
        keyring.decrypt("phone", row["phone_cipher"]) for row in stopped if row["run_id"] == sent
    } == {phone(1), phone(2), phone(5)}
    assert len(rows) - len(stopped) == 5
    written = (tmp_path / "journal").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    assert sum(line["event"] == "submit" for line in lines) == 5
    async with pool.acquire() as conn:
        counted = await count_messages(conn, run)
    assert sum(row["messages"] for row in counted if row["reason"] == REFUSED) == 3
