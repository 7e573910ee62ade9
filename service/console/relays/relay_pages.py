"""Relays on pages: begun, the tree with who has not answered, ended; and who began none."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.content import templates
from service.api.content.templates import TemplatesQuery
from service.api.http.downloads import MadeFile
from service.api.http.problems import status_of
from service.api.relays import relay_document, relay_preview, relays
from service.api.relays.relay_document import RelayDocumentQuery
from service.api.relays.relay_preview import RelayLevelPreviewOut
from service.api.relays.relays import (
    BEGUN_BY,
    AlarmQuery,
    EndRelayBody,
    LevelOut,
    NodeDoneBody,
    NodeQuery,
    RelayBody,
    RelayNodeOut,
    RelayQuery,
)
from service.console.asking import Desk
from service.console.forms import body_of, instant_of
from service.console.names import departments_of, names_of
from service.console.plans.areas import AreasByName, read_area_names
from service.console.render import Gone, Shown
from service.console.words import role_word
from service.errors import Conflict, Forbidden, Invalid, NotFound
from service.ledger.reasons import words_of
from service.words.phrase import pair, phrase

STATES = {
    "waiting": ("waiting", phrase("waits for the one above")),
    "sent": ("warn", phrase("has the text, no answer")),
    "done": ("done", phrase("passed on")),
    "unreachable": ("bad", phrase("cannot be reached")),
    "silent": ("bad", phrase("silent")),
}
RELAY_STATES = {
    "going": ("run", phrase("being passed on")),
    "over": ("idle", phrase("over")),
    "cancelled": ("idle", phrase("ended")),
}
VIA = {
    "sms": phrase("by text"),
    "page": phrase("on this page"),
    "parent": phrase("the one above said so"),
}
WHY = {
    "on_no_list": phrase("on no list any more"),
    "unreadable": phrase("the number cannot be read"),
    "bad_values": phrase("the name may not stand in a text"),
    "text_blocked": phrase("the text has a word that must never be used now"),
    "class_not_allowed": phrase("the department may not send service texts under this signature"),
    "text_withdrawn": phrase("whoever offered the text has withdrawn it"),
}
TOPS = ("village_staff", "counsellor", "liaison", "grid_worker", "teacher", "property_manager")
"""Roles that a form offers for the level above the owners; the API takes any."""
FIELDS = ("text", "top", "area", "week", "due_at.day", "due_at.time")
"""Of the form with which a relay begins."""
TREE = "_tree"
"""The field with how many places each level had on the page that asked."""
MOST_NODES = 500


class TreeRow(NamedTuple):
    """A place of the tree as a row: how far it is indented."""

    node: RelayNodeOut
    depth: int


async def show_relays(desk: Desk) -> Shown:
    """All of them, the latest first."""
    query = body_of(RelayQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(relays.list_relays, query=query)
    return Shown("relays/relays.html", {
        "items": found.items,
        "next": found.next_cursor,
        "narrowed": any((query.department, query.week, query.first, query.last, query.state)),
        "more": urlencode([(n, v) for n, v in desk.request.query.items() if n != "cursor"]),
        "departments": await departments_of(desk, [one.department_id for one in found.items]),
        "tab": "relays",
        **_words(desk),
    })  # fmt: skip


async def show_alarms(desk: Desk) -> Shown:
    """Who began none by Sunday evening."""
    query = body_of(AlarmQuery, desk.request.query)
    found = await desk.get(relays.list_relay_alarms, query=query)
    return Shown("relays/alarms.html", {"found": found, "tab": "alarms", **_words(desk)})


async def show_new(desk: Desk) -> Shown:
    """The form with which a relay begins: this week, until its Sunday evening."""
    query = TemplatesQuery(department_id=desk.user.department_id, limit=500)
    found = await desk.get(templates.list_templates, query=query)
    options = [
        (f"{one.id}.{one.version}", one.name, one.text)
        for one in found.items
        if one.message_class == "service" and one.approved_by is not None
    ]
    given = {"text": options[0][0] if options else "", **_given(desk)}
    top_options = [
        *((role, role_word(role, desk.language)) for role in TOPS),
        ("", desk.language.say(phrase("none: straight to the owners of groups"))),
    ]
    return Shown("relays/relay_new.html", {
        "options": options,
        "values": {name: desk.request.query.get(name, value) for name, value in given.items()},
        "top_options": top_options,
        **_words(desk),
    })  # fmt: skip


def _given(desk: Desk) -> dict[str, str]:
    """What the fields of the form have at first, but for the text."""
    today = desk.now.date()
    year, number, weekday = today.isocalendar()
    sunday = today + timedelta(days=7 - weekday)
    if datetime.combine(sunday, BEGUN_BY, desk.zone) <= desk.now:
        sunday += timedelta(days=7)
        year, number, _ = sunday.isocalendar()
    return {
        "top": TOPS[0],
        "area": "",
        "week": f"{year}-W{number:02}",
        "due_at.day": sunday.isoformat(),
        "due_at.time": f"{BEGUN_BY:%H:%M}",
    }


async def ask(desk: Desk) -> Shown:
    """Ask before a relay begins, with what its tree has now and whom it would write to."""
    try:
        names = await read_area_names(desk) if desk.typed("area") else None
        found = await desk.get(relay_preview.preview_relay, body=_body(desk, names))
    except (Invalid, Forbidden, Conflict) as refusal:
        desk.refusal = refusal
        shown = await show_new(desk)
        return Shown(shown.template, shown.told, status_of(refusal))
    fields = {name: desk.typed(name) for name in FIELDS}
    return Shown("relays/relay_ask.html", {
        "found": found,
        "fields": {**fields, TREE: _tree_size(found.by_level)},
        "back": f"/relays/new?{urlencode(fields)}",
        "excluded": sorted(
            ((_why(desk, code), people) for code, people in found.excluded.items()),
            key=lambda one: -one[1],
        ),
        "not_known": [_why(desk, code) for code in found.not_known],
        "why": lambda code: _why(desk, code),
        **_words(desk),
    })  # fmt: skip


def _tree_size(levels: Sequence[RelayLevelPreviewOut | LevelOut]) -> str:
    """How many places each level has, as a form carries it from the page that asks."""
    return ".".join(str(level.all) for level in levels)


async def start(desk: Desk) -> Gone:
    """Begin a relay."""
    names = None
    if desk.typed("area"):
        async with desk.reading():
            names = await read_area_names(desk)
    made = await desk.act(relays.start_relay, body=_body(desk, names))
    groups = desk.language.number(made.groups)
    people = desk.language.number(sum(level.all for level in made.by_level[:-1]))
    shown = desk.form.get(TREE, "")
    changed = bool(shown) and shown != _tree_size(made.by_level)
    notice = (
        phrase(
            "It has begun with {people} people above {groups} groups: lists or groups have changed"
            " since the page that asked.",
            people=people,
            groups=groups,
        )
        if changed
        else phrase(
            "It has begun with {people} people above {groups} groups. The first level gets its text"
            " now.",
            people=people,
            groups=groups,
        )
    )
    return Gone(f"/relays/{made.id}", notice)


def _body(desk: Desk, names: AreasByName | None) -> RelayBody:
    """The relay of a form. names: of areas, where one is typed."""
    template, _, version = desk.typed("text").partition(".")
    if not version.isdecimal():
        raise Invalid.at("text", phrase("choose an approved text"))
    top = desk.typed("top")
    given: dict[str, Any] = {
        "template_id": template,
        "version": int(version),
        "levels": [*([top] if top else []), "group_owner"],
    }
    due_at = instant_of(desk.form, "due_at", desk.zone)
    if due_at is None:
        raise Invalid.at("due_at.day", phrase("say until when"))
    if names is not None:
        codes = names.codes(desk.typed("area"), "area")
        if len(codes) != 1:
            raise Invalid.at("area", phrase("name one area"))
        given["area"] = codes[0]
    return body_of(
        RelayBody,
        desk.form,
        but=("text", "top", "area", "due_at.day", "due_at.time"),
        given={**given, "due_at": due_at},
    )


async def show_relay(desk: Desk) -> Shown:
    """One: what it came to, and the tree."""
    return Shown("relays/relay.html", await _told(desk))


async def _told(desk: Desk) -> dict[str, Any]:
    relay_id = desk.uuid("relay_id")
    found = await desk.get(relays.get_relay, relay_id=relay_id)
    shown = desk.request.query.get("show", "unanswered")
    own = desk.may(Right.READ) and desk.user.sees(found.department_id)
    rows: list[TreeRow] = []
    more = None
    if own:
        given = {"limit": MOST_NODES, "unanswered": shown != "all"}
        query = body_of(
            NodeQuery, desk.request.query, but=("show", "unanswered", "limit"), given=given
        )
        page = await desk.get(relays.list_relay_nodes, relay_id=relay_id, query=query)
        rows, more = tree_rows(page.items), page.next_cursor
    going = found.state != "cancelled"
    return {
        "found": found,
        "rows": rows,
        "more": more,
        "shown": shown,
        "own": own,
        "people": await names_of(desk, [found.started_by, *(row.node.done_by for row in rows)]),
        "departments": await departments_of(desk, [found.department_id]),
        "may_tick": own and going and desk.may(Right.REPORT),
        "why": lambda code: _why(desk, code),
        **_words(desk),
    }


def tree_rows(nodes: list[RelayNodeOut]) -> list[TreeRow]:
    """Places as rows, each behind the one above it where that is among them."""
    here = {node.no for node in nodes}
    below: dict[int | None, list[RelayNodeOut]] = defaultdict(list)
    for node in nodes:
        below[node.parent_no if node.parent_no in here else None].append(node)
    rows: list[TreeRow] = []
    todo = [(node, 0) for node in reversed(below[None])]
    while todo:
        node, depth = todo.pop()
        rows.append(TreeRow(node, depth))
        todo += [(one, depth + 1) for one in reversed(below[node.no])]
    return rows


async def tick(desk: Desk) -> Gone:
    """Say that somebody has passed the text on."""
    relay_id = desk.uuid("relay_id")
    typed = desk.path("no")
    if not (typed.isascii() and typed.isdecimal() and len(typed) < len("1000000")):
        raise NotFound(phrase("there is nothing at this address"))
    body = body_of(NodeDoneBody, desk.form, but=("show",))
    await desk.act(relays.set_node_done, relay_id=relay_id, no=int(typed), body=body)
    shown = "all" if desk.form.get("show") == "all" else "unanswered"
    return Gone(f"/relays/{relay_id}?show={shown}", phrase("Written down."))


async def show_end(desk: Desk) -> Shown:
    """Ask before a relay ends before its end."""
    found = await desk.get(relays.get_relay, relay_id=desk.uuid("relay_id"))
    return Shown("relays/relay_end.html", {"found": found, **_words(desk)})


async def take_result(desk: Desk) -> MadeFile:
    """What a relay came to, as a file."""
    query = body_of(RelayDocumentQuery, desk.form, given={"language": desk.language.code})
    return await desk.take(
        relay_document.get_relay_document, relay_id=desk.uuid("relay_id"), query=query
    )


async def end(desk: Desk) -> Gone:
    """End a relay before its end."""
    relay_id = desk.uuid("relay_id")
    body = body_of(EndRelayBody, desk.form)
    await desk.act(relays.cancel_relay, relay_id=relay_id, body=body)
    return Gone(f"/relays/{relay_id}", phrase("The relay is ended. Nobody further gets its text."))


def _why(desk: Desk, code: str) -> str:
    return desk.language.say(WHY[code] if code in WHY else pair(*words_of(code)))


def _words(desk: Desk) -> dict[str, Any]:
    say = desk.language.say
    return {
        "node_states": {code: (tone, say(word)) for code, (tone, word) in STATES.items()},
        "relay_states": {code: (tone, say(word)) for code, (tone, word) in RELAY_STATES.items()},
        "via": {code: say(word) for code, word in VIA.items()},
        "role_name": lambda role: role_word(role, desk.language),
        "may_start": desk.may(Right.SEND),
    }
