"""What others notice while one person asks for much: `python -m benchmarks.readers [people]`.

`tocsin serve` runs as a process of its own, over TCP, with a PostgreSQL of so many people. One
attack after another goes on for some seconds; meanwhile somebody of another department asks for
`GET /me` again and again. Printed are the 50th, 95th and last percentile of that, the 95th as a
multiple of the idle one, and what the attacker was answered.
"""

import argparse
import asyncio
import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
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
async def _world(people: int) -> AsyncIterator[World]:
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
    try:
        made = await _fill(postgres.url, Keyring(b"\x01" * 32), people)
        port = 18_080 + os.getpid() % 1_000
        settings = {
            "TOCSIN_DATABASE_URL": postgres.url,
            "TOCSIN_REDIS_URL": valkey.url,
            "TOCSIN_KEY_FILE": str(key),
            "TOCSIN_API_PORT": str(port),
            "TOCSIN_LOG_LEVEL": "ERROR",
        }
        command = [sys.executable, "-m", "service", "serve"]
        server = subprocess.Popen(command, env={**os.environ, **settings})  # noqa: ASYNC220
        try:
            url = f"http://127.0.0.1:{port}"
            await _until_ready(url)
            yield World(url, *made)
        finally:
            server.terminate()
            server.wait()
    finally:
        valkey.stop()
        postgres.stop()


async def _until_ready(url: str) -> None:
    async with ClientSession() as session, asyncio.timeout(PATIENCE):
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


async def measure(people: int, only: str) -> None:
    """Attack and watch."""
    async with _world(people) as world:
        idle = await _watch(world, SECONDS)
        base = _percentile(idle, 0.95)
        print("GET /me of another caller, ms      p50     p95    last   p95/idle   answers")

        def show(name: str, took: list[float], answers: Mapping[int, int]) -> None:
            shown = [1000 * _percentile(took, share) for share in (0.5, 0.95, 1.0)]
            figures = " ".join(f"{ms:7.1f}" for ms in shown)
            ratio = shown[1] / 1000 / base
            print(f"{name:30} {figures}   {ratio:8.1f}   {dict(sorted(answers.items()))}")

        show("idle", idle, {})
        for name, (token, ask, crowd) in _attacks(world).items():
            if only not in name:
                continue
            task, answers = await _attack(token, ask, crowd)
            await asyncio.sleep(1)
            show(name, await _watch(world, SECONDS), answers)
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await _watch(world, 1)


def main() -> None:
    """Measure with so many people."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", nargs="?", type=int, default=200_000)
    parser.add_argument("--only", default="", help="the attacks whose name has this in it")
    options = parser.parse_args()
    asyncio.run(measure(options.people, options.only))


if __name__ == "__main__":
    main()
