"""Both versions of CMPP over a real socket: our gateway and the simulated carrier, end to end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from service.channels.contract.gateway import LoginRefused, Submission
from service.channels.contract.outcome import Outcome
from service.clock import Clock
from service.gateways.cmpp import CMPPGateway
from service.protocols.cmpp import digest
from service.protocols.cmpp.packet import PDU
from service.protocols.cmpp.pdu import (
    Connect,
    ConnectResp,
    Deliver,
    Submit,
    SubmitResp,
    decode,
    encode,
)
from service.protocols.cmpp.query import Cancel, CancelResp, Query, QueryResp
from service.protocols.cmpp.report import parse_report
from service.protocols.cmpp.version import V20, V21, V30, VERSIONS, Version
from service.protocols.times import BEIJING
from service.simulator.run import Simulator, running
from tests.harness.session import PATIENCE_SECONDS, Peer
from tests.harness.simulated import ACCOUNT, SECRET, Inbox, gateway, phones, send, simulator
from tests.harness.waiting import turns

RELIABLE: dict[str, Any] = {"seed": 1, "profile": "carrier"}
names = pytest.mark.parametrize("name", ["2.0", "2.1", "3.0"])
versions = pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)


@asynccontextmanager
async def linked(carrier: Simulator, inbox: Inbox, **settings: Any) -> AsyncIterator[CMPPGateway]:
    link = gateway(carrier.ports["cmpp"], inbox, **settings)
    await link.open()
    yield link
    await link.close(drain_seconds=0)


class SP:
    """A raw connection of the account in one version."""

    def __init__(self, peer: Peer, version: Version) -> None:
        self._peer = peer
        self._version = version

    def write(self, pdu: PDU) -> None:
        self._peer.writer.write(encode(7, pdu, self._version))

    def write_raw(self, frame: bytes) -> None:
        self._peer.writer.write(frame)

    async def read_to_the_end(self) -> bytes:
        return await self._peer.read_to_the_end()

    async def read(self) -> tuple[int, PDU]:
        """The length of the next packet, and the packet."""
        frame = await self._peer.read_frame()
        return len(frame), decode(frame, self._version)[1]

    async def log_in(self) -> tuple[int, PDU]:
        source = digest.authenticator_source(ACCOUNT.encode(), SECRET, 809103045)
        self.write(Connect(ACCOUNT, source, self._version.octet, 809103045))
        return await self.read()


@asynccontextmanager
async def dialled(carrier: Simulator, version: Version) -> AsyncIterator[SP]:
    reader, writer = await asyncio.open_connection("127.0.0.1", carrier.ports["cmpp"])
    yield SP(Peer(reader, writer), version)
    writer.transport.abort()
    await turns()


@names
async def test_texts_leave_and_their_receipts_come_back(name: str) -> None:
    inbox = Inbox()
    async with (
        running(simulator(**RELIABLE)) as carrier,
        linked(carrier, inbox, version=name, verify_gateway=True) as link,
    ):
        results = await send(link, phones(20), "警钟长鸣" * 30)
        assert {result.outcome for result in results} == {Outcome.ACCEPTED}
        refs = {ref for result in results for ref in result.refs}
        assert len(refs) == len(results) == 40
        receipts = await inbox.wait_for(40)
        assert {receipt.ref for receipt in receipts} == refs
        assert {receipt.recipient for receipt in receipts} == set(phones(20))


@names
async def test_one_submit_reaches_99_and_each_has_its_own_receipt(name: str) -> None:
    inbox = Inbox()
    recipients = tuple(phones(99))
    async with (
        running(simulator(**RELIABLE)) as carrier,
        linked(carrier, inbox, version=name) as link,
    ):
        (part,) = link.split("警钟")
        (future,) = link.submit([Submission(recipients, part, 0)])
        result = await asyncio.wait_for(future, PATIENCE_SECONDS)
        while result.outcome is Outcome.THROTTLED:  # a phone's fate: refused once
            (future,) = link.submit([Submission(recipients, part, 0)])
            result = await asyncio.wait_for(future, PATIENCE_SECONDS)
        assert result.outcome is Outcome.ACCEPTED
        receipts = await inbox.wait_for(90)
        by_ref = dict(zip(result.refs, recipients, strict=True))
        assert all(by_ref[receipt.ref] == receipt.recipient for receipt in receipts)


@names
async def test_a_bad_number_refuses_the_lot_and_nobody_gets_it(name: str) -> None:
    inbox = Inbox()
    async with (
        running(simulator(**RELIABLE)) as carrier,
        linked(carrier, inbox, version=name) as link,
    ):
        (part,) = link.split("警钟")
        lot = (*phones(3), "+8612345")
        alone = ("+8612345",)
        futures = link.submit([Submission(lot, part, 0), Submission(alone, part, 0)])
        refused, rejected = await asyncio.wait_for(asyncio.gather(*futures), PATIENCE_SECONDS)
        assert (refused.outcome, refused.code) == (Outcome.REFUSED_LOT, "13")
        assert (rejected.outcome, rejected.code) == (Outcome.REJECTED, "13")
        assert carrier.smsc.subscribers["cmpp", ACCOUNT].tally.accepted == 0


@pytest.mark.parametrize(
    ("version", "report_octets", "expected"),
    [(V20, 71, 60), (V20, 60, 60), (V30, 71, 71), (V30, 60, 60)],
)
async def test_reports_have_the_length_of_the_version_unless_told_otherwise(
    version: Version, report_octets: int, expected: int
) -> None:
    config = simulator(report_octets=report_octets, **RELIABLE)
    async with running(config) as carrier, dialled(carrier, version) as sp:
        await sp.log_in()
        sp.write(Submit(("19790000001",), b"x", src_id="1069", msg_src=ACCOUNT, msg_fmt=0))
        answers = [(await sp.read())[1] for _ in range(2)]
        (deliver,) = (pdu for pdu in answers if isinstance(pdu, Deliver))
        assert len(deliver.msg_content) == expected
        report = parse_report(deliver.msg_content)
        assert report is not None
        assert report.dest_terminal_id == deliver.src_terminal_id == "19790000001"


@versions
async def test_a_login_is_answered_in_its_own_version(version: Version) -> None:
    async with running(simulator()) as carrier, dialled(carrier, version) as sp:
        octets, answer = await sp.log_in()
        assert octets == {1: 30, 4: 33}[version.result_octets]
        assert isinstance(answer, ConnectResp)
        assert (answer.status, answer.version) == (0, version.octet)


@versions
async def test_a_login_refused_with_any_status_is_answered_in_its_own_version(
    version: Version,
) -> None:
    config = simulator(faults={"login_status": 300})
    async with running(config) as carrier, dialled(carrier, version) as sp:
        octets, answer = await sp.log_in()
        assert octets == {1: 30, 4: 33}[version.result_octets]
        assert isinstance(answer, ConnectResp)
        assert (answer.status, answer.version) == (255, version.octet)


@names
async def test_a_carrier_with_another_secret_is_refused_unless_there_is_a_reason(
    name: str,
) -> None:
    async with running(simulator(faults={"wrong_digest": True})) as carrier:
        strict = gateway(carrier.ports["cmpp"], Inbox(), version=name)
        with pytest.raises(LoginRefused, match="does not match the secret"):
            await strict.open()
        reason = {"verify_gateway": False, "unverified_because": "it says so"}
        async with linked(carrier, Inbox(), version=name, **reason):
            pass


@pytest.mark.parametrize("version", [V20, V21, V30], ids=lambda version: version.name)
async def test_queries_count_the_day_and_nothing_can_be_cancelled(version: Version) -> None:
    clock = Clock(datetime(2026, 8, 9, 23, 30, tzinfo=BEIJING), anchor=0.0, speed=0.0)
    config = simulator(max_delay_seconds=60, **RELIABLE)
    async with running(config, clock=clock) as carrier, dialled(carrier, version) as sp:
        await sp.log_in()
        lot = ("19790000001", "19790000002")
        sp.write(Submit(lot, b"x", src_id="1069", msg_src=ACCOUNT, msg_fmt=0))
        await sp.read()
        for day, kind, count in (("20260809", 0, 2), ("20260810", 0, 0), ("20260809", 1, 0)):
            sp.write(Query(day, kind))
            _, counts = await sp.read()
            assert counts == QueryResp(day, kind, "", count, count, count, 0, 0, 0, 0, 0)
        sp.write(Cancel(5))
        assert await sp.read() == ({1: 13, 4: 16}[version.result_octets], CancelResp(1))


@versions
async def test_a_number_that_no_report_could_go_to_is_refused(version: Version) -> None:
    async with running(simulator(**RELIABLE)) as carrier, dialled(carrier, version) as sp:
        await sp.log_in()
        submit = Submit(("19790000001",), b"x", src_id="1069", msg_src=ACCOUNT, msg_fmt=0)
        sp.write_raw(encode(7, submit, version).replace(b"1069", b"106\xe9"))
        assert (await sp.read())[1] == SubmitResp(0, 10)
        sp.write_raw(encode(7, Query("20260809"), version).replace(b"20260809", b"2026080\xe9"))
        assert (await sp.read())[1] == QueryResp("", 0, "", *(0,) * 8)
