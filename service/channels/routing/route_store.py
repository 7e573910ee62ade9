"""The SQL of routing: the channels, and what is known of single numbers against their prefix."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from service.channels.contract.model import LISTS, operator_of
from service.channels.routing.route import RoutableChannel
from service.storage import sql
from service.storage.postgres import Connection, affected, one


@dataclass(frozen=True, slots=True)
class Override:
    """The carrier that serves a number, whatever its prefix says.

    source: operator (entered), import (from a list), learned (a delivery proved it, on the channel
    `channel_id`). set_by: who entered or imported it.
    """

    carrier: str
    source: str
    channel_id: int | None
    set_by: UUID | None
    set_at: datetime


def channels_sql(now: str) -> str:
    """SQL: a record for `channel_from` of each channel, by id, as it is at an instant."""
    return f"""
        SELECT (id, name, simulated, carriers, enabled, on_net_only, rank,
                coalesce(held_until > {now}, false), coalesce(b.state <> 'closed', false),
                kind, operated_by)
        FROM channels LEFT JOIN circuit_breakers b ON b.channel_id = id
        ORDER BY id
    """  # noqa: S608  # a placeholder


def channel_from(record: Sequence[Any]) -> RoutableChannel:
    """A channel as far as routing needs it; its configuration need not be readable."""
    *known, kind, operated_by = record
    channel = RoutableChannel(*known)
    operator = operator_of(kind, channel.carriers, operated_by)
    carriers = tuple(channel.carriers)
    return replace(channel, carriers=carriers, operator=operator, by_list=kind in LISTS)


async def list_routable_channels(conn: Connection, now: datetime) -> list[RoutableChannel]:
    """All channels as far as routing needs them, by id."""
    return [channel_from(row[0]) for row in await sql.fetch(conn, channels_sql(":now"), now=now)]


async def get_override(conn: Connection, phone_hash: bytes) -> Override | None:
    """What is known of a number against its prefix."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT carrier, source, channel_id, set_by, set_at FROM carrier_overrides
        WHERE phone_hash = :phone_hash
        """,
        phone_hash=phone_hash,
    )
    return Override(**row) if row else None


async def set_override(
    conn: Connection, phone_hash: bytes, carrier: str, user_id: UUID, now: datetime
) -> Override:
    """Enter the carrier of a number, in place of what was known."""
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO carrier_overrides (phone_hash, carrier, source, set_by, set_at)
        VALUES (:phone_hash, :carrier, 'operator', :user_id, :now)
        ON CONFLICT (phone_hash) DO UPDATE SET
            carrier = excluded.carrier, source = excluded.source, channel_id = NULL,
            set_by = excluded.set_by, set_at = excluded.set_at
        RETURNING carrier, source, channel_id, set_by, set_at
        """,
        phone_hash=phone_hash,
        carrier=carrier,
        user_id=user_id,
        now=now,
    )
    return Override(**one(row))


async def import_overrides(
    conn: Connection, carriers: Mapping[bytes, str], user_id: UUID, now: datetime
) -> int:
    """Take over a list of carriers by phone hash; what a person entered stays. Returns how many
    were taken.
    """
    ordered = sorted(carriers.items())
    status = await sql.execute(
        conn,
        """
        INSERT INTO carrier_overrides AS o (phone_hash, carrier, source, set_by, set_at)
        SELECT *, 'import', :user_id::uuid, :now::timestamptz
        FROM unnest(:phone_hashes::bytea[], :carriers::text[])
        ON CONFLICT (phone_hash) DO UPDATE SET
            carrier = excluded.carrier, source = excluded.source, channel_id = NULL,
            set_by = excluded.set_by, set_at = excluded.set_at
        WHERE o.source <> 'operator'
        """,
        phone_hashes=[phone_hash for phone_hash, _ in ordered],
        carriers=[carrier for _, carrier in ordered],
        user_id=user_id,
        now=now,
    )
    return affected(status)


async def delete_override(conn: Connection, phone_hash: bytes) -> bool:
    """Let the prefix decide again; False: nothing was known."""
    status = await sql.execute(
        conn, "DELETE FROM carrier_overrides WHERE phone_hash = :phone_hash", phone_hash=phone_hash
    )
    return bool(affected(status))


async def contact_carrier(conn: Connection, department_id: UUID, phone_hash: bytes) -> str | None:
    """The carrier of a number by the department's own lists, which goes before its prefix."""
    carrier: str | None = await sql.fetchval(
        conn,
        """
        SELECT carrier FROM contacts WHERE department_id = :department_id
          AND phone_hash = :phone_hash
        """,
        department_id=department_id,
        phone_hash=phone_hash,
    )
    return carrier
