"""Contact files into contacts."""

import uuid
from typing import Any

from service.audience.loading import run_import
from workers.context import Kind, runtime_of


async def read_import(ctx: dict[str, Any], import_id: str) -> None:
    """Read one waiting file."""
    runtime = runtime_of(ctx)
    async with runtime.pool.acquire() as conn:
        await run_import(conn, runtime.keyring, uuid.UUID(import_id), runtime.clock.now())


KIND = Kind("imports", [read_import])
