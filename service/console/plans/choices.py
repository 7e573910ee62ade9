"""What can be chosen on the planner, with its name: texts, groups, channels, festivals."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from zoneinfo import ZoneInfo

from multidict import MultiDict, MultiDictProxy

from service.api.accounts.department_names import DepartmentNameOut
from service.api.audience import segments
from service.api.audience.segments import SegmentOut
from service.api.calendar import festivals
from service.api.calendar.festivals import AroundBody, FestivalsOut
from service.api.calendar.holidays import YearQuery
from service.api.campaigns.details import CampaignDetail
from service.api.channels import channels
from service.api.http.paging import MAX_LIMIT, PageQuery
from service.console.asking import Desk
from service.console.language import Language
from service.console.plans import figures, joint, words
from service.console.plans import form as forms
from service.console.plans.areas import AreasByName, read_area_names
from service.console.plans.texts import TextChoices, read_texts
from service.errors import TocsinError
from service.words.phrase import Phrase, listing, phrase

LABELS: Final[Mapping[str, Phrase]] = {
    "name": phrase("Name of the campaign"),
    "template_id": phrase("Text"),
    figures.FIRST: phrase("Figures on cases, from which bulletin"),
    "audience": phrase("To whom"),
    "segment_id": phrase("Group"),
    "legs": phrase("Departments that send it"),
    "when": phrase("When"),
    "schedule.start_at": phrase("Day"),
    "time": phrase("Time of day"),
    "schedule.rrule": phrase("Days of the week"),
    "schedule.until": phrase("Up to which day"),
    "schedule.dates": phrase("Days"),
    "schedule.holidays": phrase("On holidays"),
    "schedule.late": phrase("If it is late"),
    "schedule.validity_minutes": phrase("Of use for"),
    "schedule.send_hours": phrase("Send hours"),
    "schedule.quiet_days": phrase("Quiet days"),
    "channels": phrase("Channels"),
    "priority": phrase("Priority"),
    "over_cap": phrase("Who has had enough"),
    "max_tps": phrase("Most a second"),
    "drill": phrase("Drill"),
    "safety.canary.first": phrase("First to"),
    "more_texts.1": phrase("Second text"),
    "more_texts.2": phrase("Third text"),
    "more_texts.3": phrase("Fourth text"),
}
WHEN: Final[Mapping[str, Phrase]] = {
    "now": phrase("At once when it is signed"),
    "once": phrase("At a time"),
    "weekly": phrase("Every week"),
    "days": phrase("On certain days"),
    "festival": phrase("Around a festival"),
    "keep": phrase("As it is"),
}


@dataclass(frozen=True, slots=True)
class PlanChoices:
    """What can be chosen. festivals: (value, what it is called). partners: the departments that a
    joint plan may ask.
    """

    texts: TextChoices
    groups: Sequence[SegmentOut]
    channels: Sequence[Any]
    festivals: Sequence[tuple[str, str]]
    partners: Sequence[DepartmentNameOut]
    areas: AreasByName
    language: Language

    def group(self, value: str) -> SegmentOut | None:
        """The group that a value of the form means."""
        return next((group for group in self.groups if str(group.id) == value), None)

    def values_of(self, plan: CampaignDetail, zone: ZoneInfo) -> dict[str, Any]:
        """A campaign's plan as the fields of the form."""
        found = forms.values_of(plan, zone)
        if self.partners:
            found |= joint.values_of_legs(plan, self.partners, self.areas)
        return found

    def said(self, name: str, value: object) -> str:
        """What a value of a field is called."""
        if figures.is_field(name) or name.startswith((joint.AREAS, "values.", forms.MORE_VALUES)):
            return str(value) or "–"
        if name.startswith(("template_id", "more_texts", "segment_id")):
            one = self.group(str(value)) if name == "segment_id" else self.texts.text(str(value))
            return one.name if one else "–"
        if isinstance(value, list):
            known = self._names_of(name)
            return self.language.say(listing([known.get(one, one) for one in value])) or "–"
        if name == "schedule.validity_minutes" and str(value).isdecimal():
            return self.language.say(words.lasting(int(str(value))))
        return self.language.say(words.word(_WORDS.get(name, {}), str(value))) or "–"

    def _names_of(self, name: str) -> Mapping[str, str]:
        """What the values of a field of several are called."""
        if name == joint.LEGS:
            return {str(one.id): one.name for one in self.partners}
        if name == "channels":
            return {str(one.id): one.name for one in self.channels}
        return words.WEEKDAYS

    def labels_in(self, language: Language) -> dict[str, str]:
        """What the fields are called."""
        found = {name: language.say(label) for name, label in LABELS.items()}
        for one in self.partners:
            found[f"{joint.AREAS}{one.id}"] = language.say(
                phrase("Areas of {department}", department=one.name)
            )
        return found

    def options(self, name: str) -> list[tuple[str, str]]:
        """The choices of a field with few of them."""
        return [(code, self.language.say(said)) for code, said in _WORDS[name].items()]

    def cap_options(self, plan: CampaignDetail | None) -> list[tuple[str, str]]:
        """What becomes of a text to somebody who has had enough; a correction is sent."""
        known = self.options("over_cap")
        is_correction = plan is not None and plan.corrects is not None
        return [option for option in known if (option[0] == "send") == is_correction]

    def when_options(self, plan: CampaignDetail | None) -> list[tuple[str, str]]:
        """When it may fire; `keep` where the form cannot say what the plan has."""
        kept = plan is not None and forms.choice_of(plan.schedule) == "keep"
        return [
            (code, self.language.say(said)) for code, said in WHEN.items() if code != "keep" or kept
        ]

    def audience_options(self) -> list[tuple[str, str]]:
        """Whether it goes to a group of the own people, or to those of other departments."""
        return self.options(joint.AUDIENCE)

    def kept(self, plan: CampaignDetail) -> str:
        """A schedule that the form cannot say, in words."""
        return self.language.say(words.when_said(plan.schedule, self.language))

    def weekday_options(self) -> list[tuple[str, str]]:
        """The days of the week."""
        return [(code, self.language.say(said)) for code, said in words.WEEKDAYS.items()]

    def validity_options(self, values: Mapping[str, Any]) -> list[tuple[str, str]]:
        """How long a text is of use, with what the plan has."""
        own = str(values.get("schedule.validity_minutes") or "1440")
        minutes = sorted({*forms.VALIDITY, int(own) if own.isdecimal() else 1440})
        return [(str(one), self.language.say(words.lasting(one))) for one in minutes]

    def text_groups(self, value: str) -> list[tuple[Phrase, list[tuple[str, str]]]]:
        """The texts to choose from, with the one that is chosen: the department's, then those that
        come with the program.
        """
        ready = self.texts.library_options(value)
        groups = [
            (phrase("Texts of your department"), self.texts.own_options(value)),
            (phrase("Ready texts"), [(key, self.language.plain(one.title)) for key, one in ready]),
        ]
        return [group for group in groups if group[1]]

    def group_options(self) -> list[tuple[str, str]]:
        """The groups of the department."""
        return [(str(group.id), group.name) for group in self.groups]

    def channel_options(self) -> list[tuple[str, str]]:
        """The channels that are in service."""
        return [(str(one.id), one.name) for one in self.channels if one.enabled]


