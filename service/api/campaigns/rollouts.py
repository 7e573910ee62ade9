"""Staggered rollouts over HTTP: what one could find, its draw, all that were, what each found."""

from collections.abc import Sequence
from datetime import date
from math import isinf
from typing import Annotated
from uuid import UUID

from pydantic import AfterValidator, Field

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import (
    AreaName,
    Body,
    Instant,
    Int,
    Out,
    Page,
    QueryString,
    TranslatedText,
)
from service.audience.areas.area_store import area_names
from service.campaigns.core import rollout_store
from service.campaigns.core.rollout import (
    MOST_WAVES,
    WEEK_DAYS,
    RolloutTerms,
    RolloutVillage,
    Strata,
    deal,
    staggered,
)
from service.campaigns.core.rollout_store import Rollout
from service.campaigns.rollouts import drawing
from service.campaigns.rollouts.drawing import RolloutFrame
from service.clock import day_in_china
from service.errors import Conflict, Invalid, NotFound
from service.reports.rollouts.analysis import (
    Prospect,
    RolloutAnalysis,
    RolloutGap,
    analyse,
    people_of_waves,
    prospect_of,
    village_residents,
)
from service.reports.rollouts.stagger import LEVEL, RolloutFinding
from service.words.phrase import Phrase, phrase


def _whole_weeks(days: int) -> int:
    if days % WEEK_DAYS:
        raise ValueError(phrase("whole weeks, since cases are counted by the week: 7, 14, 21 …"))
    return days


Waves = Annotated[Int, Field(ge=2, le=MOST_WAVES)]
EveryDays = Annotated[Int, Field(ge=WEEK_DAYS, le=91), AfterValidator(_whole_weeks)]


class RolloutBody(Body):
    """In how many waves, and how far apart."""

    waves: Waves = 4
    every_days: EveryDays = Field(default=21, description="Between two waves: whole weeks.")
    strata: Strata = Field(
        default="town",
        description="town: each town has villages in all waves; county: shuffled all together.",
    )


class RolloutQuery(QueryString):
    """The same, to see what it could find."""

    waves: int = Field(default=4, ge=2, le=MOST_WAVES)
    every_days: Annotated[int, AfterValidator(_whole_weeks)] = Field(
        default=21, ge=WEEK_DAYS, le=91
    )
    strata: Strata = "town"


class PowerOut(Out):
    """How often of 100 tries a true fall would be found."""

    fall_pct: int
    found_pct: int


class ProspectOut(Out):
    """What a rollout can find, played with a fixed seed at usual cases."""

    weeks: int = Field(description="Weeks in which there are both kinds of villages.")
    cases_a_week: float | None = Field(
        description="Usual ones; null: fewer than 26 of the last 52 weeks are covered, or no case."
    )
    power: list[PowerOut]


class RolloutPreviewOut(ProspectOut):
    """A rollout that is not drawn yet; with problems it cannot be, and all else is empty."""

    problems: list[TranslatedText]
    villages: int
    people: int = Field(description="Of the plan, in these villages.")
    elsewhere: int = Field(description="Of the plan, in no village: they go with the last wave.")
    dates: list[date]


class RolloutAreaOut(Out):
    """A village with its wave, from 1 on, and how many lived there when it was drawn."""

    area: str
    area_name: AreaName
    wave: int
    people: int


class RolloutOut(ProspectOut):
    """A rollout as it was drawn."""

    id: UUID
    campaign_id: UUID
    department_id: UUID
    campaign: str
    state: str
    waves: int
    every_days: int
    strata: Strata
    dates: list[date] = Field(description="Of the waves, as the plan has them now.")
    order_sha256: str = Field(description="Of the order; the approval binds it.")
    seed_sha256: str = Field(description="Stands in the audit trail since the draw.")
    seed: str | None = Field(
        description="In hexadecimal digits; null: it is told at the end. Villages of a stratum"
        " stand in the order of SHA-256 of the seed and their code."
    )
    drawn_by: UUID
    drawn_at: Instant


class RolloutDetail(RolloutOut):
    """A rollout with its order."""

    villages: list[RolloutAreaOut]


class StudyWeekOut(Out):
    """A week in which there were both kinds of villages."""

    week: str
    treated_cases: int
    treated_people: int
    other_cases: int
    other_people: int


