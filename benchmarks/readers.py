"""What others notice while one person asks for much: `python -m benchmarks.readers [people]`.

`tocsin serve` runs as a process of its own, over TCP, with a PostgreSQL of so many people. One
attack after another goes on for some seconds; meanwhile somebody of another department asks for
`GET /me` again and again. Printed are the 50th, 95th and last percentile of that over all rounds,
the 95th as a multiple of the idle one, and what the attacker was answered. With `--beside`, a
server of another checkout of the sources is asked in turns with this one, on the same PostgreSQL.
"""

import argparse
import asyncio
import io
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientSession, ClientTimeout, FormData

from service.clock import Clock
from service.crypto import Keyring
from service.local.embedded import Postgres, Valkey
from service.storage.migrate import migrate
from service.storage.postgres import connect, transaction
from service.storage.postgres import open_pool as open_pool_of
from tests.factories import make_team, make_token

SECONDS = 6.0
PATIENCE = 20.0
START_SECONDS = 60.0
EVERY = 0.05
REJECTS = 200_000
LINT, STATUS = "/templates/lint", "/messages/status"
RULES = ("年龄 >= 60 或 性别 = 女", "身份 = 财务人员", "年龄 < 40 且 性别 = 男")


class World(NamedTuple):
    """A server, its attackers' tokens, an import with many rejects, and a token of the other."""

    url: str
    viewer: str
    operator: str
    other: str
    import_id: str


async def _fill(url: str, keyring: Keyring, people: int) -> tuple[str, str, str, str]:
    now = Clock().now()
    connection = await connect(url)
    await migrate(connection)
    await connection.close()
    async with open_pool_of(url, size=2) as pool, transaction(pool, seconds=300) as conn:
        mine, theirs = [await make_team(conn, now=now) for _ in range(2)]
        await conn.execute(
            """
            INSERT INTO contacts (department_id, phone_hash, phone_cipher, carrier, gender,
                                  synthetic, created_at, updated_at)
            SELECT $1, substr(sha256(i::text::bytea), 1, 16), $4, 'china_mobile',
                   CASE WHEN i % 2 = 0 THEN 'f' ELSE 'm' END, true, $2, $2
            FROM generate_series(1, $3::int) i
            """,
            mine.department_id,
            now,
            people,
            keyring.encrypt("phone", "+8619790000001"),
        )
        import_id = await conn.fetchval(
            """
            INSERT INTO imports (department_id, created_by, roster, basis, expires_on, file_name,
                                 file_bytes, file_sha256, state, created_at)
            VALUES ($1, $2, 'r', 'duty', '2099-01-01', 'a.csv', 1, '', 'done', $3) RETURNING id
            """,
            mine.department_id,
            mine.operator.id,
            now,
        )
        await conn.execute(
            "INSERT INTO import_rejects (import_id, sheet, row_no, code, masked)"
            " SELECT $1, '', i, 'length', repeat('*', 40) FROM generate_series(1, $2::int) i",
            import_id,
            REJECTS,
        )
        users = (mine.viewer, mine.operator, theirs.viewer)
        tokens = [await make_token(conn, keyring, user, now) for user in users]
    async with open_pool_of(url, size=1) as pool:
        await pool.execute("ANALYZE")
    return tokens[0], tokens[1], tokens[2], str(import_id)


@asynccontextmanager
async def _worlds(people: int, sources: Mapping[str, Path]) -> AsyncIterator[dict[str, World]]:
    """A server of each of these sources, by its name."""
    folder = Path(tempfile.mkdtemp(prefix="tocsin-readers-"))
    for name in ("postgres", "valkey"):
        (folder / name).mkdir(mode=0o700)
    postgres, valkey = Postgres(folder / "postgres", fsync=False), Valkey(folder / "valkey")
    postgres.start()
    valkey.start()
    postgres.create_database("tocsin")
    key = folder / "key"
    key.write_text("01" * 32)
    key.chmod(0o600)
    settings = {
        "TOCSIN_DATABASE_URL": postgres.url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(key),
        "TOCSIN_LOG_LEVEL": "ERROR",
        "TOCSIN_KEY_REQUESTS": "1000000",  # else what an attack is answered depends on the last one
        "TOCSIN_DEPARTMENT_REQUESTS": "1000000",
    }
    try:
        made = await _fill(postgres.url, Keyring(b"\x01" * 32), people)
        async with AsyncExitStack() as servers:
            worlds = {}
            for number, (name, tree) in enumerate(sources.items()):
                port = 18_080 + 2 * (os.getpid() % 1_000) + number
                servers.enter_context(_server(tree, settings | {"TOCSIN_API_PORT": str(port)}))
                worlds[name] = World(f"http://127.0.0.1:{port}", *made)
            for world in worlds.values():
                await _until_ready(world.url)
            yield worlds
    finally:
        valkey.stop()
        postgres.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _server(tree: Path, settings: Mapping[str, str]) -> Iterator[None]:
    """`tocsin serve` of the sources in a folder, while the block runs."""
    command = [sys.executable, "-m", "service", "serve"]
    env = {**os.environ, **settings, "PYTHONPATH": str(tree)}
    server = subprocess.Popen(command, env=env, cwd=tree)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


