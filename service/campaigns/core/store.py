"""The tables of campaigns and of their moves, in SQL.

`move` is the only statement that changes a campaign's state, and it records each move.

One module: whoever adds a column to a campaign finds all its statements here.
"""

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.legs import LegAsk
from service.campaigns.core.model import (
    ENDED,
    MOVES,
    Act,
    Campaign,
    CampaignSubmission,
    Move,
    Plan,
    State,
)
from service.campaigns.core.safety import Safety
from service.campaigns.core.texts import Further, MoreText
from service.ledger.states import MessageState, sql_list
from service.messages.plan_values import plan_values
from service.messages.template import fill
from service.storage import sql
from service.storage.postgres import Connection, Record, affected

_CAMPAIGN = """
    SELECT c.*, v.template_id, v.text, v.lint AS linted, t.class AS message_class,
           (SELECT f.figures_from FROM campaign_figures f WHERE f.campaign_id = c.id),
           (SELECT encode(o.order_sha256, 'hex') FROM rollouts o WHERE o.campaign_id = c.id)
               AS rollout,
           coalesce((
               SELECT jsonb_agg(jsonb_build_array(
                          o.template_id, o.id, o.text, x.after_days, x.verdict, x.text_values,
                          x.figures_from)
                          ORDER BY x.no)
               FROM campaign_texts x JOIN template_versions o ON o.id = x.template_version_id
               WHERE x.campaign_id = c.id), '[]') AS further,
           coalesce((
               SELECT jsonb_agg(jsonb_build_array(l.department_id, l.areas) ORDER BY l.id)
               FROM campaign_legs l WHERE l.campaign_id = c.id AND c.joint), '[]') AS legs
    FROM campaigns c
    JOIN template_versions v ON v.id = c.template_version_id
    JOIN templates t ON t.id = v.template_id
"""


async def count_drafts(conn: Connection, department_id: UUID, *, lock: bool = True) -> int:
    """How many drafts a department has.

    lock: until the end of the transaction nobody else adds one.
    """
    if lock:
        await sql.execute(
            conn,
            "SELECT FROM departments WHERE id = :department_id FOR NO KEY UPDATE",
            department_id=department_id,
        )
    count: int = await sql.fetchval(
        conn,
        "SELECT count(*) FROM campaigns"
        " WHERE department_id = :department_id AND state IN ('draft', 'returned')",
        department_id=department_id,
    )
    return count


async def insert_campaign(
    conn: Connection,
    department_id: UUID,
    plan: Plan,
    user_id: UUID,
    now: datetime,
    key_mode: str = "live",
    cloned_from: UUID | None = None,
) -> UUID:
    """Make a draft, with the latest versions of its templates."""
    campaign_id: UUID = await sql.fetchval(
        conn,
        """
        INSERT INTO campaigns (department_id, name, template_version_id, segment_id, channels,
                               priority, schedule, max_tps, over_cap, period_start, period_end,
                               drill, safety, corrects, joint, leg_of, text_values, state,
                               created_by, edited_by, created_at, key_mode, cloned_from)
        SELECT :department_id, :name, v.id, :segment_id, :channels, :priority, :schedule, :max_tps,
            :over_cap, :period_start, :period_end, :drill, :safety, :corrects, :joint, :leg_of,
               :text_values, 'draft', :user_id, :user_id, :now, :key_mode, :cloned_from
        FROM template_versions v WHERE v.template_id = :template_id ORDER BY v.no DESC LIMIT 1
        RETURNING id
        """,
        department_id=department_id,
        **_columns(plan),
        user_id=user_id,
        now=now,
        key_mode=key_mode,
        cloned_from=cloned_from,
    )
    await _set_figures(conn, campaign_id, plan)
    await _set_texts(conn, campaign_id, plan)
    if plan.is_joint:
        await _set_legs(conn, campaign_id, plan)
    return campaign_id


async def update_plan(conn: Connection, campaign_id: UUID, plan: Plan, user_id: UUID) -> None:
    """Change what a draft says, with the latest versions of its templates."""
    await sql.execute(
        conn,
        """
        UPDATE campaigns c
        SET name = :name, segment_id = :segment_id, channels = :channels, priority = :priority,
            schedule = :schedule, max_tps = :max_tps,
            over_cap = :over_cap, period_start = :period_start, period_end = :period_end,
                drill = :drill, safety = :safety,
            corrects = :corrects, joint = :joint, leg_of = :leg_of, text_values = :text_values,
            edited_by = :user_id,
            template_version_id = (
                SELECT id FROM template_versions WHERE template_id = :template_id ORDER BY no DESC
                LIMIT 1)
        WHERE c.id = :campaign_id
        """,
        campaign_id=campaign_id,
        **_columns(plan),
        user_id=user_id,
    )
    await _set_figures(conn, campaign_id, plan)
    await _set_texts(conn, campaign_id, plan)
    await _set_legs(conn, campaign_id, plan)


