"""Templates and their versions, in SQL. A version never changes; an edit is a new one."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from service.errors import Conflict, NotFound
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import Finding
from service.storage import sql
from service.storage.postgres import Connection, Record, UniqueViolation, one
from service.words.phrase import phrase

_LATEST = """
    SELECT t.id, t.department_id, t.name, t.class, t.topic, t.language, t.created_at,
           v.id AS version_id, v.no, v.text, v.lint, v.edited_by, v.created_at AS edited_at,
           v.approved_by, v.approved_at, v.taken_from, withdrawn_offer_of(v.id) AS withdrawn_offer
    FROM templates t
    JOIN LATERAL (
        SELECT * FROM template_versions WHERE template_id = t.id ORDER BY no DESC LIMIT 1
    ) v ON true
"""


@dataclass(frozen=True, slots=True)
class TemplateInfo:
    """What a template is about, whatever its text says."""

    name: str
    message_class: MessageClass
    topic: str
    language: str


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A text to be stored, with what lint said of it and who wrote it.

    taken_from: the offer whose words it has, unchanged; None: words of the department's own.
    """

    text: str
    lint: Sequence[Finding]
    edited_by: UUID
    taken_from: UUID | None = None


@dataclass(frozen=True, slots=True)
class Template:
    """A template with its latest version.

    taken_from: the offer of which it is an unchanged copy. withdrawn_offer: the withdrawn one by
    which nobody may send its words; None: they may be sent.
    """

    id: UUID
    department_id: UUID
    info: TemplateInfo
    created_at: datetime
    version_id: UUID
    no: int
    text: str
    lint: list[Finding]
    edited_by: UUID
    edited_at: datetime
    approved_by: UUID | None = None
    approved_at: datetime | None = None
    taken_from: UUID | None = None
    withdrawn_offer: UUID | None = None


async def template_insert(
    conn: Connection, department_id: UUID, info: TemplateInfo, version: NewVersion, now: datetime
) -> Template:
    """Make a template with its first version.

    Raises:
        Conflict: the department has one of this name.
    """
    try:
        template_id: UUID = await sql.fetchval(
            conn,
            """
            INSERT INTO templates (department_id, name, class, topic, language, created_at)
            VALUES (:department_id, :name, :message_class, :topic, :language, :now) RETURNING id
            """,
            department_id=department_id,
            name=info.name,
            message_class=info.message_class,
            topic=info.topic,
            language=info.language,
            now=now,
        )
    except UniqueViolation as error:
        raise Conflict(
            phrase("there is a template named {name} already", name=info.name)
        ) from error
    return await template_add_version(conn, template_id, version, now)


async def template_add_version(
    conn: Connection,
    template_id: UUID,
    version: NewVersion,
    now: datetime,
    *,
    follows: int | None = None,
) -> Template:
    """Make a text the latest version of a template; versions are numbered from 1.

    follows: the version that its writer has read; None: whichever is the latest.

    Raises:
        Conflict: there is a newer one than that.
    """
    await sql.execute(
        conn, "SELECT FROM templates WHERE id = :template_id FOR UPDATE", template_id=template_id
    )
    if follows is not None:
        await _check_latest(conn, template_id, follows)
    await sql.execute(
        conn,
        """
        INSERT INTO template_versions
            (template_id, no, text, lint, edited_by, created_at, taken_from)
        SELECT :template_id, coalesce(max(no), 0) + 1, :text, :lint, :edited_by, :now, :taken_from
        FROM template_versions WHERE template_id = :template_id
        """,
        template_id=template_id,
        text=version.text,
        lint=list(version.lint),
        edited_by=version.edited_by,
        taken_from=version.taken_from,
        now=now,
    )
    return _template(
        one(
            await sql.fetchrow(
                conn, f"{_LATEST} WHERE t.id = :template_id", template_id=template_id
            )
        )
    )


async def _check_latest(conn: Connection, template_id: UUID, follows: int) -> None:
    latest = await sql.fetchval(
        conn,
        "SELECT max(no) FROM template_versions WHERE template_id = :template_id",
        template_id=template_id,
    )
    if latest != follows:
        raise Conflict(
            phrase(
                "version {latest} was written meanwhile: read it, and write yours after it",
                latest=latest,
            ),
            code="newer_version",
        )


async def template_get(conn: Connection, template_id: UUID, scope: UUID | None) -> Template:
    """One template of a department; `scope` None means of any.

    Raises:
        NotFound: there is none of this id in the scope.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        {_LATEST} WHERE t.id = :template_id AND (:scope::uuid IS NULL OR t.department_id = :scope)
        """,
        template_id=template_id,
        scope=scope,
    )
    if row is None:
        raise NotFound(phrase("there is no template {template_id}", template_id=template_id))
    return _template(row)


async def template_lock(conn: Connection, template_id: UUID, scope: UUID | None) -> Template:
    """One template, which gets no other version until the transaction ends; raises as `get`."""
    await sql.execute(
        conn, "SELECT FROM templates WHERE id = :template_id FOR UPDATE", template_id=template_id
    )
    return await template_get(conn, template_id, scope)


