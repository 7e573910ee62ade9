"""The planner's form: a plan into its fields, and what was typed into an operation's body.

Fields are named as the body's members are, so that a refusal finds its field. `when` is the
planner's own: several members of a schedule are one choice to a person. What the form cannot say
(a monthly rule, a correction) is left as it is. Which departments send a joint plan: `joint`.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from multidict import MultiDictProxy
from pydantic import BaseModel

from service.api.calendar.schedules import ScheduleBody, ScheduleOut
from service.api.campaigns.campaigns import CampaignPatch
from service.api.campaigns.details import CampaignDetail
from service.console.forms import body_of
from service.console.plans import figures, joint, words
from service.console.plans.areas import AreasByName
from service.errors import Invalid
from service.messages.value_sources import POLICE_VARIABLES
from service.words.phrase import phrase

BodyT = TypeVar("BodyT", bound=BaseModel)
Form = MultiDictProxy[str]

TIME = "time"
WHEN = "when"
AFTER = "after_days."
"""How many days after the fire a text follows, by its number; empty: the texts take turns."""
LIBRARY = "library:"
"""Before the id of a starter text, in place of a template's id."""
MORE_TEXTS = 3
VALIDITY = (120, 360, 630, 720, 1440, 2880, 4320)
DEFAULT_TIME = "09:30"
FIGURES = "figures_from"
MORE_VALUES = "more_values."
"""What fills a text after the first: its number and the variable follow."""
_OF_THE_FORM = frozenset({WHEN, TIME, "act", "festival", "channels", "drill", "max_tps",
                          figures.FIRST, joint.AUDIENCE, joint.LEGS})  # fmt: skip
_OWN = ("schedule.", "more_texts.", AFTER, "values.", MORE_VALUES, figures.MORE, joint.AREAS,
        "safety.")  # fmt: skip


def is_weekly(schedule: ScheduleOut) -> bool:
    """Whether the form can say this schedule as weekdays."""
    return schedule.kind == "recurring" and bool(words.weekly_days(schedule.rrule))


def choice_of(schedule: ScheduleOut) -> str:
    """Which choice of the form a schedule is; `keep`: none."""
    if schedule.kind in {"now", "once"}:
        return schedule.kind
    if is_weekly(schedule):
        return "weekly"
    return "days" if schedule.kind == "recurring" and schedule.dates else "keep"


def values_of(plan: CampaignDetail, zone: ZoneInfo) -> dict[str, Any]:
    """A campaign's plan as the fields of the form."""
    schedule, canary = plan.schedule, plan.safety.canary
    start = schedule.start_at.astimezone(zone) if schedule.start_at else None
    found: dict[str, Any] = {
        "name": plan.name,
        "template_id": str(plan.template_id),
        "segment_id": str(plan.segment_id or ""),
        WHEN: choice_of(schedule),
        "schedule.start_at": start.date().isoformat() if start else "",
        TIME: f"{start:%H:%M}" if start else DEFAULT_TIME,
        "schedule.rrule": words.weekly_days(schedule.rrule),
        "schedule.until": _day_of(schedule.until, zone),
        "schedule.dates": " ".join(day.isoformat() for day in schedule.dates),
        "schedule.holidays": schedule.holidays,
        "schedule.late": schedule.late,
        "schedule.validity_minutes": str(schedule.validity_minutes),
        "schedule.send_hours": _spans_text(schedule) if schedule.own_hours else "",
        "schedule.quiet_days": "true" if schedule.quiet_days == "send" else "",
        "channels": [] if plan.channels == "auto" else [str(one) for one in plan.channels],
        "priority": plan.priority,
        "over_cap": plan.over_cap,
        "max_tps": "" if plan.max_tps is None else str(plan.max_tps),
        "drill": "true" if plan.drill else "",
        "safety.canary.first": "" if canary is None or canary.first is None else str(canary.first),
    }
    for number, text in enumerate(plan.more_texts[:MORE_TEXTS], 1):
        found[f"more_texts.{number}"] = str(text.template_id)
        if text.after_days is not None:
            found[f"{AFTER}{number}"] = str(text.after_days)
        if text.figures_from is not None:
            found[f"{figures.MORE}{number}"] = text.figures_from
        typed = without_figures(text.values)
        found |= {f"{MORE_VALUES}{number}.{name}": value for name, value in typed.items()}
    if plan.figures_from is not None:
        found[figures.FIRST] = plan.figures_from
    typed = without_figures(plan.values)
    return found | {f"values.{name}": value for name, value in typed.items()}


