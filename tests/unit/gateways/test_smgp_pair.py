"""The China Telecom gateway on two connections, one that sends and one that receives."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from service.channels.contract.gateway import (
    LoginRefused,
    Unreachable,
)
from service.channels.contract.outcome import Outcome
from service.gateways.smgp import SMGPGateway
from service.protocols import stream
from service.protocols.session import connect
from service.protocols.smgp.pdu import (
    DeliverResp,
    Exit,
    ExitResp,
    Submit,
    SubmitResp,
)
from tests.harness.scripted import CLOCK, Store, answer, submissions
from tests.harness.session import PATIENCE_SECONDS, carrier_of
from tests.harness.smgp import ID, OWN_ID, SMGP, SMGPPeer, report, settings


@asynccontextmanager
async def pair(**others: Any) -> AsyncIterator[tuple[SMGPGateway, SMGPPeer, SMGPPeer, Store]]:
    """An opened gateway of LoginMode 0, with the carrier's ends for sending and for receiving."""
    async with carrier_of(SMGPPeer) as scripted:
        store = Store()
        config = settings(scripted.port, login_mode=0, **others)
        gateway = SMGPGateway(config, store.deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        sender = await scripted.peer()
        assert (await sender.accept_login()).login_mode == 0
        receiver = await scripted.peer()
        assert (await receiver.accept_login()).login_mode == 1
        await opening
        yield gateway, sender, receiver, store
        sender.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)


async def test_a_pair_submits_on_one_connection_and_acknowledges_on_the_other() -> None:
    async with pair() as (gateway, sender, receiver, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, submit = await sender.read()
        assert isinstance(submit, Submit)
        sender.write(sequence, SubmitResp(ID, 0))
        receiver.write(31, report())
        receipt = await store.receipt()
        assert (await answer(future)).refs == (receipt.ref,) == (ID,)
        assert await SMGP.acknowledged_before(receiver) == []
        store.futures[0].set_result(None)
        assert await receiver.read() == (31, DeliverResp(OWN_ID))


@pytest.mark.parametrize("first", ["sender", "receiver"])
async def test_a_pair_that_loses_one_connection_is_lost(first: str) -> None:
    async with pair() as (gateway, sender, receiver, _):
        (future,) = gateway.submit(submissions(gateway))
        await sender.read()
        gone, other = (sender, receiver) if first == "sender" else (receiver, sender)
        gone.writer.transport.abort()
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        assert (await answer(future)).outcome is Outcome.UNANSWERED
        with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
            await other.read()


@pytest.mark.parametrize(("status", "error"), [(21, LoginRefused), (None, Unreachable)])
async def test_a_pair_without_its_second_connection_is_not_open(
    status: int | None, error: type[Exception]
) -> None:
    async with carrier_of(SMGPPeer) as scripted:
        config = settings(scripted.port, login_mode=0)
        gateway = SMGPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        sender = await scripted.peer()
        await sender.accept_login()
        receiver = await scripted.peer()
        if status is None:
            receiver.writer.close()
        else:
            await receiver.accept_login(status)
        with pytest.raises(error):
            await opening
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        (future,) = gateway.submit(submissions(gateway))
        assert (await answer(future)).outcome is Outcome.NOT_SENT


async def test_a_pair_whose_second_connection_finds_nobody_is_not_open() -> None:
    arrived: asyncio.Queue[SMGPPeer] = asyncio.Queue()
    server = await asyncio.start_server(
        lambda reader, writer: arrived.put_nowait(SMGPPeer(reader, writer)), "127.0.0.1", 0
    )
    config = settings(server.sockets[0].getsockname()[1], login_mode=0)
    gateway = SMGPGateway(config, Store().deliver, CLOCK)
    opening = asyncio.create_task(gateway.open())
    sender = await asyncio.wait_for(arrived.get(), PATIENCE_SECONDS)
    server.close()
    await sender.accept_login()
    with pytest.raises(Unreachable, match="check address"):
        await opening
    await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
    sender.writer.close()


@pytest.mark.parametrize("connected", [False, True], ids=["before", "after"])
async def test_a_pair_whose_first_connection_goes_while_the_second_opens_is_not_open(
    connected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it goes before the second connection is there or after."""
    async with carrier_of(SMGPPeer) as scripted:
        config = settings(scripted.port, login_mode=0)
        gateway = SMGPGateway(config, Store().deliver, CLOCK)
        opening = asyncio.create_task(gateway.open())
        sender = await scripted.peer()

        async def connect_late(*args: Any, **others: Any) -> Any:
            await gateway.lost.wait()
            return await connect(*args, **others)

        if not connected:
            monkeypatch.setattr(stream, "connect", connect_late)
        await sender.accept_login()
        if not connected:
            sender.writer.transport.abort()
        receiver = await scripted.peer()
        if connected:
            sender.writer.transport.abort()
        else:
            await receiver.accept_login()
        with pytest.raises(Unreachable):
            await asyncio.wait_for(opening, PATIENCE_SECONDS)
        with suppress(ConnectionResetError):
            await receiver.read_to_the_end()
        assert gateway.lost.is_set()


async def test_a_pair_logs_out_on_both() -> None:
    async with pair() as (gateway, sender, receiver, _):
        closing = asyncio.create_task(gateway.close(drain_seconds=0))
        for peer in (sender, receiver):
            sequence, pdu = await peer.read()
            assert isinstance(pdu, Exit)
            peer.write(sequence, ExitResp())
        await asyncio.wait_for(closing, PATIENCE_SECONDS)


async def test_a_pair_that_closes_still_acknowledges_what_it_is_storing() -> None:
    async with pair() as (gateway, sender, receiver, store):
        receiver.write(31, report())
        await store.next()
        closing = asyncio.create_task(gateway.close(drain_seconds=PATIENCE_SECONDS))
        sequence, _ = await sender.read()
        sender.write(sequence, ExitResp())
        await asyncio.wait_for(gateway.lost.wait(), PATIENCE_SECONDS)
        store.futures[0].set_result(None)
        assert await receiver.read() == (31, DeliverResp(OWN_ID))
        sequence, pdu = await receiver.read()
        assert isinstance(pdu, Exit)
        receiver.write(sequence, ExitResp())
        await asyncio.wait_for(closing, PATIENCE_SECONDS)
