"""Frames of the right length whose inside is wrong, over TCP: no link is lost over them, and
nothing that is acknowledged is dropped.
"""

from typing import Any

import pytest

from service.channels.contract.gateway import RawDelivery, UnreadReason
from service.channels.contract.outcome import ReceiptState
from service.protocols.cmpp import pdu as cmpp
from service.protocols.cmpp.query import QueryResp
from service.protocols.cmpp.report import Report as CMPPReport
from service.protocols.sgip import pdu as sgip
from service.protocols.smgp import pdu as smgp
from service.protocols.smgp.report import Report as SMGPReport
from service.protocols.smpp import pdu as smpp
from tests.harness.cmpp import CMPP, CMPP20
from tests.harness.protocols import LINKS, each
from tests.harness.scripted import PHONE, Protocol, Store
from tests.harness.session import Peer
from tests.harness.smgp import OWN_ID, SMGP

HANDSET, OURS = "19790001234", "106900001234"
SEQUENCE = 0x01020304
MSG_ID = 0x84A9EB4134FD012C
TOO_LONG = 200
UNKNOWN = 0x7A
TEXT = "退订".encode("utf-16-be")

REFUSALS: dict[str, Any] = {
    "cmpp": cmpp.DeliverResp(78, 4),
    "sgip": sgip.DeliverResp(8),
    "smgp": smgp.DeliverResp(OWN_ID, 36),
    "smpp": smpp.GenericNack(command_status=2),
}
"""Our answer to a delivery that cannot be read, by kind."""


def lying(frame: bytes, content: bytes, length: int = TOO_LONG, octets: int = 1) -> bytes:
    """A frame in which the length before a content is another; its own stays right."""
    at = frame.index(content) - octets
    return frame[:at] + length.to_bytes(octets, "big") + frame[at + octets :]


def good(protocol: Protocol, peer: Peer) -> bytes:
    """A delivered text."""
    return peer.encode(SEQUENCE, protocol.text)


def broken(protocol: Protocol, peer: Peer) -> bytes:
    """The same with an inner length that is too long."""
    return lying(good(protocol, peer), TEXT, octets=4 if protocol.gateway.kind == "sgip" else 1)


async def goes_on(protocol: Protocol, peer: Peer, store: Store) -> None:
    """The next text is read and acknowledged: the link is as good as before."""
    peer.writer.write(good(protocol, peer))
    item = await store.inbound()
    assert (item.sender, item.text) == (PHONE, "退订")
    store.futures[-1].set_result(None)
    assert await peer.read_frame() == peer.encode(SEQUENCE, protocol.text_acknowledgement)


@each(of=LINKS)
async def test_a_delivery_with_a_wrong_inner_length_is_kept_and_then_refused(
    protocol: Protocol,
) -> None:
    async with protocol.opened() as (_, peer, store):
        frame = broken(protocol, peer)
        peer.writer.write(frame)
        assert await store.next() == RawDelivery(frame, protocol.header, UnreadReason.BROKEN_LENGTH)
        store.futures[-1].set_result(None)
        refusal = peer.encode(SEQUENCE, REFUSALS[protocol.gateway.kind])
        assert await peer.read_frame() == refusal
        await goes_on(protocol, peer, store)


@each(of=LINKS)
async def test_a_broken_delivery_that_cannot_be_stored_is_not_answered(protocol: Protocol) -> None:
    async with protocol.opened() as (_, peer, store):
        peer.writer.write(broken(protocol, peer))
        await store.next()
        store.futures[-1].set_exception(RuntimeError("the store is away"))
        await goes_on(protocol, peer, store)


@pytest.mark.attack
@each(of=LINKS)
async def test_a_delivery_cut_anywhere_costs_no_link(protocol: Protocol) -> None:
    """Only the frame's border is right: it ends wherever it likes."""
    async with protocol.opened() as (_, peer, store):
        whole = good(protocol, peer)
        for end in range(protocol.header, len(whole)):
            frame = end.to_bytes(4, "big") + whole[4:end]
            peer.writer.write(frame)
            item = await store.next()
            if isinstance(item, RawDelivery):
                assert item.octets == frame
            store.futures[-1].set_result(None)
            await peer.read_frame()
        await goes_on(protocol, peer, store)


