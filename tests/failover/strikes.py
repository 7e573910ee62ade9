"""How PostgreSQL's primary is lost, and what a county does where something is missing then."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from uuid import uuid4

from aiohttp import ClientSession, ClientTimeout

from tests.chaos.faults import SILENCES, silence
from tests.chaos.system import Breach, Campaign, until
from tests.failover.cluster import NAMES, Cluster, Node
from tests.failover.system import FailoverSystem
from tests.harness.ha_files import send
from tests.harness.live import EVERYBODY

LAG = {"maximum_lag_on_failover": 64 * 2**20}
"""So that a standby takes over that lacks what was written within a second."""


@dataclass(frozen=True, slots=True)
class Struck:
    """When the primary was lost, when another one was there, and from when on commits were lost
    with it, in seconds since the epoch; 0: none were. back: when the standbys were, without which
    nothing may leave; 0: sending was to go on by itself. said: what the row says beside figures.
    """

    at: float
    over: float
    lost_from: float = 0.0
    back: float = 0.0
    said: str = ""


@dataclass(frozen=True, slots=True)
class Strike:
    """How it falls. loses: whether something is missing then, or nobody knows."""

    fall: Callable[[FailoverSystem, Campaign], Awaitable[Struck]]
    loses: bool = False


async def _taken_over(cluster: Cluster, old: Node, at: float) -> Struck:
    await cluster.another_than(old)
    return Struck(at, time.time())


async def kill(system: FailoverSystem, _: Campaign) -> Struck:
    """kill -9 of the primary's machine; it is started again once another node has taken over."""
    old = system.cluster.leader()
    old.kill()
    at = time.time()  # what was done until then may be lost with it
    try:
        return await _taken_over(system.cluster, old, at)
    finally:
        old.start()


async def freeze(system: FailoverSystem, _: Campaign) -> Struck:
    """SIGSTOP of the primary's machine: its connections stay open and say nothing. It thaws once
    another node has taken over, and takes itself for the primary at first.
    """
    old, at = system.cluster.leader(), time.time()
    frozen = old.pids()
    send(signal.SIGSTOP, frozen)
    try:
        return await _taken_over(system.cluster, old, at)
    finally:
        send(signal.SIGCONT, frozen)


async def switch(system: FailoverSystem, _: Campaign) -> Struck:
    """A planned switchover, as `patronictl switchover` asks for it."""
    old, at = system.cluster.leader(), time.time()
    asked = asyncio.to_thread(old.ask, "/switchover", {"leader": old.name}, "POST", seconds=60)
    answer, struck = await asyncio.gather(asked, _taken_over(system.cluster, old, at))
    if answer is None:
        raise Breach("Patroni refuses a switchover")
    return struck


async def freeze_standby(system: FailoverSystem, _: Campaign) -> Struck:
    """SIGSTOP of the synchronous standby's machine, which commits wait for, until the other one is
    the synchronous one.
    """
    cluster = system.cluster
    old, at = cluster.synchronous(), time.time()
    frozen = old.pids()
    send(signal.SIGSTOP, frozen)

    def is_another() -> bool:
        roles = {one["name"]: one["role"] for one in cluster.members()}
        return "sync_standby" in {role for name, role in roles.items() if name != old.name}

    try:
        await until(lambda: asyncio.to_thread(is_another), 60, "another synchronous standby")
        return Struck(at, time.time())
    finally:
        send(signal.SIGCONT, frozen)


async def lose_standbys(system: FailoverSystem, campaign: Campaign) -> Struck:
    """kill -9 of both standbys' machines, where the primary takes no commit without one. /readyz
    says so, nothing leaves until they are started again, and nobody has to do anything then.
    """
    cluster = system.cluster
    await cluster.change(synchronous_mode_strict=True)
    await cluster.whole()
    primary = cluster.leader()
    standbys = [node for node in cluster.nodes if node is not primary]
    at = time.time()
    for node in standbys:
        node.kill()
    try:
        said = await until(partial(commits_wait, system), 30, "/readyz is degraded")
        left = len(system.book.of(campaign.text))

        def both_gone() -> bool:
            return [one["role"] for one in cluster.members()] == ["leader"]

        await until(lambda: asyncio.to_thread(both_gone), 60, "both standbys are missed")
        again = await until(partial(commits_wait, system), 30, "/readyz is degraded still")
        told = await reads_alone(system)
        if more := len(system.book.of(campaign.text)) - left:
            raise Breach(f"{more} texts left without a standby")
    finally:
        for node in standbys:
            node.start()
    back = time.time()
    await cluster.whole()
    await cluster.change(synchronous_mode_strict=False)
    return Struck(at, time.time(), back=back, said=f"{said}; {again}; {told}")


