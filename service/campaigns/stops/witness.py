"""What Redis remembers of marks: how many each connection has made, and where the database was.

A mark is committed before its texts are written, and before they are written the pace in Redis is
asked for tokens. It is told at the same time how many texts the connection has marked by then, and
keeps the highest count. So all that may have left was told outside of the database, and costs no
further round trip. A promoted or restored database that has lower counts lacks marks of texts that
may have left.

Redis also keeps the cluster and the timeline on which the database was accepted. Whoever has marked
on another one, or finds its count lower than what was told, must not write: its marks may be lost.

Each value is signed with the system's key (decision 0242). So whoever can write to Redis forges no
count that would hold everything, and whoever deletes counts causes a hold at most.
"""

from collections.abc import Awaitable, Mapping
from typing import Literal, NamedTuple, cast
from uuid import UUID

from redis.asyncio import Redis

from service.crypto import Keyring
from service.errors import Unavailable
from service.queue import read_script
from service.words.phrase import phrase

MOST_OCTETS = 120
"""More than a signed value has."""

MOST_FIELDS = 4_096
"""More than there are connections."""

TELL = read_script(__file__, "witness_share.lua", MOST_OCTETS=MOST_OCTETS)
"""Part of a script that tells: `tell(key, cluster, field, count)`."""

_READ = TELL + read_script(__file__, "witness_read.lua", MOST_FIELDS=MOST_FIELDS)
_TELL_ALL = TELL + read_script(__file__, "witness_tell.lua")
_CLUSTER = "cluster"

ConnectionKey = tuple[int, int]
"""A connection: its channel and slot."""


class MarkStand(NamedTuple):
    """What a connection has marked in a database by now, and in which cluster and timeline."""

    database: UUID
    cluster: str
    channel_id: int
    slot: int
    marks: int


class Telling(NamedTuple):
    """What Redis is told with a question for tokens: the key, cluster, field, and its count."""

    key: str
    cluster: bytes
    field: str
    marks: bytes


class Outdated(Unavailable):
    """Marks may be lost in the database that they were made in, so their texts are not written.

    why: `other`, the database was accepted elsewhere since; `behind`, a higher count was told of
    the connection, either of a mark that is missing now or of one that it made a moment ago. kept:
    what Redis has, signed.
    """

    def __init__(self, why: Literal["other", "behind"], kept: bytes) -> None:
        super().__init__(
            phrase("the database was promoted or restored, so what it had marked is not written")
        )
        self.why = why
        self.kept = kept


class Announced(NamedTuple):
    """What Redis was told: where the database was accepted, and the counts of connections."""

    cluster: str | None
    counts: Mapping[ConnectionKey, int]


def telling(keyring: Keyring, stand: MarkStand) -> Telling:
    """What Redis is told of a connection's marks."""
    field = _field((stand.channel_id, stand.slot))
    return Telling(
        _key(stand.database),
        _signed(keyring, stand.database, _CLUSTER, stand.cluster),
        field,
        _signed(keyring, stand.database, field, str(stand.marks)),
    )


def kept_against(keyring: Keyring, stand: MarkStand, outdated: Outdated) -> str | None:
    """What stands against a connection, a cluster or a count; None: none that we have signed."""
    field = _CLUSTER if outdated.why == "other" else _field((stand.channel_id, stand.slot))
    return _believed(keyring, stand.database, field, outdated.kept)


async def overwrite(redis: Redis, told: Telling) -> None:
    """Put what a connection tells in the place of what somebody else has written."""
    mapping = {_CLUSTER: told.cluster, told.field: told.marks}
    await cast("Awaitable[int]", redis.hset(told.key, mapping=mapping))


async def read(redis: Redis, keyring: Keyring, database: UUID) -> Announced:
    """What was told of a database; what we have not signed is deleted."""
    return await _read(redis, keyring, database, b"")


async def move_on(redis: Redis, keyring: Keyring, database: UUID, cluster: str) -> Announced:
    """From now on nobody writes what was marked in another place; returns what was told until then.

    A later timeline stays: then the one that is asked for is not the database any more.
    """
    await _read(redis, keyring, database, b"")
    accepted = _signed(keyring, database, _CLUSTER, cluster)
    return await _read(redis, keyring, database, accepted)


async def tell_all(
    redis: Redis,
    keyring: Keyring,
    database: UUID,
    cluster: str,
    counts: Mapping[ConnectionKey, int],
) -> None:
    """Tell all counts of a database that is accepted where it is; higher ones stay."""
    arguments: list[bytes | str] = [_signed(keyring, database, _CLUSTER, cluster)]
    for connection, marks in counts.items():
        field = _field(connection)
        arguments += [field, _signed(keyring, database, field, str(marks))]
    await redis.register_script(_TELL_ALL)(keys=[_key(database)], args=arguments)


async def begin_anew(
    redis: Redis,
    keyring: Keyring,
    database: UUID,
    cluster: str,
    counts: Mapping[ConnectionKey, int],
) -> None:
    """Forget what was told, and tell the counts of a database that was put on hold."""
    await redis.delete(_key(database))
    await tell_all(redis, keyring, database, cluster, counts)


async def _read(redis: Redis, keyring: Keyring, database: UUID, accept: bytes) -> Announced:
    key = _key(database)
    flat = await redis.register_script(_READ)(keys=[key], args=[accept])
    cluster, counts, forged = None, {}, []
    for name, text in zip(flat[::2], flat[1::2], strict=True):
        field = name.decode("ascii", "replace")
        value = _believed(keyring, database, field, text)
        if value is None:
            forged.append(name)
        elif field == _CLUSTER:
            cluster = value
        else:
            channel_id, _, slot = field.partition(":")
            counts[int(channel_id), int(slot)] = int(value)
    if forged:
        await cast("Awaitable[int]", redis.hdel(key, *forged))
    return Announced(cluster, counts)


def _believed(keyring: Keyring, database: UUID, field: str, text: bytes) -> str | None:
    """The value in a signed text; None: this system has not signed it for this field."""
    value = text.partition(b":")[0].decode("ascii", "replace")
    return value if _signed(keyring, database, field, value) == text else None


def _signed(keyring: Keyring, database: UUID, field: str, value: str) -> bytes:
    return f"{value}:{keyring.index('witness', f'{database} {field} {value}').hex()}".encode()


def _field(connection: ConnectionKey) -> str:
    return "{}:{}".format(*connection)


def _key(database: UUID) -> str:
    return f"tocsin:marks:{database}"
