"""Six weeks of a joint plan of four legs: ledger and reports say what the carriers' journals and
lists say, number by number, and nobody gets a fire's text twice.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from service.crypto import Keyring
from service.dispatch.handoff import channel_server
from service.settings import Settings
from service.simulator.carrier.outcomes import PROFILES
from service.simulator.run import running
from service.storage.postgres import Pool
from tests.chaos.book import digest_of
from tests.factories import phone
from tests.harness import direct_texts
from tests.harness.joint import CARRIERS, MOBILE, TELECOM, UNICOM, JointCounty
from tests.harness.joint_api import OPERATOR, a_template, approved, empty_county, leg_of
from tests.harness.list_files import channels_served, list_channel
from tests.harness.simulated import simulator
from tests.harness.waiting import until
from tests.harness.weeks import (
    BASES,
    LEGS,
    PROFILE,
    SCHOOL,
    ListCarrier,
    Taken,
    fill,
    journal_of,
    lay_channel,
    turn,
)
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.nightly

WEEKS = range(1, 7)
TEXTS = {
    week: f"【旌德县反诈中心】第{week}周提醒：凡要求转账到安全账户的都是诈骗，请拨打96110。"
    for week in WEEKS
}
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(days=7)
RETRIES = timedelta(minutes=65)
"""By then every text whose failure may pass is due again."""
LATE_WEEK, PAUSED_WEEK = 1, 3
SLOW_WEEKS = {2, 5}
"""The carrier that takes lists needs a day to say what became of one."""
CAPPED_WEEK = 5
HAD_OTHERS = range(700, 740)
"""They had texts of the school's just before that fire, and have room a day later."""
OF_THE_SCHOOL = (direct_texts.WORDS, f"{direct_texts.WORDS}请准时到场。")
OPTED_OUT = [*range(1_950, 1_955), *range(2_500, 2_520)]
"""Before the second fire; some of them are on two lists."""
OPTED_OUT_LATE = range(500, 510)
"""After the third fire, before the list of their carrier is drawn."""
TAKEN_OFF_WEEK = 4
TAKEN_OFF = range(600, 605)
"""They opt out when that fire's list is ready and nobody has fetched it."""
FATES = (90.5, 2.0, 2.0, 3.0, 0.5, 1.5, 0.0, 0.0, 0.0, 0.0, 0.5)
"""Per cent, as `PROFILES` has them: one text in ten fails."""

NOT_SENT = {"suppressed", "rejected"}
"""States of texts that no carrier took; no simulated one rejects a text at its submit."""

LedgerRow = tuple[str, str | None]


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """As ever, but a list that is given back may be larger."""
    return runtime_settings.model_copy(update={"import_max_bytes": 4_000_000})


@pytest.fixture(autouse=True)
def _world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channel_server, "FOLLOW_SECONDS", 0.05)
    monkeypatch.setitem(PROFILES, PROFILE, FATES)


