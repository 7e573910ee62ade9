"""The channels table: a configuration is one encrypted JSON object, read as its kind's model."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from service.channels.config.extension import check_room
from service.channels.config.extension_store import extensions_in_use
from service.channels.contract.maintenance import check_maintenance
from service.channels.contract.model import Channel, ChannelSettings, Hold, parse_config, revealed
from service.channels.contract.registry import check_given, load
from service.channels.links import logins_store
from service.channels.links.logins import EndingKind
from service.crypto import Keyring, Undecipherable
from service.errors import Conflict, Invalid, Misconfigured, NotFound
from service.storage.locks import lock_extensions
from service.storage.postgres import Connection, Record, UniqueViolation, one

log = logging.getLogger(__name__)

_ALL = "SELECT * FROM channels ORDER BY id"

CONFIG = "channel_config"
"""The kind of field under which configurations are encrypted."""


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


async def list_channels(conn: Connection, keyring: Keyring) -> list[Channel]:
    """All channels, by id.

    Raises:
        Misconfigured: one cannot be read.
    """
    return [_channel(row, keyring) for row in await conn.fetch(_ALL)]


async def readable_channels(conn: Connection, keyring: Keyring) -> list[Channel]:
    """The channels that can be read, by id; each other one is an error in the log.

    For whoever serves them: one bad row must not end the service of all.
    """
    channels = []
    for row in await conn.fetch(_ALL):
        try:
            channels.append(_channel(row, keyring))
        except Misconfigured as error:
            log.error("a channel is left out", extra={"why": error.message})  # noqa: TRY400
    return channels


async def get_channel(
    conn: Connection, keyring: Keyring, channel_id: int, *, lock: bool = False
) -> Channel:
    """One channel; `lock` keeps others from changing it to the end of the transaction.

    Raises:
        NotFound: there is none of this id.
    """
    query = "SELECT * FROM channels WHERE id = $1::bigint"
    row = await conn.fetchrow(query + " FOR UPDATE" * lock, channel_id)
    if row is None:
        raise NotFound(f"there is no channel {channel_id}")
    return _channel(row, keyring)


async def find_channel(conn: Connection, keyring: Keyring, given: str) -> Channel:
    """The channel of an id or, failing that, of a name.

    Raises:
        NotFound: there is none.
    """
    row = await conn.fetchrow(
        """
        SELECT * FROM channels WHERE id::text = $1 OR name = $1
        ORDER BY id::text = $1 DESC LIMIT 1
        """,
        given.replace("\0", "\ufffd"),  # PostgreSQL takes no NUL, and no name has one
    )
    if row is None:
        raise NotFound(f"there is no channel {given}")
    return _channel(row, keyring)


async def existing_channels(conn: Connection) -> set[int]:
    """The ids of all channels."""
    return {row["id"] for row in await conn.fetch("SELECT id FROM channels")}


async def insert_channel(
    conn: Connection, keyring: Keyring, settings: ChannelSettings, now: datetime
) -> Channel:
    """Set up a channel, with a row for each of its connections. A real one is switched off and
    waits for its second person (`changes.create`); the database refuses any other.

    Raises:
        Invalid: it has more recipients to a submit than its kind can take, hours of maintenance
            that cannot be followed, too long a number for a department's extension, or settings
            with which no such channel is set up.
        Conflict: the name is taken.
    """
    _check(settings)
    check_given(settings)
    waits_since = None if settings.simulated else now
    if waits_since is not None:
        settings = replace(settings, enabled=False)
    try:
        row = await conn.fetchrow(
            """
            INSERT INTO channels (name, kind, simulated, created_at, carriers, config_cipher, tps,
                                  window_size, connections, enabled, destinations, on_net_only,
                                  rank, signature, signature_counts, receipts, send_validity,
                                  daily_quota, monthly_quota, maintenance, operated_by,
                                  waits_since)
            VALUES ($1, $19, $20, $21, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
                    $15, $16, $17, $18, $22)
            RETURNING *
            """,
            *_columns(settings, keyring),
            settings.kind,
            settings.simulated,
            now,
            waits_since,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a channel named {settings.name} already") from error
    channel = _channel(one(row), keyring)
    await _check_extensions(conn, channel)
    await _add_connections(conn, channel)
    return channel


async def update_channel(conn: Connection, keyring: Keyring, channel: Channel) -> None:
    """Change what may change: everything but the kind, and whether it is simulated.

    Another quota ends the hold of the old one; if it is used up too, the next mark finds it. Who
    waits to log in tries at once: the settings may be right now.

    Raises:
        Invalid: it has more recipients to a submit than its kind can take, hours of maintenance
            that cannot be followed, or too long a number for a department's extension.
        Conflict: the name is taken.
    """
    _check(channel)
    try:
        await conn.execute(
            """
            UPDATE channels SET
                name = $1, carriers = $2, config_cipher = $3, tps = $4, window_size = $5,
                connections = $6, enabled = $7, destinations = $8, on_net_only = $9, rank = $10,
                signature = $11, signature_counts = $12, receipts = $13, send_validity = $14,
                daily_quota = $15, monthly_quota = $16, maintenance = $17, operated_by = $18,
                held_until = CASE WHEN held_by <> 'quota' OR (
                        daily_quota IS NOT DISTINCT FROM $15
                        AND monthly_quota IS NOT DISTINCT FROM $16) THEN held_until END,
                waits_since = $20
            WHERE id = $19
            """,
            *_columns(channel, keyring),
            channel.id,
            channel.waits_since,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a channel named {channel.name} already") from error
    await _check_extensions(conn, channel)
    await _add_connections(conn, channel)
    await logins_store.worked(conn, channel.id)


async def get_health(conn: Connection, channel_id: int) -> Health:
    """The state of a channel's connections, and the work that waits for them."""
    rows = await conn.fetch(
        """
        SELECT slot, state, note, changed_at, lost_at, lost_how, lost_why, lived_ms, losses,
               losing_since
        FROM connections JOIN channels ON channels.id = channel_id
        WHERE channel_id = $1 AND slot < channels.connections
        ORDER BY slot
        """,
        channel_id,
    )
    waiting = one(
        await conn.fetchrow(
            """
            SELECT count(*) AS slices, coalesce(sum(last_no - first_no + 1), 0) AS messages
            FROM slices s JOIN runs r ON r.id = s.run_id
            WHERE s.channel_id = $1 AND s.done_at IS NULL AND r.state IN ('running', 'paused')
            """,
            channel_id,
        )
    )
    connections = [ConnectionHealth(*row) for row in rows]
    next_login = await logins_store.next_login(conn, channel_id)
    return Health(connections, waiting["slices"], waiting["messages"], next_login)


