"""What a suppression stops, over HTTP: its classes, and who is left out of which preview."""

import csv
import uuid
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import FormData

from service.audience.suppressions.suppression import add_suppressions
from service.privacy.store import list_suppressions as list_found
from service.storage.postgres import transaction
from tests.factories import make_contact, phone, suppression
from tests.harness.ledger import add_channel
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
OPERATOR = ("school", "operator")
ALL = ["public_interest", "service", "warning"]
REFUSABLE = ALL[:2]
WHO = {"phone": phone(1), "reason": "来电查询"}


async def suppress(api: Api, **body: Any) -> list[str]:
    answer = await api.post("/suppressions", OPERATOR, {"phone": phone(1), **body})
    assert answer.status == 201, answer.body
    classes: list[str] = answer.json["items"][0]["classes"]
    return classes


@pytest.mark.parametrize(
    ("reason", "classes"),
    [("opted_out", REFUSABLE), ("protected", ALL), ("dead_number", ALL), ("complaint", ALL)],
)
async def test_what_a_reason_stops_where_nobody_says_otherwise(
    api: Api, reason: str, classes: list[str]
) -> None:
    assert await suppress(api, reason=reason) == classes
    found = (await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})).json["items"]
    assert [item["classes"] for item in found] == [classes]
    async with transaction(api.runtime.pool) as conn:
        keyring, now = api.runtime.keyring, api.clock.at
        entered = await add_suppressions(conn, keyring, [phone(2)], suppression(reason), now)
    assert (entered.numbers, entered.added) == (1, 1)
    stored = await api.runtime.pool.fetchval(
        "SELECT classes FROM suppressions WHERE phone_hash = $1", keyring.phone_index(phone(2))
    )
    assert stored == classes


async def test_classes_can_be_chosen_and_are_added_to_those_that_hold(api: Api) -> None:
    assert await suppress(api, classes=["service", "service"]) == ["service"]
    assert await suppress(api) == REFUSABLE
    assert await suppress(api, classes=["service"]) == REFUSABLE
    assert await suppress(api, classes=["public_interest"]) == ["public_interest"]  # the county's
    assert await suppress(api, reason="complaint", classes=["warning"]) == ["warning"]


async def test_what_has_passed_is_not_added_to(api: Api) -> None:
    await suppress(api)
    await api.runtime.pool.execute("UPDATE suppressions SET expires_at = $1", api.clock.at)
    assert await suppress(api, classes=["service"]) == ["service"]


async def test_what_has_passed_is_replaced_whole_by_whoever_enters_it_again(api: Api) -> None:
    """It is theirs to see and to lift, and counts as new."""
    soon = (api.clock.at + timedelta(hours=1)).isoformat()
    await suppress(api, reason="complaint", note="旧", expires_at=soon)
    api.clock.at += timedelta(hours=1)
    county = ("county", "operator")
    body = {"phone": phone(1), "reason": "complaint", "note": "新"}
    made = (await api.post("/suppressions", county, body)).json
    assert made["added"] == 1
    (item,) = (await api.get("/suppressions", county)).json["items"]
    assert (item["note"], item["created_by"]) == ("新", str(api.teams["county"].operator.id))
    assert (await api.get("/suppressions", OPERATOR)).json["items"] == []
    assert (await api.call("DELETE", f"/suppressions/{item['id']}", county)).status == 204


@pytest.mark.parametrize(
    "body",
    [
        {"classes": []},
        {"classes": ["all"]},
        {"classes": "service"},
        {"classes": ["public_interest", "warning"]},
        {"reason": "opted_out", "classes": ["warning"]},
    ],
)
async def test_wrong_classes_are_refused_and_leave_nothing(api: Api, body: dict[str, Any]) -> None:
    answer = await api.post("/suppressions", OPERATOR, {"phone": phone(1), **body})
    assert answer.status == 422, answer.body
    assert not await api.runtime.pool.fetchval("SELECT EXISTS (SELECT FROM suppressions)")


