"""Submits a second between a gateway and a simulated carrier, each in a process of its own.

Run: python benchmarks/wire.py [submits]. Receipts flow and are acknowledged at the same time.
"""

import asyncio
import multiprocessing
import sys
import time
from multiprocessing.connection import Connection

import uvloop
from pydantic import SecretStr

from service.channels.gateway import Inbound, Receipt, Submission, SubmitResult
from service.channels.outcome import Outcome
from service.clock import Clock
from service.gateways.cmpp import CMPPConfig, CMPPGateway
from service.simulator.config import Account, SimulatorConfig
from service.simulator.run import running

WINDOWS = (16, 64, 256)
SUBMITS = 60_000
ACCOUNT, SECRET = "901234", "benchmark"
TEXT = "【旌德公安】凡是要求转账到安全账户的都是诈骗，请立即挂断并拨打96110核实。"


def carrier(pipe: Connection) -> None:
    """Run the simulated carrier until killed; tell its port."""

    async def run() -> None:
        account = Account(account=ACCOUNT, secret=SecretStr(SECRET))
        config = SimulatorConfig(accounts=(account,), max_delay_seconds=1)
        async with running(config) as simulator:
            pipe.send(simulator.ports["cmpp"])
            await asyncio.Event().wait()

    uvloop.run(run())


async def pump(gateway: CMPPGateway, window: int, submits: int) -> None:
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
        batch = [Submission((f"+861979{sent + n:07d}",), part, 0) for n in range(free)]
        sent, in_flight = sent + free, in_flight + free
        for future in gateway.submit(batch):
            future.add_done_callback(answered)
        room.clear()
        await room.wait()


async def measure(port: int, window: int, submits: int) -> tuple[float, int]:
    """Submits a second with a window, and the receipts that came meanwhile."""
    receipts = 0
    stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    stored.set_result(None)

    def deliver(_: Receipt | Inbound) -> "asyncio.Future[None]":
        nonlocal receipts
        receipts += 1
        return stored

    config = CMPPConfig(
        host="127.0.0.1", port=port, account=ACCOUNT, secret=SecretStr(SECRET), access_number="1069"
    )
    gateway = CMPPGateway(config, deliver, Clock())
    await gateway.open()
    started = time.perf_counter()
    await pump(gateway, window, submits)
    rate = submits / (time.perf_counter() - started)
    await gateway.close(drain_seconds=1)
    return rate, receipts


def tell(line: str) -> None:
    """Print a line of the table."""
    sys.stdout.write(f"{line}\n")


def main() -> None:
    """Measure every window and print a table."""
    submits = int(sys.argv[1]) if len(sys.argv) > 1 else SUBMITS
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=carrier, args=(theirs,))
    process.start()
    try:
        port = ours.recv()
        tell(f"{'window':>6} {'submits/s':>10} {'receipts meanwhile':>19}")
        for window in WINDOWS:
            rate, receipts = uvloop.run(measure(port, window, submits))
            tell(f"{window:>6} {rate:>10,.0f} {receipts:>19,}")
    finally:
        process.kill()
        process.join()


if __name__ == "__main__":
    main()
