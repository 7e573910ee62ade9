"""Whether texts may go to people: lint's verdict, and what approvers said of it.

The verdict is part of what is submitted: if the text, the sender or the county's rules have changed
so that lint says something else, the approval is refused, as for any other change. Likeness to what
was sent before (R24) changes by itself with the days, and so is not bound.
"""

from collections.abc import Sequence
from datetime import datetime

from service.campaigns.model import Campaign, Content
from service.campaigns.texts import Verdict, Words
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
) -> tuple[Content, list[list[Finding]]]:
    """What is submitted, with lint's verdict on its texts, and all the findings on each.

    Raises:
        TextBlocked: a text has findings of level `block`.
    """
    found = await _judge_all(conn, campaign, content, now)
    for findings in found:
        check_unblocked(findings)
    return content.judged([bound(findings) for findings in found]), found


async def _judge_all(
    conn: Connection, campaign: Campaign, content: Content, remember_at: datetime | None
) -> list[list[Finding]]:
    whose, kind = campaign.department_id, content.message_class
    return [
        await judge(conn, whose, words.text, kind, remember_at=remember_at)
        for words in content.texts
    ]


async def check_carriers_take(conn: Connection, campaign: Campaign, content: Content) -> None:
    """Refuse what a channel that it may take would not take unfiled.

    Raises:
        NotFiled: names the channels and what is missing there.
    """
    wanted = content.plan.channels
    channels = list(wanted) if wanted is not None else None
    for words in content.texts:
        required = await required_filings(
            conn, words.template_version_id, campaign.department_id, channels
        )
        check_filed(words.text, required)


async def judged_again(conn: Connection, campaign: Campaign, content: Content) -> Content:
    """What is about to be approved, with what lint says of it now."""
    found = await _judge_all(conn, campaign, content, None)
    return content.judged([bound(findings) for findings in found])


def frozen_content(campaign: Campaign) -> Content:
    """What a submitted campaign sends: its frozen text versions and rule."""
    if campaign.frozen_rule is None:
        raise ValueError("the campaign has no frozen rule")
    return Content(
        campaign.template_version_id,
        campaign.text,
        campaign.message_class,
        campaign.frozen_rule,
        campaign.plan,
        bound(campaign.verdict or ()),
        tuple(
            Words(text.template_version_id, text.text, text.after_days, bound(text.verdict or ()))
            for text in campaign.further
        ),
    )
