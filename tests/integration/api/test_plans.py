"""What a plan may say beside its schedule: a period, milestones, a drill, and what stops it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.storage.postgres import transaction
from tests.factories import TEXT, make_contact, make_draft, make_scheduled
from tests.harness.instants import instant
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")


async def _draft(api: Api, **changes: Any) -> str:
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    if changes:
        answer = await api.patch(f"/campaigns/{draft.id}", OPERATOR, changes)
        assert answer.status == 200, answer.body
    return str(draft.id)


async def _approve(api: Api, campaign: str) -> Any:
    for act, who in (("submit", OPERATOR), ("approve", APPROVER)):
        answer = await api.post(f"/campaigns/{campaign}/{act}", who)
        assert answer.status == 200, answer.body
    return answer.json


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        ({"kind": "once"}, "has passed"),
        ({"kind": "recurring", "rrule": "FREQ=DAILY;COUNT=2"}, "No fire of the plan is to come"),
    ],
)
async def test_a_plan_whose_time_has_passed_says_so_before_it_is_submitted(
    api: Api, schedule: dict[str, Any], said: str
) -> None:
    campaign = await _draft(api)
    for days, noted in ((-30, True), (30, False)):
        start_at = (api.clock.at + timedelta(days=days)).isoformat()
        body = {"schedule": schedule | {"start_at": start_at}}
        answer = await api.patch(f"/campaigns/{campaign}", OPERATOR, body)
        notes = [note for note in answer.json["schedule_notes"] if said in note]
        assert len(notes) == noted, answer.body
        assert all("cannot be submitted" in note for note in notes)
        submitted = await api.post(f"/campaigns/{campaign}/submit", OPERATOR)
        assert submitted.status == (422 if noted else 200), submitted.body


async def test_a_plan_that_began_long_ago_says_what_it_does_not_send(api: Api) -> None:
    campaign = await _draft(api)
    for days, noted in ((-30, 1), (1, 0)):
        start_at = (api.clock.at + timedelta(days=days)).isoformat()
        schedule = {"kind": "recurring", "rrule": "FREQ=DAILY;COUNT=60", "start_at": start_at}
        answer = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"schedule": schedule})
        notes = [n for n in answer.json["schedule_notes"] if "before the approval is not sent" in n]
        assert len(notes) == noted, answer.body


async def test_a_clone_is_a_draft_of_the_same_plan_and_nothing_else(api: Api) -> None:
    safety = {"canary": {"first": 10, "wait_minutes": 5}, "failed_share": 0.3}
    campaign = await _draft(api, max_tps=7, safety=safety, priority="urgent")
    await _approve(api, campaign)
    made = await api.post(f"/campaigns/{campaign}/clone", OPERATOR, {"name": "第二次"})
    assert made.status == 201, made.body
    first, copy = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json, made.json
    plan = ("template_id", "segment_id", "channels", "priority", "schedule", "max_tps", "safety")
    assert [copy[name] for name in plan] == [first[name] for name in plan]
    assert copy["safety"]["canary"] == {"first": 10, "share": None, "wait_minutes": 5}
    assert (copy["name"], copy["state"], copy["cloned_from"]) == ("第二次", "draft", campaign)
    assert (copy["approved_by"], copy["submitted_by"], copy["moves"]) == (None, None, [])
    assert first["state"] == "scheduled"


async def test_nothing_fires_before_a_period_or_after_it(api: Api) -> None:
    now = api.clock.at
    start, end = now + timedelta(days=1), now + timedelta(days=2)
    period = {"start": start.isoformat(), "end": end.isoformat()}
    campaign = await _draft(api, period=period)
    await _approve(api, campaign)
    assert await fire_due(api.runtime.pool, start - timedelta(seconds=1)) == []
    (run,) = await fire_due(api.runtime.pool, start)
    valid = await api.runtime.pool.fetchval("SELECT valid_until FROM runs WHERE id = $1", run)
    assert valid == end, "what has not left by the end of the period does not leave"

    late = await _draft(api, period=period)
    await _approve(api, late)
    assert await fire_due(api.runtime.pool, end) == []
    shown = (await api.get(f"/campaigns/{late}", OPERATOR)).json
    assert (shown["state"], shown["moves"][-1]["reason"]) == (
        "held",
        "the campaign's period is over",
    )
    api.clock.at = end
    longer = {"period": {"end": (end + timedelta(days=1)).isoformat()}}
    extended = await api.patch(f"/campaigns/{late}", OPERATOR, longer)
    assert (extended.json["state"], extended.json["approved_by"]) == ("draft", None)
    await _approve(api, late)
    assert len(await fire_due(api.runtime.pool, end)) == 1


async def test_a_planner_is_told_that_a_text_comes_again_too_soon(api: Api) -> None:
    """Nobody gets the same text again within 30 days; a plan that forgets it reaches nobody."""
    weekly = {
        "kind": "recurring",
        "start_at": (api.clock.at + timedelta(days=1)).isoformat(),
        "rrule": "FREQ=WEEKLY",
    }
    words = "【旌德县反诈中心】第{}条提醒：凡是要您先转账的都先停一停，有疑问请拨打96110。"
    others = []
    for no in "二三四五":
        body = {"name": no, "class": "public_interest", "text": words.format(no)}
        made = await api.post("/templates", OPERATOR, body)
        others.append({"template_id": made.json["id"]})

    async def again(campaign: str) -> list[str]:
        notes = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json["schedule_notes"]
        return [note.split(",")[0] for note in notes if "same text" in note]

    alone = await _draft(api, schedule=weekly)
    four = await _draft(api, schedule=weekly, more_texts=others[:3])
    five = await _draft(api, schedule=weekly, more_texts=others)
    once = await _draft(
        api, schedule=weekly | {"rrule": "FREQ=WEEKLY;COUNT=4"}, more_texts=others[:3]
    )
    assert [await again(one) for one in (alone, four, five, once)] == [
        ["The same text comes again after 7 days"],
        ["The same text comes again after 28 days"],
        [],
        [],
    ]
    limits = {"per_day": 1, "per_week": 2, "per_month": 6, "same_text": True}
    caps = {"class": "public_interest", "reason": "r", **limits}
    assert (await api.call("PUT", "/caps", ("county", "admin"), json=caps)).status == 200
    assert await again(alone) == []


async def test_a_recurring_plan_fires_at_the_very_start_of_its_period_and_shows_none_outside(
    api: Api,
) -> None:
    first = api.clock.at + timedelta(days=3)
    campaign = await _draft(
        api,
        schedule={
            "kind": "recurring",
            "start_at": (first - timedelta(days=2)).isoformat(),
            "rrule": "FREQ=DAILY",
        },
        period={"start": first.isoformat(), "end": (first + timedelta(days=2)).isoformat()},
    )

    async def shown() -> list[str]:
        answer = await api.get(f"/campaigns/{campaign}", OPERATOR)
        return [fire["at"] for fire in answer.json["next_fires"]]

    days = [instant(first + timedelta(days=n)) for n in range(2)]
    assert await shown() == days
    await _approve(api, campaign)
    assert await shown() == days
    for n in range(2):
        api.clock.at = first + timedelta(days=n)
        assert await fire_due(api.runtime.pool, api.clock.at - timedelta(seconds=1)) == []
        assert len(await fire_due(api.runtime.pool, api.clock.at)) == 1
        assert await shown() == days[n + 1 :]


@pytest.mark.parametrize(
    "changes",
    [
        {"period": {"start": "2027-02-01T00:00:00Z", "end": "2027-01-01T00:00:00Z"}},
        {"safety": {"canary": {}}},
        {"safety": {"canary": {"first": 1, "share": 0.1}}},
        {"safety": {"failed_share": 0}},
        {"drill": "perhaps"},
    ],
)
async def test_a_plan_that_makes_no_sense_is_refused(api: Api, changes: Any) -> None:
    campaign = await _draft(api)
    assert (await api.patch(f"/campaigns/{campaign}", OPERATOR, changes)).status == 422


async def test_a_period_that_is_over_cannot_be_submitted(api: Api) -> None:
    campaign = await _draft(api, period={"end": api.clock.at.isoformat()})
    refused = await api.post(f"/campaigns/{campaign}/submit", OPERATOR)
    assert refused.status == 422


@pytest.mark.parametrize(
    "changes",
    [
        {"drill": True},
        {"safety": {"canary": {"first": 5}}},
        {"period": {"end": "2027-03-31T00:00:00+08:00"}},
    ],
)
async def test_an_approval_binds_period_drill_and_safety(api: Api, changes: Any) -> None:
    async with transaction(api.runtime.pool) as conn:
        campaign = await make_scheduled(conn, api.teams["county"], now=api.clock.at)
    edited = await api.patch(f"/campaigns/{campaign.id}", OPERATOR, changes)
    assert (edited.json["state"], edited.json["content_hash"]) == ("draft", None)
    again = await api.post(f"/campaigns/{campaign.id}/submit", OPERATOR)
    assert campaign.content_hash is not None
    assert again.json["content_hash"] != campaign.content_hash.hex()


async def test_milestones_are_late_once_their_day_is_over(api: Api) -> None:
    campaign = await _draft(api)
    path = f"/campaigns/{campaign}/milestones"
    today = {"name": "横幅张贴", "due_on": "2027-01-12"}
    made = await api.post(path, OPERATOR, today)
    assert made.status == 201, made.body
    assert made.json["late"] is False
    await api.post(path, OPERATOR, {"name": "建群", "due_on": "2027-01-11"})
    listed = (await api.get(path, OPERATOR)).json["items"]
    assert [(m["name"], m["late"]) for m in listed] == [("建群", True), ("横幅张贴", False)]
    done = await api.post(f"{path}/{made.json['id']}/done", OPERATOR, {"note": "照片已存"})
    assert (done.json["late"], done.json["note"]) == (False, "照片已存")
    assert (await api.post(f"{path}/{made.json['id']}/done", OPERATOR)).status == 409
    api.clock.at += timedelta(days=1)
    listed = (await api.get(path, OPERATOR)).json["items"]
    assert [m["late"] for m in listed] == [True, False], "it was done on its day"


async def test_a_drill_takes_simulated_channels_and_nobodys_numbers(api: Api) -> None:
    """Real people count, by carrier, and none of their numbers stands in the ledger."""
    keyring, department = api.runtime.keyring, api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, keyring, 1, api.clock.at)
        for n, synthetic in enumerate([True, False, False, False]):
            await make_contact(
                conn,
                keyring,
                department,
                500 + n,
                now=api.clock.at,
                synthetic=synthetic,
                carrier="china_unicom" if n % 2 else "china_mobile",
            )
    campaign = await _draft(api, drill=True)
    await _approve(api, campaign)
    (run,) = await fire_due(api.runtime.pool, api.clock.at)
    made = await expand_run(api.runtime.pool, run, api.clock.at, keyring)
    assert made is not None
    assert (made.target, made.excluded) == (4, 0)
    rows = await api.runtime.pool.fetch("SELECT * FROM messages WHERE run_id = $1", run)
    phones = [keyring.decrypt("phone", row["phone_cipher"]) for row in rows]
    assert sorted(phones) == [f"+8619790000{n:03d}" for n in range(4)]
    assert [keyring.phone_index(p) for p in phones] == [row["phone_hash"] for row in rows]
    carriers = sorted(row["carrier"] for row in rows)
    assert carriers == ["china_mobile", "china_mobile", "china_unicom", "china_unicom"]
    shown = (await api.get(f"/runs/{run}", OPERATOR)).json
    assert shown["mode"] == "drill"


async def test_a_drill_has_nobodys_name(api: Api) -> None:
    """An erasure goes by numbers, and would find no name under one that is nobody's."""
    keyring, now, team = api.runtime.keyring, api.clock.at, api.teams["county"]
    names = ["王小明", "欧阳𬭎", "Wang Li"]
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, keyring, 1, now)
        for n, name in enumerate(names):
            cipher = keyring.encrypt("name", name)
            await make_contact(conn, keyring, team.department_id, n, now=now, name_cipher=cipher)
        text = TEXT.replace("】", "】{姓名}您好：")
        draft = await make_draft(conn, team.operator, now=now, text=text)
    await api.patch(f"/campaigns/{draft.id}", OPERATOR, {"drill": True})
    await _approve(api, str(draft.id))
    (run,) = await fire_due(api.runtime.pool, now)
    assert await expand_run(api.runtime.pool, run, now, keyring) is not None
    rows = await api.runtime.pool.fetch("SELECT name_cipher FROM messages WHERE run_id = $1", run)
    shown = sorted(keyring.decrypt("name", row["name_cipher"]) for row in rows)
    assert shown == [
        "xxxxxxx",
        "某某某",
        "某某某某",
    ]  # as long as theirs, one with a rare character


