"""The SQL of direct runs: the run itself, and its ledger out of people who are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.storage.postgres import Connection, Record, one


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a direct run sends, in whose name, and within which limits.

    kind: of the table of runs. message_class: public_interest, service or warning.
    channels: the ways it may take, also where a text is routed again.
    send_hours, timezone: as of a schedule. valid_until: past it, nothing is handed off.
    confirms: the reason of the suppressions that its texts confirm, and so pass; None: none.
    """

    kind: str
    department_id: UUID
    message_class: str
    priority: str
    text: str
    channels: Sequence[int]
    send_hours: Sequence[Sequence[str]]
    timezone: str
    valid_until: datetime
    confirms: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is to get it, on this channel.

    carrier: the one of the number's prefix; an override goes before it. synthetic: whether the
    number is nobody's, which only a simulated channel takes.
    """

    phone_hash: bytes
    phone_cipher: bytes
    carrier: str
    synthetic: bool
    channel_id: int


async def insert_run(conn: Connection, new: NewRun, now: datetime) -> Record:
    """Make a direct run whose ledger is still to be written."""
    row = await conn.fetchrow(
        """
        INSERT INTO runs (kind, department_id, fire_at, state, priority, class, text, channels,
                          send_hours, timezone, valid_until, confirms, created_at)
        VALUES ($1, $2, $10, 'expanding', $3, $4, $5, $6, $7, $8, $9, $11, $10)
        RETURNING *
        """,
        new.kind,
        new.department_id,
        new.priority,
        new.message_class,
        new.text,
        list(new.channels),
        [list(span) for span in new.send_hours],
        new.timezone,
        new.valid_until,
        now,
        new.confirms,
    )
    return one(row)


async def write_ledger(
    conn: Connection, run: Record, recipients: Sequence[Recipient], now: datetime
) -> tuple[int, int]:
    """Write a row for each recipient, or the reason why not; returns both counts.

    A phone that is named several times counts once. The reasons are those of an expansion.
    """
    row = await conn.fetchrow(
        """
        WITH named AS (
            SELECT DISTINCT ON (phone_hash) * FROM unnest(
                $2::bytea[], $3::bytea[], $4::text[], $5::boolean[], $6::smallint[])
                AS n(phone_hash, phone_cipher, carrier, synthetic, channel_id)
            ORDER BY phone_hash
        ), people AS MATERIALIZED (
            SELECT n.phone_hash, n.phone_cipher, n.channel_id,
                coalesce(v.carrier, n.carrier) AS carrier,
                CASE
                    WHEN s.reason IS NOT NULL THEN s.reason
                    WHEN c.id IS NULL THEN 'no_route'
                    WHEN n.synthetic AND NOT c.simulated THEN 'synthetic_range'
                    WHEN c.simulated AND NOT n.synthetic THEN 'not_synthetic'
                END AS excluded
            FROM named n
            LEFT JOIN channels c ON c.id = n.channel_id
            LEFT JOIN carrier_overrides v ON v.phone_hash = n.phone_hash
            LEFT JOIN LATERAL (
                SELECT reason FROM suppressions s
                WHERE s.phone_hash = n.phone_hash AND $7 = ANY (s.classes)
                  AND s.reason IS DISTINCT FROM $8
                  AND (s.expires_at IS NULL OR s.expires_at > $9)
                ORDER BY reason LIMIT 1) s ON true
        ), kept AS (
            INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles)
            SELECT $1, row_number() OVER (ORDER BY channel_id, phone_hash), phone_hash,
                   phone_cipher, channel_id, carrier, '{}'
            FROM people WHERE excluded IS NULL
            RETURNING 1
        ), left_out AS (
            INSERT INTO exclusions (run_id, phone_hash, reason, carrier)
            SELECT $1, phone_hash, excluded, carrier FROM people WHERE excluded IS NOT NULL
            RETURNING 1
        )
        SELECT (SELECT count(*) FROM kept) AS target, (SELECT count(*) FROM left_out) AS excluded
        """,
        run["id"],
        [r.phone_hash for r in recipients],
        [r.phone_cipher for r in recipients],
        [r.carrier for r in recipients],
        [r.synthetic for r in recipients],
        [r.channel_id for r in recipients],
        run["class"],
        run["confirms"],
        now,
    )
    counts = one(row)
    return counts["target"], counts["excluded"]
