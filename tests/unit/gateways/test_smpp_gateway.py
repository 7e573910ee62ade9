"""The SMPP gateway against a scripted SMSC: every promise of the gateway contract."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.channels.contract.gateway import (
    Delivery,
    Inbound,
    LoginRefused,
    RawDelivery,
    Receipt,
    Submission,
    SubmitResult,
    Unparseable,
    Unreachable,
    UnreadReason,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.clock import Clock
from service.coding.parts import decode
from service.gateways.smpp import LONG_PASSWORD, SMPPConfig, SMPPGateway
from service.protocols.smpp.pdu import (
    HEADER_OCTETS,
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSM,
    DeliverSM,
    DeliverSMResp,
    EnquireLink,
    EnquireLinkResp,
    SubmitSM,
    SubmitSMResp,
    Unbind,
    UnbindResp,
    encode,
)
from service.protocols.smpp.tlv import TLV, Tag
from service.protocols.stream import NOT_STORED, UNREAD
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp import Peer, smsc
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("smpp", "smpp34")}
CLOCK = Clock(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC), anchor=0.0, speed=0.0)
PHONE = "+8619790001234"
ADDRESS = "8619790001234"
PASSWORD = "pw123456"


class Store:
    """Where a gateway's deliveries go; each stays unstored until the test says so."""

    def __init__(self) -> None:
        self.items: asyncio.Queue[Delivery] = asyncio.Queue()
        self.futures: list[asyncio.Future[None]] = []

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.items.put_nowait(item)
        future = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        return future

    async def next(self) -> Delivery:
        return await asyncio.wait_for(self.items.get(), PATIENCE_SECONDS)

    async def receipt(self) -> Receipt:
        item = await self.next()
        assert isinstance(item, Receipt)
        return item


def settings(port: int, **others: Any) -> SMPPConfig:
    given: dict[str, Any] = {
        "host": "127.0.0.1",
        "port": port,
        "system_id": "esme01",
        "password": PASSWORD,
        "sender": "NOTICE",
    }
    return SMPPConfig(**{**given, **others})


