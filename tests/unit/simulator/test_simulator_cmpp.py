"""The simulated carrier as an SP sees it, over real sockets."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from service.channels.contract.gateway import LoginRefused, Submission
from service.channels.contract.outcome import Outcome
from service.coding.parts import Coding, Part
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import (
    ActiveTest,
    ActiveTestResp,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Submit,
    SubmitResp,
)
from service.protocols.cmpp.report import parse_report
from service.protocols.number import to_national
from service.simulator.carrier.outcomes import fates
from service.simulator.run import Simulator, running
from service.simulator.wire import server
from tests.harness.pauses import elapse
from tests.harness.session import PATIENCE_SECONDS, Peer
from tests.harness.simulated import (
    ACCOUNT,
    SECRET,
    Inbox,
    connected,
    gateway,
    phones,
    reached,
    send,
    simulator,
)
from tests.harness.vectors import load
from tests.harness.waiting import turns

VECTORS = {vector["id"]: vector for vector in load("cmpp", "cmpp30")}


@asynccontextmanager
async def dialled(carrier: Simulator) -> AsyncIterator[Peer]:
    """A raw connection, not logged in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports["cmpp"])
    yield Peer(reader, writer)
    writer.transport.abort()
    await turns()


@asynccontextmanager
async def logged_in(carrier: Simulator) -> AsyncIterator[Peer]:
    """A raw connection of the recorded account."""
    async with dialled(carrier) as sp:
        sp.writer.write(bytes.fromhex(VECTORS["cmpp30-connect"]["hex"]))
        assert (await sp.read_frame()).hex() == VECTORS["cmpp30-connect-resp-ok"]["hex"]
        yield sp


def submit(*numbers: str, **others: Any) -> Submit:
    values = {"msg_content": b"x", "src_id": "1069", "msg_src": ACCOUNT, "msg_fmt": 0, **others}
    return Submit(dest_terminal_id=numbers, **values)


# Logins and limits


async def test_the_recorded_login_gets_the_recorded_answer() -> None:
    async with running(simulator()) as carrier, logged_in(carrier):
        pass


@pytest.mark.parametrize("form", ["UNPADDED", "zero-PADDED"])
async def test_a_short_account_may_be_padded_or_not(form: str) -> None:
    (case,) = (c for c in load("cmpp", "digests") if form in c["what"])
    accounts = ({"account": "1234", "secret": SECRET},)
    async with running(simulator(accounts=accounts)) as carrier, dialled(carrier) as sp:
        sp.write(1, Connect("1234", bytes.fromhex(case["md5"]), 0x30, int(case["timestamp"])))
        _, answer = await sp.read()
        assert isinstance(answer, ConnectResp)
        assert answer.status == 0


@pytest.mark.parametrize(
    ("others", "status", "retryable"),
    [({"secret": "wrong"}, "3", False), ({"account": "999999"}, "2", False)],
)
async def test_who_does_not_know_the_secret_is_refused(
    others: dict[str, str], status: str, retryable: bool
) -> None:
    async with running(simulator()) as carrier:
        link = gateway(carrier.ports["cmpp"], Inbox(), **others)
        with pytest.raises(LoginRefused) as refused:
            await link.open()
        assert (refused.value.code, refused.value.retryable) == (status, retryable)


async def test_another_version_is_refused() -> None:
    async with running(simulator()) as carrier, dialled(carrier) as sp:
        sp.write(1, Connect(ACCOUNT, bytes(16), 0x40, 0))
        assert await sp.read() == (1, ConnectResp(4, bytes(16), 0x30))
        assert await sp.read_to_the_end() == b""


async def test_too_many_connections_are_refused_until_one_ends() -> None:
    async with running(simulator(max_connections=2)) as carrier:
        port = carrier.ports["cmpp"]
        async with connected(port):
            async with connected(port):
                with pytest.raises(LoginRefused) as refused:
                    await gateway(port, Inbox()).open()
                assert (refused.value.code, refused.value.retryable) == ("56", True)
            async with connected(port):
                pass


