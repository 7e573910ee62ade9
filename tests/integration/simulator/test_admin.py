"""The admin API over HTTP: faults, replies, cuts, and what the journal tells."""

from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession
from pydantic import SecretStr

from service.coding import udh
from service.coding.parts import Coding, decode
from service.protocols.cmpp.pdu import Deliver
from service.simulator.carrier.config import Account
from service.simulator.run import running
from tests.harness.simulated import ACCOUNT, SECRET, simulator
from tests.integration.simulator.raw import admin, dialled, logged_in

CITIZEN = "+8619790000077"
NUMBER = "106900001234"


def config(**others: Any) -> Any:
    return simulator(**{"seed": 1, "max_delay_seconds": 3600, "admin_port": 0, **others})


async def call(
    client: ClientSession, method: str, path: str, body: Any = None
) -> tuple[int, dict[str, Any]]:
    async with client.request(method, path, json=body) as answer:
        return answer.status, await answer.json()


# Faults


async def test_faults_are_changed_one_by_one_and_given_back() -> None:
    async with running(config(faults={"too_fast": 0.25})) as carrier, admin(carrier) as client:
        _, before = await call(client, "GET", "/faults")
        assert before["too_fast"] == 0.25
        status, faults = await call(client, "PATCH", "/faults", {"daily_limit": 7})
        assert (status, faults) == (200, {**before, "daily_limit": 7})
        _, faults = await call(client, "PATCH", "/faults", {"daily_limit": None, "too_fast": 0})
        assert faults == {**before, "too_fast": 0}
        assert carrier.smsc.faults.daily_limit is None
        assert await call(client, "DELETE", "/faults") == (200, before)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"too_fast": 1.5}, "too_fast"),
        ({"too_quick": 0.5}, "too_quick"),
        ({"half_open": "perhaps"}, "half_open"),
        ({"daily_limit": 3, "login_status": -1}, "login_status"),
    ],
)
async def test_a_bad_fault_is_named_and_changes_nothing(body: dict[str, Any], field: str) -> None:
    async with running(config()) as carrier, admin(carrier) as client:
        before = carrier.smsc.faults
        status, answer = await call(client, "PATCH", "/faults", body)
        assert status == 422
        assert field in answer["error"]
        assert list(answer["fields"]) == [field]
        assert carrier.smsc.faults == before


async def test_what_is_no_json_object_is_refused() -> None:
    async with running(config()) as carrier, admin(carrier) as client:
        as_json = {"Content-Type": "application/json"}
        for body, headers, status in (
            ("{", as_json, 422),
            ("[1]", as_json, 422),
            ('{"too_fast": 1}', {"Content-Type": "text/plain"}, 415),
        ):
            async with client.patch("/faults", data=body, headers=headers) as answer:
                assert answer.status == status
                assert (await answer.json())["error"]
        assert carrier.smsc.faults.too_fast == 0
        assert (await call(client, "GET", "/nowhere"))[0] == 404
        assert (await call(client, "POST", "/faults"))[0] == 405


# Texts from handsets


def text_of(deliver: Deliver) -> str:
    body = udh.parse(deliver.msg_content)[1] if deliver.tp_udhi else deliver.msg_content
    return decode(body, Coding.UCS2)


def reply(text: str, **others: Any) -> dict[str, Any]:
    return {"messages": [{"phone": CITIZEN, "to": NUMBER, "text": text}], **others}


@pytest.mark.parametrize("text", ["R", "退订", "拒收请回复R", ""])
async def test_a_reply_arrives_as_it_was_written(text: str) -> None:
    async with (
        running(config()) as carrier,
        logged_in(carrier) as client,
        admin(carrier) as steering,
    ):
        assert await call(steering, "POST", "/mo", reply(text)) == (202, {"parts": 1})
        deliver = await client.deliver()
        assert (deliver.src_terminal_id, deliver.dest_id) == ("19790000077", NUMBER)
        assert (deliver.registered_delivery, deliver.tp_udhi) == (0, 0)
        assert text_of(deliver) == text


async def test_a_long_reply_arrives_in_parts_with_headers() -> None:
    text = "我收到了短信，想问一下。" * 12
    async with (
        running(config()) as carrier,
        logged_in(carrier) as client,
        admin(carrier) as steering,
    ):
        assert await call(steering, "POST", "/mo", reply(text)) == (202, {"parts": 3})
        delivers = [await client.deliver() for _ in range(3)]
    places = [udh.parse(deliver.msg_content)[0] for deliver in delivers]
    assert [(p.number, p.total) for p in places if p] == [(1, 3), (2, 3), (3, 3)]
    assert len({p.reference for p in places if p}) == 1
    assert "".join(map(text_of, delivers)) == text


async def test_parts_of_two_texts_come_in_turn_over_two_connections() -> None:
    body = {
        "messages": [
            {"phone": CITIZEN, "to": NUMBER, "text": "甲" * 200},
            {"phone": CITIZEN, "to": NUMBER, "text": "乙" * 100},
        ],
        "interleave": True,
    }
    async with (
        running(config()) as carrier,
        logged_in(carrier) as first,
        admin(carrier) as steering,
    ):
        status, answer = await call(steering, "POST", "/mo", body)
        assert status == 409
        assert "two connections" in answer["error"]
        async with logged_in(carrier) as second:
            assert await call(steering, "POST", "/mo", body) == (202, {"parts": 5})
            on_first = [text_of(await first.deliver())[0] for _ in range(3)]
            on_second = [text_of(await second.deliver())[0] for _ in range(2)]
    assert (on_first, on_second) == (["甲", "甲", "甲"], ["乙", "乙"])