async def _until_ready(url: str) -> None:
    async with ClientSession() as session, asyncio.timeout(START_SECONDS):
        while True:
            with suppress(OSError):
                async with session.get(f"{url}/healthz"):
                    return
            await asyncio.sleep(0.1)


async def _watch(world: World, seconds: float) -> list[float]:
    """How long each `GET /me` of the other one took; what was not answered took all patience."""
    took = []
    headers = {"Authorization": f"Bearer {world.other}"}
    async with ClientSession(timeout=ClientTimeout(PATIENCE), headers=headers) as session:
        ends_at = time.perf_counter() + seconds
        while time.perf_counter() < ends_at:
            began = time.perf_counter()
            try:
                async with session.get(f"{world.url}/api/v1/me") as answer:
                    good = answer.status == 200
            except (TimeoutError, OSError):
                good = False
            took.append(time.perf_counter() - began if good else PATIENCE)
            await asyncio.sleep(EVERY)
    return took


Ask = Callable[[ClientSession, int], Awaitable[int]]


async def _attack(token: str, ask: Ask, crowd: int) -> tuple[asyncio.Task[None], Counter[int]]:
    """So many who ask without end, and what they are answered by status."""
    answers: Counter[int] = Counter()

    async def one(session: ClientSession, number: int) -> None:
        while True:
            try:
                answers[await ask(session, number)] += 1
            except (TimeoutError, OSError):
                answers[0] += 1
            await asyncio.sleep(EVERY)

    async def all_of() -> None:
        headers = {"Authorization": f"Bearer {token}"}
        async with ClientSession(headers=headers, timeout=ClientTimeout(60)) as session:
            await asyncio.gather(*(one(session, n) for n in range(crowd)))

    return asyncio.create_task(all_of()), answers


def _post(world: World, path: str, body: Callable[[int], Any]) -> Ask:
    async def ask(session: ClientSession, number: int) -> int:
        async with session.post(f"{world.url}/api/v1{path}", json=body(number)) as answer:
            await answer.read()
            return answer.status

    return ask


def _get(world: World, path: str) -> Ask:
    async def ask(session: ClientSession, _: int) -> int:
        async with session.get(f"{world.url}/api/v1{path}") as answer:
            await answer.read()
            return answer.status

    return ask


def _untaken(world: World) -> Ask:
    """Asks for a large file and does not take it."""

    async def ask(_: ClientSession, __: int) -> int:
        host, port = world.url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        path = f"/api/v1/imports/{world.import_id}/rejects"
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {world.viewer}\r\n\r\n"
        writer.write(head.encode())
        try:
            status = int((await reader.readline()).split()[1])
            if status == 200:
                await asyncio.sleep(60)
            return status
        finally:
            writer.close()

    return ask


def _workbook(world: World) -> Ask:
    """A list of opt-outs of some kilobytes that unpacks to many megabytes."""
    row = '<row><c t="inlineStr"><is><t>{}</t></is></c></row>'
    rows = row.format("phone") + row.format("19790001234") * 1_000_000
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts: Mapping[str, str] = {
        "xl/workbook.xml": f'<workbook xmlns="{main}" xmlns:r="{office}"><sheets><sheet name="S"'
        ' sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}"><Relationship Id="r1"'
        f' Type="{office}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{main}"><sheetData>{rows}</sheetData>'
        "</worksheet>",
    }
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in parts.items():
            file.writestr(name, text)

    async def ask(session: ClientSession, _: int) -> int:
        form = FormData()
        form.add_field("file", packed.getvalue(), filename="a.xlsx")
        url = f"{world.url}/api/v1/suppressions/imports"
        async with session.post(url, data=form) as answer:
            await answer.read()
            return answer.status

    return ask


