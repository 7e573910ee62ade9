"""One campaign in figures, a row for each week and carrier: the proof of a plan that goes on.

All figures come from the ledger, as a run's report has them, so target = Σ states in every row. A
week begins on Monday in China, and a run belongs to the week in which it fired. What a run sends
again is a row of its own, so that nobody is taken for two people in the row of a fire.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from service.audience.imports.rejects import BOM, csv_line
from service.campaigns.core.fire_store import FireRecord, fires_between
from service.clock import CHINA, written
from service.ledger.states import FAILED, NEVER_SENT, OPEN, MessageState
from service.reports import campaign_store as store
from service.reports.campaign_store import WeekSpan
from service.reports.interruption_store import Interruption, interruptions_of
from service.storage.postgres import Connection, Record

MOST_WEEKS = 53
"""How many weeks a report has at most: a year."""

REACHED = frozenset({MessageState.DELIVERED})
UNKNOWN = frozenset({MessageState.UNKNOWN})
ENDS: Mapping[str, frozenset[MessageState]] = {
    "reached": REACHED,
    "failed": FAILED,
    "unknown": UNKNOWN,
    "stopped": NEVER_SENT,
    "open": OPEN,
}
"""Every state is of exactly one of these, so that they add up to the target."""

_WEEK = timedelta(weeks=1)
FigureKey = tuple[date, str | None, str]


@dataclass(slots=True)
class CampaignFigures:
    """Texts by state, people left out by reason, and parts that the carriers took."""

    states: Counter[str] = field(default_factory=Counter)
    excluded: Counter[str] = field(default_factory=Counter)
    parts: int = 0

    def as_json(self) -> dict[str, Any]:
        """As an answer has them."""
        ends = {
            name: sum(self.states[state.value] for state in states) for name, states in ENDS.items()
        }
        return {
            "target": self.states.total(),
            **ends,
            "states": dict(self.states),
            "excluded": dict(self.excluded),
            "parts": self.parts,
        }


def weeks_asked(
    first: date | None, last: date | None, all_weeks: tuple[date, date] | None
) -> tuple[date, date] | None:
    """The first and the last Monday of a report; None: there is nothing to report.

    first, last: any days of the weeks that were asked for, at most MOST_WEEKS apart; None: from the
    campaign's first run, or to its last; of a longer plan the last weeks.
    """
    if first is not None:
        return monday(first), monday(last) if last else monday(first) + (MOST_WEEKS - 1) * _WEEK
    if last is not None:
        end = monday(last)
    elif all_weeks is not None:
        end = all_weeks[1]
    else:
        return None
    begin = end - (MOST_WEEKS - 1) * _WEEK
    return (max(begin, min(all_weeks[0], end)) if all_weeks else begin), end


def monday(day: date) -> date:
    """The first day of its week."""
    return day - timedelta(days=day.weekday())


async def campaign_report(
    conn: Connection, campaign_id: UUID, mode: str, first: date | None, last: date | None
) -> dict[str, Any]:
    """The report of a campaign's runs of one mode, `real` or `drill`, week by week."""
    all_weeks = await store.weeks_of(conn, campaign_id, mode)
    weeks = weeks_asked(first, last, all_weeks)
    rows: list[dict[str, Any]] = []
    totals = _Totals()
    if weeks is not None:
        span = WeekSpan(campaign_id, mode, weeks[0], weeks[1] + _WEEK)
        rows = await _rows(conn, span, totals)
    names = await store.channel_names(conn) if totals.by_week_and_channel else {}
    fires, interruptions = await _not_sent(conn, campaign_id, weeks)
    return {
        "fires": Counter(fire.outcome for fire in fires),
        "not_sent": [fire for fire in fires if fire.outcome not in {"fired", "shared"}],
        "interruptions": interruptions,
        "campaign_id": campaign_id,
        "mode": mode,
        "first_week": weeks[0] if weeks else None,
        "last_week": weeks[1] if weeks else None,
        "complete": weeks is None
        or all_weeks is None
        or (weeks[0] <= all_weeks[0] and all_weeks[1] <= weeks[1]),
        "total": totals.all.as_json(),
        "by_carrier": _as_json(totals.by_carrier),
        "by_topic": _as_json(totals.by_topic),
        "by_campaign": totals.by_campaign,
        "weeks": rows,
        "lanes": [
            {
                "week": week,
                "channel_id": channel_id,
                "channel": names.get(channel_id),
                "parts": parts,
            }
            for (week, channel_id), parts in sorted(totals.by_week_and_channel.items())
        ],
    }