async def test_a_reply_waits_for_a_link_and_comes_again_until_it_is_taken() -> None:
    async with running(config()) as carrier, admin(carrier) as steering:
        await call(steering, "POST", "/mo", reply("R"))
        async with logged_in(carrier) as client:
            assert text_of(await client.deliver(acknowledge=False)) == "R"
        async with logged_in(carrier) as client:
            assert text_of(await client.deliver()) == "R"
            client.ask_for_life()
            await client.read()
            _, stats = await call(steering, "GET", "/stats")
    (account,) = stats["accounts"]
    assert (account["replies_sent"], account["replies_acknowledged"]) == (2, 1)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": [{"phone": "somebody", "to": NUMBER, "text": "R"}]},
        {"messages": [{"phone": CITIZEN, "to": NUMBER}]},
        reply("R", account="nobody"),
        reply("R", protocol="smpp"),
        reply("R"),  # there are two accounts
    ],
)
async def test_a_reply_to_nobody_in_particular_is_refused(body: dict[str, Any]) -> None:
    accounts = (
        Account(account=ACCOUNT, secret=SecretStr(SECRET)),
        Account(account="123456", secret=SecretStr("x")),
    )
    async with running(config(accounts=accounts)) as carrier, admin(carrier) as steering:
        status, answer = await call(steering, "POST", "/mo", body)
        assert status == 422
        assert answer["fields"]
        assert (await call(steering, "POST", "/mo", reply("R", account=ACCOUNT)))[0] == 202


@pytest.mark.parametrize(("protocol", "digits", "status"), [("cmpp", 21, 202), ("smpp", 21, 422)])
async def test_a_number_that_has_no_room_is_refused(
    protocol: str, digits: int, status: int
) -> None:
    settings = config(**{"cmpp_port": None, f"{protocol}_port": 0})
    body = {"messages": [{"phone": CITIZEN, "to": "1" * digits, "text": "R"}]}
    async with running(settings) as carrier, admin(carrier) as steering:
        answered, answer = await call(steering, "POST", "/mo", body)
        assert answered == status
        assert status == 202 or list(answer["fields"]) == ["messages.to"]


# Cuts and books


async def test_connections_are_cut_on_demand() -> None:
    async with (
        running(config()) as carrier,
        logged_in(carrier) as client,
        admin(carrier) as steering,
    ):
        assert await call(steering, "POST", "/disconnect", {"account": "nobody"}) == (
            200,
            {"cut": 0},
        )
        client.ask_for_life()
        await client.read()
        assert await call(steering, "POST", "/disconnect") == (200, {"cut": 1})
        with pytest.raises((EOFError, ConnectionResetError)):
            await client.read()


async def test_the_journal_can_be_asked_while_it_is_written(tmp_path: Path) -> None:
    settings = config(journal=tmp_path / "j", journal_texts=True)
    async with (
        running(settings) as carrier,
        logged_in(carrier) as client,
        admin(carrier) as steering,
    ):
        for sequence, phone in enumerate(("19790000001", "19790000002", "19790000001"), start=2):
            client.submit(sequence, phone, msg_content="警钟".encode("utf-16-be"), msg_fmt=8)
            assert await client.answer() == (sequence, 0)
        _, found = await call(steering, "GET", "/submits?phone=19790000001")
        assert [entry["text"] for entry in found["submits"]] == ["警钟"] * 2
        assert {entry["phone"] for entry in found["submits"]} == {"+8619790000001"}
        _, found = await call(steering, "GET", "/submits?phone=%2B8619790000009")
        assert found == {"submits": []}
        _, book = await call(steering, "GET", "/audit")
        assert (book["parts"], book["phones"], book["received_twice"]) == (3, 2, 1)
        status, answer = await call(steering, "GET", "/submits")
        assert (status, list(answer["fields"])) == (422, ["phone"])


async def test_without_a_journal_there_is_nothing_to_ask() -> None:
    async with running(config()) as carrier, admin(carrier) as steering:
        for path in ("/audit", "/submits?phone=19790000001"):
            status, answer = await call(steering, "GET", path)
            assert status == 409
            assert "--journal" in answer["error"]


async def test_everything_is_counted() -> None:
    async with (
        running(config(max_delay_seconds=0)) as carrier,
        logged_in(carrier) as client,
        dialled(carrier) as stranger,
        admin(carrier) as steering,
    ):
        stranger.login("wrong")
        await stranger.read()
        client.submit(2, "19790000001", "19790000002")
        client.submit(3, "10086")
        for _ in range(2):
            await client.deliver()
        client.ask_for_life()
        await client.read()
        _, stats = await call(steering, "GET", "/stats")
    (account,) = stats["accounts"]
    assert account == {
        "protocol": "cmpp",
        "account": ACCOUNT,
        "connections": 1,
        "receipt_connections": 1,
        "receipts_waiting": 0,
        "logins": 1,
        "logins_refused": 1,
        "accepted": 2,
        "refused": {"bad_number": 1},
        "swallowed": 0,
        "receipts_sent": 2,
        "receipts_acknowledged": 2,
        "replies_sent": 0,
        "replies_acknowledged": 0,
    }
