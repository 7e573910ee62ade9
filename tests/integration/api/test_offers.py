"""Texts for others: offered, taken over as copies, corrected, withdrawn; what each was told."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.accounts.people.model import Role
from service.campaigns.runs.firing import fire_due
from service.messages.offers.withdrawal import check_words_stand
from service.storage.postgres import COLLISIONS, CheckViolation, transaction
from tests.factories import Team, make_contact, make_team, make_token, phone
from tests.harness.channels import channel
from tests.harness.keys import active_key, key_made_by, other
from tests.harness.offers import POLICE_TEXT, WORDS, sign
from tests.harness.tiers import cases
from tests.harness.waiting import until_blocked
from tests.integration.api.conftest import Answer, Api

OPERATOR, APPROVER, ADMIN = "operator", "approver", "admin"
COUNTY = ("county", "admin")
POLICE = ("police", OPERATOR)
CHIEF = ("police", APPROVER)
BETTER = "凡是要求转账到安全账户的都是诈骗，请勿相信，拿不准请拨打96110。"
TEXT_EVENTS = ["text.revised", "text.corrected", "text.withdrawn"]
EVENTS = [*TEXT_EVENTS, "campaign.held", "campaign.paused", "fire.held", "message.final"]
HOUR = timedelta(hours=1)


async def join(api: Api, name: str, kind: str, signature: str) -> Team:
    """A department with a signature, a webhook, a contact, and a token for each role."""
    async with transaction(api.runtime.pool) as conn:
        team = await make_team(conn, now=api.clock.at, kind=kind)
        await sign(conn, team.department_id, signature, api.clock.at)
        for role in (ADMIN, OPERATOR, APPROVER, "viewer"):
            user = getattr(team, role)
            token = await make_token(conn, api.runtime.keyring, user, api.clock.at)
            api.tokens[name, role] = token
        await make_contact(
            conn, api.runtime.keyring, team.department_id, len(api.teams), now=api.clock.at
        )
    api.teams[name] = team
    hook = {"url": f"https://{len(api.teams)}.example.gov.cn/x", "events": EVENTS}
    assert (await api.post("/webhooks", (name, OPERATOR), hook)).status == 201
    return team


@pytest.fixture
async def world(api: Api) -> Api:
    """The police, two towns, a school and a bureau, and a channel for all carriers."""
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    await join(api, "police", "police", "旌德县公安局")
    await join(api, "town", "town", "旌阳镇")
    await join(api, "hill", "town", "云乐镇")
    await join(api, "pupils", "school", "旌阳小学")
    await join(api, "bureau", "department", "旌德县民政局")
    return api


async def ok(answer: Answer) -> Any:
    assert answer.status < 300, answer.body
    return answer.json


def problem(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].removeprefix("/problems/")


async def write(api: Api, text: str = POLICE_TEXT, who: str = "police") -> Any:
    """A template that a second person of its department approved."""
    body = {"name": f"反诈{len(text)}", "class": "public_interest", "text": text}
    made = await ok(await api.post("/templates", (who, OPERATOR), body))
    return await approve(api, made, who)


async def approve(api: Api, made: Any, who: str = "police") -> Any:
    doubts = sorted({f["rule"] for f in made["lint"] if f["level"] == "review"})
    body = {"version": made["version"], "acknowledged": doubts}
    return await ok(await api.post(f"/templates/{made['id']}/approve", (who, APPROVER), body))


async def offer(api: Api, template: Any, **more: Any) -> Any:
    terms = {"kinds": ["town", "school", "department"], "direct": True, **more}
    body = {"version": template["version"], **terms}
    return await ok(await api.post(f"/templates/{template['id']}/offers", CHIEF, body))


async def revise(api: Api, template: Any, words: str = BETTER, **more: Any) -> Any:
    path = f"/templates/{template['id']}/versions"
    made = await ok(await api.post(path, POLICE, {"text": f"【旌德县公安局】{words}"}))
    return await offer(api, await approve(api, made), **more)


async def take(api: Api, offered: Any, who: str) -> Any:
    return await ok(await api.post(f"/offers/{offered['id']}/take", (who, OPERATOR), {}))


async def plan(api: Api, copy: Any, who: str, **schedule: Any) -> str:
    """A campaign of a copy that two persons of its department agreed to."""
    segment = {"name": f"人{copy['id']}", "rule": "carrier in (mobile, unicom, telecom, broadnet)"}
    made = await api.post("/segments", (who, OPERATOR), segment)
    segment_id = (
        made.json["id"]
        if made.status == 201
        else (await api.get("/segments", (who, OPERATOR))).json["items"][0]["id"]
    )
    body = {"name": "反诈", "template_id": copy["id"], "segment_id": segment_id}
    body |= {"schedule": schedule} if schedule else {}
    drafted = await ok(await api.post("/campaigns", (who, OPERATOR), body))
    path = f"/campaigns/{drafted['id']}"
    await ok(await api.post(f"{path}/submit", (who, OPERATOR)))
    doubts = sorted({f["rule"] for f in copy["lint"] if f["level"] == "review"})
    await ok(await api.post(f"{path}/approve", (who, APPROVER), {"acknowledged": doubts}))
    return str(drafted["id"])


async def daily(api: Api, copy: Any, who: str) -> str:
    start = (api.clock.at + HOUR).isoformat()
    return await plan(api, copy, who, kind="recurring", start_at=start, rrule="FREQ=DAILY")


async def withdraw(api: Api, offered: Any, **more: Any) -> Any:
    body = {"reason": "号码有误", **more}
    return await ok(await api.post(f"/offers/{offered['id']}/withdraw", CHIEF, body))


async def send(api: Api, copy: Any, who: str, *numbers: int) -> Answer:
    to = [phone(number) for number in numbers or (1,)]
    return await api.post("/messages", (who, OPERATOR), {"to": to, "template_id": copy["id"]})


async def told(api: Api, who: str, *kinds: str) -> list[tuple[str, str | None]]:
    """The events about texts that a department's webhook gets: each with its campaign."""
    rows = await api.runtime.pool.fetch(
        "SELECT type, data FROM webhook_events WHERE department_id = $1 ORDER BY id",
        api.teams[who].department_id,
    )
    wanted = kinds or TEXT_EVENTS
    return [(row["type"], row["data"].get("campaign_id")) for row in rows if row["type"] in wanted]


