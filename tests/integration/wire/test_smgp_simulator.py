"""The China Telecom gateway and the simulated carrier over real sockets, and raw SPs."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
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
)
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.coding.parts import split
from service.gateways.smgp import SMGPConfig, SMGPGateway
from service.protocols.gateway_digest import GATEWAY_UNVERIFIED
from service.protocols.smgp.message_id import following
from service.protocols.smgp.packet import PDU
from service.protocols.smgp.pdu import (
    ActiveTest,
    ActiveTestResp,
    Deliver,
    DeliverResp,
    Login,
    LoginResp,
    Submit,
    SubmitResp,
)
from service.protocols.smgp.report import parse_report
from service.protocols.smgp.tlv import Options
from service.simulator.carrier.config import Account, Faults, SimulatorConfig
from service.simulator.carrier.outcomes import fates
from service.simulator.carrier.receipts import MOPart
from service.simulator.run import Simulator, running
from tests.harness.session import PATIENCE_SECONDS
from tests.harness.smgp import SMGPPeer
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("smgp", "smgp30")}
SHORT_LOGIN = VECTORS["smgp-login-send-mode-short-id"]["fields"]
ACCOUNT = "12345678"
SECRET = "1qaz2wsx"
CHANNEL = "china_telecom"


class Inbox:
    """Stores what a gateway received, at once or, with `storing` off, never."""

    def __init__(self) -> None:
        self.storing = True
        self._items: asyncio.Queue[Delivery] = asyncio.Queue()

    def deliver(self, item: Delivery) -> "asyncio.Future[None]":
        self._items.put_nowait(item)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.storing:
            future.set_result(None)
        else:
            future.set_exception(OSError("the store is away"))
        return future

    async def next(self) -> Delivery:
        return await asyncio.wait_for(self._items.get(), PATIENCE_SECONDS)

    async def receipts(self, number: int) -> list[Receipt]:
        items = [await self.next() for _ in range(number)]
        return [item for item in items if isinstance(item, Receipt)]


def simulator(*, faults: dict[str, Any] | None = None, **others: Any) -> SimulatorConfig:
    """A simulated carrier without oddities whose receipts come at once, unless said otherwise."""
    odd = {"duplicate_receipts": 0, "early_receipts": 0, "unknown_receipts": 0, **(faults or {})}
    values: dict[str, Any] = {
        "cmpp_port": None,
        "smgp_port": 0,
        "lane": CHANNEL,
        "accounts": (Account(account=ACCOUNT, secret=SecretStr(SECRET)),),
        "max_delay_seconds": 0,
        "seed": 1,
        "faults": Faults(**odd),
    }
    return SimulatorConfig(**{**values, **others})


def gateway(carrier: Simulator, inbox: Inbox, **others: Any) -> SMGPGateway:
    """An unopened gateway for the simulator's account."""
    values = {
        "host": "127.0.0.1",
        "port": carrier.ports["smgp"],
        "account": ACCOUNT,
        "secret": SECRET,
        "access_number": "106590001234",
    }
    return SMGPGateway(SMGPConfig(**{**values, **others}), inbox.deliver, Clock())


@asynccontextmanager
async def connected(
    carrier: Simulator, inbox: Inbox | None = None, **others: Any
) -> AsyncIterator[SMGPGateway]:
    """A gateway that is logged in."""
    link = gateway(carrier, inbox or Inbox(), **others)
    await link.open()
    try:
        yield link
    finally:
        await link.close(drain_seconds=0)


@asynccontextmanager
async def dialled(carrier: Simulator) -> AsyncIterator[SMGPPeer]:
    """A raw connection, not logged in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports["smgp"])
    try:
        yield SMGPPeer(reader, writer)
    finally:
        writer.transport.abort()
        await turns()


@asynccontextmanager
async def logged_in(carrier: Simulator) -> AsyncIterator[SMGPPeer]:
    """A raw connection of the recorded account."""
    async with dialled(carrier) as sp:
        sp.writer.write(bytes.fromhex(VECTORS["smgp-login"]["hex"]))
        assert (await sp.read_frame()).hex() == VECTORS["smgp-login-resp-ok"]["hex"]
        yield sp


def phones(number: int) -> list[str]:
    """Synthetic numbers of China Telecom's channel that it accepts at once."""
    judge = fates("roster", 1, CHANNEL)
    every = (f"+861979{index:07d}" for index in range(number * 2))
    return [phone for phone in every if not judge(phone).throttled][:number]


