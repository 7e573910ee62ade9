"""Random faults at random moments against broadcasts that are paused and resumed meanwhile.

Run: python -m tests.chaos.random_faults [--minutes 15] [--seed N] [--messages 6000] [--tps 200]

The system is that of the matrix; its channel processes note what they write. The seed draws the
faults, the moments and the campaigns, and is printed; the moments that things then take are the
machine's. At the end everything is settled and each person is accounted for: nobody lost, nobody
twice, no protocol above its TPS in any second by the writers' own clocks, nothing marked after a
pause had answered. The exit status is 1 if anything was breached.
"""

import argparse
import asyncio
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random, SystemRandom

from tests.chaos.account import Account
from tests.chaos.cell import Watch, check_report
from tests.chaos.faults import FAULTS
from tests.chaos.system import Breach, Campaign, System, until
from tests.chaos.writers import Writers
from tests.harness.busiest import busiest_second
from tests.harness.pauses import delay, random_moment

IN_HAND = 2
"""Campaigns that are on their way at once."""

NEARLY_DONE = 0.05
QUIET_SECONDS = 20.0
"""After the last fault, before what is uncertain is settled: what lay frozen is read by then."""

END_SECONDS = 300.0


@dataclass
class Storm:
    """What is going on, and what came of it."""

    system: System
    seed: int
    ends: float
    campaigns: list[Campaign] = field(default_factory=list)
    faults: int = 0
    pauses: int = 0
    breaches: list[str] = field(default_factory=list)

    @property
    def over(self) -> bool:
        """Whether the time is up."""
        return time.monotonic() >= self.ends

    def say(self, what: str) -> None:
        """Tell what happens."""
        print(f"{time.strftime('%H:%M:%S')}  {what}", flush=True)

    # ---- three things at once

    async def broadcast(self) -> None:
        """Keep some campaigns on their way, of all priorities."""
        random = Random(f"{self.seed}:broadcast")
        while not self.over:
            running = [c for c in self.campaigns if not await self._nearly_done(c)]
            if len(running) >= IN_HAND:
                await delay(1)
                continue
            priority = random.choice(("urgent", "normal", "normal", "bulk"))
            campaign = await self.system.plan(priority)
            self.campaigns.append(campaign)
            await self.system.approve(campaign)
            self.say(f"campaign {campaign.number}, {priority}")

    async def _nearly_done(self, campaign: Campaign) -> bool:
        """Apart from those whose phone has an uncertain hand-off in another campaign."""
        waiting = await self.system.waiting(campaign)
        return waiting is not None and waiting < len(self.system.people) * NEARLY_DONE

    async def strike(self) -> None:
        """One fault after another, now and then two at once."""
        random = Random(f"{self.seed}:strike")
        while not self.over:
            await random_moment(12, random, least=1)
            faults = random.sample(FAULTS, k=random.choice((1, 1, 1, 2)))
            self.faults += len(faults)
            self.say(" and ".join(fault.name for fault in faults))
            await asyncio.gather(*(fault.strike(self.system) for fault in faults))

    async def pause(self) -> None:
        """Pause a campaign that runs, see that nothing more of it is marked, and resume it."""
        random = Random(f"{self.seed}:pause")
        while not self.over:
            await random_moment(15, random, least=5)
            if not self.campaigns:
                continue
            campaign = random.choice(self.campaigns[-IN_HAND:])
            try:
                await self.system.call("operator", "POST", f"/campaigns/{campaign.id}/pause", {})
            except Breach:  # it is done, or its run is not there yet
                continue
            answered = self.system.clock.now()
            self.pauses += 1
            await random_moment(4, random, least=0.5)
            marked = await self.system.value(
                "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id "
                "WHERE r.campaign_id = $1 AND m.marked_at > $2",
                uuid.UUID(campaign.id),
                answered,
            )
            if marked:
                self.breaches.append(f"{marked} marked after campaign {campaign.number} paused")
            await self.system.call("operator", "POST", f"/campaigns/{campaign.id}/resume", {})

    # ---- the end

    async def settle(self) -> None:
        """Let everything be handed off and every receipt come in; settle what is uncertain."""
        self.say("time is up; everything goes on undisturbed")
        await until(self.system.is_whole, 120, "every connection works again")
        await delay(QUIET_SECONDS)
        try:
            await until(self._all_settled, END_SECONDS, "everything is settled", every=3)
        except Breach as breach:
            self.breaches.append(str(breach))

    async def _all_settled(self) -> bool:
        """Settle what is uncertain; whether there was nothing, and nothing moves any more."""
        accounts = [await self.system.account(campaign) for campaign in self.campaigns]
        unsettled = [account for account in accounts if account.uncertain_count]
        for account in unsettled:
            await self.system.settle_uncertain(account)
        return not unsettled and not any(_moving(account) for account in accounts)

    async def reckon(self) -> None:
        """Hold every person of every campaign against the carrier's book."""
        for campaign in self.campaigns:
            account = await self.system.account(campaign)
            name = f"campaign {campaign.number}"
            if account.twice:
                self.breaches.append(f"{name}: {len(account.twice)} got it twice")
            if account.lost:
                why = "; ".join(sorted({*account.lost.values()}))
                self.breaches.append(f"{name}: {len(account.lost)} lost: {why}")
            if account.open or account.uncertain_count:
                left = len(account.open) + account.uncertain_count
                self.breaches.append(f"{name}: {left} without an end")
                for row in account.open[:3]:
                    self.breaches.append(f"{row.no}: {await self.system.explain(row)}")
            await check_report(self.system, campaign, self.breaches)

    def check_pace(self, written: dict[str, list[float]]) -> None:
        """No protocol above its TPS in any second (I5)."""
        for protocol, instants in sorted(written.items()):
            busiest = busiest_second(instants)
            self.say(
                f"{protocol}: {len(instants)} parts, busiest second {busiest} of {self.system.tps}"
            )
            if busiest > self.system.tps:
                self.breaches.append(f"{protocol}: {busiest} parts in a second, above its TPS")


