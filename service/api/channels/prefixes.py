"""The table of number blocks: whose the first seven digits of a number are."""

import asyncio
from uuid import UUID

from pydantic import Field

from service.api.http.call import Call
from service.api.http.problems import TooLarge
from service.api.http.schema import Body, Instant, Line, Out
from service.api.http.upload import Upload
from service.audience.numbers import prefix_store as store
from service.audience.numbers.blocks import BlockTable, read_blocks
from service.audience.numbers.prefix import packaged_prefixes
from service.errors import NotFound
from service.words.phrase import phrase

TABLE_OCTETS = 32 * 1024 * 1024
"""The largest table: 500,000 blocks take 15 to 25 MB, and it is read while its request waits."""


class PrefixTableForm(Body):
    """What is said of a file with the columns 号段 (block) and 运营商 (carrier), perhaps also 省份
    (province) and 城市 (city).
    """

    source: Line = Field(description="Where the table comes from, and of which day it is.")
    encoding: Line | None = Field(default=None, description="Of the file; default: found out.")


class PrefixTableOut(Out):
    """The table of blocks in force; the first three or four digits count for all other numbers."""

    source: str
    file_sha256: str
    blocks: int
    by_carrier: dict[str, int]
    taken_by: UUID | None = Field(description="null: it came over the command line.")
    taken_at: Instant


class NewPrefixTableOut(PrefixTableOut):
    """A table that was just taken, and by reason how many of its blocks are left out."""

    left_out: dict[str, int] = Field(
        description="Blocks that are no persons' by their first digits: prefix, iot, satellite."
    )


class PrefixesOut(Out):
    """What is known of numbers by their first digits; null: no table of blocks."""

    table: PrefixTableOut | None


async def get_prefixes(call: Call) -> PrefixesOut:
    """Show which table of number blocks is in force."""
    table = await store.table_in_force(call.conn)
    if table is None:
        return PrefixesOut(table=None)
    return PrefixesOut(table=await _out(call, table))


async def read_table(body: PrefixTableForm, file: Upload) -> BlockTable:
    """The blocks of a file.

    Raises:
        TooLarge, FileRefused: it is larger than is read while a request waits, or cannot be read.
    """
    if file.size > TABLE_OCTETS:
        raise TooLarge(
            phrase(
                "the table is larger than {table_octets:,} octets; leave out columns",
                table_octets=TABLE_OCTETS,
            )
        )
    pieces = [piece async for piece in file.chunks()]
    return await asyncio.to_thread(
        read_blocks, lambda: pieces, packaged_prefixes(), encoding=body.encoding
    )


async def import_prefixes(
    call: Call, body: PrefixTableForm, file: Upload, listed: BlockTable
) -> NewPrefixTableOut:
    """Take a table of number blocks, whole and in place of the one before."""
    new = store.NewTable(body.source, file.sha256, call.user.id, call.now)
    taken = await store.replace_table(call.conn, new, listed)
    call.note("block_tables", taken.id, blocks=taken.blocks, file_sha256=file.sha256)
    out = await _out(call, taken)
    return NewPrefixTableOut(**out.model_dump(), left_out=dict(listed.left_out))


async def delete_prefixes(call: Call) -> None:
    """Forget the table of number blocks; the first three or four digits decide again."""
    if not await store.forget_table(call.conn):
        raise NotFound(phrase("there is no table of number blocks"))


async def _out(call: Call, table: store.TableInForce) -> PrefixTableOut:
    return PrefixTableOut(
        source=table.source,
        file_sha256=table.file_sha256,
        blocks=table.blocks,
        by_carrier=await store.count_blocks(call.conn),
        taken_by=table.taken_by,
        taken_at=table.taken_at,
    )
