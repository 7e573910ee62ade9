"""The owner of a test's tables: for what the service's role may not do, and a test has to.

Tests run as the service's role, so that a missing grant fails everywhere.
"""

from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, quote, urlsplit

from service.storage.postgres import Pool, connected


def owner_url(service_url: str) -> str:
    """The address of the same database as the owner of its tables, a superuser."""
    parts = urlsplit(service_url)
    (folder,) = parse_qs(parts.query)["host"]
    password = quote((Path(folder) / "password").read_text(), safe="")
    return parts._replace(netloc=f"tocsin:{password}@").geturl()


async def as_owner(pool: Pool, statement: str, *arguments: Any) -> None:
    """Execute a statement in the pool's database as the owner of its tables."""
    (service_url,) = cast(Any, pool)._connect_args  # the driver's types do not have it
    async with connected(owner_url(service_url)) as conn:
        await conn.execute(statement, *arguments)
