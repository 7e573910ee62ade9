"""Whom of the single sign-on provider's persons a user is: by two administrators."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts.sign_in import links
from service.accounts.sign_in.id_token import MOST_SUBJECT
from service.accounts.sign_in.link_store import SignInLink
from service.api.http.call import Call
from service.api.http.schema import Body, Instant, Line, Out
from service.errors import Conflict
from service.words.phrase import phrase


class SubjectBody(Body):
    """Whom the provider's name is for."""

    subject: Annotated[Line, StringConstraints(min_length=1, max_length=MOST_SUBJECT)] = Field(
        description="The provider's own name for the person: `sub` of its tokens."
    )


class SignInLinkOut(Out):
    """A link of a user to a person of the provider."""

    issuer: str
    subject: str
    state: Literal["pending", "active"] = Field(
        description="pending: it counts once a second person has confirmed it."
    )
    proposed_by: UUID
    proposed_at: Instant
    confirmed_by: UUID | None


class SignInLinksOut(Out):
    """The links of a user: the one that counts, the one that waits."""

    issuer: str | None = Field(description="The provider; null: none is set up here.")
    items: list[SignInLinkOut]


async def get_links(call: Call, user_id: UUID) -> SignInLinksOut:
    """Say whom of the provider's persons a user is."""
    found = await links.show(call.conn, call.user, user_id)
    items = [_link_out(call, link) for link in found]
    return SignInLinksOut(issuer=call.runtime.settings.sign_in_issuer, items=items)


async def propose_link(call: Call, user_id: UUID, body: SubjectBody) -> SignInLinksOut:
    """Propose whom of the provider's persons a user is; it counts once a second person confirms."""
    await links.show(call.conn, call.user, user_id)
    issuer = call.runtime.settings.sign_in_issuer
    if issuer is None:
        raise Conflict(
            phrase("no single sign-on is set up here: TOCSIN_SIGN_IN_ISSUER"), code="wrong_state"
        )
    subject = issuer, body.subject
    await links.propose(call.conn, call.runtime.keyring, call.user, user_id, subject, call.now)
    return await get_links(call, user_id)


async def confirm_link(call: Call, user_id: UUID) -> SignInLinksOut:
    """Let a proposed link count, as the second person; the user's sessions end."""
    await links.confirm(call.conn, call.user, user_id, call.now)
    return await get_links(call, user_id)


async def end_links(call: Call, user_id: UUID) -> None:
    """Take a user's links away; the user's sessions end."""
    await links.end(call.conn, call.user, user_id, call.now)


def _link_out(call: Call, link: SignInLink) -> SignInLinkOut:
    return SignInLinkOut(
        issuer=link.issuer,
        subject=call.runtime.keyring.decrypt(links.SUBJECT, link.subject_cipher),
        state="pending" if link.confirmed_at is None else "active",
        proposed_by=link.proposed_by,
        proposed_at=link.proposed_at,
        confirmed_by=link.confirmed_by,
    )
