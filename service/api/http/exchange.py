"""An operation carried out, whoever brings the request: the API over HTTP, or the console.

Here meet the caller's right, the scope, the second person, the Idempotency-Key, what the caller had
seen, the audit entry, the retry on collision, and the jobs. What the handler writes, its entry in
the audit trail, and the answer kept under an Idempotency-Key are committed together; jobs are
enqueued afterwards. A transaction that met another one is run again. An answer that takes a call to
somebody outside is made after the transaction, and is not kept: it is true only once. A file is
made after the transaction that wrote down who took it (`downloads`).

What heavy requests and reads may have at once is in `admission`. A statement, and a request as a
whole, has a time limit; whoever passes it is told what to ask for instead.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from service.accounts.audit.audit import AuditAct
from service.accounts.audit.audit_store import insert_entry
from service.accounts.keys.keys import Caller
from service.api.http import audit_entries, version
from service.api.http.admission import Admission, busy
from service.api.http.audit_entries import RequestOrigin
from service.api.http.call import Call, Counted, Download, Later
from service.api.http.downloads import Downloads, LongFile, MadeFile, noted
from service.api.http.idempotency import Answer, Ticket
from service.api.http.op import Arguments, Op
from service.api.http.problems import TooLong
from service.api.http.reads import Reads, read_replica
from service.api.http.schema import ENGLISH, Out, as_json
from service.errors import TocsinError, Unavailable
from service.runtime import Runtime
from service.storage.postgres import (
    COLLISIONS,
    COUNT_SECONDS,
    Busy,
    Connection,
    StatementTimeout,
    limit_statements,
)
from service.storage.replica import ReplicaReads
from service.words.phrase import phrase

T = TypeVar("T")

ATTEMPTS = 4
WHOLE = 5
"""A request as a whole may take so many times as long as one of its statements."""
GRACE_SECONDS = 3.0
"""So much later than the server a statement is ended on this side, where the server is silent."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One operation that a caller asks for, with its arguments.

    origin: whence the request came. seen: the version that the caller had
    seen of what is edited (If-Match), None: not said. reader: the GET of what is edited.
    language: of the sentences in the answer.
    """

    op: Op
    caller: Caller
    arguments: Arguments
    origin: RequestOrigin
    ticket: Ticket | None = None
    seen: str | None = None
    reader: Op | None = None
    language: str = ENGLISH


@dataclass(frozen=True, slots=True)
class Replayed:
    """The answer that the same request had before."""

    answer: Answer


class Exchange:
    """Where the operations of one process are carried out."""

    def __init__(self, runtime: Runtime, admission: Admission, downloads: Downloads) -> None:
        self._runtime = runtime
        self._admission = admission
        self.downloads = downloads

    async def run(self, asked: Asked) -> Answer | Replayed | MadeFile:
        """Carry it out: its answer, the one that it had before, or a file, which the caller closes.

        Raises:
            TocsinError: it is refused, and nothing was changed; or there is no room, or no time.
        """
        for _ in range(ATTEMPTS):
            try:
                return await self._attempt(asked)
            except COLLISIONS:
                continue
        raise Unavailable(phrase("too many others are changing the same things; try again"))

    @asynccontextmanager
    async def reading(self, caller: Caller, *, heavy: bool = False) -> AsyncIterator[Reads]:
        """One transaction for several reads of one caller, which all see the same state.

        heavy: whether heavy operations may be among them.

        Raises:
            Unavailable: code `busy`: there is no room, or no free connection.
        """
        try:
            async with (
                self._admission.heavy_page(caller.user) if heavy else nullcontext(),
                self._admission.at_work(caller.user, heavy=heavy),
                self._runtime.pool.acquire(seconds=COUNT_SECONDS + GRACE_SECONDS) as conn,
                conn.transaction(isolation="repeatable_read", readonly=True),
            ):
                call = self._call(caller, conn)
                yield Reads(call, caller, heavy=heavy)
        except Busy:
            raise busy() from None

    def _call(self, caller: Caller, conn: Connection) -> Call:
        now = self._runtime.clock.now()
        return Call(
            self._runtime, conn, caller.user, now, key=caller.key, session_id=caller.session_id
        )

    async def _attempt(self, asked: Asked) -> Answer | Replayed | MadeFile:
        call, result = await self._in_time(asked)
        if isinstance(result, Replayed | MadeFile):
            return result
        for job, ids in call.jobs:
            await self._runtime.queue.enqueue_once(job, *ids)
        if isinstance(result, Later):
            result = await result.make()
        return result if isinstance(result, Answer) else self._answer(asked, result)

    async def _in_time(self, asked: Asked) -> tuple[Call, object]:
        """What comes of it, if there is room and it does not take too long.

        Raises:
            Unavailable: code `busy`: no room, or no free connection.
            TooLong: a statement, or all of it, passed its limit; nothing was changed.
        """
        op = asked.op
        try:
            if not (op.is_read or op.heavy):
                return await self._worked(asked)
            return await self._ended(asked)
        except StatementTimeout:
            raise TooLong(op.seconds) from None
        except Busy:
            raise busy() from None

    async def _ended(self, asked: Asked) -> tuple[Call, object]:
        """What comes of a read or a heavy request: in its turn, and a read with an end."""
        op, found = asked.op, asked.arguments
        ends = op.is_read or op.out is Download
        try:
            async with (
                asyncio.timeout(WHOLE * op.seconds if ends else None) as whole,
                self._admission.at_work(asked.caller.user, heavy=op.heavy),
            ):
                if op.read_file is not None and "listed" not in found:
                    found["listed"] = await op.read_file(found["body"], found["file"])
                return await self._worked(asked)
        except TimeoutError:
            if whole.expired():
                raise TooLong(WHOLE * op.seconds) from None
            raise

    async def _worked(self, asked: Asked) -> tuple[Call, object]:
        """What the handler answers: its transaction is over, and a file is made."""
        if (found := await self._from_replica(asked)) is not None:
            return found
        op = asked.op
        grace = GRACE_SECONDS if op.is_bounded else 0
        async with self._runtime.pool.acquire(seconds=op.seconds + grace) as conn:
            call = self._call(asked.caller, conn)
            try:
                async with _transaction(op, conn):
                    if stored := await self._stored_answer(asked, conn):
                        return call, Replayed(stored)
                    result = await self._checked(asked, call)
            except TocsinError:
                if stored := await self._answered_meanwhile(asked, conn):
                    return call, Replayed(stored)
                raise
            if isinstance(result, TocsinError):
                raise result
            if isinstance(result, Download):
                result = await self._made(asked, conn, result)
            return call, result

    async def _made(self, asked: Asked, conn: Connection, download: Download) -> MadeFile:
        """A file, made in a transaction of its own."""
        op = asked.op
        about = next((str(asked.arguments[name]) for name in op.parameters), None)
        file = LongFile(op.name, about, asked.caller.user.id, download.progress)
        async with _transaction(op, conn), noted(self._runtime, file):
            return await self.downloads.make(download)

    async def _from_replica(self, asked: Asked) -> tuple[Call, object] | None:
        """What a standby answers, where it may: None: the primary has to answer. Whoever takes a
        file is written down once it is made, before any of it leaves.
        """
        op = asked.op
        if not op.replica or asked.ticket is not None or self._runtime.replica is None:
            return None
        if not await self._may_be_old(asked.caller, op, asked.arguments):
            return None

        async def read(reads: ReplicaReads) -> tuple[Call, object]:
            call = self._call(asked.caller, reads.conn)
            async with _transaction(op, reads.conn):
                if op.guard is not None:
                    await op.guard(call, asked.arguments)
                result = await op.handler(call, **asked.arguments)
            act = (
                audit_entries.act(op, call, asked.arguments, result, asked.origin)
                if op.audited
                else None
            )
            as_of = reads.as_of.astimezone(self._runtime.settings.zone)
            if not isinstance(result, Download):
                return call, replace(self._answer(asked, result), as_of=as_of)
            made = await self._made(asked, reads.conn, result.dated(as_of))
            try:
                await self._write_apart(act)
            except BaseException:
                made.close()
                raise
            return call, made

        return await read_replica(self._runtime, op.seconds + GRACE_SECONDS, read)

    async def _write_apart(self, act: AuditAct | None) -> None:
        if act is not None:
            async with self._runtime.pool.acquire() as conn:
                await insert_entry(conn, self._runtime.keyring, act)

    async def _may_be_old(self, caller: Caller, op: Op, arguments: Arguments) -> bool:
        """Whether what is asked for now may be a few seconds old, as far as it depends on that."""
        if op.replica_if is None:
            return op.replica
        async with self._runtime.pool.acquire() as conn:
            return await op.replica_if(self._call(caller, conn), arguments)

    async def reading_replica(
        self, caller: Caller, read: Callable[[Reads, datetime], Awaitable[T]], *, heavy: bool
    ) -> T | None:
        """What is read on a standby, in one transaction; None: the primary has to answer. as
        `reading`.
        """

        async def reading(reads: ReplicaReads) -> T:
            async with reads.conn.transaction(isolation="repeatable_read", readonly=True):
                call = self._call(caller, reads.conn)
                found = Reads(call, caller, heavy=heavy, may_be_old=self._may_be_old)
                return await read(found, reads.as_of)

        if self._runtime.replica is None:
            return None
        async with (
            self._admission.heavy_page(caller.user) if heavy else nullcontext(),
            self._admission.at_work(caller.user, heavy=heavy),
        ):
            return await read_replica(self._runtime, COUNT_SECONDS + GRACE_SECONDS, reading)

    async def _checked(self, asked: Asked, call: Call) -> object:
        """What comes of it, if the caller may touch it and nobody has changed what is edited."""
        if asked.op.guard is not None:
            await asked.op.guard(call, asked.arguments)
        if asked.reader is None:
            return await self._carry_out(asked, call)
        before = await version.check_unchanged(call, asked.reader, asked.arguments, asked.seen)
        return await self._carry_out(asked, call, before)

    async def _carry_out(self, asked: Asked, call: Call, before: Out | None = None) -> object:
        """What the handler answers, written down; its refusal, where what it counted must stay.

        before: what is edited, as it was.
        """
        op = asked.op
        try:
            result = await op.handler(call, **asked.arguments)
        except Counted as counted:
            return counted.refusal
        if before is not None and isinstance(result, Out):
            call.note(**audit_entries.changes(op, before, result))
        act = (
            audit_entries.act(op, call, asked.arguments, result, asked.origin)
            if op.audited
            else None
        )
        if isinstance(result, Download | Later):
            await self._write_down(asked, call, act, None)
            return result
        answer = self._answer(asked, result)
        await self._write_down(asked, call, act, answer)
        return answer

    def _answer(self, asked: Asked, result: object) -> Answer:
        return answer_of(asked.op, result, self._runtime.settings.zone, asked.language)

    async def _stored_answer(self, asked: Asked, conn: Connection) -> Answer | None:
        if asked.ticket is None:
            return None
        return await asked.ticket.stored_answer(conn, self._runtime.keyring)

    async def _answered_meanwhile(self, asked: Asked, conn: Connection) -> Answer | None:
        """The answer of the same request, committed in the very moment in which it was looked for:
        what it has done is why this one is refused.
        """
        if asked.ticket is None:
            return None
        async with conn.transaction():
            return await self._stored_answer(asked, conn)

    async def _write_down(
        self, asked: Asked, call: Call, act: AuditAct | None, answer: Answer | None
    ) -> None:
        """The entry in the audit trail, and the answer for whoever asks again under its key."""
        keyring = self._runtime.keyring
        if asked.ticket is not None and answer is not None:
            await asked.ticket.keep(call.conn, keyring, answer, act, call.now)
        elif act is not None:
            await insert_entry(call.conn, keyring, act)


@asynccontextmanager
async def _transaction(op: Op, conn: Connection) -> AsyncIterator[None]:
    """A transaction whose statements the server ends in time, where they may take long."""
    async with conn.transaction():
        if op.is_bounded:
            await limit_statements(conn, op.seconds)
        yield


def answer_of(op: Op, result: object, zone: ZoneInfo, language: str) -> Answer:
    """What is answered, as JSON, and its version where it is what can be edited or asked for again.

    zone, language: as in `as_json`; the version is the same in each language.
    """
    if not isinstance(result, BaseModel):
        return Answer(op.status, b"")
    body = as_json(result, zone, language)
    if not (op.method == "GET" or op.is_edit):
        return Answer(op.status, body)
    plain = body if language == ENGLISH else as_json(result, zone)
    moving = getattr(op.out, "BY_THE_CLOCK", frozenset[str]())
    tag = version.tag_of(plain, moving)
    return Answer(op.status, body, tag if body == plain else version.in_language(tag, language))
