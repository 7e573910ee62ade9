"""The SQL of /metrics: how much waits where, and since when. Cheap: no ledger is read for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.channels.contract.model import LISTS
from service.delivery.notices.mail_store import count_mails
from service.dispatch.handoff.sweep_store import last_turns
from service.ledger.states import OPEN_RUNS, OPEN_RUNS_WITH_LEDGER, sql_list
from service.liveness.process_store import SeenProcess, seen_processes
from service.reports.interruption_store import count_interruptions
from service.reports.work_store import KINDS, what_waits
from service.storage import sql
from service.storage.postgres import Connection

SHOWN_SECONDS = 600.0
"""A process is shown for so long after its last beat: one that stands still is seen, and one that
was killed and started again is forgotten.
"""


@dataclass(frozen=True, slots=True)
class BacklogCount:
    """So many of something, the first of them since `since`; None where there is nothing."""

    count: int
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the whole system.

    Channels are by name. receipts: to be folded. unmatched: by channel and why. messages: rows of
    slices that are not done, by channel and priority (0 urgent, 1 normal, 2 bulk), those already
    handed off included: no more than so many are queued. connections: (up, wanted). turns: of the
    scheduler's acts, how long ago each ended last and how long it took, in seconds. work: what
    waits for a person, by kind. interruptions: by kind, since ever. mails: of the last day, by
    state. backups: how old the last one of each kind is, in seconds. kept_log: octets of
    PostgreSQL's log that wait to be copied; None: nobody copies it. processes: those that beat
    lately.
    """

    channels: tuple[str, ...]
    held: frozenset[str]
    receipts: dict[str, BacklogCount]
    unmatched: dict[tuple[str, str], BacklogCount]
    uncertain: dict[str, BacklogCount]
    messages: dict[tuple[str, int], int]
    connections: dict[str, tuple[int, int]]
    runs: dict[str, int]
    texts: BacklogCount
    imports: int
    turns: dict[str, tuple[float, float]]
    work: dict[str, BacklogCount]
    interruptions: dict[str, int]
    mails: dict[str, int]
    backups: dict[str, float]
    kept_log: int | None
    processes: Sequence[SeenProcess]


async def read_backlog(conn: Connection, now: datetime) -> Backlog:
    """Count everything that waits."""
    channels = await sql.fetch(
        conn,
        """
        SELECT c.name, c.held_until > :now AS held,
               -- A list needs a connection only while it is drawn.
               CASE WHEN c.kind = ANY (:lists) THEN 0 ELSE c.connections END AS wanted,
               count(*) FILTER (WHERE k.state = 'up' AND k.expires_at > clock_timestamp()) AS up
        FROM channels c LEFT JOIN connections k ON k.channel_id = c.id AND k.slot < c.connections
        WHERE c.enabled GROUP BY c.id ORDER BY c.id
        """,
        lists=sorted(LISTS),
        now=now,
    )
    messages = await conn.fetch(
        f"""
        SELECT c.name, s.priority, sum(s.last_no - s.first_no + 1) AS messages
        FROM slices s JOIN runs r ON r.id = s.run_id JOIN channels c ON c.id = s.channel_id
        WHERE s.done_at IS NULL AND r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)}
        GROUP BY c.name, s.priority
        """  # noqa: S608  # constants
    )
    runs = await conn.fetch(
        f"""
        SELECT state, count(*) AS runs FROM runs
        WHERE state IN {sql_list(OPEN_RUNS)} GROUP BY state
        """  # noqa: S608  # constants
    )
    texts = await conn.fetch(
        "SELECT count(*) AS count, min(received_at) AS since FROM inbound WHERE state = 'new'"
    )
    imports = await conn.fetchval("SELECT count(*) FROM imports WHERE state = 'reading'")
    return Backlog(
        channels=tuple(row["name"] for row in channels),
        held=frozenset(row["name"] for row in channels if row["held"]),
        receipts=await _receipts(conn),
        unmatched=await _unmatched(conn),
        uncertain=await _uncertain(conn),
        messages={(row["name"], row["priority"]): int(row["messages"]) for row in messages},
        connections={row["name"]: (row["up"], row["wanted"]) for row in channels},
        runs={row["state"]: row["runs"] for row in runs},
        texts=BacklogCount(texts[0]["count"], texts[0]["since"]),
        imports=imports,
        turns=await last_turns(conn),
        work=await _work(conn, now),
        interruptions=await count_interruptions(conn),
        mails=await count_mails(conn, now - timedelta(days=1)),
        backups=await _backups(conn),
        kept_log=await conn.fetchval(
            """
            SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint
            FROM pg_replication_slots WHERE slot_name = 'tocsin_backup'
            """
        ),
        processes=await seen_processes(conn, SHOWN_SECONDS),
    )


async def _backups(conn: Connection) -> dict[str, float]:
    """By the database's own clock, which a simulated one does not change."""
    rows = await conn.fetch(
        "SELECT kind, extract(epoch FROM clock_timestamp() - ended_at)::float8 AS age FROM backups"
    )
    return {row["kind"]: max(0.0, row["age"]) for row in rows}


async def _work(conn: Connection, now: datetime) -> dict[str, BacklogCount]:
    found = [await what_waits(conn, kind, None, now, 1) for kind in KINDS]
    return {waiting.kind.name: BacklogCount(waiting.total, waiting.oldest) for waiting in found}


async def _receipts(conn: Connection) -> dict[str, BacklogCount]:
    rows = await conn.fetch(
        """
        SELECT c.name, i.count, i.since FROM channels c JOIN (
            SELECT channel_id, count(*), min(received_at) AS since FROM receipt_inbox
            GROUP BY channel_id) i ON i.channel_id = c.id
        """
    )
    return {row["name"]: BacklogCount(row["count"], row["since"]) for row in rows}


async def _unmatched(conn: Connection) -> dict[tuple[str, str], BacklogCount]:
    rows = await conn.fetch(
        """
        SELECT c.name, u.why, u.count, u.since FROM channels c JOIN (
            SELECT channel_id, why, count(*), min(received_at) AS since FROM receipts_unmatched
            WHERE why IN ('parked', 'ambiguous') GROUP BY channel_id, why
            UNION ALL
            SELECT channel_id, why, count(*), min(received_at) FROM receipts_unmatched
            WHERE why = 'unreadable' GROUP BY channel_id, why) u ON u.channel_id = c.id
        """
    )
    return {(row["name"], row["why"]): BacklogCount(row["count"], row["since"]) for row in rows}


async def _uncertain(conn: Connection) -> dict[str, BacklogCount]:
    rows = await conn.fetch(
        """
        SELECT c.name, u.count, u.since FROM channels c JOIN (
            SELECT channel_id, count(*), min(since) AS since FROM uncertain
            GROUP BY channel_id) u ON u.channel_id = c.id
        """
    )
    return {row["name"]: BacklogCount(row["count"], row["since"]) for row in rows}
