"""Direct sends over HTTP beside a campaign that is under way: how long does an answer take?

Run as `python -m benchmarks.direct_sends [--people N] [--seconds N] [--rate N] [--apis N]
[--profile]`.
A whole system of its own: PostgreSQL with fsync, Valkey, the workers, `--apis` processes of the
API, and the simulated carrier over TCP. A campaign to so many people leaves at 500 a second; beside
it comes POST /messages with one recipient, `--rate` a second at instants fixed in advance, each
with a key of its own for idempotency, over keep-alive connections, through one key of the API whose
department has a raised limit. Then POST /messages with 1,000 recipients, twenty times one after
another, without the campaign and beside it; each is called back at once, so that the channel stays
the campaign's.

In the same seconds, ten times a second each, run what the delays are to be held against: GET
/healthz, which asks nobody, and one row of the ledger inserted and committed over a connection to
PostgreSQL. What a request costs of the processor is what all processes used during it, less what
they used for the campaign alone just before.

In the end every send that was accepted must be in the ledger once, and at the carrier once.
"""

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.broadcast import OURS, Options, broadcasting, pid_of
from benchmarks.carrier import TEXT, Carrier, numbers
from benchmarks.open_loop import Answered, OpenLoop, request, share
from benchmarks.postgres import statement_lines
from benchmarks.process import processor_seconds
from benchmarks.sampling import lines, read_samples
from service.accounts.people.model import Role
from service.crypto import Keyring, read_key_file
from service.local.demo.client import DemoClient
from service.storage.postgres import OwnConnection, connect
from tests.factories import make_token, make_user
from tests.harness.live import EVERYBODY, Live

SEND = "/api/v1/messages"
CAMPAIGN_TPS = 500
TPS_SHARE = 1.15  # of what is to leave: on a busy machine a bucket's tokens are not all used
CONNECTIONS = 64
BASELINE_RATE = 10
WARM_SECONDS, ALONE_SECONDS = 3, 10
UNDER_WAY = 2_000
LOTS, LOT = 20, 1_000
LIMIT = 50_000
REQUESTS_PER_MINUTE = 30_000
DRAIN_SECONDS = 60.0
AGED_FILES = 14  # of 16 MB
LOAD = "load generator"
ALLOWED_SINGLE_MS, ALLOWED_LOT_MS = 30.0, 300.0


@dataclass(frozen=True, slots=True)
class Door:
    """Where and as whom the sends are made. template: approved, of the class service."""

    urls: Sequence[str]
    singles: str
    lots: str
    template: str

    def send(self, token: str, phones: Sequence[int]) -> bytes:
        """A POST /messages that nobody has made before."""
        body = {"template_id": self.template, "to": [str(phone) for phone in phones]}
        return request(
            "POST",
            SEND,
            json.dumps(body).encode(),
            Authorization=f"Bearer {token}",
            Idempotency_Key=str(uuid.uuid4()),
        )


class Spent:
    """What the processes use of the processor from now on."""

    def __init__(self, pids: dict[str, int]) -> None:
        self._pids = pids
        self._since = time.monotonic()
        self._before = self._now()

    def a_second(self) -> dict[str, float]:
        """Milliseconds of the processor in each second so far, by process."""
        seconds = time.monotonic() - self._since
        now = self._now()
        return {name: 1e3 * (now[name] - self._before[name]) / seconds for name in now}

    def _now(self) -> dict[str, float]:
        used = {name: processor_seconds(pid) for name, pid in self._pids.items()}
        return used | {LOAD: time.process_time()}


