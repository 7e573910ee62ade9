"""The table of number blocks over HTTP."""

import pytest
from aiohttp import FormData

from service.api.channels import prefixes
from service.channels.routing.route_store import set_override
from service.crypto import Keyring
from tests.factories import phone
from tests.harness.channels import channel
from tests.harness.direct_texts import send
from tests.integration.api.conftest import Api

ADMIN, VIEWER = ("county", "admin"), ("county", "viewer")
TABLE = "号段,运营商,省份,城市\n1979000,联通,安徽,宣城\n1979001,联通,,\n1440000,移动,,\n"


def form(text: str, **fields: str) -> FormData:
    data = FormData({"source": "2026-10", **fields})
    data.add_field("file", text.encode(), filename="table.csv")
    return data


async def test_a_table_is_taken_shown_used_and_forgotten(api: Api) -> None:
    assert (await api.get("/prefixes", VIEWER)).json == {"table": None}
    made = await api.call("POST", "/prefixes/imports", ADMIN, data=form(TABLE))
    assert made.status == 200, made.body
    assert made.json["left_out"] == {"iot": 1}
    table = {key: made.json[key] for key in made.json if key != "left_out"}
    assert (table["blocks"], table["by_carrier"]) == (2, {"china_unicom": 2})
    assert (await api.get("/prefixes", VIEWER)).json == {"table": table}
    act = await api.runtime.pool.fetchrow("SELECT * FROM audit_entries ORDER BY id DESC LIMIT 1")
    assert act is not None
    assert (act["action"], act["details"]["blocks"]) == ("import_prefixes", 2)

    ask = {"phone": "197 9000 0007"}
    said = (await api.post("/routes/explain", VIEWER, ask)).json
    assert (said["carrier"], said["home"]) == ("china_unicom", "安徽 宣城")
    nowhere = (await api.post("/routes/explain", VIEWER, {"phone": "197 9001 0007"})).json
    assert (nowhere["carrier"], nowhere["home"]) == ("china_unicom", None)
    assert (await api.call("DELETE", "/prefixes", ADMIN)).status == 204
    said = (await api.post("/routes/explain", VIEWER, ask)).json
    assert (said["carrier"], said["home"]) == ("china_mobile", None)
    assert (await api.call("DELETE", "/prefixes", ADMIN)).status == 404


async def test_a_table_that_makes_no_sense_leaves_the_old_one(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    await api.call("POST", "/prefixes/imports", ADMIN, data=form(TABLE))
    bad = await api.call("POST", "/prefixes/imports", ADMIN, data=form("号段,运营商\n197,联通\n"))
    assert (bad.status, bad.json["type"].rpartition("/")[2]) == (422, "bad_rows"), bad.body
    assert "row 2: " in bad.json["detail"]
    monkeypatch.setattr(prefixes, "TABLE_OCTETS", len(TABLE))
    huge = await api.call("POST", "/prefixes/imports", ADMIN, data=form(TABLE))
    assert huge.status == 413
    assert (await api.get("/prefixes", VIEWER)).json["table"]["blocks"] == 2


async def test_a_known_carrier_goes_before_the_prefix_in_a_direct_send(
    api: Api, keyring: Keyring
) -> None:
    channels = [
        await channel(api, carrier, carrier) for carrier in ("china_mobile", "china_unicom")
    ]
    ported = keyring.phone_index(phone(2))
    user = api.teams["school"].operator.id
    async with api.runtime.pool.acquire() as conn:
        await set_override(conn, ported, "china_unicom", user, api.clock.at)
    assert (await send(api, [phone(1), phone(2)])).json["accepted"] == 2
    rows = await api.runtime.pool.fetch("SELECT channel_id, carrier, phone_hash FROM messages")
    assert {(row["channel_id"], row["carrier"], row["phone_hash"] == ported) for row in rows} == {
        (channels[0], "china_mobile", False),
        (channels[1], "china_unicom", True),
    }
