"""Asking a provider that keeps a list of its texts what became of uncertain hand-offs (I3).

Its answers are treated as receipts: one settles a hand-off only if that is the only uncertain one
to the phone. If the list does not have a text, that proves nothing, and nothing is changed.
"""

import asyncio
import logging
from datetime import timedelta

from service.channels.contract.gateway import DeliveryHandler, Gateway, GatewayError
from service.channels.contract.model import Channel
from service.dispatch.handoff import store
from service.dispatch.handoff.recorder import Handoff
from service.storage.postgres import UNREACHABLE

log = logging.getLogger(__name__)

EVERY_SECONDS = 60.0
AFTER = timedelta(seconds=30)
"""A provider lists a text a little after it took it."""
MOST = 50


async def inquire_forever(
    shared: Handoff, channel: Channel, gateway: Gateway, deliver: DeliveryHandler
) -> None:
    """Ask about what is in doubt on this channel, until cancelled; over at once without a list."""
    while gateway.keeps_list:
        try:
            await inquire(shared, channel, gateway, deliver)
        except GatewayError as error:
            log.warning("hand-offs in doubt not asked for", extra={"why": error.message})
        except UNREACHABLE as error:
            log.warning("hand-offs in doubt not read", extra={"why": str(error)})
        await asyncio.sleep(EVERY_SECONDS)


async def inquire(
    shared: Handoff, channel: Channel, gateway: Gateway, deliver: DeliveryHandler
) -> int:
    """Ask once about the oldest hand-offs in doubt; returns how many receipts that gave.

    Raises:
        GatewayError: the provider's list cannot be had now.
    """
    before = shared.clock.now() - AFTER
    async with shared.pool.acquire() as conn:
        doubts = await store.oldest_doubts(conn, channel.id, before, MOST)
    count = 0
    for doubt in doubts:
        phone = shared.keyring.decrypt("phone", doubt["phone_cipher"])
        for receipt in await gateway.find(phone, doubt["marked_at"]):
            await deliver(receipt)
            count += 1
    return count
