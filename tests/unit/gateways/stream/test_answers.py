"""What every stream gateway makes of the answers to its submits, and of none."""

from typing import Any

import pytest

from service.channels.contract.gateway import SubmitResult
from service.channels.contract.outcome import Outcome
from service.protocols.client import LATE_ANSWER
from service.protocols.cmpp import pdu as cmpp
from service.protocols.sgip import pdu as sgip
from service.protocols.smgp import pdu as smgp
from tests.harness.protocols import each, rows
from tests.harness.scripted import PHONE, Protocol, answer, later, submissions
from tests.harness.session import soon

ONE_DESTINATION = {"smpp": "a submit_sm has one destination"}
OWN_REFERENCE = "sgip"
"""Its texts are known by the sequence numbers that we give them, answered or not."""

TOO_MUCH = (Outcome.THROTTLED, "frequency_limit")
MISSHAPEN = (Outcome.REJECTED, "format")
NO_ACCOUNT = (Outcome.SUSPENDED, "account")
OTHER = (Outcome.REJECTED, "other")
TAKEN = (Outcome.ACCEPTED, "")
NOBODY_KNOWS = (Outcome.UNANSWERED, "network")
OF_THE_DAY = Outcome.DAILY_LIMIT


@rows(
    "status, outcome, reason",
    {
        "cmpp": [
            (0, *TAKEN),
            (8, *TOO_MUCH),
            (1, *MISSHAPEN),
            (69, Outcome.REJECTED, "blacklisted"),
            (54, *NOBODY_KNOWS),
            (177, *OTHER),
            (11, *NO_ACCOUNT),
        ],
        "sgip": [
            (0, *TAKEN),
            (88, *TOO_MUCH),
            (11, *TOO_MUCH),
            (182, OF_THE_DAY, "frequency_limit"),
            (6, *MISSHAPEN),
            (93, *NO_ACCOUNT),
            (54, *NOBODY_KNOWS),
            (177, *OTHER),
        ],
        "smgp": [
            (0, *TAKEN),
            (1, *TOO_MUCH),
            (2, *TOO_MUCH),
            (36, *MISSHAPEN),
            (47, *MISSHAPEN),
            (74, *NO_ACCOUNT),
            (75, OF_THE_DAY, "frequency_limit"),
            (76, *NO_ACCOUNT),
            (177, *OTHER),
        ],
        "smpp": [
            (0, *TAKEN),
            (0x58, *TOO_MUCH),
            (0x14, *TOO_MUCH),
            (0x0B, *MISSHAPEN),
            (0x04, *NO_ACCOUNT),
            (0x404, *OTHER),
        ],
    },
)
async def test_each_answer_is_read(
    protocol: Protocol, status: int, outcome: Outcome, reason: str
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        sequence, _ = await peer.read()
        peer.write(sequence, protocol.answer(sequence, status))
        perhaps = protocol.name == OWN_REFERENCE and outcome is Outcome.UNANSWERED
        refs = (protocol.ref(sequence),) if perhaps or outcome is Outcome.ACCEPTED else ()
        assert await answer(future) == SubmitResult(outcome, refs, str(status), reason)


@rows(
    "own, statuses",
    {
        "cmpp": [
            (
                {"too_fast_codes": (171,), "suspended_codes": (172,), "daily_limit_codes": (173,)},
                {171: "throttled", 172: "suspended", 173: "daily_limit", 8: "rejected"},
            )
        ],
        "sgip": [
            (
                {"too_fast_codes": (8,), "daily_limit_codes": (30,)},
                {8: "throttled", 88: "rejected", 30: "daily_limit"},
            )
        ],
        "smgp": [({"too_fast_codes": [177]}, {177: "throttled", 1: "rejected"})],
        "smpp": [
            (
                {
                    "too_fast_codes": [0x401],
                    "suspended_codes": [0x402],
                    "daily_limit_codes": [0x403],
                },
                {0x401: "throttled", 0x402: "suspended", 0x403: "daily_limit", 0x404: "rejected"},
            )
        ],
    },
)
async def test_which_codes_hold_the_account_is_a_setting(
    protocol: Protocol, own: dict[str, Any], statuses: dict[int, str]
) -> None:
    async with protocol.opened(**own) as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * len(statuses))
        for status in statuses:
            sequence, _ = await peer.read()
            peer.write(sequence, protocol.answer(sequence, status))
        results = [await answer(future) for future in futures]
        assert [result.outcome for result in results] == list(statuses.values())
        assert [result.code for result in results] == list(map(str, statuses))


