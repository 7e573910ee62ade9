"""Plans for newcomers: whoever newly has a role gets one text, soon, within hours, once."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import pytest

from service.accounts.people.model import By
from service.audience.imports import store as imports
from service.audience.imports.model import ImportRequest
from service.audience.rosters.rosters import ask_undo, put_members, run_undo
from service.audience.suppressions.suppression_store import insert_suppressions
from service.campaigns.approval import approval
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import fire_store
from service.campaigns.core.model import Campaign, Plan, State
from service.campaigns.plans import lifecycle, planning
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs.firing import fire_due, reset_next_fires
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import Pool, transaction
from tests.factories import Team, make_draft, make_scheduled, make_team, suppression
from tests.harness.ledger import add_channel, lift_caps

MINUTE, HOUR, DAY = (timedelta(seconds=n) for n in (60, 3_600, 86_400))
PLAN = Schedule("joining", roles=("finance", "owner"))
SHANGHAI = ZoneInfo("Asia/Shanghai")
A, B, C, D = (f"1979000123{n}" for n in range(4))
ACCOUNTANT, OWNER, RESIDENT = "会计", "企业负责人", "居民"


class County:
    """A team with a plan for newcomers, its lists, and the clock that the test turns."""

    def __init__(self, pool: Pool, keyring: Keyring, team: Team, now: datetime) -> None:
        self.pool, self.keyring, self.team, self.now = pool, keyring, team, now
        self.campaign: Campaign

    async def put(
        self, *rows: tuple[str, str], roster: str = "企业", mode: str = "replace"
    ) -> UUID:
        """Make a list hold these numbers with these roles, as a department's system does."""
        asked = ImportRequest(self.team.department_id, self.team.operator.id, roster, "", mode=mode)
        people = [{"phone": phone, "name": "张三", "roles": role} for phone, role in rows]
        async with transaction(self.pool) as conn:
            made = await put_members(conn, self.keyring, asked, people, self.now)
        return made.import_id

    async def undo(self, import_id: UUID) -> None:
        async with self.pool.acquire() as conn:
            async with conn.transaction():
                asked = await imports.lock_import(conn, import_id)
                await ask_undo(conn, asked, self.team.operator.id, self.now)
            assert await run_undo(conn, import_id, self.now)

    async def approve(self, schedule: Schedule = PLAN) -> None:
        async with transaction(self.pool) as conn:
            self.campaign = await make_scheduled(conn, self.team, now=self.now, schedule=schedule)

    async def look(self, after: timedelta = 10 * MINUTE) -> list[str]:
        """The numbers that got a text by a look after some time, or "-" for one left out."""
        self.now += after
        found: list[str] = []
        for run_id in await fire_due(self.pool, self.now):
            await expand_run(self.pool, run_id, self.now, self.keyring)
            found += await self.reached(run_id)
            async with transaction(self.pool) as conn:
                await conn.execute("UPDATE runs SET state = 'sent' WHERE id = $1", run_id)
                await finish_campaigns(conn, [self.campaign.id], self.now)
        return found

    async def reached(self, run_id: UUID) -> list[str]:
        rows = await self.pool.fetch(
            "SELECT phone_cipher AS cipher FROM messages WHERE run_id = $1"
            " UNION ALL SELECT NULL FROM exclusions WHERE run_id = $1",
            run_id,
        )
        decrypt = self.keyring.decrypt
        return sorted(
            decrypt("phone", row["cipher"]).removeprefix("+86") if row["cipher"] else "-"
            for row in rows
        )

    async def runs(self) -> int:
        count: int = await self.pool.fetchval("SELECT count(*) FROM runs")
        return count

    async def loaded(self) -> Campaign:
        async with self.pool.acquire() as conn:
            return await planning.load(conn, self.campaign.id, None)


@pytest.fixture
async def county(pool: Pool, keyring: Keyring, now: datetime) -> County:
    async with transaction(pool) as conn:
        await lift_caps(conn)
        team = await make_team(conn, now=now)
        await add_channel(conn, keyring, 1, now)
    return County(pool, keyring, team, now)


