"""A whole county on one clock that jumps: three simulated carriers, the workers, the scheduler.

Carriers speak over TCP, workers take their jobs from the queue; only the scheduler's regular acts
are called by hand, at the instants to which a test moves the clock. So months pass in seconds, and
nothing depends on how fast the machine is.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from service.campaigns.runs.firing import fire_due
from service.local.embedded import free_port
from service.queue import Job
from service.runtime import Runtime
from service.simulator.carrier.config import (
    Account,
    Faults,
    ListenerConfig,
    Profile,
    SimulatorConfig,
)
from service.simulator.carrier.replies import Replies, Reply, originate
from service.simulator.run import Simulator, running
from tests.harness.clocks import MovedClock
from tests.harness.waiting import until
from workers import channel, delivery, expand, scheduler
from workers.context import WorkerKind, make_worker
from workers.supervise import supervise

SECRET = "1qaz2wsx"
CARRIER_OF = {"cmpp": "china_mobile", "sgip": "china_unicom", "smgp": "china_telecom"}
"""Each carrier's protocol, and whose numbers go over it."""
ACCOUNTS = {"cmpp": "901234", "sgip": "county", "smgp": "30551234"}
ACCESS = {"cmpp": "1065720001234", "sgip": "10655123", "smgp": "106590001234"}
CALM = Faults(duplicate_receipts=0, early_receipts=0, unknown_receipts=0)


class Taken(NamedTuple):
    """A part that a carrier has taken; digest: equal for equal words."""

    at: datetime
    channel: str
    phone: str
    digest: str


@dataclass
class Carrier:
    """One simulated carrier: where it listens, where it reports to, and what it wrote down."""

    protocol: str
    listener: int
    journal: Path
    simulator: Simulator

    def channel(self) -> dict[str, Any]:
        """A channel to it, as the API takes one."""
        port = self.simulator.ports[self.protocol]
        config: dict[str, Any] = {"host": "127.0.0.1", "port": port}
        if self.protocol == "sgip":
            config |= {
                "login_name": ACCOUNTS["sgip"],
                "login_password": SECRET,
                "node_number": 3_055_112_345,
                "corp_id": "12345",
                "listen_host": "127.0.0.1",
                "listen_port": self.listener,
            }
        else:
            config |= {"account": ACCOUNTS[self.protocol], "secret": SECRET}
        return {
            "name": self.protocol,
            "kind": self.protocol,
            "simulated": True,
            "carriers": [CARRIER_OF[self.protocol]],
            "config": config | {"access_number": ACCESS[self.protocol]},
        }

    def reply(self, phone: str, text: str) -> None:
        """Somebody writes back."""
        reply = Reply(phone=phone, to=ACCESS[self.protocol], text=text)
        originate(self.simulator.smsc, Replies(messages=(reply,)))

    def written(self) -> list[dict[str, Any]]:
        """All that it accepted, part by part, and acknowledged."""
        return [json.loads(line) for line in self.journal.read_text().splitlines()]

    def owes(self) -> int:
        """How many receipts are still to be stored by us."""
        entries = self.written()
        due = {e["id"] for e in entries if e["event"] == "submit" and e["due"] is not None}
        return len(due - {e["id"] for e in entries if e["event"] == "ack"})


@dataclass
class County:
    """What is at work."""

    runtime: Runtime
    clock: MovedClock
    carriers: dict[str, Carrier]

    async def act(self, *acts: Any) -> None:
        """Let the scheduler have turns of these acts, one after the other."""
        for act in acts:
            await act({"runtime": self.runtime})

    async def tick(self) -> int:
        """Two schedulers look for what is due at once; says how many runs they have made."""
        pool, now = self.runtime.pool, self.clock.now()
        found = await asyncio.gather(fire_due(pool, now), fire_due(pool, now))
        runs = [run for some in found for run in some]
        for run in runs:
            await self.runtime.queue.enqueue(Job.EXPAND_RUN, run)
        return len(runs)

    async def drain(self, seconds: float = 60.0) -> None:
        """Wait until all that may leave now has left, and all receipts that come are folded."""

        async def quiet() -> bool:
            if await self._is_quiet():
                return True
            await self.act(scheduler.sweep)
            return False

        await until(quiet, seconds, "all has left")
        await self.act(scheduler.guard, scheduler.fire, scheduler.stop, scheduler.guard)

    async def _is_quiet(self) -> bool:
        waits = await self.runtime.pool.fetchval(
            """
            SELECT EXISTS (SELECT FROM runs WHERE state = 'expanding')
                OR EXISTS (SELECT FROM slices s JOIN runs r ON r.id = s.run_id
                           WHERE s.done_at IS NULL AND r.state <> 'paused'
                             AND (s.not_before IS NULL OR s.not_before <= $1))
                OR EXISTS (SELECT FROM messages WHERE state = 'submitting')
                OR EXISTS (SELECT FROM receipt_inbox)
            """,
            self.clock.now(),
        )
        return not waits and not any(carrier.owes() for carrier in self.carriers.values())

    def taken(self) -> list[Taken]:
        """All parts that the carriers have taken, in the order of their instants."""
        return sorted(
            Taken(self.clock.at(e["at"]), name, e["phone"], e["digest"])
            for name, carrier in self.carriers.items()
            for e in carrier.written()
            if e["event"] == "submit"
        )


def _settings(protocol: str, listener: int, journal: Path, profile: Profile) -> SimulatorConfig:
    secret = SecretStr(SECRET)
    door = ListenerConfig(port=listener, login=ACCOUNTS["sgip"], password=secret)
    account = Account(
        account=ACCOUNTS[protocol],
        secret=secret,
        listener=door if protocol == "sgip" else None,
    )
    ports: dict[str, Any] = {"cmpp_port": None, f"{protocol}_port": 0}
    return SimulatorConfig(
        accounts=(account,),
        journal=journal,
        lane=CARRIER_OF[protocol],
        profile=profile,
        max_delay_seconds=0.02,
        faults=CALM,
        **ports,
    )


KINDS: Iterable[WorkerKind] = (channel.KIND, delivery.KIND, expand.KIND)


@asynccontextmanager
async def at_work(
    runtime: Runtime, clock: MovedClock, folder: Path, profile: Profile
) -> AsyncIterator[County]:
    """Three carriers and the workers for as long as the block runs."""
    async with AsyncExitStack() as stack:
        carriers = {}
        for protocol in CARRIER_OF:
            listener, journal = free_port(), folder / f"{protocol}.journal"
            started = running(_settings(protocol, listener, journal, profile))
            simulator = await stack.enter_async_context(started)
            carriers[protocol] = Carrier(protocol, listener, journal, simulator)
        await stack.enter_async_context(working(runtime))
        yield County(runtime, clock, carriers)


@asynccontextmanager
async def working(runtime: Runtime) -> AsyncIterator[None]:
    """The workers, for as long as the block runs."""
    stop = asyncio.Event()
    async with channel.serving(runtime, stop) as extra:
        workers = [
            asyncio.create_task(
                supervise(partial(make_worker, runtime, kind, extra), stop, runtime.queue.note_loss)
            )
            for kind in KINDS
        ]
        try:
            yield
        finally:
            stop.set()
            await asyncio.gather(*workers)