async def test_nothing_goes_before_the_login() -> None:
    async with running(simulator()) as carrier, dialled(carrier) as sp:
        sp.write(1, submit("19790001234"))
        assert await sp.read_to_the_end() == b""


async def test_more_than_the_rate_is_answered_with_8_and_accepted_later() -> None:
    async with reached(simulator(tps=100, profile="carrier", seed=1)) as (_, link):
        results = await send(link, phones(150))
        assert Counter(result.code for result in results) == {"0": 102, "8": 48}
        assert {r.outcome for r in results if r.code == "8"} == {Outcome.THROTTLED}
        await elapse(1.05)  # the sliding second itself
        assert {r.code for r in await send(link, phones(100))} == {"0"}


async def test_all_connections_of_an_account_share_its_rate() -> None:
    async with (
        reached(simulator(tps=10, seed=1)) as (carrier, first),
        connected(carrier.ports["cmpp"]) as second,
    ):
        results = await send(first, phones(10)) + await send(second, phones(10))
    assert Counter(r.code for r in results) == {"0": 12, "8": 8}


# Submits


async def test_ids_are_unique_and_answers_carry_them() -> None:
    async with reached(simulator()) as (_, link):
        results = [r for r in await send(link, phones(500)) if r.outcome is Outcome.ACCEPTED]
    assert len({result.refs[0] for result in results}) == len(results) > 490


@pytest.mark.parametrize(
    ("packet", "result"),
    [
        (submit("10086"), 13),
        (submit("19790001234", "1"), 13),
        (submit(), 13),
        (submit("19790001234", msg_content=bytes(160)), 6),
        (submit("19790001234", msg_content=bytes(159)), 0),
        (submit("19790001234", msg_content=bytes(141), msg_fmt=8), 6),
        (submit("8619790001234"), 0),
    ],
)
async def test_a_submit_that_breaks_the_rules_is_refused(packet: Submit, result: int) -> None:
    async with running(simulator(seed=1)) as carrier, logged_in(carrier) as sp:
        sp.write(5, packet)
        sequence, answer = await sp.read()
        assert isinstance(answer, SubmitResp)
        assert (sequence, answer.result) == (5, result)


async def test_several_recipients_have_consecutive_ids_and_a_receipt_each() -> None:
    numbers = [to_national(phone) for phone in phones(3)]
    async with running(simulator(profile="carrier", seed=1)) as carrier, logged_in(carrier) as sp:
        sp.write(5, submit(*numbers))
        _, answer = await sp.read()
        assert isinstance(answer, SubmitResp)
        reports = [(await sp.read())[1] for _ in numbers]
        found = {r.dest_terminal_id: r.msg_id for r in map(report_of, reports)}
        assert found == {n: answer.msg_id + offset for offset, n in enumerate(numbers)}


def report_of(deliver: PDU) -> Any:
    assert isinstance(deliver, Deliver)
    found = parse_report(deliver.msg_content)
    assert found is not None
    return found


async def test_a_phone_that_is_refused_as_too_fast_is_accepted_the_next_time() -> None:
    judge = fates("roster", 341825, "china_mobile")
    throttled = [phone for phone in phones(3000) if judge(phone).throttled]
    assert 1 <= len(throttled) < 30
    async with reached(simulator()) as (_, link):
        assert {r.outcome for r in await send(link, throttled)} == {Outcome.THROTTLED}
        assert {r.outcome for r in await send(link, throttled)} == {Outcome.ACCEPTED}


async def test_heartbeats_are_answered_and_sent() -> None:
    async with running(simulator(heartbeat_seconds=0.1)) as carrier, logged_in(carrier) as sp:
        sp.write(8, ActiveTest())
        assert await sp.read() == (8, ActiveTestResp())
        _, asked = await sp.read()
        assert isinstance(asked, ActiveTest)


