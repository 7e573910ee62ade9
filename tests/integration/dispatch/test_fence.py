"""A database that was promoted or restored hands nothing off before it is accepted (I6).

The twins of tests/e2e/test_promotion.py: a timeline changes by a statement here.
"""

from functools import partial
from typing import Any
from uuid import UUID, uuid4

import pytest

from service.campaigns.runs.firing import fire_due
from service.campaigns.stops import restored, stop_store, witness
from service.campaigns.stops.gap import system_of
from service.campaigns.stops.stop_store import StopOfAll
from service.campaigns.stops.witness import MarkStand, Outdated, Telling
from service.channels.contract.gateway import Submission, SubmitResult
from service.channels.contract.outcome import Outcome
from service.dispatch.handoff import lease, lease_store, store
from service.dispatch.limits.in_flight import most_ahead
from service.dispatch.limits.pace import ABSURD, Pace, TokenGrant, channel_limit
from service.runtime import Runtime
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import make_scheduled, make_team
from tests.harness.stage import Accept, Scripted, SetUp, Stage, done, working
from tests.harness.valkey import answered
from tests.harness.waiting import until

LATER = "FFFFFFFF"
PEOPLE = 40


async def _generation(pool: Pool) -> stop_store.Generation:
    async with pool.acquire() as conn:
        known = await stop_store.get_generation(conn)
    assert known is not None
    return known


async def _promote(pool: Pool) -> None:
    """The timeline that was accepted is an earlier one than that of the database."""
    earlier = system_of((await _generation(pool)).cluster) + "/00000000"
    await pool.execute("UPDATE generation SET cluster = $1", earlier)


async def _marks(pool: Pool) -> dict[tuple[int, int], int]:
    async with pool.acquire() as conn:
        return await stop_store.marks_of_connections(conn)


async def _stop(pool: Pool) -> StopOfAll | None:
    async with pool.acquire() as conn:
        return await stop_store.stop_in_force(conn)


async def _told(runtime: Runtime) -> dict[tuple[int, int], int]:
    database = (await _generation(runtime.pool)).id
    return dict((await witness.read(runtime.redis, runtime.keyring, database)).counts)


async def _send_all(on: Stage, runtime: Runtime) -> Scripted:
    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Pace(runtime.redis)) as at_work:
        await until(lambda: done(on))
        await at_work.end()
    await on.pool.execute("UPDATE connections SET owner = NULL, expires_at = NULL")
    return gateway


