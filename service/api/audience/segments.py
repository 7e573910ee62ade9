"""Saved audience rules, and whom a rule means right now."""

from dataclasses import replace
from typing import Annotated
from uuid import UUID

from pydantic import Field

from service.accounts.keys.key import Mode
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import AnyText, Body, Instant, Line, Out, Page
from service.audience.areas.area_store import area_names, read_area_tree
from service.audience.segments import segment_store as store
from service.audience.segments.segment import MAX_CHARACTERS, canonical, comparisons, parse
from service.audience.segments.segment_areas import RuleAreas
from service.audience.segments.segment_explain import explain
from service.audience.segments.segment_names import take_name
from service.audience.segments.segment_terms import Term, terms_of
from service.audience.segments.segment_uses import refers_to
from service.audience.segments.segment_words import fold
from service.campaigns.audience.preview import Preview, check_rule, preview_rule, read_rule
from service.errors import Conflict
from service.ledger.message_class import MessageClass
from service.storage.locks import lock_segments
from service.words.phrase import listing, phrase

_EXAMPLE = '身份 = 财务人员 且 年龄 >= 60; area = "旌阳镇" and role in (finance, owner)'


RuleText = Annotated[AnyText, Field(max_length=MAX_CHARACTERS)]


class RuleBody(Body):
    """An audience rule."""

    rule: RuleText = Field(description=f"In the rule language, e.g. {_EXAMPLE}.")


class PreviewBody(RuleBody):
    """An audience rule, and what is known of the text that it is for."""

    message_class: MessageClass | None = Field(
        default=None,
        alias="class",
        description="Of the text: then the frequency caps count, and whether your department may"
        " send such texts. Left out: people are counted as for publicity, which they may refuse.",
    )


class SegmentBody(RuleBody):
    """A rule to be saved."""

    name: Line


class SegmentPatch(Body):
    """What is to change; the rest stays."""

    name: Line | None = None
    rule: RuleText | None = None


class SegmentOut(Out):
    """A saved rule; `canonical` is how it is understood."""

    id: UUID
    department_id: UUID
    name: str
    rule: str
    canonical: str
    edited_by: UUID
    created_at: Instant
    edited_at: Instant


class TermOut(Out):
    """A condition, as `POST /segments/compose` takes it; an area by its code."""

    field: str
    operator: str
    values: list[str | int]


class ExplanationOut(Out):
    """A rule in plain words, and how it is understood."""

    canonical: str
    written_out: str = Field(description="Canonical, with the segments that it uses written out.")
    uses: list[str] = Field(description="The names of these segments.")
    comparisons: int = Field(description="How many it has, written out.")
    english: str
    chinese: str
    terms: list[TermOut] | None = Field(
        description="The conditions, if all of them must hold and each is a comparison, so that it"
        " can be changed without being typed; null: the rule is not of that simple form."
    )


class PersonOut(Out):
    """Somebody, masked."""

    phone: str
    name: str
    area: str
    carrier: str | None


class PreviewOut(Out):
    """How many people a rule means, by town code, carrier and role, who is left out and why."""

    target: int
    by_area: dict[str, int]
    area_names: dict[str, str] = Field(description="The names of the areas of `by_area`.")
    by_carrier: dict[str, int]
    by_role: dict[str, int] = Field(description="Who has several roles counts under each.")
    excluded: dict[str, int] = Field(
        description="People who would be left out, by reason; each under the first that holds."
    )
    not_known: list[str] = Field(
        description="Reasons that may leave out more of the target, and hang on what is not known"
        " yet: the text, its class, the channels. Of a campaign all is known."
    )
    ended: int = Field(
        description="People of the department, whatever the rule, who are on lists that have ended"
        " only, or rest on nothing any more: extend or renew the list."
    )
    sample: list[PersonOut]


async def list_segments(call: Call, query: PageQuery) -> Page[SegmentOut]:
    """List the saved rules that you see."""
    found = await store.list_segments(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[SegmentOut], [_shown(segment) for segment in found], query)


async def create_segment(call: Call, body: SegmentBody) -> SegmentOut:
    """Save a rule."""
    await lock_segments(call.conn, call.user.department_id)
    rule = await read_rule(call.conn, call.user.department_id, body.rule, name=body.name)
    await check_rule(call.conn, rule)
    await take_name(call.conn, call.user.department_id, body.name, call.mode)
    made = await store.insert_segment(
        call.conn, call.user, body.name, body.rule, call.now, call.mode
    )
    return _shown(made)


