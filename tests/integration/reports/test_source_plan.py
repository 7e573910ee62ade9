"""A county's quarter, from 10 January to 31 March 2027, as docs/source-plan.md tells it.

The tables of that page are what is expected here: when what fires, and for each week and carrier
how many people were meant, reached, failed, unknown and left out, and how many parts were taken.
"""

import re
from collections import Counter, defaultdict
from datetime import datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from service.runtime import Runtime
from tests.harness.clocks import MovedClock
from tests.harness.county import County, Taken, at_work
from tests.harness.office import (
    ADMIN,
    CARRIERS,
    DELIVERED,
    OTHERS,
    PROFILE,
    RETURNEES,
    TEXTS,
    Plan,
    phone,
)
from tests.harness.waiting import until
from tests.integration.api.conftest import Api
from workers import scheduler

PAGE = Path(__file__).parents[3] / "docs" / "source-plan.md"
SHANGHAI = ZoneInfo("Asia/Shanghai")
FIGURES = ("target", "reached", "failed", "unknown", "parts")
GRACE = timedelta(minutes=1)
"""How much later than its mark a carrier may write a text down."""

OPTS_OUT = ("china_telecom", 6)
JOINS = ("china_telecom", 18)


def _table(name: str) -> list[list[str]]:
    """The cells of a table of the page, without its head."""
    found = re.search(rf"<!-- {name} -->\n\n(.+?)\n\n", PAGE.read_text(), re.S)
    assert found is not None, name
    lines = found[1].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def _day(text: str) -> datetime:
    return datetime.strptime(f"2027 {text} 09:30", "%Y %d %b %H:%M").replace(tzinfo=SHANGHAI)


def _label(at: datetime) -> str:
    day = at.astimezone(SHANGHAI)
    return f"{day.day} {day:%b}"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own
async def test_the_quarter_goes_as_the_page_says(
    api: Api, runtime: Runtime, clock: MovedClock, tmp_path: Path
) -> None:
    plan = Plan(api)
    async with at_work(runtime, clock, tmp_path, PROFILE) as county:
        weekly, returnees = await _planned(plan, county)
        closed = None
        day = datetime(2027, 1, 9, 9, 30, tzinfo=SHANGHAI)
        while day < datetime(2027, 4, 24, tzinfo=SHANGHAI):
            if await _live(county, plan, day) and closed is None:
                state = (await plan.get(f"/campaigns/{weekly}"))["state"]
                closed = day if state == "done" else None
            day += timedelta(days=1)
        taken = county.taken()
    assert closed == _day("31 Mar")
    reports = [await plan.get(f"/campaigns/{one}/report") for one in (weekly, returnees)]
    tables = {name: _table(name) for name in TEXTS}
    for (name, table), campaign, report in zip(
        tables.items(), (weekly, returnees), reports, strict=True
    ):
        fires = await plan.fires(campaign)
        assert fires == [(_day(row[0]), int(row[1])) for row in table]
        assert [row[2].split()[-1] for row in table] == [
            TEXTS[name][text_no - 1]["topic"] for _, text_no in fires
        ]
        assert _shown(report, fires) == [row[:2] + row[3:] for row in table]
    topics = [[t, str(f["target"]), str(f["reached"])] for t, f in reports[0]["by_topic"].items()]
    assert sorted(topics) == sorted(_table("topics"))
    _check_channels(taken, reports)
    _check_people(taken, {row[0] for table in tables.values() for row in table})


async def _planned(plan: Plan, county: County) -> tuple[str, str]:
    """The county has its channels, its people and both campaigns."""
    for carrier in county.carriers.values():
        await plan.post("/channels", carrier.channel(), ADMIN)
    await plan.people()
    weekly = await plan.campaign(
        "weekly",
        "carrier in (mobile, unicom, telecom)",
        schedule={
            "kind": "recurring",
            "start_at": "2027-01-13T09:30:00+08:00",
            "rrule": "FREQ=WEEKLY;BYDAY=WE",
            "until": "2027-03-31T23:59:00+08:00",
            "validity_minutes": 630,
        },
        period={"start": "2027-01-10T00:00:00+08:00", "end": "2027-04-01T00:00:00+08:00"},
    )
    around = await plan.post("/schedules/festival", {"preset": "returnees", "year": 2027})
    returnees = await plan.campaign(
        "returnees",
        "role = returnee",
        schedule=around["schedule"],
        period=around["period"],
    )
    return weekly, returnees


