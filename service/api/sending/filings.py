"""Filings of texts with carriers: what each has answered, and which channels ask for them."""

from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.schema import (
    Body,
    Instant,
    Int,
    Line,
    OptionalLine,
    Out,
    TranslatedText,
)
from service.channels.config.store import existing_channels
from service.errors import Conflict, Invalid, NotFound
from service.messages import filing_store
from service.messages.filing import (
    Filing,
    FilingLine,
    FilingState,
    Required,
    links_of,
    missing,
    numbers_of,
)
from service.messages.policy import digits
from service.messages.store import Template, template_get
from service.words.phrase import phrase

MOST_MISSING = 200
Few = Annotated[list[Line], Field(max_length=20)]


class FilingBody(Body):
    """What a carrier has answered on one version of a text."""

    channel_id: Annotated[Int, Field(ge=0, le=2**15 - 1)]
    version: Int
    state: FilingState
    reference: OptionalLine = Field(default="", description="The carrier's number of it.")
    contacts: Few = Field(default=[], description="The numbers that the filing names.")
    links: Few = Field(default=[], description="The links that the filing names.")
    note: OptionalLine = ""


class FilingOut(Out):
    """A line on a filing; the newest of a channel holds."""

    channel_id: int
    state: str
    reference: str
    contacts: list[str]
    links: list[str]
    note: str
    changed_by: UUID | None
    changed_at: Instant


class FilingChannelOut(Out):
    """A channel that takes filed texts alone, and how a text stands there."""

    channel_id: int
    channel: str
    state: FilingState | None = Field(description="Null: nothing is written down.")
    missing: TranslatedText | None = Field(
        description="Why it would not take the text; null: it would."
    )


class FilingsOut(Out):
    """All lines on the latest version of a text, from new to old."""

    version: int
    contacts: list[str] = Field(description="The numbers of the text, which a filing names.")
    links: list[str] = Field(description="Its links, likewise.")
    channels: list[FilingChannelOut] = Field(
        description="The enabled channels of its department that take filed texts alone."
    )
    items: list[FilingOut]


class MissingFilingOut(Out):
    """A text that a plan would send over a channel where it is not filed."""

    template_id: UUID
    name: str
    department_id: UUID = Field(description="Whose plan it is.")
    department: str
    version: int = Field(description="As submitted; of a draft, the latest.")
    channel_id: int
    channel: str
    state: FilingState | None = Field(description="Null: nothing is written down.")
    since: Instant = Field(description="Of the first plan that would send it there.")


class MissingFilingsOut(Out):
    """The texts of plans without a filing, the oldest first."""

    items: list[MissingFilingOut]
    more: bool = Field(description=f"There are more; the first {MOST_MISSING} are shown.")


class RequiredBody(Body):
    """Whether a channel takes filed texts alone."""

    required: bool | None = Field(description="null: if it is a real channel.")


class RequiredOut(Out):
    """Whether a channel takes filed texts alone."""

    required: bool


async def list_filings(call: Call, template_id: UUID) -> FilingsOut:
    """Show how the latest version of a text stands with the carriers."""
    return await _shown(call, await template_get(call.conn, template_id, call.user.scope))


async def list_missing_filings(call: Call) -> MissingFilingsOut:
    """List the texts of plans that are not over, with each channel where they are not filed."""
    found = await filing_store.list_unfiled(call.conn, call.user.scope, MOST_MISSING + 1)
    items = [
        MissingFilingOut.model_validate({**one._asdict(), "version": one.no})
        for one in found[:MOST_MISSING]
    ]
    return MissingFilingsOut(items=items, more=len(found) > MOST_MISSING)


async def set_filing(call: Call, template_id: UUID, body: FilingBody) -> FilingsOut:
    """Write down what a carrier has answered; whoever runs the channels does."""
    template = await template_get(call.conn, template_id, None)
    if body.version != template.no:
        raise Conflict(
            phrase("version {version} is the latest; file that one", version=template.no),
            code="newer_version",
        )
    if body.channel_id not in await existing_channels(call.conn):
        raise Invalid.at(
            "channel_id", phrase("there is no channel {channel_id}", channel_id=body.channel_id)
        )
    filing = Filing(
        body.state,
        body.reference,
        tuple(digits(number) for number in body.contacts),
        tuple(body.links),
        body.note,
    )
    await filing_store.insert_filing(
        call.conn, template.version_id, body.channel_id, filing, call.user.id, call.now
    )
    return await _shown(call, template)


async def set_filing_required(call: Call, channel_id: int, body: RequiredBody) -> RequiredOut:
    """Say whether a channel takes filed texts alone."""
    holds = await filing_store.set_required(call.conn, channel_id, required=body.required)
    if holds is None:
        raise NotFound(phrase("there is no channel {channel_id}", channel_id=channel_id))
    return RequiredOut(required=holds)


async def _shown(call: Call, template: Template) -> FilingsOut:
    lines = await filing_store.list_filings(call.conn, template.version_id)
    required = await filing_store.required_filings(
        call.conn, template.version_id, template.department_id, None
    )
    return FilingsOut(
        version=template.no,
        contacts=sorted(numbers_of(template.text)),
        links=sorted(links_of(template.text)),
        channels=[_channel(template.text, one) for one in required],
        items=[_line(line) for line in lines],
    )


def _channel(text: str, required: Required) -> FilingChannelOut:
    return FilingChannelOut(
        channel_id=required.channel_id,
        channel=required.channel,
        state=required.filing.state if required.filing else None,
        missing=missing(text, required) or None,
    )


def _line(line: FilingLine) -> FilingOut:
    return FilingOut(
        channel_id=line.channel_id,
        state=line.filing.state,
        reference=line.filing.reference,
        contacts=list(line.filing.contacts),
        links=list(line.filing.links),
        note=line.filing.note,
        changed_by=line.changed_by,
        changed_at=line.changed_at,
    )
