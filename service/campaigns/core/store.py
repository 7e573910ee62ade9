"""The tables of campaigns and of their moves, in SQL.

`move` is the only statement that changes a campaign's state, and it records each move.

One module: whoever adds a column to a campaign finds all its statements here.
"""

from dataclasses import fields
from datetime import datetime
from uuid import UUID

from service.accounts.people.model import By
from service.campaigns.calendar.schedule import Schedule
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
from service.storage.postgres import Connection, Record, affected

_CAMPAIGN = """
    SELECT c.*, v.template_id, v.text, v.lint AS linted, t.class AS message_class,
           coalesce((
               SELECT jsonb_agg(jsonb_build_array(
                          o.template_id, o.id, o.text, x.after_days, x.verdict) ORDER BY x.no)
               FROM campaign_texts x JOIN template_versions o ON o.id = x.template_version_id
               WHERE x.campaign_id = c.id), '[]') AS further
    FROM campaigns c
    JOIN template_versions v ON v.id = c.template_version_id
    JOIN templates t ON t.id = v.template_id
"""


async def count_drafts(conn: Connection, department_id: UUID) -> int:
    """How many drafts a department has; until the end of the transaction nobody else adds one."""
    await conn.execute("SELECT FROM departments WHERE id = $1 FOR NO KEY UPDATE", department_id)
    count: int = await conn.fetchval(
        "SELECT count(*) FROM campaigns"
        " WHERE department_id = $1 AND state IN ('draft', 'returned')",
        department_id,
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
    campaign_id: UUID = await conn.fetchval(
        """
        INSERT INTO campaigns (department_id, name, template_version_id, segment_id, channels,
                               priority, schedule, max_tps, over_cap, period_start, period_end,
                               drill, safety, corrects, state, created_by, edited_by, created_at,
                               key_mode, cloned_from)
        SELECT $1, $2, v.id, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, 'draft', $15, $15,
               $16, $17, $18
        FROM template_versions v WHERE v.template_id = $3 ORDER BY v.no DESC LIMIT 1
        RETURNING id
        """,
        department_id,
        *_columns(plan),
        user_id,
        now,
        key_mode,
        cloned_from,
    )
    await _set_texts(conn, campaign_id, plan)
    return campaign_id


async def update_plan(conn: Connection, campaign_id: UUID, plan: Plan, user_id: UUID) -> None:
    """Change what a draft says, with the latest versions of its templates."""
    await conn.execute(
        """
        UPDATE campaigns c
        SET name = $2, segment_id = $4, channels = $5, priority = $6, schedule = $7, max_tps = $8,
            over_cap = $9, period_start = $10, period_end = $11, drill = $12, safety = $13,
            corrects = $14, edited_by = $15, template_version_id = (
                SELECT id FROM template_versions WHERE template_id = $3 ORDER BY no DESC LIMIT 1)
        WHERE c.id = $1
        """,
        campaign_id,
        *_columns(plan),
        user_id,
    )
    await _set_texts(conn, campaign_id, plan)


async def _set_texts(conn: Connection, campaign_id: UUID, plan: Plan) -> None:
    """Keep the texts after the first, each in its latest version."""
    await conn.execute("DELETE FROM campaign_texts WHERE campaign_id = $1", campaign_id)
    await conn.execute(
        """
        INSERT INTO campaign_texts (campaign_id, no, template_version_id, after_days)
        SELECT $1, m.no + 1, (
            SELECT id FROM template_versions WHERE template_id = m.template_id
            ORDER BY no DESC LIMIT 1), m.after_days
        FROM unnest($2::uuid[], $3::smallint[]) WITH ORDINALITY AS m(template_id, after_days, no)
        """,
        campaign_id,
        [text.template_id for text in plan.more_texts],
        [text.after_days for text in plan.more_texts],
    )


def _columns(plan: Plan) -> tuple[object, ...]:
    return (
        plan.name,
        plan.template_id,
        plan.segment_id,
        list(plan.channels) if plan.channels is not None else None,
        plan.priority,
        plan.schedule.as_json(),
        plan.max_tps,
        plan.over_cap,
        plan.period_start,
        plan.period_end,
        plan.drill,
        plan.safety.as_json(),
        plan.corrects,
    )


async def get_campaign(
    conn: Connection, campaign_id: UUID, scope: UUID | None, *, lock: bool = False
) -> Campaign | None:
    """One campaign of a department (None: of any); `lock` keeps all others from moving it."""
    query = f"{_CAMPAIGN} WHERE c.id = $1 AND ($2::uuid IS NULL OR c.department_id = $2)"
    row = await conn.fetchrow(query + " FOR UPDATE OF c" * lock, campaign_id, scope)
    return _campaign(row) if row else None


async def lock_state(conn: Connection, campaign_id: UUID) -> State:
    """The state of a campaign, which nobody moves until the end of the transaction."""
    return State(
        await conn.fetchval("SELECT state FROM campaigns WHERE id = $1 FOR UPDATE", campaign_id)
    )


async def list_campaigns(
    conn: Connection, scope: UUID | None, before: UUID | None, limit: int, state: str | None
) -> list[Campaign]:
    """A page of campaigns, from new to old; `state` keeps only those in that state."""
    rows = await conn.fetch(
        f"""
        {_CAMPAIGN}
        WHERE ($1::uuid IS NULL OR c.department_id = $1) AND ($2::uuid IS NULL OR c.id < $2)
          AND ($4::text IS NULL OR c.state = $4)
        ORDER BY c.id DESC LIMIT $3
        """,
        scope,
        before,
        limit,
        state,
    )
    return [_campaign(row) for row in rows]


async def campaigns_ahead(conn: Connection, until: datetime) -> list[Campaign]:
    """Campaigns of all departments that may fire before an instant, or would if they were approved,
    by id.
    """
    rows = await conn.fetch(
        f"""
        {_CAMPAIGN}
        WHERE c.state <> ALL ($2) AND (c.next_fire_at IS NULL OR c.next_fire_at < $1)
        ORDER BY c.id
        """,
        until,
        [state.value for state in ENDED],
    )
    return [_campaign(row) for row in rows]


async def move(conn: Connection, campaign_id: UUID, act: Act, to: State, by: By) -> bool:
    """Move a campaign along the table and record it; False if its state does not allow the act."""
    allowed, results = MOVES[act]
    if to not in results:
        raise ValueError(f"{act} does not lead to {to}")
    status = await conn.execute(
        """
        WITH moved AS (
            UPDATE campaigns SET state = $2 WHERE id = $1 AND state = ANY($3)
            RETURNING id, old.state AS from_state, new.state AS to_state
        )
        INSERT INTO campaign_moves (campaign_id, from_state, to_state, user_id, reason, at, code)
        SELECT id, from_state, to_state, $4, $5, $6, $7 FROM moved
        """,
        campaign_id,
        to.value,
        [state.value for state in allowed],
        by.user_id,
        by.reason,
        by.at,
        by.code,
    )
    return bool(affected(status))


async def list_moves(conn: Connection, campaign_id: UUID) -> list[Move]:
    """Everything that happened to a campaign, from old to new."""
    rows = await conn.fetch(
        """
        SELECT from_state, to_state, user_id, reason, at, code FROM campaign_moves
        WHERE campaign_id = $1 ORDER BY id
        """,
        campaign_id,
    )
    return [Move(*row) for row in rows]


async def freeze(conn: Connection, campaign_id: UUID, submission: CampaignSubmission) -> None:
    """Store what a submission freezes."""
    await conn.execute(
        """
        UPDATE campaigns
        SET template_version_id = $2, frozen_rule = $3, content_hash = $4, text_edited_by = $5,
            rule_edited_by = $6, submitted_by = $7, submitted_at = $8, pending_until = $9,
            baseline = $10, rule_editors = $11, text_editors = $12, verdict = $13
        WHERE id = $1
        """,
        campaign_id,
        submission.content.template_version_id,
        submission.content.rule,
        submission.content.hash,
        *submission[1:-1],
        list(submission.findings[0]),
    )
    further = zip(submission.content.further, submission.findings[1:], strict=True)
    await conn.executemany(
        """
        UPDATE campaign_texts SET template_version_id = $3, verdict = $4
        WHERE campaign_id = $1 AND no = $2
        """,
        [
            (campaign_id, no, words.template_version_id, list(findings))
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
    await conn.execute(
        """
        UPDATE campaigns SET approved_hash = $4,
            second_approved_by = CASE WHEN approved_by IS NOT NULL THEN $2::uuid END,
            second_approved_for = CASE WHEN approved_by IS NOT NULL THEN $3::uuid END,
            second_approved_at = CASE WHEN approved_by IS NOT NULL THEN $5::timestamptz END,
            approved_by = coalesce(approved_by, $2),
            approved_for = CASE WHEN approved_by IS NULL THEN $3 ELSE approved_for END,
            approved_at = coalesce(approved_at, $5)
        WHERE id = $1
        """,
        campaign_id,
        user_id,
        absent_id,
        content_hash,
        now,
    )


async def reopen_approval(
    conn: Connection, campaign_id: UUID, baseline: int, pending_until: datetime
) -> None:
    """Take back the approvals of what was submitted; it waits for new ones, of this many people."""
    await conn.execute(
        """
        UPDATE campaigns
        SET baseline = $2, pending_until = $3, next_fire_at = NULL, approved_by = NULL,
            approved_at = NULL, approved_hash = NULL, approved_for = NULL,
            second_approved_by = NULL, second_approved_for = NULL, second_approved_at = NULL
        WHERE id = $1
        """,
        campaign_id,
        baseline,
        pending_until,
    )


async def department_kind(conn: Connection, department_id: UUID) -> str:
    """What kind of department one is."""
    kind: str = await conn.fetchval("SELECT kind FROM departments WHERE id = $1", department_id)
    return kind


async def texts_tested(
    conn: Connection, campaign_id: UUID, content_hash: bytes, user_id: UUID
) -> set[int]:
    """The numbers of the texts of exactly this that left for the user's own phone, not refused."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT t.text_no FROM test_sends t, ledger_of(t.run_id) m
        WHERE t.campaign_id = $1 AND t.content_hash = $2 AND t.user_id = $3
          AND m.state IN ('submitted', 'delivered')
        """,
        campaign_id,
        content_hash,
        user_id,
    )
    return {row["text_no"] for row in rows}


async def void_submission(conn: Connection, campaign_id: UUID) -> None:
    """Forget the submission and the approval of a campaign that is a draft again."""
    await conn.execute(
        "UPDATE campaign_texts SET verdict = NULL WHERE campaign_id = $1", campaign_id
    )
    await conn.execute(
        """
        UPDATE campaigns
        SET frozen_rule = NULL, verdict = NULL, content_hash = NULL, text_edited_by = NULL,
            rule_edited_by = NULL,
            submitted_by = NULL, submitted_at = NULL, pending_until = NULL, baseline = NULL,
            rule_editors = '{}', text_editors = '{}', approved_by = NULL, approved_at = NULL,
            approved_hash = NULL, approved_for = NULL, second_approved_by = NULL,
            second_approved_for = NULL, second_approved_at = NULL, next_fire_at = NULL
        WHERE id = $1
        """,
        campaign_id,
    )


async def set_next_fire(conn: Connection, campaign_id: UUID, at: datetime | None) -> None:
    """When the campaign fires next; None: not again, or not before a person lets it."""
    told = ", expected_at = $2, silent_since = NULL" if at is not None else ""
    await conn.execute(
        f"UPDATE campaigns SET next_fire_at = $2{told} WHERE id = $1",  # noqa: S608  # constants
        campaign_id,
        at,
    )


async def due_campaigns(conn: Connection, now: datetime) -> list[UUID]:
    """Campaigns whose time to fire has come."""
    rows = await conn.fetch(
        """
        SELECT id FROM campaigns WHERE state IN ('scheduled', 'running') AND next_fire_at <= $1
        ORDER BY next_fire_at
        """,
        now,
    )
    return [row["id"] for row in rows]


async def lock_due_campaign(conn: Connection, campaign_id: UUID, now: datetime) -> Campaign | None:
    """The campaign, locked, if it is still due and no other scheduler has it."""
    row = await conn.fetchrow(
        f"""
        {_CAMPAIGN} WHERE c.id = $1 AND c.state IN ('scheduled', 'running')
          AND c.next_fire_at <= $2
        FOR UPDATE OF c SKIP LOCKED
        """,
        campaign_id,
        now,
    )
    return _campaign(row) if row else None


async def lock_sending_campaign(conn: Connection, campaign_id: UUID) -> Campaign | None:
    """The campaign, locked, if it may send and no other scheduler has it."""
    row = await conn.fetchrow(
        f"""
        {_CAMPAIGN} WHERE c.id = $1 AND c.state IN ('scheduled', 'running')
        FOR UPDATE OF c SKIP LOCKED
        """,
        campaign_id,
    )
    return _campaign(row) if row else None


async def overdue_approvals(conn: Connection, now: datetime) -> list[UUID]:
    """Campaigns that have waited too long for their approval."""
    rows = await conn.fetch(
        "SELECT id FROM campaigns WHERE state = 'pending_approval' AND pending_until <= $1", now
    )
    return [row["id"] for row in rows]


def _campaign(row: Record) -> Campaign:
    further = [Further(UUID(text[0]), UUID(text[1]), *text[2:]) for text in row["further"]]
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
        more_texts=tuple(MoreText(text.template_id, text.after_days) for text in further),
        corrects=row["corrects"],
    )
    replaced = {field.name for field in fields(Plan)} | {"expected_at", "silent_since"}
    kept = {name: value for name, value in row.items() if name not in replaced}
    return Campaign(plan=plan, **kept | {"state": State(row["state"]), "further": further})
