"""After an erasure has answered, nothing more is marked for that number (as for an opt-out, I7)."""

import asyncio
from datetime import timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import By, Role, User
from service.dispatch.expansion.expand import expand_run
from service.privacy.erase import Erased, erase
from service.storage.postgres import Connection, transaction
from tests.harness.ledger import add_run, phone
from tests.harness.owner import as_owner
from tests.harness.pauses import random_moment
from tests.harness.stage import SetUp, Stage, mark
from tests.harness.waiting import everybody_tried_again, until_blocked


async def erase_first(on: Stage, kind: str = "police") -> Erased:
    async with transaction(on.pool) as conn:
        return await erase_in(conn, on, kind)


async def erase_in(conn: Connection, on: Stage, kind: str = "police") -> Erased:
    user = User(on.scene.operator, on.scene.department, kind, "a", "a", frozenset({Role.ADMIN}))
    by = By(user.id, "asked for it", on.now)
    return await erase(conn, on.keyring, user, phone(0), by, duty=timedelta(days=183))


async def no_of_first(on: Stage) -> int:
    hashed = on.keyring.phone_index(phone(0))
    no: int = await on.pool.fetchval("SELECT no FROM messages WHERE phone_hash = $1", hashed)
    return no


async def test_after_an_erasure_has_answered_its_phone_is_not_marked(stage: SetUp) -> None:
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    for _ in range(20):
        over, tries = asyncio.Event(), {1: 0}

        async def keep_marking(over: asyncio.Event = over, tries: dict[int, int] = tries) -> None:
            while not over.is_set():
                async with transaction(on.pool) as conn:
                    moved = await mark(conn, lease, on.run, [1], 1, on.now)
                    await random_moment(0.002)
                await on.give_back(list(moved.items()))
                tries[1] += 1

        marker = asyncio.create_task(keep_marking())
        await random_moment(0.006)
        await erase_first(on)
        before = await on.marks()
        await everybody_tried_again(tries)
        assert await on.marks() == before
        over.set()
        await marker
        await as_owner(on.pool, "DELETE FROM erasures")
        await on.pool.execute(
            "UPDATE messages SET state = 'queued', reason = NULL, final_at = NULL"
        )


async def test_while_an_erasure_is_about_to_answer_nothing_comes_back_and_leaves(
    stage: SetUp,
) -> None:
    """What the erasure saw on its way is given back and marked again, before its commit."""
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    moved = await on.mark(lease, [1])

    async def again() -> dict[int, int]:
        await on.give_back(list(moved.items()), lease)
        return await on.mark(lease, [1])

    async with transaction(on.pool) as conn:
        await erase_in(conn, on)
        sender = asyncio.create_task(again())
        await until_blocked(on.pool, sender)
    assert await asyncio.wait_for(sender, 10) == {}
    assert await on.states() == {"cancelled": 1}


async def test_what_waits_is_cancelled_and_what_left_keeps_its_number(stage: SetUp) -> None:
    on = await stage(4)
    no = await no_of_first(on)
    done = await erase_first(on)
    assert (done.contacts, done.cancelled, done.kept) == (1, 1, 0)
    row = await on.pool.fetchrow("SELECT * FROM messages WHERE no = $1", no)
    assert row is not None
    assert (row["state"], row["reason"], row["final_at"]) == ("cancelled", "erased", on.now)
    assert row["phone_cipher"] is None
    assert await on.states() == {"cancelled": 1, "queued": 3}


@pytest.mark.parametrize("kind", ["police", "county"])
async def test_what_was_on_its_way_and_comes_back_does_not_leave_again(
    stage: SetUp, kind: str
) -> None:
    on = await stage(4)
    lease = await on.must_lease()
    await on.claim(lease)
    no = await no_of_first(on)
    moved = await on.mark(lease, [1, 2, 3, 4])
    done = await erase_first(on, kind)
    assert (done.cancelled, done.kept) == (0, 1)
    assert done.kept_until == on.now + timedelta(days=183)
    await on.give_back(list(moved.items()), lease)
    assert set(await on.mark(lease, [1, 2, 3, 4])) == {1, 2, 3, 4} - {no}
    row = await on.pool.fetchrow("SELECT * FROM messages WHERE no = $1", no)
    assert row is not None
    assert (row["state"], row["reason"]) == ("cancelled", "erased")
    assert row["phone_cipher"] is not None


async def test_another_departments_erasure_and_a_newer_run_send(stage: SetUp) -> None:
    on = await stage(1)
    lease = await on.must_lease()
    await on.claim(lease)
    await on.pool.execute(
        "INSERT INTO erasures (phone_hash, department_id, erased_by, erased_at, reason_cipher) "
        "VALUES ($1, $2, $2, $3, ''), ($1, NULL, $2, $3::timestamptz - interval '1 s', '')",
        on.keyring.phone_index(phone(0)),
        UUID(int=7),
        on.now,
    )
    assert set(await on.mark(lease, [1])) == {1}


async def test_a_ledger_that_was_being_written_does_not_send_to_the_erased(stage: SetUp) -> None:
    """The expansion saw the person, the erasure did not see its ledger yet."""
    on = await stage(2)
    async with on.pool.acquire() as conn:
        late = await add_run(conn, on.scene, on.now)
    async with on.pool.acquire() as conn:
        # What an expansion does: its rows are not committed when the erasure looks.
        expanding = conn.transaction()
        await expanding.start()
        await conn.execute(
            "INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, "
            "roles) SELECT $1, no, phone_hash, phone_cipher, channel_id, carrier, roles "
            "FROM messages "
            "WHERE run_id = $2",
            late,
            on.run,
        )
        done = await erase_first(on)
        assert done.cancelled == 1  # of the run that is committed
        await conn.execute(
            "INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority) "
            "VALUES ($1, 1, $2, 1, 2, 1)",
            late,
            on.channel.id,
        )
        await conn.execute("UPDATE runs SET state = 'running', target = 2 WHERE id = $1", late)
        await expanding.commit()
    on.run = late
    lease = await on.must_lease()
    await on.pool.execute("UPDATE slices SET done_at = $2 WHERE run_id <> $1", late, on.now)
    await on.claim(lease)
    assert len(await on.mark(lease, [1, 2])) == 1
    assert await on.states() == {"cancelled": 1, "submitting": 1}


async def test_a_later_expansion_does_not_know_the_person(stage: SetUp) -> None:
    on = await stage(2)
    await erase_first(on)
    async with on.pool.acquire() as conn:
        late = await add_run(conn, on.scene, on.now + timedelta(hours=1))
    expansion = await expand_run(on.pool, late, on.now)
    assert expansion is not None
    assert (expansion.target, expansion.excluded) == (1, 0)
