"""Linking an account to a person of the provider: proposed by one, confirmed by another.

Whoever links an account to an identity of their own could be its user, and so the second person to
what they did themselves; so it is as with a password that somebody gives (`login.passwords`). A
link makes no account, and gives no right.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.login import session_store
from service.accounts.people import store
from service.accounts.people.model import User
from service.accounts.people.second_person import need_second_person
from service.accounts.sign_in import link_store
from service.accounts.sign_in.link_store import SignInLink
from service.crypto import Keyring
from service.errors import Conflict
from service.storage.postgres import Connection
from service.words.phrase import phrase

WAITS = timedelta(hours=72)
"""How long a link waits for its second person."""
SUBJECT = "sign_in_subject"
"""The kind of field that subjects are encrypted and hashed as."""


def subject_hash(keyring: Keyring, issuer: str, subject: str) -> bytes:
    """What a subject of an issuer is found by."""
    return keyring.index(SUBJECT, f"{issuer}\n{subject}")


async def show(conn: Connection, actor: User, user_id: UUID) -> Sequence[SignInLink]:
    """The links of a user whom the actor manages: the one that counts, the one that waits.

    Raises:
        NotFound: there is none of this id in the actor's scope.
    """
    await store.get_user(conn, user_id, actor.scope)
    return await link_store.list_links(conn, user_id)


async def propose(
    conn: Connection,
    keyring: Keyring,
    actor: User,
    user_id: UUID,
    subject: tuple[str, str],
    now: datetime,
) -> None:
    """Propose whom of the provider's persons a user is. subject: the issuer, and its name for them.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the user has rights that the actor has not.
    """
    user = await store.get_user(conn, user_id, actor.scope, lock=True)
    actor.may_grant(user.roles, user.rights)
    stored = subject_hash(keyring, *subject), keyring.encrypt(SUBJECT, subject[1])
    await link_store.propose_link(conn, user_id, subject[0], stored, actor.id, now)


async def confirm(conn: Connection, actor: User, user_id: UUID, now: datetime) -> None:
    """Let a proposed link count, as the second person; the user's sessions end.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the actor counts as who proposed it, or the user has rights that the actor has
            not.
        Conflict: none waits (any more), or the provider's person has another account.
    """
    user = await store.get_user(conn, user_id, actor.scope, lock=True)
    actor.may_grant(user.roles, user.rights)
    links = await link_store.list_links(conn, user_id)
    waiting = [
        link for link in links if link.confirmed_at is None and now - link.proposed_at < WAITS
    ]
    if not waiting:
        raise Conflict(phrase("no link waits to be confirmed; propose one"), code="wrong_state")
    (link,) = waiting
    hands: dict[UUID | None, str] = {link.proposed_by: phrase("proposed this link")}
    await need_second_person(conn, actor, hands, phrase("confirm it"), now)
    await link_store.confirm_link(conn, link, actor.id, now)
    await session_store.revoke_sessions(conn, user_id, now)


async def end(conn: Connection, actor: User, user_id: UUID, now: datetime) -> None:
    """Take a user's links away; the user's sessions end.

    Raises:
        NotFound: there is none of this id in the actor's scope.
        Forbidden: the user has rights that the actor has not.
    """
    user = await store.get_user(conn, user_id, actor.scope, lock=True)
    actor.may_grant(user.roles, user.rights)
    await link_store.end_links(conn, user_id, now)
    await session_store.revoke_sessions(conn, user_id, now)