async def test_a_drill_without_a_simulated_channel_reaches_nobody(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        await conn.execute("UPDATE channels SET enabled = false")
        await make_contact(
            conn, api.runtime.keyring, api.teams["county"].department_id, 1, now=api.clock.at
        )
    campaign = await _draft(api, drill=True)
    await _approve(api, campaign)
    (run,) = await fire_due(api.runtime.pool, api.clock.at)
    made = await expand_run(api.runtime.pool, run, api.clock.at, api.runtime.keyring)
    assert made is not None
    assert (made.target, made.excluded) == (0, 1)
    reasons = await api.runtime.pool.fetch("SELECT reason FROM exclusions")
    assert [row["reason"] for row in reasons] == ["no_route"]
    assert isinstance(run, UUID)


async def test_a_plan_for_newcomers_writes_to_a_person_who_is_added_by_hand(api: Api) -> None:
    pool = api.runtime.pool
    async with transaction(pool) as conn:
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    campaign = await _draft(api, schedule={"kind": "joining", "roles": ["owner", "finance"]})
    approved = await _approve(api, campaign)
    assert approved["schedule"]["roles"] == ["finance", "owner"]
    look = api.clock.at + timedelta(minutes=10)
    for shown in (approved, (await api.get(f"/campaigns/{campaign}", OPERATOR)).json):
        assert [fire["at"] for fire in shown["next_fires"]] == [instant(look)]
    person = {"phone": "19790001230", "roles": ["finance"], "roster": "财务人员", "basis": "duty"}
    assert (await api.post("/contacts", OPERATOR, person)).status == 201
    (run,) = await fire_due(pool, look)
    expansion = await expand_run(pool, run, look)
    assert expansion is not None
    assert (expansion.target, expansion.excluded) == (1, 0)


@pytest.mark.parametrize(
    "schedule",
    [{"kind": "joining"}, {"kind": "joining", "roles": ["boss"]}, {"roles": ["finance"]}],
)
async def test_a_plan_for_nobody_is_refused(api: Api, schedule: dict[str, Any]) -> None:
    campaign = await _draft(api)
    refused = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"schedule": schedule})
    assert refused.status == 422
    assert "schedule.roles" in refused.json["fields"]
