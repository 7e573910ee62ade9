"""Texts: templates, their versions, their length in parts, and what lint says of them."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.accounts.people.model import Role
from service.api.acts import ActOut
from service.api.acts import judge as judged_act
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
    Text,
    TranslatedText,
)
from service.errors import Forbidden
from service.ledger.message_class import PUBLICITY, MessageClass
from service.messages import store
from service.messages.lint.lint import Finding, lint
from service.messages.lint.lint_store import policy_get
from service.messages.lint.verdict import judge
from service.messages.offers.offers import check_offer, still_taken
from service.messages.offers.withdrawal import check_words_stand
from service.messages.policy import TextSender, digits
from service.messages.template import (
    Fill,
    check,
    fills,
    measure,
    sample_values,
    variables,
)
from service.messages.text_approval import approve_text, check_approval, check_unblocked
from service.words.phrase import phrase

MOST_VALUES = 20
"""More than any text has variables, so that lint can say of those that it has not."""
VariableValue = Annotated[Text, Field(max_length=200)]


class TextBody(Body):
    """A text, perhaps with variables like {姓名}."""

    text: Text = Field(min_length=1)


class NextVersionBody(TextBody):
    """A new text for a template."""

    follows: int | None = Field(
        default=None,
        ge=1,
        description="The version that it is to follow: 409 once there is a newer one. Null:"
        " whichever is the latest.",
    )


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
    message: TranslatedText
    at: int


class LintOut(Out):
    """Everything that lint has to say."""

    lint: list[FindingOut]


class LintedOut(LintOut):
    """How a text travels once its variables have ordinary values, and what lint says."""

    characters: int
    encoding: str
    parts: int
    variables: list[str]


class TextOut(LintedOut):
    """The same, and what fills each variable."""

    fills: dict[str, Fill | None] = Field(
        description="What fills each variable in a campaign: a fact of the contact (name, town,"
        " village) or of the person's list, or `plan`, the campaign's values; null: nothing, and"
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


class TemplateDetail(TemplateOut):
    """A template, and what you could do with its latest version."""

    acts: list[ActOut] = Field(
        description="`add_version`, `approve` and `offer`: whether you could do it now, and why"
        " not. What lint says now is asked by the act itself."
    )


class TemplatesQuery(PageQuery):
    """Which templates."""

    words: Line | None = Field(
        default=None,
        description="Words with spaces between them, each of which is in the name or the text, in"
        " any case.",
    )
    department_id: UUID | None = Field(default=None, description="Those of this department.")


async def list_templates(call: Call, query: TemplatesQuery) -> Page[TemplateOut]:
    """List the templates that you see."""
    found = await store.template_list(
        call.conn,
        call.user.scope,
        query.before,
        query.wanted,
        words=query.words or "",
        department_id=query.department_id,
    )
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


async def get_template(call: Call, template_id: UUID) -> TemplateDetail:
    """Show a template with its latest version."""
    known = await store.template_get(call.conn, template_id, call.user.scope)
    shown = await template_out(call, known)
    return TemplateDetail(**shown.model_dump(), acts=await _acts(call, known))


async def _acts(call: Call, known: store.Template) -> list[ActOut]:
    """Each act of a person on a text, and whether the caller could do it now."""

    async def add_version() -> None:
        """Whoever may write may always write."""

    async def approve() -> None:
        await check_approval(call.conn, call.user, known, call.now, lock=False)
        check_unblocked(known.lint)

    async def offer() -> None:
        await check_offer(call.conn, call.user, known, known.no, call.now)

    found = {"template_id": known.id}
    return [
        await judged_act(call, act, operation, found, check)
        for act, operation, check in (
            ("add_version", "add_version", add_version),
            ("approve", "approve_template", approve),
            ("offer", "offer_template", offer),
        )
    ]


async def add_version(call: Call, template_id: UUID, body: NextVersionBody) -> TemplateOut:
    """Give a template a new text; campaigns submitted with the old one must be submitted again."""
    known = await store.template_get(call.conn, template_id, call.user.scope)
    version = await _version(call, known.department_id, body.text, known.info.message_class)
    if (taken_from := still_taken(known, body.text)) is not None:
        await check_words_stand(call.conn, [known.version_id])
        version = replace(version, taken_from=taken_from)
    made = await store.template_add_version(
        call.conn, template_id, version, call.now, follows=body.follows
    )
    return await template_out(call, made)


async def lint_text(call: Call, body: LintBody) -> LintedOut:
    """Check a text without keeping it: its length, and what lint says of it."""
    if body.context is not None and Role.ADMIN not in call.user.roles:
        raise Forbidden(phrase("only an administrator may give a context"))
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
    known = text_out(body.text, found)
    return LintedOut(**known.model_dump(include=set(LintedOut.model_fields)))


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
