"""What is kept of one person; erasing one; what was erased; what is deleted for its age."""

from datetime import timedelta
from typing import Any

from service.api.http.schema import Out
from service.api.privacy import privacy, retention
from service.api.privacy.privacy import LookupOut, PersonBody, ReportQuery
from service.api.privacy.retention import AgreeBody, RetentionOut
from service.console import words as console_words
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import departments_of, names_of, watermark
from service.console.office import privacy_words
from service.console.people import words as people_words
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import phrase

PRIVACY = "/office/privacy"
AGAIN = "again"
"""The field in which a number is typed a second time; no member of the operation's body."""
SPAN = timedelta(days=30)


async def show_privacy(desk: Desk) -> Shown:
    """The form that asks what is kept of a person, and whether anything is held from deletion."""
    found = await desk.get(retention.get_retention)
    return Shown("office/privacy.html", {"retention": found})


async def look_up(desk: Desk) -> Shown:
    """Everything that is kept about a number; that it was asked, and why, is noted."""
    found = await desk.act(privacy.look_up_person, body=body_of(PersonBody, desk.form))
    async with desk.reading():
        told = await _of_person(desk, found)
    return Shown("office/person_kept.html", told)


async def _of_person(desk: Desk, found: LookupOut) -> dict[str, Any]:
    seen = found.disclosures
    whose = [one.department_id for one in seen] + [one.department_id for one in found.erasures]
    return {
        "found": found,
        "names": await names_of(desk, (one.user_id for one in seen)),
        "departments": await departments_of(desk, whose),
        "bases": people_words.BASES,
        "stopped": people_words.STOPPED,
        "classes": console_words.CLASSES,
        "states": console_words.MESSAGE_STATES,
        "reason": lambda code: console_words.reason_word(code, desk.language),
        "seen_as": privacy_words.SEEN_AS,
        "watermark": watermark(desk),
    }


async def show_erase(desk: Desk) -> Shown:
    """What it means to erase a person, and the form that does it."""
    return Shown("office/person_erase.html", {"everywhere": desk.user.scope is None})


async def erase(desk: Desk) -> Shown:
    """Erase a person; the number is typed twice, since nobody is brought back."""
    body = body_of(PersonBody, desk.form, but=(AGAIN,))
    if "".join(desk.typed(AGAIN).split()) != "".join(body.phone.split()):
        what = phrase("type the same number once more; these two are not the same")
        raise Invalid(phrase("nobody was erased"), fields={AGAIN: what})
    done = await desk.act(privacy.erase_person, body=body)
    return Shown("office/person_erased.html", {"done": done})


async def show_report(desk: Desk) -> Shown:
    """What was erased on demand, and what went because its term was over."""
    today = desk.now.date()
    asked = desk.request.query
    query = body_of(
        ReportQuery,
        asked,
        given={
            name: asked.get(name) or day
            for name, day in (("since", today - SPAN), ("until", today))
        },
    )
    found = await desk.get(privacy.get_report_of_erasures, query=query)
    told = {
        "report": found,
        "erased": privacy_words.counts_of(found.erased, privacy_words.ERASED),
        "retired": privacy_words.counts_of(found.retired, privacy_words.KEPT),
    }
    return Shown("office/erasures.html", told)


async def show_retention(desk: Desk) -> Shown:
    """Whether data are deleted for their age; if that waits for somebody, what would go."""
    found = await desk.get(retention.get_retention)
    names = await names_of(desk, [found.agreed_by])
    told = {
        "retention": found,
        "agreed_by": names.get(found.agreed_by) if found.agreed_by else None,
        "jumped": _instant(desk, found, "jumped_at"),
        "kept": privacy_words.KEPT,
        "may_agree": desk.user.runs_the_county,
    }
    return Shown("office/retention.html", told)


def _instant(desk: Desk, shown: Out, name: str) -> str:
    """An instant of an answer, to the microsecond, as its operation takes it back; "": none."""
    at = getattr(shown, name)
    return at.astimezone(desk.zone).isoformat() if at is not None else ""


async def agree(desk: Desk) -> Gone:
    """Let go what is due after the clock has jumped."""
    made: RetentionOut = await desk.act(
        retention.agree_to_retention, body=body_of(AgreeBody, desk.form)
    )
    gone = sum(kind.due for kind in made.due)
    done = phrase("Agreed: {count} things that are past their term are deleted from now on.",
                  count=desk.language.number(gone))  # fmt: skip
    return Gone(f"{PRIVACY}/retention", done)
