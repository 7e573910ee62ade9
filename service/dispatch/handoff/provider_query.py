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
MAX_ASKED = 50


async def inquire_forever(
    shared: Handoff, channel: Channel, gateway: Gateway, deliver: DeliveryHandler
) -> None:
    """Ask about this channel's uncertain hand-offs until cancelled; over at once without a list."""
    while gateway.keeps_list:
        try:
            await inquire(shared, channel, gateway, deliver)
        except GatewayError as error:
            log.warning(
                "provider not asked about uncertain hand-offs", extra={"why": error.message}
            )
        except UNREACHABLE as error:
            log.warning("uncertain hand-offs not read", extra={"why": str(error)})
        await asyncio.sleep(EVERY_SECONDS)


async def inquire(
    shared: Handoff, channel: Channel, gateway: Gateway, deliver: DeliveryHandler
) -> int:
    """Ask once about the hand-offs that have been uncertain longest; returns how many receipts that
    gave.

    Raises:
        GatewayError: the provider's list cannot be had now.
    """
    before = shared.clock.now() - AFTER
    async with shared.pool.acquire() as conn:
        rows = await store.longest_uncertain(conn, channel.id, before, MAX_ASKED)
    count = 0
    for row in rows:
        phone = shared.keyring.decrypt("phone", row["phone_cipher"])
        for receipt in await gateway.find(phone, row["marked_at"]):
            await deliver(receipt)
            count += 1
    return count
