"""Posts of a list on pages: who has each, handed over with its form, and who had it."""

from urllib.parse import urlencode

from service.accounts.people.model import Right
from service.api.http.downloads import MadeFile
from service.api.relays import posts
from service.api.relays.group_files import HandOverFormBody
from service.api.relays.posts import PostHandOverBody, PostOut, PostQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.names import names_of
from service.console.people import words
from service.console.people.lists import address_of
from service.console.render import Gone, Shown
from service.errors import NotFound
from service.words.phrase import phrase

STATES = {
    "held": phrase("handed over"),
    "listed": phrase("as the list says"),
    "vacant": phrase("nobody: off the list"),
    "named_anew": phrase("the list names somebody else"),
    "shared": phrase("the list names several"),
}


async def show_posts(desk: Desk) -> Shown:
    """The posts of a list, and who has each."""
    name = desk.path("name")
    found = await desk.get(posts.list_posts, name=name, query=PostQuery())
    return Shown("people/posts.html", {
        "name": name,
        "address": address_of(name),
        "items": [(one, _address(name, one.role, one.unit)) for one in found.items],
        "more": found.more,
        "states": STATES,
        "roles": words.ROLES,
    })  # fmt: skip


async def show_post(desk: Desk) -> Shown:
    """One: who has it, the form to hand it over, and who had it."""
    name = desk.path("name")
    asked = desk.request.query
    # After a refusal the form says which post it is about.
    which = {part: desk.typed(part) or asked.get(part, "") for part in ("role", "unit")}
    query = made_of(PostQuery, {part: said for part, said in which.items() if said})
    if query.role is None or query.unit is None:
        raise NotFound(phrase("there is nothing at this address"))
    items = (await desk.get(posts.list_posts, name=name, query=query)).items
    if not items:
        raise NotFound(phrase("there is nothing at this address"))
    found: PostOut = items[0]
    history = []
    if found.id is not None:
        had = await desk.get(posts.list_post_history, name=name, post_id=found.id)
        history = had.items
    return Shown("people/post.html", {
        "name": name,
        "address": address_of(name),
        "found": found,
        "history": history,
        "names": await names_of(desk, [one.set_by for one in history]),
        "states": STATES,
        "roles": words.ROLES,
        "may_keep": desk.may(Right.IMPORT),
    })  # fmt: skip


async def hand_over(desk: Desk) -> Gone:
    """Give a post to another person."""
    name = desk.path("name")
    body = body_of(PostHandOverBody, desk.form)
    made = await desk.act(posts.hand_over_post, name=name, body=body)
    done = phrase("Handed over. Take the form, and have both sign it.")
    return Gone(_address(name, made.role, made.unit), done)


async def take_form(desk: Desk) -> MadeFile:
    """The form of a hand-over, to sign."""
    typed = desk.path("no")
    if not (typed.isascii() and typed.isdecimal() and len(typed) < len("1000000")):
        raise NotFound(phrase("there is nothing at this address"))
    body = body_of(HandOverFormBody, desk.form, given={"language": desk.language.code})
    return await desk.take(
        posts.take_post_form,
        name=desk.path("name"),
        post_id=desk.uuid("post_id"),
        no=int(typed),
        body=body,
    )


def _address(name: str, role: str, unit: str) -> str:
    return f"{address_of(name)}/post?{urlencode({'role': role, 'unit': unit})}"
