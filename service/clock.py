"""The one source of the present: every decision takes `now` from a Clock, never from the system.

`tocsin up --clock 2027-01-12T09:30+08:00 --speed 60` gives demos and tests any hour and pace
(simulated channels only). What measures the life of a process (leases, pace, timeouts) uses real
time instead: a sped-up calendar must not stretch a lease.
"""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from service.errors import Misconfigured
from service.words.phrase import phrase

CHINA = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Clock:
    """The present, perhaps shifted and sped up.

    At the real instant `anchor` (seconds since the epoch) the clock showed `start`; since then it
    has run `speed` times as fast. All processes of one system share the three values, so they
    agree on the time. The default is the world's own time.
    """

    start: datetime | None = None
    anchor: float = 0.0
    speed: float = 1.0

    def now(self) -> datetime:
        """The present as an aware datetime in UTC."""
        if self.start is None:
            return datetime.now(UTC)
        return self.start + timedelta(seconds=(time.time() - self.anchor) * self.speed)

    @property
    def simulated(self) -> bool:
        """Whether this is not the world's own time; real channels refuse to work then."""
        return self.start is not None


def day_in_china(now: datetime) -> date:
    """The calendar day there: what has a last day is valid to its end."""
    return now.astimezone(CHINA).date()


def written(at: datetime, zone: ZoneInfo) -> str:
    """An instant as people and programs read it: RFC 3339, with the offset of the county's zone.

    zone: `Settings.zone`. Text that is hashed or signed stays in UTC, whatever the zone.
    """
    return at.astimezone(zone).isoformat()


def parse_instant(text: str) -> datetime:
    """An RFC 3339 instant with offset, as UTC.

    Raises:
        Misconfigured: not an instant, or without an offset.
    """
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(
            phrase("{text!r} is not an instant; write it like 2027-01-12T09:30+08:00", text=text)
        ) from error
    if instant.tzinfo is None:
        raise Misconfigured(
            phrase("{text!r} has no offset; write it like 2027-01-12T09:30+08:00", text=text)
        )
    return instant.astimezone(UTC)
