"""What an approval binds, line by line: each key of the canonical content, in words.

`SHOWN` has a line for each key of what the hash is made of (`campaigns.core.model.Content`); a test
compares. What the page shows with more than words (the texts, the findings) says so here.
"""

from collections.abc import Callable, Mapping
from typing import Final, NamedTuple

from service.api.campaigns.details import CampaignDetail
from service.console.language import Language
from service.console.plans import words
from service.console.words import CLASSES
from service.words.phrase import Phrase, listing, phrase


class SheetLine(NamedTuple):
    """A line of the sheet: which keys it stands for, what it is called, what it says."""

    keys: frozenset[str]
    label: Phrase
    said: Callable[[CampaignDetail, Language], str]


ON_THE_PAGE: Final = frozenset(
    {"template_version_id", "text", "verdict", "rule", "further", "values", "channels"}
)
"""Keys that the page shows by themselves, with what is around them."""


def _when(plan: CampaignDetail, language: Language) -> str:
    return words.when_said(plan.schedule, language)


def _hours(plan: CampaignDetail, language: Language) -> str:
    schedule = plan.schedule
    told = [words.hours(schedule.send_hours)]
    if schedule.timezone != language.zone.key:
        told.append(phrase("clock of {zone}", zone=schedule.timezone))
    if not schedule.own_hours:
        told.append(phrase("narrowed to what suits the people"))
    if schedule.beyond_hours:
        told.append(phrase("beyond the hours of its class, to their limit"))
    if schedule.quiet_days == "send":
        told.append(phrase("also on quiet days that are not binding"))
    return listing(told)


def _holidays(plan: CampaignDetail, _: Language) -> str:
    said = words.word(words.HOLIDAYS, plan.schedule.holidays)
    if plan.schedule.days == "workdays":
        return phrase("on working days only; on holidays: {said}", said=said)
    return said


def _late(plan: CampaignDetail, _: Language) -> str:
    said = words.word(words.LATE, plan.schedule.late)
    if plan.schedule.hold_following:
        return phrase("{said}, and those after it too", said=said)
    return said


def _period(plan: CampaignDetail, language: Language) -> str:
    if plan.period.start is None and plan.period.end is None:
        return phrase("no limit")
    return f"{language.when(plan.period.start)} – {language.when(plan.period.end)}"


def _joint(plan: CampaignDetail, _: Language) -> str:
    if plan.legs:
        return phrase("{count} departments are asked", count=len(plan.legs))
    return phrase("no") if plan.leg_of is None else phrase("a part of a joint plan")


def _corrects(plan: CampaignDetail, _: Language) -> str:
    return phrase("no") if plan.corrects is None else phrase("goes to those who got that run")


def _rollout(plan: CampaignDetail, _: Language) -> str:
    if plan.rollout is None:
        return phrase("no")
    waves = len(plan.schedule.dates)
    return phrase(
        "{waves} waves, villages in the order {order} …", waves=waves, order=plan.rollout[:16]
    )


def _tps(plan: CampaignDetail, language: Language) -> str:
    if plan.max_tps is None:
        return phrase("no limit of its own")
    return phrase("{count} parts", count=language.number(plan.max_tps))


LINES: Final = (
    SheetLine(frozenset({"class"}), phrase("Kind of text"),
         lambda plan, _: words.word(CLASSES, plan.message_class)),
    SheetLine(frozenset({"schedule"}), phrase("When"), _when),
    SheetLine(frozenset({"schedule"}), phrase("Send hours"), _hours),
    SheetLine(frozenset({"schedule"}), phrase("On holidays"), _holidays),
    SheetLine(frozenset({"schedule"}), phrase("If it is late"), _late),
    SheetLine(frozenset({"schedule"}), phrase("Of use for"),
         lambda plan, _: words.lasting(plan.schedule.validity_minutes)),
    SheetLine(frozenset({"period"}), phrase("Only between"), _period),
    SheetLine(frozenset({"priority"}), phrase("Priority"),
         lambda plan, _: words.word(words.PRIORITIES, plan.priority)),
    SheetLine(frozenset({"max_tps"}), phrase("Most a second"), _tps),
    SheetLine(frozenset({"over_cap"}), phrase("Who has had enough"),
         lambda plan, _: words.word(words.OVER_CAP, plan.over_cap)),
    SheetLine(frozenset({"safety"}), phrase("Trial and limits"),
         lambda plan, _: words.canary_said(plan.safety)),
    SheetLine(frozenset({"drill"}), phrase("Drill"),
         lambda plan, _: phrase("yes: nobody gets anything") if plan.drill else phrase("no")),
    SheetLine(frozenset({"legs", "leg_of"}), phrase("Joint plan"), _joint),
    SheetLine(frozenset({"corrects"}), phrase("Correction"), _corrects),
    SheetLine(frozenset({"rollout"}), phrase("In waves"), _rollout),
)  # fmt: skip
SHOWN: Final[frozenset[str]] = ON_THE_PAGE.union(*(line.keys for line in LINES))
SCHEDULE: Final[Mapping[str, str]] = {
    "kind": "When", "start_at": "When", "rrule": "When", "dates": "When", "until": "When",
    "roles": "When", "days": "On holidays", "holidays": "On holidays", "quiet_days": "Send hours",
    "timezone": "Send hours", "send_hours": "Send hours", "own_hours": "Send hours",
    "beyond_hours": "Send hours", "late": "If it is late", "hold_following": "If it is late",
    "validity_minutes": "Of use for",
}  # fmt: skip
"""In which line each member of a schedule stands."""


def lines(plan: CampaignDetail, language: Language) -> list[tuple[str, str]]:
    """The lines of a campaign: what each is called, and what it says."""
    say = language.say
    return [(say(line.label), say(line.said(plan, language))) for line in LINES]
