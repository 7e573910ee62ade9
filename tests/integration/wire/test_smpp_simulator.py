"""The simulated SMSC as an ESME sees it, over real sockets."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.channels.contract.gateway import LoginRefused, Submission
from service.channels.contract.outcome import Outcome, ReceiptState
from service.coding.parts import Coding, split
from service.errors import Misconfigured
from service.protocols.smpp.operations import CancelSM, QuerySM, SubmitMulti
from service.protocols.smpp.packet import PDU
from service.protocols.smpp.pdu import (
    Bind,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSM,
    DeliverSM,
    DeliverSMResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitSM,
    SubmitSMResp,
    Unbind,
    UnbindResp,
)
from service.protocols.smpp.report import parse_report
from service.protocols.smpp.tlv import TLV, Tag
from service.simulator.carrier.outcomes import fates
from service.simulator.carrier.receipts import MOPart
from service.simulator.run import Simulator, running
from service.simulator.wire import server, smpp
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp import Peer
from tests.harness.smpp_simulated import (
    ACCOUNT,
    PASSWORD,
    SENDER,
    Inbox,
    config,
    connected,
    phones,
    reached,
    send,
)
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("smpp", "smpp34")}
NUMBER = "8619790000000"


@asynccontextmanager
async def dialled(carrier: Simulator) -> AsyncIterator[Peer]:
    """A raw connection, not logged in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports["smpp"])
    yield Peer(reader, writer)
    writer.transport.abort()
    await turns()


@asynccontextmanager
async def logged_in(carrier: Simulator, role: type[Bind] = BindTransceiver) -> AsyncIterator[Peer]:
    async with dialled(carrier) as esme:
        esme.write(1, role(ACCOUNT, PASSWORD))
        _, answer = await esme.read()
        assert answer.command_status == 0
        yield esme


def submit(number: str = NUMBER, content: bytes = b"x", **others: Any) -> SubmitSM:
    return SubmitSM(SENDER, number, content, registered_delivery=1, **others)


# Logins


@pytest.mark.parametrize("recorded", ["smpp-bind-trx", "smpp-bind-tx", "smpp-bind-rx"])
async def test_the_recorded_logins_are_accepted(recorded: str) -> None:
    async with running(config()) as carrier, dialled(carrier) as esme:
        octets = bytes.fromhex(VECTORS[recorded]["hex"])
        esme.writer.write(octets)
        sequence, answer = await esme.read()
        assert (sequence, answer.command) == (1, 0x80000000 | octets[7])
        assert answer.command_status == 0
        assert answer.parameters == (TLV(Tag.SC_INTERFACE_VERSION, 0x34),)


@pytest.mark.parametrize(
    ("others", "code", "retryable"),
    [({"password": "wrong"}, "14", False), ({"system_id": "nobody"}, "15", False)],
)
async def test_who_does_not_know_the_password_is_refused(
    others: dict[str, str], code: str, retryable: bool
) -> None:
    async with running(config()) as carrier:
        with pytest.raises(LoginRefused) as refused:
            async with connected(carrier.ports["smpp"], Inbox(), **others):
                pass
        assert (refused.value.code, refused.value.retryable) == (code, retryable)


async def test_too_many_connections_are_refused() -> None:
    async with reached(config(max_connections=1)) as (carrier, _):
        with pytest.raises(LoginRefused) as refused:
            async with connected(carrier.ports["smpp"], Inbox()):
                pass
        assert (refused.value.code, refused.value.retryable) == ("5", True)


async def test_nothing_goes_before_the_login_and_no_second_login() -> None:
    async with running(config()) as carrier, dialled(carrier) as esme:
        esme.write(1, submit())
        assert await esme.read() == (1, SubmitSMResp(command_status=4))
        esme.write(2, BindTransceiver(ACCOUNT, PASSWORD))
        assert (await esme.read())[1].command_status == 0
        esme.write(3, BindTransceiver(ACCOUNT, PASSWORD))
        assert (await esme.read())[1].command_status == 5


