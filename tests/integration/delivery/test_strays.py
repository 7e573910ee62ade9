"""Opt-outs of people who had no text over the channel: a few count, many wait for a person."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from service.accounts.people.model import Role, User
from service.crypto import Keyring
from service.delivery.inbound import strays, strays_store
from service.delivery.inbound.inbound import read_inbound
from service.delivery.inbound.inbound_store import NewText
from service.delivery.inbound.keywords import InboundKind
from service.delivery.inbound.replies import send_replies
from service.delivery.inbound.strays import StrayBounds, StrayDecision
from service.delivery.inbound.strays_store import OptOutHold
from service.errors import Conflict, NotFound
from service.storage.postgres import Connection, Pool, Record, transaction
from tests.factories import make_user
from tests.harness.handset import Handsets, hand_off, set_up
from tests.harness.ledger import add_channel
from tests.harness.replies import Answering

HOUR = timedelta(hours=1)
FEW = StrayBounds(share=0.5, an_hour=3)
"""Of four people in the lists, more than two in a day; and more than three in an hour."""
pytestmark = pytest.mark.attack


@pytest.fixture
async def handsets(pool: Pool, keyring: Keyring, now: datetime) -> Handsets:
    """Four people of one department, of whom the first two got a text."""
    made = await set_up(pool, keyring, now)
    await hand_off(made, 0, 1)
    return made


async def _opt_out(
    handsets: Handsets,
    people: Sequence[int],
    *,
    at: datetime | None = None,
    word: str = "T",
    channel: int | None = None,
    bounds: StrayBounds = FEW,
) -> None:
    at = at or handsets.now
    for person in people:
        await handsets.write(person, word, at=at, channel=channel)
    await read_inbound(handsets.pool, handsets.keyring, at, bounds=bounds)


async def _stopped(handsets: Handsets, people: Sequence[int]) -> list[bool]:
    return [await handsets.suppressed(person) for person in people]


async def _holds(handsets: Handsets) -> list[OptOutHold]:
    async with handsets.pool.acquire() as conn:
        return await strays_store.list_holds(conn, None, 50)


async def _user(handsets: Handsets, kind: str = "county") -> User:
    async with transaction(handsets.pool) as conn:
        return await make_user(conn, Role.ADMIN, now=handsets.now, kind=kind)


async def _decide(
    handsets: Handsets, user: User, hold_id: UUID, decision: StrayDecision
) -> OptOutHold:
    async with transaction(handsets.pool) as conn:
        return await strays.decide(
            conn,
            user,
            hold_id,
            decision,
            "asked the carrier",
            handsets.now,
        )


async def test_a_few_of_people_who_had_no_text_count(handsets: Handsets) -> None:
    await _opt_out(handsets, [10, 11, 12])
    assert await _stopped(handsets, [10, 11, 12]) == [True] * 3
    assert await _holds(handsets) == []


async def test_many_of_them_silence_nobody(handsets: Handsets) -> None:
    people = list(range(10, 70))
    await _opt_out(handsets, people)
    assert await _stopped(handsets, people) == [False] * 60
    assert await handsets.due() == [], "nor is anything confirmed to them"
    (hold,) = await _holds(handsets)
    assert (hold.people, hold.texts, hold.decision) == (60, 60, None)


async def test_who_had_a_text_opts_out_at_once_in_the_middle_of_many(handsets: Handsets) -> None:
    await _opt_out(handsets, [10, 11, 0, 12, 13, 14, 1])
    assert await _stopped(handsets, [0, 1]) == [True, True]
    assert await _stopped(handsets, [10, 14]) == [False, False]


@pytest.mark.parametrize(
    ("bounds", "held"),
    [
        (StrayBounds(0.5, 4), False),  # five in an hour and four would do
        (StrayBounds(2.0, 3), False),  # eight in a day would do
        (StrayBounds(0.5, 3), True),
    ],
)
async def test_both_bounds_must_be_passed(
    handsets: Handsets, bounds: StrayBounds, held: bool
) -> None:
    await _opt_out(handsets, [10, 11, 12, 13], bounds=bounds)
    assert bool(await _holds(handsets)) is held


async def test_they_add_up_over_batches_and_each_channel_counts_alone(
    handsets: Handsets, keyring: Keyring
) -> None:
    async with transaction(handsets.pool) as conn:
        other = (await add_channel(conn, keyring, 2, handsets.now)).id
    await _opt_out(handsets, [10, 11])
    await _opt_out(handsets, [20, 21], channel=other)
    await _opt_out(handsets, [12, 13], at=handsets.now + HOUR / 2)
    assert await _stopped(handsets, [10, 11, 20, 21, 12, 13]) == [True] * 4 + [False] * 2


async def test_who_had_a_text_over_another_channel_only_is_a_stray(
    handsets: Handsets, keyring: Keyring
) -> None:
    async with transaction(handsets.pool) as conn:
        other = (await add_channel(conn, keyring, 2, handsets.now)).id
    await _opt_out(handsets, [0, 1, 10, 11], channel=other)
    assert await _stopped(handsets, [0, 1, 10, 11]) == [False] * 4


async def test_one_person_who_writes_often_is_not_many(handsets: Handsets) -> None:
    for word in ("T", "TD", "R", "N", "退订", "取消"):
        await _opt_out(handsets, [10], word=word)
    assert await _stopped(handsets, [10]) == [True]
    assert await _holds(handsets) == []


async def test_a_copy_of_what_is_held_does_not_count(handsets: Handsets) -> None:
    """Carriers send again what they think was lost; so does whoever forges it."""
    people = [10, 11, 12, 13]
    await _opt_out(handsets, people)
    await _opt_out(handsets, people, at=handsets.now + timedelta(minutes=1))
    assert await _stopped(handsets, people) == [False] * 4
    (hold,) = await _holds(handsets)
    await _decide(handsets, await _user(handsets), hold.id, "drop")
    await _opt_out(handsets, people, at=handsets.now + timedelta(minutes=2))
    assert await _stopped(handsets, people) == [False] * 4


async def _rows_read(conn: Connection, table: str) -> int:
    """How many rows of a table, or entries of its indexes, this connection has read and not yet
    reported.
    """
    count: int = await conn.fetchval(
        """
        SELECT sum(pg_stat_get_xact_tuples_returned(c.oid))::bigint FROM pg_class c
        WHERE c.oid = $1::text::regclass
           OR c.oid IN (SELECT indexrelid FROM pg_index WHERE indrelid = $1::text::regclass)
        """,
        table,
    )
    return count


def _stray(row: Record, channel_id: int, at: datetime) -> NewText:
    return NewText(
        id=row["id"],
        channel_id=channel_id,
        sender_hash=row["sender_hash"],
        sender_cipher=b"",
        recipient="",
        text_cipher=b"",
        digest=b"",
        missing=0,
        received_at=at,
        kind=InboundKind.OPT_OUT,
        answer=None,
        answered=None,
        department_id=None,
        state="new",
        extension=None,
    )


@pytest.mark.fresh
async def test_while_it_goes_on_neither_people_nor_strays_are_counted_for_each_batch(
    handsets: Handsets,
) -> None:
    """A batch of an attack reads what is its own; the rest is counted once in a while."""
    bounds = StrayBounds(share=0.5, an_hour=3)
    await _opt_out(handsets, range(10, 60), bounds=bounds)
    (hold,) = await _holds(handsets)
    strays_of = await handsets.pool.fetch("SELECT id, sender_hash FROM inbound_texts ORDER BY id")
    people, counted = [], []
    for second in (1, 30, 59, 61, 62, 700):
        at = handsets.now + timedelta(seconds=second)
        new = [_stray(row, hold.channel_id, at) for row in strays_of[-2:]]
        async with transaction(handsets.pool) as conn:
            await conn.execute("SET LOCAL enable_seqscan = off")  # as if there were many
            await conn.execute("SET LOCAL plan_cache_mode = force_custom_plan")  # planned again
            before = await _rows_read(conn, "contacts"), await _rows_read(conn, "inbound_texts")
            assert len(await strays.hold_strays(conn, new, bounds, at)) == 2
            people.append(await _rows_read(conn, "contacts") - before[0])
            read = await _rows_read(conn, "inbound_texts") - before[1]
            counted.append(read >= len(strays_of))
    assert people[:5] == [0] * 5
    assert people[5] >= 4
    assert counted == [False, False, False, True, False, True]


async def test_an_old_backlog_is_as_many(handsets: Handsets) -> None:
    """A reader that was down for days must not let pass what came meanwhile."""
    for person in (10, 11, 12, 13):
        await handsets.write(person, "T", at=handsets.now)
    later = handsets.now + timedelta(days=3)
    await read_inbound(handsets.pool, handsets.keyring, later, bounds=FEW)
    assert len(await _holds(handsets)) == 1


async def test_a_person_lets_them_count(handsets: Handsets) -> None:
    people = [10, 11, 12, 13]
    await _opt_out(handsets, people)
    (hold,) = await _holds(handsets)
    decided = await _decide(handsets, await _user(handsets), hold.id, "count")
    assert decided.decision == "count"
    assert await _stopped(handsets, people) == [True] * 4
    assert await handsets.due() == ["opt_out_confirmed"] * 4
    await _opt_out(handsets, [14], at=handsets.now + timedelta(minutes=1))
    assert await _stopped(handsets, [14]) == [True], "what counts is no reason to hold the next"


async def test_a_person_drops_them(handsets: Handsets) -> None:
    people = [10, 11, 12, 13]
    await _opt_out(handsets, people)
    (hold,) = await _holds(handsets)
    user = await _user(handsets)
    await _decide(handsets, user, hold.id, "drop")
    assert await _stopped(handsets, people) == [False] * 4
    with pytest.raises(Conflict):
        await _decide(handsets, user, hold.id, "count")
    assert await _stopped(handsets, people) == [False] * 4
    await _opt_out(handsets, [14], at=handsets.now + timedelta(minutes=1))
    assert [h.decision for h in await _holds(handsets)] == [None, "drop"], "it goes on"


async def test_it_is_decided_for_the_county(handsets: Handsets) -> None:
    await _opt_out(handsets, [10, 11, 12, 13])
    (hold,) = await _holds(handsets)
    with pytest.raises(NotFound):
        await _decide(handsets, await _user(handsets, "department"), hold.id, "count")


async def test_a_channel_takes_so_many_confirmations_an_hour(handsets: Handsets) -> None:
    """The others wait for their turn; those of another channel do not wait for them."""
    await handsets.pool.execute("UPDATE departments SET signature = '旌德中学'")
    answering = Answering(handsets)
    many = StrayBounds(an_hour=1_000)
    await _opt_out(handsets, [10, 11, 12, 13, 14], bounds=many)
    later = handsets.now + timedelta(minutes=2)
    for _ in range(3):
        await send_replies(handsets.pool, handsets.keyring, later, most=2)
    assert sorted(row["run_id"] is not None for row in await answering.due()) == [
        False,
        False,
        False,
        True,
        True,
    ]
    await send_replies(handsets.pool, handsets.keyring, later + HOUR, most=2)
    assert len(await answering.answered()) == 4
    await send_replies(handsets.pool, handsets.keyring, later + 25 * HOUR, most=0)
    assert [skip for skip in await answering.skips() if skip] == ["too_late"]
