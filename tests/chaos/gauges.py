"""What a long run is judged by: one reading of rates, queues, delays, memory and tables."""

import contextlib
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from tests.chaos.system import System

PROCESSES = {
    "api": ("api", "api-1"),
    "scheduler": ("scheduler", "scheduler-1"),
    "work": ("work", "work-1"),
    "channel": ("channel-0", "channel-1"),
    "carrier": ("simulator",),
    "valkey": ("valkey",),
    "postgres": ("postgres",),
}
TABLES = ("messages", "parts", "receipt_inbox", "slices")
RECENT_RUNS = 3
"""A text that became final a moment ago belongs to one of so many last runs."""


@dataclass(slots=True)
class Reading:
    """One look. Rates a second, seconds, megabytes; queues and dead rows in rows.

    queued: not handed off yet, in runs that are open. inbox: receipts that are stored and not yet
    in the ledger. p50, p99: from the hand-off's answer to the final state, of what became final
    since the last look. row_octets: of the ledger's table, by row.
    """

    seconds: float = 0.0
    rate: float = 0.0
    queued: int = 0
    inbox: int = 0
    p50: float = 0.0
    p99: float = 0.0
    memory: dict[str, float] = field(default_factory=dict)
    connections: int = 0
    dead: dict[str, int] = field(default_factory=dict)
    size: dict[str, float] = field(default_factory=dict)
    row_octets: float = 0.0


class Tally:
    """How many texts the carrier has accepted, counted in its journal as it grows."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._tail = b""
        self.count = 0

    def read(self) -> int:
        """All so far."""
        with self._path.open("rb") as file:
            file.seek(self._offset)
            while data := file.read(1 << 20):
                self._offset += len(data)
                lines = (self._tail + data).split(b"\n")
                self._tail = lines.pop()
                self.count += sum(b'"submit"' in line for line in lines)
        return self.count


def megabytes(pids: list[int]) -> float:
    """What processes hold of memory together; shared pages are shared out among their users.

    Without shared memory: PostgreSQL's buffers fill up to their size, which says nothing.
    """
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                name, _, value = line.partition(":")
                if name in {"Pss_Anon", "Pss_File"}:
                    total += int(value.split()[0])
    return total / 1024


async def read(system: System, seconds: float) -> Reading:
    """Look at everything but the rate; `seconds` is how far back the delays go."""
    reading = Reading()
    since = system.clock.now() - timedelta(seconds=seconds)
    row = (await system.rows(_QUEUES, since, RECENT_RUNS))[0]
    reading.queued, reading.inbox, reading.connections = row[0], row[1], row[2]
    reading.p50, reading.p99 = row[3] or (0.0, 0.0)
    for table in await system.rows(_TABLES, list(TABLES)):
        reading.dead[table["relname"]] = table["n_dead_tup"]
        reading.size[table["relname"]] = table["size"] / (1 << 20)
        if table["relname"] == "messages" and table["n_live_tup"]:
            reading.row_octets = table["heap"] / table["n_live_tup"]
    for kind, names in PROCESSES.items():
        reading.memory[kind] = megabytes([pid for name in names for pid in system.live.tree(name)])
    return reading


_QUEUES = """
WITH recent AS (SELECT id FROM runs ORDER BY created_at DESC LIMIT $2)
SELECT
    (SELECT count(*) FROM slices s JOIN messages m
       ON m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no
      AND m.channel_id = s.channel_id
     WHERE s.done_at IS NULL AND m.state = 'queued'),
    (SELECT count(*) FROM receipt_inbox),
    (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()),
    (SELECT percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
        ORDER BY extract(epoch FROM m.final_at - m.submitted_at)::float)
     FROM recent r, LATERAL (
         SELECT final_at, submitted_at FROM messages WHERE run_id = r.id OFFSET 0) m
     WHERE m.final_at > $1 AND m.submitted_at IS NOT NULL)
"""

_TABLES = """
SELECT relname, n_dead_tup, n_live_tup, pg_total_relation_size(relid) AS size,
       pg_relation_size(relid) AS heap
FROM pg_stat_user_tables WHERE relname = ANY($1)
"""
