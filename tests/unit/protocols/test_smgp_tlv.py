import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.smgp.tlv import NO_OPTIONS, Options, read_options, write_options


def test_nothing_is_written_for_a_single_message() -> None:
    assert write_options(NO_OPTIONS) == write_options(Options()) == b""
    assert read_options(b"") is NO_OPTIONS


@pytest.mark.parametrize(
    ("options", "octets"),
    [
        (Options(tp_udhi=1, pk_total=2, pk_number=1), "00020001010009000102000a000101"),
        (Options(link_id="A1"), "00030014" + "4131" + "00" * 18),
        (Options(msg_src="12345"), "00100008" + "3132333435" + "00" * 3),
        (Options(m_service_id="P"), "00120015" + "50" + "00" * 20),
        (Options(src_term_pseudo="abc"), "000e0003616263"),
        (Options(nodes_count=0), "000f000100"),
        (Options(unknown=((0x1401, b"\x00\xff"),)), "1401000200ff"),
    ],
)
def test_parameters_are_written_in_their_width_and_read(options: Options, octets: str) -> None:
    assert write_options(options).hex() == octets
    assert read_options(bytes.fromhex(octets)) == options


@pytest.mark.parametrize(
    ("octets", "expected"),
    [
        ("00100004" + "31323300", Options(msg_src="123")),  # short, with a zero at its end
        ("00100003" + "313233", Options(msg_src="123")),
        ("0010000a" + "31" * 10, Options(msg_src="1" * 10)),  # longer than the book allows
        ("000a000101" + "0009000102" + "0002000101", Options(tp_udhi=1, pk_total=2, pk_number=1)),
        ("00090002" + "0002", Options(pk_total=2)),  # a number in two octets
        ("00090000", Options(pk_total=0)),
        ("0009000102" + "0009000103", Options(pk_total=2)),  # twice: the first counts
        ("77770000" + "0002000101" + "77770001aa",
         Options(tp_udhi=1, unknown=((0x7777, b""), (0x7777, b"\xaa")))),
        ("0002000101" + "000900", Options(tp_udhi=1)),  # cut in its head
        ("0002000101" + "00090004aa", Options(tp_udhi=1)),  # cut in its value
        ("00", Options()),
    ],
)  # fmt: skip
def test_parameters_are_read_as_they_come(octets: str, expected: Options) -> None:
    assert read_options(bytes.fromhex(octets)) == expected


@given(st.binary(max_size=200))
def test_no_octets_raise(octets: bytes) -> None:
    read_options(octets)
