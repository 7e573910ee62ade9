"""Never-words that would hold back the texts of a county, and what one person may undo."""

from datetime import timedelta
from typing import Any

import pytest

from service.accounts.people.proposals import WAITS
from service.messages.lint.lint_changes import UNDONE_WITHIN
from service.messages.policy import SHIPPED
from tests.factories import make_contact, phone
from tests.harness.channels import channel
from tests.harness.keys import second_admin
from tests.harness.lint_rules import GOOD, RULES, campaign_with, confirm, put_rules, rules_of
from tests.harness.signatures import register_signature
from tests.harness.work import daily_campaign, tick, work_of
from tests.integration.api.conftest import Answer, Api

ADMIN, OPERATOR, APPROVER = ("county", "admin"), ("county", "operator"), ("county", "approver")
SCHOOL = ("school", "operator")

OWN_WORDS = SHIPPED.as_json()["never_words"]
MOMENT = timedelta(minutes=1)


async def forbid(api: Api, *words: str, who: Any = ADMIN) -> Answer:
    """Ask for these never-words beside those that are shipped, and for nothing else."""
    wanted = {**OWN_WORDS, "china_unicom": list(words)}
    return await put_rules(api, who, levels={"R02": "warn"}, never_words=wanted)


async def forbidden(api: Api) -> list[str]:
    shown: list[str] = (await api.get(RULES, ADMIN)).json["never_words"]["china_unicom"]
    return shown


@pytest.mark.attack
@pytest.mark.parametrize(
    "word", ["的", "县", "您", "。", "1", "a", "。。", "\u3164的\u3164", "— 的 —"]
)
async def test_no_never_word_is_so_short_that_it_stands_everywhere(api: Api, word: str) -> None:
    refused = await forbid(api, "锦鲤卡", word)
    assert refused.status == 422, refused.body
    assert list(refused.json["fields"]) == ["never_words.china_unicom.1"]
    assert await forbidden(api) == []
    assert "R19" not in await rules_of(api, GOOD)


@pytest.mark.attack
async def test_a_never_word_that_holds_texts_back_takes_two_persons(api: Api) -> None:
    """In an approved text, a registered signature, a place, a text that the program ships."""
    text = "【旌德县反诈中心】本周六在橘子洲头放映防骗电影，疑问拨96110。"
    _, template = await campaign_with(api, text)
    path = f"/templates/{template}/approve"
    assert (await api.post(path, APPROVER, {"version": 1})).status == 200
    school = api.teams["school"].department_id
    await register_signature(api, school, "柚子中学")
    async with api.runtime.pool.acquire() as conn:
        await conn.execute(
            "INSERT INTO areas (code, name, level) VALUES ('341825999000', '橙子镇', 'town')"
            " ON CONFLICT DO NOTHING"
        )
    asked = await forbid(api, "橘 子洲", "柚子中学", "橙子", "刷单", "锦鲤卡")
    assert asked.status == 200, asked.body
    assert await forbidden(api) == ["锦鲤卡"], "what holds nothing back holds at once"
    held = {one["word"]: one for one in asked.json["waiting"]["holds"]}
    assert list(held) == ["橘 子洲", "柚子中学", "橙子", "刷单"]
    assert {(one["carrier"], one["campaigns"]) for one in held.values()} == {("china_unicom", 0)}
    assert (held["橘 子洲"]["templates"], held["橘 子洲"]["shipped"]) == (1, 0)
    assert (held["柚子中学"]["names"], held["橙子"]["names"]) == (1, 1)
    assert held["刷单"]["shipped"] > 10
    assert asked.json["waiting"]["weakens"] == []
    assert "R19" not in await rules_of(api, text)
    own = await confirm(api, ADMIN, asked)
    assert (own.status, own.json["type"]) == (403, "/problems/second_person_needed")
    assert (await confirm(api, await second_admin(api), asked)).status == 200
    assert (await rules_of(api, text))["R19"] == "block"


