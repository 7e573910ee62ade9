"""The carrier's own connections to the SP's listener, over TCP, scripted packet by packet."""

import asyncio
import logging
import socket
from contextlib import AsyncExitStack
from typing import Any

import pytest

from service.channels.contract.gateway import Inbound, Receipt, Submission, UnreadReason
from service.channels.contract.outcome import Outcome, ReceiptState
from service.gateways.sgip import SGIPGateway
from service.protocols.sgip import listener as listener_module
from service.protocols.sgip.listener import Door, Listener
from service.protocols.sgip.pdu import (
    Bind,
    BindResp,
    DeliverResp,
    Report,
    ReportResp,
    Submit,
    SubmitResp,
    Unbind,
    UnbindResp,
    encode,
)
from service.protocols.sgip.sequence import reference
from tests.harness.scripted import CLOCK, PHONE, Store, answer
from tests.harness.session import PATIENCE_SECONDS, soon
from tests.harness.sgip import (
    LOGIN,
    PASSWORD,
    SGIP,
    SMG,
    SUBMIT_SEQUENCE,
    VECTORS,
    dialled,
    is_sent_away,
    link_of,
    listening,
    logged_in,
    number,
    report,
    settings,
)
from tests.harness.waiting import turns, until

# Logging in


async def test_the_recorded_login_of_a_carrier_is_answered_with_the_recorded_octets() -> None:
    async with listening(Store()) as listener, dialled(listener.port) as smg:
        bind = VECTORS["sgip-bind-smg"]["hex"]
        smg.writer.write(bytes.fromhex(bind))
        answered = VECTORS["sgip-bind-resp-ok"]["hex"]
        assert (await smg.read_frame()).hex() == answered[:16] + bind[16:40] + answered[40:]


@pytest.mark.attack
@pytest.mark.parametrize(
    ("bind", "result"),
    [
        (Bind(2, "smg0371", "wrong"), 1),
        (Bind(2, "somebody", "smgpass"), 1),
        (Bind(2, "", ""), 1),
        (Bind(1, "smg0371", "smgpass"), 4),
        (Bind(11, "smg0371", "smgpass"), 4),
    ],
)
async def test_a_wrong_login_is_refused_and_the_connection_closed(bind: Bind, result: int) -> None:
    store = Store()
    async with listening(store) as listener, dialled(listener.port) as smg:
        smg.write(number(1), bind)
        smg.write(number(2), report())
        assert await smg.read() == (number(1), BindResp(result))
        assert await smg.read_to_the_end() == b""
        assert store.items.empty(), "nothing is taken from whoever is not logged in"


async def test_without_a_login_of_its_own_the_carrier_uses_the_accounts() -> None:
    options = {"listen_login_name": "", "listen_password": ""}
    async with listening(Store(), **options) as listener, dialled(listener.port) as smg:
        bind = Bind(2, "12345", PASSWORD)
        assert await smg.ask(number(1), bind) == (number(1), BindResp(0))


async def test_any_login_is_taken_where_the_channel_says_so() -> None:
    options = {"listen_any_login": True, "listen_addresses": ("127.0.0.0/8",)}
    async with listening(Store(), **options) as listener, dialled(listener.port) as smg:
        bind = Bind(2, "whoever", "whatever")
        assert await smg.ask(number(1), bind) == (number(1), BindResp(0))


@pytest.mark.attack
async def test_a_command_before_the_login_closes_the_connection() -> None:
    store = Store()
    async with listening(store) as listener, dialled(listener.port) as smg:
        smg.write(number(1), report())
        assert await smg.read_to_the_end() == b""
        assert store.items.empty()


@pytest.mark.attack
async def test_a_connection_from_elsewhere_is_cut(caplog: pytest.LogCaptureFixture) -> None:
    options = {"listen_addresses": ("192.0.2.0/24",)}
    async with listening(Store(), **options) as listener, dialled(listener.port) as smg:
        assert await is_sent_away(smg)
    assert listener_module.STRANGER in caplog.messages


@pytest.mark.attack
async def test_without_addresses_a_real_channel_takes_its_gateways_host_alone() -> None:
    async with listening(Store(), host="127.0.0.1", listen_addresses=()) as listener:
        async with dialled(listener.port) as smg:
            assert await smg.ask(number(1), LOGIN) == (number(1), BindResp(0))
        assert not listener.admits("127.0.0.2")
    async with (
        listening(Store(), host="127.0.0.2", listen_addresses=()) as listener,
        dialled(listener.port) as smg,
    ):
        assert await is_sent_away(smg)
    nowhere = "no-such-host.invalid"
    async with (
        listening(Store(), host=nowhere, listen_addresses=()) as listener,
        dialled(listener.port) as smg,
    ):
        assert await is_sent_away(smg)


async def test_a_simulated_channel_without_addresses_takes_any() -> None:
    config = settings(1, host="127.0.0.2", listen_port=0)
    listener = SGIPGateway.listener(config, Store().deliver, CLOCK, simulated=True)
    assert listener is not None
    async with listener as entered:
        assert entered.admits("127.0.0.1")


