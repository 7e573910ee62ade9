"""A joint plan whose words were withdrawn: its legs hold the same version, in other departments."""

from datetime import datetime, timedelta

from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.model import State
from service.campaigns.runs.firing import fire_due
from service.crypto import Keyring
from service.dispatch.direct.withdrawal import withdraw
from service.messages.store import approve_version, template_get
from service.storage.postgres import Pool, transaction
from tests.factories import make_team
from tests.harness.joint import MOBILE, make_joint_county
from tests.harness.offers import offered

HOUR = timedelta(hours=1)


async def test_the_legs_of_a_joint_plan_are_told_and_do_not_send_withdrawn_words(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    async with transaction(pool) as conn:
        police = await make_team(conn, now=now, kind="police")
        town = await make_team(conn, now=now, kind="town")
    county = await make_joint_county(pool, keyring, now, police)
    await county.give(MOBILE, [1, 2, 3])
    plan = await county.approve(Schedule("once", now + HOUR))
    await county.take(MOBILE)
    async with transaction(pool) as conn:
        approver = (police.approver.id, None)
        await approve_version(conn, plan.template_version_id, approver, [], now)
        template = await template_get(conn, plan.plan.template_id, None)
        offer = await offered(conn, police.approver, template, now, town.department_id)
        await withdraw(conn, police.operator, offer.id, "号码有误", now, stops=False)
        told = await conn.fetch(
            "SELECT department_id, campaign_id FROM interruptions WHERE kind = 'text.withdrawn'"
        )
    own = await county.own(MOBILE)
    assert (county.sides[MOBILE].department_id, own.id) in {tuple(row) for row in told}
    assert await fire_due(pool, now + HOUR) == []
    assert (await county.own(MOBILE)).state is State.HELD
