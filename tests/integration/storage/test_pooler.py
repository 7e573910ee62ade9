"""A pooler before PostgreSQL: what a session asks for at its start may be dropped, and its locks
may be anybody's.
"""

from urllib.parse import urlsplit

import pytest

from service.errors import Misconfigured
from service.local.embedded import Postgres
from service.servers import find_faults
from service.storage.locks import try_lock_keys
from service.storage.migrate import migrate
from service.storage.postgres import BY_KEY, SESSION, connected
from tests.harness.pooler import pooler

NAMES = sorted({*SESSION, *BY_KEY})


def over_tcp(url: str, port: int) -> str:
    """The same database, at a port of loopback."""
    parts = urlsplit(url)
    return f"postgresql://{parts.netloc.rpartition('@')[0]}@127.0.0.1:{port}{parts.path}"


async def told(url: str) -> list[str]:
    return [fault.sentence for fault in await find_faults(url, None) if not fault.passing]


@pytest.mark.parametrize("name", NAMES)
async def test_a_setting_that_a_pooler_drops_is_a_fault_that_names_it(
    postgres: Postgres, database_url: str, name: str
) -> None:
    async with pooler(postgres.port, drops=[name]) as port:
        found = await told(over_tcp(database_url, port))
    if name == "default_transaction_isolation":  # is what the server has by itself
        assert not found
        return
    (sentence,) = found
    assert f"pooler that drops {name}," in sentence
    assert f"连接池丢弃了 {name}" in sentence
    assert "deploy/ha/pgbouncer.ini" in sentence


async def test_a_pooler_that_refuses_a_setting_is_a_fault_and_not_waited_for(
    postgres: Postgres, database_url: str
) -> None:
    async with pooler(postgres.port, refuses=["transaction_timeout"]) as port:
        (sentence,) = await told(over_tcp(database_url, port))
    assert "pooler that refuses settings" in sentence
    assert "连接池拒绝了" in sentence


async def test_a_pooler_that_keeps_them_has_no_fault(postgres: Postgres, database_url: str) -> None:
    async with pooler(postgres.port) as port:
        assert not await told(over_tcp(database_url, port))
    assert not await told(over_tcp(database_url, postgres.port))


async def test_who_needs_the_lock_of_a_session_refuses_a_pooler(
    postgres: Postgres, owner_url: str
) -> None:
    async with (
        pooler(postgres.port) as port,
        connected(over_tcp(owner_url, port)) as pooled,
        connected(over_tcp(owner_url, postgres.port)) as direct,
    ):
        with pytest.raises(Misconfigured, match="pooler.*TOCSIN_DATABASE_OWNER_URL"):
            await migrate(pooled)
        with pytest.raises(Misconfigured, match="pooler.*TOCSIN_DATABASE_URL"):
            await try_lock_keys(pooled)
        assert await migrate(direct) == []
        assert await try_lock_keys(direct)
