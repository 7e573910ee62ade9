"""Requests that come through: one act, tried again until it is answered, with one effect.

A POST carries an Idempotency-Key that is the same in every try, so the service does it once and
repeats its first answer. What is tried again: a lost connection, a timeout, 429, 502 to 504, and
409 `in_progress`, after the pause that the service asks for, or else a growing one with chance in
it. PUT and DELETE say what is to be, so they may be repeated too; a PATCH whose answer was lost is
not, since somebody else may have changed the thing meanwhile.
"""

import asyncio
import io
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any
from uuid import uuid4

from aiohttp import (
    ClientConnectionError,
    ClientConnectorError,
    ClientPayloadError,
    ClientResponse,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    FormData,
    TraceConfig,
    TraceRequestHeadersSentParams,
)
from yarl import URL

from tocsin_client.errors import NotFound, Refused, Unavailable, kind_of

API = "/api/v1"
CONNECT_SECONDS = 10.0
PASSING = frozenset({429, 502, 503, 504})
_LOST = (ClientConnectionError, ClientPayloadError, TimeoutError)
_UNSENT = ClientConnectorError
_REPEATABLE = frozenset({"GET", "POST", "PUT", "DELETE"})

Query = Mapping[str, str | int | None]


@dataclass(frozen=True, slots=True)
class Patience:
    """How long one act is tried; all in seconds but `attempts`.

    attempts, total: no more tries than this, and none that would begin later than this.
    first, longest: of the pauses between tries. timeout: of one try, without a word from
    the service.
    """

    attempts: int = 10
    total: float = 120.0
    first: float = 0.25
    longest: float = 15.0
    timeout: float = 60.0

    def pause(self, tries: int) -> float:
        """How long to wait after so many tries: by chance between half the step and the whole."""
        step = min(self.longest, self.first * 2.0 ** (tries - 1))
        return random.uniform(step / 2, step)  # noqa: S311  # no secret


@dataclass(slots=True)
class _Act:
    """One request; `form` makes a body anew for each try, since a file is read by sending it.

    sent: how often it has left, also where aiohttp repeated it on a new connection by itself.
    version: of the thing that was answered, its ETag.
    """

    method: str
    url: URL
    headers: Mapping[str, str]
    body: object = field(default=None, repr=False)  # people's numbers
    form: Callable[[], FormData] | None = None
    sent: int = field(default=0, init=False)
    version: str = field(default="", init=False)

    @property
    def key(self) -> str | None:
        return self.headers.get("Idempotency-Key")


