"""A database with months of data behind it, loaded by a few statements."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from service.channels.contract.model import Channel
from service.crypto import Keyring
from service.dispatch.handoff import lease_store
from service.dispatch.handoff.lease_store import Lease
from service.privacy.retention import ROWS, RetentionTerms
from service.privacy.retention_store import drop_numbers, old_stretch
from service.storage.postgres import LONG_SECONDS, Connection, Pool, affected, transaction
from tests.harness.ledger import Scene, add_channel, add_run, make_scene
from tests.harness.owner import as_owner

LEDGER = (
    "attempts",
    "deferrals",
    "exclusions",
    "messages",
    "parts",
    "runs",
    "slices",
    "uncertain",
)
LOOKS_UP = (
    "SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::int"
    " FROM pg_stat_xact_user_tables WHERE relname = ANY ($1)"
)


class Reading:
    """How many rows of the ledger a block has read, those that it threw away included."""

    rows = 0


@asynccontextmanager
async def reading(conn: Connection) -> AsyncIterator[Reading]:
    """Counts what is read meanwhile, in a transaction that is undone at the end."""
    undone = conn.transaction()
    await undone.start()
    try:
        before = await conn.fetchval(LOOKS_UP, LEDGER)
        found = Reading()
        yield found
        found.rows = await conn.fetchval(LOOKS_UP, LEDGER) - before
    finally:
        await undone.rollback()


@dataclass(frozen=True, slots=True)
class Sizes:
    """large: people of each large run, of which there are three, and one that is the newest;
    middle: of each of ten runs; direct: how many runs of one text; slice: rows of a slice.
    """

    large: int
    middle: int
    direct: int
    slice: int


SMALL = Sizes(large=12_000, middle=2_000, direct=1_500, slice=100)
FULL = Sizes(large=100_000, middle=20_000, direct=5_000, slice=1_000)


@dataclass
class Aged:
    """Such a database. run: the newest large one, of which the first slices are sent and the
    fourth is in the hands of `lease`; direct: the newest runs of one text each, which are to be
    settled; empty: a run without a ledger.
    """

    pool: Pool
    keyring: Keyring
    scene: Scene
    channel: Channel
    lease: Lease
    now: datetime
    sizes: Sizes
    empty: uuid.UUID
    run: uuid.UUID
    direct: list[uuid.UUID]

    @property
    def is_loaded(self) -> bool:
        return self.run != self.empty

    def unknown(self) -> "Aged":
        """The same, with all that is asked for in a run without a ledger."""
        return replace(self, run=self.empty, direct=[self.empty])

    async def load_months(self) -> None:
        """What statistics may know of: three large runs of long ago, all delivered."""
        for _ in range(3):
            await self._large(self.sizes.large)

    async def load_newest(self) -> None:
        """What came since: runs of one text, ten runs, and the newest one, which goes out."""
        for _ in range(10):
            await self._large(self.sizes.middle)
        rows = await self.pool.fetch(
            DIRECT,
            self.channel.id,
            self.now,
            self.scene.department,
            self.sizes.direct,
            self.scene.operator,
        )
        self.direct = [row["run_id"] for row in rows][-20:]
        await self.pool.execute(
            "UPDATE runs SET settled_at = NULL, settle_at = NULL WHERE id = ANY ($1)", self.direct
        )
        self.run = await self._large(self.sizes.large)
        for statement in GOING_OUT:
            await self.pool.execute(
                statement.format(slice=self.sizes.slice), self.run, self.lease.epoch, self.now
            )

    async def _large(self, people: int) -> uuid.UUID:
        async with self.pool.acquire() as conn:
            run = await add_run(
                conn, self.scene, self.now, valid_until=self.now + timedelta(days=1)
            )
            for statement in LARGE:
                await conn.execute(
                    statement.format(slice=self.sizes.slice),
                    run,
                    self.channel.id,
                    self.now,
                    people,
                )
        return run


async def age(pool: Pool, scene: Scene, now: datetime, people: int, months: int) -> None:
    """Everybody was sent a text in each of so many months, by campaigns that are over; and direct
    sends, one for each third person. Rows of the ledger live as a run's rows do: written, changed
    in their place, and shortened by retention when their numbers' term is over; each month ends
    with VACUUM. Where a later run finds room depends on all of that.
    """
    channel = await pool.fetchval("SELECT id FROM channels")
    async with pool.acquire(seconds=LONG_SECONDS) as conn:
        for month in range(months, 0, -1):
            then = now - timedelta(days=30 * month)
            run_id = await add_run(conn, scene, then, valid_until=then + timedelta(days=1))
            sent = await conn.execute(_QUEUED, run_id, channel, scene.department)
            for turn in range(TURNS):  # each finds room where the one before has left old versions
                await conn.execute(_ENDED, run_id, then, TURNS, turn)
            _, parts, _, slices, over = LARGE
            for statement in (parts, slices, over):
                text = statement.format(slice=1_000)
                await conn.execute(text, run_id, channel, then, affected(sent))
            sends = people // 3 // months
            await conn.execute(DIRECT, channel, then, scene.department, sends, scene.operator)
            await _drop_numbers(conn, then)
            await conn.execute("VACUUM messages")
        await conn.execute("UPDATE campaigns SET state = 'done'")
        await conn.execute("VACUUM ANALYZE")


async def _drop_numbers(conn: Connection, now: datetime) -> None:
    """What retention does with numbers past their term, until none is left."""
    before = now - RetentionTerms().numbers
    while True:
        async with conn.transaction():
            stretch = await old_stretch(conn, before, ROWS)
            if stretch is None:
                return
            await drop_numbers(conn, stretch, now)


TURNS = 4
_QUEUED = """
    INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, area_code,
                          roles, state)
    SELECT $1, row_number() OVER (ORDER BY phone_hash), phone_hash, phone_cipher, $2,
           coalesce(carrier, ''), area_code, '{finance}', 'queued'
    FROM contacts WHERE department_id = $3
