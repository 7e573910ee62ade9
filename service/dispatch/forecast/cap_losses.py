"""What the caps take from each fire, summed over groups of people, as one user may know it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.dispatch.forecast.cap_places import CapEffect, Had, Occasion, fates
from service.dispatch.forecast.fire_forecast_store import MOST_OTHERS
from service.dispatch.limits.caps import CapLimits
from service.ledger.reasons import Reason
from service.storage.postgres import Record

Sees = Callable[[UUID], bool]
"""Whether the plans of a department exist for somebody."""


TENS = 10
"""What others' plans share is told in tens: nobody is to be found on another's list."""


@dataclass(frozen=True, slots=True)
class Cause:
    """Whose text was the same. campaign_id, name: None: another department's, or a direct send; of
    another department `people` is in tens.
    """

    campaign_id: UUID | None
    name: str | None
    department: str
    people: int


@dataclass(slots=True)
class FireOutlook:
    """What one fire will amount to. target: people in its ledger; excluded: people left out of it,
    by reason. waits: of the target, whose text leaves later for the caps' sake; stopped: whose text
    does not leave at all. same_text: whose words those had who are left out, wait or are stopped
    for them. exact: whether nothing of it is in tens.
    """

    fires_at: datetime
    sends_from: datetime
    text_no: int
    target: int = 0
    excluded: dict[str, int] = field(default_factory=dict)
    waits: int = 0
    stopped: int = 0
    same_text: list[Cause] = field(default_factory=list)
    exact: bool = True


def in_all(fires: Sequence[FireOutlook]) -> FireOutlook:
    """One fire of several legs: their figures together."""
    first = fires[0]
    excluded: Counter[str] = Counter()
    for fire in fires:
        excluded.update(fire.excluded)
    return replace(
        first,
        target=sum(fire.target for fire in fires),
        excluded=dict(sorted(excluded.items())),
        waits=sum(fire.waits for fire in fires),
        stopped=sum(fire.stopped for fire in fires),
        same_text=[cause for fire in fires for cause in fire.same_text],
        exact=all(fire.exact for fire in fires),
    )


class Group(NamedTuple):
    """People who fare alike. ways: why they are left out, early and late, by each way of judging by
    which they are meant at all.

    stop: a suppression, which leaves them out of so many fires (stopped). others: the numbers of
    those who mean them as well. had: their texts, from new to old.
    """

    people: int
    ways: Mapping[int, tuple[str, str]]
    stop: str | None
    stopped: int
    others: list[int]
    had: list[Had]

    def reason(self, fire: int, way: int) -> str | None:
        """Why they are not in the ledger of a fire, but for the caps."""
        early, late = self.ways[way]
        stop = self.stop if fire < self.stopped else None
        return early or stop or late or None


def group_of(row: Record) -> Group:
    """A group as `fire_forecast_store.group_people` reads it."""
    ways = [way.split(":") for way in row["profile"].split(",")]
    had = zip(row["at"], row["nos"], row["runs"], strict=True)
    return Group(
        people=row["people"],
        ways={int(way): (early, late) for way, early, late in ways},
        stop=row["stop"],
        stopped=row["stopped"] or 0,
        others=[bit for bit in range(MOST_OTHERS) if row["others"] >> bit & 1],
        had=[Had(at, no, Origin("run", run)) for at, no, run in had],
    )


class Origin(NamedTuple):
    """Where a text comes from: a plan or a run, by its id."""

    kind: str
    id: UUID


class TextSource(NamedTuple):
    """A plan, or the sender of a direct send (campaign_id None), that texts come from."""

    campaign_id: UUID | None
    name: str | None
    department_id: UUID
    department: str


@dataclass(slots=True)
class Toll:
    """Of one fire: people by what becomes of them (target, waits, stopped, or why they are left
    out), and by the source of the same words.
    """

    fate: Counter[str] = field(default_factory=Counter)
    same: Counter[object] = field(default_factory=Counter)

    def add(self, fate: CapEffect, people: int) -> None:
        """Count people with this fate."""
        if not fate.ledger:
            self.fate[f"out {fate.reason}"] += people
        else:
            self.fate["target"] += people
            if fate.reason is not None:
                self.fate["waits" if fate.waits else "stopped"] += people
        if fate.reason == Reason.SAME_TEXT:
            self.same[fate.source] += people


def tolls(
    own: Sequence[tuple[Occasion, int]],
    groups: Sequence[Group],
    plans: Sequence[Sequence[Occasion]],
    limits: CapLimits,
    without: Collection[int],
) -> list[Toll]:
    """The toll of each own fire, which is given with its way of judging, beside the fires of other
    plans but those `without`.
    """
    found = [Toll() for _ in own]
    for group in groups:
        due = []
        for number, (one, way) in enumerate(own):
            reason = group.reason(number, way) if way in group.ways else None
            if reason is not None:
                found[number].fate[f"out {reason}"] += group.people
            elif way in group.ways:
                due.append(one)
        others = [o for p in group.others if p not in without for o in plans[p]]
        fate = fates([*due, *others], group.had, limits) if due else {}
        for toll, (one, _) in zip(found, own, strict=True):
            if one in fate:
                toll.add(fate[one], group.people)
    return found


def outlook(
    sees: Sees, fire: FireOutlook, known: Toll, whole: Toll, sources: Mapping[object, TextSource]
) -> FireOutlook:
    """A fire with its figures: exact as far as they come of plans that one sees (known), and
    in tens what others add (whole).
    """
    figures = {name: _told(known.fate[name], whole.fate[name]) for name in known.fate | whole.fate}
    fire.exact = known.fate == whole.fate
    fire.excluded = {
        name.removeprefix("out "): people
        for name, people in sorted(figures.items())
        if name.startswith("out ") and people
    }
    fire.waits, fire.stopped = figures.get("waits", 0), figures.get("stopped", 0)
    fire.target = sum(n for name, n in whole.fate.items() if name.startswith("out "))
    fire.target += whole.fate["target"] - sum(fire.excluded.values())
    fire.same_text = _causes(sees, whole, sources)
    return fire


def _told(known: int, whole: int) -> int:
    more = abs(whole - known)
    return known + (more - more % TENS) * (1 if whole > known else -1)


def _causes(sees: Sees, whole: Toll, sources: Mapping[object, TextSource]) -> list[Cause]:
    by_source: dict[TextSource, int] = defaultdict(int)
    for key, people in whole.same.items():
        source = sources.get(key)
        if source is None:  # its run is kept no longer
            continue
        if not sees(source.department_id):
            source = source._replace(campaign_id=None, name=None)
        by_source[source] += people
    causes = []
    for source, people in by_source.items():
        told = people if sees(source.department_id) else people - people % TENS
        if told:
            causes.append(Cause(source.campaign_id, source.name, source.department, told))
    return sorted(causes, key=lambda cause: (-cause.people, cause.department, cause.name or ""))
