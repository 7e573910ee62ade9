"""Is the process up, and could it work: for load balancers and `tocsin up`, without a key."""

from aiohttp import web
from redis.exceptions import RedisError

from service.api import store
from service.runtime import Runtime
from service.storage.migrate import migrations
from service.storage.postgres import UNREACHABLE
from service.web import RUNTIME


async def healthz(_: web.Request) -> web.Response:
    """The process is up."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """PostgreSQL and Redis answer, and the database is as this program needs it."""
    runtime = request.config_dict[RUNTIME]
    checks = {"postgresql": _postgresql, "redis": _redis}
    found = {name: await check(runtime) for name, check in checks.items()}
    ready = all(answer == "ok" for answer in found.values())
    body = {"status": "ok" if ready else "unavailable", "checks": found}
    return web.json_response(body, status=200 if ready else 503)


async def _postgresql(runtime: Runtime) -> str:
    try:
        async with runtime.pool.acquire(timeout=5) as conn:
            applied = await store.applied_migrations(conn)
    except UNREACHABLE:
        return "unreachable"
    missing = [m.name for m in migrations() if m.name not in applied]
    return f"migrations are missing: {', '.join(missing)}" if missing else "ok"


async def _redis(runtime: Runtime) -> str:
    try:
        await runtime.redis.ping()
    except (RedisError, OSError):
        return "unreachable"
    return "ok"