async def get_segment(call: Call, segment_id: UUID) -> SegmentOut:
    """Show a saved rule."""
    return _shown(await store.get_segment(call.conn, segment_id, call.user.scope))


async def edit_segment(call: Call, segment_id: UUID, body: SegmentPatch) -> SegmentOut:
    """Change a saved rule; what was submitted with it, or with what uses it, is submitted again."""
    segment = await store.get_segment(call.conn, segment_id, call.user.scope)
    await lock_segments(call.conn, segment.department_id)
    segment = await store.get_segment(call.conn, segment_id, call.user.scope, lock=True)
    name = body.name or segment.name
    if fold(name) != fold(segment.name):
        await _check_unused(call, segment)
    if body.rule is not None and body.rule != segment.rule:
        rule = await read_rule(
            call.conn, segment.department_id, body.rule, name=name, segment_id=segment.id
        )
        await check_rule(call.conn, rule)
        segment = replace(segment, rule=body.rule, edited_by=call.user.id, edited_at=call.now)
    await take_name(call.conn, segment.department_id, name, segment.key_mode, segment.id)
    segment = replace(segment, name=name)
    await store.update_segment(call.conn, segment)
    return _shown(segment)


async def _check_unused(call: Call, segment: store.Segment) -> None:
    saved = await store.list_saved_rules(call.conn, segment.department_id, segment.id)
    users = [one.name for one in saved if refers_to(one.rule, segment.name)]
    if users:
        raise Conflict(
            phrase(
                "{name} uses this segment by its name; change that rule first",
                name=listing(users),
            ),
            code="segment_in_use",
        )


async def explain_segment(call: Call, body: RuleBody) -> ExplanationOut:
    """Say in plain words whom a rule means."""
    return await explained(call, body.rule)


async def explained(call: Call, text: str) -> ExplanationOut:
    """A rule in plain words; raises as `read_rule` and `check_rule`."""
    rule = await read_rule(call.conn, call.user.department_id, text)
    await check_rule(call.conn, rule)
    parsed = parse(text)
    terms = terms_of(parsed)
    areas = RuleAreas(await read_area_tree(call.conn))
    words = explain(rule.rule, areas.name)
    return ExplanationOut(
        canonical=canonical(parsed),
        written_out=canonical(rule.rule),
        uses=list(rule.uses),
        comparisons=sum(1 for _ in comparisons(rule.rule)),
        english=words.english,
        chinese=words.chinese,
        terms=None if terms is None else [_shown_term(term, areas) for term in terms],
    )


def _shown_term(term: Term, areas: RuleAreas) -> TermOut:
    shown = TermOut.model_validate(term)
    if term.field == "area":
        shown.values = [areas.code(str(value)) or value for value in term.values]
    return shown


async def preview_segment(call: Call, body: PreviewBody) -> PreviewOut:
    """Count whom a rule means among your department's contacts, with a masked sample."""
    found = await preview_rule(
        call.conn,
        call.runtime.keyring,
        call.user.department_id,
        body.rule,
        call.now,
        message_class=body.message_class,
        trial=call.mode == Mode.TRIAL,
    )
    return await preview_out(call, found)


async def preview_out(call: Call, preview: Preview) -> PreviewOut:
    """A preview as an answer."""
    counts = preview.counts
    return PreviewOut(
        target=counts.target,
        by_area=counts.by_area,
        area_names=await area_names(call.conn, counts.by_area),
        by_carrier=counts.by_carrier,
        by_role=counts.by_role,
        excluded=counts.excluded,
        not_known=list(preview.not_known),
        ended=counts.ended,
        sample=[PersonOut.model_validate(person) for person in preview.sample],
    )


def _shown(segment: store.Segment) -> SegmentOut:
    return SegmentOut(
        id=segment.id,
        department_id=segment.department_id,
        name=segment.name,
        rule=segment.rule,
        canonical=canonical(parse(segment.rule)),
        edited_by=segment.edited_by,
        created_at=segment.created_at,
        edited_at=segment.edited_at,
    )
