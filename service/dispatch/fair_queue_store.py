"""The SQL of shares: what the departments had of a channel, told by each of its connections.

A connection tells what it handed off twice a second and learns how everybody stands, so a share
holds over all connections and processes, and after a restart. What a crash leaves untold is half a
second's.
"""

from collections.abc import Mapping
from datetime import datetime

from service.dispatch.fair_queue import Charge, Flow, FlowStanding
from service.storage.postgres import Connection


async def tell(
    conn: Connection, channel_id: int, charges: Mapping[Flow, Charge], now: datetime
) -> None:
    """Add what one connection handed off, in the order of the key, so that nobody deadlocks.

    Parts are counted by the minute; a minute without any makes the department busy anew.
    """
    if not charges:
        return
    ordered = sorted(charges.items(), key=lambda item: item[0])
    await conn.execute(
        """
        INSERT INTO shares AS s (channel_id, priority, department_id, virtual_time, started,
                                 busy_since, minute, parts)
        SELECT $1, a.priority, a.department_id, a.began + a.parts::float8 / d.weight, a.started,
               $2::timestamptz, date_trunc('minute', $2::timestamptz), a.parts
        FROM unnest($3::smallint[], $4::uuid[], $5::float8[], $6::float8[], $7::int[])
            WITH ORDINALITY AS a(priority, department_id, began, started, parts, at)
        JOIN departments d ON d.id = a.department_id
        ORDER BY a.at
        ON CONFLICT (channel_id, priority, department_id) DO UPDATE SET
            virtual_time = (
                -- What is excluded began at its time less its own parts: no earlier counts.
                SELECT greatest(s.virtual_time, excluded.virtual_time - t.advance) + t.advance
                FROM (SELECT excluded.parts::float8 / d.weight AS advance
                      FROM departments d WHERE d.id = excluded.department_id) t),
            started = greatest(s.started, excluded.started),
            busy_since = CASE WHEN excluded.minute <= s.minute + interval '1 minute'
                              THEN s.busy_since ELSE excluded.busy_since END,
            parts_before = CASE WHEN excluded.minute <= s.minute THEN s.parts_before
                                WHEN excluded.minute = s.minute + interval '1 minute' THEN s.parts
                                ELSE 0 END,
            parts = excluded.parts + CASE WHEN excluded.minute <= s.minute THEN s.parts ELSE 0 END,
            minute = greatest(s.minute, excluded.minute)
        """,
        channel_id,
        now,
        [flow.priority for flow, _ in ordered],
        [flow.department for flow, _ in ordered],
        [charge.began for _, charge in ordered],
        [charge.started for _, charge in ordered],
        [charge.parts for _, charge in ordered],
    )


async def standings(conn: Connection, channel_id: int) -> dict[Flow, FlowStanding]:
    """How every department stands on a channel, by priority, with its weight as it is now."""
    rows = await conn.fetch(
        """
        SELECT s.priority, s.department_id, s.virtual_time, s.started, d.weight
        FROM shares s JOIN departments d ON d.id = s.department_id
        WHERE s.channel_id = $1
        """,
        channel_id,
    )
    return {
        Flow(row["priority"], row["department_id"]): FlowStanding(
            row["virtual_time"], row["started"], row["weight"]
        )
        for row in rows
    }
