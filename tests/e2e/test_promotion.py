"""A primary is lost in the middle of a run: nobody has to choose between losing and doubling.

Real PostgreSQL with a streaming standby, real Valkey, workers as a process, a carrier over TCP that
writes down what it took (invariants I3 and I6; docs/decisions/0460).
"""

from collections.abc import AsyncIterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from service.accounts.people.model import By, Role, User
from service.campaigns.core import store
from service.campaigns.core.model import Act, State
from service.campaigns.stops import gap_store, stop_all
from service.delivery.uncertain.statement import StatementLine, Unreadable
from service.delivery.uncertain.statement_import import Statement, import_statement
from service.delivery.uncertain.uncertain import Decision, decide, set_policy
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.simulator.carrier.journal import submits
from service.storage.postgres import Connection, connected, open_pool, transaction
from tests.factories import make_user
from tests.harness.promotion import Promotion, promotion, read_into_another
from tests.harness.waiting import until

pytestmark = [pytest.mark.xdist_group("live"), pytest.mark.slow]

PEOPLE = 2_000
GOES_ON_SECONDS = 40.0
LOST_TEXTS = 300
"""So many leave while the standby gets nothing: most of a second's."""


async def _everybody_once(at_work: Promotion) -> None:
    """Everybody has left, nobody twice, and nobody is left to a person."""

    async def settled() -> bool:
        states = await at_work.states()
        return not {"queued", "submitting", "uncertain"} & states.keys()

    await until(settled, 90, "the end of the run", progress=lambda: len(at_work.taken_at()))
    taken = at_work.taken()
    assert len(taken) == PEOPLE, "somebody was lost"
    assert set(taken.values()) == {1}, "somebody got it twice"


