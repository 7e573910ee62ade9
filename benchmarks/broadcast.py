"""One broadcast with TPS off, from queued to final, every result and receipt committed.

Run as `python -m benchmarks.broadcast [--people N] [--window N] [--destinations N]
[--protocol cmpp|sgip|smgp|smpp] [--delay SECONDS] [--receipts-window N] [--answers SECONDS]`.
Starts a whole system of its own in a temporary folder, imports the people, sends them one text of
60 characters through the simulated carrier over TCP, and prints rates, delays, and what each
process used. The carrier's own delay (`--delay`) is in every time from accepted to final. With
`--profile` it says where the time goes, too. With `--recount SECONDS` coverage of the campaign is
counted again and again meanwhile, and with `--pairs N` as well so many pairs are compared,
one without counts and one with them. With `--months N` everybody was sent a text in each of so many
months before.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.carrier import TEXT, Carrier, contact_file, numbers
from benchmarks.figures import CARRIER, Figures
from benchmarks.postgres import Database, seconds_by_kind, statement_lines
from benchmarks.process import peak_megabytes, processor_seconds, resident_megabytes
from benchmarks.sampling import environment, lines, read_samples, sampling
from service.storage.postgres import OwnConnection, connect, open_pool
from tests.harness.aged import age
from tests.harness.ledger import make_scene
from tests.harness.links import LINKS
from tests.harness.live import EVERYBODY, MORNING, Launched, Live

OURS = ("channel-0", "work", "scheduler", "api", "valkey", "postgres")
IMPORT_ROWS = 100_000
IMPORT_SECONDS = 600.0
ALL_CARRIERS = ("china_mobile", "china_unicom", "china_telecom", "china_broadnet")
LEAST_SHOWN_MICROS = 0.05
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Options:
    """What is measured. delay: the longest the carrier holds a receipt back, in seconds.

    receipts_window: how many receipts the carrier sends before one is acknowledged. tps: parts a
    second that the channel may write; None: any number. answers: the seconds that the carrier takes
    to answer a submit. months: of texts to everybody that the ledger has from before.
    """

    people: int = 50_000
    window: int = 256
    destinations: int = 1
    protocol: str = "cmpp"
    delay: float = 0.5
    receipts_window: int = 128
    profile: bool = False
    tps: int | None = None
    api_processes: int = 1
    answers: float = 0.0
    recount: float = 0.0
    months: int = 0


@dataclass(slots=True)
class Watch:
    """What the processes have used since they were first looked at, and their memory on the way."""

    pids: Mapping[str, int]
    before: dict[str, float] = field(default_factory=dict)
    memory: list[tuple[float, dict[str, float]]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.before = {name: processor_seconds(pid) for name, pid in self.pids.items()}

    def micros(self, messages: int) -> dict[str, float]:
        """Microseconds of processor a message, by process."""
        return {
            name: 1e6 * (processor_seconds(pid) - self.before[name]) / messages
            for name, pid in self.pids.items()
        }

    def sample(self, share: float) -> None:
        """Note the memory once the run has come so far, a quarter at a time."""
        due = QUARTERS[len(self.memory)] if len(self.memory) < len(QUARTERS) else 2.0
        if share >= due:
            resident = {name: resident_megabytes(pid) for name, pid in self.pids.items()}
            self.memory.append((due, resident))

    def lines(self) -> list[str]:
        """The memory on the way, a line a process."""
        heads = "".join(f"{share:>8.0%}" for share, _ in self.memory)
        rows = [
            f"{name:<12}" + "".join(f"{resident[name]:8,.0f}" for _, resident in self.memory)
            for name in self.pids
            if name != "postgres"  # shared buffers: the postmaster's own says nothing
        ]
        return [f"{'MB resident':<12}{heads}", *rows]


@asynccontextmanager
async def broadcasting(options: Options, folder: Path) -> AsyncIterator[tuple[Live, Carrier]]:
    """A whole system with one channel to one carrier, and the people imported."""
    people = numbers(options.people)
    data = folder / "data"
    variables = sampling(folder / "samples") if options.profile else {}
    with (
        Database(folder / "postgres", instrumented=options.profile) as database,
        environment({"TOCSIN_DATABASE_URL": database.url, **variables}),
    ):
        apis = ("--api-processes", str(options.api_processes))
        live = Live(
            data, "--clock", MORNING, "--channels", "none", *apis, TOCSIN_WORKER_NICENESS="10"
        )
        live.start()
        try:
            clock = data / "clock.json"
            window, answers = options.receipts_window, options.answers
            with Carrier(
                folder, options.protocol, options.delay, clock, window, answers
            ) as carrier:
                for start in range(0, len(people), IMPORT_ROWS):
                    await _import(live, people[start : start + IMPORT_ROWS])
                await _open_channel(live, carrier, options)
                if options.months:
                    await _age(database.url, options)
                yield live, carrier
        finally:
            live.stop()


async def _age(url: str, options: Options) -> None:
    """What was sent to the people in the months before."""
    now = datetime.fromisoformat(MORNING)
    async with open_pool(url, size=2) as pool:
        async with pool.acquire() as conn:
            scene = await make_scene(conn, now, capped=True)
            theirs = await conn.fetchval("SELECT department_id FROM contacts LIMIT 1")
        await age(pool, replace(scene, department=theirs), now, options.people, options.months)
        await pool.execute("CHECKPOINT")


async def _import(live: Live, people: Sequence[int]) -> None:
    fields = {"roster": "r", "basis": "duty"}
    async with live.client("operator") as operator, asyncio.timeout(IMPORT_SECONDS):
        made = await operator.upload("/imports", contact_file(people), fields)
        while (state := (await operator.get(f"/imports/{made['id']}"))["state"]) != "done":
            assert state != "failed", "the import failed"
            await asyncio.sleep(0.2)


async def _open_channel(live: Live, carrier: Carrier, options: Options) -> None:
    body: dict[str, Any] = {
        "name": "bench",
        "kind": options.protocol,
        "simulated": True,
        "carriers": ALL_CARRIERS,
        "config": carrier.channel(),
        "tps": options.tps,
        "window": options.window,
        "destinations": options.destinations,
    }
    async with live.client("admin") as admin, asyncio.timeout(60):
        made = await admin.post("/channels", body)
        while not await _is_up(admin, made["id"]):
            await asyncio.sleep(0.2)


async def _is_up(admin: Any, channel: int) -> bool:
    health = await admin.get(f"/channels/{channel}/health")
    return any(connection["state"] == "up" for connection in health["connections"])


async def run(options: Options) -> Figures:
    """One broadcast in a system of its own."""
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        async with broadcasting(options, folder) as (live, carrier):
            conn = await connect(live.summary["database_url"])
            try:
                return await _measure(options, live, carrier, conn, folder)
            finally:
                await conn.close()


async def _measure(
    options: Options, live: Live, carrier: Carrier, conn: OwnConnection, folder: Path
) -> Figures:
    pids = {name: pid_of(live, folder, name) for name in OURS} | {CARRIER: carrier.pid}
    if options.profile:
        await conn.execute("CREATE EXTENSION pg_stat_statements")
        await conn.execute("SELECT pg_stat_statements_reset()")
    before = seconds_by_kind(pids["postgres"])
    samples = read_samples(folder / "samples", pids)
    watch = Watch(pids)
    sent = await live.launch(EVERYBODY, TEXT)
    counting = asyncio.create_task(_recount(live, sent, options.recount))
    await _finish(options, carrier, conn, sent, watch)
    counting.cancel()
    await asyncio.gather(counting, return_exceptions=True)
    micros = watch.micros(options.people)
    notes = [*watch.lines(), "", "postgres by kind of process, µs a message:"]
    for kind, used in seconds_by_kind(pids["postgres"]).items():
        each = 1e6 * (used - before.get(kind, 0.0)) / options.people
        if each >= LEAST_SHOWN_MICROS:
            notes.append(f"    {each:7.1f} µs  {kind}")
    if options.profile:
        notes += await statement_lines(conn, options.people)
        notes += lines(samples, read_samples(folder / "samples", pids), micros)
    return await _figures(options, conn, sent, watch, (micros, notes))


async def _recount(live: Live, sent: Launched, seconds: float) -> None:
    """Have coverage counted from the ledger, again and again."""
    async with live.client("operator") as operator:
        while seconds:
            await asyncio.sleep(seconds)
            await operator.post("/reports/coverage/recount", {"campaign": sent.campaign})


def compare_counting(options: Options, pairs: int) -> None:
    """Interleaved pairs of broadcasts, one without counts of coverage and one with them."""
    ratios = []
    for number in range(pairs):
        rates = {}
        for seconds in (0.0, options.recount) if number % 2 else (options.recount, 0.0):
            figures = asyncio.run(run(replace(options, recount=seconds)))
            rates[seconds] = figures.submitted
        ratios.append(rates[options.recount] / rates[0.0])
        print(
            f"  without {rates[0.0]:,.0f}, with {rates[options.recount]:,.0f} messages/s:"
            f" {ratios[-1]:.3f}",
            flush=True,
        )
    ratios.sort()
    middle = statistics.median(ratios)
    print(f"with counts to without: {ratios[0]:.3f}, {middle:.3f} in the middle, {ratios[-1]:.3f}")


def pid_of(live: Live, folder: Path, name: str) -> int:
    """The process of this name; PostgreSQL's is the postmaster."""
    if name == "postgres":
        return int((folder / "postgres/data/postmaster.pid").read_text().split("\n")[0])
    return live.pid(name)