@dataclass
class Plan:
    """The plan in its sixth week or before, and all that was ever said of it.

    empty: the days on which a carrier called a number empty, since it last arrived.
    """

    api: Api
    county: JointCounty
    journals: Mapping[str, Path]
    lists: ListCarrier
    departments: Mapping[str, UUID]
    channels: Mapping[str, int]
    id: str = ""
    owns: dict[str, str] = field(default_factory=dict)
    numbers: dict[bytes, str] = field(default_factory=dict)
    opted_out: set[str] = field(default_factory=set)
    empty: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    whole: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def taken(self, week: int) -> dict[str, Taken]:
        """What each leg's carrier took of a week's text."""
        text = TEXTS[week]
        found = {leg: journal_of(path, text) for leg, path in self.journals.items()}
        return found | {MOBILE: self.lists.taken[digest_of(text)]}

    def dead(self) -> set[str]:
        """The numbers that were called empty on two days."""
        return {number for number, days in self.empty.items() if len(days) > 1}

    async def runs(self, week: int) -> dict[str, UUID]:
        """The run of each leg that has sent a week's text; there is one at most."""
        rows = await self.api.runtime.pool.fetch(
            "SELECT id, campaign_id::text, text FROM runs"
            " WHERE text_no = $1 AND campaign_id IS NOT NULL",
            week,
        )
        assert all(row["text"] == TEXTS[week] for row in rows)
        legs = {own: leg for leg, own in self.owns.items()}
        found = {legs[row["campaign_id"]]: row["id"] for row in rows}
        assert len(found) == len(rows)
        return found

    async def ledger(self, run: UUID) -> dict[str, LedgerRow]:
        """State and reason of a run's texts, by number."""
        rows = await self.api.runtime.pool.fetch(
            "SELECT phone_hash, state::text, reason FROM messages WHERE run_id = $1", run
        )
        found = {self.numbers[row["phone_hash"]]: (row["state"], row["reason"]) for row in rows}
        assert len(found) == len(rows)
        return found

    async def left_out(self, run: UUID) -> dict[str, str]:
        """Why a run has left people out, by number."""
        rows = await self.api.runtime.pool.fetch(
            "SELECT phone_hash, reason FROM exclusions WHERE run_id = $1", run
        )
        return {self.numbers[row["phone_hash"]]: row["reason"] for row in rows}

    async def open(self, week: int) -> bool:
        """Whether something is to be handed off now, or a receipt is to come."""
        count = await self.api.runtime.pool.fetchval(
            "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id"
            " WHERE r.text_no = $1 AND r.campaign_id IS NOT NULL"
            " AND (m.state IN ('submitting', 'uncertain', 'submitted') OR"
            " m.state = 'queued' AND m.channel_id <> $3 AND NOT EXISTS ("
            "   SELECT FROM attempts a WHERE a.run_id = m.run_id AND a.no = m.no"
            "   AND a.attempt = m.attempt AND a.next_at > $2))",
            week,
            self.api.clock.at,
            self.lists.channel,
        )
        silent = sum(
            sent[-1].due is None for taken in self.taken(week).values() for sent in taken.values()
        )
        return bool(count != silent)


@pytest.fixture
async def plan(api: Api, pool: Pool, keyring: Keyring, tmp_path: Path) -> AsyncIterator[Plan]:
    """A plan that is approved, its carriers and a channel process; nobody has taken a leg."""
    county = await empty_county(api, pool, keyring)
    await pool.execute("UPDATE channels SET enabled = false")
    departments = {carrier: county.sides[carrier].department_id for carrier in CARRIERS}
    departments[SCHOOL] = api.teams["school"].department_id
    now = api.clock.now()
    for leg, base in BASES.items():
        await fill(pool, keyring, departments[leg], base, UNICOM if leg == SCHOOL else leg, now)
    journals = {leg: tmp_path / leg for leg in (UNICOM, TELECOM, SCHOOL)}
    odd = {"too_fast": 0.001, "early_receipts": 0.01, "duplicate_receipts": 0.01}
    channels: dict[str, int] = {}
    async with AsyncExitStack() as stack:
        for leg, kind in ((UNICOM, "cmpp"), (TELECOM, "smgp"), (SCHOOL, "cmpp")):
            ports: dict[str, Any] = {"cmpp_port": None, f"{kind}_port": 0}
            config = simulator(
                faults=odd, profile=PROFILE, lane=leg, journal=journals[leg], **ports
            )
            smsc = await stack.enter_async_context(running(config, clock=api.clock))
            carrier = None if leg == SCHOOL else leg
            channels[leg] = await lay_channel(pool, keyring, kind, smsc.ports[kind], carrier, now)
        channels[MOBILE] = await list_channel(api, MOBILE, window=1_000)
        lists = ListCarrier(api, channels[MOBILE])
        made = Plan(api, county, journals, lists, departments, channels)
        made.numbers = {keyring.phone_index(n): n for base in BASES.values() for n in base}
        made.id = await _approved(made)
        await stack.enter_async_context(channels_served(api.runtime))
        yield made


async def _approved(plan: Plan) -> str:
    """The county sets its caps for the plan, writes six texts that take turns, and approves.

    The caps would let two legs send a text to one person: only the plan's own rule does not.
    """
    api = plan.api
    caps = {
        "class": "public_interest",
        "per_day": 2,
        "per_week": 3,
        "per_month": None,
        "same_text": True,
        "reason": "六周宣传",
    }
    assert (await api.call("PUT", "/caps", ("county", "admin"), json=caps)).status == 200
    more = [{"template_id": await a_template(api, TEXTS[week])} for week in WEEKS[1:]]
    made = await approved(
        api,
        plan.county,
        text=TEXTS[1],
        more_texts=more,
        schedule={
            "kind": "recurring",
            "start_at": (api.clock.now() + HOUR).isoformat(),
            "rrule": "FREQ=WEEKLY;COUNT=6",
            "late": "run",
        },
        legs=[{"department_id": str(plan.departments[leg])} for leg in LEGS],
    )
    found: str = made["id"]
    assert made["baseline"] == sum(len(base) for base in BASES.values())
    return found


