"""The SQL of the sweep: what is open in PostgreSQL, and what is finished.

What has no open slice is asked for with NOT IN, which is hashed whatever a plan was made for. A
plan lives as long as its connection: one for NOT EXISTS that was made while there were few slices
reads all of them for each run, and took 0.7 s once there were thousands of direct sends.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from service.dispatch.handoff.lease_store import recover_slices
from service.ledger.fragments import CLOSE_RUN, run_sent
from service.ledger.reasons import Reason
from service.ledger.states import (
    FREE_SLICE,
    NOT_HANDED_OFF,
    OPEN_RUNS_WITH_LEDGER,
    MessageState,
    sql_list,
    state_move,
)
from service.storage import sql
from service.storage.locks import RUN_ALONE, lock_each_run, lock_run
from service.storage.postgres import Connection, affected

STOP = state_move(MessageState.CANCELLED, MessageState.SUPPRESSED)
"""The end of what is left over: its run is cancelled, or its validity over."""


async def delete_settled_uncertain(conn: Connection) -> None:
    """Delete rows of `uncertain` whose message is not uncertain: such a row blocks its phone. One
    is left over if a transaction inserted it while another recorded the answer. The messages are
    locked, so that none becomes uncertain meanwhile.
    """
    await conn.execute(
        """
        WITH settled AS (
            SELECT u.run_id, u.no FROM uncertain u
            JOIN messages m ON m.run_id = u.run_id AND m.no = u.no
            WHERE m.state <> 'uncertain' ORDER BY u.run_id, u.no FOR UPDATE OF m
        )
        DELETE FROM uncertain u USING settled s WHERE u.run_id = s.run_id AND u.no = s.no
        """
    )


async def close_finished_runs(conn: Connection, now: datetime) -> list[uuid.UUID]:
    """Runs of which nothing is left to hand off are sent; "no more pages" would not be enough.

    Campaigns are locked before their runs, as everybody does who locks both, and the runs alone, so
    that nothing is being given back to them meanwhile. Returns the campaigns.
    """
    campaigns = await conn.fetch(
        """
        SELECT c.id FROM campaigns c WHERE EXISTS (
            SELECT FROM runs r WHERE r.campaign_id = c.id AND r.state = 'running'
              AND r.id NOT IN (SELECT run_id FROM slices WHERE done_at IS NULL))
        ORDER BY c.id FOR UPDATE OF c SKIP LOCKED
        """
    )
    await sql.execute(
        conn,
        f"""
        SELECT {RUN_ALONE} FROM (
            SELECT id FROM runs WHERE campaign_id = ANY(:campaigns) AND state = 'running'
            ORDER BY id) r
        """,  # noqa: S608  # a constant
        campaigns=[row["id"] for row in campaigns],
    )
    rows = await sql.fetch(
        conn,
        f"""
        UPDATE runs r SET {run_sent(":now")}
        WHERE r.state IN {CLOSE_RUN.sources_sql} AND r.campaign_id = ANY(:campaigns)
          AND NOT EXISTS (SELECT FROM slices s WHERE s.run_id = r.id AND s.done_at IS NULL)
        RETURNING campaign_id
        """,  # noqa: S608  # constants
        now=now,
        campaigns=[row["id"] for row in campaigns],
    )
    return [row["campaign_id"] for row in rows]


async def close_direct_runs(conn: Connection, now: datetime) -> None:
    """Runs without a campaign of which nothing is left to hand off are sent, too.

    Their own row is locked in place of the campaign's, before the run's lock, as `reroute` does.
    """
    runs = await conn.fetch(
        """
        SELECT r.id FROM runs r
        WHERE r.campaign_id IS NULL AND r.state = 'running'
          AND r.id NOT IN (SELECT run_id FROM slices WHERE done_at IS NULL)
        ORDER BY r.id FOR NO KEY UPDATE OF r SKIP LOCKED
        """
    )
    if not runs:
        return
    ids = [row["id"] for row in runs]
    await lock_each_run(conn, ids)
    await sql.execute(
        conn,
        f"""
        UPDATE runs r SET {run_sent(":now")}
        WHERE r.id = ANY(:ids) AND r.state IN {CLOSE_RUN.sources_sql}
          AND NOT EXISTS (SELECT FROM slices s WHERE s.run_id = r.id AND s.done_at IS NULL)
        """,  # noqa: S608  # constants
        now=now,
        ids=ids,
    )


async def channels_with_work(conn: Connection, now: datetime) -> list[int]:
    """Channels that have something to hand off now."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT DISTINCT s.channel_id FROM slices s JOIN runs r ON r.id = s.run_id
        WHERE {FREE_SLICE.format("s")} AND r.state = 'running'
          AND (s.not_before IS NULL OR s.not_before <= :now)
          AND (s.canary OR coalesce(r.canary, 'passed') = 'passed')
          AND NOT EXISTS (SELECT FROM generation WHERE cluster <> present_cluster())
          AND NOT EXISTS (SELECT FROM stops WHERE lifted_at IS NULL)
        """,  # noqa: S608  # a constant
        now=now,
    )
    return [row["channel_id"] for row in rows]


async def expanding_runs(conn: Connection) -> list[uuid.UUID]:
    """Runs whose ledger is still to be written."""
    rows = await conn.fetch("SELECT id FROM runs WHERE state = 'expanding'")
    return [row["id"] for row in rows]


async def leftover_slices(
    conn: Connection, after: tuple[uuid.UUID, int], limit: int, now: datetime
) -> list[tuple[uuid.UUID, int]]:
    """Open slices of which nothing may be handed off any more: (run, no), in order, after one.

    Their run is cancelled; or its validity is over and nobody works on them, as on a channel that
    is disabled or down.
    """
    run_id, no = after
    rows = await sql.fetch(
        conn,
        f"{_LEFT_OVER} AND (s.run_id, s.no) > (:run_id, :no) ORDER BY s.run_id, s.no LIMIT :limit",
        now=now,
        run_id=run_id,
        no=no,
        limit=limit,
    )
    return [(row["run_id"], row["no"]) for row in rows]


_LEFT_OVER = f"""
    SELECT s.run_id, s.no, s.channel_id, s.first_no, s.last_no, s.epoch IS NULL AS free,
           r.state = 'cancelled' AS cancelled,
           coalesce(r.cancel_reason, '{Reason.CAMPAIGN_CANCELLED}') AS cancel_reason
    FROM slices s JOIN runs r ON r.id = s.run_id
    WHERE s.done_at IS NULL AND (r.state = 'cancelled' OR (
        r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)} AND r.valid_until <= :now AND s.epoch IS NULL))
