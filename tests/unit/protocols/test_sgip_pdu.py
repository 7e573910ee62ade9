import struct
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding import udh
from service.coding.parts import Coding
from service.coding.parts import decode as decode_text
from service.protocols.frame import Frames, Malformed
from service.protocols.sgip import pdu as pdus
from service.protocols.sgip.packet import PDU
from service.protocols.sgip.pdu import Submit, Unknown, decode, encode
from service.protocols.sgip.sequence import SequenceNumber
from service.protocols.sgip.trace import Hop, Trace, TraceResp
from tests.harness.vectors import load

VECTORS = load("sgip", "sgip12")
TOLERANCE = load("sgip", "tolerance")
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
CODINGS = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}
SEQUENCE = SequenceNumber(3037112345, 809103045, 1).number
PHONE = "8619790001234"


def kind(vector: dict[str, Any]) -> type[PDU]:
    name = vector["pdu"].removeprefix("SGIP_").title().replace("_", "")
    found: type[PDU] = getattr(pdus, name)
    return found


def build(vector: dict[str, Any]) -> PDU:
    """The packet as the vector's fields describe it."""
    values: dict[str, Any] = {}
    known = {field.name for field in fields(kind(vector))}
    for name, value in vector["fields"].items():
        if name == "reserve":
            assert value == "", "the vectors have no reserve that would have to be compared"
        elif name == "submit_sequence":
            values[name] = SequenceNumber(*value).number
        elif name.endswith("_hex"):
            values[name.removesuffix("_hex")] = bytes.fromhex(value)
        elif name != "text":
            values[name] = tuple(value) if isinstance(value, list) else value
    assert set(values) <= known, "a field of the vector would not be compared"
    return kind(vector)(**values)


def sequence(vector: dict[str, Any]) -> int:
    return SequenceNumber(*vector["sequence"]).number


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
    assert encode(sequence(vector), build(vector)).hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_recorded_octets_decode_to_the_fields(vector: dict[str, Any]) -> None:
    assert decode(bytes.fromhex(vector["hex"])) == (sequence(vector), build(vector))


def test_every_recorded_packet_is_there() -> None:
    assert len(VECTORS) == 26


@pytest.mark.parametrize("vector", [v for v in VECTORS if "text" in v["fields"]], ids=label)
def test_content_is_the_text(vector: dict[str, Any]) -> None:
    content = bytes.fromhex(vector["fields"]["message_content_hex"])
    body = udh.parse(content)[1] if vector["fields"]["tp_udhi"] else content
    coding = CODINGS[vector["fields"]["message_coding"]]
    assert decode_text(body, coding) == vector["fields"]["text"]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_pieces_cut_at_every_octet_decode_to_the_same(vector: dict[str, Any]) -> None:
    frame = bytes.fromhex(vector["hex"])
    whole = [decode(frame)]
    assert all(feed([frame[:cut], frame[cut:]]) == whole for cut in range(1, len(frame)))
    assert feed([bytes((octet,)) for octet in frame]) == whole


def test_several_packets_in_one_segment_decode_in_order() -> None:
    assert feed([b"".join(FRAMES)]) == [decode(frame) for frame in FRAMES]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_a_truncated_packet_is_malformed_or_read_without_its_reserve(
    vector: dict[str, Any],
) -> None:
    frame = bytes.fromhex(vector["hex"])
    whole = decode(frame)
    for length in range(len(frame)):
        missing = len(frame) - length
        if vector["fields"] and missing <= 8:
            assert decode(frame[:length]) == whole, "only the reserve is missing"
        else:
            with pytest.raises(Malformed, match=f"{length} octets"):
                decode(frame[:length])


@given(st.sampled_from(FRAMES), st.binary(max_size=64))
def test_octets_after_the_last_field_are_ignored(frame: bytes, extra: bytes) -> None:
    assert decode(frame + extra) == decode(frame)


@pytest.mark.parametrize("case", TOLERANCE, ids=label)
def test_deviant_packets_of_real_stacks_are_read(case: dict[str, Any]) -> None:
    assert len(feed([bytes.fromhex(case["hex"])])) == 1


def test_an_unbind_answer_with_a_body_is_one() -> None:
    _, pdu = decode(bytes.fromhex(TOLERANCE[0]["hex"]))
    assert pdu == pdus.UnbindResp()


def test_a_vendors_link_id_in_the_reserve_is_kept() -> None:
    frame = bytes.fromhex(next(v["hex"] for v in VECTORS if v["id"] == "sgip-deliver-mo-ucs2"))
    _, deliver = decode(frame[:-8] + b"LINK0007")
    assert isinstance(deliver, pdus.Deliver)
    assert deliver.link_id == "LINK0007"


def test_a_content_longer_than_its_packet_is_malformed() -> None:
    frame = bytearray(encode(SEQUENCE, pdus.Deliver(PHONE, "10655123", b"TD")))
    frame[65:69] = (0xFFFF_FFFF).to_bytes(4, "big")
    with pytest.raises(Malformed):
        decode(bytes(frame))


