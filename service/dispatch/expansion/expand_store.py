"""The SQL of an expansion: one INSERT … SELECT for the ledger and the exclusions."""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from service.campaigns.audience.audience_source import AudienceSource
from service.campaigns.audience.exclusion_store import REASON_SQL, ExclusionTerms, excluded
from service.ledger.fragments import CANCEL, ended_as
from service.ledger.priority import number_of
from service.ledger.reasons import Reason
from service.ledger.states import MessageState, RunState, state_move
from service.storage import sql
from service.storage.postgres import Connection, Cursor, Record, one

EXPANDED = state_move(
    RunState.RUNNING, RunState.PAUSED, RunState.CANCELLED, only=[RunState.EXPANDING]
)
"""What becomes of a run once its ledger is whole."""

FEWEST_ROWS = 50
"""No run is cut into smaller slices, however many connections its channel has."""

WORK_MEMORY = "128MB"
"""What the one statement of an expansion may use at each step before it writes to disk."""

VALUES_AT_ONCE = 5_000
"""So many people's values are in memory at a time, before they are encrypted."""


@dataclass(frozen=True, slots=True)
class ExpandedSoFar:
    """How far the ledger of a run is. at: when it was begun; by this instant everybody is judged.
    stretches: in how many transactions it is written, and `written` of these are. target, excluded:
    the people of those.
    """

    at: datetime
    stretches: int = 1
    written: int = 0
    target: int = 0
    excluded: int = 0


async def begin_or_go_on(
    conn: Connection, run_id: uuid.UUID, now: datetime, stretches: int
) -> ExpandedSoFar:
    """How far the ledger of a run is; one that is begun now is written in so many stretches."""
    found = await sql.fetchrow(
        conn,
        """
        SELECT at, stretches, written, target, excluded FROM expansions WHERE run_id = :run_id
        """,
        run_id=run_id,
    )
    if found is not None:
        return ExpandedSoFar(*found)
    if stretches > 1:
        await sql.execute(
            conn,
            "INSERT INTO expansions (run_id, at, stretches) VALUES (:run_id, :now, :stretches)",
            run_id=run_id,
            now=now,
            stretches=stretches,
        )
    return ExpandedSoFar(now, stretches)


async def save_expansion(conn: Connection, run_id: uuid.UUID, so_far: ExpandedSoFar) -> None:
    """One more stretch is written, in the transaction that writes it."""
    await sql.execute(
        conn,
        """
        UPDATE expansions SET written = :written, target = :target, excluded = :excluded
        WHERE run_id = :run_id
        """,
        run_id=run_id,
        written=so_far.written,
        target=so_far.target,
        excluded=so_far.excluded,
    )


async def lock_expanding_run(conn: Connection, run_id: uuid.UUID) -> Record | None:
    """The run, locked, if its ledger is still to be written; with its campaign's state, and
    whether its words were withdrawn so that it stops.

    The campaign is locked first, as everybody does who locks both.
    """
    await sql.execute(
        conn,
        """
        SELECT FROM campaigns WHERE id = (SELECT campaign_id FROM runs WHERE id = :run_id)
        FOR UPDATE
        """,
        run_id=run_id,
    )
    return await sql.fetchrow(
        conn,
        """
        SELECT r.*, c.state AS campaign_state, coalesce((
                   SELECT stops FROM text_offers
                   WHERE id = withdrawn_offer_of(r.template_version_id)), false) AS words_stopped,
               p.department_id AS plan_of
        FROM runs r JOIN campaigns c ON c.id = r.campaign_id
        LEFT JOIN campaigns p ON p.id = c.leg_of
        WHERE r.id = :run_id AND r.state = 'expanding'
        FOR UPDATE OF r
        """,
        run_id=run_id,
    )