"""  # noqa: S608  # constants


async def stop_slice(conn: Connection, run_id: uuid.UUID, slice_no: int, now: datetime) -> int:
    """Stop what is queued in a left-over slice, each message with its reason; returns how many.

    The run's lock is taken alone first, as by a pause: nothing is half-marked then, and what is
    being given back is seen. Must run in a transaction.
    """
    await lock_run(conn, run_id)
    found = await sql.fetchrow(
        conn,
        f"{_LEFT_OVER} AND s.run_id = :run_id AND s.no = :slice_no FOR UPDATE OF s",
        now=now,
        run_id=run_id,
        slice_no=slice_no,
    )
    if found is None:
        return 0
    if found["free"]:
        await recover_slices(conn, [(run_id, slice_no)], now)
    stretch: dict[str, Any] = {
        "run_id": run_id,
        **{name: found[name] for name in ("channel_id", "first_no", "last_no")},
    }
    status = await sql.execute(
        conn,
        f"""
        UPDATE messages SET
            state = CASE WHEN :cancelled THEN 'cancelled' ELSE 'suppressed' END::message_state,
            reason = CASE WHEN :cancelled THEN :cancel_reason ELSE '{Reason.VALIDITY_OVER}' END,
            final_at = :now
        WHERE run_id = :run_id AND channel_id = :channel_id AND no BETWEEN :first_no AND :last_no
          AND state IN {STOP.sources_sql}
        """,  # noqa: S608  # constants
        **stretch,
        now=now,
        cancelled=found["cancelled"],
        cancel_reason=found["cancel_reason"],
    )
    await sql.execute(
        conn,
        f"""
        UPDATE slices SET done_at = :now
        WHERE run_id = :run_id AND no = :slice_no AND epoch IS NULL AND NOT EXISTS (
            SELECT FROM messages WHERE run_id = :run_id AND channel_id = :channel_id
              AND no BETWEEN :first_no AND :last_no
              AND state IN {sql_list(NOT_HANDED_OFF)})
        """,  # noqa: S608  # constants
        **stretch,
        now=now,
        slice_no=slice_no,
    )
    return affected(status)


async def note_turn(conn: Connection, act: str, seconds: float) -> None:
    """Note that a regular act came to its end just now, after so long."""
    await sql.execute(
        conn,
        """
        INSERT INTO turns (act, ended_at, seconds) VALUES (:act, clock_timestamp(), :seconds)
        ON CONFLICT (act) DO UPDATE SET ended_at = excluded.ended_at, seconds = excluded.seconds
        """,
        act=act,
        seconds=seconds,
    )


async def delete_other_turns(conn: Connection, acts: Sequence[str]) -> None:
    """Delete the turns of acts that are not among these: an older version of this program had them,
    and they would stand in /metrics as ever later.
    """
    await sql.execute(conn, "DELETE FROM turns WHERE act <> ALL(:acts)", acts=acts)


async def last_turns(conn: Connection) -> dict[str, tuple[float, float]]:
    """How long ago each regular act came to its end last, and how long it took: seconds."""
    rows = await conn.fetch(
        """
        SELECT act, extract(epoch FROM clock_timestamp() - ended_at)::float8 AS ago,
               seconds::float8
        FROM turns ORDER BY act
        """
    )
    return {row["act"]: (row["ago"], row["seconds"]) for row in rows}
