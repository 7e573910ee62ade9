"""Setting the county's calendar and send hours: each a new version, in force at once.

Whatever is still to fire is moved to where the new calendar has it, in the same transaction; texts
on their way are held to the new hours as soon as each channel process has read them.
"""

from datetime import datetime
from uuid import UUID

from service.campaigns.calendar import county_store
from service.campaigns.calendar.county_store import insert_version, lock_settings
from service.campaigns.calendar.holidays import CalendarChanges, Notice, check_changes
from service.campaigns.calendar.hours import HourRules, check_rules, hour_problems
from service.campaigns.runs.firing import reset_next_fires
from service.errors import Invalid
from service.storage.postgres import Connection


async def set_calendar(
    conn: Connection,
    changes: CalendarChanges,
    reason: str,
    by: UUID | None,
    now: datetime,
    *,
    version: int | None = None,
) -> int:
    """Put these in place of what the county had said of the calendar; returns how many campaigns'
    next fires moved.

    Raises:
        Invalid: they contradict themselves.
        Conflict: somebody else has set it since `version`; None: that does not matter.
    """
    check_changes(changes)
    _check_quiet_hours(changes)
    await lock_settings(conn, "calendar", version)
    await insert_version(conn, "calendar", changes.as_json(), reason, by, now)
    return await reset_next_fires(conn, now)


async def add_notice(
    conn: Connection, notice: Notice, reason: str, by: UUID | None, now: datetime
) -> int:
    """Make a year official, in place of any other notice of it; as `set_calendar`."""
    await lock_settings(conn, "calendar", None)
    county = await county_store.load_county(conn)
    return await set_calendar(conn, county.holidays.changes.with_notice(notice), reason, by, now)


async def set_hours(
    conn: Connection,
    rules: HourRules,
    reason: str,
    by: UUID | None,
    now: datetime,
    *,
    version: int | None = None,
) -> int:
    """Put these hours in place of the county's; raises and returns as `set_calendar`."""
    check_rules(rules)
    await lock_settings(conn, "send_hours", version)
    await insert_version(conn, "send_hours", rules.as_json(), reason, by, now)
    return await reset_next_fires(conn, now)


def _check_quiet_hours(changes: CalendarChanges) -> None:
    """Refuse quiet days with hours that are none: nothing could leave on them, nor be planned."""
    for place, quiet in enumerate(changes.quiet):
        for fault in hour_problems(quiet.hours):
            raise Invalid.at(f"quiet.{place}.hours", fault)
