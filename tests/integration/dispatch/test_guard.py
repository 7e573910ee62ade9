"""Canaries and runs that pause themselves: against a carrier with old lists, and on the ledger."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.people.model import By
from service.campaigns.approval import approval
from service.campaigns.core import store
from service.campaigns.core.model import State
from service.campaigns.core.safety import Safety, SafetyLimits
from service.campaigns.plans import lifecycle, planning
from service.campaigns.runs.firing import fire_due
from service.campaigns.stops.guard import guard_runs
from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import Pool, transaction
from tests.factories import Team, make_draft, make_team
from tests.harness.ledger import add_channel, phone, states
from tests.harness.waiting import Calls, until
from tests.integration.dispatch.conftest import Serve, Simulate

LIMITS = SafetyLimits(0.2, 0.05, 0.02, timedelta(minutes=60), least=100)


@dataclass
class Fired:
    """A campaign that fired, its run and its people."""

    pool: Pool
    team: Team
    campaign: UUID
    run: UUID

    async def state(self) -> State:
        async with self.pool.acquire() as conn:
            return (await planning.load(conn, self.campaign, None)).state

    async def reason(self) -> str:
        async with self.pool.acquire() as conn:
            return (await store.list_moves(conn, self.campaign))[-1].reason

    async def marked(self) -> int:
        query = "SELECT count(*) FROM messages WHERE run_id = $1 AND attempt > 0"
        count: int = await self.pool.fetchval(query, self.run)
        return count

    async def resume(self, now: datetime) -> None:
        async with transaction(self.pool) as conn:
            by = By(self.team.operator.id, "looked", now)
            await lifecycle.resume(conn, self.team.operator, self.campaign, by)


Fire = Callable[..., Awaitable[Fired]]


@pytest.fixture
def fire(pool: Pool, keyring: Keyring) -> Fire:
    async def begin(
        now: datetime, people: int, safety: Safety, port: int = 1, **more: Any
    ) -> Fired:
        async with transaction(pool) as conn:
            team = await make_team(conn, now=now)
            await add_channel(conn, keyring, port, now, **more)
            await conn.executemany(
                "INSERT INTO contacts (department_id, phone_hash, phone_cipher, carrier, "
                "synthetic, created_at, updated_at) "
                "VALUES ($1, $2, $3, 'china_mobile', true, $4, $4)",
                [
                    (team.department_id, keyring.phone_index(p), keyring.encrypt("phone", p), now)
                    for p in map(phone, range(people))
                ],
            )
            draft = await make_draft(conn, team.operator, now=now)
            await planning.edit(
                conn, team.operator, draft.id, lambda plan: replace(plan, safety=safety), now
            )
            await approval.submit(conn, team.operator, draft.id, now)
            await approval.approve(conn, team.approver, draft.id, "", now)
        (run,) = await fire_due(pool, now)
        made = await expand_run(pool, run, now)
        assert made is not None
        assert made.target == people
        return Fired(pool, team, draft.id, run)

    return begin


async def _watch_until(on: Fired, clock: Clock, check: Callable[[], Awaitable[bool]]) -> None:
    async def look() -> bool:
        await guard_runs(on.pool, LIMITS, clock.now())
        return await check()

    await until(look)


@pytest.mark.parametrize(("profile", "passes"), [("stale", False), ("carrier", True)])
async def test_a_canary_on_an_old_list_stops_the_rest_and_on_a_good_one_lets_it_follow(
    fire: Fire,
    clock: Clock,
    simulate: Simulate,
    serve: Serve,
    claims: Calls,
    profile: str,
    passes: bool,
) -> None:
    async with simulate(profile=profile) as simulator:
        safety = Safety(canary_first=150, canary_wait_minutes=1)
        on = await fire(clock.now(), 600, safety, simulator.ports["cmpp"])
        await serve()

        async def canary_left() -> bool:
            return await on.marked() >= 150

        await until(canary_left)
        await claims.more(5)
        assert await on.marked() == 150, "nobody else goes before the canary is judged"

        async def most_are_known() -> bool:
            """Judged earlier, a canary may pass whose texts fail a moment later."""
            known = "SELECT count(*) FROM messages WHERE final_at IS NOT NULL"
            return int(await on.pool.fetchval(known)) >= 140

        await until(most_are_known)
        # Nobody waits a minute here for the receipts that never come.
        await on.pool.execute(
            "UPDATE messages SET submitted_at = submitted_at - interval '1 h', "
            "marked_at = marked_at - interval '1 h'"
        )
        if passes:

            async def all_left() -> bool:
                return await on.marked() == 600

            await _watch_until(on, clock, all_left)
            assert await on.state() is State.RUNNING
            return

        async def paused() -> bool:
            return await on.state() is State.PAUSED

        await _watch_until(on, clock, paused)
        assert (await on.reason()).startswith("the first people: ")
        assert "texts failed" in await on.reason()
        assert await on.marked() == 150
        await on.resume(clock.now())

        async def the_rest_left() -> bool:
            return await on.marked() == 600

        await until(the_rest_left)


async def test_a_run_on_an_old_list_pauses_itself_on_its_way(
    fire: Fire, clock: Clock, simulate: Simulate, serve: Serve, claims: Calls
) -> None:
    async with simulate(profile="stale") as simulator:
        port = simulator.ports["cmpp"]
        on = await fire(clock.now(), 2_500, Safety(), port, tps=500, window=16)
        await serve()

        async def paused() -> bool:
            return await on.state() is State.PAUSED

        await _watch_until(on, clock, paused)
        assert "texts failed" in await on.reason()
        left = await on.marked()
        assert 100 <= left < 2_500
        await claims.more(5)
        assert await on.marked() == left


async def _hand_off(on: Fired, state: str, reason: str | None, at: datetime, count: int) -> None:
    """As if the first so many had left, all with one end."""
    await on.pool.execute(
        """
        UPDATE messages SET state = $2::message_state, reason = $3, attempt = 1, marked_at = $4,
            submitted_at = $4
        WHERE run_id = $1 AND no <= $5
        """,
        on.run,
        state,
        reason,
        at,
        count,
    )
    await on.pool.execute(
        """
        UPDATE slices SET touched = true,
            done_at = CASE WHEN last_no <= $3 THEN $2::timestamptz END
        WHERE run_id = $1 AND first_no <= $3
        """,
        on.run,
        at,
        count,
    )


HOUR_AGO = timedelta(minutes=61)


@pytest.mark.parametrize(
    ("state", "reason", "ago", "why"),
    [
        ("delivered", None, timedelta(0), None),
        ("undelivered", "empty_number", timedelta(0), "texts failed"),
        ("rejected", "content_filter", timedelta(0), "refused for their content"),
        ("submitted", None, timedelta(minutes=59), None),
        ("submitted", None, HOUR_AGO, "no receipt at all"),
        ("uncertain", None, HOUR_AGO, None),
    ],
)
async def test_what_the_ledger_says_pauses_a_run_and_is_not_held_against_it_again(
    fire: Fire, now: datetime, state: str, reason: str | None, ago: timedelta, why: str | None
) -> None:
    on = await fire(now - 2 * HOUR_AGO, 300, Safety())
    await _hand_off(on, state, reason, now - ago, 200)
    await guard_runs(on.pool, LIMITS, now)
    if why is None:
        assert await on.state() is State.RUNNING
        return
    assert await on.state() is State.PAUSED
    assert why in await on.reason()
    await on.resume(now)
    await guard_runs(on.pool, LIMITS, now + timedelta(seconds=1))
    assert await on.state() is State.RUNNING


async def test_a_run_of_a_plan_that_waits_for_its_next_fire_is_guarded_too(
    fire: Fire, now: datetime
) -> None:
    """A plan that was held at a later fire and released waits again, and its run still goes on."""
    on = await fire(now - 2 * HOUR_AGO, 300, Safety())
    await on.pool.execute("UPDATE campaigns SET state = 'scheduled'")
    await _hand_off(on, "undelivered", "empty_number", now, 200)
    await guard_runs(on.pool, LIMITS, now)
    assert await on.state() is State.PAUSED
    assert await on.pool.fetchval("SELECT state FROM runs") == "paused"


async def test_readers_who_opt_out_pause_a_run(fire: Fire, now: datetime) -> None:
    on = await fire(now, 300, Safety())
    await _hand_off(on, "delivered", None, now, 300)
    for no in range(7):
        await guard_runs(on.pool, LIMITS, now)
        assert await on.state() is State.RUNNING
        await on.pool.execute(
            """
            INSERT INTO inbound_texts (id, channel_id, sender_hash, sender_cipher, recipient,
                text_cipher, digest, missing, received_at, kind, run_id, campaign_id, message_no,
                department_id, state)
            VALUES (uuidv7(), 1, decode(md5($4), 'hex'), '', '', '', decode(md5($4), 'hex'), 0, $3,
                    'opt_out', $1, $2, 1, $5, 'new')
            """,
            on.run,
            on.campaign,
            now,
            str(no),
            on.team.department_id,
        )
    await guard_runs(on.pool, LIMITS, now)
    assert await on.state() is State.PAUSED
    assert await on.reason() == "7 of 300 people opted out"


async def test_a_canary_is_of_all_channels_and_slices_cover_everybody_once(
    fire: Fire, now: datetime
) -> None:
    on = await fire(now, 500, Safety(canary_share=0.1))
    rows = await on.pool.fetch(
        "SELECT canary, sum(last_no - first_no + 1)::int AS n FROM slices GROUP BY 1 ORDER BY 1"
    )
    assert {row["canary"]: row["n"] for row in rows} == {True: 50, False: 450}
    async with on.pool.acquire() as conn:
        assert await states(conn, on.run) == {"queued": 500}
    assert await on.pool.fetchval("SELECT canary FROM runs") == "sending"
