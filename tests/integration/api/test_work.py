"""What waits for a person: each kind with its count, its oldest, its words, and to whom."""

import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.bootstrap import FirstAdministrator, bootstrap
from service.accounts.people.model import By, Right, Role
from service.api.system import metrics
from service.audience.areas.area_store import load_areas
from service.campaigns.approval import approval
from service.campaigns.plans import lifecycle
from service.campaigns.runs import firing
from service.campaigns.runs.firing import fire_due
from service.clock import CHINA
from service.dispatch.failover import health_store
from service.dispatch.failover.circuit_breaker import Breaker, BreakerState, ChannelFigures
from service.dispatch.failover.health import ChannelCounts
from service.reports.interruptions import WHYS
from service.reports.work_store import KINDS
from service.storage.postgres import transaction
from tests.factories import make_contact, make_draft, make_token, make_user, phone
from tests.harness.channels import BODY as CHANNEL
from tests.harness.channels import real
from tests.harness.keys import key_made_by, other, second_admin
from tests.harness.ledger import add_channel
from tests.harness.owed import FRIDAY, made_duty, turn
from tests.harness.work import daily_campaign, tick, work_of
from tests.integration.api.conftest import Api

ADMIN, COUNTY, SCHOOL = ("county", "admin"), ("county", "operator"), ("school", "operator")
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOTHING = ChannelFigures(ChannelCounts(), 0, timedelta(0), 0, None, 0, 0, None, covered=False)


async def _shut(api: Api, kind: str) -> int:
    now = api.clock.at
    async with transaction(api.runtime.pool) as conn:
        channel = await add_channel(conn, api.runtime.keyring, 1, now)
        await health_store.channels_to_judge(conn, [], now, HOUR)
        state: BreakerState = "open" if kind == "opened" else "closed"
        await health_store.write_breaker(conn, channel.id, Breaker(state, now, "down", "why"))
        await health_store.write_event(conn, channel.id, kind, "why", NOTHING, now)
    return channel.id


async def test_each_kind_of_what_waits(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    begin = api.clock.at
    work = await work_of(api)
    assert list(work) == [
        "stops",
        "shut_channels",
        "not_firing",
        "holds",
        "returned",
        "duties",
        "late_units",
        "uncertain",
        "inbound",
        "held_opt_outs",
        "held_suppressions",
        "missed_fires",
        "asked_legs",
        "returned_legs",
        "left_out_legs",
        "list_files",
        "receipts",
        "imports",
        "ending_rosters",
        "vacant_posts",
        "number_corrections",
        "filings",
        "taken_texts",
    ]
    assert [kind["count"] for kind in work.values()] == [0] * 23
    held, paused = await daily_campaign(api, late="hold"), await daily_campaign(api)
    whole = await daily_campaign(api, late="hold", hold_following=True)
    team = api.teams["school"]
    async with transaction(api.runtime.pool) as conn:
        by = By(team.operator.id, "r", begin)
        await lifecycle.pause(conn, team.operator, (await _id(conn, paused)), by)
    channel = await _shut(api, "opened")
    await tick(api, begin + 2 * HOUR)
    await api.post("/stop-all", COUNTY, {"reason": "wrong hotline"})
    work = await work_of(api)
    assert {name: kind["count"] for name, kind in work.items()} == {
        "stops": 1,
        "shut_channels": 1,
        "not_firing": 1,
        "holds": 2,
        "returned": 0,
        "duties": 0,
        "late_units": 0,
        "uncertain": 0,
        "inbound": 0,
        "held_opt_outs": 0,
        "held_suppressions": 0,
        "missed_fires": 1,
        "asked_legs": 0,
        "returned_legs": 0,
        "left_out_legs": 0,
        "list_files": 0,
        "receipts": 0,
        "imports": 0,
        "ending_rosters": 0,
        "vacant_posts": 0,
        "number_corrections": 0,
        "filings": 0,
        "taken_texts": 0,
    }
    (stop,), (shut,) = work["stops"]["items"], work["shut_channels"]["items"]
    assert (stop["name"], stop["code"]) == ("wrong hotline", "person")
    assert (shut["id"], shut["code"], shut["plain"]["zh"]) == (str(channel), "down", "连接不上。")
    assert [item["id"] for item in work["not_firing"]["items"]] == [whole]
    fires = {item["id"]: item for item in work["holds"]["items"]}
    assert set(fires) == {held, whole}
    assert (fires[held]["code"], fires[whole]["planned_at"]) == ("late", None)
    (missed,) = work["missed_fires"]["items"]
    assert (missed["id"], missed["code"]) == (paused, "paused")
    assert datetime.fromisoformat(missed["planned_at"]) == begin + HOUR
    assert datetime.fromisoformat(work["missed_fires"]["oldest"]) == begin + 2 * HOUR
    others = await work_of(api, COUNTY)
    assert [kind["count"] for kind in others.values()] == [1, 1] + [0] * 22, "their own is theirs"
    inspected = await work_of(api, ("county", "inspector"))
    reports = {"not_firing", "holds", "missed_fires", "asked_legs", "returned_legs"}
    reports |= {"left_out_legs", "list_files"}
    assert set(inspected) == reports
    assert inspected["holds"]["count"] == 2
    figures = await _figures(api)
    assert figures["tocsin_work", "holds"] == 2
    assert figures["tocsin_work", "stops"] == 1
    assert figures["tocsin_interruptions_total", "fire.missed"] == 1
    assert figures["tocsin_interruptions_total", "channel.shut"] == 1
    assert figures["tocsin_interruptions_total", "channel.recovered"] == 0


async def _id(conn: Any, campaign_id: str) -> Any:
    return await conn.fetchval("SELECT id FROM campaigns WHERE id::text = $1", campaign_id)


async def _figures(api: Api) -> dict[tuple[str, ...], float]:
    answer = await api.get("//metrics", SCHOOL)
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.body.decode())
        for sample in family.samples
    }