async def open_door(live: Live, conn: OwnConnection) -> Door:
    """A limit that two persons agreed on, two keys that two persons made, an approved text."""
    keyring = Keyring(read_key_file(live.folder.with_name(live.folder.name + ".key")))
    now = await conn.fetchval("SELECT min(activated_at) FROM keys")
    operator_row = await conn.fetchrow(
        "SELECT department_id, id FROM users WHERE login = 'operator'"
    )
    assert operator_row is not None
    department, user = operator_row
    other = await make_user(conn, Role.ADMIN, now=now, department_id=department)
    second = DemoClient(live.summary["url"], await make_token(conn, keyring, other, now))
    async with live.client("admin") as admin, second as confirming:
        limits = f"/departments/{department}/direct-limits"
        made = await admin.post(limits, {"limit": LIMIT, "reason": "benchmark"})
        await confirming.post(f"{limits}/{made['id']}/confirm", {})
        tokens = {}
        for name in ("singles", "lots"):
            body = {"user_id": str(user), "name": name, "requests_per_minute": REQUESTS_PER_MINUTE}
            key = await admin.post("/keys", body)
            await confirming.post(f"/keys/{key['id']}/activate", {})
            tokens[name] = key["token"]
    async with live.client("operator") as operator, live.client("approver") as approver:
        text = {"name": "direct", "class": "service", "text": TEXT}
        template = await operator.post("/templates", text)
        await approver.post(f"/templates/{template['id']}/approve", {"version": 1})
    return Door(live.summary["urls"], **tokens, template=template["id"])


async def send_lots(door: Door, phones: Sequence[int]) -> Answered:
    """POST with 1,000 recipients, one after another, each called back once it is answered."""
    found = Answered()
    async with OpenLoop(door.urls, 1) as one, DemoClient(door.urls[0], door.lots) as client:
        for _ in range(LOTS):
            answer = await one.run([door.send(door.lots, phones)], 1.0)
            found.delays += answer.delays
            found.statuses += answer.statuses
            found.seconds += answer.seconds
            sent = json.loads(answer.bodies[0])
            assert sent["accepted"] == len(phones), sent
            await client.post(f"/runs/{sent['run_id']}/cancel", {})
    return found


@asynccontextmanager
async def bare_inserts(conn: OwnConnection) -> AsyncIterator[Answered]:
    """One row of the ledger, inserted and committed, ten times a second while the block runs."""
    await conn.execute("CREATE TABLE IF NOT EXISTS bare (LIKE messages INCLUDING ALL)")
    insert = await conn.prepare(
        "INSERT INTO bare (run_id, no, phone_hash, phone_cipher, channel_id, carrier, roles)"
        " VALUES ($1, 1, $2, $3, 1, 'china_mobile', '{}')"
    )
    found = Answered()
    began = time.perf_counter()
    ended = asyncio.Event()  # to cancel an insert would close the connection

    async def go() -> None:
        due = time.perf_counter()
        while not ended.is_set():
            due += 1 / BASELINE_RATE
            await asyncio.sleep(due - time.perf_counter())
            await insert.fetch(uuid.uuid4(), bytes(32), bytes(40))
            found.delays.append(time.perf_counter() - due)
            found.statuses[200] += 1

    task = asyncio.create_task(go())
    try:
        yield found
    finally:
        ended.set()
        await task
        found.seconds = time.perf_counter() - began


@dataclass(frozen=True, slots=True)
class Measured:
    """The load: its sends, what ran beside them, milliseconds of the processor a second."""

    sends: Answered
    healthz: Answered
    inserts: Answered
    used: dict[str, float]


