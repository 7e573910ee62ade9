"""From a handset and back to it, over TCP: opt-out, suppression, one confirmation."""

import asyncio
from datetime import timedelta
from functools import partial
from pathlib import Path

from service.channels.contract.gateway import Inbound, Receipt
from service.channels.contract.model import Channel
from service.channels.contract.outcome import ReceiptState
from service.clock import Clock
from service.crypto import Keyring
from service.delivery.inbound.inbound import read_inbound
from service.delivery.inbound.replies import TOGETHER, reply_texts, send_replies
from service.delivery.receipts.inbox import Inbox
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff.channel_server import ChannelServer
from service.simulator.carrier.audit import received
from service.simulator.carrier.replies import Replies, originate
from service.simulator.run import Simulator
from service.storage.postgres import Pool
from tests.harness.ledger import Scene, add_channel, add_contacts, add_run, make_scene, phone
from tests.harness.waiting import until
from tests.integration.dispatch.conftest import Serve, Simulate

ACCESS = "1065720001234"
PEOPLE = 6
LATER = TOGETHER + timedelta(seconds=1)
CONFIRMED = "【旌德县公安局】" + reply_texts()["opt_out_confirmed"]
RECEIVED = "【旌德县公安局】" + reply_texts()["clue_received"]


async def scene_of(pool: Pool, keyring: Keyring, clock: Clock, port: int) -> tuple[Scene, Channel]:
    async with pool.acquire() as conn:
        scene = await make_scene(conn, clock.now())
        await conn.execute("UPDATE departments SET signature = '旌德县公安局'")
        await add_contacts(conn, keyring, scene, [phone(n) for n in range(PEOPLE)], clock.now())
        return scene, await add_channel(conn, keyring, port, clock.now(), connections=2)


async def broadcast(
    pool: Pool, scene: Scene, clock: Clock, server: ChannelServer, message_class: str
) -> tuple[int, int]:
    """Hand off a run in this class to everybody; returns how many were handed off, and how many
    left out.
    """
    async with pool.acquire() as conn:
        run = await add_run(conn, scene, clock.now())
        await conn.execute("UPDATE runs SET class = $2 WHERE id = $1", run, message_class)
    made = await expand_run(pool, run, clock.now())
    assert made is not None
    for channel_id in made.channels:
        server.wakeups.wake(channel_id)
    await until(lambda: _idle(pool))
    taken: int = await pool.fetchval("SELECT sum(attempt) FROM messages WHERE run_id = $1", run)
    return taken, made.excluded


async def _idle(pool: Pool) -> bool:
    waiting: int = await pool.fetchval(
        "SELECT count(*) FROM messages WHERE state IN ('queued', 'submitting')"
    )
    return waiting == 0


def write(carrier: Simulator, *texts: tuple[int, str]) -> None:
    messages = [{"phone": phone(n), "to": ACCESS, "text": text} for n, text in texts]
    originate(carrier.smsc, Replies.model_validate({"messages": messages}))


async def arrived(pool: Pool, count: int) -> None:
    async def all_there() -> bool:
        found: int = await pool.fetchval("SELECT count(*) FROM inbound")
        return found >= count

    await until(all_there)


def got(carrier: Simulator, tmp_path: Path, person: int) -> int:
    """How many texts the carrier took for somebody."""
    carrier.smsc.journal.flush()
    return len(list(received(tmp_path / "journal", phone(person))))


async def answer(
    pool: Pool, keyring: Keyring, clock: Clock, server: ChannelServer, workers: int = 2
) -> None:
    """Several workers at once read what arrived, and a minute later answer it."""
    await asyncio.gather(*[read_inbound(pool, keyring, clock.now()) for _ in range(workers)])
    at = clock.now() + LATER
    woken = await asyncio.gather(*[send_replies(pool, keyring, at) for _ in range(workers)])
    for channel_id in set().union(*woken):
        server.wakeups.wake(channel_id)
    await until(lambda: _idle(pool))


async def test_an_opt_out_is_confirmed_once_and_stops_publicity_but_no_warning(
    pool: Pool, keyring: Keyring, clock: Clock, tmp_path: Path, simulate: Simulate, serve: Serve
) -> None:
    async with simulate() as carrier:
        scene, _ = await scene_of(pool, keyring, clock, carrier.ports["cmpp"])
        server = await serve()
        assert await broadcast(pool, scene, clock, server, "public_interest") == (PEOPLE, 0)
        write(carrier, (0, "Ｒ。"), (1, "退订"), (0, "R"), (2, "群里有人被骗了"), (3, "1"))
        await arrived(pool, 5)
        for _ in range(3):
            await answer(pool, keyring, clock, server)
        assert [got(carrier, tmp_path, n) for n in range(PEOPLE)] == [2, 2, 2, 1, 1, 1]
        rows = await pool.fetch("SELECT text, target FROM runs WHERE kind = 'reply'")
        assert sorted(map(tuple, rows)) == sorted([(CONFIRMED, 2), (RECEIVED, 1)])

        assert await broadcast(pool, scene, clock, server, "public_interest") == (PEOPLE - 2, 2)
        assert await broadcast(pool, scene, clock, server, "warning") == (PEOPLE, 0)
        assert [got(carrier, tmp_path, n) for n in range(PEOPLE)] == [3, 3, 4, 3, 3, 3]

        write(carrier, (0, "R"), (1, "TD"))  # once more, and in another word: nothing to confirm
        await arrived(pool, 7)
        await answer(pool, keyring, clock, server)
        assert [got(carrier, tmp_path, n) for n in (0, 1)] == [3, 3]


async def test_a_text_wakes_its_reader_once_it_is_stored_and_a_receipt_does_not(
    pool: Pool, keyring: Keyring, clock: Clock
) -> None:
    rung: list[str] = []

    async def fold(_channel: int) -> None:
        rung.append("fold")

    async def read() -> None:
        stored = await pool.fetchval("SELECT count(*) FROM inbound")
        rung.append(f"read {stored}")

    async def times(count: int) -> bool:
        return len(rung) >= count

    inbox = Inbox(pool, keyring, clock, fold, read)
    storing = asyncio.create_task(inbox.run())
    deliver = inbox.deliver_for(1)
    try:
        for n in range(2):
            await deliver(
                Receipt(bytes([n]), phone(1), ReceiptState.DELIVERED, "DELIVRD", "", None)
            )
            await until(partial(times, n + 1))
        await deliver(Inbound(phone(1), ACCESS, "R"))
        await until(lambda: times(3))
    finally:
        storing.cancel()
        await asyncio.gather(storing, return_exceptions=True)
    assert rung == ["fold", "fold", "read 1"]
