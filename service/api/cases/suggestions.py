"""Suggestions: what the case figures suggest to write of, taken up as a draft, or dismissed."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.accounts.people.model import Right
from service.api.campaigns import campaigns
from service.api.campaigns.campaigns import CampaignBody
from service.api.campaigns.details import CampaignDetail
from service.api.cases.drafts import LONGEST_NAME, segment_of
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Line, Out, PlainOut, QueryString, Text
from service.audience.areas.area import AreaTree
from service.audience.areas.area_store import read_area_tree
from service.cases import store
from service.cases.fraud_types import FraudType, FraudTypes
from service.cases.sight import look_at
from service.cases.suggested_audiences import AUDIENCES, rule_of
from service.cases.tables import CaseSight
from service.cases.week import need_week
from service.errors import Conflict, Invalid
from service.reports.suggestions import suggestion_store
from service.reports.suggestions.suggestion_store import Suggestion, SuggestionAct, SuggestionKind
from service.reports.suggestions.suggestions import (
    SuggestionStanding,
    SuggestionState,
    rises_by_chance,
    stand_of,
    state_of,
)
from service.words.phrase import Sentence, listing, phrase

MOST_AUDIENCES = len(AUDIENCES)


class SuggestionsQuery(QueryString):
    """Of which week."""

    week: Text | None = Field(
        default=None, description="As 2027-W03; default: the last covered week."
    )


class BecauseOut(Out):
    """The figures that a suggestion rests on: of covered weeks, from the first to the last."""

    first: str
    last: str
    cases: int
    loss_yuan: int
    expected: float | None = Field(description="Cases to be expected; null: of a usual kind.")
    chance: float | None = Field(
        description="How often so many cases or more come about by themselves."
    )


class SuggestedAudienceOut(Out):
    """Whom a kind of fraud is aimed at, as your department's lists and texts have them."""

    audience: str
    name: PlainOut
    rule: str = Field(description="In the language of rules.")
    on_file: int
    reached: int = Field(description="By a text of this kind of fraud in the last 28 days.")
    last_reached_on: date | None = Field(description="In the last 28 days.")
    due: bool = Field(description="Somebody is on file, and less than half were reached.")


class SuggestionActOut(Out):
    """What a department made of a suggestion."""

    department_id: UUID
    act: Literal["draft", "dismiss"]
    campaign_id: UUID | None
    reason: str
    acted_by: UUID
    acted_at: Instant


class SuggestionOut(Out):
    """A kind of fraud that it is time to write of, and where your department stands with it."""

    id: UUID
    week: str
    kind: SuggestionKind | None = Field(
        description="rise: more cases than chance brings. usual: one of the four most frequent."
        " Null: not for your department."
    )
    area: str | None = Field(description="A town by its code; null: the county.")
    area_name: str | None
    fraud_type: str
    fraud_type_name: PlainOut
    because: BecauseOut | None = Field(
        description="Null: the figures are not for your department, and the police suggest it."
    )
    audiences: list[SuggestedAudienceOut]
    templates: list[UUID] = Field(
        description="Your approved texts of this kind of fraud that were not sent in the last 30"
        " days."
    )
    state: SuggestionState
    figures_changed: bool = Field(
        description="The figures were corrected, and do not say it any more."
    )
    made_at: Instant
    expires_at: Instant
    act: SuggestionActOut | None = Field(description="What your department made of it.")
    acts: list[SuggestionActOut] = Field(
        description="What other departments made of it; for whoever sees all figures."
    )


class SuggestionsOut(Out):
    """The suggestions of a week: what rises first, then the usual kinds."""

    week: str | None = Field(description="Null: nothing is covered yet.")
    covered: bool = Field(description="Whether there are figures of the week.")
    rises_a_year_by_chance: float | None = Field(
        description="So many rises a year would be said if nothing ever changed; simulated from the"
        " county's own rates. Null: nothing rises, or the figures are not for your department."
    )
    items: list[SuggestionOut]
    names: dict[UUID, str] = Field(description="Of the templates.")