@asynccontextmanager
async def opened(**others: Any) -> AsyncIterator[tuple[SMPPGateway, Peer, Store]]:
    async with smsc() as scripted:
        store = Store()
        gateway = SMPPGateway(settings(scripted.port, **others), store.deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.accept_login()
        await opening
        yield gateway, peer, store
        peer.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


def submissions(gateway: SMPPGateway, text: str = "警钟", **others: Any) -> list[Submission]:
    return [Submission((PHONE,), part, 0xBEA7, **others) for part in gateway.split(text)]


async def submitted(text: str = "警钟", *, options: Any = None, **others: Any) -> list[SubmitSM]:
    """The packets that a text becomes under some settings."""
    async with opened(**(options or {})) as (gateway, peer, _):
        batch = submissions(gateway, text, **others)
        gateway.submit(batch)
        packets = [(await peer.read())[1] for _ in batch]
    assert all(isinstance(packet, SubmitSM) for packet in packets)
    return packets  # type: ignore[return-value]


async def answer(future: "asyncio.Future[SubmitResult]") -> SubmitResult:
    return await asyncio.wait_for(future, PATIENCE_SECONDS)


async def acknowledged_before(peer: Peer) -> list[DeliverSMResp]:
    """What was acknowledged up to now, by means of a heartbeat that must be answered after it."""
    peer.write(999, EnquireLink())
    seen = []
    while True:
        _, pdu = await peer.read()
        if isinstance(pdu, EnquireLinkResp):
            return seen
        assert isinstance(pdu, DeliverSMResp)
        seen.append(pdu)


def receipt_text(stat: str = "DELIVRD", message_id: str = "5f3c9a10", err: str = "000") -> bytes:
    return (
        f"id:{message_id} sub:001 dlvrd:001 submit date:2608091030 done date:2608091031 "
        f"stat:{stat} err:{err} text:x"
    ).encode()


def report(stat: str = "DELIVRD", **others: Any) -> DeliverSM:
    values = {"short_message": receipt_text(stat), "esm_class": 4, **others}
    return DeliverSM(ADDRESS, "NOTICE", source_addr_ton=1, source_addr_npi=1, **values)


# Opening


@pytest.mark.parametrize(
    ("bind", "role"),
    [
        ("transceiver", BindTransceiver),
        ("transmitter", BindTransmitter),
        ("pair", BindTransmitter),
    ],
)
async def test_opening_logs_in_as_the_account_says(bind: str, role: type) -> None:
    async with smsc() as scripted:
        options = {"system_type": "VMS", "addr_ton": 1, "addr_npi": 1, "address_range": "^1069"}
        config = settings(scripted.port, bind=bind, **options)
        gateway = SMPPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        login = await (await scripted.peer()).accept_login()
        await opening
        assert login == role("esme01", PASSWORD, "VMS", 0x34, 1, 1, "^1069")
        gateway.link.abort("the test is over")


async def test_the_login_is_the_recorded_packet() -> None:
    async with smsc() as scripted:
        gateway = SMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        assert (await peer.read_frame()).hex() == VECTORS["smpp-bind-trx"]["hex"]
        peer.writer.write(bytes.fromhex(VECTORS["smpp-bind-trx-resp"]["hex"]))
        await opening
        gateway.link.abort("the test is over")


@pytest.mark.parametrize(
    ("status", "retryable", "words"),
    [
        (0x0E, False, "password is wrong"),
        (0x0F, False, "system_id is not known"),
        (0x53, False, "system_type"),
        (0x03, False, "set `bind` to another"),
        (0x05, True, "logged in already"),
        (0x0D, True, "not given"),
        (0x401, True, "own error"),
    ],
)
async def test_a_refused_login_says_why_and_whether_to_try_again(
    status: int, retryable: bool, words: str
) -> None:
    async with smsc() as scripted:
        gateway = SMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        await (await scripted.peer()).accept_login(status)
        with pytest.raises(LoginRefused, match=words) as refused:
            await opening
        assert refused.value.retryable is retryable
        assert refused.value.code == str(status)
        assert PASSWORD not in str(refused.value)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_a_long_password_is_sent_whole_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with smsc() as scripted:
        config = settings(scripted.port, password="twelve-chars")
        gateway = SMPPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        login = await (await scripted.peer()).accept_login()
        await opening
        assert login.password == "twelve-chars"
        assert LONG_PASSWORD in caplog.messages
        gateway.link.abort("the test is over")


async def test_nobody_at_the_address_is_unreachable() -> None:
    async with smsc() as scripted:
        port = scripted.port
    gateway = SMPPGateway(settings(port), Store().deliver, CLOCK)
    with pytest.raises(Unreachable, match="check address") as error:
        await gateway.open()
    assert error.value.retryable
    await gateway.close(drain_seconds=0)


async def test_a_login_without_an_answer_is_unreachable() -> None:
    async with smsc() as scripted:
        config = settings(scripted.port, response_timeout_seconds=0.1)
        gateway = SMPPGateway(config, Store().deliver, CLOCK)
        with pytest.raises(Unreachable):
            await asyncio.wait_for(gateway.open(), PATIENCE_SECONDS)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_something_else_at_the_address_is_unparseable() -> None:
    async with smsc() as scripted:
        gateway = SMPPGateway(settings(scripted.port), Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        (await scripted.peer()).writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        with pytest.raises(Unparseable, match="does not speak SMPP"):
            await opening


# Submitting


async def test_a_submit_carries_what_the_account_and_the_message_say() -> None:
    options = {
        "sender": "106900001234",
        "source_ton": 3,
        "dest_ton": 2,
        "dest_npi": 8,
        "number_form": "national",
        "service_type": "CMT",
        "protocol_id": 1,
        "priority": 2,
        "esm_mode": 3,
        "registered_delivery": 17,
    }
    until = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    (packet,) = await submitted("您好", options=options, valid_until=until, extension="08")
    assert packet == SubmitSM(
        source_addr="10690000123408",
        destination_addr="19790001234",
        short_message="您好".encode("utf-16-be"),
        service_type="CMT",
        source_addr_ton=3,
        source_addr_npi=1,
        dest_addr_ton=2,
        dest_addr_npi=8,
        esm_class=3,
        protocol_id=1,
        priority_flag=2,
        validity_period="260810103045032+",
        registered_delivery=17,
        data_coding=8,
    )


async def test_by_default_a_submit_is_the_recorded_one() -> None:
    fields = VECTORS["smpp-submit-ucs2"]["fields"]
    (packet,) = await submitted(fields["text"])
    for name in fields.keys() - {"text", "short_message_hex", "destination_addr"}:
        assert getattr(packet, name) == fields[name]
    assert packet.short_message.hex() == fields["short_message_hex"]


@pytest.mark.parametrize("long_text", ["udh", "sar", "payload"])
async def test_vendor_parameters_travel_with_every_submit(long_text: str) -> None:
    options = {"vendor_parameters": {"1400": "313233"}, "long_text": long_text}
    for text in ("短", LONG):
        for packet in await submitted(text, options=options):
            assert TLV(0x1400, b"123") in packet.parameters
            has_sar = any(parameter.tag == Tag.SAR_MSG_REF_NUM for parameter in packet.parameters)
            assert has_sar is (long_text == "sar" and text is LONG)


async def test_validity_may_be_a_span() -> None:
    until = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    (packet,) = await submitted(options={"validity": "relative"}, valid_until=until)
    assert packet.validity_period == "000001000000000R"


async def test_no_receipt_is_asked_for_where_none_is_wanted() -> None:
    (packet,) = await submitted(receipt=False)
    assert packet.registered_delivery == 0


LONG = "".join(VECTORS[f"smpp-submit-udh-{n}of2"]["fields"]["text"] for n in (1, 2))


async def test_a_long_text_travels_in_the_recorded_parts_with_a_header() -> None:
    packets = await submitted(LONG)
    for number, packet in enumerate(packets, start=1):
        expected = VECTORS[f"smpp-submit-udh-{number}of2"]["fields"]
        content = bytearray.fromhex(expected["short_message_hex"])
        content[3] = 0xA7  # the reference is our own
        assert packet.short_message == content
        assert packet.esm_class == 0x40
        assert packet.parameters == ()


async def test_a_long_text_travels_in_the_recorded_parts_with_sar_parameters() -> None:
    packets = await submitted(LONG, options={"long_text": "sar"})
    for number, packet in enumerate(packets, start=1):
        expected = VECTORS[f"smpp-submit-sar-{number}of2"]["fields"]
        assert packet.short_message.hex() == expected["short_message_hex"]
        assert packet.esm_class == 0
        assert packet.parameters == (
            TLV(Tag.SAR_MSG_REF_NUM, 0xBEA7),
            TLV(Tag.SAR_TOTAL_SEGMENTS, 2),
            TLV(Tag.SAR_SEGMENT_SEQNUM, number),
        )


async def test_a_long_text_may_travel_whole() -> None:
    (packet,) = await submitted(LONG, options={"long_text": "payload"})
    payload = VECTORS["smpp-submit-payload"]["fields"]["tlv"]["message_payload_hex"]
    assert packet.short_message == b""
    assert packet.parameters == (TLV(Tag.MESSAGE_PAYLOAD, bytes.fromhex(payload)),)


@pytest.mark.parametrize("long_text", ["udh", "sar", "payload"])
async def test_a_short_text_travels_alike_in_every_way(long_text: str) -> None:
    (packet,) = await submitted("警" * 70, options={"long_text": long_text})
    assert packet.short_message == ("警" * 70).encode("utf-16-be")
    assert (packet.esm_class, packet.parameters) == (0, ())


ALPHABET = {"allow_default_alphabet": True}


@pytest.mark.parametrize(
    ("text", "options", "data_coding", "content"),
    [
        ("a@b€", {}, 8, "a@b€".encode("utf-16-be")),
        ("a@b€", ALPHABET, 0, b"a\x00b\x1be"),
        ("a@b€", {**ALPHABET, "default_data_coding": 1}, 1, b"a\x00b\x1be"),
        ("hellohello", {**ALPHABET, "default_alphabet": "gsm7_packed"}, 0,
         bytes.fromhex("e8329bfd4697d9ec37")),
        ("a@b", {**ALPHABET, "default_alphabet": "ascii"}, 0, b"a@b"),
        ("a@b€", {**ALPHABET, "default_alphabet": "ascii"}, 8, "a@b€".encode("utf-16-be")),
        ("café", {**ALPHABET, "default_alphabet": "latin1", "default_data_coding": 3}, 3,
         b"caf\xe9"),
        ("退订", ALPHABET, 8, "退订".encode("utf-16-be")),
        ("x" * 160, ALPHABET, 0, b"x" * 160),
        ("x" * 160, {**ALPHABET, "long_text": "payload"}, 0, b"x" * 160),
    ],
)  # fmt: skip
async def test_texts_travel_in_the_default_alphabet_where_allowed(
    text: str, options: dict[str, Any], data_coding: int, content: bytes
) -> None:
    (packet,) = await submitted(text, options=options)
    assert (packet.data_coding, packet.short_message) == (data_coding, content)


@pytest.mark.parametrize(
    ("options", "lengths"),
    [({}, [159, 56]), ({"septet_part": 134}, [140, 75]), ({"long_text": "sar"}, [153, 50])],
)
async def test_gsm_texts_are_cut_where_the_account_says(
    options: dict[str, Any], lengths: list[int]
) -> None:
    packets = await submitted("x" * 203, options={**ALPHABET, **options})
    assert [len(packet.short_message) for packet in packets] == lengths


async def test_packed_parts_fill_their_octets() -> None:
    options = {**ALPHABET, "default_alphabet": "gsm7_packed"}
    packets = await submitted("x" * 306, options=options)
    assert [len(packet.short_message) for packet in packets] == [140, 140]


async def test_parts_of_every_kind_join_to_the_text() -> None:
    gateway = SMPPGateway(settings(1, **ALPHABET), Store().deliver, CLOCK)
    for text in ("€" * 200, "警钟🔔" * 60, "x" * 400):
        assert "".join(decode(p.body, p.coding) for p in gateway.split(text)) == text


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [
        (0, Outcome.ACCEPTED, ""),
        (0x58, Outcome.THROTTLED, "frequency_limit"),
        (0x14, Outcome.THROTTLED, "frequency_limit"),
        (0x0B, Outcome.REJECTED, "format"),
        (0x04, Outcome.SUSPENDED, "account"),
        (0x401, Outcome.THROTTLED, "frequency_limit"),
        (0x402, Outcome.SUSPENDED, "account"),
        (0x403, Outcome.DAILY_LIMIT, "account"),
        (0x404, Outcome.REJECTED, "other"),
    ],
)
async def test_each_answer_is_read(status: int, outcome: Outcome, reason: str) -> None:
    own = {"too_fast_codes": [0x401], "suspended_codes": [0x402], "daily_limit_codes": [0x403]}
    async with opened(**own) as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        message_id = "" if status else "5f3c9a10"
        peer.write(sequence, SubmitSMResp(message_id, command_status=status))
        refs = (b"5f3c9a10",) if outcome is Outcome.ACCEPTED else ()
        assert await answer(future) == SubmitResult(outcome, refs, str(status), reason)


async def test_a_batch_is_one_write(monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened() as (gateway, _, _):
        written: list[bytes] = []
        monkeypatch.setattr(gateway.link._transport, "write", written.append)
        gateway.submit(submissions(gateway) * 7)
        assert len(written) == 1


@pytest.mark.attack
async def test_a_lost_link_leaves_written_submits_unanswered_and_takes_no_more() -> None:
    async with opened() as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 3)
        sequence, _ = await peer.read()
        peer.write(sequence, SubmitSMResp("5"))
        assert (await answer(futures[0])).outcome is Outcome.ACCEPTED
        peer.writer.transport.abort()
        assert [(await answer(f)).outcome for f in futures[1:]] == [Outcome.UNANSWERED] * 2
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


async def test_a_silent_smsc_leaves_submits_unanswered_and_the_link_dead() -> None:
    quick = {"response_timeout_seconds": 0.2, "heartbeat_seconds": 0.1}
    async with opened(**quick) as (gateway, _, _):
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.UNANSWERED)
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("sender", "extension"),
    [("106900001234", "012345678"), ("106900001234", "12a"), ("NOTICE", "01")],
)
async def test_an_extension_that_cannot_travel_is_refused_alone(
    sender: str, extension: str
) -> None:
    async with opened(sender=sender) as (gateway, peer, _):
        good = submissions(gateway)
        bad = submissions(gateway, extension=extension)
        first, refused, last = gateway.submit([*good, *bad, *good])
        assert await answer(refused) == SubmitResult(Outcome.REJECTED, (), "extension", "format")
        for future in (first, last):
            sequence, _ = await peer.read()
            peer.write(sequence, SubmitSMResp(str(sequence)))
            assert (await answer(future)).refs == (str(sequence).encode(),)