async def _finish(
    options: Options, carrier: Carrier, conn: OwnConnection, sent: Launched, watch: Watch
) -> None:
    """Wait until everybody is final. PostgreSQL is asked only when the carrier is through."""
    deadline = time.monotonic() + 60 + options.people / 500
    watch.sample(0.0)
    acknowledged = 0
    while acknowledged < options.people:
        assert time.monotonic() < deadline, f"only {acknowledged} receipts were acknowledged"
        await asyncio.sleep(0.2)
        accepted, acknowledged = await carrier.accepted_and_acknowledged()
        if accepted < options.people:
            watch.sample(accepted / options.people)
    while await conn.fetchval("SELECT EXISTS (SELECT FROM receipt_inbox)"):
        assert time.monotonic() < deadline, "receipts are not folded"
        await asyncio.sleep(0.05)
    watch.sample(1.0)
    final = await sent.count("delivered", "undelivered", "expired", "rejected")
    assert final == options.people, f"{final} of {options.people} are final"


async def _figures(
    options: Options,
    conn: OwnConnection,
    sent: Launched,
    watch: Watch,
    spent: tuple[Mapping[str, float], Sequence[str]],
) -> Figures:
    row = await conn.fetchrow(
        """
        SELECT extract(epoch FROM max(m.submitted_at) - min(m.marked_at))::float8 AS handed,
               extract(epoch FROM max(m.final_at) - min(m.marked_at))::float8 AS whole,
               percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP
                   (ORDER BY extract(epoch FROM m.final_at - m.submitted_at) * 1000) AS final_ms,
               percentile_disc(ARRAY[0.5, 0.99]) WITHIN GROUP
                   (ORDER BY extract(epoch FROM m.submitted_at - m.marked_at) * 1000) AS handed_ms
        FROM runs r JOIN messages m ON m.run_id = r.id WHERE r.campaign_id = $1
        """,
        uuid.UUID(sent.campaign),
    )
    assert row is not None
    micros, notes = spent
    final = [float(value) for value in row["final_ms"]]
    return Figures(
        messages=options.people,
        submitted=options.people / row["handed"],
        recorded=options.people / row["whole"],
        micros=micros,
        megabytes={name: peak_megabytes(pid) for name, pid in watch.pids.items()},
        final_ms=(final[0], final[1]),
        handed_ms=tuple(float(value) for value in row["handed_ms"]),
        notes=notes,
    )


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Options()
    parser.add_argument("--people", type=int, default=default.people)
    parser.add_argument("--window", type=int, default=default.window)
    parser.add_argument("--tps", type=int, help="of the channel; default: none")
    parser.add_argument("--destinations", type=int, default=default.destinations)
    parser.add_argument("--protocol", choices=LINKS, default="cmpp")
    parser.add_argument("--delay", type=float, default=default.delay)
    parser.add_argument("--receipts-window", type=int, default=default.receipts_window)
    parser.add_argument("--answers", type=float, default=default.answers)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--recount", type=float, default=default.recount)
    parser.add_argument("--months", type=int, default=default.months)
    parser.add_argument("--pairs", type=int, default=0, help="compare with --recount and without")
    asked = vars(parser.parse_args())
    pairs = asked.pop("pairs")
    options = Options(**asked)
    print(f"{options.people:,} people over {options.protocol}, window {options.window}, "
          f"{options.destinations} a submit; the carrier holds receipts back for up to "
          f"{options.delay:g} s")  # fmt: skip
    if pairs:
        compare_counting(options, pairs)
    else:
        print("\n".join(asyncio.run(run(options)).lines()))


if __name__ == "__main__":
    main()
