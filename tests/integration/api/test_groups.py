"""Chat groups: one owner at any instant, hand-overs, files, owners who left."""

import asyncio
import io
import itertools
import re
import zipfile
from datetime import date, timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.relays.groups.ownerless import find_ownerless
from service.storage.postgres import (
    CheckViolation,
    ForeignKeyViolation,
    UniqueViolation,
    transaction,
)
from tests.harness.chats import (
    OTHER_VILLAGE,
    TOWN,
    VILLAGE,
    add_group,
    add_person,
    drop_person,
)
from tests.harness.owed import name_people
from tests.integration.api.conftest import Answer, Api

OPERATOR, VIEWER, APPROVER = ("county", "operator"), ("county", "viewer"), ("county", "approver")
STRANGER = ("school", "operator")
AT_ONCE = 20
FILE = "群名,类型,村编码,人数,群主电话,备注\n"


_ANOTHER = """
INSERT INTO group_owners (group_id, no, contact_id, since, follows, effective_on, reason, set_by)
SELECT group_id, 2, contact_id, since + interval '{0}', {1}, effective_on, '', set_by FROM {2}
"""
_ENDED = """
WITH ended AS (UPDATE group_owners SET until = since + interval '2 hours' RETURNING *)
"""
OTHER_HISTORIES = (
    _ANOTHER.format("1 hour", "NULL", "group_owners"),  # a second owner beside the first
    _ANOTHER.format("1 hour", "since + interval '1 hour'", "group_owners"),
    "UPDATE group_owners SET until = since + interval '1 hour'",  # no owner at all
    _ENDED + _ANOTHER.format("3 hours", "since + interval '3 hours'", "ended"),  # a gap
    _ENDED + _ANOTHER.format("3 hours", "since + interval '2 hours'", "ended"),
    _ENDED + _ANOTHER.format("1 hour", "since + interval '1 hour'", "ended"),  # two at once
    "UPDATE group_owners SET since = since - interval '1 day'",  # another past
    "DELETE FROM group_owners",
    # A closed group that somebody owns.
    "UPDATE groups SET closed_at = made_at, closed_by = made_by",
)


async def person(api: Api, name: str = "王小明", team: str = "county", **more: Any) -> UUID:
    async with transaction(api.runtime.pool) as conn:
        return await add_person(api, conn, api.teams[team].department_id, name, **more)


async def areas(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)


async def history(api: Api, group: UUID) -> list[Any]:
    answer = await api.get(f"/groups/{group}/history", VIEWER)
    assert answer.status == 200, answer.body
    found: list[Any] = answer.json["items"]
    return found


async def hand_over(api: Api, group: UUID, to: UUID, **more: Any) -> Answer:
    body = {"contact_id": str(to), "reason": "原群主调离", **more}
    return await api.post(f"/groups/{group}/hand-over", OPERATOR, body)


def code(answer: Answer) -> str:
    found: str = answer.json["type"].rpartition("/")[2].rpartition("#")[2]
    return found


def check_whole(items: list[Any]) -> None:
    """No gap, no two at once, and one owner now."""
    assert [one["no"] for one in items] == list(range(1, len(items) + 1))
    for before, after in itertools.pairwise(items):
        assert before["until"] == after["since"], "one begins at once when the other ends"
    assert [one["until"] is None for one in items] == [False] * (len(items) - 1) + [True]


async def test_twenty_hand_overs_at_once_leave_one_owner_and_no_gap(api: Api) -> None:
    """E10."""
    group = await add_group(api)
    people = [await person(api) for _ in range(AT_ONCE)]
    answers = await asyncio.gather(*(hand_over(api, group, one) for one in people))
    assert [answer.status for answer in answers] == [200] * AT_ONCE
    items = await history(api, group)
    assert len(items) == AT_ONCE + 1
    check_whole(items)
    assert {one["contact_id"] for one in items[1:]} == {str(one) for one in people}
    shown = (await api.get(f"/groups/{group}", VIEWER)).json
    assert shown["owner"]["contact_id"] == items[-1]["contact_id"]


@pytest.mark.parametrize("statement", OTHER_HISTORIES, ids=range(len(OTHER_HISTORIES)))
async def test_the_database_refuses_any_other_history(api: Api, statement: str) -> None:
    """E10, by SQL past the code."""
    group = await add_group(api)
    with pytest.raises((CheckViolation, ForeignKeyViolation, UniqueViolation)):
        async with transaction(api.runtime.pool) as conn:
            await conn.execute(statement)
    check_whole(await history(api, group))