async def send_singles(
    door: Door, conn: OwnConnection, pids: dict[str, int], phones: Sequence[int], rate: float
) -> Measured:
    """One recipient a send, and beside it the two baselines."""
    requests = [door.send(door.singles, [phone]) for phone in phones]
    pings = [request("GET", "/healthz")] * int(len(phones) / rate * BASELINE_RATE)
    async with (
        OpenLoop(door.urls, CONNECTIONS) as loop,
        OpenLoop(door.urls, 2 * len(door.urls)) as beside,
        bare_inserts(conn) as inserts,
    ):
        spent = Spent(pids)
        sends, healthz = await asyncio.gather(
            loop.run(requests, rate), beside.run(pings, BASELINE_RATE)
        )
        used = spent.a_second()
    if lost := sends.statuses[0]:
        raise SystemExit(f"{sends.line('POST /messages', 202)}\n{lost} sends had no answer in time")
    return Measured(sends, healthz, inserts, used)


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured. people: of the campaign; 0: none."""

    people: int = 118_000
    seconds: int = 40
    rate: float = 200.0
    apis: int = 2
    profile: bool = False

    @property
    def singles(self) -> int:
        """How many sends, those that warm up included."""
        return int((self.seconds + WARM_SECONDS) * self.rate)


async def run(plan: Plan) -> bool:
    """Everything; whether the delays were within what is allowed. Fails if a send was lost."""
    everybody = max(plan.people, LOT)
    phones = numbers(everybody + plan.singles)
    options = Options(
        people=everybody,
        profile=plan.profile,
        tps=int(TPS_SHARE * (CAMPAIGN_TPS + plan.rate)),
        api_processes=plan.apis,
    )
    with tempfile.TemporaryDirectory(prefix="tocsin-service-") as name:
        folder = Path(name)
        async with broadcasting(options, folder) as (live, carrier):
            conn = await connect(live.summary["database_url"])
            try:
                return await _measure(plan, live, carrier, conn, folder, phones)
            finally:
                await conn.close()


async def _measure(
    plan: Plan,
    live: Live,
    carrier: Carrier,
    conn: OwnConnection,
    folder: Path,
    phones: Sequence[int],
) -> bool:
    door = await open_door(live, conn)
    await _age(conn)
    names = [*OURS, *(f"api-{n}" for n in range(1, plan.apis))]
    pids = {name: pid_of(live, folder, name) for name in names} | {"simulator": carrier.pid}
    idle = await send_lots(door, phones[:LOT])
    print(idle.line("1,000 recipients, idle", 202))
    if plan.people:
        await live.launch(EVERYBODY, TEXT)
        while (await carrier.accepted_and_acknowledged())[0] < UNDER_WAY:
            await asyncio.sleep(0.5)
    spent = Spent(pids)
    await asyncio.sleep(ALONE_SECONDS)
    alone = spent.a_second()
    warm, own = int(WARM_SECONDS * plan.rate), phones[-plan.singles :]
    first = await send_singles(door, conn, pids, own[:warm], plan.rate)
    if plan.profile:
        await conn.execute("CREATE EXTENSION pg_stat_statements")
        await conn.execute("SELECT pg_stat_statements_reset()")
    samples = read_samples(folder / "samples", pids)
    taken, began = await _handed_off(conn), time.monotonic()
    measured = await send_singles(door, conn, pids, own[warm:], plan.rate)
    tps = (await _handed_off(conn) - taken) / (time.monotonic() - began)
    _show(plan, measured, alone, tps)
    if plan.profile:
        count = len(measured.sends.delays)
        micros = {name: 1e3 * used / plan.rate for name, used in measured.used.items()}
        print("\n".join(await statement_lines(conn, count)))
        print("\n".join(lines(samples, read_samples(folder / "samples", pids), micros)))
    beside = await send_lots(door, phones[:LOT])
    print(beside.line("1,000 recipients, beside it", 202))
    await _verify(carrier, conn, own, [first.sends, measured.sends])
    p95 = [1e3 * share(sorted(found.delays), 95) for found in (measured.sends, idle, beside)]
    return p95[0] <= ALLOWED_SINGLE_MS and max(p95[1:]) <= ALLOWED_LOT_MS


async def _age(conn: OwnConnection) -> None:
    """Leave files of the write-ahead log to be used again, as there are after a while: to make one
    keeps all commits for some 0.15 s.
    """
    await conn.execute("CREATE TABLE aged (no integer)")
    for no in range(AGED_FILES):
        await conn.execute("INSERT INTO aged VALUES ($1)", no)
        await conn.execute("SELECT pg_switch_wal()")
    await conn.execute("CHECKPOINT")


def _show(plan: Plan, measured: Measured, alone: dict[str, float], tps: float) -> None:
    print(measured.sends.line("POST /messages, one recipient", 202))
    print(measured.healthz.line("GET /healthz", 200))
    print(measured.inserts.line("INSERT and COMMIT", 200))
    sends = sorted(measured.sends.delays)
    for name, beside in (("GET", measured.healthz), ("INSERT", measured.inserts)):
        other = sorted(beside.delays)
        p50, p95 = (share(sends, percent) / share(other, percent) for percent in (50, 95))
        print(f"  a send takes {p50:.1f} × the {name} at p50, {p95:.1f} × at p95")
    print(f"  the campaign beside it: {tps:.0f} handed off a second")
    print("  ms of the processor a second: alone, with the sends; a request")
    for name, used in sorted(measured.used.items(), key=lambda item: -item[1]):
        each = (used - alone[name]) / plan.rate
        print(f"  {name:<16} {alone[name]:8.1f} {used:8.1f} {each:8.2f} ms")
    each = sum(measured.used[name] - alone[name] for name in measured.used if name != LOAD)
    print(f"  {'together':<16} {'':8} {'':8} {each / plan.rate:8.2f} ms, the load itself left out")


_CAMPAIGNS = """
    SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id
    WHERE r.kind = 'campaign' AND m.submitted_at IS NOT NULL
