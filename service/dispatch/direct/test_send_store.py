"""The SQL of tests: the run of one, and who had how many."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

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
    return await conn.fetchrow(
        """
        WITH run AS (
            INSERT INTO runs (campaign_id, department_id, fire_at, state, priority, class, text,
                              rule, channels, send_hours, timezone, valid_until, created_at, mode,
                              over_cap, text_no)
            SELECT c.id, c.department_id, $7, 'expanding', 'urgent', t.class, $4, $5, c.channels,
                   '[["00:00", "24:00"]]', 'Asia/Shanghai', $8, $7, 'test', 'send', $6
            FROM campaigns c JOIN template_versions v ON v.id = c.template_version_id
            JOIN templates t ON t.id = v.template_id
            WHERE c.id = $1
            ON CONFLICT (campaign_id, fire_at) WHERE follows IS NULL DO NOTHING
            RETURNING *
        ), noted AS (
            INSERT INTO test_sends (run_id, campaign_id, content_hash, user_id, text_no, sent_at)
            SELECT id, $1, $2, $3, $6, $7 FROM run
        )
        SELECT * FROM run
        """,
        *new,
        now,
        valid_until,
    )


async def count_tests(conn: Connection, user_id: UUID, since: datetime) -> int:
    """How many tests a user had since an instant."""
    count: int = await conn.fetchval(
        "SELECT count(*) FROM test_sends WHERE user_id = $1 AND sent_at > $2", user_id, since
    )
    return count
