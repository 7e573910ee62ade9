"""The table of runs, each one fire of one campaign or what follows one, in SQL."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.campaigns.core.legs import fire_of_plan, fire_of_step
from service.campaigns.core.model import Campaign, Content, Run
from service.ledger.fragments import CANCEL, ended_as
from service.ledger.reasons import Reason
from service.ledger.states import OPEN_RUNS, MessageState, RunState, state_move
from service.storage import sql
from service.storage.locks import lock_each_run
from service.storage.postgres import Connection, affected

OPEN = sorted(OPEN_RUNS)

SLICES_AT_ONCE = 10
"""How many slices a cancel empties itself, before it answers."""


class Follow(NamedTuple):
    """Which run another follows, and how; None: it is a fire, and planned_at the instant that its
    plan gave it.
    """

    run_id: UUID | None
    relation: str | None
    planned_at: datetime | None = None


NO_FOLLOW = Follow(None, None)


async def insert_run(
    conn: Connection,
    campaign: Campaign,
    content: Content,
    fire_at: datetime,
    valid_until: datetime,
    now: datetime,
    text_no: int = 1,
    follow: Follow = NO_FOLLOW,
) -> UUID | None:
    """Make the run of a fire, or one that follows another, with a copy of what it sends and of who
    released it, which outlive every edit of the campaign; None if this fire or step has one.
    """
    schedule = campaign.plan.schedule.as_json()
    terms = content.terms
    run_id: UUID | None = await sql.fetchval(
        conn,
        """
        INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text, rule,
                          channels, send_hours, timezone, valid_until, max_tps, created_at,
                          audience, beyond_hours, on_quiet_days, baseline, key_mode,
                          over_cap, safety, newcomers, text_no, follows, relation,
                          mode, content, release, joint_fire)
        SELECT id, department_id, :fire_at, 'expanding', priority, :message_class, :text, :rule,
               channels, :send_hours, :timezone, least(:valid_until, period_end), max_tps, :now,
                   :audience, :beyond, :on_quiet_days, baseline,
               key_mode, CASE WHEN :relation = 'resend' THEN 'send' ELSE over_cap END, safety,
               :newcomers, :text_no, :follows, :relation,
                   CASE WHEN drill THEN 'drill' ELSE 'real' END, :content,
               jsonb_build_object(
                   'submitted_by', submitted_by, 'submitted_at', submitted_at,
                   'approved_by', approved_by, 'approved_at', approved_at,
                   'approved_for', approved_for, 'second_approved_by', second_approved_by,
                   'second_approved_at', second_approved_at,
                   'second_approved_for', second_approved_for,
                   'approved_sha256', encode(approved_hash, 'hex')),
               :joint_fire
        FROM campaigns WHERE id = :campaign_id
        ON CONFLICT DO NOTHING
        RETURNING id
        """,
        campaign_id=campaign.id,
        message_class=content.message_class,
        text=content.texts[text_no - 1].text,
        rule=content.rule,
        send_hours=schedule["send_hours"],
        timezone=schedule["timezone"],
        valid_until=valid_until,
        now=now,
        audience=terms.audience,
        beyond=terms.beyond,
        on_quiet_days=terms.on_quiet_days,
        fire_at=fire_at,
        newcomers=schedule.get("roles") if follow.run_id is None else None,
        text_no=text_no,
        follows=follow.run_id,
        relation=follow.relation,
        content=content.canonical.decode(),
        joint_fire=await _joint_fire(conn, campaign, text_no, follow),
    )
    return run_id


async def _joint_fire(
    conn: Connection,
    campaign: Campaign,
    text_no: int,
    follow: Follow,
) -> UUID | None:
    """What a run of a leg has in common with those of the other legs; None: it is of no leg."""
    if campaign.plan.leg_of is None:
        return None
    if follow.run_id is None:
        at = follow.planned_at
        return fire_of_plan(campaign.plan.leg_of, at) if at is not None else None
    fire: UUID | None = await sql.fetchval(
        conn, "SELECT joint_fire FROM runs WHERE id = :run_id", run_id=follow.run_id
    )
    return fire_of_step(fire, text_no) if fire and follow.relation == "step" else fire


async def last_fire(conn: Connection, campaign_id: UUID) -> Run | None:
    """The run of the campaign's last fire."""
    row = await sql.fetchrow(
        conn,
        f"""
        {_RUN} WHERE campaign_id = :campaign_id AND follows IS NULL AND mode <> 'test'
        ORDER BY fire_at DESC LIMIT 1
        """,
        campaign_id=campaign_id,
    )
    return Run(*row) if row else None