class RolloutFindingOut(Out):
    """What a rollout found, by intention."""

    observed: int = Field(description="Cases in villages from the week of their wave on.")
    expected: float = Field(description="As many as they would have by their people.")
    ratio: float | None
    interval: list[float | None] | None = Field(
        description="The exact 95 % interval of the ratio; its upper end may be null: no bound."
    )
    chance: float = Field(description="The share of lots with as few cases or fewer.")
    lots: int
    drawn: bool = Field(description="The lots are a sample by a fixed seed; else all that exist.")
    can_prove: bool = Field(description="So few lots can show a chance of 5 % at all.")


class RolloutAnalysisOut(Out):
    """What a rollout found; nothing before all its weeks are covered, whatever it says then."""

    id: UUID
    weeks: list[StudyWeekOut]
    missing: list[str] = Field(description="Weeks that are still to be covered.")
    gap: RolloutGap | None = Field(description="Why nothing is said.")
    elsewhere: int = Field(description="Cases of these weeks that are known for no such village.")
    finding: RolloutFindingOut | None
    sentence: TranslatedText


async def preview_rollout(call: Call, campaign_id: UUID, query: RolloutQuery) -> RolloutPreviewOut:
    """Show what a rollout of a draft could find, before its order is drawn."""
    terms = RolloutTerms(query.waves, query.every_days, query.strata)
    try:
        found, prospect = await _frame(call, campaign_id, terms, lock=False)
    except (Conflict, Invalid) as error:
        return RolloutPreviewOut(
            weeks=0,
            cases_a_week=None,
            power=[],
            problems=[error.message, *getattr(error, "fields", {}).values()],
            villages=0,
            people=0,
            elsewhere=0,
            dates=[],
        )
    schedule = staggered(found.campaign.plan.schedule, terms)
    return RolloutPreviewOut.model_validate(
        _prospect(prospect)
        | {
            "problems": [],
            "villages": len(found.villages),
            "people": found.in_villages,
            "elsewhere": found.elsewhere,
            "dates": list(schedule.dates),
        }
    )


async def draw_rollout(call: Call, campaign_id: UUID, body: RolloutBody) -> RolloutDetail:
    """Draw the order in which a draft goes to its villages, once and for all.

    The plan gets a fire for each wave, and the approval binds the order. The audit trail has the
    hash of the seed from now on, and the seed at the end.
    """
    terms = RolloutTerms(body.waves, body.every_days, body.strata)
    found, prospect = await _frame(call, campaign_id, terms, lock=True)
    await drawing.draw(call.conn, call.user, found, terms, _prospect(prospect), call.now)
    made = await _detail(call, campaign_id, [found.campaign.department_id])
    call.note(
        "rollout", made.id, campaign=str(campaign_id), seed_sha256=made.seed_sha256,
        order_sha256=made.order_sha256, villages=len(made.villages),
    )  # fmt: skip
    return made


async def _frame(
    call: Call, campaign_id: UUID, terms: RolloutTerms, *, lock: bool
) -> tuple[RolloutFrame, Prospect]:
    today = day_in_china(call.now)
    residents = await village_residents(call.conn, today)
    found = await drawing.frame(
        call.conn, call.user, campaign_id, terms, residents, call.now, lock=lock
    )
    # Any order has waves of about these people.
    like = deal(found.villages, terms.waves, b"")
    people = people_of_waves(like, terms.waves)
    return found, await prospect_of(call.conn, terms, people, today)


def _prospect(prospect: Prospect) -> dict[str, object]:
    rate = prospect.cases_a_week
    return {
        "weeks": prospect.weeks,
        "cases_a_week": None if rate is None else round(rate, 2),
        "power": [
            {"fall_pct": round(one.fall * 100), "found_pct": one.found_pct}
            for one in prospect.power
        ],
    }


async def list_rollouts(call: Call, query: PageQuery) -> Page[RolloutOut]:
    """List all rollouts that were ever drawn, the latest first, whatever they found."""
    found = await rollout_store.list_rollouts(
        call.conn, call.user.count_scope, query.before, query.wanted
    )
    page = cut(Page[Rollout], found, query, key=lambda one: one.id)
    return Page[RolloutOut](
        items=[RolloutOut.model_validate(_out(one)) for one in page.items],
        next_cursor=page.next_cursor,
    )


async def get_rollout(call: Call, rollout_id: UUID) -> RolloutDetail:
    """Show a rollout with its order."""
    return await _detail(call, rollout_id, call.user.count_scope)


