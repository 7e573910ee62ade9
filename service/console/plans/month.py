"""The calendar: a month as a table, a day below it, and where people or channels meet."""

from datetime import date, timedelta

from service.api.campaigns import calendar
from service.api.campaigns.calendar import CalendarQuery, SpanQuery
from service.console.asking import Desk
from service.console.plans import words
from service.console.render import Shown

MOST_FIRES = 100


async def show_month(desk: Desk) -> Shown:
    """A month: each day its fires and what meets; a day of it in full."""
    today = desk.now.date()
    first = _month(desk.request.query.get("month", "")) or today.replace(day=1)
    following = (first + timedelta(days=32)).replace(day=1)
    last = following - timedelta(days=1)
    begin = first - timedelta(days=first.weekday())
    end = begin + timedelta(days=41) if last > begin + timedelta(days=34) else begin + timedelta(34)
    span = {"from": begin.isoformat(), "to": end.isoformat()}
    days = await desk.get(calendar.list_calendar_days, query=SpanQuery.model_validate(span))
    asked = CalendarQuery.model_validate({**span, "limit": MOST_FIRES})
    page = await desk.get(calendar.list_calendar, query=asked)
    fires: dict[date, list[calendar.CalendarFireOut]] = {}
    for fire in page.items:
        fires.setdefault(fire.at.astimezone(desk.zone).date(), []).append(fire)
    chosen = _day(desk.request.query.get("day", ""))
    if chosen is None:
        chosen = today if begin <= today <= end else first
    is_whole = page.next_cursor is None
    chosen_fires = fires.get(chosen, []) if is_whole else await _fires_of(desk, chosen)
    weeks = [days.items[n : n + 7] for n in range(0, len(days.items), 7)]
    return Shown(
        "plans/calendar.html",
        {
            "weeks": weeks,
            "fires": fires,
            "chosen_fires": chosen_fires,
            "more": not is_whole,
            "month": first,
            "before": (first - timedelta(days=1)).replace(day=1),
            "after": following,
            "today": today,
            "chosen": next((day for day in days.items if day.date == chosen), None),
            "warning": days.warning,
            "words": words,
        },
    )


async def _fires_of(desk: Desk, day: date) -> list[calendar.CalendarFireOut]:
    """All fires of a day."""
    found: list[calendar.CalendarFireOut] = []
    span = {"from": day.isoformat(), "to": day.isoformat(), "limit": MOST_FIRES}
    query: CalendarQuery | None = CalendarQuery.model_validate(span)
    while query is not None:
        page = await desk.get(calendar.list_calendar, query=query)
        found += page.items
        more = page.next_cursor
        query = query.model_copy(update={"cursor": more}) if more else None
    return found


def _month(text: str) -> date | None:
    return _day(f"{text}-01")


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