def _moving(account: Account) -> bool:
    """Whether somebody waits for a hand-off or a receipt."""
    return bool(account.open) or any("still" in why for why in account.lost.values())


async def run_storm(folder: Path, minutes: float, seed: int, messages: int, tps: int) -> Storm:
    """Run it all; what was breached stands in the result."""
    system = System(folder, messages, tps=tps, channel_processes=0)
    writers = Writers(system, 2, system.connections // 2)
    keeping: asyncio.Task[None] | None = None
    try:
        await system.start()
        keeping = asyncio.create_task(writers.run())
        await system.ready()
        storm = Storm(system, seed, time.monotonic() + minutes * 60)
        watch = Watch(system)
        watching = asyncio.create_task(watch.run())
        try:
            async with asyncio.TaskGroup() as group:
                for act in (storm.broadcast, storm.strike, storm.pause):
                    group.create_task(act())
            await storm.settle()
        except* Breach as breaches:
            storm.breaches += [str(breach) for breach in breaches.exceptions]
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching
        await storm.reckon()
        storm.check_pace(writers.written())
        storm.say(
            f"{len(storm.campaigns)} campaigns to {messages}, {storm.faults} faults, "
            f"{storm.pauses} pauses; at most {watch.most} uncertain at once"
        )
        return storm
    finally:
        if keeping is not None:
            keeping.cancel()
        writers.stop()
        system.stop()


def main() -> int:
    """Run the storm; 0 if nothing was breached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--seed", type=int, default=SystemRandom().randrange(1_000_000))
    parser.add_argument("--messages", type=int, default=6_000, help="people in each broadcast")
    parser.add_argument("--tps", type=int, default=200, help="of each of the three channels")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="tocsin-chaos-") as folder:
        storm = asyncio.run(
            run_storm(
                Path(folder) / "data",
                options.minutes,
                options.seed,
                options.messages,
                options.tps,
            )
        )
    for breach in storm.breaches:
        print(f"BREACHED: {breach}")
    print("nobody lost, nobody twice" if not storm.breaches else f"seed {options.seed}")
    return 1 if storm.breaches else 0


if __name__ == "__main__":
    sys.exit(main())
