"""The SQL of what a ledger would have if its run were expanded now, counted and not written."""

from service.audience.segments.segment_store import (
    ENDED,
    SAMPLE,
    WORK_MEMORY,
    AudienceCounts,
    counts_of,
)
from service.campaigns.audience.audience_source import Whom
from service.campaigns.audience.exclusion_store import PARAMETERS, Judging, judged
from service.storage.postgres import Connection

FIRST_RULE_PARAMETER = PARAMETERS + 1


async def count_ledger(conn: Connection, judging: Judging, whom: Whom) -> AudienceCounts:
    """Whom a ledger would have or leave out, but for the caps; needs a transaction."""
    await conn.execute(f"SET LOCAL work_mem = '{WORK_MEMORY}'")
    rows = await conn.fetch(
        f"""
        SELECT CASE WHEN ended THEN '{ENDED}' ELSE coalesce(early, stop, late) END AS excluded,
               coalesce(carrier, 'none') AS carrier,
               coalesce(left(area_code, 9) || '000', 'none') AS town,
               array_to_string({whom.roles}, ' ') AS roles, count(*) AS people,
               (array_agg(phone_hash))[1:{SAMPLE}] AS some
        FROM ({judged(whom)}) j
        GROUP BY 1, 2, 3, 4
        """,  # noqa: S608  # compiled from a parsed rule, whose values are parameters
        *judging.parameters,
        *whom.parameters,
    )
    return counts_of(rows)