async def test_a_connection_without_a_login_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LOGIN_SECONDS", 0.05)
    async with running(config(heartbeat_seconds=0.4)) as carrier, dialled(carrier) as esme:
        assert await esme.read_to_the_end() == b""


# Submits


async def test_ids_are_unique_and_answers_carry_them() -> None:
    async with reached(config()) as (_, link):
        results = [r for r in await send(link, phones(300)) if r.outcome is Outcome.ACCEPTED]
    assert len({result.refs for result in results}) == len(results) > 290


async def test_refusals_come_in_every_form() -> None:
    """Too fast and queue full, each with and without a body."""
    async with (
        running(config(faults={"too_fast": 1})) as carrier,
        logged_in(carrier) as esme,
    ):
        forms = set()
        for sequence in range(2, 10):
            esme.write(sequence, submit())
            frame = await esme.read_frame()
            forms.add((int.from_bytes(frame[8:12], "big"), len(frame)))
    assert forms == {(0x58, 16), (0x58, 17), (0x14, 16)}


async def test_more_than_the_rate_is_throttled() -> None:
    async with reached(config(tps=50)) as (_, link):
        results = await send(link, phones(80))
    counted = Counter(result.outcome for result in results)
    assert counted == {Outcome.ACCEPTED: 52, Outcome.THROTTLED: 28}


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (submit(), 0),
        (submit("19790000000"), 0),
        (submit("10086"), 0x0B),
        (submit(content=bytes(140), data_coding=8), 0),
        (submit(content=bytes(141), data_coding=8), 0x01),
        (submit(content=bytes(160)), 0),
        (submit(content=bytes(161)), 0x01),
        (submit(content=b"", parameters=(TLV(0x424, bytes(3000)),), data_coding=8), 0),
        (SubmitSM("1" * 20, NUMBER, b"x"), 0),
    ],
)
async def test_submits_are_judged(packet: SubmitSM, status: int) -> None:
    async with running(config()) as carrier, logged_in(carrier) as esme:
        esme.write(5, packet)
        sequence, answer = await esme.read()
        assert (sequence, answer.command_status) == (5, status)


async def test_a_sender_too_long_for_its_receipt_is_refused() -> None:
    async with running(config()) as carrier, logged_in(carrier) as esme:
        body = b"\x00\x00\x00" + b"1" * 30 + b"\x00\x01\x01" + NUMBER.encode() + bytes(11)
        frame = (16 + len(body)).to_bytes(4, "big") + bytes.fromhex("000000040000000000000005")
        esme.writer.write(frame + body)
        assert (await esme.read())[1].command_status == 0x0A


@pytest.mark.parametrize(
    ("packet", "answered"),
    [
        (QuerySM("1", 0, 0, SENDER), 0x80000003),
        (CancelSM("", "1", 0, 0, SENDER, 1, 1, NUMBER), 0x80000008),
        (SubmitMulti(SENDER, (), b"x"), 0x80000000),
        (DataSM("", 0, 0, SENDER, 1, 1, NUMBER, 0, 0, 0), 0x80000000),
    ],
)
async def test_what_is_not_offered_is_refused(packet: PDU, answered: int) -> None:
    async with running(config()) as carrier, logged_in(carrier) as esme:
        esme.write(5, packet)
        sequence, answer = await esme.read()
        assert (sequence, answer.command) == (5, answered)
        assert answer.command_status != 0
        esme.write(6, EnquireLink())
        assert await esme.read() == (6, EnquireLinkResp())