def test_more_recipients_than_a_packet_has_are_malformed() -> None:
    submit = Submit("10655123", (PHONE,), "12345", b"", 8)
    frame = bytearray(encode(SEQUENCE, submit))
    frame[62] = 200
    with pytest.raises(Malformed):
        decode(bytes(frame))


def test_an_unknown_command_is_named_not_refused() -> None:
    frame = struct.pack(">II12s", 20, 0x77, SEQUENCE.to_bytes(12, "big"))
    assert decode(frame) == (SEQUENCE, Unknown(0x77))


COMMANDS = [0x1, 0x2, 0x3, 0x4, 0x5, 0x11, 0x1000]


@given(st.binary(max_size=400), st.sampled_from(COMMANDS), st.booleans())
def test_no_body_raises_anything_but_malformed(body: bytes, command: int, response: bool) -> None:
    frame = struct.pack(">II12s", 20 + len(body), command | response << 31, bytes(12)) + body
    try:
        decode(frame)
    except Malformed:
        return


@given(st.binary(max_size=80))
def test_no_octets_raise_anything_but_malformed(octets: bytes) -> None:
    try:
        feed([octets])
        decode(octets)
    except Malformed:
        return


@given(st.sampled_from(FRAMES), st.data())
def test_no_damaged_packet_raises_anything_but_malformed(frame: bytes, data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for at in data.draw(st.lists(st.integers(4, len(frame) - 1), max_size=6)):
        damaged[at] = data.draw(st.integers(0, 255))
    try:
        decode(bytes(damaged))
    except Malformed:
        return


def test_a_field_that_does_not_fit_is_refused_not_cut() -> None:
    submit = Submit("1" * 22, (PHONE,), "12345", b"x", 0)
    with pytest.raises(ValueError, match="22 characters"):
        encode(SEQUENCE, submit)


def test_a_packet_longer_than_the_specification_allows_is_not_written() -> None:
    def submit(recipients: int, octets: int) -> Submit:
        return Submit("10655123", (PHONE,) * recipients, "12345", bytes(octets), 8)

    assert len(encode(SEQUENCE, submit(84, 140))) == 143 + 21 * 84 + 140
    assert len(encode(SEQUENCE, submit(83, 160))) <= 2048
    with pytest.raises(ValueError, match="2048"):
        encode(SEQUENCE, submit(85, 140))


def text(octets: int) -> st.SearchStrategy[str]:
    return st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=octets)


octet = st.integers(0, 0xFF)
number = st.integers(0, 2**96 - 1)
contents = st.binary(max_size=160)
hops = st.builds(Hop, octet, text(6), text(16), text(16))
packets = st.one_of(
    st.builds(pdus.Bind, octet, text(16), text(16)),
    st.builds(pdus.Unbind),
    st.builds(pdus.UnbindResp),
    st.builds(
        Submit,
        sp_number=text(21),
        user_number=st.lists(text(21), max_size=80).map(tuple),
        corp_id=text(5),
        message_content=contents,
        message_coding=octet,
        charge_number=text(21),
        service_type=text(10),
        fee_type=octet,
        fee_value=text(6),
        given_value=text(6),
        agent_flag=octet,
        morelateto_mt_flag=octet,
        priority=octet,
        expire_time=text(16),
        schedule_time=text(16),
        report_flag=octet,
        tp_pid=octet,
        tp_udhi=octet,
        message_type=octet,
        link_id=text(8),
    ),
    st.builds(pdus.Deliver, text(21), text(21), contents, octet, octet, octet, text(8)),
    st.builds(pdus.Report, number, text(21), octet, octet, octet),
    st.builds(pdus.UserRpt, text(21), text(21), octet),
    st.builds(Trace, number, text(21)),
    st.builds(TraceResp, st.lists(hops, max_size=40).map(tuple)),
    *(
        st.builds(answer, octet)
        for answer in (
            *(pdus.BindResp, pdus.SubmitResp, pdus.DeliverResp, pdus.ReportResp),
            pdus.UserRptResp,
        )
    ),
)


@given(number, packets)
def test_every_packet_survives_the_wire(sequence: int, pdu: PDU) -> None:
    frame = encode(sequence, pdu)
    assert int.from_bytes(frame[:4], "big") == len(frame)
    assert decode(frame) == (sequence, pdu)


def test_a_user_report_is_laid_out_as_the_specification_says() -> None:
    frame = encode(SEQUENCE, pdus.UserRpt("10655123", PHONE, 1))
    assert len(frame) == 71
    assert frame[20:28] == b"10655123"
    assert frame[41:54] == PHONE.encode()
    assert frame[62] == 1


def test_a_trace_answer_is_laid_out_as_the_specification_says() -> None:
    hop = Hop(0, "100101", "260809103045032+", "260809103046032+")
    frame = encode(SEQUENCE, TraceResp((hop, hop)))
    assert len(frame) == 20 + 1 + 2 * 47
    assert frame[20] == 2
    assert frame[22:28] == b"100101"
    assert frame[28:44] == b"260809103045032+"
