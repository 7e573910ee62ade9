"""What a plan says, in words: its state, its time, its channels, its limits (pure).

A phrase or a pair of sentences is said in the reader's language by whoever shows it.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Final

from service.api.calendar.schedules import ScheduleOut
from service.api.campaigns.details import CampaignDetail, MoveOut
from service.api.campaigns.safety_forms import SafetyBody
from service.console.language import CHINESE, Language
from service.console.words import CLASSES, MESSAGE_STATES, RUN_STATES, carrier_word, role_word
from service.ledger.reasons import words_of
from service.reports.interruptions import why as why_of
from service.words.phrase import Phrase, Sentence, listing, phrase

STATES: Final[Mapping[str, Phrase]] = {
    "draft": phrase("draft"),
    "pending_approval": phrase("waits to be signed"),
    "returned": phrase("returned to be mended"),
    "rejected": phrase("refused for good"),
    "scheduled": phrase("signed"),
    "running": phrase("being sent"),
    "paused": phrase("paused"),
    "held": phrase("waits for a release"),
    "done": phrase("over"),
    "cancelled": phrase("ended"),
}
FIRE_STATES: Final[Mapping[str, Phrase]] = {
    **STATES,
    "expanding": phrase("its list is being written"),
    "sent": phrase("handed off"),
    "skipped": phrase("left out"),
    "missed": phrase("missed"),
    "shared": phrase("sent by its legs"),
    "fired": phrase("fired"),
}
PRIORITIES: Final[Mapping[str, Phrase]] = {
    "urgent": phrase("urgent"),
    "normal": phrase("ordinary"),
    "bulk": phrase("when there is room"),
}
LATE: Final[Mapping[str, Phrase]] = {
    "run": phrase("send it all the same"),
    "hold": phrase("let it wait for a person"),
    "skip": phrase("leave it out"),
}
OVER_CAP: Final[Mapping[str, Phrase]] = {
    "defer": phrase("it waits for its turn"),
    "stop": phrase("it is not sent"),
    "send": phrase("it is sent all the same"),
}
HOLIDAYS: Final[Mapping[str, Phrase]] = {
    "send": phrase("sent all the same"),
    "skip": phrase("it is not sent then"),
    "next_workday": phrase("moved to the next working day"),
    "previous_workday": phrase("moved to the working day before"),
}
WEEKDAYS: Final[Mapping[str, Phrase]] = {
    "MO": phrase("Monday"),
    "TU": phrase("Tuesday"),
    "WE": phrase("Wednesday"),
    "TH": phrase("Thursday"),
    "FR": phrase("Friday"),
    "SA": phrase("Saturday"),
    "SU": phrase("Sunday"),
}
LEG_STATES: Final[Mapping[str, Phrase]] = {
    "planned": phrase("not asked yet"),
    "asked": phrase("asked"),
    "taken": phrase("taken over"),
    "returned": phrase("returned"),
    "left_out": phrase("left out"),
    "cancelled": phrase("ended with its plan"),
}

_MOVED: Final[Mapping[tuple[str, str], Phrase]] = {
    ("pending_approval", "pending_approval"): phrase("signed by the first of two"),
    ("paused", "scheduled"): phrase("goes on"),
    ("paused", "running"): phrase("goes on"),
    ("held", "scheduled"): phrase("released"),
    ("running", "scheduled"): phrase("waits for its next fire"),
    ("scheduled", "pending_approval"): phrase("put before an approver once more"),
    ("running", "pending_approval"): phrase("put before an approver once more"),
}
_BECAME: Final[Mapping[str, Phrase]] = {
    "draft": phrase("changed, and a draft again"),
    "pending_approval": phrase("put before an approver"),
    "returned": phrase("returned to be mended"),
    "rejected": phrase("refused for good"),
    "scheduled": phrase("signed"),
    "running": phrase("fired"),
    "paused": phrase("paused"),
    "held": phrase("held, waits for a release"),
    "done": phrase("over"),
    "cancelled": phrase("ended"),
}
_TONES: Final = {"returned": "warn", "rejected": "bad", "cancelled": "bad", "held": "warn",
                 "paused": "warn", "scheduled": "done", "done": "done"}  # fmt: skip
_SAID_BY_ITSELF: Final = frozenset(
    {"submitted", "approved", "released", "paused", "resumed", "cancelled", "edited", "fired"}
    | {"taken", "asked again"}
)
_BY_THE_CLOCK: Final[Mapping[str, Phrase]] = {
    said: said
    for said in (
        phrase("a text is tried again"),
        phrase("everything is handed off"),
        phrase("its legs fire"),
        phrase("no fire is to come"),
        phrase("no look is to come"),
        phrase("the plan is over"),
    )
}
"""What the program writes down as the reason of its own steps, in English."""


def lines(language: Language) -> Mapping[str, object]:
    """What the lines of `plans/_words.html` ask for."""
    return {
        "reason": words_of,
        "classes": CLASSES,
        "message_states": MESSAGE_STATES,
        "run_states": RUN_STATES,
        "carrier": lambda code: carrier_word(code, language),
    }


def word(words: Mapping[str, Phrase], code: str) -> str:
    """What a code is called; one that is not known here stands for itself."""
    return words.get(code, code)


def lasting(minutes: int) -> Phrase:
    """A number of minutes in hours, or in days."""
    if minutes % 1440 == 0:
        return phrase("{days} days", days=minutes // 1440)
    if minutes % 60 == 0:
        return phrase("{hours} hours", hours=minutes // 60)
    if minutes > 60:
        return phrase("{hours} hours {minutes} minutes", hours=minutes // 60, minutes=minutes % 60)
    return phrase("{minutes} minutes", minutes=minutes)


def hours(spans: Sequence[tuple[str, str]]) -> Phrase:
    """Send hours as they are shown."""
    return listing([f"{begin}–{end}" for begin, end in spans])


def values_said(plan: CampaignDetail, language: Language) -> list[tuple[str, str]]:
    """What fills the texts for all who get them: each variable with its text, and its value."""
    found = [(f"{{{name}}}", value) for name, value in plan.values.items()]
    weeks = {plan.figures_from, *(text.figures_from for text in plan.more_texts)} - {None}
    label = language.say(phrase("Figures on cases, from which bulletin"))
    found += [(label, str(week)) for week in sorted(weeks, key=str)]
    for number, text in enumerate(plan.more_texts, 2):
        for name, value in text.values.items():
            label = phrase("{{{name}}} in text {number}", name=name, number=number)
            found.append((language.say(label), value))
    return found


def weekly_days(rule: str | None) -> list[str]:
    """The weekdays of a rule that says nothing but weekdays; [] of any other."""
    parts = dict(part.split("=", 1) for part in (rule or "").split(";") if "=" in part)
    days = parts.get("BYDAY", "").split(",")
    known = parts.keys() <= {"FREQ", "BYDAY", "INTERVAL"} and parts.get("INTERVAL", "1") == "1"
    if parts.get("FREQ") == "WEEKLY" and known and all(day in WEEKDAYS for day in days):
        return days
    return []


def when_said(schedule: ScheduleOut, language: Language) -> Phrase | str:
    """When a plan fires, as a clause."""
    start = schedule.start_at
    if schedule.kind == "now":
        return phrase("at once when it is signed")
    if schedule.kind == "once":
        return language.when(start)
    if schedule.kind == "joining":
        roles = listing([role_word(role, language) for role in schedule.roles])
        return phrase("for whoever newly is one of these: {roles}", roles=roles)
    whole = phrase("{days}, {time}", days=_days(schedule, language), time=language.time(start))
    first = start.astimezone(language.zone).date() if start else None
    if not schedule.dates and first and first > language.now.astimezone(language.zone).date():
        whole = phrase("from {first} on {whole}", first=language.day(first), whole=whole)
    if schedule.until is not None:
        last = schedule.until.astimezone(language.zone).date()
        whole = phrase("{whole}, until {last}", whole=whole, last=language.day(last))
    return whole


def _days(schedule: ScheduleOut, language: Language) -> Phrase | str:
    if schedule.dates:
        return days_said(schedule.dates, language)
    weekdays = weekly_days(schedule.rrule)
    if weekdays:
        return phrase("every {days}", days=listing([WEEKDAYS[day] for day in weekdays]))
    if schedule.rrule == "FREQ=DAILY":
        working = schedule.days == "workdays"
        return phrase("every working day") if working else phrase("every day")
    return schedule.rrule or ""


def days_said(days: Sequence[date], language: Language) -> Phrase:
    """Days, one after the other."""
    return listing([language.day(day) for day in days])


def canary_said(safety: SafetyBody) -> Phrase:
    """Who goes first, and what stops a run by itself."""
    told: list[Phrase] = []
    if (canary := safety.canary) is not None:
        minutes = lasting(canary.wait_minutes)
        if canary.first is not None:
            first = phrase(
                "first to {count:,} people, then wait {minutes} for their receipts",
                count=canary.first,
                minutes=minutes,
            )
        else:
            share = _percent(canary.share or 0)
            first = phrase(
                "first to {share} of them, then wait {minutes} for their receipts",
                share=share,
                minutes=minutes,
            )
        told.append(first)
    if safety.failed_share is not None:
        told.append(phrase("it pauses when {share} fail", share=_percent(safety.failed_share)))
    if safety.filtered_share is not None:
        share = _percent(safety.filtered_share)
        told.append(phrase("it pauses when {share} are refused for their words", share=share))
    if safety.opted_out_share is not None:
        share = _percent(safety.opted_out_share)
        told.append(phrase("it pauses when {share} opt out", share=share))
    if safety.silence_minutes is not None:
        silence = lasting(safety.silence_minutes)
        told.append(phrase("it pauses when no receipt comes for {silence}", silence=silence))
    return listing(told, "; ") if told else phrase("as for all campaigns")


def _percent(share: float) -> str:
    return f"{100 * share:g} %"


def finding_said(message: str, language: Language) -> str:
    """What lint found, which it says in Chinese and English with a stroke between."""
    chinese, stroke, english = message.partition(" / ")
    return english if stroke and language.code != CHINESE else chinese


def moved(move: MoveOut) -> str:
    """What a step of a campaign's life was."""
    step = (move.from_state, move.to_state)
    return _MOVED.get(step) or word(_BECAME, move.to_state)


def why(move: MoveOut) -> Sentence | str:
    """What was said of a step, if it says more than the step does."""
    if move.reason in _SAID_BY_ITSELF:
        return ""
    if move.user_id is None and move.code:
        return Sentence(why_of(move.code).zh, move.reason)  # with its figures, in English alone
    return word(_BY_THE_CLOCK, move.reason) if move.user_id is None else move.reason


def tone(move: MoveOut) -> str:
    """The colour of a step."""
    return _TONES.get(move.to_state, "run")
