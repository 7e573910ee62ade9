"""Receipts and texts from handsets, stored before they are acknowledged to the carrier; what could
not be read is stored as it came.

Each gateway hands over what it reads and gets a future; a batch is committed every few
milliseconds and only then are its futures done. While PostgreSQL is away the futures wait, the
carrier's own window fills, and nothing is lost: back-pressure instead of a drop. What no database
would take is never acknowledged, and holds up nothing else.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from service.channels.contract.gateway import (
    Delivery,
    DeliveryHandler,
    Inbound,
    RawDelivery,
    Receipt,
)
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts import store, unmatched_store
from service.storage.postgres import UNFIT, UNREACHABLE, Pool, TooSlow, transaction

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.002
"""How long a receipt waits for company, at least; else as long as the last ones took to be stored,
so that a busy database gets fewer and larger batches."""
MOST_FLUSH_SECONDS = 0.02
RETRY_SECONDS = 0.5
WAKE_SECONDS = 0.25

OnReceipts = Callable[[int], Awaitable[None]]
"""Called with a channel that has new receipts to fold."""

OnTexts = Callable[[], Awaitable[None]]
"""Called when there are new texts from handsets to read."""


@dataclass(slots=True)
class _Arrival:
    channel_id: int
    item: Delivery
    stored: "asyncio.Future[None]"


class Inbox:
    """The way in for everything that gateways receive in this process."""

    def __init__(
        self,
        pool: Pool,
        keyring: Keyring,
        clock: Clock,
        on_receipts: OnReceipts,
        on_texts: OnTexts | None = None,
    ) -> None:
        self._pool = pool
        self._keyring = keyring
        self._clock = clock
        self._on_receipts = on_receipts
        self._on_texts = on_texts
        self._waiting: list[_Arrival] = []
        self._arrived = asyncio.Event()
        self._channels_new: set[int] = set()
        self._texts_new = False
        self._unheard = asyncio.Event()

    def deliver_for(self, channel_id: int) -> DeliveryHandler:
        """The way in for one channel's gateways."""

        def deliver(item: Delivery) -> "asyncio.Future[None]":
            stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(_Arrival(channel_id, item, stored))
            self._arrived.set()
            return stored

        return deliver

    async def run(self) -> None:
        """Store what arrives, until cancelled."""
        waking = asyncio.create_task(self._wake_forever())
        loop, took = asyncio.get_running_loop(), 0.0
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(min(max(FLUSH_SECONDS, took), MOST_FLUSH_SECONDS))
                self._arrived.clear()
                began = loop.time()
                try:
                    await self._flush()
                    took = loop.time() - began
                except UNREACHABLE as error:
                    log.warning("receipts wait for the database", extra={"why": str(error)})
                    self._arrived.set()
                    await asyncio.sleep(RETRY_SECONDS)
                except Exception:  # an end of this loop would stop all receipts without a word
                    log.exception("receipts could not be stored, trying again")
                    self._arrived.set()
                    await asyncio.sleep(RETRY_SECONDS)
        finally:
            waking.cancel()
            await asyncio.gather(waking, return_exceptions=True)

    async def _flush(self) -> None:
        """Store what waits, all at once; if something in it cannot be stored, all but that; if all
        at once takes too long, in halves.
        """
        batches = [list(self._waiting)]
        while batches:
            batch = batches.pop()
            try:
                await self._store(batch)
            except TooSlow:
                if len(batch) == 1:
                    raise
                half = len(batch) // 2
                batches += [batch[half:], batch[:half]]
            except UNFIT as error:
                if len(batch) > 1:
                    half = len(batch) // 2
                    batches += [batch[half:], batch[:half]]
                    continue
                log.error("cannot be stored", extra={"why": type(error).__name__})  # noqa: TRY400
                self._settle(batch, error)
            else:
                self._settle(batch, None)

    async def _store(self, batch: Sequence[_Arrival]) -> None:
        now = self._clock.now()
        receipts = [(i.channel_id, i.item) for i in batch if isinstance(i.item, Receipt)]
        texts = [(i.channel_id, i.item) for i in batch if isinstance(i.item, Inbound)]
        raw = [(i.channel_id, i.item) for i in batch if isinstance(i.item, RawDelivery)]
        async with transaction(self._pool) as conn:
            if receipts:
                await store.insert_receipts(conn, self._keyring, receipts, now)
            if texts:
                await store.insert_inbound(conn, self._keyring, texts, now)
            if raw:
                await unmatched_store.insert_unreadable(conn, self._keyring, raw, now)
        self._channels_new.update(channel_id for channel_id, _ in receipts)
        self._texts_new = self._texts_new or bool(texts)
        self._unheard.set()

    def _settle(self, batch: Sequence[_Arrival], error: Exception | None) -> None:
        """The first that wait are stored, or cannot be."""
        del self._waiting[: len(batch)]
        for item in batch:
            if item.stored.done():
                continue
            if error is None:
                item.stored.set_result(None)
            else:
                item.stored.set_exception(error)

    async def _wake_forever(self) -> None:
        while True:
            await self._unheard.wait()
            self._unheard.clear()
            channels, self._channels_new = self._channels_new, set()
            for channel_id in channels:
                await self._on_receipts(channel_id)
            texts, self._texts_new = self._texts_new, False
            if texts and self._on_texts is not None:
                await self._on_texts()
            await asyncio.sleep(WAKE_SECONDS)
