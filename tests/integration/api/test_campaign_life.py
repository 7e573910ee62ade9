"""A campaign's whole life over HTTP: plan, submit, approve by another, fire, steer, end."""

import asyncio
from typing import Any

import pytest

from service.campaigns.plans import planning
from service.campaigns.plans.lifecycle import expire_pending
from service.campaigns.runs.firing import fire_due
from service.dispatch.expansion.expand import expand_run
from service.queue import Job
from service.storage.postgres import transaction
from tests.factories import TEXT, make_contact, make_draft, phone
from tests.harness.campaigns import act_on, planned
from tests.harness.instants import instant
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

OPERATOR, APPROVER = ("county", "operator"), ("county", "approver")
ADMIN = ("county", "admin")


async def test_a_campaign_is_planned_approved_fired_paused_resumed_and_cancelled(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        for n in range(3):
            await make_contact(
                conn, api.runtime.keyring, api.teams["county"].department_id, n, now=api.clock.at
            )
    campaign = await planned(api)
    submitted = await act_on(api, OPERATOR, campaign, "submit")
    assert (submitted["state"], submitted["baseline"]) == ("pending_approval", 3)
    approved = await act_on(api, APPROVER, campaign, "approve")
    assert approved["state"] == "scheduled"
    assert approved["next_fire_at"] is not None

    runs = await fire_due(api.runtime.pool, api.clock.at)
    assert len(runs) == 1
    listed = (await api.get(f"/campaigns/{campaign}/runs", OPERATOR)).json
    assert [run["id"] for run in listed["items"]] == [str(runs[0])]
    run = (await api.get(f"/runs/{runs[0]}", OPERATOR)).json
    assert (run["state"], run["class"], run["target"]) == ("expanding", "public_interest", None)

    assert (await act_on(api, OPERATOR, campaign, "pause"))["state"] == "paused"
    assert (await act_on(api, APPROVER, campaign, "resume"))["state"] == "running"
    ended = await act_on(api, OPERATOR, campaign, "cancel", {"reason": "发错了"})
    assert ended["state"] == "cancelled"
    run = (await api.get(f"/runs/{runs[0]}", OPERATOR)).json
    assert run["state"] == "cancelled"
    steps = [(move["to_state"], move["reason"]) for move in ended["moves"]]
    assert steps == [
        ("pending_approval", "submitted"),
        ("scheduled", "approved"),
        ("running", "fired"),
        ("paused", "paused"),
        ("running", "resumed"),
        ("cancelled", "发错了"),
    ]
    fired = ended["moves"][2]
    assert fired["user_id"] is None


async def test_report_and_messages_of_a_run(api: Api) -> None:
    campaign = await planned(api)
    await act_on(api, OPERATOR, campaign, "submit")
    await act_on(api, APPROVER, campaign, "approve")
    (run,) = await fire_due(api.runtime.pool, api.clock.at)
    keyring = api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        channel = await add_channel(conn, keyring, 1, api.clock.at)
        await conn.execute("INSERT INTO slices VALUES ($1, 1, $2, 1, 3, 1)", run, channel.id)
        for no in (1, 2, 3):
            await conn.execute(
                """
                INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier,
                                      area_code, roles, state)
                VALUES ($1, $2, $3, $4, $6, 'china_mobile', '341825100000', '{elderly}', $5)
                """,
                run,
                no,
                keyring.phone_index(phone(no)),
                keyring.encrypt("phone", phone(no)),
                "delivered" if no == 1 else "queued",
                channel.id,
            )
        await conn.execute("UPDATE runs SET target = 3, state = 'running' WHERE id = $1", run)
    report = (await api.get(f"/runs/{run}/report", OPERATOR)).json
    assert report["target"] == 3 == sum(report["states"].values())
    assert report["reached"] == 1
    assert report["by_area"]["341825100000"]["target"] == 3
    assert "area_name" in report["by_area"]["341825100000"]
    first = (await api.get(f"/runs/{run}/messages?limit=2", OPERATOR)).json
    assert [item["phone"] for item in first["items"]] == ["197****0001", "197****0002"]
    rest = await api.get(f"/runs/{run}/messages?cursor={first['next_cursor']}", OPERATOR)
    assert [item["no"] for item in rest.json["items"]] == [3]
    assert rest.json["next_cursor"] is None
    delivered = (await api.get(f"/runs/{run}/messages?state=delivered", OPERATOR)).json
    assert [item["no"] for item in delivered["items"]] == [1]
    await act_on(api, OPERATOR, campaign, "cancel")
    report = (await api.get(f"/runs/{run}/report", OPERATOR)).json
    assert report["states"] == {"delivered": 1, "cancelled": 2}
    assert report["by_reason"] == {"campaign_cancelled": 2}


async def test_no_one_approves_their_own(api: Api) -> None:
    campaign = await planned(api)
    admin = ("county", "admin")
    await api.patch(f"/campaigns/{campaign}", admin, {"name": "改了"})
    await act_on(api, OPERATOR, campaign, "submit")
    refused = await api.post(f"/campaigns/{campaign}/approve", admin)
    assert refused.status == 403
    assert refused.json["type"] == "/problems/second_person_needed"
    assert "you edited it last" in refused.json["detail"]
    await act_on(api, APPROVER, campaign, "approve")


@pytest.mark.attack
async def test_a_new_text_after_submission_cannot_be_approved(api: Api) -> None:
    campaign = await planned(api)
    submitted = await act_on(api, OPERATOR, campaign, "submit")
    path = f"/templates/{submitted['template_id']}/versions"
    assert (await api.post(path, OPERATOR, {"text": TEXT + "谢谢。"})).status == 201
    refused = await api.post(f"/campaigns/{campaign}/approve", APPROVER)
    assert refused.status == 409
    assert refused.json["type"] == "/problems/changed_since_submission"
    assert (await act_on(api, APPROVER, campaign, "return", {"reason": "新文本"}))["state"] == (
        "returned"
    )
    again = await act_on(api, OPERATOR, campaign, "submit")
    assert again["text"] == TEXT + "谢谢。"
    assert again["content_hash"] != submitted["content_hash"]
    await act_on(api, APPROVER, campaign, "approve")


async def test_an_edited_rule_after_submission_cannot_be_approved(api: Api) -> None:
    campaign = await planned(api)
    segment = (await act_on(api, OPERATOR, campaign, "submit"))["segment_id"]
    spelled = {"rule": "运营商 属于 (移动, 联通, 电信, 广电)"}  # the same rule in other words
    assert (await api.patch(f"/segments/{segment}", OPERATOR, spelled)).status == 200
    other = {"rule": "运营商 = 移动"}
    assert (await api.patch(f"/segments/{segment}", OPERATOR, other)).status == 200
    refused = await api.post(f"/campaigns/{campaign}/approve", APPROVER)
    assert refused.json["type"] == "/problems/changed_since_submission"
    await api.patch(f"/segments/{segment}", OPERATOR, spelled)
    await act_on(api, APPROVER, campaign, "approve")


@pytest.mark.attack
async def test_an_edit_voids_the_approval(api: Api) -> None:
    once = {"kind": "once", "start_at": "2027-01-20T10:00:00+08:00"}
    campaign = await planned(api, schedule=once)
    await act_on(api, OPERATOR, campaign, "submit")
    await act_on(api, APPROVER, campaign, "approve")
    edited = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"priority": "urgent"})
    assert edited.status == 200
    assert edited.json["state"] == "draft"
    assert edited.json["approved_by"] is None
    assert edited.json["next_fire_at"] is None
    assert edited.json["schedule"]["start_at"] == instant("2027-01-20T02:00:00Z")
    assert (await api.post(f"/campaigns/{campaign}/approve", APPROVER)).status == 409


