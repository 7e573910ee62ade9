"""What shows a consent: given with a list, kept with its people, shown to who may see them."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from aiohttp import FormData

from service.audience.imports.loading import run_import
from service.audience.rosters.rosters import run_undo
from tests.factories import phone
from tests.integration.api.conftest import Api

OPERATOR, ADMIN, OTHER = ("county", "operator"), ("county", "admin"), ("school", "admin")
SHOWN = {
    "evidence": "档案 2027-3",
    "evidence_on": "2027-01-04",
    "evidence_by": "旌阳小学教务处",
    "evidence_how": "paper",
    "evidence_form": "家长告知书第 2 版",
}
NONE = dict.fromkeys(SHOWN, "") | {"evidence_on": None, "evidence_how": None}


async def upload(api: Api, number: int, **fields: str) -> Any:
    """A file of one person onto the list 家长."""
    form = FormData({"roster": "家长", **fields})
    form.add_field("file", f"手机,姓名\n{phone(number)},王小明\n".encode(), filename="a.csv")
    return await api.call("POST", "/imports", OPERATOR, data=form)


async def imported(api: Api, number: int, **fields: str) -> str:
    answer = await upload(api, number, **fields)
    assert answer.status == 202, answer.body
    async with api.runtime.pool.acquire() as conn:
        assert await run_import(conn, api.runtime.keyring, UUID(answer.json["id"]), api.clock.at)
    return str(answer.json["id"])


def said(shown: dict[str, Any]) -> dict[str, Any]:
    return {name: shown[name] for name in SHOWN}


async def roster(api: Api) -> dict[str, Any]:
    (found,) = (await api.get("/rosters", OPERATOR)).json["items"]
    return dict(found)


async def person(api: Api, number: int) -> list[tuple[dict[str, Any], str | None]]:
    """What each of the person's entries says of their consent."""
    found = (await api.get("/contacts", OPERATOR)).json["items"]
    (one,) = [p for p in found if p["phone"][-4:] == phone(number)[-4:]]
    entries = (await api.get(f"/contacts/{one['id']}", OPERATOR)).json["entries"]
    return [(said(entry), entry["evidence_of"]) for entry in entries]


async def looked_up(api: Api, number: int) -> list[tuple[dict[str, Any], str | None]]:
    """What whoever asks for the number is told of each list."""
    body = {"phone": phone(number), "reason": "来电"}
    found = (await api.post("/privacy/lookup", ADMIN, body)).json["contacts"]
    return [(said(one), one["evidence_of"]) for contact in found for one in contact["rosters"]]


async def test_what_shows_a_consent_stays_with_the_list_the_import_and_the_person(api: Api) -> None:
    made = await imported(api, 1, basis="consent", **SHOWN)
    assert said((await api.get(f"/imports/{made}", OPERATOR)).json) == SHOWN
    found = await roster(api)
    assert (said(found), found["contacts"], found["unshown"]) == (SHOWN, 1, 0)
    assert await person(api, 1) == await looked_up(api, 1) == [(SHOWN, "import")]
    assert (await api.get(f"/imports/{made}", OTHER)).status == 404
    told = await api.post("/privacy/lookup", OTHER, {"phone": phone(1), "reason": "来电"})
    assert told.json["contacts"] == []


async def test_a_basis_alone_is_taken_and_what_is_missing_is_counted(api: Api) -> None:
    await imported(api, 1, basis="consent")
    found = await roster(api)
    assert (said(found), found["contacts"], found["unshown"]) == (NONE, 1, 1)
    assert await person(api, 1) == await looked_up(api, 1) == [(NONE, None)]
    refused = await api.call("PATCH", "/rosters/家长", OPERATOR, json={})
    assert (refused.status, set(refused.json["fields"])) == (422, {"evidence"})
    mended = await api.call("PATCH", "/rosters/家长", OPERATOR, json=SHOWN)
    assert (mended.status, said(mended.json), mended.json["unshown"]) == (200, SHOWN, 0)
    assert await person(api, 1) == await looked_up(api, 1) == [(SHOWN, "roster")]


async def test_of_whom_the_file_or_the_row_shows_it_nobody_is_counted(api: Api) -> None:
    await imported(api, 1, basis="consent")
    await imported(api, 2, basis="consent", **SHOWN)
    body = {"phone": phone(3), "roster": "家长", "consent_basis": "家长同意书"}
    assert (await api.post("/contacts", OPERATOR, body)).status == 201
    found = await roster(api)
    assert (said(found), found["contacts"], found["unshown"]) == (NONE, 3, 1)


