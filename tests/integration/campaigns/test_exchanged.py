"""Lists that are exchanged between an approval and a fire: the fire is held and says how many."""

from datetime import datetime, timedelta

import pytest

from service.accounts.people.model import By, Role, User
from service.campaigns.approval import approval
from service.campaigns.calendar.fires import Why
from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.core import fire_store
from service.campaigns.core.fire_store import FireRecord
from service.campaigns.core.model import Campaign, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.runs.firing import DriftLimits, fire_due
from service.crypto import Keyring
from service.errors import Forbidden
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import (
    TEXT,
    Team,
    make_contact,
    make_draft,
    make_scheduled,
    make_team,
    make_user,
)

DAY = timedelta(days=1)
GREETING = TEXT.replace("】", "】{姓名}您好，", 1)
pytestmark = pytest.mark.attack


class World:
    """A department with people in its lists, and a plan for all of them."""

    def __init__(self, pool: Pool, keyring: Keyring, now: datetime) -> None:
        self.pool, self.keyring, self.now = pool, keyring, now
        self.team: Team
        self.campaign: Campaign

    async def plan(self, people: int, schedule: Schedule, *texts: str) -> None:
        async with transaction(self.pool) as conn:
            self.team = await make_team(conn, now=self.now)
            for n in range(people):
                await self._add(conn, n)
            self.campaign = await make_scheduled(
                conn,
                self.team,
                now=self.now,
                schedule=schedule,
                text=texts[0] if texts else TEXT,
                further=[(text, None) for text in texts[1:]],
            )

    async def _add(self, conn: Connection, number: int, **columns: object) -> None:
        await make_contact(
            conn,
            self.keyring,
            self.team.department_id,
            number,
            now=self.now,
            **columns,
        )

    async def exchange(self, leave: range, join: range, **columns: object) -> None:
        """Take some people out of the lists, and put others in."""
        async with transaction(self.pool) as conn:
            for n in leave:
                gone = self.keyring.phone_index(f"+861979{n:07d}")
                await conn.execute("DELETE FROM contacts WHERE phone_hash = $1", gone)
            for n in join:
                await self._add(conn, n, **columns)

    async def fire(self, at: datetime) -> int:
        return len(await fire_due(self.pool, at))

    async def fires(self) -> list[FireRecord]:
        async with transaction(self.pool) as conn:
            return (await fire_store.list_fires(conn, self.campaign.id, None, 50))[::-1]

    async def state(self) -> State:
        async with transaction(self.pool) as conn:
            return (await planning.load(conn, self.campaign.id, None)).state

    async def fire_for_good(self, at: datetime) -> int:
        """Fire, with the run handed off at once, so that the next fire may come."""
        fired = await self.fire(at)
        async with transaction(self.pool) as conn:
            await conn.execute("UPDATE runs SET state = 'sent'")
        return fired

    async def release(self, user: User, at: datetime, choice: LatePolicy | None = None) -> None:
        async with transaction(self.pool) as conn:
            by = By(user.id, "looked at", at)
            await lifecycle.release(conn, user, self.campaign.id, by, choice)

    async def user(self, *roles: Role) -> User:
        async with transaction(self.pool) as conn:
            return await make_user(
                conn, *roles, now=self.now, department_id=self.team.department_id
            )


@pytest.fixture
def world(pool: Pool, keyring: Keyring, now: datetime) -> World:
    return World(pool, keyring, now)


def _daily(now: datetime) -> Schedule:
    return Schedule("recurring", now + DAY, rrule="FREQ=DAILY")


@pytest.mark.parametrize(
    ("people", "exchanged", "held"),
    [(20, 2, False), (20, 3, True), (20, 20, True), (5, 1, False), (5, 2, True)],
)
async def test_a_list_of_which_more_than_a_tenth_was_exchanged_is_held(
    world: World, now: datetime, people: int, exchanged: int, held: bool
) -> None:
    await world.plan(people, Schedule("once", now + DAY))
    await world.exchange(range(exchanged), range(100, 100 + exchanged))
    assert await world.fire(now + DAY) == (not held)
    (fire,) = await world.fires()
    if not held:
        assert (fire.outcome, fire.others) == ("fired", None)
        return
    assert (fire.outcome, fire.code, fire.others, fire.people) == (
        "held",
        Why.EXCHANGED,
        exchanged,
        people,
    )
    assert await world.state() is State.HELD


