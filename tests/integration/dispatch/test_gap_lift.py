"""Lifting the stop of a restored database: what may have left becomes uncertain (I3, I6)."""

from datetime import timedelta
from typing import Any

import pytest

from service.accounts.people.model import Role
from service.campaigns.stops import gap_store, stop_all, stop_store
from service.campaigns.stops.stop_all import LiftAs, StillExpanding
from service.campaigns.stops.stop_store import KnownGap, MissingTexts
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.delivery.receipts import store as receipt_store
from service.delivery.receipts.receipts import fold_receipts, sweep_parked
from service.storage.postgres import Pool, transaction
from tests.factories import make_user
from tests.harness.ledger import phone
from tests.harness.stage import SetUp, Stage

PEOPLE = 6
MINUTE = timedelta(minutes=1)


async def _hold(on: Stage, gap: KnownGap | None = None) -> None:
    gap = gap or KnownGap([MissingTexts(on.channel.id, 0, 3)])
    async with transaction(on.pool) as conn:
        await stop_all.hold_all(conn, "restored", on.now, gap)
        await stop_store.begin_era(conn)


async def _lift(on: Stage, how: LiftAs | None = None) -> int:
    async with transaction(on.pool) as conn:
        person = await make_user(conn, Role.OPERATOR, now=on.now, kind="county")
        _, count = await stop_all.lift(conn, person, "looked", how=how, now=on.now)
    return count


async def _lift_again(on: Stage) -> int:
    """After a further hold, once whoever held slices has let go of them."""
    await on.pool.execute("UPDATE slices SET slot = NULL, epoch = NULL")
    await _hold(on)
    return await _lift(on)


@pytest.fixture
def begin(stage: SetUp) -> SetUp:
    """A run in a database that has beaten, as it is from its first seconds on."""

    async def set_up(people: int = PEOPLE, **more: Any) -> Stage:
        on = await stage(people, **more)
        async with on.pool.acquire() as conn:
            await stop_store.beat(conn, await stop_store.present_cluster(conn), on.now)
        return on

    return set_up


async def _row(on: Stage, no: int) -> Any:
    return await on.pool.fetchrow(
        "SELECT state::text, reason, attempt, part_count FROM messages WHERE run_id = $1"
        " AND no = $2",
        on.run,
        no,
    )


async def test_what_is_queued_becomes_uncertain_and_what_is_known_stays(begin: SetUp) -> None:
    on = await begin()
    lease = await on.must_lease()
    assert await on.claim(lease) == 1
    await on.mark(lease, [1, 2], parts=2)
    await on.record(await on.result(1, 1, ref=b"1"))
    await _hold(on)
    async with on.pool.acquire() as conn:
        assert await gap_store.queued_before(conn) == PEOPLE - 2
    assert await _lift(on) == PEOPLE - 2
    assert tuple(await _row(on, 1)) == ("submitted", None, 1, 2)
    assert tuple(await _row(on, 2)) == ("submitting", None, 1, 2)
    for no in range(3, PEOPLE + 1):
        assert tuple(await _row(on, no)) == ("uncertain", "restored", 1, 2)
    listed = await on.pool.fetch("SELECT no, attempt, marked_at, since FROM uncertain")
    assert {row["no"] for row in listed} == set(range(3, PEOPLE + 1))
    assert await _lift_again(on) == 0
    assert tuple(await _row(on, 2)) == ("uncertain", "restored", 1, 2), "nobody holds it by now"
    await on.resume()
    assert await on.mark(lease, [3, 4, 5, 6]) == {}, "none is sent again"
    async with on.pool.acquire() as conn:
        assert await gap_store.queued_before(conn) == 0


@pytest.mark.parametrize("how", [LiftAs.RESUME, LiftAs.CANCEL])
async def test_whoever_says_so_sends_again(begin: SetUp, how: LiftAs) -> None:
    on = await begin()
    await _hold(on)
    assert await _lift(on, how) == 0
    assert await on.states() == {"queued": PEOPLE}


