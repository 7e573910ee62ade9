"""Did my text arrive? A clerk asks by the number, and gets sentences."""

from datetime import timedelta

import pytest

from tests.factories import phone
from tests.harness.channels import channel
from tests.harness.direct_texts import WORDS, send
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, STRANGER = ("school", "admin"), ("school", "operator"), ("county", "operator")

NUMBER = {"phone": "197 9000 0001"}


@pytest.fixture
async def channel_id(api: Api) -> int:
    return await channel(api, "cmpp", "china_mobile", "china_unicom", "china_telecom")


async def test_a_clerk_asks_by_the_number_and_reads_why(api: Api, channel_id: int) -> None:
    first = (await send(api, [phone(1), phone(2)])).json["run_id"]
    await api.runtime.pool.execute(
        "UPDATE messages SET state = 'undelivered', reason = 'powered_off', final_at = $1"
        " WHERE no = 1",
        api.clock.at,
    )
    api.clock.at += timedelta(days=1)
    stop = {"phone": phone(1), "reason": "protected", "expires_at": "2028-01-01T00:00:00+08:00"}
    await api.post("/suppressions", STRANGER, stop)
    other = await send(api, [phone(1), phone(2)])
    assert other.json["accepted"] == 1
    asked = await api.post("/messages/lookup", OPERATOR, NUMBER)
    assert asked.status == 200, asked.body
    assert "9000" not in asked.body.decode(), "the number is masked"
    left, failed = asked.json["items"]
    assert (failed["id"], failed["run_id"], failed["class"]) == (f"{first}.1", first, "service")
    assert failed["plain"]["zh"] == "未送达：手机关机或不在服务区。"
    assert failed["text"] == WORDS
    assert (left["id"], left["run_id"], left["state"]) == (None, other.json["run_id"], "left_out")
    assert left["plain"]["en"].endswith("the number is protected.")
    (stopped,) = asked.json["stopped"]
    assert (stopped["reason"], stopped["plain"]["zh"]) == (
        "protected",
        "号码自 2027-01-13 起受保护，不予发送，至 2028-01-01 止。",
    )
    recent = await api.post("/messages/lookup", OPERATOR, {**NUMBER, "days": 1})
    assert [item["state"] for item in recent.json["items"]] == ["left_out", "undelivered"]
    api.clock.at += timedelta(hours=1)
    recent = await api.post("/messages/lookup", OPERATOR, {**NUMBER, "days": 1})
    assert [item["state"] for item in recent.json["items"]] == ["left_out"]


async def test_the_texts_of_another_department_are_not_told(api: Api, channel_id: int) -> None:
    await send(api, [phone(1)])
    for who in (STRANGER, ("county", "admin")):
        assert (await api.post("/messages/lookup", who, NUMBER)).json["items"] == []
    assert len((await api.post("/messages/lookup", ADMIN, NUMBER)).json["items"]) == 1
    wrong = await api.post("/messages/lookup", OPERATOR, {"phone": "12345"})
    assert wrong.status == 422


async def test_notices_of_another_department_that_are_refused_stop_none_of_yours(
    api: Api, channel_id: int
) -> None:
    await api.post("/suppressions", STRANGER, {"phone": phone(1), "reason": "opted_out"})
    theirs = api.teams["county"].department_id
    await api.runtime.pool.execute("UPDATE suppressions SET department_id = $1", theirs)
    for who, classes in (
        (OPERATOR, ["public_interest"]),
        (STRANGER, ["public_interest", "service"]),
    ):
        (stopped,) = (await api.post("/messages/lookup", who, NUMBER)).json["stopped"]
        assert stopped["classes"] == classes
