"""Pace: no channel writes more than its TPS in any second, over all processes (invariant I5).

A generic cell rate algorithm in Redis on the server's clock, over several keys at once (channel,
campaign), with partial grants and the cost in parts. What is written in a second was granted in
that second and MAX_AGE more, which is at most rate · (1 + MAX_AGE) + burst: so the rate is what the
burst leaves of the TPS, and the writer's own count stays within it. A burst of TPS/50 is what a
writer that wakes late can make good. A key that is missing (first use, or Redis was emptied), or
that lies in a far future because the server's clock jumped back, starts with nothing to grant, so
that losing it never lets a burst through. Redis unreachable means nothing is granted.

What stands in Redis is believed as far as the script itself could have written it; anything else is
as if it were missing, and said (decision 0242). Each process also counts what it was granted by
itself, so that no answer of Redis lets it write faster than the TPS.

Where the carrier says "too fast", the whole account stops for a moment and then goes on at four
fifths of its pace, which climbs back by a fiftieth of the full one each clean five seconds.
"""

import logging
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.campaigns.stops import witness
from service.campaigns.stops.witness import Outdated, Telling
from service.errors import Unavailable
from service.logs import seldom
from service.queue import read_script
from service.words.phrase import phrase

log = logging.getLogger(__name__)

ABSURD = "what stands in Redis for the pace was not written by us, and is not used"
TOO_MUCH = "Redis grants more than the pace allows, and no more than that is taken"

MAX_AGE = 0.010
"""Seconds after which an unused token is thrown away, from before it was asked for."""

SLOW_BELOW = 50
"""Below this TPS a fiftieth of it is no whole token: burst 1 and a 2 % longer interval."""

HOLD_MOST_SECONDS = 30
"""No pause is longer; a token due later than that means a clock that jumped back."""

SLOWER = 0.8
SLOWEST = 0.1
CLIMB, CLIMB_SECONDS = 0.02, 5.0
ONE_TROUBLE_SECONDS = 1.0
"""Connections that tell of the same trouble within this time slow the account down once."""

FORGET_SECONDS = 600
"""A key that nobody used for so long is gone; by then any pace has climbed back."""

MOST_LIMITS = 1_000
"""Of so many limits a process counts by itself at once; more are those of runs that have ended."""

_SHARE = read_script(
    __file__,
    "pace_share.lua",
    HOLD_MOST=HOLD_MOST_SECONDS * 1_000_000,
    FORGET_SECONDS=FORGET_SECONDS,
    SLOWER=SLOWER,
    SLOWEST=SLOWEST,
    CLIMB=CLIMB,
    CLIMB_EVERY=round(CLIMB_SECONDS * 1_000_000),
    ONE_TROUBLE=round(ONE_TROUBLE_SECONDS * 1_000_000),
)
_TAKE = _SHARE + witness.TELL + read_script(__file__, "pace_take.lua")
_SLOW = _SHARE + read_script(__file__, "pace_slow.lua")
_EASE = _SHARE + read_script(__file__, "pace_ease.lua")


_NOTHING = "", "", ""
"""What is told where nothing is."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """One key's limit: microseconds between tokens, and how many may come at once."""

    key: str
    interval: float
    burst: int


