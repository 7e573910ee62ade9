import struct
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.frame import Frames, Malformed
from service.protocols.smpp import operations
from service.protocols.smpp import pdu as pdus
from service.protocols.smpp.coding import DefaultAlphabet, read_text
from service.protocols.smpp.operations import (
    DISTRIBUTION_LIST,
    AlertNotification,
    Destination,
    Outbind,
    ReplaceSM,
    SubmitMulti,
    SubmitMultiResp,
    Unsuccess,
)
from service.protocols.smpp.packet import PDU
from service.protocols.smpp.pdu import (
    BindTransceiverResp,
    DataSM,
    DeliverSM,
    DeliverSMResp,
    GenericNack,
    SubmitSM,
    SubmitSMResp,
    Unknown,
    decode,
    encode,
)
from service.protocols.smpp.tlv import TLV, Tag
from tests.harness.vectors import load

VECTORS = load("smpp", "smpp34")
TOLERANCE = load("smpp", "tolerance")
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
DISPUTED = [
    pytest.param(vector, bytes.fromhex(form["hex"]), id=f"{vector['id']}-{number}")
    for vector in VECTORS
    for number, form in enumerate(vector.get("disputed", ()))
]
PHONE = "8619790001234"


def kind(vector: dict[str, Any]) -> type[PDU]:
    name = "".join("SM" if word == "sm" else word.capitalize() for word in vector["pdu"].split("_"))
    found: type[PDU] = getattr(pdus, name, None) or getattr(operations, name)
    return found


def parameters(values: dict[str, Any]) -> tuple[TLV, ...]:
    found = []
    for name, value in values.items():
        tag = Tag[name.removesuffix("_hex").upper()]
        found.append(TLV(tag, bytes.fromhex(value) if name.endswith("_hex") else value))
    return tuple(found)


def build(vector: dict[str, Any]) -> PDU:
    """The packet as the vector's fields describe it."""
    values: dict[str, Any] = {}
    given_fields = {name: value for name, value in vector["fields"].items() if name != "text"}
    if "dest_addresses" in given_fields:
        ton, npi = given_fields.pop("dest_addr_ton"), given_fields.pop("dest_addr_npi")
        numbers = given_fields["dest_addresses"]
        given_fields["dest_addresses"] = tuple(Destination(n, ton, npi) for n in numbers)
    for name, value in given_fields.items():
        if name == "tlv":
            values["parameters"] = parameters(value)
        elif name.endswith("_hex"):
            values[name.removesuffix("_hex")] = bytes.fromhex(value)
        else:
            values[name] = value
    known = {field.name for field in fields(kind(vector))}
    assert set(values) <= known, "a field of the vector would not be compared"
    return kind(vector)(**values)


