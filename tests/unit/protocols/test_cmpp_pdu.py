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
from service.protocols.cmpp.pdu import Submit, Unknown, decode, encode
from service.protocols.cmpp.query import CancelResp
from service.protocols.cmpp.report import Report, parse_report
from service.protocols.frame import Frames, Malformed
from tests.harness.vectors import load

VECTORS = load("cmpp", "cmpp30")
TOLERANCE = load("cmpp", "tolerance")
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
NOT_ON_THE_WIRE = {"shared_secret", "text", "reserve"}


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
            values["msg_content"] = Report(**value).encode()
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


@pytest.mark.parametrize("vector", [v for v in VECTORS if "report" in v["fields"]], ids=label)
def test_reports_are_read(vector: dict[str, Any]) -> None:
    _, deliver = decode(bytes.fromhex(vector["hex"]))
    assert isinstance(deliver, pdus.Deliver)
    assert parse_report(deliver.msg_content) == Report(**vector["fields"]["report"])


@pytest.mark.parametrize("vector", [v for v in VECTORS if "text" in v["fields"]], ids=label)
def test_content_is_the_text(vector: dict[str, Any]) -> None:
    content = bytes.fromhex(vector["fields"]["msg_content_hex"])
    coding = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}[vector["fields"]["msg_fmt"]]
    header = content[0] + 1 if vector["fields"]["tp_udhi"] else 0
    assert decode_text(content[header:], coding) == vector["fields"]["text"]


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
        try:
            assert decode(frame[:length])[0] == whole[0]
        except Malformed:
            continue
        missing = len(frame) - length
        assert missing <= 20, f"{missing} octets are missing and nobody noticed"


@given(st.sampled_from(FRAMES), st.binary(max_size=64))
def test_octets_after_the_last_field_are_ignored(frame: bytes, extra: bytes) -> None:
    if len(frame) not in {12, 16, 30, 33}:  # those widths tell two layouts apart
        assert decode(frame + extra) == decode(frame)


@pytest.mark.parametrize("case", TOLERANCE, ids=label)
def test_deviant_packets_of_real_stacks_are_read(case: dict[str, Any]) -> None:
    assert len(feed([bytes.fromhex(case["hex"])])) == 1


def test_a_report_of_60_octets_in_30_is_read() -> None:
    _, deliver = decode(bytes.fromhex(TOLERANCE[0]["hex"]))
    assert isinstance(deliver, pdus.Deliver)
    assert len(deliver.msg_content) == 60
    report = parse_report(deliver.msg_content)
    assert report == Report(
        9559430349364986156, "DELIVRD", "2608091030", "2608091031", "138" + "00138000", 123456
    )
    assert report.encode(number_octets=21) == deliver.msg_content


def test_a_20_answer_to_connect_is_read() -> None:
    frame = bytes.fromhex("0000001e8000000100000001000c4c50f3bc9708c067152394c49e60dd20")
    _, answer = decode(frame)
    assert answer == pdus.ConnectResp(0, frame[13:29], 0x20)


def test_heartbeat_answers_of_12_octets_and_cancel_answers_of_1_are_read() -> None:
    assert decode(bytes.fromhex("0000000c80000008000000c8")) == (200, pdus.ActiveTestResp())
    assert decode(bytes.fromhex("0000000d800000070000012d01")) == (301, CancelResp(1))


def test_an_unknown_command_is_named_not_refused() -> None:
    assert decode(struct.pack(">III", 12, 0x77, 5)) == (5, Unknown(0x77))


@given(st.binary(min_size=0, max_size=400), st.sampled_from([1, 4, 5, 6, 7, 8]), st.booleans())
def test_no_body_raises_anything_but_malformed(body: bytes, command: int, response: bool) -> None:
    frame = struct.pack(">III", 12 + len(body), command | response << 31, 7) + body
    try:
        decode(frame)
    except Malformed:
        return


@given(st.binary(max_size=120))
def test_report_blocks_of_any_length_are_read_or_refused(content: bytes) -> None:
    assert (parse_report(content) is None) == (len(content) < 35)


def test_a_field_that_does_not_fit_is_refused_not_cut() -> None:
    submit = Submit(("138" + "00138000",), b"x", src_id="1" * 22, msg_src="901234", msg_fmt=0)
    with pytest.raises(ValueError, match="22 characters"):
        encode(1, submit)
