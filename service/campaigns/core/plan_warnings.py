"""What a planner should know of a plan's time before it is approved, as sentences (pure)."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from service.campaigns.calendar.fires import Fire
from service.campaigns.calendar.hours import County, HourTerms, intersect, minutes_of
from service.campaigns.core.model import Campaign, State
from service.clock import CHINA
from service.ledger.message_class import WARNING
from service.ledger.reasons import Reason
from service.words.phrase import listing, phrase
from service.words.terms import term

SAME_TEXT_WITHIN = timedelta(days=30)
"""As the caps have it (docs/caps.md)."""
_DAY = timedelta(days=1)


def notes_of(fires: Sequence[Fire], terms: HourTerms, county: County) -> list[str]:
    """Hours that are not used, texts that wait for their hours, and days that are not official."""
    return [
        *_hour_notes(terms, county),
        *_wait_notes(fires, terms, county),
        *_calendar_notes(fires, county),
    ]


def passed_notes(campaign: Campaign, fires: Sequence[Fire], now: datetime) -> Iterator[str]:
    """That a plan which is still to be submitted has no fire to come: the submission refuses it. Or
    that it began more than a day ago, and sends nothing of what its rule gives up to its approval.
    """
    if campaign.state not in {State.DRAFT, State.RETURNED}:
        return
    schedule = campaign.plan.schedule
    at = schedule.start_at
    if schedule.kind == "recurring" and all(fire.skipped for fire in fires):
        yield (
            phrase(
                "No fire of the plan is to come, and so it cannot be submitted: change its"
                " rule, its dates or its end."
            )
        )
    elif schedule.kind == "recurring" and at is not None and at <= now - _DAY:
        yield phrase(
            "The plan's start, {start:%Y-%m-%d %H:%M}, has passed: what its rule gives before the"
            " approval is not sent, though a COUNT counts it.",
            start=at.astimezone(CHINA),
        )
    elif (
        schedule.kind == "once"
        and at is not None
        and at <= now
        and at in {fire.planned_at for fire in fires}
    ):
        yield phrase(
            "The instant of the fire, {at:%Y-%m-%d %H:%M}, has passed, and so the plan cannot be"
            " submitted: give it a later start_at.",
            at=at.astimezone(CHINA),
        )


def repeat_notes(fires: Sequence[Fire], texts: int) -> Iterator[str]:
    """That a text comes again too soon, in a plan with so many texts in turn, of a class in which
    nobody gets the same text again within SAME_TEXT_WITHIN.
    """
    at = [fire.at for fire in fires if not fire.skipped]
    gaps = [again - first for first, again in zip(at, at[texts:], strict=False)]
    if gaps and min(gaps) < SAME_TEXT_WITHIN:
        yield (
            phrase(
                "The same text comes again after {days:.3g} days, and nobody gets it again"
                " within {limit}: who had it waits, or is left out (same_text) if its"
                " validity ends before. Give the plan more texts, to be sent in turn.",
                days=min(gaps) / _DAY,
                limit=SAME_TEXT_WITHIN.days,
            )
        )


def loss_notes(fires: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Which of the fires that were foretold lose people to the caps, and to whose words; a fire
    has the members of `toll.FireOutlook`.
    """
    for fire in fires:
        excluded = fire["excluded"]
        selected = fire["target"] + sum(excluded.values())
        lost = [
            phrase("{count} {why} ({reason})", count=excluded[reason], why=why, reason=reason.value)
            for reason, why in _LOST.items()
            if excluded.get(reason)
        ]
        if fire["stopped"]:
            lost.append(
                phrase(
                    "{count} are in the run, and the caps stop their text", count=fire["stopped"]
                )
            )
        if fire["waits"]:
            lost.append(phrase("{count} get it later, once the caps allow", count=fire["waits"]))
        if not lost:
            continue
        yield phrase(
            "Of the {selected} people whom the fire at {at:%Y-%m-%d %H:%M} means, {about}{target}"
            " are in its run: {lost}.{words}",
            selected=selected,
            at=datetime.fromisoformat(fire["fires_at"]).astimezone(CHINA),
            about="" if fire["exact"] else phrase("about "),
            target=fire["target"],
            lost=listing(lost, "; "),
            words=_words_of(fire["same_text"]),
        )


_LOST = {
    Reason.SAME_TEXT: phrase(
        "have had the same words within {days} days", days=SAME_TEXT_WITHIN.days
    ),
    Reason.CAPPED: phrase("have had enough texts"),
}


def _words_of(causes: Sequence[Mapping[str, Any]]) -> str:
    whose = [
        phrase(
            "{people} from {plan} of {department}",
            people=cause["people"],
            plan=cause["name"] or phrase("another plan"),
            department=cause["department"],
        )
        for cause in causes
    ]
    if not whose:
        return ""
    return phrase(" The same words: {whose}. Give this text another wording.", whose=listing(whose))


def _hour_notes(terms: HourTerms, county: County) -> Iterator[str]:
    rules = county.rules
    hours = rules.classes.get(terms.message_class)
    if terms.message_class == WARNING or hours is None:
        yield phrase("Warnings leave at any hour.")
        return
    allowed = hours.limit if terms.beyond else hours.allowed
    if terms.zone.key == CHINA.key:
        plan = sorted(minutes_of(terms.hours))
        if intersect(plan, sorted(minutes_of(allowed))) != plan:
            yield (
                phrase(
                    "Texts of this class leave from {hours} only; what of the plan's hours"
                    " lies outside is not used.",
                    hours=_spoken(allowed),
                )
            )
    else:
        yield (
            phrase(
                "The county's hours, {hours} in Beijing, apply beside those of the plan in {zone}.",
                hours=_spoken(allowed),
                zone=terms.zone.key,
            )
        )
    theirs = rules.audiences.get(terms.audience or "")
    if theirs is not None and not terms.beyond:
        yield phrase(
            "Everybody is one of the {audience}: texts leave from {hours} only.",
            audience=term(terms.audience or ""),
            hours=_spoken(theirs),
        )
    if hours.preferred:
        yield phrase("Such texts are read best from {hours}.", hours=_spoken(hours.preferred))


def _wait_notes(fires: Sequence[Fire], terms: HourTerms, county: County) -> Iterator[str]:
    for fire in fires:
        if fire.skipped or county.is_open(fire.at, terms):
            continue
        local = county.next_opening(fire.at, terms).astimezone(terms.zone)
        fired = fire.at.astimezone(terms.zone)
        yield phrase(
            "What fires at {fired:%Y-%m-%d %H:%M} waits for its hours until"
            " {until:%Y-%m-%d %H:%M}.",
            fired=fired,
            until=local,
        )


def _calendar_notes(fires: Sequence[Fire], county: County) -> Iterator[str]:
    until = county.holidays.official_until
    if any(fire.planned_at.astimezone(CHINA).date() > until for fire in fires):
        yield (
            phrase(
                "Holidays are official until {until}. Later ones are computed: days off by law"
                " only, and no working weekends. Import the State Council's notice once it is out.",
                until=until,
            )
        )


def _spoken(hours: Sequence[Sequence[str]]) -> str:
    return listing(
        (phrase("{start} to {end}", start=start, end=end) for start, end in hours), " and "
    )
