from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.coding import gsm7, udh
from service.coding.parts import Coding, Part, decode, fits, split
from tests.harness.vectors import load

TABLE = load("smpp", "gsm7")
BASIC = {int(value, 16): character for value, character in TABLE["basic"].items()}
EXTENSION = {int(value, 16): character for value, character in TABLE["extension"].items()}
ALPHABET = [*BASIC.values(), *EXTENSION.values()]

alphabet = st.sampled_from(ALPHABET)


@pytest.mark.parametrize(("value", "character"), BASIC.items())
def test_each_septet_of_the_basic_table(value: int, character: str) -> None:
    assert gsm7.encode(character) == bytes((value,))
    assert gsm7.decode(bytes((value,))) == character


@pytest.mark.parametrize(("value", "character"), EXTENSION.items())
def test_each_pair_of_the_extension_table(value: int, character: str) -> None:
    assert gsm7.encode(character) == bytes((0x1B, value))
    assert gsm7.decode(bytes((0x1B, value))) == character


def test_the_tables_have_nothing_else() -> None:
    everything = map(chr, range(0x10000))
    assert sorted(filter(gsm7.fits, everything)) == sorted(ALPHABET)


@given(st.text(alphabet, max_size=400))
def test_what_is_encoded_is_decoded(text: str) -> None:
    assert gsm7.decode(gsm7.encode(text)) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (b"\x1bA", "A"),
        (b"a\x1b", "a "),
        (b"\x1b\x1be", " e"),
        (b"\x1b\x1be\x1be", " e€"),
        (b"a\x80b", "a\ufffdb"),
        (b"\x1b\xff", "\ufffd"),
        (b"", ""),
    ],
)
def test_what_no_sender_should_write_is_read_all_the_same(octets: bytes, text: str) -> None:
    assert gsm7.decode(octets) == text


@given(st.binary(max_size=300))
def test_no_octets_raise(octets: bytes) -> None:
    gsm7.decode(octets)
    for fill_bits in range(7):
        gsm7.unpack(octets, fill_bits=fill_bits)


def test_what_the_alphabet_lacks_travels_as_a_question_mark() -> None:
    assert gsm7.encode("a警b") == b"a?b"
    assert not fits("a警b", Coding.GSM7)
    assert fits("a{€}b", Coding.GSM7)


# Packing. The octets are those of the examples that the GSM world quotes.


@pytest.mark.parametrize(
    ("text", "packed"),
    [
        ("hellohello", "e8329bfd4697d9ec37"),
        ("A", "41"),
        ("1234567", "31d98c56b3dd1a"),
        ("12345678", "31d98c56b3dd70"),
        ("123456781234567", "31d98c56b3dd7031d98c56b3dd1a"),
        ("", ""),
    ],
)
def test_packing(text: str, packed: str) -> None:
    assert gsm7.pack(gsm7.encode(text)).hex() == packed
    assert gsm7.decode(gsm7.unpack(bytes.fromhex(packed))) == text


def test_a_header_of_six_octets_leaves_one_fill_bit() -> None:
    assert gsm7.fill_bits(0) == 0
    assert gsm7.fill_bits(udh.OCTETS) == 1
    assert gsm7.fill_bits(7) == 0
    assert gsm7.pack(b"A", fill_bits=1).hex() == "82"


@given(
    st.text(alphabet, max_size=200).filter(lambda text: not text.endswith(("@", "\r"))),
    st.integers(0, 6),
)
def test_what_is_packed_is_unpacked(text: str, fill_bits: int) -> None:
    packed = gsm7.pack(gsm7.encode(text), fill_bits=fill_bits)
    assert len(packed) == (len(gsm7.encode(text)) * 7 + fill_bits + 7) // 8
    assert gsm7.decode(gsm7.unpack(packed, fill_bits=fill_bits)) == text


# Parts


def joined(parts: tuple[Part, ...]) -> str:
    return "".join(decode(part.body, part.coding) for part in parts)


@given(st.text(alphabet, max_size=1000), st.sampled_from([134, 153]))
def test_parts_join_to_the_text_and_keep_within_the_limits(text: str, septets: int) -> None:
    parts = split(text, coding=Coding.GSM7, ascii_part=septets)
    assert joined(parts) == text
    single = 160 if septets == 153 else 140
    assert all(len(p.body) <= (single if len(parts) == 1 else septets) for p in parts)
    assert not any(part.body.endswith(b"\x1b") for part in parts), "an escape pair is cut"


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("x" * 160, [160]),
        ("x" * 161, [153, 8]),
        ("€" * 80, [160]),
        ("€" * 81, [152, 10]),
        ("x" * 152 + "€" + "x" * 10, [152, 12]),
        ("x" * 158 + "€", [160]),
        ("x" * 159 + "€", [153, 8]),
    ],
)
def test_an_escape_pair_moves_to_the_next_part_whole(text: str, lengths: list[int]) -> None:
    assert [len(part.body) for part in split(text, coding=Coding.GSM7)] == lengths


@pytest.mark.parametrize(
    "case",
    [c for c in load("cmpp", "split")["cases"] if c["coding"] == "ASCII"],
    ids=lambda case: str(case["chars"]),
)
def test_long_parts_are_those_of_an_independent_splitter(case: dict[str, Any]) -> None:
    contents = [bytes.fromhex(part["content_hex"]) for part in case["parts"]]
    bodies = [udh.parse(c)[1] if len(contents) > 1 else c for c in contents]
    text = b"".join(bodies).decode("ascii")
    found = [part.body for part in split(text, coding=Coding.GSM7)]
    assert found == ([text.encode()] if len(text) == 160 else bodies)


@pytest.mark.parametrize(
    ("text", "coding", "possible"),
    [
        ("naïve", Coding.LATIN1, True),
        ("naïve", Coding.GSM7, False),
        ("5 €", Coding.LATIN1, False),
        ("5 €", Coding.GSM7, True),
        ("café", Coding.ASCII, False),
        ("警", Coding.UCS2, True),
        ("警", Coding.LATIN1, False),
    ],
)
def test_which_codings_a_text_fits(text: str, coding: Coding, possible: bool) -> None:
    assert fits(text, coding) is possible


def test_latin1_holds_what_octets_hold() -> None:
    assert [len(part.body) for part in split("é" * 140, coding=Coding.LATIN1)] == [140]
    assert [len(part.body) for part in split("é" * 141, coding=Coding.LATIN1)] == [134, 7]
    assert joined(split("é" * 141, coding=Coding.LATIN1)) == "é" * 141
