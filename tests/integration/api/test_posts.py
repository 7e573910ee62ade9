"""Posts of lists: one holder at any instant, hand-overs, and the lists that are imported later."""

import asyncio
import io
import itertools
import re
import zipfile
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from service.audience.rosters.rosters import run_undo
from service.clock import day_in_china
from service.relays import relay_store
from service.relays.posts.post_store import holders_of_role
from service.relays.tree import with_holders
from service.storage.postgres import (
    CheckViolation,
    ForeignKeyViolation,
    UniqueViolation,
    transaction,
)
from tests.factories import phone
from tests.harness.owed import FRIDAY, choose_texts, name_people, set_obligation, texts, turn
from tests.harness.posts import OPERATOR, POST, ROSTER, UNIT, add_post, give, import_list, member
from tests.harness.work import work_of
from tests.integration.api.conftest import Answer, Api

VIEWER, STRANGER = ("county", "viewer"), ("school", "operator")
AT_ONCE = 20
OLD, NEW, THIRD = 501, 502, 503
STAFF = "全体职工"

_ANOTHER = """
INSERT INTO post_holders (post_id, no, contact_id, since, follows, effective_on, reason, set_by)
SELECT post_id, no + 1, contact_id, since + interval '{0}', {1}, effective_on, '', set_by FROM {2}
WHERE no = 2
"""
_ENDED = """
WITH ended AS (UPDATE post_holders SET until = since + interval '2 hours' WHERE no = 2 RETURNING *)
"""
OTHER_HISTORIES = (
    _ANOTHER.format("1 hour", "NULL", "post_holders"),  # a second holder beside the first
    _ANOTHER.format("1 hour", "since + interval '1 hour'", "post_holders"),
    "UPDATE post_holders SET until = since + interval '1 hour' WHERE no = 2",  # no holder at all
    _ENDED + _ANOTHER.format("3 hours", "since + interval '3 hours'", "ended"),  # a gap
    _ENDED + _ANOTHER.format("3 hours", "since + interval '2 hours'", "ended"),
    _ENDED + _ANOTHER.format("1 hour", "since + interval '1 hour'", "ended"),  # two at once
    "UPDATE post_holders SET since = since - interval '1 day' WHERE no = 2",  # another past
    "UPDATE post_holders SET told = 'x' WHERE no = 2",
    "DELETE FROM post_holders WHERE no = 2",
    # A post that nobody holds.
    (
        "INSERT INTO posts (department_id, roster, role, unit, units)"
        " SELECT department_id, roster, role, '别的单位', '{}' FROM posts"
    ),
)


def code(answer: Answer) -> str:
    return str(answer.json["type"]).removeprefix("/problems/")


async def lists(api: Api) -> None:
    """A list of liaisons with one of them, and the staff of whom one takes over."""
    await import_list(api, member(OLD, "王小明"))
    staff = [
        {"phone": phone(number), "name": name, "org": UNIT, "roles": ["civil_servant"]}
        for number, name in ((NEW, "李小红"), (THIRD, "张大山"))
    ]
    await import_list(api, *staff, roster=STAFF)
    api.clock.at += timedelta(hours=1)


async def handed(api: Api) -> Any:
    """The post, after the new one took it over."""
    await lists(api)
    answer = await give(api, NEW)
    assert answer.status == 200, answer.body
    api.clock.at += timedelta(hours=1)
    return answer.json


async def post(api: Api) -> Any:
    answer = await api.get(f"/rosters/{ROSTER}/posts", VIEWER, params=POST)
    assert answer.status == 200, answer.body
    (found,) = answer.json["items"]
    return found


async def history(api: Api) -> list[Any]:
    path = f"/rosters/{ROSTER}/posts/{(await post(api))['id']}/history"
    answer = await api.get(path, VIEWER)
    assert answer.status == 200, answer.body
    items: list[Any] = answer.json["items"]
    assert [one["no"] for one in items] == list(range(1, len(items) + 1))
    for before, after in itertools.pairwise(items):
        assert before["until"] == after["since"], "one begins at once when the other ends"
    assert [one["until"] is None for one in items] == [False] * (len(items) - 1) + [True]
    return items


async def liaisons(api: Api) -> list[str]:
    """The names, masked, of those to whom a relay that begins now would go as liaisons."""
    today, county = day_in_china(api.clock.at), api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        listed = await relay_store.people_of_role(conn, county, "liaison", None, today)
        holders = await holders_of_role(conn, county, "liaison", None, today)
        people = with_holders(listed, holders)
        rows = [
            await conn.fetchval("SELECT name_cipher FROM contacts WHERE id = $1", one.contact_id)
            for one in people
        ]
    assert all(UNIT in one.units for one in people), "groups of the unit are put below them"
    return sorted(api.runtime.keyring.decrypt("name", row) for row in rows)


