"""How PostgreSQL's primary is lost, and what a county does where something is missing then."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial

from tests.chaos.faults import SILENCES, silence
from tests.chaos.system import Breach, Campaign, until
from tests.failover.cluster import NAMES, Cluster, Node
from tests.failover.system import FailoverSystem
from tests.harness.ha_files import send

LAG = {"maximum_lag_on_failover": 64 * 2**20}
"""So that a standby takes over that lacks what was written within a second."""


@dataclass(frozen=True, slots=True)
class Struck:
    """When the primary was lost, when another one was there, and from when on commits were lost
    with it, in seconds since the epoch; 0: none were.
    """

    at: float
    over: float
    lost_from: float = 0.0


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
    "commits lost": Strike(lose_commits, loses=True),
    "killed, Redis emptied": Strike(kill_and_empty_redis, loses=True),
}

SILENT_STRIKES = {kind: Strike(partial(fall_silent, kind)) for kind in SILENCES}
"""These need wires between HAProxy and the nodes: a system of their own."""
