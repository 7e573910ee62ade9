"""The forms of the simulated SMSC's receipts."""

import asyncio
from collections import Counter
from typing import Any

import pytest

from service.protocols.smpp.pdu import BindTransceiver, DeliverSM, SubmitSM
from service.protocols.smpp.report import RECEIPT, parse_report
from service.simulator.run import running
from tests.harness.smpp import Peer
from tests.harness.smpp_simulated import ACCOUNT, PASSWORD, SENDER, config
from tests.harness.waiting import turns

RECEIPTS = 12
FORMS = 6


async def receipts(**settings: Any) -> list[DeliverSM]:
    """The first receipts of a carrier with these settings."""
    async with running(config(**settings)) as carrier:
        reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports["smpp"])
        peer = Peer(reader, writer)
        peer.write(1, BindTransceiver(ACCOUNT, PASSWORD))
        for number in range(2, RECEIPTS + 12):
            phone = f"86{19790000000 + number}"
            peer.write(number, SubmitSM(SENDER, phone, b"x", registered_delivery=1))
        found: list[DeliverSM] = []
        while len(found) < RECEIPTS:
            _, pdu = await peer.read()
            if isinstance(pdu, DeliverSM):
                found.append(pdu)
        writer.transport.abort()
        await turns()
    return found


@pytest.mark.parametrize("by_the_book", [False, True])
async def test_receipts_are_in_turn_in_all_forms_or_all_by_the_book(by_the_book: bool) -> None:
    found = await receipts(receipts_by_the_book=by_the_book)
    assert all(parse_report(pdu) is not None for pdu in found)
    forms = Counter((pdu.esm_class, len(pdu.parameters), _end(pdu.short_message)) for pdu in found)
    book = RECEIPT, 2, "text"
    others = {
        (RECEIPT, 0, "text"),
        (0, 0, "text"),
        (RECEIPT, 0, "zero octet"),
        (RECEIPT, 0, "no text"),
        (RECEIPT, 2, "empty"),
    }
    if by_the_book:
        assert forms == {book: RECEIPTS}
    else:
        assert forms == dict.fromkeys([book, *others], RECEIPTS // FORMS)


def _end(text: bytes) -> str:
    if not text:
        return "empty"
    if text.endswith(b"\x00"):
        return "zero octet"
    return "text" if text.endswith(b" text:") else "no text"
