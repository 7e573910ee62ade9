"""Whether texts may go to people: lint's verdict, and what approvers said of it.

The verdict is part of what is submitted: if the text, the sender or the county's rules have changed
so that lint says something else, the approval is refused, as for any other change. So it is if the
people have changed so that the longest of their texts is too long for one part, or at all (R15), or
that somebody lacks a value (R17). Likeness to what was sent before (R24) changes by itself with the
days, and so is not bound.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from service.audience.segments.segment_uses import WrittenOut
from service.campaigns.audience.text_preview import LackingPerson, audiences_of, who_lacks
from service.campaigns.core.model import Campaign, Content
from service.campaigns.core.store import department_of
from service.campaigns.core.texts import BoundText, LintVerdict
from service.crypto import Keyring
from service.errors import Invalid
from service.messages.filing import check_filed
from service.messages.filing_store import required_filings
from service.messages.lint.draft import DraftAudience
from service.messages.lint.lint import Finding, of_level
from service.messages.lint.verdict import judge
from service.messages.text_approval import check_unblocked
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

NOT_BOUND, FILLED = "R24", "R17"


def bound(findings: Sequence[Finding]) -> LintVerdict:
    """The verdict as an approval binds it: which rules, how serious, where."""
    return tuple((f["rule"], f["level"], f["at"]) for f in findings if f["rule"] != NOT_BOUND)


class ValuesMissing(Invalid):
    """People whom the rule means have no value for a variable of the text."""

    code = "missing_value"

    def __init__(self, audience: DraftAudience, people: Sequence[LackingPerson] = ()) -> None:
        fields = {
            f"values.{variable}": phrase(
                "{count} of {people} people have none", count=count, people=audience.people
            )
            for variable, count in audience.missing.items()
        }
        names = listing(f"{{{variable}}}" for variable in audience.missing)
        super().__init__(
            phrase(
                "some people have no value for {names}: complete the list, mean fewer"
                " people by the rule, or take the variable out",
                names=names,
            ),
            fields=fields,
        )
        self.people = people

    def details(self) -> Mapping[str, object]:
        """`fields`, and as `people` a few of them with what they lack."""
        return {**super().details(), "people": [asdict(person) for person in self.people]}


async def judged_for_submission(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    rule: WrittenOut,
    keyring: Keyring | None,
    now: datetime,
) -> tuple[Content, list[list[Finding]]]:
    """What is submitted, with lint's verdict on its texts for those whom the rule means, and all
    the findings on each.

    keyring: to read the longest names; without it their octets are the bound of their characters.

    Raises:
        ValuesMissing: somebody of the audience has no value for a variable, and the county's level
            of R17 blocks that.
        TextBlocked: a text has findings of level `block`.
    """
    found = await _judge_all(conn, campaign, content, rule, keyring, now, remember=True)
    for findings in found:
        check_unblocked(findings)
    return content.judged([bound(findings) for findings in found]), found


async def _judge_all(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    rule: WrittenOut,
    keyring: Keyring | None,
    now: datetime,
    *,
    remember: bool,
) -> list[list[Finding]]:
    whose, kind = campaign.department_id, content.message_class
    texts = [words.text for words in content.texts]
    audiences: list[DraftAudience | None] = [None] * len(texts)
    if not campaign.plan.is_joint:  # each leg is judged for its own people when it is taken
        audiences = await audiences_of(conn, keyring, whose, rule, (texts, kind), now)
    author = await department_of(conn, campaign.plan.leg_of) or whose
    since = now if remember else None
    found = [
        await judge(conn, author, text, kind, audience=audience, remember_at=since)
        for text, audience in zip(texts, audiences, strict=True)
    ]
    for text, findings, audience in zip(texts, found, audiences, strict=True):
        blocked = {finding["rule"] for finding in of_level(findings, "block")}
        if audience is not None and audience.missing and FILLED in blocked:
            people = await who_lacks(conn, keyring, whose, rule, (text, kind), now)
            raise ValuesMissing(audience, people)
    return found


async def check_carriers_take(conn: Connection, campaign: Campaign, content: Content) -> None:
    """Refuse what a channel that it may take would not take unfiled.

    Raises:
        NotFiled: names the channels and what is missing there.
    """
    if content.plan.is_joint:  # each leg has channels of its own
        return
    wanted = content.plan.channels
    channels = list(wanted) if wanted is not None else None
    for words in content.texts:
        required = await required_filings(
            conn, words.template_version_id, campaign.department_id, channels
        )
        check_filed(words.text, required)


async def judged_again(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    rule: WrittenOut,
    keyring: Keyring | None,
    now: datetime,
) -> Content:
    """What is about to be approved, with what lint says of it now.

    Raises:
        ValuesMissing: as for a submission.
    """
    found = await _judge_all(conn, campaign, content, rule, keyring, now, remember=False)
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
            BoundText(
                text.template_version_id, text.text, text.after_days, bound(text.verdict or ())
            )
            for text in campaign.further
        ),
    )