@pytest.mark.parametrize(
    ("faults", "outcome", "options"),
    [
        ({"daily_limit": 0}, Outcome.DAILY_LIMIT, {"daily_limit_codes": [smpp.DAILY_LIMIT]}),
        ({"barred_accounts": [ACCOUNT]}, Outcome.SUSPENDED, {"suspended_codes": [smpp.BARRED]}),
        ({"swallow_responses": 1}, Outcome.UNANSWERED, {"response_timeout_seconds": 0.3}),
        ({"garbage_responses": 1}, Outcome.UNANSWERED, {}),
        ({"disconnect_after": 1}, Outcome.UNANSWERED, {}),
        ({"half_open": True}, Outcome.UNANSWERED, {"response_timeout_seconds": 0.3}),
    ],
)
async def test_faults_become_outcomes(
    faults: dict[str, Any], outcome: Outcome, options: dict[str, Any]
) -> None:
    async with reached(config(), **options) as (carrier, link):
        carrier.smsc.set_faults(carrier.smsc.config.faults.model_copy(update=faults))
        (result,) = await send(link, phones(1))
        assert result.outcome is outcome


async def test_a_half_open_link_is_found_dead() -> None:
    quick = reached(config(), response_timeout_seconds=0.3, heartbeat_seconds=0.1)
    async with quick as (carrier, link):
        carrier.smsc.set_faults(carrier.smsc.config.faults.model_copy(update={"half_open": True}))
        await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
        assert link.link.reason == "no sign of life from the other side"


async def test_a_login_may_be_refused_with_any_status() -> None:
    async with running(config(faults={"login_status": 0x0D})) as carrier:
        with pytest.raises(LoginRefused) as refused:
            async with connected(carrier.ports["smpp"], Inbox()):
                pass
        assert refused.value.code == "13"


async def test_heartbeats_and_logouts_are_answered_and_sent() -> None:
    async with running(config(heartbeat_seconds=0.1)) as carrier, logged_in(carrier) as esme:
        esme.write(8, EnquireLink())
        assert await esme.read() == (8, EnquireLinkResp())
        _, asked = await esme.read()
        assert isinstance(asked, EnquireLink)

    async with running(config()) as carrier, logged_in(carrier) as esme:
        esme.write(9, Unbind())
        assert await esme.read() == (9, UnbindResp())
        assert await esme.read_to_the_end() == b""


async def test_garbage_costs_its_own_connection_only() -> None:
    async with reached(config()) as (carrier, link), dialled(carrier) as esme:
        esme.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await esme.read() == (0, GenericNack(command_status=2))
        assert await esme.read_to_the_end() == b""
        (result,) = await send(link, phones(1))
        assert result.outcome is Outcome.ACCEPTED


# Receipts


async def test_receipts_come_in_every_form_and_all_are_read() -> None:
    async with running(config()) as carrier, logged_in(carrier) as esme:
        forms = set()
        for sequence in range(2, 8):
            esme.write(sequence, submit())
            _, answer = await esme.read()
            number, deliver = await esme.read()
            assert isinstance(answer, SubmitSMResp)
            assert isinstance(deliver, DeliverSM)
            report = parse_report(deliver)
            assert report is not None
            assert report.message_id == answer.message_id
            forms.add((
                deliver.esm_class,
                len(deliver.parameters),
                b" text:" in deliver.short_message,
                deliver.short_message.endswith(b"\x00"),
            ))  # fmt: skip
            esme.write(number, DeliverSMResp())
    assert forms == {
        (4, 2, True, False),
        (4, 0, True, False),
        (0, 0, True, False),
        (4, 0, True, True),
        (4, 0, False, False),
        (4, 2, False, False),
    }


@pytest.mark.parametrize(("decimal", "form"), [(False, "same"), (True, "hex_decimal")])
async def test_every_accepted_part_has_its_receipt(decimal: bool, form: str) -> None:
    inbox, judge = Inbox(), fates("stale", 1, "china_mobile")
    simulated = config(profile="stale", decimal_receipt_ids=decimal)
    async with reached(simulated, inbox, id_form=form) as (_, link):
        recipients = [phone for phone in phones(200) if not judge(phone).throttled]
        results = await send(link, recipients)
        expected = {phone for phone in recipients if judge(phone).stat}
        await inbox.wait_for(len(expected))
    refs = {phone: result.refs for phone, result in zip(recipients, results, strict=True)}
    assert {receipt.recipient for receipt in inbox.receipts} == expected
    assert all((receipt.ref,) == refs[receipt.recipient] for receipt in inbox.receipts)
    for receipt in inbox.receipts:
        delivered = judge(receipt.recipient).fate == "delivered"
        assert (receipt.state is ReceiptState.DELIVERED) is delivered