@pytest.mark.parametrize(
    ("who", "body", "answer"),
    [
        (OPERATOR, {}, (REFUSABLE, "school")),
        (OPERATOR, {"classes": ["service"]}, (["service"], "school")),
        (OPERATOR, {"department": "school"}, (["service"], "school")),
        (OPERATOR, {"department": "school", "classes": REFUSABLE}, (REFUSABLE, "school")),
        (OPERATOR, {"classes": ["public_interest"]}, (["public_interest"], None)),
        (OPERATOR, {"reason": "complaint"}, (ALL, None)),
        (OPERATOR, {"department": "county"}, 403),
        (OPERATOR, {"department": "school", "reason": "complaint"}, 422),
        (OPERATOR, {"department": "school", "classes": ["public_interest"]}, 422),
        (ADMIN, {}, (REFUSABLE, None)),
        (ADMIN, {"department": "school"}, (["service"], "school")),
        (ADMIN, {"department": "nobody"}, 422),
    ],
    ids=str,
)
async def test_whose_notices_an_opt_out_stops(
    api: Api, who: tuple[str, str], body: dict[str, Any], answer: Any
) -> None:
    """A department stops its own, one by one and by a list; the county's lead any, or all."""
    ids = {name: str(team.department_id) for name, team in api.teams.items()}
    ids["nobody"] = str(uuid.UUID(int=0))
    sent = {key: value for key, value in body.items() if key != "department"}
    if "department" in body:
        sent["department_id"] = ids[body["department"]]
    one = await api.post("/suppressions", who, {"phone": phone(1), **sent})
    form = {key: value for key, value in sent.items() if key != "classes"}
    by_list = None if "classes" in body else await upload(api, LIST, who, **form)
    if isinstance(answer, int):
        assert one.status == answer, one.body
        assert by_list is None or by_list.status == answer, by_list.body
        assert not await api.runtime.pool.fetchval("SELECT EXISTS (SELECT FROM suppressions)")
        return
    classes, whose = answer
    expected = (classes, ids.get(whose))
    (item,) = one.json["items"]
    assert (item["classes"], item["department_id"]) == expected
    assert by_list is None or by_list.json["known"] == 1  # the same number for the same notices
    found = (await api.get("/suppressions", ADMIN)).json["items"]
    assert {(tuple(s["classes"]), s["department_id"]) for s in found} == {
        (tuple(classes), ids.get(whose))
    }


async def test_a_department_sees_gives_out_and_lifts_the_opt_outs_of_its_own_notices(
    api: Api,
) -> None:
    """Whoever entered them; and nobody but the county those of all departments."""
    school, county = (str(api.teams[name].department_id) for name in ("school", "county"))
    made = {}
    for whose in (school, county, None):
        body = {"phone": phone(1), "department_id": whose}
        made[whose] = (await api.post("/suppressions", ADMIN, body)).json["items"][0]["id"]
    for path in ("/suppressions", f"/suppressions?department_id={school}"):
        listed = (await api.get(path, OPERATOR)).json["items"]
        assert [(s["id"], s["department"]) for s in listed] == [(made[school], await _name(api))]
    assert (await api.get(f"/suppressions?department_id={county}", OPERATOR)).json["items"] == []
    given = await api.post("/suppressions/export", OPERATOR, {"why": "对账"})
    rows = list(csv.DictReader(given.body.decode("utf-8-sig").splitlines()))
    assert [(row["classes"], row["department"]) for row in rows] == [("service", await _name(api))]
    looked = await api.post("/privacy/lookup", ("school", "admin"), WHO)
    assert [(s["classes"], s["department"]) for s in looked.json["suppressions"]] == [
        (["service"], await _name(api)),
        (REFUSABLE, None),
    ]
    for whose, status in ((county, 404), (None, 404), (school, 204)):
        lifted = await api.call("DELETE", f"/suppressions/{made[whose]}", OPERATOR)
        assert lifted.status == status
    left = (await api.post("/suppressions/lookup", ADMIN, {"phone": phone(1)})).json["items"]
    assert {item["department_id"] for item in left} == {county, None}