async def test_who_leaves_is_nobody_else(world: World, now: datetime) -> None:
    await world.plan(20, Schedule("once", now + DAY))
    await world.exchange(range(4), range(0))
    assert await world.fire(now + DAY) == 1


async def test_a_county_sets_its_share(world: World, now: datetime) -> None:
    await world.plan(20, Schedule("once", now + DAY))
    await world.exchange(range(3), range(100, 103))
    assert len(await fire_due(world.pool, now + DAY, limits=DriftLimits(exchanged=0.15))) == 1


async def test_only_who_may_approve_releases_it(world: World, now: datetime) -> None:
    await world.plan(20, Schedule("once", now + DAY))
    await world.exchange(range(20), range(100, 120))
    await world.fire(now + DAY)
    for user in (world.team.operator, await world.user(Role.OPERATOR)):
        with pytest.raises(Forbidden):
            await world.release(user, now + DAY)
    assert await world.fire(now + DAY) == 0
    await world.release(world.team.approver, now + DAY)
    assert await world.fire(now + DAY) == 1
    (fire,) = await world.fires()
    assert (fire.outcome, fire.code, fire.others) == ("fired", Why.EXCHANGED, 20)


async def test_who_exchanged_the_list_does_not_release_it(world: World, now: datetime) -> None:
    await world.plan(20, Schedule("once", now + DAY))
    both = await world.user(Role.OPERATOR, Role.APPROVER)
    await world.exchange(range(20), range(100, 120))
    async with transaction(world.pool) as conn:
        await conn.execute(
            """
            INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,
                                 file_bytes, file_sha256, created_at)
            VALUES ($1, $2, '名单', 'duty', '2027-12-31', '', 0, '', $3)
            """,
            world.team.department_id,
            both.id,
            now,
        )
    await world.fire(now + DAY)
    with pytest.raises(Forbidden, match="put in a list since"):
        await world.release(both, now + DAY)
    await world.release(both, now + DAY, "skip")
    assert await world.fire(now + DAY) == 0


async def test_a_list_exchanged_once_more_after_it_was_held_is_held_again(
    world: World, now: datetime
) -> None:
    """Who releases it has seen the people who were held, and nobody else."""
    await world.plan(20, Schedule("once", now + DAY))
    await world.exchange(range(3), range(100, 103))
    await world.fire(now + DAY)
    await world.exchange(range(3, 20), range(103, 120))
    await world.release(world.team.approver, now + DAY)
    assert await world.fire(now + DAY) == 0
    (fire,) = await world.fires()
    assert (fire.outcome, fire.released_at, fire.others) == ("held", None, 17)


async def test_a_plan_that_recurs_goes_on_with_those_who_were_accepted(
    world: World, now: datetime
) -> None:
    await world.plan(20, _daily(now))
    await world.exchange(range(3), range(100, 103))
    assert await world.fire(now + DAY) == 0
    assert await world.state() is State.SCHEDULED
    assert await world.fire(now + 2 * DAY) == 0, "these are still others"
    async with transaction(world.pool) as conn:
        by = By(world.team.approver.id, "looked at", now + 2 * DAY)
        await lifecycle.release(
            conn, world.team.approver, world.campaign.id, by, None, now + 2 * DAY
        )
    assert await world.fire(now + 2 * DAY) == 1
    async with transaction(world.pool) as conn:
        await conn.execute("UPDATE runs SET state = 'sent'")
    assert await world.fire(now + 3 * DAY) == 1, "and by itself from now on"
    assert [fire.outcome for fire in await world.fires()] == ["held", "fired", "fired"]


async def test_a_list_that_is_exchanged_bit_by_bit_is_held_all_the_same(
    world: World, now: datetime
) -> None:
    """Newcomers and leavers of months add up, for only a person says who the people are by now."""
    await world.plan(20, _daily(now))
    outcomes = []
    for day in range(1, 5):
        await world.exchange(range(day - 1, day), range(99 + day, 100 + day))
        outcomes.append(await world.fire(now + day * DAY))
    assert outcomes == [1, 1, 0, 0]


