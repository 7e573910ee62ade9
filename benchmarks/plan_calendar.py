"""How long the calendar of all plans takes: `python -m benchmarks.plan_calendar [plans]`.

Plans of ten departments, each to a tenth of 100,000 people over three channels: half of them
weekly, a quarter on each working day, the rest once. All audiences are counted first. Times are of
the whole request over HTTP, the median of five.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from redis.asyncio import Redis

from service.accounts.people.model import Role
from service.app import create_app
from service.campaigns.calendar.schedule import Schedule, ScheduleKind
from service.crypto import Keyring
from service.local.embedded import Postgres, Valkey
from service.messages.lint.lint_store import policy_set
from service.queue import open_queue
from service.reports.plan_counts import count_audiences
from service.runtime import Runtime
from service.settings import Settings
from service.storage.migrate import migrate
from service.storage.postgres import Connection, connect, open_pool, transaction
from tests.factories import Team, make_scheduled, make_team, make_token, make_user
from tests.harness.clocks import HandClock
from tests.harness.ledger import add_channel

NOW = datetime(2027, 1, 9, 1, tzinfo=UTC)
Client = TestClient[web.Request, web.Application]
DEPARTMENTS, PEOPLE, TIMES = 10, 10_000, 5
SPAN = "?from=2027-01-10&to=2027-03-31"


async def _prepare(conn: Connection, keyring: Keyring, plans: int) -> list[Team]:
    for n in range(3):
        await add_channel(conn, keyring, n + 1, NOW, tps=100, rank=n)
    levels = {"levels": {"R02": "warn"}}  # the departments have no signature
    await policy_set(conn, levels, "for the benchmark", None, NOW)
    teams = [await make_team(conn, now=NOW) for _ in range(DEPARTMENTS)]
    for n, team in enumerate(teams):
        await conn.execute(
            """
            INSERT INTO contacts (department_id, phone_hash, phone_cipher, carrier, synthetic,
                                  created_at, updated_at)
            SELECT $1, substr(sha256(i::text::bytea), 1, 16), 'x', 'china_mobile', true, $2, $2
            FROM generate_series($3::int, $4::int) i
            """,
            team.department_id,
            NOW,
            n * PEOPLE // 2,
            n * PEOPLE // 2 + PEOPLE - 1,
        )
    for n in range(plans):
        start = NOW + timedelta(days=n % 7 + 1, minutes=10 * (n % 40))
        rrule = ("FREQ=WEEKLY", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", None, "FREQ=WEEKLY")[n % 4]
        kind: ScheduleKind = "recurring" if rrule else "once"
        schedule = Schedule(kind, start, rrule=rrule)
        await make_scheduled(conn, teams[n % DEPARTMENTS], now=NOW, schedule=schedule)
    return teams


async def _time(client: Client, path: str, token: str) -> tuple[float, int]:
    took = []
    for _ in range(TIMES):
        began = time.perf_counter()
        async with client.get("/api/v1" + path, headers={"Authorization": f"Bearer {token}"}) as r:
            body = await r.json()
            assert r.status == 200, body
        took.append(time.perf_counter() - began)
    return statistics.median(took), len(body["items"])


async def measure(plans: int) -> None:
    """Make so many plans, count their audiences, and ask for the calendar."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-calendar-"))
    for name in ("postgres", "valkey"):
        (folder / name).mkdir(mode=0o700)
    postgres, valkey = Postgres(folder / "postgres", fsync=False), Valkey(folder / "valkey")
    postgres.start()
    postgres.create_database("tocsin")
    valkey.start()
    try:
        connection = await connect(postgres.url)
        await migrate(connection)
        await connection.close()
        keyring = Keyring(b"\x01" * 32)
        settings = Settings(
            database_url=postgres.url, redis_url=valkey.url, key_file=Path("/nowhere")
        )
        async with open_pool(postgres.url, size=4) as pool, open_queue(valkey.url) as queue:
            async with transaction(pool) as conn:
                teams = await _prepare(conn, keyring, plans)
                admin = await make_user(conn, Role.ADMIN, now=NOW, kind="county")
                tokens = {
                    "county": await make_token(conn, keyring, admin, NOW),
                    "department": await make_token(conn, keyring, teams[0].operator, NOW),
                }
            began = time.perf_counter()
            counted = 0
            while more := await count_audiences(pool, NOW):
                counted += more
            print(f"counted {counted} audiences in {time.perf_counter() - began:.1f} s")
            redis = Redis.from_url(valkey.url)
            runtime = Runtime(settings, HandClock(NOW), keyring, pool, redis, queue)
            async with TestClient(TestServer(create_app(runtime))) as client:
                for who, token in tokens.items():
                    for path in ("/calendar" + SPAN, "/calendar/days" + SPAN):
                        seconds, items = await _time(client, path, token)
                        print(f"{who:>10} {path:45} {items:4} items {seconds * 1000:7.0f} ms")
            await redis.aclose()
    finally:
        valkey.stop()
        postgres.stop()


def main() -> None:
    """Run it once."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("plans", type=int, nargs="?", default=200)
    asyncio.run(measure(parser.parse_args().plans))


if __name__ == "__main__":
    main()
