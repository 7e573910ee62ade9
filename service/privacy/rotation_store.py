"""The SQL of a rotation: which columns hold ciphers, and a stretch of a table under the new key."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

from service.audience.vocabulary.fields import PERSON_FIELDS
from service.storage import sql
from service.storage.postgres import Connection

PAGES = 64
"""How many pages of a table one batch takes: some thousand rows, locked for tenths of a second."""


@dataclass(frozen=True, slots=True)
class Ciphers:
    """A table and its columns that hold ciphers, with the kind of field of each. pages: as `PAGES`;
    fewer where a row has a megabyte beside its page.
    """

    table: str
    kinds: tuple[tuple[str, str], ...]
    pages: int = PAGES


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
    Ciphers("notice_choices", (("mail_cipher", "mail"),)),
    Ciphers("notice_mails", (("code_cipher", "mail_code"),)),
    Ciphers(
        "group_robots",
        (("address_cipher", "robot_address"), ("secret_cipher", "robot_secret")),
    ),
    Ciphers("sign_in_links", (("subject_cipher", "sign_in_subject"),)),
    Ciphers("department_people", (("phone_cipher", "phone"), ("name_cipher", "name"))),
    Ciphers("guests", (("phone_cipher", "phone"),)),
    Ciphers("webhooks", (("secret_cipher", "webhook_secret"),)),
    Ciphers("suppressions", (("note_cipher", "suppression_note"),)),
    Ciphers("suppression_entries", (("note_cipher", "suppression_note"),)),
    Ciphers("disclosures", (("reason_cipher", "reason"),)),
    Ciphers("erasures", (("reason_cipher", "reason"),)),
    Ciphers("visit_tries", (("note_cipher", "visit_note"),)),
    Ciphers("number_corrections", (("phone_cipher", "phone"), ("reason_cipher", "visit_note"))),
    Ciphers("sign_offs", (("note_cipher", "visit_note"),)),
    Ciphers("households", (("label_cipher", "household"),)),
    Ciphers("household_tries", (("note_cipher", "visit_note"),)),
    Ciphers("visit_round_villages", (("note_cipher", "visit_note"),)),
    Ciphers(
        "pictures",
        (
            ("large_cipher", "picture"),
            ("medium_cipher", "picture"),
            ("small_cipher", "picture"),
        ),
        pages=1,
    ),
    Ciphers("pack_pieces", (("cipher", "pack"),), pages=1),
    Ciphers("pack_pictures", (("cipher", "pack"),), pages=1),
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
    pages: int = await sql.fetchval(
        conn,
        "SELECT pg_relation_size(:table::regclass) / current_setting('block_size')::int",
        table=table,
    )
    return pages


def _older(ciphers: Ciphers) -> str:
    return " OR ".join(
        f"({column} IS NOT NULL AND length({column}) > 0 AND get_byte({column}, 0) < :key_id)"
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
    rows = await sql.fetch(
        conn,
        f"""
        SELECT ctid, {", ".join(columns)} FROM {ciphers.table}
        WHERE ctid >= format('(%s,0)', :first::bigint)::tid
          AND ctid < format('(%s,0)', :end::bigint)::tid AND ({_older(ciphers)})
        FOR UPDATE SKIP LOCKED
        """,  # noqa: S608  # constants of this module
        **stretch._asdict(),
        key_id=key_id,
    )
    if not rows:
        return 0
    written: dict[str, Any] = {
        column: [anew(kind, row[column]) if row[column] else row[column] for row in rows]
        for column, kind in ciphers.kinds
    }
    places = ", ".join(f":{column}::bytea[]" for column in columns)
    await sql.execute(
        conn,
        f"""
        UPDATE {ciphers.table} t SET {", ".join(f"{c} = u.{c}" for c in columns)}
        FROM unnest(:places::tid[], {places}) AS u(place, {", ".join(columns)})
        WHERE t.ctid = u.place
        """,  # noqa: S608  # constants of this module
        places=[row["ctid"] for row in rows],
        **written,
    )
    return len(rows)


async def any_older(conn: Connection, ciphers: Ciphers, key_id: int) -> bool:
    """Whether the table has a cipher under an older key than this."""
    found: bool = await sql.fetchval(
        conn,
        f"SELECT EXISTS (SELECT FROM {ciphers.table} WHERE {_older(ciphers)})",  # noqa: S608  # constants
        key_id=key_id,
        timeout=3_600.0,
    )
    return found


async def count_under(conn: Connection, ciphers: Ciphers, key_id: int) -> int:
    """How many rows have a cipher under this key."""
    under = " OR ".join(
        f"(length({column}) > 0 AND get_byte({column}, 0) = :key_id)" for column, _ in ciphers.kinds
    )
    count: int = await sql.fetchval(
        conn,
        f"SELECT count(*) FROM {ciphers.table} WHERE {under}",  # noqa: S608  # constants
        key_id=key_id,
        timeout=3_600.0,
    )
    return count


async def forget_check(conn: Connection, key_id: int) -> None:
    """The key is retired: nobody has to have it any more."""
    await sql.execute(conn, "DELETE FROM key_checks WHERE key_id = :key_id", key_id=key_id)
