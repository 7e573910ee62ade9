"""The SQL of a rotation: which columns hold ciphers, and a stretch of a table under the new key."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.audience.vocabulary.fields import PERSON_FIELDS
from service.storage.postgres import Connection

PAGES = 64
"""How many pages of a table one batch takes: some thousand rows, locked for tenths of a second."""


@dataclass(frozen=True, slots=True)
class Ciphers:
    """A table and its columns that hold ciphers, with the kind of field of each."""

    table: str
    kinds: tuple[tuple[str, str], ...]


TABLES = (
    Ciphers("contacts", (("phone_cipher", "phone"), ("name_cipher", "name"))),
    Ciphers(
        "links",
        tuple((field.column, field.code) for field in PERSON_FIELDS if field.encrypted),
    ),
    Ciphers("import_chunks", (("cipher", "import_chunk"),)),
    Ciphers("import_rejects", (("suggestion_cipher", "phone"),)),
    Ciphers(
        "messages",
        (
            ("phone_cipher", "phone"),
            ("name_cipher", "name"),
            ("variables_cipher", "variables"),
        ),
    ),
    Ciphers("inbound", (("sender_cipher", "phone"), ("text_cipher", "inbound"))),
    Ciphers(
        "inbound_texts",
        (
            ("sender_cipher", "phone"),
            ("text_cipher", "inbound"),
            ("note_cipher", "inbound"),
        ),
    ),
    Ciphers("channels", (("config_cipher", "channel_config"),)),
    Ciphers("channel_changes", (("change_cipher", "channel_config"),)),
    Ciphers("users", (("phone_cipher", "phone"), ("totp_cipher", "totp"))),
    Ciphers("guests", (("phone_cipher", "phone"),)),
    Ciphers("webhooks", (("secret_cipher", "webhook_secret"),)),
    Ciphers("suppressions", (("note_cipher", "suppression_note"),)),
    Ciphers("suppression_entries", (("note_cipher", "suppression_note"),)),
    Ciphers("disclosures", (("reason_cipher", "reason"),)),
    Ciphers("erasures", (("reason_cipher", "reason"),)),
    Ciphers("idempotency", (("body", "idempotent_answer"),)),
    Ciphers("receipts_unmatched", (("octets_cipher", "octets"),)),
    Ciphers("receipts_dismissed", (("octets_cipher", "octets"),)),
)
"""Every column with ciphers; a test compares this with the database."""


class PageRange(NamedTuple):
    """Pages of a table, the last one not included."""

    first: int
    end: int


async def count_pages(conn: Connection, table: str) -> int:
    """How many pages the table has now."""
    pages: int = await conn.fetchval(
        "SELECT pg_relation_size($1::regclass) / current_setting('block_size')::int", table
    )
    return pages


def _older(ciphers: Ciphers, place: str) -> str:
    return " OR ".join(
        f"({column} IS NOT NULL AND length({column}) > 0 AND get_byte({column}, 0) < {place})"
        for column, _ in ciphers.kinds
    )


async def rewrite(
    conn: Connection,
    ciphers: Ciphers,
    stretch: PageRange,
    key_id: int,
    anew: Callable[[str, bytes], bytes],
) -> int:
    """Put what is under an older key in this stretch under the new one; returns how many rows.

    Rows that somebody holds are left for the next pass: a hand-off must not wait for this.
    """
    columns = [column for column, _ in ciphers.kinds]
    rows = await conn.fetch(
        f"""
        SELECT ctid, {", ".join(columns)} FROM {ciphers.table}
        WHERE ctid >= format('(%s,0)', $1::bigint)::tid AND ctid < format('(%s,0)', $2::bigint)::tid
          AND ({_older(ciphers, "$3")})
        FOR UPDATE SKIP LOCKED
        """,  # noqa: S608  # constants of this module
        *stretch,
        key_id,
    )
    if not rows:
        return 0
    written: list[Sequence[bytes | None]] = [
        [anew(kind, row[column]) if row[column] else row[column] for row in rows]
        for column, kind in ciphers.kinds
    ]
    places = ", ".join(f"${n}::bytea[]" for n in range(2, len(columns) + 2))
    await conn.execute(
        f"""
        UPDATE {ciphers.table} t SET {", ".join(f"{c} = u.{c}" for c in columns)}
        FROM unnest($1::tid[], {places}) AS u(place, {", ".join(columns)}) WHERE t.ctid = u.place
        """,  # noqa: S608  # constants of this module
        [row["ctid"] for row in rows],
        *written,
    )
    return len(rows)


async def any_older(conn: Connection, ciphers: Ciphers, key_id: int) -> bool:
    """Whether the table has a cipher under an older key than this."""
    found: bool = await conn.fetchval(
        f"SELECT EXISTS (SELECT FROM {ciphers.table} WHERE {_older(ciphers, '$1')})",  # noqa: S608  # constants
        key_id,
        timeout=3_600.0,
    )
    return found


async def count_under(conn: Connection, ciphers: Ciphers, key_id: int) -> int:
    """How many rows have a cipher under this key."""
    under = " OR ".join(
        f"(length({column}) > 0 AND get_byte({column}, 0) = $1)" for column, _ in ciphers.kinds
    )
    count: int = await conn.fetchval(
        f"SELECT count(*) FROM {ciphers.table} WHERE {under}",  # noqa: S608  # constants
        key_id,
        timeout=3_600.0,
    )
    return count


async def forget_check(conn: Connection, key_id: int) -> None:
    """The key is retired: nobody has to have it any more."""
    await conn.execute("DELETE FROM key_checks WHERE key_id = $1", key_id)