async def test_a_pending_approval_expires(api: Api) -> None:
    campaign = await planned(api)
    submitted = await act_on(api, OPERATOR, campaign, "submit")
    assert submitted["pending_until"] == instant("2027-01-19T01:30:00Z")
    api.clock.at = api.clock.at.replace(day=19, hour=2)
    refused = await api.post(f"/campaigns/{campaign}/approve", APPROVER)
    assert (refused.status, refused.json["type"]) == (409, "/problems/expired")
    assert [str(c) for c in await expire_pending(api.runtime.pool, api.clock.at)] == [campaign]
    shown = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    assert (shown["state"], shown["submitted_by"]) == ("returned", None)


async def test_a_blocked_text_is_kept_but_cannot_be_submitted(api: Api) -> None:
    bad = await api.post(
        "/templates",
        OPERATOR,
        {"name": "链接", "text": "【旌德县公安局】详情见 http://a.example/x 。"},
    )
    assert bad.status == 201
    assert {finding["level"] for finding in bad.json["lint"]} >= {"block"}
    campaign = await planned(api)
    changed = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"template_id": bad.json["id"]})
    assert changed.status == 200
    refused = await api.post(f"/campaigns/{campaign}/submit", OPERATOR)
    assert (refused.status, refused.json["type"]) == (409, "/problems/text_blocked")
    assert refused.json["findings"][0]["level"] == "block"


