"""Whether a text may go to people: lint's verdict, and what approvers said of it.

The verdict is part of what is submitted: if the text, the sender or the county's rules have changed
so that lint says something else, the approval is refused, as for any other change. Likeness to what
was sent before (R24) changes by itself with the days, and so is not bound.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from service.campaigns.model import Campaign, Content, Verdict
from service.messages.filing import check_filed
from service.messages.filing_store import required_filings
from service.messages.lint import Finding
from service.messages.text_approval import check_unblocked
from service.messages.verdict import judge
from service.storage.postgres import Connection

NOT_BOUND = "R24"


def bound(findings: Sequence[Finding]) -> Verdict:
    """The verdict as an approval binds it: which rules, how serious, where."""
    return tuple((f["rule"], f["level"], f["at"]) for f in findings if f["rule"] != NOT_BOUND)


async def judged_for_submission(
    conn: Connection, campaign: Campaign, content: Content, now: datetime
) -> tuple[Content, list[Finding]]:
    """What is submitted, with lint's verdict on its text, and all the findings.

    Raises:
        TextBlocked: the text has findings of level `block`.
    """
    found = await judge(
        conn, campaign.department_id, content.text, content.message_class, remember_at=now
    )
    check_unblocked(found)
    return replace(content, verdict=bound(found)), found


async def check_carriers_take(conn: Connection, campaign: Campaign, content: Content) -> None:
    """Refuse what a channel that it may take would not take unfiled.

    Raises:
        NotFiled: names the channels and what is missing there.
    """
    wanted = content.plan.channels
    required = await required_filings(
        conn,
        content.template_version_id,
        campaign.department_id,
        list(wanted) if wanted is not None else None,
    )
    check_filed(content.text, required)


async def judged_again(conn: Connection, campaign: Campaign, content: Content) -> Content:
    """What is about to be approved, with what lint says of it now."""
    found = await judge(conn, campaign.department_id, content.text, content.message_class)
    return replace(content, verdict=bound(found))
