"""The report of a campaign: a row for each week and carrier, out of the same ledger as its runs."""

import csv
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.campaigns.audience.content_checks import frozen_content
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import run_store
from service.campaigns.core.run_store import Follow
from service.campaigns.plans import planning
from service.campaigns.runs.firing import fire_due
from service.ledger.states import MessageState
from service.storage.postgres import transaction
from tests.factories import make_scheduled
from tests.harness.campaigns import weekly_campaign
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

VIEWER = ("school", "viewer")
WEEK = timedelta(weeks=1)
MOBILE, UNICOM = "china_mobile", "china_unicom"


async def _report(api: Api, campaign: UUID, query: str = "") -> Any:
    answer = await api.get(f"/campaigns/{campaign}/report{query}", VIEWER)
    assert answer.status == 200, answer.body
    return answer.json


async def test_each_week_and_carrier_has_a_row_that_adds_up(api: Api) -> None:
    campaign, runs = await weekly_campaign(api, 2)
    pool = api.runtime.pool
    async with transaction(pool) as conn:
        await conn.execute(
            "UPDATE messages SET state = 'delivered', part_count = 2, submitted_at = $2 "
            "WHERE run_id = $1 AND carrier = 'china_mobile'",
            runs[0],
            api.clock.at,
        )
        await conn.execute(  # one took two hand-offs
            "INSERT INTO attempts"
            " (run_id, no, attempt, channel_id, state, part_count, submitted_at)"
            " SELECT run_id, no, 1, channel_id, 'undelivered', 1, $2 FROM messages"
            " WHERE run_id = $1 AND carrier = 'china_mobile' LIMIT 1",
            runs[0],
            api.clock.at,
        )
        await conn.execute("UPDATE runs SET finished_at = $2 WHERE id = $1", runs[0], api.clock.at)
    report = await _report(api, campaign)
    rows = [
        (r["week"], r["carrier"], r["texts"], r["target"], r["reached"], r["open"], r["parts"])
        for r in report["weeks"]
    ]
    assert rows == [  # by the days of China
        ("2027-01-25", MOBILE, [1], 3, 3, 0, 7),
        ("2027-01-25", UNICOM, [1], 2, 0, 2, 0),
        ("2027-02-01", MOBILE, [2], 3, 0, 3, 0),
        ("2027-02-01", UNICOM, [2], 2, 0, 2, 0),
    ]
    assert [r["excluded"] for r in report["weeks"]] == [{"opted_out": 1}, {}] * 2
    assert [r["finished_at"] is None for r in report["weeks"]] == [False, False, True, True]
    total = report["total"]
    assert (total["target"], total["states"]) == (10, {"delivered": 3, "queued": 7})
    assert {name: c["target"] for name, c in report["by_carrier"].items()} == {MOBILE: 6, UNICOM: 4}
    assert {name: t["reached"] for name, t in report["by_topic"].items()} == {"T01": 3, "none": 0}
    assert (report["first_week"], report["last_week"]) == ("2027-01-25", "2027-02-01")
    of_runs = [(await api.get(f"/runs/{run}/report", VIEWER)).json for run in runs]
    assert total["parts"] == sum(run["parts"] for run in of_runs) == 7
    assert total["target"] == sum(run["target"] for run in of_runs)


async def test_what_was_sent_again_has_a_row_of_its_own(api: Api) -> None:
    campaign, (run,) = await weekly_campaign(api, 1)
    now = api.clock.at + WEEK
    async with transaction(api.runtime.pool) as conn:
        found = await planning.load(conn, campaign, None)
        follow = Follow(run, "resend")
        again = await run_store.insert_run(
            conn, found, frozen_content(found), now, now + WEEK, now, 1, follow
        )
        await conn.execute(
            "INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier,"
            " roles, state) SELECT $2, no, phone_hash, phone_cipher, channel_id, carrier, roles,"
            " 'delivered' FROM messages WHERE run_id = $1 AND carrier = 'china_unicom'",
            run,
            again,
        )
    rows = (await _report(api, campaign))["weeks"]
    assert [(r["week"], r["carrier"], r["relation"], r["target"], r["reached"]) for r in rows] == [
        ("2027-01-25", MOBILE, None, 3, 0),
        ("2027-01-25", UNICOM, None, 2, 0),
        ("2027-02-01", UNICOM, "resend", 2, 2),
    ]


async def test_every_state_is_counted_once(api: Api) -> None:
    campaign, (run,) = await weekly_campaign(api, 1)
    people = await api.runtime.pool.fetchval("SELECT count(*) FROM messages")
    for state in MessageState:
        await api.runtime.pool.execute(
            "UPDATE messages SET state = $2::message_state WHERE run_id = $1", run, state.value
        )
        total = (await _report(api, campaign))["total"]
        ends = ("reached", "failed", "unknown", "stopped", "open")
        counted = Counter({end: total[end] for end in ends})
        assert +counted == {next(end for end in ends if total[end]): people}, state
        assert total["target"] == sum(total["states"].values()) == people