async def send(
    link: SMGPGateway, recipients: Sequence[str], text: str = "警钟", *, together: bool = False
) -> list[SubmitResult]:
    """Submit a text, to each alone or to all together, and wait for all answers."""
    groups = [tuple(recipients)] if together else [(phone,) for phone in recipients]
    batch = [Submission(group, part, 7) for group in groups for part in link.split(text)]
    async with asyncio.timeout(PATIENCE_SECONDS):
        return list(await asyncio.gather(*link.submit(batch)))


def submit(*numbers: str, **others: Any) -> Submit:
    values = {"msg_content": b"x", "src_term_id": "1065", "msg_format": 0, **others}
    return Submit(dest_term_id=numbers, **values)


def report_of(pdu: PDU) -> Any:
    assert isinstance(pdu, Deliver)
    found = parse_report(pdu.msg_content)
    assert found is not None
    return found


# Logins


async def test_the_recorded_login_gets_the_recorded_answer() -> None:
    async with running(simulator()) as carrier, logged_in(carrier):
        pass


@pytest.mark.parametrize(
    "digest", [SHORT_LOGIN["authenticator_client_hex"], "b61b255375bbc49268f3601fad9e2aba"]
)
async def test_a_short_account_may_be_padded_or_not(digest: str) -> None:
    accounts = ({"account": "3710", "secret": SECRET},)
    async with running(simulator(accounts=accounts)) as carrier, dialled(carrier) as sp:
        sp.write(1, Login("3710", bytes.fromhex(digest), 2, SHORT_LOGIN["timestamp"], 0x30))
        _, answer = await sp.read()
        assert isinstance(answer, LoginResp)
        assert answer.status == 0


@pytest.mark.parametrize(
    ("others", "status", "retryable"),
    [({"secret": "wrong"}, "21", False), ({"account": "99999999"}, "21", False)],
)
async def test_who_does_not_know_the_secret_is_refused(
    others: dict[str, str], status: str, retryable: bool
) -> None:
    async with running(simulator()) as carrier:
        with pytest.raises(LoginRefused) as refused:
            await gateway(carrier, Inbox(), **others).open()
        assert (refused.value.code, refused.value.retryable) == (status, retryable)


@pytest.mark.parametrize(("mode", "version", "status"), [(2, 0x13, 22), (3, 0x30, 10)])
async def test_another_version_or_mode_is_refused(mode: int, version: int, status: int) -> None:
    async with running(simulator()) as carrier, dialled(carrier) as sp:
        sp.write(1, Login(ACCOUNT, bytes(16), mode, 0, version))
        assert await sp.read() == (1, LoginResp(status, bytes(16), 0x30))
        assert await sp.read_to_the_end() == b""


async def test_too_many_connections_are_refused_until_one_ends() -> None:
    async with running(simulator(max_connections=1)) as carrier:
        async with connected(carrier):
            with pytest.raises(LoginRefused) as refused:
                await gateway(carrier, Inbox()).open()
            assert (refused.value.code, refused.value.retryable) == ("2", True)
        async with connected(carrier):
            pass


async def test_a_login_is_refused_on_demand_with_any_status() -> None:
    async with running(simulator(faults={"login_status": 76})) as carrier:
        with pytest.raises(LoginRefused, match="expired"):
            await gateway(carrier, Inbox()).open()


async def test_a_gateway_with_a_wrong_digest_is_refused_unless_there_is_a_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running(simulator(faults={"wrong_digest": True})) as carrier:
        with pytest.raises(LoginRefused, match="does not match the secret"):
            await gateway(carrier, Inbox()).open()
        caplog.clear()
        async with connected(carrier, verify_gateway=False, unverified_because="it says so"):
            pass
        assert GATEWAY_UNVERIFIED in caplog.messages


async def test_nothing_goes_before_the_login() -> None:
    async with running(simulator()) as carrier, dialled(carrier) as sp:
        sp.write(1, submit("19790001234"))
        assert await sp.read_to_the_end() == b""


async def test_heartbeats_are_answered_and_sent() -> None:
    async with running(simulator(heartbeat_seconds=0.1)) as carrier, logged_in(carrier) as sp:
        sp.write(8, ActiveTest())
        assert await sp.read() == (8, ActiveTestResp())
        _, asked = await sp.read()
        assert isinstance(asked, ActiveTest)


async def test_both_sides_keep_an_idle_link_alive() -> None:
    quick: dict[str, Any] = {"heartbeat_seconds": 0.05, "response_timeout_seconds": 0.2}
    async with running(simulator(**quick)) as carrier, connected(carrier, **quick) as link:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(link.lost.wait(), 0.6)  # three times the timeout
        (result,) = await send(link, phones(1))
        assert result.outcome is Outcome.ACCEPTED


# Submits