async def text_of(conn: Connection, run_id: UUID) -> str:
    """What a run sends, before its variables are filled."""
    text: str = await sql.fetchval(conn, "SELECT text FROM runs WHERE id = :run_id", run_id=run_id)
    return text


async def choose_channels(conn: Connection, run_id: UUID, channels: Sequence[int]) -> None:
    """Keep a run that has no ledger yet to these channels."""
    await sql.execute(
        conn,
        "UPDATE runs SET channels = :channels WHERE id = :run_id AND state = 'expanding'",
        run_id=run_id,
        channels=channels,
    )


async def text_of_joint_fire(conn: Connection, joint_fire: UUID) -> int | None:
    """The number of the text that the legs send at a fire of their plan; None: none has yet."""
    found: int | None = await sql.fetchval(
        conn,
        "SELECT text_no FROM runs WHERE joint_fire = :joint_fire AND follows IS NULL LIMIT 1",
        joint_fire=joint_fire,
    )
    return found


async def last_text(conn: Connection, campaign_id: UUID) -> int | None:
    """The number of the text that the campaign's last fire sent; None: it has not fired."""
    found: int | None = await sql.fetchval(
        conn,
        """
        SELECT text_no FROM runs
        WHERE campaign_id = :campaign_id AND follows IS NULL AND mode <> 'test'
        ORDER BY fire_at DESC LIMIT 1
        """,
        campaign_id=campaign_id,
    )
    return found


_RUN = """
    SELECT id, kind, mode, campaign_id, department_id, fire_at, state, priority, class, baseline,
           target, valid_until, created_at, started_at, finished_at, text_no, follows,
           relation
    FROM runs
"""


async def get_run(conn: Connection, run_id: UUID, scope: UUID | None) -> Run | None:
    """One run of a department; None: of any."""
    row = await sql.fetchrow(
        conn,
        f"{_RUN} WHERE id = :run_id AND (:scope::uuid IS NULL OR department_id = :scope)",
        run_id=run_id,
        scope=scope,
    )
    return Run(*row) if row else None


async def list_runs(
    conn: Connection, campaign_id: UUID, before: UUID | None, limit: int
) -> list[Run]:
    """A page of a campaign's runs and of their corrections, from new to old."""
    rows = await sql.fetch(
        conn,
        f"""
        {_RUN} WHERE (:before::uuid IS NULL OR id < :before) AND id IN (
            SELECT id FROM runs WHERE campaign_id = :campaign_id
            UNION ALL
            SELECT f.id FROM runs f JOIN runs r ON r.id = f.follows
            WHERE r.campaign_id = :campaign_id AND f.relation = 'correction')
        ORDER BY id DESC LIMIT :limit
        """,  # noqa: S608  # constants
        campaign_id=campaign_id,
        before=before,
        limit=limit,
    )
    return [Run(*row) for row in rows]


async def lock_open_runs(conn: Connection, campaign_id: UUID) -> list[UUID]:
    """The campaign's open runs, each once no hand-off is half-way through marking its messages.

    The locks last to the end of the transaction, so that whatever state is set now is what the
    next hand-off finds (invariant I7).
    """
    runs = await open_runs(conn, campaign_id)
    await lock_each_run(conn, runs)
    return runs


async def open_runs(conn: Connection, campaign_id: UUID) -> list[UUID]:
    """The campaign's open runs."""
    rows = await sql.fetch(
        conn,
        "SELECT id FROM runs WHERE campaign_id = :campaign_id AND state = ANY(:open) ORDER BY id",
        campaign_id=campaign_id,
        open=OPEN,
    )
    return [row["id"] for row in rows]


async def open_runs_with(
    conn: Connection, versions: Sequence[UUID]
) -> list[tuple[UUID, UUID | None]]:
    """The open runs that send one of these versions, each with its campaign; None: a direct run.
    Tests are none.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT id, campaign_id FROM runs
        WHERE state = ANY(:open) AND template_version_id = ANY(:versions) AND mode <> 'test'
        ORDER BY id
        """,
        versions=list(versions),
        open=OPEN,
    )
    return [(row["id"], row["campaign_id"]) for row in rows]


async def open_runs_of(conn: Connection, campaigns: Sequence[UUID]) -> list[UUID]:
    """The open runs of these campaigns, which are locked."""
    rows = await sql.fetch(
        conn,
        "SELECT id FROM runs WHERE campaign_id = ANY(:campaigns) AND state = ANY(:open)",
        campaigns=list(campaigns),
        open=OPEN,
    )
    return [row["id"] for row in rows]


