"""Parts into whole texts: any order, doubled, a reference that comes again, never whole."""

import itertools
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TypedDict
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.delivery.inbound.reassembly import GAP, REPEATED_WITHIN, Arrival, Joiner

NOW = datetime(2027, 1, 12, 1, 30, tzinfo=UTC)
SECOND = timedelta(seconds=1)
_numbers = itertools.count(1)


def ids() -> Iterator[UUID]:
    return iter(uuid.uuid4, None)


class Key(TypedDict, total=False):
    """What the parts of one text share."""

    sender_hash: bytes
    recipient: str
    reference: int
    total: int


def part(
    number: int,
    text: str,
    *,
    channel_id: int = 1,
    sender_hash: bytes = b"s" * 16,
    recipient: str = "10657001",
    reference: int = 7,
    total: int = 3,
    at: datetime = NOW,
    text_id: UUID | None = None,
) -> Arrival:
    return Arrival(
        id=next(_numbers),
        channel_id=channel_id,
        sender_hash=sender_hash,
        sender_cipher=b"",
        recipient=recipient,
        text=text,
        reference=reference,
        number=number,
        total=total,
        received_at=at,
        text_id=text_id,
    )


def joined(*arrivals: Arrival) -> Joiner:
    joiner = Joiner(ids())
    for arrival in arrivals:
        joiner.take(arrival)
    return joiner


@pytest.mark.parametrize("order", list(itertools.permutations([1, 2, 3])))
def test_parts_in_any_order_make_the_text(order: tuple[int, ...]) -> None:
    joiner = joined(*(part(n, "甲乙丙"[n - 1]) for n in order))
    assert [(whole.text, whole.missing) for whole in joiner.wholes] == [("甲乙丙", 0)]
    assert joiner.waiting == {}
    assert joiner.copies == []


@pytest.mark.parametrize(
    "other",
    [
        {"sender_hash": b"t" * 16},
        {"recipient": "10657002"},
        {"reference": 8},
        {"total": 4},
    ],
)
def test_what_differs_in_the_key_is_another_text(other: Key) -> None:
    joiner = joined(part(1, "甲", total=2), part(2, "乙", **(Key(total=2) | other)))
    assert joiner.wholes == []
    assert len(joiner.waiting) == 2


def test_parts_over_two_channels_meet() -> None:
    joiner = joined(part(1, "甲", total=2), part(2, "乙", total=2, channel_id=2))
    assert [whole.text for whole in joiner.wholes] == ["甲乙"]


def test_interleaved_texts_of_one_sender_come_apart() -> None:
    pairs = [part(n, f"{ref}{n}", total=2, reference=ref) for n in (1, 2) for ref in (5, 6)]
    assert [whole.text for whole in joined(*pairs).wholes] == ["5152", "6162"]


def test_a_part_that_comes_again_while_others_are_awaited_is_a_copy() -> None:
    again = part(1, "甲", total=2)
    joiner = joined(part(1, "甲", total=2), again, part(2, "乙", total=2))
    assert [whole.text for whole in joiner.wholes] == ["甲乙"]
    assert joiner.copies == [(again, None)]


def test_a_part_that_comes_again_after_its_text_is_whole_is_a_copy_of_that_text() -> None:
    late = part(1, "甲", total=2, at=NOW + REPEATED_WITHIN)
    joiner = joined(part(1, "甲", total=2), part(2, "乙", total=2), late)
    assert joiner.copies == [(late, joiner.wholes[0].id)]
    assert joiner.waiting == {}


def test_the_same_part_much_later_begins_a_text() -> None:
    later = part(1, "甲", total=2, at=NOW + REPEATED_WITHIN + SECOND)
    joiner = joined(part(1, "甲", total=2), part(2, "乙", total=2), later)
    assert joiner.copies == []
    assert joiner.waiting == {later.key: {1: later}}


def test_a_reference_that_comes_again_ends_the_text_that_was_never_whole() -> None:
    joiner = joined(part(1, "旧", total=2), part(1, "新", total=2), part(2, "的", total=2))
    assert [(w.text, w.missing) for w in joiner.wholes] == [("旧" + GAP, 1), ("新的", 0)]


def test_what_waits_too_long_is_given_out_with_a_mark_where_something_is_missing() -> None:
    joiner = joined(part(2, "乙"))
    joiner.give_up(NOW - SECOND)
    assert joiner.wholes == []
    joiner.give_up(NOW)
    assert [(w.text, w.missing) for w in joiner.wholes] == [(f"{GAP}乙{GAP}", 2)]
    assert joiner.waiting == {}


def test_the_first_part_counts_for_the_wait() -> None:
    joiner = joined(part(1, "甲"), part(2, "乙", at=NOW + timedelta(hours=23)))
    joiner.give_up(NOW)
    assert [w.text for w in joiner.wholes] == [f"甲乙{GAP}"]


@pytest.mark.parametrize(("number", "total"), [(1, 1), (0, 2), (3, 2), (1, 0), (-1, 2), (5, 1)])
def test_a_header_that_cannot_be_makes_no_part(number: int, total: int) -> None:
    joiner = joined(part(number, "甲", total=total))
    assert [(w.text, w.missing) for w in joiner.wholes] == [("甲", 0)]


def test_what_came_before_is_remembered() -> None:
    waiting = part(1, "甲", total=2)
    known = uuid.uuid4()
    before = part(1, "旧", total=2, reference=9, text_id=known)
    joiner = Joiner(ids())
    joiner.remember([waiting, before])
    copy = part(1, "旧", total=2, reference=9, at=NOW + SECOND)
    for arrival in (copy, part(2, "乙", total=2)):
        joiner.take(arrival)
    assert [w.text for w in joiner.wholes] == ["甲乙"]
    assert joiner.copies == [(copy, known)]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(0, 3),
            st.sampled_from("甲乙"),
            st.sampled_from([7, 8]),
            st.integers(0, 900),
        )
    ),
    st.booleans(),
)
def test_every_arrival_is_in_one_text_or_a_copy_or_waits(
    drawn: list[tuple[int, int, str, int, int]], given_up: bool
) -> None:
    arrivals = [
        part(number, text, total=total, reference=reference, at=NOW + seconds * SECOND)
        for number, total, text, reference, seconds in drawn
    ]
    joiner = joined(*arrivals)
    if given_up:
        joiner.give_up(NOW + 900 * SECOND)
        assert joiner.waiting == {}
    found = [p.id for whole in joiner.wholes for p in whole.parts.values()]
    found += [copy.id for copy, _ in joiner.copies]
    found += [p.id for parts in joiner.waiting.values() for p in parts.values()]
    assert sorted(found) == sorted(arrival.id for arrival in arrivals)
    assert all(whole.missing >= 0 for whole in joiner.wholes)
    assert {to for _, to in joiner.copies} <= {None, *(whole.id for whole in joiner.wholes)}
