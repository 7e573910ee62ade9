"""The SQL of channel health: what processes report, the breakers, and the record of their changes.

Reports and breakers follow the clock of the caller; whether a process lives is its lease's affair,
and that alone is asked of the database's real clock.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.dispatch.failover.circuit_breaker import Breaker, ChannelFigures
from service.dispatch.failover.health import BreakerStanding, ChannelCounts, counts_from
from service.storage import sql
from service.storage.postgres import Connection, Record

KEEP = timedelta(hours=1)
"""How long reports are kept: longer than any silence that is judged by them."""

_COLUMNS = (
    *("owner", "channel_id", "at", "submits", "accepted", "refused", "failed", "unanswered"),
    *("unsent", "throttled", "receipts", "delivered", "times", "in_a_row"),
)

_JUDGED = """
    c.id, c.enabled, c.tps, c.connections, k.up, k.held, m.unreported, m.first_at, was.state,
    was.cause, was.why, was.changed_at, was.trips, was.climbing, was.connected_at
"""
_SEEN = """
    CROSS JOIN LATERAL (
        SELECT count(*) FILTER (WHERE expires_at > clock_timestamp()) AS held,
               count(*) FILTER (WHERE expires_at > clock_timestamp() AND state = 'up') AS up
        FROM connections WHERE channel_id = c.id AND slot < c.connections) k
    CROSS JOIN LATERAL (
        SELECT max(at) AS receipt_at FROM channel_health
        WHERE channel_id = c.id AND receipts > 0) h
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(accepted), 0) AS unreported, min(at) AS first_at FROM channel_health
        WHERE channel_id = c.id AND accepted > 0
          AND at > coalesce(h.receipt_at, was.receipt_at)) m
