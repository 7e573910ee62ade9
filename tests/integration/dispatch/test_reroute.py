"""A text that another network should have had, on a real PostgreSQL: one channel more, no two."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from service.campaigns.plans import lifecycle
from service.channels.routing import route_store
from service.crypto import Keyring
from service.delivery.receipts import store as delivery
from service.dispatch.expansion.expand import expand_run
from service.dispatch.retries import reroute_store
from service.ledger.states import MOVES, MessageState
from service.storage.postgres import Connection, Pool, transaction
from tests.harness.ledger import add_run
from tests.harness.owner import as_owner
from tests.harness.three_channels import (
    MOBILE,
    NP,
    TELECOM,
    UNICOM,
    ThreeChannels,
    alter,
    lay_out,
    ref,
)

MINUTE = timedelta(minutes=1)

SetUp = Callable[..., Awaitable[ThreeChannels]]


@pytest.fixture
def stage(pool: Pool, keyring: Keyring, now: datetime) -> SetUp:
    return partial(lay_out, pool, keyring, now)


# ---- to the second channel


async def test_a_receipt_of_another_network_puts_the_text_on_another_channel(stage: SetUp) -> None:
    on = await stage()
    await on.sent(MOBILE, 1, 2, 3, 4)
    await on.ported(MOBILE, 2)
    assert [await on.where(no) for no in (1, 2)] == [("submitted", MOBILE), ("queued", UNICOM)]
    row = await on.row(2)
    assert (row["first_channel_id"], row["first_code"]) == (on.id(MOBILE), NP)
    empty = ("reason", "code", "marked_at", "submitted_at", "final_at")
    assert [row[name] for name in empty] == [None] * 5
    assert row["carrier"] == MOBILE, "reports count the person where the run did"
    assert await on.states() == {"submitted": 3, "queued": 1}
    assert on.woken == [on.id(UNICOM)]
    own = await on.pool.fetchrow("SELECT * FROM slices WHERE channel_id = $1", on.id(UNICOM))
    assert own is not None
    assert (own["first_no"], own["last_no"], own["priority"]) == (2, 2, 0)
    await on.sent(UNICOM, 2)
    await on.delivered(UNICOM, 2)
    assert await on.where(2) == ("delivered", UNICOM)
    assert (await on.row(2))["attempt"] == 2
    assert await on.listed() == []


async def test_a_submit_refused_as_another_networks_takes_another_channel(stage: SetUp) -> None:
    on = await stage()
    lease = await on.lease(MOBILE)
    claimed = await on.claim(lease)
    assert claimed == (1, [1, 2, 3, 4])
    await on.mark(lease, 1, 1, 2)
    await on.refused(MOBILE, 1)
    await on.refused(MOBILE, 2, reason="blacklisted")
    assert [await on.where(no) for no in (1, 2)] == [("queued", UNICOM), ("rejected", MOBILE)]
    assert on.woken == [on.id(UNICOM)]
    await on.sent(UNICOM, 1)
    assert await on.states() == {"submitted": 1, "rejected": 1, "queued": 2}


async def test_answers_recorded_twice_route_once(stage: SetUp) -> None:
    """The commit's answer was lost, so the batch is recorded again."""
    on = await stage()
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1)
    result = await on.result(1, "rejected", reason="ported", code=NP)
    assert await on.record(MOBILE, result) == [on.id(UNICOM)]
    assert await on.record(MOBILE, result) == []
    assert await on.where(1) == ("queued", UNICOM)
    assert await on.pool.fetchval("SELECT count(*) FROM slices") == 2
    await on.sent(UNICOM, 1)
    assert await on.record(MOBILE, result) == []
    assert await on.where(1) == ("submitted", UNICOM)


async def test_a_channel_for_all_networks_comes_before_a_guess(stage: SetUp) -> None:
    on = await stage(carriers=(MOBILE, UNICOM, TELECOM))
    await alter(on.pool, on.channels[UNICOM], rank=1)
    await alter(on.pool, on.channels[TELECOM], on_net_only=False)
    await on.sent(MOBILE, 1)
    await on.ported(MOBILE, 1)
    assert await on.where(1) == ("queued", TELECOM)


