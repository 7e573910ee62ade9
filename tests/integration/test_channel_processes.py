"""A channel process serves its carriers' channels alone, and what stops it stops no other's."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.channels.config.store import insert_channel, parse_settings
from service.channels.contract.model import ChannelSettings
from service.crypto import Keyring
from service.errors import Misconfigured
from service.local.embedded import Valkey, write_private
from service.protocols.cmpp.pdu import ActiveTest, ActiveTestResp
from service.storage.postgres import Pool, transaction
from tests.harness.session import Carrier, Peer, carrier
from workers.__main__ import kind_of
from workers.channel import GROUPS, serves

pytestmark = pytest.mark.attack

PATIENCE_SECONDS = 60.0


@pytest.fixture
def environment(
    database_url: str, valkey: Valkey, redis: Redis, tmp_path: Path, keyring: Keyring
) -> dict[str, str]:
    write_private(tmp_path / "key", "01" * 32)
    return os.environ | {
        "TOCSIN_DATABASE_URL": database_url,
        "TOCSIN_REDIS_URL": valkey.url,
        "TOCSIN_KEY_FILE": str(tmp_path / "key"),
    }


@asynccontextmanager
async def process(
    environment: dict[str, str], word: str
) -> AsyncIterator[asyncio.subprocess.Process]:
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "workers", word, env=environment, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield started
    finally:
        started.send_signal(signal.SIGCONT)
        started.terminate()
        try:
            await asyncio.wait_for(started.wait(), PATIENCE_SECONDS)
        except TimeoutError:
            started.kill()


async def channel(pool: Pool, keyring: Keyring, now: datetime, port: int, who: str) -> int:
    config = parse_settings(
        "cmpp",
        {
            "host": "127.0.0.1",
            "port": port,
            "account": "901234",
            "secret": "1qaz2wsx",
            "access_number": "106900001234",
        },
    )
    settings = ChannelSettings(
        name=who, kind="cmpp", simulated=True, carriers=(who,), config=config
    )
    async with transaction(pool) as conn:
        return (await insert_channel(conn, keyring, settings, now)).id


async def logged_in(scripted: Carrier[Peer]) -> Peer:
    async with asyncio.timeout(PATIENCE_SECONDS):
        peer = await scripted.arrived.get()
    await peer.accept_login()
    return peer


async def answers(peer: Peer) -> None:
    """Whether it answers a heartbeat; its own are answered meanwhile."""
    peer.write(77, ActiveTest())
    while True:
        sequence, packet = await peer.read()
        if isinstance(packet, ActiveTestResp):
            assert sequence == 77
            return
        if isinstance(packet, ActiveTest):
            peer.write(sequence, ActiveTestResp())


@pytest.mark.slow
async def test_a_process_that_one_carrier_has_stopped_stops_no_other_carriers_channel(
    pool: Pool, keyring: Keyring, now: datetime, environment: dict[str, str]
) -> None:
    async with carrier() as mobile, carrier() as unicom:
        first = await channel(pool, keyring, now, mobile.port, "china_mobile")
        await channel(pool, keyring, now, unicom.port, "china_unicom")
        async with process(environment, "channel:china_unicom"):
            peer = await logged_in(unicom)
            await answers(peer)
            assert mobile.arrived.empty()
            owner = "SELECT owner FROM connections WHERE channel_id = $1"
            assert await pool.fetchval(owner, first) is None
            async with process(environment, "channel:china_mobile,china_broadnet") as stopped:
                await answers(await logged_in(mobile))
                stopped.send_signal(signal.SIGSTOP)
                for _ in range(5):
                    await answers(peer)


class BareChannel:
    """As much of a channel as says whose gateway it leads to."""

    def __init__(self, kind: str, *carriers: str, operated_by: str | None = None) -> None:
        self.kind, self.carriers, self.operated_by = kind, carriers, operated_by


BOTH = ("china_unicom", "china_telecom")


@pytest.mark.parametrize(
    ("bare", "group"),
    [
        (BareChannel("cmpp", "china_mobile"), "china_mobile"),
        (
            BareChannel("smpp", "china_unicom", "china_telecom", operated_by="china_telecom"),
            "china_telecom",
        ),
        (BareChannel("cmpp", "china_mobile", "china_unicom"), "others"),
        (BareChannel("http", "china_mobile"), "others"),
    ],
)
def test_every_channel_is_served_by_just_one_group(bare: Any, group: str) -> None:
    kinds = {name: kind_of(f"channel:{name}") for name in GROUPS}
    assert [name for name, kind in kinds.items() if serves(kind, bare)] == [group]
    assert serves(kind_of("channel"), bare)


@pytest.mark.parametrize(
    "word", ["channel:", "channel:mobile", "channel:china_mobile,", "expand:others"]
)
def test_a_group_that_is_none_is_refused_in_a_sentence(word: str) -> None:
    with pytest.raises(Misconfigured, match="channel"):
        kind_of(word)
