"""An expanded run on a channel to a simulated carrier, and when all of it is handed off."""

from typing import Any

from service.clock import Clock
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.simulator.carrier.outcomes import fates
from service.storage.postgres import Connection, Pool
from tests.harness.ledger import add_channel, add_contacts, add_run, make_scene, phone

LONG = "【旌德县公安局】" + "先做小任务返小钱、再让垫付大单的，都是刷单诈骗。" * 4


async def ready(
    pool: Pool,
    conn: Connection,
    keyring: Keyring,
    clock: Clock,
    port: int,
    people: int,
    **more: Any,
) -> tuple[Any, Any]:
    """A channel to `port` and an expanded run to `people`; more goes to the channel or the run."""
    channel_keys = {"tps", "window", "connections"}
    scene = await make_scene(conn, clock.now())
    await add_contacts(conn, keyring, scene, [phone(n) for n in range(people)], clock.now())
    channel_settings = {k: v for k, v in more.items() if k in channel_keys}
    channel = await add_channel(conn, keyring, port, clock.now(), **channel_settings)
    run_settings = {k: v for k, v in more.items() if k not in channel_keys}
    run = await add_run(conn, scene, clock.now(), **run_settings)
    made = await expand_run(pool, run, clock.now())
    assert made is not None
    assert made.target == people
    return channel, run


async def handed_off(conn: Connection, run: Any) -> bool:
    open_rows = await conn.fetchval(
        "SELECT count(*) FROM messages WHERE run_id = $1 AND state IN ('queued', 'submitting')",
        run,
    )
    return bool(open_rows == 0)


def fortunate(count: int) -> list[str]:
    """Numbers that every text reaches, without the carrier finding any too fast."""
    judge = fates("carrier", 341825, "china_mobile")
    found = (phone(n) for n in range(10_000))
    verdicts = ((number, judge(number)) for number in found)
    chosen = (number for number, v in verdicts if v.stat == "DELIVRD" and not v.throttled)
    return [next(chosen) for _ in range(count)]