async def work(api: Api, who: str) -> list[tuple[str, str]]:
    kinds = (await ok(await api.get("/work", (who, OPERATOR))))["items"]
    (texts,) = [kind for kind in kinds if kind["kind"] == "taken_texts"]
    assert texts["count"] == len(texts["items"])
    return [(item["id"], item["code"]) for item in texts["items"]]


async def runs_of(api: Api, campaign: str) -> list[str]:
    rows = await api.runtime.pool.fetch(
        "SELECT state FROM runs WHERE campaign_id = $1 ORDER BY id", UUID(campaign)
    )
    return [row["state"] for row in rows]


async def fires(api: Api, at: datetime) -> None:
    api.clock.at = at
    await fire_due(api.runtime.pool, at)


async def test_a_police_text_is_taken_over_by_four_corrected_and_withdrawn(world: Api) -> None:
    """What each of the four is told, and what fires."""
    begin = world.clock.at
    first = await offer(world, text := await write(world))
    copies = {who: await take(world, first, who) for who in ("town", "hill", "pupils", "bureau")}
    assert copies["town"]["text"] == f"【旌阳镇】{WORDS}"
    assert copies["bureau"]["text"] == f"【旌德县民政局】{WORDS}"
    town = await daily(world, copies["town"], "town")
    hill = await daily(world, copies["hill"], "hill")
    assert (await send(world, copies["pupils"], "pupils")).status == 202
    await fires(world, begin + HOUR)
    assert (await runs_of(world, town), await runs_of(world, hill)) == (["expanding"],) * 2

    second = await revise(world, text, correction=True, note="热线的写法有误")
    assert (second["replaces"], second["correction"]) == (first["id"], True)
    for who, campaigns in (("town", [town]), ("hill", [hill]), ("pupils", []), ("bureau", [])):
        expected = [("text.corrected", None), *(("text.corrected", c) for c in campaigns)]
        assert sorted(await told(world, who), key=str) == sorted(expected, key=str), who
        assert await work(world, who) == [(copies[who]["id"], "corrected")]
    newer = await take(world, second, "hill")
    assert (newer["id"], newer["version"]) == (copies["hill"]["id"], 2)
    assert newer["text"] == f"【云乐镇】{BETTER}"
    await fires(world, begin + HOUR + timedelta(days=1))
    assert len(await runs_of(world, town)) == 2, "corrected words fire until they are withdrawn"

    done = await withdraw(world, second)
    assert (done["paused"], done["withdrawn_why"]) == ([], "号码有误")
    for who, campaigns in (("town", [town]), ("hill", [hill]), ("pupils", []), ("bureau", [])):
        got = [one for one in await told(world, who) if one[0] == "text.withdrawn"]
        # The hill has a plan with the first words, and a template with the second.
        times = 2 if who == "hill" else 1
        expected = [("text.withdrawn", None)] * times
        expected += [("text.withdrawn", c) for c in campaigns]
        assert Counter(got) == Counter(expected), who
    assert (await work(world, "town"))[0][1] == "withdrawn"
    await fires(world, begin + HOUR + timedelta(days=2))
    for campaign, who in ((town, "town"), (hill, "hill")):
        assert len(await runs_of(world, campaign)) == 2, "nothing more has fired"
        shown = await ok(await world.get(f"/campaigns/{campaign}", (who, OPERATOR)))
        assert shown["state"] == "held"
        (held,) = shown["held_fires"]
        assert (held["code"], held["outcome"]) == ("withdrawn", "held")
        assert "收回" in held["plain"]["zh"]
        assert [news["code"] for news in shown["text_news"]] == ["withdrawn"]
        assert ("campaign.held", campaign) in await told(world, who, "campaign.held")
        assert ("fire.held", campaign) in await told(world, who, "fire.held")
    for who in ("pupils", "bureau", "town"):
        refused = await send(world, copies[who], who)
        assert problem(refused) == (409, "text_withdrawn"), refused.body
        assert "号码有误" in refused.json["detail"]


