import struct
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding.parts import Coding
from service.coding.parts import decode as decode_text
from service.protocols.cmpp import pdu as pdus
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import Deliver, Submit, Unknown, decode, encode
from service.protocols.cmpp.query import Cancel, CancelResp, Query, QueryResp
from service.protocols.cmpp.report import Report, parse_report
from service.protocols.cmpp.version import BY_NAME, V20, V21, V30, VERSIONS, Version
from service.protocols.frame import Frames, Malformed
from tests.harness.vectors import load

VECTORS = load("cmpp", "cmpp20") + load("cmpp", "cmpp30")
TOLERANCE = load("cmpp", "tolerance")
FRAMES = [(bytes.fromhex(vector["hex"]), BY_NAME[vector["version"]]) for vector in VECTORS]
NOT_ON_THE_WIRE = {"shared_secret", "text", "reserve"}
READ_BY_LENGTH = {"CMPP_CONNECT_RESP", "CMPP_CANCEL_RESP"}


def version_of(vector: dict[str, Any]) -> Version:
    return BY_NAME[vector["version"]]


def kind(vector: dict[str, Any]) -> type[PDU]:
    name = vector["pdu"].removeprefix("CMPP_").title().replace("_", "")
    found: type[PDU] = getattr(pdus, name)
    return found


def build(vector: dict[str, Any]) -> PDU:
    """The packet as the vector's fields describe it."""
    given_fields = {k: v for k, v in vector["fields"].items() if k not in NOT_ON_THE_WIRE}
    values: dict[str, Any] = {}
    for name, value in given_fields.items():
        if name == "report":
            octets = version_of(vector).terminal_octets
            values["msg_content"] = Report(**value).encode(number_octets=octets)
        elif name.endswith("_hex"):
            values[name.removesuffix("_hex")] = bytes.fromhex(value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    known = {field.name for field in fields(kind(vector))}
    if vector["pdu"] == "CMPP_CONNECT_RESP":
        values.pop("authenticator_source", None)
    assert set(values) <= known, "a field of the vector would not be compared"
    return kind(vector)(**values)


def label(vector: dict[str, Any]) -> str:
    return str(vector["id"])


def feed(chunks: list[bytes], version: Version) -> list[tuple[int, PDU]]:
    frames = Frames(minimum=pdus.HEADER_OCTETS, maximum=pdus.MAX_FRAME_OCTETS)
    found = []
    for chunk in chunks:
        frames.feed(chunk)
        found += [decode(frame, version) for frame in frames]
    return found


def test_all_packets_of_both_versions_are_recorded() -> None:
    assert [version_of(vector) for vector in VECTORS] == [V20] * 30 + [V30] * 30


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_fields_encode_to_the_recorded_octets(vector: dict[str, Any]) -> None:
    octets = encode(vector["sequence"], build(vector), version_of(vector))
    assert octets.hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_recorded_octets_decode_to_the_fields(vector: dict[str, Any]) -> None:
    found = decode(bytes.fromhex(vector["hex"]), version_of(vector))
    assert found == (vector["sequence"], build(vector))


@pytest.mark.parametrize("vector", load("cmpp", "cmpp20"), ids=label)
def test_21_has_the_layouts_of_20(vector: dict[str, Any]) -> None:
    assert encode(vector["sequence"], build(vector), V21).hex() == vector["hex"]


@pytest.mark.parametrize("vector", [v for v in VECTORS if "report" in v["fields"]], ids=label)
def test_reports_are_read(vector: dict[str, Any]) -> None:
    _, deliver = decode(bytes.fromhex(vector["hex"]), version_of(vector))
    assert isinstance(deliver, Deliver)
    assert parse_report(deliver.msg_content) == Report(**vector["fields"]["report"])


@pytest.mark.parametrize("vector", [v for v in VECTORS if "text" in v["fields"]], ids=label)
def test_content_is_the_text(vector: dict[str, Any]) -> None:
    content = bytes.fromhex(vector["fields"]["msg_content_hex"])
    coding = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}[vector["fields"]["msg_fmt"]]
    header = content[0] + 1 if vector["fields"]["tp_udhi"] else 0
    assert decode_text(content[header:], coding) == vector["fields"]["text"]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_pieces_cut_at_every_octet_decode_to_the_same(vector: dict[str, Any]) -> None:
    frame, version = bytes.fromhex(vector["hex"]), version_of(vector)
    whole = [decode(frame, version)]
    pieces = ([frame[:cut], frame[cut:]] for cut in range(1, len(frame)))
    assert all(feed(piece, version) == whole for piece in pieces)
    assert feed([bytes((octet,)) for octet in frame], version) == whole


