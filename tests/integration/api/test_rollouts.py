"""Staggered rollouts: drawn once, approved with their order, a run a wave, nobody in two."""

import hashlib
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from service.campaigns.core.rollout import lot_of
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.rollouts.drawing import reveal_seeds
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Valkey, write_private
from service.storage.postgres import connected, transaction
from tests.factories import make_draft
from tests.harness.case_api import OFFICER, case_form, lines
from tests.harness.processes import running
from tests.harness.rollouts import PER_VILLAGE, START, draft, people_of_villages
from tests.harness.waiting import until
from tests.integration.api.conftest import Answer, Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
VIEWER = ("school", "viewer")
TOWN = "341825100000"
WEEK = timedelta(weeks=1)
TERMS = {"waves": 4, "every_days": 7, "strata": "town"}
WAITS_FOR_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock' AND pid <> pg_backend_pid()
"""


@pytest.fixture
async def villages(api: Api) -> list[str]:
    """Eight villages with residents and people on file, and two people who live in none."""
    return await people_of_villages(api, 8, [TOWN, None])


async def draw(api: Api, campaign: UUID, **more: Any) -> Answer:
    return await api.post(f"/campaigns/{campaign}/rollout", OPERATOR, TERMS | more)


async def drawn(api: Api, campaign: UUID, **more: Any) -> Any:
    answer = await draw(api, campaign, **more)
    assert answer.status == 201, answer.body
    return answer.json


async def approved(api: Api, campaign: UUID) -> None:
    for act, who in (("submit", OPERATOR), ("approve", APPROVER)):
        answer = await api.post(f"/campaigns/{campaign}/{act}", who, {})
        assert answer.status == 200, answer.body


async def fire(api: Api, at: datetime) -> list[UUID]:
    """The runs of all that is due, with their ledgers; they are handed off at once."""
    api.clock.at = at
    made = await fire_due(api.runtime.pool, at)
    for run in made:
        assert await expand_run(api.runtime.pool, run, at, api.runtime.keyring) is not None
        await hand_off(api, run, at)
    return made


async def hand_off(api: Api, run: UUID, at: datetime) -> None:
    async with transaction(api.runtime.pool) as conn:
        row = await conn.fetchrow(
            "UPDATE runs SET state = 'sent' WHERE id = $1 RETURNING campaign_id", run
        )
        assert row is not None
        await finish_campaigns(conn, [row["campaign_id"]], at)


async def places_of(api: Api, run: UUID) -> Counter[str | None]:
    rows = await api.runtime.pool.fetch(
        "SELECT m.area_code, count(*) AS people FROM messages m WHERE run_id = $1 GROUP BY 1", run
    )
    return Counter({row["area_code"]: row["people"] for row in rows})


async def test_each_wave_is_a_run_of_its_villages_and_the_rest_goes_last(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    made = await drawn(api, campaign)
    wave_of = {one["area"]: one["wave"] for one in made["villages"]}
    assert sorted(wave_of) == sorted(villages)
    assert Counter(wave_of.values()) == Counter({1: 2, 2: 2, 3: 2, 4: 2})
    assert made["dates"] == ["2027-01-18", "2027-01-25", "2027-02-01", "2027-02-08"]
    await approved(api, campaign)
    for wave in range(1, 5):
        (run,) = await fire(api, START + WEEK * (wave - 1))
        own = {code: PER_VILLAGE for code in villages if wave_of[code] == wave}
        last = {TOWN: 1, None: 1} if wave == 4 else {}
        assert await places_of(api, run) == Counter(own | last), wave
    assert await fire(api, START + WEEK * 4) == []
    state = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json["state"]
    assert state == "done"


async def test_who_moves_between_waves_gets_it_once(api: Api, villages: list[str]) -> None:
    campaign = await draft(api)
    made = await drawn(api, campaign)
    of_wave = {
        wave: next(one["area"] for one in made["villages"] if one["wave"] == wave)
        for wave in range(1, 5)
    }
    await approved(api, campaign)
    runs = await fire(api, START)
    await move(api, of_wave[1], of_wave[3])  # who had it goes where it is still to come
    await move(api, of_wave[4], of_wave[1])  # who had it not goes where it has been
    runs += await fire(api, START + WEEK)
    assert (await places_of(api, runs[1]))[of_wave[1]] == 1, "with the next wave"
    await move(api, of_wave[2], None)  # who had it lives in no village any more
    runs += await fire(api, START + 2 * WEEK)
    runs += await fire(api, START + 3 * WEEK)
    await each_once(api, campaign, len(runs))


async def move(api: Api, from_code: str, to_code: str | None) -> None:
    """Somebody of a village moves."""
    await api.runtime.pool.execute(
        "UPDATE contacts SET area_code = $2 WHERE phone_hash = ("
        " SELECT phone_hash FROM contacts WHERE area_code = $1 LIMIT 1)",
        from_code, to_code,
    )  # fmt: skip


async def each_once(api: Api, campaign: UUID, runs: int) -> None:
    """Everybody of the plan is in one of so many runs, and nobody in two."""
    row = await api.runtime.pool.fetchrow(
        "SELECT count(*) AS texts, count(DISTINCT phone_hash) AS people,"
        " count(DISTINCT run_id) AS runs, (SELECT count(*) FROM contacts) AS meant"
        " FROM messages m JOIN runs r ON r.id = m.run_id WHERE r.campaign_id = $1",
        campaign,
    )
    assert row is not None
    assert (row["texts"], row["people"], row["runs"]) == (row["meant"], row["meant"], runs)


async def test_a_wave_that_nobody_could_fire_goes_with_the_next(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    await drawn(api, campaign)
    await approved(api, campaign)
    await fire(api, START)
    (third,) = await fire(api, START + 2 * WEEK)  # the second one was missed
    assert sum((await places_of(api, third)).values()) == 4 * PER_VILLAGE, "of two waves"
    await fire(api, START + 3 * WEEK)
    await each_once(api, campaign, 3)


async def test_the_next_waves_ledger_waits_for_the_one_before(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    await drawn(api, campaign)
    await approved(api, campaign)
    pool = api.runtime.pool
    (first,) = await fire_due(pool, START)
    (second,) = await fire_due(pool, START + WEEK)
    assert await expand_run(pool, second, START + WEEK, api.runtime.keyring) is None
    assert await expand_run(pool, first, START + WEEK, api.runtime.keyring) is not None
    assert await expand_run(pool, second, START + WEEK, api.runtime.keyring) is not None
    people = await pool.fetchval("SELECT count(DISTINCT phone_hash) FROM messages")
    assert people == await pool.fetchval("SELECT count(*) FROM messages") == 4 * PER_VILLAGE


async def test_the_seed_is_told_at_the_end_and_gives_the_order(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    made = await drawn(api, campaign, strata="county")
    assert made["seed"] is None
    entries = await api.runtime.pool.fetch(
        "SELECT details FROM audit_entries WHERE action = 'draw_rollout'"
    )
    assert [entry["details"]["seed_sha256"] for entry in entries] == [made["seed_sha256"]]
    await approved(api, campaign)
    keyring = api.runtime.keyring
    for wave in range(4):
        assert await reveal_seeds(api.runtime.pool, keyring, api.clock.at) == 0
        await fire(api, START + WEEK * wave)
    assert await reveal_seeds(api.runtime.pool, keyring, api.clock.at) == 1
    assert await reveal_seeds(api.runtime.pool, keyring, api.clock.at) == 0
    told = (await api.get(f"/rollouts/{made['id']}", VIEWER)).status
    assert told == 404, "of another department"
    found = (await api.get(f"/rollouts/{made['id']}", OPERATOR)).json
    seed = bytes.fromhex(found["seed"])
    assert hashlib.sha256(seed).hexdigest() == made["seed_sha256"]
    ordered = sorted(villages, key=lambda code: lot_of(seed, code))
    assert {one["area"]: one["wave"] for one in found["villages"]} == {
        code: at % 4 + 1 for at, code in enumerate(ordered)
    }
    (entry,) = await api.runtime.pool.fetch(
        "SELECT details FROM audit_entries WHERE action = 'reveal_seed'"
    )
    assert entry["details"]["seed"] == found["seed"]


async def test_an_order_is_drawn_once_and_bound_by_the_approval(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    before = await content_hash(api, campaign)
    made = await drawn(api, campaign)
    again = await draw(api, campaign)
    assert (again.status, again.json["type"]) == (409, "/problems/already_drawn")
    await approved(api, campaign)
    bound = await api.runtime.pool.fetchval(
        "SELECT encode(approved_hash, 'hex') FROM campaigns WHERE id = $1", campaign
    )
    assert bound != before
    (run,) = await fire(api, START)
    content = await api.runtime.pool.fetchval("SELECT content FROM runs WHERE id = $1", run)
    assert made["order_sha256"] in content
    late = await draw(api, campaign)
    assert late.status == 409
    refused = "UPDATE rollout_areas SET wave = 1"
    with pytest.raises(Exception, match="does not change"):
        await api.runtime.pool.execute(refused)


async def content_hash(api: Api, campaign: UUID) -> str:
    preview = await api.get(f"/campaigns/{campaign}", OPERATOR)
    return str(preview.json.get("content_hash"))


async def test_a_plan_that_does_not_suit_its_order_any_more_is_not_submitted(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    await drawn(api, campaign)
    schedule = {"kind": "once", "start_at": START.isoformat()}
    edited = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"schedule": schedule})
    assert edited.status == 200, edited.body
    answer = await api.post(f"/campaigns/{campaign}/submit", OPERATOR, {})
    assert answer.status == 422, answer.body
    assert "schedule.kind" in str(answer.json)


async def test_what_cannot_be_staggered_is_refused(api: Api, villages: list[str]) -> None:
    for schedule, terms, field in (
        ({}, {"waves": 9}, "waves"),
        ({}, {"every_days": 10}, "every_days"),
        ({"late": "skip"}, {}, "schedule.late"),
    ):
        answer = await draw(api, await draft(api, START, **schedule), **terms)
        assert answer.status == 422, answer.body
        assert field in str(answer.json), field
    async with transaction(api.runtime.pool) as conn:
        now_plan = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    assert (await draw(api, now_plan.id)).status == 422
    await api.runtime.pool.execute("DELETE FROM denominators WHERE area_code = $1", villages[0])
    await api.runtime.pool.execute(
        "UPDATE areas SET population = NULL WHERE code = $1", villages[0]
    )
    unknown = await draw(api, await draft(api))
    assert unknown.status == 422
    assert "residents" in str(unknown.json)


async def test_a_warning_is_never_staggered(api: Api, villages: list[str]) -> None:
    campaign = await draft(api)
    await api.runtime.pool.execute("UPDATE templates SET class = 'warning'")
    answer = await draw(api, campaign)
    assert answer.status == 422
    assert "never staggered" in str(answer.json)


async def test_what_it_found_is_said_once_all_weeks_are_known(
    api: Api, villages: list[str]
) -> None:
    campaign = await draft(api)
    made = await drawn(api, campaign, waves=2, strata="county")
    path = f"/rollouts/{campaign}/analysis"
    nothing = (await api.get(path, OPERATOR)).json
    assert (nothing["finding"], nothing["missing"]) == (None, ["2027-W03"])
    api.clock.at = START + 2 * WEEK
    waves = {one["area"]: one["wave"] for one in made["villages"]}
    treated = [code for code, wave in waves.items() if wave == 1]
    others = [code for code, wave in waves.items() if wave == 2]
    cases = [(treated[1], 1), (others[0], 3), (others[1], 2)]
    await figures(api, cases)
    found = (await api.get(path, OPERATOR)).json
    assert [week["week"] for week in found["weeks"]] == ["2027-W03"]
    finding = found["finding"]
    assert (finding["observed"], finding["expected"], finding["ratio"]) == (1, 3.0, 0.2)
    assert finding["interval"] == [0.004, 1.787]
    assert (finding["lots"], finding["drawn"], finding["can_prove"]) == (70, False, True)
    assert found["elsewhere"] == 1, "a case of which the town alone is known"
    listed = (await api.get("/rollouts", OPERATOR)).json["items"]
    assert [one["campaign_id"] for one in listed] == [str(campaign)]


async def figures(api: Api, cases: list[tuple[str, int]]) -> None:
    """Figures of the first week, and one case of which the town alone is known."""
    rows = [f"2027-W03,{code},T01,{count},0" for code, count in [*cases, (TOWN, 1)]]
    content = lines(*rows, head="周次,区划代码,诈骗类型,起数,损失金额")
    answer = await api.call("POST", "/cases/imports", OFFICER, data=case_form(content, "2027-W03"))
    assert answer.status == 201, answer.body


async def test_what_it_could_find_is_said_before_it_is_drawn(api: Api, villages: list[str]) -> None:
    campaign = await draft(api)
    path = f"/campaigns/{campaign}/rollout?waves=4&every_days=21"
    answer = await api.get(path, OPERATOR)
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["villages"], found["people"], found["elsewhere"]) == (8, 8 * PER_VILLAGE, 2)
    assert (found["weeks"], found["cases_a_week"], found["power"]) == (9, None, [])
    content = lines(
        *(f"2026-W{n:02},{villages[0]},T01,4,0" for n in range(1, 54)),
        head="周次,区划代码,诈骗类型,起数,损失金额",
    )
    form = case_form(content, "2026-W01..2026-W53")
    answer = await api.call("POST", "/cases/imports", OFFICER, data=form)
    assert answer.status == 201, answer.body
    found = (await api.get(path, OPERATOR)).json
    assert found["cases_a_week"] == 4.0
    thirty, fifty = found["power"]
    assert (thirty["fall_pct"], fifty["fall_pct"]) == (30, 50)
    assert 0 < thirty["found_pct"] < fifty["found_pct"] < 100


@pytest.mark.slow
@pytest.mark.crash
async def test_kill_9_of_the_scheduler_between_and_within_waves(
    api: Api, villages: list[str], database_url: str, valkey: Valkey, redis: Redis, tmp_path: Path
) -> None:
    """Each wave fires in a scheduler of its own, which is killed while it waits for the campaign's
    row, and killed again once the run is there; people move meanwhile.
    """
    campaign = await draft(api)
    made = await drawn(api, campaign)
    await approved(api, campaign)
    of_wave = [
        next(one["area"] for one in made["villages"] if one["wave"] == wave) for wave in range(1, 5)
    ]
    write_private(tmp_path / "key", "01" * 32)
    pool = api.runtime.pool
    for wave in range(4):
        at = START + WEEK * wave + timedelta(seconds=1)
        environment = {
            "TOCSIN_DATABASE_URL": database_url,
            "TOCSIN_REDIS_URL": valkey.url,
            "TOCSIN_KEY_FILE": str(tmp_path / "key"),
            "TOCSIN_CLOCK_START": at.isoformat(),
            "TOCSIN_CLOCK_ANCHOR": str(time.time()),
            "TOCSIN_CLOCK_SPEED": "1",
        }

        async def runs() -> int:
            count: int = await pool.fetchval(
                "SELECT count(*) FROM runs WHERE campaign_id = $1", campaign
            )
            return count

        async def waits() -> bool:
            return bool(await pool.fetchval(WAITS_FOR_A_LOCK))

        async def there(wanted: int = wave + 1) -> bool:
            return await runs() == wanted

        async with connected(database_url) as other, other.transaction():
            await other.execute(f"SELECT FROM campaigns WHERE id = '{campaign}' FOR UPDATE")
            async with running(tmp_path / f"in-{wave}", environment, "scheduler") as process:
                await until(waits, 60.0, "a fire waits for the campaign", every=0.1)
                process.process.kill()
                await process.process.wait()
        assert await runs() == wave, "whoever was killed has made nothing"
        async with running(tmp_path / f"after-{wave}", environment, "scheduler") as process:
            await until(there, 60.0, "the wave's run is there", every=0.05)
            process.process.kill()
            await process.process.wait()
        run = await pool.fetchval(
            "SELECT id FROM runs WHERE campaign_id = $1 ORDER BY id DESC LIMIT 1", campaign
        )
        await expand_run(pool, run, at, api.runtime.keyring)
        await hand_off(api, run, at)
        if wave < 3:
            await move(api, of_wave[wave], of_wave[wave + 1])
            await move(api, of_wave[3], of_wave[0])
    await each_once(api, campaign, 4)
