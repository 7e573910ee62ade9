"""Routes over HTTP: why a number takes its channel, and what is known of it against its prefix."""

import json
from typing import Any

import pytest
from aiohttp import FormData

from service.api.channels import routing
from service.channels.config.store import hold_channel
from service.channels.contract.model import Hold
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.harness.channels import channel
from tests.harness.instants import instant
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, VIEWER = ("county", "admin"), ("county", "operator"), ("county", "viewer")
SCHOOL = ("school", "viewer")
NUMBER, MASKED = "197 9000 0007", "197****0007"


async def put(api: Api, who: tuple[str, str], phone_: str, carrier: str) -> Any:
    body = {"phone": phone_, "carrier": carrier}
    return await api.call("PUT", "/routes/overrides", who, json=body)


async def test_every_channel_is_explained(api: Api) -> None:
    mobile = await channel(api, "移动", "china_mobile")
    unicom = await channel(api, "联通", "china_unicom")
    everybody = await channel(api, "全网", "china_telecom", on_net_only=False)
    off = await channel(api, "旧", "china_mobile", enabled=False)
    said = (await api.post("/routes/explain", VIEWER, {"phone": NUMBER})).json
    assert [channel.pop("plain") for channel in said["channels"]][-1] == {
        "zh": "通道已停用。",
        "en": "The channel is switched off.",
    }
    assert said == {
        "phone": MASKED,
        "synthetic": True,
        "prefix_carrier": "china_mobile",
        "home": None,
        "contact_carrier": None,
        "override": None,
        "carrier": "china_mobile",
        "channels": [
            {
                "id": mobile,
                "name": "移动",
                "eligible": True,
                "reason": "It serves china_mobile, rank 100: it comes first.",
            },
            {
                "id": unicom,
                "name": "联通",
                "eligible": False,
                "reason": "The channel takes only numbers of china_unicom.",
            },
            {
                "id": everybody,
                "name": "全网",
                "eligible": True,
                "reason": "It takes all networks, rank 100: 移动 comes before it, as a channel of "
                "the carrier's own.",
            },
            {
                "id": off,
                "name": "旧",
                "eligible": False,
                "reason": "The channel is switched off.",
            },
        ],
        "chosen": mobile,
    }


async def test_a_campaigns_choice_and_a_hold_change_the_answer(api: Api) -> None:
    first = await channel(api, "一", "china_mobile")
    other = await channel(api, "二", "china_mobile", rank=200)
    body = {"phone": NUMBER, "channels": [other]}
    assert (await api.post("/routes/explain", VIEWER, body)).json["chosen"] == other
    async with transaction(api.runtime.pool) as conn:
        await hold_channel(conn, first, Hold(api.clock.at.replace(hour=23), "no balance"))
    said = (await api.post("/routes/explain", VIEWER, {"phone": NUMBER, "channels": "auto"})).json
    assert said["chosen"] == other
    assert "held" in said["channels"][0]["reason"]
    unknown = await api.post("/routes/explain", VIEWER, {"phone": NUMBER, "channels": [other, 99]})
    assert unknown.status == 422
    assert unknown.json["fields"] == {
        "channels": "there is no channel 99; GET /channels lists them"
    }


async def test_a_number_without_a_channel_is_explained_too(api: Api) -> None:
    await channel(api, "移动", "china_mobile", "china_unicom")
    said = (await api.post("/routes/explain", VIEWER, {"phone": "+86 190 8033 0001"})).json
    assert (said["synthetic"], said["carrier"], said["chosen"]) == (True, "china_telecom", None)
    only = "The channel takes only numbers of china_mobile and china_unicom."
    assert said["channels"][0]["reason"] == only


async def test_an_override_is_entered_shown_used_and_forgotten(api: Api) -> None:
    mobile = await channel(api, "移动", "china_mobile")
    unicom = await channel(api, "联通", "china_unicom")
    ask = {"phone": "+8619790000007"}
    known = await api.post("/routes/overrides/lookup", SCHOOL, ask)
    assert known.json == {"phone": MASKED, "override": None}
    made = await put(api, ADMIN, NUMBER, "china_unicom")
    assert made.status == 200, made.body
    entered = {
        "carrier": "china_unicom",
        "source": "operator",
        "channel_id": None,
        "set_by": str(api.teams["county"].admin.id),
        "set_at": instant("2027-01-12T01:30:00Z"),
    }
    assert made.json == {"phone": MASKED, "override": entered}
    assert (await api.post("/routes/overrides/lookup", SCHOOL, ask)).json == made.json
    said = (await api.post("/routes/explain", SCHOOL, ask)).json
    assert (said["override"], said["prefix_carrier"]) == (entered, "china_mobile")
    assert (said["carrier"], said["chosen"]) == ("china_unicom", unicom)
    assert (await api.call("DELETE", "/routes/overrides", ADMIN, json=ask)).status == 204
    again = await api.call("DELETE", "/routes/overrides", ADMIN, json=ask)
    assert (again.status, again.json["type"]) == (404, "/problems/not_found")
    assert (await api.post("/routes/explain", SCHOOL, ask)).json["chosen"] == mobile


