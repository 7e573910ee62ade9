"""Wordings of approved texts: made by the program, edited by a person, approved by a second one.

What the program makes has the words of the text, which a second person approved, and needs nobody
more. What a person edits may say something else: if its words are no longer those of the text, it
is read by lint and approved by somebody who neither wrote it nor the text.
"""

from collections.abc import Collection
from datetime import datetime
from typing import cast
from uuid import UUID

from service.accounts.people.model import Right, User
from service.accounts.people.second_person import need_second_person
from service.clock import CHINA
from service.errors import Conflict, Invalid, NotFound
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import Finding
from service.messages.lint.verdict import judge
from service.messages.offers.withdrawal import check_words_stand
from service.messages.signature import head
from service.messages.text_approval import check_read, check_unblocked
from service.messages.wordings import store
from service.messages.wordings.store import StoredWording, WordedText
from service.messages.wordings.wording import (
    LED_WIDTH,
    ROOM,
    WordingFrame,
    WordingKind,
    broken,
    has_same_words,
    make,
)
from service.storage.postgres import Connection
from service.words.phrase import phrase

MOST_CHARACTERS = 1_000
"""The longest edited wording: a text twice, as a loudspeaker has it."""


async def get_text(conn: Connection, user: User, template_id: UUID, no: int) -> WordedText:
    """A version of a template in the user's scope.

    Raises:
        NotFound: there is none.
    """
    found = await store.find_text(conn, template_id, no, user.scope)
    if found is None:
        raise NotFound(
            phrase(
                "template {template_id} has no version {no}, or is another department's",
                template_id=template_id,
                no=no,
            )
        )
    return found


async def add(
    conn: Connection,
    user: User,
    template_id: UUID,
    no: int,
    kind: WordingKind,
    now: datetime,
    *,
    edited: str | None = None,
    width: int = LED_WIDTH,
) -> StoredWording:
    """Make a wording of an approved version, or take one that a person has edited.

    Raises:
        NotFound: there is no such version in the user's scope.
        Conflict: nobody has approved the version.
        TextWithdrawn: its words were withdrawn.
        WordingRefused: the text has no wording of this kind.
        Invalid: what was edited is blank, or too long for its kind.
    """
    text = await get_text(conn, user, template_id, no)
    if text.approved_at is None:
        raise Conflict(
            phrase(
                "version {no} of this text is not approved; have a second person approve it, and"
                " make its wordings then",
                no=no,
            ),
            code="text_not_approved",
        )
    await check_words_stand(conn, [text.version_id])
    frame = frame_of(text, now)
    lint: list[Finding] = []
    if edited is None:
        made = make(kind, text.text, frame, width=width)
        words = made.text, made.seconds, True
    else:
        said = _checked(kind, edited, width)
        same = has_same_words(said, kind, text.text, frame)
        words = said, None, same
        if not same:
            lint = await _judged(conn, text, said)
    await store.give_number(conn, template_id)
    return await store.add_wording(conn, text.version_id, kind, words, lint, user.id, now)


def frame_of(text: WordedText, now: datetime) -> WordingFrame:
    """What is around the words of a text today."""
    return WordingFrame(text.department, now.astimezone(CHINA).date(), text.language)


def _checked(kind: WordingKind, edited: str, width: int) -> str:
    said = "\n".join(line.rstrip() for line in edited.strip().splitlines())
    most = ROOM.get(kind, MOST_CHARACTERS)
    if not said:
        raise Invalid.at("text", phrase("write what it is to say"))
    if len(said) > most:
        raise Invalid.at("text", phrase("there is room for {room} characters", room=most))
    if kind == "led" and any(len(line) > width for line in said.splitlines()):
        return "\n".join(piece for line in said.splitlines() for piece in broken(line, width))
    return said


async def _judged(conn: Connection, text: WordedText, said: str) -> list[Finding]:
    """What lint says of other words, as of a text that begins with the same signature."""
    message_class = cast("MessageClass", text.message_class)
    return await judge(conn, text.department_id, head(text.text) + said, message_class)


async def approve(
    conn: Connection,
    user: User,
    template_id: UUID,
    no: int,
    wording_id: UUID,
    acknowledged: Collection[str],
    now: datetime,
) -> StoredWording:
    """Approve a wording that somebody has edited so that it says something else.

    Raises:
        NotFound: there is no such wording in the user's scope.
        Forbidden: the user may not approve, or counts as who wrote it or the text.
        Conflict: it needs no approval, or has one.
        TextBlocked, UnreadFindings: as for a text.
    """
    user.need(Right.APPROVE)
    text = await get_text(conn, user, template_id, no)
    found = await store.lock_wording(conn, text.version_id, wording_id)
    if found is None:
        raise NotFound(phrase("there is no wording {wording_id}", wording_id=wording_id))
    if found.may_be_shown:
        raise Conflict(
            phrase("this wording needs no approval: it has its text's words, or is approved"),
            code="approved_already",
        )
    hands: dict[UUID | None, str] = {text.edited_by: phrase("wrote this text")}
    hands |= {found.made_by: phrase("wrote this wording")}
    await need_second_person(conn, user, hands, phrase("approve it"), now)
    await check_words_stand(conn, [text.version_id])
    lint = await _judged(conn, text, found.text)
    check_unblocked(lint)
    check_read(lint, acknowledged)
    return await store.approve(conn, wording_id, (user.id, user.deputy_for), now)
