"""What waits, for Prometheus: right, bounded in cost, and nobody's secret."""

from datetime import datetime, timedelta
from uuid import uuid4

import pytest

from service.api.system import metrics
from service.api.system.backlog_store import Backlog, read_backlog
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.delivery.receipts import store
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import sweep_store
from service.liveness.offset import ClockOffset
from service.liveness.process_store import Process, write_beat
from service.storage.postgres import Connection, transaction
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.metrics import figures
from tests.harness.owner import as_owner
from tests.integration.api.conftest import Api

VIEWER = ("school", "viewer")


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)


async def test_it_takes_a_key(api: Api) -> None:
    assert (await api.get("//metrics", None)).status == 401
    assert (await api.get("//metrics", "tk_unknown")).status == 401


async def test_an_empty_system_shows_zeroes_and_the_process(api: Api) -> None:
    async with api.runtime.pool.acquire() as conn:
        channel = await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    found = await figures(api)
    assert found["tocsin_receipts_waiting", channel.name] == 0
    assert found["tocsin_receipts_waiting_oldest_seconds", channel.name] == 0
    assert found["tocsin_messages_uncertain", channel.name] == 0
    assert found["tocsin_messages_open", channel.name, "urgent"] == 0
    assert found["tocsin_connections", channel.name, "up"] == 0
    assert found["tocsin_connections", channel.name, "wanted"] == 1
    assert found["tocsin_texts_unread",] == 0
    assert found["tocsin_runs", "running"] == 0
    body = (await api.get("//metrics", VIEWER)).body
    assert b"\nprocess_resident_memory_bytes " in body


async def test_the_age_of_backups_is_shown_once_there_are_any(api: Api) -> None:
    assert ("tocsin_backup_age_seconds", "log") not in await figures(api)
    for kind, seconds in (("full", 90_000), ("log", 40)):
        await as_owner(
            api.runtime.pool,
            "INSERT INTO backups VALUES ($1, clock_timestamp() - make_interval(secs => $2), 1)",
            kind,
            seconds,
        )
    found = await figures(api)
    assert 90_000 <= found["tocsin_backup_age_seconds", "full"] < 90_100
    assert 40 <= found["tocsin_backup_age_seconds", "log"] < 140
    assert ("tocsin_backup_age_seconds", "incremental") not in found


async def test_what_the_log_keeps_for_backups_is_shown(api: Api) -> None:
    assert ("tocsin_log_backlog_octets",) not in await figures(api)
    slot = "SELECT pg_create_physical_replication_slot('tocsin_backup', true)"
    await as_owner(api.runtime.pool, slot)
    try:
        before = (await figures(api))["tocsin_log_backlog_octets",]
        fill = "SELECT pg_logical_emit_message(true, 'x', repeat('x', 1000000))"
        await as_owner(api.runtime.pool, fill)
        assert (await figures(api))["tocsin_log_backlog_octets",] >= before + 1_000_000
    finally:
        await as_owner(api.runtime.pool, "SELECT pg_drop_replication_slot('tocsin_backup')")


async def test_each_process_is_shown_with_its_clock_and_version(api: Api) -> None:
    offset = ClockOffset(timedelta(seconds=-3), timedelta(seconds=0.25))
    async with api.runtime.pool.acquire() as conn:
        for pid, kind in enumerate(["channel", "expand", "expand"]):
            process = Process(uuid4(), kind, "one", pid, "0.9.0", "0140_x.sql")
            await write_beat(conn, process, None if pid == 2 else offset)
        await conn.execute(
            "UPDATE processes SET seen_at = seen_at - interval '5 min' WHERE pid = 1"
        )
        gone = Process(uuid4(), "api", "one", 7, "0.9.0", "0140_x.sql")
        await write_beat(conn, gone, offset)
        await conn.execute(
            "UPDATE processes SET seen_at = seen_at - interval '11 min' WHERE pid = 7"
        )
    found = await figures(api)
    assert 0 <= found["tocsin_process_seen_seconds", "one", "channel", "0"] < 60
    assert 300 <= found["tocsin_process_seen_seconds", "one", "expand", "1"] < 360
    assert ("tocsin_process_seen_seconds", "one", "api", "7") not in found
    assert found["tocsin_clock_offset_seconds", "one", "channel", "0"] == -3
    assert found["tocsin_clock_uncertainty_seconds", "one", "channel", "0"] == 0.25
    assert ("tocsin_clock_offset_seconds", "one", "expand", "2") not in found, "simulated"
    assert found["tocsin_process_info", "one", "channel", "0140_x.sql", "0", "0.9.0"] == 1


