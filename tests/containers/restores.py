"""A dump and its restore, and new passwords, each by the commands of docs/operating.md."""

import asyncio
import time

from asyncpg import InvalidPasswordError

from service.storage.postgres import connect
from tests.containers.blows import BACK_SECONDS
from tests.containers.documented import follow
from tests.containers.town import Broadcast, Town
from tests.harness.waiting import until


async def dump(town: Town) -> str:
    """While it sends; the dump is read before it counts as one."""
    kept = town.folder / "elsewhere"
    kept.mkdir()
    await asyncio.to_thread(follow, town, "dump", {"/somewhere/else/": f"{kept}/"})
    size = (town.folder / "tocsin.dump").stat().st_size
    assert (kept / "master_key").read_text() == town.secret("master_key")
    return f"{size / 1e6:.1f} MB"


async def restore(town: Town, broadcast: Broadcast) -> str:
    """Nothing leaves before somebody has decided, and what had left is not sent again."""
    began = time.monotonic()
    await asyncio.to_thread(follow, town, "restore")
    await until(town.ready, BACK_SECONDS, "/readyz is ok", every=0.25)
    seconds = time.monotonic() - began
    left = broadcast.taken()
    assert 0 < left < len(town.people), f"{left} texts had left, so this restore shows nothing"
    async with town.client("operator") as operator:
        assert (await operator.get("/stop-all"))["stopped"], "sending is not stopped"
        state = (await operator.get(f"/campaigns/{broadcast.campaign}"))["state"]
        assert state == "paused", f"the campaign is {state}"
    await everything_turned(town)
    assert broadcast.taken() == left, f"{broadcast.taken() - left} texts left after the restore"
    async with town.client("operator") as operator:
        await operator.post(f"/campaigns/{broadcast.campaign}/cancel", {})
        await operator.post("/stop-all/lift", {"reason": "cancelled what had left in part"})
    return f"on hold after {seconds:.0f} s; nothing left until it was lifted"


async def everything_turned(town: Town) -> None:
    """Until each act of the scheduler has ended twice more: what could send would have sent."""

    async def ended() -> dict[str, object]:
        async with town.database() as conn:
            return {row["act"]: row["ended_at"] for row in await conn.fetch("SELECT * FROM turns")}

    for _ in range(2):
        before = await ended()

        async def all_later(before: dict[str, object] = before) -> bool:
            now = await ended()
            return all(now[act] != before[act] for act in ("fire", "recover", "sweep"))

        await until(all_later, BACK_SECONDS, "the scheduler has gone round", every=0.5)


async def rotate(town: Town) -> str:
    """All three, in the middle of a broadcast; the old ones are refused."""
    old = {name: town.secret(name) for name in ("service_password", "database_password")}
    began = time.monotonic()
    await asyncio.to_thread(follow, town, "passwords")
    await until(town.ready, BACK_SECONDS, "/readyz is ok", every=0.25)
    seconds = time.monotonic() - began
    address = town.compose.address("postgres")
    for name, user in (("service_password", "tocsin_service"), ("database_password", "tocsin")):
        assert town.secret(name) != old[name], f"{name} is what it was"
        try:
            conn = await connect(f"postgresql://{user}:{old[name]}@{address}/tocsin")
        except InvalidPasswordError:
            continue
        await conn.close()
        raise AssertionError(f"{user} is let in with the old password")
    return f"owner, service, Valkey: ready again after {seconds:.0f} s, old ones refused"