async def test_a_correction_is_a_note_on_the_plan_until_the_new_words_are_in_it(world: Api) -> None:
    first = await offer(world, text := await write(world))
    copy = await take(world, first, "town")
    campaign = await daily(world, copy, "town")
    path = f"/campaigns/{campaign}"
    assert (await ok(await world.get(path, ("town", OPERATOR))))["text_news"] == []
    second = await revise(world, text)
    (news,) = (await ok(await world.get(path, ("town", OPERATOR))))["text_news"]
    assert (news["code"], news["newer_offer_id"]) == ("revised", second["id"])
    assert news["plain"]["zh"]
    assert news["plain"]["en"]
    shown = await ok(await world.get(f"/templates/{copy['id']}", ("town", OPERATOR)))
    assert (shown["taken_from"]["news"], shown["taken_from"]["newer_offer_id"]) == (
        "revised",
        second["id"],
    )
    await take(world, second, "town")
    await ok(await world.patch(path, ("town", OPERATOR), {"name": "n"}))
    assert (await ok(await world.get(path, ("town", OPERATOR))))["text_news"] == []
    await ok(await world.post(f"{path}/submit", ("town", OPERATOR)))
    await ok(await world.post(f"{path}/approve", ("town", APPROVER), {}))
    assert (await ok(await world.get(path, ("town", OPERATOR))))["text"] == f"【旌阳镇】{BETTER}"
    assert await work(world, "town") == []


async def test_each_sees_what_is_offered_with_lint_in_its_own_name(world: Api) -> None:
    text = await write(world)
    hidden = await offer(world, text, kinds=[], department_ids=[
        str(world.teams["town"].department_id)
    ])  # fmt: skip
    for who in ("hill", "bureau"):
        page = await ok(await world.get("/offers", (who, "viewer")))
        assert page["items"] == []
        assert (await world.get(f"/offers/{hidden['id']}", (who, "viewer"))).status == 404
        assert problem(await world.post(f"/offers/{hidden['id']}/take", (who, OPERATOR), {})) == (
            404,
            "not_found",
        )
    (seen,) = (await ok(await world.get("/offers?side=received", ("town", "viewer"))))["items"]
    assert (seen["version"], seen["text"], seen["your_text"]) == (
        1,
        POLICE_TEXT,
        f"【旌阳镇】{WORDS}",
    )
    assert seen["department_id"] == str(world.teams["police"].department_id)
    levels = {finding["level"] for finding in seen["lint"]}
    assert "block" not in levels, seen["lint"]
    assert (await ok(await world.get("/offers?side=given", ("town", "viewer"))))["items"] == []
    (given,) = (await ok(await world.get("/offers?side=given", POLICE)))["items"]
    assert (given["your_text"], given["taken"]) == (None, [])
    await take(world, hidden, "town")
    (taken,) = (await ok(await world.get(f"/offers/{hidden['id']}", POLICE)))["taken"]
    assert (taken["department_id"], taken["current"]) == (
        str(world.teams["town"].department_id),
        True,
    )
    assert (await world.get(f"/offers/{hidden['id']}", COUNTY)).status == 200


