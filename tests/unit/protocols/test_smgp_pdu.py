import struct
from dataclasses import Field, fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding.parts import Coding
from service.coding.parts import decode as decode_text
from service.protocols.frame import Frames, Malformed
from service.protocols.smgp import pdu as pdus
from service.protocols.smgp.packet import PDU
from service.protocols.smgp.pdu import Unknown, decode, encode
from service.protocols.smgp.query import Query, QueryResp
from service.protocols.smgp.report import Report, parse_report
from service.protocols.smgp.tlv import Options
from tests.harness.vectors import load

VECTORS = load("smgp", "smgp30")
TOLERANCE = load("smgp", "tolerance")
FRAMES = [bytes.fromhex(vector["hex"]) for vector in VECTORS]
WITHOUT_VECTOR = [
    encode(7, Query("20260809", 1, "MSGTEST")),
    encode(7, QueryResp("20260809", 0, "", 1, 2, 3, 4, 5, 6, 7, 0xFFFFFFFF)),
]
DISPUTED = [(vector, form["hex"]) for vector in VECTORS for form in vector.get("disputed", ())] + [
    (None, case["hex"]) for case in TOLERANCE
]
NOT_ON_THE_WIRE = {"shared_secret", "text", "reserve"}
MSG_ID = bytes.fromhex("01006108091030123456")


def kind(vector: dict[str, Any]) -> type[PDU]:
    name = vector["pdu"].removeprefix("SMGP_").title().replace("_", "")
    found: type[PDU] = getattr(pdus, name)
    return found


def report(values: dict[str, str]) -> Report:
    """A report as a vector describes it."""
    given_fields = {name: value for name, value in values.items() if name != "id_hex"}
    text = given_fields.pop("text").encode()
    return Report(msg_id=bytes.fromhex(values["id_hex"]), text=text, **given_fields)