async def test_twenty_hand_overs_at_once_leave_one_holder_and_no_gap(api: Api) -> None:
    """E10, of a post that was never handed over before."""
    await import_list(api, member(OLD, "王小明"))
    numbers = range(600, 600 + AT_ONCE)
    staff = [
        {"phone": phone(number), "name": "李小红", "roles": ["civil_servant"]} for number in numbers
    ]
    await import_list(api, *staff, roster=STAFF)
    answers = await asyncio.gather(*(give(api, number) for number in numbers))
    assert [answer.status for answer in answers] == [200] * AT_ONCE
    items = await history(api)
    assert len(items) == AT_ONCE + 1
    assert len({one["contact_id"] for one in items}) == AT_ONCE + 1
    assert (await post(api))["person"]["contact_id"] == items[-1]["contact_id"]


@pytest.mark.parametrize("statement", OTHER_HISTORIES, ids=range(len(OTHER_HISTORIES)))
async def test_the_database_refuses_any_other_history(api: Api, statement: str) -> None:
    """E10, by SQL past the code."""
    await handed(api)
    with pytest.raises((CheckViolation, ForeignKeyViolation, UniqueViolation)):
        async with transaction(api.runtime.pool) as conn:
            await conn.execute(statement)
    assert len(await history(api)) == 2


@pytest.mark.parametrize("form", ["docx", "html"])
async def test_the_form_names_both_and_says_who_was_told(api: Api, form: str) -> None:
    await lists(api)
    day = day_in_china(api.clock.at)
    late = await give(api, NEW, effective_on=str(day + timedelta(days=1)))
    assert (late.status, "effective_on" in late.json["fields"]) == (422, True)
    answer = await give(api, NEW, effective_on=str(day), told="县反诈办、财政局办公室")
    assert answer.status == 200, answer.body
    found = answer.json
    assert (found["state"], found["person"]["name"]) == ("held", "李**")
    assert (found["holder"]["no"], found["holder"]["told"]) == (2, "县反诈办、财政局办公室")
    assert [one["reason"] for one in await history(api)] == ["listed", "轮岗"]
    path = f"/rosters/{ROSTER}/posts/{found['id']}/history"
    made = await api.post(f"{path}/2/document", OPERATOR, {"format": form})
    assert made.status == 200, made.body
    words = made.body.decode(errors="replace")
    if form == "docx":
        words = zipfile.ZipFile(io.BytesIO(made.body)).read("word/document.xml").decode()
    said = re.sub("<[^>]+>", "", words)
    for part in ("王小明", "李小红", "轮岗", UNIT, "联络员", "县反诈办、财政局办公室", str(day)):
        assert part in said
    assert said.count("____") >= 2, "two lines to sign on"
    seen = await api.runtime.pool.fetchval(
        "SELECT count(*) FROM disclosures WHERE kind = 'contact'"
    )
    assert seen == 2
    for no in ("1", "3"):
        assert (await api.post(f"{path}/{no}/document", OPERATOR, {})).status == 404
    twice = await give(api, NEW)
    assert (twice.status, code(twice)) == (409, "holds_it_already")
    erased = await api.call("DELETE", f"/contacts/{found['person']['contact_id']}", OPERATOR)
    assert erased.status in {200, 204}, erased.body
    assert [one["name"] for one in await history(api)] == ["王**", None]
    gone = await api.post(f"{path}/2/document", OPERATOR, {})
    assert (gone.status, code(gone)) == (409, "not_kept")
    assert (await post(api))["state"] == "vacant"


async def test_what_depends_on_a_post_goes_to_the_new_person_and_back(api: Api) -> None:
    """Reminders of what a department owes, and relays that begin later."""
    await lists(api)
    await name_people(api)
    await choose_texts(api)
    school = api.teams["school"].department_id
    body = {"liaison": {"name": "王小明", "phone": phone(OLD)}}
    named = await api.call("PUT", f"/departments/{school}/people", ("school", "admin"), json=body)
    assert named.status == 200, named.body
    assert await liaisons(api) == ["王小明"]
    await set_obligation(api)
    await turn(api)
    answer = await give(api, NEW)
    assert answer.status == 200, answer.body
    assert answer.json["holder"]["answers_for"] == [str(school)]
    assert await liaisons(api) == ["李小红"]
    await turn(api, FRIDAY - timedelta(days=1))
    assert {to for to, _ in await texts(api)} == {str(NEW)}
    back = await give(api, OLD, reason="交回")
    assert back.status == 200, back.body
    assert await liaisons(api) == ["王小明"]
    await turn(api, FRIDAY - timedelta(hours=2))
    assert [to for to, _ in await texts(api)][-1] == str(OLD)
    people = (await api.get(f"/departments/{school}/people", ("school", "admin"))).json
    before = [one["name"] for one in people["history"] if one["duty"] == "liaison"]
    assert before == ["李小红", "王小明", "李四"]


