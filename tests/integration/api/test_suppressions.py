"""What a suppression stops, over HTTP: its classes, and who is left out of which preview."""

import csv
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import FormData

from service.audience.suppression import add_suppressions
from service.storage.postgres import transaction
from tests.factories import make_contact, phone, suppression
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
OPERATOR = ("school", "operator")
ALL = ["public_interest", "service", "warning"]
REFUSABLE = ALL[:2]


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
    assert await suppress(api, classes=["public_interest"]) == REFUSABLE
    assert await suppress(api, reason="complaint", classes=["warning"]) == ["warning"]


async def test_what_has_passed_is_not_added_to(api: Api) -> None:
    await suppress(api, classes=["service"])
    await api.runtime.pool.execute("UPDATE suppressions SET expires_at = $1", api.clock.at)
    assert await suppress(api, classes=["public_interest"]) == ["public_interest"]


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


async def test_a_preview_leaves_out_whom_its_class_leaves_out(api: Api) -> None:
    """A rule alone is counted as publicity, a campaign by the class of its text."""
    department = api.teams["school"].department_id
    async with transaction(api.runtime.pool) as conn:
        for n in range(3):
            await make_contact(conn, api.runtime.keyring, department, n, now=api.clock.at)
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


async def upload(api: Api, content: bytes, **fields: str) -> Any:
    form = FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", content, filename="list.csv", content_type="text/csv")
    return await api.call("POST", "/suppressions/imports", OPERATOR, data=form)


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
    assert (kept["exported_by"], kept["reason"], kept["suppressions"]) == (
        api.teams["school"].operator.id,
        "对账",
        1,
    )
    entry = (await api.get("/audit?action=export_suppressions", ADMIN)).json["items"][0]
    assert (entry["object_kind"], entry["object_id"]) == ("suppression_exports", str(kept["id"]))
