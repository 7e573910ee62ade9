"""A quarter lived through: thirteen Fridays of nine reports each, with holidays, a late notice, a
new liaison, a report that comes back, and schedulers that are killed a second before a deadline.

What must come of it is written here by hand, from the rules of deadlines and of the ladder.
"""

import io
import subprocess
import sys
import time as real_time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from service.local.embedded import Valkey, write_private
from service.simulator.carrier.outcomes import PROFILES
from service.storage.postgres import Connection
from tests.harness.owed import COUNTY, set_obligation
from tests.harness.processes import Running
from tests.harness.processes import running as process
from tests.harness.quarter import UNITS, Quarter, Told, in_china, lived
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.nightly

ADMIN = ("county", "admin")
WEEKLY, BOOK = "周报", "台账"
MINUTE = timedelta(minutes=1)


class Week(NamedTuple):
    """The days of a week as somebody reads them off a wall calendar.

    early: when two units hand in. before: the working day before the deadline. due: its day; at
    16:00. after: the next working day, on which the county office is told at 09:00, and three
    reports come in at 10:00, which is `late` minutes after the deadline.
    """

    early: str
    before: str
    due: str
    after: str
    late: int


WEEKS = {
    "W01": Week("01-06", "01-07", "01-08", "01-11", 3_960),
    "W02": Week("01-13", "01-14", "01-15", "01-18", 3_960),
    "W03": Week("01-20", "01-21", "01-22", "01-25", 3_960),
    "W04": Week("01-27", "01-28", "01-29", "02-01", 3_960),
    # Friday is the eve of Spring Festival; then nobody works until Sunday the 14th.
    "W05": Week("02-03", "02-03", "02-04", "02-14", 14_040),
    # No working day up to Friday; Sunday makes up for one. It is reminded of when it begins.
    "W06": Week("02-10", "02-08", "02-14", "02-15", 1_080),
    # The Saturday after makes up for another one.
    "W07": Week("02-17", "02-18", "02-19", "02-20", 1_080),
    "W08": Week("02-24", "02-25", "02-26", "03-01", 3_960),
    "W09": Week("03-03", "03-04", "03-05", "03-08", 3_960),
    "W10": Week("03-10", "03-11", "03-12", "03-15", 3_960),
    # On Wednesday at ten a notice makes a holiday of Friday.
    "W11": Week("03-17", "03-17", "03-18", "03-22", 5_400),
    # On Friday at ten a notice makes a holiday of this day: Thursday is over, so it stays.
    "W12": Week("03-24", "03-25", "03-26", "03-29", 3_960),
    # Then Qingming, until Monday.
    "W13": Week("03-31", "04-01", "04-02", "04-06", 5_400),
}
SPRING = [f"02-{day:02}" for day in range(5, 14)]
HOLIDAYS = dict.fromkeys(["01-01"], "元旦") | dict.fromkeys(SPRING, "春节")
HOLIDAYS |= dict.fromkeys(["04-03", "04-04", "04-05"], "清明节")
MAKE_UP = ["02-14", "02-20"]

AFTER = "after"
"""For so many minutes as the week's `late` says."""
USUAL: dict[tuple[str, str], tuple[str, int | str | None, str]] = {
    ("版书镇", WEEKLY): ("accepted", 0, ""),
    ("云乐镇", WEEKLY): ("submitted", 0, "w t"),
    ("蔡家桥镇", WEEKLY): ("submitted", 90, "w t l b"),
    ("孙村镇", WEEKLY): ("submitted", AFTER, "w t l b o"),
    ("三溪镇", WEEKLY): ("submitted", 0, "w t"),
    ("俞村镇", WEEKLY): ("accepted", 0, ""),
    ("白地镇", WEEKLY): ("submitted", AFTER, "w t l b o"),
    ("兴隆镇", WEEKLY): ("submitted", 0, "w t"),
    ("兴隆镇", BOOK): ("submitted", AFTER, "w t l b o"),
}
"""How each duty ends in most weeks: its state, how late it was, and the steps that were taken: on
the working day before, two hours before, late, told the leader, told the office; missed twice: the
leader above, and the unit's."""
UNUSUAL: dict[str, dict[tuple[str, str], tuple[str, int | str | None, str]]] = {
    "W03": {("三溪镇", WEEKLY): ("missed", None, "w t l b o")},
    "W04": {("三溪镇", WEEKLY): ("missed", None, "w t l b o a m")},
    "W06": {
        ("版书镇", WEEKLY): ("accepted", 0, "w:handed_in"),
        ("俞村镇", WEEKLY): ("accepted", 0, "w"),
        ("兴隆镇", WEEKLY): ("submitted", 0, "w:handed_in"),
    },
    "W07": {("俞村镇", WEEKLY): ("accepted", 0, "w t")},
    "W09": {
        ("云乐镇", WEEKLY): ("submitted", 0, "w"),
        ("蔡家桥镇", WEEKLY): ("submitted", 90, "w t:overtaken l b"),
        ("孙村镇", WEEKLY): ("submitted", AFTER, "w t:overtaken l b o"),
        ("三溪镇", WEEKLY): ("submitted", 90, "w t:overtaken l b"),
        ("白地镇", WEEKLY): ("submitted", AFTER, "w t:overtaken l b o"),
        ("兴隆镇", WEEKLY): ("submitted", 0, "w"),
        ("兴隆镇", BOOK): ("submitted", AFTER, "w t:overtaken l b o"),
    },
    "W10": {("云乐镇", WEEKLY): ("excused", None, "w t")},
    "W13": {
        ("三溪镇", WEEKLY): ("missed", None, "w t l b o"),
        ("俞村镇", WEEKLY): ("accepted", 0, "w t"),
    },
}
STEPS = {
    "workday_before": "w",
    "two_hours_before": "t",
    "late": "l",
    "leader": "b",
    "office": "o",
    "missed_leader": "m",
    "missed_above": "a",
}