async def test_nothing_has_to_be_shown_where_the_list_rests_on_something_else(api: Api) -> None:
    await imported(api, 1, basis="duty")
    assert (await roster(api))["unshown"] == 0


async def test_a_file_that_adds_speaks_for_its_own_people_and_one_that_replaces_for_all(
    api: Api,
) -> None:
    other = {**SHOWN, "evidence": "档案 2027-9", "evidence_how": "online"}
    await imported(api, 1, basis="consent", **SHOWN)
    await imported(api, 2, basis="consent", **other)
    assert said(await roster(api)) == SHOWN
    assert await person(api, 1) == [(SHOWN, "import")]
    assert await person(api, 2) == [(other, "import")]
    third = {**SHOWN, "evidence": "档案 2027-11"}
    last = await imported(api, 3, basis="consent", mode="replace", **third)
    assert said(await roster(api)) == third
    await api.post(f"/imports/{last}/undo", OPERATOR)
    async with api.runtime.pool.acquire() as conn:
        assert await run_undo(conn, UUID(last), api.clock.at)
    found = await roster(api)
    assert (said(found), found["contacts"]) == (other, 2)  # of the latest that is left


async def test_members_come_with_what_shows_their_consent(api: Api) -> None:
    body = {"members": [{"phone": phone(1)}], "basis": "consent", **SHOWN}
    answer = await api.call("PUT", "/rosters/家长/members", OPERATOR, json=body)
    assert answer.status == 200, answer.body
    assert said(await roster(api)) == SHOWN
    assert await person(api, 1) == [(SHOWN, "import")]
    nightly = {"members": [{"phone": phone(1)}, {"phone": phone(2)}], "basis": "consent"}
    await api.call("PUT", "/rosters/家长/members", OPERATOR, json=nightly)
    found = await roster(api)
    assert (said(found), found["unshown"]) == (SHOWN, 0)
    assert await person(api, 2) == [(SHOWN, "roster")]


async def test_another_reference_is_said_anew_as_a_whole(api: Api) -> None:
    await imported(api, 1, basis="consent", **SHOWN)
    half = await api.call("PATCH", "/rosters/家长", OPERATOR, json={"evidence": "档案 8"})
    assert (half.status, set(half.json["fields"])) == (422, {"evidence_on"})
    again = {"evidence": "档案 8", "evidence_on": "2027-01-10"}
    changed = await api.call("PATCH", "/rosters/家长", OPERATOR, json=again)
    assert said(changed.json) == NONE | again
    form = await api.call("PATCH", "/rosters/家长", OPERATOR, json={"evidence_form": "第 3 版"})
    assert said(form.json) == NONE | again | {"evidence_form": "第 3 版"}


TOMORROW = "2027-01-13"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"evidence": "档案 7"}, "evidence_on"),
        ({"evidence_on": "2027-01-04"}, "evidence"),
        ({"evidence_by": "教务处"}, "evidence"),
        ({"evidence_form": "第 2 版"}, "evidence"),
        ({"evidence_how": "paper"}, "evidence"),
        ({**SHOWN, "evidence_how": "silence"}, "evidence_how"),
        ({**SHOWN, "evidence_on": TOMORROW}, "evidence_on"),
    ],
    ids=str,
)
async def test_half_of_it_is_refused_and_leaves_nothing(
    api: Api, given: dict[str, str], field: str
) -> None:
    answer = await upload(api, 1, basis="consent", **given)
    members = {"members": [{"phone": phone(1)}], "basis": "consent", **given}
    put = await api.call("PUT", "/rosters/家长/members", OPERATOR, json=members)
    for refused in (answer, put):
        assert (refused.status, set(refused.json["fields"])) == (422, {field}), refused.body
    assert not await api.runtime.pool.fetchval("SELECT EXISTS (SELECT FROM imports)")


async def test_days_are_those_in_china(api: Api) -> None:
    """Half past midnight there is still the day before in UTC."""
    api.clock.at += timedelta(hours=15)
    today = "2027-01-13"
    assert (await upload(api, 1, basis="consent", **{**SHOWN, "evidence_on": today})).status == 202
    assert (await upload(api, 1, expires_on=today)).status == 202
    late = await upload(api, 1, expires_on="2027-01-12")
    assert (late.status, set(late.json["fields"])) == (422, {"expires_on"})
    made = (await api.get(f"/imports/{(await upload(api, 1)).json['id']}", OPERATOR)).json
    assert made["expires_on"] == "2028-01-13"
