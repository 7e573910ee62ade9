"""The API on a real PostgreSQL and Valkey, over TCP, at a time that tests set."""

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDictProxy

from service.api.http.idempotency import REPLAYED
from service.api.http.op import Op
from service.api.routes import OPS
from service.app import create_app
from service.crypto import Keyring
from service.runtime import Runtime
from service.settings import Settings
from service.storage.postgres import Pool, connected, open_pool
from tests.factories import Team, make_team, make_token
from tests.harness.clocks import HandClock
from tests.harness.databases import Database, Databases

PREFIX = "/api/v1"


@dataclass
class Answer:
    """A response, read."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def rows(self) -> list[list[str]]:
        """The rows of a file for Excel."""
        assert self.status == 200, self.body
        assert self.body.startswith("\ufeff".encode())
        return list(csv.reader(io.StringIO(self.body.decode("utf-8-sig"))))


@dataclass
class Api:
    """A client for one server, and a token by department and role."""

    client: TestClient[web.Request, web.Application]
    runtime: Runtime
    teams: dict[str, Team]
    tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    @property
    def clock(self) -> HandClock:
        """The server's clock, where it stands until the test moves it."""
        assert isinstance(self.runtime.clock, HandClock)
        return self.runtime.clock

    async def call(
        self, method: str, path: str, who: tuple[str, str] | str | None = None, **options: Any
    ) -> Answer:
        headers = dict(options.pop("headers", {}))
        if who is not None:
            token = who if isinstance(who, str) else self.tokens[who]
            headers["Authorization"] = f"Bearer {token}"
        url = PREFIX + path if not path.startswith("//") else path[1:]
        async with self.client.request(method, url, headers=headers, **options) as response:
            answer = Answer(response.status, response.headers, await response.read())
        check_offsets(url, answer)
        if answer.status < 300:
            await self._check_trail(method, url, answer)
        return answer

    async def _check_trail(self, method: str, url: str, answer: Answer) -> None:
        """Whatever any test does over the API, it must leave one entry, or none if it only asks."""
        op = _op(method, url.partition("?")[0])
        if op is None:
            return
        due = op.audited and REPLAYED not in answer.headers
        found = await self.runtime.pool.fetchval(
            "SELECT count(*) FROM audit_entries WHERE request_id = $1",
            answer.headers["X-Request-Id"],
        )
        assert found == due, f"{method} {op.path} has left {found} audit entries"

    async def get(self, path: str, who: tuple[str, str] | str | None, **options: Any) -> Answer:
        return await self.call("GET", path, who, **options)

    async def post(
        self, path: str, who: tuple[str, str] | str | None, body: Any = None, **options: Any
    ) -> Answer:
        if body is not None:
            options["json"] = body
        return await self.call("POST", path, who, **options)

    async def patch(self, path: str, who: tuple[str, str] | str | None, body: Any) -> Answer:
        return await self.call("PATCH", path, who, json=body)


_INSTANT = re.compile(
    rb"2[01]\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?P<offset>Z|[+-]\d\d:\d\d)?(?![\d:])"
)
"""Of our years, as RFC 3339 writes it, or nearly; sentences have the time of day after a space."""


def check_offsets(url: str, answer: Answer) -> None:
    """Whatever any test is answered, its instants have the county's offset."""
    if answer.headers.get("Content-Type", "").partition(";")[0] == "application/zip":
        return
    found = (instant for instant in _INSTANT.finditer(answer.body) if _is_instant(instant[0]))
    wrong = {instant[0] for instant in found if instant["offset"] != b"+08:00"}
    assert not wrong, f"{url} shows {wrong}"


def _is_instant(text: bytes) -> bool:
    """Whether there is such a day: what somebody typed as a name stays as it was typed."""
    try:
        datetime.fromisoformat(text.decode())
    except ValueError:
        return False
    return True


def _op(method: str, path: str) -> Op | None:
    """The operation at an address, if there is one; the one with the fewest names in its path."""
    ops = [op for op, pattern in _patterns()[method] if pattern.fullmatch(path)]
    return min(ops, key=lambda op: op.path.count("{"), default=None)


@cache
def _patterns() -> dict[str, list[tuple[Op, re.Pattern[str]]]]:
    """The operations of each method, with what their addresses look like."""
    found: dict[str, list[tuple[Op, re.Pattern[str]]]] = defaultdict(list)
    for op in OPS:
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", re.escape(PREFIX + op.path))
        found[op.method].append((op, re.compile(pattern)))
    return found


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """As ever, but a file is soon too large."""
    return runtime_settings.model_copy(update={"import_max_bytes": 300_000})


@pytest.fixture
def slow_hashes() -> None:
    """For a test that wants passwords hashed as they are in earnest."""


@pytest.fixture(autouse=True)
def _quick_hashes(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hash passwords in a thousandth of the time: it is the strangers who should need long."""
    if "slow_hashes" not in request.fixturenames:
        monkeypatch.setattr("service.accounts.login.credentials._MEMORY_KIB", 64)
        monkeypatch.setattr("service.accounts.login.credentials._PASSES", 1)


@dataclass(frozen=True)
class Staff:
    """Who is in a database from the start: two departments, and a token for each role."""

    database: str
    teams: dict[str, Team]
    tokens: dict[tuple[str, str], str]


async def _hire(databases: Databases, database: str, keyring: Keyring, now: datetime) -> Staff:
    teams, tokens = {}, {}
    async with connected(databases.service_url(database)) as conn, conn.transaction():
        for name, kind in (("county", "county"), ("school", "school")):
            team = teams[name] = await make_team(conn, now=now, kind=kind)
            for role in ("admin", "operator", "approver", "viewer", "inspector"):
                user = getattr(team, role)
                tokens[name, role] = await make_token(conn, keyring, user, now)
    return Staff(database, teams, tokens)


@pytest.fixture(scope="session")
def hired() -> dict[datetime, Staff]:
    """The staff that this process has made, by the day on which they came."""
    return {}


@pytest.fixture
async def staff(
    hired: dict[datetime, Staff],
    databases: Databases,
    migrated: str,
    keyring: Keyring,
    now: datetime,
) -> Staff:
    """Two departments, `county` and `school`, with all roles each, in a template of their own."""
    if now not in hired:
        async with databases.admin() as admin:
            database = await databases.new(admin, migrated)
        hired[now] = await _hire(databases, database, keyring, now)
    return hired[now]


@pytest.fixture
def template(request: pytest.FixtureRequest, migrated: str) -> str:
    """With the staff, where a test asks the API."""
    if "api" not in request.fixturenames:
        return migrated
    staff: Staff = request.getfixturevalue("staff")
    return staff.database


@pytest.fixture
async def api(
    runtime: Runtime, staff: Staff, database: Database, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Api]:
    """The server, and who asks it: `county` and `school`, with all roles each."""

    @asynccontextmanager
    async def kept(url: str, *, size: int) -> AsyncIterator[Pool]:
        """The server's second pool, with connections that tests before this one have opened."""
        if url != database.url:
            async with open_pool(url, size=size) as opened:
                yield opened
        else:
            yield await database.second_pool(size)

    monkeypatch.setattr("service.app.open_pool", kept)
    async with TestClient(TestServer(create_app(runtime))) as client:
        yield Api(client, runtime, dict(staff.teams), dict(staff.tokens))
