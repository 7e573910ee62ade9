"""Invariant I8: the code refuses a second role of the same person, and so does the database."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import Role, User
from service.campaigns.approval import approval
from service.campaigns.core.model import State
from service.campaigns.plans import planning
from service.errors import Conflict, Forbidden, NotFound
from service.messages.lint.lint import lint
from service.messages.store import NewVersion, template_add_version
from service.storage.postgres import CheckViolation, Connection
from tests.factories import TEXT, Team, make_draft, make_team, make_user


async def _submitted(conn: Connection, team: Team, hands: dict[str, User], now: datetime) -> UUID:
    """A submitted campaign that different persons wrote, ruled, edited and submitted."""
    draft = await make_draft(conn, hands.get("created", team.operator), now=now)
    await conn.execute("UPDATE segments SET edited_by = $1", hands.get("rule", team.operator).id)
    writer = hands.get("text", team.operator)
    version = NewVersion(TEXT, lint(TEXT), writer.id)
    await template_add_version(conn, draft.plan.template_id, version, now)
    editor = hands.get("edited", team.operator)
    await planning.edit(conn, editor, draft.id, lambda plan: replace(plan, name="名"), now)
    await approval.submit(conn, hands.get("submitted", team.operator), draft.id, now)
    return draft.id


@pytest.mark.attack
@pytest.mark.parametrize("hand", ["text", "rule", "edited", "submitted"])
async def test_whoever_had_a_hand_in_it_cannot_approve(
    conn: Connection, now: datetime, hand: str
) -> None:
    team = await make_team(conn, now=now)
    both = await make_user(
        conn, Role.OPERATOR, Role.APPROVER, now=now, department_id=team.department_id
    )
    campaign_id = await _submitted(conn, team, {hand: both}, now)
    with pytest.raises(Forbidden, match="somebody else must approve"):
        await approval.approve(conn, both, campaign_id, "", now)


@pytest.mark.attack
@pytest.mark.parametrize("hand", ["text", "rule", "edited", "submitted"])
async def test_the_database_refuses_it_too(conn: Connection, now: datetime, hand: str) -> None:
    team = await make_team(conn, now=now)
    other = await make_user(conn, Role.OPERATOR, now=now, department_id=team.department_id)
    campaign_id = await _submitted(conn, team, {hand: other}, now)
    approve = """
        UPDATE campaigns SET state = 'scheduled', approved_by = $2, approved_at = $3,
            approved_hash = content_hash
        WHERE id = $1
    """
    for person in (other, team.operator):
        with pytest.raises(CheckViolation, match="approved_by_a_second_person"):
            async with conn.transaction():
                await conn.execute(approve, campaign_id, person.id, now)
    await conn.execute(approve, campaign_id, team.approver.id, now)


@pytest.mark.attack
@pytest.mark.parametrize(
    "column",
    [
        "submitted_by",
        "text_edited_by",
        "rule_edited_by",
        "content_hash",
        "approved_hash",
        "approved_at",
    ],
)
async def test_the_database_takes_no_approval_with_a_gap(
    conn: Connection, now: datetime, column: str
) -> None:
    """NULL must not slip through a CHECK, which passes on "unknown"."""
    team = await make_team(conn, now=now)
    campaign_id = await _submitted(conn, team, {}, now)
    await approval.approve(conn, team.approver, campaign_id, "", now)
    with pytest.raises(CheckViolation):
        async with conn.transaction():
            await conn.execute(f"UPDATE campaigns SET {column} = NULL WHERE id = $1", campaign_id)


@pytest.mark.attack
async def test_the_database_runs_nothing_unapproved(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    draft = await make_draft(conn, team.operator, now=now)
    for state in ("scheduled", "running", "paused", "held", "done"):
        with pytest.raises(CheckViolation, match="nothing_runs_unapproved"):
            async with conn.transaction():
                await conn.execute("UPDATE campaigns SET state = $2 WHERE id = $1", draft.id, state)


async def test_an_approval_is_bound_to_what_was_submitted(conn: Connection, now: datetime) -> None:
    """The database refuses an approved hash that differs from the submitted one."""
    team = await make_team(conn, now=now)
    campaign_id = await _submitted(conn, team, {}, now)
    with pytest.raises(CheckViolation, match="approved_by_a_second_person"):
        async with conn.transaction():
            await conn.execute(
                """
                UPDATE campaigns SET approved_by = $2, approved_at = $3, approved_hash = 'other'
                WHERE id = $1
                """,
                campaign_id,
                team.approver.id,
                now,
            )


@pytest.mark.attack
async def test_a_user_without_the_role_cannot_approve(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    campaign_id = await _submitted(conn, team, {}, now)
    for user in (team.viewer, team.operator):
        with pytest.raises(Forbidden, match="approve"):
            await approval.approve(conn, user, campaign_id, "", now)


async def test_an_approver_of_another_department_does_not_see_it(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    stranger = await make_user(conn, Role.APPROVER, now=now)
    campaign_id = await _submitted(conn, team, {}, now)
    with pytest.raises(NotFound):
        await approval.approve(conn, stranger, campaign_id, "", now)
    county = await make_user(conn, Role.ADMIN, now=now, kind="county")
    approved = await approval.approve(conn, county, campaign_id, "", now)
    assert approved.state is State.SCHEDULED


async def test_an_approval_comes_in_time_or_not_at_all(conn: Connection, now: datetime) -> None:
    team = await make_team(conn, now=now)
    campaign_id = await _submitted(conn, team, {}, now)
    with pytest.raises(Conflict, match="expired"):
        await approval.approve(conn, team.approver, campaign_id, "", now + timedelta(days=7))
    await approval.approve(
        conn, team.approver, campaign_id, "", now + timedelta(days=7, seconds=-1)
    )