"""


@dataclass(frozen=True, slots=True)
class HealthReport:
    """What one process saw of a channel in the seconds before an instant."""

    owner: UUID
    at: datetime
    counts: ChannelCounts


@dataclass(frozen=True, slots=True)
class ChannelEvent:
    """A change of a channel's breaker, or what was done about it; `why` is a sentence.

    kind: opened, probing, closed, returned; shifted (`messages` of a run to another channel) and
    waiting (`messages` of a run, for which there is none).
    """

    id: int
    kind: str
    at: datetime
    last_at: datetime
    why: str
    figures: Mapping[str, Any]
    run_id: UUID | None
    to_channel_id: int | None
    messages: int


async def report(
    conn: Connection, owner: UUID, counts: Mapping[int, ChannelCounts], now: datetime
) -> dict[int, BreakerStanding]:
    """Write down what a process has counted; returns what is decided of each channel."""
    if counts:
        await sql.executemany(
            conn,
            """
            INSERT INTO channel_health (owner, channel_id, at, submits, accepted, refused, failed,
                                     unanswered, unsent, throttled, receipts, delivered, times,
                                     in_a_row)
            SELECT :owner, id, :now, :submits, :accepted, :refused, :failed,
                   :unanswered, :unsent, :throttled, :receipts, :delivered, :times, :in_a_row
            FROM channels WHERE id = :channel_id  -- it may have been deleted
            """,
            [
                {"owner": owner, "channel_id": channel_id, "now": now, **of_channel.columns()}
                for channel_id, of_channel in counts.items()
            ],
        )
    found = await conn.fetch("SELECT channel_id, state, changed_at, climbing FROM circuit_breakers")
    return {
        row["channel_id"]: BreakerStanding(row["state"], row["changed_at"], row["climbing"])
        for row in found
    }


async def maintenance_hours(conn: Connection) -> dict[int, list[tuple[str, str]]]:
    """The hours of the channels that have any."""
    rows = await conn.fetch("SELECT id, maintenance FROM channels WHERE maintenance <> '[]'")
    return {row["id"]: [(start, end) for start, end in row["maintenance"]] for row in rows}


async def channels_to_judge(
    conn: Connection, resting: Sequence[int], now: datetime, gap: timedelta
) -> list[Record]:
    """Every channel with its breaker as it was left, its connections, and its missing receipts.

    resting: channels that need no connection now. gap: whoever comes back to a breaker after a
    longer time than this has seen nothing of the channel meanwhile. Both start to count the lack of
    a connection anew.
    """
    await sql.execute(
        conn,
        """
        INSERT INTO circuit_breakers (channel_id, changed_at, looked_at, connected_at)
        SELECT id, :now, :now, :now FROM channels ON CONFLICT DO NOTHING
        """,
        now=now,
    )
    return await sql.fetch(
        conn,
        f"""
        WITH seen AS (
            SELECT {_JUDGED}, h.receipt_at
            FROM circuit_breakers was JOIN channels c ON c.id = was.channel_id {_SEEN}
        ), noted AS (
            UPDATE circuit_breakers b SET
                looked_at = :now,
                connected_at = CASE
                    WHEN s.up > 0 OR s.held = 0 OR NOT s.enabled
                      OR s.id = ANY (:resting::smallint[])
                        OR b.looked_at < :now::timestamptz - :gap::interval
                    THEN :now ELSE b.connected_at END,
                receipt_at = coalesce(s.receipt_at, b.receipt_at),
                off_since = CASE WHEN s.enabled THEN NULL ELSE coalesce(b.off_since, :now) END
            FROM seen s WHERE b.channel_id = s.id
            RETURNING b.channel_id, b.connected_at
        )
        SELECT s.id, s.enabled, s.tps, s.connections, s.up, s.held, s.unreported, s.first_at,
               s.state, s.cause, s.why, s.changed_at, s.trips, s.climbing, n.connected_at
        FROM seen s JOIN noted n ON n.channel_id = s.id ORDER BY s.id
        """,  # noqa: S608  # the two parts are above
        now=now,
        gap=gap,
        resting=resting,
    )


async def recent_reports(
    conn: Connection, since: datetime, channel_id: int | None = None
) -> dict[int, list[HealthReport]]:
    """What was reported of each channel after an instant, by processes that serve it still; or of
    one channel.
    """
    rows = await sql.fetch(
        conn,
        f"""
        SELECT {", ".join(_COLUMNS)} FROM channel_health h
        WHERE at > :since AND (:channel_id::smallint IS NULL OR channel_id = :channel_id)
          AND EXISTS (
            SELECT FROM connections k
            WHERE k.channel_id = h.channel_id AND k.owner = h.owner
              AND k.expires_at > clock_timestamp())
        ORDER BY at
        """,  # noqa: S608  # names of columns
        since=since,
        channel_id=channel_id,
    )
    found: dict[int, list[HealthReport]] = {}
    for owner, reported, at, *values in rows:
        found.setdefault(reported, []).append(HealthReport(owner, at, counts_from(values)))
    return found


async def write_breaker(conn: Connection, channel_id: int, breaker: Breaker) -> None:
    """Keep what became of a breaker."""
    await sql.execute(
        conn,
        """
        UPDATE circuit_breakers SET
            state = :state, cause = :cause, why = :why, changed_at = :changed_at, trips = :trips,
                climbing = :climbing
        WHERE channel_id = :channel_id
        """,
        channel_id=channel_id,
        state=breaker.state,
        cause=breaker.cause,
        why=breaker.why,
        changed_at=breaker.changed_at,
        trips=breaker.trips,
        climbing=breaker.climbing,
    )


async def look_again(conn: Connection) -> None:
    """After a change of any channel, what others may take is looked for at once."""
    await conn.execute("UPDATE circuit_breakers SET shift_at = NULL WHERE shift_at IS NOT NULL")


async def write_event(
    conn: Connection, channel_id: int, kind: str, why: str, figures: ChannelFigures, now: datetime
) -> None:
    """Record a change, with the figures that led to it."""
    await sql.execute(
        conn,
        """
        INSERT INTO circuit_breaker_events (channel_id, kind, at, last_at, why, figures)
        VALUES (:channel_id, :kind, :now, :now, :why, :figures)
        """,
        channel_id=channel_id,
        kind=kind,
        now=now,
        why=why,
        figures=figures.as_json(),
    )


async def delete_old_reports(conn: Connection, now: datetime, keep: timedelta = KEEP) -> None:
    """Forget what is too old to say anything; its counts are kept as sums."""
    await sql.execute(
        conn,
        """
        WITH gone AS (
            DELETE FROM channel_health WHERE at < :before RETURNING *
        )
        INSERT INTO channel_totals AS t (channel_id, accepted, refused, failed, unanswered, unsent,
                                         throttled, receipts, delivered)
        SELECT channel_id, sum(accepted), sum(refused), sum(failed), sum(unanswered), sum(unsent),
               sum(throttled), sum(receipts), sum(delivered)
        FROM gone GROUP BY channel_id ORDER BY channel_id
        ON CONFLICT (channel_id) DO UPDATE SET
            accepted = t.accepted + excluded.accepted, refused = t.refused + excluded.refused,
            failed = t.failed + excluded.failed,
            unanswered = t.unanswered + excluded.unanswered, unsent = t.unsent + excluded.unsent,
            throttled = t.throttled + excluded.throttled,
            receipts = t.receipts + excluded.receipts, delivered = t.delivered + excluded.delivered
        """,
        before=now - keep,
    )


async def add_up_ends(conn: Connection) -> None:
    """Replace the counts of texts that have ended, a row a batch, by their sums."""
    await conn.execute(
        """
        WITH gone AS (
            DELETE FROM text_ends RETURNING *
        )
        INSERT INTO text_ends (channel_id, state, texts)
        SELECT channel_id, state, sum(texts) FROM gone GROUP BY channel_id, state
        """
    )


async def channel_to_show(conn: Connection, channel_id: int) -> Record | None:
    """A channel as `channels_to_judge` gives it, without judging; None: nobody ever has."""
    return await sql.fetchrow(
        conn,
        f"""
        SELECT {_JUDGED} FROM circuit_breakers was JOIN channels c ON c.id = was.channel_id {_SEEN}
        WHERE c.id = :channel_id
        """,  # noqa: S608  # the two parts are above
        channel_id=channel_id,
    )


async def list_events(
    conn: Connection, channel_id: int, scope: UUID | None, limit: int
) -> list[ChannelEvent]:
    """The last changes of a channel, from new to old; a run is named to its department only, or to
    whoever sees all (`scope` None).
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT e.id, e.kind, e.at, e.last_at, e.why, e.figures,
               CASE WHEN :scope::uuid IS NULL OR r.department_id = :scope THEN e.run_id END,
               e.to_channel_id, e.messages
        FROM circuit_breaker_events e LEFT JOIN runs r ON r.id = e.run_id
        WHERE e.channel_id = :channel_id ORDER BY e.id DESC LIMIT :limit
        """,
        channel_id=channel_id,
        scope=scope,
        limit=limit,
    )
    return [ChannelEvent(*row) for row in rows]