async def test_everything_that_waits_is_counted_with_its_age(api: Api) -> None:
    runtime, now = api.runtime, api.clock.at
    async with runtime.pool.acquire() as conn:
        scene = await make_scene(conn, now)
        people = [phone(n) for n in range(5)]
        await add_contacts(conn, runtime.keyring, scene, people, now)
        channel = await add_channel(conn, runtime.keyring, 1, now)
        run = await add_run(conn, scene, now, priority="urgent")
        await add_run(conn, scene, now)
    await expand_run(runtime.pool, run, now)
    async with transaction(runtime.pool) as conn:
        for age in (10, 70):
            receipt = Receipt(b"r%d" % age, "", ReceiptState("delivered"), "DELIVRD", "", None)
            at = now - timedelta(seconds=age)
            await store.insert_receipts(conn, runtime.keyring, [(channel.id, receipt)], at)
        await conn.execute(
            "INSERT INTO receipts_unmatched SELECT id, channel_id, ref, phone_hash, state, reason,"
            " code, done_at, received_at, 'parked' FROM receipt_inbox WHERE ref = 'r70'"
        )
        await conn.execute(
            "INSERT INTO uncertain VALUES ($1, '', $2, 1, 1, $3, $3)",
            channel.id,
            run,
            now - timedelta(seconds=30),
        )
        await conn.execute(
            "UPDATE connections SET state = 'up', owner = $1,"
            " expires_at = clock_timestamp() + interval '1 minute'",
            run,
        )
        await conn.execute("UPDATE channels SET held_until = $1", now + timedelta(minutes=5))
        await sweep_store.note_turn(conn, "sweep", 0.25)
    found = await figures(api)
    name = channel.name
    assert found["tocsin_receipts_waiting", name] == 2
    assert found["tocsin_receipts_waiting_oldest_seconds", name] == 70
    assert found["tocsin_receipts_unmatched", name, "parked"] == 1
    assert found["tocsin_receipts_unmatched", name, "ambiguous"] == 0
    assert found["tocsin_receipts_unmatched_oldest_seconds", name, "parked"] == 70
    assert found["tocsin_messages_uncertain", name] == 1
    assert found["tocsin_messages_uncertain_oldest_seconds", name] == 30
    assert found["tocsin_messages_open", name, "urgent"] == 5
    assert found["tocsin_messages_open", name, "normal"] == 0
    assert found["tocsin_connections", name, "up"] == 1
    assert found["tocsin_channel_held", name] == 1
    assert found["tocsin_runs", "running"] == 1
    assert found["tocsin_runs", "expanding"] == 1
    assert found["tocsin_act_seconds", "sweep"] == 0.25
    assert 0 <= found["tocsin_act_ago_seconds", "sweep"] < 30


async def test_however_often_it_is_asked_the_database_is_read_once_in_a_while(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 60.0)
    reads = []

    async def counted(conn: Connection, now: datetime) -> Backlog:
        reads.append(now)
        return await read_backlog(conn, now)

    monkeypatch.setattr(metrics, "read_backlog", counted)
    for _ in range(20):
        await figures(api)
    assert len(reads) == 1
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    await figures(api)
    assert len(reads) == 2


async def test_no_phone_and_no_campaign_is_in_it(api: Api) -> None:
    runtime, now = api.runtime, api.clock.at
    async with runtime.pool.acquire() as conn:
        scene = await make_scene(conn, now)
        await add_contacts(conn, runtime.keyring, scene, [phone(7)], now)
        await add_channel(conn, runtime.keyring, 1, now)
        run = await add_run(conn, scene, now)
    await expand_run(runtime.pool, run, now)
    text = (await api.get("//metrics", VIEWER)).body.decode()
    assert phone(7)[3:] not in text
    assert str(run) not in text
    assert str(scene.department) not in text