REMINDED = [202, 203, 204, 205, 207]
LATE, LEADERS, OFFICE = [203, 204, 207], [303, 304, 307, 308], [103]
SENT: dict[str, dict[str, list[int]]] = {
    "W03": {"late": [203, 204, 205, 207], "leader": [303, 304, 305, 307, 308]},
    "W04": {"late": [203, 204, 205, 207], "leader": [303, 304, 305, 307, 308]},
    "W06": {"before": [202, 203, 204, 205, 206, 207]},
    "W07": {"before": [*REMINDED, 206], "two_hours": [*REMINDED, 206]},
    "W09": {"two_hours": [], "late": [203, 204, 205, 207], "leader": [303, 304, 305, 307, 308]},
    "W13": {
        "before": [*REMINDED, 206],
        "two_hours": [*REMINDED, 206],
        "late": [203, 204, 205, 207],
        "leader": [303, 304, 305, 307, 308],
    },
}
"""Who is told what where it is not as in other weeks."""
NEW_LIAISON_FROM = "W08"
"""In place of 207 it is 217 from Wednesday on."""
SAID = {
    **dict.fromkeys([202], ("云乐镇", WEEKLY)),
    **dict.fromkeys([203, 303], ("蔡家桥镇", WEEKLY)),
    204: ("兴隆镇等2家单位", f"{BOOK}等2项"),
    304: ("孙村镇", WEEKLY),
    **dict.fromkeys([205, 305, 104], ("三溪镇", WEEKLY)),
    206: ("俞村镇", WEEKLY),
    **dict.fromkeys([207, 217, 307], ("白地镇", WEEKLY)),
    308: ("兴隆镇", BOOK),
}
"""Unit and report in each person's text."""
HEAD = "【旌德县反诈中心】"

USUAL_PACKS = [("due", 5), ("evening", 6), ("after", 8)]
PACKS: dict[str, list[tuple[str, int]]] = {
    "W03": [("due", 4), ("evening", 5), ("after", 7)],
    "W04": [("due", 4), ("evening", 5), ("after", 7)],
    "W07": [*USUAL_PACKS, ("again", 8)],
    "W09": [("due", 4), ("evening", 6), ("after", 8)],
    "W10": [("due", 4), ("evening", 5), ("after", 7)],
    "W13": [("due", 4), ("evening", 5), ("after", 7), ("again", 7)],
}
"""The versions of each week's pack, when each was asked for and how many reports it has: a minute
after the deadline, at 17:30, on the next working day at 10:00, and when one came again."""
AGAIN = {"W07": "02-22", "W13": "04-06"}
"""A report that was returned on Friday at 17:00 is in again on that day at 11:00."""


def day(text: str) -> date:
    return date.fromisoformat(f"2027-{text}")


def moment(text: str, at: str) -> datetime:
    return in_china(day(text), time.fromisoformat(at))


@pytest.fixture
def now() -> datetime:
    """Monday of the first week, at nine."""
    return moment("01-04", "09:00").astimezone(UTC)


