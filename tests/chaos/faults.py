"""What is done to a running system: each fault by its name, and when in a broadcast it strikes."""

import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.chaos.other_carriers import OTHER_PROTOCOLS
from tests.chaos.system import System
from tests.chaos.wires import BACK, POSTGRESQL, PROTOCOLS, REDIS, WiredSystem, Wires
from tests.harness.pauses import delay
from tests.harness.silent import Direction, SilentProxy

STOPPED_SECONDS = 10.0
WAITING_SECONDS = 4.0
SILENT_SECONDS = 20.0
"""Longer than any time limit of ours and than a lease, so that all that waits has ended by then."""
SWALLOW_SHARE, SWALLOW_SECONDS = 0.02, 3.0

PLANNED, EXPANDING, MIDWAY = -1.0, 0.0, 0.3
"""Before the approval; as soon as the run is there; after this share of the hand-offs."""

Strike = Callable[[System], Awaitable[float]]
"""Does the harm; returns when it was over, in seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row of the matrix. moments: when it strikes, each time anew."""

    name: str
    strike: Strike
    moments: Sequence[float] = (MIDWAY,)


async def _kill(name: str, system: System) -> float:
    system.signal(name, signal.SIGKILL)
    return time.time()


async def _restart(name: str, sign: signal.Signals, system: System) -> float:
    system.signal(name, sign)
    return time.time()


async def _stop(name: str, system: System) -> float:
    """Freeze a process with all its children, and let it go on."""
    system.signal(name, signal.SIGSTOP)
    try:
        await delay(STOPPED_SECONDS)
    finally:
        system.signal(name, signal.SIGCONT)
    return time.time()


async def _kill_what_waits(system: System) -> float:
    """Freeze PostgreSQL, and kill the channel processes that hold what they cannot store."""
    system.signal("postgres", signal.SIGSTOP)
    try:
        await delay(WAITING_SECONDS)
        for name in ("channel-0", "channel-1"):
            system.signal(name, signal.SIGKILL)
    finally:
        system.signal("postgres", signal.SIGCONT)
    return time.time()


async def _flush(system: System) -> float:
    await system.flush_redis()
    return time.time()


async def _disconnect(system: System) -> float:
    await system.carrier("POST", "/disconnect", {})
    return time.time()


async def _swallow(system: System) -> float:
    await system.carrier("PATCH", "/faults", {"swallow_responses": SWALLOW_SHARE})
    try:
        await delay(SWALLOW_SECONDS)
    finally:
        await system.carrier("DELETE", "/faults")
    return time.time()


SILENCES = {
    f"silent for {SILENT_SECONDS:.0f} s": (Direction.BOTH, SILENT_SECONDS, False),
    "silent for ever": (Direction.BOTH, 0.0, True),
    "silent in its answers": (Direction.TO_CLIENT, 0.0, True),
}
"""For a while; for those who are connected for ever; the same, only in its answers."""


async def silence(wires: Wires, names: Sequence[str], kind: str) -> float:
    """Let servers fall silent without closing a connection; then they answer again, or only those
    who connect anew. kind: of SILENCES. Returns when it was over.
    """
    direction, seconds, for_ever = SILENCES[kind]
    wires.act(names, lambda proxy: proxy.fall_silent(direction))
    try:
        await delay(seconds)
    finally:
        again = SilentProxy.forward_new if for_ever else SilentProxy.forward
        wires.act(names, again)
    return time.time()


async def _silence(names: Sequence[str], kind: str, system: System) -> float:
    assert isinstance(system, WiredSystem)
    return await silence(system.wires, names, kind)


def _silent(name: str, *wires: str) -> list[Fault]:
    return [Fault(f"{name}, {kind}", partial(_silence, wires, kind)) for kind in SILENCES]


def _both(name: str, process: str, moments: Sequence[float] = (MIDWAY,)) -> list[Fault]:
    return [
        Fault(f"{name}, kill -9", partial(_kill, process), moments),
        Fault(f"{name}, {STOPPED_SECONDS:.0f} s SIGSTOP", partial(_stop, process), moments),
    ]


FAULTS = [
    *_both("API", "api", (PLANNED, MIDWAY)),
    *_both("scheduler", "scheduler", (PLANNED, MIDWAY)),
    *_both("expand, delivery", "work", (EXPANDING, MIDWAY)),
    *_both("channel", "channel-0"),
    Fault("both channels, kill -9 when PostgreSQL stands", _kill_what_waits),
    Fault("PostgreSQL, restart", partial(_restart, "postgres", signal.SIGINT)),
    *_both("PostgreSQL", "postgres"),
    Fault("Valkey, restart", partial(_restart, "valkey", signal.SIGTERM)),
    *_both("Valkey", "valkey"),
    Fault("Valkey, FLUSHALL", _flush),
    Fault("carrier, disconnect", _disconnect),
    Fault("carrier, swallows answers", _swallow),
    Fault("carrier, restart", partial(_restart, "simulator", signal.SIGTERM)),
    *_both("carrier", "simulator"),
]

SILENT_FAULTS = [
    *_silent("PostgreSQL", POSTGRESQL),
    *_silent("Redis", REDIS),
    *(
        fault
        for protocol in PROTOCOLS
        for fault in _silent(
            f"carrier, {protocol}", protocol, *([BACK] if protocol == "sgip" else [])
        )
    ),
]
"""Peers that fall silent, and say nothing of it. These need proxies: a system of their own."""

OTHER_SILENT_FAULTS = [
    fault for protocol in OTHER_PROTOCOLS for fault in _silent(f"carrier, {protocol}", protocol)
]
"""The same of carriers that speak other protocols: once more a system of their own."""
