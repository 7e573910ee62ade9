"""Withdrawing an offered text: nothing begins to be sent with its words after that has answered.

Campaigns that hold the words are held at their next fire, and say so; runs under way go on, unless
the withdrawal stops them too. What is queued of direct sends is cancelled in any case: most of it
waits for its hours, and nobody watches it as a plan.

All of it is one transaction. It locks in the order of `storage.locks`: the campaigns that it will
pause, then the offers, the rows of direct runs, and at last the runs.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.people.model import By, Right, User
from service.campaigns.calendar.fires import Why
from service.campaigns.core import run_store, store
from service.campaigns.core.model import MOVES, Act, State
from service.dispatch.direct import direct, direct_store
from service.errors import Conflict, Forbidden
from service.ledger.reasons import Reason
from service.messages.offers.offer_store import Offer, get_offer
from service.messages.offers.withdrawal_store import (
    chain_of,
    set_withdrawn,
    versions_of,
    withdrawn_among,
)
from service.storage.locks import lock_each_run
from service.storage.postgres import Connection, Overtaken
from service.words.phrase import phrase


class Withdrawal(NamedTuple):
    """An offer that was withdrawn, the campaigns that were paused, and the direct runs of which the
    rest was cancelled.
    """

    offer: Offer
    paused: Sequence[UUID]
    cancelled: Sequence[UUID]


async def withdraw(
    conn: Connection, actor: User, offer_id: UUID, why: str, now: datetime, *, stops: bool
) -> Withdrawal:
    """Withdraw an offer, and those of the same text before it, for good; must run in a transaction.

    stops: also pause the campaigns with a run under way that sends these words.

    Raises:
        NotFound: there is no such offer in the actor's scope.
        Forbidden: it is another department's, or the actor may not stop what others send.
        Conflict: it is withdrawn already.
        Overtaken: a run began in this very moment; the transaction is run again.
    """
    actor.need(Right.CONTROL)
    if stops:
        actor.need(Right.STOP_ALL)
    offer = await get_offer(conn, offer_id, actor.scope)
    _check_own(actor, offer)
    chain = await chain_of(conn, offer_id)
    versions = await versions_of(conn, chain)
    campaigns = await _lock_campaigns(conn, versions) if stops else None
    if not await set_withdrawn(conn, chain, actor.id, why, now, stops=stops):
        raise Conflict(phrase("it is withdrawn already"), code="withdrawn_already")
    gone = [words.version_id for words in await withdrawn_among(conn, versions)]
    cancelled = await _stop_runs(conn, gone, campaigns, now)
    by = By(actor.id, why, now, Why.WITHDRAWN)
    paused = [
        campaign_id
        for campaign_id in campaigns or ()
        if await store.move(conn, campaign_id, Act.PAUSE, State.PAUSED, by)
    ]
    return Withdrawal(await get_offer(conn, offer_id, None), paused, cancelled)


def check_withdrawal(actor: User, offer: Offer) -> None:
    """Refuse whoever may not withdraw an offer.

    Raises:
        Forbidden, Conflict: as for `withdraw`.
    """
    _check_own(actor, offer)
    if offer.withdrawn_at is not None:
        raise Conflict(phrase("it is withdrawn already"), code="withdrawn_already")


def _check_own(actor: User, offer: Offer) -> None:
    if not actor.sees(offer.department_id):
        raise Forbidden(
            phrase("only the department that offers a text, or the county, withdraws it")
        )


async def _lock_campaigns(conn: Connection, versions: Sequence[UUID]) -> dict[UUID, State]:
    """The campaigns with an open run that sends one of these versions, and their states; nobody
    moves them meanwhile.
    """
    found = await run_store.open_runs_with(conn, versions)
    campaigns = sorted({campaign_id for _, campaign_id in found if campaign_id is not None})
    return {campaign_id: await store.lock_state(conn, campaign_id) for campaign_id in campaigns}


async def _stop_runs(
    conn: Connection,
    versions: Sequence[UUID],
    campaigns: Mapping[UUID, State] | None,
    now: datetime,
) -> list[UUID]:
    """Cancel what is queued of direct runs that send one of these versions; returns these runs.

    campaigns: those whose runs are paused, all of a campaign that is paused with them; None: none.
    """
    found = await run_store.open_runs_with(conn, versions)
    sends = [run_id for run_id, campaign_id in found if campaign_id is None]
    stopped: set[UUID] = set()
    if campaigns is not None:
        stopped = {run_id for run_id, campaign_id in found if campaign_id is not None}
        if {campaign_id for _, campaign_id in found} - {None, *campaigns}:
            raise Overtaken("a run of another campaign began meanwhile")
        pausable = [c for c, state in campaigns.items() if state in MOVES[Act.PAUSE][0]]
        stopped.update(await run_store.open_runs_of(conn, pausable))
    await direct_store.lock_rows(conn, sends)
    await lock_each_run(conn, [*sends, *stopped])
    await run_store.set_runs(conn, sorted(stopped), ["running"], "paused", now)
    for run_id in sends:
        await direct.cancel(conn, run_id, now, Reason.TEXT_WITHDRAWN)
    return sends