async def test_a_run_that_was_made_since_the_promotion_goes_out(begin: SetUp) -> None:
    on = await begin()
    await on.pool.execute("UPDATE generation SET cluster = left(cluster, -8) || '00000000'")
    later = await on.another_run()
    async with transaction(on.pool) as conn:
        await stop_all.hold_all(conn, "restored", on.now, KnownGap())
        cluster = await stop_store.present_cluster(conn)
        await stop_store.accept_generation(conn, 0, cluster)
    assert await _lift(on) == PEOPLE
    assert await on.states() == {"uncertain": PEOPLE}
    assert await later.states() == {"queued": PEOPLE}


async def test_a_ledger_that_is_still_written_makes_the_lift_wait(begin: SetUp) -> None:
    on = await begin()
    await _hold(on)
    await on.pool.execute("UPDATE runs SET state = 'expanding'")
    with pytest.raises(StillExpanding):
        await _lift(on)
    await on.pool.execute("UPDATE runs SET state = 'paused'")
    assert await _lift(on) == PEOPLE


async def test_a_stop_by_a_person_becomes_one_of_a_restored_database(begin: SetUp) -> None:
    on = await begin()
    async with transaction(on.pool) as conn:
        person = await make_user(conn, Role.OPERATOR, now=on.now, kind="county")
        await stop_all.stop_all(conn, person, "wrong text", on.now)
    await _hold(on, KnownGap(None, on.now))
    await _hold(on)
    async with on.pool.acquire() as conn:
        stop = await stop_store.stop_in_force(conn)
    assert stop is not None
    assert (stop.cause, stop.reason) == ("restored", "restored; wrong text")
    assert (stop.stopped_by, stop.gap_from) == (person.id, on.now)
    assert stop.missing == [
        {"channel_id": on.channel.id, "channel": on.channel.name, "slot": 0, "texts": 3}
    ]
    assert await _lift(on) == PEOPLE


async def _receive(on: Stage, *numbers: tuple[int, bytes]) -> None:
    """Receipts say that these people's texts have arrived, and are looked at a while later."""
    later = on.now + MINUTE
    receipts = [
        (on.channel.id, Receipt(ref, phone(n), ReceiptState.DELIVERED, "DELIVRD", "", None))
        for n, ref in numbers
    ]
    async with on.pool.acquire() as conn:
        await receipt_store.insert_receipts(conn, on.keyring, receipts, on.now)
    await _fold(on.pool, on.channel.id, later)


async def _fold(pool: Pool, channel_id: int, now: Any) -> None:
    await fold_receipts(pool, channel_id, now)
    async with transaction(pool) as conn:
        await sweep_parked(conn, channel_id, now)
    await fold_receipts(pool, channel_id, now)


async def test_receipts_settle_what_has_left_whenever_they_come(begin: SetUp) -> None:
    on = await begin()
    numbers = {
        row["no"]: row["phone_hash"]
        for row in await on.pool.fetch("SELECT no, phone_hash FROM messages")
    }
    number_of = {on.keyring.phone_index(phone(n)): n for n in range(PEOPLE)}
    of_no = {no: number_of[hashed] for no, hashed in numbers.items()}
    await _hold(on)
    await _receive(on, (of_no[1], b"early"))
    assert await on.state(1) == "queued"
    await _lift(on)
    await _receive(on, (of_no[2], b"late"))
    assert (await on.state(1), await on.state(2)) == ("delivered", "delivered")
    assert await on.states() == {"delivered": 2, "uncertain": PEOPLE - 2}


async def test_what_a_process_knew_of_lost_marks_is_not_lost(begin: SetUp) -> None:
    """It records the reference of a text without a mark; the receipt comes during the hold."""
    on = await begin()
    await _hold(on)
    await on.record(await on.result(1, 1, ref=b"known"))
    assert await on.state(1) == "queued"
    hashed = await on.pool.fetchval("SELECT phone_hash FROM messages WHERE no = 1")
    number = next(n for n in range(PEOPLE) if on.keyring.phone_index(phone(n)) == hashed)
    await _receive(on, (number, b"known"))
    await _lift(on)
    await _fold(on.pool, on.channel.id, on.now + MINUTE)
    assert await on.state(1) == "delivered"
    assert not await on.pool.fetchval("SELECT count(*) FROM receipts_unmatched")
