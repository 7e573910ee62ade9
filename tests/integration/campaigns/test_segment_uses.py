"""A campaign whose segment uses others: what is frozen, who may approve it, what an edit does."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import Role, User
from service.audience.segments.segment_store import Segment, insert_segment, update_segment
from service.campaigns.approval import approval
from service.campaigns.core import run_store
from service.campaigns.core.model import Campaign, State
from service.campaigns.plans import planning
from service.campaigns.runs.firing import DriftLimits, fire_due
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.errors import Conflict, Forbidden
from service.storage.postgres import CheckViolation, Connection, Pool
from tests.factories import Team, make_contact, make_draft, make_team, make_user

OUTER = "segment = 内层 and gender = f"
FROZEN = '(role = "finance" or carrier = "china_mobile") and gender = "f"'


async def _with_inner(
    conn: Connection, team: Team, author: User, now: datetime
) -> tuple[Segment, Campaign]:
    inner = await insert_segment(conn, author, "内层", "role = finance or carrier = 移动", now)
    return inner, await make_draft(conn, team.operator, now=now, rule=OUTER)


async def _edit(conn: Connection, inner: Segment, by: User, now: datetime) -> None:
    await update_segment(conn, replace(inner, rule="age > 17", edited_by=by.id, edited_at=now))


async def test_the_rule_is_frozen_with_its_inner_segment_written_out(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    _, draft = await _with_inner(conn, team, team.operator, now)
    submitted = await approval.submit(conn, team.operator, draft.id, now)
    assert submitted.frozen_rule == FROZEN


@pytest.mark.attack
async def test_an_edit_of_an_inner_segment_voids_what_waits_for_approval(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    inner, draft = await _with_inner(conn, team, team.operator, now)
    await approval.submit(conn, team.operator, draft.id, now)
    await _edit(conn, inner, team.operator, now)
    with pytest.raises(Conflict, match="has changed since it was submitted"):
        await approval.approve(conn, team.approver, draft.id, "", now)


async def test_who_wrote_an_inner_segment_cannot_approve(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    author = await make_user(
        conn, Role.OPERATOR, Role.APPROVER, now=now, department_id=team.department_id
    )
    _, draft = await _with_inner(conn, team, author, now)
    await approval.submit(conn, team.operator, draft.id, now)
    with pytest.raises(Forbidden, match="a segment that it uses"):
        await approval.approve(conn, author, draft.id, "", now)
    with pytest.raises(CheckViolation, match="approved_by_no_editor_of_the_rule"):
        async with conn.transaction():
            await conn.execute(
                "UPDATE campaigns SET approved_by = $2, approved_at = $3,"
                " approved_hash = content_hash WHERE id = $1",
                draft.id,
                author.id,
                now,
            )
    assert (await approval.approve(conn, team.approver, draft.id, "", now)).state == "scheduled"


async def test_an_edit_of_an_inner_segment_changes_nothing_of_what_was_approved(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """The people are read at the fire, by the rule as it was approved; both counts are kept."""
    async with pool.acquire() as conn:
        team = await make_team(conn, now=now)
        inner, draft = await _with_inner(conn, team, team.operator, now)
        await _woman(conn, keyring, team.department_id, 1, now)
        await approval.submit(conn, team.operator, draft.id, now)
        await approval.approve(conn, team.approver, draft.id, "", now)
        await _edit(conn, inner, team.approver, now)
        await _woman(conn, keyring, team.department_id, 2, now)
        await _woman(conn, keyring, team.department_id, 3, now, carrier="china_unicom")
    later = now + timedelta(minutes=1)
    (run_id,) = await fire_due(pool, later, limits=DriftLimits(1.0, 1.0))
    made = await expand_run(pool, run_id, later)
    async with pool.acquire() as conn:
        run = await run_store.get_run(conn, run_id, None)
        rule = await conn.fetchval("SELECT rule FROM runs WHERE id = $1", run_id)
        campaign = await planning.load(conn, draft.id, None)
    assert made is not None
    assert run is not None
    assert rule == FROZEN
    assert (run.baseline, made.target + made.excluded) == (1, 2)
    assert campaign.state is State.RUNNING


async def _woman(
    conn: Connection, keyring: Keyring, department: UUID, number: int, now: datetime, **more: str
) -> None:
    await make_contact(conn, keyring, department, number, now=now, gender="f", **more)


async def test_a_returned_campaign_forgets_who_wrote_its_rule(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    _, draft = await _with_inner(conn, team, team.operator, now)
    await approval.submit(conn, team.operator, draft.id, now)
    back = await approval.send_back(conn, team.approver, draft.id, "check", now)
    assert back.rule_editors == []