async def test_a_duty_goes_with_the_post_of_its_own_department_alone(api: Api) -> None:
    """One person is the liaison of two units and hands one over."""
    school = api.teams["school"].department_id
    name = await api.runtime.pool.fetchval("SELECT name FROM departments WHERE id = $1", school)
    await lists(api)
    await import_list(api, member(OLD, "王小明"), member(OLD, "王小明", unit=name))
    body = {"liaison": {"name": "王小明", "phone": phone(OLD)}}
    await api.call("PUT", f"/departments/{school}/people", ("school", "admin"), json=body)
    other = await give(api, NEW)
    assert (other.status, other.json["holder"]["answers_for"]) == (200, [])
    leader = {"leader": {"name": "张大山", "phone": phone(THIRD)}}
    await api.call("PUT", f"/departments/{school}/people", ("school", "admin"), json=leader)
    both = await give(api, THIRD, unit=name)
    assert (both.status, "contact_id" in both.json["fields"]) == (422, True)
    own = await give(api, NEW, unit=name)
    assert own.json["holder"]["answers_for"] == [str(school)]


async def test_a_list_that_names_the_old_person_again_undoes_no_hand_over(api: Api) -> None:
    await handed(api)
    for again in (member(OLD, "王小明"), member(OLD, "王小明", note="新表")):
        await import_list(api, again)
        api.clock.at += timedelta(hours=1)
        assert (await post(api))["person"]["name"] == "李**"
        assert await liaisons(api) == ["李小红"]


async def test_a_list_that_drops_the_new_person_leaves_the_post_vacant(api: Api) -> None:
    """Though the person is on another list still."""
    await handed(api)
    await import_list(api, member(NEW, "李小红"))
    api.clock.at += timedelta(hours=1)
    assert (await post(api))["state"] == "held"
    dropping = await import_list(api, member(OLD, "王小明"))
    api.clock.at += timedelta(hours=1)
    found = await post(api)
    assert (found["state"], found["person"]) == ("vacant", None)
    assert await liaisons(api) == []
    undone = await api.post(f"/imports/{dropping}/undo", OPERATOR)
    assert undone.status == 202, undone.body
    await _undo(api, dropping)
    assert (await post(api))["state"] == "held"
    assert await liaisons(api) == ["李小红"]


async def _vacant(api: Api, who: tuple[str, str] = OPERATOR) -> Any:
    """What the work list says of posts that nobody has."""
    return (await work_of(api, who))["vacant_posts"]


async def test_a_vacant_post_waits_until_it_is_handed_over(api: Api) -> None:
    await handed(api)
    await import_list(api, member(NEW, "李小红"))
    assert (await _vacant(api))["count"] == 0
    api.clock.at += timedelta(hours=1)
    dropping = await import_list(api, member(OLD, "王小明"))
    waits = await _vacant(api)
    (item,) = waits["items"]
    assert (waits["count"], item["name"], item["texts"]) == (1, ROSTER, 1)
    assert datetime.fromisoformat(item["since"]) == api.clock.at
    assert item["plain"]["zh"] == "岗位上的人已不在名单中，请交接给接任人。"
    assert (await _vacant(api, ("school", "operator")))["count"] == 0
    assert (await _vacant(api, ("county", "admin")))["count"] == 1
    assert "vacant_posts" not in await work_of(api, ("county", "viewer")), "who hands nothing over"
    assert (await api.post(f"/imports/{dropping}/undo", OPERATOR)).status == 202
    await _undo(api, dropping)
    assert (await _vacant(api))["count"] == 0, "the list names the new person again"
    await import_list(api, member(OLD, "王小明"))
    assert (await _vacant(api))["count"] == 1
    assert (await give(api, THIRD)).status == 200
    assert (await _vacant(api))["count"] == 0


async def test_a_post_whose_list_names_somebody_anew_does_not_wait(api: Api) -> None:
    await handed(api)
    api.clock.at += timedelta(hours=1)
    await import_list(api, member(THIRD, "张大山"))
    assert (await post(api))["state"] == "named_anew"
    assert (await _vacant(api))["count"] == 0


