"""The SQL of number blocks: the table in force, and the carriers that follow from it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from service.audience.numbers.blocks import Block
from service.audience.numbers.prefix import Blocks, Prefixes, national, packaged_prefixes
from service.storage import sql
from service.storage.postgres import Connection, Record, affected, one


@dataclass(frozen=True, slots=True)
class TableInForce:
    """The table that is in force. source: where it comes from, in the words of whoever took it."""

    id: UUID
    source: str
    file_sha256: str
    blocks: int
    taken_by: UUID | None
    taken_at: datetime


@dataclass(frozen=True, slots=True)
class NewTable:
    """Where a table comes from and who takes it; None: whoever holds the command line."""

    source: str
    file_sha256: str
    taken_by: UUID | None
    taken_at: datetime


async def replace_table(conn: Connection, new: NewTable, blocks: Iterable[Block]) -> TableInForce:
    """Put these blocks in the place of all others; until the commit everybody sees the old ones."""
    await conn.execute("LOCK TABLE block_tables IN SHARE ROW EXCLUSIVE MODE")  # one at a time
    await conn.execute("DELETE FROM block_tables")
    await conn.execute("DELETE FROM number_blocks")
    status = await conn.copy_records_to_table(
        "number_blocks", records=blocks, columns=Block._fields
    )
    row = await sql.fetchrow(
        conn,
        """
        INSERT INTO block_tables (source, file_sha256, blocks, taken_by, taken_at)
        VALUES (:source, :file_sha256, :blocks, :taken_by, :taken_at)
        RETURNING id, source, file_sha256, blocks, taken_by, taken_at
        """,
        source=new.source,
        file_sha256=new.file_sha256,
        blocks=affected(status),
        taken_by=new.taken_by,
        taken_at=new.taken_at,
    )
    return TableInForce(**one(row))


async def table_in_force(conn: Connection) -> TableInForce | None:
    """The table of blocks that counts, if one was ever taken."""
    row = await conn.fetchrow(
        "SELECT id, source, file_sha256, blocks, taken_by, taken_at FROM block_tables"
    )
    return TableInForce(**row) if row else None


async def forget_table(conn: Connection) -> bool:
    """Let the first three or four digits decide again; False: there is no table."""
    await conn.execute("DELETE FROM number_blocks")
    return bool(affected(await conn.execute("DELETE FROM block_tables")))


async def count_blocks(conn: Connection) -> dict[str, int]:
    """How many blocks each carrier has."""
    rows = await conn.fetch("SELECT carrier, count(*) AS blocks FROM number_blocks GROUP BY 1")
    return {row["carrier"]: row["blocks"] for row in rows}


async def home_of(conn: Connection, phone: str) -> str | None:
    """Where the block of a number (E.164 or 11 digits) was opened: province and city."""
    home: str | None = await sql.fetchval(
        conn,
        "SELECT nullif(concat_ws(' ', nullif(province, ''), nullif(city, '')), '')"
        " FROM number_blocks WHERE block = :block",
        block=int(national(phone)[:7]),
    )
    return home


_kept: dict[UUID, Prefixes] = {}
"""The last table that this process has read, by its id: a table never changes."""


async def current_prefixes(conn: Connection) -> Prefixes:
    """What the digits of numbers say now: by the table of blocks, if there is one, and the
    packaged one.
    """
    return await prefixes_of(conn, await conn.fetchval("SELECT id FROM block_tables"))


async def prefixes_of(conn: Connection, table_id: UUID | None) -> Prefixes:
    """What they say by the table of blocks that was just seen to be in force, None if none was."""
    if table_id is None:
        return packaged_prefixes()
    if table_id not in _kept:
        # One statement, so that table and blocks are of one snapshot.
        rows = await conn.fetch(
            """
            SELECT t.id, b.carrier, b.virtual, array_agg(b.block) AS blocks
            FROM block_tables t CROSS JOIN number_blocks b GROUP BY 1, 2, 3
            """
        )
        if not rows:  # forgotten meanwhile
            return packaged_prefixes()
        blocks = Blocks()
        for row in rows:
            blocks.put(row["blocks"], row["carrier"], virtual=row["virtual"])
        table_id = rows[0]["id"]
        _kept.clear()
        _kept[table_id] = packaged_prefixes().with_blocks(blocks)
    return _kept[table_id]


async def lock_judged(conn: Connection, after: UUID, limit: int) -> list[Record]:
    """The next people by id whose carrier follows from their number alone, locked: id,
    phone_cipher, carrier.
    """
    return await sql.fetch(
        conn,
        """
        SELECT c.id, c.phone_cipher, c.carrier FROM contacts c
        WHERE c.id > :after AND c.edited_at IS NULL
          AND NOT EXISTS (SELECT FROM links l WHERE l.contact_id = c.id AND l.carrier IS NOT NULL)
        ORDER BY c.id LIMIT :limit
        FOR NO KEY UPDATE OF c
        """,
        after=after,
        limit=limit,
    )


async def set_carriers(conn: Connection, carriers: Mapping[UUID, str | None]) -> int:
    """Note the carrier of each of these people; returns how many they are."""
    status = await sql.execute(
        conn,
        """
        UPDATE contacts c SET carrier = n.carrier
        FROM unnest(:contacts::uuid[], :carriers::text[]) AS n(id, carrier) WHERE c.id = n.id
        """,
        contacts=list(carriers),
        carriers=list(carriers.values()),
    )
    return affected(status)