@pytest.mark.parametrize("protocol", ["cmpp", "sgip", "smgp", "smpp"])
async def test_nothing_is_sent_before_a_login_and_nobody_waits_for_ever(
    protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many heartbeats would fit into the time in which a login may come."""
    monkeypatch.setattr(server, "LOGIN_SECONDS", 0.5)
    ports: dict[str, Any] = {"cmpp_port": None, f"{protocol}_port": 0}
    async with running(simulator(heartbeat_seconds=0.05, **ports)) as carrier:
        reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports[protocol])
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await reader.read() == b""
        writer.close()


async def test_garbage_costs_its_own_connection_only() -> None:
    async with reached(simulator(seed=1)) as (carrier, link), dialled(carrier) as sp:
        sp.writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await sp.read_to_the_end() == b""
        (result,) = await send(link, phones(1))
        assert result.outcome is Outcome.ACCEPTED


# Receipts


async def test_every_accepted_part_has_the_receipt_its_phone_is_fated_to() -> None:
    inbox, judge = Inbox(), fates("stale", 341825, "china_mobile")
    async with reached(simulator(profile="stale"), inbox) as (_, link):
        recipients = [phone for phone in phones(400) if not judge(phone).throttled]
        results = await send(link, recipients)
        by_phone = dict(zip(recipients, results, strict=True))
        expected = {phone for phone in recipients if judge(phone).stat}
        receipts = await inbox.wait_for(len(expected))
    assert {receipt.recipient for receipt in receipts} == expected
    assert all(receipt.code == judge(receipt.recipient).stat for receipt in receipts)
    assert all(receipt.ref == by_phone[receipt.recipient].refs[0] for receipt in receipts)


async def test_all_parts_of_a_text_share_one_fate() -> None:
    inbox = Inbox()
    async with reached(simulator(profile="stale", seed=1), inbox) as (_, link):
        results = await send(link, phones(50), "警" * 150)
        assert len(results) == 150
        accepted = {r.refs[0] for r in results if r.outcome is Outcome.ACCEPTED}
        silent = {
            phone for phone in phones(50) if not fates("stale", 1, "china_mobile")(phone).stat
        }
        receipts = await inbox.wait_for(len(accepted) - 3 * len(silent))
    codes: dict[str, set[str]] = {}
    for receipt in receipts:
        codes.setdefault(receipt.recipient, set()).add(receipt.code)
    assert {len(found) for found in codes.values()} == {1}


@pytest.mark.parametrize("octets", [60, 71])
async def test_report_blocks_have_the_length_asked_for(octets: int) -> None:
    async with (
        running(simulator(report_octets=octets, seed=1)) as carrier,
        logged_in(carrier) as sp,
    ):
        sp.write(1, submit("19790000000"))
        _, answer = await sp.read()
        _, deliver = await sp.read()
        assert isinstance(answer, SubmitResp)
        assert isinstance(deliver, Deliver)
        assert len(deliver.msg_content) == octets
        assert report_of(deliver).msg_id == answer.msg_id
        assert deliver.msg_id != answer.msg_id


async def test_a_receipt_may_come_before_the_answer() -> None:
    async with (
        running(simulator(faults={"early_receipts": 1}, seed=1)) as carrier,
        logged_in(carrier) as sp,
    ):
        sp.write(1, submit("19790000000"))
        (_, deliver), (_, answer) = await sp.read(), await sp.read()
        assert isinstance(answer, SubmitResp)
        assert report_of(deliver).msg_id == answer.msg_id


async def test_receipts_may_come_twice_or_for_ids_never_given() -> None:
    inbox = Inbox()
    odd = {"duplicate_receipts": 1, "unknown_receipts": 1}
    async with reached(simulator(faults=odd, seed=1), inbox) as (_, link):
        (result,) = await send(link, phones(1))
        refs = Counter(receipt.ref for receipt in await inbox.wait_for(3))
    assert result.refs[0] is not None
    assert refs[result.refs[0]] == 2
    assert sorted(refs.values()) == [1, 2]


async def test_receipts_wait_for_a_link_and_come_on_any() -> None:
    inbox = Inbox()
    async with running(simulator(seed=1)) as carrier:
        port = carrier.ports["cmpp"]
        async with connected(port, Inbox()) as link:
            link._deliver = never_stored
            (result,) = await send(link, phones(1))
        async with connected(port, inbox):
            (receipt,) = await inbox.wait_for(1)
    assert receipt.ref == result.refs[0]


async def test_what_a_lost_link_left_unacknowledged_comes_again_on_another() -> None:
    inbox = Inbox()
    async with running(simulator(seed=1)) as carrier:
        async with logged_in(carrier) as sp:
            sp.write(1, submit("19790000000"))
            _, answer = await sp.read()
            _, deliver = await sp.read()
            assert isinstance(answer, SubmitResp)
            assert report_of(deliver).msg_id == answer.msg_id
        async with connected(carrier.ports["cmpp"], inbox):
            (receipt,) = await inbox.wait_for(1)
    assert receipt.ref == answer.msg_id.to_bytes(8, "big")


def never_stored(_: object) -> "asyncio.Future[None]":
    return asyncio.get_running_loop().create_future()


async def test_a_receipt_without_an_acknowledgement_is_sent_again() -> None:
    inbox = Inbox()
    inbox.storing = False
    quick = simulator(response_timeout_seconds=0.2, heartbeat_seconds=0.05, seed=1)
    async with reached(quick, inbox) as (carrier, link):
        await send(link, phones(1))
        await inbox.wait_for(1)
        inbox.storing = True
        first, second, *_ = await inbox.wait_for(2)
        assert first == second
        subscriber = carrier.smsc.subscribers["cmpp", ACCOUNT]
        assert len(subscriber.receipts) == 0


async def test_a_refused_receipt_is_sent_again() -> None:
    async with (
        running(simulator(response_timeout_seconds=0.2, seed=1)) as carrier,
        logged_in(carrier) as sp,
    ):
        sp.write(1, submit("19790000000"))
        await sp.read()
        for result in (9, 0):
            sequence, deliver = await sp.read()
            assert isinstance(deliver, Deliver)
            sp.write(sequence, DeliverResp(deliver.msg_id, result))


async def test_no_more_receipts_are_open_than_the_window_allows() -> None:
    async with running(simulator(deliver_window=3, seed=1)) as carrier, logged_in(carrier) as sp:
        for sequence, phone in enumerate(phones(8)):
            sp.write(sequence, submit(to_national(phone)))
        packets = [await sp.read() for _ in range(8 + 3)]
        sp.write(99, ActiveTest())
        assert await sp.read() == (99, ActiveTestResp())
        sequence, deliver = next(
            (number, pdu) for number, pdu in packets if isinstance(pdu, Deliver)
        )
        sp.write(sequence, DeliverResp(deliver.msg_id))
        _, following = await sp.read()
        assert isinstance(following, Deliver)


# Faults on demand


async def test_swallowed_answers_leave_accepted_submits_unanswered(tmp_path: Path) -> None:
    inbox = Inbox()
    config = simulator(faults={"swallow_responses": 1}, journal=tmp_path / "j", seed=1)
    async with reached(config, inbox) as (_, link):
        (future,) = link.submit([Submission((phones(1)[0],), Part(1, 1, Coding.ASCII, b"x"), 7)])
        await inbox.wait_for(1)
        assert not future.done()
        await link.close(drain_seconds=0)
        assert (await future).outcome is Outcome.UNANSWERED
    assert len((tmp_path / "j").read_text().splitlines()) == 2


async def test_a_connection_is_cut_at_its_nth_submit_which_is_accepted(tmp_path: Path) -> None:
    config = simulator(faults={"disconnect_after": 3}, journal=tmp_path / "j", seed=1)
    async with reached(config) as (_, link):
        results = await send(link, phones(5))
        await asyncio.wait_for(link.lost.wait(), PATIENCE_SECONDS)
        assert {result.outcome for result in results} == {Outcome.UNANSWERED}
        entries = [json.loads(line) for line in (tmp_path / "j").read_text().splitlines()]
        assert [entry["event"] for entry in entries] == ["submit"] * 3


async def test_answers_may_be_slow() -> None:
    loop = asyncio.get_running_loop()
    async with reached(simulator(response_delay_seconds=0.2, seed=1)) as (_, link):
        started = loop.time()
        results = await send(link, phones(20))
        assert loop.time() - started >= 0.2
        assert {result.outcome for result in results} == {Outcome.ACCEPTED}