async def test_a_link_that_only_the_police_may_write_is_blocked_in_a_towns_name(world: Api) -> None:
    """The verdict is the taker's: what blocks there cannot be sent, whatever the offer says."""
    sender = f"/departments/{world.teams['police'].department_id}/sender"
    body = {"landlines": ["0563-8022110"], "reason": "值班电话"}
    first = await world.call("PUT", sender, COUNTY, json=body)
    assert first.status == 200, first.body
    token = await other_admin(world)
    proposal = first.json["waiting"]["id"]
    await ok(await world.post(f"{sender}/proposals/{proposal}/confirm", token))
    words = f"{WORDS}值班电话0563-8022110。"
    offered = await offer(world, await write(world, f"【旌德县公安局】{words}"))
    seen = await ok(await world.get(f"/offers/{offered['id']}", ("town", "viewer")))
    assert "block" in {finding["level"] for finding in seen["lint"]}, seen["lint"]
    copy = await take(world, offered, "town")
    assert copy["taken_from"]["direct"] is False
    assert problem(await send(world, copy, "town")) == (409, "template_not_approved")


async def other_admin(api: Api) -> str:
    user = await other(api, Role.ADMIN)
    async with transaction(api.runtime.pool) as conn:
        return await make_token(conn, api.runtime.keyring, user, api.clock.at)


@pytest.mark.attack
async def test_only_the_terms_of_the_offer_spare_an_approval_and_only_for_direct_sends(
    world: Api,
) -> None:
    text = await write(world)
    strict = await take(world, await offer(world, text, direct=False), "town")
    assert problem(await send(world, strict, "town")) == (409, "template_not_approved")
    approved = await approve(world, strict, "town")
    assert approved["approved_by"]
    assert (await send(world, strict, "town")).status == 202

    copy = await take(world, await offer(world, text), "hill")
    assert (copy["approved_by"], copy["taken_from"]["direct"]) == (None, True)
    assert (await send(world, copy, "hill")).status == 202
    segment = {"name": "全镇", "rule": "carrier in (mobile)"}
    rule = await ok(await world.post("/segments", ("hill", OPERATOR), segment))
    body = {"name": "n", "template_id": copy["id"], "segment_id": rule["id"]}
    drafted = await ok(await world.post("/campaigns", ("hill", OPERATOR), body))
    path = f"/campaigns/{drafted['id']}"
    await ok(await world.post(f"{path}/submit", ("hill", OPERATOR)))
    own = await world.post(f"{path}/approve", ("hill", OPERATOR), {})
    assert problem(own) == (403, "forbidden"), "a plan takes a second person of its own"

    changed = f"【云乐镇】{WORDS}！"
    mine = await ok(
        await world.post(f"/templates/{copy['id']}/versions", ("hill", OPERATOR), {"text": changed})
    )
    assert (mine["taken_from"], mine["withdrawn"]) == (None, False)
    assert problem(await send(world, copy, "hill")) == (409, "template_not_approved")


async def test_another_signature_keeps_the_pointer_and_other_words_lose_it(world: Api) -> None:
    offered = await offer(world, await write(world))
    copy = await take(world, offered, "town")
    async with transaction(world.runtime.pool) as conn:
        await sign(conn, world.teams["town"].department_id, "旌阳镇政府", world.clock.at)
    path = f"/templates/{copy['id']}/versions"
    same = await ok(await world.post(path, ("town", OPERATOR), {"text": f"【旌阳镇政府】{WORDS}"}))
    assert same["taken_from"]["offer_id"] == offered["id"]
    changed = await ok(await world.post(path, ("town", OPERATOR), {"text": f"【旌阳镇】{BETTER}"}))
    assert changed["taken_from"] is None
    shown = (await ok(await world.get(path, ("town", "viewer"))))["items"]
    assert [(v["version"], v["taken_from"] is not None) for v in shown] == [
        (3, False),
        (2, True),
        (1, True),
    ]
    assert {v["edited_by"] for v in shown} == {str(world.teams["town"].operator.id)}
    page = await ok(await world.get(f"{path}?limit=2", ("town", "viewer")))
    rest = await ok(await world.get(f"{path}?cursor={page['next_cursor']}", ("town", "viewer")))
    assert [v["version"] for v in page["items"] + rest["items"]] == [3, 2, 1]
    await withdraw(world, offered)
    again = await world.post(path, ("town", OPERATOR), {"text": f"【旌阳镇】{WORDS}"})
    assert again.status == 201, "after a change the words are the department's own"


