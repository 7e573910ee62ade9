"""A database that does not answer, under a flood of receipts: bounded, and nothing lost."""

import asyncio
from datetime import datetime

import pytest

from service.channels.contract.gateway import Inbound, Receipt
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.receipts.inbox import Inbox
from service.gateways.cmpp import CMPPGateway
from service.protocols.cmpp.pdu import DeliverResp
from service.storage.postgres import Pool, transaction
from tests.harness.cmpp import report, settings
from tests.harness.session import PATIENCE_SECONDS, carrier
from tests.harness.stage import wakes_nobody
from tests.harness.waiting import turns, until

MOST = 100
FLOOD = 5_000


async def test_a_flood_while_the_database_stands_still_is_bounded_and_stored_once(
    pool: Pool, keyring: Keyring, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.protocols.session.MOST_UNSTORED", MOST)
    inbox = Inbox(pool, keyring, Clock(now), wakes_nobody)
    storing = asyncio.create_task(inbox.run())
    async with carrier() as scripted:
        gateway = CMPPGateway(settings(scripted.port), inbox.deliver_for(1), Clock(now))
        opening = asyncio.create_task(gateway.open())
        peer = await scripted.peer()
        await peer.accept_login()
        await opening
        async with transaction(pool) as conn:
            await conn.execute("LOCK TABLE receipt_inbox IN ACCESS EXCLUSIVE MODE")
            for sequence in range(1, FLOOD + 1):
                peer.write(sequence, report())
            await until(lambda: len(inbox._waiting) >= MOST)
            for _ in range(500):
                assert len(inbox._waiting) == MOST
                await turns()
        for sequence in range(1, FLOOD + 1):
            number, answer = await peer.read()
            assert (number, isinstance(answer, DeliverResp)) == (sequence, True)
        assert await pool.fetchval("SELECT count(*) FROM receipt_inbox") == FLOOD
        await gateway.close(drain_seconds=1)
    storing.cancel()
    await asyncio.gather(storing, return_exceptions=True)


async def test_what_cannot_be_stored_holds_up_nothing_else(
    pool: Pool, keyring: Keyring, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """PostgreSQL takes no zero octet in a text: who sent one is not answered, the others are."""
    inbox = Inbox(pool, keyring, Clock(now), wakes_nobody)
    deliver = inbox.deliver_for(1)

    def receipt(ref: bytes, code: str = "DELIVRD") -> Receipt:
        return Receipt(ref, "", ReceiptState.DELIVERED, code, "", None)

    stored = [deliver(receipt(b"%d" % n)) for n in range(10)]
    bad = [deliver(receipt(b"bad", "DELI\0RD")), deliver(Inbound("+8613", "1\0", "text"))]
    stored += [deliver(receipt(b"%d" % n)) for n in range(10, 20)]
    stored.append(deliver(Inbound("+8613", "10657", "text")))
    storing = asyncio.create_task(inbox.run())
    async with asyncio.timeout(PATIENCE_SECONDS):
        await asyncio.gather(*stored)
        for future in bad:
            with pytest.raises(Exception, match="0x00"):
                await future
    after = deliver(receipt(b"after"))
    async with asyncio.timeout(PATIENCE_SECONDS):
        await after
    assert await pool.fetchval("SELECT count(*) FROM receipt_inbox") == 21
    assert await pool.fetchval("SELECT count(*) FROM inbound") == 1
    assert "DELI" not in caplog.text
    storing.cancel()
    await asyncio.gather(storing, return_exceptions=True)
