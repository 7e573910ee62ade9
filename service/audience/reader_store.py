"""Those who would read a text, for a look at what they would read: at random, and by long names.

Names are enciphered. A cipher is as much longer than its text as any other, so the database can
order people by the octets of their names without a name being read.
"""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.audience.segment_sql import Compiled
from service.audience.segment_store import shown
from service.storage.postgres import Connection, Record


class Readers(NamedTuple):
    """Whom a rule means, and a text of a class would reach, at the moment."""

    department_id: UUID
    condition: Compiled
    message_class: str
    now: datetime

    @property
    def parameters(self) -> list[object]:
        """What the statement of `shown` takes."""
        return [self.department_id, self.now, self.message_class, *self.condition.parameters]


async def some_readers(conn: Connection, readers: Readers, limit: int) -> list[Record]:
    """A few of them at random: phone_cipher, name_cipher, area_code."""
    return await conn.fetch(
        f"""
        SELECT c.phone_cipher, c.name_cipher, c.area_code {shown(readers.condition)}
        ORDER BY random() LIMIT {limit:d}
        """,  # compiled from a parsed rule, whose values are parameters
        *readers.parameters,
    )


async def by_length_of_name(
    conn: Connection, readers: Readers, limit: int, *, skip: int = 0
) -> list[Record]:
    """Those with the most octets in their names first: as above, with those octets."""
    return await conn.fetch(
        f"""
        SELECT c.phone_cipher, c.name_cipher, c.area_code, octet_length(c.name_cipher) AS octets
        {shown(readers.condition)} AND c.name_cipher IS NOT NULL
        ORDER BY octet_length(c.name_cipher) DESC, c.phone_hash LIMIT {limit:d} OFFSET {skip:d}
        """,  # compiled from a parsed rule, whose values are parameters
        *readers.parameters,
    )


async def areas_of(conn: Connection, readers: Readers) -> list[Record]:
    """Every area in which they are, with how many are there and how many have no name."""
    return await conn.fetch(
        f"""
        SELECT c.area_code, count(*) AS people,
               count(*) FILTER (WHERE c.name_cipher IS NULL) AS nameless
        {shown(readers.condition)} GROUP BY 1
        """,  # compiled from a parsed rule, whose values are parameters
        *readers.parameters,
    )
