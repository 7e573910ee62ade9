"""The people of a scope, each once with the best that a text came to, masked, a page at a time.

A page goes through the ledger in stretches of phones' hashes by the index of run and phone. It ends
when it is full, or after a few stretches: where few people fit what is asked for, a page may have
fewer than it could, and the next one goes on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from uuid import UUID

from service.reports.coverage.outcomes import RANK_SQL, PersonOutcome
from service.storage import sql
from service.storage.postgres import Connection

_LIST = sql.load(__file__, "list_people.sql", rank=RANK_SQL.format("m"))
MOST_AT_ONCE = 2_000
"""About so many people are read in a stretch where not all are wanted."""
MOST_STRETCHES = 5
_SPACE = 1 << 64
"""Hashes are taken by their first eight octets, which are spread evenly."""
_END = b"\xff" * 17
"""After every hash of a phone."""


@dataclass(frozen=True, slots=True)
class WantedPeople:
    """Whom to list; None: all. areas: codes, with those below; "": people of no known area."""

    outcome: PersonOutcome | None = None
    reason: str | None = None
    role: str | None = None
    areas: Sequence[str] | None = None


class PeoplePage(NamedTuple):
    """Some people, as rows of the ledger. after: the hash after which the next page begins; None:
    there is none.
    """

    rows: Sequence[Mapping[str, Any]]
    after: bytes | None


class ListedRuns(NamedTuple):
    """The runs whose people are listed. people: how many the largest of them has."""

    ids: Sequence[UUID]
    people: int


async def runs_for_people(conn: Connection, scope_id: UUID, department_id: UUID) -> ListedRuns:
    """The runs of a scope that were to people of a department."""
    rows = await sql.fetch(
        conn,
        """
        SELECT r.id, r.target FROM coverage_scopes s, LATERAL runs_of_scope(s) i(id)
        JOIN runs r ON r.id = i.id
        WHERE s.id = :scope_id AND r.mode = 'real' AND r.started_at IS NOT NULL
          AND r.department_id = :department_id
        ORDER BY r.id
        """,
        scope_id=scope_id,
        department_id=department_id,
    )
    return ListedRuns(
        [row["id"] for row in rows], max((row["target"] or 0 for row in rows), default=0)
    )


async def list_people(
    conn: Connection, runs: ListedRuns, wanted: WantedPeople, after: bytes, limit: int
) -> PeoplePage:
    """The next people of these runs after a phone's hash."""
    found: list[Mapping[str, Any]] = []
    many = limit + 1 if wanted == WantedPeople() else MOST_AT_ONCE
    step = _SPACE * many // max(runs.people, 1)
    at: bytes | None = after
    for _ in range(MOST_STRETCHES):
        if at is None or not runs.ids:
            break
        begin = int.from_bytes(at[:8].ljust(8, b"\0")) + step
        end = begin.to_bytes(8) if begin < _SPACE else _END
        found += await _stretch(conn, runs.ids, wanted, (at, end))
        if len(found) > limit:
            return PeoplePage(found[:limit], found[limit - 1]["phone_hash"])
        # The next stretch begins with the hash at which this one ends.
        at = None if end == _END else (begin - 1).to_bytes(8) + b"\xff" * 9
    return PeoplePage(found, at)


async def _stretch(
    conn: Connection, runs: Sequence[UUID], wanted: WantedPeople, between: tuple[bytes, bytes]
) -> Sequence[Mapping[str, Any]]:
    outcomes = list(PersonOutcome)
    rows = await sql.fetch(
        conn,
        _LIST,
        runs=list(runs),
        after=between[0],
        before=between[1],
        excluded_rank=outcomes.index(PersonOutcome.EXCLUDED),
        rank=None if wanted.outcome is None else outcomes.index(wanted.outcome),
        reason=wanted.reason,
        role=wanted.role,
        areas=None if wanted.areas is None else list(wanted.areas),
    )
    return [dict(row) for row in rows]