async def test_a_group_is_handed_over_at_once_and_the_form_names_both(api: Api) -> None:
    old = await person(api, "王小明", college="信息学院", grade="2026级")
    new = await person(api, "李小红", college="信息学院", grade="2026级")
    body = {
        "name": "信息2026群",
        "unit_kind": "class",
        "unit": "信息学院",
        "members": 60,
        "owner_contact_id": str(old),
    }
    made = await api.post("/groups", OPERATOR, body)
    assert made.status == 201, made.body
    group = made.json["id"]
    assert made.json["owner"]["display_name"] == "信息学院-2026级-王**"
    assert made.json["owner"]["phone"].count("*") >= 4
    api.clock.at += timedelta(hours=1)
    day = api.clock.at.date()
    late = await hand_over(api, group, new, effective_on=str(day + timedelta(days=1)))
    assert (late.status, "effective_on" in late.json["fields"]) == (422, True)
    handed = await hand_over(api, group, new, effective_on=str(day))
    assert handed.status == 200, handed.body
    assert handed.json["owner"]["display_name"] == "信息学院-2026级-李**"
    check_whole(await history(api, group))
    twice = await hand_over(api, group, new)
    assert (twice.status, code(twice)) == (409, "owns_it_already")
    form = await api.post(f"/groups/{group}/history/2/document", OPERATOR, {"format": "docx"})
    assert form.status == 200, form.body
    words = zipfile.ZipFile(io.BytesIO(form.body)).read("word/document.xml").decode()
    said = re.sub("<[^>]+>", "", words)
    for part in ("信息学院-2026级-王小明", "信息学院-2026级-李小红", "原群主调离", str(day)):
        assert part in said
    assert said.count("____") >= 2, "two lines to sign on"
    seen = await api.runtime.pool.fetch("SELECT object_id FROM disclosures WHERE kind = 'contact'")
    assert {row["object_id"] for row in seen} == {str(old), str(new)}
    assert (await api.post(f"/groups/{group}/history/1/document", OPERATOR, {})).status == 404
    erased = await api.call("DELETE", f"/contacts/{old}", OPERATOR)
    assert erased.status in {200, 204}, erased.body
    assert [one["display_name"] for one in await history(api, group)] == [
        None,
        "信息学院-2026级-李**",
    ]
    gone = await api.post(f"/groups/{group}/history/2/document", OPERATOR, {})
    assert (gone.status, code(gone)) == (409, "not_kept")


async def test_only_people_on_a_list_that_holds_own_a_group(api: Api) -> None:
    group = await add_group(api)
    foreign = await person(api, team="school")
    expired = await person(api, until=api.clock.at.date() - timedelta(days=1))
    left = await person(api)
    await drop_person(api, left)
    for nobody in (foreign, expired, left):
        answer = await hand_over(api, group, nobody)
        assert (answer.status, "contact_id" in answer.json["fields"]) == (422, True)
    number = await api.post(
        f"/groups/{group}/hand-over", OPERATOR, {"phone": "19790009999", "reason": "r"}
    )
    assert (number.status, "phone" in number.json["fields"]) == (422, True)
    await person(api, number=4_242)
    by_number = await api.post(
        f"/groups/{group}/hand-over", OPERATOR, {"phone": "19790004242", "reason": "r"}
    )
    assert by_number.status == 200, by_number.body
    assert len(await history(api, group)) == 2


async def test_others_neither_see_a_group_nor_hand_it_over(api: Api) -> None:
    group = await add_group(api)
    for path in (f"/groups/{group}", f"/groups/{group}/history"):
        assert (await api.get(path, STRANGER)).status == 404
    body = {"contact_id": str(await person(api, team="school")), "reason": "r"}
    assert (await api.post(f"/groups/{group}/hand-over", STRANGER, body)).status == 404
    assert (await api.patch(f"/groups/{group}", STRANGER, {"members": 1})).status == 404
    assert (await api.get("/groups", STRANGER)).json["items"] == []


async def test_a_closed_group_has_no_owner_and_its_name_is_free(api: Api) -> None:
    owner = await person(api)
    await areas(api)
    group = await add_group(api, name="三组群", area=VILLAGE)
    body = {"name": "三组群", "unit_kind": "villagers", "owner_contact_id": str(owner)}
    taken = await api.post("/groups", OPERATOR, body | {"area": VILLAGE})
    assert (taken.status, code(taken)) == (409, "group_name_taken")
    assert (await api.post("/groups", OPERATOR, body | {"area": OTHER_VILLAGE})).status == 201
    closed = await api.patch(f"/groups/{group}", OPERATOR, {"state": "closed"})
    assert (closed.status, closed.json["state"]) == (200, "closed")
    assert (await history(api, group))[-1]["until"] is not None
    assert code(await hand_over(api, group, owner)) == "group_closed"
    assert (await api.post("/groups", OPERATOR, body | {"area": VILLAGE})).status == 201
    listed = (await api.get(f"/groups?area={TOWN}", VIEWER)).json["items"]
    assert {one["area"] for one in listed} == {VILLAGE, OTHER_VILLAGE}
    assert len((await api.get("/groups?state=all", VIEWER)).json["items"]) == 3