async def test_posts_of_others_wait_for_them_alone(api: Api) -> None:
    await add_post(api, "school")
    await api.runtime.pool.execute(
        "INSERT INTO rosters (department_id, name, basis, expires_on)"
        " VALUES ($1, $2, 'duty', '2028-12-31')",
        api.teams["school"].department_id,
        ROSTER,
    )
    school = await _vacant(api, ("school", "operator"))
    await api.runtime.pool.execute("UPDATE contacts SET listed = false")
    assert (school["count"], (await _vacant(api, ("school", "operator")))["count"]) == (0, 1)
    assert (await _vacant(api, ("county", "admin")))["count"] == 0, "who sees all, and may not"
    ended = "UPDATE rosters SET expires_on = $1 WHERE name = $2"
    await api.runtime.pool.execute(ended, api.clock.at.date() - timedelta(days=1), ROSTER)
    assert (await _vacant(api, ("school", "operator")))["count"] == 0, "the list has ended"


async def _undo(api: Api, import_id: str) -> None:
    async with api.runtime.pool.acquire() as conn:
        assert await run_undo(conn, UUID(import_id), api.clock.at)


async def test_whoever_is_on_no_list_that_holds_has_no_post(api: Api) -> None:
    await handed(api)
    await import_list(api, {"phone": phone(THIRD), "name": "张大山"}, roster=STAFF)
    assert (await post(api))["state"] == "vacant"
    assert await liaisons(api) == []
    nobody = await give(api, NEW)
    assert (nobody.status, "phone" in nobody.json["fields"]) == (422, True)
    assert (await give(api, THIRD)).status == 200
    assert await liaisons(api) == ["张大山"]


async def test_a_list_that_names_a_third_person_is_newer_than_the_hand_over(api: Api) -> None:
    await handed(api)
    await import_list(api, member(THIRD, "张大山"))
    api.clock.at += timedelta(hours=1)
    found = await post(api)
    assert (found["state"], found["person"]["name"]) == ("named_anew", "张**")
    assert found["holder"]["name"] == "李**"
    assert await liaisons(api) == ["张大山"]
    back = await give(api, NEW)
    assert back.status == 200, back.body
    names = [one["name"] for one in await history(api)]
    assert names == ["王**", "李**", "张**", "李**"], "whom the list named is in the history"
    assert await liaisons(api) == ["李小红"]


async def test_undoing_the_import_that_made_the_list_undoes_no_hand_over(api: Api) -> None:
    await lists(api)
    again = await import_list(api, member(OLD, "王小明"), member(504, "赵六", unit="旌德县民政局"))
    assert (await give(api, NEW)).status == 200
    assert (await api.post(f"/imports/{again}/undo", OPERATOR)).status == 202
    await _undo(api, again)
    assert (await post(api))["state"] == "held"
    assert await liaisons(api) == ["李小红"]


async def test_a_post_is_of_one_person_and_of_the_own_department(api: Api) -> None:
    await lists(api)
    await import_list(api, member(OLD, "王小明"), member(THIRD, "张大山"))
    shared = await give(api, NEW)
    assert (shared.status, code(shared)) == (409, "post_is_shared")
    found = await post(api)
    assert (found["state"], len(found["listed"]), found["person"]) == ("shared", 2, None)
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM posts") == 0
    unknown = await give(api, NEW, unit="没有的单位")
    assert (unknown.status, "unit" in unknown.json["fields"]) == (422, True)
    neither = await api.post(f"/rosters/{ROSTER}/hand-over", OPERATOR, {**POST, "reason": "r"})
    assert (neither.status, "phone" in neither.json["fields"]) == (422, True)
    for path in (f"/rosters/{ROSTER}/posts", "/rosters/没有的名单/posts"):
        assert (await api.get(path, STRANGER)).status == 404


async def test_a_class_has_a_headteacher_whatever_the_spaces(api: Api) -> None:
    said: dict[str, Any] = {
        "school": "旌德中学",
        "grade": "高一",
        "class": "3班",
        "roles": ["teacher"],
        "org": "",
    }
    await import_list(api, member(OLD, "王小明", **said), roster="班主任")
    await import_list(api, member(NEW, "李小红"))
    unit = {"role": "teacher", "unit": "旌德中学高一 3班"}
    answer = await give(api, NEW, roster="班主任", **unit)
    assert answer.status == 200, answer.body
    assert answer.json["unit"] == "旌德中学 高一 3班"
    listed = (await api.get("/rosters/班主任/posts", VIEWER)).json["items"]
    assert [(one["role"], one["state"]) for one in listed] == [("teacher", "held")]
