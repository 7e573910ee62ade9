from datetime import UTC, datetime
from typing import Any

import pytest

from service.protocols.cmpp import digest
from service.protocols.cmpp.report import read_minute, write_minute, write_validity
from service.protocols.cmpp.version import V20, V30
from service.protocols.times import BEIJING
from tests.harness.vectors import load

DIGESTS = load("cmpp", "digests")
LOGINS = [case for case in DIGESTS if "source_addr" in case]
ANSWERS = [case for case in DIGESTS if "status" in case]
IDS = load("cmpp", "msgids")["cmpp_msg_id"]["cases"]


@pytest.mark.parametrize("case", LOGINS, ids=lambda case: case["what"])
def test_a_login_is_recognised_padded_or_not(case: dict[str, Any]) -> None:
    arguments = case["source_addr"], case["shared_secret"], int(case["timestamp"])
    md5 = bytes.fromhex(case["md5"])
    assert digest.source_matches(md5, *arguments)
    assert not digest.source_matches(md5, arguments[0], "wrong", arguments[2])


def test_our_login_is_unpadded() -> None:
    made = {
        digest.authenticator_source(
            c["source_addr"].encode(), c["shared_secret"], int(c["timestamp"])
        ).hex()
        for c in LOGINS
    }
    assert made == {c["md5"] for c in LOGINS if "zero-PADDED" not in c["what"]}


@pytest.mark.parametrize("case", ANSWERS, ids=lambda case: case["what"])
def test_a_gateway_is_recognised_in_both_widths(case: dict[str, Any]) -> None:
    source = bytes.fromhex(case["authenticator_source"])
    md5 = bytes.fromhex(case["md5"])
    assert digest.ismg_matches(md5, source, case["shared_secret"])
    assert not digest.ismg_matches(md5, source, "wrong")
    version = V20 if "1 octet" in case["what"] else V30
    assert digest.authenticator_ismg(0, source, case["shared_secret"], version) == md5


@pytest.mark.parametrize("case", IDS, ids=lambda case: case["text22"])
def test_message_ids_are_laid_out_as_recorded(case: dict[str, Any]) -> None:
    month, day, hour, minute, second = (
        case[name] for name in ("month", "day", "hour", "minute", "second")
    )
    at = datetime(2024, month, day, hour, minute, second, tzinfo=BEIJING)
    value = digest.message_id(at, case["gateway"], case["sequence"])
    assert value == case["uint64"]
    assert value.to_bytes(8, "big").hex() == case["hex"]
    assert digest.message_id_digits(value) == case["text22"]


def test_ids_of_several_recipients_wrap_within_the_sequence() -> None:
    first = 0x84A9EB4134FDFFFE
    assert digest.message_ids(first, 1) == [first]
    assert digest.message_ids(first, 4) == [
        first,
        0x84A9EB4134FDFFFF,
        0x84A9EB4134FD0000,
        0x84A9EB4134FD0001,
    ]
    assert digest.message_ids(2**64 - 1, 2) == [2**64 - 1, 2**64 - 0x10000]


def test_the_login_timestamp_is_beijing_time() -> None:
    assert digest.connect_timestamp(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)) == 809103045


def test_times_are_beijing_time_both_ways() -> None:
    at = datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)
    assert write_validity(at) == "260810103045032+"
    assert write_minute(at) == "2608101030"
    assert read_minute("2608101030") == at.replace(second=0)
    assert read_minute("260810103045") == at.replace(second=0)


@pytest.mark.parametrize("text", ["", "0000000000", "2613101030", "hello", "26081010"])
def test_times_that_make_no_sense_are_nothing(text: str) -> None:
    assert read_minute(text) is None
