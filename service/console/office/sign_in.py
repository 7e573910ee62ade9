"""Whom of the single sign-on provider's persons a user is: proposed, confirmed, taken away."""

from service.api.accounts import sign_in_links, users
from service.api.accounts.sign_in_links import SubjectBody
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.words.phrase import phrase


async def show_link(desk: Desk) -> Shown:
    """The link that counts, the one that waits, and the form for another."""
    user_id = desk.uuid("user_id")
    user = await desk.get(users.get_user, user_id=user_id)
    found = await desk.get(sign_in_links.get_links, user_id=user_id)
    hands = [hand for link in found.items for hand in (link.proposed_by, link.confirmed_by)]
    told = {"user": user, "links": found, "names": await names_of(desk, hands)}
    return Shown("office/user_sign_in.html", told)


async def propose_link(desk: Desk) -> Gone:
    """Propose whom of the provider's persons the user is."""
    user_id = desk.uuid("user_id")
    body = body_of(SubjectBody, desk.form)
    await desk.act(sign_in_links.propose_link, user_id=user_id, body=body)
    done = phrase("Proposed. It counts once another administrator confirms it.")
    return Gone(_page(user_id), done)


async def confirm_link(desk: Desk) -> Gone:
    """Let it count, as the second person."""
    user_id = desk.uuid("user_id")
    await desk.act(sign_in_links.confirm_link, user_id=user_id)
    return Gone(_page(user_id), phrase("The link counts now; the user's sessions have ended."))


async def end_links(desk: Desk) -> Gone:
    """Take it away."""
    user_id = desk.uuid("user_id")
    await desk.act(sign_in_links.end_links, user_id=user_id)
    return Gone(_page(user_id), phrase("The link is gone; the user's sessions have ended."))


def _page(user_id: object) -> str:
    return f"/office/users/{user_id}/sign-in"
