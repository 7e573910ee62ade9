"""The SQL of what bounds a direct send: the department's terms, and whom a key may write to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import DepartmentPermits
from service.audience.areas.area_store import outside_area
from service.campaigns.audience.exclusion_store import BEFORE_STOPS, first_reason
from service.channels.routing.route import RoutableChannel
from service.channels.routing.route_store import channel_from, channels_sql
from service.ledger.reasons import Reason
from service.messages.lint.lint_store import POLICY, policy_of
from service.messages.policy import Policy
from service.storage import sql
from service.storage.postgres import Connection, one


class DirectTerms(NamedTuple):
    """What bounds a department's direct sends, and what decides which way they take.

    limit: people in 24 hours, of each sender. used: by this one. base: the carrier whose
    subscribers the department's people are. lent: whether the text's signature
    is registered to another department. block_table: the one of number blocks that is in force.
    channels: all channels, by id. overrides: by the hash of a phone, the carrier that is known
    against its prefix. policy: of lint.
    """

    limit: int
    used: int
    permits: DepartmentPermits
    area_code: str | None
    base: str | None
    lent: bool
    block_table: UUID | None
    channels: Sequence[RoutableChannel]
    overrides: Mapping[bytes, str]
    policy: Policy


async def read_terms(
    conn: Connection,
    department_id: UUID,
    sender_id: UUID,
    since: datetime,
    signature: str,
    phones: Sequence[bytes],
    now: datetime,
) -> DirectTerms:
    """What bounds a direct send now, all in one statement.

    sender_id, since: whose sends are counted, and from when. signature: the text's, without 【】.
    phones: the hashes of those who are to get it.
    """
    row = one(
        await sql.fetchrow(
            # A sub-select: the planner does not look at the numbers, and one plan does for all.
            conn,
            f"""
            SELECT direct_send_limit, classes, channels, area_code,
                   CASE WHEN kind = 'carrier' THEN carrier END AS base,
                   EXISTS (SELECT FROM signatures
                           WHERE signature = :signature
                             AND department_id <> :department_id) AS lent,
                   (SELECT id FROM block_tables) AS block_table,
                   direct_used(:sender_id, :since) AS used,
                   ARRAY({channels_sql(":now")}) AS all_channels,
                   ARRAY(SELECT (phone_hash, carrier) FROM carrier_overrides
                         WHERE phone_hash = ANY ((SELECT :phones::bytea[])::bytea[])) AS overrides,
                   {POLICY} AS policy
            FROM departments WHERE id = :department_id
            """,  # noqa: S608  # constants
            department_id=department_id,
            signature=signature,
            sender_id=sender_id,
            since=since,
            phones=phones,
            now=now,
        )
    )
    return DirectTerms(
        row["direct_send_limit"],
        row["used"],
        DepartmentPermits(tuple(row["classes"]), row["channels"]),
        row["area_code"],
        row["base"],
        row["lent"],
        row["block_table"],
        [channel_from(channel) for channel in row["all_channels"]],
        dict(row["overrides"]),
        policy_of(row["policy"]),
    )


_NO_GUEST = """NOT EXISTS (
        SELECT FROM guests g WHERE g.department_id = :department_id AND g.phone_hash = p.hash)"""

_OUTSIDE_KEY = """:area_codes::text[] IS NOT NULL AND (p.area_code IS NULL OR NOT EXISTS (
        SELECT FROM unnest(:area_codes) AS t(top), areas_within(t.top) AS w(code)
        WHERE w.code = p.area_code))
    OR :rosters::text[] IS NOT NULL AND NOT EXISTS (
        SELECT FROM links l JOIN rosters r ON r.id = l.roster_id
        WHERE l.contact_id = p.id AND l.left_at IS NULL
          AND r.department_id = :department_id AND r.name = ANY (:rosters))"""


async def out_of_bounds(
    conn: Connection,
    department_id: UUID,
    phones: Sequence[bytes],
    *,
    guests_only: bool,
    area_codes: Sequence[str] | None,
    rosters: Sequence[str] | None,
) -> dict[bytes, str]:
    """Whom of these phones the department, or the key with its limits, may not send to, and why.

    Somebody whom the department does not know is in no roster, and lives in none of a key's areas.
    """
    found: dict[str, str] = {
        Reason.OUTSIDE_AREA: outside_area(
            "d.area_code", "p.area_code", "p.area_code IN (SELECT areas_within(d.area_code))"
        ),
        Reason.OUTSIDE_KEY: _OUTSIDE_KEY,
    }
    if guests_only:
        found[Reason.NOT_A_GUEST] = _NO_GUEST
    rows = await sql.fetch(
        conn,
        f"""
        WITH person AS (
            SELECT p.hash, c.id, c.area_code FROM unnest(:phones::bytea[]) AS p(hash)
            LEFT JOIN contacts c ON c.department_id = :department_id AND c.phone_hash = p.hash
        ), bounded AS (
            SELECT p.hash, {first_reason(BEFORE_STOPS, found)} AS reason
            FROM person p JOIN departments d ON d.id = :department_id
        )
        SELECT hash, reason FROM bounded WHERE reason IS NOT NULL
        """,  # noqa: S608  # constants
        department_id=department_id,
        phones=phones,
        area_codes=area_codes,
        rosters=rosters,
    )
    return {row["hash"]: row["reason"] for row in rows}
