"""Frames of the right length whose inside is wrong, over TCP: no link is lost over them, and
nothing that is acknowledged is dropped.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from service.channels.contract.gateway import (
    Delivery,
    Inbound,
    RawDelivery,
    Receipt,
    Unparseable,
    UnreadReason,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.gateways.cmpp import CMPPGateway
from service.protocols.cmpp import pdu as cmpp
from service.protocols.cmpp.query import QueryResp
from service.protocols.cmpp.report import Report as CMPPReport
from service.protocols.cmpp.version import V20, V30, Version
from service.protocols.sgip import pdu as sgip
from service.protocols.smgp import pdu as smgp
from service.protocols.smgp.report import Report as SMGPReport
from service.protocols.smpp import pdu as smpp
from service.protocols.stream import StreamGateway
from tests.harness.session import PATIENCE_SECONDS, Peer, carrier
from tests.harness.sgip import opened as sgip_opened
from tests.unit.gateways import (
    test_cmpp_gateway,
    test_sgip_listener,
    test_smgp_gateway,
    test_smpp_gateway,
)

HANDSET, OURS = "19790001234", "106900001234"
MOBILE = "86" + HANDSET
SEQUENCE = 0x01020304
MSG_ID = 0x84A9EB4134FD012C
OWN_ID = bytes(range(10))
TOO_LONG = 200
UNKNOWN = 0x7A


@dataclass
class Link:
    """One of the links on which a carrier hands on what it has.

    broken: a delivery whose inner length is too long. refusal: our answer to it. good: a text, and
    acknowledgement: our answer to that. header: octets of the protocol's header. peer: the
    carrier's end. store: what the gateway handed over. gateway: None on SGIP's listener.
    """

    broken: bytes
    refusal: bytes
    good: bytes
    acknowledgement: bytes
    header: int
    peer: Any
    store: Any
    gateway: StreamGateway[Any] | None


def lying(frame: bytes, at: int, octets: int = 1) -> bytes:
    """A frame in which a length inside, at this offset, is too long; its own stays right."""
    return frame[:at] + TOO_LONG.to_bytes(octets, "big") + frame[at + octets :]


def length_at(frame: bytes, content: bytes, octets: int = 1) -> int:
    """Where the length before a content stands."""
    return frame.index(content) - octets


TEXT = "退订".encode("utf-16-be")


@asynccontextmanager
async def _cmpp(version: Version) -> AsyncIterator[Link]:
    deliver = cmpp.Deliver(MSG_ID, OURS, HANDSET, TEXT, msg_fmt=8)
    good = cmpp.encode(SEQUENCE, deliver, version)
    async with cmpp_link(version) as (gateway, peer, store):
        yield Link(
            broken=lying(good, length_at(good, TEXT)),
            refusal=cmpp.encode(SEQUENCE, cmpp.DeliverResp(MSG_ID, 4), version),
            good=good,
            acknowledgement=cmpp.encode(SEQUENCE, cmpp.DeliverResp(MSG_ID, 0), version),
            header=12,
            peer=peer,
            store=store,
            gateway=gateway,
        )


def _cmpp20() -> AbstractAsyncContextManager[Link]:
    return _cmpp(V20)


def _cmpp30() -> AbstractAsyncContextManager[Link]:
    return _cmpp(V30)


@asynccontextmanager
async def cmpp_link(
    version: Version,
) -> AsyncIterator[tuple[CMPPGateway, Peer, test_cmpp_gateway.Store]]:
    """A gateway that is logged in, in this version of the protocol."""
    async with carrier() as scripted:
        store = test_cmpp_gateway.Store()
        reason = {"verify_gateway": False, "unverified_because": "it knows no secret"}
        settings = test_cmpp_gateway.settings(scripted.port, version=version.name, **reason)
        gateway = CMPPGateway(settings, store.deliver, test_cmpp_gateway.CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        sequence = int.from_bytes((await peer.read_frame())[8:12], "big")
        answer = cmpp.ConnectResp(0, bytes(16), version.octet)
        peer.writer.write(cmpp.encode(sequence, answer, version))
        await opening
        yield gateway, peer, store
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


@asynccontextmanager
async def _smgp() -> AsyncIterator[Link]:
    good = smgp.encode(SEQUENCE, smgp.Deliver(OWN_ID, HANDSET, OURS, TEXT, msg_format=8))
    async with test_smgp_gateway.opened() as (gateway, peer, store):
        yield Link(
            broken=lying(good, length_at(good, TEXT)),
            refusal=smgp.encode(SEQUENCE, smgp.DeliverResp(OWN_ID, 36)),
            good=good,
            acknowledgement=smgp.encode(SEQUENCE, smgp.DeliverResp(OWN_ID)),
            header=12,
            peer=peer,
            store=store,
            gateway=gateway,
        )


def _sgip_link(peer: Any, store: Any, gateway: StreamGateway[Any] | None) -> Link:
    good = sgip.encode(SEQUENCE, sgip.Deliver(MOBILE, OURS, TEXT, message_coding=8))
    return Link(
        broken=lying(good, length_at(good, TEXT, 4), 4),
        refusal=sgip.encode(SEQUENCE, sgip.DeliverResp(8)),
        good=good,
        acknowledgement=sgip.encode(SEQUENCE, sgip.DeliverResp()),
        header=20,
        peer=peer,
        store=store,
        gateway=gateway,
    )


@asynccontextmanager
async def _sgip() -> AsyncIterator[Link]:
    async with sgip_opened() as (gateway, smg, store):
        yield _sgip_link(smg, store, gateway)


@asynccontextmanager
async def _sgip_listener() -> AsyncIterator[Link]:
    async with test_sgip_listener.logged_in() as (_, smg, store):
        yield _sgip_link(smg, store, None)


@asynccontextmanager
async def _smpp() -> AsyncIterator[Link]:
    deliver = smpp.DeliverSM(MOBILE, OURS, TEXT, source_addr_ton=1, data_coding=8)
    good = smpp.encode(SEQUENCE, deliver)
    async with test_smpp_gateway.opened() as (gateway, peer, store):
        yield Link(
            broken=lying(good, length_at(good, TEXT)),
            refusal=smpp.encode(SEQUENCE, smpp.GenericNack(command_status=2)),
            good=good,
            acknowledgement=smpp.encode(SEQUENCE, smpp.DeliverSMResp()),
            header=16,
            peer=peer,
            store=store,
            gateway=gateway,
        )


LINKS = (_cmpp20, _cmpp30, _sgip, _sgip_listener, _smgp, _smpp)
Opened = Callable[[], AbstractAsyncContextManager[Link]]


async def goes_on(link: Link) -> None:
    """The next text is read and acknowledged: the link is as good as before."""
    link.peer.writer.write(link.good)
    item = await link.store.next()
    assert isinstance(item, Inbound)
    assert (item.sender, item.text) == ("+" + MOBILE, "退订")
    link.store.futures[-1].set_result(None)
    assert (await link.peer.read_frame()) == link.acknowledgement


@pytest.mark.parametrize("opened", LINKS)
async def test_a_delivery_with_a_wrong_inner_length_is_kept_and_then_refused(
    opened: Opened,
) -> None:
    async with opened() as link:
        link.peer.writer.write(link.broken)
        item = await link.store.next()
        assert item == RawDelivery(link.broken, link.header, UnreadReason.BROKEN_LENGTH)
        link.store.futures[-1].set_result(None)
        assert (await link.peer.read_frame()) == link.refusal
        await goes_on(link)


@pytest.mark.parametrize("opened", LINKS)
async def test_a_broken_delivery_that_cannot_be_stored_is_not_answered(opened: Opened) -> None:
    async with opened() as link:
        link.peer.writer.write(link.broken)
        await link.store.next()
        link.store.futures[-1].set_exception(RuntimeError("the store is away"))
        await goes_on(link)


@pytest.mark.attack
@pytest.mark.parametrize("opened", LINKS)
async def test_a_delivery_cut_anywhere_costs_no_link(opened: Opened) -> None:
    """Only the frame's border is right: it ends wherever it likes."""
    async with opened() as link:
        for end in range(link.header, len(link.good)):
            frame = end.to_bytes(4, "big") + link.good[4:end]
            link.peer.writer.write(frame)
            item: Delivery = await link.store.next()
            if isinstance(item, RawDelivery):
                assert item.octets == frame
            link.store.futures[-1].set_result(None)
            await link.peer.read_frame()
        await goes_on(link)