@pytest.mark.attack
async def test_who_may_offer_what(world: Api) -> None:
    town = await write(world, f"【旌阳镇】{WORDS}", "town")
    text = await write(world)
    body = {"version": 1, "kinds": ["school"]}
    path = f"/templates/{text['id']}/offers"
    assert problem(
        await world.post(f"/templates/{town['id']}/offers", ("town", APPROVER), body)
    ) == (403, "not_for_others")
    assert problem(await world.post(f"/templates/{town['id']}/offers", COUNTY, body)) == (
        403,
        "not_for_others",
    )
    assert problem(await world.post(path, POLICE, body)) == (403, "forbidden")
    unknown = await world.post(path, CHIEF, body | {"kinds": ["towns"]})
    assert (unknown.status, list(unknown.json["fields"])) == (422, ["kinds"])
    nobody = await world.post(path, CHIEF, body | {"kinds": []})
    assert (nobody.status, list(nobody.json["fields"])) == (422, ["kinds"])
    own = str(world.teams["police"].department_id)
    oneself = await world.post(path, CHIEF, body | {"department_ids": [own]})
    assert (oneself.status, list(oneself.json["fields"])) == (422, ["department_ids"])
    nothing = await world.post(path, CHIEF, body | {"correction": True})
    assert (nothing.status, list(nothing.json["fields"])) == (422, ["correction"])
    await ok(await world.post(path, CHIEF, body))
    assert (await world.post(path, CHIEF, body | {"correction": True})).status == 422
    add = {"text": f"【旌德县公安局】{BETTER}"}
    await ok(await world.post(f"/templates/{text['id']}/versions", POLICE, add))
    assert problem(await world.post(path, CHIEF, body)) == (409, "newer_version")
    assert problem(await world.post(path, CHIEF, body | {"version": 2})) == (
        409,
        "template_not_approved",
    )


@pytest.mark.attack
async def test_nobody_offers_the_own_words_nor_as_somebody_else(world: Api) -> None:
    """Who wrote a text does not offer it, and neither does a user whose key the author made."""
    admin = ("police", ADMIN)
    body = {"name": "n", "class": "public_interest", "text": POLICE_TEXT}
    made = await ok(await world.post("/templates", admin, body))
    await approve(world, made)
    path, terms = f"/templates/{made['id']}/offers", {"version": 1, "kinds": ["town"]}
    assert problem(await world.post(path, admin, terms)) == (403, "second_person_needed")
    chief = world.teams["police"].approver
    await key_made_by(world, admin, chief.id)
    assert problem(await world.post(path, CHIEF, terms)) == (403, "second_person_needed")


@pytest.mark.attack
async def test_who_wrote_the_words_elsewhere_is_no_second_person_to_the_copy(world: Api) -> None:
    """The police author also has a user in the town, or made its approver's key: one person."""
    offered = await offer(world, await write(world), direct=False)
    copy = await take(world, offered, "town")
    town, author = world.teams["town"], world.teams["police"].operator
    await world.runtime.pool.execute(
        "UPDATE keys SET created_by = $1 WHERE user_id = $2", author.id, town.approver.id
    )
    refused = await world.post(
        f"/templates/{copy['id']}/approve", ("town", APPROVER), {"version": 1}
    )
    assert problem(refused) == (403, "second_person_needed")
    segment = {"name": "全镇", "rule": "carrier in (mobile)"}
    rule = await ok(await world.post("/segments", ("town", OPERATOR), segment))
    plan_ = {"name": "n", "template_id": copy["id"], "segment_id": rule["id"]}
    drafted = await ok(await world.post("/campaigns", ("town", OPERATOR), plan_))
    path = f"/campaigns/{drafted['id']}"
    await ok(await world.post(f"{path}/submit", ("town", OPERATOR)))
    assert problem(await world.post(f"{path}/approve", ("town", APPROVER), {})) == (
        403,
        "second_person_needed",
    )
    with pytest.raises(CheckViolation, match="counts as the first"):
        await world.runtime.pool.execute(
            "UPDATE template_versions SET approved_by = $2, approved_at = $3, approved_lint = '[]'"
            " WHERE template_id = $1",
            UUID(copy["id"]),
            town.approver.id,
            world.clock.at,
        )


@pytest.mark.attack
async def test_a_text_is_taken_over_once_by_whom_it_is_offered_to(world: Api) -> None:
    text = await write(world)
    first = await offer(world, text, kinds=["town", "police"])
    path = f"/offers/{first['id']}/take"
    assert problem(await world.post(path, POLICE, {})) == (409, "conflict")
    await ok(await world.post(path, ("town", OPERATOR), {"name": "公安的话"}))
    assert problem(await world.post(path, ("town", OPERATOR), {})) == (409, "taken_already")
    lent = await world.post(path, ("hill", OPERATOR), {"signature": "旌德县公安局"})
    assert (lent.status, list(lent.json["fields"])) == (422, ["signature"])
    second = await revise(world, text, kinds=["police"])
    assert problem(await world.post(path, ("hill", OPERATOR), {})) == (409, "newer_version")
    assert (await world.get(f"/offers/{second['id']}", ("hill", "viewer"))).status == 404
    assert (await take(world, second, "town"))["version"] == 2, "who took the first sees the next"
    await withdraw(world, second)
    assert problem(await world.post(f"/offers/{second['id']}/take", ("town", OPERATOR), {})) == (
        409,
        "text_withdrawn",
    )
    assert problem(
        await world.post(f"/offers/{second['id']}/withdraw", CHIEF, {"reason": "r"})
    ) == (409, "withdrawn_already")


