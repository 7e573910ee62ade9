"""When a channel rests: its hours of maintenance, and the days and months of its quotas (pure).

Both go by the clock in Beijing, as carriers do. Hours are spans of times of day, the end outside,
such as ("23:00", "01:00"); one whose end is not later than its start goes on past midnight, and
"24:00" is the end of the day.
"""

from collections.abc import Sequence
from datetime import date, datetime, time, timedelta

from service.clock import CHINA
from service.errors import Invalid
from service.words.phrase import phrase

MaintenanceHours = Sequence[tuple[str, str]]

_DAY = 24 * 60


def check_maintenance(hours: MaintenanceHours) -> None:
    """Refuse hours that cannot be followed, or that leave nothing of the day.

    Raises:
        Invalid: says what is wrong with them.
    """
    try:
        spans = [(_minutes(start), _minutes(end)) for start, end in hours]
    except ValueError as error:
        raise _refused(phrase('write spans of hours like [["23:00", "01:00"]]')) from error
    if any(start % _DAY == end % _DAY for start, end in spans):
        raise _refused(
            phrase("each span must end at another time than it starts, and not be a whole day")
        )
    if hours and _covers_the_day(hours):
        raise _refused(phrase("some of the day must be left for sending"))


def maintenance_end(now: datetime, hours: MaintenanceHours) -> datetime | None:
    """Until when the channel rests, if it does now; spans that touch are one."""
    if not hours:
        return None
    end = None
    at = now
    while (reached := max((e for e in _ends(at, hours)), default=at)) > at:
        end = at = reached
        if end - now > timedelta(days=1):
            break
    return end


def maintenance_start(now: datetime, hours: MaintenanceHours) -> datetime | None:
    """When the channel rests next, later than now; None: never."""
    today = now.astimezone(CHINA).date()
    starts = (
        _instant(today + timedelta(days=days), _minutes(start))
        for start, _ in hours
        for days in (0, 1)
    )
    return min((start for start in starts if start > now), default=None)


def day_of(now: datetime) -> date:
    """The day that an instant is in."""
    return now.astimezone(CHINA).date()


def month_of(now: datetime) -> date:
    """The first day of the month that an instant is in."""
    return day_of(now).replace(day=1)


def year_of(now: datetime) -> date:
    """The first day of the year that an instant is in."""
    return day_of(now).replace(month=1, day=1)


def next_day(now: datetime) -> datetime:
    """The next midnight."""
    return _instant(day_of(now) + timedelta(days=1), 0)


def next_month(now: datetime) -> datetime:
    """Midnight at the beginning of the next month."""
    return _instant((month_of(now) + timedelta(days=32)).replace(day=1), 0)


def next_year(now: datetime) -> datetime:
    """Midnight at the beginning of the next year."""
    return _instant(year_of(now).replace(year=day_of(now).year + 1), 0)


def _refused(why: str) -> Invalid:
    return Invalid(
        phrase("the hours of maintenance are wrong: {why}", why=why), fields={"maintenance": why}
    )


def _covers_the_day(hours: MaintenanceHours) -> bool:
    spans: list[tuple[int, int]] = []
    for start, end in hours:
        begins, ends = _minutes(start) % _DAY, _minutes(end)
        spans += [(begins, ends)] if begins < ends else [(begins, _DAY), (0, ends)]
    reached = 0
    for first, last in sorted(spans):
        if first > reached:
            return False
        reached = max(reached, last)
    return reached >= _DAY


def _ends(now: datetime, hours: MaintenanceHours) -> list[datetime]:
    """The ends of the spans that `now` is in."""
    today = now.astimezone(CHINA).date()
    ends = []
    for start_text, end_text in hours:
        start, end = _minutes(start_text) % _DAY, _minutes(end_text)
        length = end - start if end > start else end - start + _DAY
        for days in (-1, 0):
            began = _instant(today + timedelta(days=days), start)
            if began <= now < began + timedelta(minutes=length):
                ends.append(began + timedelta(minutes=length))
    return ends


def _instant(day: date, minutes: int) -> datetime:
    start = datetime.combine(day, time(), CHINA)
    return start + timedelta(minutes=minutes)


def _minutes(text: str) -> int:
    """Minutes since midnight of a time of day such as 08:00.

    Raises:
        ValueError: it is none.
    """
    if text == "24:00":
        return _DAY
    if len(text) != 5 or text[2] != ":":
        raise ValueError(text)
    parsed = time.fromisoformat(text)
    return parsed.hour * 60 + parsed.minute
