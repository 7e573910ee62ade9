"""Approvals beyond the second person: two for a warning, deputies, and a count that drifts."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service.accounts.people import deputies
from service.accounts.people.deputies import NewDeputy
from service.accounts.people.model import By, Right, Role, User
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import store
from service.campaigns.core.model import Act, Campaign, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.runs import firing
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid
from service.storage.postgres import CheckViolation, Connection
from tests.factories import Team, make_contact, make_draft, make_team, make_user

HOUR = timedelta(hours=1)


async def _warning(conn: Connection, now: datetime, kind: str = "police") -> tuple[Team, UUID]:
    """A draft of class warning."""
    team = await make_team(conn, now=now, kind=kind)
    draft = await make_draft(conn, team.operator, now=now)
    await conn.execute(
        "UPDATE templates SET class = 'warning' WHERE id = $1", draft.plan.template_id
    )
    return team, draft.id


async def _another(conn: Connection, team: Team, now: datetime, *roles: Role) -> User:
    return await make_user(conn, *roles, now=now, department_id=team.department_id)


# ---- warnings


@pytest.mark.attack
async def test_a_warning_takes_two_approvers(conn: Connection, now: datetime) -> None:
    team, campaign = await _warning(conn, now)
    third = await _another(conn, team, now, Role.APPROVER)
    await approval.submit(conn, team.operator, campaign, now)
    first = await approval.approve(conn, team.approver, campaign, "", now)
    assert (first.state, first.next_fire_at) == (State.PENDING_APPROVAL, None)
    assert await firing._fire(conn, campaign, now + HOUR) is None
    with pytest.raises(Forbidden, match="you approved it"):
        await approval.approve(conn, team.approver, campaign, "", now)
    second = await approval.approve(conn, third, campaign, "", now)
    assert second.state is State.SCHEDULED
    assert (second.approved_by, second.second_approved_by) == (team.approver.id, third.id)
    assert await firing._fire(conn, campaign, now) is not None


async def _make_key(conn: Connection, maker: User, user: User, now: datetime) -> None:
    await conn.execute(
        "INSERT INTO keys (user_id, name, token_hash, created_by, activated_by, activated_at,"
        " held_roles, held_rights) VALUES ($1, 'k', $5, $2, $3, $4, '{}', '{}')",
        *(user.id, maker.id, (await make_user(conn, Role.ADMIN, now=now)).id, now, uuid4().bytes),
    )


async def test_the_second_approver_of_a_warning_has_a_key_from_a_third_administrator(
    conn: Connection, now: datetime
) -> None:
    """As docs/accounts.md says; one without a key of anybody has a password from the machine."""
    team, campaign = await _warning(conn, now)
    first, second, third = [await _another(conn, team, now, Role.ADMIN) for _ in range(3)]
    approvers = [await _another(conn, team, now, Role.APPROVER) for _ in range(4)]
    for maker, user in zip(
        (first, first, second, second, third), (team.operator, *approvers), strict=True
    ):
        await _make_key(conn, maker, user, now)
    await approval.submit(conn, team.operator, campaign, now)
    with pytest.raises(Forbidden, match="from another administrator, a third one"):
        await approval.approve(conn, approvers[0], campaign, "", now)
    await approval.approve(conn, approvers[1], campaign, "", now)
    with pytest.raises(Forbidden, match="from another administrator, a third one"):
        await approval.approve(conn, approvers[2], campaign, "", now)
    agreed = await approval.approve(conn, approvers[3], campaign, "", now)
    assert agreed.state is State.SCHEDULED


async def test_only_the_police_warn(conn: Connection, now: datetime) -> None:
    for kind in ("department", "county", "carrier", "school"):
        team, campaign = await _warning(conn, now, kind)
        with pytest.raises(Forbidden, match="from the police alone"):
            await approval.submit(conn, team.operator, campaign, now)


async def test_an_edit_voids_the_first_of_two_approvals(conn: Connection, now: datetime) -> None:
    team, campaign = await _warning(conn, now)
    await approval.submit(conn, team.operator, campaign, now)
    await approval.approve(conn, team.approver, campaign, "", now)
    edited = await planning.edit(
        conn, team.operator, campaign, lambda plan: replace(plan, max_tps=5), now
    )
    assert (edited.state, edited.approved_by) == (State.DRAFT, None)
    await approval.submit(conn, team.operator, campaign, now)
    again = await approval.approve(conn, team.approver, campaign, "", now)
    assert again.state is State.PENDING_APPROVAL


async def test_the_database_warns_neither_by_one_nor_for_others(
    conn: Connection, now: datetime
) -> None:
    team, campaign = await _warning(conn, now)
    await approval.submit(conn, team.operator, campaign, now)
    await approval.approve(conn, team.approver, campaign, "", now)
    third = await _another(conn, team, now, Role.APPROVER)
    await conn.execute("UPDATE campaigns SET rule_editors = '{}'")  # its CHECK comes first

    async def schedule(second: UUID | None) -> None:
        async with conn.transaction():
            await conn.execute(
                """
                UPDATE campaigns SET state = 'scheduled', second_approved_by = $2,
                    second_approved_at = CASE WHEN $2::uuid IS NOT NULL THEN $3::timestamptz END
                WHERE id = $1
                """,
                campaign,
                second,
                now,
            )

    with pytest.raises(CheckViolation, match="takes two approvers"):
        await schedule(None)
    for person in (team.approver, team.operator):
        with pytest.raises(CheckViolation, match="second_approved_by_a_third_person"):
            await schedule(person.id)
    await conn.execute("UPDATE departments SET kind = 'school' WHERE id = $1", team.department_id)
    with pytest.raises(CheckViolation, match="comes from the police"):
        await schedule(third.id)
    await conn.execute("UPDATE departments SET kind = 'police' WHERE id = $1", team.department_id)
    await schedule(third.id)


# ---- deputies


async def _deputy(
    conn: Connection, team: Team, now: datetime, absent: User | None = None, *roles: Role
) -> User:
    """Somebody who stands in for an approver of the team now."""
    deputy = await _another(conn, team, now, *(roles or (Role.VIEWER,)))
    absent = absent or team.approver
    new = NewDeputy(absent.id, deputy.id, now - HOUR, now + HOUR, "leave")
    named = await deputies.name(conn, team.admin, new, now)
    assert await deputies.standing_in(conn, deputy, now) == deputy, "it waits for a second person"
    await deputies.confirm(conn, await _another(conn, team, now, Role.ADMIN), named.id, now)
    return await deputies.standing_in(conn, deputy, now)


async def _submitted(conn: Connection, team: Team, now: datetime) -> UUID:
    draft = await make_draft(conn, team.operator, now=now)
    await approval.submit(conn, team.operator, draft.id, now)
    return draft.id


async def test_a_deputy_approves_while_the_approver_is_away(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    deputy = await _deputy(conn, team, now)
    campaign = await _submitted(conn, team, now)
    approved = await approval.approve(conn, deputy, campaign, "", now)
    assert (approved.approved_by, approved.approved_for) == (deputy.id, team.approver.id)
    assert str(team.approver.id) in (await store.list_moves(conn, campaign))[-1].reason
    for when in (now - 2 * HOUR, now + HOUR):
        plain = await deputies.standing_in(conn, replace(deputy, deputy_for=None), when)
        with pytest.raises(Forbidden, match="you may not approve"):
            await approval.approve(conn, plain, campaign, "", when)


async def test_a_deputy_stands_in_for_whoever_has_the_right_by_itself(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    holder = await make_user(
        conn,
        Role.VIEWER,
        now=now,
        department_id=team.department_id,
        rights={Right.APPROVE},
    )
    deputy = await _deputy(conn, team, now, holder)
    assert deputy.deputy_for == holder.id
    campaign = await _submitted(conn, team, now)
    approved = await approval.approve(conn, deputy, campaign, "", now)
    assert approved.approved_for == holder.id
    await conn.execute("UPDATE users SET rights = '{}' WHERE id = $1", holder.id)
    plain = replace(deputy, deputy_for=None)
    assert (await deputies.standing_in(conn, plain, now)).deputy_for is None


async def test_a_deputy_whose_time_was_ended_approves_nothing(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    deputy = await _deputy(conn, team, now)
    entry = await conn.fetchval("SELECT id FROM deputies")
    with pytest.raises(Forbidden, match="the absent approver ends it"):
        await deputies.end(conn, deputy, entry, now)
    await deputies.end(conn, team.approver, entry, now)
    plain = replace(deputy, deputy_for=None)
    assert (await deputies.standing_in(conn, plain, now)).deputy_for is None
    with pytest.raises(Conflict, match="ended already"):
        await deputies.end(conn, team.approver, entry, now)


@pytest.mark.attack
async def test_nobody_approves_the_own_through_a_deputy_nor_as_one(
    conn: Connection, now: datetime
) -> None:
    team = await make_team(conn, now=now)
    both = await _another(conn, team, now, Role.OPERATOR, Role.APPROVER)
    deputy = await _deputy(conn, team, now, both)
    draft = await make_draft(conn, both, now=now)
    await approval.submit(conn, both, draft.id, now)
    with pytest.raises(Forbidden, match="whom you stand in for"):
        await approval.approve(conn, deputy, draft.id, "", now)
    with pytest.raises(CheckViolation, match="no_seat_edited_the_rule"):
        await _record(conn, draft.id, deputy, now)
    await conn.execute("UPDATE campaigns SET rule_editors = '{}'")
    with pytest.raises(CheckViolation, match="nobody_names_the_own_approver"):
        await _record(conn, draft.id, deputy, now)
    operator = await _deputy(conn, team, now, team.approver, Role.OPERATOR)
    own = await make_draft(conn, operator, now=now)
    await approval.submit(conn, operator, own.id, now)
    with pytest.raises(Forbidden, match="somebody else must approve"):
        await approval.approve(conn, operator, own.id, "", now)


async def test_a_seat_approves_a_warning_once(conn: Connection, now: datetime) -> None:
    """The deputy of whoever approved first is no second approver, and the other way round."""
    for order in (0, 1):
        team, campaign = await _warning(conn, now)
        deputy = await _deputy(conn, team, now)
        await approval.submit(conn, team.operator, campaign, now)
        seat = (team.approver, deputy)
        await approval.approve(conn, seat[order], campaign, "", now)
        with pytest.raises(Forbidden):
            await approval.approve(conn, seat[1 - order], campaign, "", now)
        with pytest.raises(CheckViolation, match="second_approved_by_a_third_person"):
            await _record(conn, campaign, seat[1 - order], now)


async def _record(conn: Connection, campaign: UUID, user: User, now: datetime) -> None:
    """Write an approval past all rules of the code."""
    content = (await planning.load(conn, campaign, None)).content_hash
    assert content is not None
    async with conn.transaction():
        await store.record_approval(conn, campaign, user.id, user.deputy_for, content, now)


@pytest.mark.parametrize("who", ["viewer for another", "deputy for the absent", "oneself"])
async def test_who_may_not_be_named_and_by_whom(conn: Connection, now: datetime, who: str) -> None:
    team = await make_team(conn, now=now)
    deputy = await _deputy(conn, team, now)
    span = (now, now + HOUR, "r")
    if who == "oneself":
        with pytest.raises(Invalid):
            await deputies.name(
                conn, team.approver, NewDeputy(team.approver.id, team.approver.id, *span), now
            )
        return
    actor = team.viewer if who == "viewer for another" else deputy
    with pytest.raises(Forbidden):
        await deputies.name(conn, actor, NewDeputy(team.approver.id, team.viewer.id, *span), now)


async def test_a_deputy_is_named_within_the_department_and_for_a_while(
    conn: Connection, now: datetime
) -> None:
    team, other = await make_team(conn, now=now), await make_team(conn, now=now)
    wrong = {
        "absent_id": NewDeputy(team.viewer.id, team.operator.id, now, now + HOUR, "r"),
        "deputy_id": NewDeputy(team.approver.id, other.viewer.id, now, now + HOUR, "r"),
        "ends_at": NewDeputy(team.approver.id, team.viewer.id, now, now + timedelta(days=93), "r"),
    }
    for field, new in wrong.items():
        with pytest.raises(Invalid) as refused:
            await deputies.name(conn, team.admin, new, now)
        assert field in refused.value.fields


# ---- drift


async def _approved(
    conn: Connection, keyring: Keyring, now: datetime, people: int
) -> tuple[Team, Campaign]:
    team = await make_team(conn, now=now)
    for n in range(people):
        await make_contact(conn, keyring, team.department_id, n, now=now)
    schedule = Schedule("once", now + HOUR)
    draft = await make_draft(conn, team.operator, now=now, schedule=schedule)
    await approval.submit(conn, team.operator, draft.id, now)
    return team, await approval.approve(conn, team.approver, draft.id, "", now)


@pytest.mark.attack
@pytest.mark.parametrize(
    ("people", "more", "fires"),
    [(10, 2, True), (10, 3, False), (10, -2, True), (10, -3, False), (0, 0, True), (0, 1, False)],
)
async def test_a_count_that_drifts_reopens_the_approval(
    conn: Connection, keyring: Keyring, now: datetime, people: int, more: int, fires: bool
) -> None:
    team, campaign = await _approved(conn, keyring, now, people)
    for n in range(more):
        await make_contact(conn, keyring, team.department_id, people + n, now=now)
    if more < 0:
        await conn.execute(
            "DELETE FROM contacts WHERE id IN (SELECT id FROM contacts LIMIT $1)", -more
        )
    limits = firing.DriftLimits(exchanged=1.0)
    run = await firing._fire(conn, campaign.id, now + HOUR, limits)
    assert (run is not None) is fires
    after = await planning.load(conn, campaign.id, None)
    if fires:
        assert after.state is State.RUNNING
        return
    assert after.state is State.PENDING_APPROVAL
    assert (after.approved_by, after.approved_hash, after.next_fire_at) == (None, None, None)
    assert after.baseline == people + more
    reason = (await store.list_moves(conn, campaign.id))[-1].reason
    assert reason == f"the rule now means {people + more} people, {people} when it was approved"
    assert await firing._fire(conn, campaign.id, now + HOUR) is None
    later = now + 2 * HOUR
    await approval.approve(conn, team.approver, campaign.id, "seen", later)
    assert await firing._fire(conn, campaign.id, later) is not None


async def test_a_release_does_not_go_round_the_drift(
    conn: Connection, keyring: Keyring, now: datetime
) -> None:
    team, campaign = await _approved(conn, keyring, now, 3)
    by = By(None, "r", now)
    await store.move(conn, campaign.id, Act.HOLD, State.HELD, by)
    for n in range(3):
        await make_contact(conn, keyring, team.department_id, 10 + n, now=now)
    await lifecycle.release(conn, team.operator, campaign.id, by)
    assert await firing._fire(conn, campaign.id, now + HOUR) is None
    assert (await planning.load(conn, campaign.id, None)).state is State.PENDING_APPROVAL