async def test_what_was_learnt_meanwhile_comes_before_all(stage: SetUp) -> None:
    on = await stage(carriers=(MOBILE, UNICOM, TELECOM))
    await alter(on.pool, on.channels[UNICOM], on_net_only=False)
    await on.sent(MOBILE, 1, 2)
    async with on.pool.acquire() as conn:
        hashed = (await on.row(1))["phone_hash"]
        await route_store.set_override(conn, hashed, TELECOM, on.scene.operator, on.now)
    await on.ported(MOBILE, 1, 2)
    assert [await on.where(no) for no in (1, 2)] == [("queued", TELECOM), ("queued", UNICOM)]


async def test_many_of_one_batch_have_slices_of_their_own(stage: SetUp) -> None:
    on = await stage(people=40)
    nos = range(1, 41)
    await on.sent(MOBILE, *nos)
    await on.ported(MOBILE, *nos)
    assert await on.states() == {"queued": 40}
    ranges = await on.pool.fetch(
        "SELECT no, first_no, last_no FROM slices WHERE channel_id = $1 ORDER BY no", on.id(UNICOM)
    )
    assert [tuple(row) for row in ranges] == [(no + 1, no, no) for no in nos]
    await on.sent(UNICOM, *nos)
    await on.delivered(UNICOM, *nos)
    assert await on.states() == {"delivered": 40}


@pytest.mark.parametrize("state", list(MessageState))
async def test_only_failures_move_and_only_along_the_table(
    stage: SetUp, state: MessageState
) -> None:
    on = await stage(people=1)
    await on.pool.execute("UPDATE messages SET state = $1::message_state", state.value)
    async with transaction(on.pool) as conn:
        await reroute_store.lock_runs(conn, [on.run])
        moved = await reroute_store.move_strays(conn, [((on.run, 1), on.id(UNICOM))])
    if state in {MessageState.UNDELIVERED, MessageState.REJECTED}:
        assert MessageState.QUEUED in MOVES[state]
        assert (moved, await on.where(1)) == ([on.id(UNICOM)], ("queued", UNICOM))
    else:
        assert (moved, await on.where(1)) == ([], (state.value, MOBILE))
        assert await on.pool.fetchval("SELECT count(*) FROM slices") == 1