# Delivering


async def test_a_receipt_is_read_and_acknowledged_after_it_is_stored() -> None:
    async with opened() as (_, peer, store):
        peer.write(31, report())
        assert await store.next() == Receipt(
            ref=b"5f3c9a10",
            recipient=PHONE,
            state=ReceiptState.DELIVERED,
            code="DELIVRD",
            reason="",
            done_at=datetime(2026, 8, 9, 2, 31, tzinfo=UTC),
        )
        assert await acknowledged_before(peer) == []
        store.futures[0].set_result(None)
        assert await peer.read() == (31, DeliverSMResp())


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
        assert await peer.read() == (3, DeliverSMResp())
        assert await acknowledged_before(peer) == []
    assert caplog.messages.count(NOT_STORED) == 1


async def test_a_receipt_may_come_before_the_answer_to_its_submit() -> None:
    async with opened(id_form="hex_decimal") as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report(short_message=receipt_text(message_id="1597807120")))
        receipt = await store.receipt()
        assert not future.done()
        peer.write(sequence, SubmitSMResp("5F3C9A10"))
        assert (await answer(future)).refs == (receipt.ref,)


@pytest.mark.parametrize(
    ("packet", "state", "code", "reason"),
    [
        (report("UNDELIV"), ReceiptState.UNDELIVERED, "UNDELIV", "other"),
        (report("ACCEPTD"), ReceiptState.BUFFERED, "ACCEPTD", ""),
        (report("WHAT?"), ReceiptState.UNDELIVERED, "WHAT?", "other"),
        (report(short_message=receipt_text("EXPIRED", err="04B")), ReceiptState.EXPIRED,
         "EXPIRED:04B", "powered_off"),
        (report(esm_class=0x20), ReceiptState.BUFFERED, "DELIVRD", ""),
        (report(esm_class=0), ReceiptState.DELIVERED, "DELIVRD", ""),
        (report(short_message=b"", parameters=(TLV(0x1E, "5f3c9a10"), TLV(0x427, 8))),
         ReceiptState.REJECTED, "REJECTD", "rejected"),
    ],
)  # fmt: skip
async def test_the_status_is_kept_as_it_came(
    packet: DeliverSM, state: ReceiptState, code: str, reason: str
) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, packet)
        receipt = await store.receipt()
        assert (receipt.state, receipt.code, receipt.reason) == (state, code, reason)


