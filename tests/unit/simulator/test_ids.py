import time

import pytest

from service.simulator.carrier.ids import Ids, Numbers
from service.simulator.carrier.protocols import PROTOCOLS

OCTETS = {"cmpp": 8, "sgip": 12, "smgp": 10, "twilio": 34}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_ids_of_all_protocols_differ_and_have_their_length(protocol: str) -> None:
    numbers = Numbers(0xFFF0)
    ids = Ids(protocol, 79101, numbers)
    given = ids.take(1000) + ids.take()
    assert len(set(given)) == 1001
    assert {len(octets) for octets in given} <= {OCTETS.get(protocol, len(given[0]))}
    assert numbers.last == 0xFFF0 + 1001


def test_a_cmpp_sequence_wraps_within_itself() -> None:
    first, second = Ids("cmpp", 79101, Numbers(0xFFFE)).take(2)
    assert (first[:6], first[6:], second[6:]) == (second[:6], b"\xff\xff", b"\x00\x00")


def test_an_smgp_id_is_decimal_throughout() -> None:
    (octets,) = Ids("smgp", 1_079_101, Numbers(999_998)).take()
    digits = octets.hex()
    assert digits.isdecimal()
    assert digits.startswith("079101")
    assert digits.endswith("999999")


def test_the_ids_of_one_submit_are_of_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([100.9, 101.0])
    monkeypatch.setattr(time, "time", lambda: next(now))
    ids = Ids("cmpp", 1, Numbers(0))
    first, second = ids.take(2), ids.take(2)
    assert first[0][:6] == first[1][:6] != second[0][:6] == second[1][:6]


def test_protocols_share_their_numbers() -> None:
    numbers = Numbers(5)
    Ids("cmpp", 1, numbers).take(3)
    assert Ids("smpp", 1, numbers).take()[0].endswith(b"000009")