async def test_who_is_new_gets_one_text_at_the_next_look(county: County) -> None:
    await county.put((A, ACCOUNTANT), (B, RESIDENT))
    await county.approve()
    assert county.campaign.next_fire_at == county.now + 10 * MINUTE
    assert await county.look() == []
    assert await county.runs() == 0  # where nobody is new, there is no run
    await county.put((A, ACCOUNTANT), (B, RESIDENT), (C, ACCOUNTANT))
    assert await county.look(9 * MINUTE) == []
    assert await county.look(MINUTE) == [C]
    assert await county.look() == await county.look(DAY) == []
    assert (await county.loaded()).state is State.SCHEDULED
    async with county.pool.acquire() as conn:
        (fire,) = await fire_store.list_fires(conn, county.campaign.id, None, 10)
    assert (fire.outcome, fire.note) == ("fired", "1 new")


async def _again(county: County) -> None:
    """The same list once more."""
    await county.put((A, ACCOUNTANT), (C, ACCOUNTANT))


async def _elsewhere(county: County) -> None:
    """The same people on another list."""
    await county.put((A, ACCOUNTANT), (C, ACCOUNTANT), roster="协会")


async def _left_and_back(county: County) -> None:
    """They leave, and are back a month later."""
    await county.put((D, RESIDENT))
    assert await county.look(30 * DAY) == []
    await county.put((A, ACCOUNTANT), (C, ACCOUNTANT))


async def _undone_and_back(county: County) -> None:
    made = await county.put((A, ACCOUNTANT), (C, ACCOUNTANT), (D, RESIDENT), roster="协会")
    await county.undo(made)
    await _elsewhere(county)


async def _removed_and_back(county: County) -> None:
    await county.pool.execute("DELETE FROM contacts")
    await county.put((A, ACCOUNTANT), (C, ACCOUNTANT))


async def _met_with_another_role(county: County) -> None:
    """The plan has written to C already."""
    await county.put((A, ACCOUNTANT), (C, OWNER))


@pytest.mark.parametrize(
    "happens",
    [
        _again,
        _elsewhere,
        _left_and_back,
        _undone_and_back,
        _removed_and_back,
        _met_with_another_role,
    ],
)
async def test_nobody_is_new_twice(
    county: County, happens: Callable[[County], Awaitable[None]]
) -> None:
    await county.put((A, ACCOUNTANT))
    await county.approve()
    await county.put((A, ACCOUNTANT), (C, ACCOUNTANT))
    assert await county.look() == [C]
    await happens(county)
    assert await county.look() == await county.look() == []
    assert await county.runs() == 1


@pytest.mark.parametrize("role", [RESIDENT, OWNER])
async def test_a_new_role_makes_a_person_new(county: County, role: str) -> None:
    """Also to an owner the work of a finance person is new."""
    await county.put((A, role))
    await county.approve()
    await county.put((A, role), (B, RESIDENT))
    assert await county.look() == []
    await county.put((A, f"{role};{ACCOUNTANT}"))
    assert await county.look() == [A]


async def test_who_is_taken_off_before_the_look_gets_nothing(county: County) -> None:
    await county.put((A, RESIDENT))
    await county.approve()
    made = await county.put((A, RESIDENT), (B, ACCOUNTANT), roster="协会")
    await county.undo(made)
    assert await county.look() == []
    assert await county.runs() == 0


async def test_a_role_that_was_taken_back_before_the_look_counts_no_more(county: County) -> None:
    """A newer list calls A a resident, and A is written to as one."""
    await county.approve()
    await county.put((A, ACCOUNTANT))
    await county.put((A, RESIDENT))
    assert await county.look() == []


async def test_another_departments_newcomers_are_not_its_own(county: County) -> None:
    await county.approve()
    ours = county.team
    async with transaction(county.pool) as conn:
        county.team = await make_team(conn, now=county.now)
    await county.put((A, ACCOUNTANT))
    assert await county.look() == []
    county.team = ours
    await county.put((A, ACCOUNTANT))
    assert await county.look() == [A]


