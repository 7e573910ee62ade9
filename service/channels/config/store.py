"""The channels table: a configuration is one encrypted JSON object, read as its kind's model."""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from service.channels.config.extension import check_room
from service.channels.config.extension_store import extensions_in_use
from service.channels.contract.maintenance import check_maintenance
from service.channels.contract.model import (
    LISTS,
    Channel,
    ChannelSettings,
    Hold,
    operator_of,
    parse_config,
    revealed,
)
from service.channels.contract.registry import check_given, load
from service.channels.links import logins_store
from service.crypto import Keyring, Undecipherable
from service.errors import Conflict, Invalid, Misconfigured, NotFound
from service.storage import sql
from service.storage.locks import lock_extensions
from service.storage.postgres import Connection, Record, UniqueViolation, one
from service.words.phrase import listing, phrase

log = logging.getLogger(__name__)

_ALL = "SELECT * FROM channels ORDER BY id"

CONFIG = "channel_config"
"""The kind of field under which configurations are encrypted."""


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
    query = "SELECT * FROM channels WHERE id = :channel_id::bigint"
    row = await sql.fetchrow(conn, query + " FOR UPDATE" * lock, channel_id=channel_id)
    if row is None:
        raise NotFound(phrase("there is no channel {channel_id}", channel_id=channel_id))
    return _channel(row, keyring)


async def find_channel(conn: Connection, keyring: Keyring, given: str) -> Channel:
    """The channel of an id or, failing that, of a name.

    Raises:
        NotFound: there is none.
    """
    row = await sql.fetchrow(
        conn,
        """
        SELECT * FROM channels WHERE id::text = :given OR name = :given
        ORDER BY id::text = :given DESC LIMIT 1
        """,
        given=given.replace("\0", "\ufffd"),  # PostgreSQL takes no NUL, and no name has one
    )
    if row is None:
        raise NotFound(phrase("there is no channel {given}", given=given))
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
        row = await sql.fetchrow(
            conn,
            """
            INSERT INTO channels (name, kind, simulated, created_at, carriers, config_cipher, tps,
                                  window_size, connections, enabled, destinations, on_net_only,
                                  rank, signature, signature_counts, receipts, send_validity,
                                  daily_quota, monthly_quota, maintenance, operated_by,
                                  waits_since)
            VALUES (:name, :kind, :simulated, :now, :carriers, :config_cipher, :tps,
                    :window_size, :connections, :enabled, :destinations, :on_net_only,
                    :rank, :signature, :signature_counts, :receipts, :send_validity,
                    :daily_quota, :monthly_quota, :maintenance, :operated_by,
                    :waits_since)
            RETURNING *
            """,
            **_columns(settings, keyring),
            kind=settings.kind,
            simulated=settings.simulated,
            now=now,
            waits_since=waits_since,
        )
    except UniqueViolation as error:
        raise Conflict(
            phrase("there is a channel named {name} already", name=settings.name)
        ) from error
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
        Conflict: the name is taken, or a channel of lists would change its carrier.
    """
    _check(channel)
    if channel.kind in LISTS:
        await _check_same_carrier(conn, channel)
    try:
        await sql.execute(
            conn,
            """
            UPDATE channels SET
                name = :name, carriers = :carriers, config_cipher = :config_cipher, tps = :tps,
                window_size = :window_size, connections = :connections, enabled = :enabled,
                destinations = :destinations, on_net_only = :on_net_only, rank = :rank,
                signature = :signature, signature_counts = :signature_counts,
                receipts = :receipts, send_validity = :send_validity,
                daily_quota = :daily_quota, monthly_quota = :monthly_quota,
                maintenance = :maintenance, operated_by = :operated_by,
                held_until = CASE WHEN held_by <> 'quota' OR (
                        daily_quota IS NOT DISTINCT FROM :daily_quota
                        AND monthly_quota IS NOT DISTINCT FROM :monthly_quota) THEN held_until END,
                waits_since = :waits_since
            WHERE id = :channel_id
            """,
            **_columns(channel, keyring),
            channel_id=channel.id,
            waits_since=channel.waits_since,
        )
    except UniqueViolation as error:
        raise Conflict(
            phrase("there is a channel named {name} already", name=channel.name)
        ) from error
    await _check_extensions(conn, channel)
    await _add_connections(conn, channel)
    await logins_store.worked(conn, channel.id)


async def _check_same_carrier(conn: Connection, channel: Channel) -> None:
    """Lists, and texts that wait for one, are of the carrier that the channel was made for."""
    row = one(
        await sql.fetchrow(
            conn,
            "SELECT kind, carriers, operated_by FROM channels WHERE id = :channel_id",
            channel_id=channel.id,
        )
    )
    before = operator_of(row["kind"], row["carriers"], row["operated_by"])
    if operator_of(channel.kind, channel.carriers, channel.operated_by) != before:
        raise Conflict(
            phrase(
                "lists of this channel are {carrier}'s; set up another channel for another carrier",
                carrier=before,
            ),
            code="list_of_a_carrier",
        )


async def _add_connections(conn: Connection, channel: Channel) -> None:
    """Rows for slots 0 up; none is ever deleted, for a row made anew would forget its epoch."""
    await sql.execute(
        conn,
        """
        INSERT INTO connections (channel_id, slot)
        SELECT :channel_id, slot FROM generate_series(0, :connections - 1) AS slot
        ON CONFLICT DO NOTHING
        """,
        channel_id=channel.id,
        connections=channel.connections,
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
            phrase("there is no kind of channel named {kind}", kind=kind),
            fields={"kind": phrase("one of {known}", known=known)},
        )
    return parse_config(gateway.config_model, values)


async def hold_channel(conn: Connection, channel_id: int, hold: Hold) -> None:
    """Hand off nothing on this channel for a while; a longer hold stays."""
    await sql.execute(
        conn,
        """
        UPDATE channels SET held_until = :until, held_why = :why, held_by = :by
        WHERE id = :channel_id AND (held_until IS NULL OR held_until < :until)
        """,
        channel_id=channel_id,
        until=hold.until,
        why=hold.why,
        by=hold.by,
    )


async def lift_hold(conn: Connection, channel_id: int) -> None:
    """Let a held channel hand off again."""
    await sql.execute(
        conn,
        """
        UPDATE channels SET held_until = NULL, held_why = '', held_by = 'carrier'
        WHERE id = :channel_id
        """,
        channel_id=channel_id,
    )


async def list_holds(conn: Connection, now: datetime) -> dict[int, Hold]:
    """The holds that channels are under, by the channel's id."""
    rows = await sql.fetch(
        conn,
        "SELECT id, held_until, held_why, held_by FROM channels WHERE held_until > :now",
        now=now,
    )
    return {row["id"]: Hold(*row[1:]) for row in rows}


