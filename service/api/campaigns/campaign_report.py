"""What a campaign amounts to, week by week and carrier by carrier, on the screen and as a file."""

from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any, Literal
from uuid import UUID

from pydantic import Field, model_validator

from service.api.accounts.work import InterruptionOut, interruption_out
from service.api.calendar.schedules import FireRecordOut, record_out
from service.api.http.call import Call, Download
from service.api.http.schema import Instant, Out, QueryString, SpanDay
from service.api.sending.runs import Relation
from service.campaigns.core import leg_store
from service.campaigns.core.legs import LegState
from service.campaigns.plans import planning
from service.errors import NotFound
from service.ledger.states import MessageState
from service.messages.lint.lint_store import policy_get
from service.reports.campaign import MOST_WEEKS, campaign_report, monday, report_csv
from service.reports.campaign_store import WeekSpan
from service.reports.joint.figures import LegFigures, leg_figures
from service.words.phrase import phrase

RunMode = Literal["real", "drill"]


class WeeksQuery(QueryString):
    """Which weeks: those in which these days are, in China."""

    first: SpanDay | None = Field(
        default=None,
        alias="from",
        description="Default: the campaign's first run; of a longer plan its last year.",
    )
    last: SpanDay | None = Field(
        default=None,
        alias="to",
        description=f"Default: its last run; at most {MOST_WEEKS} weeks in all.",
    )
    mode: RunMode | None = Field(
        default=None, description="Default: drill for a plan that is a drill now, else real."
    )

    @model_validator(mode="after")
    def _ordered(self) -> "WeeksQuery":
        if self.first and self.last:
            weeks = (monday(self.last) - monday(self.first)).days // 7
            if not 0 <= weeks < MOST_WEEKS:
                raise ValueError(
                    phrase(
                        "to lies on or after from, and within {most_weeks} weeks of it",
                        most_weeks=MOST_WEEKS,
                    )
                )
        return self


class CampaignFiguresOut(Out):
    """target = Σ states = reached + failed + unknown + stopped + open, always."""

    target: int
    reached: int = Field(description="A receipt says delivered.")
    failed: int = Field(description="undelivered, expired, rejected")
    unknown: int = Field(description="No receipt for 72 hours.")
    stopped: int = Field(description="suppressed, cancelled")
    open: int = Field(description="queued, submitting, submitted, uncertain")
    states: dict[MessageState, int]
    excluded: dict[str, int] = Field(description="People left out, by reason; outside the target.")
    parts: int = Field(description="That the carrier took, of all hand-offs.")


class CarrierWeekOut(CampaignFiguresOut):
    """One carrier's people in one week, of the fires or of what follows them in one way."""

    week: date = Field(
        description="Its Monday in China; a run counts in the week in which it fired."
    )
    carrier: str = Field(description='"none": nothing says whose number it is.')
    relation: Relation | None = Field(description="Null: the plan's own fires.")
    texts: list[int] = Field(description="Which of the campaign's texts, counted from 1.")
    runs: int
    started_at: Instant | None = Field(description="Of the first of the runs, for all carriers.")
    finished_at: Instant | None = Field(description="Of the last; null: one still sends.")


class LaneWeekOut(Out):
    """What one channel took in one week, whosever numbers they were."""

    week: date
    channel_id: int
    channel: str | None
    parts: int


class TownFiguresOut(Out):
    """People of one town in a leg."""

    area: str = Field(description='The code of the town; "none": not known.')
    people: int
    ends: dict[str, int] | None = Field(
        description="reached, failed, unknown, stopped, open; null: too few of one to be shown."
    )


class ListedFiguresOut(Out):
    """Texts of a leg that stood on lists for its carrier, which sends by itself."""

    texts: int
    told_delivered: int | None = Field(
        description="What the carrier said in counts alone; they are in no state of the ledger."
    )
    told_undelivered: int | None


class LegFiguresOut(CampaignFiguresOut):
    """What one department of a joint plan sent."""

    leg_id: UUID
    department_id: UUID
    department: str
    carrier: str | None
    state: LegState
    sent_for_others: int = Field(
        description="People of other legs whom this one has sent it to; theirs are `other_leg`."
    )
    towns: list[TownFiguresOut]
    rest_towns: int | None = Field(description="How many further towns are shown as one sum.")
    rest_people: int | None
    towns_hidden: bool = Field(description="No town can be shown.")
    listed: ListedFiguresOut | None = Field(description="Null: nothing went out as a list.")


