"""How many requests a minute: by key (or person), by department, and by address at the login.

A sliding window over two counters of a minute each, the older one by the share of it that still
lies in the window. Both limits of a request are looked at in one script in Redis, so that what one
of them refuses does not count against the other. Whoever asks often, and may, is counted some
requests ahead, so that not each of them asks Redis: that is counted too much for a moment, never
too little. Redis away neither opens the gate nor shuts it: each process counts for itself then, by
the same rule, so that a limit is at most as many times as wide as there are processes.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.accounts.keys.keys import Caller
from service.errors import TooMany
from service.queue import read_script
from service.settings import Settings
from service.words.phrase import phrase
from service.words.terms import term

WINDOW_SECONDS = 60
ANSWER_SECONDS = 0.5
"""Redis has so long to answer; then it is taken to be away, and left alone for a while."""
AWAY_SECONDS = 5.0

AHEAD_SECONDS = 1.0
"""What was counted ahead is used in this time or not at all."""
AHEAD_SHARE = 600
"""No more than one in so many of a limit's requests is counted ahead: a tenth of a second's."""

LOGINS_PER_MINUTE = 120
"""From one address, behind which there may be a whole office; accounts are shut one by one."""

PUBLIC_PER_MINUTE = 30
"""Of what everybody may read, from one address."""

POLICY = "RateLimit-Policy"
STATE = "RateLimit"

MOST_COUNTED = 10_000_000
"""No limit is as high: what stands there above it was not counted by us, and counts for nothing."""

_TAKE = read_script(
    __file__, "limiter.lua", WINDOW_SECONDS=WINDOW_SECONDS, MOST_COUNTED=MOST_COUNTED
)


class TooManyRequests(TooMany):
    """More requests than a limit allows; `seconds` says when the next one may come."""

    code = "too_many_requests"

    def __init__(self, limit: "RequestLimit", seconds: int) -> None:
        super().__init__(
            phrase(
                "more than {most} requests a minute of this {limit}; try again in"
                " {seconds} seconds",
                most=limit.most,
                limit=term(limit.name),
                seconds=seconds,
            ),
            seconds,
        )


@dataclass(frozen=True, slots=True)
class RequestLimit:
    """name: as the headers call it. key: whose. most: requests a minute."""

    name: str
    key: str
    most: int


class _Count(NamedTuple):
    """Requests of the minute before and of the present one, at an instant in seconds."""

    before: int
    current: int
    now: float

    def used(self) -> float:
        return self.before * (1 - self._elapsed()) + self.current

    def wait(self, most: int) -> float:
        """Seconds until one more fits."""
        if self.used() + 1 <= most:
            return 0.0
        to_end = (1 - self._elapsed()) * WINDOW_SECONDS
        if self.current + 1 <= most:  # as the minute before fades
            fades = 1 - (most - self.current - 1) / self.before
            return (fades - self._elapsed()) * WINDOW_SECONDS
        return to_end + (1 - (most - 1) / self.current) * WINDOW_SECONDS

    def _elapsed(self) -> float:
        return self.now % WINDOW_SECONDS / WINDOW_SECONDS


@dataclass(slots=True)
class _CountedAhead:
    """Requests of a caller that are counted and not made yet. size: how many were asked for last.

    counts: before the next of them.
    """

    size: int = 1
    left: int = 0
    until: float = 0.0
    counts: list[_Count] = field(default_factory=list)

    def next_size(self, most: int) -> int:
        """How many to ask for: twice as many as last time, if those were used up in time."""
        self.size = min(most, 2 * self.size) if time.monotonic() < self.until else 1
        return self.size

    def put(self, count: int, counts: Sequence[_Count], asked_at: float) -> None:
        """Keep what was counted beside the request that asked."""
        self.left += count
        self.until = asked_at + AHEAD_SECONDS
        self.counts = [own._replace(current=own.current + 1) for own in counts]

    def take(self) -> list[_Count]:
        """The counts before a request, if it is one that is counted already; else nothing."""
        if not self.left or time.monotonic() >= self.until:
            self.left = 0
            return []
        found = self.counts
        self.left -= 1
        self.counts = [own._replace(current=own.current + 1) for own in found]
        return found


class Limiter:
    """The limits of one process, which share their counts through Redis."""

    def __init__(self, redis: Redis, settings: Settings) -> None:
        self._take = redis.register_script(_TAKE)
        self._settings = settings
        self._away_until = 0.0
        self._own: dict[tuple[str, int], int] = {}
        self._ahead: dict[tuple[RequestLimit, ...], _CountedAhead] = {}

    def limits_of(self, caller: Caller) -> list[RequestLimit]:
        """The limits of a caller: of the key over its rotations, or the person; the department."""
        user, key = caller.user, caller.key
        own = (key.grant.requests_per_minute if key else None) or self._settings.key_requests
        department = caller.department_requests or self._settings.department_requests
        return [
            RequestLimit("key", f"key:{key.first_id}" if key else f"user:{user.id}", own),
            RequestLimit("department", f"department:{user.department_id}", department),
        ]

    async def take(self, limits: Sequence[RequestLimit]) -> dict[str, str]:
        """Count a request; returns the headers that tell of the limits.

        Raises:
            TooManyRequests: one of the limits is reached; nothing is counted.
        """
        room, counts = await self._counted(limits)
        if not room:
            waits = [count.wait(limit.most) for limit, count in zip(limits, counts, strict=True)]
            longest = max(range(len(limits)), key=waits.__getitem__)
            raise TooManyRequests(limits[longest], max(1, int(waits[longest] + 0.999)))
        return _headers(limits, counts)

    async def _counted(self, limits: Sequence[RequestLimit]) -> tuple[bool, list[_Count]]:
        most = min(limit.most for limit in limits) // AHEAD_SHARE
        ahead = self._ahead_of(limits) if most > 1 else _CountedAhead()
        if found := ahead.take():
            return True, found
        asked_at = time.monotonic()
        if asked_at >= self._away_until:
            try:
                answer = await asyncio.wait_for(
                    self._take(
                        keys=[f"requests:{limit.key}" for limit in limits],
                        args=[*(limit.most for limit in limits), ahead.next_size(most)],
                    ),
                    ANSWER_SECONDS,
                )
            except (RedisError, OSError):  # TimeoutError is an OSError
                self._away_until = time.monotonic() + AWAY_SECONDS
            else:
                room, now, *counts = answer
                pairs = zip(counts[::2], counts[1::2], strict=True)
                found = [_Count(before, own, float(now)) for before, own in pairs]
                if room > 0:
                    ahead.put(room - 1, found, asked_at)
                return room > 0, found
        return self._counted_here(limits, time.time())

    def _ahead_of(self, limits: Sequence[RequestLimit]) -> _CountedAhead:
        """What is counted ahead of a caller; callers that have gone quiet are forgotten."""
        key = tuple(limits)
        if key not in self._ahead:
            now = time.monotonic()
            self._ahead = {who: of for who, of in self._ahead.items() if now < of.until}
            self._ahead[key] = _CountedAhead()
        return self._ahead[key]

    def _counted_here(
        self, limits: Sequence[RequestLimit], now: float
    ) -> tuple[bool, list[_Count]]:
        slot = int(now // WINDOW_SECONDS)
        if any(old < slot - 1 for _, old in self._own):
            self._own = {where: n for where, n in self._own.items() if where[1] >= slot - 1}
        counts = [
            _Count(
                self._own.get((limit.key, slot - 1), 0), self._own.get((limit.key, slot), 0), now
            )
            for limit in limits
        ]
        room = all(
            count.used() + 1 <= limit.most for limit, count in zip(limits, counts, strict=True)
        )
        if room:
            for limit in limits:
                self._own[limit.key, slot] = self._own.get((limit.key, slot), 0) + 1
        return room, counts


def _headers(limits: Sequence[RequestLimit], counts: Sequence[_Count]) -> dict[str, str]:
    """The fields of the IETF draft "RateLimit header fields for HTTP", for the tightest limit."""
    left = [int(limit.most - count.used() - 1) for limit, count in zip(limits, counts, strict=True)]
    tightest = min(range(len(limits)), key=left.__getitem__)
    reset = int(WINDOW_SECONDS - counts[tightest].now % WINDOW_SECONDS) + 1
    return {
        POLICY: ", ".join(f'"{limit.name}";q={limit.most};w={WINDOW_SECONDS}' for limit in limits),
        STATE: f'"{limits[tightest].name}";r={max(0, left[tightest])};t={reset}',
    }