async def test_accepted_is_delivered_where_the_account_says_so() -> None:
    async with opened(accepted_is_final=True, receipt_offset_hours=0) as (_, peer, store):
        peer.write(1, report("ACCEPTD"))
        receipt = await store.receipt()
        assert receipt.state is ReceiptState.DELIVERED
        assert receipt.done_at == datetime(2026, 8, 9, 10, 31, tzinfo=UTC)


async def test_a_receipt_in_data_sm_is_read() -> None:
    payload = (TLV(Tag.MESSAGE_PAYLOAD, receipt_text()),)
    async with opened() as (_, peer, store):
        peer.write(1, DataSM("", 1, 1, ADDRESS, 5, 0, "NOTICE", 4, 0, 0, parameters=payload))
        assert (await store.receipt()).ref == b"5f3c9a10"


async def test_an_unreadable_receipt_is_kept_as_it_came_and_then_acknowledged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    frame = encode(4, report(short_message=b"what is this"))
    async with opened() as (_, peer, store):
        peer.writer.write(frame)
        assert await store.next() == RawDelivery(frame, HEADER_OCTETS, UnreadReason.BROKEN_REPORT)
        store.futures[0].set_result(None)
        assert await peer.read() == (4, DeliverSMResp())
    assert UNREAD in caplog.messages


