"""If a carrier says that another network serves the number, the text takes a second channel, once.

Numbers are ported between carriers, and the prefix does not show it. The answer to a submit or a
final receipt with the reason `ported` is an ordinary failure first. Then, in the same transaction,
the message goes into the queue of another channel, if there is one for it. If that channel delivers
and takes one carrier's numbers only, the carrier of the number is known from then on.

Whoever records results calls `lock` before the statement that records them, and `reroute` after it.
"""

import logging
import uuid
from collections.abc import Collection, Sequence
from datetime import datetime

from service.campaigns.plans.lifecycle import reopen_campaigns
from service.channels.contract.outcome import ReceiptState
from service.channels.routing.route import second_channel
from service.channels.routing.route_store import list_routable_channels
from service.dispatch.retries import reroute_store
from service.ledger.message_id import MessageKey
from service.ledger.reasons import Reason
from service.storage.postgres import Connection

log = logging.getLogger(__name__)

_FAILURES = frozenset({ReceiptState.UNDELIVERED.value, ReceiptState.REJECTED.value})


def is_stray(state: str, reason: str | None) -> bool:
    """Whether this outcome says that another network serves the number."""
    return reason == Reason.PORTED and state in _FAILURES


async def lock(conn: Connection, runs: Collection[uuid.UUID]) -> None:
    """Hold the runs still in which a message may be moved; nothing to do if there is none."""
    if runs:
        await reroute_store.lock_runs(conn, runs)


async def reroute(conn: Connection, keys: Sequence[MessageKey], now: datetime) -> list[int]:
    """Give these failed messages over another channel where they may have one; the others stay
    failed.

    Returns the channels that have work now.
    """
    if not keys:
        return []
    strays = await reroute_store.find_strays(conn, keys, now)
    if not strays:
        return []
    known = await list_routable_channels(conn, now)
    moves = []
    for row in strays:
        second = second_channel(known, row["channel_id"], row["known"], row["chosen"])
        if second is not None:
            moves.append(((row["run_id"], row["no"]), second.id))
    if not moves:
        return []
    channels = await reroute_store.move_strays(conn, moves)
    runs = sorted({run_id for (run_id, _), _ in moves})
    await reopen_campaigns(conn, runs, "a text takes a second channel", now)
    log.info("routed again", extra={"messages": len(moves), "channels": channels})
    return channels


async def learn(conn: Connection, keys: Sequence[MessageKey], now: datetime) -> None:
    """Remember what those of these messages prove that their second channel has delivered."""
    if keys:
        await reroute_store.learn_carriers(conn, keys, now)
