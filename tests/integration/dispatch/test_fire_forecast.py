"""What is foretold of each fire to come: beside other plans, sequences, and what is being sent."""

import random
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.campaigns.core.store import get_campaign
from service.crypto import Keyring
from service.dispatch.forecast.cap_places import Had, full_until
from service.dispatch.forecast.fire_forecast import MOST_PLANS, Outlook, foretell
from service.dispatch.limits.caps import CapLimits
from service.ledger.caps import repeat_ends, spans_end
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.crowd import RULE, add_plan, departments, launch, received
from tests.harness.ledger import TEXT, Scene, add_contacts, phone

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


async def look(conn: Connection, scene: Scene, plan: UUID, now: datetime) -> Outlook:
    campaign = await get_campaign(conn, plan, None)
    assert campaign is not None
    return await foretell(conn, lambda other: other == scene.department, campaign, RULE, now)


def shown(found: Outlook) -> list[Any]:
    return [(f.target, f.excluded, f.exact) for f in found.fires]


async def test_the_same_words_of_other_plans_are_found_however_far_away_they_fire(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """Within thirty days, also where many other plans lie between."""
    ((ours, _),) = await departments(pool, keyring, now, 1, 12)
    async with transaction(pool) as conn:
        plan = await add_plan(conn, ours, now + 40 * DAY, text="a")
        assert shown(await look(conn, ours, plan, now)) == [(12, {}, True)]
        same = await add_plan(conn, ours, now + 11 * DAY, text="a")
        for number in range(MOST_PLANS + 5):  # all on a day too far away for the caps
            at = now + 36 * DAY + number * timedelta(minutes=1)
            await add_plan(conn, ours, at, text=f"{number}", state="scheduled")
            await conn.execute(
                "UPDATE campaigns SET frozen_rule = 'carrier = unicom' WHERE next_fire_at = $1", at
            )
        found = await look(conn, ours, plan, now)
        assert shown(found) == [(0, {"same_text": 12}, True)]
        assert [(c.campaign_id, c.people) for c in found.fires[0].same_text] == [(same, 12)]
        assert found.left_out == 6
        await conn.execute("UPDATE campaigns SET next_fire_at = $2 WHERE id = $1", same, now)
        assert shown(await look(conn, ours, plan, now)) == [(12, {}, True)]


async def test_what_somebody_had_counts_and_what_other_departments_plan_is_told_in_tens(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    (ours, _), (theirs, _) = await departments(pool, keyring, now, 2, 15)
    async with transaction(pool) as conn:
        await add_contacts(conn, keyring, ours, [phone(n) for n in range(100, 104)], now)
        plan = await add_plan(conn, ours, now + 2 * DAY, text="a")
        await add_plan(conn, theirs, now + DAY, text="a")
    await received(pool, keyring, phone(100), [now - 20 * DAY], "a")
    await received(pool, keyring, phone(101), [now - DAY, now - 3 * DAY])
    async with transaction(pool) as conn:
        found = await look(conn, ours, plan, now)
        assert shown(found) == [(7, {"capped": 1, "same_text": 11}, False)]
        (cause,) = found.fires[0].same_text  # of the other's run nothing is kept
        assert (cause.campaign_id, cause.name, cause.people) == (None, None, 10)
        few = [keyring.phone_index(phone(n)) for n in range(9)]
        await conn.execute(
            "DELETE FROM contacts WHERE department_id = $1 AND phone_hash <> ALL ($2)",
            theirs.department,
            few,
        )
        assert shown(await look(conn, ours, plan, now)) == [
            (17, {"capped": 1, "same_text": 1}, True)
        ]


async def test_a_sequence_and_what_is_being_sent(
    pool: Pool, keyring: Keyring, now: datetime
) -> None:
    """Each step goes to the people of the fire before it; what waits in a run counts as sent."""
    ((ours, channel),) = await departments(pool, keyring, now, 1, 10)
    await launch(pool, keyring, (ours, channel), now, text=TEXT)
    async with transaction(pool) as conn:
        await add_contacts(conn, keyring, ours, [phone(n) for n in range(100, 104)], now)
        plan = await add_plan(conn, ours, now + 3 * DAY, text="a")
        version = await conn.fetchval(
            "SELECT template_version_id FROM campaigns WHERE id = $1",
            await add_plan(conn, ours, now + 400 * DAY, text=TEXT, state="cancelled"),
        )
        await conn.execute(
            "INSERT INTO campaign_texts (campaign_id, no, template_version_id, after_days)"
            " VALUES ($1, 2, $2, 7)",
            plan,
            version,
        )
        assert shown(await look(conn, ours, plan, now)) == [
            (14, {}, True),
            (4, {"same_text": 10}, True),
        ]
        await add_plan(conn, ours, now + 3 * DAY - HOUR, text="b")
        found = await look(conn, ours, plan, now)
        # Nobody is in the ledger of the first fire, so nobody of that of the step.
        assert shown(found) == [(0, {"capped": 14}, True), (0, {}, True)]


@pytest.mark.parametrize("seed", range(20))
async def test_the_rule_of_the_caps_is_the_same_in_both_languages(pool: Pool, seed: int) -> None:
    """A draw of texts that somebody has had, and of limits."""
    draw = random.Random(seed)
    start = datetime(2027, 1, 1).astimezone()
    for _ in range(40):
        day, week, month = (draw.choice([None, 1, 2, 3, 6]) for _ in range(3))
        limits = CapLimits(day, week, month, same_text=draw.random() < 0.5)
        at = sorted(start + draw.randrange(900) * HOUR for _ in range(draw.randrange(8)))[::-1]
        texts = [draw.randrange(3) for _ in at]
        repeat = repeat_ends("o.at", "o.texts", "1::bigint")
        row = await pool.fetchrow(
            f"""
            SELECT {repeat} AS same, greatest({spans_end("o.at")}, {repeat}) AS full
            FROM (SELECT $1::timestamptz[] AS at, $2::bigint[] AS texts) o,
                 (SELECT $3::int AS per_day, $4::int AS per_week, $5::int AS per_month,
                         $6::boolean AS same_text) cap
            """,
            at,
            texts,
            limits.per_day,
            limits.per_week,
            limits.per_month,
            limits.same_text,
        )
        assert row is not None
        had = [Had(one, text, None) for one, text in zip(at, texts, strict=True)]
        until, reason, _ = full_until(had, 1, limits)
        assert until == row["full"]
        if until is not None:
            assert (reason == "same_text") == (row["same"] == row["full"])
