"""Strangers at an SGIP channel's listener: whoever connects, waits, and guesses passwords."""

from contextlib import AsyncExitStack

import pytest

from service.channels.contract.gateway import Refused
from service.channels.links.refusals import Refusals
from service.protocols.sgip.listener import MOST_STRANGERS, SPARE, Listener
from service.protocols.sgip.pdu import Bind, BindResp
from service.protocols.sgip.waiting_peers import (
    MOST_ORIGINS,
    MOST_TRIES,
    TRIES_SECONDS,
    Tries,
    Waiting,
    origin_of,
)
from tests.harness.scripted import Store
from tests.harness.sgip import LOGIN, SMG, dialled, is_sent_away, listening, number
from tests.harness.waiting import until

pytestmark = pytest.mark.attack

CARRIER, STRANGER = "127.0.0.2", "127.0.0.3"
WRONG = Bind(2, "smg0371", "guess")
MANY = 60
"""More connections than there may be in all."""


async def until_there_are(listener: Listener, count: int) -> None:
    await until(lambda: len(listener.links) == count)


async def log_in(smg: SMG, bind: Bind = LOGIN) -> BindResp:
    _, answer = await smg.ask(number(1), bind)
    assert isinstance(answer, BindResp)
    return answer


async def test_a_stranger_with_many_connections_does_not_keep_the_carrier_out() -> None:
    assert MANY > 5 + MOST_STRANGERS
    async with listening(Store()) as listener, AsyncExitStack() as stack:
        refusals = Refusals()
        refusals.follow(7, listener)
        for _ in range(MANY):
            await stack.enter_async_context(dialled(listener.port, STRANGER))
        of_one = listener.door.connections + SPARE
        await until_there_are(listener, of_one)
        for _ in range(listener.door.connections):
            smg = await stack.enter_async_context(dialled(listener.port, CARRIER))
            assert await log_in(smg) == BindResp(0)
        assert refusals.counts == {(7, Refused.DISPLACED): (MANY - of_one, STRANGER)}


async def test_a_stranger_displaces_its_own_oldest_and_nobody_elses() -> None:
    async with listening(Store()) as listener, AsyncExitStack() as stack:
        carrier = await stack.enter_async_context(dialled(listener.port, CARRIER))
        await until_there_are(listener, 1)
        strangers = [
            await stack.enter_async_context(dialled(listener.port, STRANGER)) for _ in range(MANY)
        ]
        assert await is_sent_away(strangers[0])
        assert await log_in(carrier) == BindResp(0)
        assert await log_in(strangers[-1], WRONG) == BindResp(1)


def test_where_many_addresses_wait_the_one_with_the_most_gives_way() -> None:
    waiting = Waiting[int](of_one=4, most=6)
    assert [waiting.add(n, "a") for n in range(3)] == [None] * 3
    assert [waiting.add(n, "b") for n in range(10, 12)] == [None] * 2
    assert waiting.add(20, "c") is None
    assert waiting.add(21, "d") == 0
    waiting.discard(1)
    assert waiting.add(22, "e") is None
    assert len(waiting) == 6


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.7", "192.0.2.8", False),
        ("::ffff:192.0.2.7", "192.0.2.7", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_addresses_of_one_owner_count_together(one: str, other: str, same: bool) -> None:
    assert (origin_of(one) == origin_of(other)) is same


async def test_after_some_wrong_passwords_the_right_one_is_refused_in_the_same_words() -> None:
    async with listening(Store()) as listener:
        refusals = Refusals()
        refusals.follow(7, listener)
        for _ in range(MOST_TRIES):
            async with dialled(listener.port, STRANGER) as smg:
                assert await log_in(smg, WRONG) == BindResp(1)
        for _ in range(3):
            async with dialled(listener.port, STRANGER) as smg:
                assert await log_in(smg) == BindResp(1), "which tells nobody that it is right"
                assert await smg.read_to_the_end() == b""
        async with dialled(listener.port, CARRIER) as smg:
            assert await log_in(smg) == BindResp(0), "another address is not kept out by it"
        assert refusals.counts == {
            (7, Refused.WRONG_LOGIN): (MOST_TRIES, STRANGER),
            (7, Refused.LOCKED_OUT): (3, STRANGER),
        }


def test_an_address_is_heard_again_when_its_time_is_over() -> None:
    tries = Tries()
    for second in range(MOST_TRIES):
        assert not tries.used_up("a", second)
        tries.add("a", second)
    assert tries.used_up("a", MOST_TRIES)
    assert tries.used_up("a", TRIES_SECONDS - 1)
    assert not tries.used_up("a", TRIES_SECONDS)
    assert not tries.used_up("b", MOST_TRIES)


def test_what_is_remembered_of_addresses_is_bounded() -> None:
    tries = Tries()
    for n in range(3 * MOST_ORIGINS):
        tries.add(str(n), 0.0)
    assert len(tries._at) == MOST_ORIGINS


async def test_what_was_written_down_is_forgotten_and_the_rest_is_kept() -> None:
    async with listening(Store()) as listener:
        refusals = Refusals()
        refusals.follow(7, listener)
        listener.note(Refused.STRANGER, "192.0.2.1")
        written = dict(refusals.counts)
        listener.note(Refused.STRANGER, "192.0.2.2")
        refusals.written(written)
        assert refusals.counts == {(7, Refused.STRANGER): (1, "192.0.2.2")}
        refusals.written(dict(refusals.counts))
        assert refusals.counts == {}
