"""Receipts into the ledger."""

from typing import Any

from service.delivery.receipts import fold_receipts as fold
from workers.context import Kind, runtime_of


async def fold_receipts(ctx: dict[str, Any], channel_id: str) -> int:
    """Fold one channel's inbox."""
    runtime = runtime_of(ctx)
    return await fold(runtime.pool, int(channel_id), runtime.clock.now())


KIND = Kind("delivery", [fold_receipts])
