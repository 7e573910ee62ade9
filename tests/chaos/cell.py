"""One cell of the fault matrix: a broadcast to everybody, a fault in it, and the reckoning."""

import asyncio
import contextlib
import time
import uuid
from dataclasses import dataclass, field
from itertools import pairwise

from service.storage.postgres import UNREACHABLE, connect
from tests.chaos.account import Account
from tests.chaos.book import Entry
from tests.chaos.faults import EXPANDING, PLANNED, Fault
from tests.chaos.system import Breach, Campaign, System, until
from tests.harness.pauses import repeatedly
from tests.harness.waiting import turns

RECOVERY_SECONDS = 30.0
LOOK_SECONDS = 0.1


@dataclass(slots=True)
class Outcome:
    """What a cell showed. Times are in seconds.

    most_uncertain: the worst moment. by_statement: uncertain hand-offs that only the carrier's
    statement could settle. never_left: those it never had, which were sent at last. next: from the
    fault's end to the next text that the carrier took; None: there was none left to take. silence:
    the longest that any channel with work waited for its next one. whole: until every connection
    worked again.
    """

    fault: str
    target: int = 0
    taken: int = 0
    most_uncertain: int = 0
    by_statement: int = 0
    never_left: int = 0
    next: float | None = None
    silence: float = 0.0
    whole: float = 0.0
    seconds: float = 0.0
    breaches: list[str] = field(default_factory=list)


class Watch:
    """How many hand-offs were uncertain at the worst moment."""

    def __init__(self, system: System) -> None:
        self.most = 0
        self._url = system.live.summary["database_url"]

    async def run(self) -> None:
        """Look until cancelled; a database that is away is waited for."""

        async def connected() -> None:
            with contextlib.suppress(*UNREACHABLE):
                await self._look()

        await repeatedly(connected, LOOK_SECONDS)

    async def _look(self) -> None:
        conn = await connect(self._url)

        async def look() -> None:
            found = await conn.fetchval("SELECT count(*) FROM uncertain", timeout=5)
            self.most = max(self.most, found)

        try:
            await repeatedly(look, LOOK_SECONDS)
        finally:
            conn.terminate()


async def run_cell(system: System, fault: Fault) -> Outcome:
    """Send everybody a text, strike, and account for each person. Nothing is raised for what the
    system does wrong: it stands in the outcome.
    """
    outcome = Outcome(fault.name)
    began = time.monotonic()
    watch = Watch(system)
    watching = asyncio.create_task(watch.run())
    campaign = await system.plan()
    try:
        await _send(system, fault, campaign, outcome)
    except Breach as breach:
        outcome.breaches.append(str(breach))
        await system.cancel(campaign)
        with contextlib.suppress(Breach):  # what stays uncertain would hold up the next cell
            await system.settle_uncertain(await system.account(campaign))
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    outcome.most_uncertain = watch.most
    if watch.most > system.bound:
        outcome.breaches.append(f"{watch.most} uncertain, more than {system.bound}")
    outcome.seconds = time.monotonic() - began
    return outcome


async def _send(system: System, fault: Fault, campaign: Campaign, outcome: Outcome) -> None:
    struck, over = await _strike(system, fault, campaign)

    async def whole() -> bool:
        return await system.is_whole(over)

    await until(whole, 120, "every connection works again")
    outcome.whole = time.time() - over
    account = await system.settled(campaign)
    entries = system.book.of(campaign.text)
    _measure(outcome, entries, struck, over)
    await reckon(system, campaign, account, outcome)


async def _strike(system: System, fault: Fault, campaign: Campaign) -> tuple[float, float]:
    """Approve, and strike at each of the fault's moments; the last one's begin and end."""
    struck = over = 0.0
    approved = False
    for moment in fault.moments:
        if moment != PLANNED and not approved:
            await system.approve(campaign)
            approved = True
        if moment == EXPANDING:
            await _run_made(system, campaign)
        elif moment > 0:
            await system.under_way(campaign, moment)
        struck = time.time()
        striking = asyncio.ensure_future(fault.strike(system))
        if moment == PLANNED:
            await turns()
            await system.approve(campaign)
            approved = True
        over = await striking
    return struck, over


async def _run_made(system: System, campaign: Campaign) -> None:
    async def made() -> bool:
        return bool(
            await system.value(
                "SELECT count(*) FROM runs WHERE campaign_id = $1", uuid.UUID(campaign.id)
            )
        )

    await until(made, 60, "the run is made")


def _measure(outcome: Outcome, entries: list[Entry], struck: float, over: float) -> None:
    """The recovery, as the carrier saw it."""
    after = [entry.at for entry in entries if entry.at >= over]
    if after:
        outcome.next = min(after) - over
    for account in {entry.account for entry in entries}:
        instants = [entry.at for entry in entries if entry.account == account]
        since = [max([at for at in instants if at < struck], default=struck)]
        since += [at for at in instants if at >= struck]
        gaps = [later - at for at, later in pairwise(since)]
        outcome.silence = max([outcome.silence, *gaps])
    if outcome.next is not None and outcome.next > RECOVERY_SECONDS:
        outcome.breaches.append(f"{outcome.next:.1f} s to recover")


async def reckon(system: System, campaign: Campaign, account: Account, outcome: Outcome) -> None:
    """Settle what is uncertain, and hold every person's state against the carrier's book."""
    outcome.by_statement, outcome.never_left = len(account.uncertain), len(account.never_left)
    await system.settle_uncertain(account)
    account = await system.settled(campaign)
    outcome.target, outcome.taken = account.target, account.taken
    await check_report(system, campaign, outcome.breaches)
    if account.twice:
        outcome.breaches.append(f"{len(account.twice)} got it twice")
    if account.uncertain_count:
        outcome.breaches.append(f"{account.uncertain_count} stay uncertain")
    why = sorted({*account.lost.values()})
    if account.lost:
        outcome.breaches.append(f"{len(account.lost)} lost: {'; '.join(why)}")


async def check_report(system: System, campaign: Campaign, breaches: list[str]) -> None:
    """The API's own report adds up to everybody."""
    runs = await system.call("operator", "GET", f"/campaigns/{campaign.id}/runs")
    if len(runs["items"]) != 1:
        breaches.append(f"{len(runs['items'])} runs of one campaign")
    report = await system.call("operator", "GET", f"/runs/{runs['items'][0]['id']}/report")
    if not report["target"] == sum(report["states"].values()) == len(system.people):
        breaches.append(f"the report does not add up: {report['target']}, {report['states']}")
