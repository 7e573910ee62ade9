"""A county of eight units that lives through weeks under a moved clock: its people, its carrier
over TCP, what the scheduler does at each moment, and what the carrier's own book says of it.
"""

import bisect
import time as real_time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from service.clock import CHINA
from service.delivery.receipts.receipts import fold_receipts
from service.reports.weekly.packs import build_next
from service.simulator.carrier.journal import submits
from service.simulator.run import running
from service.storage.postgres import transaction
from tests.factories import Team, make_team, make_token
from tests.harness.list_files import channels_served
from tests.harness.owed import COUNTY_PEOPLE, choose_texts
from tests.harness.simulated import simulator
from tests.harness.waiting import until
from tests.harness.weeks import channels_to_fold, lay_channel
from tests.integration.api.conftest import Answer, Api
from workers import scheduler

UNITS = ("版书镇", "云乐镇", "蔡家桥镇", "孙村镇", "三溪镇", "俞村镇", "白地镇", "兴隆镇")
PERSONS: Mapping[str, tuple[int, int]] = {
    "版书镇": (201, 301),
    "云乐镇": (202, 302),
    "蔡家桥镇": (203, 303),
    "孙村镇": (204, 304),
    "三溪镇": (205, 305),
    "俞村镇": (206, 306),
    "白地镇": (207, 307),
    "兴隆镇": (204, 308),
}
"""The last digits of liaison and leader. One person is the liaison of two units."""

LOOKS = [
    time(hour, minute)
    for hour, minutes in {
        **dict.fromkeys((0, 3, 5, 6, 11, 12, 18, 20, 22), (0,)),
        **dict.fromkeys((9, 10, 15), (0, 1)),
        7: (0, 59),
        8: (0, 59),
        13: (59,),
        14: (0,),
        16: (0, 1),
        17: (0, 1),
        23: (59,),
    }.items()
    for minute in minutes
] + [time(15, 59), time(16, 59)]
"""When the scheduler has a turn, each day: around all that is to be done, and at night."""

Act = Callable[[], Awaitable[Any]]


class Told(NamedTuple):
    """A text that the carrier took, at the moved clock's minute, to the last digits of a number."""

    at: datetime
    person: int
    text: str