async def test_where_the_database_is_not_accepted_nothing_is_marked_claimed_or_fired(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(4)
    await restored.beat(runtime)
    lease = await on.must_lease()
    assert await on.claim(lease) == 1
    await _promote(on.pool)
    assert await on.mark(lease, [1, 2]) == {}
    async with on.pool.acquire() as conn:
        assert await store.run_state(conn, on.run) == "stopped"
    await on.pool.execute("UPDATE slices SET slot = NULL, epoch = NULL")
    assert await on.claim(lease) is None
    async with transaction(on.pool) as conn:
        team = await make_team(conn, now=on.now)
        await make_scheduled(conn, team, now=on.now)
    assert await fire_due(on.pool, on.now) == []
    assert await on.pool.fetchval("SELECT beat FROM generation") == 1

    assert not await restored.beat(runtime), "nothing is missing"
    assert len(await fire_due(on.pool, on.now)) == 1
    assert await on.claim(lease) == 1
    assert await on.mark(lease, [1, 2]) == {1: 1, 2: 1}
    assert await _stop(on.pool) is None


async def test_a_timeline_that_lacks_nothing_is_accepted_once_and_written_down(
    runtime: Runtime, stage: SetUp, caplog: pytest.LogCaptureFixture
) -> None:
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    await _send_all(on, runtime)
    before = (await _generation(on.pool)).cluster
    await _promote(on.pool)
    for _ in range(2):
        assert not await restored.check(runtime)
    known = await _generation(on.pool)
    assert (known.cluster, known.era) == (before, 2)
    entries = await on.pool.fetch("SELECT via, object_id, details FROM audit_entries")
    assert [(row["via"], row["object_id"]) for row in entries] == [("system", before)]
    said = [m for m in caplog.messages if "nothing is missing in it" in m]
    assert len(said) == 1


@pytest.mark.parametrize("tps", [None, 500])
async def test_redis_is_told_of_every_text_before_it_is_written(
    runtime: Runtime, stage: SetUp, tps: int | None
) -> None:
    on = await stage(PEOPLE, tps=tps, window=8)
    await restored.beat(runtime)
    behind: list[int] = []
    told: list[int] = []

    class Listening(Pace):
        async def take_telling(self, stand: Telling, *asked: Any) -> TokenGrant:
            grant = await super().take_telling(stand, *asked)
            told.append(int(stand.marks.partition(b":")[0]))
            return grant

    def answer(_: object) -> Any:
        if len(gateway.written) > told[-1]:
            behind.append(len(gateway.written))
        return Accept

    gateway = Scripted(answer)
    async with working(on, gateway, pace=Listening(runtime.redis)) as at_work:
        await until(lambda: done(on))
        await at_work.end()
    assert behind == []
    assert await _told(runtime) == {(on.channel.id, 0): PEOPLE} == await _marks(on.pool)


async def test_what_was_marked_on_an_earlier_timeline_is_not_written(
    runtime: Runtime, stage: SetUp
) -> None:
    """The timeline is accepted between the mark and the question for tokens."""
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    known = await _generation(on.pool)
    later = f"{system_of(known.cluster)}/{LATER}"
    looks: list[str] = []

    async def look() -> None:
        looks.append("looked")
        await on.pool.execute("UPDATE generation SET cluster = $1", later)  # and marks no more

    class Accepted(Pace):
        async def take_telling(self, *asked: Any) -> TokenGrant:
            await witness.move_on(runtime.redis, runtime.keyring, known.id, later)
            return await super().take_telling(*asked)

    gateway = Scripted(lambda _: Accept)
    pace = Accepted(runtime.redis)
    async with working(on, gateway, pace=pace, look_at_database=look) as at_work:
        await until(lambda: looks)
        await at_work.looks()
        await at_work.end()
    assert gateway.written == []
    assert await on.states() == {"queued": PEOPLE}


async def test_a_database_that_went_back_on_its_timeline_writes_no_further_text(
    runtime: Runtime, stage: SetUp
) -> None:
    people = 2 * most_ahead(1)  # one batch counts less than what is missing
    on = await stage(people)
    await restored.beat(runtime)
    gateway = Scripted(lambda _: Accept)
    look = partial(restored.look_again, runtime)
    async with working(on, gateway, pace=Pace(runtime.redis), look_at_database=look) as at_work:
        await until(lambda: done(on))
        await on.another_run()
        await on.pool.execute("UPDATE connections SET marks = 3")
        at_work.wakeup.set()
        await until(lambda: _stop(on.pool))
        await at_work.looks()
        await at_work.end()
    assert len(gateway.written) == people
    stop = await _stop(on.pool)
    assert stop is not None
    assert stop.cause == "restored"
    assert await _marks(on.pool) == await _told(runtime), "it counts on from what was told"
    assert not await restored.check(runtime)


async def test_texts_that_are_missing_are_counted_by_connection(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    await _send_all(on, runtime)
    await on.pool.execute("UPDATE connections SET marks = marks - 7")
    await _promote(on.pool)
    assert await restored.check(runtime)
    stop = await _stop(on.pool)
    assert stop is not None
    assert stop.missing == [
        {"channel_id": on.channel.id, "channel": on.channel.name, "slot": 0, "texts": 7}
    ]
    assert stop.gap_from == (await _generation(on.pool)).beat_at
    assert "7 texts that were handed off are missing" in stop.reason
    assert "缺少 7 条已交出的短信" in stop.reason
    assert await _marks(on.pool) == {(on.channel.id, 0): PEOPLE}
    assert not await restored.beat(runtime), "it is noticed once"


async def test_a_hold_takes_from_whoever_lives_what_its_lost_answers_were_for(
    runtime: Runtime, stage: SetUp
) -> None:
    """The holder has recorded the answer on the primary that is lost, and never does so again."""
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    lease = await on.must_lease()
    slice_no = await on.claim(lease)
    assert slice_no is not None
    await on.mark(lease, [1], slice_no)
    await on.pool.execute("UPDATE connections SET marks = marks + 7")
    await restored.beat(runtime)
    await on.pool.execute("UPDATE connections SET marks = marks - 7")
    await _promote(on.pool)
    assert await restored.check(runtime)
    async with transaction(on.pool) as conn:
        assert not await lease_store.renew_connection(conn, lease), "it goes on as if it knew all"
        assert await lease_store.expired_connections(conn) == [(on.channel.id, 0)]
        assert await lease_store.recover_connection(conn, on.channel.id, 0, on.now)
    assert await on.state(1) == "uncertain"


@pytest.mark.parametrize("still_sending", [False, True])
async def test_a_promoted_database_that_lacks_answers_alone_loses_no_text(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch, still_sending: bool
) -> None:
    """No mark is missing, so nothing is held; whoever recorded the answers lives and has its lease.
    It takes its slices anew, so that what nobody is going to answer for becomes uncertain.
    """
    renew, promoted = lease_store.renew_connection, False

    async def renew_there(conn: Connection, mine: lease_store.Lease) -> str | None:
        cluster = await renew(conn, mine)
        return f"{system_of(cluster)}/{LATER}" if cluster and promoted else cluster

    monkeypatch.setattr(lease_store, "renew_connection", renew_there)
    monkeypatch.setattr(lease, "RENEW_SECONDS", 0.05)
    on = await stage(PEOPLE)
    open_answers = still_sending

    def answer(submission: Submission) -> SubmitResult | None:
        return None if open_answers and len(gateway.written) > PEOPLE // 2 else Accept

    gateway = Scripted(answer)
    async with working(on, gateway) as at_work:

        async def answered() -> bool:
            return (await on.states()).get("submitted", 0) == (
                PEOPLE // 2 if still_sending else PEOPLE
            )

        await until(answered)
        await at_work.looks()
        held = at_work.held.lease
        await on.pool.execute(
            "UPDATE messages SET state = 'submitting', submitted_at = NULL WHERE no <= 5"
        )
        await on.pool.execute("DELETE FROM parts")
        await on.pool.execute(
            "UPDATE slices SET done_at = NULL, slot = $1, epoch = $2", held.slot, held.epoch
        )
        promoted, open_answers = True, False
        for future in gateway.silent:
            future.set_result(SubmitResult(Outcome.ACCEPTED, refs=(uuid4().bytes[:8],)))

        async def settled() -> bool:
            at_work.wakeup.set()
            return await on.states() == {"uncertain": 5, "submitted": PEOPLE - 5}

        await until(settled)
        assert not at_work.held.fenced.is_set(), "the connection goes on"
        await at_work.end()
    assert len(gateway.written) == PEOPLE, "nothing left twice"
    assert await on.pool.fetchval("SELECT bool_and(done_at IS NOT NULL) FROM slices")


async def test_what_redis_forgot_is_told_again_by_the_next_beat(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    await _send_all(on, runtime)
    await runtime.redis.flushall()
    await restored.beat(runtime)
    assert await _told(runtime) == {(on.channel.id, 0): PEOPLE}
    await _promote(on.pool)
    assert not await restored.check(runtime)
    assert await _stop(on.pool) is None


async def test_redis_that_is_emptied_and_asked_before_the_next_beat_is_a_hold(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    await _send_all(on, runtime)
    await runtime.redis.flushall()
    await _promote(on.pool)
    assert await restored.check(runtime)
    stop = await _stop(on.pool)
    assert stop is not None
    assert stop.missing is None


async def _stand(on: Stage, marks: int) -> MarkStand:
    known = await _generation(on.pool)
    return MarkStand(known.id, known.cluster, on.channel.id, 0, marks)


async def test_a_late_word_lowers_no_count_and_gets_no_token(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(1)
    await restored.beat(runtime)
    pace, limits = Pace(runtime.redis), [channel_limit(on.channel.id, 500)]
    new, old = [witness.telling(on.keyring, await _stand(on, n)) for n in (9, 8)]
    await pace.take_telling(new, limits, 1)
    with pytest.raises(Outdated, match="promoted or restored") as refused:
        await pace.take_telling(old, limits, 1)
    assert refused.value.why == "behind"
    assert await _told(runtime) == {(on.channel.id, 0): 9}


async def test_a_beat_that_tells_of_a_mark_before_its_connection_does_holds_nothing(
    runtime: Runtime, stage: SetUp
) -> None:
    """The beat reads what is committed; the connection still asks with what it marked before."""
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    looks: list[str] = []

    async def look() -> None:
        looks.append("looked")
        await restored.look_again(runtime)

    class Overtaken(Pace):
        async def take_telling(self, *asked: Any) -> TokenGrant:
            if not looks:  # once a later mark is committed, and told by a beat
                await on.pool.execute("UPDATE connections SET marks = marks + 1")
                await restored.beat(runtime)
            return await super().take_telling(*asked)

    gateway = Scripted(lambda _: Accept)
    async with working(on, gateway, pace=Overtaken(runtime.redis), look_at_database=look):
        await until(lambda: len(gateway.written) == PEOPLE)
    assert looks
    assert await _stop(on.pool) is None


@pytest.mark.attack
@pytest.mark.parametrize("field", ["cluster", "{}:0"])
@pytest.mark.parametrize(
    "value", ["", "x", "9" * 30, "9" * 9 + ":" + "0" * 32, "inf:00", "0x7fffffff:0", "\xff" * 999]
)
async def test_what_somebody_else_has_told_redis_stops_and_holds_nothing(
    runtime: Runtime, stage: SetUp, field: str, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    on = await stage(PEOPLE)
    await restored.beat(runtime)
    key = f"tocsin:marks:{(await _generation(on.pool)).id}"
    name = field.format(on.channel.id)
    await answered(runtime.redis.hset(key, mapping={name: value.encode("latin-1")}))
    gateway = await _send_all(on, runtime)
    assert len(gateway.written) == PEOPLE
    assert not await restored.beat(runtime)
    assert await _stop(on.pool) is None
    assert await _told(runtime) == {(on.channel.id, 0): PEOPLE}
    assert caplog.messages.count(ABSURD) <= 1


@pytest.mark.attack
async def test_a_signed_count_is_of_its_own_connection_and_database(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(1)
    await restored.beat(runtime)
    known = await _generation(on.pool)
    key = f"tocsin:marks:{known.id}"
    of_other = MarkStand(UUID(int=7), known.cluster, on.channel.id, 0, 500)
    of_slot = (await _stand(on, 500))._replace(slot=1)
    for stand in (of_other, of_slot):
        forged = witness.telling(on.keyring, stand).marks
        await answered(runtime.redis.hset(key, mapping={f"{on.channel.id}:0": forged}))
        assert await _told(runtime) == {}
        assert not await restored.check(runtime)
    true = witness.telling(on.keyring, await _stand(on, 500)).marks
    await answered(runtime.redis.hset(key, mapping={f"{on.channel.id}:0": true}))
    assert await restored.check(runtime), "a true count is what the database has lost"


@pytest.mark.attack
async def test_more_fields_than_there_are_connections_are_thrown_away(
    runtime: Runtime, stage: SetUp
) -> None:
    on = await stage(1)
    await restored.beat(runtime)
    key = f"tocsin:marks:{(await _generation(on.pool)).id}"
    many = {f"{n}:0": "1:0" for n in range(witness.MOST_FIELDS + 1)}
    await answered(runtime.redis.hset(key, mapping=many))
    assert not await restored.beat(runtime)
    assert await runtime.redis.type(key) == b"hash"
    assert await _told(runtime) == {(on.channel.id, 0): 0}