class SuggestionDraftBody(Body):
    """Of what a draft is made. Nothing is sent: it is submitted and approved as any other."""

    audiences: list[Text] = Field(
        min_length=1, max_length=MOST_AUDIENCES, description="Of those that are suggested."
    )
    template_id: UUID | None = Field(
        default=None, description="Default: the first of those that are suggested."
    )
    name: Line | None = Field(default=None, description="Of the campaign.")


class SuggestionDismissalBody(Body):
    """Why your department makes nothing of it."""

    reason: Line


async def list_suggestions(call: Call, query: SuggestionsQuery) -> SuggestionsOut:
    """List what the case figures of a week suggest to write of; nothing of it sends anything."""
    covered = await store.covered_weeks(call.conn)
    week = need_week(query.week, "week") if query.week else covered[-1] if covered else None
    if week is None:
        return SuggestionsOut(
            week=None, covered=False, rises_a_year_by_chance=None, items=[], names={}
        )
    sees_all = look_at(call.user) is CaseSight.ALL
    types = await store.read_fraud_types(call.conn)
    found = await suggestion_store.list_of_week(call.conn, str(week))
    standings = [
        one
        for one in await stand_of(call.conn, call.user.department_id, found, types, call.now)
        if one.is_for(sees_all=sees_all)
    ]
    tree = await read_area_tree(call.conn)
    others = await _others(call, found) if sees_all else {}
    rises = sees_all and any(one.suggestion.kind == "rise" for one in standings)
    return SuggestionsOut(
        week=str(week),
        covered=week in covered,
        rises_a_year_by_chance=round(await rises_by_chance(call.conn, str(week)), 1)
        if rises
        else None,
        items=[
            _out(call, one, others.get(one.suggestion.id, []), tree, types, sees_all=sees_all)
            for one in standings
        ],
        names={text.id: text.name for one in standings for text in one.templates},
    )


async def draft_suggestion(
    call: Call, suggestion_id: UUID, body: SuggestionDraftBody
) -> CampaignDetail:
    """Make a campaign's draft of a suggestion, by the usual operation; it sends nothing."""
    call.user.need(Right.WRITE)
    types = await store.read_fraud_types(call.conn)
    found = await _open(call, suggestion_id)
    unknown = [name for name in body.audiences if name not in found.audiences]
    if unknown:
        raise Invalid.at(
            "audiences", phrase("one of {names}", names=listing(found.audiences, " or "))
        )
    name = body.name or await _name(call, found, types)
    made = await campaigns.create_campaign(
        call,
        CampaignBody(
            name=name,
            template_id=body.template_id or await _template(call, found, types),
            segment_id=await segment_of(call, rule_of(body.audiences, found.area_code), name),
        ),
    )
    await _act(call, found, "draft", made.id, "")
    call.note("suggestions", found.id, campaign_id=str(made.id))
    return made


async def dismiss_suggestion(
    call: Call, suggestion_id: UUID, body: SuggestionDismissalBody
) -> SuggestionActOut:
    """Say that your department makes nothing of a suggestion, and why; others still may."""
    found = await _open(call, suggestion_id)
    return SuggestionActOut.model_validate(await _act(call, found, "dismiss", None, body.reason))


async def _open(call: Call, suggestion_id: UUID) -> Suggestion:
    found = await suggestion_store.get_suggestion(call.conn, suggestion_id)
    acts = await suggestion_store.acts_on(call.conn, [found.id], call.user.department_id)
    state = state_of(found, acts[0] if acts else None, call.now)
    if state in {"drafted", "dismissed"}:
        raise _acted_on()
    if state != "open":
        why = (
            phrase("the figures do not say it any more")
            if state == "withdrawn"
            else phrase("it was open for a week")
        )
        raise Conflict(
            phrase("this suggestion is closed: {why}", why=why), code="suggestion_closed"
        )
    return found


