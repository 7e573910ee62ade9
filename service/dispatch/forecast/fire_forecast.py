"""What each fire to come of a campaign will amount to: whom it means, and whom the caps will take.

Whoever plans or approves is told before, fire by fire: of how many the text does not leave since
they had the same words, and from which plan. People who fare alike are counted as groups by one
statement (`fire_forecast_store.group_people`), and each group goes once through all fires
(`cap_places`).

Another department's plan has no name here, its share is in tens and less than ten is not told, as
in `cap_conflicts`; `exact` is false where that matters. Not foretold are plans that nobody has
approved,
plans for newcomers, direct sends, retries, and rules that ask what people were sent.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.campaigns.audience.audience_source import AudienceSource, by_rule
from service.campaigns.audience.exclusion_store import ExclusionTerms
from service.campaigns.audience.preview import compile_to_count, read_rule
from service.campaigns.audience.reach import exclusion_terms
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import County, HourTerms
from service.campaigns.calendar.schedule import validity_end
from service.campaigns.core import run_store
from service.campaigns.core import store as campaign_store
from service.campaigns.core.model import ENDED, Campaign
from service.campaigns.core.turns import in_turn
from service.campaigns.plans import planning, sequence_store
from service.clock import day_in_china
from service.dispatch.forecast import fire_forecast_store
from service.dispatch.forecast.cap_losses import (
    TENS,
    FireOutlook,
    Group,
    Origin,
    Sees,
    TextSource,
    Toll,
    group_of,
    outlook,
    tolls,
)
from service.dispatch.forecast.cap_places import SPANS, Occasion
from service.dispatch.forecast.fire_forecast_store import MOST_OTHERS, Membership
from service.dispatch.limits.caps import limits_of
from service.ledger.priority import number_of
from service.messages.value_sources import listed_of
from service.storage.postgres import Connection, Record

MOST_FIRES = 53
"""How many fires of a plan are foretold: a year of weeks."""

MOST_PLANS = 40
"""How many other plans are looked at: those with the same words first, then the nearest."""

MOST_ENDS = 5
"""How many days on which lists of a department end are looked at; the first ones."""

FARTHEST = timedelta(days=400)


class Outlook(NamedTuple):
    """fires: those to come. left_out: how many other plans of the time were not looked at."""

    fires: list[FireOutlook]
    left_out: int


class _FireAhead(NamedTuple):
    """A fire or step to come. origin: the run whose people it has; first: it follows the plan's
    first fire to come.
    """

    at: datetime
    text_no: int
    origin: UUID | None = None
    first: bool = False


async def foretell(
    conn: Connection, sees: Sees, campaign: Campaign, rule: str, now: datetime
) -> Outlook:
    """What the fires to come of a campaign with this rule will amount to, as far as somebody may
    know it who sees the plans of these departments; none for a correction, a drill, or a plan for
    newcomers. Needs a transaction.

    Raises:
        SegmentError: the rule cannot be read, or names an unknown area or segment.
    """
    if campaign.plan.corrects or campaign.plan.drill:
        return Outlook([], 0)
    county = await load_county(conn)
    ahead = await _ahead(conn, campaign, county, now)
    ahead = [one for one in ahead if one.origin is None]
    if not ahead:
        return Outlook([], 0)
    terms = campaign.plan.schedule.terms(campaign.message_class, rule)
    teller = _FireTeller(conn, campaign, county, now, await read_area_tree(conn))
    own = teller.occasions(campaign, terms, ahead, Origin("plan", campaign.id))
    ways = await teller.add_own(rule, ahead)
    left_out = await teller.add_others(own)
    groups = await teller.groups(own)
    limits = await limits_of(conn, campaign.message_class)
    hidden = teller.hidden(sees, groups)
    few = {plan for plan, people in hidden.items() if people < TENS}
    fires = list(zip(own, ways, strict=True))
    plans = [plan.occasions for plan in teller.others]
    known = tolls(fires, groups, plans, limits, hidden.keys())
    whole = tolls(fires, groups, plans, limits, few) if hidden.keys() - few else known
    sources = await _sources(conn, [*known, *whole])
    return Outlook(
        [
            outlook(sees, FireOutlook(one.fires_at, one.leaves_at, to.text_no), seen, all_, sources)
            for one, to, seen, all_ in zip(own, ahead, known, whole, strict=True)
        ],
        left_out,
    )


async def _sources(conn: Connection, found_tolls: Iterable[Toll]) -> dict[object, TextSource]:
    """Who stands behind the sources of the same words."""
    keys = {key for toll in found_tolls for key in toll.same}
    found: dict[object, TextSource] = {}
    for kind in ("plan", "run"):
        ids = [key.id for key in keys if isinstance(key, Origin) and key.kind == kind]
        for row in await fire_forecast_store.senders(conn, kind, ids):
            found[Origin(kind, row["id"])] = TextSource(*row[1:])
    return found


async def _ahead(
    conn: Connection, campaign: Campaign, county: County, now: datetime
) -> list[_FireAhead]:
    """The fires and steps to come of a plan, with the text of each, in order."""
    if campaign.state in ENDED or campaign.plan.schedule.kind == "joining":
        return []
    fires = await planning.fires_ahead(conn, campaign, county, now, MOST_FIRES)
    if campaign.plan.schedule.kind == "recurring":
        last = await run_store.last_text(conn, campaign.id)
        turns = in_turn(campaign, fires, county, last, now)
        return [_FireAhead(max(fire.at, now), no) for fire, no in turns if not fire.skipped]
    steps = await sequence_store.open_steps(conn, campaign.id, MOST_FIRES)
    if steps:
        return [_FireAhead(max(s.due_at, now), s.text_no, s.origin_id) for s in steps]
    return [_FireAhead(max(f.at, now), no, first=no > 1) for no, f in enumerate(fires, 1)]


class _Others(NamedTuple):
    """Those of the other plans that mean the same people: their fires, and whose they are."""

    occasions: list[Occasion]
    department_id: UUID


class _FireTeller:
    """Gathers who means whom, and when each plan fires."""

    def __init__(
        self,
        conn: Connection,
        campaign: Campaign,
        county: County,
        now: datetime,
        tree: AreaTree,
    ) -> None:
        self._conn, self._campaign, self._county, self._now = conn, campaign, county, now
        self._tree = tree
        self._members = Membership()
        self.texts = [campaign.text, *(more.text for more in campaign.further)]
        self.others: list[_Others] = []
        self._known: dict[object, int] = {}
        self._ends: dict[UUID, list[date]] = {}

    def occasions(
        self, campaign: Campaign, terms: HourTerms, ahead: Iterable[_FireAhead], source: object
    ) -> list[Occasion]:
        """The fires of a plan as those of all plans are reckoned."""
        texts = [campaign.text, *(more.text for more in campaign.further)]
        county, found = self._county, list[Occasion]()
        for one in ahead:
            found.append(
                Occasion(
                    fires_at=one.at,
                    leaves_at=county.next_opening(one.at, terms),
                    valid_until=validity_end(campaign.plan.schedule, terms, county, one.at),
                    text=self._number(texts[min(one.text_no, len(texts)) - 1]),
                    source=source,
                    stops=campaign.plan.over_cap == "stop",
                    opening=_opening(county, terms),
                    after=found[0] if one.first else None,
                    order=number_of(campaign.plan.priority),
                )
            )
        return found

    def _number(self, text: str) -> int:
        if text not in self.texts:
            self.texts.append(text)
        return self.texts.index(text) + 1

    async def add_own(self, rule: str, ahead: Sequence[_FireAhead]) -> list[int]:
        """Whom the plan means at each of its fires; returns by which way each is judged. Another
        way is another text's needs, or another day by which lists have ended.
        """
        campaign = self._campaign
        whose, days = campaign.department_id, [day_in_china(one.at) for one in ahead]
        by_text = {
            number: await exclusion_terms(self._conn, campaign, self.texts[number - 1], ahead[0].at)
            for number in {one.text_no for one in ahead}
        }
        known: dict[object, int] = {}
        ways = []
        for one, day in zip(ahead, days, strict=True):
            asked = by_text[one.text_no]
            key = await self._lists_of(whose, day), frozenset(asked.needs), asked.barred
            if key not in known:
                known[key] = len(known)
                self._members.add_own(asked, await self._audience_source(asked, rule, day))
            ways.append(known[key])
        return ways

    async def _audience_source(self, asked: ExclusionTerms, rule: str, day: date) -> AudienceSource:
        written = await read_rule(self._conn, asked.department_id, rule)
        condition = await compile_to_count(
            self._conn, asked.department_id, written, self._tree, day, listed_of(asked.needs)
        )
        return by_rule(condition)

    async def add_others(self, own: Sequence[Occasion]) -> int:
        """The other plans of the time, and what is being sent; returns how many are left out."""
        conn, campaign = self._conn, self._campaign
        span = own[0].fires_at, own[-1].leaves_at
        missing = 0
        ids, left_out = await fire_forecast_store.plans_beside(
            conn, campaign.id, campaign.message_class, self.texts, span, MOST_PLANS
        )
        for plan_id in ids:
            other = await campaign_store.get_campaign(conn, plan_id, None)
            if other is not None and other.frozen_rule is not None:
                missing += not await self._add_plan(other, other.frozen_rule, span[1])
        for run in await fire_forecast_store.sending_runs(conn, campaign.message_class, MOST_PLANS):
            missing += not self._add_run(run)
        return left_out + missing

    def _is_new(self, people: object, whose: UUID, occasions: list[Occasion]) -> bool | None:
        """Take fires to people; whether nobody has told who those are. None: there is no room."""
        number = self._known.get(people)
        if number is not None:
            self.others[number].occasions.extend(occasions)
            return False
        if len(self.others) >= MOST_OTHERS:
            return None
        self._known[people] = len(self.others)
        self.others.append(_Others(list(occasions), whose))
        return True

    async def _add_plan(self, other: Campaign, rule: str, until: datetime) -> bool:
        """Another plan; whether there was room."""
        terms = other.plan.schedule.terms(other.message_class, rule)
        ahead = await _ahead(self._conn, other, self._county, self._now)
        ahead = [one for one in ahead if one.at <= until]
        source = Origin("plan", other.id)
        whose, room = other.department_id, True
        fires = [one for one in ahead if one.origin is None]
        if fires:
            asked = await exclusion_terms(self._conn, other, other.text, fires[0].at)
            day, routes = day_in_china(fires[0].at), tuple(asked.routes or ())
            facts = frozenset(asked.needs), asked.trial, asked.barred
            people = (whose, rule, await self._lists_of(whose, day), routes, facts)
            is_new = self._is_new(people, whose, self.occasions(other, terms, fires, source))
            if is_new:
                self._members.add_plan(asked, await self._audience_source(asked, rule, day))
            room = is_new is not None
        steps: dict[UUID, list[_FireAhead]] = defaultdict(list)
        for one in ahead:
            if one.origin is not None:
                steps[one.origin].append(one)
        for origin, some in steps.items():
            is_new = self._is_new(origin, whose, self.occasions(other, terms, some, source))
            if is_new:
                self._members.add_ledger(origin, queued=False)
            room = room and is_new is not None
        return room

    async def _lists_of(self, department_id: UUID, day: date) -> int:
        """Which of a department's lists have ended on a day, as a number."""
        if department_id not in self._ends:
            first = day_in_china(self._now)
            last = first + FARTHEST
            self._ends[department_id] = await fire_forecast_store.days_that_end(
                self._conn, department_id, first, last, MOST_ENDS
            )
        return bisect_left(self._ends[department_id], day)

    def _add_run(self, run: Record) -> bool:
        """A run that is sending; whether there was room."""
        terms = HourTerms.of_run(run)
        one = Occasion(
            fires_at=self._now,
            leaves_at=self._county.next_opening(self._now, terms),
            valid_until=run["valid_until"],
            text=self._number(run["text"]),
            source=Origin("run", run["id"]),
            stops=run["over_cap"] == "stop",
            opening=_opening(self._county, terms),
            written=True,
            order=number_of(run["priority"]),
        )
        is_new = self._is_new(("queued", run["id"]), run["department_id"], [one])
        if is_new:
            self._members.add_ledger(run["id"], queued=True)
        return is_new is not None

    async def groups(self, own: Sequence[Occasion]) -> list[Group]:
        """The people of the plan in groups."""
        every = [*own, *(one for other in self.others for one in other.occasions)]
        ends = {one.leaves_at for one in every} | {o.valid_until for o in every if o.valid_until}
        rows = await fire_forecast_store.group_people(
            self._conn,
            self._members,
            self._campaign.message_class,
            self.texts,
            [one.fires_at for one in own],
            sorted({end - span for end in ends for span in SPANS}),
            self._now - SPANS[-1],
        )
        return [group_of(row) for row in rows]

    def hidden(self, sees: Sees, groups: Iterable[Group]) -> dict[int, int]:
        """The plans of departments that somebody does not see, each with how many it shares."""
        shared: Counter[int] = Counter()
        for group in groups:
            shared.update(dict.fromkeys(group.others, group.people))
        return {
            number: shared[number]
            for number, plan in enumerate(self.others)
            if not sees(plan.department_id)
        }


def _opening(county: County, terms: HourTerms) -> Callable[[datetime], datetime]:
    return lambda at: county.next_opening(at, terms)