@pytest.mark.attack
async def test_the_database_takes_no_forged_pointer_and_changes_no_version(world: Api) -> None:
    offered = await offer(world, await write(world), kinds=["town"])
    copy = await take(world, offered, "town")
    mine = await write(world, f"【云乐镇】{WORDS}", "hill")
    pool, author = world.runtime.pool, world.teams["hill"].operator.id
    insert = (
        "INSERT INTO template_versions"
        " (template_id, no, text, lint, edited_by, created_at, taken_from)"
        " VALUES ($1, 7, $2, '[]', $3, $4, $5)"
    )
    at, pointer = world.clock.at, UUID(offered["id"])
    with pytest.raises(CheckViolation, match="words that were offered"):
        await pool.execute(insert, UUID(copy["id"]), f"【旌阳镇】{WORDS}。", author, at, pointer)
    await pool.execute("UPDATE templates SET class = 'service' WHERE id = $1", UUID(mine["id"]))
    with pytest.raises(CheckViolation, match="words that were offered"):
        await pool.execute(insert, UUID(mine["id"]), f"【云乐镇】{WORDS}", author, at, pointer)
    with pytest.raises(CheckViolation, match="never changes"):
        await pool.execute(
            "UPDATE template_versions SET taken_from = $1 WHERE template_id = $2",
            pointer,
            UUID(mine["id"]),
        )
    with pytest.raises(CheckViolation, match="never changes"):
        await pool.execute("UPDATE template_versions SET text = text || '！'")
    with pytest.raises(CheckViolation, match="never changes"):
        await pool.execute("UPDATE text_offers SET kinds = '{school}'")
    await withdraw(world, offered)
    with pytest.raises(CheckViolation, match="for good"):
        await pool.execute("UPDATE text_offers SET withdrawn_at = NULL, withdrawn_by = NULL,"
                           " withdrawn_why = NULL")  # fmt: skip
    with pytest.raises(CheckViolation, match="withdrawn words"):
        await pool.execute(insert, UUID(copy["id"]), f"【旌阳镇】{WORDS}", author, at, pointer)


@pytest.mark.attack
async def test_withdrawn_words_go_nowhere_by_any_way(world: Api) -> None:
    """Not submitted, approved, tested, released, sent again, approved for direct sends, nor sent
    by the police itself.
    """
    text = await write(world)
    offered = await offer(world, text)
    copy = await take(world, offered, "town")
    campaign = await daily(world, copy, "town")
    pending = await plan_pending(world, copy)
    await withdraw(world, offered)
    town = ("town", OPERATOR)
    await fires(world, world.clock.at + HOUR)
    path = f"/campaigns/{campaign}"
    assert (await ok(await world.get(path, town)))["state"] == "held"
    await ok(await world.post(f"{path}/release", town, {"reason": "r"}))
    await fires(world, world.clock.at + timedelta(minutes=1))
    assert (await ok(await world.get(path, town)))["state"] == "held", "a release does not pass it"
    assert await runs_of(world, campaign) == []
    gone = (409, "text_withdrawn")
    assert problem(await world.post(f"{pending}/approve", ("town", APPROVER), {})) == gone
    await ok(await world.post(f"{pending}/return", ("town", APPROVER), {"reason": "r"}))
    assert problem(await world.post(f"{pending}/submit", town)) == gone
    version = {"version": copy["version"]}
    assert (
        problem(await world.post(f"/templates/{copy['id']}/approve", ("town", APPROVER), version))
        == gone
    )
    same = {"text": f"【旌阳镇】{WORDS}"}
    assert problem(await world.post(f"/templates/{copy['id']}/versions", town, same)) == gone
    assert problem(await send(world, text, "police")) == gone
    await offer(world, text)
    assert (await send(world, text, "police")).status == 202, "offered anew, they stand again"
    assert problem(await send(world, copy, "town")) == gone, "and are to be taken anew"


