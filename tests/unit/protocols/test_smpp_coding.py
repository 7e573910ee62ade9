import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding import gsm7, udh
from service.coding.udh import Concatenation
from service.protocols.smpp import address
from service.protocols.smpp.address import NumberForm
from service.protocols.smpp.coding import DefaultAlphabet, decode, read_text, write_content
from service.protocols.smpp.pdu import DataSM, DeliverSM
from service.protocols.smpp.tlv import TLV, Tag

PHONE = "8619790001234"
WHOLE = Concatenation(0, 1, 1)


@pytest.mark.parametrize(
    ("data_coding", "octets", "text"),
    [
        (0, b"\x00 @\x1be", "@ ¡€"),
        (1, b"T@", "T@"),
        (2, b"\x01\xff", "01ff"),
        (3, b"caf\xe9", "café"),
        (4, b"\x01\xff", "01ff"),
        (5, "日本".encode("shift_jis"), "日本"),
        (6, "да".encode("iso8859_5"), "да"),
        (7, "שלום".encode("iso8859_8"), "שלום"),
        (8, "退订🔔".encode("utf-16-be"), "退订🔔"),
        (8, b"\x90\x00\x8b", "退\ufffd"),
        (9, b"\x01", "01"),
        (13, "日本".encode("euc_jp"), "日本"),
        (14, "한국".encode("euc_kr"), "한국"),
        (15, "退订".encode("gb18030"), "退订"),
        (11, "退".encode("utf-16-be"), "退"),
        (0x48, "退".encode("utf-16-be"), "退"),
        (0x30, b"T", "54"),
        (0x10, b"T", "T"),
        (0x18, "退".encode("utf-16-be"), "退"),
        (0x14, b"\x01", "01"),
        (0xC8, b"T", "T"),
        (0xD0, b"T", "T"),
        (0xE0, "退".encode("utf-16-be"), "退"),
        (0xF0, b"T", "T"),
        (0xF6, b"\x01", "01"),
        (0xF1, b"T", "T"),
    ],
)
def test_every_coding_of_a_text_gives_something(data_coding: int, octets: bytes, text: str) -> None:
    assert decode(octets, data_coding) == text


@given(
    st.binary(max_size=200),
    st.integers(0, 255),
    st.sampled_from(DefaultAlphabet),
    st.integers(0, 9),
)
def test_no_octets_raise(
    octets: bytes, data_coding: int, alphabet: DefaultAlphabet, header_octets: int
) -> None:
    decode(octets, data_coding, alphabet, header_octets=header_octets)


@pytest.mark.parametrize(
    ("alphabet", "octets", "text"),
    [
        (DefaultAlphabet.GSM7, b"\x00", "@"),
        (DefaultAlphabet.ASCII, b"@", "@"),
        (DefaultAlphabet.LATIN1, b"\xe9", "é"),
        (DefaultAlphabet.GSM7_PACKED, bytes.fromhex("e8329bfd4697d9ec37"), "hellohello"),
    ],
)
def test_the_default_alphabet_is_what_the_smsc_takes_it_for(
    alphabet: DefaultAlphabet, octets: bytes, text: str
) -> None:
    assert decode(octets, 0, alphabet) == text


@pytest.mark.parametrize("header", [b"", udh.build(7, 2, 1)])
@pytest.mark.parametrize("alphabet", [DefaultAlphabet.GSM7, DefaultAlphabet.GSM7_PACKED])
def test_a_part_is_read_as_it_was_written(header: bytes, alphabet: DefaultAlphabet) -> None:
    body = gsm7.encode("price 5 € [net]")
    content = write_content(body, header, alphabet)
    if alphabet is DefaultAlphabet.GSM7_PACKED:
        assert len(content) < len(header + body)
    message = DeliverSM(PHONE, "1069", content, esm_class=0x40 if header else 0)
    text, place = read_text(message, alphabet)
    assert text == "price 5 € [net]"
    assert place == (Concatenation(7, 2, 1) if header else WHOLE)


