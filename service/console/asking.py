"""One request of a page: who asks, what they typed, and the operations that the page asks for.

A page asks operations of the API by their handlers. What it reads is read in one transaction, so
that its figures are of one state. What it does is one operation, carried out as over the API: same
right, same second person, same audit entry, once under one key.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, Concatenate, ParamSpec, TypeVar, cast
from uuid import UUID
from zoneinfo import ZoneInfo

from aiohttp import web
from multidict import MultiDict, MultiDictProxy
from pydantic import BaseModel

from service.accounts.keys.keys import Caller
from service.accounts.people.model import Right, User
from service.api.http.admission import ADMISSION
from service.api.http.audit_entries import RequestOrigin
from service.api.http.call import Call, Download
from service.api.http.downloads import MadeFile
from service.api.http.exchange import Asked, Replayed
from service.api.http.idempotency import Ticket
from service.api.http.op import Op
from service.api.http.reads import Reads, need_right
from service.api.http.schema import Out, as_json
from service.api.http.server import EXCHANGE
from service.api.http.upload import Upload
from service.api.http.version import tag_of
from service.api.routes import OPS
from service.console.language import Language
from service.console.session import OpenSession
from service.errors import Invalid, NotFound, TocsinError
from service.runtime import Runtime
from service.web import REQUEST_ID, RUNTIME
from service.words.phrase import phrase

P = ParamSpec("P")
T = TypeVar("T")

KEY = "_key"
"""The field with the Idempotency-Key of a form."""
_NUMBER_DIGITS = 6
SEEN = "_seen"
"""The field with the version of what is edited, as the page showed it."""


@cache
def _ops() -> Mapping[object, Op]:
    return {op.handler: op for op in OPS}


@cache
def _readers() -> Mapping[str, Op]:
    return {op.path: op for op in OPS if op.method == "GET"}


def op_of(handler: Callable[..., object]) -> Op:
    """The operation that a handler carries out."""
    return _ops()[handler]


@dataclass(slots=True)
class Desk:
    """A request of somebody who has logged in.

    form: what was typed, empty for a GET. upload: a file that came with it. refusal: why the act
    was refused whose form is shown again. as_of: of what a standby was read for, up to when that
    knows everything.
    """

    request: web.Request
    caller: Caller
    session: OpenSession
    language: Language
    form: MultiDictProxy[str] = field(default_factory=lambda: MultiDictProxy(MultiDict()))
    upload: Upload | None = None
    refusal: TocsinError | None = None
    as_of: datetime | None = None
    _reads: Reads | None = None
    _part: str = ""

    @property
    def runtime(self) -> Runtime:
        """The process's open resources."""
        return self.request.config_dict[RUNTIME]

    @property
    def user(self) -> User:
        """Who asks."""
        return self.caller.user

    @property
    def zone(self) -> ZoneInfo:
        """The county's time zone."""
        return self.runtime.settings.zone

    @property
    def now(self) -> datetime:
        """The instant of this request, in the county's time zone."""
        return self.runtime.clock.now().astimezone(self.zone)

    @property
    def has_given_password(self) -> bool:
        """Whether the session is of a password that somebody has given: it leaves no right."""
        return self.user.limited_to is not None and not self.user.limited_to

    def may(self, right: Right) -> bool:
        """Whether the caller has a right."""
        return self.user.may(right)

    def path(self, name: str) -> str:
        """A part of the address, as text."""
        return self.request.match_info[name]

    @asynccontextmanager
    async def reading(self, *, heavy: bool = False) -> AsyncIterator[None]:
        """One transaction in which `get` reads. heavy: whether heavy operations are among them."""
        async with self.request.config_dict[EXCHANGE].reading(self.caller, heavy=heavy) as reads:
            self._reads = reads
            try:
                yield
            finally:
                self._reads = None

    async def from_replica(
        self, function: Callable[["Desk"], Awaitable[T]], *, heavy: bool
    ) -> T | None:
        """What a page comes to with what a standby answers to `get`; None: the primary has to."""

        async def read(reads: Reads, as_of: datetime) -> T:
            self._reads, self.as_of = reads, as_of
            return await function(self)

        found = None
        try:
            found = await self.request.config_dict[EXCHANGE].reading_replica(
                self.caller, read, heavy=heavy
            )
        finally:
            self._reads = None
            if found is None:
                self.as_of = None
        return found

    async def get(
        self,
        handler: Callable[Concatenate[Call, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """What an operation that reads answers.

        Raises:
            TocsinError: it is refused.
        """
        if self._reads is None:
            raise RuntimeError("read inside `reading`")
        if args:
            raise TypeError("name the arguments")
        return cast("T", await self._reads.get(op_of(handler), dict(kwargs)))

    async def act(
        self,
        handler: Callable[Concatenate[Call, P], Coroutine[Any, Any, T]],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Carry an operation out, once for the form that was sent; it answers the same again.

        Where it edits something, the form's `_seen` says what the page had shown of it.

        Raises:
            TocsinError: it is refused, and nothing was changed.
        """
        if args:
            raise TypeError("name the arguments")
        op = op_of(handler)
        result = await self._run(op, dict(kwargs))
        if isinstance(result, MadeFile):
            result.close()
            raise TypeError(f"{op.name} answers with a file: `take`")
        if op.out is None or not result:
            return cast("T", None)
        return cast("T", cast("type[BaseModel]", op.out).model_validate_json(result))

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """What is done within is done once for this part of the form: another part may do the same
        with something else.
        """
        self._part = f".{name}"
        try:
            yield
        finally:
            self._part = ""

    async def take(
        self, handler: Callable[..., Coroutine[Any, Any, Any]], **kwargs: Any
    ) -> MadeFile:
        """The file that an operation answers with; whoever sends it closes it.

        Raises:
            TocsinError: it is refused.
        """
        made = await self._run(op_of(handler), kwargs)
        if not isinstance(made, MadeFile):
            raise TypeError(f"{handler.__name__} answers with no file: `act`")
        return made

    async def _run(self, op: Op, arguments: dict[str, Any]) -> bytes | MadeFile:
        need_right(op, self.caller)
        mark = self._mark(op, arguments)
        key = self.form.get(KEY) if op.is_once else None
        ticket = None
        if key:
            # Two operations of one form each have a key of their own.
            own_key = f"{key[:180]}.{op.name}{self._part}"
            ticket = Ticket(self.user.id, self.caller.id, own_key, mark, op.replayable)
        asked = Asked(
            op,
            self.caller,
            arguments,
            RequestOrigin("console", self.request[REQUEST_ID], mark),
            ticket=ticket,
            seen=self.form.get(SEEN) if op.is_edit else None,
            reader=_readers().get(op.path) if op.is_edit else None,
            language=self.language.code,
        )
        with self.request.config_dict[ADMISSION].in_hand(op, self.user):
            result = await self.request.config_dict[EXCHANGE].run(asked)
        if isinstance(result, MadeFile):
            return result
        return result.answer.body if isinstance(result, Replayed) else result.body

    async def made(self, download: Download) -> MadeFile:
        """The file of an operation that only reads; whoever sends it closes it.

        Raises:
            TooLarge, Unavailable: as `Downloads.make`.
        """
        return await self.request.config_dict[EXCHANGE].downloads.make(download)

    def _mark(self, op: Op, arguments: Mapping[str, Any]) -> bytes:
        told = {
            name: value.model_dump(mode="json") if isinstance(value, BaseModel) else str(value)
            for name, value in arguments.items()
            if name not in {"file", "listed"}
        }
        file = self.upload.sha256 if self.upload is not None else ""
        said = json.dumps([op.name, told, file], sort_keys=True, ensure_ascii=False)
        return self.runtime.keyring.index("request", said)

    def version_of(self, shown: Out) -> str:
        """The version of what is shown, for the form that edits it."""
        return tag_of(as_json(shown, self.zone), shown.BY_THE_CLOCK)

    def uuid(self, name: str) -> UUID:
        """A part of the address, or a field of the form, that is the id of something.

        Raises:
            NotFound: it is none.
        """
        given = self.request.match_info.get(name) or self.typed(name)
        try:
            return UUID(given)
        except ValueError:
            raise NotFound(phrase("there is nothing at this address")) from None

    def number(self, name: str) -> int:
        """A part of the address that is the number of a channel.

        Raises:
            NotFound: it is none.
        """
        given = self.path(name)
        if not (given.isascii() and given.isdecimal() and len(given) < _NUMBER_DIGITS):
            raise NotFound(phrase("there is nothing at this address"))
        return int(given)

    def typed(self, name: str) -> str:
        """What was typed into a field of the form; "" if nothing.

        Raises:
            Invalid: it was sent twice.
        """
        given = self.form.getall(name, [])
        if len(given) > 1:
            raise Invalid(
                phrase("the form has {name} twice", name=name),
                fields={name: phrase("give it once")},
            )
        return given[0].strip() if given else ""