async def test_a_text_whose_variables_nothing_fills_is_refused_when_it_is_planned(
    api: Api,
) -> None:
    """The problem names them all, and what can fill a text; a newer version is seen, too."""
    text = "【旌德县公安局】{社区}：{课程}收费{学费}，请注意。"
    unfillable = (await api.post("/templates", OPERATOR, {"name": "周报", "text": text})).json
    assert unfillable["fills"] == {"社区": "village", "课程": None, "学费": None}
    campaign = await planned(api)
    before = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    body = {name: before[name] for name in ("name", "segment_id")}
    turns = {
        "template_id": before["template_id"],
        "more_texts": [{"template_id": unfillable["id"], "after_days": 3}],
    }
    for field, wrong in (
        ("template_id", {"template_id": unfillable["id"]}),
        ("more_texts.0.template_id", turns),
    ):
        made = await api.post("/campaigns", OPERATOR, body | wrong)
        changed = await api.patch(f"/campaigns/{campaign}", OPERATOR, wrong)
        for refused in (made, changed):
            assert refused.status == 422, refused.body
            (problem,) = refused.json["fields"].items()
            assert problem[0] == field
            assert "nothing fills {课程}, {学费}" in problem[1]
            known = ("姓名", "乡镇", "社区", "单位", "起数", "课程:数量")
            assert all(f"{{{name}}}" in problem[1] for name in known)
    assert (await api.get(f"/campaigns/{campaign}", OPERATOR)).json == before
    version = {"text": text}
    path = f"/templates/{before['template_id']}/versions"
    assert (await api.post(path, OPERATOR, version)).status == 201
    refused = await api.post(f"/campaigns/{campaign}/submit", OPERATOR)
    assert refused.status == 422
    assert "{课程}, {学费}" in refused.json["fields"]["template_id"]


async def test_the_library_says_what_each_text_wants(api: Api) -> None:
    items = (await api.get("/templates/library", OPERATOR)).json["items"]
    wants = {item["id"]: item["wants"] for item in items if item["wants"]}
    assert wants == {
        "S28": ["起数"],
        "L1": ["周期", "起数", "金额"],
        "W2": ["群名"],
    }
    by_id = {item["id"]: item["fills"] for item in items}
    assert by_id["S08"] == {"社区": "village"}
    assert by_id["W1"] == {"单位": "org"}
    assert by_id["W2"] == {"姓名": "name", "群名": "plan"}
    assert None not in {source for fills in by_id.values() for source in fills.values()}


async def test_a_recurrence_that_is_not_supported_is_refused_by_its_name(api: Api) -> None:
    campaign = await planned(api)
    body = {
        "schedule": {
            "kind": "recurring",
            "start_at": "2027-01-15T09:00:00+08:00",
            "rrule": "FREQ=DAILY;BYHOUR=9,15",
        }
    }
    refused = await api.patch(f"/campaigns/{campaign}", OPERATOR, body)
    assert refused.status == 422
    assert "BYHOUR" in refused.json["fields"]["schedule.rrule"]


