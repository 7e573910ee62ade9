"""What the frequency cap adds to the mark: the same marks with it and without, in turns.

Run as `python -m benchmarks.mark [--people N] [--batch N] [--rounds N]`. In each round two runs
go to the same people: one that no cap counts, and one that takes a place for each; in the first
round these are the first places, later they are added to a row. The batches of the two take turns,
so a disturbed moment spoils both alike. Of each batch the mark's own statement is taken, without
the commit: the time its server process was on a processor, which waits for nobody. At the end it
says how many updates of the caps' table stayed on their page (HOT).
"""

import argparse
import asyncio
import tempfile
import uuid
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median

from benchmarks.postgres import Database
from benchmarks.process import PROC
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, store
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.store import MarkRequest
from service.storage.migrate import migrate
from service.storage.postgres import Connection, Pool, connect, open_pool, transaction
from tests.conftest import NOW
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.stage import claim_one

Batch = tuple[uuid.UUID, Lease, int, range]
"""Run, its lease, number of the slice, and numbers of the messages."""

FREE, FIRST, LATER = "no cap", "first text to a person", "a later one"


def busy_seconds(conn: Connection) -> float:
    """How long the server's process of a connection has been on a processor (Linux)."""
    spent = (PROC / str(conn.get_server_pid()) / "schedstat").read_text().split()[0]
    return int(spent) / 1e9


@dataclass(frozen=True, slots=True)
class Options:
    """people: in each run. batch: rows in a mark. rounds: after the first."""

    people: int = 20_000
    batch: int = 100
    rounds: int = 3


@dataclass
class Bench:
    """A department, and the microseconds a message that the marks took, by kind."""

    pool: Pool
    scene: Scene
    keyring: Keyring
    options: Options
    micros: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    async def round(self, at: datetime, *, fresh: bool) -> None:
        """Mark one run that nothing counts and one that takes places, batch by batch in turns."""
        kinds = {FREE: "send", FIRST if fresh else LATER: "stop"}
        work = {kind: await self._launch(at, over_cap) for kind, over_cap in kinds.items()}
        left: dict[str, list[Batch]] = {kind: [] for kind in work}
        for kind, (run, lease) in work.items():
            async with transaction(self.pool) as conn:
                while (claimed := await claim_one(conn, lease, at)) is not None:
                    nos = range(claimed["first_no"], claimed["last_no"] + 1)
                    left[kind] += [
                        (run, lease, claimed["no"], nos[i : i + self.options.batch])
                        for i in range(0, len(nos), self.options.batch)
                    ]
        for batches in zip(*left.values(), strict=True):
            for kind, (run, lease, slice_no, nos) in zip(work, batches, strict=True):
                async with transaction(self.pool) as conn:
                    await store.lock_for_mark(conn, lease, run)
                    began = busy_seconds(conn)
                    asked = [MarkRequest(run, slice_no, no, 1) for no in nos]
                    moved, _ = await store.mark(conn, lease, asked, at)
                    took = busy_seconds(conn) - began
                assert [row["state"] for row in moved] == ["submitting"] * len(nos)
                self.micros[kind].append(1e6 * took / len(nos))

    async def _launch(self, at: datetime, over_cap: str) -> tuple[uuid.UUID, Lease]:
        async with self.pool.acquire() as conn:
            channel = await add_channel(conn, self.keyring, 1, at)
            text = f"text {uuid.uuid4().hex}"
            run = await add_run(conn, self.scene, at, text=text, valid_until=at + timedelta(days=1))
            await conn.execute(
                "UPDATE runs SET over_cap = $2, channels = ARRAY[$3::smallint] WHERE id = $1",
                run,
                over_cap,
                channel.id,
            )
        assert await expand_run(self.pool, run, at) is not None
        async with transaction(self.pool) as conn:
            lease = await lease_store.claim_connection(conn, channel.id, 0, uuid.uuid4(), at)
        assert lease is not None
        return run, lease


async def run(options: Options) -> list[str]:
    """The table."""
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name,
        Database(Path(name) / "postgres") as database,
    ):
        conn = await connect(database.url)
        await migrate(conn)
        await conn.close()
        async with open_pool(database.url, size=4) as pool:
            return await _measure(options, pool)


async def _measure(options: Options, pool: Pool) -> list[str]:
    keyring = Keyring(b"\x01" * 32)
    async with pool.acquire() as conn:
        scene = await make_scene(conn, NOW, capped=True)
        people = [phone(n) for n in range(options.people)]
        await add_contacts(conn, keyring, scene, people, NOW)
    bench = Bench(pool, scene, keyring, options)
    for turn in range(options.rounds + 1):
        await bench.round(NOW + turn * timedelta(days=5), fresh=not turn)
    row = await pool.fetchrow(
        "SELECT n_tup_upd AS updates, n_tup_hot_upd AS hot FROM pg_stat_user_tables "
        "WHERE relname = 'recent_texts'"
    )
    assert row is not None
    base = median(bench.micros[FREE])
    found = [f"{'':<26}{'µs a message':>14}{'ratio':>8}{'added':>8}"]
    for kind, micros in bench.micros.items():
        middle = median(micros)
        found.append(f"{kind:<26}{middle:>14.1f}{middle / base:>8.2f}{middle - base:>8.1f}")
    return [*found, f"updates of the caps' rows: {row['updates']:,}, HOT {row['hot']:,}"]


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Options()
    parser.add_argument("--people", type=int, default=default.people)
    parser.add_argument("--batch", type=int, default=default.batch)
    parser.add_argument("--rounds", type=int, default=default.rounds)
    options = Options(**vars(parser.parse_args()))
    print(f"{options.people:,} people a run, {options.batch} messages a mark")
    print("\n".join(asyncio.run(run(options))))


if __name__ == "__main__":
    main()
