"""What every stream gateway keeps to when it receives: handed on, stored, then acknowledged."""

from typing import Any

import pytest

from service.channels.contract.gateway import Inbound, RawDelivery, UnreadReason
from service.channels.contract.outcome import Outcome, ReceiptState
from service.protocols.cmpp import pdu as cmpp_pdu
from service.protocols.sgip import pdu as sgip_pdu
from service.protocols.smgp import pdu as smgp_pdu
from service.protocols.smpp import pdu as smpp_pdu
from service.protocols.smpp.tlv import TLV
from service.protocols.stream import NOT_STORED, UNREAD
from tests.harness import cmpp, sgip, smgp, smpp
from tests.harness.protocols import LINKS, each, rows
from tests.harness.scripted import PHONE, Protocol, answer, submissions
from tests.harness.session import soon
from tests.harness.waiting import turns

# When it is acknowledged


@each(of=LINKS)
async def test_a_receipt_is_read_and_acknowledged_after_it_is_stored(protocol: Protocol) -> None:
    async with protocol.opened() as (_, peer, store):
        sequence = protocol.number(31)
        peer.write(sequence, protocol.report(7))
        assert await store.next() == protocol.receipt(7)
        assert await protocol.acknowledged_before(peer) == []
        store.futures[0].set_result(None)
        assert await peer.read() == (sequence, protocol.acknowledgement)


@each(of=LINKS)
async def test_a_text_is_read_and_acknowledged_after_it_is_stored(protocol: Protocol) -> None:
    async with protocol.opened() as (_, peer, store):
        sequence = protocol.number(31)
        peer.write(sequence, protocol.text)
        inbound = await store.inbound()
        assert (inbound.sender, inbound.text) == (PHONE, "退订")
        assert await protocol.acknowledged_before(peer) == []
        store.futures[0].set_result(None)
        assert await peer.read() == (sequence, protocol.text_acknowledgement)


