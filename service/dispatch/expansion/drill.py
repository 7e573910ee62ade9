"""Drills: a campaign in which everything is real but the channel and the numbers.

It goes over simulated channels alone. Those take nobody's number (invariant I12), so each person of
the ledger is given one of nobody's in place of the own, and a name of as many characters where the
text has one; who it was stands nowhere in it, only the carrier, the area and the roles, by which a
drill is counted. So an erasure, which goes by numbers, leaves nobody's name behind in a drill. It
touches no real person's cap, uncertain text or history.
"""

import uuid

from service.crypto import Keyring
from service.dispatch.expansion import expand_store
from service.dispatch.expansion.expansion_notes import ExpansionNotes
from service.errors import Invalid
from service.storage.postgres import Connection
from service.words.phrase import phrase

FIRST_STAND_IN = 19790000000
"""The first national number of a synthetic range of ten million (see `audience.prefix`)."""

MOST_PEOPLE = 10_000_000
BATCH_ROWS = 5_000


async def stand_in(
    conn: Connection,
    keyring: Keyring | None,
    run_id: uuid.UUID,
    rows: range,
    notes: ExpansionNotes,
) -> None:
    """Give these rows of a drill's new ledger numbers and names of nobody's, in the transaction
    that writes them.

    Raises:
        Invalid: there are more people than such numbers.
    """
    if keyring is None:
        raise ValueError("a drill's ledger needs the keyring")
    if rows.stop > MOST_PEOPLE + 1:
        raise Invalid(
            phrase(
                "a drill has at most {most_people} people; narrow the rule", most_people=MOST_PEOPLE
            )
        )
    for first in range(0, len(rows), BATCH_ROWS):
        numbers = rows[first : first + BATCH_ROWS]
        await expand_store.replace_phones(conn, run_id, [_stand_in(keyring, no) for no in numbers])
        names = await expand_store.names_between(conn, run_id, numbers[0], numbers[-1])
        await expand_store.replace_names(
            conn, run_id, [(no, _nobodys_name(keyring, cipher)) for no, cipher in names]
        )
        await notes.tell(first + len(numbers), len(rows))


def _stand_in(keyring: Keyring, no: int) -> tuple[int, bytes, bytes]:
    phone = f"+86{FIRST_STAND_IN + no - 1}"
    return no, keyring.phone_index(phone), keyring.encrypt("phone", phone)


def _nobodys_name(keyring: Keyring, cipher: bytes) -> bytes:
    return keyring.encrypt("name", nobodys(keyring.decrypt("name", cipher)))


def nobodys(value: str) -> str:
    """A name or value that takes as much room in a text: as many letters, or as many units of
    UTF-16.
    """
    units = ("x" if char.isascii() else "某" * (1 + (ord(char) > 0xFFFF)) for char in value)
    return "".join(units)
