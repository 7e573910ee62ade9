"""China Unicom, both directions over TCP: gateway and listener against a simulated carrier."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from service.channels.contract.gateway import (
    Delivery,
    Inbound,
    LoginRefused,
    Receipt,
    Submission,
    SubmitResult,
    Unreachable,
)
from service.channels.contract.outcome import Outcome, ReceiptState
from service.coding.parts import split
from service.gateways.sgip import SGIPGateway
from service.protocols.sgip.listener import Listener as SPListener
from service.protocols.sgip.pdu import (
    Bind,
    BindResp,
    Report,
    ReportResp,
    Submit,
    SubmitResp,
    Unbind,
    UnbindResp,
)
from service.simulator.carrier.config import Account, Faults, ListenerConfig, SimulatorConfig
from service.simulator.carrier.outcomes import PhoneFate, fates
from service.simulator.carrier.receipts import MOPart
from service.simulator.carrier.subscriber import Subscriber
from service.simulator.run import Simulator, running
from service.simulator.wire import sgip as simulated
from tests.harness.scripted import CLOCK, PHONE
from tests.harness.session import PATIENCE_SECONDS, soon
from tests.harness.session import carrier_of as listening_sp
from tests.harness.sgip import PASSWORD, SMG, dialled, number, settings
from tests.harness.waiting import until

NO_ODDITIES = {"duplicate_receipts": 0, "early_receipts": 0, "unknown_receipts": 0}
SUBMIT = Submit("10655123", (PHONE[1:],), "12345", b"x", 0)


class Inbox:
    """Stores what came, at once or, with `storing` off, never."""

    def __init__(self) -> None:
        self.storing = True
        self.items: list[Delivery] = []
        self._arrived = asyncio.Event()

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self.items.append(item)
        self._arrived.set()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.storing:
            future.set_result(None)
        else:
            future.set_exception(RuntimeError("the store is away"))
        return future

    async def wait_for(self, enough: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while not enough():
                self._arrived.clear()
                await self._arrived.wait()

    async def receipts(self, count: int) -> list[Receipt]:
        await self.wait_for(lambda: len(self.items) >= count)
        return [item for item in self.items if isinstance(item, Receipt)]


def carrier_config(*, listener: ListenerConfig | None = None, **others: Any) -> SimulatorConfig:
    """A simulated carrier without oddities whose receipts come at once, unless said otherwise."""
    faults = Faults(**{**NO_ODDITIES, **others.pop("faults", {})})
    account = Account(account="12345", secret=SecretStr(PASSWORD), listener=listener)
    values: dict[str, Any] = {
        "cmpp_port": None,
        "sgip_port": 0,
        "accounts": (account,),
        "max_delay_seconds": 0,
        "faults": faults,
    }
    return SimulatorConfig(**{**values, **others})


def door(port: int, **others: Any) -> ListenerConfig:
    return ListenerConfig(**{"port": port, "login": "smg0371", "password": "smgpass", **others})


@asynccontextmanager
async def listening(inbox: Inbox, port: int = 0) -> AsyncIterator[SPListener]:
    options = {"listen_login_name": "smg0371", "listen_password": "smgpass"}
    config = settings(1, listen_port=port, **options)
    listener = SGIPGateway.listener(config, inbox.deliver, CLOCK)
    assert listener is not None
    async with listener as entered:
        yield entered


@asynccontextmanager
async def connected(carrier: Simulator, inbox: Inbox, **others: Any) -> AsyncIterator[SGIPGateway]:
    gateway = SGIPGateway(settings(carrier.ports["sgip"], **others), inbox.deliver, CLOCK)
    await gateway.open()
    yield gateway
    await gateway.close(drain_seconds=0)


class World:
    """A channel, served: its connection, its listener, and the carrier on the other side."""

    def __init__(
        self, carrier: Simulator, gateway: SGIPGateway, inbox: Inbox, listener: SPListener
    ) -> None:
        self.carrier = carrier
        self.gateway = gateway
        self.inbox = inbox
        self.listener = listener

    @property
    def subscriber(self) -> Subscriber:
        return subscriber(self.carrier)


def subscriber(carrier: Simulator) -> Subscriber:
    return carrier.smsc.subscribers["sgip", "12345"]


@asynccontextmanager
async def world(**others: Any) -> AsyncIterator[World]:
    gateway_options = others.pop("gateway", {})
    inbox = Inbox()
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(listening(inbox))
        config = carrier_config(listener=door(listener.port), **others)
        carrier = await stack.enter_async_context(running(config))
        gateway = await stack.enter_async_context(connected(carrier, inbox, **gateway_options))
        yield World(carrier, gateway, inbox, listener)


def fate(carrier: Simulator, phone: str) -> PhoneFate:
    config = carrier.smsc.config
    return fates(config.profile, config.seed, config.lane)(phone)


def phones(count: int) -> list[str]:
    return [f"+861979{index:07d}" for index in range(count)]


async def send(
    gateway: SGIPGateway, lots: Sequence[tuple[str, ...]], text: str = "警钟"
) -> list[SubmitResult]:
    parts = gateway.split(text)
    batch = [Submission(recipients, part, 7) for recipients in lots for part in parts]
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await asyncio.gather(*gateway.submit(batch)))


async def send_until_taken(gateway: SGIPGateway, numbers: Sequence[str]) -> dict[str, bytes]:
    """Submit to each, again where it was too fast; the reference of each."""
    refs: dict[str, bytes] = {}
    while waiting := [phone for phone in numbers if phone not in refs]:
        results = await send(gateway, [(phone,) for phone in waiting[:32]])
        for phone, result in zip(waiting, results, strict=False):
            assert result.outcome in {Outcome.ACCEPTED, Outcome.THROTTLED}
            if result.refs:
                (refs[phone],) = result.refs
    return refs


# Submits out, reports in


async def test_everybody_is_submitted_to_and_reported_on_over_the_other_connection() -> None:
    async with world() as w:
        refs = await send_until_taken(w.gateway, phones(300))
        assert len(set(refs.values())) == 300
        reported = {phone for phone in refs if fate(w.carrier, phone).stat}
        receipts = await w.inbox.receipts(len(reported))
        assert {(r.recipient, r.ref) for r in receipts} == {(p, refs[p]) for p in reported}
        tally = w.subscriber.tally
        await until(lambda: tally.receipts_acknowledged == len(reported))
        assert tally.receipts_sent == len(reported)
        drawn = Counter(fate(w.carrier, phone).fate for phone in reported)
        states = Counter(r.state for r in receipts)
        assert states[ReceiptState.DELIVERED] == drawn["delivered"] > 200
        reasons = Counter(r.reason for r in receipts)
        for name in ("powered_off", "suspended", "empty_number", "blacklisted", "memory_full"):
            assert reasons[name] == drawn[name] > 0


async def test_each_recipient_of_a_lot_is_reported_on() -> None:
    async with world(profile="carrier") as w:
        taken = [p for p in phones(80) if not fate(w.carrier, p).throttled]
        (result,) = await send(w.gateway, [tuple(taken)])
        assert (result.outcome, len(result.refs)) == (Outcome.ACCEPTED, len(taken))
        reported = {phone for phone in taken if fate(w.carrier, phone).stat}
        receipts = await w.inbox.receipts(len(reported))
        assert {r.recipient for r in receipts} == reported
        assert {r.ref for r in receipts} == set(result.refs)
        await until(lambda: w.subscriber.tally.receipts_acknowledged == len(reported))


async def test_a_long_text_has_a_report_for_each_part() -> None:
    async with world(profile="carrier") as w:
        lucky = next(p for p in phones(50) if fate(w.carrier, p).fate == "delivered")
        results = await send(w.gateway, [(lucky,)], "警" * 150)
        assert [r.outcome for r in results] == [Outcome.ACCEPTED] * 3
        receipts = await w.inbox.receipts(3)
        assert {r.ref for r in receipts} == {ref for result in results for ref in result.refs}


async def test_without_a_receipt_asked_for_none_comes() -> None:
    async with world() as w:
        (part,) = w.gateway.split("警钟")
        numbers = [p for p in phones(40) if not fate(w.carrier, p).throttled]
        batch = [Submission((p,), part, 1, receipt=p == numbers[-1]) for p in numbers]
        async with asyncio.timeout(PATIENCE_SECONDS):
            await asyncio.gather(*w.gateway.submit(batch))
        (receipt,) = await w.inbox.receipts(1)
        assert receipt.recipient == numbers[-1]
        assert len(w.subscriber.receipts) == 0


async def test_what_could_not_be_stored_comes_again() -> None:
    async with world(response_timeout_seconds=0.3) as w:
        w.inbox.storing = False
        refs = await send_until_taken(w.gateway, phones(5))
        reported = {phone for phone in refs if fate(w.carrier, phone).stat}
        await w.inbox.wait_for(lambda: len(w.inbox.items) >= 2 * len(reported))
        assert w.subscriber.tally.receipts_acknowledged == 0
        w.inbox.storing = True
        await until(lambda: w.subscriber.tally.receipts_acknowledged == len(reported))


async def test_receipts_wait_while_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "RETRY_FIRST", 0.02)
    inbox = Inbox()
    async with listening(inbox) as listener:
        port = listener.port
    async with running(carrier_config(listener=door(port))) as carrier:
        async with connected(carrier, inbox) as gateway:
            refs = await send_until_taken(gateway, phones(20))
        reported = {phone for phone in refs if fate(carrier, phone).stat}
        await until(lambda: len(subscriber(carrier).receipts) == len(reported))
        async with listening(inbox, port):
            receipts = await inbox.receipts(len(reported))
            assert {r.recipient for r in receipts} == reported


async def test_a_listener_that_refuses_the_login_gets_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(simulated, "RETRY_FIRST", 0.02)
    inbox = Inbox()
    async with listening(inbox) as listener:
        config = carrier_config(listener=door(listener.port, password="wrong"))
        async with running(config) as carrier, connected(carrier, inbox) as gateway:
            await send_until_taken(gateway, phones(3))
            await until(lambda: caplog.messages.count(simulated.NOT_DIALLED) >= 2)
    assert inbox.items == []


async def test_the_carrier_dials_again_when_it_was_cut() -> None:
    async with world() as w:
        refs = await send_until_taken(w.gateway, phones(5))
        before = {phone for phone in refs if fate(w.carrier, phone).stat}
        await w.inbox.receipts(len(before))
        for link in list(w.listener.links):
            await link.cut("the test cuts it")
        refs = await send_until_taken(w.gateway, phones(30)[5:])
        after = {phone for phone in refs if fate(w.carrier, phone).stat}
        receipts = await w.inbox.receipts(len(before) + len(after))
        assert {r.recipient for r in receipts} == before | after


async def test_a_restarted_carrier_owes_what_was_not_acknowledged(tmp_path: Path) -> None:
    inbox = Inbox()
    journal = tmp_path / "journal"
    async with listening(inbox) as listener:
        port = listener.port
    config = carrier_config(listener=door(port), journal=journal)
    async with running(config) as carrier:
        async with connected(carrier, inbox) as gateway:
            lot = tuple(p for p in phones(20) if not fate(carrier, p).throttled)
            (result,) = await send(gateway, [lot])
        reported = {phone for phone in lot if fate(carrier, phone).stat}
    async with listening(inbox, port), running(config):
        receipts = await inbox.receipts(len(reported))
        assert {r.recipient for r in receipts} == reported
        assert {r.ref for r in receipts} == set(result.refs)


async def test_an_account_without_a_listener_is_reported_to_on_its_own_connection() -> None:
    inbox = Inbox()
    async with running(carrier_config()) as carrier, connected(carrier, inbox) as gateway:
        refs = await send_until_taken(gateway, phones(20))
        reported = {phone for phone in refs if fate(carrier, phone).stat}
        receipts = await inbox.receipts(len(reported))
        assert {(r.recipient, r.ref) for r in receipts} == {(p, refs[p]) for p in reported}
        await until(lambda: subscriber(carrier).tally.receipts_acknowledged == len(reported))


# Texts from handsets


async def test_the_parts_of_a_text_may_come_over_two_connections() -> None:
    async with world() as w:
        await send_until_taken(w.gateway, phones(3))
        await until(lambda: len(w.subscriber.receipts.links) == 2)
        parts = split("退" * 150)
        w.subscriber.receipts.spread([MOPart(PHONE, "1065512301", part, 0x21) for part in parts])
        await until(lambda: w.subscriber.tally.replies_acknowledged == len(parts))
        texts = [item for item in w.inbox.items if isinstance(item, Inbound)]
        assert {(t.sender, t.recipient, t.reference, t.total) for t in texts} == {
            (PHONE, "1065512301", 0x21, 3)
        }
        whole = "".join(t.text for t in sorted(texts, key=lambda text: text.number))
        assert whole == "退" * 150


async def test_a_text_wakes_the_dialler() -> None:
    async with world() as w:
        (part,) = split("TD")
        assert not w.listener.links
        w.subscriber.receipts.spread([MOPart(PHONE, "10655123", part, 0)])
        await w.inbox.wait_for(lambda: len(w.inbox.items) == 1)
        assert w.inbox.items == [Inbound(PHONE, "10655123", "TD")]


# Logins and refusals


@pytest.mark.parametrize(
    ("options", "code"),
    [({"login_password": "wrong"}, "1"), ({"login_name": "54321"}, "1")],
)
async def test_a_wrong_login_is_refused(options: dict[str, str], code: str) -> None:
    async with running(carrier_config()) as carrier:
        gateway = SGIPGateway(settings(carrier.ports["sgip"], **options), Inbox().deliver, CLOCK)
        with pytest.raises(LoginRefused) as refusal:
            await gateway.open()
        assert (refusal.value.code, refusal.value.retryable) == (code, False)


async def test_one_connection_too_many_is_refused_for_now() -> None:
    async with running(carrier_config(max_connections=1)) as carrier:
        async with connected(carrier, Inbox()):
            gateway = SGIPGateway(settings(carrier.ports["sgip"]), Inbox().deliver, CLOCK)
            with pytest.raises(LoginRefused) as refusal:
                await gateway.open()
        assert (refusal.value.code, refusal.value.retryable) == ("3", True)


@pytest.mark.parametrize(
    ("faults", "outcome", "code"),
    [
        ({"too_fast": 1}, Outcome.THROTTLED, "88"),
        ({"daily_limit": 0}, Outcome.DAILY_LIMIT, "182"),
        ({"barred_accounts": ("12345",)}, Outcome.SUSPENDED, "108"),
        ({"swallow_responses": 1}, Outcome.UNANSWERED, ""),
        ({"garbage_responses": 1}, Outcome.UNANSWERED, ""),
        ({"disconnect_after": 1}, Outcome.UNANSWERED, ""),
        ({"half_open": True}, Outcome.UNANSWERED, ""),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_each_fault_has_its_outcome(
    faults: dict[str, Any], outcome: Outcome, code: str
) -> None:
    async with world(gateway={"response_timeout_seconds": 0.4}) as w:
        lucky = next(p for p in phones(50) if not fate(w.carrier, p).throttled)
        w.carrier.smsc.set_faults(Faults(**{**NO_ODDITIES, **faults}))
        (result,) = await send(w.gateway, [(lucky,)])
        assert (result.outcome, result.code) == (outcome, code)
        assert bool(result.refs) is (outcome is Outcome.UNANSWERED)
        if outcome is Outcome.UNANSWERED:
            await soon(w.gateway.lost.wait())


async def test_a_text_that_went_unanswered_is_settled_by_its_report() -> None:
    async with world(gateway={"response_timeout_seconds": 0.3}, profile="carrier") as w:
        w.carrier.smsc.set_faults(Faults.model_validate({**NO_ODDITIES, "swallow_responses": 1}))
        lucky = next(p for p in phones(50) if fate(w.carrier, p).fate == "delivered")
        (result,) = await send(w.gateway, [(lucky,)])
        assert result.outcome is Outcome.UNANSWERED
        (receipt,) = await w.inbox.receipts(1)
        assert (receipt.ref,) == result.refs


async def test_a_refused_login_and_a_carrier_that_is_away_are_told_apart() -> None:
    config = carrier_config(faults={"login_status": 33})
    async with running(config) as carrier:
        gateway = SGIPGateway(settings(carrier.ports["sgip"]), Inbox().deliver, CLOCK)
        with pytest.raises(LoginRefused) as refusal:
            await gateway.open()
        assert (refusal.value.code, refusal.value.retryable) == ("33", True)
    gateway = SGIPGateway(settings(carrier.ports["sgip"]), Inbox().deliver, CLOCK)
    with pytest.raises(Unreachable):
        await gateway.open()


# The carrier's side, packet by packet


async def test_a_submit_before_the_login_closes_the_connection() -> None:
    async with running(carrier_config()) as carrier, dialled(carrier.ports["sgip"]) as sp:
        sp.write(number(1), SUBMIT)
        assert await sp.read_to_the_end() == b""
        assert subscriber(carrier).tally.accepted == 0


@pytest.mark.parametrize(("login_type", "result"), [(1, 0), (2, 4), (11, 4)])
async def test_only_login_type_1_may_submit(login_type: int, result: int) -> None:
    async with running(carrier_config()) as carrier, dialled(carrier.ports["sgip"]) as sp:
        bind = Bind(login_type, "12345", PASSWORD)
        assert await sp.ask(number(1), bind) == (number(1), BindResp(result))


async def test_a_second_login_on_a_connection_is_refused_and_the_first_stays() -> None:
    async with running(carrier_config()) as carrier, dialled(carrier.ports["sgip"]) as sp:
        bind = Bind(1, "12345", PASSWORD)
        assert await sp.ask(number(1), bind) == (number(1), BindResp(0))
        assert await sp.ask(number(2), bind) == (number(2), BindResp(2))
        sequence, answer = await sp.ask(number(3), SUBMIT)
        assert (sequence, type(answer)) == (number(3), SubmitResp)
        assert await sp.ask(number(4), Unbind()) == (number(4), UnbindResp())
        assert await sp.read_to_the_end() == b""


@pytest.mark.parametrize(
    ("changes", "result"),
    [
        ({"user_number": (PHONE[3:],)}, 6),
        ({"user_number": (PHONE[1:], "86123")}, 6),
        ({"user_number": ()}, 6),
        ({"message_content": bytes(141), "message_coding": 8}, 8),
        ({"message_content": bytes(161), "message_coding": 0}, 8),
    ],
)
async def test_what_the_book_forbids_is_refused(changes: dict[str, Any], result: int) -> None:
    values = {
        "sp_number": "10655123",
        "user_number": (PHONE[1:],),
        "corp_id": "12345",
        "message_content": b"x",
        "message_coding": 0,
    }
    async with running(carrier_config()) as carrier, dialled(carrier.ports["sgip"]) as sp:
        await sp.ask(number(1), Bind(1, "12345", PASSWORD))
        submit = Submit(**{**values, **changes})
        assert await sp.ask(number(2), submit) == (number(2), SubmitResp(result))


async def test_a_duplicate_is_dropped_and_a_used_number_refused() -> None:
    async with running(carrier_config(profile="carrier")) as carrier:
        async with dialled(carrier.ports["sgip"]) as sp:
            await sp.ask(number(1), Bind(1, "12345", PASSWORD))
            lucky = next(p[1:] for p in phones(50) if not fate(carrier, p).throttled)
            submit = Submit("10655123", (lucky,), "12345", b"x", 0, report_flag=2)
            changed = Submit("10655123", (lucky,), "12345", b"y", 0, report_flag=2)
            assert await sp.ask(number(2), submit) == (number(2), SubmitResp(0))
            sp.write(number(2), submit)
            assert await sp.ask(number(2), changed) == (number(2), SubmitResp(9))
            assert await sp.ask(number(3), changed) == (number(3), SubmitResp(0))
        assert subscriber(carrier).tally.accepted == 2


async def test_an_idle_connection_is_closed_and_the_gateway_sleeps() -> None:
    async with world() as w:
        (server,) = subscriber(w.carrier).links
        assert isinstance(server, simulated.SGIPServer)
        server.on_tick(server.loop.time() + 59)
        assert server.is_open
        server.on_tick(server.loop.time() + 61)
        await soon(w.gateway.link.lost.wait())
        assert not w.gateway.lost.is_set()
        (result,) = await send(w.gateway, [(PHONE,)])
        assert result.outcome is Outcome.NOT_SENT
        assert w.gateway.lost.is_set()


async def test_an_idle_carrier_logs_out_and_dials_again_when_needed() -> None:
    async with world() as w:
        refs = await send_until_taken(w.gateway, phones(5))
        reported = [phone for phone in refs if fate(w.carrier, phone).stat]
        await until(lambda: w.subscriber.tally.receipts_acknowledged == len(reported))
        await until(lambda: len(w.subscriber.receipts.links) == 2)
        for link in list(w.subscriber.receipts.links):
            assert isinstance(link, simulated.DialledLink)
            link.on_tick(link.loop.time() + 61)
            await soon(link.lost.wait())
            assert link.reason == "logged out"
        await until(lambda: not w.listener.links)
        (part,) = split("TD")
        w.subscriber.receipts.spread([MOPart(PHONE, "10655123", part, 0)])
        await w.inbox.wait_for(lambda: w.inbox.items[-1] == Inbound(PHONE, "10655123", "TD"))


async def test_a_report_that_is_not_taken_comes_again() -> None:
    """A scripted SP, whose listener answers with an error at first."""
    async with listening_sp(SMG) as sp_side:
        config = carrier_config(listener=door(sp_side.port), profile="carrier")
        async with running(config) as carrier, connected(carrier, Inbox()) as gateway:
            lucky = next(p for p in phones(50) if fate(carrier, p).fate == "delivered")
            (result,) = await send(gateway, [(lucky,)])
            sp = await sp_side.peer()
            assert await sp.accept_login() == Bind(2, "smg0371", "smgpass")
            first, report = await sp.read()
            assert report == Report(int.from_bytes(result.refs[0], "big"), lucky[1:], 0)
            carrier.smsc.config.response_timeout_seconds = 0.05  # until it comes again
            sp.write(first, ReportResp(32))
            again, repeated = await sp.read()
            assert (repeated, again == first) == (report, False)
            sp.write(again, ReportResp(0))
            await until(lambda: subscriber(carrier).tally.receipts_acknowledged == 1)