async def test_a_text_fails_before_it_moves(stage: SetUp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes from `submitted` to `queued` by itself: the table of moves has no such step."""
    on = await stage()
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1, 2)
    await on.submitted(MOBILE, 1, ref(MOBILE, 1))
    move = reroute_store.move_strays
    before: list[str] = []

    async def look_first(conn: Connection, ways: Any) -> list[int]:
        for (run, no), _ in ways:
            sql = "SELECT state::text FROM messages WHERE run_id = $1 AND no = $2"
            before.append(await conn.fetchval(sql, run, no))
        return await move(conn, ways)

    monkeypatch.setattr(reroute_store, "move_strays", look_first)
    await on.ported(MOBILE, 1)
    await on.refused(MOBILE, 2)
    assert before == ["undelivered", "rejected"]


# ---- when not


async def _an_empty_number(on: ThreeChannels) -> None:
    await on.receive(MOBILE, 1, "undelivered", "MK:0001", "empty_number")
    await on.fold(MOBILE)


async def _no_other_channel(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE channels SET enabled = false WHERE id = $1", on.id(UNICOM))
    await on.ported(MOBILE, 1)


async def _not_among_the_chosen(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE runs SET channels = $1", [on.id(MOBILE)])
    await on.ported(MOBILE, 1)


async def _validity_over(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE runs SET valid_until = $1", on.now)
    await on.ported(MOBILE, 1)


async def _cancelled_run(on: ThreeChannels) -> None:
    await on.act(lifecycle.cancel)
    await on.ported(MOBILE, 1)


async def _cancelled_campaign_of_a_sent_run(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    await on.act(lifecycle.cancel)
    await on.ported(MOBILE, 1)


async def _corrected(on: ThreeChannels) -> None:
    await on.correct()
    await on.ported(MOBILE, 1)


async def _another_kind_of_channel(on: ThreeChannels) -> None:
    await as_owner(on.pool, "ALTER TABLE channels DISABLE TRIGGER channels_simulated_is_final")
    await alter(on.pool, on.channels[UNICOM], simulated=False)
    await on.ported(MOBILE, 1)


async def _expired_with_that_reason(on: ThreeChannels) -> None:
    await on.receive(MOBILE, 1, "expired", NP, "ported")
    await on.fold(MOBILE)


async def _a_carriers_own_base(on: ThreeChannels) -> None:
    await on.pool.execute("UPDATE departments SET kind = 'carrier', carrier = 'china_mobile'")
    await on.ported(MOBILE, 1)


async def _a_direct_send_of_a_carrier(on: ThreeChannels) -> None:
    await on.pool.execute(
        "UPDATE runs SET campaign_id = NULL, rule = NULL, kind = 'direct',"
        " sent_by = (SELECT id FROM users LIMIT 1)"
    )
    await _a_carriers_own_base(on)


@pytest.mark.parametrize(
    "happening",
    [
        _a_carriers_own_base,
        _a_direct_send_of_a_carrier,
        _an_empty_number,
        _no_other_channel,
        _not_among_the_chosen,
        _validity_over,
        _cancelled_run,
        _cancelled_campaign_of_a_sent_run,
        _corrected,
        _another_kind_of_channel,
        _expired_with_that_reason,
    ],
    ids=lambda happening: happening.__name__.strip("_"),
)
async def test_otherwise_it_is_an_ordinary_failure(
    stage: SetUp, happening: Callable[[ThreeChannels], Awaitable[None]]
) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    run_before = (await on.run_row())["state"]
    await happening(on)
    state, channel = await on.where(1)
    assert state in {"undelivered", "expired"}
    row = await on.row(1)
    assert (channel, row["first_channel_id"], row["final_at"]) == (MOBILE, None, on.now)
    assert row["reason"] in {"ported", "empty_number"}
    assert (await on.run_row())["state"] in {run_before, "cancelled", "sent"}
    assert await on.pool.fetchval("SELECT count(*) FROM slices") == 1
    assert on.woken == []
    await on.states()


async def test_never_twice(stage: SetUp) -> None:
    on = await stage(carriers=(MOBILE, UNICOM, TELECOM))
    await on.sent(MOBILE, 1, 2)
    await on.ported(MOBILE, 1, 2)
    await on.sent(UNICOM, 1)
    await on.ported(UNICOM, 1)
    assert await on.where(1) == ("undelivered", UNICOM)
    lease = on.leases[UNICOM]
    claimed = await on.claim(lease)
    assert claimed is not None
    await on.mark(lease, claimed[0], 2)
    await on.refused(UNICOM, 2)
    assert await on.where(2) == ("rejected", UNICOM)
    assert await on.known(1) is None
    assert await on.known(2) is None


async def test_a_text_of_which_a_part_was_taken_or_arrived_stays(stage: SetUp) -> None:
    on = await stage()
    await on.sent(MOBILE, 1, 2, parts=2)
    await on.receive(MOBILE, 1, "delivered", "DELIVRD", part=0)
    await on.receive(MOBILE, 1, "undelivered", NP, "ported", part=1)
    await on.fold(MOBILE)
    assert await on.where(1) == ("undelivered", MOBILE)
    await on.receive(MOBILE, 2, "undelivered", NP, "ported", part=0)
    await on.receive(MOBILE, 2, "undelivered", NP, "ported", part=1)
    await on.fold(MOBILE)
    assert await on.where(2) == ("queued", UNICOM)
    lease, claimed = on.leases[MOBILE], await on.claim(on.leases[MOBILE])
    if claimed is None:  # the slice is still in the first connection's hands
        claimed = (1, [3, 4])
    await on.mark(lease, claimed[0], 3, parts=2)
    await on.refused(MOBILE, 3, b"the first part's")
    assert await on.where(3) == ("rejected", MOBILE)


async def test_a_long_text_on_its_second_channel_is_delivered_when_all_parts_are(
    stage: SetUp,
) -> None:
    on = await stage()
    await on.sent(MOBILE, 1, parts=2)
    await on.receive(MOBILE, 1, "undelivered", NP, "ported", part=0)
    await on.fold(MOBILE)
    await on.sent(UNICOM, 1, parts=2)
    await on.receive(UNICOM, 1, "delivered", "DELIVRD", part=0)
    await on.fold(UNICOM)
    await on.receive(MOBILE, 1, "undelivered", NP, "ported", part=1)
    await on.fold(MOBILE)
    assert await on.where(1) == ("submitted", UNICOM)
    await on.receive(UNICOM, 1, "delivered", "DELIVRD", part=1)
    await on.fold(UNICOM)
    assert await on.where(1) == ("delivered", UNICOM)
    assert await on.listed() == []
    found = await on.known(1)
    assert found is not None
    assert found.carrier == UNICOM


# ---- what a delivery proves


async def test_a_delivery_by_the_second_channel_is_learnt(stage: SetUp) -> None:
    on = await stage()
    await on.sent(MOBILE, 1, 2)
    await on.delivered(MOBILE, 1)
    await on.ported(MOBILE, 2)
    await on.sent(UNICOM, 2)
    assert await on.known(2) is None, "that the second channel took it proves nothing"
    await on.delivered(UNICOM, 2)
    found = await on.known(2)
    assert found is not None
    assert (found.carrier, found.source, found.channel_id, found.set_by, found.set_at) == (
        UNICOM,
        "learned",
        on.id(UNICOM),
        None,
        on.now,
    )
    assert await on.known(1) is None
    async with on.pool.acquire() as conn:
        run = await add_run(conn, on.scene, on.now + MINUTE)
    await expand_run(on.pool, run, on.now + MINUTE)
    row = await on.pool.fetchrow(
        "SELECT channel_id, carrier FROM messages WHERE run_id = $1 AND phone_hash = $2",
        run,
        (await on.row(2))["phone_hash"],
    )
    assert row is not None
    assert tuple(row) == (on.id(UNICOM), UNICOM), "the next run goes there at once"


async def test_a_delivery_replaces_what_was_known_before(stage: SetUp) -> None:
    on = await stage(carriers=(MOBILE, UNICOM, TELECOM))
    await on.sent(MOBILE, 1)
    async with on.pool.acquire() as conn:
        hashed = (await on.row(1))["phone_hash"]
        await route_store.set_override(conn, hashed, MOBILE, on.scene.operator, on.now)
    await on.ported(MOBILE, 1)
    await on.sent(UNICOM, 1)
    await on.delivered(UNICOM, 1)
    found = await on.known(1)
    assert found is not None
    assert (found.carrier, found.source, found.set_by) == (UNICOM, "learned", None)


@pytest.mark.parametrize(
    "channel", [{"on_net_only": False}, {"carriers": [UNICOM, TELECOM]}], ids=["all", "two"]
)
async def test_a_channel_that_serves_several_carriers_proves_nothing(
    stage: SetUp, channel: dict[str, Any]
) -> None:
    on = await stage()
    await alter(on.pool, on.channels[UNICOM], **channel)
    await on.sent(MOBILE, 1)
    await on.ported(MOBILE, 1)
    await on.sent(UNICOM, 1)
    await on.delivered(UNICOM, 1)
    assert await on.where(1) == ("delivered", UNICOM)
    assert await on.known(1) is None


# ---- the first channel has had its say


@pytest.mark.parametrize("standing", ["submitting", "submitted", "delivered"])
async def test_late_receipts_of_the_first_channel_change_nothing(
    stage: SetUp, standing: str
) -> None:
    on = await stage()
    await on.sent(MOBILE, 1, 2, 3, 4)
    await on.ported(MOBILE, 1)
    lease = await on.lease(UNICOM)
    claimed = await on.claim(lease)
    assert claimed is not None
    await on.mark(lease, claimed[0], 1)
    if standing in {"submitted", "delivered"}:
        await on.submitted(UNICOM, 1, ref(UNICOM, 1))
    if standing == "delivered":
        await on.delivered(UNICOM, 1)
    await on.ported(MOBILE, 1)  # the carrier repeats itself
    assert await on.listed() == []
    await on.receive(MOBILE, 1, "undelivered", "MK:0001", "empty_number")
    await on.delivered(MOBILE, 1)
    assert await on.where(1) == (standing, UNICOM)
    assert await on.listed() == [(ref(MOBILE, 1), "conflict")] * 2
    assert await on.pool.fetchval("SELECT count(*) FROM slices") == 2


async def test_a_text_that_arrived_after_all_takes_no_second_channel(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.ported(MOBILE, 1)
    await on.receive(MOBILE, 1, "undelivered", "MK:0001", "empty_number")
    await on.fold(MOBILE)
    assert await on.where(1) == ("queued", UNICOM), "that it failed is nothing new"
    await on.delivered(MOBILE, 1)
    assert await on.where(1) == ("delivered", MOBILE)
    row = await on.row(1)
    assert (row["first_channel_id"], row["first_code"], row["final_at"]) == (None, None, on.now)
    assert await on.listed() == [(ref(MOBILE, 1), "conflict")]
    lease = await on.lease(UNICOM)
    claimed = await on.claim(lease)
    assert claimed == (2, [])
    assert await on.mark(lease, 2, 1) == []
    assert await on.finish(lease, 2)
    assert await on.known(1) is None
    await on.states()


async def test_a_late_answer_of_the_first_channel_changes_nothing(stage: SetUp) -> None:
    """An uncertain hand-off is settled by its receipt, the text moves on, and then the old answer
    comes.
    """
    on = await stage(people=1)
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1)
    await on.record(MOBILE, await on.result(1, "uncertain", ref(MOBILE, 1), reason="no_answer"))
    late = await on.result(1, "submitted", ref(MOBILE, 1))
    await on.ported(MOBILE, 1)
    assert await on.where(1) == ("queued", UNICOM)
    assert await on.pool.fetchval("SELECT count(*) FROM uncertain") == 0
    await on.record(MOBILE, late)
    assert await on.where(1) == ("queued", UNICOM)
    second = await on.lease(UNICOM)
    claimed = await on.claim(second)
    assert claimed is not None
    await on.mark(second, claimed[0], 1)
    await on.record(MOBILE, late)
    assert await on.where(1) == ("submitting", UNICOM)


async def test_a_fold_that_read_the_message_before_it_moved_on_changes_nothing(
    stage: SetUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between a fold's look and its write, the late answer moves the text, which is sent again."""
    on = await stage(people=1)
    lease = await on.lease(MOBILE)
    await on.claim(lease)
    await on.mark(lease, 1, 1)
    await on.record(MOBILE, await on.result(1, "uncertain", ref(MOBILE, 1), reason="no_answer"))
    late = await on.result(1, "rejected", reason="ported", code=NP)
    await on.receive(MOBILE, 1, "undelivered", "MK:0001", "empty_number")
    apply = delivery.apply_changes

    async def move_first(conn: Connection, changes: Any, now: datetime) -> Any:
        await on.record(MOBILE, late)
        await on.sent(UNICOM, 1)
        return await apply(conn, changes, now)

    monkeypatch.setattr(delivery, "apply_changes", move_first)
    await on.fold(MOBILE)
    assert await on.where(1) == ("submitted", UNICOM)
    assert await on.listed() == [(ref(MOBILE, 1), "conflict")]


# ---- runs that were taken for finished


async def test_a_settled_run_is_open_again(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.close()
    assert (await on.run_row())["state"] == "sent"
    await on.pool.execute("UPDATE messages SET state = 'unknown', final_at = $1", on.now)
    await on.pool.execute("UPDATE runs SET settled_at = $1", on.now)
    await on.ported(MOBILE, 1)
    run = await on.run_row()
    assert (run["state"], run["finished_at"], run["settled_at"]) == ("running", None, None)
    await on.close()
    assert (await on.run_row())["state"] == "running", "its new slice is still to be handed off"
    await on.sent(UNICOM, 1)
    await on.close()
    run = await on.run_row()
    assert (run["state"], run["finished_at"]) == ("sent", on.now)


async def test_a_campaign_that_was_done_can_be_cancelled_again(stage: SetUp) -> None:
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.close()
    assert await on.pool.fetchval("SELECT state FROM campaigns") == "done"
    await on.ported(MOBILE, 1)
    assert await on.pool.fetchval("SELECT state FROM campaigns") == "running"
    await on.act(lifecycle.cancel)
    assert await on.where(1) == ("cancelled", UNICOM)
    moves = await on.pool.fetch("SELECT from_state, to_state FROM campaign_moves ORDER BY id")
    assert [tuple(row) for row in moves] == [
        ("running", "done"),
        ("done", "running"),
        ("running", "cancelled"),
    ]


async def test_the_run_of_a_paused_campaign_waits_for_the_resume(stage: SetUp) -> None:
    on = await stage()
    await on.sent(MOBILE, 1)
    await on.act(lifecycle.pause)
    await on.ported(MOBILE, 1)
    second = await on.lease(UNICOM)
    assert await on.where(1) == ("queued", UNICOM)
    assert await on.claim(second) is None
    await on.act(lifecycle.resume)
    claimed = await on.claim(second)
    assert claimed is not None
    assert await on.mark(second, claimed[0], 1) == [1]


async def test_a_sent_run_of_a_paused_campaign_opens_paused(stage: SetUp) -> None:
    """A campaign may be paused while another of its runs is open; nothing of it may leave."""
    on = await stage(people=1)
    await on.sent(MOBILE, 1)
    await on.pool.execute("UPDATE runs SET state = 'sent'")
    await on.pool.execute("UPDATE campaigns SET state = 'paused'")
    await on.ported(MOBILE, 1)
    assert (await on.run_row())["state"] == "paused"
    assert await on.claim(await on.lease(UNICOM)) is None
    await on.act(lifecycle.resume)
    assert (await on.run_row())["state"] == "running"
