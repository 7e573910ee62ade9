from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.protocols.sgip.sequence import (
    Counter,
    SequenceNumber,
    SequenceNumbers,
    read,
    reference,
    shown,
    sp_node,
    time_field,
    write_time,
)
from tests.harness.vectors import load

NODES = load("sgip", "msgids")["sgip_node"]
VECTORS = {vector["id"]: vector for vector in load("sgip", "sgip12")}
NODE = 3037112345
EVENING = datetime(2026, 11, 20, 12, 32, 25, tzinfo=UTC).timestamp()


@pytest.mark.parametrize("case", NODES, ids=lambda case: str(case["node"]))
def test_node_numbers_are_made_as_recorded(case: dict[str, Any]) -> None:
    assert sp_node(case["area"], case["corp_id"]) == case["node"]


def test_the_reference_is_what_a_report_brings_back() -> None:
    submit, report = VECTORS["sgip-submit-ascii"], VECTORS["sgip-report-ok"]
    number = SequenceNumber(*submit["sequence"]).number
    octets = reference(number)
    assert octets == bytes.fromhex(submit["hex"])[8:20]
    assert octets == bytes.fromhex(report["hex"])[20:32]
    assert shown(octets) == "3037112345 0809103045 0000000002"


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_the_three_integers_come_back(node: int, at: int, counter: int) -> None:
    number = SequenceNumber(node, at, counter)
    assert read(number.number) == number
    assert int.from_bytes(reference(number.number), "big") == number.number


def test_times_are_beijing_time() -> None:
    assert time_field(datetime(2026, 8, 9, 2, 30, 45, tzinfo=UTC)) == 809103045
    assert write_time(datetime(2026, 8, 10, 2, 30, 45, tzinfo=UTC)) == "260810103045032+"


def test_a_number_names_node_second_and_counter() -> None:
    numbers = SequenceNumbers(NODE, now=lambda: EVENING + 0.9, counter=Counter(lambda _: 0))
    assert [read(numbers.take()) for _ in range(3)] == [
        (NODE, 1120203225, 0),
        (NODE, 1120203225, 1),
        (NODE, 1120203225, 2),
    ]


def test_the_time_follows_the_clock() -> None:
    seconds = iter([EVENING, EVENING + 1, EVENING + 1, EVENING - 5])
    numbers = SequenceNumbers(NODE, now=lambda: next(seconds))
    times = [read(numbers.take()).time for _ in range(4)]
    assert times == [1120203225, 1120203226, 1120203226, 1120203220]


def test_no_number_comes_twice_though_the_clock_stands_still_or_goes_back() -> None:
    seconds = iter([EVENING, EVENING + 1, EVENING] * 50_000)
    numbers = SequenceNumbers(NODE, now=lambda: next(seconds))
    assert len({numbers.take() for _ in range(150_000)}) == 150_000


def test_links_of_one_process_share_the_counter() -> None:
    first, second = (SequenceNumbers(NODE, now=lambda: EVENING) for _ in range(2))
    taken = [link.take() for _ in range(50) for link in (first, second)]
    assert len(set(taken)) == 100


def test_processes_begin_in_places_drawn_by_lot() -> None:
    places = iter([7, 9, 11])
    counter = Counter(lambda _: next(places))
    numbers = [counter.take() for _ in range(2 * 65_536 + 1)]
    assert (numbers[0], numbers[1], numbers[65_535]) == (7 << 16, (7 << 16) + 1, (7 << 16) + 65_535)
    assert (numbers[65_536], numbers[-1]) == (9 << 16, 11 << 16)