@pytest.mark.parametrize("version", [V20, V30], ids=lambda version: version.name)
def test_several_packets_in_one_segment_decode_in_order(version: Version) -> None:
    frames = [frame for frame, spoken in FRAMES if spoken is version]
    assert feed([b"".join(frames)], version) == [decode(frame, version) for frame in frames]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_a_truncated_packet_is_malformed_or_read_without_its_reserve(
    vector: dict[str, Any],
) -> None:
    frame, version = bytes.fromhex(vector["hex"]), version_of(vector)
    whole = decode(frame, version)
    dispensable = max(version.link_id_octets, 8)
    if "report" in vector["id"]:
        assert isinstance(whole[1], pdus.Deliver)
        dispensable += len(whole[1].msg_content) - 60  # as long as the shorter report is there
    for length in range(len(frame)):
        try:
            assert decode(frame[:length], version)[0] == whole[0]
        except Malformed:
            continue
        missing = len(frame) - length
        assert missing <= dispensable, f"{missing} octets are missing and nobody noticed"


@given(st.sampled_from(VECTORS), st.binary(max_size=64))
def test_octets_after_the_last_field_are_ignored(vector: dict[str, Any], extra: bytes) -> None:
    frame, version = bytes.fromhex(vector["hex"]), version_of(vector)
    if vector["pdu"] not in READ_BY_LENGTH:
        assert decode(frame + extra, version) == decode(frame, version)


@pytest.mark.parametrize("case", TOLERANCE, ids=label)
def test_deviant_packets_of_real_stacks_are_read(case: dict[str, Any]) -> None:
    version = V30 if case["id"].startswith("cmpp30") else V20
    assert len(feed([bytes.fromhex(case["hex"])], version)) == 1


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.get("disputed")], ids=label)
def test_other_forms_of_the_same_packet_are_accepted(vector: dict[str, Any]) -> None:
    expected = build(vector)
    for form in vector["disputed"]:
        sequence, found = decode(bytes.fromhex(form["hex"]), version_of(vector))
        assert sequence == vector["sequence"]
        assert type(found) is type(expected)
        if isinstance(found, CancelResp):
            assert found == expected


@pytest.mark.parametrize("version", [V20, V30], ids=lambda version: version.name)
@pytest.mark.parametrize("other", [V20, V30], ids=lambda version: version.name)
def test_answers_to_connect_and_cancel_are_read_in_either_width(
    version: Version, other: Version
) -> None:
    for answer in (pdus.ConnectResp(3, bytes(range(16)), other.octet), CancelResp(1)):
        assert decode(encode(9, answer, other), version) == (9, answer)


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("octets", [21, 32])
def test_a_report_of_either_length_is_read_in_either_version(version: Version, octets: int) -> None:
    report = Report(2**64 - 1, "MK:0005", "2608091030", "2608091031", "1" * 21, 123456)
    block = report.encode(number_octets=octets)
    deliver = Deliver(77, "1069", "1" * 21, block, registered_delivery=1)
    _, found = decode(encode(1, deliver, version), version)
    assert isinstance(found, Deliver)
    assert len(found.msg_content) == {21: 60, 32: 71}[octets]
    assert parse_report(found.msg_content) == report


def test_a_report_of_60_octets_in_30_is_read() -> None:
    _, deliver = decode(bytes.fromhex(TOLERANCE[0]["hex"]), V30)
    assert isinstance(deliver, Deliver)
    assert len(deliver.msg_content) == 60
    report = parse_report(deliver.msg_content)
    assert report == Report(
        9559430349364986156, "DELIVRD", "2608091030", "2608091031", "138" + "00138000", 123456
    )
    assert report.encode(number_octets=21) == deliver.msg_content


def test_heartbeat_answers_of_12_octets_are_read() -> None:
    assert decode(bytes.fromhex("0000000c80000008000000c8")) == (200, pdus.ActiveTestResp())


def test_an_unknown_command_is_named_not_refused() -> None:
    assert decode(struct.pack(">III", 12, 0x77, 5)) == (5, Unknown(0x77))


@given(
    st.binary(max_size=400),
    st.sampled_from([1, 2, 4, 5, 6, 7, 8, 9]),
    st.booleans(),
    st.sampled_from(VERSIONS),
)
def test_no_body_raises_anything_but_malformed(
    body: bytes, command: int, response: bool, version: Version
) -> None:
    frame = struct.pack(">III", 12 + len(body), command | response << 31, 7) + body
    try:
        decode(frame, version)
    except Malformed:
        return


@given(st.binary(max_size=40), st.sampled_from(VERSIONS))
def test_no_octets_raise_anything_but_malformed(octets: bytes, version: Version) -> None:
    try:
        decode(octets, version)
    except Malformed:
        return