async def take(plan: Plan, leg: str) -> None:
    found = await leg_of(plan.api, leg)
    body = {"channels": [plan.channels[leg]]}
    answer = await plan.api.post(f"/legs/{found['id']}/take", (leg, "operator"), body)
    assert answer.status == 200, answer.json
    plan.owns[leg] = answer.json["own_campaign_id"]


async def act(plan: Plan, leg: str, what: str, **how: Any) -> None:
    """What the department of a leg does with its own campaign."""
    path = f"/campaigns/{plan.owns[leg]}/{what}"
    answer = await plan.api.post(path, (leg, "operator"), how)
    assert answer.status == 200, answer.json


async def opt_out(plan: Plan, numbers: Iterable[int]) -> None:
    for number in map(phone, numbers):
        body = {"phone": number, "reason": "opted_out"}
        answer = await plan.api.post("/suppressions", (MOBILE, "operator"), body)
        assert answer.status == 201, answer.json
        plan.opted_out.add(number)


async def test_six_weeks_of_a_joint_plan(plan: Plan) -> None:
    api = plan.api
    start = api.clock.at + HOUR
    await take(plan, MOBILE)
    await take(plan, SCHOOL)
    returned = await leg_of(api, UNICOM)
    at = f"/legs/{returned['id']}"
    back = await api.post(f"{at}/return", (UNICOM, "operator"), {"reason": "割接"})
    assert back.json["state"] == "returned"
    assert (await api.post(f"{at}/ask", OPERATOR, {"reason": "已改期"})).json["state"] == "asked"
    await take(plan, UNICOM)
    for week in WEEKS:
        fire_at = start + (week - 1) * WEEK
        await before(plan, week, fire_at)
        await send(plan, week, fire_at)
        await check(plan, week, fire_at)
    await the_end(plan)


async def before(plan: Plan, week: int, fire_at: datetime) -> None:
    """What people do in the hour before a fire."""
    plan.api.clock.at = fire_at - HOUR / 2
    if week == 2:
        await opt_out(plan, OPTED_OUT)
    if week == PAUSED_WEEK:
        await act(plan, UNICOM, "pause", reason="割接")
    if week == CAPPED_WEEK:
        await direct(plan, [phone(number) for number in HAD_OTHERS])
    await turn(plan.api)


async def direct(plan: Plan, numbers: Sequence[str]) -> None:
    """The school sends two texts of its own."""
    for text in OF_THE_SCHOOL:
        chosen = await direct_texts.template(plan.api, text, **{"class": "public_interest"})
        sent = await direct_texts.send(plan.api, [*numbers], template_id=chosen)
        assert sent.status == 202, sent.json

    def left() -> bool:
        found = [journal_of(plan.journals[SCHOOL], text) for text in OF_THE_SCHOOL]
        return all(len(taken) == len(numbers) for taken in found)

    await until(left, 60, "the texts of the school have left", every=0.1)


async def send(plan: Plan, week: int, fire_at: datetime) -> None:
    """A fire, its lists and their results, what is tried again, and what is never answered."""
    plan.api.clock.at = fire_at
    early = await plan.lists.begin() if week % 2 == 0 else None
    await turn(plan.api)
    if week == 3:
        await opt_out(plan, OPTED_OUT_LATE)
    meanwhile = partial(opt_out, plan, TAKEN_OFF) if week == TAKEN_OFF_WEEK else None
    await plan.lists.take(early or await plan.lists.begin(), meanwhile)
    if week == 6:  # at the same minute: nobody stands on both
        await plan.lists.take(await plan.lists.begin())
    await settled(plan, week)
    if week in SLOW_WEEKS:
        waiting = {phone(number) for number in HAD_OTHERS} if week == CAPPED_WEEK else set()
        assert not waiting & plan.taken(week)[MOBILE].keys()
        for later in (RETRIES, DAY - RETRIES):
            plan.api.clock.at += later
            await turn(plan.api)
        await plan.lists.take(await plan.lists.begin())
    await plan.lists.give_back(files=2 if week == 2 else 1)
    if week == LATE_WEEK:
        plan.api.clock.at += DAY
        await take(plan, TELECOM)
        await turn(plan.api)
    await settled(plan, week)
    plan.api.clock.at += RETRIES
    await turn(plan.api)
    await plan.lists.take(await plan.lists.begin())
    await plan.lists.give_back()
    await settled(plan, week)
    plan.api.clock.at += timedelta(days=3, minutes=1)
    await turn(plan.api)
    if week == PAUSED_WEEK:
        await act(plan, UNICOM, "resume", missed="skip", reason="好了")
        await turn(plan.api)