@rows(
    "status, alone, together",
    {
        "cmpp": [
            (13, "rejected", "refused_lot"),
            (6, "rejected", "rejected"),
            (8, "throttled", "throttled"),
            (10, "suspended", "suspended"),
        ],
        "sgip": [(status, "rejected", "refused_lot") for status in (6, 19, 114)],
        "smgp": [(47, "rejected", "refused_lot"), (1, "throttled", "throttled")],
    },
    but=ONE_DESTINATION,
)
async def test_a_refusal_of_several_says_whether_to_send_each_alone(
    protocol: Protocol, status: int, alone: str, together: str
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        for recipients, outcome in (((PHONE,), alone), ((PHONE, "+8619790001235"), together)):
            (future,) = gateway.submit(submissions(gateway, recipients=recipients))
            sequence, _ = await peer.read()
            peer.write(sequence, protocol.answer(sequence, status))
            result = await answer(future)
            assert (result.outcome, result.refs, result.code) == (outcome, (), str(status))


@each()
async def test_answers_may_come_in_any_order(protocol: Protocol) -> None:
    async with protocol.opened() as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 32)
        sequences = [(await peer.read())[0] for _ in futures]
        assert len(set(sequences)) == 32
        for sequence in reversed(sequences):
            peer.write(sequence, protocol.answer(sequence, 0))
        refs = [(await answer(future)).refs for future in futures]
        assert refs == [(protocol.ref(sequence),) for sequence in sequences]
        assert gateway.link.unanswered == []


def given_up(protocol: Protocol, sequence: int) -> SubmitResult:
    refs = (protocol.ref(sequence),) if protocol.name == OWN_REFERENCE else ()
    return SubmitResult(Outcome.UNANSWERED, refs)


@pytest.mark.attack
@each()
async def test_a_lost_link_leaves_written_submits_unanswered_and_takes_no_more(
    protocol: Protocol,
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        futures = gateway.submit(submissions(gateway) * 3)
        first, *others = [(await peer.read())[0] for _ in futures]
        peer.write(first, protocol.answer(first, 0))
        assert (await answer(futures[0])).outcome is Outcome.ACCEPTED
        peer.cut()
        expected = [given_up(protocol, sequence) for sequence in others]
        assert [await answer(future) for future in futures[1:]] == expected
        await soon(gateway.lost.wait())
        assert not gateway.link.ready
        (future,) = gateway.submit(submissions(gateway))
        assert await answer(future) == SubmitResult(Outcome.NOT_SENT)


@each()
async def test_an_answer_that_does_not_come_leaves_the_link_alive(
    protocol: Protocol, caplog: pytest.LogCaptureFixture
) -> None:
    async with protocol.opened(response_timeout_seconds=30) as (gateway, peer, _):
        unlucky, other = gateway.submit(submissions(gateway) * 2)
        first, second = [(await peer.read())[0] for _ in range(2)]
        peer.write(second, protocol.answer(second, 0))
        assert (await answer(other)).outcome is Outcome.ACCEPTED
        later(gateway.link, 29)
        assert not unlucky.done()
        later(gateway.link, 31)
        assert await answer(unlucky) == given_up(protocol, first)
        assert gateway.link.ready
        peer.write(first, protocol.answer(first, 0))
        assert await protocol.acknowledged_before(peer) == []
        assert LATE_ANSWER in caplog.messages
        assert gateway.link.ready
        assert not gateway.lost.is_set()


@pytest.mark.attack
@rows(
    "command",
    {
        "cmpp": [cmpp.SubmitResp.command],
        "sgip": [sgip.SubmitResp.command],
        "smgp": [smgp.SubmitResp.command],
    },
    but={"smpp": "an answer without a body is legal: SMSCs refuse with it"},
)
async def test_a_submit_whose_answer_cannot_be_read_may_have_left(
    protocol: Protocol, command: int
) -> None:
    async with protocol.opened() as (gateway, peer, _):
        (future,) = gateway.submit(submissions(gateway))
        asked = await peer.read_frame()
        size = protocol.header.to_bytes(4, "big")
        peer.writer.write(size + command.to_bytes(4, "big") + asked[8 : protocol.header])
        assert (await answer(future)).outcome is Outcome.UNANSWERED
        assert await protocol.acknowledged_before(peer) == []
        assert gateway.link.ready
