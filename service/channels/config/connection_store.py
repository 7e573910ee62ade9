"""The connections of channels, in SQL: what each last said, and what waits for them."""

from dataclasses import dataclass
from datetime import datetime

from service.channels.links import logins_store
from service.channels.links.logins import EndingKind
from service.ledger.states import OPEN_RUNS_WITH_LEDGER, sql_list
from service.storage import sql
from service.storage.postgres import Connection, one


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """What the holder of one connection last said of it, and how its last link ended.

    losses: since `losing_since`, with no hour without any. lived_ms: from the login to the end.
    """

    slot: int
    state: str
    note: str
    changed_at: datetime | None
    lost_at: datetime | None = None
    lost_how: EndingKind | None = None
    lost_why: str = ""
    lived_ms: int | None = None
    losses: int = 0
    losing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """A channel's connections, and what waits for them.

    next_login: seconds until one of them logs in again; None: none waits for that.
    """

    connections: list[ConnectionHealth]
    open_slices: int
    queued_estimate: int
    next_login: float | None

    @property
    def up(self) -> int:
        """How many of the connections are logged in."""
        return sum(connection.state == "up" for connection in self.connections)


async def get_health(conn: Connection, channel_id: int) -> Health:
    """The state of a channel's connections, and the work that waits for them."""
    rows = await sql.fetch(
        conn,
        """
        SELECT slot, state, note, changed_at, lost_at, lost_how, lost_why, lived_ms, losses,
               losing_since
        FROM connections JOIN channels ON channels.id = channel_id
        WHERE channel_id = :channel_id AND slot < channels.connections
        ORDER BY slot
        """,
        channel_id=channel_id,
    )
    waiting = one(
        await sql.fetchrow(
            conn,
            f"""
            SELECT count(*) AS slices, coalesce(sum(last_no - first_no + 1), 0) AS messages
            FROM slices s JOIN runs r ON r.id = s.run_id
            WHERE s.channel_id = :channel_id AND s.done_at IS NULL
              AND r.state IN {sql_list(OPEN_RUNS_WITH_LEDGER)}
            """,  # noqa: S608  # constants
            channel_id=channel_id,
        )
    )
    connections = [ConnectionHealth(*row) for row in rows]
    next_login = await logins_store.next_login(conn, channel_id)
    return Health(connections, waiting["slices"], waiting["messages"], next_login)