@dataclass
class Quarter:
    """The county, and where its clock stood at which real second."""

    api: Api
    journal: Path
    teams: Mapping[str, Team]
    _stood: list[tuple[float, datetime]] = field(default_factory=list)
    _acts: list[tuple[datetime, int, Act]] = field(default_factory=list)

    def at(self, moment: datetime, act: Act) -> None:
        """Let somebody do something at a moment that is to come."""
        bisect.insort(self._acts, (moment, len(self._acts), act))

    def move(self, moment: datetime) -> None:
        """Put the clock there."""
        self.api.clock.at = moment
        self._stood.append((real_time.time(), moment))

    async def live(self, to: datetime, *, scheduled: bool = True) -> None:
        """Let the time pass up to a moment, that one included. scheduled: whether the scheduler
        works.
        """
        now = self.api.clock.at
        looks = [one for one in _looks(now, to) if now < one <= to]
        for moment in sorted({*looks, *(at for at, _, _ in self._acts if at <= to), to}):
            self.move(moment)
            while self._acts and self._acts[0][0] <= moment:
                await self._acts.pop(0)[2]()
            if scheduled:
                await self.turn()

    async def turn(self) -> None:
        """What the scheduler and those who build packs do at this moment; then all that may leave
        has left, and the carrier has said what became of it.
        """
        runtime = self.api.runtime
        context: dict[str, Any] = {"runtime": runtime}
        await scheduler.owe(context)
        await self.build_packs()
        await self.all_left()

    async def build_packs(self) -> None:
        """Build what is due by now."""
        runtime = self.api.runtime
        await scheduler.pack({"runtime": runtime})
        while await build_next(runtime.pool, runtime.keyring, self.api.clock, runtime.settings):
            pass

    async def all_left(self) -> None:
        """Wait until the channel has looked at all that waits: what may leave was taken by the
        carrier and has its receipt, and of the rest it is noted until when it stays.
        """

        pool, at = self.api.runtime.pool, self.api.clock.at

        async def none_open() -> bool:
            for channel in await channels_to_fold(pool):
                await fold_receipts(pool, channel, at)
            found: bool = await pool.fetchval(
                "SELECT NOT EXISTS (SELECT FROM messages"
                " WHERE state IN ('submitting', 'uncertain', 'submitted'))"
                " AND NOT EXISTS (SELECT FROM slices WHERE done_at IS NULL"
                " AND (slot IS NOT NULL OR coalesce(not_before, $1) <= $1))",
                at,
            )
            return found

        await until(none_open, what="all that may leave has left", every=0.02)

    def told(self) -> list[Told]:
        """What the carrier took, in the order of its book."""
        stood = [second for second, _ in self._stood]
        found = []
        for entry in submits(self.journal):
            assert entry["total"] == 1
            _, moment = self._stood[bisect.bisect(stood, entry["at"]) - 1]
            minute = moment.astimezone(CHINA).replace(second=0, microsecond=0)
            found.append(Told(minute, int(entry["phone"][-3:]), entry["text"]))
        return found

    async def asked(self, method: str, path: str, who: tuple[str, str], body: Any) -> Any:
        """What somebody is answered who may do what they ask for."""
        answer: Answer = await self.api.call(method, path, who, json=body)
        assert answer.status < 300, answer.body
        return answer.json

    async def name(self, unit: str, **people: int) -> None:
        """Name a unit's liaison or leader, by the last digits of their numbers."""
        body = {
            duty: {"name": "李四", "phone": f"19790000{number}"} for duty, number in people.items()
        }
        path = f"/departments/{self.teams[unit].department_id}/people"
        await self.asked("PUT", path, (unit, "admin"), body)

    async def duty(self, unit: str, title: str, week: str) -> dict[str, Any]:
        """One duty, as the unit's operator sees it."""
        path = f"/duties?mine=true&period={week}"
        answer = await self.api.get(path, (unit, "operator"))
        (found,) = [one for one in answer.json["items"] if one["title"] == title]
        detail = await self.api.get(f"/duties/{found['id']}", (unit, "operator"))
        assert detail.status == 200, detail.body
        return dict(detail.json)

    async def decide(
        self, act: str, unit: str, title: str, week: str, who: tuple[str, str], **body: Any
    ) -> None:
        """Hand in, return, accept or excuse a duty."""
        duty = await self.duty(unit, title, week)
        await self.asked("POST", f"/duties/{duty['id']}/{act}", who, body)


def _looks(after: datetime, to: datetime) -> list[datetime]:
    first, last = after.astimezone(CHINA).date(), to.astimezone(CHINA).date()
    days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
    return [in_china(day, look) for day in days for look in LOOKS]


def in_china(day: date, at: time) -> datetime:
    """A moment of the county's time."""
    return datetime.combine(day, at, CHINA)


@asynccontextmanager
async def lived(api: Api, journal: Path, units: Sequence[str] = UNITS) -> AsyncIterator[Quarter]:
    """The units with their people, the county with its people and texts, and a channel process to
    a simulated carrier that delivers everything.
    """
    pool, keyring, now = api.runtime.pool, api.runtime.keyring, api.clock.at
    teams: dict[str, Team] = {}
    async with transaction(pool) as conn:
        for unit in units:
            team = teams[unit] = await make_team(conn, now=now, kind="town")
            await conn.execute(
                "UPDATE departments SET name = $2 WHERE id = $1", team.department_id, unit
            )
            for role in ("admin", "operator"):
                user = getattr(team, role)
                api.tokens[unit, role] = await make_token(conn, keyring, user, now)
    quarter = Quarter(api, journal, teams)
    quarter.move(now)
    county = api.teams["county"].department_id
    await quarter.asked("PUT", f"/departments/{county}/people", ("county", "admin"), COUNTY_PEOPLE)
    for unit in units:
        liaison, leader = PERSONS[unit]
        await quarter.name(unit, liaison=liaison, leader=leader)
    await choose_texts(api)
    async with running(
        simulator(journal=journal, journal_texts=True, profile="roster"), clock=api.clock
    ) as smsc:
        await lay_channel(pool, keyring, "cmpp", smsc.ports["cmpp"], None, now)
        async with channels_served(api.runtime):
            yield quarter
