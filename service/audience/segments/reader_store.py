"""Those who would read a text, for a look at what they would read: at random, and by long names.

Names are enciphered. A cipher is as much longer than its text as any other, so the database can
order people by the octets of their names without a name being read. People may be read by their
facts, which have no ciphers: those of the few who are chosen are read of their contacts.
"""

from collections.abc import Collection, Mapping
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

    @property
    def said(self) -> str:
        """SQL: what lists say of each field that the rule was compiled with, in order."""
        return f"ARRAY[{', '.join(self.condition.said.values())}]::text[]"


async def some_readers(conn: Connection, readers: Readers, limit: int) -> list[Record]:
    """A few of them at random: phone_cipher, name_cipher, area_code, said."""
    return await _read_some(conn, readers, f"ORDER BY random() LIMIT {limit:d}", {})


async def some_without(
    conn: Connection,
    readers: Readers,
    places: Collection[str] | None,
    *,
    nameless: bool,
    limit: int,
) -> list[Record]:
    """A few of them who lack something, always the same: as `some_readers`.

    places: the areas that a person must live in one of; None: any will do. nameless: whether who
    has no name lacks something. Whoever has no value for a field of the rule's `said` does.
    """
    lacks = [f"coalesce({said}, '') = ''" for said in readers.condition.said.values()]
    if nameless:
        lacks.append(f"NOT {readers.condition.has_name}")
    if places is not None:
        lacks.append("(c.area_code = ANY(:places::text[])) IS NOT TRUE")
    which = f"AND ({' OR '.join(lacks or ['false'])}) ORDER BY c.phone_hash LIMIT {limit:d}"
    return await _read_some(conn, readers, which, {} if places is None else {"places": [*places]})


async def _read_some(
    conn: Connection, readers: Readers, which: str, values: Mapping[str, Any]
) -> list[Record]:
    """Those of them who may be shown; which: SQL behind the last condition, with its values."""
    return await sql.fetch(
        conn,
        f"""
        WITH chosen AS MATERIALIZED (
            SELECT c.id, {readers.said} AS said {shown(readers.condition)} {which}
        )
        SELECT c.phone_cipher, c.name_cipher, c.area_code, p.said
        FROM chosen p JOIN contacts c ON c.id = p.id ORDER BY c.phone_hash
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **readers.values,
        **values,
    )


class Extremes(NamedTuple):
    """What the values of a text are between.

    areas: every area_code in which people are, with how many (people) and how many of them have no
        name (nameless).
    by_name: those with the most octets in their names, most first: phone_cipher, name_cipher,
        area_code, said, octets. by_place: a few in the places with the longest names, the same of
        them. by_said: a few of whom lists say the most.
    said: for each field that the rule was compiled with, in order, how many units of UTF-16 the
        longest value has (units), whether any has pairs of them (wide), and how many people have no
        value (missing).
    """

    areas: list[Record]
    by_name: list[Record]
    by_place: list[Record]
    by_said: list[Record]
    said: list[Record]


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

    places: the length of the name of each area. most: how many by name; few: by place, and by what
    lists say. only_shown: of those alone who may be shown; else of all whom the text would reach.
    """
    people = _with_octets(readers, (shown if only_shown else reached)(readers.condition))
    rows = await sql.fetch(
        conn,
        f"""
        WITH people AS MATERIALIZED (
            {people}
        ), places AS (
            SELECT *
            FROM unnest(:area_codes::text[], :characters::int[]) AS w(area_code, characters)
        ), found AS (
        SELECT 'area' AS of, area_code, count(*) AS people,
               count(*) FILTER (WHERE octets IS NULL) AS nameless,
               NULL::uuid AS id, NULL::int AS octets,
               NULL::text[] AS said, NULL::bigint AS place, NULL::int AS units,
               NULL::bool AS wide, NULL::bigint AS missing
        FROM people GROUP BY area_code
        UNION ALL
        (SELECT 'name', area_code, NULL, NULL, id, octets,
                said, NULL, NULL, NULL, NULL
         FROM people WHERE octets IS NOT NULL ORDER BY octets DESC, phone_hash LIMIT {most:d})
        UNION ALL
        (SELECT 'place', area_code, NULL, NULL, id, octets,
                said, NULL, NULL, NULL, NULL
         FROM people JOIN places USING (area_code)
         ORDER BY characters DESC, octets DESC NULLS LAST, phone_hash LIMIT {few:d})
        {_SAID.format(few=few) if readers.condition.said else ""}
        )
        SELECT f.*, c.phone_cipher, c.name_cipher
        FROM found f LEFT JOIN contacts c ON c.id = f.id
        ORDER BY f.octets DESC NULLS LAST, c.phone_hash
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        **readers.values,
        area_codes=list(places),
        characters=list(places.values()),
    )
    kinds = ("area", "name", "place", "entry", "said")
    found = Extremes(*([row for row in rows if row["of"] == kind] for kind in kinds))
    found.said.sort(key=lambda row: row["place"])
    return found


def _with_octets(readers: Readers, source: str) -> str:
    """The statement of those of a FROM and WHERE: id, phone_hash, area_code, octets (of the cipher
    of the name; null where there is none) and said.
    """
    condition = readers.condition
    columns = f"c.id, c.phone_hash, c.area_code, {readers.said} AS said"
    if not condition.of_facts:
        return f"SELECT {columns}, octet_length(c.name_cipher) AS octets {source}"
    return f"""
        SELECT p.*, octet_length(c.name_cipher) AS octets
        FROM (SELECT {columns} {source} OFFSET 0) p JOIN contacts c ON c.id = p.id
    """  # noqa: S608  # compiled from a parsed rule, whose values are parameters


_PAIRS = r"regexp_replace({}, '[^\U00010000-\U0010FFFF]', '', 'g')"
"""SQL: the characters of a text outside the BMP, which count two units of UTF-16."""

_SAID = f"""
        UNION ALL
        (SELECT 'entry', area_code, NULL, NULL, id, octets,
                said, NULL, NULL, NULL, NULL
         FROM people WHERE said IS NOT NULL
         ORDER BY char_length(array_to_string(said, '')) DESC, phone_hash LIMIT {{few:d}})
        UNION ALL
        (SELECT 'said', NULL, NULL, NULL, NULL, NULL, NULL, v.place,
                max(char_length(v.value) + char_length({_PAIRS.format("v.value")})),
                bool_or({_PAIRS.format("v.value")} <> ''),
                count(*) FILTER (WHERE coalesce(v.value, '') = '')
         FROM people CROSS JOIN LATERAL unnest(said) WITH ORDINALITY AS v(value, place)
         GROUP BY v.place)
"""  # noqa: S608  # constants
"""The part of the statement on what lists say."""