"""


async def _handed_off(conn: OwnConnection) -> int:
    found: int = await conn.fetchval(_CAMPAIGNS)
    return found


async def _verify(
    carrier: Carrier, conn: OwnConnection, phones: Sequence[int], loads: Sequence[Answered]
) -> None:
    """Every accepted send is in the ledger once, with its own phone, and at the carrier once."""
    runs = [
        json.loads(body)["run_id"]
        for load in loads
        for body in load.bodies.values()
        if b'"run_id"' in body
    ]
    assert len(set(runs)) == len(runs) == sum(load.statuses[202] for load in loads)
    deadline = time.monotonic() + DRAIN_SECONDS
    while await conn.fetchval(_OPEN, runs):
        assert time.monotonic() < deadline, "sends were not handed off"
        await asyncio.sleep(0.5)
    rows = await conn.fetch(_LEDGER, runs)
    assert len(rows) == len(runs), f"{len(rows)} rows in the ledger for {len(runs)} sends"
    assert len({row["phone_hash"] for row in rows}) == len(rows), "two sends to the same phone"
    states = Counter(row["state"] for row in rows)
    wanted = {f"+86{phone}" for phone in phones}
    taken = Counter(phone for phone in _journal(carrier) if phone in wanted)
    assert len(taken) == len(runs), f"the carrier has {len(taken)} of {len(runs)} sends"
    assert set(taken.values()) == {1}, "the carrier got a send twice"
    print(f"  {len(runs):,} sends: each once in the ledger {dict(states)}, once at the carrier")


_OPEN = (
    "SELECT count(*) FROM messages"
    " WHERE run_id = ANY ($1::uuid[])"
    " AND (state = 'submitting' OR state = 'queued' AND attempt = 0)"
)
_LEDGER = "SELECT phone_hash, state::text FROM messages WHERE run_id = ANY ($1::uuid[])"


def _journal(carrier: Carrier) -> Iterator[str]:
    with carrier.journal.open(encoding="utf-8") as entries:
        for line in entries:
            if '"submit"' in line:
                yield json.loads(line)["phone"]


def main() -> None:
    """Run it; exit code 1 if an answer took longer than is allowed."""
    parser = argparse.ArgumentParser(description=__doc__)
    default = Plan()
    parser.add_argument("--people", type=int, default=default.people)
    parser.add_argument("--seconds", type=int, default=default.seconds)
    parser.add_argument("--rate", type=float, default=default.rate)
    parser.add_argument("--apis", type=int, default=default.apis)
    parser.add_argument("--profile", action="store_true")
    plan = Plan(**vars(parser.parse_args()))
    print(f"{plan.rate:g} sends a second for {plan.seconds} s beside a campaign to {plan.people:,}")
    raise SystemExit(not asyncio.run(run(plan)))


if __name__ == "__main__":
    main()
