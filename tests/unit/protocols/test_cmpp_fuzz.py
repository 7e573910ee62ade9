"""The fuzzer itself: it reaches what it is for, finds what is broken, and can be repeated."""

import asyncio
from collections.abc import Callable

import pytest

from service.protocols.frame import Malformed
from tests.fuzz.fuzz import BATCH, Fuzz, Tally
from tests.fuzz.targets import PROTOCOLS
from tests.harness.waiting import turns

BATCHES = 4


async def fuzzed(
    protocol: str, seed: int = 7, decoder: Callable[[bytes], object] | None = None
) -> Fuzz:
    target = Fuzz(protocol, seed)
    asyncio.get_running_loop().set_exception_handler(lambda _, context: target.unhandled(context))
    if decoder is not None:
        target._decoders = [decoder]
    for _ in range(BATCHES):
        target.batch()
        await turns()
    return target


@pytest.mark.parametrize("protocol", PROTOCOLS)
async def test_some_mutations_of_each_protocol_raise_nothing(protocol: str) -> None:
    target = await fuzzed(protocol)
    tally = target.tally
    assert tally.crashes == {}
    assert tally.tried == BATCHES * BATCH
    assert 0 < tally.refused < tally.tried
    assert 0 < tally.closed < tally.linked


async def test_the_same_seed_gives_the_same_inputs_and_another_does_not() -> None:
    def refused(target: Fuzz) -> tuple[int, int]:
        return target.tally.refused, target.tally.closed

    first, again, other = [await fuzzed("cmpp", seed) for seed in (7, 7, 8)]
    assert refused(first) == refused(again) != refused(other)


async def test_what_is_raised_is_kept_once_for_each_place_with_its_shortest_input() -> None:
    def broken(data: bytes) -> None:
        if len(data) % 2:
            raise Malformed("odd")
        if data:
            raise KeyError(len(data))

    tally: Tally = (await fuzzed("cmpp", decoder=broken)).tally
    ((place, (data, error)),) = tally.crashes.items()
    assert place.startswith("KeyError at ")
    assert error == f"KeyError({len(data)})"
    assert len(data) < 20
