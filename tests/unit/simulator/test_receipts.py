"""Receipts leave in the order of their time, whatever the order in which they were owed."""

import asyncio
from datetime import UTC, datetime

from service.simulator.carrier.receipts import CarrierItem, Owed, ReceiptQueue
from tests.harness.session import PATIENCE_SECONDS

NOW = datetime(2027, 1, 12, tzinfo=UTC)


class Link:
    """Takes everything, and tells when it has so much."""

    def __init__(self, expected: int) -> None:
        self.items: list[CarrierItem] = []
        self.whole = asyncio.Event()
        self._expected = expected

    @property
    def room(self) -> int:
        return 1

    def convey(self, item: CarrierItem) -> None:
        self.items.append(item)
        if len(self.items) == self._expected:
            self.whole.set()


def owed(number: int) -> Owed:
    return Owed(number.to_bytes(8, "big"), "+8619790000001", "1069", "delivered", "DELIVRD", NOW)


async def test_one_that_is_due_sooner_does_not_wait_for_the_others() -> None:
    delays = [3600.0, 0.2, 7200.0, 0.1, 0.3, 0.0]
    receipts, link = ReceiptQueue(asyncio.get_running_loop()), Link(4)
    receipts.links.append(link)
    items = [owed(number) for number in range(len(delays))]
    for item, delay in zip(items, delays, strict=True):
        receipts.schedule(item, delay)
    await asyncio.wait_for(link.whole.wait(), PATIENCE_SECONDS)
    assert link.items == [items[5], items[3], items[1], items[4]]
    assert len(receipts) == 2
    receipts.stop()
