"""Who may only read stops nothing: whatever a viewer asks for, others are known, heard and served.

Nothing here is timed: what an attacker holds is held until the test lets go, and others are served
meanwhile.
"""

import asyncio
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from aiohttp import FormData
from aiohttp.test_utils import TestServer

from service import app as application
from service.accounts.keys.keys import caller_of
from service.accounts.people.model import Right
from service.api.audience import suppressions
from service.api.http import admission, auth, downloads, exchange, server
from service.api.http.call import Call, Download
from service.api.http.op import Op
from service.api.http.schema import Out
from service.api.routes import OPS, PREFIX
from service.audience.suppressions.suppression import read_optouts
from service.crypto import Keyring
from service.storage import postgres
from service.storage.postgres import HOT_SECONDS, Connection, Pool, transaction
from tests.factories import make_team, make_token
from tests.harness.waiting import PATIENCE_SECONDS, until
from tests.integration.api.conftest import Answer, Api

pytestmark = pytest.mark.attack

VIEWER, OTHER = ("county", "viewer"), ("school", "viewer")
PATIENCE = 30
MIB = 1024 * 1024
WAIT = 0.3
RULE = {"rule": "性别 = 女"}


class Nothing(Out):
    """An answer."""


def problem(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["type"].rpartition("/")[2]


@asynccontextmanager
async def all_of(pool: Pool) -> AsyncIterator[None]:
    """Holds every connection of a pool."""
    async with AsyncExitStack() as stack:
        for _ in range(pool.get_max_size()):
            await stack.enter_async_context(pool.acquire())
        yield


@asynccontextmanager
async def served(api: Api, op: Op) -> AsyncIterator[Callable[..., Coroutine[Any, Any, Answer]]]:
    """A server that has one more operation; asks it as somebody."""
    app = application.create_app(api.runtime)
    app.router.add_route(op.method, op.path, server.endpoint(op))
    async with TestServer(app) as running:

        async def ask(who: tuple[str, str] | str, path: str = op.path) -> Answer:
            token = who if isinstance(who, str) else api.tokens[who]
            headers = {"Authorization": f"Bearer {token}"}
            url = running.make_url(path)
            async with api.client.session.request(op.method, url, headers=headers) as answer:
                return Answer(answer.status, answer.headers, await answer.read())

        yield ask


class Held:
    """An operation that goes on until it is let go; count: how many are being answered."""

    def __init__(self, **options: Any) -> None:
        self.count = 0
        self.go_on = asyncio.Event()

        async def get_held(call: Call) -> Nothing:
            self.count += 1
            await call.conn.fetchval("SELECT 1")
            await self.go_on.wait()
            return Nothing()

        self.op = Op("GET", "/held", get_held, Right.READ, changes=False, **options)

    async def reach(self, count: int) -> None:
        await until(lambda: self.count >= count)


async def test_a_caller_is_known_and_a_callback_heard_while_no_connection_is_free(
    api: Api,
) -> None:
    async with all_of(api.runtime.pool):
        assert (await api.get("/me", "tk_nobody")).status == 401
        ready = await api.get("//readyz", None)
        assert ready.json["checks"]["postgresql"] == "ok"
        assert problem(await api.post("/callbacks/nobody", None, {})) == (404, "not_found")
        login = {"login": "nobody", "password": "p"}
        assert problem(await api.post("/login", None, login)) == (401, "login_failed")


class HeldLookups:
    """The tokens of an attack: their look-up goes on until it is let go; inside: those held."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, tokens: Collection[str]) -> None:
        self.inside, self.go_on = 0, asyncio.Event()

        async def find(conn: Connection, keyring: Keyring, token: str, now: datetime) -> Any:
            if token in tokens:
                self.inside += 1
                await self.go_on.wait()
            return await caller_of(conn, keyring, token, now)

        monkeypatch.setattr(auth, "caller_of", find)


async def test_many_requests_of_one_person_keep_nobody_from_being_known(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With several keys, too: once each was looked up, it is known whose they are."""
    viewer, keyring = api.teams["county"].viewer, api.runtime.keyring
    async with transaction(api.runtime.pool) as conn:
        tokens = [await make_token(conn, keyring, viewer, api.clock.at) for _ in range(6)]
    for who in (*tokens, api.tokens[OTHER]):
        assert (await api.get("/me", who)).status == 200
    held = HeldLookups(monkeypatch, tokens)
    crowd = [asyncio.create_task(api.get("/me", token)) for token in 3 * tokens]
    await until(lambda: held.inside >= admission.LOOKED_UP_AT_ONCE)
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            assert (await api.get("/me", OTHER)).status == 200
    assert held.inside == admission.LOOKED_UP_AT_ONCE
    held.go_on.set()
    assert {answer.status for answer in await asyncio.gather(*crowd)} == {200}


async def test_strangers_keep_nobody_from_being_known(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does somebody who asks with a key and, from the same address, with others' names."""
    own = api.tokens[VIEWER]
    for who in (VIEWER, OTHER):
        assert (await api.get("/me", who)).status == 200
    strangers = [f"tk_{n:043d}" for n in range(12)]
    held = HeldLookups(monkeypatch, {own, *strangers})
    crowd = [asyncio.create_task(api.get("/me", token)) for token in (*strangers, *[own] * 12)]
    await until(lambda: held.inside >= 2 * admission.LOOKED_UP_AT_ONCE)
    async with asyncio.timeout(PATIENCE):
        assert (await api.get("/me", OTHER)).status == 200
    held.go_on.set()
    statuses = Counter(answer.status for answer in await asyncio.gather(*crowd))
    assert statuses == {401: len(strangers), 200: 12}


async def test_whose_the_oldest_tokens_are_is_forgotten(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is remembered is bounded; a token that was forgotten is a stranger's again."""
    monkeypatch.setattr(admission, "MOST_REMEMBERED", 1)
    for who in (VIEWER, OTHER):
        assert (await api.get("/me", who)).status == 200
    held = HeldLookups(monkeypatch, {"tk_nobody"})
    stranger = asyncio.create_task(api.get("/me", "tk_nobody"))
    await until(lambda: held.inside)
    forgotten = asyncio.create_task(api.get("/me", VIEWER))
    async with asyncio.timeout(PATIENCE):
        for _ in range(3):
            assert (await api.get("/me", OTHER)).status == 200
    assert not forgotten.done()
    held.go_on.set()
    assert [(await task).status for task in (stranger, forgotten)] == [401, 200]


async def test_whoever_waits_too_long_to_be_known_is_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "WAIT_SECONDS", WAIT)
    token = api.tokens[VIEWER]
    assert (await api.get("/me", token)).status == 200
    held = HeldLookups(monkeypatch, {token})
    most = admission.LOOKED_UP_AT_ONCE
    first = [asyncio.create_task(api.get("/me", token)) for _ in range(most)]
    await until(lambda: held.inside == most)
    async with asyncio.timeout(PATIENCE):
        answer = await api.get("/me", token)
    assert problem(answer) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    held.go_on.set()
    assert {answer.status for answer in await asyncio.gather(*first)} == {200}


async def test_whoever_finds_no_free_connection_is_told_to_come_again(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "WAIT_SECONDS", WAIT)
    async with all_of(api.runtime.pool):
        answer = await api.get("/segments", VIEWER)
    assert problem(answer) == (503, "busy")
    assert int(answer.headers["Retry-After"]) > 0
    assert "try again in 5 seconds" in answer.json["detail"]
    assert (await api.get("/segments", VIEWER)).status == 200


async def test_a_caller_has_two_heavy_requests_in_hand_and_is_refused_a_third(api: Api) -> None:
    held = Held(heavy=True)
    viewer = api.teams["county"].viewer
    async with transaction(api.runtime.pool) as conn:
        second_key = await make_token(conn, api.runtime.keyring, viewer, api.clock.at)
    async with served(api, held.op) as ask:
        first = [asyncio.create_task(ask(VIEWER)) for _ in range(2)]
        await held.reach(2)
        for who in (VIEWER, second_key):
            refused = await ask(who)
            assert problem(refused) == (429, "too_many_at_once")
            assert int(refused.headers["Retry-After"]) > 0
            assert "wait for one of them" in refused.json["detail"]
            assert (await ask(who, f"{PREFIX}/me")).status == 200, "what is not heavy goes on"
        other = asyncio.create_task(ask(OTHER))
        await held.reach(3)
        held.go_on.set()
        assert [answer.status for answer in await asyncio.gather(*first, other)] == [200] * 3
        assert (await ask(VIEWER)).status == 200, "the places are free again"


async def viewers(api: Api, count: int) -> list[str]:
    """A viewer each of so many departments."""
    async with transaction(api.runtime.pool) as conn:
        return [
            await make_token(
                conn,
                api.runtime.keyring,
                (await make_team(conn, now=api.clock.at)).viewer,
                api.clock.at,
            )
            for _ in range(count)
        ]


@pytest.mark.parametrize("heavy", [True, False], ids=["heavy", "ordinary"])
async def test_the_reads_of_many_leave_connections_to_whoever_acts(
    api: Api, monkeypatch: pytest.MonkeyPatch, heavy: bool
) -> None:
    monkeypatch.setattr(admission, "WAIT_SECONDS", WAIT)
    size = api.runtime.pool.get_max_size()
    most = size // 2 if heavy else size - admission.FOR_CHANGES
    held = Held(heavy=heavy)
    crowd = await viewers(api, size)
    async with served(api, held.op) as ask:
        for who in crowd:  # what is not known yet would wait for its turn
            assert (await ask(who, f"{PREFIX}/me")).status == 200
        asked = [asyncio.create_task(ask(who)) for who in crowd]
        await held.reach(most)
        await until(lambda: sum(task.done() for task in asked) >= size - most)
        assert held.count == most
        for task in asked:
            if task.done():
                assert problem(task.result()) == (503, "busy")
                assert int(task.result().headers["Retry-After"]) > 0
        if heavy:
            assert (await ask(VIEWER, f"{PREFIX}/me")).status == 200
        stopped = await api.post("/stop-all", ("county", "admin"), {"reason": "r"})
        assert stopped.status == 200
        held.go_on.set()
        assert sorted({task.status for task in await asyncio.gather(*asked)}) == [200, 503]


async def test_one_department_leaves_a_place_for_heavy_requests_to_others(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(admission, "WAIT_SECONDS", PATIENCE_SECONDS)  # those who wait go on waiting
    held = Held(heavy=True)
    half = api.runtime.pool.get_max_size() // 2
    async with served(api, held.op) as ask:
        crowd = [
            asyncio.create_task(ask(("school", role)))
            for role in ("viewer", "operator", "approver", "admin")
            for _ in range(2)
        ]
        await held.reach(half - 1)
        assert problem(await ask(("school", "viewer"))) == (429, "too_many_at_once")
        assert (await ask(VIEWER, f"{PREFIX}/me")).status == 200
        assert held.count == half - 1, "the others of the department wait"
        other = asyncio.create_task(ask(VIEWER))
        await held.reach(half)
        held.go_on.set()
        assert {answer.status for answer in await asyncio.gather(*crowd, other)} == {200}


async def test_a_caller_who_reads_much_at_once_leaves_half_to_others(api: Api) -> None:
    held = Held()
    size = api.runtime.pool.get_max_size()
    async with served(api, held.op) as ask:
        crowd = [asyncio.create_task(ask(VIEWER)) for _ in range(3 * size)]
        await held.reach(size // 2)
        other = asyncio.create_task(ask(OTHER))
        await held.reach(size // 2 + 1)
        assert held.count == size // 2 + 1
        held.go_on.set()
        assert {answer.status for answer in await asyncio.gather(*crowd, other)} == {200}


async def test_a_statement_that_takes_too_long_is_stopped_and_the_caller_told_what_to_do(
    api: Api,
) -> None:
    """And its connection stays, as do those of others."""

    async def get_much(call: Call) -> Nothing:
        await call.conn.fetchval("SELECT pg_sleep(60)")
        return Nothing()

    op = Op("GET", "/much", get_much, Right.READ, seconds=WAIT, heavy=True)
    pool = api.runtime.pool
    async with served(api, op) as ask, pool.acquire() as first, pool.acquire() as second:
        before = {conn.get_server_pid() for conn in (first, second)}
        await pool.release(first)
        await pool.release(second)
        answer = await ask(VIEWER)
        async with pool.acquire() as one, pool.acquire() as two:
            assert {conn.get_server_pid() for conn in (one, two)} == before
    assert problem(answer) == (422, "takes_too_long")
    assert "ask for less" in answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/segments/preview", RULE),
        ("GET", "/contacts", None),
        ("GET", "/rosters", None),
    ],
)
async def test_a_preview_or_a_list_is_stopped_by_the_server(
    api: Api, method: str, path: str, body: Any
) -> None:
    """Contacts are locked, so that it would never end."""
    (known,) = (op for op in OPS if (op.method, op.path) == (method, path))
    assert known.is_bounded
    assert known.seconds <= 30
    op = replace(known, seconds=WAIT)
    app = application.create_app(api.runtime)
    app.router.add_route(method, "/quick", server.endpoint(op))
    async with TestServer(app) as running, transaction(api.runtime.pool) as conn:
        await conn.execute("LOCK TABLE contacts, rosters IN ACCESS EXCLUSIVE MODE")
        headers = {"Authorization": f"Bearer {api.tokens[VIEWER]}"}
        url = running.make_url("/quick")
        async with api.client.session.request(method, url, json=body, headers=headers) as got:
            answer = Answer(got.status, got.headers, await got.read())
    assert problem(answer) == (422, "takes_too_long")


async def test_a_request_as_a_whole_has_an_end(api: Api) -> None:
    """Each of its statements may be quick."""

    async def get_many(call: Call) -> Nothing:
        while True:
            await call.conn.fetchval("SELECT 1")

    op = Op("GET", "/many", get_many, Right.READ, seconds=WAIT / exchange.WHOLE, heavy=True)
    async with served(api, op) as ask:
        assert problem(await ask(VIEWER)) == (422, "takes_too_long")


def file_op(octets: int) -> Op:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(octets // MIB):
            yield bytes(MIB)

    async def get_file(call: Call) -> Download:
        assert not call.conn.is_closed()
        return Download("text/csv", "all.csv", pieces())

    return Op("GET", "/file", get_file, Right.READ, changes=False, heavy=True)


async def test_whoever_does_not_take_a_file_holds_no_connection(api: Api) -> None:
    """They go on taking nothing for as long as they like, and others get all they ask for."""
    pool = api.runtime.pool
    tokens = [*await viewers(api, pool.get_max_size())]
    app = application.create_app(api.runtime)
    op = file_op(16 * MIB)
    app.router.add_get(op.path, server.endpoint(op))
    async with TestServer(app) as running:
        streams = []
        for token in tokens:
            streams.append(await asyncio.open_connection(running.host, running.port, limit=1024))
            head = f"GET /file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
            streams[-1][1].write(head.encode())
        async with asyncio.timeout(PATIENCE):
            for reader, _ in streams:
                assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
        await until(lambda: pool.get_size() == pool.get_idle_size())
        assert app[server.EXCHANGE].downloads.octets == len(tokens) * 16 * MIB, "nobody has let go"
        assert (await api.get("/segments", VIEWER)).status == 200
        for _, writer in streams:
            writer.close()
        await until(lambda: not app[server.EXCHANGE].downloads.octets)


async def test_whoever_does_not_take_a_file_in_time_is_left(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "WRITE_SECONDS", WAIT)
    app = application.create_app(api.runtime)
    op = file_op(32 * MIB)
    app.router.add_get(op.path, server.endpoint(op))
    async with TestServer(app) as running:
        _, writer = await asyncio.open_connection(running.host, running.port, limit=1024)
        head = f"GET /file HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {api.tokens[VIEWER]}\r\n"
        writer.write(f"{head}\r\n".encode())
        await until(lambda: app[server.EXCHANGE].downloads.octets)
        await until(lambda: not app[server.EXCHANGE].downloads.octets)
        writer.close()


@pytest.mark.parametrize(
    ("limit", "said"), [("MOST_OCTETS", (413, "too_large")), ("MOST_OF_ALL", (503, "busy"))]
)
async def test_a_file_has_a_limit_and_so_have_all_together(
    api: Api, monkeypatch: pytest.MonkeyPatch, limit: str, said: tuple[int, str]
) -> None:
    monkeypatch.setattr(downloads, limit, 4 * MIB)
    async with served(api, file_op(8 * MIB)) as ask:
        assert problem(await ask(VIEWER)) == said
    async with served(api, file_op(2 * MIB)) as ask:
        answer = await ask(VIEWER)
        assert (answer.status, len(answer.body)) == (200, 2 * MIB)
        assert answer.headers["Content-Length"] == str(2 * MIB)


async def test_a_list_of_opt_outs_is_read_before_there_is_a_connection(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(*arguments: Any, **options: Any) -> Any:
        begun.set()
        assert go_on.wait(PATIENCE)
        return read_optouts(*arguments, **options)

    monkeypatch.setattr(suppressions, "read_optouts", slow)
    form = FormData()
    form.add_field("file", b"phone\n19790001234\n", filename="a.csv")
    operator = ("county", "operator")
    asked = asyncio.create_task(api.post("/suppressions/imports", operator, data=form))
    pool = api.runtime.pool
    try:
        await until(begun.is_set)
        assert pool.get_size() == pool.get_idle_size(), "it holds a connection"
        assert (await api.get("/me", VIEWER)).status == 200
    finally:
        go_on.set()
    assert (await asked).json["numbers"] == 1


def test_whatever_reads_much_is_heavy() -> None:
    """A file given or taken, and a read whose statements may take longer than others'."""
    light = [
        f"{op.method} {op.path}"
        for op in OPS
        if (op.out is Download or op.takes_file or (op.is_read and op.seconds > HOT_SECONDS))
        and not op.heavy
    ]
    assert light == []
    heavy = {op.path for op in OPS if op.heavy}
    assert {"/segments/preview", "/templates/lint", "/messages/lookup", "/calendar"} < heavy
    assert not {"/stop-all", "/me", "/messages"} & heavy