async def _add_connections(conn: Connection, channel: Channel) -> None:
    """Rows for slots 0 up; none is ever deleted, for a row made anew would forget its epoch."""
    await conn.execute(
        """
        INSERT INTO connections (channel_id, slot)
        SELECT $1, slot FROM generate_series(0, $2 - 1) AS slot
        ON CONFLICT DO NOTHING
        """,
        channel.id,
        channel.connections,
    )


def parse_settings(kind: str, values: Mapping[str, Any]) -> BaseModel:
    """The settings of a channel of this kind.

    Raises:
        Invalid: there is no such kind, or the settings are not those it has.
    """
    gateway = load().get(kind)
    if gateway is None:
        known = ", ".join(sorted(load()))
        raise Invalid(
            f"there is no kind of channel named {kind}", fields={"kind": f"one of {known}"}
        )
    return parse_config(gateway.config_model, values)


async def hold_channel(conn: Connection, channel_id: int, hold: Hold) -> None:
    """Hand off nothing on this channel for a while; a longer hold stays."""
    await conn.execute(
        """
        UPDATE channels SET held_until = $2, held_why = $3, held_by = $4
        WHERE id = $1 AND (held_until IS NULL OR held_until < $2)
        """,
        channel_id,
        hold.until,
        hold.why,
        hold.by,
    )


async def lift_hold(conn: Connection, channel_id: int) -> None:
    """Let a held channel hand off again."""
    await conn.execute(
        """
        UPDATE channels SET held_until = NULL, held_why = '', held_by = 'carrier' WHERE id = $1
        """,
        channel_id,
    )


