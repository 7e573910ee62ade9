"""The SQL of tests: the run of one, and who had how many."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.storage import sql
from service.storage.postgres import Connection, Record


class NewTest(NamedTuple):
    """A test of a campaign: of exactly which content, for whom, and what they will read."""

    campaign_id: UUID
    content_hash: bytes
    user_id: UUID
    text: str
    rule: str
    text_no: int


async def insert_test(
    conn: Connection, new: NewTest, now: datetime, valid_until: datetime
) -> Record | None:
    """Make the run of a test, whose ledger is still to be written; None if the campaign has another
    run of this very instant.
    """
    return await sql.fetchrow(
        conn,
        """
        WITH run AS (
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, channels, send_hours, timezone, valid_until, created_at, mode,
                              over_cap, text_no)
            SELECT c.id, c.department_id, :now, 'expanding', 'urgent', t.class, :text, :rule,
                c.channels,
                   '[["00:00", "24:00"]]', 'Asia/Shanghai', :valid_until, :now, 'test', 'send',
                       :text_no
            FROM campaigns c JOIN template_versions v ON v.id = c.template_version_id
            JOIN templates t ON t.id = v.template_id
            WHERE c.id = :campaign_id
            ON CONFLICT (campaign_id, fire_at) WHERE follows IS NULL DO NOTHING
            RETURNING *
        ), noted AS (
            INSERT INTO test_sends (run_id, campaign_id, content_hash, user_id, text_no, sent_at)
            SELECT id, :campaign_id, :content_hash, :user_id, :text_no, :now FROM run
        )
        SELECT * FROM run
        """,
        **new._asdict(),
        now=now,
        valid_until=valid_until,
    )


async def count_tests(conn: Connection, user_id: UUID, since: datetime) -> int:
    """How many tests a user had since an instant."""
    count: int = await sql.fetchval(
        conn,
        "SELECT count(*) FROM test_sends WHERE user_id = :user_id AND sent_at > :since",
        user_id=user_id,
        since=since,
    )
    return count
