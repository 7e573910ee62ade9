"""Is the process up, and could it work: for load balancers and `tocsin up`, without a key.

/readyz tells `ok`, `degraded` and `unavailable` apart. Degraded, the API answers as ever, but what
it is asked for is not done: no scheduler is at work, the clock of a channel process is so wrong
that it hands off nothing, or commits wait for a synchronous standby that is not there. It stays in
the load balancer's list then.
"""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from aiohttp import web
from redis.exceptions import AuthenticationError, RedisError, ResponseError

from service.api.system.standing_store import longest_commit_wait
from service.dispatch.handoff.sweep_store import last_turns
from service.liveness.offset import ClockState
from service.liveness.process_store import SeenProcess, seen_processes
from service.runtime import Runtime
from service.servers import POSTGRESQL_MAJOR, outdated_redis
from service.storage.migrate import applied_migrations, find_misfit
from service.storage.postgres import (
    UNREACHABLE,
    Connection,
    NoRight,
    Pool,
    TooManyConnections,
    WrongPassword,
)
from service.storage.roles import find_excess
from service.web import ENTRY, RUNTIME

ACT_SECONDS = 30.0
"""A scheduler that works ends each of its acts at least so often."""

ANSWER_SECONDS = 4.0
"""How long each server may take to take a connection, and to answer: both are asked at once."""

COMMIT_SECONDS = 3.0
"""A synchronous standby that is there answers a commit much sooner."""

ACTS = ("fire", "recover", "sweep")
"""The acts of the scheduler without which nothing goes on."""


async def healthz(_: web.Request) -> web.Response:
    """The process is up."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """PostgreSQL and Redis answer, the database is as this program needs it, and it is swept."""
    runtime = request.config_dict[RUNTIME]
    database, redis = await asyncio.gather(_postgresql(request.config_dict[ENTRY]), _redis(runtime))
    if not database.postgresql == redis == "ok":
        status = "unavailable"
    else:
        stands = database.stands or database.commits != "ok"
        status = "degraded" if database.scheduler != "ok" or stands else "ok"
    checks = {
        "postgresql": database.postgresql,
        "redis": redis,
        "scheduler": database.scheduler,
        "role": database.role,
        "clock": database.clock,
        "commits": database.commits,
    }
    body = {"status": status, "checks": checks}
    return web.json_response(body, status=503 if status == "unavailable" else 200)


class _Seen(NamedTuple):
    """What there is to say of the database, of the scheduler, whose turns are noted there, of the
    service's role, which must not be able to change the audit trail, of the processes' clocks, and
    of what waits for a standby. stands: whether a channel process hands off nothing because of its
    clock.
    """

    postgresql: str
    scheduler: str = "unknown"
    role: str = "unknown"
    clock: str = "unknown"
    stands: bool = False
    commits: str = "unknown"


async def _postgresql(pool: Pool) -> _Seen:
    try:
        async with pool.acquire(timeout=ANSWER_SECONDS, seconds=ANSWER_SECONDS) as conn:
            if why := await _unfit(conn):
                return _Seen(why)
            turns = await last_turns(conn)
            role = await find_excess(conn) or "ok"
            scheduler = _scheduler({act: ago for act, (ago, _) in turns.items()})
            clocks = await seen_processes(conn, ACT_SECONDS)
            commits = _commits(await longest_commit_wait(conn))
            return _Seen("ok", scheduler, role, *_clocks(clocks), commits)
    except WrongPassword:
        why = "refuses the user or password of TOCSIN_DATABASE_URL"
    except NoRight:
        why = "the user of TOCSIN_DATABASE_URL may not use the tables: run tocsin migrate"
    except TooManyConnections:
        why = "no connection is free: raise max_connections or lower TOCSIN_POOL_SIZE"
    except UNREACHABLE:
        why = "unreachable"
    return _Seen(why)


async def _unfit(conn: Connection) -> str:
    """Why the database is not as this program needs it; empty: it is."""
    if (major := conn.get_server_version().major) < POSTGRESQL_MAJOR:
        return f"version {major} found, {POSTGRESQL_MAJOR} needed"
    return find_misfit(await applied_migrations(conn))


def _scheduler(ago: dict[str, float]) -> str:
    """Whether the acts that everything hangs on have ended lately; else which has not."""
    if not any(act in ago for act in ACTS):
        return "none has been at work yet"
    late = [act for act in ACTS if ago.get(act, ACT_SECONDS) >= ACT_SECONDS]
    if not late:
        return "ok"
    seconds = max(ago.get(act, ACT_SECONDS) for act in late)
    return f"late for {seconds:.0f} s: {', '.join(late)}"


def _clocks(processes: Sequence[SeenProcess]) -> tuple[str, bool]:
    """Whether the processes' clocks are PostgreSQL's, else which is not; and whether a channel
    process hands off nothing because of that.
    """
    wrong = [seen for seen in processes if seen.clock is not ClockState.FITS]
    if not wrong:
        return "ok", False
    stands = any(s.clock is ClockState.UNFIT and "channel" in s.process.kind for s in wrong)
    said = [f"{seen.process.kind}: {seen.ahead or 0:+.1f} s" for seen in wrong]
    return f"not PostgreSQL's, set it by NTP: {', '.join(said)}", stands


def _commits(waited: float) -> str:
    """Whether commits are answered; else for how long one has waited."""
    if waited < COMMIT_SECONDS:
        return "ok"
    return f"wait for a synchronous standby, {waited:.0f} s so far: start one"


async def _redis(runtime: Runtime) -> str:
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            outdated = outdated_redis(await runtime.redis.info("server"))
    except ResponseError:  # it answers, and lets nobody ask for its version
        return "ok"
    except AuthenticationError:
        return "refuses the password of TOCSIN_REDIS_URL"
    except (RedisError, OSError):
        return "unreachable"
    return "version {} found, {} needed".format(*outdated) if outdated else "ok"