@pytest.fixture
async def quarter(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Quarter]:
    """The county; its carrier delivers all that it takes."""
    monkeypatch.setitem(PROFILES, "roster", (100.0, *[0.0] * (len(PROFILES["roster"]) - 1)))
    async with lived(api, tmp_path / "journal") as made:
        yield made


async def announce(quarter: Quarter, *more: str) -> None:
    """The county takes a notice of the year's holidays."""
    notice = {
        "year": 2027,
        "source": "国办发明电〔2026〕9号",
        "holidays": {f"2027-{one}": name for one, name in HOLIDAYS.items()}
        | {f"2027-{one}": "县庆日" for one in more},
        "workdays": [f"2027-{one}" for one in MAKE_UP],
    }
    await quarter.asked("PUT", "/holidays", ADMIN, {"notices": [notice], "reason": "放假通知"})


def plan(quarter: Quarter) -> None:
    """What people do in these weeks, all of them."""
    for name in WEEKS:
        plan_week(quarter, name)
    quarter.at(moment("02-24", "11:00"), partial(quarter.name, "白地镇", liaison=217))
    quarter.at(moment("03-17", "10:00"), partial(announce, quarter, "03-19"))
    quarter.at(moment("03-26", "10:00"), partial(announce, quarter, "03-19", "03-26"))


def plan_week(quarter: Quarter, name: str) -> None:
    early, _, due, after, _ = WEEKS[name]
    again = AGAIN.get(name)

    def act(on: str, at: str, verb: str, unit: str, title: str = WEEKLY, **more: Any) -> None:
        who = (unit, "operator") if verb == "submit" else COUNTY
        body = {"narrative": "集市宣讲两场。"} if verb == "submit" else more
        done = partial(quarter.decide, verb, unit, title, f"2027-{name}", who, **body)
        quarter.at(moment(on, at), done)

    if name == "W06":  # before the texts that were written at midnight may leave
        act("02-08", "07:00", "submit", "版书镇")
        act("02-08", "07:30", "submit", "兴隆镇")
    else:
        act(early, "09:00", "submit", "版书镇")
        act(due, "15:00", "submit", "兴隆镇")
    if name == "W10":
        act(due, "15:00", "excuse", "云乐镇", reason="停电")
    else:
        act(due, "15:00", "submit", "云乐镇")
    if name not in {"W03", "W04", "W13"}:
        act(due, "17:30" if name == "W09" else "15:00", "submit", "三溪镇")
    act(due, "17:30", "submit", "蔡家桥镇")
    for unit, title in (("孙村镇", WEEKLY), ("白地镇", WEEKLY), ("兴隆镇", BOOK)):
        act(after, "10:00", "submit", unit, title)
    if again is None:
        act(early, "09:00", "submit", "俞村镇")
    else:
        act(due, "15:00", "submit", "俞村镇")
        until_at = moment(again, "12:00").isoformat()
        act(due, "17:00", "return", "俞村镇", reason="缺图", due_at=until_at)
        act(again, "11:00", "submit", "俞村镇")
    act(again or after, "15:00", "accept", "俞村镇")
    act(after, "15:00", "accept", "版书镇")


async def test_a_quarter_is_lived_through(
    quarter: Quarter, owner: Connection, environment: dict[str, str], tmp_path: Path
) -> None:
    api = quarter.api
    await announce(quarter)
    units = [str(quarter.teams[unit].department_id) for unit in UNITS]
    await set_obligation(api, departments=units, until="2027-04-04")
    await set_obligation(api, departments=units[-1:], kind="custom", title=BOOK, until="2027-04-04")
    plan(quarter)
    await quarter.live(moment("03-05", "13:00"))
    await quarter.live(moment("03-05", "15:59"), scheduled=False)
    await killed_before_the_deadline(quarter, owner, environment, tmp_path)
    await quarter.live(moment("04-12", "12:00"))

    await every_duty_ended_as_written(quarter)
    every_text_was_sent_as_written(quarter)
    await every_pack_is_as_written(quarter, tmp_path)
    await nothing_is_left(quarter)


@pytest.fixture
def environment(database_url: str, valkey: Valkey, tmp_path: Path) -> dict[str, str]:
    write_private(tmp_path / "key", "01" * 32)
    return {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(tmp_path / "key"),
        "TOCSIN_WORKER_NICENESS": "0",
    }