async def test_it_may_be_asked_for_some_weeks(api: Api) -> None:
    campaign, _ = await weekly_campaign(api)
    for query, weeks, complete in (
        ("", ["2027-01-25", "2027-02-01", "2027-02-08"], True),
        ("?from=2027-02-02&to=2027-02-07", ["2027-02-01"], False),
        ("?from=2027-02-08", ["2027-02-08"], False),
        ("?to=2027-01-31", ["2027-01-25"], False),
        ("?from=2028-01-01", [], False),
        ("?mode=drill", [], True),
    ):
        report = await _report(api, campaign, query)
        found = (sorted({row["week"] for row in report["weeks"]}), report["complete"])
        assert found == (weeks, complete), query
    for query in (
        "?from=2027-02-08&to=2027-02-07",
        "?from=2026-01-01&to=2027-02-01",
        "?mode=test",
        "?from=1799971200",
    ):
        assert (await api.get(f"/campaigns/{campaign}/report{query}", VIEWER)).status == 422


async def test_a_drill_is_counted_apart(api: Api) -> None:
    campaign, (first, _) = await weekly_campaign(api, 2)
    for mode in ("test", "drill"):
        await api.runtime.pool.execute("UPDATE runs SET mode = $2 WHERE id = $1", first, mode)
        real = await _report(api, campaign, "?from=2027-01-25")
        assert {row["week"] for row in real["weeks"]} == {"2027-02-01"}
        assert (real["mode"], real["total"]["target"]) == ("real", 5)
    drill = await _report(api, campaign, "?mode=drill")
    assert {row["week"] for row in drill["weeks"]} == {"2027-01-25"}


async def test_the_file_has_the_same_rows(api: Api) -> None:
    campaign, _ = await weekly_campaign(api, 2)
    rows = (await _report(api, campaign))["weeks"]
    answer = await api.get(f"/campaigns/{campaign}/report/export", VIEWER)
    assert answer.headers["Content-Type"].startswith("text/csv")
    lines = list(csv.DictReader(answer.body.decode("utf-8-sig").splitlines()))
    shown = ("week", "carrier", "target", "reached", "open", "parts")
    assert [[line[name] for name in shown] for line in lines] == [
        [str(row[name]) for name in shown] for row in rows
    ]
    assert (lines[0]["excluded"], lines[0]["texts"]) == ("opted_out:1", "1")


async def _channel(api: Api, kind: str) -> None:
    await api.runtime.pool.execute(
        "INSERT INTO interruptions (kind, channel_id, at) VALUES ($1, 1, $2)", kind, api.clock.at
    )


async def test_it_lists_what_was_in_force_during_the_life_of_its_campaign(api: Api) -> None:
    operator, minute = ("county", "operator"), timedelta(minutes=1)
    began = api.clock.at

    async def stops(*acts: str) -> None:
        for act in acts:
            api.clock.at += minute
            made = await api.post(f"/stop-all{act}", operator, {"reason": "wrong hotline"})
            assert made.status == 200, made.body
            await _channel(api, "channel.recovered" if act else "channel.shut")

    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, began)
    await stops("", "/lift")
    over = api.clock.at
    await stops("")
    at = api.clock.at + minute
    async with transaction(api.runtime.pool) as conn:
        plan = Schedule("once", at + timedelta(hours=1))
        made = await make_scheduled(conn, api.teams["county"], now=at, schedule=plan)
    api.clock.at = at
    await stops("/lift", "", "/lift")
    api.clock.at = plan.start_at or at
    assert await fire_due(api.runtime.pool, api.clock.at)
    cancelled = await api.post(f"/campaigns/{made.id}/cancel", operator, {"reason": "r"})
    assert cancelled.json["state"] == "cancelled", cancelled.body
    ended = api.clock.at
    await stops("", "/lift")
    report = (await api.get(f"/campaigns/{made.id}/report", operator)).json
    found = report["interruptions"]
    kinds = ["stop_all.stopped", "channel.shut", "stop_all.lifted", "channel.recovered"]
    assert [one["kind"] for one in found] == kinds * 2
    instants = [datetime.fromisoformat(one["at"]) for one in found]
    assert over < min(instants) < at, "what was in force when it was made"
    assert max(instants) < ended


@pytest.mark.parametrize("path", ["report", "report/export"])
async def test_it_is_for_those_who_may_see_the_counts(api: Api, path: str) -> None:
    campaign, _ = await weekly_campaign(api, 1)
    at = f"/campaigns/{campaign}/{path}"
    assert (await api.get(at, ("county", "inspector"))).status == 200
    assert (await api.get(at, ("county", "viewer"))).status == 404
    above, below = (api.teams[name].department_id for name in ("county", "school"))
    await api.runtime.pool.execute(
        "UPDATE departments SET parent_id = $1 WHERE id = $2", above, below
    )
    assert (await api.get(at, ("county", "viewer"))).status == 200
