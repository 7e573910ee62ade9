"""No sequence of acts, by whomever and whenever, leads a campaign outside the table of moves."""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.accounts.people.model import By
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.core import store
from service.campaigns.core.model import MOVES, Act, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.runs import firing
from service.errors import Conflict, Forbidden, Invalid
from service.storage.postgres import Connection
from tests.factories import Team, make_draft, make_team

Do = Callable[[Connection, Team, UUID, datetime], Awaitable[object]]


async def _finish(conn: Connection, _: Team, campaign_id: UUID, now: datetime) -> object:
    """Everything is handed off, so the runs are sent and the campaign is done."""
    await conn.execute(
        """
        UPDATE runs SET state = 'sent'
        WHERE campaign_id = $1 AND state IN ('expanding', 'running')
        """,
        campaign_id,
    )
    return await lifecycle.finish_campaigns(conn, [campaign_id], now)


ACTS: dict[str, Do] = {
    "edit": lambda c, t, i, n: planning.edit(
        c, t.operator, i, lambda plan: replace(plan, max_tps=(plan.max_tps or 0) + 1), n
    ),
    "submit": lambda c, t, i, n: approval.submit(c, t.operator, i, n),
    "approve": lambda c, t, i, n: approval.approve(c, t.approver, i, "", n),
    "approve own": lambda c, t, i, n: approval.approve(c, t.operator, i, "", n),
    "return": lambda c, t, i, n: approval.send_back(c, t.approver, i, "r", n),
    "reject": lambda c, t, i, n: approval.reject(c, t.approver, i, "r", n),
    "pause": lambda c, t, i, n: lifecycle.pause(c, t.operator, i, By(t.operator.id, "r", n)),
    "resume": lambda c, t, i, n: lifecycle.resume(c, t.operator, i, By(t.operator.id, "r", n)),
    "release": lambda c, t, i, n: lifecycle.release(c, t.operator, i, By(t.operator.id, "r", n)),
    "cancel": lambda c, t, i, n: lifecycle.cancel(c, t.operator, i, By(t.operator.id, "r", n)),
    "fire": lambda c, _, i, n: firing._fire(c, i, n),
    "finish": _finish,
}
PROMISING = ["submit", "approve", "fire", "pause", "resume", "finish", "release"]
LATE = [timedelta(0), timedelta(minutes=20), timedelta(days=8)]

acts = st.lists(
    st.tuples(
        st.one_of(st.sampled_from(PROMISING), st.sampled_from(sorted(ACTS))),
        st.sampled_from(LATE),
    ),
    max_size=14,
)
_PAIRS = {
    (before, after)
    for allowed, results in MOVES.values()
    for before in allowed
    for after in results
}


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(acts=acts, late=st.sampled_from(["run", "hold", "skip"]), once=st.booleans())
async def test_no_sequence_of_acts_leaves_the_table(
    conn: Connection, now: datetime, acts: list[tuple[str, timedelta]], late: LatePolicy, once: bool
) -> None:
    start = now + timedelta(hours=1) if once else None
    schedule = Schedule("once" if once else "now", start, late=late)
    attempt = conn.transaction()
    await attempt.start()
    try:
        team = await make_team(conn, now=now)
        campaign = (await make_draft(conn, team.operator, now=now, schedule=schedule)).id
        state = State.DRAFT
        for act, wait in acts:
            now += wait
            try:
                async with conn.transaction():
                    await ACTS[act](conn, team, campaign, now)
            except (Conflict, Forbidden, Invalid):
                assert (await planning.load(conn, campaign, None)).state is state
            after = (await planning.load(conn, campaign, None)).state
            assert after is state or (state, after) in _PAIRS, act
            state = after
        await _record_is_whole(conn, campaign, state)
    finally:
        await attempt.rollback()


async def _record_is_whole(conn: Connection, campaign: UUID, state: State) -> None:
    """The record is one unbroken path along the table from draft to the present state."""
    at = State.DRAFT
    for move in await store.list_moves(conn, campaign):
        assert move.from_state == at
        assert (State(move.from_state), State(move.to_state)) in _PAIRS
        at = State(move.to_state)
    assert at is state
    approvals = await conn.fetchval(
        "SELECT approved_by IS NOT NULL FROM campaigns WHERE id = $1", campaign
    )
    runs = await conn.fetchval("SELECT count(*) FROM runs WHERE campaign_id = $1", campaign)
    assert runs == 0 or approvals
    open_runs = await conn.fetchval(
        """
        SELECT count(*) FROM runs WHERE campaign_id = $1
          AND state IN ('expanding', 'running', 'paused')
        """,
        campaign,
    )
    if state in {State.DONE, State.CANCELLED, State.DRAFT, State.HELD}:
        assert open_runs == 0


async def test_the_only_mover_refuses_what_the_table_does_not_lead_to(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    draft = await make_draft(conn, team.operator, now=now)
    by = By(team.operator.id, "r", now)
    assert not await store.move(conn, draft.id, Act.RESUME, State.RUNNING, by)
    assert await store.list_moves(conn, draft.id) == []
    try:
        await store.move(conn, draft.id, Act.SUBMIT, State.RUNNING, by)
    except ValueError:
        return
    raise AssertionError("submitting led to running")