def build(vector: dict[str, Any]) -> PDU:
    """The packet as the vector's fields describe it."""
    given_fields = {k: v for k, v in vector["fields"].items() if k not in NOT_ON_THE_WIRE}
    values: dict[str, Any] = {}
    for name, value in given_fields.items():
        if name == "report":
            values["msg_content"] = report(value).encode()
        elif name == "tlv":
            values["options"] = Options(**value)
        elif name.endswith("_hex"):
            values[name.removesuffix("_hex")] = bytes.fromhex(value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    if vector["pdu"] == "SMGP_LOGIN_RESP":
        values.pop("authenticator_client", None)
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


def test_all_recorded_packets_are_here() -> None:
    assert (len(VECTORS), len(TOLERANCE), len(DISPUTED)) == (23, 3, 5)


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_fields_encode_to_the_recorded_octets(vector: dict[str, Any]) -> None:
    assert encode(vector["sequence"], build(vector)).hex() == vector["hex"]


@pytest.mark.parametrize("vector", VECTORS, ids=label)
def test_the_recorded_octets_decode_to_the_fields(vector: dict[str, Any]) -> None:
    assert decode(bytes.fromhex(vector["hex"])) == (vector["sequence"], build(vector))


@pytest.mark.parametrize("vector", [v for v in VECTORS if "report" in v["fields"]], ids=label)
def test_reports_are_read_in_every_spelling(vector: dict[str, Any]) -> None:
    expected = report(vector["fields"]["report"])
    for octets in (vector["hex"], *(form["hex"] for form in vector["disputed"])):
        _, deliver = decode(bytes.fromhex(octets))
        assert isinstance(deliver, pdus.Deliver)
        assert parse_report(deliver.msg_content) == expected


@pytest.mark.parametrize("vector", [v for v in VECTORS if "text" in v["fields"]], ids=label)
def test_content_is_the_text(vector: dict[str, Any]) -> None:
    content = bytes.fromhex(vector["fields"]["msg_content_hex"])
    coding = {0: Coding.ASCII, 8: Coding.UCS2, 15: Coding.GB18030}[vector["fields"]["msg_format"]]
    header = content[0] + 1 if vector["fields"]["tlv"].get("tp_udhi") else 0
    assert decode_text(content[header:], coding) == vector["fields"]["text"]


@pytest.mark.parametrize("frame", [*FRAMES, *WITHOUT_VECTOR], ids=lambda frame: frame[:12].hex())
def test_pieces_cut_at_every_octet_decode_to_the_same(frame: bytes) -> None:
    whole = [decode(frame)]
    assert all(feed([frame[:cut], frame[cut:]]) == whole for cut in range(1, len(frame)))
    assert feed([bytes((octet,)) for octet in frame]) == whole


def test_several_packets_in_one_segment_decode_in_order() -> None:
    assert feed([b"".join(FRAMES)]) == [decode(frame) for frame in FRAMES]


@pytest.mark.parametrize("frame", [*FRAMES, *WITHOUT_VECTOR], ids=lambda frame: frame[:12].hex())
def test_a_truncated_packet_is_malformed_or_read_without_its_end(frame: bytes) -> None:
    """Without the Reserve and the parameters after it a packet is read, never with less."""
    sequence, whole = decode(frame)
    optional = 8 if isinstance(whole, QueryResp) else 0
    if isinstance(whole, pdus.Submit | pdus.Deliver):
        optional = len(frame) - frame.index(whole.msg_content) - len(whole.msg_content)
    for length in range(len(frame)):
        if length < len(frame) - optional:
            with pytest.raises(Malformed):
                decode(frame[:length])
        else:
            read_sequence, read = decode(frame[:length])
            assert read_sequence == sequence
            assert type(read) is type(whole)


@given(st.sampled_from([*FRAMES, *WITHOUT_VECTOR]), st.binary(max_size=64))
def test_octets_after_the_last_field_change_no_field(frame: bytes, extra: bytes) -> None:
    sequence, whole = decode(frame)
    read_sequence, read = decode(frame + extra)
    assert read_sequence == sequence
    for field in fields(whole):
        if field.name != "options":  # what follows is read as parameters, where it is any
            assert getattr(read, field.name) == getattr(whole, field.name)


@pytest.mark.parametrize(("vector", "octets"), DISPUTED)
def test_deviant_packets_of_real_stacks_are_read(
    vector: dict[str, Any] | None, octets: str
) -> None:
    ((sequence, deliver),) = feed([bytes.fromhex(octets)])
    assert isinstance(deliver, pdus.Deliver)
    assert deliver.is_report == 1
    found = parse_report(deliver.msg_content)
    assert found is not None
    assert (found.msg_id, found.submit_date) == (MSG_ID, "2608091030")
    assert found.stat in {"DELIVRD", "UNDELIV"}
    if vector is not None:
        assert sequence == vector["sequence"]


def test_an_unknown_command_is_named_not_refused() -> None:
    assert decode(struct.pack(">III", 12, 0x5, 9)) == (9, Unknown(0x5))


# Round trips

octet = st.integers(0, 0xFF)
words = st.integers(0, 0xFFFF_FFFF)
msg_ids = st.binary(min_size=10, max_size=10)


def texts(octets: int) -> st.SearchStrategy[str]:
    """What a text field can carry: ASCII without zeros, and without spaces at its end."""
    characters = st.characters(min_codepoint=1, max_codepoint=0x7E)
    return st.text(characters, max_size=octets).map(lambda text: text.rstrip(" "))


KNOWN_TAGS = set(range(0x0001, 0x0013))
WIDTHS = {"link_id": 20, "msg_src": 8, "m_service_id": 21}


def option(field: Field[Any]) -> st.SearchStrategy[Any]:
    """A value for a known parameter, or none."""
    return st.none() | (texts(WIDTHS.get(field.name, 30)) if "str" in str(field.type) else octet)


unknown_tags = st.integers(0, 0xFFFF).filter(lambda tag: tag not in KNOWN_TAGS)
options = st.builds(
    Options,
    **{field.name: option(field) for field in fields(Options) if field.name != "unknown"},
    unknown=st.lists(st.tuples(unknown_tags, st.binary())).map(tuple),
)
packets = st.one_of(
    st.builds(pdus.Login, texts(8), st.binary(min_size=16, max_size=16), octet, words, octet),
    st.builds(pdus.LoginResp, words, st.binary(min_size=16, max_size=16), octet),
    st.builds(
        pdus.Submit,
        dest_term_id=st.lists(texts(21), max_size=100).map(tuple),
        msg_content=st.binary(max_size=255),
        src_term_id=texts(21),
        msg_format=octet,
        msg_type=octet,
        need_report=octet,
        priority=octet,
        service_id=texts(10),
        fee_type=texts(2),
        fee_code=texts(6),
        fixed_fee=texts(6),
        valid_time=texts(17),
        at_time=texts(17),
        charge_term_id=texts(21),
        options=options,
    ),
    st.builds(pdus.SubmitResp, msg_ids, words),
    st.builds(
        pdus.Deliver,
        msg_id=msg_ids,
        src_term_id=texts(21),
        dest_term_id=texts(21),
        msg_content=st.binary(max_size=255),
        is_report=octet,
        msg_format=octet,
        recv_time=texts(14),
        options=options,
    ),
    st.builds(pdus.DeliverResp, msg_ids, words),
    st.builds(Query, texts(8), octet, texts(10)),
    st.builds(QueryResp, texts(8), octet, texts(10), *[words] * 8),
    st.sampled_from([pdus.ActiveTest(), pdus.ActiveTestResp(), pdus.Exit(), pdus.ExitResp()]),
)


@given(words, packets)
def test_every_packet_comes_back_as_it_was(sequence: int, packet: PDU) -> None:
    assert is_dataclass(packet)
    assert feed([encode(sequence, packet)]) == [(sequence, packet)]


@given(st.binary(min_size=0, max_size=400), st.integers(1, 7), st.booleans())
def test_no_body_raises_anything_but_malformed(body: bytes, command: int, response: bool) -> None:
    frame = struct.pack(">III", 12 + len(body), command | response << 31, 7) + body
    try:
        decode(frame)
    except Malformed:
        return


@given(st.binary(max_size=400))
def test_no_octets_raise_anything_but_malformed(octets: bytes) -> None:
    try:
        decode(octets)
    except Malformed:
        return


@given(st.sampled_from([*FRAMES, *WITHOUT_VECTOR]), st.data())
def test_no_damaged_packet_raises_anything_but_malformed(frame: bytes, data: st.DataObject) -> None:
    damaged = bytearray(frame)
    for at in data.draw(st.lists(st.integers(0, len(frame) - 1), max_size=6)):
        damaged[at] = data.draw(octet)
    try:
        decode(bytes(damaged))
    except Malformed:
        return


SUBMIT: dict[str, Any] = {
    "dest_term_id": ("19790001234",),
    "msg_content": b"x",
    "src_term_id": "106590001234",
    "msg_format": 0,
}


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"src_term_id": "1" * 22}, "22 characters"),
        ({"dest_term_id": ("1" * 22,)}, "22 characters"),
        ({"dest_term_id": ("19790001234",) * 101}, "101 destinations"),
        ({"msg_content": bytes(256)}, "256"),
        ({"priority": 256}, "does not fit"),
        ({"options": Options(m_service_id="1" * 22)}, "22 characters"),
        ({"options": Options(pk_total=256)}, "does not fit"),
        ({"options": Options(unknown=((0x1400, bytes(0x10000)),))}, "does not fit"),
        ({"service_id": "警钟"}, "ascii"),
    ],
)
def test_what_does_not_fit_is_refused_not_cut(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        encode(1, pdus.Submit(**{**SUBMIT, **wrong}))