def _attacks(world: World) -> dict[str, tuple[str, Ask, int]]:
    """Each attack: whose token, what is asked, and by how many at once."""
    text = {"text": "转账" * 1_000}
    dear = {"text": "加是微信是骗" * 333}
    long = {"text": "转账" * 4_000}
    ids = {"ids": [f"00000000-0000-0000-0000-{n:012d}.1" for n in range(1_000)]}
    return {
        "previews": (
            world.viewer,
            _post(world, "/segments/preview", lambda n: {"rule": RULES[n % len(RULES)]}),
            20,
        ),
        "a list by a tag": (world.viewer, _get(world, "/contacts?tag=x&limit=200"), 50),
        "files not taken": (world.viewer, _untaken(world), 12),
        "files taken": (world.viewer, _get(world, f"/imports/{world.import_id}/rejects"), 12),
        "lint, 2,000 characters": (
            world.viewer,
            _post(world, LINT, lambda _: text),
            20,
        ),
        "lint, the dearest text": (
            world.viewer,
            _post(world, LINT, lambda _: dear),
            20,
        ),
        "lint, 8,000 characters": (
            world.viewer,
            _post(world, LINT, lambda _: long),
            20,
        ),
        "look-ups of 1,000 texts": (
            world.viewer,
            _post(world, STATUS, lambda _: ids),
            20,
        ),
        "bodies of 1 MB": (
            world.viewer,
            _post(world, LINT, lambda _: {"text": "x", "values": {"v": "y" * 10**6}}),
            20,
        ),
        "workbooks of opt-outs": (world.operator, _workbook(world), 8),
    }


def _percentile(took: list[float], share: float) -> float:
    return sorted(took)[min(len(took) - 1, int(share * len(took)))]


class _Figures:
    """What one server answered: how long each `GET /me` took, and the attacker's answers."""

    def __init__(self) -> None:
        self.took: defaultdict[str, list[float]] = defaultdict(list)
        self.answers: defaultdict[str, Counter[int]] = defaultdict(Counter)

    def show(self) -> None:
        base = _percentile(self.took["idle"], 0.95)
        for name, took in self.took.items():
            shown = [1000 * _percentile(took, share) for share in (0.5, 0.95, 1.0)]
            figures = " ".join(f"{ms:7.1f}" for ms in shown)
            ratio = shown[1] / 1000 / base
            print(
                f"{name:30} {figures}   {ratio:8.1f}   {dict(sorted(self.answers[name].items()))}"
            )


async def _round(world: World, only: str, figures: _Figures) -> None:
    """Idle, and under each attack."""
    figures.took["idle"] += await _watch(world, SECONDS)
    for name, (token, ask, crowd) in _attacks(world).items():
        if only not in name:
            continue
        task, answers = await _attack(token, ask, crowd)
        await asyncio.sleep(1)
        figures.took[name] += await _watch(world, SECONDS)
        figures.answers[name] += answers
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await _watch(world, 1)


async def measure(people: int, only: str, rounds: int, beside: Path | None) -> None:
    """Attack and watch."""
    sources = {"these sources": Path.cwd()} | ({str(beside): beside} if beside else {})
    figures = {name: _Figures() for name in sources}
    async with _worlds(people, sources) as worlds:
        for number in range(rounds):
            for name in sorted(worlds, reverse=number % 2 == 1):
                await _round(worlds[name], only, figures[name])
    print("GET /me of another caller, ms      p50     p95    last   p95/idle   answers")
    for name, found in figures.items():
        print(name)
        found.show()


def main() -> None:
    """Measure with so many people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="?", type=int, default=200_000)
    parser.add_argument("--only", default="", help="the attacks whose name has this in it")
    parser.add_argument("--rounds", type=int, default=1, help="how often each server is asked")
    parser.add_argument("--beside", type=Path, help="the folder of another checkout")
    options = parser.parse_args()
    asyncio.run(measure(options.people, options.only, options.rounds, options.beside))


if __name__ == "__main__":
    main()