async def test_a_text_from_a_handset_is_read() -> None:
    async with opened() as (_, peer, store):
        peer.writer.write(bytes.fromhex(VECTORS["smpp-deliver-mo"]["hex"]))
        sender = VECTORS["smpp-deliver-mo"]["fields"]["source_addr"]
        assert await store.next() == Inbound("+" + sender, "106900001234", "退订", 0, 1, 1)


@pytest.mark.parametrize(
    ("number", "packet"),
    [
        (1, DeliverSM(ADDRESS, "1069", b"\x05\x00\x03\x21\x02\x01T", esm_class=0x40)),
        (2, DeliverSM(ADDRESS, "1069", b"\x06\x08\x04\x00\x21\x02\x02T", esm_class=0x40)),
        (2, DeliverSM(ADDRESS, "1069", b"T", parameters=(
            TLV(0x20C, 0x21), TLV(0x20E, 2), TLV(0x20F, 2)))),
        (1, DeliverSM(ADDRESS, "1069", b"", esm_class=0x40, parameters=(
            TLV(0x424, b"\x05\x00\x03\x21\x02\x01T"),))),
    ],
)  # fmt: skip
async def test_texts_in_parts_say_which(number: int, packet: DeliverSM) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, packet)
        assert await store.next() == Inbound(PHONE, "1069", "T", 0x21, number, 2)


