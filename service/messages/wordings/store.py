"""The SQL of wordings. Rows are only added; of a version the newest of each kind counts."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.messages.lint.lint import Finding
from service.messages.wordings.wording import WordingKind
from service.storage import sql
from service.storage.postgres import Connection, Record, one

_COLUMNS = (
    "id, version_id, kind, text, seconds, same_words, lint, made_by, made_at, approved_by,"
    " approved_for, approved_at"
)


class StoredWording(NamedTuple):
    """A wording as it was made, or as somebody edited it."""

    id: UUID
    version_id: UUID
    kind: WordingKind
    text: str
    seconds: int | None
    same_words: bool
    lint: list[Finding]
    made_by: UUID
    made_at: datetime
    approved_by: UUID | None
    approved_for: UUID | None
    approved_at: datetime | None

    @property
    def may_be_shown(self) -> bool:
        """Whether it may be put up: it has its text's words, or a second person approved it."""
        return self.same_words or self.approved_by is not None


class WordedText(NamedTuple):
    """A version of a text, and what its wordings are made from. county: the name of the county's
    own department; department: of the one whose text it is.
    """

    version_id: UUID
    no: int
    text: str
    language: str
    message_class: str
    department_id: UUID
    department: str
    county: str
    edited_by: UUID
    approved_at: datetime | None
    template: str


async def find_text(
    conn: Connection, template_id: UUID, no: int, scope: UUID | None
) -> WordedText | None:
    """A version of a template in a scope, None meaning of any; None: there is none."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT v.id, v.no, v.text, t.language, t.class, t.department_id, d.name, coalesce((
                   SELECT name FROM departments WHERE kind = 'county'
                   ORDER BY created_at, id LIMIT 1), d.name),
               v.edited_by, v.approved_at, t.name
        FROM templates t JOIN template_versions v ON v.template_id = t.id AND v.no = :no
        JOIN departments d ON d.id = t.department_id
        WHERE t.id = :template_id AND (:scope::uuid IS NULL OR t.department_id = :scope)
        """,
        template_id=template_id,
        no=no,
        scope=scope,
    )
    return None if row is None else WordedText(*row)


async def number_of(conn: Connection, template_id: UUID) -> int | None:
    """The number of a template in its mark; None: it has none yet."""
    no: int | None = await sql.fetchval(
        conn,
        "SELECT no FROM template_numbers WHERE template_id = :template_id",
        template_id=template_id,
    )
    return no


async def give_number(conn: Connection, template_id: UUID) -> int:
    """The number of a template in its mark, which it gets if it has none."""
    await sql.execute(
        conn,
        "INSERT INTO template_numbers (template_id) SELECT :template_id::uuid WHERE NOT EXISTS ("
        " SELECT FROM template_numbers WHERE template_id = :template_id)"
        " ON CONFLICT (template_id) DO NOTHING",
        template_id=template_id,
    )
    found = await number_of(conn, template_id)
    assert found is not None  # noqa: S101  # it was inserted, here or by somebody else
    return found


async def add_wording(
    conn: Connection,
    version_id: UUID,
    kind: WordingKind,
    words: tuple[str, int | None, bool],
    lint: Sequence[Finding],
    by: UUID,
    now: datetime,
) -> StoredWording:
    """Add a wording. words: its text, how long it takes to read aloud, and whether its words are
    those of the text.
    """
    text, seconds, same_words = words
    row = await sql.fetchrow(
        conn,
        f"""
        INSERT INTO wordings (version_id, kind, text, seconds, same_words, lint, made_by, made_at)
        VALUES (:version_id, :kind, :text, :seconds, :same_words, :lint, :by, :now)
        RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        version_id=version_id,
        kind=kind,
        text=text,
        seconds=seconds,
        same_words=same_words,
        lint=list(lint),
        by=by,
        now=now,
    )
    return _wording(one(row))


async def newest_wordings(conn: Connection, version_id: UUID) -> list[StoredWording]:
    """The newest wording of each kind of a version."""
    rows = await sql.fetch(
        conn,
        f"""
        SELECT DISTINCT ON (kind) {_COLUMNS} FROM wordings
        WHERE version_id = :version_id ORDER BY kind, id DESC
        """,  # noqa: S608  # the columns stand above
        version_id=version_id,
    )
    return [_wording(row) for row in rows]


async def lock_wording(
    conn: Connection, version_id: UUID, wording_id: UUID
) -> StoredWording | None:
    """A wording of a version, which nobody else approves meanwhile; None: there is none."""
    row = await sql.fetchrow(
        conn,
        f"""
        SELECT {_COLUMNS} FROM wordings
        WHERE version_id = :version_id AND id = :wording_id FOR UPDATE
        """,  # noqa: S608  # the columns stand above
        version_id=version_id,
        wording_id=wording_id,
    )
    return None if row is None else _wording(row)


async def approve(
    conn: Connection, wording_id: UUID, by: tuple[UUID, UUID | None], now: datetime
) -> StoredWording:
    """Store who approved a wording, and in whose place; the database refuses who wrote it."""
    row = await sql.fetchrow(
        conn,
        f"""
        UPDATE wordings SET approved_by = :by, approved_for = :absent, approved_at = :now
        WHERE id = :wording_id RETURNING {_COLUMNS}
        """,  # noqa: S608  # the columns stand above
        wording_id=wording_id,
        by=by[0],
        absent=by[1],
        now=now,
    )
    return _wording(one(row))


def _wording(row: Record) -> StoredWording:
    return StoredWording(*row)
