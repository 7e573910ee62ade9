"""What receipts make of a text of several parts, and whether it leaves again: for all orders."""

import itertools
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from service.campaigns.audience import follow_up_store
from service.channels.contract.gateway import Receipt
from service.channels.contract.outcome import ReceiptState
from service.crypto import Keyring
from service.delivery.receipts import store
from service.storage.postgres import Pool, transaction
from tests.harness.three_channels import MOBILE, NP, ThreeChannels, lay_out, ref

SetUp = Callable[..., Awaitable[ThreeChannels]]


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: Any) -> SetUp:
    async def set_up(people: int) -> ThreeChannels:
        on = await lay_out(pool, keyring, now, people=people)
        await pool.execute("UPDATE runs SET valid_until = $1", now + timedelta(hours=48))
        return on

    return set_up


FAILED = "undelivered"
SAID = ("delivered", "unknown", FAILED)


class Case(NamedTuple):
    """A text: what the receipt of each part says, and in which order and batches they come."""

    said: tuple[str, ...]
    batches: tuple[tuple[int, ...], ...]

    @property
    def state(self) -> str:
        """The text's state if nothing of it is sent again."""
        return next(s for s in (FAILED, "unknown", "delivered") if s in self.said)

    @property
    def goes_again(self) -> bool:
        return set(self.said) == {FAILED}


def _batches(order: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], ...]]:
    """All ways to cut an order into batches."""
    for cuts in itertools.product([False, True], repeat=len(order) - 1):
        batches = [[order[0]]]
        for part, cut in zip(order[1:], cuts, strict=True):
            if cut:
                batches.append([])
            batches[-1].append(part)
        yield tuple(map(tuple, batches))


def _cases(parts: int) -> list[Case]:
    return [
        Case(said, batches)
        for said in itertools.product(SAID, repeat=parts)
        for order in itertools.permutations(range(parts))
        for batches in _batches(order)
    ]


@pytest.mark.parametrize(("reason", "code"), [("memory_full", "MI:0208"), ("ported", NP)])
@pytest.mark.parametrize("parts", [2, 3])
async def test_the_order_of_receipts_changes_nothing(
    stage: SetUp, parts: int, reason: str, code: str
) -> None:
    cases = _cases(parts)
    on = await stage(people=len(cases))
    await on.sent(MOBILE, *range(1, len(cases) + 1), parts=parts)
    for batch in range(parts):
        receipts = []
        for no, case in enumerate(cases, start=1):
            for part in case.batches[batch] if batch < len(case.batches) else ():
                said = case.said[part]
                why = (code, reason) if said == FAILED else (said.upper(), "")
                receipt = Receipt(ref(MOBILE, no, part), "", ReceiptState(said), *why, None)
                receipts.append((on.id(MOBILE), receipt))
        async with transaction(on.pool) as conn:
            await store.insert_receipts(conn, on.keyring, receipts, on.now)
        await on.fold(MOBILE)
    rows = await on.pool.fetch("SELECT no, state::text FROM messages WHERE run_id = $1", on.run)
    found = {row["no"]: row["state"] for row in rows}
    expected = {
        no: "queued" if case.goes_again else case.state for no, case in enumerate(cases, start=1)
    }
    wrong = {cases[no - 1]: state for no, state in found.items() if state != expected[no]}
    assert not wrong
    assert await on.listed() == [], "no receipt contradicts another one"
    waiting = await on.pool.fetch("SELECT no FROM attempts ORDER BY no")
    again = [no for no, state in expected.items() if state == "queued"]
    assert [row["no"] for row in waiting] == again


async def test_a_resend_leaves_out_whoever_may_have_a_part(stage: SetUp) -> None:
    on = await stage(people=3)
    await on.sent(MOBILE, 1, 2, 3, parts=2)
    for no, second in ((1, "undelivered"), (2, "unknown"), (3, "delivered")):
        await on.receive(MOBILE, no, "undelivered", "DB:0141", "content_filter", part=0)
        await on.receive(MOBILE, no, second, "x", "content_filter" if no == 1 else "", part=1)
    await on.fold(MOBILE)
    assert await on.states() == {"undelivered": 3}
    async with on.pool.acquire() as conn:
        missed = await follow_up_store.count_missed(conn, on.run, on.now)
    assert (missed.again, missed.not_again) == ({"content_filter": 1}, {"in_doubt": 2})


async def test_an_uncertain_text_is_sent_again_only_if_all_its_parts_failed(stage: SetUp) -> None:
    """The carrier answered one part of the first text, and the connection was lost then."""
    on = await stage(people=2)
    lease = await on.lease(MOBILE)
    claimed = await on.claim(lease)
    assert claimed == (1, [1, 2])
    assert await on.mark(lease, 1, 1, 2, parts=2) == [1, 2]
    await on.record(
        MOBILE,
        await on.result(1, "uncertain", ref(MOBILE, 1, 0), reason="no_answer"),
        await on.result(2, "uncertain", *(ref(MOBILE, 2, n) for n in (0, 1)), reason="no_answer"),
    )
    for no, part in ((1, 0), (2, 0), (2, 1)):
        await on.receive(MOBILE, no, "undelivered", "MI:0208", "memory_full", part=part)
    await on.fold(MOBILE)
    assert [(await on.row(no))["state"] for no in (1, 2)] == ["undelivered", "queued"]