@pytest.mark.attack
@pytest.mark.parametrize("opened", LINKS)
async def test_other_commands_cost_no_link_whatever_is_in_them(opened: Opened) -> None:
    """Commands that nobody knows, answers to nothing, and requests an SP does not serve."""
    async with opened() as link:
        for command in (
            UNKNOWN,
            0x8000_0000 | UNKNOWN,
            *range(2, 9),
            *range(0x8000_0001, 0x8000_0009),
        ):
            if command in _ENDS | {int.from_bytes(link.good[4:8], "big")}:
                continue
            for body in (b"", b"\x00", b"\xff" * 40):
                size = (link.header + len(body)).to_bytes(4, "big")
                header = size + command.to_bytes(4, "big") + link.good[8 : link.header]
                link.peer.writer.write(header + body)
        link.peer.writer.write(link.good)
        while getattr(await link.store.next(), "text", "") != "退订":
            pass
        for future in link.store.futures:
            future.set_result(None)
        while (await link.peer.read_frame()) != link.acknowledgement:
            pass


_ENDS = {2, 6, 0x8000_0002, 0x8000_0006}
"""Logouts and their answers, in one protocol or another."""

BROKEN_ANSWERS = [
    (_cmpp20, cmpp.SubmitResp.command),
    (_cmpp30, cmpp.SubmitResp.command),
    (_sgip, sgip.SubmitResp.command),
    (_smgp, smgp.SubmitResp.command),
]