def without_figures(values: Mapping[str, str]) -> dict[str, str]:
    """Values that a person types."""
    return {name: value for name, value in values.items() if name not in POLICE_VARIABLES}


def typed_values(form: Form) -> dict[str, Any]:
    """What was typed, as the fields of the form."""
    found: dict[str, Any] = {name: form.get(name, "") for name in form}
    for name in ("schedule.rrule", "channels", joint.LEGS):
        found[name] = form.getall(name, [])
    return found


def body_from(
    model: type[BodyT],
    form: Form,
    zone: ZoneInfo,
    areas: AreasByName,
    known: CampaignDetail | None = None,
) -> BodyT:
    """The body that the form says; of a known campaign what the form cannot say stays as it is.

    Raises:
        Invalid: something is wrong, by the names of the form's fields.
    """
    given: dict[str, Any] = {
        "schedule": schedule_body(form, zone, known),
        "channels": form.getall("channels", []) or "auto",
        "drill": "drill" in form,
        "max_tps": _number(form, "max_tps"),
        "safety": _safety(form, known),
        "more_texts": _more_texts(form, known),
        "values": typed_after(form, "values."),
        "figures_from": form.get(figures.FIRST) or None,
    }
    if given["channels"] != "auto":
        given["channels"] = [int(one) for one in given["channels"] if one.isdecimal()]
    if not form.get("template_id"):
        raise Invalid.at("template_id", phrase("choose the text that is sent"))
    own = {*_OF_THE_FORM}
    own |= {name for name in form if name.startswith(_OWN)}
    legs = joint.legs_from(form, areas)
    if legs is not None:
        given["legs"] = legs
        own.add("segment_id")
    elif model is CampaignPatch and known is not None and not form.get("segment_id"):
        own.add("segment_id")
    return body_of(model, form, but=own, given=given)


def schedule_body(
    form: Form, zone: ZoneInfo, known: CampaignDetail | None = None
) -> dict[str, Any]:
    """The schedule that the form says.

    Raises:
        Invalid: a day or a time is missing, or is none.
    """
    when = form.get(WHEN, "now")
    if when == "keep" and known is not None:
        said = _kept(known.schedule)
    else:
        said = _SAYS.get(when, _says_now)(form, zone)
    said["late"] = form.get("schedule.late") or "run"
    said["validity_minutes"] = _number(form, "schedule.validity_minutes") or 2880
    if "schedule.quiet_days" in form:
        said["quiet_days"] = "send"
    if spans := form.get("schedule.send_hours", "").strip():
        said["send_hours"] = spans_of(spans, "schedule.send_hours")
    return said


def _says_now(_: Form, __: ZoneInfo) -> dict[str, Any]:
    return {"kind": "now"}


def _says_once(form: Form, zone: ZoneInfo) -> dict[str, Any]:
    return {"kind": "once", "start_at": _start(form, zone).isoformat()}


def _says_weekly(form: Form, zone: ZoneInfo) -> dict[str, Any]:
    days = [day for day in form.getall("schedule.rrule", []) if day in words.WEEKDAYS]
    if not days:
        raise Invalid.at("schedule.rrule", phrase("tick at least one day of the week"))
    said = {
        "kind": "recurring",
        "start_at": _start(form, zone).isoformat(),
        "rrule": "FREQ=WEEKLY;BYDAY=" + ",".join(days),
        "holidays": form.get("schedule.holidays") or "send",
    }
    if last := form.get("schedule.until", "").strip():
        end = datetime.combine(_day(last, "schedule.until"), time(23, 59), tzinfo=zone)
        said["until"] = end.isoformat()
    return said


