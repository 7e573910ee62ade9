"""What a department signs with and may write: signatures, its own numbers, links, extensions."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from service.api.accounts import departments
from service.api.accounts.departments import ExtensionBody
from service.api.content import lint, signatures
from service.api.content.lint import SenderBody
from service.api.content.signatures import SignatureBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.office.departments import runs_the_county, shown_head
from service.console.render import Gone, Shown
from service.console.rules.typed_lists import at_fields, typed_lines
from service.console.rules.versions import SetVersion, persons_of, with_differences
from service.console.second_person import second_person
from service.errors import Invalid, NotFound
from service.words.phrase import phrase


async def show_sender(desk: Desk) -> Shown:
    """The signatures of a department, and the numbers and links that it may write."""
    department_id = desk.uuid("department_id")
    listed = (await desk.get(signatures.list_signatures, department_id=department_id)).items
    sender = await desk.get(lint.get_sender, department_id=department_id)
    allowed = runs_the_county(desk)
    seconds = {
        one.proposal_id: await second_person(desk, one.proposed_by, allowed=allowed)
        for one in listed
        if one.proposed_by is not None
    }
    if sender.waiting is not None:
        first = sender.waiting.proposed_by
        seconds[sender.waiting.id] = await second_person(desk, first, allowed=allowed)
    versions = with_differences(
        SetVersion(
            at=one.changed_at,
            by=one.changed_by,
            second=one.confirmed_by,
            reason=one.reason,
            lines=_lines(desk, one.content),
        )
        for one in sender.history
    )
    waiting = sender.waiting.proposed_by if sender.waiting else None
    return Shown("office/sender.html", await shown_head(desk, department_id) | {
        "signatures": listed,
        "sender": sender,
        "wanted": _lines(desk, sender.waiting.content) if sender.waiting else {},
        "seconds": seconds,
        "history": versions,
        "older": "",
        "names": await names_of(desk, [waiting, *persons_of(versions)]),
    })  # fmt: skip


def _lines(desk: Desk, content: Mapping[str, Any]) -> dict[str, str]:
    """What a department may write, line by line."""
    say = desk.language.say
    links = phrase("may be written") if content["links"] else phrase("may not be written")
    return {
        say(phrase("Own numbers")): "、".join(content["landlines"]) or "–",
        say(phrase("Links")): say(links),
    }


async def set_sender(desk: Desk) -> Gone:
    """Say which numbers are a department's own, and whether it may link."""
    department_id = desk.uuid("department_id")
    given = {"landlines": typed_lines(desk, "landlines"), "links": desk.typed("links") == "true"}
    try:
        body = body_of(SenderBody, desk.form, but=given, given=given)
        made = await desk.act(lint.set_sender, department_id=department_id, body=body)
    except Invalid as error:
        raise at_fields(desk, error) from error
    done = phrase("It holds now.")
    if made.waiting is not None:
        done = phrase("What is more than before counts once another administrator confirms it.")
    return Gone(_sender(department_id), done)


async def confirm_sender(desk: Desk) -> Gone:
    """Let a department write what was proposed, as the second person."""
    department_id = desk.uuid("department_id")
    await desk.act(
        lint.confirm_sender, department_id=department_id, proposal_id=desk.uuid("proposal_id")
    )
    return Gone(_sender(department_id), phrase("The department may write it now."))


async def register_signature(desk: Desk) -> Gone:
    """Propose a signature of a department."""
    department_id = desk.uuid("department_id")
    body = body_of(SignatureBody, desk.form)
    made = await desk.act(signatures.register_signature, department_id=department_id, body=body)
    done = phrase("The signature is registered already.")
    if made.state == "waiting":
        done = phrase("The signature counts once another administrator of the county confirms it.")
    return Gone(_sender(department_id), done)


async def confirm_signature(desk: Desk) -> Gone:
    """Let a signature count, as the second person."""
    department_id = desk.uuid("department_id")
    await desk.act(
        signatures.confirm_signature,
        department_id=department_id,
        proposal_id=desk.uuid("proposal_id"),
    )
    return Gone(_sender(department_id), phrase("The signature counts now."))


async def show_extensions(desk: Desk) -> Shown:
    """The extension numbers of a department."""
    department_id = desk.uuid("department_id")
    found = await desk.get(departments.list_extensions, department_id=department_id)
    told = {"extensions": found.items}
    return Shown("office/extensions.html", await shown_head(desk, department_id) | told)


async def register_extension(desk: Desk) -> Gone:
    """Register an extension number to a department."""
    department_id = desk.uuid("department_id")
    body = body_of(ExtensionBody, desk.form)
    await desk.act(departments.register_extension, department_id=department_id, body=body)
    return Gone(_extensions(department_id), phrase("{value} is the department's now.",
                                                   value=body.extension))  # fmt: skip


async def show_extension_end(desk: Desk) -> Shown:
    """Whether a department is to give an extension number up."""
    department_id = desk.uuid("department_id")
    found = await desk.get(departments.list_extensions, department_id=department_id)
    extension = desk.path("extension")
    if extension not in {one.value for one in found.items if one.ended_at is None}:
        raise NotFound(phrase("there is nothing at this address"))
    told = {"extension": extension}
    return Shown("office/extension_end.html", await shown_head(desk, department_id) | told)


async def end_extension(desk: Desk) -> Gone:
    """Give up an extension number of a department, for good."""
    department_id = desk.uuid("department_id")
    extension = desk.path("extension")
    await desk.act(departments.end_extension, department_id=department_id, extension=extension)
    return Gone(_extensions(department_id), phrase("{value} is given up.", value=extension))


def _sender(department_id: UUID) -> str:
    return f"/office/departments/{department_id}/sender"


def _extensions(department_id: UUID) -> str:
    return f"/office/departments/{department_id}/extensions"
