"""Filings (报备): a carrier takes a text only once it has approved it, with its numbers and links.

Since 2025 the carriers block texts with numbers or links that are not filed. Whoever runs a channel
writes down here what the carrier has answered; a campaign cannot be submitted or approved over a
channel that requires filings while its text has none there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from service.errors import Conflict
from service.messages.lint import obfuscation
from service.messages.lint.draft import draft
from service.messages.lint.lint_contacts import contacts
from service.words.phrase import listing, phrase

FilingState = Literal["submitted", "filed", "refused", "withdrawn"]
FILED: FilingState = "filed"


@dataclass(frozen=True, slots=True)
class Filing:
    """How a version of a text stands with a channel.

    reference: the carrier's number of it. contacts, links: what the filing names.
    """

    state: FilingState
    reference: str = ""
    contacts: tuple[str, ...] = ()
    links: tuple[str, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class FilingLine:
    """A filing as written down: with which channel, by whom and when."""

    channel_id: int
    filing: Filing
    changed_by: UUID | None
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Required:
    """A channel that takes filed texts alone, and what is filed there of a text, if anything.

    channel: its name.
    """

    channel: str
    filing: Filing | None
    channel_id: int = 0


class NotFiled(Conflict):
    """A text has no filing with a channel that it may take, or not for all that is in it."""

    code = "not_filed"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(
            phrase(
                "the text is not filed: {problems}. File it with the carrier and write that down"
                " (PUT /templates/{{template_id}}/filings), or plan over other channels",
                problems=listing(problems, "; "),
            )
        )


def check_filed(text: str, required: Sequence[Required]) -> None:
    """Refuse a text that a channel would not take.

    Raises:
        NotFiled: names the channels, and what is missing there.
    """
    if problems := [
        listing((one.channel, why), ": ") for one in required if (why := missing(text, one))
    ]:
        raise NotFiled(problems)


def missing(text: str, required: Required) -> str:
    """Why a channel would not take a text, as a clause; "": it would."""
    filing = required.filing
    if filing is None:
        return phrase("no filing")
    if filing.state != FILED:
        return phrase("the filing is {filing_state}", filing_state=filing.state)
    numbers = numbers_of(text) - set(filing.contacts)
    if numbers:
        return phrase("the filing lacks {count} of the text's numbers", count=len(numbers))
    links = links_of(text) - {link for filed in filing.links for link in links_of(filed)}
    return phrase("the filing lacks a link of the text") if links else ""


def numbers_of(text: str) -> set[str]:
    """The numbers of a text that its filing names, as digits."""
    return {contact.digits for contact in contacts(draft(text, None))}


def links_of(text: str) -> set[str]:
    """The links of a text that its filing names, each as lint reads it."""
    return {found.what for found in obfuscation.links(text)}