async def plan_pending(api: Api, copy: Any) -> str:
    segment = {"name": "另一组", "rule": "carrier in (mobile)"}
    rule = await ok(await api.post("/segments", ("town", OPERATOR), segment))
    body = {"name": "待批", "template_id": copy["id"], "segment_id": rule["id"]}
    drafted = await ok(await api.post("/campaigns", ("town", OPERATOR), body))
    await ok(await api.post(f"/campaigns/{drafted['id']}/submit", ("town", OPERATOR)))
    return f"/campaigns/{drafted['id']}"


async def states(api: Api, run: str) -> Counter[tuple[str, str]]:
    rows = await api.runtime.pool.fetch(
        "SELECT state::text, reason FROM messages WHERE run_id = $1", UUID(run)
    )
    return Counter((row["state"], row["reason"]) for row in rows)


async def test_what_is_queued_of_direct_sends_ends_and_runs_go_on_unless_stopped(
    world: Api,
) -> None:
    offered = await offer(world, await write(world))
    copy, other_copy = await take(world, offered, "town"), await take(world, offered, "hill")
    sent = await ok(await send(world, copy, "town", 1, 2, 3))
    going = await plan(world, copy, "town")
    later = await daily(world, other_copy, "hill")
    await fires(world, world.clock.at)
    assert await runs_of(world, going) == ["expanding"]
    done = await withdraw(world, offered)
    assert (done["paused"], done["cancelled"]) == ([], [sent["run_id"]])
    assert await states(world, sent["run_id"]) == {("cancelled", "text_withdrawn"): 3}
    status = await ok(await world.get(f"/messages/{sent['ids'][0]}", ("town", "viewer")))
    assert "收回" in status["plain"]["zh"]
    assert await runs_of(world, going) == ["expanding"], "what is under way goes on"
    assert await told(world, "town", "campaign.paused") == []

    await world.runtime.pool.execute(
        "UPDATE runs SET state = 'running' WHERE campaign_id = $1", UUID(going)
    )
    stopped = await withdraw(world, offered, stop=True)
    assert (stopped["paused"], stopped["stops"]) == ([going], True)
    assert await runs_of(world, going) == ["paused"]
    assert await told(world, "town", "campaign.paused") == [("campaign.paused", going)]
    shown = await ok(await world.get(f"/campaigns/{going}", ("town", OPERATOR)))
    assert (shown["state"], shown["moves"][-1]["code"]) == ("paused", "withdrawn")
    kinds = (await ok(await world.get("/work", ("town", OPERATOR))))["items"]
    (holds,) = [kind for kind in kinds if kind["kind"] == "holds"]
    assert [(item["id"], item["code"]) for item in holds["items"]] == [(going, "withdrawn")]
    resumed = await world.post(f"/campaigns/{going}/resume", ("town", OPERATOR), {"reason": "r"})
    assert problem(resumed) == (409, "text_withdrawn")
    await ok(await world.post(f"/campaigns/{going}/cancel", ("town", OPERATOR), {"reason": "r"}))
    assert (await ok(await world.get(f"/campaigns/{later}", ("hill", OPERATOR))))["state"] == (
        "scheduled"
    ), "what has no run under way is held at its fire"


@pytest.mark.attack
async def test_only_the_origin_or_the_county_withdraws_and_a_stop_takes_the_right_to(
    world: Api,
) -> None:
    offered = await offer(world, await write(world), kinds=["town"])
    path, body = f"/offers/{offered['id']}/withdraw", {"reason": "r"}
    assert problem(await world.post(path, ("town", ADMIN), body)) == (403, "forbidden")
    assert problem(await world.post(path, ("pupils", ADMIN), body)) == (404, "not_found")
    assert problem(await world.post(path, ("police", "viewer"), body)) == (403, "forbidden")
    assert (await world.post(path, CHIEF, {})).status == 422
    scopes = ["read", "reports", "control"]
    token = (await active_key(world, "admin", scopes=scopes))["token"]
    assert problem(await world.post(path, token, body | {"stop": True})) == (403, "out_of_scope")
    await ok(await world.post(path, token, body))


