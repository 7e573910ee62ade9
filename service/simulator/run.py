"""Starts and stops a simulated carrier."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from service.clock import Clock
from service.simulator import cmpp
from service.simulator.config import SimulatorConfig
from service.simulator.smsc import SMSC

logger = logging.getLogger(__name__)

LISTENING = "simulated carrier is listening"


@dataclass(frozen=True, slots=True)
class Simulator:
    """A simulated carrier that runs; ports: where, by protocol."""

    smsc: SMSC
    ports: Mapping[str, int]


@asynccontextmanager
async def running(
    config: SimulatorConfig, *, clock: Clock | None = None
) -> AsyncIterator[Simulator]:
    """A simulated carrier for as long as the block runs.

    Raises:
        OSError: the port is taken.
        Misconfigured: the journal cannot be read.
    """
    smsc = SMSC(config, clock or Clock())
    try:
        server = await cmpp.listen(smsc)
        ports = {"cmpp": int(server.sockets[0].getsockname()[1])}
        logger.info(LISTENING, extra={"ports": ports})
        try:
            yield Simulator(smsc, ports)
        finally:
            server.close()
            await smsc.hang_up()
    finally:
        smsc.stop()


async def serve(config: SimulatorConfig, *, clock: Clock | None = None) -> None:
    """Run a simulated carrier until cancelled."""
    async with running(config, clock=clock):
        await asyncio.Event().wait()