async def get_hold(conn: Connection, channel_id: int, now: datetime) -> Hold | None:
    """The hold that a channel is under, if there is one."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT held_until, held_why, held_by FROM channels WHERE id = :channel_id
          AND held_until > :now
        """,
        channel_id=channel_id,
        now=now,
    )
    return Hold(*row) if row else None


def _check(settings: ChannelSettings) -> None:
    most = load()[settings.kind].most_recipients
    if settings.destinations > most:
        raise Invalid(
            phrase(
                "a {kind} submit has at most {recipients}, not {destinations}",
                kind=settings.kind,
                recipients=phrase("{most} recipients", most=most)
                if most > 1
                else phrase("1 recipient"),
                destinations=settings.destinations,
            ),
            fields={"destinations": phrase("at most {most}", most=most)},
        )
    check_maintenance(settings.maintenance)
    if settings.operated_by is not None and settings.operated_by not in settings.carriers:
        problem = phrase(
            "one of the channel's carriers ({carriers}), or null",
            carriers=listing(settings.carriers),
        )
        raise Invalid(
            phrase(
                "a channel to a gateway of {operated_by} serves this carrier: add it to"
                " `carriers`, or say whose gateway it is",
                operated_by=settings.operated_by,
            ),
            fields={"operated_by": problem},
        )


async def _check_extensions(conn: Connection, channel: Channel) -> None:
    await lock_extensions(conn)
    field = f"config.{load()[channel.kind].number_setting}"
    check_room(channel.id, channel, await extensions_in_use(conn, None), field)


def _columns(settings: ChannelSettings, keyring: Keyring) -> dict[str, Any]:
    """What may change of a channel, by the names of the columns."""
    return {
        "name": settings.name,
        "carriers": list(settings.carriers),
        "config_cipher": _cipher(settings, keyring),
        "tps": settings.tps,
        "window_size": settings.window,
        "connections": settings.connections,
        "enabled": settings.enabled,
        "destinations": settings.destinations,
        "on_net_only": settings.on_net_only,
        "rank": settings.rank,
        "signature": settings.signature,
        "signature_counts": settings.signature_counts,
        "receipts": settings.receipts,
        "send_validity": settings.send_validity,
        "daily_quota": settings.daily_quota,
        "monthly_quota": settings.monthly_quota,
        "maintenance": [list(span) for span in settings.maintenance],
        "operated_by": settings.operated_by,
    }


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
        raise Misconfigured(
            phrase("channel {channel} cannot be read: {error}", channel=row["name"], error=error)
        ) from error
    except Invalid as error:
        raise Misconfigured(
            phrase(
                "channel {channel} cannot be read: {error} ({fields})",
                channel=row["name"],
                error=error.message,
                fields=listing(
                    (listing((name, why), ": ") for name, why in error.fields.items()), "; "
                ),
            )
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
        requires_filing=_requires_filing(row),
    )


def _requires_filing(row: Record) -> bool:
    """What was said of it; if nothing was, whether the channel is real."""
    said: bool | None = row["requires_filing"]
    return said if said is not None else not row["simulated"]
