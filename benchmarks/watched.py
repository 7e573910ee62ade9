"""How much slower a broadcast is handed off while twenty people watch it.

    python -m benchmarks.watched [--people N] [--watchers N] [--rounds N] [--tps N]

A whole system of its own with one channel over CMPP: PostgreSQL with fsync, Valkey, the workers,
the API with the console, the simulated carrier over TCP. Rounds take turns: a broadcast that nobody
watches, and one that people watch who have logged in. In every other round the watched one comes
first, and one broadcast before all warms the system up. Without `--tps` the channel has no limit,
both cores are busy, and whatever the watchers take is taken from the hand-off.

Printed is the hand-off of each broadcast by the ledger, from the first mark to the last recorded
result, the ratio of each round, and what a text took of the processor: on a machine that others use
the ratio of the latter says more. The watchers run on the same cores; what they take themselves is
in the ratio, and printed.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from benchmarks.broadcast import OURS, Options, Watch, broadcasting, pid_of
from benchmarks.carrier import TEXT, Carrier
from benchmarks.open_loop import share
from benchmarks.watchers import Polled, watching
from service.accounts.keys.keys import new_token, token_hash
from service.accounts.login.login import PREFIX as SESSION_PREFIX
from service.accounts.login.session_store import insert_session
from service.accounts.people.model import Role
from service.crypto import Keyring, read_key_file
from service.storage.postgres import OwnConnection, connect
from tests.factories import make_user
from tests.harness.live import EVERYBODY, MORNING, Launched, Live
from tests.harness.waiting import until

WATCHERS = 20
ALLOWED_SLOWDOWN = 0.02
PEOPLE = 118_000
START_SECONDS = 120.0
FEWEST_A_SECOND = 100
"""Below so many a second the run counts as stuck."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One broadcast. rate: texts handed off a second. seconds: of all of them. micros: of the
    processor a text, by process. polled: what those who watched have asked.
    """

    rate: float
    seconds: float
    micros: Mapping[str, float]
    polled: Polled

    @property
    def all_micros(self) -> float:
        """Of all processes but the carrier and the watchers."""
        return sum(self.micros.values())


@dataclass(frozen=True, slots=True)
class Bench:
    """A system with its people, and the sessions of those who may watch."""

    live: Live
    carrier: Carrier
    conn: OwnConnection
    pids: Mapping[str, int]
    tokens: Sequence[str]
    people: int

    async def send(self, *, watched: bool) -> Sent:
        """Everybody gets a text; afterwards nothing of it is under way."""
        await self.live.lift_caps()
        accepted, acknowledged = await self.carrier.accepted_and_acknowledged()
        watch = Watch(self.pids)
        sent = await self.live.launch(EVERYBODY, TEXT)
        run = await self._run_of(sent)
        tokens = self.tokens if watched else ()
        async with watching(self.live.summary["url"], run, tokens) as polled:
            await self._left(accepted + self.people)
        await self._settled(acknowledged + self.people)
        micros = watch.micros(self.people)
        rate, seconds = await self._rate(run)
        return Sent(rate, seconds, micros, polled)

    async def _run_of(self, sent: Launched) -> str:
        sql = "SELECT id::text FROM runs WHERE campaign_id = $1 AND state = 'running'"
        campaign = uuid.UUID(sent.campaign)
        return str(await until(lambda: self.conn.fetchval(sql, campaign), START_SECONDS))

    async def _left(self, accepted: int) -> None:
        """Until the carrier has taken so many in all."""

        async def taken() -> bool:
            return (await self.carrier.accepted_and_acknowledged())[0] >= accepted

        await until(taken, self._patience, "the carrier takes everything", every=0.2)

    async def _settled(self, acknowledged: int) -> None:
        """Until so many receipts in all are acknowledged and folded."""

        async def done() -> bool:
            if (await self.carrier.accepted_and_acknowledged())[1] < acknowledged:
                return False
            return not await self.conn.fetchval("SELECT EXISTS (SELECT FROM receipt_inbox)")

        await until(done, self._patience, "all receipts are folded", every=0.2)

    @property
    def _patience(self) -> float:
        return START_SECONDS + self.people / FEWEST_A_SECOND

    async def _rate(self, run: str) -> tuple[float, float]:
        row = await self.conn.fetchrow(
            """
            SELECT count(*) AS texts,
                   extract(epoch FROM max(submitted_at) - min(marked_at))::float8 AS seconds
            FROM messages WHERE run_id = $1::text::uuid
            """,
            run,
        )
        assert row is not None
        assert row["texts"] == self.people, f"{row['texts']} texts for {self.people} people"
        return self.people / row["seconds"], row["seconds"]


async def sessions(live: Live, conn: OwnConnection, count: int) -> list[str]:
    """So many people of the county's office, each in a session as logging in makes it."""
    keyring = Keyring(read_key_file(live.folder.with_name(live.folder.name + ".key")))
    office = await conn.fetchval("SELECT department_id FROM users WHERE login = 'operator'")
    tokens = [new_token(SESSION_PREFIX) for _ in range(count)]
    now = datetime.fromisoformat(MORNING)
    for token in tokens:
        user = await make_user(conn, Role.OPERATOR, now=now, department_id=office)
        digest = token_hash(keyring, token)
        await insert_session(conn, user.id, digest, address="127.0.0.1", agent="", now=now)
    return tokens