def label(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def feed(chunks: list[bytes]) -> list[tuple[int, PDU]]:
    frames = Frames(minimum=pdus.HEADER_OCTETS, maximum=pdus.MAX_FRAME_OCTETS)
    found = []
    for chunk in chunks:
        frames.feed(chunk)
        found += [decode(frame) for frame in frames]
    return found


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_fields_encode_to_the_recorded_octets(vector: dict[str, Any]) -> None:
    assert encode(vector["sequence"], build(vector)).hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_recorded_octets_decode_to_the_fields(vector: dict[str, Any]) -> None:
    assert decode(bytes.fromhex(vector["hex"])) == (vector["sequence"], build(vector))


@pytest.mark.parametrize(("vector", "frame"), DISPUTED)
def test_the_forms_of_other_stacks_decode_to_the_same(vector: dict[str, Any], frame: bytes) -> None:
    assert decode(frame) == (vector["sequence"], build(vector))


@pytest.mark.parametrize("vector", [v for v in VECTORS if "text" in v["fields"]], ids=label)
def test_content_is_the_text(vector: dict[str, Any]) -> None:
    _, message = decode(bytes.fromhex(vector["hex"]))
    if isinstance(message, SubmitMulti):
        assert message.short_message.decode("ascii") == vector["fields"]["text"]
        return
    assert isinstance(message, SubmitSM | DeliverSM)
    text, place = read_text(message, DefaultAlphabet.GSM7)
    assert text == vector["fields"]["text"]
    assert place.total == (2 if "of2" in vector["id"] else 1)


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_pieces_cut_at_every_octet_decode_to_the_same(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    whole = [decode(frame)]
    assert all(feed([frame[:cut], frame[cut:]]) == whole for cut in range(1, len(frame)))
    assert feed([bytes((octet,)) for octet in frame]) == whole


def test_several_packets_in_one_segment_decode_in_order() -> None:
    assert feed([b"".join(FRAMES)]) == [decode(frame) for frame in FRAMES]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_a_truncated_request_is_malformed_or_read_without_its_parameters(
    vector: dict[str, Any],
) -> None:
    frame = bytes.fromhex(vector["hex"])
    sequence, whole = decode(frame)
    for length in range(len(frame)):
        try:
            number, found = decode(frame[:length])
        except Malformed:
            continue
        assert number == sequence
        if whole.command & 0x8000_0000:
            continue  # a response is read as far as it goes
        assert length >= len(encode(sequence, found)), "a missing field was made up"
        assert found.parameters == whole.parameters[: len(found.parameters)]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_octets_after_the_last_field_are_ignored(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    if not vector["fields"].get("command_status"):  # such a response has no last field
        assert decode(frame + b"\xff\xff\xff") == decode(frame)


@pytest.mark.parametrize("case", TOLERANCE, ids=label)
def test_deviant_packets_of_real_stacks_are_read(case: dict[str, Any]) -> None:
    ((_, found),) = feed([bytes.fromhex(case["hex"])])
    assert found.command_status in {0x0E, 0x14, 0x58}


@pytest.mark.parametrize(
    ("tail", "message_id"),
    [("", ""), ("00", ""), ("6162", "ab"), ("616200", "ab"), ("61620000", "ab")],
)
@pytest.mark.parametrize("status", [0, 0x58])
def test_a_response_may_lack_its_body_or_the_end_of_it(
    tail: str, message_id: str, status: int
) -> None:
    body = bytes.fromhex(tail)
    frame = struct.pack(">IIII", 16 + len(body), 0x80000004, status, 3) + body
    assert decode(frame) == (3, SubmitSMResp(message_id, command_status=status))


def test_an_error_that_says_something_keeps_its_body() -> None:
    refusal = SubmitSMResp("17", command_status=0x58)
    assert decode(encode(3, refusal)) == (3, refusal)
    partly = SubmitMultiResp("", (Unsuccess(1, 1, PHONE, 11),), command_status=0x0B)
    assert decode(encode(3, partly)) == (3, partly)


def test_an_unknown_command_is_named_not_refused() -> None:
    assert decode(struct.pack(">IIII", 16, 0x77, 0, 5)) == (5, Unknown(0x77))


# Without a vector: octets written by hand from the tables of the specification.
BY_HAND = [
    (
        Outbind("SMSC01", "secret"),
        "0000001e 0000000b 00000000 00000001 534d5343303100 73656372657400",
    ),
    (
        AlertNotification(
            1, 1, PHONE, 5, 0, "NOTICE", parameters=(TLV(Tag.MS_AVAILABILITY_STATUS, 0),)
        ),
        (
            "0000002e 00000102 00000000 00000001 0101 3836313937393030303132333400"
            "0500 4e4f5449434500 0422000100"
        ),
    ),
    (
        DataSM("", 1, 1, PHONE, 5, 0, "NOTICE", 4, 0, 0, parameters=(TLV(0x0424, b"hi"),)),
        (
            "00000033 00000103 00000000 00000001 00 0101 3836313937393030303132333400"
            "0500 4e4f5449434500 04 00 00 04240002 6869"
        ),
    ),
    (
        ReplaceSM("5f3c", 5, 0, "NOTICE", "", "000001000000000R", 1, 0, b"hi"),
        (
            "00000035 00000007 00000000 00000001 3566336300 0500 4e4f5449434500 00"
            "30303030303130303030303030303052 00 01 00 02 6869"
        ),
    ),
    (
        SubmitMulti("NOTICE", (Destination("staff", 0, 0, DISTRIBUTION_LIST),), b"hi"),
        (
            "0000002e 00000021 00000000 00000001 00 0000 4e4f5449434500 01 02 737461666600"
            "00 00 00 00 00 00 00 00 00 02 6869"
        ),
    ),
    (
        SubmitMultiResp("5f3c", (Unsuccess(1, 1, PHONE, 11),)),
        (
            "0000002a 80000021 00000000 00000001 3566336300 01 0101 3836313937393030303132333400"
            "0000000b"
        ),
    ),
]


@pytest.mark.parametrize(("packet", "octets"), BY_HAND, ids=lambda v: type(v).__name__)
def test_packets_without_a_vector(packet: PDU, octets: str) -> None:
    frame = bytes.fromhex(octets)
    assert encode(1, packet).hex() == frame.hex()
    assert decode(frame) == (1, packet)


# Optional parameters


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("042700010 2".replace(" ", ""), TLV(Tag.MESSAGE_STATE, 2)),
        ("0427000400000002", TLV(Tag.MESSAGE_STATE, 2)),
        ("04270000", TLV(Tag.MESSAGE_STATE, b"")),
        ("001e000361620a", TLV(Tag.RECEIPTED_MESSAGE_ID, "ab\n")),
        ("001e000561620000ff", TLV(Tag.RECEIPTED_MESSAGE_ID, "ab")),
        ("001e0000", TLV(Tag.RECEIPTED_MESSAGE_ID, "")),
        ("0423000303000b", TLV(Tag.NETWORK_ERROR_CODE, b"\x03\x00\x0b")),
        ("130c0000", TLV(Tag.ALERT_ON_MESSAGE_DELIVERY, b"")),
        ("1400000 2beef".replace(" ", ""), TLV(0x1400, b"\xbe\xef")),
    ],
)
def test_optional_parameters_are_read_as_what_they_are(octets: str, expected: TLV) -> None:
    frame = encode(1, BindTransceiverResp("SMSC")) + bytes.fromhex(octets)
    _, found = decode(frame)
    assert found.parameters == (expected,)


@pytest.mark.parametrize("tail", ["04", "042400", "0424000501", "0424ffff0102"])
def test_what_is_no_whole_parameter_ends_them(tail: str) -> None:
    good = DeliverSM(PHONE, "1069", b"x", parameters=(TLV(Tag.MESSAGE_STATE, 2),))
    assert decode(encode(1, good) + bytes.fromhex(tail)) == (1, good)


def test_message_payload_stands_in_for_the_text() -> None:
    payload = DeliverSM(PHONE, "1069", b"", parameters=(TLV(Tag.MESSAGE_PAYLOAD, b"long"),))
    assert payload.content == b"long"
    assert DeliverSM(PHONE, "1069", b"short").content == b"short"


# Strict in what is written


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (SubmitSM("NOTICE", "1" * 21, b""), "21 characters"),
        (SubmitSM("通知", PHONE, b""), "latin-1"),
        (SubmitSM("a\x00b", PHONE, b""), "zero octet"),
        (SubmitSM("NOTICE", PHONE, bytes(256)), "does not fit"),
        (SubmitSM("NOTICE", PHONE, b"", data_coding=256), "does not fit"),
        (DeliverSM(PHONE, "1", b"", parameters=(TLV(Tag.MESSAGE_STATE, 256),)), "256"),
        (DeliverSM(PHONE, "1", b"", parameters=(TLV(Tag.MESSAGE_PAYLOAD, bytes(65536)),)), "65536"),
        (DeliverSM(PHONE, "1", b"", parameters=(TLV(0x1E, "a\x00"),)), "zero octet"),
        (pdus.BindTransceiver("a" * 16, "pw"), "16 characters"),
        (SubmitMultiResp("", (Unsuccess(1, 1, "1", 1 << 32),)), "does not fit"),
    ],
)
def test_what_does_not_fit_is_refused_not_cut(wrong: PDU, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode(1, wrong)


# Any octets, any fields

latin = st.characters(min_codepoint=1, max_codepoint=0xFF)
octet = st.integers(0, 255)
numbers = {1: octet, 2: st.integers(0, 0xFFFF), 4: st.integers(0, 0xFFFF_FFFF)}
tlvs = st.one_of(
    st.builds(TLV, st.sampled_from([Tag.MESSAGE_STATE, Tag.SAR_TOTAL_SEGMENTS]), octet),
    st.builds(TLV, st.just(Tag.SAR_MSG_REF_NUM), numbers[2]),
    st.builds(TLV, st.just(Tag.QOS_TIME_TO_LIVE), numbers[4]),
    st.builds(TLV, st.just(Tag.RECEIPTED_MESSAGE_ID), st.text(latin, max_size=64)),
    st.builds(TLV, st.sampled_from([0x0424, 0x0423, 0x1400, 0x3FFF]), st.binary(max_size=300)),
)
trailing = st.lists(tlvs, max_size=4).map(tuple)


def text(octets: int) -> st.SearchStrategy[str]:
    return st.text(latin, max_size=octets - 1)


OCTET_FIELDS = (
    *("source_addr_ton", "source_addr_npi", "dest_addr_ton", "dest_addr_npi"),
    *("esm_class", "protocol_id", "priority_flag", "registered_delivery"),
    *("replace_if_present_flag", "data_coding", "sm_default_msg_id"),
)


def short_messages(kind: type[PDU]) -> st.SearchStrategy[PDU]:
    return st.builds(
        kind,
        source_addr=text(21),
        destination_addr=text(21),
        short_message=st.binary(max_size=254),
        service_type=text(6),
        schedule_delivery_time=text(17),
        validity_period=text(17),
        parameters=trailing,
        **dict.fromkeys(OCTET_FIELDS, octet),
    )


def described(kind: type[PDU]) -> st.SearchStrategy[PDU]:
    """Packets of a class whose fields are all texts and octets."""
    values = {
        name: octet if width is None else text(width)
        for name, width in zip(kind.names(), kind.kinds, strict=True)
    }
    return st.builds(kind, parameters=trailing, **values)


KINDS = [found for found in pdus._KNOWN.values() if found.kinds]


@given(st.one_of(*map(described, KINDS), *map(short_messages, (SubmitSM, DeliverSM))))
def test_what_is_written_is_read(packet: PDU) -> None:
    assert decode(encode(7, packet)) == (7, packet)


@given(
    st.one_of(
        st.builds(
            SubmitMulti,
            source_addr=text(21),
            dest_addresses=st.lists(
                st.one_of(
                    st.builds(Destination, text(21), octet, octet),
                    st.builds(Destination, text(21), st.just(0), st.just(0), st.just(2)),
                ),
                max_size=254,
            ).map(tuple),
            short_message=st.binary(max_size=254),
            parameters=trailing,
        ),
        st.builds(
            SubmitMultiResp,
            text(65),
            st.lists(st.builds(Unsuccess, octet, octet, text(21), numbers[4]), max_size=9).map(
                tuple
            ),
            parameters=trailing,
        ),
        st.builds(
            ReplaceSM,
            *(text(65), octet, octet, text(21), text(17), text(17), octet, octet),
            st.binary(max_size=254),
            parameters=trailing,
        ),
    )
)
def test_packets_with_lists_are_read_as_written(packet: PDU) -> None:
    assert decode(encode(7, packet)) == (7, packet)


COMMANDS = [*sorted(pdus._KNOWN), 0x77, 0x80000077]


@given(
    st.binary(max_size=400), st.sampled_from(COMMANDS), st.sampled_from([0, 1, 0x58, 0xFFFFFFFF])
)
def test_no_body_raises_anything_but_malformed(body: bytes, command: int, status: int) -> None:
    try:
        sequence, found = decode(struct.pack(">IIII", 16 + len(body), command, status, 7) + body)
    except Malformed:
        return
    assert sequence == 7
    assert found.command_status == status
    if isinstance(found, SubmitSM | DeliverSM | DataSM):
        read_text(found, DefaultAlphabet.GSM7)


@given(st.binary(max_size=60))
def test_no_octets_raise_anything_but_malformed(octets: bytes) -> None:
    try:
        feed([octets])
    except Malformed:
        return


def test_responses_without_anything_to_say_are_the_shortest() -> None:
    assert len(encode(1, DeliverSMResp(command_status=0x64))) == 16
    assert len(encode(1, DeliverSMResp())) == 17
    assert len(encode(0, GenericNack(command_status=3))) == 16