async def send(api: Api, text: str, **fields: str) -> Answer:
    form = FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", text.encode(), filename="groups.csv", content_type="text/csv")
    return await api.call("POST", "/groups/imports", OPERATOR, data=form)


async def test_a_file_of_groups_is_registered_whole_or_not_at_all(api: Api) -> None:
    await areas(api)
    await add_group(api, name="一组群", area=VILLAGE)
    await person(api, number=1_001)
    good = f"一组群,村民组,{VILLAGE},80,19790001001,\n二组群,村民组,{VILLAGE},90人,19790001001,\n"
    bad = f"三组群,村民组,{VILLAGE},80,19790001002,\n四组群,村民组,999999999999,8,19790001001,\n"
    tried = await send(api, FILE + good + bad, dry_run="true")
    assert tried.status == 200, tried.body
    assert tried.json["rows"] == {"read": 4, "accepted": 1, "rejected": 2, "skipped": 1}
    refused = await send(api, FILE + good + bad)
    assert (refused.status, code(refused)) == (422, "rows_rejected")
    assert refused.json["report"]["rejected"] == {"owner_unknown": 1, "area_unknown": 1}
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM groups") == 1
    partial = await send(api, FILE + good + bad, accept_partial="true")
    assert (partial.status, partial.json["rows"]["accepted"]) == (200, 1)
    again = await send(api, FILE + good)
    assert again.json["skipped"] == {"registered_before": 2}
    names = {one["name"] for one in (await api.get("/groups", VIEWER)).json["items"]}
    assert names == {"一组群", "二组群"}
    register = await api.get("/groups/document?format=html", VIEWER)
    assert register.status == 200
    assert "二组群" in register.body.decode()
    assert "19790001001" not in register.body.decode()


async def choose_text(api: Api) -> None:
    text = "【旌德县反诈中心】{单位}：{群名}等{项数}个群的群主已不在名单中，请及时交接。"
    department = api.teams["county"].department_id
    named = {"signature": "旌德县反诈中心"}
    assert (await api.patch(f"/departments/{department}", ("county", "admin"), named)).status == 200
    body = {"name": "群主缺位", "class": "service", "text": text}
    made = await api.post("/templates", OPERATOR, body)
    assert made.status == 201, made.body
    template = made.json["id"]
    early = await api.call("PUT", "/groups/text", OPERATOR, json={"template_id": template})
    assert (early.status, code(early)) == (409, "template_not_approved")
    read = [one["rule"] for one in made.json["lint"] if one["level"] == "review"]
    approval = {"version": 1, "acknowledged": read}
    answer = await api.post(f"/templates/{template}/approve", APPROVER, approval)
    assert answer.status == 200, answer.body
    chosen = await api.call("PUT", "/groups/text", OPERATOR, json={"template_id": template})
    assert chosen.status == 200, chosen.body


async def look(api: Api) -> set[int]:
    return await find_ownerless(api.runtime.pool, api.runtime.keyring, api.clock)


async def ownerless(api: Api) -> list[Any]:
    found: list[Any] = (await api.get("/groups?ownerless=true", VIEWER)).json["items"]
    return found


async def test_an_owner_who_leaves_all_lists_is_told_of_once(api: Api) -> None:
    await name_people(api)
    await choose_text(api)
    owner = await person(api)
    groups = [await add_group(api, owner=owner) for _ in range(3)]
    await add_group(api)
    assert await look(api) == set()
    await drop_person(api, owner)
    assert await look(api) == {1}
    found = await ownerless(api)
    assert {one["id"] for one in found} == {str(one) for one in groups}
    assert all(one["told_run_id"] and not one["untold"] for one in found)
    await look(api)
    texts = await api.runtime.pool.fetchval("SELECT count(*) FROM messages")
    assert texts == 1, "three groups are one text to the liaison, and it is sent once"
    handed = await hand_over(api, groups[0], await person(api))
    assert handed.json["ownerless_since"] is None
    await api.runtime.pool.execute("UPDATE contacts SET listed = true WHERE id = $1", owner)
    await look(api)
    assert await ownerless(api) == [], "whoever is on a list again owns the group again"


async def test_without_a_text_or_a_liaison_the_list_says_so(api: Api) -> None:
    group = await add_group(api, owner=await person(api, until=date(2027, 1, 12)))
    await look(api)
    assert await ownerless(api) == []
    api.clock.at += timedelta(days=2)  # the list has ended
    await look(api)
    (found,) = await ownerless(api)
    assert (found["id"], found["untold"]) == (str(group), "no_liaison")
    await api.runtime.pool.execute("DELETE FROM contacts")
    await look(api)
    (found,) = await ownerless(api)
    assert found["owner"]["display_name"] is None


async def test_two_schedulers_tell_of_a_group_once(api: Api) -> None:
    await name_people(api)
    await choose_text(api)
    owner = await person(api)
    await add_group(api, owner=owner)
    await drop_person(api, owner)
    await asyncio.gather(*(look(api) for _ in range(8)))
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM messages") == 1
