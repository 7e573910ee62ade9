"""Notices of legs: whoever could take one is told that it is asked for, and who planned it where
one is returned; once, and only while that is so.
"""

from datetime import datetime, timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import Role
from service.campaigns.approval import legs
from service.campaigns.calendar.schedule import Schedule
from service.crypto import Keyring
from service.delivery.notices import notice_store
from service.delivery.notices.notice_choice import NoticeKind
from service.settings import Settings
from service.storage.postgres import Pool, transaction
from tests.factories import make_user
from tests.harness.joint import CARRIERS, MOBILE, TELECOM, UNICOM, JointCounty, make_joint_county
from tests.harness.told import CONSOLE, Told


@pytest.fixture
async def county(pool: Pool, keyring: Keyring, now: datetime) -> JointCounty:
    made = await make_joint_county(pool, keyring, now)
    for place, carrier in enumerate(CARRIERS):
        await made.give(carrier, range(10 * place + 1, 10 * place + 3))
    return made


@pytest.fixture
def told(county: JointCounty, runtime_settings: Settings) -> Told:
    settings = runtime_settings.model_copy(update={"console_url": CONSOLE})
    return Told(county.pool, county.keyring, settings, county.team, county.now)


async def _asked(county: JointCounty) -> None:
    await county.approve(Schedule("once", county.now + timedelta(hours=1)))


async def _owed(told: Told) -> set[tuple[UUID, str, str | None]]:
    """Who is told of what, or why not."""
    return {(row["user_id"], row["kind"], row["skipped"]) for row in await told.all()}


async def test_whoever_could_take_a_leg_is_told_that_it_is_asked_for(
    county: JointCounty, told: Told
) -> None:
    """Of each department who steers; not who only reads, nor people of others."""
    side = county.sides[MOBILE]
    async with transaction(county.pool) as conn:
        viewer = await make_user(
            conn, Role.VIEWER, now=county.now, department_id=side.department_id
        )
        stranger = await make_user(conn, Role.OPERATOR, now=county.now)
    users = [one for each in county.sides.values() for one in (each.operator, each.approver)]
    for number, user in enumerate([*users, viewer, stranger, county.team.operator]):
        await told.wants(user, (NoticeKind.LEG,), number=100 + number)
    await _asked(county)
    await told.make(timedelta(0))
    assert await _owed(told) == {(user.id, "leg", None) for user in users}
    await told.make(timedelta(0))
    assert len(await told.all()) == len(users), "once"
    assert await county.pool.fetchval("SELECT count(*) FROM notice_leg_causes") == 0


async def test_who_wants_no_such_notices_gets_none(county: JointCounty, told: Told) -> None:
    await told.wants(county.sides[MOBILE].operator, (NoticeKind.APPROVAL,))
    await _asked(county)
    await told.make()
    assert await told.all() == []


async def test_a_leg_that_was_taken_meanwhile_is_not_told_of(
    county: JointCounty, told: Told
) -> None:
    operator = county.sides[UNICOM].operator
    await told.wants(operator, (NoticeKind.LEG,))
    await _asked(county)
    await told.make(timedelta(0))
    assert await _owed(told) == {(operator.id, "leg", None)}
    await county.take(UNICOM)
    await told.make()
    assert await _owed(told) == {(operator.id, "leg", "over")}


async def test_a_returned_leg_is_told_to_who_planned_it_and_not_to_who_returned_it(
    county: JointCounty, told: Told
) -> None:
    operator = county.sides[TELECOM].operator
    await told.wants(county.team.operator, (NoticeKind.RETURNED,), number=120)
    await told.wants(operator, (NoticeKind.RETURNED,), number=121)
    await _asked(county)
    leg = await county.leg(TELECOM)
    async with transaction(county.pool) as conn:
        await legs.give_back(conn, operator, leg.id, county.by(operator, "人手不够"))
    await told.make()
    assert {(user, kind) for user, kind, _ in await _owed(told)} == {
        (county.team.operator.id, "returned")
    }
    async with transaction(county.pool) as conn:
        (row,) = await notice_store.list_lately(conn, county.team.operator.id, 10)
    assert (row["leg_id"], row["campaign"]) == (leg.id, "全县宣传")