@pytest.mark.parametrize(
    ("approved", "joins", "text"),
    [
        ("2027-01-12T10:03", "2027-01-12T10:04", "2027-01-12T10:10"),
        ("2027-01-12T10:10", "2027-01-12T10:15", "2027-01-12T10:20"),
        ("2027-01-12T10:00", "2027-01-12T19:51", "2027-01-13T08:00"),
        ("2027-01-12T23:00", "2027-01-13T03:00", "2027-01-13T08:00"),
    ],
)
async def test_it_waits_for_the_hours_and_never_a_day(
    county: County, approved: str, joins: str, text: str
) -> None:
    at, joined, sent = (
        datetime.fromisoformat(t).replace(tzinfo=SHANGHAI) for t in (approved, joins, text)
    )
    county.now = at
    await county.approve()
    while county.now + MINUTE <= joined:
        assert await county.look(MINUTE) == []
    await county.put((A, ACCOUNTANT))
    while county.now + MINUTE < sent:
        assert await county.look(MINUTE) == []
    assert await county.look(MINUTE) == [A]
    assert sent - joined < DAY


async def test_a_released_look_out_of_hours_waits(county: County) -> None:
    await county.approve()
    await county.put((A, ACCOUNTANT))
    county.now = county.now.replace(hour=15)  # 23:00 in Shanghai
    async with county.pool.acquire() as conn:
        await conn.execute("UPDATE campaigns SET next_fire_at = $1", county.now)
    assert await county.look(timedelta()) == []
    at = (await county.loaded()).next_fire_at
    assert at is not None
    assert at.astimezone(SHANGHAI).hour == 8


async def test_any_number_of_schedulers_and_workers_write_to_each_once(county: County) -> None:
    await county.approve()
    await county.put((A, ACCOUNTANT), (B, OWNER))
    at = county.now + 10 * MINUTE
    fired = await asyncio.gather(*(fire_due(county.pool, at) for _ in range(6)))
    (run,) = [run for runs in fired for run in runs]
    await asyncio.gather(*(expand_run(county.pool, run, at) for _ in range(4)))
    assert await county.reached(run) == [A, B]


