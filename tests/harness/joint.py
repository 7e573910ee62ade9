"""A county with three carriers, each with a base and a channel, and a joint plan over them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from service.accounts.departments import department_store
from service.accounts.departments.department import DepartmentSettings
from service.accounts.people.model import By, Role, User
from service.campaigns.approval import approval, legs
from service.campaigns.approval.legs import Narrower
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import leg_store
from service.campaigns.core.legs import Leg, LegAsk
from service.campaigns.core.model import Campaign, Plan
from service.campaigns.core.texts import MoreText
from service.campaigns.plans import planning
from service.campaigns.plans.lifecycle import finish_campaigns, finish_joint_plans
from service.campaigns.runs.firing import fire_due
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, sweep_store
from service.dispatch.handoff import store as marks
from service.dispatch.handoff.lease_store import Lease
from service.dispatch.handoff.store import MarkRequest
from service.storage.postgres import Connection, Pool, transaction
from tests.factories import TEXT, Team, make_contact, make_team, make_template, make_user
from tests.harness.ledger import add_channel

MOBILE, UNICOM, TELECOM = "china_mobile", "china_unicom", "china_telecom"
CARRIERS = (MOBILE, UNICOM, TELECOM)


@dataclass
class Side:
    """A department of a leg: who takes it, and the channel that its people are reached over."""

    department_id: UUID
    operator: User
    approver: User
    channel: int


@dataclass
class JointCounty:
    """The police as the author, three carriers, and the clock that the test turns."""

    pool: Pool
    keyring: Keyring
    now: datetime
    team: Team
    sides: dict[str, Side] = field(default_factory=dict)
    plan: Campaign | None = None
    runs: list[UUID] = field(default_factory=list)

    def by(self, user: User, reason: str = "") -> By:
        return By(user.id, reason, self.now)

    async def give(self, carrier: str, numbers: Sequence[int], **columns: Any) -> None:
        """People of a carrier's base."""
        async with transaction(self.pool) as conn:
            for number in numbers:
                await make_contact(
                    conn,
                    self.keyring,
                    self.sides[carrier].department_id,
                    number,
                    now=self.now,
                    **{"carrier": carrier, **columns},
                )

    async def draft(
        self,
        schedule: Schedule,
        asks: Mapping[str, tuple[str, ...]] | None = None,
        further: Sequence[tuple[str, int | None]] = (),
        text: str = TEXT,
        **plan: Any,
    ) -> Campaign:
        """A joint plan that nobody has submitted. asks: of whom, for which areas."""
        wanted = dict.fromkeys(self.sides, ()) if asks is None else asks
        async with transaction(self.pool) as conn:
            template = await make_template(conn, self.team.operator, now=self.now, text=text)
            more = [
                MoreText(
                    (await make_template(conn, self.team.operator, now=self.now, text=words)).id,
                    days,
                )
                for words, days in further
            ]
            asked = Plan(
                name="全县宣传",
                template_id=template.id,
                segment_id=None,
                channels=None,
                priority="normal",
                schedule=schedule,
                max_tps=None,
                more_texts=tuple(more),
                legs=tuple(
                    LegAsk(self.sides[carrier].department_id, areas)
                    for carrier, areas in wanted.items()
                ),
                **plan,
            )
            self.plan = await planning.create(conn, self.team.operator, asked, self.now)
        return self.plan

    async def approve(self, schedule: Schedule, **draft: Any) -> Campaign:
        """A joint plan that two persons of its own side have let go."""
        made = await self.draft(schedule, **draft)
        async with transaction(self.pool) as conn:
            await approval.submit(conn, self.team.operator, made.id, self.now)
            self.plan = await approval.approve(conn, self.team.approver, made.id, "", self.now)
        return self.plan

    async def leg(self, carrier: str) -> Leg:
        assert self.plan is not None
        async with self.pool.acquire() as conn:
            found = await leg_store.list_legs(conn, self.plan.id)
        return next(leg for leg in found if leg.department_id == self.sides[carrier].department_id)

    async def take(self, carrier: str, narrower: Narrower | None = None, **more: Any) -> Leg:
        leg, side = await self.leg(carrier), self.sides[carrier]
        async with transaction(self.pool) as conn:
            return await legs.take(
                conn, side.operator, leg.id, narrower or Narrower(), self.by(side.operator), **more
            )

    async def own(self, carrier: str) -> Campaign:
        """The campaign of a leg that was taken."""
        leg = await self.leg(carrier)
        assert leg.own_campaign_id is not None
        return await self.loaded(leg.own_campaign_id)

    async def loaded(self, campaign_id: UUID | None = None) -> Campaign:
        """A campaign as it stands; by default the plan."""
        if campaign_id is None:
            assert self.plan is not None
            campaign_id = self.plan.id
        async with self.pool.acquire() as conn:
            return await planning.load(conn, campaign_id, None)

    async def pass_time(self, after: timedelta = timedelta()) -> list[UUID]:
        """Let some time pass and the scheduler act; returns the runs that it made, expanded."""
        self.now += after
        made = await fire_due(self.pool, self.now)
        for run_id in made:
            await expand_run(self.pool, run_id, self.now, self.keyring)
        self.runs += made
        await self.finish()
        return made

    async def finish(self) -> None:
        """What the scheduler does of runs of which nothing is left, and of plans that are over."""
        async with transaction(self.pool) as conn:
            closed = await sweep_store.close_finished_runs(conn, self.now)
            await finish_campaigns(conn, closed, self.now)
        await finish_joint_plans(self.pool, self.now)

    async def run_of(self, carrier: str) -> UUID:
        """The last run of a leg."""
        own = await self.own(carrier)
        found: UUID = await self.pool.fetchval(
            "SELECT id FROM runs WHERE campaign_id = $1 ORDER BY id DESC LIMIT 1", own.id
        )
        return found

    async def lease(self, carrier: str, run_id: UUID) -> Lease:
        """A connection of a carrier's channel that has all slices of a run in hand."""
        channel = self.sides[carrier].channel
        async with transaction(self.pool) as conn:
            await conn.execute(
                "UPDATE connections SET expires_at = clock_timestamp() - interval '1 ms'"
                " WHERE channel_id = $1",
                channel,
            )
            lease = await lease_store.claim_connection(
                conn, channel, 0, self.team.admin.id, self.now
            )
            assert lease is not None
            await conn.execute(
                "UPDATE slices SET slot = 0, epoch = $2 WHERE run_id = $1", run_id, lease.epoch
            )
        return lease

    async def hand_off(self, carrier: str, run_id: UUID | None = None) -> dict[str, int]:
        """Mark all that is queued of a leg's run; returns how many are in which state by then."""
        run_id = run_id or await self.run_of(carrier)
        lease = await self.lease(carrier, run_id)
        async with transaction(self.pool) as conn:
            await self.mark(conn, lease, run_id)
        return await self.states(run_id)

    async def arrive(self) -> None:
        """All that has left arrives."""
        async with transaction(self.pool) as conn:
            await conn.execute(
                "UPDATE messages SET state = 'delivered', submitted_at = $1, final_at = $1"
                " WHERE state IN ('submitting', 'uncertain')",
                self.now,
            )
            await conn.execute("DELETE FROM uncertain")
            await conn.execute(
                "UPDATE slices s SET done_at = $1 WHERE NOT EXISTS (SELECT FROM messages m"
                " WHERE m.run_id = s.run_id AND m.no BETWEEN s.first_no AND s.last_no"
                " AND m.state = 'queued')",
                self.now,
            )

    async def mark(self, conn: Connection, lease: Lease, run_id: UUID) -> None:
        """Mark all that is queued of a run, in the transaction of the caller."""
        await marks.lock_for_mark(conn, lease, run_id)
        rows = await conn.fetch(
            "SELECT m.no, s.no AS slice FROM messages m JOIN slices s ON s.run_id = m.run_id"
            " AND m.no BETWEEN s.first_no AND s.last_no"
            " WHERE m.run_id = $1 AND m.state = 'queued' ORDER BY m.no",
            run_id,
        )
        asked = [MarkRequest(run_id, row["slice"], row["no"], 1) for row in rows]
        await marks.mark(conn, lease, asked, self.now, joint=True)

    async def states(self, run_id: UUID) -> dict[str, int]:
        """How many texts of a run are in which state, with the reason where there is one."""
        rows = await self.pool.fetch(
            "SELECT state::text || coalesce(':' || reason, '') AS state, count(*) AS n"
            " FROM messages WHERE run_id = $1 GROUP BY 1",
            run_id,
        )
        return {row["state"]: row["n"] for row in rows}

    async def told(self, department_id: UUID) -> list[str]:
        """What a department was told of, in order."""
        rows = await self.pool.fetch(
            "SELECT kind FROM interruptions WHERE department_id = $1 ORDER BY id", department_id
        )
        return [row["kind"] for row in rows]


async def make_joint_county(
    pool: Pool, keyring: Keyring, now: datetime, team: Team | None = None
) -> JointCounty:
    """The police, three carriers with a channel each, and nobody in their bases yet.

    team: the plan's side, if it is not the police.
    """
    async with transaction(pool) as conn:
        team = team or await make_team(conn, now=now, kind="police")
        county = JointCounty(pool, keyring, now, team)
        for number, carrier in enumerate(CARRIERS):
            settings = DepartmentSettings(name=f"{carrier} 旌德", kind="carrier", carrier=carrier)
            made = await department_store.insert_department(conn, settings, now)
            operator, approver = [
                await make_user(conn, role, now=now, department_id=made.id)
                for role in (Role.OPERATOR, Role.APPROVER)
            ]
            channel = await add_channel(conn, keyring, number + 1, now, operated_by=carrier)
            county.sides[carrier] = Side(made.id, operator, approver, channel.id)
    return county
