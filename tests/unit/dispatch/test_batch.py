"""Messages into submits: who shares one, in which order, and what a cut lot still has in common."""

import uuid
from collections import deque
from uuid import UUID
from zoneinfo import ZoneInfo

from service.campaigns.calendar.hours import HourTerms
from service.coding.parts import Part, split
from service.dispatch.compose import ClaimedSlice, Message
from service.dispatch.fair_queue import Flow
from service.dispatch.handoff.batch import pack

LONG = "【旌德县公安局】先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。" * 3


def work() -> ClaimedSlice:
    return ClaimedSlice(
        run_id=UUID(int=1),
        slice_no=1,
        text=LONG,
        message_class="public_interest",
        max_tps=None,
        hours=HourTerms((), ZoneInfo("Asia/Shanghai"), "public_interest"),
        valid_until=None,
        flow=Flow(1, uuid.UUID(int=1)),
        weight=10,
        rows=deque(),
    )


def messages(of: ClaimedSlice, count: int, parts: tuple[Part, ...] | None = None) -> list[Message]:
    """As a composer makes them: the very same parts, or, without `parts`, each with its own."""
    return [
        Message(of, no, f"+861979{no:07d}", bytes([no]), parts or split(f"{no}" + LONG), no)
        for no in range(count)
    ]


def test_alike_neighbours_share_their_submits_part_by_part() -> None:
    parts = split(LONG)
    parcels = pack(messages(work(), 5, parts), 2)
    sizes = [(len(parcel.messages), parcel.part.number) for parcel in parcels]
    assert sizes == [(n, part.number) for n in (2, 2, 1) for part in parts]


def test_texts_of_their_own_and_other_slices_go_alone() -> None:
    one, other = work(), work()
    parts = split("警钟")
    mixed = [*messages(one, 2), *messages(one, 2, parts), *messages(other, 2, parts)]
    parcels = [parcel for parcel in pack(mixed, 10) if parcel.part.number == 1]
    assert [len(parcel.messages) for parcel in parcels] == [1, 1, 2, 2]
    assert [parcel.work for parcel in parcels] == [one, one, one, other]


def test_a_handset_finds_all_parts_under_one_reference_however_a_lot_is_cut() -> None:
    parcels = pack(messages(work(), 6, split(LONG)), 6)
    first, rest = parcels[0].cut(2)
    assert [len(first.messages), len(rest.messages)] == [2, 4]
    assert rest.messages[0].reference == parcels[1].messages[0].reference
    assert {single.messages[0].reference for single in parcels[1].singly()} == {
        first.messages[0].reference
    }
