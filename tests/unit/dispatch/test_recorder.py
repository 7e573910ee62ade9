"""What the answers of all parts amount to."""

from collections import deque
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from service.campaigns.calendar.hours import HourTerms
from service.coding.parts import Coding, split
from service.dispatch.compose import ClaimedSlice, Message
from service.dispatch.fair_queue import Flow
from service.dispatch.handoff.recorder import result_of


def two_parts(**answers: object) -> Message:
    parts = split("长" * 100, coding=Coding.UCS2)
    work = ClaimedSlice(
        run_id=UUID(int=1),
        slice_no=1,
        text="",
        message_class="service",
        max_tps=None,
        hours=HourTerms((), ZoneInfo("Asia/Shanghai"), "public_interest"),
        valid_until=None,
        flow=Flow(1, UUID(int=2)),
        weight=10,
        rows=deque(),
    )
    message = Message(work, 1, "+8619790000001", b"h", parts, 0, attempt=1)
    for name, value in answers.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize(
    ("answers", "state"),
    [
        ({"refs": [(1, b"a"), (2, b"b")]}, "submitted"),
        ({"refs": [(1, b"a")], "rejection": ("network", "9")}, "rejected"),
        ({"unsent": 1, "rejection": ("network", "9")}, "rejected"),
        ({"unsent": 1, "refs": [(1, b"a")]}, "uncertain"),
        ({"unsent": 1, "unanswered": True}, "uncertain"),
        ({"unanswered": True, "rejection": ("network", "9")}, "uncertain"),
    ],
    ids=["all taken", "one refused", "one refused, one not written", "half", "lost", "lost half"],
)
def test_only_what_may_have_left_in_part_is_uncertain(
    answers: dict[str, object], state: str
) -> None:
    assert result_of(two_parts(**answers)).state == state
