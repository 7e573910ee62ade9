"""A text as those of a segment would read it, on each channel that could take it."""

from uuid import UUID

from pydantic import Field

from service.accounts.departments.department_store import get_permits
from service.api.http.call import Call
from service.api.http.schema import Out, QueryString, TranslatedText
from service.audience.segments.segment_store import get_segment
from service.campaigns.audience.text_preview import PreviewedText, read_by
from service.channels.config.store import readable_channels
from service.channels.trial.split_preview import Cutter
from service.messages import store


class PreviewQuery(QueryString):
    """Who would read it."""

    segment_id: UUID | None = Field(
        default=None, description="Left out: everybody of the department."
    )


class CutOut(Out):
    """What becomes of a text on a channel, with the signature where the channel's contract puts it
    and opt-out words as written.
    """

    channel_id: int
    channel: str
    encoding: str | None = Field(description="UCS2, GSM7 …; null: the channel does not take it.")
    parts: int | None = Field(description="What it is read and paid in.")
    submits: int | None = Field(
        description="What it leaves in: fewer than its parts where the carrier or provider cuts it."
    )
    fits: bool
    problem: TranslatedText | None = Field(description="Why it does not fit; null if it does.")


class ReadOut(Out):
    """What one person would read, with phone and name masked; its length is the true one."""

    phone: str
    text: str
    characters: int
    parts: int
    channels: list[CutOut] = Field(description="On each channel that the text could take.")


class LackingOut(Out):
    """Somebody who lacks values of a text, with phone and name masked."""

    phone: str
    name: str
    variables: list[str] = Field(description="Those for which the person has no value.")


class TemplatePreviewOut(Out):
    """What a text is to those of a segment."""

    version: int
    people: int
    missing: dict[str, int] = Field(
        description="How many have no value for a variable; with any, no campaign is submitted."
    )
    characters: int | None = Field(
        description="The length that nobody's text exceeds; null if nobody's can be filled."
    )
    encoding: str | None
    parts: int | None
    exact: bool = Field(description="Whether the longest name was read, or its length is a bound.")
    channels: list[CutOut] = Field(
        description="That longest text on each channel that the department may use."
    )
    at_random: list[ReadOut]
    longest: list[ReadOut]
    lacking: list[LackingOut] = Field(description="A few of those who have no value.")


async def preview_template(
    call: Call, template_id: UUID, query: PreviewQuery
) -> TemplatePreviewOut:
    """Show a text as those of a segment would read it, some at random and the longest ones."""
    template = await store.template_get(call.conn, template_id, call.user.scope)
    rule = None
    if query.segment_id is not None:
        segment = await get_segment(call.conn, query.segment_id, template.department_id)
        rule = segment.rule
    found = await read_by(
        call.conn,
        call.runtime.keyring,
        template.department_id,
        rule,
        (template.text, template.info.message_class),
        call.now,
        await _cutters(call, template.department_id),
    )
    longest = found.longest
    return TemplatePreviewOut(
        version=template.no,
        people=found.people,
        missing=dict(found.missing),
        characters=longest.characters if longest else None,
        encoding=longest.encoding if longest else None,
        parts=longest.parts if longest else None,
        exact=found.exact,
        channels=[CutOut.model_validate(cut) for cut in found.cuts],
        at_random=[_read(read) for read in found.at_random],
        longest=[_read(read) for read in found.by_length],
        lacking=[LackingOut.model_validate(person) for person in found.lacking],
    )


async def _cutters(call: Call, department_id: UUID) -> list[Cutter]:
    """Of the enabled channels that a department may use."""
    permits = await get_permits(call.conn, department_id)
    return [
        Cutter(channel, call.runtime.clock)
        for channel in await readable_channels(call.conn, call.runtime.keyring)
        if channel.enabled and (permits.channels is None or channel.id in permits.channels)
    ]


def _read(read: PreviewedText) -> ReadOut:
    return ReadOut(
        phone=read.phone,
        text=read.text,
        characters=read.size.characters,
        parts=read.size.parts,
        channels=[CutOut.model_validate(cut) for cut in read.cuts],
    )