async def test_what_goes_on_waits_no_more_and_stays_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "READ_SECONDS", 0.0)
    path = f"/campaigns/{await daily_campaign(api, late='hold')}"
    await api.post(f"{path}/pause", SCHOOL, {})
    await tick(api, api.clock.at + 2 * HOUR)
    assert (await work_of(api))["missed_fires"]["count"] == 1
    await api.post(f"{path}/resume", SCHOOL, {"missed": "hold"})
    work = await work_of(api)
    assert (work["missed_fires"]["count"], work["holds"]["count"]) == (0, 1)
    await api.post(f"{path}/release", SCHOOL, {"missed": "skip"})
    assert all(kind["count"] == 0 for kind in (await work_of(api)).values())
    figures = await _figures(api)
    for kind in ("campaign.paused", "campaign.resumed", "fire.missed", "fire.held", "fire.skipped"):
        assert figures["tocsin_interruptions_total", kind] == 1, kind


async def test_lifting_the_stop_lists_what_it_has_held(api: Api) -> None:
    mine, other = await daily_campaign(api, "county"), await daily_campaign(api)
    await api.post("/stop-all", COUNTY, {"reason": "r"})
    await tick(api, api.clock.at + HOUR)
    lifted = await api.post("/stop-all/lift", COUNTY, {"reason": "seen"})
    assert [(item["id"], item["code"]) for item in lifted.json["held"]] == [(mine, "stopped")]
    assert len(await fire_due(api.runtime.pool, api.clock.at + DAY)) == 2, "later fires go on"
    assert (await work_of(api))["holds"]["items"][0]["id"] == other


async def test_a_campaign_that_cannot_fire_is_an_alarm(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await daily_campaign(api)

    async def fail(*_: object) -> None:
        raise RuntimeError("trouble")

    real = firing._fire
    monkeypatch.setattr(firing, "_fire", fail)
    await tick(api, api.clock.at + HOUR)
    (item,) = (await work_of(api))["not_firing"]["items"]
    assert (item["code"], item["plain"]["zh"]) == ("trouble", "系统出错，未能发出。")
    monkeypatch.setattr(firing, "_fire", real)
    await tick(api, api.clock.at + timedelta(minutes=1))
    assert (await work_of(api))["not_firing"]["count"] == 0


async def test_a_plan_without_a_next_fire_is_an_alarm_until_it_ends(api: Api) -> None:
    await daily_campaign(api)
    last = await daily_campaign(api)
    await api.runtime.pool.execute("UPDATE campaigns SET next_fire_at = NULL")
    await api.runtime.pool.execute(
        "UPDATE campaigns SET period_end = $1 WHERE id::text = $2", api.clock.at, last
    )
    await tick(api, api.clock.at + timedelta(minutes=1))
    await tick(api, api.clock.at + timedelta(minutes=1))
    (item,) = (await work_of(api))["not_firing"]["items"]
    assert item["code"] == "no_next_fire"
    assert item["id"] != last, "nothing of that one is to come"
    told = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM interruptions WHERE kind = 'campaign.not_firing'"
    )
    assert told == 1, "once"


