"""Joint plans: one text of the police, each carrier's own leg, and nobody twice."""

import asyncio
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from service.accounts.departments.department_store import register
from service.accounts.people.model import By, User
from service.audience.areas.area_store import load_areas
from service.campaigns.approval import legs
from service.campaigns.approval.legs import Narrower
from service.campaigns.calendar.fires import Why
from service.campaigns.calendar.schedule import LatePolicy, Schedule
from service.campaigns.core import fire_store, leg_store, store
from service.campaigns.core.legs import Leg, LegState
from service.campaigns.core.model import Act, Campaign, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.plans.missed import MissedFires
from service.campaigns.runs.firing import fire_due
from service.crypto import Keyring
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.messages.lint.lint_store import policy_set
from service.reports.campaign import campaign_report
from service.storage.postgres import CheckViolation, Connection, Pool, transaction
from tests.factories import TEXT, make_contact, make_team
from tests.harness.bulletins import WEEK, give_bulletin
from tests.harness.joint import CARRIERS, MOBILE, UNICOM, JointCounty, make_joint_county
from tests.harness.waiting import until

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
async def county(pool: Pool, keyring: Keyring, now: datetime) -> JointCounty:
    return await make_joint_county(pool, keyring, now)


def in_an_hour(county: JointCounty, late: LatePolicy = "run") -> Schedule:
    return Schedule("once", county.now + HOUR, late=late)


def weekly(county: JointCounty, late: LatePolicy = "run") -> Schedule:
    return Schedule(
        "recurring",
        county.now + HOUR,
        rrule="FREQ=WEEKLY;COUNT=6",
        late=late,
    )


async def test_each_leg_that_was_taken_fires_to_its_own_people(county: JointCounty) -> None:
    for number, carrier in enumerate(CARRIERS):
        await county.give(carrier, range(number * 10, number * 10 + 3))
    plan = await county.approve(in_an_hour(county))
    assert plan.state is State.SCHEDULED
    assert plan.baseline == 9
    for carrier in CARRIERS:
        assert (await county.leg(carrier)).state is LegState.ASKED
        await county.take(carrier)
        own = await county.own(carrier)
        assert (own.state, own.baseline) == (State.SCHEDULED, 3)
        assert (own.approved_by, own.submitted_by) == (plan.approved_by, plan.submitted_by)
        assert own.department_id == county.sides[carrier].department_id
    assert len(await county.pass_time(HOUR)) == 3
    for carrier in CARRIERS:
        assert await county.hand_off(carrier) == {"submitting": 3}
    async with county.pool.acquire() as conn:
        (fire,) = await fire_store.list_fires(conn, plan.id, None, 10)
    assert (fire.outcome, fire.run_id) == ("shared", None)


async def test_a_leg_has_the_figures_that_the_police_gave_its_plan(county: JointCounty) -> None:
    """No carrier types any, and the database takes those of the plan's department for theirs."""
    await county.give(MOBILE, [1])
    text = TEXT.replace("】", "】上周发案{起数}起。")
    figures = (("起数", "12"),)
    async with transaction(county.pool) as conn:
        await give_bulletin(conn, county.team.operator.id, county.now)
    said = {"values": figures, "figures_from": WEEK}
    await county.approve(in_an_hour(county), asks={MOBILE: ()}, text=text, **said)
    await county.take(MOBILE)
    own = await county.own(MOBILE)
    assert (own.text, own.plan.values) == (text.replace("{起数}", "12"), figures)
    (run,) = await county.pass_time(HOUR)
    sent = await county.pool.fetchval("SELECT text FROM runs WHERE id = $1", run)
    assert sent == own.text


async def test_the_plan_is_done_when_its_last_leg_is(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county, "skip"), asks={MOBILE: (), UNICOM: ()})
    await county.take(MOBILE)
    await county.pass_time(HOUR)
    assert (await county.loaded()).state is State.RUNNING
    await county.hand_off(MOBILE)
    await county.arrive()
    await county.finish()
    assert (await county.own(MOBILE)).state is State.DONE
    assert (await county.loaded()).state is State.DONE
    assert (await county.leg(UNICOM)).state is LegState.LEFT_OUT