@pytest.mark.parametrize("killed", [True, False], ids=["killed", "switched"])
async def test_a_failover_that_loses_nothing_goes_on_by_itself(
    tmp_path: Path, killed: bool
) -> None:
    async with promotion(tmp_path, PEOPLE) as at_work:
        await at_work.synchronous()
        await at_work.under_way(PEOPLE // 4)
        if killed:
            at_work.kill_primary()
        else:
            at_work.stop_primary()
        at_work.promote()
        await _everybody_once(at_work)
        silence = at_work.silence()
        print(f"silence: {silence:.1f} s")
        assert silence < GOES_ON_SECONDS
        assert not await at_work.query("SELECT count(*) FROM stops")
        accepted = "SELECT count(*) FROM audit_entries WHERE action = 'accept_timeline'"
        assert await at_work.query(accepted) == 1
        assert "nothing is missing in it: sending goes on" in at_work.log()


async def _lose_a_second(at_work: Promotion) -> int:
    """Kill the primary with what it wrote last, and promote the standby; returns how many texts had
    left by then.
    """
    await at_work.under_way(PEOPLE // 4)
    await at_work.cut_off()
    await at_work.under_way(len(at_work.taken_at()) + LOST_TEXTS)
    at_work.kill_primary()
    await until(at_work.is_quiet, what="the last text that was marked before")
    left = len(at_work.taken_at())
    at_work.freeze_scheduler()  # so that the fence alone stands between the channels and the texts
    at_work.promote()
    await at_work.renewed(2)
    assert len(at_work.taken_at()) == left, "texts left a database that nobody has accepted"
    at_work.thaw_scheduler()
    await until(at_work.stopped, GOES_ON_SECONDS, "a hold")
    return left


async def _person(conn: Connection, at_work: Promotion) -> User:
    return await make_user(conn, Role.OPERATOR, now=at_work.clock.now(), kind="county")


async def _lift(at_work: Promotion, how: stop_all.LiftAs | None = None) -> int:
    """Let sending go on; returns how many texts became uncertain, as many as was said before."""
    async with connected(at_work.url) as conn, conn.transaction():
        told = await gap_store.queued_before(conn)
        person = await _person(conn, at_work)
        _, count = await stop_all.lift(conn, person, "looked", how=how, now=at_work.clock.now())
    assert how is stop_all.LiftAs.RESUME or count == told
    return count


async def _looks(at_work: Promotion, times: int) -> None:
    """Wait for so many further beats of the scheduler, in which texts could have left."""
    beats = "SELECT beat FROM generation"
    before = await at_work.query(beats)

    async def beaten() -> bool:
        return bool(await at_work.query(beats) >= before + times)

    await until(beaten, 60, "beats")


async def _resume(conn: Connection, at_work: Promotion) -> None:
    campaign = await conn.fetchval("SELECT campaign_id FROM runs WHERE id = $1", at_work.run)
    by = By(None, "goes on", at_work.clock.now())
    await store.move(conn, campaign, Act.RESUME, State.RUNNING, by)
    await conn.execute("UPDATE runs SET state = 'running' WHERE id = $1", at_work.run)


async def _state_and_decide(at_work: Promotion) -> None:
    """The carrier states what it took; what it never had is not sent, so a person says, and goes
    out now.
    """

    async def batches() -> AsyncIterator[Sequence[StatementLine | Unreadable]]:
        yield [
            StatementLine(row, entry["phone"], at_work.clock.now(), "submitted", "ACCEPTD")
            for row, entry in enumerate(submits(at_work.journal), 2)
        ]

    async with open_pool(at_work.url, size=2) as pool, transaction(pool, seconds=60) as conn:
        person = await _person(conn, at_work)
        by = By(person.id, "of the carrier", at_work.clock.now())
        statement = Statement(at_work.channel, "5e", timedelta(minutes=30), None)
        await import_statement(conn, at_work.keyring, statement, batches(), by)
        await set_policy(conn, "public_interest", allowed=True, by=by)
        later = By(person.id, "never left", at_work.clock.now() + timedelta(minutes=11))
        rest = UncertainFilter(run_id=at_work.run)
        found = await decide(conn, rest, Decision.NOT_SENT, later)
        assert not found.skipped
        await _resume(conn, at_work)


async def test_after_a_failover_that_lost_a_second_nothing_leaves_twice_and_nobody_is_lost(
    tmp_path: Path,
) -> None:
    async with promotion(tmp_path, PEOPLE, receipt_seconds=30) as at_work:
        left = await _lose_a_second(at_work)
        await _looks(at_work, 2)
        assert len(at_work.taken_at()) == left, "texts left before anybody decided"
        missing = await at_work.query("SELECT missing FROM stops")
        lost = sum(each["texts"] for each in missing)
        print(f"left: {left}, missing: {lost}")
        known = PEOPLE - (await at_work.states())["queued"]
        assert lost >= left - known, "more had left than was told"
        uncertain = await _lift(at_work)
        states = await at_work.states()
        assert states["uncertain"] >= uncertain
        assert not {"queued", "submitting"} & states.keys()

        async def receipts_settle() -> bool:
            settled = states["uncertain"] - (await at_work.states())["uncertain"]
            return bool(settled > lost // 4)

        await until(receipts_settle, 60, "receipts of texts that the database did not know of")
        await _looks(at_work, 1)
        assert len(at_work.taken_at()) == left
        await _state_and_decide(at_work)
        await _everybody_once(at_work)


async def test_redis_emptied_at_the_same_moment_is_a_hold(tmp_path: Path) -> None:
    """Between two beats: one under way would tell an empty Redis all there is to know, and sending
    would go on.
    """
    async with promotion(tmp_path, 2 * PEOPLE) as at_work:
        await at_work.synchronous()
        await at_work.under_way(PEOPLE // 4)
        await at_work.between_beats()
        at_work.kill_primary()
        await at_work.empty_redis()
        at_work.promote()
        await until(at_work.stopped, GOES_ON_SECONDS, "a hold")
        left = len(at_work.taken_at())
        assert await at_work.query("SELECT missing IS NULL FROM stops"), "nobody knows"
        assert "Redis was emptied" in await at_work.query("SELECT reason FROM stops")
        assert (await at_work.states())["queued"]
        await _looks(at_work, 2)
        assert len(at_work.taken_at()) == left
        await _lift(at_work)
        await _looks(at_work, 1)
        assert len(at_work.taken_at()) == left
        assert set(at_work.taken().values()) == {1}
        assert (await at_work.states())["queued"] == 0


async def test_a_dump_that_is_read_into_another_server_is_a_hold(tmp_path: Path) -> None:
    async with promotion(tmp_path, PEOPLE, standby=False) as at_work:
        await at_work.under_way(PEOPLE // 4)
        dump = at_work.dump()
        await at_work.under_way(PEOPLE * 3 // 4)
        await at_work.stop_workers()
        left = len(at_work.taken_at())
        read_into_another(at_work, dump)
        at_work.start_workers()
        await until(at_work.stopped, GOES_ON_SECONDS, "a hold")
        missing = await at_work.query("SELECT missing FROM stops")
        lost = sum(each["texts"] for each in missing)
        known = PEOPLE - (await at_work.states())["queued"]
        print(f"left: {left}, known: {known}, missing: {lost}")
        assert lost >= left - known > 0
        await _looks(at_work, 2)
        assert len(at_work.taken_at()) == left
        assert await _lift(at_work) == PEOPLE - known
        await _looks(at_work, 1)
        assert len(at_work.taken_at()) == left, "texts left a second time"