async def test_a_recurring_campaign_shows_its_next_five_fires(api: Api) -> None:
    campaign = await planned(api)
    plan = {
        "kind": "recurring",
        "start_at": "2027-01-15T09:00:00+08:00",
        "rrule": "FREQ=WEEKLY;BYDAY=FR",
    }
    changed = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"schedule": plan})
    days = [fire["at"][:10] for fire in changed.json["next_fires"]]
    assert days == ["2027-01-15", "2027-01-22", "2027-01-29", "2027-02-07", "2027-02-12"]
    assert "除夕" in changed.json["next_fires"][3]["note"]
    assert any("official until 2026-12-31" in note for note in changed.json["schedule_notes"])
    tried = await api.post("/schedules/preview", OPERATOR, {"schedule": plan})
    assert tried.json["fires"] == changed.json["next_fires"]
    assert tried.json["official_until"] == "2026-12-31"
    shown = await api.get(f"/campaigns/{campaign}/fires", OPERATOR)
    assert shown.json["items"] == []


@pytest.mark.parametrize(
    ("body", "fires", "note"),
    [
        (
            {"schedule": {"kind": "once", "start_at": "2027-02-05T10:00:00+08:00"}},
            [instant("2027-02-07T00:00:00Z")],
            "waits for its hours until 2027-02-07 08:00",
        ),
        (
            {
                "schedule": {
                    "kind": "once",
                    "start_at": "2027-02-05T10:00:00+08:00",
                    "quiet_days": "send",
                }
            },
            [instant("2027-02-05T02:00:00Z")],
            "computed",
        ),
        ({"schedule": {"kind": "now"}, "class": "warning"}, None, "at any hour"),
        (
            {"schedule": {"kind": "now"}, "rule": "身份 = 家长 且 运营商 = 移动"},
            [instant("2027-01-12T09:00:00Z")],
            "17:00 to 19:30",
        ),
        (
            {"schedule": {"kind": "now", "send_hours": [["06:00", "23:00"]]}},
            None,
            "lies outside is not used",
        ),
        ({"schedule": {"kind": "now", "timezone": "Europe/Berlin"}}, None, "in Beijing"),
    ],
)
async def test_a_schedule_can_be_tried(
    api: Api, body: dict[str, object], fires: list[str] | None, note: str
) -> None:
    tried = await api.post("/schedules/preview", OPERATOR, body)
    assert tried.status == 200
    assert any(note in said for said in tried.json["notes"])
    if fires is not None:
        assert [fire["sends_from"] for fire in tried.json["fires"]] == fires


@pytest.mark.attack
async def test_only_an_administrator_of_the_county_goes_beyond_its_hours(api: Api) -> None:
    campaign = await planned(api)
    late = {"kind": "now", "send_hours": [["08:00", "21:30"]], "beyond_hours": True}
    url = f"/campaigns/{campaign}"
    refused = await api.patch(url, OPERATOR, {"schedule": late})
    assert (refused.status, refused.json["type"]) == (403, "/problems/forbidden")
    allowed = await api.patch(url, ADMIN, {"schedule": late})
    assert allowed.status == 200
    renamed = await api.patch(url, OPERATOR, {"name": "新名", "schedule": late})
    assert renamed.status == 200
    wider = late | {"send_hours": [["08:00", "21:00"]]}
    assert (await api.patch(url, OPERATOR, {"schedule": wider})).status == 403


async def test_hours_that_have_none_in_common_with_the_countys_are_refused(api: Api) -> None:
    campaign = await planned(api)
    night = {"schedule": {"kind": "now", "send_hours": [["21:00", "23:00"]]}}
    refused = await api.patch(f"/campaigns/{campaign}", OPERATOR, night)
    assert refused.status == 422
    assert "schedule.send_hours" in refused.json["fields"]


