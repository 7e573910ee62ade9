"""Pace: no channel writes more than its TPS in any second, over all processes (invariant I5).

A generic cell rate algorithm in Redis on the server's clock, over several keys at once (channel,
campaign), with partial grants and the cost in parts. What is granted in a second is at most
rate + burst, and what is written in a second was granted in that second and MAX_AGE more, so with
burst = TPS/100 and rate = TPS − 2·burst the writer's own count stays within TPS. A key that is
missing (first use, or Redis was emptied), or that lies in a far future because the server's clock
jumped back, starts with nothing to grant, so that losing it never lets a burst through. Redis
unreachable means nothing is granted.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.errors import Unavailable

MAX_AGE = 0.010
"""Seconds after which an unused token is thrown away, from before it was asked for."""

SLOW_BELOW = 50
"""Below this TPS a hundredth of it is no whole token: burst 1 and a 2 % longer interval."""

_TAKE = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local n = tonumber(ARGV[1])
local wait = 0
local tats = {}
for i, key in ipairs(KEYS) do
  local iv = tonumber(ARGV[2 * i])
  local burst = tonumber(ARGV[2 * i + 1])
  local tat = tonumber(redis.call('GET', key)) or (now + burst * iv)
  if tat < now then tat = now end
  local most = burst * iv + 15000000
  if tat > now + most then tat = now + burst * iv end
  tats[i] = tat
  local free = math.floor(burst - (tat - now) / iv)
  if free < 1 then wait = math.max(wait, (tat - now) - (burst - 1) * iv) end
  n = math.min(n, free)
end
if n < 0 then n = 0 end
for i, key in ipairs(KEYS) do
  local tat = tats[i] + n * tonumber(ARGV[2 * i])
  redis.call('SET', key, string.format('%.0f', tat), 'PX', 120000)
end
return {n, wait}
"""

_HOLD = """
local t = redis.call('TIME')
local until_ = t[1] * 1000000 + t[2] + tonumber(ARGV[1])
local tat = tonumber(redis.call('GET', KEYS[1])) or 0
if tat < until_ then redis.call('SET', KEYS[1], string.format('%.0f', until_), 'PX', 120000) end
return 0
"""


@dataclass(frozen=True, slots=True)
class Limit:
    """One key's limit: microseconds between tokens, and how many may come at once."""

    key: str
    interval: float
    burst: int


def channel_limit(channel_id: int, tps: int) -> Limit:
    """The limit of a channel: shared by every connection and process that serves it."""
    return _limit(f"tocsin:pace:channel:{channel_id}", tps)


def run_limit(run_id: object, tps: int) -> Limit:
    """The limit that a campaign asks for itself (`max_tps`)."""
    return _limit(f"tocsin:pace:run:{run_id}", tps)


def _limit(key: str, tps: int) -> Limit:
    if tps < SLOW_BELOW:
        return Limit(key, 1_020_000 / tps, 1)
    burst = max(1, tps // 100)
    return Limit(key, 1_000_000 / (tps - 2 * burst), burst)


@dataclass(frozen=True, slots=True)
class Grant:
    """`count` tokens to be used before MAX_AGE is over, or none and the seconds to wait."""

    count: int
    wait: float
    asked_at: float

    @property
    def stale(self) -> bool:
        """Whether the tokens are too old to be used."""
        return time.monotonic() - self.asked_at > MAX_AGE


class Pace:
    """The token buckets."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._take = redis.register_script(_TAKE)
        self._hold = redis.register_script(_HOLD)

    async def take(self, limits: Sequence[Limit], want: int) -> Grant:
        """Up to `want` tokens, from all the limits at once.

        Without limits everything is granted, but still only while Redis answers: a channel whose
        bucket cannot be asked must not send.

        Raises:
            Unavailable: Redis does not answer.
        """
        asked_at = time.monotonic()
        try:
            if not limits:
                await self._redis.ping()
                return Grant(want, 0.0, asked_at)
            arguments: list[float] = [want]
            for limit in limits:
                arguments += [limit.interval, limit.burst]
            count, wait = await self._take([limit.key for limit in limits], arguments)
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer, so nothing is sent: {error}") from error
        return Grant(int(count), int(wait) / 1_000_000, asked_at)

    async def hold(self, limit: Limit, seconds: float) -> None:
        """Grant nothing on this limit for a while: the carrier said "too fast"."""
        try:
            await self._hold([limit.key], [seconds * 1_000_000])
        except (RedisError, OSError) as error:
            raise Unavailable(f"Redis does not answer: {error}") from error
