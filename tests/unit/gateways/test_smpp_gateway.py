"""What only the SMPP gateway does; what every gateway does is in `stream`."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.channels.contract.gateway import (
    Inbound,
)
from service.channels.contract.outcome import ReceiptState
from service.coding.parts import decode
from service.gateways.smpp import LONG_PASSWORD, SMPPGateway
from service.protocols.smpp.pdu import (
    BindReceiver,
    BindTransceiver,
    BindTransmitter,
    DataSM,
    DeliverSM,
    SubmitSM,
    SubmitSMResp,
)
from service.protocols.smpp.tlv import TLV, Tag
from tests.harness.scripted import CLOCK, PHONE, Store, answer, submissions
from tests.harness.smpp import (
    ADDRESS,
    PASSWORD,
    SMPP,
    VECTORS,
    receipt_text,
    report,
    settings,
    smsc,
)


async def submitted(text: str = "警钟", *, options: Any = None, **others: Any) -> list[SubmitSM]:
    """The packets that a text becomes under some settings."""
    async with SMPP.opened(**(options or {})) as (gateway, peer, _):
        batch = submissions(gateway, text, **others)
        gateway.submit(batch)
        packets = [(await peer.read())[1] for _ in batch]
    assert all(isinstance(packet, SubmitSM) for packet in packets)
    return packets


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


# Submitting


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


# Delivering


async def test_a_receipt_may_come_before_the_answer_to_its_submit() -> None:
    async with SMPP.opened(id_form="hex_decimal") as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(1, report(short_message=receipt_text(message_id="1597807120")))
        receipt = await store.receipt()
        assert not future.done()
        peer.write(sequence, SubmitSMResp("5F3C9A10"))
        assert (await answer(future)).refs == (receipt.ref,)


async def test_accepted_is_delivered_where_the_account_says_so() -> None:
    async with SMPP.opened(accepted_is_final=True, receipt_offset_hours=0) as (_, peer, store):
        peer.write(1, report("ACCEPTD"))
        receipt = await store.receipt()
        assert receipt.state is ReceiptState.DELIVERED
        assert receipt.done_at == datetime(2026, 8, 9, 10, 31, tzinfo=UTC)


async def test_a_receipt_in_data_sm_is_read() -> None:
    payload = (TLV(Tag.MESSAGE_PAYLOAD, receipt_text()),)
    async with SMPP.opened() as (_, peer, store):
        peer.write(1, DataSM("", 1, 1, ADDRESS, 5, 0, "NOTICE", 4, 0, 0, parameters=payload))
        assert (await store.receipt()).ref == b"5f3c9a10"


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
    async with SMPP.opened() as (_, peer, store):
        peer.write(1, packet)
        assert await store.next() == Inbound(PHONE, "1069", "T", 0x21, number, 2)


async def test_the_default_alphabet_of_a_text_is_the_accounts() -> None:
    for alphabet, text in (("gsm7", "@"), ("latin1", "\x00")):
        async with SMPP.opened(default_alphabet=alphabet) as (_, peer, store):
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
            gateway.link.acknowledge = lambda *args: acknowledged.append(args)  # type: ignore[method-assign]  # of this link alone
            gateway._delivered(1, message)

    asyncio.run(deliver())


@pytest.mark.parametrize("text", ["id:警 stat:DELIVRD", "id:é stat:DELIVRD"])
async def test_a_receipt_with_an_id_of_any_characters_is_read(text: str) -> None:
    async with SMPP.opened() as (_, peer, store):
        peer.write(1, report(short_message=text.encode("utf-16-be"), data_coding=8))
        assert (await store.receipt()).ref in {b"\\u8b66", b"\xe9"}


# Settings


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
