"""Whom a run looks at, as the part of a statement that reads them.

A fire reads the department's contacts by its rule. A run that follows another one reads that one's
ledger: the same people, whatever the rule says of them by now, with what their contacts say where
they still have one. Both give the same columns; `gone` is a reason to leave somebody out before all
others, `matches` null is somebody of whom the rule cannot tell, and `ended` is who is on ended
lists only.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from service.audience.segments.segment_sql import CARRIER, Compiled
from service.campaigns.audience.follow_up_store import Members
from service.ledger.reasons import Reason
from service.storage.sql import Condition

EVERYBODY = Condition("true")
_ABOVE_ALL = b"\xff" * 17
"""A hash has 16 octets."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of all people by the hash of their phones, which is spread evenly. no: from 1 on; of:
    how many parts there are. Everybody is in one of them.
    """

    no: int
    of: int

    @property
    def values(self) -> Mapping[str, bytes]:
        """The parameters of `AudienceSource.within`."""
        return {"hash_from": self._bound(self.no - 1), "hash_to": self._bound(self.no)}

    def _bound(self, no: int) -> bytes:
        return _ABOVE_ALL if no == self.of else (no * 65_536 // self.of).to_bytes(2, "big")


@dataclass(frozen=True, slots=True)
class AudienceSource:
    """sql: the statement that reads them. values: those of its parameters, but for the
    `department_id` of the terms by which they are looked at. roles: their roles in order, of what
    it reads; role_words: the same as words in any order, which may repeat. said: the column with
    what the person's list says of each field that a text takes of lists. stretch: of all these, the
    people that are read; None: all. kinds: the same people, those of a kind in one row with how
    many they are in `people`; for counting where of single people nothing is asked but their
    carriers and suppressions. None: the rule asks for more.
    """

    sql: str
    values: Mapping[str, Any]
    roles: str
    role_words: str
    said: Mapping[str, str] = field(default_factory=dict)
    stretch: Stretch | None = None
    kinds: "AudienceSource | None" = None

    def within(self, column: str) -> str:
        """SQL: whether the hash in a column is one of those that are read."""
        return _within(self.stretch, column)


def _within(stretch: Stretch | None, column: str) -> str:
    if stretch is None:
        return "true"
    return f"{column} >= :hash_from::bytea AND {column} < :hash_to::bytea"


def _bounds(stretch: Stretch | None) -> Mapping[str, bytes]:
    return stretch.values if stretch is not None else {}


def _said(condition: Compiled) -> tuple[str, dict[str, str]]:
    """Columns for what lists say, behind all others, and the name of each by its field."""
    names = {code: f"said_{place}" for place, code in enumerate(condition.said, 1)}
    columns = "".join(f", {sql} AS {names[code]}" for code, sql in condition.said.items())
    return columns, names


def by_rule(
    condition: Compiled, among: Condition = EVERYBODY, stretch: Stretch | None = None
) -> AudienceSource:
    """Contacts whom a rule means, or may mean, of those `among` whom a condition holds. By facts
    there are no ciphers; that of a name is empty where there is one.
    """
    columns, said = _said(condition)
    phone, name = "c.phone_cipher", "c.name_cipher"
    kinds = None
    if condition.kinds is not None and among is EVERYBODY and stretch is None:
        kinds = by_rule(condition.kinds)
    if condition.of_kinds:
        columns = ", c.people"
    if condition.of_facts:
        phone, name = "NULL::bytea", "CASE WHEN c.has_name THEN ''::bytea END"
    return AudienceSource(
        f"""
        SELECT c.phone_hash, {phone} AS phone_cipher, {name} AS name_cipher, c.area_code,
            c.synthetic, {CARRIER} AS carrier, k.roles, ({condition.sql}) AS matches, NULL AS gone,
            {condition.ended} AS ended{columns}
        FROM {condition.source} WHERE c.department_id = :department_id AND {among.text}
          AND {_within(stretch, "c.phone_hash")}
        OFFSET 0  -- so that nobody is judged twice
        """,  # noqa: S608  # the condition is compiled from a parsed rule, its values are parameters
        {**condition.values, **among.values, **_bounds(stretch)},
        condition.roles("roles"),
        "roles",
        said,
        stretch,
        kinds,
    )


def of_ledger(
    members: Members, lists: Compiled, *, must_be_listed: bool, stretch: Stretch | None = None
) -> AudienceSource:
    """People of other runs' ledgers, those `members`.

    lists: everybody on a list that holds; must_be_listed: whoever is on none any more is left out.
    """
    columns, said = _said(lists)
    left = f"NOT coalesce({lists.sql}, false)" if must_be_listed else f"{lists.sql} AND false"
    return AudienceSource(
        f"""
        SELECT DISTINCT ON (m.phone_hash) m.phone_hash,
            coalesce(c.phone_cipher, m.phone_cipher) AS phone_cipher,
            coalesce(c.name_cipher, m.name_cipher) AS name_cipher,
            coalesce(c.area_code, m.area_code) AS area_code, h.simulated AS synthetic,
            coalesce({CARRIER}, m.carrier) AS carrier, m.roles, true AS matches,
            CASE WHEN EXISTS (
                    SELECT FROM erasures e JOIN runs o ON o.id = m.run_id
                    WHERE e.phone_hash = m.phone_hash AND e.erased_at >= o.created_at
                      AND (e.department_id IS NULL OR e.department_id = :department_id)) THEN
                          '{Reason.ERASED}'
                 WHEN coalesce(c.phone_cipher, m.phone_cipher) IS NULL
                     THEN '{Reason.NOT_KEPT}'
                 WHEN {left} THEN '{Reason.NO_LONGER_LISTED}' END AS gone,
            false AS ended{columns}
        FROM {members.rows} JOIN channels h ON h.id = m.channel_id
        LEFT JOIN ({lists.source}) ON c.phone_hash = m.phone_hash
          AND c.department_id = :department_id
        WHERE {members.sql} AND {_within(stretch, "m.phone_hash")}
        ORDER BY m.phone_hash, m.run_id DESC
        OFFSET 0
        """,  # noqa: S608  # constants and placeholders
        {**lists.values, **members.values, **_bounds(stretch)},
        "roles",
        "array_to_string(roles, ' ')",
        said,
        stretch,
    )