class Link:
    """The way to one service with one key; `language` is that of refusals, `zh` or `en`."""

    def __init__(self, url: str, key: str, patience: Patience, language: str) -> None:
        self._language = language
        if not url.startswith(("http://", "https://")):
            raise ValueError(
                self._said(
                    "the service's address begins with https:// (or http://)",
                    "服务地址须以 https://（或 http://）开头",
                )
            )
        if not key:
            raise ValueError(
                self._said(
                    "a key is needed: whoever runs the service gives it",
                    "需要密钥：由运行服务的人发放",
                )
            )
        self._url = url.rstrip("/").removesuffix(API) + API
        self._key = key
        self._patience = patience
        self._opened: ClientSession | None = None

    def open(self) -> None:
        """Make ready to ask; in a running event loop."""
        self._opened = ClientSession(
            headers={"Authorization": f"Bearer {self._key}", "Accept-Language": self._language},
            trace_configs=[_counting()],
            timeout=ClientTimeout(
                total=None, sock_connect=CONNECT_SECONDS, sock_read=self._patience.timeout
            ),
        )

    @property
    def _session(self) -> ClientSession:
        if self._opened is None:
            raise RuntimeError("write: async with Tocsin(url, key) as tocsin")
        return self._opened

    async def close(self) -> None:
        """Close the connections."""
        if self._opened is not None:
            await self._opened.close()

    async def get(self, path: str, query: Query | None = None) -> Any:
        """The answer to a GET."""
        return await self._ask(self._act("GET", path, query))

    async def post(self, path: str, body: object = None, *, key: str | None = None) -> Any:
        """The answer to a POST; `key`: the caller's own Idempotency-Key."""
        return await self._ask(self._act("POST", path, key=key, body=body or {}))

    async def put(self, path: str, body: object) -> Any:
        """The answer to a PUT."""
        return await self._ask(self._act("PUT", path, body=body))

    async def patch(self, path: str, body: object, *, version: str | None = None) -> Any:
        """The answer to a PATCH; `version`: refused (`Stale`) if the thing is not what it was."""
        act = self._act("PATCH", path, body=body)
        if version is not None:
            act.headers = {**act.headers, "If-Match": version}
        return await self._ask(act)

    async def get_versioned(self, path: str) -> tuple[Any, str]:
        """The answer to a GET, and its version, for `patch`."""
        act = self._act("GET", path)
        return await self._ask(act), act.version

    async def delete(self, path: str, body: object = None) -> None:
        """Have something deleted."""
        await self._ask(self._act("DELETE", path, body=body))

    async def upload(self, path: str, form: Callable[[], FormData], *, key: str | None) -> Any:
        """The answer to a file, streamed; `form` is called for each try."""
        return await self._ask(self._act("POST", path, key=key, form=form))

    async def pages(self, path: str, query: Query | None = None) -> AsyncIterator[Any]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.get(path, {"limit": 500, **(query or {}), "cursor": cursor})
            for item in page["items"]:
                yield item
            cursor = page["next_cursor"]
            if cursor is None:
                return

    async def download(
        self,
        path: str,
        take: Callable[[AsyncIterator[bytes]], Any],
        query: Query | None = None,
        *,
        body: object = None,
    ) -> None:
        """Give the octets of a file to `take`; from the beginning again if they break off.

        body: of a file that is asked for by POST.
        """
        await self._ask(self._act("GET" if body is None else "POST", path, query, body=body), take)

    def _act(
        self,
        method: str,
        path: str,
        query: Query | None = None,
        *,
        key: str | None = None,
        body: object = None,
        form: Callable[[], FormData] | None = None,
    ) -> _Act:
        url = URL(self._url + path, encoded=True)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        headers = {"Idempotency-Key": key or str(uuid4())} if method == "POST" else {}
        return _Act(method, url.with_query(given) if given else url, headers, body, form)

    async def _ask(
        self, act: _Act, take: Callable[[AsyncIterator[bytes]], Any] | None = None
    ) -> Any:
        until = time.monotonic() + self._patience.total
        lost = False
        tries = 0
        while True:
            tries += 1
            pause = self._patience.pause(tries)
            try:
                return await self._try(act, take)
            except NotFound:
                if act.method == "DELETE" and act.sent > 1:
                    return None  # an earlier try has done it, and its answer was lost
                raise
            except Refused as error:
                if not _passes(error):
                    raise
                pause = max(pause, error.retry_after or 0.0)
                last: Exception = error
            except _LOST as error:
                lost = lost or not isinstance(error, _UNSENT)
                last = error
            if (
                isinstance(last, ClientSSLError)
                or (lost and act.method not in _REPEATABLE)
                or tries >= self._patience.attempts
                or time.monotonic() + pause > until
            ):
                raise self._given_up(act, last, lost=lost) from last
            await asyncio.sleep(pause)

    async def _try(self, act: _Act, take: Callable[[AsyncIterator[bytes]], Any] | None) -> Any:
        async with self._sent(act) as answer:
            if not 200 <= answer.status < 300:
                raise await self._refusal(act, answer)
            act.version = answer.headers.get("ETag", "")
            if take is not None:
                return await take(answer.content.iter_chunked(64 * 1024))
            if not await answer.read():
                return None
            if answer.content_type != "application/json":
                raise self._stranger(act, answer)
            return await answer.json()

    @asynccontextmanager
    async def _sent(self, act: _Act) -> AsyncIterator[ClientResponse]:
        more: dict[str, Any] = {}
        if act.form is not None:
            more["data"] = act.form()
        elif act.body is not None:
            more["json"] = act.body
        async with self._session.request(
            act.method,
            act.url,
            headers=act.headers,
            allow_redirects=False,
            trace_request_ctx=act,
            **more,
        ) as answer:
            yield answer

    async def _refusal(self, act: _Act, answer: ClientResponse) -> Refused:
        try:
            problem = await answer.json(content_type=None)
        except ValueError:
            problem = None
        if not isinstance(problem, dict) or "type" not in problem:
            return self._stranger(act, answer)
        given = answer.headers.get("Retry-After", "")
        kind = kind_of(answer.status, str(problem["type"]).rpartition("/")[2])
        return kind(
            answer.status,
            problem,
            idempotency_key=act.key,
            retry_after=float(given) if given.isdecimal() else None,
        )

    def _stranger(self, act: _Act, answer: ClientResponse) -> Refused:
        """Something that is not Tocsin has answered: a proxy before it, or another server."""
        origin = act.url.origin()
        problem = {
            "type": f"http_{answer.status}",
            "detail": self._said(
                f"{origin} did not answer as Tocsin does; is this its address?",
                f"{origin} 的应答不是警钟的；地址写对了吗？",
            ),
        }
        return Refused(answer.status, problem, idempotency_key=act.key)

    def _given_up(self, act: _Act, last: Exception, *, lost: bool) -> Exception:
        if isinstance(last, Refused) and last.status in {409, 429}:
            return last
        why, origin = str(last) or type(last).__name__, act.url.origin()
        return Unavailable(
            self._said(f"{origin} cannot answer: {why}", f"{origin} 不能应答：{why}"),
            may_be_done=lost and act.method != "GET",
            idempotency_key=act.key,
        )

    def _said(self, english: str, chinese: str) -> str:
        return chinese if self._language == "zh" else english


def into(file: IO[bytes]) -> Callable[[AsyncIterator[bytes]], Any]:
    """For `download`: write into a file; from its beginning, whenever the octets begin anew."""

    async def take(chunks: AsyncIterator[bytes]) -> None:
        file.seek(0)
        file.truncate()
        async for chunk in chunks:
            file.write(chunk)

    return take


def file_form(fields: Mapping[str, str], file: Path | bytes, name: str) -> Callable[[], FormData]:
    """For `upload`: makes a form with a file, read anew from its beginning for each try."""

    def form() -> FormData:
        made = FormData(fields, quote_fields=_is_awkward(name))
        content = io.BytesIO(file) if isinstance(file, bytes) else file.open("rb")
        made.add_field("file", content, filename=name)
        return made

    return form


def _is_awkward(file_name: str) -> bool:
    """Whether a name is better percent-encoded, which the service undoes, than sent in UTF-8 as
    RFC 7578 §4.2 has it: it has signs that a header needs, or that look percent-encoded.
    """
    return not file_name.isprintable() or any(sign in file_name for sign in '%";')


def _passes(error: Refused) -> bool:
    return error.status in PASSING or (error.status == 409 and error.code == "in_progress")


def _counting() -> TraceConfig:
    async def count(
        _: ClientSession, trace: SimpleNamespace, __: TraceRequestHeadersSentParams
    ) -> None:
        trace.trace_request_ctx.sent += 1

    config = TraceConfig()
    config.on_request_headers_sent.append(count)
    return config