async def _set_figures(conn: Connection, campaign_id: UUID, plan: Plan) -> None:
    """Keep from which bulletin the first text has its figures on cases, if it has any."""
    if plan.figures_from is None:
        await sql.execute(
            conn,
            "DELETE FROM campaign_figures WHERE campaign_id = :campaign_id",
            campaign_id=campaign_id,
        )
        return
    await sql.execute(
        conn,
        "INSERT INTO campaign_figures (campaign_id, figures_from)"
        " VALUES (:campaign_id, :figures_from)"
        " ON CONFLICT (campaign_id) DO UPDATE SET figures_from = excluded.figures_from",
        campaign_id=campaign_id,
        figures_from=plan.figures_from,
    )


async def _set_texts(conn: Connection, campaign_id: UUID, plan: Plan) -> None:
    """Keep the texts after the first, each in its latest version."""
    await sql.execute(
        conn, "DELETE FROM campaign_texts WHERE campaign_id = :campaign_id", campaign_id=campaign_id
    )
    await sql.execute(
        conn,
        """
        INSERT INTO campaign_texts (campaign_id, no, template_version_id, after_days, text_values,
                                    figures_from)
        SELECT :campaign_id, m.no + 1, (
            SELECT id FROM template_versions WHERE template_id = m.template_id
            ORDER BY no DESC LIMIT 1), m.after_days, m.text_values, m.figures_from
        FROM unnest(:template_ids::uuid[], :after_days::smallint[], :text_values::jsonb[],
                    :figures_from::text[])
            WITH ORDINALITY AS m(template_id, after_days, text_values, figures_from, no)
        """,
        campaign_id=campaign_id,
        template_ids=[text.template_id for text in plan.more_texts],
        after_days=[text.after_days for text in plan.more_texts],
        text_values=[dict(text.values) for text in plan.more_texts],
        figures_from=[text.figures_from for text in plan.more_texts],
    )


async def _set_legs(conn: Connection, campaign_id: UUID, plan: Plan) -> None:
    """Keep what a joint plan asks of whom. A leg that is asked no more goes, with its record; one
    that was asked before stays, and is planned anew.
    """
    await sql.execute(
        conn,
        """
        DELETE FROM campaign_legs
        WHERE campaign_id = :campaign_id AND department_id <> ALL (:departments::uuid[])
        """,
        campaign_id=campaign_id,
        departments=[leg.department_id for leg in plan.legs],
    )
    await sql.executemany(
        conn,
        """
        INSERT INTO campaign_legs (campaign_id, department_id, areas)
        VALUES (:campaign_id, :department_id, :areas)
        ON CONFLICT (campaign_id, department_id) DO UPDATE
            SET areas = excluded.areas, asked_areas = NULL, state = 'planned'
        """,
        [
            {
                "campaign_id": campaign_id,
                "department_id": leg.department_id,
                "areas": list(leg.areas),
            }
            for leg in plan.legs
        ],
    )


def _columns(plan: Plan) -> dict[str, Any]:
    return {
        "name": plan.name,
        "template_id": plan.template_id,
        "segment_id": plan.segment_id,
        "channels": list(plan.channels) if plan.channels is not None else None,
        "priority": plan.priority,
        "schedule": plan.schedule.as_json(),
        "max_tps": plan.max_tps,
        "over_cap": plan.over_cap,
        "period_start": plan.period_start,
        "period_end": plan.period_end,
        "drill": plan.drill,
        "safety": plan.safety.as_json(),
        "corrects": plan.corrects,
        "joint": plan.is_joint,
        "leg_of": plan.leg_of,
        "text_values": dict(plan.values),
    }


