"""What the China Telecom gateway makes of reports and texts, and when it acknowledges them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from service.channels.contract.gateway import (
    Inbound,
    RawDelivery,
    Receipt,
    UnreadReason,
)
from service.channels.contract.outcome import ReceiptState
from service.protocols import stream
from service.protocols.smgp.pdu import (
    HEADER_OCTETS,
    Deliver,
    DeliverResp,
    SubmitResp,
    encode,
)
from service.protocols.smgp.report import Report
from service.protocols.smgp.tlv import Options
from tests.unit.gateways.test_smgp_gateway import (
    ID,
    OWN_ID,
    PHONE,
    RECORDED_PHONE,
    TOLERANCE,
    VECTORS,
    acknowledged_before,
    answer,
    opened,
    report,
    submissions,
)


async def test_a_report_becomes_a_receipt_and_is_acknowledged_after_it_is_stored() -> None:
    async with opened() as (_, peer, store):
        peer.write(31, report())
        assert await store.next() == Receipt(
            ref=ID,
            recipient=PHONE,
            state=ReceiptState.DELIVERED,
            code="DELIVRD",
            reason="",
            done_at=datetime(2026, 8, 9, 2, 31, tzinfo=UTC),
        )
        assert await acknowledged_before(peer) == []
        store.futures[0].set_result(None)
        assert await peer.read() == (31, DeliverResp(OWN_ID, 0))


async def test_what_could_not_be_stored_is_not_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with opened() as (_, peer, store):
        for sequence in (1, 2, 3):
            peer.write(sequence, report())
            await store.next()
        store.futures[0].set_exception(RuntimeError("the store is away"))
        store.futures[1].cancel()
        store.futures[2].set_result(None)
        assert await peer.read() == (3, DeliverResp(OWN_ID, 0))
        assert await acknowledged_before(peer) == []
    assert caplog.messages.count(stream.NOT_STORED) == 1


async def test_a_receipt_may_come_before_the_answer_to_its_submit() -> None:
    async with opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report())
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert not future.done()
        peer.write(sequence, SubmitResp(ID, 0))
        assert (await answer(future)).refs == (receipt.ref,)


@pytest.mark.parametrize(
    ("stat", "err", "expected"),
    [
        ("UNDELIV", "640", (ReceiptState.UNDELIVERED, "UNDELIV:640", "empty_number")),
        ("EXPIRED", "001", (ReceiptState.EXPIRED, "EXPIRED:001", "powered_off")),
        ("ACCEPTD", "000", (ReceiptState.BUFFERED, "ACCEPTD", "")),
        ("WHAT?", "123", (ReceiptState.UNDELIVERED, "WHAT?:123", "other")),
    ],
)
async def test_the_status_is_kept_as_it_came(
    stat: str, err: str, expected: tuple[ReceiptState, str, str]
) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, report(stat, err))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.state, receipt.code, receipt.reason) == expected


@pytest.mark.parametrize("case", TOLERANCE, ids=lambda case: case["id"])
async def test_reports_of_other_stacks_are_read(case: dict[str, Any]) -> None:
    async with opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(case["hex"]))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (receipt.ref, receipt.recipient) == (ID, RECORDED_PHONE)
        assert receipt.code in {"DELIVRD", "UNDELIV:003"}


async def test_an_id_that_is_no_digits_is_the_same_in_answer_and_report() -> None:
    odd = bytes.fromhex("01e240112413510495f9")
    async with opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitResp(odd, 0))
        peer.write(1, report(msg_content=Report(odd, "DELIVRD").encode()))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert (await answer(future)).refs == (receipt.ref,) == (odd,)


async def test_an_unreadable_report_is_kept_as_it_came_and_then_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = encode(4, report(msg_content=b"too short"))
    async with opened() as (_, peer, store):
        peer.writer.write(frame)
        assert await store.next() == RawDelivery(frame, HEADER_OCTETS, UnreadReason.BROKEN_REPORT)
        store.futures[0].set_result(None)
        assert await peer.read() == (4, DeliverResp(OWN_ID, 0))
    assert stream.UNREAD in caplog.messages


@pytest.mark.parametrize(
    ("vector", "place"),
    [
        ("smgp-deliver-mo-gb18030", (0, 1, 1)),
        ("smgp-deliver-mo-ucs2", (0, 1, 1)),
        ("smgp-deliver-mo-long-1of2", (0x44, 1, 2)),
        ("smgp-deliver-mo-long-2of2", (0x44, 2, 2)),
    ],
)
async def test_a_text_from_a_handset_is_read(vector: str, place: tuple[int, int, int]) -> None:
    async with opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(VECTORS[vector]["hex"]))
        text = VECTORS[vector]["fields"]["text"]
        assert await store.next() == Inbound(RECORDED_PHONE, "1181234567", text, *place)


@pytest.mark.parametrize(
    ("options", "content", "expected"),
    [
        (Options(pk_total=2, pk_number=2), b"hi", ("hi", 0, 2, 2)),  # the header was taken off
        (Options(pk_total=0, pk_number=0), b"hi", ("hi", 0, 1, 1)),
        (Options(pk_total=2, pk_number=3), b"hi", ("hi", 0, 1, 1)),
        (Options(tp_udhi=1), b"\x06\x08\x04\x12\x34\x02\x01hi", ("hi", 0x1234, 1, 2)),
        (Options(tp_udhi=1), b"\x06\x05\x04\x12\x34\x02\x01hi", ("hi", 0, 1, 1)),
        (Options(tp_udhi=1), b"\x40hi", ("@hi", 0, 1, 1)),  # runs past the content: no header
    ],
)
async def test_a_part_is_placed_by_its_header_or_else_its_parameters(
    options: Options, content: bytes, expected: tuple[str, int, int, int]
) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, Deliver(OWN_ID, "19790001234", "1065", content, options=options))
        inbound = await store.next()
        assert isinstance(inbound, Inbound)
        assert (inbound.text, inbound.reference, inbound.number, inbound.total) == expected


@pytest.mark.parametrize(
    ("msg_format", "content", "text"),
    [(15, "退订".encode("gb18030"), "退订"), (4, b"\x01\xff", "01ff"), (8, b"\x90\x00\x8b", "退�")],
)
async def test_every_coding_of_a_text_gives_something(
    msg_format: int, content: bytes, text: str
) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, Deliver(OWN_ID, "10000", "106590001234", content, msg_format=msg_format))
        inbound = await store.next()
        assert isinstance(inbound, Inbound)
        assert (inbound.sender, inbound.text) == ("10000", text)
