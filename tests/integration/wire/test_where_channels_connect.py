"""A channel connects only where one of its carrier may: whoever names a host knocks at no other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from service.channels.config.store import parse_settings
from service.channels.contract.address_check import AllowedAddresses, going
from service.channels.contract.gateway import Unreachable
from service.channels.contract.model import LISTS, Channel
from service.channels.contract.networks import GROUPS, reach_of, read_networks
from service.channels.contract.registry import factory, load
from service.channels.trial.trial import try_channel
from service.clock import Clock
from service.errors import Misconfigured
from service.local.embedded import Postgres, Valkey
from service.settings import Settings
from tests.harness.channels import CONFIGS
from tests.harness.links import LINKS

pytestmark = pytest.mark.attack

KINDS = sorted(load().keys() - LISTS)
"""A list connects nowhere."""
NEVER = ["169.254.169.254", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1"]
NEVER_6 = ["fe80::1", "::", "ff02::1", "::ffff:169.254.169.254", "2002:a9fe:a9fe::1"]


class Port:
    """A port that counts who connects."""

    def __init__(self) -> None:
        self.connections = 0
        self.number = 0

    def knocked(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        writer.close()


@asynccontextmanager
async def listening() -> AsyncIterator[Port]:
    port = Port()
    server = await asyncio.start_server(port.knocked, "127.0.0.1", 0)
    port.number = server.sockets[0].getsockname()[1]
    async with server:
        yield port


def leading_to(kind: str, host: str, port: int, *, simulated: bool = True) -> Channel:
    config: dict[str, Any] = dict(CONFIGS[kind])
    if kind in LINKS:
        config |= {"host": host, "port": port}
    else:
        shown = f"[{host}]" if ":" in host else host
        config |= {"url" if kind == "http" else "api_url": f"http://{shown}:{port}"}
    config |= {"url": config["url"] + "/send"} if kind == "http" else {}
    return Channel(
        id=1,
        name="c",
        kind=kind,
        simulated=simulated,
        carriers=("china_mobile",),
        config=parse_settings(kind, config),
        requires_filing=False,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("host", "redis_url"),
    [
        ("127.0.0.1", "redis://:pw@"),
        ("localhost", "redis://:pw@"),
        ("127.0.0.1", "sentinel://:pw@[::1]:1,"),
    ],
)
async def test_our_own_servers_are_not_knocked_at(
    redis: Redis, kind: str, host: str, redis_url: str
) -> None:
    async with listening() as ours:
        own = (f"{redis_url}localhost:{ours.number}/t/0", "postgresql://u:p@/d?host=/tmp&port=1")
        channel = leading_to(kind, host, ours.number)
        where = reach_of(channel, {}, own)
        trial = await try_channel(channel, Clock(), redis, 0, where=where)
        assert not trial.ok
        assert "PostgreSQL or Redis of this system" in trial.detail
        assert ours.connections == 0
        free = await try_channel(channel, Clock(), redis, 0)
        assert ours.connections > 0, free


@pytest.mark.parametrize("kind", KINDS)
async def test_link_local_addresses_are_not_knocked_at(redis: Redis, kind: str) -> None:
    channel = leading_to(kind, "169.254.169.254", 80)
    trial = await try_channel(channel, Clock(), redis, 0)
    assert not trial.ok
    assert "link-local" in trial.detail
    assert trial.milliseconds < 5_000, "nobody was waited for"


@pytest.mark.parametrize("address", NEVER + NEVER_6)
def test_some_addresses_are_no_carriers(address: str) -> None:
    assert AllowedAddresses().why_not(address, 7890, frozenset())


@pytest.mark.parametrize(
    "address", ["192.0.2.1", "10.1.2.3", "127.0.0.1", "2001:4860::1", "fd00::1"]
)
def test_a_private_line_is_one_unless_networks_are_named(address: str) -> None:
    assert not AllowedAddresses().why_not(address, 7890, frozenset())
    within = AllowedAddresses((ip_network("198.51.100.0/24"),))
    assert "TOCSIN_CARRIER_NETWORKS" in within.why_not(address, 7890, frozenset())
    assert not within.why_not("198.51.100.7", 7890, frozenset())


def test_each_carrier_has_its_networks_and_simulated_channels_their_own() -> None:
    networks = read_networks(
        "china_mobile=192.0.2.0/24, china_mobile=10.1.0.0/16 others=198.51.100.0/24"
        " simulated=127.0.0.0/8"
    )
    mobile = leading_to("cmpp", "192.0.2.1", 1, simulated=False)
    provider = leading_to("http", "192.0.2.1", 1, simulated=False)
    rehearsed = leading_to("cmpp", "192.0.2.1", 1)
    assert reach_of(mobile, networks, ()).networks == networks["china_mobile"]
    assert reach_of(provider, networks, ()).networks == networks["others"]
    assert reach_of(rehearsed, networks, ()).networks == networks["simulated"]
    assert set(networks) <= set(GROUPS)
    with pytest.raises(Misconfigured, match="moon"):
        read_networks("moon=192.0.2.0/24")


@pytest.mark.parametrize("text", ["china_mobile", "192.0.2.0/24", "china_mobile=192.0.2.1/24"])
def test_networks_that_cannot_be_read_are_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="carrier_networks"):
        Settings(database_url="x", redis_url="x", key_file=Path("x"), carrier_networks=text)


async def test_the_embedded_servers_are_known_by_their_urls(
    postgres: Postgres, valkey: Valkey
) -> None:
    closed = await AllowedAddresses(own=(postgres.url, valkey.url)).closed()
    assert {port for _, port in closed} == {postgres.port}
    assert AllowedAddresses().why_not("127.0.0.9", postgres.port, closed), (
        "any address of this machine"
    )


async def test_whoever_connects_within_a_reach_connects_nowhere_else() -> None:
    """As a channel process does for each of its channels."""
    async with listening() as port:
        kind = leading_to("cmpp", "127.0.0.1", port.number)
        gateway = factory("cmpp")(kind.config, lambda _: asyncio.Future(), Clock())
        with going(AllowedAddresses((ip_network("192.0.2.0/24"),))):
            with pytest.raises(Unreachable, match="TOCSIN_CARRIER_NETWORKS"):
                await gateway.open()
            assert port.connections == 0