def test_a_packed_part_of_153_septets_fills_its_140_octets() -> None:
    content = write_content(b"x" * 153, udh.build(7, 2, 1), DefaultAlphabet.GSM7_PACKED)
    assert len(content) == 140


SAR = (
    TLV(Tag.SAR_MSG_REF_NUM, 4660),
    TLV(Tag.SAR_TOTAL_SEGMENTS, 2),
    TLV(Tag.SAR_SEGMENT_SEQNUM, 1),
)


@pytest.mark.parametrize(
    ("message", "place"),
    [
        (DeliverSM(PHONE, "1", b"x", parameters=SAR), Concatenation(4660, 2, 1)),
        (DeliverSM(PHONE, "1", b"x", parameters=SAR[:2]), WHOLE),
        (DeliverSM(PHONE, "1", b"x", parameters=(*SAR[:2], TLV(0x20F, 3))), WHOLE),
        (DeliverSM(PHONE, "1", b"x", parameters=(SAR[0], TLV(0x20E, 256), SAR[2])), WHOLE),
        (DeliverSM(PHONE, "1", b"x", parameters=(TLV(0x20C, 0x7000B), *SAR[1:])),
         Concatenation(0xB, 2, 1)),
        (DeliverSM(PHONE, "1", b"\x06\x08\x04\xbe\xef\x02\x02x", esm_class=0x43),
         Concatenation(0xBEEF, 2, 2)),
        (DeliverSM(PHONE, "1", b"\x05\x00\x03\x07\x02\x01x", esm_class=0x40, parameters=SAR),
         Concatenation(7, 2, 1)),
        (DeliverSM(PHONE, "1", b"x", esm_class=0x40), WHOLE),
        (DataSM("", 1, 1, PHONE, 0, 0, "1", 0, 0, 0,
                parameters=(*SAR, TLV(Tag.MESSAGE_PAYLOAD, b"x"))), Concatenation(4660, 2, 1)),
    ],
)  # fmt: skip
def test_the_place_of_a_part(message: DeliverSM | DataSM, place: Concatenation) -> None:
    assert read_text(message, DefaultAlphabet.GSM7) == ("x", place)


# Addresses


@pytest.mark.parametrize(
    ("form", "written"),
    [
        (NumberForm.DIGITS, "8619790001234"),
        (NumberForm.PLUS, "+8619790001234"),
        (NumberForm.NATIONAL, "19790001234"),
    ],
)
def test_numbers_in_the_forms_that_smscs_want(form: NumberForm, written: str) -> None:
    assert address.write("+8619790001234", form) == written
    assert address.read(written, 1) == "+8619790001234"


@pytest.mark.parametrize(
    ("text", "ton", "number"),
    [
        ("447700900123", 1, "+447700900123"),
        ("+447700900123", 1, "+447700900123"),
        ("447700900123", 0, ""),
        ("NOTICE", 5, ""),
        ("10086", 0, ""),
        ("", 1, ""),
        ("19790001234", 0, "+8619790001234"),
    ],
)
def test_addresses_of_handsets(text: str, ton: int, number: str) -> None:
    assert address.read(text, ton) == number


@pytest.mark.parametrize(
    ("sender", "given", "expected"),
    [
        ("NOTICE", (None, None), (5, 0)),
        ("106900001234", (None, None), (0, 1)),
        ("106900001234", (3, 0), (3, 0)),
        ("NOTICE", (0, None), (0, 0)),
    ],
)
def test_the_type_of_a_sender(
    sender: str, given: tuple[int | None, int | None], expected: tuple[int, int]
) -> None:
    assert address.sender_type(sender, *given) == expected


@pytest.mark.parametrize(
    ("sender", "extension", "possible"),
    [
        ("NOTICE", "", True),
        ("NOTICE", "01", False),
        ("106900001234", "01234567", True),
        ("106900001234", "012345678", False),
        ("106900001234", "0x", False),
        ("106900001234", "+1", False),
    ],
)
def test_which_senders_can_carry_an_extension(sender: str, extension: str, possible: bool) -> None:
    assert address.can_extend(sender, extension) is possible
