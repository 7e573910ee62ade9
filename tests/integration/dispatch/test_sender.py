"""The hand-off on a real PostgreSQL, a real Valkey and a carrier over TCP."""

import json
from collections import Counter
from datetime import timedelta
from pathlib import Path

from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts.receipts import fold_receipts, sweep_parked
from service.simulator.carrier.config import Faults
from service.simulator.carrier.outcomes import fates
from service.storage.postgres import Pool
from tests.harness.ledger import phone, states
from tests.harness.runs import LONG, handed_off, ready
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import CalmFaults, Serve, Simulate


def submits(tmp_path: Path) -> Counter[str]:
    """How many submits the carrier took, by number."""
    lines = (json.loads(line) for line in (tmp_path / "journal").read_text().splitlines())
    return Counter(line["phone"] for line in lines if line.get("event") == "submit")


def silent_from(share: float) -> Faults:
    """The carrier takes this share of submits without ever answering them."""
    return CalmFaults.model_copy(update={"swallow_responses": share})


async def test_a_run_reaches_everybody_once(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        _, run = await ready(pool, conn, keyring, clock, carrier.ports["cmpp"], 2_500)
        await serve()
        await until(lambda: handed_off(conn, run))
        assert set(submits(tmp_path).values()) == {1}
        assert len(submits(tmp_path)) == 2_500
        assert sum((await states(conn, run)).values()) == 2_500

        async def sent() -> bool:
            left = await conn.fetchval("SELECT count(*) FROM slices WHERE done_at IS NULL")
            return bool(left == 0)

        await until(sent)


async def test_every_part_of_a_long_text_counts(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate(profile="carrier") as carrier, pool.acquire() as conn:
        _, run = await ready(
            pool, conn, keyring, clock, carrier.ports["cmpp"], 300, text=LONG, window=3
        )
        await serve()
        await until(lambda: handed_off(conn, run))
        counts = await conn.fetch("SELECT DISTINCT part_count FROM messages WHERE part_count > 0")
        assert [row["part_count"] for row in counts] == [2]
        accepted = submits(tmp_path)
        assert set(accepted.values()) == {2}

        async def mostly_delivered() -> bool:
            return (await states(conn, run)).get("delivered", 0) > 250

        await until(mostly_delivered)


async def test_a_lost_link_leaves_at_most_a_window_uncertain_and_receipts_settle_it(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    """The carrier dies with submits unanswered and comes back: it reports what it had taken, but
    for the numbers of which it never tells.
    """
    judge = fates("roster", 341825, "china_mobile")
    told = [
        keyring.phone_index(number) for number in map(phone, range(1_000)) if judge(number).stat
    ]
    async with pool.acquire() as conn:
        async with simulate(faults=silent_from(0.1), max_delay_seconds=0.0) as carrier:
            port = carrier.ports["cmpp"]
            channel, run = await ready(pool, conn, keyring, clock, port, 1_000, window=16)
            await serve()

            seen: list[tuple[int, int]] = []

            async def stuck() -> bool:
                """For twenty looks the carrier has had a window that it does not answer, and what
                it answered has been recorded.
                """
                found = await states(conn, run)
                answered = 1_000 - found["queued"] - found.get("submitting", 0)
                seen.append((answered, len(submits(tmp_path))))
                return len(seen) > 20 and set(seen[-20:]) == {(answered, answered + 16)}

            await until(stuck)
        async with simulate(cmpp_port=port, max_delay_seconds=0.0):
            await until(lambda: handed_off(conn, run))
            uncertain_count = await conn.fetchval(
                "SELECT count(*) FROM messages WHERE reason = 'no_answer'"
            )
            assert uncertain_count <= 16

            async def settled_by_receipts() -> bool:
                async with conn.transaction():
                    await sweep_parked(conn, channel.id, clock.now() + timedelta(seconds=5))
                await fold_receipts(pool, channel.id, clock.now())
                return not await conn.fetchval(
                    "SELECT EXISTS (SELECT FROM messages WHERE run_id = $1 "
                    "AND state = 'uncertain' AND phone_hash = ANY($2))", run, told
                )  # fmt: skip

            await until(settled_by_receipts)
        assert set(submits(tmp_path).values()) == {1}
        assert len(submits(tmp_path)) == 1_000
        assert sum((await states(conn, run)).values()) == 1_000


async def test_a_suppression_after_expansion_stops_the_hand_off(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        _, run = await ready(pool, conn, keyring, clock, carrier.ports["cmpp"], 10)
        await conn.execute(
            "INSERT INTO suppressions (phone_hash, reason, created_at) "
            "VALUES ($1, 'opted_out', $2)",
            keyring.phone_index(phone(3)),
            clock.now(),
        )
        await serve()
        await until(lambda: handed_off(conn, run))
        stopped = await conn.fetch(
            "SELECT reason FROM messages WHERE run_id = $1 AND state = 'suppressed'", run
        )
        assert [row["reason"] for row in stopped] == ["opted_out"]
        assert not any(number.endswith(phone(3)[-11:]) for number in submits(tmp_path))


async def test_outside_the_send_hours_nothing_leaves(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        _, run = await ready(
            pool, conn, keyring, clock, carrier.ports["cmpp"], 5, send_hours=[["19:00", "20:00"]]
        )
        await serve()

        async def put_off() -> bool:
            return await conn.fetchval("SELECT not_before FROM slices") is not None

        await until(put_off)
        not_before = await conn.fetchval("SELECT not_before FROM slices")
        assert not_before.isoformat() == "2027-01-12T11:00:00+00:00"
        assert await states(conn, run) == {"queued": 5}
        assert not submits(tmp_path)


async def test_past_its_validity_a_text_is_stopped(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        _, run = await ready(
            pool, conn, keyring, clock, carrier.ports["cmpp"], 5, valid_until=clock.now()
        )
        await serve()
        await until(lambda: handed_off(conn, run))
        assert await states(conn, run) == {"suppressed": 5}
        assert not submits(tmp_path)


async def test_a_phone_with_an_uncertain_hand_off_takes_no_other_text_on_that_channel(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier, pool.acquire() as conn:
        channel, run = await ready(pool, conn, keyring, clock, carrier.ports["cmpp"], 5)
        await conn.execute(
            "INSERT INTO uncertain (channel_id, phone_hash, run_id, no, attempt, marked_at, since) "
            "VALUES ($1, $2, gen_random_uuid(), 1, 1, $3, $3)",
            channel.id,
            keyring.phone_index(phone(2)),
            clock.now(),
        )
        await serve()

        async def four() -> bool:
            return (await states(conn, run)).get("queued", 0) == 1

        await until(four)

        async def put_off() -> bool:
            return await conn.fetchval("SELECT not_before FROM slices") is not None

        await until(put_off)
        assert len(submits(tmp_path)) == 4


async def test_too_fast_is_no_failure(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate(tps=50) as carrier, pool.acquire() as conn:
        _, run = await ready(pool, conn, keyring, clock, carrier.ports["cmpp"], 120, tps=200)
        await serve()
        await until(lambda: handed_off(conn, run))
        assert set(submits(tmp_path).values()) == {1}
        assert len(submits(tmp_path)) == 120