"""
_ENDED = """
    UPDATE messages SET attempt = 1, part_count = 1, marked_at = $2, submitted_at = $2,
                        final_at = $2, state = (CASE WHEN hashint4(no) % 20 = 0 THEN 'undelivered'
                                                ELSE 'delivered' END)::message_state
    WHERE run_id = $1 AND no % $3 = $4
"""
"""The life of a run's texts to everybody of a department; one in twenty does not arrive."""


async def make_aged(pool: Pool, keyring: Keyring, now: datetime, sizes: Sizes) -> Aged:
    """The department and its channel; nothing is loaded, and nobody analyses by himself."""
    for table in LEDGER:
        await as_owner(pool, f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    async with pool.acquire() as conn:
        scene = await make_scene(conn, now)
        channel = await add_channel(conn, keyring, 1, now)
    async with transaction(pool) as conn:
        lease = await lease_store.claim_connection(conn, channel.id, 0, uuid.uuid4(), now)
        assert lease is not None
        await conn.execute("UPDATE connections SET expires_at = clock_timestamp() + '1 day'")
        empty = await add_run(conn, scene, now, valid_until=now + timedelta(days=1))
        await conn.execute("UPDATE runs SET state = 'sent', settled_at = $1", now)
    return Aged(pool, keyring, scene, channel, lease, now, sizes, empty, empty, [empty])


LARGE = (
    """
    INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles, state,
                          attempt, part_count, marked_at, submitted_at, final_at)
    SELECT $1, row_number() OVER (ORDER BY hash), hash, 'cipher', $2, 'china_mobile',
           '{{finance}}', 'delivered', 1, 1, $3, $3, $3
    FROM (SELECT substr(sha256(n::text::bytea), 1, 16) AS hash
          FROM generate_series(1, $4::int) n) p
    """,
    """
    INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
    SELECT channel_id, uuid_send(run_id) || int4send(no), phone_hash, run_id, no, 1, 1, $3
    FROM messages WHERE run_id = $1 AND $2::smallint IS NOT NULL AND $4::int IS NOT NULL
    """,
    """
    INSERT INTO exclusions (run_id, phone_hash, reason)
    SELECT $1, substr(sha256(('x' || n)::bytea), 1, 16), 'opted_out'
    FROM generate_series(1, $4::int / 10) n
    WHERE $2::smallint IS NOT NULL AND $3::timestamptz IS NOT NULL
    """,
    """
    INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, touched, done_at)
    SELECT $1, n, $2, (n - 1) * {slice} + 1, n * {slice}, 1, true, $3
    FROM generate_series(1, $4::int / {slice}) n
    """,
    """
    UPDATE runs SET state = 'sent', target = $4, finished_at = $3, settled_at = $3
    WHERE id = $1 AND $2::smallint IS NOT NULL
    """,
)
"""A run that is over, of $4 people."""

DIRECT = """
    WITH run AS (
        INSERT INTO runs (kind, department_id, fire_at, state, priority, class, text, channels,
                          send_hours, timezone, valid_until, target, created_at, started_at,
                          finished_at, settled_at, sent_by)
        SELECT 'direct', $3, $2, 'sent', 'normal', 'service', 'text', ARRAY[$1::smallint],
               '[["00:00", "24:00"]]', 'Asia/Shanghai', $2::timestamptz + interval '1 day', 1, $2,
               $2, $2, $2, $5
        FROM generate_series(1, $4::int) RETURNING id
    ), text AS (
        INSERT INTO messages (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles,
                              state, attempt, part_count, marked_at, submitted_at, direct)
        SELECT id, 1, substr(sha256(id::text::bytea), 1, 16), 'cipher', $1, 'china_mobile', '{}',
               'submitted', 1, 1, $2, $2, true
        FROM run
    ), slice AS (
        INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority, touched, done_at)
        SELECT id, 1, $1, 1, 1, 1, true, $2 FROM run
    )
    INSERT INTO parts (channel_id, ref, phone_hash, run_id, no, part, attempt, at)
    SELECT $1, uuid_send(id), substr(sha256(id::text::bytea), 1, 16), id, 1, 1, 1, $2 FROM run
    RETURNING run_id
"""
"""Direct runs of one text each, which the carrier has."""

GOING_OUT = (
    """
    UPDATE runs SET state = 'running', finished_at = NULL, settled_at = NULL
    WHERE id = $1 AND $2::bigint IS NOT NULL AND $3::timestamptz IS NOT NULL
    """,
    """
    UPDATE messages SET state = 'submitted', final_at = NULL
    WHERE run_id = $1 AND no <= 3 * {slice} AND $2::bigint IS NOT NULL
      AND $3::timestamptz IS NOT NULL
    """,
    """
    UPDATE messages SET state = 'queued', attempt = 0, marked_at = NULL, submitted_at = NULL,
           final_at = NULL
    WHERE run_id = $1 AND no > 3 * {slice} AND $2::bigint IS NOT NULL
      AND $3::timestamptz IS NOT NULL
    """,
    """
    UPDATE messages SET state = 'submitting', attempt = 1, marked_at = $3
    WHERE run_id = $1 AND no BETWEEN 3 * {slice} + 1 AND 3 * {slice} + 40 AND $2::bigint IS NOT NULL
    """,
    """
    UPDATE slices SET done_at = NULL, touched = no = 4, slot = CASE WHEN no = 4 THEN 0 END,
           epoch = CASE WHEN no = 4 THEN $2::bigint END
    WHERE run_id = $1 AND no > 3 AND $3::timestamptz IS NOT NULL
    """,
    """
    DELETE FROM parts WHERE run_id = $1 AND no > 3 * {slice} AND $2::bigint IS NOT NULL
      AND $3::timestamptz IS NOT NULL
    """,
)
"""The newest run: three slices are sent, the fourth is being handed off, the rest waits."""