async def test_texts_in_turn_are_compared_by_the_people_of_each_text(
    world: World, now: datetime
) -> None:
    """The first text greets by name, the second does not, so it goes to more people."""
    await world.plan(20, _daily(now), GREETING, TEXT)
    assert await world.fire_for_good(now + DAY) == 1
    await world.exchange(range(0), range(100, 103), name_cipher=None)
    assert await world.fire_for_good(now + 2 * DAY) == 0
    held = (await world.fires())[-1]
    assert (held.outcome, held.code, held.others, held.people) == ("held", Why.EXCHANGED, 3, 23)
    await world.release(world.team.approver, now + 2 * DAY)
    assert await world.fire_for_good(now + 2 * DAY) == 1
    assert await world.fire_for_good(now + 3 * DAY) == 1, "the first text, to those with a name"
    assert await world.fire_for_good(now + 4 * DAY) == 1, "the second, to all 23"
    await world.exchange(range(3), range(103, 106))
    assert await world.fire_for_good(now + 5 * DAY) == 0
    held = (await world.fires())[-1]
    assert (held.others, held.people) == (3, 20)
    await world.release(world.team.approver, now + 5 * DAY)
    assert await world.fire_for_good(now + 5 * DAY) == 1
    assert await world.fire_for_good(now + 6 * DAY) == 1, "those without a name are nobody new"


async def test_those_whom_a_later_text_alone_suits_count_in_the_number(
    world: World, now: datetime
) -> None:
    await world.plan(20, _daily(now), GREETING, TEXT)
    await world.exchange(range(0), range(100, 105), name_cipher=None)
    assert await world.fire(now + DAY) == 0
    assert await world.state() is State.PENDING_APPROVAL
    assert world.campaign.baseline == 20


async def test_a_new_approval_is_for_the_people_of_that_day(world: World, now: datetime) -> None:
    await world.plan(20, _daily(now))
    async with transaction(world.pool) as conn:
        actor = world.team.operator
        await planning.edit(conn, actor, world.campaign.id, lambda plan: plan, now)
    await world.exchange(range(5), range(100, 105))
    async with transaction(world.pool) as conn:
        await approval.submit(conn, world.team.operator, world.campaign.id, now)
        await approval.approve(conn, world.team.approver, world.campaign.id, "", now)
    assert await world.fire(now + DAY) == 1


async def test_a_plan_of_before_knows_its_people_from_its_next_fire_on(
    world: World, now: datetime
) -> None:
    await world.plan(20, _daily(now))
    async with transaction(world.pool) as conn:
        await conn.execute("DELETE FROM campaign_targets")
    await world.exchange(range(3), range(100, 103))
    assert await world.fire(now + DAY) == 1
    await world.exchange(range(3, 6), range(103, 106))
    assert await world.fire(now + 2 * DAY) == 0


async def test_nothing_of_the_people_is_kept_of_a_plan_that_has_ended(
    world: World, now: datetime
) -> None:
    await world.plan(20, Schedule("once", now + DAY))
    await world.exchange(range(3), range(100, 103))
    await world.fire(now + DAY)
    async with transaction(world.pool) as conn:
        kept = await conn.fetch("SELECT octet_length(people::text) FROM campaign_targets")
        assert len(kept) == 2, "of the approval, and of the fire that is held"
        by = By(world.team.operator.id, "over", now + DAY)
        await lifecycle.cancel(conn, world.team.operator, world.campaign.id, by)
        assert await conn.fetchval("SELECT count(*) FROM campaign_targets") == 0


async def test_a_correction_and_a_drifted_plan_are_asked_of_as_before(
    world: World, now: datetime
) -> None:
    await world.plan(20, _daily(now))
    await world.exchange(range(0), range(100, 110))
    assert await world.fire(now + DAY) == 0
    assert await world.state() is State.PENDING_APPROVAL
    async with transaction(world.pool) as conn:
        draft = await make_draft(conn, world.team.operator, now=now)
        assert (
            await conn.fetchval(
                "SELECT count(*) FROM campaign_targets WHERE campaign_id = $1", draft.id
            )
            == 0
        ), "a draft has nobody's approval"
