"""Chat groups on pages: the register, one with its history, hand-overs, files, the text."""

from typing import Any

from service.accounts.people.model import Right
from service.api.content import templates
from service.api.content.templates import TemplatesQuery
from service.api.http.downloads import MadeFile
from service.api.relays import group_files, groups
from service.api.relays.group_files import GroupDocumentQuery, GroupImportForm, HandOverFormBody
from service.api.relays.groups import (
    GroupBody,
    GroupPatch,
    GroupQuery,
    GroupTextBody,
    HandOverBody,
)
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import departments_of, names_of
from service.console.plans.areas import read_area_names
from service.console.render import Gone, Shown
from service.errors import Invalid, NotFound
from service.words.phrase import phrase

KINDS = {
    "building": phrase("Building"),
    "villagers": phrase("Villagers' group"),
    "office": phrase("Office"),
    "firm": phrase("Firm"),
    "class": phrase("Class"),
    "other": phrase("Other"),
}
UNTOLD = {
    "no_text": phrase("no text is chosen for it"),
    "no_liaison": phrase("no liaison is named"),
}
MOST_SHOWN = 100


async def show_groups(desk: Desk) -> Shown:
    """The register: active groups, those without an owner, closed ones."""
    asked = dict(desk.request.query)
    shown = asked.pop("show", "active")
    if shown not in {"active", "ownerless", "closed"}:
        raise NotFound(phrase("there is nothing at this address"))
    given = {
        "limit": MOST_SHOWN,
        "state": "closed" if shown == "closed" else "active",
        "ownerless": shown == "ownerless",
    }
    query = body_of(GroupQuery, desk.request.query, but=("show", "state", "ownerless"), given=given)
    found = await desk.get(groups.list_groups, query=query)
    return Shown("relays/groups.html", {
        "items": found.items,
        "next": found.next_cursor,
        "shown": shown,
        "departments": await departments_of(desk, [one.department_id for one in found.items]),
        **_words(desk),
    })  # fmt: skip


async def show_new(desk: Desk) -> Shown:
    """The form for a group."""
    return Shown("relays/group_new.html", _words(desk))


async def register(desk: Desk) -> Gone:
    """Register a group."""
    area = await _area(desk)
    body = body_of(GroupBody, desk.form, but=("area",), given={"area": area})
    made = await desk.act(groups.register_group, body=body)
    return Gone(f"/chats/{made.id}", phrase("Registered."))


async def _area(desk: Desk) -> str | None:
    typed = desk.typed("area")
    if not typed:
        return None
    async with desk.reading():
        names = await read_area_names(desk)
    codes = names.codes(typed, "area")
    if len(codes) != 1:
        raise Invalid.at("area", phrase("name one area"))
    return codes[0]


async def show_group(desk: Desk) -> Shown:
    """One: its owner, its history, and what may be done with it."""
    group_id = desk.uuid("group_id")
    found = await desk.get(groups.get_group, group_id=group_id)
    history = await desk.get(groups.list_group_history, group_id=group_id)
    return Shown("relays/group.html", {
        "found": found,
        "history": history.items,
        "names": await names_of(desk, [one.set_by for one in history.items]),
        "seen": desk.version_of(found),
        "untold": UNTOLD,
        **_words(desk),
    })  # fmt: skip


async def edit(desk: Desk) -> Gone:
    """Change what a group is called and where it belongs."""
    group_id = desk.uuid("group_id")
    given: dict[str, Any] = {"area": await _area(desk), "unit": desk.typed("unit")}
    if not desk.typed("members"):
        given["members"] = None
    body = body_of(GroupPatch, desk.form, but=("area", "unit"), given=given)
    await desk.act(groups.edit_group, group_id=group_id, body=body)
    return Gone(f"/chats/{group_id}", phrase("Saved."))


async def show_close(desk: Desk) -> Shown:
    """Ask before a group is closed."""
    found = await desk.get(groups.get_group, group_id=desk.uuid("group_id"))
    return Shown("relays/group_close.html", {"found": found, "seen": desk.version_of(found)})


async def close(desk: Desk) -> Gone:
    """Close a group for good."""
    group_id = desk.uuid("group_id")
    await desk.act(groups.edit_group, group_id=group_id, body=GroupPatch(state="closed"))
    return Gone(f"/chats/{group_id}", phrase("The group is closed."))


async def hand_over(desk: Desk) -> Gone:
    """Give a group to another owner."""
    group_id = desk.uuid("group_id")
    body = body_of(HandOverBody, desk.form)
    await desk.act(groups.hand_over_group, group_id=group_id, body=body)
    return Gone(f"/chats/{group_id}", phrase("Handed over. Take the form, and have both sign it."))


async def take_form(desk: Desk) -> MadeFile:
    """The form of a hand-over, to sign."""
    typed = desk.path("no")
    if not (typed.isascii() and typed.isdecimal() and len(typed) < len("1000000")):
        raise NotFound(phrase("there is nothing at this address"))
    body = body_of(HandOverFormBody, desk.form, given={"language": desk.language.code})
    return await desk.take(
        group_files.take_hand_over_form, group_id=desk.uuid("group_id"), no=int(typed), body=body
    )


async def take_register(desk: Desk) -> MadeFile:
    """The register as a file."""
    query = body_of(GroupDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(group_files.get_group_register, query=query)


async def show_import(desk: Desk) -> Shown:
    """The form for a file of groups; once rows of it were rejected, which and why."""
    report: Any = desk.refusal.details().get("report") if desk.refusal else None
    return Shown("relays/group_import.html", {"report": report})


async def send_file(desk: Desk) -> Gone:
    """Register the groups of a file."""
    if desk.upload is None or not desk.upload.size:
        raise Invalid(
            phrase("no file was chosen"), fields={"file": phrase("choose a file of yours")}
        )
    body = body_of(GroupImportForm, desk.form, but=("file",))
    listed = await group_files.read_file(body, desk.upload)
    made = await desk.act(group_files.import_groups, body=body, file=desk.upload, listed=listed)
    done = phrase(
        "Registered: {accepted}; left out: {rejected}; registered before, or no group: {skipped}.",
        accepted=made.rows.accepted,
        rejected=made.rows.rejected,
        skipped=made.rows.skipped,
    )
    return Gone("/chats", done)


async def show_text(desk: Desk) -> Shown:
    """By which text the liaison is told of groups without an owner."""
    chosen = await desk.get(groups.get_group_text)
    query = TemplatesQuery(department_id=desk.user.department_id, limit=500)
    found = await desk.get(templates.list_templates, query=query)
    options = [
        (str(one.id), one.name)
        for one in found.items
        if one.message_class == "service" and one.approved_by is not None
    ]
    none = ("", desk.language.say(phrase("none: nobody is told")))
    return Shown("relays/group_text.html", {
        "chosen": chosen,
        "options": [none, *options],
        **_words(desk),
    })  # fmt: skip


async def choose_text(desk: Desk) -> Gone:
    """Choose that text."""
    given = {} if desk.typed("template_id") else {"template_id": None}
    body = body_of(GroupTextBody, desk.form, given=given)
    await desk.act(groups.choose_group_text, body=body)
    return Gone("/chats/text", phrase("Saved."))


def _words(desk: Desk) -> dict[str, Any]:
    kinds = {code: desk.language.say(word) for code, word in KINDS.items()}
    return {
        "kinds": kinds,
        "kind_options": list(kinds.items()),
        "may_keep": desk.may(Right.IMPORT),
    }