async def test_the_default_alphabet_of_a_text_is_the_accounts() -> None:
    for alphabet, text in (("gsm7", "@"), ("latin1", "\x00")):
        async with opened(default_alphabet=alphabet) as (_, peer, store):
            peer.write(1, DeliverSM("10086", "1069", b"\x00"))
            assert await store.next() == Inbound("10086", "1069", text)


octet = st.integers(0, 255)


@given(st.builds(
    DeliverSM, st.just(ADDRESS), st.just("1069"), st.binary(max_size=254),
    esm_class=octet, data_coding=octet, source_addr_ton=octet,
    parameters=st.lists(
        st.builds(TLV, st.just(0x1E), st.text(st.characters(max_codepoint=255)))
        | st.builds(TLV, st.sampled_from([0x427, 0x20C, 0x20E, 0x20F]), st.integers(0, 1 << 63))
        | st.builds(TLV, st.just(0x424), st.binary(max_size=300))
    ).map(tuple),
))  # fmt: skip
def test_nothing_that_is_delivered_raises(message: DeliverSM) -> None:
    acknowledged = []

    async def deliver() -> None:
        for id_form in ("same", "hex_decimal", "decimal_hex"):
            gateway = SMPPGateway(settings(1, id_form=id_form), Store().deliver, CLOCK)
            gateway.link.acknowledge = lambda *args: acknowledged.append(args)  # type: ignore[method-assign]
            gateway._delivered(1, message)

    asyncio.run(deliver())


@pytest.mark.parametrize("text", ["id:警 stat:DELIVRD", "id:é stat:DELIVRD"])
async def test_a_receipt_with_an_id_of_any_characters_is_read(text: str) -> None:
    async with opened() as (_, peer, store):
        peer.write(1, report(short_message=text.encode("utf-16-be"), data_coding=8))
        assert (await store.receipt()).ref in {b"\\u8b66", b"\xe9"}


# Closing


async def test_closing_waits_for_open_answers_and_stores_then_logs_out() -> None:
    async with opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report())
        await store.next()
        closing = asyncio.create_task(gateway.close(drain_seconds=PATIENCE_SECONDS))
        await turns()
        peer.write(sequence, SubmitSMResp("5"))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        store.futures[0].set_result(None)
        assert await peer.read() == (1, DeliverSMResp())
        number, pdu = await peer.read()
        assert isinstance(pdu, Unbind)
        peer.write(number, UnbindResp())
        await asyncio.wait_for(closing, PATIENCE_SECONDS)
        assert gateway.lost.is_set()


@pytest.mark.attack
async def test_no_phone_text_or_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    async with opened() as (gateway, peer, store):
        gateway.submit(submissions(gateway, "警钟长鸣"))
        peer.write(1, report())
        peer.write(2, report(short_message=b"nothing"))
        await store.next()
        peer.writer.write(bytes(16))
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    for private in ("19790001234", "警钟长鸣", PASSWORD):
        assert private not in logged


# Settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"system_id": "a" * 16},
        {"system_id": ""},
        {"password": "p" * 65},
        {"password": "密码"},
        {"sender": ""},
        {"sender": "TWELVE-CHARS"},
        {"sender": "1" * 21},
        {"sender": "通知"},
        {"bind": "both"},
        {"septet_part": 160},
        {"long_text": "none"},
        {"source_ton": 7},
        {"id_form": "octal"},
        {"tls_ca": "not a certificate"},
        {"default_alphabet": "ucs2"},
        {"receipt_offset_hours": 24},
        {"too_fast_codes": [0]},
        {"vendor_parameters": {"14": "31"}},
        {"vendor_parameters": {"1400": "3"}},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        settings(2775, **wrong)


def test_only_a_pair_has_a_receiver_beside_it() -> None:
    for bind, beside in (("transceiver", False), ("transmitter", False), ("pair", True)):
        listener = SMPPGateway.listener(settings(1, bind=bind), Store().deliver, CLOCK)
        assert (listener is not None) is beside


async def test_the_receivers_login_is_a_receivers() -> None:
    async with smsc() as scripted:
        config = settings(scripted.port, bind="pair")
        gateway = SMPPGateway.receiver(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        assert isinstance(await (await scripted.peer()).accept_login(), BindReceiver)
        await opening
        gateway.link.abort("the test is over")
