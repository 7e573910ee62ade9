"""Service texts of an approved template to persons of a department, as any service text is sent:
send hours, suppressions, caps, quotas, holds and the pace of channels are those of every such text.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import bare
from service.audience.numbers.prefix_store import prefixes_of
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.crypto import Keyring, Undecipherable
from service.dispatch.direct import direct, direct_bounds_store, direct_store
from service.dispatch.direct.direct_people import DirectPeople, DirectPerson
from service.dispatch.direct.direct_send import routed
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.direct.direct_values import GivenText
from service.errors import Conflict, Invalid
from service.ledger.message_class import NOTICE
from service.messages.lint.lint_store import policy_get, sender_get
from service.messages.lint.never_words import first_in
from service.messages.policy import for_unread_words
from service.messages.signature import head
from service.messages.template import MAX_VALUE, variables
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

VALIDITY = timedelta(hours=24)
"""How long a text may wait to be handed off."""


class TextOf(NamedTuple):
    """A text that two persons stand for: whose it is, of which version, and in whose name it is
    sent.
    """

    department_id: UUID
    version_id: UUID
    text: str
    sent_by: UUID


class TextRecipient(NamedTuple):
    """Somebody to whom a text goes, with the values of its variables. instead: words of ours for
    values that people have typed, if lint finds fault with those: a group may be called as no text
    may call it, and its owner gets the text all the same.
    """

    phone_hash: bytes
    phone_cipher: bytes
    values: Mapping[str, str]
    instead: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TextsSent:
    """What became of a text to some persons: by the hash of the phone, its number in the run, or
    why there is none, as a code. channels: those that have work now.
    """

    run_id: UUID | None = None
    numbers: Mapping[bytes, int] = field(default_factory=dict)
    left_out: Mapping[bytes, str] = field(default_factory=dict)
    channels: Sequence[int] = ()


def check_variables(text: str, known: Sequence[str], field_name: str) -> None:
    """Refuse a text with a variable for which nothing is known.

    Raises:
        Invalid: names them.
    """
    if unknown := sorted(set(variables(text)) - set(known)):
        raise Invalid.at(
            field_name,
            phrase(
                "nothing is known here for {unknown}; such a text has {known} alone",
                unknown=listing(unknown),
                known=listing(known),
            ),
        )


def shortened(value: str) -> str:
    """A value in the length that a text has room for."""
    return value if len(value) <= MAX_VALUE else value[: MAX_VALUE - 1] + "…"


async def given_text(conn: Connection, department_id: UUID, text: str) -> GivenText:
    """A text of a department, to look at the values that are given for it."""
    policy = await policy_get(conn)
    sender = await sender_get(conn, department_id, head(text).strip("【】"))
    return GivenText(text, department_id, sender, for_unread_words(policy))


async def send(
    conn: Connection, keyring: Keyring, text: TextOf, people: Sequence[TextRecipient], now: datetime
) -> TextsSent:
    """Write the run of a text to these persons, each once; in the transaction of whatever must not
    happen twice.

    Raises:
        Conflict: nobody may get it: it has a word that must not be used any more, or its department
            may send no such texts.
    """
    recipients, left_out = await _sorted_out(conn, keyring, text, people, now)
    if not recipients:
        return TextsSent(left_out=left_out)
    started = await direct.start(conn, _run(text, recipients, now), recipients, now)
    left_out |= started.left_out
    return TextsSent(started.run_id, started.numbers, left_out, sorted(started.channels))


async def left_out_of(
    conn: Connection, keyring: Keyring, text: TextOf, people: Sequence[TextRecipient], now: datetime
) -> dict[bytes, str]:
    """Who of these persons would not get a text that is sent now, and why, by the same rule; reads
    alone. Raises as `send`.
    """
    recipients, left_out = await _sorted_out(conn, keyring, text, people, now)
    if recipients:
        left_out |= await direct_store.left_out_of(
            conn, _run(text, recipients, now), recipients, now
        )
    return left_out


async def _sorted_out(
    conn: Connection, keyring: Keyring, text: TextOf, people: Sequence[TextRecipient], now: datetime
) -> tuple[list[Recipient], dict[bytes, str]]:
    """Who can be written to, with the way there, and who cannot, before the ledger asks."""
    if first_in(text.text, (await policy_get(conn)).never_words):
        raise Conflict(
            phrase("the text has a word that must never be used now"), code="text_blocked"
        )
    given = await given_text(conn, text.department_id, text.text)
    named, left_out = await asyncio.to_thread(_named, keyring, given, people)
    terms = await direct_bounds_store.read_terms(
        conn,
        text.department_id,
        text.department_id,
        now - VALIDITY,
        bare(head(text.text)),
        list(named),
        now,
    )
    if NOTICE not in terms.permits.classes or terms.lent:
        raise Conflict(
            phrase("the department may not send service texts under this signature"),
            code="class_not_allowed",
        )
    if not named:
        return [], left_out
    return routed(keyring, await prefixes_of(conn, terms.block_table), terms, named), left_out


def _run(text: TextOf, recipients: Sequence[Recipient], now: datetime) -> NewRun:
    return NewRun(
        kind="direct",
        department_id=text.department_id,
        message_class=NOTICE,
        priority="normal",
        text=text.text,
        channels=sorted({one.channel_id for one in recipients if one.channel_id is not None}),
        send_hours=DEFAULT_HOURS,
        timezone=DEFAULT_TIMEZONE,
        valid_until=now + VALIDITY,
        sent_by=text.sent_by,
        template_version_id=text.version_id,
    )


def _named(
    keyring: Keyring, given: GivenText, people: Sequence[TextRecipient]
) -> tuple[DirectPeople, dict[bytes, str]]:
    """Who can be written to with which values, and who cannot; for a thread."""
    named: DirectPeople = {}
    left_out: dict[bytes, str] = {}
    for place, one in enumerate(people):
        try:
            phone = keyring.decrypt("phone", one.phone_cipher)
            values = fitting(given, one)
        except Undecipherable:
            left_out[one.phone_hash] = "unreadable"
            continue
        except Invalid:
            left_out[one.phone_hash] = "bad_values"
            continue
        written = json.dumps(values, ensure_ascii=False) if given.wanted else None
        named[one.phone_hash] = DirectPerson(place, phone, written)
    return named, left_out


def fitting(given: GivenText, one: TextRecipient) -> dict[str, str]:
    """The values of a person's text.

    Raises:
        Invalid: lint finds fault with them, also with words of ours in the place of typed ones.
    """
    values = {name: one.values.get(name, "") for name in given.wanted}
    try:
        given.check(values)
    except Invalid:
        values |= {name: one.instead[name] for name in given.wanted if name in one.instead}
        given.check(values)
    return values