async def settled(plan: Plan, week: int) -> None:
    async def nothing_open() -> bool:
        await turn(plan.api)
        return not await plan.open(week)

    def progress() -> int:
        return sum(path.stat().st_size for path in plan.journals.values())

    what = f"all of week {week} is known"
    await until(nothing_open, 60, what, every=0.2, progress=progress)


async def check(plan: Plan, week: int, fire_at: datetime) -> None:
    """What must hold at the end of each week."""
    taken, runs = plan.taken(week), await plan.runs(week)
    missing = {UNICOM} if week == PAUSED_WEEK else set()
    assert runs.keys() == {*LEGS} - missing
    ledger = {leg: await plan.ledger(run) for leg, run in runs.items()}
    left = {leg: await plan.left_out(run) for leg, run in runs.items()}
    nobody_twice(taken)
    for leg in LEGS:
        by_number(ledger.get(leg, {}), taken[leg])
    nobody_lost(plan, week, taken, ledger, left)
    await reported(plan, fire_at, ledger, left)


def nobody_twice(taken: Mapping[str, Taken]) -> None:
    """One leg at most has sent it to a number, and again only after a failure that was said."""
    by: dict[str, set[str]] = defaultdict(set)
    for leg, found in taken.items():
        for number, sent in found.items():
            by[number].add(leg)
            assert len(sent) <= 2
            for first, second in pairwise(sent):
                assert first.fate == "memory_full", f"{number} got it twice of {leg}"
                assert first.due is not None
                assert first.due <= second.at
    assert {number: legs for number, legs in by.items() if len(legs) > 1} == {}


def by_number(ledger: Mapping[str, LedgerRow], taken: Taken) -> None:
    """A leg's ledger says what its carrier's journal says, of the same numbers."""
    said = {number: sent[-1].state for number, sent in taken.items()}
    known = {n: state for n, (state, _) in ledger.items() if state not in NOT_SENT}
    assert known == said
    why = {number: sent[-1].fate for number, sent in taken.items() if sent[-1].failed}
    assert {n: reason for n, (_, reason) in ledger.items() if n in why} == why
    assert all(reason is None for _, (state, reason) in ledger.items() if state in {"delivered"})


def nobody_lost(
    plan: Plan,
    week: int,
    taken: Mapping[str, Taken],
    ledger: Mapping[str, Mapping[str, LedgerRow]],
    left: Mapping[str, Mapping[str, str]],
) -> None:
    """Everybody of each base is in its ledger or left out; who did not get it has a reason."""
    dead = plan.dead()
    note_empty(plan, week, taken)
    reached = {number for found in taken.values() for number in found}
    for leg, rows in ledger.items():
        assert rows.keys() | left[leg].keys() == BASES[leg]
        assert not rows.keys() & left[leg].keys()
        why = {number: reason for number, (state, reason) in rows.items() if state in NOT_SENT}
        why |= left[leg]
        assert {n for n, reason in why.items() if reason == "other_leg"} <= reached - taken[
            leg
        ].keys()
        own = {n: reason for n, reason in why.items() if reason != "other_leg"}
        opted_out = dict.fromkeys(BASES[leg] & plan.opted_out, "opted_out")
        if week == TAKEN_OFF_WEEK:
            opted_out |= dict.fromkeys(BASES[leg] & set(map(phone, TAKEN_OFF)), "list_lapsed")
        known = opted_out | dict.fromkeys(BASES[leg] & dead, "dead_number")
        # Somebody else's carrier called it empty for the second time, before this leg came to it.
        others = BASES[leg] & plan.dead() & reached - taken[leg].keys()
        known |= {number: "dead_number" for number in own.keys() - known if number in others}
        assert {
            n: (own.get(n), known.get(n)) for n in own.keys() | known if own.get(n) != known.get(n)
        } == {}
    due = set().union(*(BASES[leg] for leg in ledger)) - dead - plan.opted_out
    assert reached == due


