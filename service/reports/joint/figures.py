"""A joint plan in figures, leg by leg and town by town, as whoever does not own the people sees it.

The states of a leg are exact: they are what its carrier's own journal says. Towns are shown as far
as no count below the county's `small_count` can be found out (`cases.tables`).
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from service.campaigns.core.legs import Leg
from service.cases.tables import Published, publish
from service.reports.campaign import ENDS, CampaignFigures
from service.reports.campaign_store import WeekSpan
from service.reports.joint import figures_store as store
from service.storage.postgres import Connection


@dataclass(frozen=True, slots=True)
class TownFigures:
    """One town of a leg. ends: how its texts ended; None: too few of some end to be shown."""

    area: str
    people: int
    ends: Mapping[str, int] | None


@dataclass(frozen=True, slots=True)
class ListedFigures:
    """Of a leg whose carrier sends by itself: texts on its lists, and what the carrier said of them
    in counts alone; None: nothing.
    """

    texts: int
    told_delivered: int | None
    told_undelivered: int | None


@dataclass(frozen=True, slots=True)
class LegFigures:
    """A leg's figures. sent_for_others: people of other legs whom this one has sent it to.
    listed: None: nothing of it went out as a list.

    towns: those that are shown; rest_towns, rest_people: what the others add up to. towns_hidden:
    none can be shown.
    """

    leg: Leg
    figures: CampaignFigures
    sent_for_others: int
    towns: list[TownFigures] = field(default_factory=list)
    rest_towns: int | None = None
    rest_people: int | None = None
    towns_hidden: bool = False
    listed: ListedFigures | None = None


async def leg_figures(
    conn: Connection,
    legs: Sequence[Leg],
    figures: Mapping[UUID, CampaignFigures],
    span: WeekSpan,
    small: int,
) -> list[LegFigures]:
    """What each leg of a joint plan amounts to in these weeks.

    figures: of the legs' campaigns, as the plan's report has added them up. small: the smallest
    count that may be shown of people who are somebody else's.
    """
    towns: dict[UUID, dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for row in await store.count_towns(conn, span):
        towns[row["leg"]][row["town"]][row["state"]] += row["messages"]
    instead = {row["leg"]: row["people"] for row in await store.count_sent_for_others(conn, span)}
    listed = {
        row["leg"]: ListedFigures(row["texts"], row["delivered"], row["undelivered"])
        for row in await store.count_lists(conn, span)
    }
    found = []
    for leg in legs:
        if (own := leg.own_campaign_id) is None:
            found.append(LegFigures(leg, CampaignFigures(), 0))
        else:
            its = figures.get(own, CampaignFigures())
            made = _of(leg, its, instead.get(own, 0), towns[own], small)
            found.append(replace(made, listed=listed.get(own)))
    return found


def _of(
    leg: Leg,
    figures: CampaignFigures,
    sent_for_others: int,
    towns: Mapping[str, Counter[str]],
    small: int,
) -> LegFigures:
    people = {town: states.total() for town, states in towns.items()}
    found = publish(people, small)
    return LegFigures(
        leg,
        figures,
        sent_for_others,
        [_town(town, towns[town], small) for town in sorted(found.shown)],
        found.rest_parts,
        found.rest,
        found.hidden,
    )


def _town(town: str, states: Counter[str], small: int) -> TownFigures:
    ends = {name: sum(states[state.value] for state in of) for name, of in ENDS.items()}
    found: Published = publish(ends, small)
    whole = not found.hidden and found.rest is None
    return TownFigures(town, states.total(), dict(found.shown) if whole else None)
