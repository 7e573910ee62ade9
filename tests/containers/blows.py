"""What is done to the containers while a broadcast goes on, and what each must do after it."""

import asyncio
import time

from tests.containers.town import Broadcast, Town
from tests.harness.waiting import until

STOP_SECONDS = 10.0
BACK_SECONDS = 240.0
OWN = ("api", "workers", "channel-mobile", "channel-unicom", "channel-telecom", "channel-others")
ALL = ("postgres", "valkey", *OWN, "simulator")


async def kill(town: Town, broadcast: Broadcast, name: str) -> str:
    """kill -9 from outside; it must come back by itself, healthy."""
    before = broadcast.taken()
    assert before < len(town.people), "the broadcast is over, so this kill shows nothing"
    began = time.monotonic()
    killed = await asyncio.to_thread(town.compose.kill, name)

    def back() -> bool:
        return town.compose.pid(name) not in {0, killed} and town.compose.healthy(name)

    await until(back, BACK_SECONDS, f"{name} is healthy again", every=0.25)
    seconds = time.monotonic() - began
    return f"healthy again after {seconds:.1f} s, at {before} of {len(town.people)}"


async def stop(town: Town, broadcast: Broadcast, name: str) -> str:
    """`docker compose stop`, which must not need its kill; and started again."""
    before = broadcast.taken()
    assert before < len(town.people), "the broadcast is over, so this stop shows nothing"
    began = time.monotonic()
    await asyncio.to_thread(town.compose, "stop", name)
    seconds = time.monotonic() - began
    code = town.compose.container(name)["State"]["ExitCode"]
    await asyncio.to_thread(town.compose, "start", name)
    assert code == 0, f"{name} ended with {code}"
    assert seconds <= STOP_SECONDS, f"{name} took {seconds:.1f} s"
    await until(lambda: town.compose.healthy(name), BACK_SECONDS, f"{name} is healthy", every=0.25)
    return f"{seconds:.1f} s, exit code 0, at {before} of {len(town.people)}"