async def get_campaign(
    conn: Connection, campaign_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Campaign | None:
    """One campaign of a department (None: of any); `lock` keeps all others from moving it."""
    query = f"""
        {_CAMPAIGN} WHERE c.id = :campaign_id AND (:scope::uuid IS NULL OR c.department_id = :scope)
        """
    row = await sql.fetchrow(
        conn, query + " FOR UPDATE OF c" * lock, campaign_id=campaign_id, scope=scope
    )
    return _campaign(row) if row else None


async def lock_state(conn: Connection, campaign_id: UUID) -> State:
    """The state of a campaign, which nobody moves until the end of the transaction."""
    return State(
        await sql.fetchval(
            conn,
            "SELECT state FROM campaigns WHERE id = :campaign_id FOR UPDATE",
            campaign_id=campaign_id,
        )
    )


async def list_campaigns(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int, state: str | None
) -> list[Campaign]:
    """A page of campaigns, from new to old; `state` keeps only those in that state."""
    rows = await sql.fetch(
        conn,
        f"""
        {_CAMPAIGN}
        WHERE (:scope::uuid IS NULL OR c.department_id = :scope)
          AND (:before::uuid IS NULL OR c.id < :before)
          AND (:state::text IS NULL OR c.state = :state)
        ORDER BY c.id DESC LIMIT :limit
        """,
        scope=scope,
        before=before,
        limit=limit,
        state=state,
    )
    return [_campaign(row) for row in rows]


async def campaigns_ahead(conn: Connection, until: datetime) -> list[Campaign]:
    """Campaigns of all departments that may fire before an instant, or would if they were approved,
    by id.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {_CAMPAIGN}
        WHERE c.state <> ALL (:states) AND (c.next_fire_at IS NULL OR c.next_fire_at < :until)
        ORDER BY c.id
        """,
        until=until,
        states=[state.value for state in ENDED],
    )
    return [_campaign(row) for row in rows]


async def move(conn: Connection, campaign_id: UUID, act: Act, to: State, by: By) -> bool:
    """Move a campaign along the table and record it; False if its state does not allow the act."""
    allowed, results = MOVES[act]
    if to not in results:
        raise ValueError(f"{act} does not lead to {to}")
    status = await sql.execute(
        conn,
        """
        WITH moved AS (
            UPDATE campaigns SET state = :to WHERE id = :campaign_id AND state = ANY(:states)
            RETURNING id, old.state AS from_state, new.state AS to_state
        )
        INSERT INTO campaign_moves (campaign_id, from_state, to_state, user_id, reason, at, code)
        SELECT id, from_state, to_state, :user_id, :reason, :at, :code FROM moved
        """,
        campaign_id=campaign_id,
        to=to.value,
        states=[state.value for state in allowed],
        user_id=by.user_id,
        reason=by.reason,
        at=by.at,
        code=by.code,
    )
    return bool(affected(status))


async def list_moves(conn: Connection, campaign_id: UUID) -> list[Move]:
    """Everything that happened to a campaign, from old to new."""
    rows = await sql.fetch(
        conn,
        """
        SELECT from_state, to_state, user_id, reason, at, code FROM campaign_moves
        WHERE campaign_id = :campaign_id ORDER BY id
        """,
        campaign_id=campaign_id,
    )
    return [Move(*row) for row in rows]


async def freeze(conn: Connection, campaign_id: UUID, submission: CampaignSubmission) -> None:
    """Store what a submission freezes."""
    await sql.execute(
        conn,
        """
        UPDATE campaigns
        SET template_version_id = :template_version_id, frozen_rule = :rule,
            content_hash = :content_hash, text_edited_by = :text_edited_by,
            rule_edited_by = :rule_edited_by, submitted_by = :submitted_by,
                submitted_at = :submitted_at, pending_until = :pending_until,
            baseline = :baseline, rule_editors = :rule_editors, text_editors = :text_editors,
                verdict = :findings
        WHERE id = :campaign_id
        """,
        campaign_id=campaign_id,
        template_version_id=submission.content.template_version_id,
        rule=submission.content.rule,
        content_hash=submission.content.hash,
        text_edited_by=submission.text_edited_by,
        rule_edited_by=submission.rule_edited_by,
        submitted_by=submission.submitted_by,
        submitted_at=submission.submitted_at,
        pending_until=submission.pending_until,
        baseline=submission.baseline,
        rule_editors=submission.rule_editors,
        text_editors=submission.text_editors,
        findings=list(submission.findings[0]),
    )
    further = zip(submission.content.further, submission.findings[1:], strict=True)
    await sql.executemany(
        conn,
        """
        UPDATE campaign_texts SET template_version_id = :version_id, verdict = :findings
        WHERE campaign_id = :campaign_id AND no = :no
        """,
        [
            {
                "campaign_id": campaign_id,
                "no": no,
                "version_id": words.template_version_id,
                "findings": list(findings),
            }
            for no, (words, findings) in enumerate(further, 2)
        ],
    )