@asynccontextmanager
async def two_schedulers(
    folder: Path, environment: dict[str, str], shown: datetime
) -> AsyncIterator[list[Running]]:
    """Two processes whose clock shows a moment, and goes on by a second in a thousand."""
    own = environment | {
        "TOCSIN_CLOCK_START": shown.isoformat(),
        "TOCSIN_CLOCK_ANCHOR": str(real_time.time()),
        "TOCSIN_CLOCK_SPEED": "0.001",
    }
    async with AsyncExitStack() as stack:
        made = [
            await stack.enter_async_context(process(folder.with_suffix(f".{n}"), own, "scheduler"))
            for n in range(2)
        ]
        for one in made:
            await one.starts()
        yield made


async def killed_before_the_deadline(
    quarter: Quarter, owner: Connection, environment: dict[str, str], folder: Path
) -> None:
    """Nobody was at it for three hours; at 15:59:59 two schedulers begin to remind, and are killed
    when the texts are written and it is not noted yet of which duties they tell.
    """
    quarter.move(moment("03-05", "15:59:59"))
    await owner.execute(
        "CREATE FUNCTION stand() RETURNS trigger LANGUAGE plpgsql AS"
        " $$BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NEW; END$$;"
        "CREATE TRIGGER stand BEFORE UPDATE ON duty_steps FOR EACH ROW EXECUTE FUNCTION stand();"
        "SELECT pg_advisory_lock(4711)"
    )
    waits = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711"
        " AND granted = $1"
    )
    before = await owner.fetchval("SELECT count(*) FROM messages")

    async def stands() -> bool:
        return bool(await owner.fetchval(waits, False))

    async with two_schedulers(folder / "killed", environment, quarter.api.clock.at) as killed:
        await until(stands, 300, "a scheduler stands where it notes whom it has told", every=0.1)
        for one in killed:
            one.process.kill()
        for one in killed:
            assert await one.ends() != 0
    await owner.execute("SELECT pg_advisory_unlock(4711)")

    async def gone() -> bool:
        return not await owner.fetchval(waits, True) and not await stands()

    await until(gone, what="PostgreSQL has noticed that they are gone", every=0.1)
    await owner.execute("DROP TRIGGER stand ON duty_steps; DROP FUNCTION stand()")
    taken = "SELECT count(*) FROM duty_steps WHERE settled_at IS NULL AND step = $1"
    assert await owner.fetchval(taken, "two_hours_before") == 5, "taken, and nobody is told"
    assert await owner.fetchval("SELECT count(*) FROM messages") == before

    quarter.move(moment("03-05", "16:01"))
    late = (
        "SELECT count(*) = 5 FROM duty_steps s JOIN duties d ON d.id = s.duty_id"
        " WHERE d.period = '2027-W09' AND s.step = 'late' AND s.settled_at IS NOT NULL"
    )
    async with two_schedulers(folder / "after", environment, quarter.api.clock.at):

        async def told() -> bool:
            return bool(await owner.fetchval(late))

        await until(told, 300, "everybody is told that it is late", every=0.1)
    await quarter.turn()


async def every_duty_ended_as_written(quarter: Quarter) -> None:
    found, wanted = {}, {}
    for name, week in WEEKS.items():
        for (unit, title), usual in USUAL.items():
            state, late, steps = UNUSUAL.get(name, {}).get((unit, title), usual)
            due, moved_from = moment(week.due, "16:00"), None
            if name == "W11":  # who was in before the notice keeps the time by which it was
                was = moment("03-19", "16:00")
                due, moved_from = (was, None) if state == "accepted" else (due, was)
            minutes = week.late if late == AFTER else late
            wanted[name, unit, title] = (
                state, minutes, steps, due, moved_from, name == "W06"
            )  # fmt: skip
            duty = await quarter.duty(unit, title, f"2027-{name}")
            found[name, unit, title] = (
                duty["state"],
                duty["late_minutes"],
                _steps(duty),
                datetime.fromisoformat(duty["due_at"]),
                duty["moved_from"] and datetime.fromisoformat(duty["moved_from"]),
                duty["holiday_week"],
            )
    different = {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]}
    assert different == {}
    states = await quarter.api.runtime.pool.fetch("SELECT state FROM duties")
    assert Counter(row["state"] for row in states) == {
        "submitted": 87, "accepted": 26, "missed": 3, "excused": 1
    }  # fmt: skip
    assert await quarter.api.runtime.pool.fetchval("SELECT count(*) FROM duty_steps") == 341


def _steps(duty: dict[str, Any]) -> str:
    return " ".join(
        STEPS[one["step"]] + (f":{one['skipped']}" if one["skipped"] else "")
        for one in duty["steps"]
    )