@pytest.mark.attack
async def test_a_campaign_with_a_new_never_word_is_held_by_name(api: Api) -> None:
    """Two persons have agreed on a word of a text that is approved: it does not fire silently, and
    a release does not get around it."""
    department = api.teams["school"].department_id
    async with api.runtime.pool.acquire() as conn, conn.transaction():
        await make_contact(conn, api.runtime.keyring, department, 1, now=api.clock.at)
    campaign = await daily_campaign(api)
    text = await api.runtime.pool.fetchval(
        "SELECT v.text FROM campaigns c JOIN template_versions v ON v.id = c.template_version_id"
        " WHERE c.id::text = $1",
        campaign,
    )
    word = text[-5:-1]
    asked = await forbid(api, word)
    (held,) = asked.json["waiting"]["holds"]
    assert (held["word"], held["campaigns"]) == (word, 1)
    assert (await confirm(api, await second_admin(api), asked)).status == 200
    at = api.clock.at + timedelta(hours=1)
    await tick(api, at)
    (item,) = (await work_of(api))["holds"]["items"]
    assert (item["id"], item["code"]) == (campaign, "never_word")
    assert item["plain"] == {
        "zh": "正文含现在的禁用词。",
        "en": "Its text has a word that must never be used now.",
    }
    shown = (await api.get(f"/campaigns/{campaign}", SCHOOL)).json
    assert shown["state"] == "held"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 0
    noted = await api.runtime.pool.fetchval("SELECT note FROM campaign_fires")
    assert word in noted
    assert (await api.post(f"/campaigns/{campaign}/release", SCHOOL, {})).status == 200
    await tick(api, at + MOMENT)
    assert (await work_of(api))["holds"]["items"][0]["code"] == "never_word"
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 0
    gone = await forbid(api)
    assert (await confirm(api, await second_admin(api), gone)).status == 200
    assert (await api.post(f"/campaigns/{campaign}/release", SCHOOL, {})).status == 200
    await tick(api, at + 2 * MOMENT)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM runs") == 1


@pytest.mark.attack
async def test_an_approved_text_with_a_new_never_word_is_sent_to_nobody(api: Api) -> None:
    await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")
    _, template = await campaign_with(api, GOOD)
    path = f"/templates/{template}/approve"
    assert (await api.post(path, APPROVER, {"version": 1})).status == 200
    send = {"to": [phone(1).removeprefix("+86")], "template_id": template}
    assert (await api.post("/messages", OPERATOR, send)).status == 202
    assert (await confirm(api, await second_admin(api), await forbid(api, "不垫资"))).status == 200
    refused = await api.post("/messages", OPERATOR, send)
    assert (refused.status, refused.json["type"]) == (422, "/problems/text_blocked")
    assert "不垫资" in refused.json["fields"]["text"]


@pytest.mark.attack
async def test_what_one_person_made_stricter_is_undone_alone_for_a_while(api: Api) -> None:
    """By the same person for an hour, by another one for as long as a proposal would wait."""
    begin = api.clock.at
    assert (await forbid(api, "锦鲤卡")).json["waiting"] is None
    api.clock.at = begin + UNDONE_WITHIN - MOMENT
    assert (await forbid(api)).json["waiting"] is None
    assert await forbidden(api) == []
    begin = api.clock.at
    assert (await forbid(api, "锦鲤卡")).json["waiting"] is None
    api.clock.at = begin + UNDONE_WITHIN
    asked = await forbid(api)
    assert asked.json["waiting"]["weakens"] == ["never_words.china_unicom.锦鲤卡"]
    assert await forbidden(api) == ["锦鲤卡"]
    api.clock.at = begin + WAITS - MOMENT
    assert (await forbid(api, who=await second_admin(api))).json["waiting"] is None
    assert await forbidden(api) == []


@pytest.mark.attack
async def test_nobody_undoes_alone_what_two_persons_decided_or_what_is_old(api: Api) -> None:
    begin = api.clock.at
    other = await second_admin(api)
    assert (await confirm(api, other, await forbid(api, "刷单"))).status == 200
    assert (await forbid(api, "刷单", "锦鲤卡")).json["waiting"] is None
    for who in (ADMIN, other):
        asked = await forbid(api, who=who)
        assert asked.json["waiting"]["weakens"] == ["never_words.china_unicom.刷单"]
        assert await forbidden(api) == ["刷单"], "the other word goes: one person added it"
        assert (await forbid(api, "刷单", "锦鲤卡")).json["waiting"] is None
    api.clock.at = begin + WAITS + MOMENT
    asked = await forbid(api, "刷单", who=await second_admin(api))
    assert asked.json["waiting"]["weakens"] == ["never_words.china_unicom.锦鲤卡"]
    shipped = await put_rules(api, levels={"R02": "warn"}, never_words={"*": []})
    assert "never_words.*.宗教" in shipped.json["waiting"]["weakens"]
    assert (await api.get(RULES, ADMIN)).json["never_words"]["*"] == OWN_WORDS["*"]
