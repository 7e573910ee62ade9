"""Submits a second between a gateway and the simulated carrier, each in a process of its own.

Run as `python -m benchmarks.wire [SUBMITS]`. The carrier keeps its journal; receipts flow and are
acknowledged at the same time. The last columns are what both processors did for one message,
its receipt included.
"""

import argparse
import asyncio
import multiprocessing
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop
from pydantic import SecretStr

from benchmarks.process import processor_seconds
from service.channels.contract.gateway import Delivery, Submission, SubmitResult
from service.channels.contract.outcome import Outcome
from service.channels.contract.registry import factory, load
from service.clock import Clock
from service.protocols.stream import StreamGateway
from service.simulator.carrier.config import Account, SimulatorConfig
from service.simulator.run import running
from tests.harness.links import BEATING, account_of
from tests.harness.simulated import ACCOUNT, SECRET

WINDOWS = (16, 64, 256)
SUBMITS = 60_000
QUIET_SECONDS = 1.0
"""After so long without a receipt no more will come: the carrier delays none by as much."""
TEXT = "【旌德公安】凡是要求转账到安全账户的都是诈骗，请立即挂断并拨打96110核实。"


def carrier(pipe: Connection, journal: Path) -> None:
    """Run the simulated carrier until killed; tell its ports."""

    async def run() -> None:
        account = Account(account=ACCOUNT, secret=SecretStr(SECRET))
        values = {
            "accounts": (account,),
            "max_delay_seconds": QUIET_SECONDS / 2,
            "journal": journal,
            **{f"{kind}_port": 0 for kind in BEATING},
        }
        config = SimulatorConfig.model_validate(values)
        async with running(config) as simulator:
            pipe.send(dict(simulator.ports))
            await asyncio.Event().wait()

    uvloop.run(run())


@dataclass
class Measured:
    """What one window did. micros: of the gateway's and of the carrier's processor a message."""

    seconds: float
    receipts: int
    micros: tuple[float, float]


async def pump(gateway: StreamGateway[Any], window: int, first: int, submits: int) -> None:
    """Keep the window full until everything is answered."""
    (part,) = gateway.split(TEXT)
    room = asyncio.Event()
    in_flight = sent = 0

    def answered(future: "asyncio.Future[SubmitResult]") -> None:
        nonlocal in_flight
        in_flight -= 1
        if future.result().outcome in {Outcome.UNANSWERED, Outcome.NOT_SENT}:
            raise SystemExit("the carrier went away")
        room.set()

    while sent < submits or in_flight:
        free = min(window - in_flight, submits - sent)
        numbers = range(first + sent, first + sent + free)
        batch = [Submission((f"+861979{number:07d}",), part, 0) for number in numbers]
        sent, in_flight = sent + free, in_flight + free
        for future in gateway.submit(batch):
            future.add_done_callback(answered)
        room.clear()
        await room.wait()


async def measure(kind: str, port: int, pid: int, window: int, submits: int) -> Measured:
    """Submit over one protocol with one window, and wait for the receipts."""
    receipts, last = 0, time.perf_counter()
    stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    stored.set_result(None)

    def deliver(_: Delivery) -> "asyncio.Future[None]":
        nonlocal receipts, last
        receipts, last = receipts + 1, time.perf_counter()
        return stored

    settings = account_of(kind, host="127.0.0.1", port=port)
    config = load()[kind].config_model.model_validate(settings)
    gateway = factory(kind)(config, deliver, Clock())
    assert isinstance(gateway, StreamGateway)
    await gateway.open()
    used, theirs = time.process_time(), processor_seconds(pid)
    started = time.perf_counter()
    await pump(gateway, window, WINDOWS.index(window) * submits, submits)
    seconds = time.perf_counter() - started
    while time.perf_counter() - max(last, started + seconds) < QUIET_SECONDS:
        await asyncio.sleep(QUIET_SECONDS / 10)
    micros = time.process_time() - used, processor_seconds(pid) - theirs
    await gateway.close(drain_seconds=1)
    return Measured(seconds, receipts, (micros[0] / submits * 1e6, micros[1] / submits * 1e6))


def main() -> None:
    """Measure every protocol and window and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("submits", type=int, nargs="?", default=SUBMITS)
    submits = parser.parse_args().submits
    ours, theirs = multiprocessing.Pipe()
    with tempfile.TemporaryDirectory(prefix="tocsin-bench-") as folder:
        process = multiprocessing.get_context("spawn").Process(
            target=carrier, args=(theirs, Path(folder) / "journal")
        )
        process.start()
        assert process.pid
        try:
            ports = ours.recv()
            heads = f"{'submits/s':>10} {'receipts':>9} {'gateway µs':>11} {'carrier µs':>11}"
            print(f"{'':>6} {'window':>6} {heads}")
            for kind in BEATING:
                for window in WINDOWS:
                    run = measure(kind, ports[kind], process.pid, window, submits)
                    found = uvloop.run(run)
                    gateway, carried = found.micros
                    rate = submits / found.seconds
                    figures = f"{rate:>10,.0f} {found.receipts:>9,} {gateway:>11.1f}"
                    print(f"{kind:>6} {window:>6} {figures} {carried:>11.1f}")
        finally:
            process.kill()
            process.join()


if __name__ == "__main__":
    main()