@given(st.binary(max_size=120))
def test_report_blocks_of_any_length_are_read_or_refused(content: bytes) -> None:
    assert (parse_report(content) is None) == (len(content) < 35)


def texts(octets: int) -> st.SearchStrategy[str]:
    """What a field of that width can carry: ASCII, without zeros or spaces at the end."""
    characters = st.characters(min_codepoint=1, max_codepoint=0x7F)
    return st.text(characters, max_size=octets).map(lambda text: text.rstrip(" "))


def numbers(octets: int) -> st.SearchStrategy[int]:
    return st.integers(min_value=0, max_value=256**octets - 1)


@st.composite
def packets(draw: st.DrawFn) -> tuple[PDU, Version]:
    """Any packet that a version can express."""
    version = draw(st.sampled_from(VERSIONS))
    terminal, result = texts(version.terminal_octets), numbers(version.result_octets)
    kinds, link_id = numbers(version.type_octets), texts(version.link_id_octets)
    digests = st.binary(min_size=16, max_size=16)
    octet, identifier = numbers(1), numbers(8)
    submit = st.builds(
        Submit,
        dest_terminal_id=st.lists(terminal, max_size=100).map(tuple),
        msg_content=st.binary(max_size=255),
        src_id=texts(21),
        msg_src=texts(6),
        **dict.fromkeys(("msg_fmt", "pk_total", "pk_number", "registered_delivery"), octet),
        **dict.fromkeys(("msg_level", "fee_user_type", "tp_pid", "tp_udhi"), octet),
        **dict.fromkeys(("fee_terminal_type", "dest_terminal_type"), kinds),
        **dict.fromkeys(("valid_time", "at_time"), texts(17)),
        msg_id=identifier,
        service_id=texts(10),
        fee_terminal_id=terminal,
        fee_type=texts(2),
        fee_code=texts(6),
        link_id=link_id,
    )
    deliver = st.builds(
        Deliver,
        msg_id=identifier,
        dest_id=texts(21),
        src_terminal_id=terminal,
        msg_content=st.binary(max_size=255),
        **dict.fromkeys(("registered_delivery", "msg_fmt", "tp_pid", "tp_udhi"), octet),
        service_id=texts(10),
        src_terminal_type=kinds,
        link_id=link_id,
    )
    others = (
        st.builds(pdus.Connect, texts(6), digests, octet, numbers(4)),
        st.builds(pdus.ConnectResp, result, digests, octet),
        st.builds(pdus.SubmitResp, identifier, result),
        st.builds(pdus.DeliverResp, identifier, result),
        st.builds(Query, texts(8), octet, texts(10)),
        st.builds(QueryResp, texts(8), octet, texts(10), *[numbers(4)] * 8),
        st.builds(Cancel, identifier),
        st.builds(CancelResp, result),
        st.builds(pdus.ActiveTestResp, octet),
    )
    return draw(st.one_of(submit, deliver, *others)), version


@given(packets(), numbers(4))
def test_every_packet_that_can_be_written_is_read_back(
    case: tuple[PDU, Version], sequence: int
) -> None:
    pdu, version = case
    assert decode(encode(sequence, pdu, version), version) == (sequence, pdu)


SUBMIT: dict[str, Any] = {
    "dest_terminal_id": ("19790001234",),
    "msg_content": b"x",
    "src_id": "1069",
    "msg_src": "901234",
    "msg_fmt": 0,
}


@pytest.mark.parametrize(
    ("version", "wrong", "words"),
    [
        (V30, {"src_id": "1" * 22}, "22 characters"),
        (V30, {"dest_terminal_id": ("1" * 33,)}, "33 characters"),
        (V20, {"dest_terminal_id": ("1" * 22,)}, "22 characters"),
        (V20, {"link_id": "7"}, "field of 0"),
        (V20, {"dest_terminal_type": 1}, "cannot be written in CMPP 2.0"),
        (V20, {"fee_terminal_type": 1}, "cannot be written in CMPP 2.0"),
        (V30, {"fee_terminal_type": 256}, "cannot be written in CMPP 3.0"),
        (V30, {"pk_total": 256}, "cannot be written in CMPP 3.0"),
        (V30, {"msg_content": bytes(256)}, "cannot be written in CMPP 3.0"),
        (V30, {"msg_src": "警"}, "ascii"),
    ],
)
def test_what_does_not_fit_is_refused_not_cut(
    version: Version, wrong: dict[str, Any], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        encode(1, Submit(**SUBMIT | wrong), version)


def test_a_result_of_more_than_one_octet_cannot_be_written_in_20() -> None:
    with pytest.raises(ValueError, match="SubmitResp cannot be written in CMPP 2.0"):
        encode(1, pdus.SubmitResp(1, 256), V20)