_ENDS = {2, 6, 0x8000_0002, 0x8000_0006}
"""Logouts and their answers, in one protocol or another."""


@pytest.mark.attack
@each(of=LINKS)
async def test_other_commands_cost_no_link_whatever_is_in_them(protocol: Protocol) -> None:
    """Commands that nobody knows, answers to nothing, and requests an SP does not serve."""
    async with protocol.opened() as (_, peer, store):
        whole, header = good(protocol, peer), protocol.header
        commands = {UNKNOWN, 0x8000_0000 | UNKNOWN, *range(2, 9), *range(0x8000_0001, 0x8000_0009)}
        for command in sorted(commands - _ENDS - {int.from_bytes(whole[4:8], "big")}):
            for body in (b"", b"\x00", b"\xff" * 40):
                size = (header + len(body)).to_bytes(4, "big")
                peer.writer.write(size + command.to_bytes(4, "big") + whole[8:header] + body)
        peer.writer.write(whole)
        while getattr(await store.next(), "text", "") != "退订":
            pass
        store.store_all()
        acknowledged = peer.encode(SEQUENCE, protocol.text_acknowledgement)
        while await peer.read_frame() != acknowledged:
            pass


# Reports with a length that is not theirs


@pytest.mark.parametrize("protocol", [CMPP, CMPP20], ids=str)
@pytest.mark.parametrize("number_octets", [21, 32])
@pytest.mark.parametrize("msg_length", [0, 8, TOO_LONG])
async def test_a_cmpp_report_is_read_by_what_is_there(
    protocol: Protocol, number_octets: int, msg_length: int
) -> None:
    """Some gateways write Msg_Length 0 before the report that follows all the same."""
    report = CMPPReport(MSG_ID, "UNDELIV", "2608091030", "2608091031", HANDSET)
    block = report.encode(number_octets=number_octets)
    deliver = cmpp.Deliver(77, OURS, HANDSET, block, registered_delivery=1)
    async with protocol.opened() as (_, peer, store):
        peer.writer.write(lying(peer.encode(SEQUENCE, deliver), block, msg_length))
        receipt = await store.receipt()
        assert receipt.ref == MSG_ID.to_bytes(8, "big")
        assert (receipt.state, receipt.recipient) == (ReceiptState.UNDELIVERED, PHONE)
        assert receipt.done_at is not None
        store.futures[-1].set_result(None)
        assert await peer.read() == (SEQUENCE, cmpp.DeliverResp(77, 0))


async def test_a_cmpp_report_of_length_0_without_a_report_is_kept_and_acknowledged() -> None:
    deliver = cmpp.Deliver(77, OURS, HANDSET, b"", registered_delivery=1)
    frame = cmpp.encode(SEQUENCE, deliver)
    async with CMPP.opened() as (_, peer, store):
        peer.writer.write(frame)
        assert await store.next() == RawDelivery(frame, 12, UnreadReason.BROKEN_REPORT)
        store.futures[-1].set_result(None)
        assert await peer.read() == (SEQUENCE, cmpp.DeliverResp(77, 0))


@pytest.mark.parametrize("msg_length", [0, TOO_LONG])
async def test_an_smgp_report_is_read_by_what_is_there(msg_length: int) -> None:
    content = SMGPReport(OWN_ID, "DELIVRD", done_date="2608091031").encode()
    deliver = smgp.Deliver(OWN_ID, HANDSET, OURS, content, is_report=1)
    async with SMGP.opened() as (_, peer, store):
        peer.writer.write(lying(smgp.encode(SEQUENCE, deliver), content, msg_length))
        receipt = await store.receipt()
        assert (receipt.ref, receipt.state) == (OWN_ID, ReceiptState.DELIVERED)


def test_a_query_resp_of_the_book_is_still_read() -> None:
    answer = QueryResp("20260809", 0, "", *range(8))
    assert cmpp.decode(cmpp.encode(1, answer)) == (1, answer)