def written_texts() -> list[Told]:
    """Every text of the quarter, as it is to be read."""
    found = []
    for name, week in WEEKS.items():
        of = SENT.get(name, {})
        by = f"请于{day(week.due).month}月{day(week.due).day}日16:00前报送。"
        told = [
            (week.before, "08:00" if name == "W06" else "16:00", of.get("before", REMINDED), by),
            (week.due, "14:00", of.get("two_hours", REMINDED), by),
            (week.due, "16:01", of.get("late", LATE), "已到期未报，请尽快报送。"),
            (week.due, "17:00", of.get("leader", LEADERS), "逾期未报，请督促。"),
        ]
        if name == "W04":
            told.append((WEEKS["W05"].due, "16:00", [305, 104], "连续两期未报。"))
        for on, at, people, words in told:
            for person in people:
                now = 217 if person == 207 and name >= NEW_LIAISON_FROM else person
                unit, title = SAID[now]
                found.append(Told(moment(on, at), now, f"{HEAD}{unit}：{title}{words}"))
        units = 4 if name in {"W03", "W04", "W13"} else 3
        said = f"{HEAD}{units}家单位共{units}项未报，请查看催报名单。"
        found += [Told(moment(week.after, "09:00"), person, said) for person in OFFICE]
    return sorted(found)


def every_text_was_sent_as_written(quarter: Quarter) -> None:
    told, wanted = sorted(quarter.told()), written_texts()
    lacking, beyond = Counter(wanted) - Counter(told), Counter(told) - Counter(wanted)
    assert (lacking, beyond) == (Counter(), Counter())
    assert len(told) == 244
    twice = Counter((one.at, one.person) for one in told)
    assert max(twice.values()) == 1, "one text a person for all of a moment"
    assert {one.at.hour for one in told} <= set(range(8, 20)), "nothing at night"


async def every_pack_is_as_written(quarter: Quarter, folder: Path) -> None:
    api = quarter.api
    key = (await api.get("/evidence-key", COUNTY)).json["public_key"]
    found, wanted = {}, {}
    for name, week in WEEKS.items():
        of = f"2027-{name}"
        moments = {
            "due": moment(week.due, "16:01"),
            "evening": moment(week.due, "17:30"),
            "after": moment(week.after, "10:00"),
            "again": moment(AGAIN.get(name, week.after), "11:00"),
        }
        versions = PACKS.get(name, USUAL_PACKS)
        wanted[name] = [
            (no, "built", moments[at], handed_in) for no, (at, handed_in) in enumerate(versions, 1)
        ]
        items = (await api.get(f"/reports/weekly/packs?week={of}", COUNTY)).json["items"]
        found[name] = [
            (one["version"], one["state"], _minute(one["asked_at"]), one["handed_in"])
            for one in reversed(items)
        ]
        for version in range(1, len(items) + 1):
            path = f"/reports/weekly/pack?week={of}&version={version}"
            answer = await api.get(path, COUNTY)
            assert answer.status == 200, answer.body
            verified(answer.body, key, folder / f"{name}-{version}")
    different = {
        name: (found[name], wanted[name]) for name in wanted if found[name] != wanted[name]
    }
    assert different == {}


def _minute(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(second=0, microsecond=0)


def verified(pack: bytes, key: str, folder: Path) -> None:
    """A pack is checked by the script that lies in it, which knows nothing of us."""
    folder.mkdir()
    (folder / "pack.zip").write_bytes(pack)
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        (folder / "verify.py").write_bytes(archive.read("verify_evidence.py"))
    command = [sys.executable, "-I", "verify.py", "pack.zip", key]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # ours
    assert (done.returncode, done.stdout) == (0, "everything fits\n"), done.stderr


async def nothing_is_left(quarter: Quarter) -> None:
    """No step is open, and ledger and steps agree on every text."""
    count = quarter.api.runtime.pool.fetchval
    assert await count("SELECT count(*) FROM duty_steps WHERE settled_at IS NULL") == 0
    states = await quarter.api.runtime.pool.fetch(
        "SELECT state::text, count(*) AS texts FROM messages GROUP BY 1"
    )
    assert {row["state"]: row["texts"] for row in states} == {"delivered": 244, "cancelled": 2}
    apart = await count(
        "SELECT count(*) FROM messages m FULL JOIN"
        " (SELECT DISTINCT run_id, no FROM duty_steps WHERE run_id IS NOT NULL) s"
        " ON s.run_id = m.run_id AND s.no = m.no"
        " WHERE (m.state IS NULL OR m.state = 'delivered') AND (s.no IS NULL OR m.no IS NULL)"
    )
    assert apart == 0, "each text is of a step, and each told step has its text"