def show(nobody: Sequence[Sent], watched: Sequence[Sent]) -> bool:
    """All rounds and their middle; whether the slowdown is within what is allowed."""
    print(f"{'round':>6} {'nobody, a second':>18} {'watched':>10} {'ratio':>8} {'processor':>10}")
    for number, (one, other) in enumerate(zip(nobody, watched, strict=True), 1):
        dearer = other.all_micros / one.all_micros
        print(
            f"{number:>6} {one.rate:>18,.0f} {other.rate:>10,.0f} {other.rate / one.rate:>8.3f}"
            f" {dearer:>10.3f}"
        )
    ratios = [other.rate / one.rate for one, other in zip(nobody, watched, strict=True)]
    rates = [one.rate for one in nobody]
    middle = statistics.median(ratios)
    print(f"the watched is handed off at {middle:.3f} of the other's rate"
          f" (wanted: {1 - ALLOWED_SLOWDOWN:.2f}); the unwatched ones alone differ by"
          f" {max(rates) / min(rates) - 1:.1%}")  # fmt: skip
    for name in nobody[0].micros:
        before, after = (
            statistics.median(sent.micros[name] for sent in found) for found in (nobody, watched)
        )
        print(f"  {name:<12} {before:8.1f} µs a text, watched {after:8.1f}")
    asked = [delay for sent in watched for delay in sent.polled.delays]
    if asked:
        _show_polls(watched, sorted(asked))
    return middle >= 1 - ALLOWED_SLOWDOWN


def _show_polls(watched: Sequence[Sent], delays: Sequence[float]) -> None:
    unchanged = sum(sent.polled.statuses[204] for sent in watched)
    pauses = sorted(pause for sent in watched for pause in sent.polled.pauses)
    used = sum(sent.polled.used for sent in watched) / sum(sent.seconds for sent in watched)
    p50, p95 = (1e3 * share(delays, percent) for percent in (50, 95))
    print(f"  {len(delays):,} polls, {unchanged:,} of them unchanged; p50, p95 {p50:.0f}, {p95:.0f}"
          f" ms; pauses {pauses[0]} to {pauses[-1]} s; the watchers themselves:"
          f" {used:.3f} of a core")  # fmt: skip


async def measure(options: Options, watchers: int, rounds: int) -> bool:
    """All rounds on a system of its own."""
    nobody: list[Sent] = []
    watched: list[Sent] = []
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as name:
        folder = Path(name)
        async with broadcasting(options, folder) as (live, carrier):
            conn = await connect(live.summary["database_url"])
            try:
                pids = {name: pid_of(live, folder, name) for name in OURS}
                tokens = await sessions(live, conn, watchers)
                bench = Bench(live, carrier, conn, pids, tokens, options.people)
                await bench.send(watched=True)  # warms up, and counts nowhere
                for number in range(rounds):
                    for is_watched in (number % 2 == 1, number % 2 == 0):
                        found = watched if is_watched else nobody
                        found.append(await bench.send(watched=is_watched))
            finally:
                await conn.close()
    return show(nobody, watched)


def main() -> None:
    """Measure; exit code 1 if watching slows the hand-off more than it may."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=PEOPLE)
    parser.add_argument("--watchers", type=int, default=WATCHERS)
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--tps", type=int, help="of the channel; default: none")
    asked = parser.parse_args()
    options = Options(people=asked.people, tps=asked.tps)
    began = time.monotonic()
    print(f"{asked.people:,} people, {asked.watchers} watchers, {asked.rounds} rounds,"
          f" TPS {asked.tps or 'off'}")  # fmt: skip
    good = asyncio.run(measure(options, asked.watchers, asked.rounds))
    print(f"{time.monotonic() - began:.0f} s in all")
    raise SystemExit(not good)


if __name__ == "__main__":
    main()
