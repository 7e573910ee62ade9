"""What is tried again, when, and under which key; what the last word is."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from tocsin_client import Conflict, Patience, Refused, Tocsin, TocsinError, Unavailable

from tests.harness.waiting import turns

QUICK = Patience(attempts=4, total=30, first=0.001, longest=0.002, timeout=0.5)

Reply = Callable[[web.Request], web.StreamResponse]


@dataclass
class Script:
    """A service that answers as it is told, and the last thing for ever."""

    replies: list[Reply | None]
    seen: list[web.Request] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.StreamResponse:
        await request.read()
        self.seen.append(request)
        reply = self.replies[min(len(self.seen), len(self.replies)) - 1]
        if reply is None:
            assert request.transport is not None
            request.transport.abort()
            await turns()
            return web.Response()
        return reply(request)

    @property
    def keys(self) -> list[str | None]:
        return [request.headers.get("Idempotency-Key") for request in self.seen]


def ok(_: web.Request) -> web.StreamResponse:
    return web.json_response({"id": "s", "state": "draft"})


def refusal(status: int, code: str = "x", after: str | None = None) -> Reply:
    def reply(_: web.Request) -> web.StreamResponse:
        body = {"type": f"/problems/{code}", "detail": "no", "request_id": "r1"}
        more = {} if after is None else {"Retry-After": after}
        return web.json_response(
            body, status=status, headers=more, content_type="application/problem+json"
        )

    return reply


def page_of_a_proxy(_: web.Request) -> web.StreamResponse:
    return web.Response(status=502, text="<html>Bad Gateway</html>", content_type="text/html")


@asynccontextmanager
async def serving(*replies: Reply | None, patience: Patience = QUICK) -> AsyncIterator[Any]:
    script = Script(list(replies))
    app = web.Application()
    app.router.add_route("*", "/{any:.*}", script.answer)
    async with (
        TestServer(app) as server,
        Tocsin(str(server.make_url("")), "k", patience=patience) as t,
    ):
        yield script, t


@pytest.mark.parametrize(
    "failure",
    [
        None,
        refusal(429),
        refusal(503, "unavailable"),
        refusal(504),
        refusal(409, "in_progress"),
        page_of_a_proxy,
    ],
    ids=["connection lost", "429", "503", "504", "in progress", "a proxy's 502"],
)
async def test_a_passing_failure_is_tried_again_under_the_same_key(failure: Reply | None) -> None:
    async with serving(failure, failure, ok) as (script, tocsin):
        assert (await tocsin.segments.create("n", "r"))["id"] == "s"
    assert len(script.seen) == 3
    assert len(set(script.keys)) == 1
    assert script.keys[0]


async def test_each_act_has_a_key_of_its_own_and_the_callers_is_used() -> None:
    async with serving(ok) as (script, tocsin):
        await tocsin.segments.create("n", "r")
        await tocsin.segments.create("n", "r")
        await tocsin.segments.create("n", "r", idempotency_key="mine")
    assert len(set(script.keys)) == 3
    assert script.keys[2] == "mine"


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 412, 413, 422, 500])
async def test_a_refusal_is_not_tried_again(status: int) -> None:
    async with serving(refusal(status, "some_code"), ok) as (script, tocsin):
        with pytest.raises(Refused, match=f"{status} some_code: no") as caught:
            await tocsin.segments.create("n", "r")
    assert len(script.seen) == 1
    assert (caught.value.status, caught.value.request_id) == (status, "r1")
    assert caught.value.idempotency_key == script.keys[0]


async def test_an_answer_that_is_not_ours_is_said_to_be_none() -> None:
    def html(_: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>", content_type="text/html")

    async with serving(html) as (_, tocsin):
        with pytest.raises(Refused, match="is this its address"):
            await tocsin.segments.create("n", "r")


async def test_a_redirect_is_not_followed_with_the_key() -> None:
    def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=307, headers={"Location": "/elsewhere"})

    async with serving(away, ok) as (script, tocsin):
        with pytest.raises(Refused, match="http_307"):
            await tocsin.segments.create("n", "r")
    assert len(script.seen) == 1


@pytest.mark.parametrize(
    ("act", "tries"),
    [
        (lambda t: t.campaigns.edit("c", {"name": "n"}), 1),
        (lambda t: t.rosters.set_members("r", []), 4),
        (lambda t: t.suppressions.lift("s"), 4),
        (lambda t: t.campaigns.get("c"), 4),
    ],
    ids=["PATCH", "PUT", "DELETE", "GET"],
)
async def test_what_is_tried_again_after_a_lost_answer(act: Any, tries: int) -> None:
    async with serving(None) as (script, tocsin):
        with pytest.raises(Unavailable) as caught:
            await act(tocsin)
    # aiohttp itself asks once more where a kept connection breaks under a GET, PUT or DELETE.
    assert script.seen
    assert (len(script.seen) == 1) is (tries == 1)
    assert caught.value.may_be_done is (script.seen[0].method != "GET")


async def test_what_an_earlier_try_deleted_is_deleted() -> None:
    async with serving(None, refusal(404, "not_found")) as (_, tocsin):
        await tocsin.suppressions.lift("s")
    async with serving(refusal(404, "not_found")) as (_, tocsin):
        with pytest.raises(Refused):
            await tocsin.suppressions.lift("s")


async def test_silence_is_a_lost_answer() -> None:
    silent = asyncio.Event()

    async def hang(_: web.Request) -> web.StreamResponse:
        await silent.wait()
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", hang)
    patience = Patience(attempts=2, total=30, first=0.001, longest=0.002, timeout=0.05)
    async with TestServer(app) as server:
        async with Tocsin(str(server.make_url("")), "k", patience=patience) as tocsin:
            with pytest.raises(Unavailable) as caught:
                await tocsin.segments.create("n", "r")
        silent.set()
    assert caught.value.may_be_done
    assert caught.value.idempotency_key


async def test_a_service_that_is_not_there_was_never_asked() -> None:
    async with Tocsin("http://127.0.0.1:1", "k", patience=QUICK) as tocsin:
        with pytest.raises(Unavailable) as caught:
            await tocsin.segments.create("n", "r")
    assert not caught.value.may_be_done


async def test_the_last_word_is_the_services(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving(refusal(409, "in_progress")) as (_, tocsin):
        with pytest.raises(Conflict, match="in_progress"):
            await tocsin.segments.create("n", "r")
    async with serving(refusal(503, "unavailable")) as (_, tocsin):
        with pytest.raises(Unavailable, match="503 unavailable"):
            await tocsin.segments.create("n", "r")


@pytest.mark.parametrize(
    ("asked", "waits"), [("7", [7.0, 7.0]), ("Wed, 21 Oct 2026 07:28:00 GMT", []), ("", [])]
)
async def test_the_service_says_how_long_to_wait(
    asked: str, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("tocsin_client.link.asyncio.sleep", sleep)
    failure = refusal(429, "too_many", after=asked)
    async with serving(failure, failure, ok) as (_, tocsin):
        await tocsin.segments.create("n", "r")
    assert [s for s in slept if s > 1] == waits
    assert len([s for s in slept if s]) == 2


async def test_no_wait_goes_past_what_the_caller_allows() -> None:
    patience = Patience(total=5)
    async with serving(refusal(429, "too_many", after="6"), ok, patience=patience) as (script, t):
        with pytest.raises(TocsinError, match="too_many") as caught:
            await t.segments.create("n", "r")
    assert len(script.seen) == 1
    assert isinstance(caught.value, Refused)
    assert caught.value.retry_after == 6


def test_pauses_grow_to_their_bound() -> None:
    patience = Patience(first=0.25, longest=4)
    for tries, most in enumerate([0.25, 0.5, 1, 2, 4, 4, 4], start=1):
        assert most / 2 <= patience.pause(tries) <= most


@pytest.mark.parametrize(("url", "key"), [("sms.example.gov.cn", "k"), ("http://x", "")])
def test_a_wrong_address_or_no_key_is_said_at_once(url: str, key: str) -> None:
    with pytest.raises(ValueError, match="address|key"):
        Tocsin(url, key)