async def test_a_plan_with_things_that_are_not_there_is_refused_whole(api: Api) -> None:
    other = await api.post(
        "/segments", ("school", "operator"), {"name": "家长", "rule": "身份 = 家长"}
    )
    campaign = await planned(api)
    body = {
        "template_id": "00000000-0000-0000-0000-000000000000",
        "segment_id": other.json["id"],  # of another department
        "channels": [77],
    }
    refused = await api.patch(f"/campaigns/{campaign}", OPERATOR, body)
    assert refused.status == 422
    assert set(refused.json["fields"]) == {"template_id", "segment_id", "channels"}


async def test_all_fires_to_come_are_counted_where_they_have_an_end(api: Api) -> None:
    campaign = await planned(api)
    weekly = {
        "kind": "recurring",
        "start_at": "2027-01-13T09:30:00+08:00",
        "rrule": "FREQ=WEEKLY;BYDAY=WE",
    }
    ends = {"until": "2027-03-31T23:59:00+08:00", "holidays": "skip"}
    daily = {"rrule": "FREQ=DAILY", "until": "2028-12-31T23:59:00+08:00"}
    for more, count in ((ends, 12), ({}, None), (daily, None)):
        schedule = weekly | more
        tried = (await api.post("/schedules/preview", OPERATOR, {"schedule": schedule})).json
        kept = (await api.patch(f"/campaigns/{campaign}", OPERATOR, {"schedule": schedule})).json
        assert kept["to_come"] == tried["to_come"], more
        assert (tried["to_come"] or {}).get("count") == count, more
        assert len([fire for fire in tried["fires"] if not fire["skipped"]]) == 5
    body = {"schedule": weekly | ends | {"rrule": "FREQ=DAILY"}, "count": 100}
    whole = (await api.post("/schedules/preview", OPERATOR, body)).json
    assert any(fire["skipped"] for fire in whole["fires"]), "on the holidays"
    taking_place = [fire["at"] for fire in whole["fires"] if not fire["skipped"]]
    assert whole["to_come"] == {"count": len(taking_place), "last_at": taking_place[-1]}


async def test_the_preview_counts_and_renders(api: Api) -> None:
    department = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        await make_contact(conn, api.runtime.keyring, department, 1, now=api.clock.at)
        await make_contact(
            conn, api.runtime.keyring, department, 2, now=api.clock.at, carrier="china_unicom"
        )
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    campaign = await planned(api)
    preview = (await api.get(f"/campaigns/{campaign}/preview", OPERATOR)).json
    assert preview["target"] == 2
    assert preview["by_carrier"] == {"china_mobile": 1, "china_unicom": 1}
    assert preview["text"] == TEXT
    assert (preview["parts"], preview["encoding"]) == (1, "UCS2")
    assert {person["phone"] for person in preview["sample"]} == {"197****0001", "197****0002"}
    assert {person["name"] for person in preview["sample"]} == {"王**"}


async def test_resuming_wakes_the_channels(api: Api, monkeypatch: Any) -> None:
    rung: list[tuple[Job, tuple[object, ...]]] = []

    async def enqueue(_queue: object, job: Job, *ids: object) -> None:
        rung.append((job, ids))

    monkeypatch.setattr("service.queue.Queue.enqueue", enqueue)
    campaign = await planned(api)
    await act_on(api, OPERATOR, campaign, "submit")
    await act_on(api, APPROVER, campaign, "approve")
    (run,) = await fire_due(api.runtime.pool, api.clock.at)
    async with transaction(api.runtime.pool) as conn:
        channel = await conn.fetchval(
            """
            INSERT INTO channels (name, kind, simulated, carriers, config_cipher, created_at)
            VALUES ('移动', 'cmpp', true, '{china_mobile}', '', $1) RETURNING id
            """,
            api.clock.at,
        )
        await conn.execute("UPDATE runs SET state = 'running' WHERE id = $1", run)
        await conn.execute(
            """
            INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority)
            VALUES ($1, 1, $2, 1, 1, 1)
            """,
            run,
            channel,
        )
    await act_on(api, OPERATOR, campaign, "pause")
    assert rung == []
    await act_on(api, OPERATOR, campaign, "resume")
    assert rung == [(Job.DRAIN_CHANNEL, (channel,))]