async def test_of_another_departments_opt_out_only_what_holds_here_is_told(api: Api) -> None:
    """And it holds beyond the person's erasure, as every suppression does."""
    await suppress(api)
    await api.post("/privacy/erase", ADMIN, WHO)
    looked = (await api.post("/privacy/lookup", ("school", "admin"), WHO)).json["suppressions"]
    assert [(s["classes"], s["department"]) for s in looked] == [(REFUSABLE, await _name(api))]
    async with transaction(api.runtime.pool) as conn:
        index = api.runtime.keyring.phone_index(phone(1))
        other = await list_found(conn, index, uuid.UUID(int=1))
    assert [(s["classes"], s["department"]) for s in other] == [(["public_interest"], None)]


async def test_a_preview_leaves_out_whom_its_class_leaves_out(api: Api) -> None:
    """A rule alone is counted as publicity, a campaign by the class of its text."""
    department = api.teams["school"].department_id
    async with transaction(api.runtime.pool) as conn:
        for n in range(3):
            await make_contact(conn, api.runtime.keyring, department, n, now=api.clock.at)
        await add_channel(conn, api.runtime.keyring, 1, api.clock.at)
    await suppress(api)
    rule = {"rule": "carrier in (mobile, unicom, telecom, broadnet)"}
    alone = (await api.post("/segments/preview", OPERATOR, rule)).json
    assert (alone["target"], alone["excluded"]) == (2, {"opted_out": 1})
    segment = await api.post("/segments", OPERATOR, {"name": "s", **rule})
    found = {}
    for message_class in ALL:
        template = await api.post(
            "/templates",
            OPERATOR,
            {"name": message_class, "class": message_class, "text": "【旌德中学】明日停课。"},
        )
        campaign = await api.post(
            "/campaigns",
            OPERATOR,
            {
                "name": message_class,
                "template_id": template.json["id"],
                "segment_id": segment.json["id"],
                "schedule": {"kind": "now"},
            },
        )
        preview = await api.get(f"/campaigns/{campaign.json['id']}/preview", OPERATOR)
        found[message_class] = preview.json["target"], len(preview.json["sample"])
        if message_class == "warning":  # which this department may not submit
            continue
        submitted = await api.post(f"/campaigns/{campaign.json['id']}/submit", OPERATOR, {})
        assert submitted.json["baseline"] == found[message_class][0], submitted.body
    assert found == {"public_interest": (2, 2), "service": (2, 2), "warning": (3, 3)}


LIST = "姓名,手机号\n王五,197 9000 0001\n李四,19790000002\n,12345\n赵六,19790000002\n".encode(
    "gb18030"
)


async def upload(
    api: Api, content: bytes, who: tuple[str, str] = OPERATOR, /, **fields: str
) -> Any:
    form = FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", content, filename="list.csv", content_type="text/csv")
    return await api.call("POST", "/suppressions/imports", who, data=form)


async def test_a_list_is_entered_whole_and_says_what_became_of_each_row(api: Api) -> None:
    await suppress(api, reason="protected", owner="信访局")
    answer = await upload(api, LIST, reason="protected", note="来函 12 号")
    assert answer.status == 200, answer.body
    rows = answer.json.pop("rows")
    assert answer.json["numbers"] == 2
    assert {k: answer.json[k] for k in ("added", "known", "rejected")} == {
        "added": 1,
        "known": 1,
        "rejected": 1,
    }
    assert [(row["row"], row["reason"]) for row in rows] == [(4, "length")]
    found = (await api.get("/suppressions?reason=protected", OPERATOR)).json["items"]
    assert [(s["owner"], s["source"], s["note"]) for s in found] == [
        (await _name(api), "list", "来函 12 号"),
        (await _name(api), "person", ""),  # whoever says so last answers for it
    ]
    assert all(s["classes"] == ALL for s in found)
    entry = (await api.get("/audit?action=import_suppressions", ADMIN)).json["items"][0]
    assert entry["details"]["added"] == 1
    assert "19790000002" not in str(entry)


async def _name(api: Api) -> str:
    name: str = await api.runtime.pool.fetchval(
        "SELECT name FROM departments WHERE id = $1", api.teams["school"].department_id
    )
    return name