def lot_size(destinations: int, tps: int | None) -> int:
    """How many recipients a submit may have: as set, but no more than an eighth of a second's."""
    return destinations if tps is None else min(destinations, max(1, tps // 8))


def channel_limit(channel_id: int, tps: int, lot: int = 1) -> RateLimit:
    """The limit of a channel: shared by every connection and process that serves it.

    `lot` is the most recipients in one submit: so many tokens must be able to come at once, and the
    rate gives way for them.
    """
    return _limit(f"tocsin:tokens:channel:{channel_id}", tps, lot)


def run_limit(run_id: object, tps: int) -> RateLimit:
    """The limit that a campaign asks for itself (`max_tps`)."""
    return _limit(f"tocsin:tokens:run:{run_id}", tps, 1)


def _limit(key: str, tps: int, lot: int) -> RateLimit:
    if tps < SLOW_BELOW and lot == 1:
        return RateLimit(key, 1_020_000 / tps, 1)
    burst = max(tps // SLOW_BELOW, lot)
    return RateLimit(key, 1_000_000 * (1 + MAX_AGE) / (tps - burst), burst)


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """`count` tokens to be used before MAX_AGE is over; and the seconds until there are as many
    again as were asked for at least.
    """

    count: int
    wait: float
    asked_at: float

    @property
    def stale(self) -> bool:
        """Whether the tokens are too old to be used."""
        return time.monotonic() - self.asked_at > MAX_AGE


class OwnCount:
    """What this process was granted, by limit: no faster than each limit allows, whoever grants it.

    A grant may come up to MAX_AGE late, so that two may lie closer together here than in Redis.
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}

    def room(self, limit: RateLimit, now: float) -> int:
        """How many tokens may be taken at an instant in seconds."""
        interval = limit.interval / 1_000_000
        ahead = max(0.0, self._due.get(limit.key, now) - now)
        return max(0, math.floor((limit.burst * interval + MAX_AGE - ahead) / interval + 1e-9))

    def add(self, limit: RateLimit, count: int, now: float) -> None:
        """So many were taken."""
        if len(self._due) > MOST_LIMITS:
            self._due = {key: due for key, due in self._due.items() if due > now}
        due = max(now, self._due.get(limit.key, now))
        self._due[limit.key] = due + count * limit.interval / 1_000_000


class Pace:
    """The token buckets."""

    def __init__(self, redis: Redis) -> None:
        self._own = OwnCount()
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._slow = redis.register_script(_SLOW)
        self._ease = redis.register_script(_EASE)

    async def take(self, limits: Sequence[RateLimit], want: int, least: int = 1) -> TokenGrant:
        """Up to `want` tokens, from all the limits at once; fewer than `least` are none, except
        where a limit's burst is smaller.

        Without limits everything is granted, but still only while Redis answers: a channel whose
        bucket cannot be asked must not send.

        Raises:
            Unavailable: Redis does not answer.
        """
        return await self._ask(limits, want, least, None)

    async def take_telling(
        self, told: Telling, limits: Sequence[RateLimit], want: int, least: int = 1
    ) -> TokenGrant:
        """The same, and Redis keeps what the connection has marked.

        Raises:
            Unavailable: Redis does not answer.
            Outdated: the database has lost what was marked, or may have; nothing is granted.
        """
        return await self._ask(limits, want, least, told)

    async def _ask(
        self, limits: Sequence[RateLimit], want: int, least: int, told: Telling | None
    ) -> TokenGrant:
        asked_at = time.monotonic()
        refused: list[bytes]
        try:
            if not limits and told is None:
                await self._redis.ping()
                return TokenGrant(want, 0.0, asked_at)
            arguments: list[float | bytes | str] = [want, least, *(told[1:] if told else _NOTHING)]
            for limit in limits:
                arguments += [limit.interval, limit.burst]
            keys = [told.key if told else "", *(limit.key for limit in limits)]
            answer = await self._take(keys, arguments)
            count, wait, absurd, *refused = answer
            count, wait, absurd = int(count), int(wait), int(absurd)
        except (RedisError, OSError, ValueError, TypeError) as error:
            raise Unavailable(
                phrase("Redis does not answer, so nothing is sent: {error}", error=error)
            ) from error
        if refused:
            raise Outdated("other" if refused[0] == b"other" else "behind", refused[1])
        if absurd:
            seldom(log, logging.WARNING, ABSURD, keys=[limit.key for limit in limits])
        seconds = min(max(0, wait) / 1_000_000, HOLD_MOST_SECONDS + 1.0)
        count = self._within(limits, max(0, min(count, want)), least, asked_at)
        return TokenGrant(count, seconds, asked_at)

    def _within(self, limits: Sequence[RateLimit], count: int, least: int, now: float) -> int:
        """As many of the granted tokens as keep within the limits by this process's own count."""
        room = min((self._own.room(limit, now) for limit in limits), default=count)
        if count > room:
            seldom(log, logging.WARNING, TOO_MUCH, granted=count, taken=room)
            count = room if room >= least else 0
        for limit in limits:
            self._own.add(limit, count, now)
        return count

    async def tell_anew(self, told: Telling) -> None:
        """Put what a connection tells in the place of what somebody else has written to Redis.

        Raises:
            Unavailable: Redis does not answer.
        """
        seldom(log, logging.WARNING, ABSURD, keys=[told.key])
        try:
            await witness.overwrite(self._redis, told)
        except (RedisError, OSError) as error:
            raise Unavailable(phrase("Redis does not answer: {error}", error=error)) from error

    async def slow(self, limit: RateLimit, pause: float) -> float:
        """The carrier said "too fast": nothing for `pause` seconds, then a slower pace.

        Returns the share of the full pace that is left.

        Raises:
            Unavailable: Redis does not answer.
        """
        try:
            return float(await self._slow([limit.key], [pause * 1_000_000]))
        except (RedisError, OSError) as error:
            raise Unavailable(phrase("Redis does not answer: {error}", error=error)) from error

    async def ease(self, limit: RateLimit) -> float:
        """The channel works again: it begins at its slowest pace, which climbs back.

        Returns the share of the full pace to begin with.

        Raises:
            Unavailable: Redis does not answer.
        """
        try:
            return float(await self._ease([limit.key]))
        except (RedisError, OSError) as error:
            raise Unavailable(phrase("Redis does not answer: {error}", error=error)) from error
