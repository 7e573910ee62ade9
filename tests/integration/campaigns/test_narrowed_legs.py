"""A leg that its department narrows: never to nobody, and each side sees how it was taken."""

from datetime import datetime, timedelta

import pytest

from service.audience.areas.area_store import load_areas
from service.campaigns.approval.legs import Narrower
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.legs import LegState, TakenAs
from service.crypto import Keyring
from service.errors import Invalid
from service.storage.postgres import Pool, transaction
from tests.harness.joint import MOBILE, UNICOM, JointCounty, make_joint_county

TOWN, OTHER = "341825100000", "341825101000"


@pytest.fixture
async def county(pool: Pool, keyring: Keyring, now: datetime) -> JointCounty:
    """Two people of one carrier in a town, and a plan that asks two towns of it."""
    county = await make_joint_county(pool, keyring, now)
    async with transaction(pool) as conn:
        await load_areas(conn)
    await county.give(MOBILE, [1, 2], area_code=TOWN)
    await county.approve(Schedule("once", now + timedelta(hours=1)), asks={MOBILE: (TOWN, OTHER)})
    return county


async def test_areas_where_nobody_of_the_base_lives_are_refused(county: JointCounty) -> None:
    with pytest.raises(Invalid, match="reach nobody") as refused:
        await county.take(MOBILE, Narrower(areas=(OTHER,)))
    assert list(refused.value.fields) == ["areas"]
    assert f"in {OTHER} the leg reaches nobody" in refused.value.fields["areas"]
    assert "all 2 people of china_mobile 旌德" in refused.value.fields["areas"]
    assert (await county.leg(MOBILE)).state is LegState.ASKED


async def test_channels_of_another_carrier_are_refused(county: JointCounty) -> None:
    others = county.sides[UNICOM].channel
    for areas in (None, (TOWN,)):
        with pytest.raises(Invalid, match="reach nobody") as refused:
            await county.take(MOBILE, Narrower(areas=areas, channels=(others,)))
        assert list(refused.value.fields) == ["channels"]
        assert f"over {others} it reaches nobody" in refused.value.fields["channels"]
        assert "all 2 people of china_mobile 旌德" in refused.value.fields["channels"]
    with pytest.raises(Invalid, match="beyond the plan") as unknown:
        await county.take(MOBILE, Narrower(channels=(county.sides[MOBILE].channel, 777)))
    assert "no channel 777" in unknown.value.fields["channels"]
    assert (await county.leg(MOBILE)).state is LegState.ASKED


async def test_a_base_that_has_nobody_yet_may_be_taken_narrower(
    county: JointCounty, now: datetime
) -> None:
    """Nobody is left out who would be reached without it."""
    await county.approve(Schedule("once", now + timedelta(hours=2)), asks={UNICOM: (TOWN, OTHER)})
    leg = await county.take(UNICOM, Narrower(areas=(TOWN,)))
    assert leg.taken_as is not None
    assert leg.taken_as.people == 0


async def test_a_leg_says_how_it_was_taken(county: JointCounty) -> None:
    own = county.sides[MOBILE].channel
    hours = (("09:00", "18:00"),)
    leg = await county.take(MOBILE, Narrower((TOWN,), hours, (own,), 50))
    assert leg.areas == (TOWN, OTHER)
    assert leg.taken_as == TakenAs(2, (TOWN,), hours, (own,), 50)