@each(of=LINKS)
async def test_what_could_not_be_stored_is_not_acknowledged(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    async with protocol.opened() as (_, peer, store):
        for counter in (1, 2, 3):
            peer.write(protocol.number(counter), protocol.report(7))
            await store.next()
        store.futures[0].set_exception(RuntimeError("the store is away"))
        store.futures[1].cancel()
        store.futures[2].set_result(None)
        assert await peer.read() == (protocol.number(3), protocol.acknowledgement)
        assert await protocol.acknowledged_before(peer) == []
    assert caplog.messages.count(NOT_STORED) == 1


@each(of=LINKS)
async def test_what_comes_again_is_handed_on_and_acknowledged_again(protocol: Protocol) -> None:
    async with protocol.opened() as (_, peer, store):
        for _ in range(2):
            peer.write(protocol.number(7), protocol.report(7))
            await store.next()
            store.futures[-1].set_result(None)
            assert await peer.read() == (protocol.number(7), protocol.acknowledgement)


@each(of=LINKS)
async def test_storing_may_finish_in_any_order(protocol: Protocol) -> None:
    async with protocol.opened() as (_, peer, store):
        for counter in range(32):
            peer.write(protocol.number(counter), protocol.report(counter))
            await store.next()
        for future in reversed(store.futures):
            future.set_result(None)
        acknowledged = [(await peer.read())[0] for _ in range(32)]
        assert acknowledged == [protocol.number(counter) for counter in reversed(range(32))]


@each()
async def test_a_receipt_may_come_before_the_answer_to_its_submit(protocol: Protocol) -> None:
    async with protocol.opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(protocol.number(1), protocol.report(sequence))
        receipt = await store.receipt()
        assert not future.done()
        peer.write(sequence, protocol.answer(sequence, 0))
        result = await answer(future)
        assert (result.outcome, result.refs) == (Outcome.ACCEPTED, (receipt.ref,))


@each(of=LINKS)
async def test_a_link_lost_before_storing_acknowledges_nothing_and_raises_nothing(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    async with protocol.opened() as (gateway, peer, store):
        peer.write(protocol.number(1), protocol.report(7))
        await store.next()
        peer.cut()
        await soon(gateway.link.lost.wait())
        store.futures[0].set_result(None)
        await turns()  # its callback runs
    assert [record for record in caplog.records if record.name == "asyncio"] == []


@rows(
    "delivered, acknowledged",
    {
        "cmpp": [("cmpp30-deliver-report-delivrd", "cmpp30-deliver-resp")],
        "sgip": [
            ("sgip-report-ok", "sgip-report-resp"),
            ("sgip-deliver-mo-ascii", "sgip-deliver-resp"),
        ],
        "smgp": [("smgp-deliver-report-delivrd", "smgp-deliver-resp")],
        "smpp": [("smpp-deliver-receipt", "smpp-deliver-resp")],
    },
)
async def test_a_recorded_delivery_gets_the_recorded_acknowledgement(
    protocol: Protocol, delivered: str, acknowledged: str
) -> None:
    async with protocol.opened() as (_, peer, store):
        peer.writer.write(protocol.recorded(delivered))
        await store.next()
        store.futures[0].set_result(None)
        assert (await peer.read_frame()).hex() == protocol.recorded(acknowledged).hex()


# What it says


@rows(
    "packet, state, code, reason",
    {
        "cmpp": [
            (cmpp.report("MK:0001"), ReceiptState.UNDELIVERED, "MK:0001", "empty_number"),
            (cmpp.report("ACCEPTD"), ReceiptState.BUFFERED, "ACCEPTD", ""),
            (cmpp.report("WHAT?"), ReceiptState.UNDELIVERED, "WHAT?", "other"),
        ],
        "sgip": [
            (sgip.report(1, 0), ReceiptState.BUFFERED, "1:0", ""),
            (sgip.report(2, 29), ReceiptState.UNDELIVERED, "2:29", "empty_number"),
            (sgip.report(2, 25), ReceiptState.UNDELIVERED, "2:25", "powered_off"),
            (sgip.report(2, 211), ReceiptState.UNDELIVERED, "2:211", "other"),
            (sgip.report(9, 1), ReceiptState.UNKNOWN, "9:1", "other"),
        ],
        "smgp": [
            (smgp.report("UNDELIV", "640"), ReceiptState.UNDELIVERED, "UNDELIV:640",
             "empty_number"),
            (smgp.report("EXPIRED", "001"), ReceiptState.EXPIRED, "EXPIRED:001", "powered_off"),
            (smgp.report("ACCEPTD"), ReceiptState.BUFFERED, "ACCEPTD", ""),
            (smgp.report("WHAT?", "123"), ReceiptState.UNDELIVERED, "WHAT?:123", "other"),
        ],
        "smpp": [
            (smpp.report("UNDELIV"), ReceiptState.UNDELIVERED, "UNDELIV", "other"),
            (smpp.report("ACCEPTD"), ReceiptState.BUFFERED, "ACCEPTD", ""),
            (smpp.report("WHAT?"), ReceiptState.UNDELIVERED, "WHAT?", "other"),
            (smpp.report(short_message=smpp.receipt_text("EXPIRED", err="04B")),
             ReceiptState.EXPIRED, "EXPIRED:04B", "powered_off"),
            (smpp.report(esm_class=0x20), ReceiptState.BUFFERED, "DELIVRD", ""),
            (smpp.report(esm_class=0), ReceiptState.DELIVERED, "DELIVRD", ""),
            (smpp.report(short_message=b"", parameters=(TLV(0x1E, "5f3c9a10"), TLV(0x427, 8))),
             ReceiptState.REJECTED, "REJECTD", "rejected"),
        ],
    },
)  # fmt: skip
async def test_the_status_is_kept_as_it_came(
    protocol: Protocol, packet: Any, state: ReceiptState, code: str, reason: str
) -> None:
    async with protocol.opened() as (_, peer, store):
        peer.write(protocol.number(1), packet)
        receipt = await store.receipt()
        assert (receipt.state, receipt.code, receipt.reason) == (state, code, reason)


BROKEN = UnreadReason.BROKEN_REPORT


@rows(
    "packet, reason",
    {
        "cmpp": [(cmpp.report(msg_content=b"too short"), BROKEN)],
        "sgip": [(sgip.report(report_type=1), UnreadReason.REPORT_ON_TEXT)],
        "smgp": [(smgp.report(msg_content=b"too short"), BROKEN)],
        "smpp": [(smpp.report(short_message=b"what is this"), BROKEN)],
    },
)
async def test_an_unreadable_report_is_kept_as_it_came_and_then_acknowledged(
    protocol: Protocol, packet: Any, reason: UnreadReason, caplog: pytest.LogCaptureFixture
) -> None:
    for link in (one for one in LINKS.values() if one.gateway is protocol.gateway):
        async with link.opened() as (_, peer, store):
            sequence = protocol.number(4)
            frame = peer.encode(sequence, packet)
            peer.writer.write(frame)
            assert await store.next() == RawDelivery(frame, protocol.header, reason)
            assert await protocol.acknowledged_before(peer) == []
            store.futures[0].set_result(None)
            assert await peer.read() == (sequence, protocol.acknowledgement)
    assert UNREAD in caplog.messages


RECORDED = "+86138" + "00138000"
WHOLE, FIRST, SECOND = (0, 1, 1), (1, 2), (2, 2)


@rows(
    "vector, sender, recipient, text, place",
    {
        "cmpp": [
            ("cmpp30-deliver-mo-ascii", RECORDED, "106900001234", None, WHOLE),
            ("cmpp30-deliver-mo-ucs2", RECORDED, "106900001234", None, WHOLE),
            ("cmpp30-deliver-mo-long-1of2", RECORDED, "106900001234", None, (0x21, *FIRST)),
            ("cmpp30-deliver-mo-long-2of2", RECORDED, "106900001234", None, (0x21, *SECOND)),
        ],
        "sgip": [
            ("sgip-deliver-mo-ascii", None, "10655123", None, WHOLE),
            ("sgip-deliver-mo-ucs2", None, "10655123", None, WHOLE),
            ("sgip-deliver-mo-gbk", None, "10655123", None, WHOLE),
            ("sgip-deliver-mo-long-1of2", None, "10655123", None, (0x33, *FIRST)),
            ("sgip-deliver-mo-long-2of2", None, "10655123", None, (0x33, *SECOND)),
        ],
        "smgp": [
            ("smgp-deliver-mo-gb18030", "+86133" + "12345678", "1181234567", None, WHOLE),
            ("smgp-deliver-mo-ucs2", "+86133" + "12345678", "1181234567", None, WHOLE),
            ("smgp-deliver-mo-long-1of2", "+86133" + "12345678", "1181234567", None,
             (0x44, *FIRST)),
            ("smgp-deliver-mo-long-2of2", "+86133" + "12345678", "1181234567", None,
             (0x44, *SECOND)),
        ],
        "smpp": [("smpp-deliver-mo", None, "106900001234", "退订", WHOLE)],
    },
)  # fmt: skip
async def test_a_text_from_a_handset_is_read(
    protocol: Protocol,
    vector: str,
    sender: str | None,
    recipient: str,
    text: str | None,
    place: tuple[int, int, int],
) -> None:
    """Where the case does not say who wrote or what, the recording does."""
    fields = protocol.vectors[vector]["fields"]
    number = fields.get("user_number", fields.get("source_addr"))
    async with protocol.opened() as (_, peer, store):
        peer.writer.write(protocol.recorded(vector))
        expected = Inbound(sender or f"+{number}", recipient, text or fields["text"], *place)
        assert await store.next() == expected


GB18030, OCTETS, HALF = "退订".encode("gb18030"), b"\x01\xff", b"\x90\x00\x8b"
SHORT, OURS = "10086", "106900001234"


@rows(
    "packet, text",
    {
        "cmpp": [
            (cmpp_pdu.Deliver(1, OURS, SHORT, GB18030, msg_fmt=15), "退订"),
            (cmpp_pdu.Deliver(1, OURS, SHORT, OCTETS, msg_fmt=4), "01ff"),
            (cmpp_pdu.Deliver(1, OURS, SHORT, HALF, msg_fmt=8), "退�"),
        ],
        "sgip": [
            (sgip_pdu.Deliver(SHORT, OURS, OCTETS, message_coding=4), "01ff"),
            (sgip_pdu.Deliver(SHORT, OURS, HALF, message_coding=8), "退�"),
            (  # no header, whatever the flag says
                sgip_pdu.Deliver(SHORT, OURS, HALF + b"\xa2", message_coding=8, tp_udhi=1),
                "退订",
            ),
        ],
        "smgp": [
            (smgp_pdu.Deliver(bytes(10), SHORT, OURS, GB18030, msg_format=15), "退订"),
            (smgp_pdu.Deliver(bytes(10), SHORT, OURS, OCTETS, msg_format=4), "01ff"),
            (smgp_pdu.Deliver(bytes(10), SHORT, OURS, HALF, msg_format=8), "退�"),
        ],
        "smpp": [(smpp_pdu.DeliverSM(SHORT, OURS, HALF, data_coding=8), "退�")],
    },
)
async def test_every_coding_of_a_text_gives_something(
    protocol: Protocol, packet: Any, text: str
) -> None:
    async with protocol.opened() as (_, peer, store):
        peer.write(protocol.number(1), packet)
        inbound = await store.inbound()
        assert (inbound.sender, inbound.text) == (SHORT, text)


@rows(
    "vector",
    {
        "cmpp": ["cmpp30-deliver-mo-ucs2"],
        "sgip": ["sgip-deliver-mo-ucs2"],
        "smgp": ["smgp-deliver-mo-ucs2"],
        "smpp": ["smpp-deliver-mo"],
    },
)
async def test_octets_in_any_pieces_are_read(protocol: Protocol, vector: str) -> None:
    async with protocol.opened() as (gateway, _, store):
        for octet in protocol.recorded(vector):
            assert store.items.empty()
            gateway.link.data_received(bytes((octet,)))
        assert (await store.inbound()).text == protocol.vectors[vector]["fields"]["text"]