async def test_ids_are_ten_octets_of_digits_and_unique() -> None:
    async with running(simulator()) as carrier, connected(carrier) as link:
        results = await send(link, phones(300))
    refs = {result.refs[0].hex() for result in results}
    assert len(refs) == 300
    assert all(len(ref) == 20 and ref.isdecimal() for ref in refs)


@pytest.mark.parametrize(
    ("packet", "status"),
    [
        (submit("10000"), 47),
        (submit("19790001234", "1"), 47),
        (submit(), 47),
        (submit("19790001234", msg_content=bytes(160)), 36),
        (submit("19790001234", msg_content=bytes(159)), 0),
        (submit("19790001234", msg_content=bytes(141), msg_format=8), 36),
        (submit("8619790001234"), 0),
    ],
)
async def test_a_submit_that_breaks_the_rules_is_refused(packet: Submit, status: int) -> None:
    async with running(simulator()) as carrier, logged_in(carrier) as sp:
        sp.write(5, packet)
        sequence, answer = await sp.read()
        assert isinstance(answer, SubmitResp)
        assert (sequence, answer.status) == (5, status)


async def test_several_recipients_have_the_ids_that_their_receipts_carry() -> None:
    inbox, recipients = Inbox(), phones(100)
    judge = fates("roster", 1, CHANNEL)
    expected = [phone for phone in recipients if judge(phone).stat]
    async with running(simulator()) as carrier, connected(carrier, inbox) as link:
        (result,) = await send(link, recipients, together=True)
        receipts = await inbox.receipts(len(expected))
    refs = dict(zip(recipients, result.refs, strict=True))
    assert {receipt.recipient: receipt.ref for receipt in receipts} == {
        phone: refs[phone] for phone in expected
    }
    assert refs[recipients[-1]] == following(result.refs[0], 99)


async def test_one_bad_recipient_refuses_the_lot_and_nobody_is_sent_to() -> None:
    inbox = Inbox()
    async with running(simulator()) as carrier, connected(carrier, inbox) as link:
        results = await send(link, [*phones(2), "+8610000"], together=True)
        assert [(r.outcome, r.code) for r in results] == [(Outcome.REFUSED_LOT, "47")]
        assert {r.outcome for r in await send(link, phones(1))} == {Outcome.ACCEPTED}
        (receipt,) = await inbox.receipts(1)
        assert receipt.recipient == phones(1)[0]
        assert carrier.smsc.subscribers["smgp", ACCOUNT].tally.accepted == 1


async def test_more_than_the_rate_is_too_fast_and_every_recipient_counts() -> None:
    async with running(simulator(tps=100)) as carrier, connected(carrier) as link:
        (result,) = await send(link, phones(90), together=True)
        assert result.outcome is Outcome.ACCEPTED
        results = await send(link, phones(50))
        assert Counter(result.code for result in results) == {"0": 12, "1": 38}
        assert {r.outcome for r in results if r.code == "1"} == {Outcome.THROTTLED}


async def test_above_the_amount_of_the_day_nothing_more_is_taken() -> None:
    config = simulator(faults={"daily_limit": 3})
    async with running(config) as carrier, connected(carrier) as link:
        results = await send(link, phones(5))
    assert [result.outcome for result in results] == [
        *[Outcome.ACCEPTED] * 3,
        *[Outcome.DAILY_LIMIT] * 2,
    ]
    assert results[-1].code == "75"


async def test_an_account_that_is_barred_may_log_in_but_not_submit() -> None:
    config = simulator(faults={"barred_accounts": (ACCOUNT,)})
    async with running(config) as carrier, connected(carrier) as link:
        (result,) = await send(link, phones(1))
    assert (result.outcome, result.code) == (Outcome.SUSPENDED, "76")


@pytest.mark.parametrize(
    "options", [Options(tp_udhi=1), Options(tp_udhi=1, pk_total=2, pk_number=2)]
)
async def test_a_part_is_known_by_its_header_or_its_parameters(
    options: Options, tmp_path: Path
) -> None:
    config = simulator(journal=tmp_path / "j")
    async with running(config) as carrier, logged_in(carrier) as sp:
        content = b"\x05\x00\x03\x07\x02\x02hi"
        sp.write(1, submit(phones(1)[0][3:], msg_content=content, options=options))
        await sp.read()
        entry = json.loads((tmp_path / "j").read_text().splitlines()[0])
    assert (entry["number"], entry["total"]) == (2, 2)


# Receipts


