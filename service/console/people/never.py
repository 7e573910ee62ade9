"""Numbers that are never sent to: entered, taken from a file, looked up, given out, ended."""

from service.accounts.people.model import Right
from service.api.audience import suppression_entries, suppressions
from service.api.audience.suppression_entries import EntriesQuery
from service.api.audience.suppressions import (
    NumberBody,
    SuppressionBody,
    SuppressionExportBody,
    SuppressionListForm,
    SuppressionQuery,
)
from service.api.http.downloads import MadeFile
from service.console.asking import Desk
from service.console.forms import body_of, instant_of
from service.console.people import words
from service.console.render import Gone, Shown
from service.console.words import CLASSES
from service.errors import Invalid
from service.words.phrase import phrase

NEVER = "/people/never"
MOST_TYPED = 1_000
OWN = ("numbers", "expires_at.day", "expires_at.time", "file")
"""Fields of the forms that are no members of an operation's body."""


async def show_never(desk: Desk) -> Shown:
    """What is stopped now, newest first, and what waits for a second person."""
    reason = desk.request.query.get("reason", "")
    query = SuppressionQuery.model_validate(
        {
            "reason": reason if reason in words.STOPPED else None,
            "in_force": True,
            "cursor": desk.request.query.get("from"),
        }
    )
    found = await desk.get(suppressions.list_suppressions, query=query)
    waiting = await desk.get(
        suppression_entries.list_suppression_entries, query=EntriesQuery(waiting=True)
    )
    return Shown(
        "people/never.html",
        {
            "items": found.items,
            "next": found.next_cursor,
            "reason": reason,
            "waiting": waiting.items,
            "reasons": words.STOPPED,
            "classes": CLASSES,
            "sources": words.SOURCES,
            "may_suppress": desk.may(Right.SUPPRESS),
        },
    )


async def show_new(_: Desk) -> Shown:
    """The forms for numbers that are typed, and for a file of them."""
    return Shown("people/never_new.html", {"reasons": words.STOPPED, "result": None})


async def add(desk: Desk) -> Gone:
    """Stop texts to the numbers that were typed."""
    numbers = [line.strip() for line in desk.typed("numbers").splitlines() if line.strip()]
    if not 0 < len(numbers) <= MOST_TYPED:
        problem = phrase("give 1 to {most} numbers, one a line", most=MOST_TYPED)
        raise Invalid(phrase("there are no numbers to stop"), fields={"numbers": problem})
    given = {"phones": numbers, "expires_at": instant_of(desk.form, "expires_at", desk.zone)}
    body = body_of(SuppressionBody, desk.form, but=OWN, given=given)
    made = await desk.act(suppressions.create_suppressions, body=body)
    if made.waiting is not None:
        return Gone(NEVER, _waits(made.waiting.numbers))
    return Gone(
        NEVER,
        phrase(
            "{count} numbers are stopped, of them {added} newly.",
            count=len(made.items),
            added=made.added,
        ),
    )


def _waits(numbers: int) -> str:
    return phrase(
        "{count} numbers are so many that a second person of the county lets them count.",
        count=numbers,
    )


async def add_file(desk: Desk) -> Shown:
    """Stop texts to all numbers of a file, and say which rows have none."""
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    body = body_of(SuppressionListForm, desk.form, but=OWN)
    listed = await suppressions.read_list(body, desk.upload)
    result = await desk.act(
        suppressions.import_suppressions, body=body, file=desk.upload, listed=listed
    )
    return Shown(
        "people/never_new.html",
        {
            "reasons": words.STOPPED,
            "result": result,
            "waits": _waits(result.waiting.numbers) if result.waiting else "",
            "why": words.REJECTED,
        },
    )


async def show_lookup(_: Desk) -> Shown:
    """The form that looks a number up."""
    return Shown("people/never_lookup.html", {"found": None})


async def look_up(desk: Desk) -> Shown:
    """What is stopped to a number; the number stands in no address."""
    found = await desk.act(suppressions.look_up_suppressions, body=body_of(NumberBody, desk.form))
    return Shown(
        "people/never_lookup.html",
        {
            "found": found,
            "reasons": words.STOPPED,
            "classes": CLASSES,
            "sources": words.SOURCES,
            "may_suppress": desk.may(Right.SUPPRESS),
        },
    )


async def ask_export(_: Desk) -> Shown:
    """The form that gives the list out."""
    return Shown("people/never_export.html", {"reasons": words.STOPPED})


async def export(desk: Desk) -> MadeFile:
    """The list as a file; why is written down."""
    body = body_of(SuppressionExportBody, desk.form)
    return await desk.take(suppressions.export_suppressions, body=body)


async def ask_end(desk: Desk) -> Shown:
    """Whether to send to a number again."""
    return Shown("people/never_end.html", {"id": desk.uuid("suppression_id")})


async def end(desk: Desk) -> Gone:
    """Send to a number again."""
    await desk.act(suppressions.delete_suppression, suppression_id=desk.uuid("suppression_id"))
    return Gone(NEVER, phrase("The stop has ended: texts go to this number again."))
