"""What every stream gateway keeps to on its link: heartbeats, silence, broken frames, the end."""

import asyncio
import logging
from typing import Any

import pytest

from service.channels.contract.gateway import SubmitResult
from service.channels.contract.outcome import Outcome
from service.protocols import client
from service.protocols.sgip.pdu import Submit, UserRpt
from tests.harness import cmpp, sgip, smgp, smpp
from tests.harness.protocols import PROTOCOLS, each, rows
from tests.harness.scripted import PHONE, Protocol, answer, submissions
from tests.harness.session import PATIENCE_SECONDS, soon
from tests.harness.waiting import turns

NO_HEARTBEAT = {"sgip": "its book has no heartbeat: a link is used or closed"}
QUICK = {"heartbeat_seconds": 0.08, "response_timeout_seconds": 0.24}

# Signs of life


@rows(
    "asked, answered",
    {
        "cmpp": [("cmpp30-active-test", "cmpp30-active-test-resp")],
        "smgp": [("smgp-active-test", "smgp-active-test-resp")],
        "smpp": [("smpp-enquire-link", "smpp-enquire-link-resp")],
    },
    but=NO_HEARTBEAT,
)
async def test_heartbeats_of_the_carrier_are_answered_with_the_recorded_packet(
    protocol: Protocol, asked: str, answered: str
) -> None:
    async with protocol.opened() as (_, peer, _):
        peer.writer.write(protocol.recorded(asked))
        assert (await peer.read_frame()).hex() == protocol.recorded(answered).hex()


@each(but=NO_HEARTBEAT)
async def test_a_carrier_that_answers_heartbeats_is_kept(protocol: Protocol) -> None:
    async with protocol.opened(**QUICK) as (gateway, peer, _):
        for _ in range(6):  # twice the time after which silence would have ended it
            sequence, asked = await peer.read()
            assert asked == protocol.heartbeat
            peer.write(sequence, protocol.heartbeat_answer)
        assert gateway.link.ready


@each(but=NO_HEARTBEAT)
async def test_a_carrier_that_answers_nothing_else_lives_but_its_submits_are_given_up(
    protocol: Protocol,
) -> None:
    async with protocol.opened(**QUICK) as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        await peer.read()
        while not future.done():
            sequence, asked = await peer.read()
            assert asked == protocol.heartbeat
            peer.write(sequence, protocol.heartbeat_answer)
        assert (await answer(future)).outcome is Outcome.UNANSWERED
        assert gateway.link.ready


@each()
async def test_a_silent_carrier_is_asked_and_then_given_up_with_its_submits(
    protocol: Protocol,
) -> None:
    timers = QUICK if protocol.heartbeat else {"response_timeout_seconds": 0.24}
    async with protocol.opened(**timers) as (gateway, peer, _):
        started = gateway.link.loop.time()
        futures = gateway.submit(submissions(gateway) * 2)
        results = [await answer(future) for future in futures]
        assert {result.outcome for result in results} == {Outcome.UNANSWERED}
        await soon(gateway.lost.wait())
        assert gateway.link.loop.time() - started >= 0.24
        assert gateway.link.reason == "no sign of life from the other side"
        sequences = [(await peer.read())[0] for _ in futures]
        if protocol.heartbeat:
            assert (await peer.read())[1] == protocol.heartbeat
        else:  # its texts are known by our own numbers, answered or not
            assert [result.refs for result in results] == [
                (protocol.ref(sequence),) for sequence in sequences
            ]


# Frames that are none