async def test_several_texts_are_planned_shown_and_changed(api: Api) -> None:
    made = [
        (await api.post("/templates", OPERATOR, {"name": f"反诈{n}", "text": f"{TEXT}{n}"})).json
        for n in range(2)
    ]
    more = [{"template_id": made[n]["id"], "after_days": days} for n, days in ((0, 7), (1, 21))]
    campaign = await planned(api, more_texts=more)
    shown = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json
    assert [(t["template_id"], t["after_days"], t["text"]) for t in shown["more_texts"]] == [
        (made[n]["id"], days, f"{TEXT}{n}") for n, days in ((0, 7), (1, 21))
    ]
    read = (await api.get(f"/campaigns/{campaign}/preview", OPERATOR)).json
    assert [(t["text"], t["parts"]) for t in read["more_texts"]] == [
        (f"{TEXT}0", 1),
        (f"{TEXT}1", 1),
    ]
    for wrong in ([*more, more[0]], [{"template_id": made[0]["id"]}], [{"after_days": 7}]):
        refused = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"more_texts": wrong})
        assert refused.status == 422, refused.body
    edited = await api.patch(f"/campaigns/{campaign}", OPERATOR, {"more_texts": []})
    assert edited.json["more_texts"] == []


async def test_a_run_is_corrected_by_a_campaign_of_its_own(api: Api) -> None:
    keyring, pool = api.runtime.keyring, api.runtime.pool
    async with transaction(pool) as conn:
        await add_channel(conn, keyring, 1, api.clock.at)
        for n in range(3):
            await make_contact(
                conn, keyring, api.teams["county"].department_id, n, now=api.clock.at
            )
    campaign = await planned(api)
    await act_on(api, OPERATOR, campaign, "submit")
    await act_on(api, APPROVER, campaign, "approve")
    (run,) = await fire_due(pool, api.clock.at)
    await expand_run(pool, run, api.clock.at)
    right = await api.post("/templates", OPERATOR, {"name": "更正", "text": f"{TEXT}更正。"})
    body = {"name": "更正", "template_id": right.json["id"]}
    path = f"/runs/{run}/correction"
    refused = await api.post(path, OPERATOR, body)
    assert (refused.status, refused.json["type"]) == (409, "/problems/run_still_sends")
    async with transaction(pool) as conn:
        await conn.execute("UPDATE messages SET state = 'delivered' WHERE no < 3")
        await conn.execute("UPDATE messages SET state = 'rejected' WHERE no = 3")
        await conn.execute("UPDATE runs SET state = 'sent'")
    key = {"headers": {"Idempotency-Key": "k"}}
    made = await api.post(path, OPERATOR, body, **key)
    assert made.status == 201, made.body
    draft = made.json
    assert (draft["corrects"], draft["segment_id"], draft["state"]) == (str(run), None, "draft")
    assert (draft["over_cap"], draft["priority"]) == ("send", "urgent")
    assert (await api.post(path, OPERATOR, body, **key)).json["id"] == draft["id"]
    assert (await api.post(path, ("school", "operator"), body)).status == 404
    shown = (await api.get(f"/campaigns/{draft['id']}/preview", OPERATOR)).json
    assert (shown["target"], shown["by_carrier"]) == (2, {"china_mobile": 2})
    await act_on(api, OPERATOR, draft["id"], "submit")
    await act_on(api, APPROVER, draft["id"], "approve")
    (correction,) = await fire_due(pool, api.clock.at)
    await expand_run(pool, correction, api.clock.at)
    report = (await api.get(f"/runs/{correction}/report", OPERATOR)).json
    assert (report["follows"], report["relation"]) == (str(run), "correction")
    assert report["target"] == 2
    listed = (await api.get(f"/campaigns/{campaign}/runs", OPERATOR)).json["items"]
    assert [item["id"] for item in listed] == [str(correction), str(run)]
    evidence = await api.get(f"/runs/{correction}/evidence", ADMIN)
    assert evidence.status == 200