async def test_every_fate_is_reported_with_its_reason() -> None:
    judge = fates("stale", 1, CHANNEL)
    chosen = {judge(p).fate: p for p in (f"+861979{n:07d}" for n in range(9000, 0, -1))}
    del chosen["no_receipt"]
    inbox = Inbox()
    recipients = [phone for phone in chosen.values() if not judge(phone).throttled]
    async with running(simulator(profile="stale")) as carrier, connected(carrier, inbox) as link:
        await send(link, recipients)
        receipts = await inbox.receipts(len(recipients))
    reasons = {judge(receipt.recipient).fate: receipt.reason for receipt in receipts}
    assert len(reasons) == 9
    assert reasons.pop("delivered") == ""
    assert all(fate == reason for fate, reason in reasons.items())


async def test_reports_come_in_the_spellings_of_three_stacks() -> None:
    async with running(simulator()) as carrier, logged_in(carrier) as sp:
        for sequence in range(3):
            sp.write(sequence, submit(phones(1)[0][3:]))
        pdus = [(await sp.read())[1] for _ in range(6)]
        contents = [pdu.msg_content for pdu in pdus if isinstance(pdu, Deliver)]
        assert [len(content) for content in contents] == [122] * 3
        spellings = {content[31:44] for content in contents}
        assert spellings == {b" Submit date:", b" submit date:", b" submit_date:"}
        assert {report_of(pdu).stat for pdu in pdus if isinstance(pdu, Deliver)} == {"DELIVRD"}


async def test_no_receipt_comes_where_none_was_asked_for() -> None:
    inbox = Inbox()
    async with running(simulator()) as carrier, connected(carrier, inbox) as link:
        first, second = phones(2)
        (part,) = link.split("警钟")
        silent = Submission((first,), part, 7, receipt=False)
        await asyncio.gather(*link.submit([silent, Submission((second,), part, 7)]))
        (receipt,) = await inbox.receipts(1)
        assert receipt.recipient == second
        assert len(carrier.smsc.subscribers["smgp", ACCOUNT].receipts) == 0


async def test_a_receipt_that_could_not_be_stored_comes_again() -> None:
    inbox = Inbox()
    inbox.storing = False
    quick = simulator(response_timeout_seconds=0.2, heartbeat_seconds=0.05)
    async with running(quick) as carrier, connected(carrier, inbox) as link:
        await send(link, phones(1))
        (first,) = await inbox.receipts(1)
        inbox.storing = True
        (second,) = await inbox.receipts(1)
        assert first == second


async def test_a_refused_receipt_is_sent_again() -> None:
    config = simulator(response_timeout_seconds=0.2)
    async with running(config) as carrier, logged_in(carrier) as sp:
        sp.write(1, submit(phones(1)[0][3:]))
        _, answer = await sp.read()
        assert isinstance(answer, SubmitResp)
        for status in (1, 0):
            sequence, deliver = await sp.read()
            assert report_of(deliver).msg_id == answer.msg_id
            assert isinstance(deliver, Deliver)
            sp.write(sequence, DeliverResp(deliver.msg_id, status))


async def test_receipts_owed_outlive_a_restart(tmp_path: Path) -> None:
    config = simulator(journal=tmp_path / "journal")
    inbox = Inbox()
    async with running(config) as carrier, connected(carrier, login_mode=2) as link:
        link._deliver = lambda _: asyncio.get_running_loop().create_future()
        (result,) = await send(link, phones(1))
    async with running(config) as carrier, connected(carrier, inbox):
        (receipt,) = await inbox.receipts(1)
    assert receipt.ref == result.refs[0]


# Two connections, one for each way


async def test_a_pair_sends_on_one_connection_and_receives_on_the_other() -> None:
    inbox = Inbox()
    async with running(simulator()) as carrier, connected(carrier, inbox, login_mode=0) as link:
        results = await send(link, phones(20))
        receipts = await inbox.receipts(20)
        assert {receipt.ref for receipt in receipts} == {result.refs[0] for result in results}
        subscriber = carrier.smsc.subscribers["smgp", ACCOUNT]
        assert len(subscriber.links) == 2
        assert len(subscriber.receipts.links) == 1
        await link.close(drain_seconds=1)
        assert subscriber.receipts.links == []


async def test_a_connection_that_only_sends_gets_no_receipts() -> None:
    async with running(simulator()) as carrier:
        async with dialled(carrier) as sp:
            accounts = VECTORS["smgp-login"]["fields"]
            digest = bytes.fromhex(accounts["authenticator_client_hex"])
            sp.write(1, Login(ACCOUNT, digest, 0, accounts["timestamp"], 0x30))
            await sp.read()
            sp.write(2, submit(phones(1)[0][3:]))
            _, answer = await sp.read()
            assert isinstance(answer, SubmitResp)
            sp.write(3, ActiveTest())
            assert await sp.read() == (3, ActiveTestResp())
        async with dialled(carrier) as sp:
            sp.write(1, Login(ACCOUNT, digest, 1, accounts["timestamp"], 0x30))
            await sp.read()
            assert report_of((await sp.read())[1]).msg_id == answer.msg_id
            sp.write(2, submit(phones(1)[0][3:]))
            assert await sp.read() == (2, SubmitResp(bytes(10), 11))