@pytest.mark.attack
@pytest.mark.parametrize("stop", cases([False, True], True))
async def test_nothing_of_withdrawn_words_begins_after_the_withdrawal_has_answered(
    world: Api, stop: bool
) -> None:
    """A withdrawal, a fire, direct sends and takings at the same instant, again and again: what was
    before it is cancelled or under way, and nothing begins after it.
    """
    text = await write(world)
    outcomes: Counter[str] = Counter()
    for number in range(12):
        offered = await offer(world, text)
        copy = await take(world, offered, "town")
        campaign = await plan(world, copy, "town")
        acts = [
            withdraw(world, offered, stop=stop),
            fire_due(world.runtime.pool, world.clock.at),
            send(world, copy, "town", number + 1),
            world.post(f"/offers/{offered['id']}/take", ("hill", OPERATOR), {"name": f"{number}"}),
            send(world, copy, "town", number + 21),
        ]
        if number < 2:  # both orders for certain; then they race
            await acts.pop(number)
        shuffled = [acts[(number + place) % len(acts)] for place in range(len(acts))]
        answers = await asyncio.gather(*shuffled)
        for answer in answers:
            if isinstance(answer, Answer):
                assert answer.status in {201, 202, 409}, answer.body
                outcomes[f"{answer.status}"] += 1
        before = await world.runtime.pool.fetchval("SELECT count(*) FROM runs")
        await fire_due(world.runtime.pool, world.clock.at)
        assert problem(await send(world, copy, "town", number + 1)) == (409, "text_withdrawn")
        assert await world.runtime.pool.fetchval("SELECT count(*) FROM runs") == before
        queued = await world.runtime.pool.fetchval(
            "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id"
            " WHERE r.kind = 'direct' AND (m.state = 'queued' OR r.state = 'running')"
        )
        assert queued == 0
        state = await world.runtime.pool.fetchval(
            "SELECT state FROM campaigns WHERE id = $1", UUID(campaign)
        )
        runs = await runs_of(world, campaign)
        outcomes["fired" if runs else "held"] += 1
        under_way = ("paused" if stop else "running", ["expanding"])
        assert (state, runs) in [("held", []), under_way]
        await ok(
            await world.post(f"/campaigns/{campaign}/cancel", ("town", OPERATOR), {"reason": "r"})
        )
    assert outcomes["fired"], outcomes
    assert outcomes["held"], outcomes


DIRECT_RUN = """
    INSERT INTO runs (kind, department_id, fire_at, state, priority, class, text, send_hours,
                      timezone, created_at, sent_by, template_version_id)
    SELECT 'direct', t.department_id, $2, 'running', 'normal', t.class, v.text, '[]',
           'Asia/Shanghai', $2, v.edited_by, v.id
    FROM template_versions v JOIN templates t ON t.id = v.template_id WHERE t.id = $1
    RETURNING id
"""


@pytest.mark.attack
async def test_the_database_begins_no_run_with_withdrawn_words(world: Api) -> None:
    """Whatever the program overlooks between its look and its write."""
    offered = await offer(world, await write(world))
    copy = await take(world, offered, "town")
    pool, at = world.runtime.pool, world.clock.at
    async with pool.acquire() as conn:
        open_ = conn.transaction()
        await open_.start()
        run = await conn.fetchval(DIRECT_RUN, UUID(copy["id"]), at)
        waiting = asyncio.create_task(withdraw(world, offered))
        await until_blocked(world.runtime.pool, waiting)
        await open_.commit()
    assert (await waiting)["cancelled"] == [str(run)], "a run that was before it is seen"
    with pytest.raises(COLLISIONS, match="words are withdrawn"):
        await pool.fetchval(DIRECT_RUN, UUID(copy["id"]), at)


@pytest.mark.attack
async def test_a_fire_that_holds_the_words_is_waited_for_by_the_withdrawal(world: Api) -> None:
    """Whichever is first, the other sees it: a fire that has looked and not committed keeps the
    withdrawal from answering.
    """
    offered = await offer(world, await write(world))
    copy = await take(world, offered, "town")
    campaign = await plan(world, copy, "town")
    at = world.clock.at
    async with world.runtime.pool.acquire() as conn:
        open_ = conn.transaction()
        await open_.start()
        version = await conn.fetchval(
            "SELECT template_version_id FROM campaigns WHERE id = $1", UUID(campaign)
        )
        await check_words_stand(conn, [version])
        waiting = asyncio.create_task(withdraw(world, offered))
        await until_blocked(world.runtime.pool, waiting)
        await open_.commit()
    await waiting
    assert await fire_due(world.runtime.pool, at) == []
    assert await runs_of(world, campaign) == []


async def test_a_text_that_is_offered_to_more_is_no_new_version(world: Api) -> None:
    text = await write(world)
    first = await offer(world, text, kinds=["town"])
    await take(world, first, "town")
    second = await offer(world, text, kinds=["town", "school"])
    assert await told(world, "town") == []
    assert await work(world, "town") == []
    await take(world, second, "pupils")
    await withdraw(world, second)
    for who in ("town", "pupils"):
        assert await told(world, who) == [("text.withdrawn", None)], who