async def get_rollout_analysis(call: Call, rollout_id: UUID) -> RolloutAnalysisOut:
    """Show what a rollout found: cases in villages from their wave on beside those of the others.

    By intention: a village counts as treated from the week of its wave on, reached or not.
    """
    found = await _find(call, rollout_id, call.user.count_scope)
    villages = await rollout_store.list_villages(call.conn, found.campaign_id)
    analysis = await analyse(call.conn, found, villages)
    finding = analysis.finding
    return RolloutAnalysisOut(
        id=found.id,
        weeks=[
            StudyWeekOut(
                week=str(week),
                treated_cases=one,
                treated_people=people,
                other_cases=other,
                other_people=others,
            )
            for week, one, people, other, others in analysis.by_week
        ],
        missing=list(map(str, analysis.missing)),
        gap=analysis.gap,
        elsewhere=analysis.elsewhere,
        finding=None if finding is None else _finding(finding),
        sentence=_sentence(analysis),
    )


def _finding(found: RolloutFinding) -> RolloutFindingOut:
    interval = None
    if found.low is not None and found.high is not None:
        interval = [round(found.low, 3), None if isinf(found.high) else round(found.high, 3)]
    return RolloutFindingOut(
        observed=found.observed,
        expected=round(found.expected, 2),
        ratio=None if found.ratio is None else round(found.ratio, 3),
        interval=interval,
        chance=round(found.chance, 4),
        lots=found.lots,
        drawn=found.drawn,
        can_prove=found.least_chance <= LEVEL,
    )


def _sentence(analysis: RolloutAnalysis) -> Phrase:
    """What it says, plainly."""
    found = analysis.finding
    if found is None:
        if analysis.gap == "no_weeks":
            return phrase("The plan has no longer a day for each wave, so nothing can be said.")
        return phrase(
            "Nothing is said before all {weeks} weeks are covered; {missing} are still missing.",
            weeks=len(analysis.weeks),
            missing=len(analysis.missing),
        )
    if found.low is None or found.high is None:
        return phrase("There was no case in these weeks, so nothing can be said.")
    observed, expected = found.observed, f"{found.expected:.1f}"
    share = f"{found.chance * 100:.1f}"
    if found.least_chance > LEVEL:
        return phrase(
            "Villages with the text had {observed} cases where {expected} were expected; so few"
            " come in {share} of 100 lots by chance. With {lots} lots in all nothing can be"
            " proved.",
            observed=observed,
            expected=expected,
            share=share,
            lots=found.lots,
        )
    if found.chance <= LEVEL:
        return phrase(
            "Villages with the text had {observed} cases where {expected} were expected; so few"
            " come in {share} of 100 lots by chance. The text is a likely cause.",
            observed=observed,
            expected=expected,
            share=share,
        )
    return phrase(
        "Villages with the text had {observed} cases where {expected} were expected; so few come"
        " in {share} of 100 lots by chance. No effect is shown, which does not show that there is"
        " none.",
        observed=observed,
        expected=expected,
        share=share,
    )


async def _find(call: Call, rollout_id: UUID, departments: Sequence[UUID] | None) -> Rollout:
    found = await rollout_store.get_rollout(call.conn, rollout_id, departments)
    if found is None:
        raise NotFound(phrase("there is no rollout {rollout_id}", rollout_id=rollout_id))
    return found


async def _detail(
    call: Call, rollout_id: UUID, departments: Sequence[UUID] | None
) -> RolloutDetail:
    found = await _find(call, rollout_id, departments)
    villages = await rollout_store.list_villages(call.conn, found.campaign_id)
    names = await area_names(call.conn, [one.area_code for one in villages])
    return RolloutDetail.model_validate(
        _out(found) | {"villages": [_area(one, names) for one in villages]}
    )


def _area(one: RolloutVillage, names: dict[str, str]) -> dict[str, object]:
    return {
        "area": one.area_code,
        "area_name": names.get(one.area_code),
        "wave": one.wave,
        "people": one.people,
    }


def _out(found: Rollout) -> dict[str, object]:
    return {
        **found.power,
        "id": found.id,
        "campaign_id": found.campaign_id,
        "department_id": found.department_id,
        "campaign": found.name,
        "state": found.state,
        "waves": found.waves,
        "every_days": found.every_days,
        "strata": found.strata,
        "dates": list(found.dates),
        "order_sha256": found.order_sha256.hex(),
        "seed_sha256": found.seed_sha256.hex(),
        "seed": None if found.seed is None else found.seed.hex(),
        "drawn_by": found.drawn_by,
        "drawn_at": found.drawn_at,
    }