async def test_receipts_with_ids_in_the_other_form_do_not_match() -> None:
    inbox = Inbox()
    async with reached(config(decimal_receipt_ids=True), inbox) as (_, link):
        (result,) = await send(link, phones(1))
        await inbox.wait_for(1)
    assert (inbox.receipts[0].ref,) != result.refs


async def test_no_receipt_comes_where_none_is_asked_for() -> None:
    inbox = Inbox()
    async with reached(config(), inbox) as (_, link):
        (part,) = link.split("x")
        first, second = phones(2)
        await asyncio.gather(*link.submit([Submission((first,), part, 7, receipt=False)]))
        await send(link, [second])
        await inbox.wait_for(1)
    assert [receipt.recipient for receipt in inbox.receipts] == [second]


async def test_what_is_not_stored_comes_again_on_another_connection() -> None:
    deaf, inbox = Inbox(), Inbox()
    deaf.storing = False
    async with running(config()) as carrier:
        async with connected(carrier.ports["smpp"], deaf) as link:
            (result,) = await send(link, phones(1))
            await deaf.wait_for(1)
        async with connected(carrier.ports["smpp"], inbox):
            await inbox.wait_for(1)
    assert (inbox.receipts[0].ref,) == result.refs


async def test_a_transmitter_gets_no_receipts_and_a_receiver_cannot_submit() -> None:
    async with (
        running(config()) as carrier,
        logged_in(carrier, BindTransmitter) as sender,
        logged_in(carrier, BindReceiver) as receiver,
    ):
        receiver.write(7, submit())
        assert await receiver.read() == (7, SubmitSMResp(command_status=4))
        sender.write(5, submit())
        assert (await sender.read())[1].command_status == 0
        assert isinstance((await receiver.read())[1], DeliverSM)


# Texts from handsets


@pytest.mark.parametrize("reference", [0, 1, 2])
@pytest.mark.parametrize(
    ("text", "coding"),
    [("退订" * 50, Coding.UCS2), ("stop € " * 40, Coding.GSM7), ("T", Coding.GSM7)],
)
async def test_texts_from_handsets_are_read(reference: int, text: str, coding: Coding) -> None:
    inbox = Inbox()
    async with reached(config(), inbox) as (carrier, _):
        parts = split(text, coding=coding)
        receipts = carrier.smsc.subscribers["smpp", ACCOUNT].receipts
        receipts.spread([MOPart(phones(1)[0], SENDER, part, reference) for part in parts])
        await inbox.wait_for(len(parts))
    assert "".join(part.text for part in inbox.texts) == text
    assert [part.number for part in inbox.texts] == list(range(1, len(parts) + 1))
    assert {(part.sender, part.recipient) for part in inbox.texts} == {(phones(1)[0], SENDER)}
    if len(parts) > 1:
        assert {(part.reference, part.total) for part in inbox.texts} == {(reference, len(parts))}


@pytest.mark.parametrize("long_text", ["udh", "sar", "payload"])
async def test_long_texts_arrive_whole_in_the_journal(long_text: str, tmp_path: Path) -> None:
    text = "警钟长鸣🔔" * 40
    journal = tmp_path / "journal"
    simulated = config(journal=journal, journal_texts=True)
    async with reached(simulated, long_text=long_text) as (_, link):
        results = await send(link, phones(1), text)
        assert {result.outcome for result in results} == {Outcome.ACCEPTED}
        assert len(results) == (1 if long_text == "payload" else 4)
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    assert "".join(line["text"] for line in lines if "text" in line) == text


async def test_a_certificate_that_is_none_says_so(tmp_path: Path) -> None:
    (tmp_path / "no.pem").write_text("nothing")
    with pytest.raises(Misconfigured, match="give another to tls_certificate"):
        async with running(config(tls_certificate=tmp_path / "no.pem")):
            pass