async def write_ledger(
    conn: Connection,
    run_id: uuid.UUID,
    terms: ExclusionTerms,
    source: AudienceSource,
    before: int,
) -> tuple[int, int]:
    """Write a row for each person the run is for, or the reason why not; returns both counts.

    before: how many rows the ledger has already.

    Whom the caps leave out is a forecast: the mark decides.

    A person's carrier is that of an override, else the contact's own; the ledger counts under it.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    row = await sql.fetchrow(
        conn,
        f"""
        WITH {_ledger(terms, source)}
        SELECT (SELECT count(*) FROM kept) AS target, (SELECT count(*) FROM left_out) AS excluded
        """,  # noqa: S608  # the condition is compiled from a parsed rule, its values are parameters
        **terms.values,
        **source.values,
        run_id=run_id,
        before=before,
    )
    counts = one(row)
    return counts["target"], counts["excluded"]


async def write_ledger_with_values(
    conn: Connection,
    run_id: uuid.UUID,
    terms: ExclusionTerms,
    source: AudienceSource,
    before: int,
) -> Cursor:
    """As `write_ledger`, with what the lists of each person say: the rows of the ledger in any
    order, each its no, how many there are, and a column for each field of `source.said`. Nothing
    of the last is in the ledger yet, which has no value in clear (`set_values`).

    The statement has written everything before it gives its first row.
    """
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    columns = ", ".join(["no", "(SELECT count(*) FROM kept) AS people", *source.said.values()])
    return sql.cursor(
        conn,
        f"WITH {_ledger(terms, source)} SELECT {columns} FROM target",  # noqa: S608  # as above
        prefetch=VALUES_AT_ONCE,
        **terms.values,
        **source.values,
        run_id=run_id,
        before=before,
    )


def _ledger(terms: ExclusionTerms, source: AudienceSource) -> str:
    """The statement that writes a ledger, as far as its answer."""
    said = "".join(f", {column}" for column in source.said.values())
    return f"""people AS MATERIALIZED (
            SELECT phone_hash, phone_cipher, name_cipher, carrier, area_code, roles, channel_id,
                {REASON_SQL} AS excluded{said}
            FROM ({excluded(terms, source)}) e
            WHERE matches IS NOT FALSE
        ), {_NUMBERED if said else ""} kept AS (
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, name_cipher, channel_id,
                                  carrier, area_code, roles, told)
            SELECT :run_id::uuid, {"no" if said else _NO}, phone_hash,
                   phone_cipher, {"name_cipher" if "name" in terms.needs else "NULL::bytea"},
                   channel_id, carrier, area_code, {source.roles},
                   (SELECT is_told(:department_id, 'message.final'))
            FROM {"target" if said else "people WHERE excluded IS NULL"}
            RETURNING 1
        ), left_out AS (
            INSERT INTO exclusions (run_id, phone_hash, reason, carrier, area_code, roles)
            SELECT :run_id::uuid, phone_hash, excluded, carrier, area_code, {source.roles}
            FROM people WHERE excluded IS NOT NULL
            RETURNING 1
        )"""  # noqa: S608  # as above


_NO = ":before::int + row_number() OVER (ORDER BY channel_id, phone_hash)"
_NUMBERED = f"""target AS MATERIALIZED (
            SELECT *, {_NO} AS no FROM people WHERE excluded IS NULL
        ),"""  # noqa: S608  # constants


async def count_excluded(conn: Connection, run_id: uuid.UUID) -> int:
    """How many people a ledger has left out."""
    count: int = await sql.fetchval(
        conn, "SELECT count(*) FROM exclusions_of(:run_id)", run_id=run_id
    )
    return count


async def set_values(
    conn: Connection, run_id: uuid.UUID, rows: Sequence[tuple[int, bytes]]
) -> None:
    """Give rows of a ledger what fills their texts: (no, cipher)."""
    await sql.execute(
        conn,
        """
        UPDATE messages m SET variables_cipher = n.cipher
        FROM unnest(:nos::int[], :ciphers::bytea[]) AS n(no, cipher)
        WHERE m.run_id = :run_id AND m.no = n.no
        """,
        run_id=run_id,
        nos=[no for no, _ in rows],
        ciphers=[cipher for _, cipher in rows],
    )


async def bound_run(
    conn: Connection, run_id: uuid.UUID, channels: Sequence[int] | None, barred: Reason | None
) -> None:
    """Keep a run to what its department may use: these channels, also where a text is routed
    again; or to nobody at all, all it means being left out for this reason.
    """
    await sql.execute(
        conn,
        "UPDATE runs SET channels = :channels, barred = :barred WHERE id = :run_id",
        run_id=run_id,
        channels=channels,
        barred=barred,
    )


async def stop_tested(conn: Connection, run_id: uuid.UUID, now: datetime) -> None:
    """End the whole ledger of a run that is never sent."""
    await sql.execute(
        conn,
        f"""
        UPDATE messages SET {ended_as(MessageState.CANCELLED, f"'{Reason.TEST_KEY}'", ":now")}
        WHERE run_id = :run_id AND state IN {CANCEL.sources_sql}
        """,  # noqa: S608  # constants
        run_id=run_id,
        now=now,
    )


async def replace_phones(
    conn: Connection, run_id: uuid.UUID, rows: Sequence[tuple[int, bytes, bytes]]
) -> None:
    """Give rows of a ledger other phones: (no, hash, cipher)."""
    await sql.execute(
        conn,
        """
        UPDATE messages m SET phone_hash = n.hash, phone_cipher = n.cipher
        FROM unnest(:nos::int[], :hashes::bytea[], :ciphers::bytea[]) AS n(no, hash, cipher)
        WHERE m.run_id = :run_id AND m.no = n.no
        """,
        run_id=run_id,
        nos=[no for no, _, _ in rows],
        hashes=[hashed for _, hashed, _ in rows],
        ciphers=[cipher for _, _, cipher in rows],
    )


async def names_between(
    conn: Connection, run_id: uuid.UUID, first: int, last: int
) -> list[tuple[int, bytes]]:
    """The ciphers of names in a stretch of a ledger, by no."""
    rows = await sql.fetch(
        conn,
        """
        SELECT no, name_cipher FROM messages
        WHERE run_id = :run_id AND no BETWEEN :first AND :last AND name_cipher IS NOT NULL
        """,
        run_id=run_id,
        first=first,
        last=last,
    )
    return [(row["no"], row["name_cipher"]) for row in rows]


async def replace_names(
    conn: Connection, run_id: uuid.UUID, rows: Sequence[tuple[int, bytes]]
) -> None:
    """Give rows of a ledger other names: (no, cipher)."""
    await sql.execute(
        conn,
        """
        UPDATE messages m SET name_cipher = n.cipher
        FROM unnest(:nos::int[], :ciphers::bytea[]) AS n(no, cipher)
        WHERE m.run_id = :run_id AND m.no = n.no
        """,
        run_id=run_id,
        nos=[no for no, _ in rows],
        ciphers=[cipher for _, cipher in rows],
    )


async def write_slices(
    conn: Connection, run: Record, rows: int, nos: range, canary: int | None = None
) -> list[int]:
    """Cut what was just written of a ledger into slices of `rows` on one channel each, behind those
    that there are; returns the channels.

    nos: the numbers of what was written. canary: how many of these people, of all channels alike,
    are in slices of their own that go first.

    A run that would have fewer slices than the channel has connections is cut smaller, down to
    `FEWEST_ROWS`: a slice is worked on by one connection, and it is to have its share of all.
    """
    channels = await sql.fetch(
        conn,
        """
        WITH size AS (
            SELECT m.channel_id, least(:rows::int, greatest(:fewest_rows::int,
                       ceil(count(*)::numeric / max(c.connections))::int)) AS rows,
                   coalesce(ceil(:canary::numeric * count(*) / sum(count(*)) OVER ()), 0)::int AS
                       first
            FROM ledger_between(:id, :low, :high) m JOIN channels c ON c.id = m.channel_id
            GROUP BY m.channel_id
        ), numbered AS (
            SELECT m.no, m.channel_id, z.rows, z.first,
                   row_number() OVER (PARTITION BY m.channel_id ORDER BY m.no) - 1 AS nth
            FROM ledger_between(:id, :low, :high) m JOIN size z ON z.channel_id = m.channel_id
        ), placed AS (
            SELECT no, channel_id, nth < first AS canary,
                   CASE WHEN nth < first THEN nth ELSE nth - first END / rows AS turn
            FROM numbered
        ), cut AS (
            SELECT channel_id, canary, turn, min(no) AS first_no, max(no) AS last_no
            FROM placed GROUP BY channel_id, canary, turn
        ), written AS (
            INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, canary)
            SELECT :id, b.last + row_number() OVER (ORDER BY canary DESC, turn, channel_id),
                   channel_id, first_no, last_no, :priority, canary
            FROM cut, (
                SELECT coalesce(max(no), 0) AS last FROM slices WHERE run_id = :id) b
            RETURNING channel_id
        ), sending AS (
            UPDATE runs SET canary = 'sending'
            WHERE id = :id AND :canary > 0 AND EXISTS (SELECT FROM cut)
        )
        SELECT DISTINCT channel_id FROM written
        """,
        id=run["id"],
        low=nos.start,
        high=nos.stop - 1,
        priority=number_of(run["priority"]),
        rows=rows,
        fewest_rows=FEWEST_ROWS,
        canary=canary,
    )
    return [row["channel_id"] for row in channels]


async def channels_of(conn: Connection, run_id: uuid.UUID) -> list[int]:
    """The channels on which a ledger has slices."""
    rows = await sql.fetch(
        conn, "SELECT DISTINCT channel_id FROM slices WHERE run_id = :run_id", run_id=run_id
    )
    return [row["channel_id"] for row in rows]


async def finish_expansion(
    conn: Connection, run_id: uuid.UUID, state: str, target: int, now: datetime
) -> None:
    """The ledger is whole: let the run go into its next state."""
    await sql.execute(
        conn,
        f"""
        UPDATE runs SET state = :state, target = :target, started_at = :now
        WHERE id = :run_id AND state IN {EXPANDED.sources_sql}
        """,  # noqa: S608  # a constant
        run_id=run_id,
        state=state,
        target=target,
        now=now,
    )
    await sql.execute(conn, "DELETE FROM expansions WHERE run_id = :run_id", run_id=run_id)
