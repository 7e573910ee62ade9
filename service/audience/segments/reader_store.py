"""Those who would read a text, for a look at what they would read: at random, and by long names.

Names are enciphered. A cipher is as much longer than its text as any other, so the database can
order people by the octets of their names without a name being read.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.audience.segments.segment_sql import Compiled
from service.audience.segments.segment_store import reached, shown
from service.storage import sql
from service.storage.postgres import Connection, Record


class Readers(NamedTuple):
    """Whom a rule means, and a text of a class would reach, at the moment."""

    department_id: UUID
    condition: Compiled
    message_class: str
    now: datetime

    @property
    def values(self) -> dict[str, Any]:
        """The parameters of `shown`."""
        return {
            "department_id": self.department_id,
            "now": self.now,
            "message_class": self.message_class,
            **self.condition.values,
        }


async def some_readers(conn: Connection, readers: Readers, limit: int) -> list[Record]:
    """A few of them at random: phone_cipher, name_cipher, area_code."""
    return await sql.fetch(
        conn,
        f"""
        SELECT c.phone_cipher, c.name_cipher, c.area_code {shown(readers.condition)}
        ORDER BY random() LIMIT {limit:d}
        """,  # compiled from a parsed rule, whose values are parameters
        **readers.values,
    )


class Extremes(NamedTuple):
    """What the values of a text are between.

    areas: every area_code in which people are, with how many (people) and how many of them have no
        name (nameless).
    by_name: those with the most octets in their names, most first: phone_cipher, name_cipher,
        area_code, octets. by_place: a few in the places with the longest names, the same of them.
    """

    areas: list[Record]
    by_name: list[Record]
    by_place: list[Record]


async def extremes_of(
    conn: Connection,
    readers: Readers,
    places: Mapping[str, int],
    *,
    most: int,
    few: int,
    only_shown: bool,
) -> Extremes:
    """Look for the longest and the missing values of all of them, in one statement.

    places: the length of the name of each area. most: how many by name; few: by place.
    only_shown: of those alone who may be shown; else of all whom the text would reach.
    """
    source = (shown if only_shown else reached)(readers.condition)
    rows = await sql.fetch(
        conn,
        f"""
        WITH people AS MATERIALIZED (
            SELECT c.phone_hash, c.phone_cipher, c.name_cipher, c.area_code,
                   octet_length(c.name_cipher) AS octets
            {source}
        ), places AS (
            SELECT *
            FROM unnest(:area_codes::text[], :characters::int[]) AS w(area_code, characters)
        )
        SELECT 'area' AS of, area_code, count(*) AS people,
               count(*) FILTER (WHERE octets IS NULL) AS nameless,
               NULL::bytea AS phone_cipher, NULL::bytea AS name_cipher, NULL::int AS octets
        FROM people GROUP BY area_code
        UNION ALL
        (SELECT 'name', area_code, NULL, NULL, phone_cipher, name_cipher, octets
         FROM people WHERE octets IS NOT NULL ORDER BY octets DESC, phone_hash LIMIT {most:d})
        UNION ALL
        (SELECT 'place', area_code, NULL, NULL, phone_cipher, name_cipher, octets
         FROM people JOIN places USING (area_code)
         ORDER BY characters DESC, octets DESC NULLS LAST, phone_hash LIMIT {few:d})
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **readers.values,
        area_codes=list(places),
        characters=list(places.values()),
    )
    kinds = ([row for row in rows if row["of"] == kind] for kind in ("area", "name", "place"))
    return Extremes(*kinds)
