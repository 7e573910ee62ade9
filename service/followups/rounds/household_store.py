"""The SQL of households and of what came of going to them."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.followups.ladder import PersonState, VisitResult
from service.storage import sql
from service.storage.postgres import Connection, Record


class HouseholdRow(NamedTuple):
    """A household that somebody went to. tries: how often."""

    id: UUID
    village: str
    label_hash: bytes
    state: PersonState
    not_home: int
    spoken_to: int
    disputed: bool
    tries: int


class HouseholdTry(NamedTuple):
    """What came of going there once. text_no: which text was read out; None: nobody has said."""

    household_id: UUID
    no: int
    key: UUID
    result: VisitResult
    spoken_to: int
    text_no: int | None
    on_day: date
    by_id: UUID
    written_by: UUID
    note_cipher: bytes | None
    at: datetime
    disputed: bool


async def find_households(
    conn: Connection, round_id: UUID, places: Sequence[tuple[str, bytes]]
) -> list[HouseholdRow]:
    """Those of these households, by village and hash of the label, that somebody went to; their
    villages are locked.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT h.id, h.village, h.label_hash, h.state, h.not_home, h.spoken_to, h.disputed,
               (SELECT count(*) FROM household_tries t WHERE t.household_id = h.id)::int AS tries
        FROM unnest(:villages::text[], :hashes::bytea[]) AS w(village, label_hash)
        JOIN households h ON h.round_id = :round_id AND h.village = w.village
                         AND h.label_hash = w.label_hash
        """,
        round_id=round_id,
        villages=[village for village, _ in places],
        hashes=[label_hash for _, label_hash in places],
    )
    return [HouseholdRow(*row)._replace(state=PersonState(row["state"])) for row in rows]


async def find_results(
    conn: Connection, household_ids: Sequence[UUID], keys: Sequence[UUID]
) -> dict[tuple[UUID, UUID], tuple[int, VisitResult, bool]]:
    """What was written down before under these keys: by household and key its number, the result,
    and whether it contradicts another one.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT t.household_id, t.key, t.no, t.result, t.disputed
        FROM unnest(:household_ids::uuid[], :keys::uuid[]) AS w(household_id, key)
        JOIN household_tries t ON t.household_id = w.household_id AND t.key = w.key
        """,
        household_ids=list(household_ids),
        keys=list(keys),
    )
    return {(row[0], row[1]): (row[2], VisitResult(row[3]), row[4]) for row in rows}


async def insert_households(
    conn: Connection, round_id: UUID, households: Sequence[tuple[HouseholdRow, bytes]]
) -> dict[tuple[str, bytes], UUID]:
    """Write down households to which nobody had gone, each with the cipher of its label; returns
    their ids by village and hash of the label.
    """
    rows = await sql.fetch(
        conn,
        """
        INSERT INTO households (round_id, village, label_hash, label_cipher, state, not_home,
                                spoken_to, disputed)
        SELECT :round_id, n.village, n.label_hash, n.label_cipher, n.state, n.not_home,
               n.spoken_to, n.disputed
        FROM unnest(:villages::text[], :hashes::bytea[], :ciphers::bytea[], :states::text[],
                    :not_home::int[], :spoken_to::int[], :disputed::bool[])
            AS n(village, label_hash, label_cipher, state, not_home, spoken_to, disputed)
        RETURNING village, label_hash, id
        """,
        round_id=round_id,
        hashes=[one.label_hash for one, _ in households],
        villages=[one.village for one, _ in households],
        ciphers=[cipher for _, cipher in households],
        **_standing([one for one, _ in households]),
    )
    return {(row["village"], row["label_hash"]): row["id"] for row in rows}


async def update_households(conn: Connection, households: Sequence[HouseholdRow]) -> None:
    """Write down where households stand now."""
    await sql.execute(
        conn,
        """
        UPDATE households h
        SET state = n.state, not_home = n.not_home, spoken_to = n.spoken_to, disputed = n.disputed
        FROM unnest(:ids::uuid[], :states::text[], :not_home::int[], :spoken_to::int[],
                    :disputed::bool[]) AS n(id, state, not_home, spoken_to, disputed)
        WHERE h.id = n.id
        """,
        ids=[one.id for one in households],
        **_standing(households),
    )


def _standing(households: Sequence[HouseholdRow]) -> dict[str, Any]:
    return {
        "states": [one.state.value for one in households],
        "not_home": [one.not_home for one in households],
        "spoken_to": [one.spoken_to for one in households],
        "disputed": [one.disputed for one in households],
    }


async def insert_tries(conn: Connection, tries: Sequence[HouseholdTry]) -> None:
    """Add what came of going there."""
    await sql.execute(
        conn,
        """
        INSERT INTO household_tries (household_id, no, key, result, spoken_to, text_no, on_day,
                                     by_id, written_by, note_cipher, at, disputed)
        SELECT * FROM unnest(:households::uuid[], :nos::int[], :keys::uuid[], :results::text[],
                             :spoken_to::int[], :texts::int[], :days::date[], :by::uuid[],
                             :written_by::uuid[], :notes::bytea[], :at::timestamptz[],
                             :disputed::bool[])
        """,
        households=[one.household_id for one in tries],
        nos=[one.no for one in tries],
        keys=[one.key for one in tries],
        results=[one.result.value for one in tries],
        spoken_to=[one.spoken_to for one in tries],
        texts=[one.text_no for one in tries],
        days=[one.on_day for one in tries],
        by=[one.by_id for one in tries],
        written_by=[one.written_by for one in tries],
        notes=[one.note_cipher for one in tries],
        at=[one.at for one in tries],
        disputed=[one.disputed for one in tries],
    )


async def list_households(
    conn: Connection,
    round_id: UUID,
    village: str,
    state: str | None,
    page: tuple[UUID | None, int],
) -> list[Record]:
    """A page of the households of a village, in the order in which somebody first went there.

    page: after which household (None: from the beginning), and how many.
    """
    after, limit = page
    return await sql.fetch(
        conn,
        """
        SELECT h.id, h.label_cipher, h.state, h.not_home, h.spoken_to, h.disputed,
               t.tries, t.last_on
        FROM households h, LATERAL (
            SELECT count(*)::int AS tries, max(on_day) AS last_on
            FROM household_tries WHERE household_id = h.id) t
        WHERE h.round_id = :round_id AND h.village = :village
          AND (:state::text IS NULL OR h.state = :state)
          AND (:after::uuid IS NULL OR h.id > :after)
        ORDER BY h.id LIMIT :limit
        """,
        round_id=round_id,
        village=village,
        state=state,
        after=after,
        limit=limit,
    )


async def find_household(conn: Connection, household_id: UUID) -> Record | None:
    """One household: its round, village, label and state."""
    return await sql.fetchrow(
        conn,
        """
        SELECT id, round_id, village, label_cipher, state FROM households WHERE id = :household_id
        """,
        household_id=household_id,
    )


async def list_tries(conn: Connection, household_id: UUID) -> list[Record]:
    """All that was written down of visits to a household, from old to new."""
    return await sql.fetch(
        conn,
        """
        SELECT no, result, spoken_to, text_no, on_day, by_id, written_by, note_cipher, at, disputed
        FROM household_tries WHERE household_id = :household_id ORDER BY no
        """,
        household_id=household_id,
    )


class HouseholdCount(NamedTuple):
    """So many households of a village are in a state. spoken_to: heads that were told there;
    disputed: of how many households two results contradict each other.
    """

    village: str
    state: PersonState
    households: int
    spoken_to: int
    disputed: int


async def count_households(
    conn: Connection, round_id: UUID, villages: Sequence[str] | None
) -> list[HouseholdCount]:
    """All households that somebody went to, by village and state; villages: only those."""
    rows = await sql.fetch(
        conn,
        """
        SELECT village, state, count(*)::int, sum(spoken_to)::int,
               count(*) FILTER (WHERE disputed)::int
        FROM households
        WHERE round_id = :round_id AND (:villages::text[] IS NULL OR village = ANY (:villages))
        GROUP BY village, state
        """,
        round_id=round_id,
        villages=None if villages is None else list(villages),
    )
    return [HouseholdCount(row[0], PersonState(row[1]), *row[2:]) for row in map(tuple, rows)]
