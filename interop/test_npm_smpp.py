"""npm smpp in both roles: as a client of our simulated SMSC, and as a server for our gateway.

The simulator writes each receipt in another of the ways that are seen, so some have their id in a
parameter and some in their text.
"""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from interop.process import Program, started
from service.channels.contract.gateway import LoginRefused, Submission
from service.channels.contract.outcome import Outcome, ReceiptState
from service.simulator.carrier.journal import submits
from service.simulator.carrier.replies import Replies, Reply, originate
from service.simulator.run import running
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp_simulated import (
    ACCOUNT,
    PASSWORD,
    SENDER,
    Inbox,
    config,
    connected,
    phones,
    send,
)

SCRIPTS = Path(__file__).parent / "npm"
GSM, UCS2 = "Flood warning: €5 [now] ~", "警钟长鸣🔔"


async def test_its_client_logs_in_submits_and_gets_receipts_and_replies(
    npm_smpp: Path, tmp_path: Path
) -> None:
    journal = tmp_path / "journal"
    settings = config(journal=journal, journal_texts=True)
    async with running(settings) as carrier:
        port = str(carrier.ports["smpp"])
        command = ("node", str(SCRIPTS / "client.js"), str(npm_smpp), port, ACCOUNT)
        async with started(*command, "wrong") as client:
            assert (await client.next())["status"] == 14
        async with started(*command, PASSWORD) as client:
            assert (await client.next())["status"] == 0
            ids = await submit_all(client)
            originate(carrier.smsc, replies("8619790000001", "退订", "好" * 71))
            delivered = (await client.take(delivered=3))["delivered"]
            assert delivered[0]["text"] == "退订"
            assert "".join(part["text"] for part in delivered[1:]) == "好" * 71
            client.tell("enquire_link")
            assert (await client.next())["status"] == 0
            client.tell("unbind")
            assert (await client.next())["command"] == "unbind"
            assert await client.end() == 0
        entries = list(submits(journal))
    assert {bytes.fromhex(entry["id"]).decode() for entry in entries} == ids
    assert [entry["text"] for entry in entries] == [GSM, UCS2, "first ", "second"]
    assert [entry["number"] for entry in entries] == [1, 1, 1, 2]


async def submit_all(client: Program) -> set[str]:
    """Submit one text of each kind; each has its id, and its receipt under this id."""
    common = {"source_addr": SENDER, "registered_delivery": 1}
    common |= {"destination_addr": "8619790000001", "dest_addr_ton": 1, "dest_addr_npi": 1}
    # Left to itself it declares its GSM alphabet as 1, which is IA5 by the book.
    client.tell("submit_sm", **common, short_message=GSM, data_coding=0)
    client.tell("submit_sm", **common, short_message=UCS2, data_coding=8)
    client.tell("submit_sm", **common, short_message="first ", udh="050003070201")
    client.tell("submit_sm", **common, short_message="second", udh="050003070202")
    events = await client.take(answered=4, delivered=4)
    assert {event["status"] for event in events["answered"]} == {0}
    ids = {event["id"] for event in events["answered"]}
    assert len(ids) == 4
    for receipt in events["delivered"]:
        assert receipt["id"] in ids or any(f"id:{known} " in receipt["text"] for known in ids)
    return ids


async def test_its_server_takes_our_texts_and_our_gateway_reads_its_receipts(
    npm_smpp: Path,
) -> None:
    inbox = Inbox()
    until = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    command = ("node", str(SCRIPTS / "server.js"), str(npm_smpp), ACCOUNT, PASSWORD)
    async with started(*command) as server:
        port = (await server.next())["port"]
        with pytest.raises(LoginRefused):
            async with connected(port, Inbox(), password="wrong"):
                pass
        assert (await server.next())["known"] is False
        async with connected(port, inbox, allow_default_alphabet=True) as link:
            assert await server.next() == {"event": "login", "known": True, "version": 0x34}
            results = await send(link, phones(1), GSM)
            results += await send(link, phones(1), UCS2 * 15)
            (part,) = link.split("警钟")
            (future,) = link.submit([Submission(tuple(phones(1)), part, 7, valid_until=until)])
            results.append(await asyncio.wait_for(future, PATIENCE_SECONDS))
            assert {result.outcome for result in results} == {Outcome.ACCEPTED}
            assert [ref for r in results for ref in r.refs] == [
                f"npm-{number}".encode() for number in range(1, 5)
            ]
            (refused,) = await send(link, ["+8619790009999"])
            assert refused.outcome is Outcome.THROTTLED
            await inbox.wait_for(5)
            events = await server.take(submitted=4, acknowledged=5)

    submitted = events["submitted"]
    assert submitted[0]["text"] == GSM
    assert submitted[1]["text"] + submitted[2]["text"] == UCS2 * 15
    assert [event["udh"] for event in submitted[1:3]] == [["0003070201"], ["0003070202"]]
    assert {event["to"] for event in submitted} == {"8619790000000"}
    assert {event["registered_delivery"] for event in submitted} == {1}
    assert {receipt.ref for receipt in inbox.receipts} == {
        ref for result in results for ref in result.refs
    }
    assert {receipt.state for receipt in inbox.receipts} == {ReceiptState.DELIVERED}
    (reply,) = inbox.texts
    assert (reply.sender, reply.text) == ("+8619790000000", "退订")


def replies(phone: str, *texts: str) -> Replies:
    """Texts from a handset."""
    return Replies(messages=tuple(Reply(phone=phone, to=SENDER, text=text) for text in texts))
