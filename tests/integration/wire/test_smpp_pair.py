"""A transmitter with a receiver beside it: what the receiver's connection does over its life."""

import asyncio

import pytest

from service.channels.contract.gateway import DeliveryHandler
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.gateways.smpp import SMPPConfig, SMPPGateway
from service.protocols.smpp import receiver
from service.protocols.smpp.pdu import (
    BindReceiver,
    BindTransmitter,
    DeliverSM,
    DeliverSMResp,
    EnquireLink,
    Unbind,
    UnbindResp,
)
from service.simulator.run import running
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smpp import smsc
from tests.harness.smpp_simulated import Inbox, config, connected, phones, send, settings

RECEIPT = DeliverSM("8619790001234", "NOTICE", b"id:1 stat:DELIVRD", esm_class=4)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_FIRST_SECONDS", "RETRY_MOST_SECONDS", "REFUSED_SECONDS"):
        monkeypatch.setattr(receiver, name, 0.02)


async def test_submits_go_over_one_connection_and_receipts_come_over_the_other() -> None:
    inbox = Inbox()
    async with running(config()) as carrier:
        pair = settings(carrier.ports["smpp"], bind="pair")
        listener = SMPPGateway.listener(pair, inbox.deliver, Clock())
        assert listener is not None
        nowhere = Inbox()
        async with listener, connected(pair.port, nowhere, bind="pair") as link:
            results = await send(link, phones(20))
            await inbox.wait_for(20)
    assert {result.outcome for result in results} == {Outcome.ACCEPTED}
    assert {receipt.ref for receipt in inbox.receipts} == {r.refs[0] for r in results}
    assert nowhere.items == []


async def test_the_roles_are_a_transmitters_and_a_receivers() -> None:
    async with smsc() as scripted:
        pair = settings(scripted.port, bind="pair")
        listener = SMPPGateway.listener(pair, Inbox().deliver, Clock())
        assert listener is not None
        async with listener:
            receiving = await scripted.peer()
            assert isinstance(await receiving.accept_login(), BindReceiver)
            gateway = SMPPGateway(pair, Inbox().deliver, Clock())
            opening = asyncio.create_task(gateway.open())
            assert isinstance(await (await scripted.peer()).accept_login(), BindTransmitter)
            await opening
            gateway.link.abort("the test is over")
            receiving.writer.transport.abort()


async def test_a_lost_receiver_comes_back_and_what_was_not_stored_comes_again() -> None:
    inbox = Inbox()
    inbox.storing = False
    async with smsc() as scripted:
        pair = settings(scripted.port, bind="pair")
        listener = SMPPGateway.listener(pair, inbox.deliver, Clock())
        assert listener is not None
        async with listener:
            first = await scripted.peer()
            await first.accept_login()
            first.write(1, RECEIPT)
            await inbox.wait_for(1)
            first.write(2, EnquireLink())
            assert (await first.read())[0] == 2, "nothing was acknowledged"
            first.writer.transport.abort()
            second = await scripted.peer()
            await second.accept_login()
            inbox.storing = True
            second.write(1, RECEIPT)
            assert await second.read() == (1, DeliverSMResp())
            second.writer.transport.abort()


@pytest.mark.parametrize("status", [0x0E, 0x0D])
async def test_a_refused_receiver_tries_again_and_says_why(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async with smsc() as scripted:
        pair = settings(scripted.port, bind="pair")
        listener = SMPPGateway.listener(pair, Inbox().deliver, Clock())
        assert listener is not None
        async with listener:
            await (await scripted.peer()).accept_login(status)
            again = await scripted.peer()
            await again.accept_login()
            again.writer.transport.abort()
    assert receiver.NOT_CONNECTED in caplog.messages
    (record, *_) = [r for r in caplog.records if r.message == receiver.NOT_CONNECTED]
    assert vars(record)["code"] == str(status)


async def test_an_error_of_our_own_does_not_end_receiving(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with smsc() as scripted:
        pair = settings(scripted.port, bind="pair")
        made = SMPPGateway.receiver
        failures = iter([True])

        def make(config: SMPPConfig, deliver: DeliveryHandler, clock: Clock) -> SMPPGateway:
            if next(failures, False):
                raise RuntimeError("out of luck")
            return made(config, deliver, clock)

        monkeypatch.setattr(SMPPGateway, "receiver", make)
        listener = SMPPGateway.listener(pair, Inbox().deliver, Clock())
        assert listener is not None
        async with listener:
            peer = await scripted.peer()
            await peer.accept_login()
            peer.writer.transport.abort()
    assert receiver.BROKEN in caplog.messages


async def test_at_the_end_the_receiver_logs_out() -> None:
    async with smsc() as scripted:
        pair = settings(scripted.port, bind="pair")
        listener = SMPPGateway.listener(pair, Inbox().deliver, Clock())
        assert listener is not None
        async with listener:
            peer = await scripted.peer()
            await peer.accept_login()
            answering = asyncio.create_task(peer.read())
            peer.write(1, EnquireLink())
            await answering

            async def log_out() -> None:
                sequence, pdu = await peer.read()
                assert isinstance(pdu, Unbind)
                peer.write(sequence, UnbindResp())

            leaving = asyncio.create_task(log_out())
        await asyncio.wait_for(leaving, PATIENCE_SECONDS)