async def _not_sent(
    conn: Connection, campaign_id: UUID, weeks: tuple[date, date] | None
) -> tuple[list[FireRecord], list[Interruption]]:
    """What became of each fire of these weeks, and what kept the campaign from sending in them."""
    if weeks is None:
        return [], []
    start, end = (datetime.combine(day, time(), CHINA) for day in (weeks[0], weeks[1] + _WEEK))
    return (
        await fires_between(conn, campaign_id, start, end),
        await interruptions_of(conn, campaign_id, start, end),
    )


class _Totals:
    """What the rows add up to. by_campaign: of a joint plan, the campaigns of its legs."""

    def __init__(self) -> None:
        self.all = CampaignFigures()
        self.by_carrier: dict[str, CampaignFigures] = defaultdict(CampaignFigures)
        self.by_topic: dict[str, CampaignFigures] = defaultdict(CampaignFigures)
        self.by_campaign: dict[UUID, CampaignFigures] = defaultdict(CampaignFigures)
        self.rows: dict[FigureKey, CampaignFigures] = defaultdict(CampaignFigures)
        self.by_week_and_channel: Counter[tuple[date, int]] = Counter()

    def of(self, cell: Record) -> Iterable[CampaignFigures]:
        """Whatever a cell counts in."""
        key = (cell["week"], cell["relation"], cell["carrier"])
        carrier, topic = self.by_carrier[cell["carrier"]], self.by_topic[cell["topic"]]
        return self.all, carrier, topic, self.by_campaign[cell["campaign_id"]], self.rows[key]

    def add_parts(self, cell: Record) -> None:
        """Count parts where they count, and for the channel that took them."""
        for figures in self.of(cell):
            figures.parts += cell["parts"]
        if cell["parts"]:
            self.by_week_and_channel[cell["week"], cell["channel_id"]] += cell["parts"]


async def _rows(conn: Connection, span: WeekSpan, totals: _Totals) -> list[dict[str, Any]]:
    for cell in await store.count_messages(conn, span):
        for figures in totals.of(cell):
            figures.states[cell["state"]] += cell["messages"]
        totals.add_parts(cell)
    for cell in await store.count_earlier_parts(conn, span):
        totals.add_parts(cell)
    for cell in await store.count_exclusions(conn, span):
        for figures in totals.of(cell):
            figures.excluded[cell["reason"]] += cell["people"]
    weeks = {(row["week"], row["relation"]): row for row in await store.list_weeks(conn, span)}
    ordered = sorted(
        totals.rows.items(), key=lambda item: (item[0][0], item[0][1] or "", item[0][2])
    )
    return [
        {**weeks[week, relation], "carrier": carrier, **figures.as_json()}
        for (week, relation, carrier), figures in ordered
    ]


def _as_json(groups: Mapping[str, CampaignFigures]) -> dict[str, Any]:
    return {name: figures.as_json() for name, figures in sorted(groups.items())}


COLUMNS = (
    "week", "carrier", "relation", "texts", "runs", "target", *ENDS, "excluded", "parts",
    "started_at", "finished_at",
)  # fmt: skip


async def report_csv(report: Mapping[str, Any], zone: ZoneInfo) -> AsyncIterator[str]:
    """The rows of a report as CSV for Excel, instants with the offset of a zone."""
    yield BOM + csv_line(COLUMNS)
    for row in report["weeks"]:
        shown = {
            **row,
            "relation": row["relation"] or "",
            "texts": " ".join(map(str, row["texts"])),
            "excluded": " ".join(f"{why}:{n}" for why, n in sorted(row["excluded"].items())),
            "started_at": _instant(row["started_at"], zone),
            "finished_at": _instant(row["finished_at"], zone),
        }
        yield csv_line(str(shown[name]) for name in COLUMNS)


def _instant(at: datetime | None, zone: ZoneInfo) -> str:
    return written(at, zone) if at else ""