async def test_what_was_returned_waits_for_its_planners_with_the_reason(api: Api) -> None:
    """Not for whoever only reads, nor for another department; until it is submitted again."""
    team, now = api.teams["school"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        draft = await make_draft(conn, team.operator, now=now)
        await approval.submit(conn, team.operator, draft.id, now)
    path = f"/campaigns/{draft.id}"
    body = {"reason": "落款写错"}
    assert (await api.post(f"{path}/return", ("school", "approver"), body)).status == 200
    (item,) = (await work_of(api))["returned"]["items"]
    assert (item["id"], item["code"], item["reason"]) == (str(draft.id), "returned", "落款写错")
    assert (await work_of(api, COUNTY))["returned"]["count"] == 0
    assert "returned" not in await work_of(api, ("county", "inspector"))
    assert (await api.post(f"{path}/submit", SCHOOL)).status == 200
    assert (await work_of(api))["returned"]["count"] == 0


@pytest.mark.attack
async def test_an_exchanged_list_says_how_many_are_others(api: Api) -> None:
    """In the fire's entry, in what waits, in the event, and in both languages."""
    school = api.teams["school"]
    async with transaction(api.runtime.pool) as conn:
        for n in range(20):
            await make_contact(conn, api.runtime.keyring, school.department_id, n, now=api.clock.at)
    campaign = await daily_campaign(api)
    async with transaction(api.runtime.pool) as conn:
        for n in range(5):
            gone = api.runtime.keyring.phone_index(phone(n))
            await conn.execute("DELETE FROM contacts WHERE phone_hash = $1", gone)
            await make_contact(
                conn, api.runtime.keyring, school.department_id, 100 + n, now=api.clock.at
            )
    await tick(api, api.clock.at + HOUR)
    (item,) = (await work_of(api))["holds"]["items"]
    assert (item["id"], item["code"], item["others"], item["people"]) == (
        campaign,
        "exchanged",
        5,
        20,
    )
    assert item["plain"] == {
        "zh": "20 人中有 5 人不在签发时的名单里。",
        "en": "5 of 20 people were not in the target that was approved.",
    }
    (fire,) = (await api.get(f"/campaigns/{campaign}/fires", SCHOOL)).json["items"]
    assert (fire["outcome"], fire["others"], fire["people"]) == ("held", 5, 20)
    assert fire["plain"]["zh"] == "这一次待放行：20 人中有 5 人不在签发时的名单里。"
    async with transaction(api.runtime.pool) as conn:
        told = await conn.fetchrow("SELECT kind, others, people FROM interruptions")
    assert told is not None
    assert tuple(told) == ("fire.held", 5, 20)

    refused = await api.post(f"/campaigns/{campaign}/release", SCHOOL, {})
    assert refused.status == 403, refused.body
    released = await api.post(f"/campaigns/{campaign}/release", ("school", "approver"), {})
    assert released.status == 200, released.body
    assert "holds" not in {k for k, v in (await work_of(api)).items() if v["count"]}


@pytest.mark.attack
async def test_every_administrator_sees_for_a_month_what_the_machine_gave_to_one(api: Api) -> None:
    """Whoever runs it could act as those users; nobody else is asked."""
    assert (await work_of(api, ADMIN))["machine_access"]["count"] == 0
    people = (FirstAdministrator("wang", "王主任"), FirstAdministrator("chen", "陈科长"))
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        tokens = await bootstrap(conn, api.runtime.keyring, now, people, because="只剩一人")
        for user in (team.admin, team.operator):
            act = AuditAct("give_password", now + HOUR, "cli", None, None, "users", str(user.id))
            await insert_entry(conn, api.runtime.keyring, act)
    for who in (ADMIN, tokens["admin"]):
        found = (await work_of(api, who))["machine_access"]
        assert {(item["name"], item["code"]) for item in found["items"]} == {
            ("wang: made again: 只剩一人", "bootstrap_again"),
            ("chen: made again: 只剩一人", "bootstrap_again"),
            (team.admin.login, "give_password"),
        }
        for item in found["items"]:
            assert item["plain"]["zh"].startswith("有人在服务器上")
    assert "machine_access" not in await work_of(api, COUNTY)
    assert (await work_of(api, ("school", "admin")))["machine_access"]["count"] == 0
    api.clock.at = now + 30 * DAY
    assert (await work_of(api, ADMIN))["machine_access"]["count"] == 1
    api.clock.at += HOUR
    assert (await work_of(api, ADMIN))["machine_access"]["count"] == 0


@pytest.mark.attack
async def test_who_could_confirm_a_channel_or_a_right_sees_that_it_waits(api: Api) -> None:
    """Not who proposed it, nor who counts as them, nor who gets it, nor who has less."""
    new = (await api.post("/channels", ADMIN, CHANNEL | {"simulated": False})).json["id"]
    old = await real(api, "smpp")
    change = {"config": {"host": "192.0.2.7", "password": "n"}, "reason": "r"}
    await api.post(f"/channels/{old}/changes", ADMIN, change)
    body = {"login": "n", "name": "n", "roles": ["operator"]}
    user = (await api.post("/users", ADMIN, body)).json
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    second = await second_admin(api)
    for who, channels, rights in ((ADMIN, 0, 0), (puppet, 0, 0), (second, 2, 1)):
        work = await work_of(api, who)
        counts = work["channel_changes"]["count"], work["grants"]["count"]
        assert counts == (channels, rights), who
    items = {item["id"]: item for item in work["channel_changes"]["items"]}
    assert {id_: item["code"] for id_, item in items.items()} == {
        str(new): "new_channel",
        str(old): "channel_change",
    }
    (grant,) = work["grants"]["items"]
    assert (grant["id"], grant["name"], grant["code"]) == (user["id"], "n", "grant")
    assert grant["proposal_id"] == user["proposed"]["id"]
    async with transaction(api.runtime.pool) as conn:
        department = api.teams["county"].department_id
        some = {Right.ACCOUNTS, Right.READ, Right.REPORTS}
        lesser = await make_user(conn, now=api.clock.at, department_id=department, rights=some)
        token = await make_token(conn, api.runtime.keyring, lesser, api.clock.at)
    less = await work_of(api, token)
    assert ("channel_changes" in less, less["grants"]["count"]) == (False, 0)
    assert (await work_of(api, ("school", "admin")))["grants"]["count"] == 0
    assert not {"channel_changes", "grants"} & set(await work_of(api, COUNTY))
    for id_, item in items.items():
        path = f"/channels/{id_}/changes/{item['proposal_id']}/confirm"
        assert (await api.post(path, second)).status == 200
    path = f"/users/{grant['id']}/grants/{grant['proposal_id']}/confirm"
    assert (await api.post(path, second)).status == 200
    done = await work_of(api, second)
    assert (done["channel_changes"]["count"], done["grants"]["count"]) == (0, 0)


SPAN = {"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-02-01T00:00:00Z", "reason": "r"}
LATER = ("deputies", "direct_limits", "lint_proposals", "signatures", "area_renames")


async def _waiting(api: Api, who: Any) -> dict[str, list[str]]:
    """What waits for a second person, by kind, as the codes of its items; kinds that are shown."""
    work = await work_of(api, who)
    kinds = [name for name in LATER if name in work]
    return {name: sorted(item["code"] for item in work[name]["items"]) for name in kinds}


@pytest.mark.attack
async def test_who_could_confirm_a_deputy_a_limit_or_a_name_sees_that_it_waits(api: Api) -> None:
    """Not who proposed it, nor who counts as them, nor whoever may not confirm it."""
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    school, team = api.teams["school"].department_id, api.teams["county"]
    body = {"absent_id": str(team.approver.id), "deputy_id": str(team.operator.id), **SPAN}
    deputy = (await api.post("/deputies", ADMIN, body)).json["id"]
    limits = f"/departments/{school}/direct-limits"
    limit = (await api.post(limits, ADMIN, {"limit": 7, "reason": "r"})).json["id"]
    rules = {"reason": "r", "hotlines": ["110", "9999"]}
    weaker = (await api.call("PUT", "/lint/rules", ADMIN, json=rules)).json["waiting"]["id"]
    sender = {"landlines": ["0563-0600111"], "reason": "r"}
    path = f"/departments/{school}/sender"
    numbers = (await api.call("PUT", path, ADMIN, json=sender)).json["waiting"]["id"]
    signed = f"/departments/{school}/signatures"
    signature = (await api.post(signed, ADMIN, {"signature": "旌德中学"})).json["proposal_id"]
    town = "/areas/341825100000"
    name = (await api.patch(town, ADMIN, {"name": "旌阳新镇"})).json["renaming"]["id"]
    second = await second_admin(api)
    puppet = await key_made_by(api, ADMIN, (await other(api, Role.ADMIN)).id)
    nothing: dict[str, list[str]] = {kind: [] for kind in LATER}
    assert await _waiting(api, ADMIN) == nothing
    assert await _waiting(api, puppet) == nothing
    assert await _waiting(api, second) == {
        "deputies": ["deputy"],
        "direct_limits": ["direct_limit"],
        "lint_proposals": ["lint_rules", "lint_sender"],
        "signatures": ["signature"],
        "area_renames": ["area_name"],
    }
    assert await _waiting(api, ("county", "approver")) == {"deputies": ["deputy"]}
    assert await _waiting(api, COUNTY) == {"area_renames": ["area_name"]}
    elsewhere = await _waiting(api, ("school", "admin"))
    assert {kind for kind, items in elsewhere.items() if items} == set()
    work = await work_of(api, second)
    (renamed,) = work["area_renames"]["items"]
    assert (renamed["id"], renamed["name"]) == ("341825100000", "旌阳镇 → 旌阳新镇")
    found = {item["proposal_id"] for kind in LATER for item in work[kind]["items"]}
    assert found == {deputy, limit, weaker, numbers, signature, name}
    for confirmed in (
        f"/deputies/{deputy}",
        f"{limits}/{limit}",
        f"/lint/rules/proposals/{weaker}",
        f"{path}/proposals/{numbers}",
        f"{signed}/{signature}",
        f"{town}/renames/{name}",
    ):
        done = await api.post(f"{confirmed}/confirm", second)
        assert done.status == 200, (confirmed, done.body)
    assert await _waiting(api, second) == nothing


async def test_proposals_wait_a_week_and_a_deputy_until_the_end(api: Api) -> None:
    school, team = api.teams["school"].department_id, api.teams["county"]
    body = {"absent_id": str(team.approver.id), "deputy_id": str(team.operator.id), **SPAN}
    await api.post("/deputies", ADMIN, body)
    limit = {"limit": 7, "reason": "r"}
    await api.post(f"/departments/{school}/direct-limits", ADMIN, limit)
    second = await second_admin(api)
    api.clock.at += timedelta(days=7)
    waiting = await _waiting(api, second)
    assert (waiting["deputies"], waiting["direct_limits"]) == (["deputy"], [])
    api.clock.at += timedelta(days=21)
    assert (await _waiting(api, second))["deputies"] == []


async def test_who_gets_a_right_is_not_asked_for_it_and_it_waits_a_week(api: Api) -> None:
    second = await second_admin(api)
    own = (await api.get("/me", second)).json["id"]
    third = await second_admin(api)
    changed = await api.patch(f"/users/{own}", ADMIN, {"roles": ["inspector"]})
    assert changed.json["proposed"] is not None
    assert (await work_of(api, second))["grants"]["count"] == 0
    assert (await work_of(api, third))["grants"]["count"] == 1
    api.clock.at += timedelta(days=7)
    assert (await work_of(api, third))["grants"]["count"] == 0


async def test_a_channel_waits_for_a_person_once_its_last_connection_is_lost(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        channel = await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
        await conn.execute(
            """
            INSERT INTO connections (channel_id, slot, state, changed_at, lost_at, lost_how,
                                     losing_since, expires_at)
            VALUES ($1, 0, 'up', $2, $2, 'lost', $2, clock_timestamp() + interval '1 hour')
            ON CONFLICT (channel_id, slot) DO UPDATE SET (state, changed_at, lost_at, lost_how,
                losing_since, expires_at) = (excluded.state, excluded.changed_at, excluded.lost_at,
                excluded.lost_how, excluded.losing_since, excluded.expires_at)
            """,
            channel.id,
            api.clock.at,
        )
    assert not (await work_of(api))["shut_channels"]["count"], "it was lost before, and is up"
    await api.runtime.pool.execute("UPDATE connections SET state = 'down'")
    (lost,) = (await work_of(api))["shut_channels"]["items"]
    assert (lost["id"], lost["code"]) == (str(channel.id), "no_connection")
    assert datetime.fromisoformat(lost["since"]) == api.clock.at
    assert "没有连接" in lost["plain"]["zh"]


def test_each_code_of_what_waits_has_words() -> None:
    said = r"(?:THEN|ELSE) '([a-z_]+)'|'([a-z_]+)'(?: END)? AS code"
    found = {code for kind in KINDS for pair in re.findall(said, kind.sql) for code in pair if code}
    assert {"new_number", "duty_late", "text_not_approved"} <= found
    assert not found - WHYS.keys()


async def test_a_text_waits_for_whoever_may_approve_it(api: Api) -> None:
    """Not for its author, nor once it is approved, in a plan, blocked, or a month old."""
    approver = ("school", "approver")
    body = {"name": "接力", "text": "【学校】客服退款都是骗局，疑问请拨96110。"}
    made = (await api.post("/templates", SCHOOL, body)).json
    (item,) = (await work_of(api, approver))["texts_to_approve"]["items"]
    assert (item["id"], item["code"]) == (made["id"], "text_not_approved")
    assert "texts_to_approve" not in await work_of(api), "who wrote it does not approve"
    assert (await work_of(api, ("county", "approver")))["texts_to_approve"]["count"] == 0
    blocked = {"name": "b", "text": "【学校】点 http://t.cn/ab1 领取退款。"}
    assert (await api.post("/templates", SCHOOL, blocked)).status == 201
    assert (await work_of(api, approver))["texts_to_approve"]["count"] == 1
    approved = await api.post(
        f"/templates/{made['id']}/approve", approver, {"version": 1, "acknowledged": []}
    )
    assert approved.status == 200, approved.body
    assert (await work_of(api, approver))["texts_to_approve"]["count"] == 0
    path = f"/templates/{made['id']}/versions"
    again = {"text": "【学校】客服退款都是骗局，请拨96110。"}
    assert (await api.post(path, SCHOOL, again)).status == 201
    assert (await work_of(api, approver))["texts_to_approve"]["count"] == 1, "a new version"
    api.clock.at += 31 * DAY
    assert (await work_of(api, approver))["texts_to_approve"]["count"] == 0


async def test_other_words_for_another_place_wait_as_well(api: Api) -> None:
    approver = ("school", "approver")
    body = {"name": "屏", "text": "【学校】客服退款都是骗局，疑问请拨96110。"}
    made = (await api.post("/templates", SCHOOL, body)).json
    done = await api.post(
        f"/templates/{made['id']}/approve", approver, {"version": 1, "acknowledged": []}
    )
    assert done.status == 200, done.body
    path = f"/templates/{made['id']}/versions/1/wordings"
    own = {"kind": "led", "text": "先挂断，再拨110核实。"}
    assert (await api.post(path, SCHOOL, own)).status == 201
    (item,) = (await work_of(api, approver))["texts_to_approve"]["items"]
    assert (item["id"], item["code"]) == (made["id"], "wording_not_approved")
    assert (await api.post(path, SCHOOL, {"kind": "led"})).status == 201, "of the text again"
    assert (await work_of(api, approver))["texts_to_approve"]["count"] == 0


async def test_what_a_department_owes_waits_for_it_and_who_is_late_for_who_asks(api: Api) -> None:
    duty = str(await made_duty(api))
    assert (await work_of(api))["duties"]["count"] == 0, "it is due on Friday"
    api.clock.at = FRIDAY.astimezone(CHINA).replace(hour=9)
    (item,) = (await work_of(api))["duties"]["items"]
    assert (item["id"], item["code"], item["since"]) == (duty, "duty_due", None)
    assert item["planned_at"] is not None
    assert (await work_of(api, COUNTY))["late_units"]["count"] == 0
    assert (await work_of(api, COUNTY))["duties"]["count"] == 0, "the school owes it"
    await turn(api, FRIDAY.astimezone(CHINA).replace(hour=17))
    assert [one["code"] for one in (await work_of(api))["duties"]["items"]] == ["duty_late"]
    (late,) = (await work_of(api, COUNTY))["late_units"]["items"]
    assert (late["id"], late["code"]) == (str(api.teams["school"].department_id), "duty_late")
    assert (await work_of(api))["late_units"]["count"] == 0, "nobody owes the school anything"
    body = {"narrative": "两场。", "pictures": [], "pictures_checked": False}
    assert (await api.post(f"/duties/{duty}/submit", SCHOOL, body)).status == 200
    assert (await work_of(api))["duties"]["count"] == 0
    assert (await work_of(api, COUNTY))["late_units"]["count"] == 0
    back = {"reason": "缺图", "due_at": "2027-01-20T12:00:00+08:00"}
    assert (await api.post(f"/duties/{duty}/return", COUNTY, back)).status == 200
    (item,) = (await work_of(api))["duties"]["items"]
    assert (item["code"], item["reason"]) == ("duty_returned", "缺图")
