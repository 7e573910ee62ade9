"""Texts: templates, their versions, their length in parts, and what lint says of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.accounts.departments.department_store import get_permits
from service.accounts.people.model import Role
from service.api.content.taken_texts import TakenFromOut, taken_out
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    Body,
    Instant,
    Int,
    Line,
    OptionalLine,
    Out,
    Page,
    QueryString,
    Text,
)
from service.audience.segments.segment_store import get_segment
from service.campaigns.audience.text_preview import PreviewedText, read_by
from service.channels.config.store import readable_channels
from service.channels.trial.split_preview import Cutter
from service.errors import Forbidden
from service.ledger.message_class import PUBLICITY, MessageClass
from service.messages import store
from service.messages.lint.lint import Finding, lint
from service.messages.lint.lint_store import policy_get
from service.messages.lint.verdict import judge
from service.messages.offers.offers import still_taken
from service.messages.offers.withdrawal import check_words_stand
from service.messages.policy import TextSender, digits
from service.messages.template import check, fills, measure, sample_values, variables
from service.messages.text_approval import approve_text

MOST_VALUES = 20
"""More than any text has variables, so that lint can say of those that it has not."""
VariableValue = Annotated[Text, Field(max_length=200)]


class TextBody(Body):
    """A text, perhaps with variables like {姓名}."""

    text: Text = Field(min_length=1)


class TemplateBody(TextBody):
    """A template to be made."""

    name: Line
    message_class: MessageClass = Field(default=PUBLICITY, alias="class")
    topic: OptionalLine = ""
    language: Line = "zh"


Acknowledged = Annotated[
    list[Line],
    Field(
        max_length=50,
        description="The rules of lint, e.g. R21, whose findings of level review you have read.",
    ),
]


class ApproveBody(Body):
    """Which version is approved, and which doubts of lint were read."""

    version: Int
    acknowledged: Acknowledged = Field(default=[])


class ContextBody(Body):
    """A sender that need not exist, to try a text for."""

    tenant: Line
    tenant_type: Line
    signatures: list[Line] = Field(default=[], max_length=100)
    landlines: list[Line] = Field(default=[], max_length=100)
    links_enabled: bool = False

    def sender(self) -> TextSender:
        """The sender that lint knows."""
        return TextSender(
            self.tenant,
            self.tenant_type,
            frozenset(self.signatures),
            frozenset(map(digits, self.landlines)),
            self.links_enabled,
        )


class LintBody(TextBody):
    """A text to be checked, perhaps with the values of its variables."""

    message_class: MessageClass = Field(default=PUBLICITY, alias="class")
    values: dict[Line, VariableValue] | None = Field(default=None, max_length=MOST_VALUES)
    context: ContextBody | None = Field(
        default=None,
        description="For administrators: another sender than the caller's department.",
    )


class FindingOut(Out):
    """What a lint rule found; `at` is the character, counted from 1."""

    rule: str
    level: str
    message: str
    at: int


class LintOut(Out):
    """Everything that lint has to say."""

    lint: list[FindingOut]


class TextOut(LintOut):
    """How a text travels once its variables have ordinary values, and what lint says."""

    characters: int
    encoding: str
    parts: int
    variables: list[str]
    fills: dict[str, Literal["name", "town", "village"] | None] = Field(
        description="What of a contact fills each variable in a campaign; null: nothing does, and"
        " only a direct send can bring the value, so no campaign takes the text."
    )


class TemplateOut(TextOut):
    """A template with its latest version."""

    id: UUID
    department_id: UUID
    name: str
    message_class: str = Field(alias="class")
    topic: str
    language: str
    text: str
    version: int
    version_id: UUID
    edited_by: UUID
    created_at: Instant
    edited_at: Instant
    approved_by: UUID | None = Field(
        description="Who approved this version, so that it may be sent to people who are named."
    )
    approved_at: Instant | None
    taken_from: TakenFromOut | None = Field(
        description="The offer whose words it has, unchanged; null: words of your own."
    )
    withdrawn: bool = Field(
        description="Whoever offered these words has withdrawn them, and nobody may send them."
    )


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
    problem: str | None = Field(description="Why it does not fit; null if it does.")


class ReadOut(Out):
    """What one person would read, with phone and name masked; its length is the true one."""

    phone: str
    text: str
    characters: int
    parts: int
    channels: list[CutOut] = Field(description="On each channel that the text could take.")


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


async def list_templates(call: Call, query: PageQuery) -> Page[TemplateOut]:
    """List the templates that you see."""
    found = await store.template_list(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[TemplateOut], await templates_out(call, found), query)


async def create_template(call: Call, body: TemplateBody) -> TemplateOut:
    """Make a template; a text that lint blocks is kept, but no campaign can send it."""
    info = store.TemplateInfo(body.name, body.message_class, body.topic, body.language)
    version = await _version(call, call.user.department_id, body.text, body.message_class)
    made = await store.template_insert(
        call.conn,
        call.user.department_id,
        info,
        version,
        call.now,
    )
    return await template_out(call, made)


async def get_template(call: Call, template_id: UUID) -> TemplateOut:
    """Show a template with its latest version."""
    return await template_out(
        call, await store.template_get(call.conn, template_id, call.user.scope)
    )


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


async def add_version(call: Call, template_id: UUID, body: TextBody) -> TemplateOut:
    """Give a template a new text; campaigns submitted with the old one must be submitted again."""
    known = await store.template_get(call.conn, template_id, call.user.scope)
    version = await _version(call, known.department_id, body.text, known.info.message_class)
    if (taken_from := still_taken(known, body.text)) is not None:
        await check_words_stand(call.conn, [known.version_id])
        version = replace(version, taken_from=taken_from)
    made = await store.template_add_version(call.conn, template_id, version, call.now)
    return await template_out(call, made)


async def lint_text(call: Call, body: LintBody) -> LintOut:
    """Check a text without keeping it."""
    if body.context is not None and Role.ADMIN not in call.user.roles:
        raise Forbidden("only an administrator may give a context")
    if body.context is None:
        whose = call.user.department_id
        found = await judge(call.conn, whose, body.text, body.message_class, body.values)
    else:
        found = await asyncio.to_thread(
            lint,
            body.text,
            body.values,
            message_class=body.message_class,
            sender=body.context.sender(),
            policy=await policy_get(call.conn),
        )
    return LintOut(lint=findings_out(found))


async def approve_template(call: Call, template_id: UUID, body: ApproveBody) -> TemplateOut:
    """Approve the latest version of what somebody else wrote, for direct sends."""
    approved = await approve_text(
        call.conn, call.user, template_id, body.version, body.acknowledged, call.now
    )
    return await template_out(call, approved)


async def _version(
    call: Call, department_id: UUID, text: str, message_class: MessageClass
) -> store.NewVersion:
    check(text)
    found = await judge(call.conn, department_id, text, message_class)
    return store.NewVersion(text, found, call.user.id)


def text_out(text: str, findings: list[Finding]) -> TextOut:
    """How a text travels, and what lint said of it."""
    size = measure(text, sample_values(text))
    return TextOut(
        lint=findings_out(findings),
        characters=size.characters,
        encoding=size.encoding,
        parts=size.parts,
        variables=list(variables(text)),
        fills=fills(text),
    )


def findings_out(findings: Sequence[Finding]) -> list[FindingOut]:
    """What lint found."""
    return [FindingOut(**finding) for finding in findings]


async def template_out(call: Call, template: store.Template) -> TemplateOut:
    """A template with its latest version."""
    return (await templates_out(call, [template]))[0]


async def templates_out(call: Call, found: Sequence[store.Template]) -> list[TemplateOut]:
    """Templates, and whose words those have that are copies."""
    taken = await taken_out(call, found)
    return [_shown(template, taken.get(template.version_id)) for template in found]


def _shown(template: store.Template, taken: TakenFromOut | None) -> TemplateOut:
    return TemplateOut(
        **text_out(template.text, template.lint).model_dump()
        | {"class": template.info.message_class},
        id=template.id,
        department_id=template.department_id,
        name=template.info.name,
        topic=template.info.topic,
        language=template.info.language,
        text=template.text,
        version=template.no,
        version_id=template.version_id,
        edited_by=template.edited_by,
        created_at=template.created_at,
        edited_at=template.edited_at,
        approved_by=template.approved_by,
        approved_at=template.approved_at,
        taken_from=taken,
        withdrawn=template.withdrawn_offer is not None,
    )