@pytest.mark.parametrize(
    ("content", "fields", "field"),
    [
        (LIST, {"reason": "dislike"}, "reason"),
        (LIST, {"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
        (b"name\nx\n", {}, None),
    ],
)
async def test_a_list_that_cannot_be_read_leaves_nothing(
    api: Api, content: bytes, fields: dict[str, str], field: str | None
) -> None:
    answer = await upload(api, content, **fields)
    assert answer.status == 422, answer.body
    assert field is None or field in answer.body.decode()
    assert not await api.runtime.pool.fetchval("SELECT EXISTS (SELECT FROM suppressions)")


async def test_the_list_is_filtered_and_an_end_counts(api: Api) -> None:
    later = (api.clock.at + timedelta(hours=1)).isoformat()
    await suppress(api, reason="complaint", classes=["service"], expires_at=later)
    await suppress(api)
    await suppress(api, reason="protected", phone=phone(2))

    async def reasons(query: str) -> list[str]:
        answer = await api.get(f"/suppressions?{query}", OPERATOR)
        return sorted(item["reason"] for item in answer.json["items"])

    assert await reasons("class=warning") == ["protected"]
    assert await reasons("class=service") == ["complaint", "opted_out", "protected"]
    one = (await api.post("/suppressions/lookup", OPERATOR, {"phone": "197-9000-0001"})).json
    assert one["phone"] == "197****0001"
    assert sorted(item["reason"] for item in one["items"]) == ["complaint", "opted_out"]
    assert (await api.get(f"/suppressions?phone={phone(1)[3:]}", OPERATOR)).status == 422
    api.clock.at += timedelta(hours=1)
    assert await reasons("class=service&in_force=true") == ["opted_out", "protected"]
    first = (await api.get("/suppressions?limit=2", OPERATOR)).json
    rest = (await api.get(f"/suppressions?limit=2&cursor={first['next_cursor']}", OPERATOR)).json
    assert len({item["id"] for item in first["items"] + rest["items"]}) == 3
    assert rest["next_cursor"] is None


async def test_what_is_given_out_are_hashes_and_who_and_why_is_written_down(api: Api) -> None:
    await suppress(api, reason="protected", note="=1+1")
    async with transaction(api.runtime.pool) as conn:  # another department's
        new = suppression("opted_out", created_by=api.teams["county"].operator.id)
        await add_suppressions(conn, api.runtime.keyring, [phone(2)], new, api.clock.at)
    assert (await api.post("/suppressions/export", OPERATOR, {})).status == 422
    answer = await api.post("/suppressions/export", OPERATOR, {"why": "对账"})
    assert answer.status == 200
    rows = list(csv.DictReader(answer.body.decode("utf-8-sig").splitlines()))
    assert [row["phone_hash"] for row in rows] == [api.runtime.keyring.phone_index(phone(1)).hex()]
    assert rows[0]["note"] != "=1+1"  # no spreadsheet computes it
    assert phone(1)[-8:] not in answer.body.decode()
    kept = await api.runtime.pool.fetchrow("SELECT * FROM suppression_exports")
    assert kept is not None
    assert (kept["exported_by"], kept["reason"], kept["suppressions"]) == (
        api.teams["school"].operator.id,
        "对账",
        1,
    )
    entry = (await api.get("/audit?action=export_suppressions", ADMIN)).json["items"][0]
    assert (entry["object_kind"], entry["object_id"]) == ("suppression_exports", str(kept["id"]))


@pytest.mark.attack
async def test_what_a_person_noted_is_encrypted(api: Api) -> None:
    note = "王小明家属来电"
    await suppress(api, reason="complaint", note=note)
    await upload(api, LIST, reason="protected", note=note)
    pool = api.runtime.pool
    assert note not in str(await pool.fetch("SELECT s::text FROM suppressions s"))
    listed = (await api.get("/suppressions", OPERATOR)).json["items"]
    found = (await api.post("/suppressions/lookup", OPERATOR, {"phone": phone(1)})).json["items"]
    assert {item["note"] for item in listed + found} == {note}
    given = await api.post("/suppressions/export", OPERATOR, {"why": "对账"})
    rows = csv.DictReader(given.body.decode("utf-8-sig").splitlines())
    assert {row["note"] for row in rows} == {note}
