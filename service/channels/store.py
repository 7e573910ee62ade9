"""The channels table: a configuration is one encrypted JSON object, read as its kind's model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from service.channels.model import Channel, ChannelSettings, parse_config, revealed
from service.channels.registry import load
from service.crypto import Keyring
from service.errors import Conflict, Invalid, Misconfigured, NotFound
from service.storage.postgres import Connection, Record, UniqueViolation, one

CONFIG = "channel_config"
"""The kind of field under which configurations are encrypted."""


@dataclass(frozen=True, slots=True)
class ConnectionHealth:
    """What the holder of one connection last said of it."""

    slot: int
    state: str
    note: str
    changed_at: datetime | None


@dataclass(frozen=True, slots=True)
class Health:
    """A channel's connections, and what waits for them."""

    connections: list[ConnectionHealth]
    open_slices: int
    queued_estimate: int


async def list_channels(
    conn: Connection, keyring: Keyring, *, enabled_only: bool = False
) -> list[Channel]:
    """All channels, by id."""
    rows = await conn.fetch(
        "SELECT * FROM channels WHERE enabled OR NOT $1 ORDER BY id", enabled_only
    )
    return [_channel(row, keyring) for row in rows]


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


async def existing_channels(conn: Connection) -> set[int]:
    """The ids of all channels."""
    return {row["id"] for row in await conn.fetch("SELECT id FROM channels")}


async def insert_channel(
    conn: Connection, keyring: Keyring, settings: ChannelSettings, now: datetime
) -> Channel:
    """Set up a channel, with a row for each of its connections.

    Raises:
        Conflict: the name is taken.
    """
    try:
        row = await conn.fetchrow(
            """
            INSERT INTO channels (name, kind, simulated, carriers, config_cipher, tps, window_size,
                                  connections, enabled, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            RETURNING *
            """,
            settings.name,
            settings.kind,
            settings.simulated,
            list(settings.carriers),
            _cipher(settings, keyring),
            settings.tps,
            settings.window,
            settings.connections,
            settings.enabled,
            now,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a channel named {settings.name} already") from error
    channel = _channel(one(row), keyring)
    await _add_connections(conn, channel)
    return channel


async def update_channel(conn: Connection, keyring: Keyring, channel: Channel) -> None:
    """Change what may change: everything but the kind, and whether it is simulated.

    Raises:
        Conflict: the name is taken.
    """
    try:
        await conn.execute(
            """
            UPDATE channels
            SET name = $2, carriers = $3, config_cipher = $4, tps = $5, window_size = $6,
                connections = $7, enabled = $8
            WHERE id = $1
            """,
            channel.id,
            channel.name,
            list(channel.carriers),
            _cipher(channel, keyring),
            channel.tps,
            channel.window,
            channel.connections,
            channel.enabled,
        )
    except UniqueViolation as error:
        raise Conflict(f"there is a channel named {channel.name} already") from error
    await _add_connections(conn, channel)


async def get_health(conn: Connection, channel_id: int) -> Health:
    """The state of a channel's connections, and the work that waits for them."""
    rows = await conn.fetch(
        """
        SELECT slot, state, note, changed_at
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
    return Health([ConnectionHealth(*row) for row in rows], waiting["slices"], waiting["messages"])


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


def _cipher(settings: ChannelSettings, keyring: Keyring) -> bytes:
    return keyring.encrypt(CONFIG, json.dumps(revealed(settings.config)))


def _channel(row: Record, keyring: Keyring) -> Channel:
    values = json.loads(keyring.decrypt(CONFIG, row["config_cipher"]))
    try:
        config = parse_settings(row["kind"], values)
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
    )