async def test_a_gateway_that_has_moved_is_let_in_once_its_address_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "LOOK_AGAIN_SECONDS", 0.0)
    at, asked = "127.0.0.2", asyncio.Event()
    loop = asyncio.get_running_loop()
    look_up = loop.getaddrinfo

    async def resolver(host: str, *rest: Any, **more: Any) -> Any:
        asked.set()
        return await look_up(at if host == "smg.example" else host, *rest, **more)

    monkeypatch.setattr(loop, "getaddrinfo", resolver)
    async with listening(Store(), host="smg.example", listen_addresses=()) as listener:
        assert listener.admits("127.0.0.2")
        at = "127.0.0.3"
        asked.clear()
        assert not listener.admits("127.0.0.3")
        await asyncio.wait_for(asked.wait(), PATIENCE_SECONDS)
        await until(lambda: listener.door.admits("127.0.0.3"))
        assert not listener.door.admits("127.0.0.2")


@pytest.mark.parametrize(
    ("address", "admitted"),
    [
        ("192.0.2.7", True),
        ("192.0.3.7", False),
        ("::ffff:192.0.2.7", True),
        ("2001:db8::1", True),
        ("2001:db9::1", False),
        ("fe80::1%eth0", False),
        ("", False),
    ],
)
def test_addresses_are_looked_up_in_the_networks(address: str, admitted: bool) -> None:
    config = settings(1, listen_addresses=("192.0.2.0/24", "2001:db8::/32"))
    assert config.door.admits(address) is admitted
    assert settings(1).door.admits(address)


async def test_a_second_login_on_a_connection_is_refused_and_nothing_else_changes() -> None:
    async with logged_in() as (_, smg, store):
        assert await smg.ask(number(2), LOGIN) == (number(2), BindResp(2))
        smg.write(number(3), report())
        await store.next()
        store.futures[0].set_result(None)
        assert await smg.read() == (number(3), ReportResp(0))


async def test_the_carrier_may_have_as_many_connections_as_the_channel_allows() -> None:
    async with listening(Store(), listen_connections=2) as listener, AsyncExitStack() as stack:
        smgs = [await stack.enter_async_context(dialled(listener.port)) for _ in range(3)]
        results = [(await smg.ask(number(1), LOGIN))[1] for smg in smgs]
        assert results == [BindResp(0), BindResp(0), BindResp(3)]
        assert await smgs[0].ask(number(2), Unbind()) == (number(2), UnbindResp())
        assert await smgs[0].read_to_the_end() == b""
        another = await stack.enter_async_context(dialled(listener.port))
        assert (await another.ask(number(1), LOGIN))[1] == BindResp(0)


@pytest.mark.attack
async def test_whoever_does_not_log_in_is_sent_away() -> None:
    async with listening(Store()) as listener, dialled(listener.port) as smg:
        smg.writer.write(b"\x00")
        await until(lambda: listener.links)
        link = link_of(listener)
        link.on_tick(link.loop.time() + 14)
        assert link.is_open
        link.on_tick(link.loop.time() + 16)
        assert await is_sent_away(smg)
        assert link.reason == "no login came"


# Reports and texts


async def test_a_report_is_acknowledged_only_after_it_is_stored() -> None:
    async with logged_in() as (_, smg, store):
        smg.writer.write(bytes.fromhex(VECTORS["sgip-report-ok"]["hex"]))
        receipt = await store.next()
        assert isinstance(receipt, Receipt)
        assert receipt.ref == reference(SUBMIT_SEQUENCE - (809104500 - 809103045 << 32))
        assert (receipt.state, receipt.code) == (ReceiptState.DELIVERED, "0:0")
        assert receipt.recipient == "+" + VECTORS["sgip-report-ok"]["fields"]["user_number"]
        assert await SGIP.acknowledged_before(smg) == []
        store.futures[0].set_result(None)
        assert (await smg.read_frame()).hex() == VECTORS["sgip-report-resp"]["hex"]


async def test_a_text_is_acknowledged_only_after_it_is_stored() -> None:
    async with logged_in() as (_, smg, store):
        smg.writer.write(bytes.fromhex(VECTORS["sgip-deliver-mo-ascii"]["hex"]))
        inbound = await store.next()
        assert isinstance(inbound, Inbound)
        assert (inbound.recipient, inbound.text) == ("10655123", "TD")
        assert await SGIP.acknowledged_before(smg) == []
        store.futures[0].set_result(None)
        assert (await smg.read_frame()).hex() == VECTORS["sgip-deliver-resp"]["hex"]


async def test_a_connection_lost_before_storing_acknowledges_nothing_and_raises_nothing() -> None:
    async with logged_in() as (listener, smg, store):
        smg.write(number(1), report())
        await store.next()
        link = link_of(listener)
        smg.cut()
        await soon(link.lost.wait())
        store.futures[0].set_result(None)
        await turns()
        assert not listener.links


@pytest.mark.attack
async def test_a_submit_to_the_sp_is_answered_with_an_error() -> None:
    async with logged_in() as (_, smg, _):
        submit = Submit("10655123", (PHONE[1:],), "12345", b"x", 0)
        assert await smg.ask(number(1), submit) == (number(1), SubmitResp(5))


