"""How far a ledger has been written, told while its transaction shows nothing of it to others.

It stands in Valkey alone, for whoever watches: nothing is decided by it, and without it the run is
shown as being expanded, with no number. Whoever expands a run again begins to tell anew.
"""

import logging
import uuid
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import cast

from redis.asyncio import Redis
from redis.exceptions import RedisError

log = logging.getLogger(__name__)

KEPT_SECONDS = 3_600
"""After this a note goes by itself; the longest expansion takes as long."""


@dataclass(frozen=True, slots=True)
class WrittenSoFar:
    """Of how many people of a ledger all is written. people: of the whole ledger; None: they are
    still being chosen.
    """

    done: int
    people: int | None


class ExpansionNotes:
    """What one expansion tells of how far it is. redis: None: to nobody."""

    def __init__(self, redis: Redis | None, run_id: uuid.UUID) -> None:
        self._redis = redis
        self._key = _key(run_id)
        self._before = 0
        self._expected: int | None = None

    async def tell_stretch(self, before: int, expected: int) -> None:
        """Say that a further stretch is begun. before: how many people are written already;
        expected: how many there will be in all, roughly.
        """
        self._before, self._expected = before, expected
        await self.tell(0, 0)

    async def tell(self, done: int, people: int | None) -> None:
        """Say that of `people` of this stretch all is written for `done`; a Valkey without an
        answer is let be.
        """
        if self._redis is None:
            return
        told = {"done": self._before + done}
        if people is not None:
            told["people"] = max(self._before + people, self._expected or 0)
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.delete(self._key)
                pipe.hset(self._key, mapping=told)
                pipe.expire(self._key, KEPT_SECONDS)
                await pipe.execute()
        except RedisError:
            log.debug("an expansion could not tell how far it is")

    async def end(self) -> None:
        """Say no more: the ledger is written."""
        if self._redis is None:
            return
        try:
            await self._redis.delete(self._key)
        except RedisError:
            log.debug("an expansion could not tell that it is over")


async def read_notes(redis: Redis, run_id: uuid.UUID) -> WrittenSoFar | None:
    """How far the ledger of a run is; None: nobody has told, or nobody can be asked."""
    try:
        told: dict[bytes | str, bytes | str] = await cast(
            "Awaitable[dict[bytes | str, bytes | str]]", redis.hgetall(_key(run_id))
        )
    except RedisError:
        return None
    named = {_text(name): int(value) for name, value in told.items()}
    return WrittenSoFar(named["done"], named.get("people")) if "done" in named else None


def _text(name: bytes | str) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _key(run_id: uuid.UUID) -> str:
    return f"expansion:{run_id}"
