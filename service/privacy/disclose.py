"""Seeing data in full, and everything that is kept about one number: for a reason, and noted."""

from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from service.accounts.people.model import By, User
from service.crypto import Keyring
from service.delivery.receipts.unmatched_store import OCTETS
from service.errors import Conflict, NotFound
from service.ledger.message_id import message_id
from service.privacy import store
from service.privacy.lookups import REASON, note_lookup
from service.privacy.store import Disclosure
from service.storage.postgres import Connection, Record
from service.words.phrase import phrase
from service.words.terms import term


@dataclass(frozen=True, slots=True)
class Unmasked:
    """A person in full, and the id under which it is noted that somebody saw it. wechat: of a
    contact, the WeChat IDs that its lists say.
    """

    disclosure_id: UUID
    phone: str
    name: str | None
    wechat: tuple[str, ...] = ()


async def unmask_contact(
    conn: Connection, keyring: Keyring, user: User, contact_id: UUID, by: By
) -> Unmasked:
    """A contact in full.

    Raises:
        NotFound: there is none of this id in the caller's scope.
        Conflict: it is of somebody under 18.
    """
    row = await store.find_contact(conn, contact_id, user.scope)
    seen = await _unmask(conn, keyring, user, ("contact", str(contact_id)), row, by)
    said = [
        keyring.decrypt("wechat", cipher)
        for cipher in await store.list_wechat_ciphers(conn, contact_id)
    ]
    return replace(seen, wechat=tuple(dict.fromkeys(said)))


async def unmask_message(
    conn: Connection, keyring: Keyring, user: User, message: tuple[UUID, int], by: By
) -> Unmasked:
    """The recipient of a message in full; `message` is its run and number.

    Raises:
        NotFound: there is none in the caller's scope.
        Conflict: the person was erased or is under 18, or the number is not kept any more.
    """
    run_id, no = message
    row = await store.find_message(conn, run_id, no, user.scope)
    return await _unmask(conn, keyring, user, ("message", message_id(run_id, no)), row, by)


async def unmask_inbound(
    conn: Connection, keyring: Keyring, user: User, text_id: UUID, by: By
) -> Unmasked:
    """The sender of a text in full, of whatever age: somebody may need help; raises as
    `unmask_message`.
    """
    row = await store.find_inbound(conn, text_id, user.scope)
    return await _unmask(conn, keyring, user, ("inbound", str(text_id)), row, by)


async def unmask_octets(
    conn: Connection, keyring: Keyring, user: User, receipt_id: int, by: By
) -> tuple[UUID, bytes]:
    """The octets of a delivery that could not be read, and the id under which this is noted.

    They are of no known department, so only who sees all departments sees them.

    Raises:
        NotFound: nothing unreadable of this id is kept, or the caller does not see it.
    """
    cipher = await store.find_octets(conn, receipt_id) if user.scope is None else None
    if cipher is None:
        raise NotFound(phrase("there is no unreadable receipt {receipt_id}", receipt_id=receipt_id))
    reason = keyring.encrypt(REASON, by.reason)
    new = Disclosure(
        "receipt", str(receipt_id), None, user.department_id, user.id, reason, by.at, None
    )
    return await store.insert_disclosure(conn, new), keyring.decrypt_bytes(OCTETS, cipher)


async def _unmask(
    conn: Connection,
    keyring: Keyring,
    user: User,
    what: tuple[str, str],
    row: Record | None,
    by: By,
) -> Unmasked:
    kind, object_id = what
    if row is None:
        raise NotFound(phrase("there is no {kind} {id}", kind=term(kind), id=object_id))
    if row["erased"]:
        raise Conflict(
            phrase("this person was erased: nobody sees the number any more"), code="erased"
        )
    if row["minor"]:
        raise Conflict(
            phrase(
                "this person is 14 to 17 years old, and shown to nobody in full; ask the"
                " school or the guardian"
            ),
            code="minor_masked",
        )
    if row["phone_cipher"] is None:
        raise Conflict(
            phrase("the number is not kept any more, only that it was there"), code="not_kept"
        )
    new = Disclosure(
        kind,
        object_id,
        row["phone_hash"],
        user.department_id,
        user.id,
        keyring.encrypt(REASON, by.reason),
        by.at,
        row["department_id"] or user.department_id,  # of no department: the county's
    )
    name = row["name_cipher"]
    return Unmasked(
        await store.insert_disclosure(conn, new),
        keyring.decrypt("phone", row["phone_cipher"]),
        keyring.decrypt("name", name) if name is not None else None,
    )


async def look_up(
    conn: Connection, keyring: Keyring, user: User, phone: str, by: By, most: int
) -> dict[str, Any]:
    """Everything that is kept about a number (E.164) in what the caller sees; `most` and what is
    raised are those of `note_lookup`.
    """
    phone_hash, scope = keyring.phone_index(phone), user.scope
    seen = await store.list_disclosures(conn, phone_hash, scope)
    disclosure_id = await note_lookup(conn, keyring, user, (phone_hash, scope), by, most)
    messages = await store.list_messages(conn, phone_hash, scope)
    return {
        "disclosure_id": disclosure_id,
        "contacts": _people(await store.list_memberships(conn, phone_hash, scope)),
        "messages": _dicts(messages[: store.MOST_MESSAGES]),
        "more_messages": len(messages) > store.MOST_MESSAGES,
        "guests": _dicts(await store.list_guests(conn, phone_hash, scope)),
        "visits": _dicts(await store.list_visits(conn, phone_hash, scope)),
        "number_corrections": _dicts(await store.list_corrections(conn, phone_hash, scope)),
        "duties": _dicts(await store.list_duties(conn, phone_hash, scope)),
        "suppressions": _dicts(await store.list_suppressions(conn, phone_hash, scope)),
        "inbound_texts": await store.count_inbound(conn, phone_hash, scope),
        "disclosures": [
            {**row, "reason": keyring.decrypt(REASON, row["reason_cipher"])} for row in seen
        ],
        "erasures": _dicts(await store.list_erasures(conn, phone_hash, scope)),
    }


def _people(rows: list[Record]) -> list[dict[str, Any]]:
    people: dict[UUID, dict[str, Any]] = {}
    for row in rows:
        person = people.setdefault(row["contact_id"], {**row, "rosters": []})
        if row["roster_id"] is not None:
            person["rosters"].append(dict(row))
    return list(people.values())


def _dicts(rows: list[Record]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]