async def list_holds(conn: Connection, now: datetime) -> dict[int, Hold]:
    """The holds that channels are under, by the channel's id."""
    rows = await conn.fetch(
        "SELECT id, held_until, held_why, held_by FROM channels WHERE held_until > $1", now
    )
    return {row["id"]: Hold(*row[1:]) for row in rows}


async def get_hold(conn: Connection, channel_id: int, now: datetime) -> Hold | None:
    """The hold that a channel is under, if there is one."""
    row = await conn.fetchrow(
        "SELECT held_until, held_why, held_by FROM channels WHERE id = $1 AND held_until > $2",
        channel_id,
        now,
    )
    return Hold(*row) if row else None


def _check(settings: ChannelSettings) -> None:
    most = load()[settings.kind].most_recipients
    if settings.destinations > most:
        raise Invalid(
            f"a {settings.kind} submit has at most {most} recipient{'s' if most > 1 else ''}, "
            f"not {settings.destinations}",
            fields={"destinations": f"at most {most}"},
        )
    check_maintenance(settings.maintenance)
    if settings.operated_by is not None and settings.operated_by not in settings.carriers:
        problem = f"one of the channel's carriers ({', '.join(settings.carriers)}), or null"
        raise Invalid(
            f"a channel to a gateway of {settings.operated_by} serves this carrier: add it to"
            " `carriers`, or say whose gateway it is",
            fields={"operated_by": problem},
        )


async def _check_extensions(conn: Connection, channel: Channel) -> None:
    await lock_extensions(conn)
    field = f"config.{load()[channel.kind].number_setting}"
    check_room(channel.id, channel, await extensions_in_use(conn, None), field)


def _columns(settings: ChannelSettings, keyring: Keyring) -> tuple[object, ...]:
    """What may change of a channel, in the order of the statements above."""
    return (
        settings.name,
        list(settings.carriers),
        _cipher(settings, keyring),
        settings.tps,
        settings.window,
        settings.connections,
        settings.enabled,
        settings.destinations,
        settings.on_net_only,
        settings.rank,
        settings.signature,
        settings.signature_counts,
        settings.receipts,
        settings.send_validity,
        settings.daily_quota,
        settings.monthly_quota,
        [list(span) for span in settings.maintenance],
        settings.operated_by,
    )


def _cipher(settings: ChannelSettings, keyring: Keyring) -> bytes:
    return keyring.encrypt(CONFIG, json.dumps(revealed(settings.config)))


def _channel(row: Record, keyring: Keyring) -> Channel:
    try:
        stored: dict[str, Any] = json.loads(keyring.decrypt(CONFIG, row["config_cipher"]))
        kind = load().get(row["kind"])
        known = kind.config_model.model_fields if kind else stored
        # A setting that a later version did away with is no reason to stop sending.
        config = parse_settings(row["kind"], {k: v for k, v in stored.items() if k in known})
    except Undecipherable as error:
        raise Misconfigured(f"channel {row['name']} cannot be read: {error}") from error
    except Invalid as error:
        raise Misconfigured(
            f"channel {row['name']} cannot be read: {error.message} "
            f"({'; '.join(f'{name}: {why}' for name, why in error.fields.items())})"
        ) from error
    return Channel(
        id=row["id"],
        name=row["name"],
        kind=row["kind"],
        simulated=row["simulated"],
        carriers=tuple(row["carriers"]),
        config=config,
        tps=row["tps"],
        window=row["window_size"],
        connections=row["connections"],
        enabled=row["enabled"],
        destinations=row["destinations"],
        on_net_only=row["on_net_only"],
        rank=row["rank"],
        signature=row["signature"],
        signature_counts=row["signature_counts"],
        receipts=row["receipts"],
        send_validity=row["send_validity"],
        daily_quota=row["daily_quota"],
        monthly_quota=row["monthly_quota"],
        maintenance=tuple((start, end) for start, end in row["maintenance"]),
        operated_by=row["operated_by"],
        waits_since=row["waits_since"],
    )
