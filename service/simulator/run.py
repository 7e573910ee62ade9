"""Starts and stops a simulated carrier."""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from service.clock import Clock
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.carrier.smsc import SMSC

logger = logging.getLogger(__name__)

LISTENING = "simulated carrier is listening"


class Module(Protocol):
    """What each protocol's module offers."""

    def listen(self, smsc: SMSC) -> AbstractAsyncContextManager[int]:
        """Serve the protocol on its configured port while the block runs; gives the port."""


@dataclass(frozen=True, slots=True)
class Simulator:
    """A simulated carrier that runs; ports: where, by protocol, `robots` and `admin`, as served."""

    smsc: SMSC
    ports: Mapping[str, int]


@asynccontextmanager
async def running(
    config: SimulatorConfig, *, clock: Clock | None = None
) -> AsyncIterator[Simulator]:
    """A simulated carrier for as long as the block runs.

    Raises:
        Misconfigured: a port cannot be had, or the journal cannot be read.
    """
    smsc = SMSC(config, clock or Clock())
    try:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(smsc.hang_up)  # last: when nobody listens any more
            ports = {}
            for protocol in config.protocols:
                ports[protocol] = await stack.enter_async_context(_module(protocol).listen(smsc))
            if config.robots_port is not None:
                ports["robots"] = await stack.enter_async_context(_module("robots").listen(smsc))
            if config.admin_port is not None:
                ports["admin"] = await stack.enter_async_context(_module("admin").listen(smsc))
            logger.info(LISTENING, extra={"ports": ports})
            yield Simulator(smsc, ports)
    finally:
        smsc.stop()


async def serve(config: SimulatorConfig, *, clock: Clock | None = None) -> None:
    """Run a simulated carrier until cancelled."""
    async with running(config, clock=clock):
        await asyncio.Event().wait()


def _module(protocol: str) -> Module:
    """A protocol's module; found by name, so that what is not served is not loaded."""
    return cast(Module, import_module(f"service.simulator.wire.{protocol}"))
