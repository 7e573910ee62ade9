"""What finding texts by their phone costs a direct send, and what a look-up by phone takes.

Run as `python -m benchmarks.phones [--direct N] [--sends N] [--rounds N]`. Two databases of one
server hold as many direct runs of one text each; one has the index by phone, the other has not. In
each round both write, hand off and fold the same number of direct sends, in batches of 32 that take
turns, so a disturbed moment spoils both alike; a checkpoint comes before each round, so that pages
are written whole at their first change. Taken are the time that the server's process was on a
processor, which waits for nobody, and the octets of WAL. At the end: how many updates of the ledger
stayed on their page (HOT), and the middle of 20 look-ups of a phone that has one text or a few.
"""

import argparse
import asyncio
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from statistics import median

from benchmarks.mark import busy_seconds
from benchmarks.postgres import Database
from service.channels.contract.gateway import Receipt
from service.channels.contract.model import Channel
from service.channels.contract.outcome import ReceiptState
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.dispatch.direct import direct
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.handoff import lease_store, record_store, slice_store, store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.record_store import HandoffResult
from service.dispatch.handoff.slice_store import ReleasedSlice
from service.dispatch.handoff.store import MarkRequest
from service.privacy import erasure_store
from service.privacy import store as privacy
from service.reports import store as reports
from service.storage.locks import share_connection
from service.storage.migrate import migrate
from service.storage.postgres import BY_KEY, Connection, Pool, connect, open_pool, transaction
from tests.conftest import NOW
from tests.harness.aged import DIRECT
from tests.harness.ledger import ALWAYS, TEXT, Scene, add_channel, make_scene, phone

BATCH = 32
KEYRING = Keyring(b"\x01" * 32)
WITHOUT, WITH = "without the index", "with it"
UNINDEXED = ("DROP INDEX messages_direct", "DROP INDEX exclusions_direct")


@dataclass(frozen=True, slots=True)
class Options:
    """direct: runs that there are before. sends: in each round. rounds: how often."""

    direct: int = 500_000
    sends: int = 3_200
    rounds: int = 4


@dataclass
class Side:
    """One of the two databases, over one connection, and what it took, by act."""

    pool: Pool
    scene: Scene
    channel: Channel
    lease: Lease
    micros: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    octets: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @asynccontextmanager
    async def taken(self, act: str) -> AsyncIterator[None]:
        """Note what the block took of the server, a text."""
        async with self.pool.acquire() as conn:
            busy, wal = busy_seconds(conn), await written(conn)
        yield
        async with self.pool.acquire() as conn:
            self.octets[act].append((await written(conn) - wal) / BATCH)
            self.micros[act].append(1e6 * (busy_seconds(conn) - busy) / BATCH)

    async def send(self, first: int) -> None:
        """A batch of direct sends, from the request to the receipt."""
        async with self.taken("write"):
            for number in range(first, first + BATCH):
                async with transaction(self.pool) as conn:
                    await direct.start(conn, self._new(), [self._person(number)], NOW)
        async with self.taken("hand off"):
            async with transaction(self.pool) as conn:
                slices = await slice_store.claim_slices(conn, self.lease, NOW, most=BATCH)
            assert len(slices) == BATCH
            runs = [row["run_id"] for row in slices]
            async with transaction(self.pool) as conn:
                await store.lock_for_mark(conn, self.lease, *runs)
                asked = [MarkRequest(run, 1, 1, 1) for run in runs]
                moved, _ = await store.mark(conn, self.lease, asked, NOW)
                assert len(moved) == BATCH
            async with transaction(self.pool) as conn:
                await share_connection(conn, self.lease.channel_id, self.lease.slot)
                results = [
                    HandoffResult(run, 1, 1, b"", "submitted", None, None, ((1, run.bytes),))
                    for run in runs
                ]
                await record_store.record_results(conn, self.channel.id, results, NOW)
            async with transaction(self.pool) as conn:
                ended = [ReleasedSlice(run, 1) for run in runs]
                assert await slice_store.finish_slices(conn, self.lease, ended, NOW) == BATCH
        async with self.taken("fold"):
            await self._fold(runs)

    def _new(self) -> NewRun:
        return NewRun(
            kind="direct",
            department_id=self.scene.department,
            message_class="service",
            priority="normal",
            text=TEXT,
            channels=[self.channel.id],
            send_hours=ALWAYS,
            timezone="Asia/Shanghai",
            valid_until=NOW + timedelta(days=1),
            sent_by=self.scene.operator,
        )

    def _person(self, number: int) -> Recipient:
        dialled = phone(number)
        return Recipient(
            KEYRING.phone_index(dialled),
            KEYRING.encrypt("phone", dialled),
            "china_mobile",
            synthetic=True,
            channel_id=self.channel.id,
        )

    async def _fold(self, runs: Sequence[uuid.UUID]) -> None:
        receipts = [
            (self.channel.id, Receipt(run.bytes, "", ReceiptState.DELIVERED, "DELIVRD", "", None))
            for run in runs
        ]
        async with transaction(self.pool) as conn:
            await delivery.insert_receipts(conn, KEYRING, receipts, NOW)
        async with transaction(self.pool) as conn:
            taken = await delivery.take_receipts(conn, self.channel.id, 1_000, NOW)
            assert (taken.count, taken.rows) == (len(runs), [])