async def goes_on(conn: Connection, campaign_id: UUID) -> bool:
    """Whether a run of a campaign is still going out; tests are none."""
    found: bool = await sql.fetchval(
        conn,
        """
        SELECT EXISTS (
            SELECT FROM runs WHERE campaign_id = :campaign_id AND state = ANY(:open)
              AND mode <> 'test')
        """,
        campaign_id=campaign_id,
        open=OPEN,
    )
    return found


async def set_runs(
    conn: Connection, runs: Sequence[UUID], from_states: Sequence[str], to: str, now: datetime
) -> None:
    """Give these runs a state, those of them that are in one of `from_states`. The target of one
    that is cancelled while its ledger is written are the people who are in it by then.

    Raises:
        IllegalMove: the table of moves has none from one of these to that.
    """
    move = state_move(RunState(to), only=[RunState(state) for state in from_states])
    await sql.execute(
        conn,
        f"""
        UPDATE runs SET state = :to,
            finished_at = CASE WHEN :to = 'cancelled' THEN :now::timestamptz ELSE finished_at END
        WHERE id = ANY(:runs) AND state IN {move.sources_sql}
        """,  # noqa: S608  # states
        runs=runs,
        to=to,
        now=now,
    )
    if to == RunState.CANCELLED:
        await sql.execute(
            conn,
            """
            WITH ended AS (
                DELETE FROM expansions WHERE run_id = ANY(:runs) RETURNING run_id, target
            )
            UPDATE runs r SET target = e.target FROM ended e WHERE r.id = e.run_id
            """,
            runs=runs,
        )


async def cancel_messages(conn: Connection, runs: Sequence[UUID], now: datetime) -> int:
    """Cancel what is queued in the first slices of these runs; returns how many messages.

    That is all of a small run. The rest of a large one is the sweep's, slice by slice: nothing of a
    cancelled run is handed off, so the answer need not wait for a million rows.
    """
    status = await sql.execute(
        conn,
        f"""
        WITH stretch AS MATERIALIZED (
            SELECT run_id, channel_id, first_no, last_no FROM slices
            WHERE run_id = ANY(:runs) AND done_at IS NULL ORDER BY run_id, no LIMIT :slices_at_once
        ), queued AS MATERIALIZED (
            SELECT m.row FROM stretch s, LATERAL (  -- by the key: statistics know no new run
                SELECT ctid AS row FROM messages
                WHERE run_id = s.run_id AND no BETWEEN s.first_no AND s.last_no
                  AND channel_id = s.channel_id AND state IN {CANCEL.sources_sql} OFFSET 0) m
        )
        UPDATE messages m SET {
            ended_as(MessageState.CANCELLED, f"'{Reason.CAMPAIGN_CANCELLED}'", ":now")
        }
        FROM queued q WHERE m.ctid = q.row AND m.state IN {CANCEL.sources_sql}
        """,  # noqa: S608  # constants
        runs=runs,
        now=now,
        slices_at_once=SLICES_AT_ONCE,
    )
    return affected(status)


async def campaigns_of(conn: Connection, runs: Sequence[UUID]) -> list[UUID]:
    """The campaigns of these runs, and the joint plans whose legs they are; a direct run has none.
    In the order of locks: a plan is before its legs.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT unnest(ARRAY[c.leg_of, c.id]) AS id
        FROM runs r JOIN campaigns c ON c.id = r.campaign_id WHERE r.id = ANY(:runs) ORDER BY id
        """,
        runs=runs,
    )
    return [row["id"] for row in rows if row["id"] is not None]


async def finished_campaigns(
    conn: Connection, campaign_ids: Sequence[UUID]
) -> list[tuple[UUID, bool]]:
    """Those of these campaigns that have no open run, and whether a fire or step is to come, or
    waits for a person.
    """
    rows = await sql.fetch(
        conn,
        """
        SELECT id, next_fire_at IS NOT NULL OR EXISTS (
                   SELECT FROM sequence_steps s WHERE s.campaign_id = c.id AND s.outcome IS NULL)
                   OR EXISTS (
                   SELECT FROM campaign_fires f WHERE f.campaign_id = c.id AND f.outcome = 'held')
                   AS fires_again
        FROM campaigns c
        WHERE id = ANY(:campaign_ids) AND state IN ('running', 'scheduled')
          AND NOT EXISTS (SELECT FROM runs WHERE campaign_id = c.id AND state = ANY(:open))
        ORDER BY id
        """,
        campaign_ids=campaign_ids,
        open=OPEN,
    )
    return [(row["id"], row["fires_again"]) for row in rows]