async def test_both_directions_work_at_once() -> None:
    async with SGIP.opened() as (gateway, smg, own), logged_in() as (_, dialler, store):
        batch = [Submission((PHONE,), part, 1) for part in gateway.split("警" * 134)]
        futures = gateway.submit(batch)
        for counter, future in enumerate(futures):
            sequence, _ = await smg.read()
            dialler.write(number(counter), Report(sequence, PHONE[1:], 0))
            receipt = await store.next()  # it comes before the answer to its submit
            smg.write(sequence, SubmitResp(0))
            result = await answer(future)
            assert isinstance(receipt, Receipt)
            assert (result.outcome, result.refs) == (Outcome.ACCEPTED, (receipt.ref,))
            store.futures[-1].set_result(None)
            assert await dialler.read() == (number(counter), ReportResp(0))
        assert own.items.empty()


# The end of a connection, and of listening


async def test_an_idle_connection_is_closed() -> None:
    async with logged_in() as (listener, smg, _):
        link = link_of(listener)
        link.on_tick(link.loop.time() + 59)
        assert link.is_open
        link.on_tick(link.loop.time() + 61)
        assert await smg.read_to_the_end() == b""
        assert link.reason == "idle"


async def test_a_half_open_connection_makes_room_by_itself() -> None:
    async with logged_in(listen_connections=1, listen_idle_seconds=0.2) as (listener, smg, _):
        link = link_of(listener)
        assert isinstance(smg.writer.transport, asyncio.Transport)
        smg.writer.transport.pause_reading()  # it neither sends nor reads nor closes
        await soon(link.lost.wait())
        async with dialled(listener.port) as another:
            assert await another.ask(number(1), LOGIN) == (number(1), BindResp(0))


@pytest.mark.parametrize("octets", ["00000003", "7fffffff00000005"])
async def test_malformed_octets_close_the_connection_with_a_logged_reason(
    octets: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with logged_in() as (listener, smg, _):
        link = link_of(listener)
        smg.writer.write(bytes.fromhex(octets))
        assert await smg.read_to_the_end() == b""
        await soon(link.lost.wait())
        assert "octets" in link.reason
        async with dialled(listener.port) as another:
            assert await another.ask(number(1), LOGIN) == (number(1), BindResp(0))
    levels = [record.levelno for record in caplog.records if record.name.startswith("service")]
    assert logging.WARNING in levels


async def test_ending_acknowledges_what_gets_stored_and_closes_the_connections() -> None:
    store = Store()
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(listening(store))
        smg = await stack.enter_async_context(dialled(listener.port))
        assert await smg.ask(number(1), LOGIN) == (number(1), BindResp(0))
        smg.write(number(2), SGIP.text)
        await store.next()
        ending = asyncio.create_task(listener.__aexit__(None, None, None))
        await turns()
        with pytest.raises(OSError, match="refused|failed"):
            await asyncio.open_connection("127.0.0.1", listener_port(smg))
        store.futures[0].set_result(None)
        assert await smg.read() == (number(2), DeliverResp(0))
        assert await smg.read_to_the_end() == b""
        await soon(ending)


def listener_port(smg: SMG) -> int:
    return int(smg.writer.get_extra_info("peername")[1])


async def test_ending_does_not_wait_for_a_store_that_never_finishes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(listener_module, "DRAIN_SECONDS", 0.05)
    async with asyncio.timeout(PATIENCE_SECONDS), logged_in() as (_, smg, store):
        smg.write(number(1), report())
        await store.next()
    assert not store.futures[0].done()


async def test_several_processes_may_share_the_port() -> None:
    store = Store()
    async with listening(store) as first, listening(store, listen_port=first.port) as second:
        assert first.port == second.port
        async with dialled(first.port) as smg:
            assert await smg.ask(number(1), LOGIN) == (number(1), BindResp(0))


async def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"{port}.* free this one"):
            async with listening(Store(), listen_port=port):
                pass


def test_a_channel_without_a_port_does_not_listen() -> None:
    assert SGIPGateway.listener(settings(1), Store().deliver, CLOCK) is None


def test_the_port_is_known_only_while_listening() -> None:
    listener = Listener(
        Door("127.0.0.1", 0, "", ""), Store().deliver, lambda _: UnreadReason.BROKEN_REPORT
    )
    with pytest.raises(ValueError, match="not listening"):
        _ = listener.port


async def test_no_phone_or_password_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    async with logged_in() as (listener, smg, store):
        smg.writer.write(encode(number(1), report()) + encode(number(2), SGIP.text))
        smg.write(number(3), Bind(2, "smg0371", "another secret"))
        for _ in range(2):
            await store.next()
        store.futures[0].set_exception(RuntimeError(PHONE))
        store.futures[1].set_result(None)
        await smg.read()
    async with listening(Store()) as listener, dialled(listener.port) as smg:
        await smg.ask(number(1), Bind(2, "smg0371", "another secret"))
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    for private in (PHONE[1:], "smgpass", "another secret"):
        assert private not in logged
