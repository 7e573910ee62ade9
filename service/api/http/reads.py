"""Operations that only read, in one transaction: on the primary, or on a standby (decision 0485).

On a standby is read what may be a few seconds old. A refusal never comes from there: what the
standby does not have yet, the primary may have. So whatever goes wrong on the standby, the primary
is asked, and answers as if there were no other.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.accounts.keys.keys import Caller
from service.api.http.call import Call
from service.api.http.op import Arguments, Op
from service.api.http.problems import TooLong
from service.errors import TocsinError
from service.runtime import Runtime
from service.storage.postgres import COLLISIONS, StatementTimeout, limit_statements
from service.storage.replica import NO_ANSWER, ReplicaReads

log = logging.getLogger(__name__)

AS_OF = "Tocsin-As-Of"
"""The header of an answer from a standby: all that was done before is in it."""

T = TypeVar("T")
MayBeOld = Callable[[Caller, Op, Arguments], Awaitable[bool]]


class AskPrimary(Exception):  # no fault of anybody
    """The standby has to answer no more of this: the primary does."""


_ASK_PRIMARY: tuple[type[Exception], ...] = (AskPrimary, TocsinError, *NO_ANSWER, *COLLISIONS)


def need_right(op: Op, caller: Caller) -> None:
    """Refuse a caller who may not ask for the operation.

    Raises:
        Forbidden: the user lacks the right, or the key is not for this operation.
    """
    if op.right is not None:
        caller.user.need(op.right)
    op.need_key(caller.key)


class Reads:
    """Operations that only read, in one transaction. may_be_old: given on a standby; says of an
    operation whether it may be answered there.
    """

    def __init__(
        self, call: Call, caller: Caller, *, heavy: bool, may_be_old: MayBeOld | None = None
    ) -> None:
        self.call = call
        self._caller = caller
        self._heavy = heavy
        self._may_be_old = may_be_old

    async def get(self, op: Op, arguments: Arguments) -> object:
        """What the operation answers.

        Raises:
            TocsinError: it is refused.
            TooLong: one of its statements passed its limit; the transaction is over.
            AskPrimary: on a standby, in the place of a refusal.
        """
        if self._may_be_old is None:
            return await self._read(op, arguments)
        if op.replica_if and not await self._may_be_old(self._caller, op, arguments):
            raise AskPrimary
        try:
            return await self._read(op, arguments)
        except TooLong:
            raise
        except TocsinError as error:  # a page may make something of it
            raise AskPrimary from error

    async def _read(self, op: Op, arguments: Arguments) -> object:
        if not op.is_read or op.audited or (op.heavy and not self._heavy):
            raise TypeError(f"{op.name} is not for this reading")
        need_right(op, self._caller)
        await limit_statements(self.call.conn, op.seconds)
        if op.guard is not None:
            await op.guard(self.call, arguments)
        try:
            return await op.handler(self.call, **arguments)
        except StatementTimeout:
            raise TooLong(op.seconds) from None


async def read_replica(
    runtime: Runtime, seconds: float, read: Callable[[ReplicaReads], Awaitable[T]]
) -> T | None:
    """What is read on the standby; None: the primary has to answer. Each statement may take so many
    seconds.

    Raises:
        TooLong, StatementTimeout: it took too long, and would again.
    """
    replica = runtime.replica
    if replica is None:
        return None
    found = None
    try:
        async with replica.reading(seconds) as reads:
            if reads is not None:
                found = await read(reads)
    except (TooLong, StatementTimeout):
        raise
    except _ASK_PRIMARY as error:
        log.info("the primary answers for the standby", extra={"why": repr(error)})
    replica.note_answer("primary" if found is None else "replica")
    return found