class CampaignReportOut(Out):
    """What a campaign amounts to; a text that is sent again counts again, in a row of its own."""

    campaign_id: UUID
    mode: RunMode
    first_week: date | None
    last_week: date | None
    complete: bool = Field(description="Whether all runs of this mode are in these weeks.")
    total: CampaignFiguresOut
    fires: dict[str, int] = Field(
        description="How many fires were planned in these weeks, by what became of them: fired,"
        " skipped, held, missed."
    )
    not_sent: list[FireRecordOut] = Field(
        description="The fires of these weeks that did not take place, each with why. One that came"
        " late is `fire.late` in `interruptions`."
    )
    interruptions: list[InterruptionOut] = Field(
        description="What kept it from sending in these weeks, or let it go on: of the campaign, of"
        " everything, and of the channels that it may take; only what was in force while there was"
        " the campaign, from its making to its end."
    )
    by_carrier: dict[str, CampaignFiguresOut]
    by_topic: dict[str, CampaignFiguresOut] = Field(
        description='By the topic of the text; "none": it has none.'
    )
    legs: list[LegFiguresOut] = Field(
        description="Of a joint plan: what each of its departments sent. Towns are shown as far as"
        " no small count can be found out; the county's `small_count` says how small."
    )
    weeks: list[CarrierWeekOut]
    lanes: list[LaneWeekOut] = Field(
        description="To hold against what the carriers say. A number that was ported takes another"
        " lane than its carrier's, and two if nobody knew."
    )


async def get_campaign_report(
    call: Call, campaign_id: UUID, query: WeeksQuery
) -> CampaignReportOut:
    """Show what a campaign amounts to, a row for each week and carrier.

    Also of a department below yours. Corrections are campaigns of their own.
    """
    report = await _report(call, campaign_id, query)
    report["not_sent"] = [record_out(fire) for fire in report["not_sent"]]
    report["interruptions"] = [interruption_out(found) for found in report["interruptions"]]
    report["legs"] = [_leg(found) for found in await _legs(call, report)]
    return CampaignReportOut.model_validate(report)


async def export_campaign_report(call: Call, campaign_id: UUID, query: WeeksQuery) -> Download:
    """Download the rows of a campaign's report as CSV."""
    report = await _report(call, campaign_id, query)
    return Download(
        "text/csv", f"report-{campaign_id}.csv", report_csv(report, call.runtime.settings.zone)
    )


async def _report(call: Call, campaign_id: UUID, query: WeeksQuery) -> dict[str, Any]:
    campaign = await planning.load(call.conn, campaign_id, None)
    if not (
        call.user.sees_counts(campaign.department_id)
        or (campaign.plan.is_joint and await _has_a_leg(call, campaign_id))
    ):
        raise NotFound(phrase("there is no campaign {campaign_id}", campaign_id=campaign_id))
    mode = query.mode or ("drill" if campaign.plan.drill else "real")
    return await campaign_report(call.conn, campaign_id, mode, query.first, query.last)


async def _has_a_leg(call: Call, campaign_id: UUID) -> bool:
    """Whether the caller's department was asked for a leg: each sees the counts of all."""
    legs = await leg_store.list_legs(call.conn, campaign_id)
    own = call.user.department_id
    return any(leg.department_id == own and leg.state is not LegState.PLANNED for leg in legs)


async def _legs(call: Call, report: Mapping[str, Any]) -> list[LegFigures]:
    legs = await leg_store.list_legs(call.conn, report["campaign_id"])
    if not legs or report["first_week"] is None:
        return []
    end = report["last_week"] + timedelta(weeks=1)
    span = WeekSpan(report["campaign_id"], report["mode"], report["first_week"], end)
    small = (await policy_get(call.conn)).small_count
    return await leg_figures(call.conn, legs, report["by_campaign"], span, small)


def _leg(found: LegFigures) -> LegFiguresOut:
    leg = found.leg
    return LegFiguresOut.model_validate(
        {
            **found.figures.as_json(),
            "leg_id": leg.id,
            "department_id": leg.department_id,
            "department": leg.department,
            "carrier": leg.carrier,
            "state": leg.state,
            "sent_for_others": found.sent_for_others,
            "towns": found.towns,
            "rest_towns": found.rest_towns,
            "rest_people": found.rest_people,
            "towns_hidden": found.towns_hidden,
            "listed": found.listed,
        }
    )
