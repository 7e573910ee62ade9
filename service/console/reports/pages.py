"""What a campaign amounts to week by week and carrier by carrier, and a channel's day."""

from datetime import date, timedelta

from service.accounts.people.model import Right
from service.api.campaigns import campaign_report, campaigns
from service.api.campaigns.campaign_report import WeeksQuery
from service.api.campaigns.campaigns import CampaignQuery
from service.api.http.downloads import MadeFile
from service.api.sending import unmatched
from service.api.sending.unmatched import ReconciliationQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.render import Shown
from service.console.words import carrier_word
from service.errors import Invalid
from service.words.phrase import phrase

FIGURES = {
    "reached": phrase("reached"),
    "failed": phrase("not reached"),
    "unknown": phrase("no receipt in 72 hours"),
    "stopped": phrase("stopped before"),
    "open": phrase("still open"),
}
"""The parts of a target, as `CampaignFiguresOut` calls them: their sum is the target."""


async def show_reports(desk: Desk) -> Shown:
    """Campaigns whose figures may be seen, the newest first."""
    query = body_of(CampaignQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(campaigns.list_campaigns, query=query)
    return Shown("reports/reports.html", {
        "campaigns": found.items,
        "next": found.next_cursor,
        "audits": desk.may(Right.AUDIT),
        "reads": desk.may(Right.READ),
    })  # fmt: skip


async def show_weeks(desk: Desk) -> Shown:
    """What a campaign amounts to, a row for each week and carrier."""
    campaign_id = desk.uuid("campaign_id")
    campaign = await desk.get(campaigns.get_campaign, campaign_id=campaign_id)
    report = await desk.get(
        campaign_report.get_campaign_report, campaign_id=campaign_id, query=WeeksQuery()
    )
    say = desk.language.say
    words = {name: say(word) for name, word in FIGURES.items()}
    return Shown("reports/weeks.html", {
        "campaign": campaign,
        "report": report,
        "carrier_word": carrier_word,
        "figure_words": words,
        "figure_heads": [{"label": word, "num": True} for word in words.values()],
    })  # fmt: skip


async def export_weeks(desk: Desk) -> MadeFile:
    """The same as a file for a spreadsheet."""
    return await desk.take(
        campaign_report.export_campaign_report,
        campaign_id=desk.uuid("campaign_id"),
        query=WeeksQuery(),
    )


async def show_channels(desk: Desk) -> Shown:
    """What each channel handed off on a day, and what the carrier said of it."""
    given = desk.request.query.get("day", "")
    try:
        day = date.fromisoformat(given) if given else desk.now.date() - timedelta(days=1)
    except ValueError:
        what = phrase("write a day like 2027-01-31")
        raise Invalid(phrase("there is no such day"), fields={"day": what}) from None
    found = await desk.get(unmatched.get_reconciliation, query=ReconciliationQuery(day=day))
    told = {"day": day, "channels": found.items, "audits": desk.may(Right.AUDIT)}
    return Shown("reports/channels.html", told)
