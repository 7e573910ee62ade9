"""Before a plan is approved, one sees whom the caps will cost it and which other plans are why."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.people.model import Role, User
from service.campaigns.core.store import get_campaign
from service.crypto import Keyring
from service.dispatch.forecast.cap_conflicts import Clashes, find_clashes
from service.dispatch.handoff import store
from service.dispatch.handoff.store import MarkRequest
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.crowd import departments, launch, received
from tests.harness.ledger import TEXT, Scene, add_contacts, phone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)

RULE = "carrier = mobile"


async def add_plan(
    conn: Connection, scene: Scene, at: datetime, *, text: str, state: str = "scheduled"
) -> UUID:
    """An approved campaign to everybody that is to fire at an instant."""
    version = await conn.fetchval(
        "INSERT INTO template_versions (template_id, no, text, lint, edited_by, created_at) "
        "SELECT template_id, (SELECT max(no) + 1 FROM template_versions), $2, '[]', edited_by, $3 "
        "FROM template_versions WHERE id = $1 RETURNING id",
        scene.template_version,
        text,
        at,
    )
    made: UUID = await conn.fetchval(
        """
        INSERT INTO campaigns (department_id, name, template_version_id, segment_id, priority,
            schedule, state, created_by, created_at, edited_by, frozen_rule, text_edited_by,
            rule_edited_by, submitted_by, submitted_at, content_hash, approved_by, approved_at,
            approved_hash, next_fire_at)
        SELECT $1, 'c', $2, $3, 'normal', schedule, $8, $4, $6, $4, $7, $4, $4, $4, $6, 'h', $5, $6,
            'h', $6
        FROM (SELECT $9::jsonb AS schedule) s
        RETURNING id
        """,
        scene.department,
        version,
        scene.segment,
        scene.operator,
        scene.approver,
        at,
        RULE,
        state,
        {
            "kind": "once",
            "start_at": at.isoformat(),
            "timezone": "Asia/Shanghai",
            "send_hours": [["08:00", "20:00"]],
            "late": "run",
            "validity_minutes": 60,
        },
    )
    return made


async def look(conn: Connection, scene: Scene, plan: UUID, now: datetime) -> Clashes:
    actor = User(scene.operator, scene.department, "police", "", "", frozenset({Role.OPERATOR}))
    campaign = await get_campaign(conn, plan, None)
    assert campaign is not None
    return await find_clashes(conn, actor, campaign, RULE, now)


def shown(found: Clashes) -> Any:
    return found.capped, [(c.campaign_id, c.people) for c in found.others]


async def test_the_plans_of_the_same_days_and_whom_they_cost(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (ours, _), (theirs, _) = await departments(pool, keyring, now, 2, 12)
    async with pool.acquire() as conn:
        await add_contacts(conn, keyring, ours, [phone(n) for n in range(100, 105)], now)
        plan = await add_plan(conn, ours, now + 2 * DAY, text="a")
        assert shown(await look(conn, ours, plan, now)) == (0, [])
        same_day = await add_plan(conn, ours, now + 2 * DAY + 3 * HOUR, text="b")
        await add_plan(conn, theirs, now + DAY + 3 * HOUR, text="c")
        # Too far away for a day's cap, and a week's has room for two.
        await add_plan(conn, ours, now + 5 * DAY, text="d")
        await add_plan(conn, ours, now + 2 * DAY, text="e", state="cancelled")
        # The same text once more is too many, whenever.
        again = await add_plan(conn, ours, now + 6 * DAY, text="a")
        found = await look(conn, ours, plan, now)
        assert shown(found) == (0, [(same_day, 17), (None, 10), (again, 17)])
        assert found.others[1].name is None
        department = await conn.fetchval(
            "SELECT name FROM departments WHERE id = $1", theirs.department
        )
        assert found.others[1].department == department
        # Who had one this week has room for one more in seven days; who had two, for none.
        await received(pool, keyring, phone(0), [now - DAY])
        await received(pool, keyring, phone(1), [now - DAY, now - 3 * DAY])
        await received(pool, keyring, phone(2), [now - 20 * DAY], "a")
        found = await look(conn, ours, plan, now)
        assert found.capped == 2
        costs = {c.fires_at: c.people for c in found.others}
        assert costs[now + 2 * DAY + 3 * HOUR] == 15
        assert costs[now + 5 * DAY] == 1


async def test_nobody_is_found_on_another_departments_list_by_a_rule_for_few(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (ours, _), (theirs, _) = await departments(pool, keyring, now, 2, 9)
    async with pool.acquire() as conn:
        plan = await add_plan(conn, ours, now + DAY, text="a")
        await add_plan(conn, theirs, now + DAY, text="b")
        assert shown(await look(conn, ours, plan, now)) == (0, [])
        await add_contacts(conn, keyring, ours, [phone(9)], now)
        await add_contacts(conn, keyring, theirs, [phone(9)], now)
        assert shown(await look(conn, ours, plan, now)) == (0, [(None, 10)])


@pytest.mark.parametrize("reached", [0, 4])
async def test_of_a_plan_that_is_sending_those_count_whom_it_has_still_to_reach(
    pool: Pool, keyring: Keyring, now: datetime, reached: int
) -> None:
    ((ours, channel),) = await departments(pool, keyring, now, 1, 12)
    sending = await launch(pool, keyring, (ours, channel), now)
    if reached:
        lease = await sending.must_lease()
        await sending.claim(lease)
        async with transaction(pool) as conn:
            await store.lock_for_mark(conn, lease, sending.run)
            asked = [MarkRequest(sending.run, 1, no, 1) for no in range(1, reached + 1)]
            await store.mark(conn, lease, asked, now)
    async with pool.acquire() as conn:
        plan = await add_plan(conn, ours, now + timedelta(hours=5), text=TEXT)
        found = await look(conn, ours, plan, now)
    assert found.capped == reached
    assert [c.people for c in found.others] == [12 - reached]
