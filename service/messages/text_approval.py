"""A text that a second person approved may be sent to people who are named, without a campaign.

What is approved is one version; an edit is a new version, which nobody has approved. The author
cannot be the one who approves, nor stand behind a deputy who does; the database refuses it as well.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import Right, User
from service.accounts.people.second_person import need_second_person
from service.errors import Conflict
from service.messages.lint.lint import Finding, of_level
from service.messages.lint.verdict import judge
from service.messages.offers.offer_store import authors_of
from service.messages.offers.withdrawal import check_words_stand
from service.messages.store import (
    Template,
    approve_version,
    record_read,
    template_get,
    template_lock,
)
from service.storage.postgres import Connection
from service.words.phrase import phrase


class TextBlocked(Conflict):
    """The text has findings of level `block`: it may be kept, but nothing may send it."""

    code = "text_blocked"

    def __init__(self, findings: Sequence[Finding]) -> None:
        rules = ", ".join(dict.fromkeys(finding["rule"] for finding in findings))
        super().__init__(
            phrase(
                "the text cannot be sent as it is (rules {rules}); see the findings", rules=rules
            )
        )
        self.findings = list(findings)

    def details(self) -> Mapping[str, object]:
        """`findings`."""
        return {"findings": self.findings}


class UnreadFindings(Conflict):
    """Findings of level `review` that the approver has not said to have read."""

    code = "review_needed"

    def __init__(self, findings: Sequence[Finding]) -> None:
        rules = ", ".join(dict.fromkeys(finding["rule"] for finding in findings))
        super().__init__(
            phrase(
                "lint has findings for a person ({rules}): read them, and approve with"
                " these rules in `acknowledged` if it may go all the same",
                rules=rules,
            )
        )
        self.findings = list(findings)

    def details(self) -> Mapping[str, object]:
        """`findings`."""
        return {"findings": self.findings}


def check_unblocked(findings: Sequence[Finding]) -> None:
    """Refuse a text that lint blocks.

    Raises:
        TextBlocked: it has findings of level `block`.
    """
    if blocking := of_level(findings, "block"):
        raise TextBlocked(blocking)


def check_read(findings: Sequence[Finding], acknowledged: Collection[str]) -> list[Finding]:
    """The findings that the approver answers for, all of them named.

    Raises:
        UnreadFindings: some are not.
    """
    to_read = of_level(findings, "review")
    if any(finding["rule"] not in acknowledged for finding in to_read):
        raise UnreadFindings(to_read)
    return to_read


async def approve_text(
    conn: Connection,
    actor: User,
    template_id: UUID,
    version: int,
    acknowledged: Collection[str],
    now: datetime,
) -> Template:
    """Approve the latest version of a template, which must be the one that the actor has read.

    Raises:
        NotFound: there is no such template in the actor's scope.
        Forbidden: the actor may not approve, or counts as who wrote it.
        Conflict: there is a newer version, or it is approved already.
        TextBlocked: lint blocks it.
        TextWithdrawn: its words were withdrawn.
        UnreadFindings: it has findings of level `review` that the actor does not say to have read.
    """
    actor.need(Right.APPROVE)
    known = await template_lock(conn, template_id, actor.scope)
    if known.no != version:
        raise Conflict(
            phrase(
                "version {version} is the latest; read it, and approve that one", version=known.no
            ),
            code="newer_version",
        )
    await check_approval(conn, actor, known, now)
    found = await judge(conn, known.department_id, known.text, known.info.message_class)
    check_unblocked(found)
    read = check_read(found, acknowledged)
    await approve_version(conn, known.version_id, (actor.id, actor.deputy_for), found, now)
    await record_read(conn, read, actor.id, now, version_id=known.version_id)
    return await template_get(conn, template_id, actor.scope)


async def check_approval(
    conn: Connection, actor: User, known: Template, now: datetime, *, lock: bool = True
) -> None:
    """Refuse whoever may not approve the latest version of a template; what lint says of it now is
    not asked.

    lock: as for `check_words_stand`.

    Raises:
        Forbidden, Conflict, TextWithdrawn: as for `approve_text`.
    """
    hands: dict[UUID | None, str] = {known.edited_by: phrase("wrote this text")}
    if known.taken_from is not None:
        await check_words_stand(conn, [known.version_id], lock=lock)
        authors = await authors_of(conn, [known.taken_from])
        hands |= dict.fromkeys(authors, phrase("wrote its words"))
    await need_second_person(conn, actor, hands, phrase("approve it"), now)
    if known.approved_by is not None:
        raise Conflict(phrase("this version is approved already"), code="approved_already")