async def test_a_crash_before_or_within_the_ledger_loses_nobody(
    county: County, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run whose ledger is not written keeps later looks from making another."""
    await county.approve()
    await county.put((A, ACCOUNTANT))
    (run,) = await fire_due(county.pool, county.now + 10 * MINUTE)
    with monkeypatch.context() as broken:
        broken.setattr("service.dispatch.expansion.expand_store.write_slices", _break)
        with pytest.raises(RuntimeError):
            await expand_run(county.pool, run, county.now + 11 * MINUTE)
    assert await county.reached(run) == []
    assert await fire_due(county.pool, county.now + 20 * MINUTE) == []
    await expand_run(county.pool, run, county.now + 21 * MINUTE)
    assert await county.reached(run) == [A]
    assert await fire_due(county.pool, county.now + 30 * MINUTE) == []


async def _break(*_: Any) -> None:
    raise RuntimeError


async def test_two_runs_at_once_share_nobody(county: County) -> None:
    """Even if a second run were made, who is new is decided where the ledger is written."""
    await county.approve()
    await county.put((A, ACCOUNTANT), (B, OWNER))
    (run,) = await fire_due(county.pool, county.now + 10 * MINUTE)
    columns = await county.pool.fetchval(
        "SELECT string_agg(column_name, ', ') FROM information_schema.columns"
        " WHERE table_name = 'runs' AND column_name NOT IN ('id', 'fire_at')"
        " AND is_generated = 'NEVER'"
    )
    twin = await county.pool.fetchval(
        f"INSERT INTO runs (id, fire_at, {columns})"
        f" SELECT $1, fire_at + interval '1 s', {columns} FROM runs RETURNING id",
        uuid4(),
    )
    at = county.now + 11 * MINUTE
    await asyncio.gather(expand_run(county.pool, run, at), expand_run(county.pool, twin, at))
    assert sorted(await county.reached(run) + await county.reached(twin)) == [A, B]


async def test_who_refused_is_left_out_by_name_and_once(county: County) -> None:
    await county.approve()
    hashed = county.keyring.phone_index("+86" + A)
    async with transaction(county.pool) as conn:
        await insert_suppressions(conn, [hashed], suppression("opted_out"), county.now)
    await county.put((A, ACCOUNTANT), (B, ACCOUNTANT))
    assert await county.look() == ["-", B]
    assert await county.look() == await county.look(2 * DAY) == []


async def test_who_had_no_route_is_tried_again_the_next_day(county: County) -> None:
    await county.approve()
    await county.put((A, ACCOUNTANT))
    await county.pool.execute("UPDATE channels SET enabled = false")
    assert await county.look() == ["-"]
    await county.pool.execute("UPDATE channels SET enabled = true")
    assert await county.look() == []
    assert await county.look(DAY) == [A]
    assert await county.look(2 * DAY) == []


async def test_the_rule_says_for_whom_the_plan_is(county: County) -> None:
    async with transaction(county.pool) as conn:
        operator, approver = county.team.operator, county.team.approver
        draft = await make_draft(conn, operator, now=county.now, schedule=PLAN, rule="role = owner")
        await approval.submit(conn, operator, draft.id, county.now)
        county.campaign = await approval.approve(conn, approver, draft.id, "", county.now)
    await county.put((A, ACCOUNTANT), (B, OWNER))
    assert await county.look() == [B]


@pytest.mark.parametrize("act", [lifecycle.pause, lifecycle.cancel])
async def test_pause_and_cancel_stop_it(
    county: County, act: Callable[..., Awaitable[Campaign]]
) -> None:
    await county.approve()
    await county.put((A, ACCOUNTANT))
    by = By(county.team.operator.id, "r", county.now)
    async with transaction(county.pool) as conn:
        await act(conn, county.team.operator, county.campaign.id, by)
    assert await county.look() == []
    if act is lifecycle.pause:
        async with transaction(county.pool) as conn:
            await lifecycle.resume(conn, county.team.operator, county.campaign.id, by)
        assert await county.look() == [A]


async def test_it_ends_after_its_last_look(county: County) -> None:
    await county.approve(Schedule("joining", roles=("finance",), until=county.now + 15 * MINUTE))
    assert await county.look() == []
    await county.put((A, ACCOUNTANT))
    assert await county.look() == []
    assert (await county.loaded()).state is State.DONE


async def test_after_its_period_it_is_held(county: County) -> None:
    await county.approve()
    await county.put((A, ACCOUNTANT))
    await county.pool.execute("UPDATE campaigns SET period_end = $1", county.now + 5 * MINUTE)
    assert await county.look() == []
    assert (await county.loaded()).state is State.HELD


async def test_a_list_read_wrongly_waits_for_a_person(county: County) -> None:
    """51 at once are more than a few, and more than the approver was told of; approved, they go."""
    await county.approve()
    await county.put(*((f"197900020{n:02}", ACCOUNTANT) for n in range(51)))
    assert await county.look() == []
    waiting = await county.loaded()
    assert (waiting.state, waiting.baseline) == (State.PENDING_APPROVAL, 51)
    async with transaction(county.pool) as conn:
        await approval.approve(conn, county.team.approver, county.campaign.id, "", county.now)
    assert len(await county.look()) == 51


def _urgent(plan: Plan) -> Plan:
    return replace(plan, priority="urgent")


async def test_who_joins_while_a_plan_is_mended_is_not_forgotten(county: County) -> None:
    await county.put((A, ACCOUNTANT))
    await county.approve()
    operator, approver = county.team.operator, county.team.approver
    async with transaction(county.pool) as conn:
        await planning.edit(conn, operator, county.campaign.id, _urgent, county.now)
    await county.put((A, ACCOUNTANT), (B, ACCOUNTANT))
    assert await county.look() == []
    async with transaction(county.pool) as conn:
        await approval.submit(conn, operator, county.campaign.id, county.now)
        await approval.approve(conn, approver, county.campaign.id, "", county.now)
    assert await county.look() == [B]


async def test_the_roles_are_part_of_what_is_approved(county: County) -> None:
    await county.approve()
    await county.pool.execute(
        """UPDATE campaigns SET schedule = schedule || '{"roles": ["resident"]}'"""
    )
    await county.put((A, RESIDENT))
    assert await county.look() == []
    assert (await county.loaded()).state is State.HELD


async def test_new_hours_move_the_next_look(county: County) -> None:
    county.now = county.now.replace(hour=15)
    await county.approve()
    noon = county.now.replace(hour=4) + DAY
    async with transaction(county.pool) as conn:
        await conn.execute("UPDATE campaigns SET next_fire_at = $1", noon)
        assert await reset_next_fires(conn, county.now) == 1
    at = (await county.loaded()).next_fire_at
    assert at is not None
    assert at.astimezone(SHANGHAI).hour == 8