async def reported(
    plan: Plan,
    fire_at: datetime,
    ledger: Mapping[str, Mapping[str, LedgerRow]],
    left: Mapping[str, Mapping[str, str]],
) -> None:
    """The plan's report of the week, and each leg's own, count what the journals have."""
    day = fire_at.date().isoformat()
    week = {"from": day, "to": day}
    report = await report_of(plan, plan.id, OPERATOR, **week)
    shown = {leg["department_id"]: leg for leg in report["legs"]}
    whole: Counter[str] = Counter()
    for leg in LEGS:
        states = Counter(state for state, _ in ledger.get(leg, {}).values())
        excluded = Counter(left.get(leg, {}).values())
        found = shown[str(plan.departments[leg])]
        assert (found["states"], found["excluded"]) == (states, excluded)
        assert found["target"] == states.total()
        own = await report_of(plan, plan.owns[leg], (leg, "operator"), **week)
        assert (own["total"]["states"], own["total"]["excluded"]) == (states, excluded)
        if leg in CARRIERS:
            beside = await report_of(plan, plan.id, (leg, "operator"), **week)
            assert beside["legs"] == report["legs"]
        whole += states
        plan.whole[leg] += states
    assert report["total"]["states"] == whole
    assert report["total"]["target"] == whole.total()


async def report_of(
    plan: Plan, campaign: str, who: tuple[str, str], **weeks: str
) -> dict[str, Any]:
    answer = await plan.api.get(f"/campaigns/{campaign}/report", who, params=weeks)
    assert answer.status == 200, answer.json
    found: dict[str, Any] = answer.json
    return found


def note_empty(plan: Plan, week: int, taken: Mapping[str, Taken]) -> None:
    for found in taken.values():
        for number, sent in found.items():
            if sent[-1].state == "delivered":
                plan.empty.pop(number, None)
            elif sent[-1].fate == "empty_number":
                plan.empty[number].add(week)


async def the_end(plan: Plan) -> None:
    """The whole adds up, the plan is over, and nobody has seen another's people."""
    report = await report_of(plan, plan.id, OPERATOR)
    shown = {leg["department_id"]: leg for leg in report["legs"]}
    for leg, states in plan.whole.items():
        found = shown[str(plan.departments[leg])]
        assert (found["states"], found["target"]) == (states, states.total())
    assert report["total"]["target"] == sum(sum(states.values()) for states in plan.whole.values())
    assert report["fires"] == {"shared": 6}
    assert shown[str(plan.departments[MOBILE])]["listed"]["texts"] == plan.lists.lines
    state = (await plan.api.get(f"/campaigns/{plan.id}", OPERATOR)).json["state"]
    assert state == "done"
    legs = (await plan.api.get(f"/campaigns/{plan.id}/legs", OPERATOR)).json
    (out,) = [one for one in legs["left_out"] if one["state"] == "asked"]
    late = await leg_of(plan.api, TELECOM)
    assert (out["leg_id"], out["made_up_at"] is not None) == (late["id"], True)
    paused = await report_of(plan, plan.owns[UNICOM], (UNICOM, "operator"))
    assert [fire["outcome"] for fire in paused["not_sent"]] == ["skipped"]
    await each_sees_its_own(plan)


async def each_sees_its_own(plan: Plan) -> None:
    api = plan.api
    for week in (1, 6):
        for leg, run in (await plan.runs(week)).items():
            path = f"/runs/{run}/messages"
            mine = await api.get(f"{path}?state=suppressed", (leg, "operator"))
            assert mine.status == 200
            reasons = {row["reason"] for row in mine.json["items"]}
            assert reasons <= {"same_text", "opted_out", "dead_number"}
            for other in {*LEGS} - {leg}:
                who = (other, "operator")
                for closed in (path, f"/runs/{run}/report", f"/campaigns/{plan.owns[leg]}"):
                    assert (await api.get(closed, who)).status == 404
                assert (await api.get(f"/messages/{run}.1", who)).status == 404
    (first, *_) = (await api.get("/list-files", (MOBILE, "operator"))).json["items"]
    for other in (UNICOM, TELECOM, SCHOOL):
        who = (other, "operator")
        archive = await api.post(f"/list-files/{first['id']}/archive", who)
        assert archive.status in {403, 404}
        assert (await api.get(f"/list-files/{first['id']}", who)).status == 404