async def test_a_plan_is_steered_again_when_texts_of_a_leg_come_back(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    (run,) = await county.pass_time(HOUR)
    await county.hand_off(MOBILE)
    await county.arrive()
    await county.finish()
    assert (await county.loaded()).state is State.DONE
    async with transaction(county.pool) as conn:
        await lifecycle.reopen_campaigns(conn, [run], "unsent texts came back", county.now)
    assert (await county.own(MOBILE)).state is State.RUNNING
    assert (await county.loaded()).state is State.RUNNING
    await county.finish()


async def test_a_leg_nobody_takes_waits_a_month_after_the_last_fire(county: JointCounty) -> None:
    await county.approve(in_an_hour(county), asks={UNICOM: ()})
    await county.pass_time(HOUR)
    await county.pass_time(30 * DAY)
    assert (await county.leg(UNICOM)).state is LegState.ASKED
    await county.pass_time(DAY)
    assert (await county.leg(UNICOM)).state is LegState.LEFT_OUT
    assert (await county.loaded()).state is State.DONE


async def test_a_plan_that_cannot_end_keeps_no_other_from_it(
    county: JointCounty, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    plans = []
    for _ in range(2):
        await county.approve(in_an_hour(county, "skip"), asks={UNICOM: ()})
        plans.append(await county.loaded())
    whole = leg_store.list_legs

    async def broken(conn: Connection, plan_id: UUID) -> list[Leg]:
        if plan_id == plans[0].id:
            raise RuntimeError("broken")
        return await whole(conn, plan_id)

    county.now += HOUR
    await fire_due(county.pool, county.now)
    monkeypatch.setattr(leg_store, "list_legs", broken)
    await lifecycle.finish_joint_plans(county.pool, county.now)
    states = [(await county.loaded(plan.id)).state for plan in plans]
    assert states == [State.RUNNING, State.DONE]
    assert "ending a joint plan failed" in caplog.text


async def test_the_signature_of_a_leg_is_that_of_the_plans_department(
    county: JointCounty,
) -> None:
    async with transaction(county.pool) as conn:
        await policy_set(conn, {"levels": {"R02": "block"}}, "as shipped", None, county.now)
        await register(
            conn, "signature", "旌德县反诈中心", county.team.department_id, by=None, now=county.now
        )
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    await county.pass_time(HOUR)
    assert await county.hand_off(MOBILE) == {"submitting": 1}


async def test_a_leg_nobody_took_is_left_out_by_name_and_made_up_for(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.give(UNICOM, [2])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    await county.take(MOBILE)
    assert len(await county.pass_time(HOUR)) == 1
    async with county.pool.acquire() as conn:
        (out,) = await leg_store.list_left_out(conn, plan.id)
        (fire,) = await fire_store.list_fires(conn, plan.id, None, 10)
    leg = await county.leg(UNICOM)
    assert (out.leg_id, out.state, out.made_up_at) == (leg.id, "asked", None)
    assert leg.department in fire.note
    assert "fire.leg_left_out" in await county.told(county.team.department_id)
    assert "fire.leg_left_out" in await county.told(leg.department_id)
    county.now += HOUR
    await county.take(UNICOM)
    assert len(await county.pass_time()) == 1
    assert await county.hand_off(UNICOM) == {"submitting": 1}
    async with county.pool.acquire() as conn:
        (out,) = await leg_store.list_left_out(conn, plan.id)
    assert out.made_up_at == county.now


async def test_a_plan_that_holds_late_fires_asks_whoever_takes_a_leg_late(
    county: JointCounty,
) -> None:
    await county.give(UNICOM, [2])
    await county.approve(in_an_hour(county, "hold"), asks={UNICOM: ()})
    await county.pass_time(2 * HOUR)
    with pytest.raises(MissedFires):
        await county.take(UNICOM)
    assert (await county.leg(UNICOM)).state is LegState.ASKED  # nothing half done
    await county.take(UNICOM, missed="run")
    assert len(await county.pass_time()) == 1


async def test_of_several_fires_missed_by_a_leg_only_the_last_is_sent(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(weekly(county), asks={MOBILE: ()})
    await county.pass_time(HOUR)
    await county.pass_time(7 * DAY)
    await county.pass_time(DAY)
    await county.take(MOBILE)
    assert len(await county.pass_time()) == 1
    async with county.pool.acquire() as conn:
        fires = await fire_store.list_fires(conn, (await county.own(MOBILE)).id, None, 10)
    assert [fire.outcome for fire in fires] == ["fired", "skipped"]
    assert len(await county.pass_time(6 * DAY)) == 1  # and from then on each week


async def test_whose_people_are_in_two_legs_get_it_once(county: JointCounty) -> None:
    await county.give(MOBILE, [1, 2, 3])
    await county.give(UNICOM, [2, 3, 4])
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    await county.take(MOBILE)
    await county.take(UNICOM)
    await county.pass_time(HOUR)
    assert await county.hand_off(MOBILE) == {"submitting": 3}
    assert await county.hand_off(UNICOM) == {"submitting": 1, "suppressed:other_leg": 2}


async def test_two_legs_that_mark_one_person_at_once_send_one_text(county: JointCounty) -> None:
    await county.pool.execute("DELETE FROM frequency_caps")  # no cap stands between them
    await county.give(MOBILE, range(20))
    await county.give(UNICOM, range(10, 30))
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    await county.take(MOBILE)
    await county.take(UNICOM)
    await county.pass_time(HOUR)
    runs = {carrier: await county.run_of(carrier) for carrier in (MOBILE, UNICOM)}
    leases = {carrier: await county.lease(carrier, run) for carrier, run in runs.items()}

    async def mark() -> None:
        async with transaction(county.pool) as conn:
            await county.mark(conn, leases[UNICOM], runs[UNICOM])

    async def waits() -> bool:
        found: bool = await county.pool.fetchval(
            "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock')"
        )
        return found

    async with transaction(county.pool) as conn:
        await county.mark(conn, leases[MOBILE], runs[MOBILE])
        second = asyncio.create_task(mark())
        await until(waits)  # it began before the first one's commit
    await second
    assert await county.states(runs[MOBILE]) == {"submitting": 20}
    assert await county.states(runs[UNICOM]) == {"submitting": 10, "suppressed:other_leg": 10}


async def test_a_ledger_leaves_out_by_name_whom_another_leg_has_had(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.give(UNICOM, [1, 2])
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    await county.take(MOBILE)
    await county.pass_time(HOUR)
    assert await county.hand_off(MOBILE) == {"submitting": 1}
    county.now += HOUR
    await county.take(UNICOM)
    await county.pass_time()
    assert await county.hand_off(UNICOM) == {"submitting": 1}
    rows = await county.pool.fetch("SELECT reason FROM exclusions")
    assert [row["reason"] for row in rows] == ["other_leg"]
    mobile, unicom = await county.own(MOBILE), await county.own(UNICOM)
    async with county.pool.acquire() as conn:
        report = await campaign_report(conn, (await county.loaded()).id, "real", None, None)
    assert report["by_campaign"][unicom.id].excluded == {"other_leg": 1}
    assert not report["by_campaign"][mobile.id].excluded


async def test_the_parts_of_a_leg_have_those_of_earlier_attempts(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    (run,) = await county.pass_time(HOUR)
    await county.hand_off(MOBILE)
    await county.pool.execute(
        "INSERT INTO attempts (run_id, no, attempt, channel_id, part_count, submitted_at, state)"
        " SELECT run_id, no, attempt, channel_id, 3, $2, 'undelivered' FROM messages"
        " WHERE run_id = $1",
        run,
        county.now,
    )
    await county.arrive()
    own = await county.own(MOBILE)
    async with county.pool.acquire() as conn:
        report = await campaign_report(conn, (await county.loaded()).id, "real", None, None)
    assert report["by_campaign"][own.id].parts == report["total"]["parts"] > 3


async def test_a_list_of_a_department_and_a_base_send_once(county: JointCounty) -> None:
    async with transaction(county.pool) as conn:
        union = await make_team(conn, now=county.now)
        await make_contact(conn, county.keyring, union.department_id, 1, now=county.now)
    side = county.sides[MOBILE]
    county.sides["union"] = type(side)(
        union.department_id, union.operator, union.approver, side.channel
    )
    await county.give(MOBILE, [1, 2])
    await county.approve(in_an_hour(county), asks={"union": (), MOBILE: ()})
    await county.take("union")
    await county.take(MOBILE)
    await county.pass_time(HOUR)
    assert await county.hand_off("union") == {"submitting": 1}
    assert await county.hand_off(MOBILE) == {"submitting": 1, "suppressed:other_leg": 1}


async def test_a_text_that_never_left_leaves_its_person_to_another_leg(county: JointCounty) -> None:
    from service.dispatch.limits import joint_store

    await county.give(MOBILE, [1])
    await county.give(UNICOM, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    await county.take(MOBILE)
    await county.take(UNICOM)
    await county.pass_time(HOUR)
    assert await county.hand_off(MOBILE) == {"submitting": 1}
    run = await county.run_of(MOBILE)
    await county.pool.execute("UPDATE messages SET state = 'queued' WHERE run_id = $1", run)
    await county.pool.execute("DELETE FROM recent_texts")
    async with transaction(county.pool) as conn:
        await joint_store.give_back(conn, [(run, 1)])
    assert await county.hand_off(UNICOM) == {"submitting": 1}
    assert await county.hand_off(MOBILE, run) == {"suppressed:other_leg": 1}


async def test_a_county_pauses_all_and_a_carrier_its_own(county: JointCounty) -> None:
    for number, carrier in enumerate((MOBILE, UNICOM)):
        await county.give(carrier, [number])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    for carrier in (MOBILE, UNICOM):
        await county.take(carrier)
    mobile = county.sides[MOBILE].operator

    async def act(what: str, user: User, campaign_id: UUID) -> None:
        async with transaction(county.pool) as conn:
            await getattr(lifecycle, what)(conn, user, campaign_id, county.by(user))

    async def stand() -> list[str]:
        owns = [await county.own(carrier) for carrier in (MOBILE, UNICOM)]
        return [(await county.loaded()).state.value, *(own.state.value for own in owns)]

    own = await county.own(MOBILE)
    await act("pause", mobile, own.id)
    assert await stand() == ["scheduled", "paused", "scheduled"]
    assert "campaign.paused" in await county.told(county.team.department_id)
    await act("pause", county.team.operator, plan.id)
    assert await stand() == ["paused"] * 3
    assert "campaign.paused" in await county.told(county.sides[UNICOM].department_id)
    with pytest.raises(Conflict, match="whole joint plan"):
        await act("resume", mobile, own.id)
    await act("resume", county.team.operator, plan.id)
    assert await stand() == ["scheduled", "paused", "scheduled"]
    await act("resume", mobile, own.id)
    assert await stand() == ["scheduled"] * 3
    await act("cancel", mobile, own.id)
    assert await stand() == ["scheduled", "cancelled", "scheduled"]
    await act("cancel", county.team.operator, plan.id)
    assert await stand() == ["cancelled"] * 3


async def test_a_carrier_may_pause_its_leg_while_all_is_paused(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    own, side = await county.own(MOBILE), county.sides[MOBILE]
    for user, campaign_id in ((county.team.operator, plan.id), (side.operator, own.id)):
        async with transaction(county.pool) as conn:
            await lifecycle.pause(conn, user, campaign_id, county.by(user))
    async with transaction(county.pool) as conn:
        await lifecycle.resume(conn, county.team.operator, plan.id, county.by(county.team.operator))
    assert (await county.own(MOBILE)).state is State.PAUSED


async def test_a_leg_that_the_service_paused_waits_for_its_own_department(
    county: JointCounty,
) -> None:
    for number, carrier in enumerate((MOBILE, UNICOM)):
        await county.give(carrier, [number])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    for carrier in (MOBILE, UNICOM):
        await county.take(carrier)
    office, side = county.team.operator, county.sides[MOBILE].operator
    own = await county.own(MOBILE)
    async with transaction(county.pool) as conn:
        why = By(None, "too many texts fail", county.now, Why.GUARD)
        await store.move(conn, own.id, Act.PAUSE, State.PAUSED, why)
    async with transaction(county.pool) as conn:
        await lifecycle.pause(conn, office, plan.id, county.by(office))
        await lifecycle.resume(conn, office, plan.id, county.by(office))
    assert (await county.own(MOBILE)).state is State.PAUSED
    assert (await county.own(UNICOM)).state is State.SCHEDULED
    async with transaction(county.pool) as conn:
        await lifecycle.resume(conn, side, own.id, county.by(side))
    assert (await county.own(MOBILE)).state is State.SCHEDULED


@pytest.mark.attack
async def test_nobody_of_one_side_acts_for_the_other(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    leg = await county.leg(MOBILE)
    for user in (county.team.operator, county.team.approver, county.team.admin):
        async with transaction(county.pool) as conn:
            with pytest.raises(Forbidden):
                await legs.take(conn, user, leg.id, Narrower(), county.by(user))
            with pytest.raises(Forbidden):
                await legs.give_back(conn, user, leg.id, county.by(user, "no"))
    other = county.sides[UNICOM].operator
    async with transaction(county.pool) as conn:
        with pytest.raises(NotFound):
            await legs.take(conn, other, leg.id, Narrower(), county.by(other))


@pytest.mark.attack
async def test_who_planned_it_takes_no_leg_even_as_a_user_of_the_carrier(
    county: JointCounty,
) -> None:
    """The database says so, whatever the code above decides."""
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    leg, side = await county.leg(MOBILE), county.sides[MOBILE]
    await county.pool.execute(
        "UPDATE users SET department_id = $2 WHERE id = $1",
        county.team.operator.id,
        side.department_id,
    )
    for taken_by in (county.team.operator.id, county.team.approver.id):
        with pytest.raises(CheckViolation):
            await county.pool.execute(
                "UPDATE campaign_legs SET taken_by = $2, taken_at = $3 WHERE id = $1",
                leg.id,
                taken_by,
                county.now,
            )


async def give_secret(county: JointCounty, maker: User, user: User) -> None:
    """Somebody knows a key of somebody else."""
    await county.pool.execute(
        "INSERT INTO keys (user_id, name, token_hash, created_by, activated_by, activated_at,"
        " held_roles, held_rights)"
        " VALUES ($1, 'k', $5, $2, $3, $4, '{}', '{}')",
        user.id,
        maker.id,
        county.team.viewer.id,
        county.now,
        uuid4().bytes,
    )


@pytest.mark.attack
async def test_who_holds_a_secret_of_the_other_side_takes_no_leg(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()})
    await give_secret(county, county.team.operator, county.sides[MOBILE].operator)
    await give_secret(county, county.sides[UNICOM].operator, county.team.approver)
    for carrier in (MOBILE, UNICOM):
        leg, side = await county.leg(carrier), county.sides[carrier]
        with pytest.raises(Forbidden, match="could act as"):
            await county.take(carrier)
        with pytest.raises(CheckViolation):
            await county.pool.execute(
                "UPDATE campaign_legs SET taken_by = $2, taken_at = $3 WHERE id = $1",
                leg.id,
                side.operator.id,
                county.now,
            )


async def test_one_administrator_may_have_made_the_accounts_of_both_sides(
    county: JointCounty,
) -> None:
    await county.give(MOBILE, [1])
    for user in (county.team.operator, county.sides[MOBILE].operator):
        await give_secret(county, county.team.admin, user)
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    assert (await county.take(MOBILE)).state is LegState.TAKEN


@pytest.mark.attack
async def test_no_leg_sends_that_was_not_taken(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    own = await county.own(MOBILE)
    await county.pool.execute("UPDATE campaigns SET state = 'paused' WHERE id = $1", own.id)
    async with transaction(county.pool) as conn:
        await conn.execute(
            "UPDATE campaign_legs SET state = 'returned', taken_by = NULL, taken_at = NULL,"
            " own_campaign_id = NULL"
        )
        with pytest.raises(CheckViolation):
            async with conn.transaction():
                await conn.execute("UPDATE campaigns SET state = 'running' WHERE id = $1", own.id)


async def test_a_leg_is_returned_with_a_reason_and_asked_again(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: ()})
    leg, side, office = await county.leg(MOBILE), county.sides[MOBILE], county.team.operator
    async with transaction(county.pool) as conn:
        await legs.give_back(conn, side.operator, leg.id, county.by(side.operator, "网络割接"))
    assert (await county.leg(MOBILE)).state is LegState.RETURNED
    assert "leg.returned" in await county.told(county.team.department_id)
    with pytest.raises(Conflict):
        await county.take(MOBILE)
    async with transaction(county.pool) as conn:
        await legs.ask_again(conn, office, leg.id, None, county.by(office, "请改期"))
    await county.take(MOBILE)
    async with county.pool.acquire() as conn:
        moves = await leg_store.list_leg_moves(conn, plan.id)
    assert [move.to_state for move in moves] == ["asked", "returned", "asked", "taken"]
    assert moves[1].reason == "网络割接"


async def test_a_plan_fires_whose_returned_leg_is_asked_for_fewer_areas(
    county: JointCounty,
) -> None:
    """What was approved stays, and so the plan is still what was approved."""
    town, other = "341825100000", "341825101000"
    async with transaction(county.pool) as conn:
        await load_areas(conn)
    await county.give(MOBILE, [1], area_code=town)
    await county.give(MOBILE, [2], area_code=other)
    plan = await county.approve(in_an_hour(county), asks={MOBILE: (town, other)})
    leg, side, office = await county.leg(MOBILE), county.sides[MOBILE], county.team.operator

    async def ask_for(*areas: str) -> None:
        async with transaction(county.pool) as conn:
            await legs.give_back(conn, side.operator, leg.id, county.by(side.operator, "太多"))
            await legs.ask_again(conn, office, leg.id, areas, county.by(office, "少一些"))

    await ask_for(town)
    with pytest.raises(Invalid):
        await county.take(MOBILE, Narrower(areas=(other,)))
    with pytest.raises(Invalid):
        await ask_for("341825102000")
    await ask_for(other)
    await county.take(MOBILE)
    await county.pass_time(HOUR)
    async with county.pool.acquire() as conn:
        (fire,) = await fire_store.list_fires(conn, plan.id, None, 10)
    assert fire.outcome == "shared"
    assert await county.hand_off(MOBILE) == {"submitting": 1}


async def test_a_leg_is_narrowed_and_never_widened(county: JointCounty) -> None:
    town, other = "341825100000", "341825101000"
    async with transaction(county.pool) as conn:
        await load_areas(conn)
    await county.give(MOBILE, [1], area_code=town)
    await county.give(MOBILE, [2], area_code=other)
    await county.give(MOBILE, [3])
    await county.approve(in_an_hour(county), asks={MOBILE: (town, other)})
    for wrong in (
        Narrower(areas=("341825102000",)),
        Narrower(areas=("999999999999",)),
        Narrower(areas=()),
        Narrower(send_hours=(("07:00", "09:00"),)),
    ):
        with pytest.raises(Invalid):
            await county.take(MOBILE, wrong)
    await county.take(MOBILE, Narrower(areas=(town,), send_hours=(("09:00", "18:00"),), max_tps=50))
    own = await county.own(MOBILE)
    assert (own.baseline, own.plan.max_tps) == (1, 50)
    assert own.plan.schedule.send_hours == (("09:00", "18:00"),)
    await county.pass_time(HOUR)
    assert await county.hand_off(MOBILE) == {"submitting": 1}


async def test_the_words_of_a_leg_are_the_plans(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    own, side = await county.own(MOBILE), county.sides[MOBILE]
    async with transaction(county.pool) as conn:
        with pytest.raises(Conflict, match="leg of a joint plan"):
            await planning.edit(conn, side.operator, own.id, lambda p: p, county.now)
        with pytest.raises(Conflict, match="have been taken"):
            await planning.edit(conn, county.team.operator, plan.id, lambda p: p, county.now)
        await lifecycle.cancel(conn, side.operator, own.id, county.by(side.operator))
        with pytest.raises(Conflict, match="have been taken"):
            await planning.edit(conn, county.team.operator, plan.id, lambda p: p, county.now)


async def test_a_plan_that_changes_asks_nobody_any_more(county: JointCounty) -> None:
    await county.give(MOBILE, [1])
    plan = await county.approve(in_an_hour(county), asks={MOBILE: ()})
    async with transaction(county.pool) as conn:
        await planning.edit(conn, county.team.operator, plan.id, lambda p: p, county.now)
    assert (await county.leg(MOBILE)).state is LegState.PLANNED
    told = await county.told(county.sides[MOBILE].department_id)
    assert told == ["leg.asked", "leg.withdrawn"]


async def drifted(county: JointCounty) -> Campaign:
    """A leg that is held, for its base has grown by a half since it was taken."""
    await county.give(MOBILE, range(10))
    await county.approve(in_an_hour(county), asks={MOBILE: ()})
    await county.take(MOBILE)
    await county.give(MOBILE, range(100, 105))
    assert await county.pass_time(HOUR) == []
    return await county.own(MOBILE)


async def let_go(county: JointCounty, user: User, own: Campaign) -> None:
    async with transaction(county.pool) as conn:
        by = By(user.id, "the base has grown", county.now)
        await lifecycle.release(conn, user, own.id, by)


@pytest.mark.attack
async def test_a_leg_whose_base_has_changed_waits_for_an_approver_of_its_own_department(
    county: JointCounty,
) -> None:
    own = await drifted(county)
    assert own.state is State.HELD
    assert own.approved_by is not None
    side = county.sides[MOBILE]
    with pytest.raises(Forbidden):
        await let_go(county, side.operator, own)
    await let_go(county, side.approver, own)
    assert len(await county.pass_time()) == 1
    assert await county.hand_off(MOBILE) == {"submitting": 15}


@pytest.mark.attack
async def test_who_changed_the_base_of_a_leg_does_not_release_it(county: JointCounty) -> None:
    own = await drifted(county)
    side = county.sides[MOBILE]
    await county.pool.execute(
        """
        INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,
                             file_bytes, file_sha256, created_at)
        VALUES ($1, $2, '用户', 'duty', '2027-12-31', '', 0, '', $3)
        """,
        side.department_id,
        side.approver.id,
        county.now,
    )
    with pytest.raises(Forbidden, match="put in a list since"):
        await let_go(county, side.approver, own)
    assert await county.pass_time() == []


@pytest.mark.attack
async def test_who_counts_as_the_planner_does_not_release_a_leg(county: JointCounty) -> None:
    own = await drifted(county)
    side = county.sides[MOBILE]
    await give_secret(county, county.team.operator, side.approver)
    with pytest.raises(Forbidden, match="could act as"):
        await let_go(county, side.approver, own)


async def test_an_approver_releases_a_leg_though_one_administrator_made_all_accounts(
    county: JointCounty,
) -> None:
    own = await drifted(county)
    side = county.sides[MOBILE]
    for user in (county.team.operator, side.approver):
        await give_secret(county, county.team.admin, user)
    await let_go(county, side.approver, own)
    assert len(await county.pass_time()) == 1


async def test_steps_of_a_sequence_go_to_each_leg_once(county: JointCounty) -> None:
    await county.pool.execute("DELETE FROM frequency_caps")
    await county.give(MOBILE, [1, 2])
    await county.give(UNICOM, [2, 3])
    second = "【旌德县反诈中心】接到自称客服的退款电话，请先挂断，再拨96110核实。"
    await county.approve(in_an_hour(county), asks={MOBILE: (), UNICOM: ()}, further=[(second, 1)])
    await county.take(MOBILE)
    await county.take(UNICOM)
    await county.pass_time(HOUR)
    await county.hand_off(MOBILE)
    await county.hand_off(UNICOM)
    await county.arrive()
    assert len(await county.pass_time(DAY)) == 2
    assert await county.hand_off(UNICOM) == {"submitting": 2}
    assert await county.hand_off(MOBILE) == {"submitting": 1, "suppressed:other_leg": 1}


async def test_only_the_county_and_the_police_plan_for_others(
    county: JointCounty, keyring: Keyring
) -> None:
    async with transaction(county.pool) as conn:
        school = await make_team(conn, now=county.now, kind="school")
    county.team = school
    with pytest.raises(Invalid) as refused:
        await county.draft(in_an_hour(county))
    assert "legs" in refused.value.fields