async def template_texts(conn: Connection, department_id: UUID) -> dict[str, str]:
    """The latest text of every template of a department, by name."""
    rows = await sql.fetch(
        conn,
        """
        SELECT DISTINCT ON (t.id) t.name, v.text
        FROM templates t JOIN template_versions v ON v.template_id = t.id
        WHERE t.department_id = :department_id ORDER BY t.id, v.no DESC
        """,
        department_id=department_id,
    )
    return {row["name"]: row["text"] for row in rows}


async def template_list(
    conn: Connection,
    scope: UUID | None,
    before: UUID | None,
    limit: int,
    *,
    words: str = "",
    department_id: UUID | None = None,
) -> list[Template]:
    """A page of templates, from new to old. words: each of them, parted by spaces, is in the name
    or the latest text, in any case. department_id: only those of it; None: of all.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {_LATEST}
        WHERE (:scope::uuid IS NULL OR t.department_id = :scope)
          AND (:department_id::uuid IS NULL OR t.department_id = :department_id)
          AND (:before::uuid IS NULL OR t.id < :before)
          AND NOT EXISTS (
              SELECT FROM unnest(:words::text[]) AS word
              WHERE strpos(lower(t.name || ' ' || v.text), lower(word)) = 0)
        ORDER BY t.id DESC LIMIT :limit
        """,
        scope=scope,
        department_id=department_id,
        before=before,
        words=words.split(),
        limit=limit,
    )
    return [_template(row) for row in rows]


async def approved_texts(
    conn: Connection, department_id: UUID, message_class: MessageClass
) -> list[Template]:
    """The templates of a department of a class whose latest version may be sent: approved, or an
    unchanged copy of an approved one that is not withdrawn; from new to old.
    """
    rows = await sql.fetch(
        conn,
        f"""
        {_LATEST}
        WHERE t.department_id = :department_id AND t.class = :message_class
          AND (v.approved_at IS NOT NULL OR v.taken_from IS NOT NULL)
          AND withdrawn_offer_of(v.id) IS NULL
        ORDER BY t.id DESC
        """,
        department_id=department_id,
        message_class=message_class,
    )
    return [_template(row) for row in rows]


class TemplateVersion(NamedTuple):
    """A version of a template: who wrote it and when, what lint said, who approved it."""

    id: UUID
    no: int
    text: str
    lint: list[Finding]
    edited_by: UUID
    edited_at: datetime
    approved_by: UUID | None
    approved_for: UUID | None
    approved_at: datetime | None
    approved_lint: list[Finding] | None
    taken_from: UUID | None
    withdrawn_offer: UUID | None


async def list_versions(
    conn: Connection, template_id: UUID, before: UUID | None, limit: int
) -> list[TemplateVersion]:
    """A page of the versions of a template, from new to old."""
    rows = await sql.fetch(
        conn,
        """
        SELECT id, no, text, lint, edited_by, created_at, approved_by, approved_for, approved_at,
               approved_lint, taken_from, withdrawn_offer_of(id)
        FROM template_versions
        WHERE template_id = :template_id AND (:before::uuid IS NULL OR no < (
            SELECT no FROM template_versions WHERE id = :before AND template_id = :template_id))
        ORDER BY no DESC LIMIT :limit
        """,
        template_id=template_id,
        before=before,
        limit=limit,
    )
    return [TemplateVersion(*row) for row in rows]


async def approve_version(
    conn: Connection,
    version_id: UUID,
    by: tuple[UUID, UUID | None],
    findings: Sequence[Finding],
    now: datetime,
) -> None:
    """Store who approved a text, in whose place, and what lint said then.

    The table's CHECK refuses its author, and whoever stands in for the author.
    """
    user_id, absent_id = by
    await sql.execute(
        conn,
        """
        UPDATE template_versions
        SET approved_by = :user_id, approved_for = :absent_id, approved_at = :now,
            approved_lint = :findings
        WHERE id = :version_id
        """,
        version_id=version_id,
        user_id=user_id,
        absent_id=absent_id,
        now=now,
        findings=list(findings),
    )


async def record_read(
    conn: Connection,
    findings: Sequence[Finding],
    user_id: UUID,
    now: datetime,
    *,
    campaign_id: UUID | None = None,
    version_id: UUID | None = None,
) -> None:
    """Write down which findings of level `review` an approver answers for."""
    if findings:
        await sql.execute(
            conn,
            """
            INSERT INTO acknowledgements (campaign_id, template_version_id, user_id, findings, at)
            VALUES (:campaign_id, :version_id, :user_id, :findings, :now)
            """,
            campaign_id=campaign_id,
            version_id=version_id,
            user_id=user_id,
            findings=list(findings),
            now=now,
        )


def _template(row: Record) -> Template:
    return Template(
        id=row["id"],
        department_id=row["department_id"],
        info=TemplateInfo(row["name"], row["class"], row["topic"], row["language"]),
        created_at=row["created_at"],
        version_id=row["version_id"],
        no=row["no"],
        text=row["text"],
        lint=row["lint"],
        edited_by=row["edited_by"],
        edited_at=row["edited_at"],
        approved_by=row["approved_by"],
        approved_at=row["approved_at"],
        taken_from=row["taken_from"],
        withdrawn_offer=row["withdrawn_offer"],
    )
