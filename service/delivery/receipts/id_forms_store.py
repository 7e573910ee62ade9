"""The SQL of receipts that meet nothing, and of reading them anew by another form of ids."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from service.storage import sql
from service.storage.postgres import Connection, Record

_WAITING = "('parked', 'ambiguous', 'unmatched')"


async def count_misses(
    conn: Connection, channel_id: int, *, met: int, missed: int, now: datetime
) -> None:
    """Note how a batch of receipts fared: any that met its text ends the row of those before."""
    if met:
        await sql.execute(
            conn,
            """
            UPDATE receipt_misses SET in_a_row = 0 WHERE channel_id = :channel_id AND in_a_row > 0
            """,
            channel_id=channel_id,
        )
    elif missed:
        await sql.execute(
            conn,
            """
            INSERT INTO receipt_misses AS m (channel_id, in_a_row, since)
            SELECT id, :missed, :now FROM channels WHERE id = :channel_id
            ON CONFLICT (channel_id) DO UPDATE SET
                in_a_row = m.in_a_row + :missed,
                since = CASE WHEN m.in_a_row = 0 THEN :now ELSE m.since END
            """,
            channel_id=channel_id,
            missed=missed,
            now=now,
        )


async def misses(conn: Connection, channel_id: int) -> Record | None:
    """How many receipts in a row met nothing, and since when."""
    return await sql.fetchrow(
        conn,
        "SELECT in_a_row, since FROM receipt_misses WHERE channel_id = :channel_id",
        channel_id=channel_id,
    )


async def last_parked(
    conn: Connection, channel_id: int, limit: int, within: timedelta
) -> list[Record]:
    """The last parked receipts, each with the references of the texts to its phone before it."""
    return await sql.fetch(
        conn,
        """
        WITH last AS MATERIALIZED (
            SELECT id, ref, phone_hash, received_at FROM receipts_unmatched
            WHERE channel_id = :channel_id AND why IN ('parked', 'ambiguous')
              AND phone_hash IS NOT NULL
            ORDER BY id DESC LIMIT :limit
        )
        SELECT l.id, l.ref, p.ref AS answered FROM last l
        JOIN parts p ON p.channel_id = :channel_id AND p.phone_hash = l.phone_hash
            AND p.at BETWEEN l.received_at - :within::interval
            AND l.received_at + interval '1 minute'
        WHERE p.at BETWEEN (SELECT min(received_at) FROM last) - :within::interval
                       AND (SELECT max(received_at) FROM last) + interval '1 minute'
        """,
        channel_id=channel_id,
        limit=limit,
        within=within,
    )


async def note_change(
    conn: Connection, channel_id: int, was: str, form: str, keep: timedelta, now: datetime
) -> None:
    """Have everything that waits read anew by another form of ids; forms of before are kept for a
    while, for what was stored by them.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO id_form_changes AS f (channel_id, form, formers, changed_at)
        VALUES (:channel_id, :form, ARRAY[:was::text], :now)
        ON CONFLICT (channel_id) DO UPDATE SET
            form = :form, changed_at = :now, upto = 0, looked_at = NULL,
            formers = ARRAY(SELECT DISTINCT unnest(ARRAY[:was::text] || CASE
                WHEN f.changed_at > :now::timestamptz - :keep::interval THEN f.formers END))
        """,
        channel_id=channel_id,
        was=was,
        form=form,
        keep=keep,
        now=now,
    )
    await sql.execute(
        conn,
        "UPDATE receipt_misses SET in_a_row = 0 WHERE channel_id = :channel_id",
        channel_id=channel_id,
    )


async def change_to_follow(
    conn: Connection, channel_id: int, changed_after: datetime, looked_before: datetime
) -> Record | None:
    """A change of the form of ids by which what waits is to be read anew now."""
    return await sql.fetchrow(
        conn,
        """
        SELECT f.*, c.kind FROM id_form_changes f JOIN channels c ON c.id = f.channel_id
        WHERE f.channel_id = :channel_id AND f.changed_at > :changed_after
          AND (f.looked_at IS NULL OR f.looked_at <= :looked_before)
        """,
        channel_id=channel_id,
        changed_after=changed_after,
        looked_before=looked_before,
    )


async def parked_after(
    conn: Connection, channel_id: int, after: int, received_after: datetime, limit: int
) -> list[int]:
    """The ids of receipts that wait, from old to new."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT id FROM receipts_unmatched
        WHERE channel_id = :channel_id AND id > :after AND why IN {_WAITING}
          AND phone_hash IS NOT NULL
          AND received_at > :received_after
        ORDER BY id LIMIT :limit
        """,  # noqa: S608  # our own words
        channel_id=channel_id,
        after=after,
        limit=limit,
        received_after=received_after,
    )
    return [row["id"] for row in rows]


async def texts_of(
    conn: Connection, channel_id: int, ids: Sequence[int], first: datetime, last: datetime
) -> list[Record]:
    """Parked receipts, each with the references of the texts to its phone that the carrier took
    between two instants.
    """
    return await sql.fetch(
        conn,
        """
        SELECT r.id, r.ref, p.ref AS answered
        FROM receipts_unmatched r
        JOIN parts p ON p.channel_id = :channel_id AND p.phone_hash = r.phone_hash
            AND p.at BETWEEN :first AND :last
        WHERE r.id = ANY (:ids::bigint[])
        """,
        channel_id=channel_id,
        ids=list(ids),
        first=first,
        last=last,
    )


async def put_back(conn: Connection, found: Sequence[tuple[int, bytes]]) -> None:
    """Put receipts back into the inbox, each with the reference that it means."""
    await sql.execute(
        conn,
        """
        WITH gone AS (
            DELETE FROM receipts_unmatched u
            USING unnest(:receipts::bigint[], :refs::bytea[]) AS f(id, ref) WHERE u.id = f.id
            RETURNING u.channel_id, f.ref, u.phone_hash, u.state, u.reason, u.code, u.done_at,
                      u.received_at
        )
        INSERT INTO receipt_inbox
            (channel_id, ref, phone_hash, state, reason, code, done_at, received_at)
        SELECT * FROM gone
        """,
        receipts=[receipt for receipt, _ in found],
        refs=[ref for _, ref in found],
    )


async def begin_after(conn: Connection, channel_id: int, last: int) -> None:
    """Begin the next batch behind this receipt."""
    await sql.execute(
        conn,
        "UPDATE id_form_changes SET upto = :last WHERE channel_id = :channel_id",
        channel_id=channel_id,
        last=last,
    )


async def looked(conn: Connection, channel_id: int, settled: datetime, now: datetime) -> None:
    """All was looked at; what was received after `settled` is once more, for its text's answer may
    have come later.
    """
    await sql.execute(
        conn,
        f"""
        UPDATE id_form_changes f SET looked_at = :now, upto = greatest(upto, coalesce((
            SELECT max(id) FROM receipts_unmatched r
            WHERE r.channel_id = :channel_id AND r.why IN {_WAITING}
              AND r.received_at <= :settled), 0))
        WHERE channel_id = :channel_id
        """,  # noqa: S608  # our own words
        channel_id=channel_id,
        settled=settled,
        now=now,
    )


async def channels_to_reread(
    conn: Connection, changed_after: datetime, looked_before: datetime
) -> list[int]:
    """The channels with a change that is to be followed now."""
    rows = await sql.fetch(
        conn,
        """
        SELECT channel_id FROM id_form_changes
        WHERE changed_at > :changed_after AND (looked_at IS NULL OR looked_at <= :looked_before)
        """,
        changed_after=changed_after,
        looked_before=looked_before,
    )
    return [row["channel_id"] for row in rows]