_YES: Final = {"true": phrase("yes")}
_WORDS: Final[Mapping[str, Mapping[str, Phrase]]] = {
    "when": WHEN,
    joint.AUDIENCE: {
        joint.GROUP: phrase("A group of our own people"),
        joint.JOINT: phrase("The people of other departments, who send it themselves (joint plan)"),
    },
    "schedule.holidays": words.HOLIDAYS,
    "schedule.late": words.LATE,
    "schedule.quiet_days": _YES,
    "drill": _YES,
    "priority": words.PRIORITIES,
    "over_cap": words.OVER_CAP,
}


async def read_choices(
    desk: Desk, known: CampaignDetail | None, values: Mapping[str, Any] | None
) -> PlanChoices:
    """What can be chosen for a campaign of the reader's department, or of its own. values: of the
    form, if something was typed.
    """
    whose = known.department_id if known else desk.user.department_id
    groups = (await desk.get(segments.list_segments, query=PageQuery(limit=MAX_LIMIT))).items
    return PlanChoices(
        await read_texts(desk, known, values),
        sorted((one for one in groups if one.department_id == whose), key=lambda one: one.name),
        (await desk.get(channels.list_channels)).items,
        await _festivals(desk),
        await joint.read_partners(desk, known),
        await read_area_names(desk),
        desk.language,
    )


async def _festivals(desk: Desk) -> list[tuple[str, str]]:
    """The usual plans around the festivals to come, with the days of each."""
    found = []
    today = desk.now.date()
    for year in (today.year, today.year + 1):
        try:
            told: FestivalsOut = await desk.get(
                festivals.list_festivals, query=YearQuery(year=year)
            )
        except TocsinError:  # its lunar days are not computed yet
            continue
        for preset in told.presets:
            if preset.dates and preset.dates[0] >= today:
                days = desk.language.say(words.days_said(preset.dates, desk.language))
                found.append((f"{year}:{preset.name}", f"{preset.title}: {days}"))
    return found


async def resolved(desk: Desk, form: MultiDictProxy[str]) -> MultiDictProxy[str]:
    """The form with the days of the festival that was chosen."""
    year, colon, preset = form.get("festival", "").partition(":")
    if form.get("when") != "festival" or not colon or not year.isdecimal():
        return form
    body = AroundBody(preset=preset, year=int(year), time=form.get("time") or forms.DEFAULT_TIME)
    around = await desk.get(festivals.plan_around, body=body)
    found = MultiDict(form)
    found["when"] = "days"
    found["schedule.dates"] = " ".join(day.isoformat() for day in around.schedule.dates)
    return MultiDictProxy(found)