@pytest.mark.attack
@pytest.mark.parametrize(("opened", "command"), BROKEN_ANSWERS)
async def test_a_submit_whose_answer_cannot_be_read_may_have_left(
    opened: Opened, command: int
) -> None:
    async with opened() as link:
        assert link.gateway is not None
        (future,) = link.gateway.submit(test_cmpp_gateway.submissions(link.gateway))  # type: ignore[arg-type]
        asked = await link.peer.read_frame()
        size = link.header.to_bytes(4, "big")
        link.peer.writer.write(size + command.to_bytes(4, "big") + asked[8 : link.header])
        result = await asyncio.wait_for(future, PATIENCE_SECONDS)
        assert result.outcome is Outcome.UNANSWERED
        await goes_on(link)


async def test_an_answer_to_the_login_that_cannot_be_read_is_no_login() -> None:
    async with carrier() as scripted:
        settings = test_cmpp_gateway.settings(scripted.port)
        store = test_cmpp_gateway.Store()
        gateway = CMPPGateway(settings, store.deliver, test_cmpp_gateway.CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        asked = await peer.read_frame()
        peer.writer.write(b"\x00\x00\x00\x0e\x80\x00\x00\x01" + asked[8:12] + b"\x00\x00")
        with pytest.raises(Unparseable, match="does not speak CMPP"):
            await opening


# Reports with a length that is not theirs


@pytest.mark.parametrize("version", [V20, V30], ids=lambda version: version.name)
@pytest.mark.parametrize("number_octets", [21, 32])
@pytest.mark.parametrize("msg_length", [0, 8, TOO_LONG])
async def test_a_cmpp_report_is_read_by_what_is_there(
    version: Version, number_octets: int, msg_length: int
) -> None:
    """Some gateways write Msg_Length 0 before the report that follows all the same."""
    report = CMPPReport(MSG_ID, "UNDELIV", "2608091030", "2608091031", HANDSET)
    block = report.encode(number_octets=number_octets)
    deliver = cmpp.Deliver(77, OURS, HANDSET, block, registered_delivery=1)
    frame = bytearray(cmpp.encode(SEQUENCE, deliver, version))
    frame[length_at(bytes(frame), block)] = msg_length
    async with cmpp_link(version) as (_, peer, store):
        peer.writer.write(bytes(frame))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert receipt.ref == MSG_ID.to_bytes(8, "big")
        assert (receipt.state, receipt.recipient) == (ReceiptState.UNDELIVERED, "+" + MOBILE)
        assert receipt.done_at is not None
        store.futures[-1].set_result(None)
        answer = cmpp.encode(SEQUENCE, cmpp.DeliverResp(77, 0), version)
        assert (await peer.read_frame()) == answer


async def test_a_cmpp_report_of_length_0_without_a_report_is_kept_and_acknowledged() -> None:
    deliver = cmpp.Deliver(77, OURS, HANDSET, b"", registered_delivery=1)
    frame = cmpp.encode(SEQUENCE, deliver)
    async with cmpp_link(V30) as (_, peer, store):
        peer.writer.write(frame)
        assert await store.next() == RawDelivery(frame, 12, UnreadReason.BROKEN_REPORT)
        store.futures[-1].set_result(None)
        assert (await peer.read_frame()) == cmpp.encode(SEQUENCE, cmpp.DeliverResp(77, 0))


@pytest.mark.parametrize("msg_length", [0, TOO_LONG])
async def test_an_smgp_report_is_read_by_what_is_there(msg_length: int) -> None:
    content = SMGPReport(OWN_ID, "DELIVRD", done_date="2608091031").encode()
    deliver = smgp.Deliver(OWN_ID, HANDSET, OURS, content, is_report=1)
    frame = bytearray(smgp.encode(SEQUENCE, deliver))
    frame[length_at(bytes(frame), content)] = msg_length
    async with test_smgp_gateway.opened() as (_, peer, store):
        peer.writer.write(bytes(frame))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.ref, receipt.state) == (OWN_ID, ReceiptState.DELIVERED)


async def test_an_sgip_report_on_a_text_from_a_handset_is_kept_and_acknowledged() -> None:
    frame = sgip.encode(SEQUENCE, sgip.Report(77, MOBILE, 0, report_type=1))
    for opened in (_sgip, _sgip_listener):
        async with opened() as link:
            link.peer.writer.write(frame)
            assert await link.store.next() == RawDelivery(frame, 20, UnreadReason.REPORT_ON_TEXT)
            link.store.futures[-1].set_result(None)
            answer = sgip.encode(SEQUENCE, sgip.ReportResp())
            assert (await link.peer.read_frame()) == answer


def test_a_query_resp_of_the_book_is_still_read() -> None:
    answer = QueryResp("20260809", 0, "", *range(8))
    assert cmpp.decode(cmpp.encode(1, answer)) == (1, answer)