async def written(conn: Connection) -> int:
    """How many octets of WAL the server has written in its life."""
    octets: int = await conn.fetchval("SELECT (pg_current_wal_insert_lsn() - '0/0')::bigint")
    return octets


async def prepare(pool: Pool, unindexed: Sequence[str], options: Options) -> Side:
    """A department, its channel, and an old ledger."""
    async with pool.acquire() as conn:
        for statement in unindexed:
            await conn.execute(statement)
        scene = await make_scene(conn, NOW)
        channel = await add_channel(conn, KEYRING, 1, NOW)
        await conn.execute(
            DIRECT, channel.id, NOW, scene.department, options.direct, scene.operator, timeout=600
        )
        await conn.execute("VACUUM (ANALYZE)", timeout=600)
    async with transaction(pool) as conn:
        lease = await lease_store.claim_connection(conn, channel.id, 0, uuid.uuid4(), NOW)
    assert lease is not None
    return Side(pool, scene, channel, lease)


async def measure(options: Options, urls: dict[str, str]) -> list[str]:
    """The table."""
    async with AsyncExitStack() as stack:
        sides = {}
        for name, url in urls.items():
            pool = await stack.enter_async_context(
                open_pool(url, size=1, session={**BY_KEY, "transaction_timeout": "0"})
            )
            sides[name] = await prepare(pool, UNINDEXED if name == WITHOUT else (), options)
        for turn in range(options.rounds):
            for side in sides.values():
                await side.pool.execute("CHECKPOINT")
                await side.pool.execute(
                    "UPDATE connections SET expires_at = clock_timestamp() + '1 day'"
                )
            for first in range(0, options.sends, BATCH):
                order = list(sides.values())[:: 1 if first // BATCH % 2 else -1]
                for side in order:
                    await side.send(turn * options.sends + first)
        lines = [line async for line in table(sides)]
        async with open_pool(urls[WITH], size=1) as pool:
            return [*lines, await look_up(sides[WITH], pool)]


async def table(sides: dict[str, Side]) -> AsyncIterator[str]:
    """What was taken, and the ratio to what it is without the index."""
    yield f"{'':<10}{'':<20}{'µs a text':>12}{'ratio':>8}{'WAL octets':>12}{'ratio':>8}"
    for act in sides[WITH].micros:
        base_micros = median(sides[WITHOUT].micros[act])
        base_octets = sum(sides[WITHOUT].octets[act])
        for name, side in sides.items():
            micros, octets = median(side.micros[act]), sum(side.octets[act])
            yield (
                f"{act:<10}{name:<20}{micros:>12.1f}{micros / base_micros:>8.3f}"
                f"{octets / len(side.octets[act]):>12.0f}{octets / base_octets:>8.3f}"
            )
    for name, side in sides.items():
        row = await side.pool.fetchrow(
            "SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables "
            "WHERE relname = 'messages'"
        )
        assert row is not None
        yield f"{name}: {row['updates']:,} updates of the ledger, HOT {row['hot']:,}"


async def look_up(side: Side, pool: Pool) -> str:
    """How long the statements of a look-up take, over the connection of the API."""
    of_messages, of_privacy = [], []
    for number in range(20):
        found = KEYRING.phone_index(phone(number))
        async with pool.acquire() as conn:
            began = time.monotonic()
            since = NOW - timedelta(days=90)
            await reports.list_sent_to(conn, found, side.scene.department, since, 50)
            of_messages.append(time.monotonic() - began)
            began = time.monotonic()
            assert await privacy.list_messages(conn, found, None)
            await erasure_store.count_kept(conn, found, None)
            of_privacy.append(time.monotonic() - began)
    return (
        f"look-up of a phone: {1e3 * median(of_messages):.1f} ms (/messages/lookup), "
        f"{1e3 * median(of_privacy):.1f} ms (/privacy/lookup)"
    )


async def run(options: Options) -> list[str]:
    """Both databases on a server of their own."""
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name,
        Database(Path(name) / "postgres") as database,
    ):
        conn = await connect(database.url)
        await migrate(conn)
        await conn.close()
        urls = {WITHOUT: database.url.replace("/tocsin?", "/without?"), WITH: database.url}
        admin = await connect(database.url.replace("/tocsin?", "/postgres?"))
        await admin.execute("CREATE DATABASE without TEMPLATE tocsin")
        await admin.close()
        return await measure(options, urls)


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Options()
    parser.add_argument("--direct", type=int, default=default.direct)
    parser.add_argument("--sends", type=int, default=default.sends)
    parser.add_argument("--rounds", type=int, default=default.rounds)
    options = Options(**vars(parser.parse_args()))
    print(f"{options.direct:,} direct runs before, {options.sends:,} sends a round")
    print("\n".join(asyncio.run(run(options))))


if __name__ == "__main__":
    main()
