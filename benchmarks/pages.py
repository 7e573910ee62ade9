"""What the console's pages take, and how large they are, in a county of full size.

    python -m benchmarks.pages [PEOPLE] [--months N] [--times N]

A department of so many people and a run of so many texts; with --months beside a text to everybody
in each month before. Its people and lists are counted first, as the scheduler does within seconds.
Somebody with all rights asks for every page that has an address of its own, for the run's and the
campaign's, and for the parts that pages ask for; each several times, one after another over HTTP.
Printed are median and 95th percentile in milliseconds, and the octets of the answer as they go over
the wire. Pages take turns, so a busy moment slows down one round of all of them.
"""

# a benchmark prints

import argparse
import asyncio
import gzip
import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from aiohttp import ClientSession
from aiohttp.test_utils import TestServer

from benchmarks.audience import KEYRING, NOW, county
from benchmarks.importing import prepare
from benchmarks.watching import own_servers, serving
from service.accounts.keys.keys import new_token, token_hash
from service.accounts.login.login import PREFIX as SESSION_PREFIX
from service.accounts.login.session_store import insert_session
from service.accounts.people.model import Role
from service.audience.rosters.counting import count_rosters
from service.audience.segments.facts import freshen_waiting
from service.campaigns.calendar.schedule import Schedule
from service.console.page import WebPage
from service.console.render import STATIC
from service.console.routes import PAGES
from service.console.session import PLAIN_COOKIE
from service.dispatch.expansion.expand import expand_run
from service.local.embedded import Postgres, Valkey
from service.storage.postgres import LONG_SECONDS
from tests.factories import make_user
from tests.harness.aged import age
from tests.harness.ledger import add_run

ASSETS = re.compile(rf'(?:src|href)="({STATIC}/[^"]+)"')
TIMES = 20


@dataclass(frozen=True, slots=True)
class Served:
    """A server with a county behind it. things: parameters of addresses. cookie: of a session."""

    server: TestServer
    things: dict[str, str]
    cookie: str

    async def has(self, session: ClientSession, path: str) -> bool:
        """Whether the page is shown: not of an act that cannot be, or that the county alone may."""
        headers = {"Cookie": f"{PLAIN_COOKIE}={self.cookie}"}
        async with session.get(self.server.make_url(path), headers=headers) as answer:
            assert answer.status in {200, 204, 403, 404, 409}, (path, answer.status)
            return answer.status == 200

    async def ask(self, session: ClientSession, path: str) -> tuple[float, int, str]:
        """Milliseconds, octets over the wire, and the page."""
        headers = {"Cookie": f"{PLAIN_COOKIE}={self.cookie}", "Accept-Encoding": "gzip"}
        began = time.perf_counter()
        async with session.get(
            self.server.make_url(path), headers=headers, auto_decompress=False
        ) as answer:
            body = await answer.read()
            took = (time.perf_counter() - began) * 1e3
            assert answer.status in {200, 204}, (path, answer.status)
            packed = answer.headers.get("Content-Encoding") == "gzip"
        return took, len(body), (gzip.decompress(body) if packed else body).decode()


@asynccontextmanager
async def served(
    postgres: Postgres, valkey: Valkey, people: int, months: int
) -> AsyncIterator[Served]:
    """The county, what it was sent before, a run to all of it, and somebody who has logged in."""
    async with county(postgres.url, people) as (pool, _, scene):
        if months:
            await age(pool, scene, NOW, people, months)
        token = new_token(SESSION_PREFIX)
        async with pool.acquire() as conn:
            run = await add_run(conn, scene, NOW)
            admin = await make_user(conn, Role.ADMIN, now=NOW, department_id=scene.department)
            await insert_session(
                conn,
                admin.id,
                token_hash(KEYRING, token),
                address="127.0.0.1",
                agent="",
                now=NOW,
            )
        await expand_run(pool, run, NOW)
        await freshen_waiting(pool)
        await count_rosters(pool)
        async with pool.acquire(seconds=LONG_SECONDS) as conn:
            rows = await conn.fetchval("SELECT count(*) FROM messages WHERE run_id = $1", run)
            campaign = await conn.fetchval("SELECT campaign_id FROM runs WHERE id = $1", run)
            await conn.execute("UPDATE campaigns SET schedule = $1", Schedule().as_json())
            await conn.execute("VACUUM ANALYZE")
    print(f"{people:,} people, a run of {rows:,} texts")
    async with serving(postgres, valkey) as server:
        yield Served(server, {"run_id": str(run), "campaign_id": str(campaign)}, token)


def kind_of(page: WebPage) -> str:
    """What a page is asked to keep to."""
    if page.is_polled:
        return "poll"
    return "counts" if page.heavy else "page"


async def measure(postgres: Postgres, valkey: Valkey, people: int, months: int, times: int) -> None:
    """Every page in turn, so that a slow minute slows all of them."""
    await prepare(postgres.url)
    async with served(postgres, valkey, people, months) as on, ClientSession() as session:
        asked = {}
        for page in PAGES:
            if page.method == "GET" and set(re.findall(r"{(\w+)}", page.path)) <= set(on.things):
                address = page.path.format_map(on.things)
                if await on.has(session, address):
                    asked[address] = page
        took: dict[str, list[float]] = {address: [] for address in asked}
        octets: dict[str, int] = {}
        _, first, html = await on.ask(session, "/today")
        files = {one: (await on.ask(session, one))[1] for one in set(ASSETS.findall(html))}
        print(f"a first visit: {first + sum(files.values()):,} octets, of which the page {first:,}")
        for _ in range(times):
            for address in asked:
                spent, octets[address], _ = await on.ask(session, address)
                took[address].append(spent)
        print(f"{'page':<44} {'kind':<7} {'median':>7} {'p95':>7}  octets")
        for address, spans in sorted(took.items(), key=lambda item: -sorted(item[1])[-2]):
            page, ordered = asked[address], sorted(spans)
            middle, high = ordered[len(ordered) // 2], ordered[int(0.95 * len(ordered))]
            print(
                f"{page.path:<44} {kind_of(page):<7} {middle:7.1f} {high:7.1f} {octets[address]:7,}"
            )


def main() -> None:
    """Measure on servers of its own."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=120_000)
    parser.add_argument("--months", type=int, default=0)
    parser.add_argument("--times", type=int, default=TIMES)
    options = parser.parse_args()
    with own_servers() as (postgres, valkey):
        asyncio.run(measure(postgres, valkey, options.people, options.months, options.times))


if __name__ == "__main__":
    main()
