"""The SQL of /metrics: what each channel has done since ever, what is stopped, who follows the
database, and what expires. Cheap: small tables and sums that are kept, and no ledger. And of
/readyz: whether commits wait.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.audience.segments.facts_store import count_differing
from service.campaigns.core.model import ENDED, State
from service.ledger.states import sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record

OPEN_STATES = tuple(state for state in State if state not in ENDED)
FORGOTTEN = timedelta(days=7)
"""A key that expired so long ago is missed by nobody."""


@dataclass(frozen=True, slots=True)
class SystemStanding:
    """How the whole system stands.

    channels: a row each, with what it has done since ever. ends: by channel and state, how many
    texts have ended so after a hand-off, since ever. stopped: why everything is stopped;
    None: it is not. campaigns: how many are in each state that is not the last. timeline: of the
    database, and whether its texts may leave. standbys: name, state, and seconds behind. key_ends:
    when the next key of a person or program expires that nobody has renewed. differing: of how many
    people facts were not what their lists say, when they were compared last.
    """

    channels: Sequence[Record]
    ends: Mapping[tuple[str, str], int]
    stopped: str | None
    campaigns: Mapping[str, int]
    timeline: int
    is_accepted: bool
    standbys: Sequence[tuple[str, str, float]]
    key_ends: datetime | None
    differing: int


async def read_standing(conn: Connection, now: datetime) -> SystemStanding:
    """Read it all."""
    campaigns = await conn.fetch(
        f"""
        SELECT state, count(*) AS campaigns FROM campaigns
        WHERE state IN {sql_list(OPEN_STATES)} GROUP BY state
        """  # noqa: S608  # constants
    )
    cluster = await conn.fetchrow(
        """
        SELECT present.cluster, coalesce(g.cluster = present.cluster, true) AS accepted
        FROM (SELECT present_cluster() AS cluster) present LEFT JOIN generation g ON true
        """
    )
    standbys = await conn.fetch("SELECT standby, state, lag FROM present_standbys()")
    return SystemStanding(
        channels=await _channels(conn),
        ends=await _ends(conn),
        stopped=await conn.fetchval("SELECT cause FROM stops WHERE lifted_at IS NULL"),
        campaigns={row["state"]: row["campaigns"] for row in campaigns},
        timeline=int(cluster["cluster"].rpartition("/")[2], 16) if cluster else 0,
        is_accepted=cluster is None or cluster["accepted"],
        standbys=[(row["standby"], row["state"], row["lag"]) for row in standbys],
        key_ends=await _key_ends(conn, now),
        differing=await count_differing(conn),
    )


async def longest_commit_wait(conn: Connection) -> float:
    """For how many seconds a commit of this role has waited for a synchronous standby; 0: none has.

    A statement that is given up ends the wait of its commit, so it is never much more than that.
    """
    seconds: float = await conn.fetchval(
        """
        SELECT coalesce(max(extract(epoch FROM clock_timestamp() - state_change)), 0)::float8
        FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND usename = current_user
        """
    )
    return seconds


async def _key_ends(conn: Connection, now: datetime) -> datetime | None:
    ends: datetime | None = await sql.fetchval(
        conn,
        """
        SELECT min(k.expires_at) FROM keys k JOIN users u ON u.id = k.user_id
        WHERE k.revoked_at IS NULL AND k.activated_at IS NOT NULL AND k.mode = 'live'
          AND u.disabled_at IS NULL AND k.expires_at > :since
          AND NOT EXISTS (
            SELECT FROM keys n WHERE n.replaces = k.id AND n.activated_at IS NOT NULL)
        """,
        since=now - FORGOTTEN,
    )
    return ends


async def _ends(conn: Connection) -> dict[tuple[str, str], int]:
    rows = await conn.fetch(
        """
        SELECT c.name, e.state::text, sum(e.texts)::bigint AS texts
        FROM text_ends e JOIN channels c ON c.id = e.channel_id GROUP BY c.name, e.state
        """
    )
    return {(row["name"], row["state"]): row["texts"] for row in rows}


async def _channels(conn: Connection) -> Sequence[Record]:
    """The sums that are kept, and the reports of the last hour, which are not in them yet."""
    return await conn.fetch(
        """
        SELECT c.name, c.enabled, c.tps, coalesce(b.state, 'closed') AS breaker,
               (SELECT coalesce(sum(marks), 0) FROM connections WHERE channel_id = c.id)::bigint
                   AS marked,
               (coalesce(t.accepted, 0) + coalesce(h.accepted, 0))::bigint AS accepted,
               (coalesce(t.refused, 0) + coalesce(h.refused, 0))::bigint AS refused,
               (coalesce(t.failed, 0) + coalesce(h.failed, 0))::bigint AS failed,
               (coalesce(t.unanswered, 0) + coalesce(h.unanswered, 0))::bigint AS unanswered,
               (coalesce(t.unsent, 0) + coalesce(h.unsent, 0))::bigint AS unsent,
               (coalesce(t.throttled, 0) + coalesce(h.throttled, 0))::bigint AS too_fast,
               (coalesce(t.delivered, 0) + coalesce(h.delivered, 0))::bigint AS arrived,
               (coalesce(t.receipts - t.delivered, 0) + coalesce(h.receipts - h.delivered, 0)
                   )::bigint AS not_arrived
        FROM channels c
        LEFT JOIN channel_totals t ON t.channel_id = c.id
        LEFT JOIN circuit_breakers b ON b.channel_id = c.id
        LEFT JOIN (
            SELECT channel_id, sum(accepted) AS accepted, sum(refused) AS refused,
                   sum(failed) AS failed, sum(unanswered) AS unanswered, sum(unsent) AS unsent,
                   sum(throttled) AS throttled, sum(receipts) AS receipts,
                   sum(delivered) AS delivered
            FROM channel_health GROUP BY channel_id) h ON h.channel_id = c.id
        ORDER BY c.id
        """
    )
