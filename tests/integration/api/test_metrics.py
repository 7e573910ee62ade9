"""What waits, for Prometheus: right, bounded in cost, and nobody's secret."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import pytest

from service.api.system import metrics
from service.api.system.backlog_store import Backlog, read_backlog
from service.api.system.expiry import certificate_families
from service.api.system.standing_store import read_standing
from service.backup.programs import connection_words, program
from service.backup.programs import environment as programs_environment
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.delivery.receipts import store
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import sweep_store
from service.liveness.offset import ClockOffset
from service.liveness.process_store import Process, write_beat
from service.local.embedded import Postgres
from service.storage.migrate import migrate
from service.storage.postgres import Connection, connected, transaction
from service.storage.roles import admit, login_of
from tests.conftest import NOW
from tests.harness.certificates import make
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.metrics import figures
from tests.harness.owner import as_owner, owner_url
from tests.harness.promotion import add_standby
from tests.harness.waiting import until
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


async def test_what_is_stopped_and_what_a_channel_has_done_is_shown(api: Api) -> None:
    runtime, now = api.runtime, api.clock.at
    async with runtime.pool.acquire() as conn:
        channel = await add_channel(conn, runtime.keyring, 1, now)
        await conn.execute(
            "UPDATE connections SET marks = 40; UPDATE channels SET tps = 30;"
            " INSERT INTO channel_health VALUES (gen_random_uuid(),"
            " (SELECT max(id) FROM channels), now(), 9, 5, 1, 1, 1, 0, 1, 4, 3, '{}', 0);"
            " INSERT INTO text_ends SELECT max(c.id) + n, 'expired', 2 + n FROM channels c,"
            " generate_series(0, 1) AS n GROUP BY n;"
            " INSERT INTO text_ends SELECT max(id), 'expired', 5 FROM channels"
        )
    name = channel.name
    before = await figures(api)
    assert before["tocsin_stopped", "person"] == before["tocsin_stopped", "restored"] == 0
    assert before["tocsin_breaker", name, "closed"] == 1
    assert before["tocsin_timeline",] == before["tocsin_timeline_accepted",] == 1
    assert before["tocsin_campaigns", "running"] == 0
    assert before["tocsin_standbys", "sync"] == before["tocsin_standbys", "async"] == 0
    assert before["tocsin_tps", name] == 30
    assert before["tocsin_texts_handed_off_total", name] == 40
    assert before["tocsin_submits_total", name, "accepted"] == 5
    assert before["tocsin_submits_total", name, "too_fast"] == 1
    assert before["tocsin_receipts_total", name, "delivered"] == 3
    assert before["tocsin_receipts_total", name, "failed"] == 1
    assert before["tocsin_texts_final_total", name, "expired"] == 7
    assert before["tocsin_texts_final_total", name, "unknown"] == 0
    await api.call("POST", "/stop-all", ("county", "admin"), json={"reason": "a try"})
    async with runtime.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO circuit_breakers (channel_id, state, cause, changed_at, looked_at,"
            " connected_at) SELECT id, 'open', 'down', now(), now(), now() FROM channels"
        )
        await conn.execute("UPDATE generation SET cluster = 'another/00000001'")
    found = await figures(api)
    assert found["tocsin_stopped", "person"] == 1
    assert found["tocsin_breaker", name, "closed"] == 0
    assert found["tocsin_breaker", name, "open"] == 1
    if await runtime.pool.fetchval("SELECT count(*) FROM generation"):
        assert found["tocsin_timeline_accepted",] == 0


async def test_a_copy_of_the_log_is_no_standby(api: Api, tmp_path: Path) -> None:
    (service_url,) = cast(Any, api.runtime.pool)._connect_args
    url = owner_url(service_url)
    words = [program("pg_receivewal"), "--directory", str(tmp_path), *connection_words(url)]
    environment = programs_environment(url) | {"PGAPPNAME": "node2"}
    process = await asyncio.create_subprocess_exec(*words, env=environment)
    try:
        one = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
        async with connected(url) as conn:
            await until(lambda: conn.fetchval(one), 30, "it follows")
        found = await figures(api)
    finally:
        process.terminate()
        await process.wait()
    assert found["tocsin_standbys", "async"] == 0
    assert not [key for key in found if key[0] == "tocsin_standby_lag_seconds"]


@pytest.mark.slow
async def test_a_standby_is_counted_by_its_state_also_for_the_service(tmp_path: Path) -> None:
    (tmp_path / "primary").mkdir(mode=0o700)
    primary = Postgres(tmp_path / "primary", fsync=False)
    async with AsyncExitStack() as stack:
        stack.callback(primary.stop)
        primary.start()
        primary.create_database()
        owner = await stack.enter_async_context(connected(primary.url))
        await migrate(owner)
        await admit(owner, login_of(primary.service_url))
        conn = await stack.enter_async_context(connected(primary.service_url))
        assert (await read_standing(conn, NOW)).standbys == []
        stack.callback(add_standby(primary, tmp_path / "standby").stop)

        async def states() -> list[str]:
            standing = await read_standing(conn, NOW)
            assert all(lag < 60 for _, _, lag in standing.standbys)
            return [state for _, state, _ in standing.standbys]

        async def is_async() -> bool:
            return await states() == ["async"]

        async def is_sync() -> bool:
            return await states() == ["sync"]

        await until(is_async, 60, "a standby")
        await owner.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await owner.execute("SELECT pg_reload_conf()")
        await until(is_sync, 60, "a synchronous standby")


async def test_facts_that_differ_are_shown(api: Api) -> None:
    assert (await figures(api))["tocsin_facts_differing",] == 0
    await api.runtime.pool.execute(
        "INSERT INTO facts_checks SELECT id, $1, 10, 3 FROM departments LIMIT 1", api.clock.at
    )
    assert (await figures(api))["tocsin_facts_differing",] == 3


async def test_the_next_expiry_of_a_key_is_shown_until_somebody_renews_it(api: Api) -> None:
    pool, now = api.runtime.pool, api.clock.at
    keys = await pool.fetch("SELECT id FROM keys ORDER BY id LIMIT 2")
    await pool.execute("UPDATE keys SET expires_at = $1", now + timedelta(days=90))
    for row, days in zip(keys, (3, 8), strict=True):
        ends = now + timedelta(days=days)
        await pool.execute("UPDATE keys SET expires_at = $2 WHERE id = $1", row["id"], ends)
    assert (await figures(api))["tocsin_key_expiry_seconds",] == 3 * 86_400
    first, second = (row["id"] for row in keys)
    other = "SELECT max(id::text)::uuid FROM keys"
    await pool.execute(f"UPDATE keys SET replaces = $1 WHERE id = ({other})", first)
    assert (await figures(api))["tocsin_key_expiry_seconds",] == 8 * 86_400
    await pool.execute("UPDATE keys SET revoked_at = $2 WHERE id = $1", second, now)
    assert (await figures(api))["tocsin_key_expiry_seconds",] == 90 * 86_400


async def test_the_expiry_of_certificates_is_shown(tmp_path: Path) -> None:
    (tmp_path / "bad.pem").write_text("none")
    files = [make(tmp_path).server, tmp_path / "bad.pem", tmp_path / "gone.pem"]
    (family,) = certificate_families(files, datetime.now(UTC))
    left = {sample.labels["file"]: sample.value for sample in family.samples}
    assert left.keys() == {"server.pem", "bad.pem", "gone.pem"}
    assert 80_000 < left["server.pem"] <= 86_400
    assert left["bad.pem"] == left["gone.pem"] == 0


async def test_answers_are_counted_by_their_route(api: Api) -> None:
    for path in ("/channels", "/channels", "/nothing"):
        await api.get(path, VIEWER)
    found = await figures(api)
    assert found["tocsin_requests_total", "GET /api/v1/channels", "200"] == 2
    assert found["tocsin_requests_total", "none", "404"] == 1
    assert found["tocsin_request_seconds_count", "api"] == 2


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
