"""Whom a direct send names, and who of them can be written to with the values that were given."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from service.audience.numbers.number import parse_phone
from service.crypto import Keyring
from service.dispatch.direct.direct_values import GivenText
from service.errors import Invalid
from service.storage.postgres import Connection, limit_pauses
from service.words.phrase import phrase

LINT_SECONDS = 5.0
"""How much time of a processor lint may take over the values of one direct send."""
LONGEST_PAUSE_SECONDS = 60.0
"""How long its connection may wait meanwhile, on a busy machine."""


@dataclass(frozen=True, slots=True)
class Named:
    """A recipient as the caller wrote it."""

    phone: str
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefusedRecipient:
    """A recipient who is not written to: its place in the list from 0, a code, and a sentence."""

    index: int
    reason: str
    message: str


class DirectPerson(NamedTuple):
    """Somebody who can be written to: the place in the caller's list, the number in E.164, and the
    values of the text's variables as JSON, if it has any.
    """

    place: int
    phone: str
    values: str | None


DirectPeople = dict[bytes, DirectPerson]
"""By the hash of the phone."""


class DirectNumber(NamedTuple):
    """A number in E.164, and its hash."""

    phone: str
    phone_hash: bytes


def read_direct_number(keyring: Keyring, index: int, written: str) -> DirectNumber | Invalid:
    """The number at a place in the list, or why it is none."""
    try:
        phone = parse_phone(written, field=f"to.{index}")
    except Invalid as error:
        return error
    return DirectNumber(phone, keyring.phone_index(phone))


async def sort_out(
    conn: Connection,
    given: GivenText,
    numbers: Sequence[DirectNumber | Invalid],
    named: Sequence[Named],
) -> tuple[DirectPeople, list[RefusedRecipient]]:
    """Who can be written to, and who cannot, in the caller's order.

    Raises:
        Invalid: code `takes_too_long`: there are more values than lint can look at in time.
    """
    if not given.wanted:
        return _sorted_out(given, numbers, named)
    await limit_pauses(conn, LONGEST_PAUSE_SECONDS)
    return await asyncio.to_thread(_sorted_out, given, numbers, named)


def _sorted_out(
    given: GivenText, numbers: Sequence[DirectNumber | Invalid], named: Sequence[Named]
) -> tuple[DirectPeople, list[RefusedRecipient]]:
    """As `sort_out`; with values, for a thread."""
    ends_at = time.thread_time() + LINT_SECONDS
    people: DirectPeople = {}
    refused: list[RefusedRecipient] = []
    for index, (one, number) in enumerate(zip(named, numbers, strict=True)):
        if given.wanted and time.thread_time() > ends_at:
            problem = phrase(
                "their values take too long to check; send to at most {count} at once", count=index
            )
            raise Invalid(
                phrase("to: {problem}", problem=problem),
                fields={"to": problem},
                code="takes_too_long",
            )
        if isinstance(number, Invalid):
            refused.append(RefusedRecipient(index, number.code, number.message))
            continue
        try:
            given.check(one.values)
        except Invalid as error:
            refused.append(RefusedRecipient(index, error.code, error.message))
            continue
        phone, phone_hash = number
        if phone_hash in people:
            first = people[phone_hash].place
            refused.append(
                RefusedRecipient(
                    index, "duplicate", phrase("the same number as to.{first}", first=first)
                )
            )
            continue
        values = json.dumps(dict(one.values), ensure_ascii=False) if given.wanted else None
        people[phone_hash] = DirectPerson(index, phone, values)
    return people, refused