@pytest.mark.attack
@pytest.mark.parametrize(
    "octets",
    [
        bytes.fromhex("00000003"),
        bytes.fromhex("7fffffff00000005"),
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\xff" * 16,
        bytes(20),
    ],
    ids=["short", "long", "HTTP", "ones", "zeros"],
)
@each()
async def test_malformed_octets_close_the_link_with_a_logged_reason(
    protocol: Protocol, octets: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """Even a link that nothing waits on is `lost` over them."""
    for waits in (True, False):
        async with protocol.opened() as (gateway, peer, _):
            futures = gateway.submit(submissions(gateway)) if waits else []
            peer.writer.write(octets)
            await soon(gateway.lost.wait())
            assert "octets" in gateway.link.reason
            assert gateway.link.fault is not None
            outcomes = [(await answer(future)).outcome for future in futures]
            assert outcomes == [Outcome.UNANSWERED] * waits
    levels = [record.levelno for record in caplog.records if record.name.startswith("service")]
    assert logging.WARNING in levels
    assert not any(record.exc_info for record in caplog.records)


class Nowhere(asyncio.Transport):
    """An open connection on which what is written goes nowhere."""

    def write(self, data: object) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        pass


LOGIN_ANSWERS = {"CMPP_CONNECT_RESP", "SGIP_BIND_RESP", "SMGP_LOGIN_RESP", "bind_transceiver_resp"}
FRAMES = [
    pytest.param(protocol, vector, id=vector)
    for protocol in PROTOCOLS.values()
    for vector in protocol.vectors
]


@pytest.mark.parametrize(("protocol", "vector"), FRAMES)
async def test_no_truncated_packet_raises_out_of_the_reader(
    protocol: Protocol, vector: str
) -> None:
    """Every truncation, its length field mended, on a link of its own: only an answer to a login
    that waits for it may end one.
    """
    frame = protocol.recorded(vector)
    answers_login = protocol.vectors[vector]["pdu"] in LOGIN_ANSWERS
    for length in range(protocol.header, len(frame)):
        for logged_in in (False, True):
            link = protocol.made(1).link
            link.connection_made(Nowhere())
            if logged_in:
                link.login_answered(None)
                link.logged_in()
            link.data_received(length.to_bytes(4, "big") + frame[4:length])
            assert link.fault is None or (answers_login and not logged_in)
            link.connection_lost(None)


# The end


@rows(
    "asked, answered",
    {
        "cmpp": [("cmpp30-terminate", "cmpp30-terminate-resp")],
        "sgip": [("sgip-unbind", "sgip-unbind-resp")],
        "smgp": [("smgp-exit", "smgp-exit-resp")],
        "smpp": [("smpp-unbind", "smpp-unbind-resp")],
    },
)
async def test_a_logout_of_the_carrier_is_answered_and_ends_the_link(
    protocol: Protocol, asked: str, answered: str
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        peer.writer.write(protocol.recorded(asked))
        assert (await peer.read_frame()).hex() == protocol.recorded(answered).hex()
        await soon(gateway.link.lost.wait())
        assert gateway.link.reason == "the other side logged out"
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)
        assert gateway.lost.is_set()


@each()
async def test_closing_waits_for_open_answers_and_stores_then_logs_out(protocol: Protocol) -> None:
    async with protocol.opened() as (gateway, peer, store):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(protocol.number(1), protocol.report(7))
        await store.next()
        closing = asyncio.create_task(gateway.close(drain_seconds=PATIENCE_SECONDS))
        await turns()
        peer.write(sequence, protocol.answer(sequence, 0))
        assert (await answer(future)).outcome is Outcome.ACCEPTED
        store.futures[0].set_result(None)
        assert await peer.read() == (protocol.number(1), protocol.acknowledgement)
        sequence, asked = await peer.read()
        assert asked == protocol.logout
        assert not gateway.link.ready
        peer.write(sequence, protocol.logout_answer)
        await soon(closing)
        assert gateway.link.reason == "logged out"
        assert gateway.lost.is_set()


@each()
async def test_closing_does_not_wait_longer_than_told(protocol: Protocol) -> None:
    async with protocol.opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway, "警" * 71))[:1]
        closing = asyncio.create_task(gateway.close(drain_seconds=0.05))
        for _ in range(2):
            await peer.read()
        sequence, asked = await peer.read()
        assert asked == protocol.logout
        (late,) = gateway.submit(submissions(gateway))
        assert (await answer(late)).outcome is Outcome.NOT_SENT
        peer.write(sequence, protocol.logout_answer)
        await soon(closing)
        assert (await answer(future)).outcome is Outcome.UNANSWERED


@each()
async def test_closing_does_not_wait_for_ever_for_the_logouts_answer(
    protocol: Protocol, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOGOUT_SECONDS", 0.05)
    async with protocol.opened() as (gateway, _, _):
        await soon(gateway.close(drain_seconds=0))
        assert gateway.link.reason == "logged out without an answer"
        assert gateway.lost.is_set()


@pytest.mark.attack
@rows(
    "others",
    {
        "cmpp": [[cmpp.report(msg_content=b"19790001234")]],
        "sgip": [
            [
                UserRpt("10655123", PHONE[1:], 1),
                Submit("10655123", (PHONE[1:],), "12345", "退订".encode("utf-16-be"), 8),
                sgip.report(report_type=1),
            ]
        ],
        "smgp": [[smgp.report(msg_content=b"19790001234")]],
        "smpp": [[smpp.report(short_message=b"nothing of 19790001234")]],
    },
)
async def test_no_phone_text_or_secret_is_logged(
    protocol: Protocol, others: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="service")
    async with protocol.opened() as (gateway, peer, store):
        gateway.submit(submissions(gateway, "警钟长鸣"))
        peer.write(protocol.number(1), protocol.report(7))
        peer.write(protocol.number(2), protocol.text)
        for counter, other in enumerate(others, start=3):
            peer.write(protocol.number(counter), other)
        for _ in range(3):
            await store.next()
        peer.writer.write(bytes(20))
        await soon(gateway.lost.wait())
    logged = " ".join(str(vars(record)) for record in caplog.records)
    assert caplog.records
    for private in ("19790001234", "警钟长鸣", "退订", *protocol.secrets):
        assert private not in logged
