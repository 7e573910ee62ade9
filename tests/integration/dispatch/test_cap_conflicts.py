"""Before a plan is approved, one sees whom the caps will cost it and which other plans are why."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from service.crypto import Keyring
from service.dispatch.forecast.cap_conflicts import CapConflicts
from service.dispatch.handoff import store
from service.dispatch.handoff.store import MarkRequest
from service.storage.postgres import Pool, transaction
from tests.harness.crowd import add_plan, departments, launch, look, received
from tests.harness.ledger import TEXT, add_contacts, phone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def shown(found: CapConflicts) -> Any:
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