# Texts from handsets


@pytest.mark.parametrize("text", ["TD", "退订", "警" * 150])
async def test_a_text_from_a_handset_arrives_in_its_parts(text: str) -> None:
    inbox = Inbox()
    async with running(simulator()) as carrier, connected(carrier, inbox):
        subscriber = carrier.smsc.subscribers["smgp", ACCOUNT]
        phone = phones(1)[0]
        parts = split(text, allow_ascii=True)
        subscriber.receipts.spread([MOPart(phone, "10659000123408", p, 0x5A) for p in parts])
        arrived = [await inbox.next() for _ in parts]
        assert "".join(item.text for item in arrived if isinstance(item, Inbound)) == text
        reference = 0x5A if len(parts) > 1 else 0
        assert [item for item in arrived if isinstance(item, Inbound)] == [
            Inbound(phone, "10659000123408", item.text, reference, number, len(parts))
            for number, item in enumerate(arrived, start=1)
            if isinstance(item, Inbound)
        ]


async def test_parts_may_come_interleaved_over_two_connections() -> None:
    first, second = Inbox(), Inbox()
    async with (
        running(simulator()) as carrier,
        connected(carrier, first),
        connected(carrier, second),
    ):
        receipts = carrier.smsc.subscribers["smgp", ACCOUNT].receipts
        parts = split("警" * 150)
        receipts.spread([MOPart(phones(1)[0], "1065", part, 1) for part in parts])
        items = [await first.next(), await second.next(), await first.next()]
        numbers = [item.number for item in items if isinstance(item, Inbound)]
        assert numbers == [1, 2, 3]


# Faults on demand


async def test_swallowed_answers_leave_accepted_submits_unanswered(tmp_path: Path) -> None:
    inbox = Inbox()
    config = simulator(faults={"swallow_responses": 1}, journal=tmp_path / "j")
    async with running(config) as carrier:
        quick: dict[str, Any] = {"response_timeout_seconds": 0.3, "heartbeat_seconds": 0.1}
        async with connected(carrier, inbox, **quick) as link:
            (result,) = await send(link, phones(1))
            assert result == SubmitResult(Outcome.UNANSWERED)
            await inbox.receipts(1)
            assert not link.lost.is_set(), "heartbeats are answered"
    events = [json.loads(line)["event"] for line in (tmp_path / "j").read_text().splitlines()]
    assert events == ["submit", "ack"]


@pytest.mark.parametrize(
    "faults", [{"disconnect_after": 3}, {"garbage_responses": 1}], ids=["cut", "garbage"]
)
async def test_what_a_link_takes_with_it_is_unanswered(faults: dict[str, Any]) -> None:
    async with running(simulator(faults=faults)) as carrier, connected(carrier) as link:
        results = await send(link, phones(5))
        await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
        assert {result.outcome for result in results} == {Outcome.UNANSWERED}


async def test_a_half_open_link_is_detected() -> None:
    quick: dict[str, Any] = {"response_timeout_seconds": 0.3, "heartbeat_seconds": 0.1}
    async with running(simulator()) as carrier, connected(carrier, **quick) as link:
        carrier.smsc.set_faults(Faults(half_open=True))
        results = await send(link, phones(3))
        assert {result.outcome for result in results} == {Outcome.UNANSWERED}
        await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
        assert link.link.reason == "no sign of life from the other side"


async def test_a_receipt_may_come_before_the_answer_twice_and_for_ids_never_given() -> None:
    inbox = Inbox()
    odd = {"early_receipts": 1, "duplicate_receipts": 1, "unknown_receipts": 1}
    async with running(simulator(faults=odd)) as carrier, connected(carrier, inbox) as link:
        (result,) = await send(link, phones(1))
        refs = Counter(receipt.ref for receipt in await inbox.receipts(3))
    assert refs[result.refs[0]] == 2
    assert sorted(refs.values()) == [1, 2]


async def test_garbage_costs_its_own_connection_only() -> None:
    async with (
        running(simulator()) as carrier,
        connected(carrier) as link,
        dialled(carrier) as sp,
    ):
        sp.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await sp.read_to_the_end() == b""
        (result,) = await send(link, phones(1))
        assert result.outcome is Outcome.ACCEPTED