async def record_approval(
    conn: Connection,
    campaign_id: UUID,
    user_id: UUID,
    absent_id: UUID | None,
    content_hash: bytes,
    now: datetime,
) -> None:
    """Store who approved what, and in whose place; after a first approval, the second one.

    The table's CHECKs refuse everybody who had a hand in it.
    """
    await sql.execute(
        conn,
        """
        UPDATE campaigns SET approved_hash = :content_hash,
            second_approved_by = CASE WHEN approved_by IS NOT NULL THEN :user_id::uuid END,
            second_approved_for = CASE WHEN approved_by IS NOT NULL THEN :absent_id::uuid END,
            second_approved_at = CASE WHEN approved_by IS NOT NULL THEN :now::timestamptz END,
            approved_by = coalesce(approved_by, :user_id),
            approved_for = CASE WHEN approved_by IS NULL THEN :absent_id ELSE approved_for END,
            approved_at = coalesce(approved_at, :now)
        WHERE id = :campaign_id
        """,
        campaign_id=campaign_id,
        user_id=user_id,
        absent_id=absent_id,
        content_hash=content_hash,
        now=now,
    )


async def copy_approvals(
    conn: Connection, campaign_id: UUID, plan_id: UUID, content_hash: bytes
) -> None:
    """Store for a leg who approved its joint plan, and when."""
    await sql.execute(
        conn,
        """
        UPDATE campaigns c SET approved_hash = :content_hash,
            approved_by = p.approved_by, approved_for = p.approved_for,
            approved_at = p.approved_at, second_approved_by = p.second_approved_by,
            second_approved_for = p.second_approved_for,
            second_approved_at = p.second_approved_at
        FROM campaigns p WHERE c.id = :campaign_id AND p.id = :plan_id
        """,
        campaign_id=campaign_id,
        plan_id=plan_id,
        content_hash=content_hash,
    )


async def set_baseline(conn: Connection, campaign_id: UUID, people: int) -> None:
    """How many people were agreed to."""
    await sql.execute(
        conn,
        "UPDATE campaigns SET baseline = :people WHERE id = :campaign_id",
        campaign_id=campaign_id,
        people=people,
    )


async def reopen_approval(
    conn: Connection, campaign_id: UUID, baseline: int, pending_until: datetime
) -> None:
    """Take back the approvals of what was submitted; it waits for new ones, of this many people."""
    await sql.execute(
        conn,
        """
        UPDATE campaigns
        SET baseline = :baseline, pending_until = :pending_until, next_fire_at = NULL,
            approved_by = NULL,
            approved_at = NULL, approved_hash = NULL, approved_for = NULL,
            second_approved_by = NULL, second_approved_for = NULL, second_approved_at = NULL
        WHERE id = :campaign_id
        """,
        campaign_id=campaign_id,
        baseline=baseline,
        pending_until=pending_until,
    )


async def department_kind(conn: Connection, department_id: UUID) -> str:
    """What kind of department one is."""
    kind: str = await sql.fetchval(
        conn, "SELECT kind FROM departments WHERE id = :department_id", department_id=department_id
    )
    return kind


async def baseline_of(conn: Connection, campaign_id: UUID) -> int | None:
    """How many people a campaign was for when it was submitted; None: it was not, or is gone."""
    found: int | None = await sql.fetchval(
        conn, "SELECT baseline FROM campaigns WHERE id = :campaign_id", campaign_id=campaign_id
    )
    return found


async def department_of(conn: Connection, campaign_id: UUID | None) -> UUID | None:
    """Whose campaign one is; None of None."""
    if campaign_id is None:
        return None
    found: UUID | None = await sql.fetchval(
        conn,
        "SELECT department_id FROM campaigns WHERE id = :campaign_id",
        campaign_id=campaign_id,
    )
    return found


async def texts_tested(
    conn: Connection, campaign_id: UUID, content_hash: bytes, user_id: UUID
) -> set[int]:
    """The numbers of the texts of exactly this that left for the user's own phone, not refused."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT DISTINCT t.text_no FROM test_sends t, ledger_of(t.run_id) m
        WHERE t.campaign_id = :campaign_id AND t.content_hash = :content_hash
          AND t.user_id = :user_id
          AND m.state IN {sql_list([MessageState.SUBMITTED, MessageState.DELIVERED])}
        """,  # noqa: S608  # constants
        campaign_id=campaign_id,
        content_hash=content_hash,
        user_id=user_id,
    )
    return {row["text_no"] for row in rows}