async def test_what_was_missed_is_counted_and_sent_again_and_who_joined_is_topped_up(
    api: Api,
) -> None:
    keyring, pool, whose = api.runtime.keyring, api.runtime.pool, api.teams["county"].department_id
    async with transaction(pool) as conn:
        await add_channel(conn, keyring, 1, api.clock.at)
        for n in range(3):
            await make_contact(conn, keyring, whose, n, now=api.clock.at)
    campaign = await planned(api)
    before = (await api.get(f"/campaigns/{campaign}/top-up", OPERATOR)).json
    assert (before["people"], "not fired" in before["why"]) == (None, True)
    await act_on(api, OPERATOR, campaign, "submit")
    await act_on(api, APPROVER, campaign, "approve")
    (run,) = await fire_due(pool, api.clock.at)
    await expand_run(pool, run, api.clock.at)
    async with transaction(pool) as conn:
        await conn.execute("UPDATE messages SET state = 'delivered' WHERE no = 1")
        await conn.execute("UPDATE messages SET state = 'uncertain' WHERE no = 2")
        await conn.execute(
            "UPDATE messages SET state = 'undelivered', reason = 'powered_off' WHERE no = 3"
        )
        await conn.execute("UPDATE runs SET state = 'sent'")
        await make_contact(conn, keyring, whose, 9, now=api.clock.at)
    missed = await api.get(f"/runs/{run}/missed", OPERATOR)
    assert missed.json == {"again": {"powered_off": 1}, "not_again": {"in_doubt": 1}}
    joined = (await api.get(f"/campaigns/{campaign}/top-up", OPERATOR)).json
    assert joined == {"people": 1, "why": None}
    relations = {}
    for path in (f"/runs/{run}/resend-missed", f"/campaigns/{campaign}/top-up"):
        key = {"headers": {"Idempotency-Key": path}}
        started = await api.post(path, OPERATOR, {"reason": "r"}, **key)
        assert started.status == 202, started.body
        assert (await api.post(path, OPERATOR, {"reason": "r"}, **key)).json == started.json
        made = started.json["run_id"]
        await expand_run(pool, made, api.clock.at)
        report = (await api.get(f"/runs/{made}/report", OPERATOR)).json
        assert (report["target"], report["follows"]) == (1, str(run))
        relations[made] = report["relation"]
    assert list(relations.values()) == ["resend", "top_up"]
    listed = (await api.get(f"/campaigns/{campaign}/runs", OPERATOR)).json["items"]
    assert {item["id"]: item["relation"] for item in listed} == {**relations, str(run): None}
    moves = (await api.get(f"/campaigns/{campaign}", OPERATOR)).json["moves"]
    assert moves[-2]["reason"] == f"sent again to 1 whom run {run} missed: r"
    assert moves[-1]["reason"] == "topped up with 1 who joined: r"


@pytest.mark.attack
async def test_the_drafts_of_a_department_are_bounded(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "MOST_DRAFTS", 2)
    async with transaction(api.runtime.pool) as conn:
        first = await make_draft(conn, api.teams["county"].operator, now=api.clock.at)
    operator = ("county", "operator")
    clone = f"/campaigns/{first.id}/clone"
    made = await asyncio.gather(*(api.post(clone, operator, {"name": "n"}) for _ in range(4)))
    assert sorted(answer.status for answer in made) == [201, 409, 409, 409]
    refused = next(answer for answer in made if answer.status == 409)
    assert refused.json["type"].endswith("/too_many_drafts")
    assert "cancel those that nobody needs" in refused.json["detail"]
    cancelled = await api.post(f"/campaigns/{first.id}/cancel", operator, {"reason": "r"})
    assert cancelled.status == 200
    assert (await api.post(clone, operator, {"name": "n"})).status == 201
    async with transaction(api.runtime.pool) as conn:
        await make_draft(conn, api.teams["school"].operator, now=api.clock.at)