def _acted_on() -> Conflict:
    return Conflict(
        phrase("your department has made a draft of this suggestion, or dismissed it"),
        code="suggestion_acted_on",
    )


async def _act(
    call: Call,
    found: Suggestion,
    kind: Literal["draft", "dismiss"],
    campaign_id: UUID | None,
    reason: str,
) -> SuggestionAct:
    act = SuggestionAct(
        found.id,
        call.user.department_id,
        kind,
        campaign_id,
        reason,
        found.because,
        call.user.id,
        call.now,
    )
    if not await suggestion_store.insert_act(call.conn, act):
        raise _acted_on()
    return act


async def _name(call: Call, found: Suggestion, types: FraudTypes) -> str:
    """The name of a draft: that it was suggested, when, where, and of what."""
    tree = await read_area_tree(call.conn)
    area = tree.areas.get(found.area_code)
    words = ["公安建议", found.week, area.name if area else "", _kind(types, found).in_texts]
    return " ".join(word for word in words if word)[:LONGEST_NAME]


async def _template(call: Call, found: Suggestion, types: FraudTypes) -> UUID:
    (standing,) = await stand_of(call.conn, call.user.department_id, [found], types, call.now)
    if not standing.templates:
        raise Invalid.at(
            "template_id",
            phrase(
                "you have no approved text of {kind} that was not sent in the last 30 days: write"
                " one with this topic and have it approved, or name another",
                kind=_named(_kind(types, found)),
            ),
        )
    return standing.templates[0].id


async def _others(call: Call, found: Sequence[Suggestion]) -> Mapping[UUID, list[SuggestionActOut]]:
    acts = await suggestion_store.acts_on(call.conn, [one.id for one in found], None)
    by_suggestion: dict[UUID, list[SuggestionActOut]] = {}
    for act in acts:
        if act.department_id != call.user.department_id:
            shown = SuggestionActOut.model_validate(act)
            by_suggestion.setdefault(act.suggestion_id, []).append(shown)
    return by_suggestion


def _out(
    call: Call,
    one: SuggestionStanding,
    others: list[SuggestionActOut],
    tree: AreaTree,
    types: FraudTypes,
    *,
    sees_all: bool,
) -> SuggestionOut:
    found = one.suggestion
    area = tree.areas.get(found.area_code)
    return SuggestionOut(
        id=found.id,
        week=found.week,
        kind=found.kind if sees_all else None,
        area=found.area_code or None,
        area_name=area.name if area else None,
        fraud_type=found.fraud_type,
        fraud_type_name=PlainOut.model_validate(_named(_kind(types, found))),
        because=_because(found) if sees_all else None,
        audiences=[
            SuggestedAudienceOut(
                audience=standing.audience,
                name=PlainOut.model_validate(AUDIENCES[standing.audience]),
                rule=standing.rule,
                on_file=standing.on_file,
                reached=standing.reached,
                last_reached_on=standing.reached_on,
                due=standing.due,
            )
            for standing in one.audiences
        ],
        templates=[text.id for text in one.templates],
        state=state_of(found, one.act, call.now),
        figures_changed=found.withdrawn_at is not None,
        made_at=found.made_at,
        expires_at=found.expires_at,
        act=one.act and SuggestionActOut.model_validate(one.act),
        acts=others,
    )


def _because(found: Suggestion) -> BecauseOut:
    because = found.because
    expected, chance = because["expected"], because["chance"]
    return BecauseOut(
        first=because["first"],
        last=because["last"],
        cases=because["cases"],
        loss_yuan=because["loss_yuan"],
        expected=None if expected is None else round(expected, 2),
        chance=None if chance is None else float(f"{chance:.2g}"),
    )


def _kind(types: FraudTypes, found: Suggestion) -> FraudType:
    (kind,) = types.named([found.fraud_type])
    return kind


def _named(kind: FraudType) -> Sentence:
    return Sentence(kind.name, kind.english)