async def _live(county: County, plan: Plan, morning: datetime) -> int:
    """A day of the county: nothing is due until half past nine; what fires then is sent. Says how
    many fired.
    """
    county.clock.move(morning - timedelta(seconds=1))
    assert await county.tick() == 0
    await county.act(scheduler.settle)
    county.clock.move(morning)
    fired = await county.tick()
    if fired:
        await county.drain()
        county.clock.move(morning + timedelta(hours=2))  # what is tried again has left by then
        await county.drain()
    if morning == _day("1 Feb"):
        county.carriers["smgp"].reply(f"+86{phone(*OPTS_OUT)}", "R")
        await until(partial(_somebody_opted_out, county), 60.0)
    if morning == _day("22 Feb"):
        person = {"phone": phone(*JOINS), "roles": ["villager"]}
        await plan.post("/contacts", person | {"roster": "全县群众", "basis": "duty"})
    return fired


async def _somebody_opted_out(county: County) -> bool:
    found: bool = await county.runtime.pool.fetchval(
        "SELECT EXISTS (SELECT FROM suppressions WHERE reason = 'opted_out')"
    )
    return found


def _shown(report: Any, fires: list[tuple[datetime, int]]) -> list[list[str]]:
    """A report as the page shows it, a line a week, without the topic."""
    weeks: dict[str, dict[str, Any]] = {}
    for row in report["weeks"]:
        assert row["target"] == sum(row["states"].values())
        assert (row["relation"], row["runs"], row["stopped"], row["open"]) == (None, 1, 0, 0)
        weeks.setdefault(row["week"], {})[row["carrier"]] = row
    lines = []
    for (at, text_no), rows in zip(fires, weeks.values(), strict=True):
        figures = [" ".join(str(rows[carrier][name]) for name in FIGURES) for carrier in CARRIERS]
        out = {c: rows[c]["excluded"] for c in CARRIERS if rows[c]["excluded"]}
        left_out = "; ".join(
            f"{carrier.removeprefix('china_')}: "
            + ", ".join(f"{reason} {people}" for reason, people in sorted(reasons.items()))
            for carrier, reasons in out.items()
        )
        lines.append([_label(at), str(text_no), *figures, left_out or "–"])
    return lines


def _check_channels(taken: list[Taken], reports: list[Any]) -> None:
    """What the carriers have written down is what the reports say of their channels."""
    counted: Counter[tuple[str, str]] = Counter()
    for part in taken:
        day = part.at.astimezone(SHANGHAI).date()
        counted[f"{day - timedelta(days=day.weekday())}", part.channel] += 1
    said: Counter[tuple[str, str]] = Counter()
    for report in reports:
        for channel in report["lanes"]:
            said[channel["week"], channel["channel"]] += channel["parts"]
        assert report["total"]["parts"] == sum(channel["parts"] for channel in report["lanes"])
    assert said == counted
    assert [said["2027-01-11", channel] for channel in ("cmpp", "smgp", "sgip")] == [24, 16, 8]


def _check_people(taken: list[Taken], days: set[str]) -> None:
    """Who got texts on which days, by what the carriers have taken."""
    texts: dict[str, dict[str, Taken]] = defaultdict(dict)  # the first part of each day
    for part in taken:
        at = part.at.astimezone(SHANGHAI)
        assert time(9, 30) <= at.time() < time(11, 31), "what is tried again leaves by then, too"
        texts[part.phone].setdefault(_label(at), part)
    everybody = {
        f"+86{phone(carrier, person)}": 14 if person in RETURNEES[carrier] else 12
        for carrier in CARRIERS
        for person in (*DELIVERED[carrier], *OTHERS[carrier])
    }
    fewer = {("china_mobile", 1): 2, OPTS_OUT: 3, JOINS: 6}
    everybody |= {f"+86{phone(*who)}": n for who, n in fewer.items()}
    assert {person: len(own) for person, own in texts.items()} == everybody
    assert {day for own in texts.values() for day in own} == days
    for own in texts.values():
        for one in own.values():
            before = [one.at - other.at for other in own.values() if other.at <= one.at]
            for span, most in ((1, 1), (7, 2), (30, 6)):
                assert sum(ago < timedelta(days=span) - GRACE for ago in before) <= most
            same = [other.at for other in own.values() if other.digest == one.digest]
            assert all(abs(one.at - at) >= timedelta(days=30) for at in same if at != one.at)
