from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.smgp import digest
from service.protocols.smgp.message_id import following
from service.protocols.smgp.report import Report, parse_report
from service.protocols.smgp.times import (
    login_timestamp,
    read_minute,
    write_minute,
    write_second,
    write_validity,
)
from tests.harness.vectors import load

DIGESTS = load("smgp", "digests")
VECTORS = {vector["id"]: vector for vector in load("smgp", "smgp30")}
IDS = load("smgp", "msgids")["smgp_msg_id"]
BCD_IDS = [case for case in IDS if "gateway" in case]
OTHER_IDS = [case for case in IDS if "gateway" not in case]
REPORT = Report(bytes.fromhex("01006108091030123456"), "UNDELIV", "003", "2608091030", "2608091031")


# Reports


def test_a_report_has_122_octets_and_its_values_where_the_book_has_them() -> None:
    content = REPORT.encode()
    assert len(content) == 122
    assert (content[3:13], content[81:88], content[93:96]) == (REPORT.msg_id, b"UNDELIV", b"003")


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (b"Submit date:", b"submit date:"),
        (b"Submit date:", b"submit_date:"),
        (b"done date:", b"done_date:"),
        (b"stat:", b"Stat:"),
        (b"Text:", b"txt :"),
        (b"sub:", b"Sub:"),
    ],
)
def test_other_spellings_of_the_key_words_are_read(ours: bytes, theirs: bytes) -> None:
    assert parse_report(REPORT.encode().replace(ours, theirs)) == REPORT


@pytest.mark.parametrize("msg_id", [b" stat:DELI", b"id: sub:00", bytes(10), b"\xff" * 10])
def test_an_id_may_hold_any_octets(msg_id: bytes) -> None:
    report = replace(REPORT, msg_id=msg_id)
    assert parse_report(report.encode()) == report


@pytest.mark.parametrize("upper", [False, True])
def test_an_id_in_20_hex_digits_is_read(upper: bool) -> None:
    report = replace(REPORT, msg_id=bytes.fromhex("01e240112413510495f9"))
    digits = report.msg_id.hex()
    content = report.encode()
    written = content[:3] + (digits.upper() if upper else digits).encode() + content[13:]
    assert parse_report(written) == report


@pytest.mark.parametrize("text", [b"", b"x", b"id: stat:REJECTD", b"\x30\x10" * 8])
def test_the_message_in_it_is_read_and_misleads_nobody(text: bytes) -> None:
    report = replace(REPORT, text=text)
    content = report.encode()
    assert len(content) == 122
    assert parse_report(content) == report


def test_of_a_longer_message_17_octets_are_kept() -> None:
    content = replace(REPORT, text=bytes(range(1, 141))).encode()
    assert len(content) == 122
    found = parse_report(content)
    assert found is not None
    assert found.text == bytes(range(1, 18))


def test_a_content_may_end_anywhere_after_the_status() -> None:
    content = REPORT.encode()
    for length in range(len(content)):
        found = parse_report(content[:length])
        if length < 88:
            assert found is None
        else:
            assert found is not None
            assert (found.msg_id, found.stat) == (REPORT.msg_id, REPORT.stat)
            assert found.err in {"", "0", "00", "003"}


@pytest.mark.parametrize(
    "content", [b"", b"id:", b"DELIVRD", b"id:" + bytes(200), b"xx:" + REPORT.encode()[3:]]
)
def test_what_is_no_report_is_none(content: bytes) -> None:
    assert parse_report(content) is None


@given(st.binary(max_size=160) | st.binary(max_size=140).map(lambda octets: b"id:" + octets))
def test_no_content_raises(content: bytes) -> None:
    parse_report(content)


@given(st.integers(0, 120), st.binary(max_size=40), st.integers(0, 40))
def test_no_damaged_report_raises(at: int, put: bytes, cut: int) -> None:
    content = REPORT.encode()
    parse_report(content[:at] + put + content[at + cut :])


# Digests


@pytest.mark.parametrize("case", DIGESTS, ids=lambda case: case["what"])
def test_logins_are_hashed_as_recorded(case: dict[str, Any]) -> None:
    account, secret = case["client_id"], case["shared_secret"]
    timestamp, md5 = int(case["timestamp"]), bytes.fromhex(case["md5"])
    assert digest.authenticator_client(account.encode(), secret, timestamp) == md5
    assert digest.client_matches(md5, account, secret, timestamp)
    assert not digest.client_matches(md5, account, "wrong", timestamp)
    assert not digest.client_matches(md5, account, secret, timestamp + 1)


def test_a_short_account_may_be_hashed_padded() -> None:
    padded = digest.authenticator_client(b"3710\x00\x00\x00\x00", "1qaz2wsx", 301000000)
    unpadded = digest.authenticator_client(b"3710", "1qaz2wsx", 301000000)
    assert padded != unpadded
    assert digest.client_matches(padded, "3710", "1qaz2wsx", 301000000)


def test_the_answer_to_a_login_is_hashed_as_recorded() -> None:
    fields = VECTORS["smgp-login-resp-ok"]["fields"]
    client = bytes.fromhex(fields["authenticator_client_hex"])
    server = digest.authenticator_server(0, client, fields["shared_secret"])
    assert server.hex() == fields["authenticator_server_hex"]


# Message ids


@pytest.mark.parametrize("case", BCD_IDS, ids=lambda case: case["hex"])
def test_an_id_is_shown_as_its_digits(case: dict[str, Any]) -> None:
    parts = ("gateway", "month", "day", "hour", "minute", "sequence")
    assert bytes.fromhex(case["hex"]).hex() == "".join(case[part] for part in parts)
    after = int(case["sequence"]) + 1
    assert following(bytes.fromhex(case["hex"]), 1).hex() == f"{case['hex'][:14]}{after:06d}"


@pytest.mark.parametrize(
    ("first", "offset", "expected"),
    [
        ("01006108091030123456", 0, "01006108091030123456"),
        ("01006108091030123456", 1, "01006108091030123457"),
        ("01006108091030123459", 1, "01006108091030123460"),
        ("01006108091030999999", 1, "01006108091030000000"),
        ("01006108091030999950", 99, "01006108091030000049"),
    ],
)
def test_ids_of_a_submit_count_in_decimal(first: str, offset: int, expected: str) -> None:
    assert following(bytes.fromhex(first), offset).hex() == expected


@pytest.mark.parametrize("case", OTHER_IDS, ids=lambda case: case["hex"])
def test_an_id_without_digits_is_kept_and_counted_as_a_number(case: dict[str, Any]) -> None:
    octets = bytes.fromhex(case["hex"])
    assert following(octets, 0) == octets
    assert following(octets, 7).hex() == "01e24011241351049600"


def test_a_sequence_wraps_in_both_countings() -> None:
    assert following(bytes.fromhex("01006108091030999999"), 8).hex()[-6:] == "000007"
    assert following(bytes(7) + b"\xff\xff\xff", 1) == bytes(10)


# Times


def test_times_are_beijing_times_both_ways() -> None:
    at = datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)
    assert login_timestamp(at) == 809103045
    assert write_validity(at) == "260809103045032+"
    assert write_second(at) == "20260809103045"
    assert write_minute(at) == "2608091030"
    assert read_minute("2608091030") == read_minute("260809103045") == at.replace(second=0)


@pytest.mark.parametrize(
    "text", ["", "0000000000", "2613101030", "hello", "26081010", "２６０８０９１０３０"]
)
def test_times_that_make_no_sense_are_nothing(text: str) -> None:
    assert read_minute(text) is None