async def test_a_departments_own_list_goes_between_override_and_prefix(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await make_contact(
            conn,
            api.runtime.keyring,
            api.teams["school"].department_id,
            7,
            now=api.clock.at,
            carrier="china_telecom",
        )
    ask = {"phone": phone(7)}
    theirs = (await api.post("/routes/explain", SCHOOL, ask)).json
    assert (theirs["contact_carrier"], theirs["carrier"]) == ("china_telecom", "china_telecom")
    ours = (await api.post("/routes/explain", VIEWER, ask)).json
    assert (ours["contact_carrier"], ours["carrier"]) == (None, "china_mobile")
    await put(api, ADMIN, phone(7), "china_unicom")
    assert (await api.post("/routes/explain", SCHOOL, ask)).json["carrier"] == "china_unicom"


async def test_only_those_who_manage_channels_enter_carriers(api: Api) -> None:
    for who in (OPERATOR, VIEWER, ("school", "admin")):
        assert (await put(api, who, NUMBER, "china_unicom")).status == 403
        gone = await api.call("DELETE", "/routes/overrides", who, json={"phone": NUMBER})
        assert gone.status == 403
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM carrier_overrides") == 0


async def test_a_wrong_number_or_carrier_is_named_and_never_repeated(api: Api) -> None:
    for method, path, body in (
        ("POST", "/routes/explain", {}),
        ("POST", "/routes/overrides/lookup", {}),
        ("PUT", "/routes/overrides", {"carrier": "china_unicom"}),
        ("DELETE", "/routes/overrides", {}),
    ):
        refused = await api.call(method, path, ADMIN, json={"phone": "1979000000", **body})
        assert refused.status == 422, path
        assert list(refused.json["fields"]) == ["phone"]
        assert "1979000000" not in json.dumps(refused.json)
    refused = await put(api, ADMIN, NUMBER, "中国联通")
    assert (refused.status, list(refused.json["fields"])) == (422, ["carrier"])


async def test_no_number_is_stored_in_clear(api: Api) -> None:
    await put(api, ADMIN, NUMBER, "china_unicom")
    row = await api.runtime.pool.fetchrow("SELECT * FROM carrier_overrides")
    assert row is not None
    assert "9000" not in str(dict(row).values())
    assert row["phone_hash"] == api.runtime.keyring.phone_index(phone(7))


async def upload(api: Api, who: tuple[str, str], content: bytes) -> Any:
    form = FormData()
    form.add_field("file", content, filename="carriers.csv")
    return await api.call("POST", "/routes/overrides/imports", who, data=form)


LIST = """手机号,姓名,运营商
19790000001,甲,联通
+86 197 9000 0002,乙,china_telecom
19790000003,丙,
19790000004,丁,中国铁通
1979000,戊,联通

19790000001,己,电信
19790000007,庚,联通
"""


async def test_a_list_of_carriers_is_taken_with_each_rejected_row_named(api: Api) -> None:
    await put(api, ADMIN, NUMBER, "china_telecom")
    answer = await upload(api, ADMIN, LIST.encode("gb18030"))
    assert answer.status == 200, answer.body
    said = answer.json
    assert said["rows"][0]["plain"]["zh"] == "没有写运营商"
    for row in said["rows"]:
        assert row["reason"] == row.pop("plain")["en"]
    unknown = "china_mobile, china_unicom, china_telecom, china_broadnet"
    assert said == {
        "taken": 2,
        "kept": 1,
        "rejected": 4,
        "rows": [
            {"row": 4, "reason": "no carrier is named"},
            {"row": 5, "reason": f"the carrier is not known; write one of {unknown}"},
            {"row": 6, "reason": "a mobile number has 11 digits"},
            {"row": 8, "reason": "an earlier row names another carrier for this number"},
        ],
    }
    for number, carrier, source in (
        (1, "china_unicom", "import"),
        (2, "china_telecom", "import"),
        (7, "china_telecom", "operator"),
    ):
        found = await api.post("/routes/overrides/lookup", VIEWER, {"phone": phone(number)})
        known = found.json["override"]
        assert (known["carrier"], known["source"]) == (carrier, source)


async def test_a_list_that_cannot_be_read_changes_nothing(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = {
        b"": "empty_file",
        "姓名,运营商\n甲,联通\n".encode(): "no_phone_column",
        "手机号,姓名\n19790000001,甲\n".encode(): "no_carrier_column",
    }
    for content, code in refusals.items():
        refused = await upload(api, ADMIN, content)
        assert (refused.status, refused.json["type"]) == (422, f"/problems/{code}")
    assert (await upload(api, OPERATOR, LIST.encode())).status == 403
    monkeypatch.setattr(routing, "LIST_OCTETS", len(LIST.encode()) - 1)
    assert (await upload(api, ADMIN, LIST.encode())).status == 413
    assert await api.runtime.pool.fetchval("SELECT count(*) FROM carrier_overrides") == 0
