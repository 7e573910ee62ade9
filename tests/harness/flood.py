"""A carrier that writes more than its window allows, on any link on which it may write."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.protocols.session import Session
from tests.harness import protocols
from tests.harness.cmpp import CMPP20
from tests.harness.scripted import Protocol, Store
from tests.harness.waiting import until

LINKS = {name: link for name, link in protocols.LINKS.items() if link is not CMPP20}
"""Floods have nothing to do with the versions of a protocol."""

FLOOD = 4_000
"""Reports; more than one read of a socket holds, and more than its buffers do."""


@dataclass
class Flooded:
    """One link, the carrier's end of it, and where its deliveries go."""

    protocol: Protocol
    gateway: Any
    peer: Any
    store: Store

    @property
    def link(self) -> Session:
        link: Session = self.gateway.link
        return link

    def flood(self, count: int = FLOOD) -> None:
        for counter in range(1, count + 1):
            self.peer.write(self.protocol.number(counter), self.protocol.report(7))

    @property
    def taken(self) -> int:
        return len(self.store.futures)

    async def until_taken(self, count: int) -> None:
        await until(lambda: self.taken >= count, every=0.001)


@asynccontextmanager
async def flooded(protocol: Protocol, **others: Any) -> AsyncIterator[Flooded]:
    """A link that is logged in and ready to be flooded."""
    async with protocol.opened(**others) as opened:
        yield Flooded(protocol, *opened)