async def commits_wait(system: FailoverSystem) -> str | None:
    """What /readyz says of commits, once it is degraded by them."""
    async with (
        ClientSession(timeout=ClientTimeout(10)) as session,
        session.get(f"{system.live.summary['urls'][0]}/readyz") as answer,
    ):
        told = await answer.json()
    said: str = told["checks"]["commits"]
    return said if told["status"] == "degraded" and said != "ok" else None


async def reads_alone(system: FailoverSystem) -> str:
    """What the API answers somebody who reads, and somebody who changes something; in words."""
    url, key = system.live.summary["urls"][0], system.live.summary["keys"]["operator"]
    segment = {"name": f"without-a-standby-{time.time()}", "rule": EVERYBODY}
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": str(uuid4())}
    async with ClientSession(f"{url}/api/v1/", timeout=ClientTimeout(60)) as session:
        async with session.get("campaigns", headers=headers) as answer:
            read = answer.status
        began = time.time()
        async with session.post("segments", headers=headers, json=segment) as answer:
            changed, why = answer.status, (await answer.json()).get("detail")
    if (read, changed) != (200, 503):
        raise Breach(f"GET {read}, POST {changed}: {why}")
    return f"GET {read}, POST {changed} after {time.time() - began:.0f} s: {why}"


async def kill_etcd(system: FailoverSystem, _: Campaign) -> Struck:
    """kill -9 of one etcd, which is started again."""
    etcd, at = system.cluster.etcds[0], time.time()
    etcd.kill()
    etcd.start()
    return Struck(at, time.time())


async def lose_commits(system: FailoverSystem, campaign: Campaign) -> Struck:
    """The standbys get nothing for a second in which texts leave; then the primary's machine is
    killed. Commits are asynchronous meanwhile, as with both standbys gone.
    """
    cluster = system.cluster
    await cluster.change(synchronous_mode=False, **LAG)
    await cluster.whole("replica")
    old = cluster.leader()
    send(signal.SIGSTOP, old.walsenders())
    lost_from = time.time()
    before = len(system.book.of(campaign.text))
    a_second = system.tps * 3
    await until(
        lambda: len(system.book.of(campaign.text)) >= before + a_second, 30, "a second's texts"
    )
    struck = await kill(system, campaign)
    await cluster.change(synchronous_mode=True)
    return replace(struck, lost_from=lost_from)


async def kill_and_empty_redis(system: FailoverSystem, campaign: Campaign) -> Struck:
    """kill -9 of the primary's machine, and FLUSHALL at the same moment."""
    struck, _ = await asyncio.gather(kill(system, campaign), system.flush_redis())
    return struck


async def fall_silent(kind: str, system: FailoverSystem, _: Campaign) -> Struck:
    """The way from HAProxy to all nodes says nothing more, and no connection breaks."""
    assert system.doors.wires is not None
    at = time.time()
    return Struck(at, await silence(system.doors.wires, NAMES, kind))


STRIKES = {
    "primary killed": Strike(kill),
    "primary frozen, then thawed": Strike(freeze),
    "switchover": Strike(switch),
    "synchronous standby frozen": Strike(freeze_standby),
    "an etcd killed": Strike(kill_etcd),
    "both standbys killed, strict": Strike(lose_standbys),
    "commits lost": Strike(lose_commits, loses=True),
    "killed, Redis emptied": Strike(kill_and_empty_redis, loses=True),
}

SILENT_STRIKES = {kind: Strike(partial(fall_silent, kind)) for kind in SILENCES}
"""These need wires between HAProxy and the nodes: a system of their own."""