def _says_days(form: Form, zone: ZoneInfo) -> dict[str, Any]:
    written = form.get("schedule.dates", "").replace(",", " ").replace("，", " ").replace("、", " ")
    days = sorted({_day(one, "schedule.dates") for one in written.split()})
    if not days:
        raise Invalid.at("schedule.dates", phrase("give at least one day, such as 2027-02-05"))
    first = datetime.combine(days[0], _time(form), tzinfo=zone)
    dates = [day.isoformat() for day in days]
    return {"kind": "recurring", "start_at": first.isoformat(), "dates": dates}


_SAYS: Mapping[str, Callable[[Form, ZoneInfo], dict[str, Any]]] = {
    "now": _says_now,
    "once": _says_once,
    "weekly": _says_weekly,
    "days": _says_days,
}


def _kept(schedule: ScheduleOut) -> dict[str, Any]:
    kept = schedule.model_dump(mode="json", include=set(ScheduleBody.model_fields))
    if not schedule.own_hours:
        kept.pop("send_hours")
    return kept


def _start(form: Form, zone: ZoneInfo) -> datetime:
    day = form.get("schedule.start_at", "").strip()
    if not day:
        raise Invalid.at("schedule.start_at", phrase("give the day, such as 2027-01-31"))
    return datetime.combine(_day(day, "schedule.start_at"), _time(form), tzinfo=zone)


def _day(text: str, field: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Invalid.at(field, phrase("write the day like 2027-01-31")) from error


def _time(form: Form) -> time:
    try:
        return time.fromisoformat(form.get(TIME, "").strip())
    except ValueError as error:
        raise Invalid.at(TIME, phrase("write the time of day like 09:30")) from error


def _number(form: Form, field: str) -> int | None:
    text = form.get(field, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal()):
        raise Invalid.at(field, phrase("write a whole number"))
    return int(text)


def spans_of(text: str, field: str) -> list[list[str]]:
    """Send hours as they were typed, such as 08:00-11:30, 14:00-20:00.

    Raises:
        Invalid: a span has no end; at `field`.
    """
    found = []
    for span in text.replace("，", ",").replace("、", ",").replace("–", "-").split(","):
        begin, dash, end = span.strip().partition("-")
        if not dash:
            problem = phrase("write the hours like 08:00-20:00, several with a comma between them")
            raise Invalid.at(field, problem)
        found.append([begin.strip(), end.strip()])
    return found


def _spans_text(schedule: ScheduleOut) -> str:
    return ", ".join(f"{begin}-{end}" for begin, end in schedule.send_hours)


def _safety(form: Form, known: CampaignDetail | None) -> dict[str, Any]:
    kept = known.safety.model_dump(mode="json", exclude_none=True) if known is not None else {}
    first = _number(form, "safety.canary.first")
    if first is not None:
        kept["canary"] = {**kept.get("canary", {}), "first": first, "share": None}
    elif kept.get("canary", {}).get("first") is not None:
        del kept["canary"]
    return kept


def typed_after(form: Mapping[str, Any], place: str) -> dict[str, str]:
    """What was typed into the fields whose names begin so, by the rest of their names."""
    return {
        name.removeprefix(place): value
        for name, value in form.items()
        if name.startswith(place) and str(value).strip()
    }


def _more_texts(form: Form, known: CampaignDetail | None) -> list[dict[str, Any]]:
    before = {str(text.template_id): text for text in (known.more_texts if known else ())}
    found: list[dict[str, Any]] = []
    for number in range(1, MORE_TEXTS + 1):
        template_id = form.get(f"more_texts.{number}", "")
        if not template_id:
            continue
        place = f"{MORE_VALUES}{number}."
        values = typed_after(form, place)
        if template_id in before and not any(name.startswith(place) for name in form):
            values = without_figures(before[template_id].values)
        after = _number(form, f"{AFTER}{number}")
        week = form.get(f"{figures.MORE}{number}") or None
        found.append(
            {"template_id": template_id, "after_days": after, "values": values, FIGURES: week}
        )
    told = {"template_id", "after_days", FIGURES}
    rest = known.more_texts[MORE_TEXTS:] if known else ()
    return [
        *found,
        *(
            text.model_dump(mode="json", include=told) | {"values": without_figures(text.values)}
            for text in rest
        ),
    ]


def _day_of(instant: datetime | None, zone: ZoneInfo) -> str:
    return instant.astimezone(zone).date().isoformat() if instant else ""