async def void_submission(conn: Connection, campaign_id: UUID) -> None:
    """Forget the submission and the approval of a campaign that is a draft again."""
    await sql.execute(
        conn,
        "UPDATE campaign_texts SET verdict = NULL WHERE campaign_id = :campaign_id",
        campaign_id=campaign_id,
    )
    await sql.execute(
        conn,
        """
        UPDATE campaigns
        SET frozen_rule = NULL, verdict = NULL, content_hash = NULL, text_edited_by = NULL,
            rule_edited_by = NULL,
            submitted_by = NULL, submitted_at = NULL, pending_until = NULL, baseline = NULL,
            rule_editors = '{}', text_editors = '{}', approved_by = NULL, approved_at = NULL,
            approved_hash = NULL, approved_for = NULL, second_approved_by = NULL,
            second_approved_for = NULL, second_approved_at = NULL, next_fire_at = NULL
        WHERE id = :campaign_id
        """,
        campaign_id=campaign_id,
    )


async def set_next_fire(conn: Connection, campaign_id: UUID, at: datetime | None) -> None:
    """When the campaign fires next; None: not again, or not before a person lets it."""
    told = ", expected_at = :at, silent_since = NULL" if at is not None else ""
    await sql.execute(
        conn,
        f"UPDATE campaigns SET next_fire_at = :at{told} WHERE id = :campaign_id",  # noqa: S608  # constants
        campaign_id=campaign_id,
        at=at,
    )


async def due_campaigns(conn: Connection, now: datetime) -> list[UUID]:
    """Campaigns whose time to fire has come."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id FROM campaigns WHERE state IN ('scheduled', 'running') AND next_fire_at <= :now
        ORDER BY next_fire_at
        """,
        now=now,
    )
    return [row["id"] for row in rows]


async def lock_due_campaign(conn: Connection, campaign_id: UUID, now: datetime) -> Campaign | None:
    """The campaign, locked, if it is still due and no other scheduler has it."""
    row = await sql.fetchrow(
        conn,
        f"""
        {_CAMPAIGN} WHERE c.id = :campaign_id AND c.state IN ('scheduled', 'running')
          AND c.next_fire_at <= :now
        FOR UPDATE OF c SKIP LOCKED
        """,
        campaign_id=campaign_id,
        now=now,
    )
    return _campaign(row) if row else None


async def lock_sending_campaign(conn: Connection, campaign_id: UUID) -> Campaign | None:
    """The campaign, locked, if it may send and no other scheduler has it."""
    row = await sql.fetchrow(
        conn,
        f"""
        {_CAMPAIGN} WHERE c.id = :campaign_id AND c.state IN ('scheduled', 'running')
        FOR UPDATE OF c SKIP LOCKED
        """,
        campaign_id=campaign_id,
    )
    return _campaign(row) if row else None


async def overdue_approvals(conn: Connection, now: datetime) -> list[UUID]:
    """Campaigns that have waited too long for their approval."""
    rows = await sql.fetch(
        conn,
        "SELECT id FROM campaigns WHERE state = 'pending_approval' AND pending_until <= :now",
        now=now,
    )
    return [row["id"] for row in rows]


def _campaign(row: Record) -> Campaign:
    values, further = plan_values(row["text_values"]), list(map(_further, row["further"]))
    plan = Plan(
        name=row["name"],
        template_id=row["template_id"],
        segment_id=row["segment_id"],
        channels=tuple(row["channels"]) if row["channels"] is not None else None,
        priority=row["priority"],
        schedule=Schedule.from_json(row["schedule"]),
        max_tps=row["max_tps"],
        over_cap=row["over_cap"],
        period_start=row["period_start"],
        period_end=row["period_end"],
        drill=row["drill"],
        safety=Safety.from_json(row["safety"]),
        more_texts=tuple(
            MoreText(text.template_id, text.after_days, text.values, text.figures_from)
            for text in further
        ),
        corrects=row["corrects"],
        legs=tuple(LegAsk(UUID(leg[0]), tuple(leg[1])) for leg in row["legs"]),
        leg_of=row["leg_of"],
        values=values,
        figures_from=row["figures_from"],
        rollout=row["rollout"],
    )
    replaced = {field.name for field in fields(Plan)} | {
        *("expected_at", "silent_since", "joint", "text_values")
    }
    kept = {name: value for name, value in row.items() if name not in replaced}
    made = {"state": State(row["state"]), "further": further, "text": fill(row["text"], values)}
    return Campaign(plan=plan, **kept | made)


def _further(stored: Sequence[Any]) -> Further:
    """A text after the first, as `_CAMPAIGN` gives it."""
    template_id, version_id, text, after_days, verdict, given, figures_from = stored
    values = plan_values(given)
    return Further(
        UUID(template_id),
        UUID(version_id),
        fill(text, values),
        after_days,
        verdict,
        values,
        figures_from,
    )
