"""What waits on a channel, what holds it, and for how long."""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import Annotated, Literal
from uuid import UUID

from pydantic import BeforeValidator, Field

from service.api.http.call import Call
from service.api.http.schema import Instant, Out
from service.channels.config import store
from service.channels.contract.model import Channel
from service.channels.trial.split_preview import splitter
from service.clock import Clock
from service.dispatch.forecast.channel_queue import read_queue


def _seconds(wait: object) -> object:
    return round(wait.total_seconds()) if isinstance(wait, timedelta) else wait


class ReasonOut(Out):
    """Why something waits other than for its turn."""

    name: Literal[
        "disabled",
        "no_connection",
        "breaker",
        "carrier",
        "quota",
        "maintenance",
        "paused",
        "hours",
        "later",
    ]
    until: Instant | None = Field(description="Null: nobody knows.")
    detail: str


class WaitingOut(Out):
    """What waits."""

    messages: int = Field(description="Not handed off yet, with those of paused campaigns.")
    paused: int = Field(description="Those of paused campaigns.")
    parts: int | None = Field(description="Null where a text has variables.")
    expected_wait_seconds: Annotated[int | None, BeforeValidator(_seconds)] = Field(
        validation_alias="wait",
        description="Until the last that is not paused will have been handed off; null: nobody"
        " knows. No promise: faults and what is yet to come are not in it.",
    )
    reasons: list[ReasonOut]


class DepartmentWaitingOut(WaitingOut):
    """What waits of a department."""

    department_id: UUID
    department: str
    weight: int


class ClassWaitingOut(WaitingOut):
    """What waits of a class, over all departments, and apart for the departments that you see."""

    priority: str
    departments: list[DepartmentWaitingOut]


class ChannelQuotaOut(Out):
    """A quota in parts, null where there is none, and the parts that were counted for it."""

    quota: int | None
    used: int


class QueueOut(Out):
    """The queue of a channel; `reasons` hold all of it."""

    tps: int | None
    rate: float | None = Field(
        description="Parts a second that are reckoned with: of the contract, else as measured over"
        " the last minute; null: unknown."
    )
    reasons: list[ReasonOut]
    day: ChannelQuotaOut
    month: ChannelQuotaOut
    classes: list[ClassWaitingOut]


async def get_queue(call: Call, channel_id: int) -> QueueOut:
    """Show what waits on a channel, by class and department, what holds it, and for how long."""
    channel = await store.get_channel(call.conn, call.runtime.keyring, channel_id)
    hold = await store.get_hold(call.conn, channel_id, call.now)
    counter = part_counter(channel, call.runtime.clock)
    queue = await read_queue(call.conn, channel, hold, counter, call.now)
    seen = QueueOut.model_validate(
        {"tps": channel.tps, **{name: getattr(queue, name) for name in queue.__slots__}}
    )
    for of_class in seen.classes:
        of_class.departments = [
            item for item in of_class.departments if call.user.sees(item.department_id)
        ]
    return seen


def part_counter(channel: Channel, clock: Clock) -> Callable[[str], int]:
    """How many parts the channel makes of a text, as its hand-off does; the link is not opened."""
    split = splitter(channel, clock)
    return cache(lambda text: len(split(text)))
