"""The SQL of texts that were sent to the public: noted run by run, and found by what is in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from uuid import UUID

from service.ledger.states import HANDED_OFF, sql_list
from service.storage import sql
from service.storage.postgres import Connection, Record

MOST_OF_A_KEY = 200
"""So many texts of one key are looked at, the newest first: a key that more have tells little."""

MOST_ALIKE = 100
"""So many texts, those that have most of the keys, are compared letter by letter."""

MOST_OF_ANCHORS = 500
"""So many texts with variables are compared, those sent last first."""

_TO_NOTE = """
    r.class IN ('public_interest', 'warning') AND r.kind <> 'reply' AND r.mode = 'real'
    AND (r.settled_at IS NULL OR r.text_noted_at IS NULL OR r.text_noted_at < r.settled_at)
"""
"""Runs whose texts a citizen may have (no notice, no reply of ours, no drill and no test), and
whose text may have to be noted; the condition of the index `runs_to_note`."""

_RUN = """
    r.id, r.department_id, r.text,
    (coalesce(r.started_at, r.created_at) AT TIME ZONE r.timezone)::date AS first_on,
    ((CASE WHEN r.state = 'running' THEN :now::timestamptz
           ELSE coalesce(r.finished_at, r.settled_at, r.started_at, r.created_at) END)
        AT TIME ZONE r.timezone)::date AS last_on,
    v.id AS version_id, v.text AS version_text
"""
_WITH_VERSION = """
    LEFT JOIN LATERAL (
        SELECT * FROM template_versions WHERE id = coalesce(
            r.template_version_id,
            CASE WHEN r.text_no = 1
                 THEN (SELECT template_version_id FROM campaigns WHERE id = r.campaign_id)
                 ELSE (SELECT template_version_id FROM campaign_texts
                       WHERE campaign_id = r.campaign_id AND no = r.text_no) END)
        OFFSET 0) v ON true
"""


@dataclass(frozen=True, slots=True)
class SentText:
    """A text to the public with the first and the last day on which it was sent, and what it is
    found by. version_id: of the template; None: it is not known.
    """

    digest: bytes
    department_id: UUID
    version_id: UUID | None
    text: str
    anchor: int | None
    keys: Sequence[int]
    first_on: date
    last_on: date


async def settled_runs(conn: Connection, now: datetime, limit: int) -> list[Record]:
    """Runs that were settled since their text was last noted, for us alone until the transaction
    ends: id, department_id, text, first_on, last_on; was_sent: whether a text left; version_id and
    version_text: of the template, null without one.
    """
    return await sql.fetch(
        conn,
        f"""
        WITH due AS MATERIALIZED (
            SELECT r.* FROM runs r WHERE {_TO_NOTE} AND r.settled_at IS NOT NULL
            ORDER BY r.settled_at LIMIT :limit FOR UPDATE SKIP LOCKED
        )
        SELECT {_RUN}, EXISTS (SELECT FROM parts p WHERE p.run_id = r.id) OR EXISTS (
                   SELECT FROM ledger_of(r.id) m WHERE m.state IN {sql_list(HANDED_OFF)}
               ) AS was_sent
        FROM due r {_WITH_VERSION}
        """,  # noqa: S608  # constants
        now=now,
        limit=limit,
    )


async def unsettled_runs(conn: Connection, now: datetime, limit: int) -> list[Record]:
    """Runs that are not settled, of which a carrier has taken a text, and whose text was not noted
    or, while they are handed off, not today; as `settled_runs`.
    """
    return await sql.fetch(
        conn,
        f"""
        SELECT {_RUN}, true AS was_sent
        FROM (
            SELECT r.* FROM runs r
            WHERE {_TO_NOTE} AND r.settled_at IS NULL
              AND (r.text_noted_at IS NULL OR r.state = 'running'
                   AND (r.text_noted_at AT TIME ZONE r.timezone)::date
                       < (:now::timestamptz AT TIME ZONE r.timezone)::date)
              AND EXISTS (SELECT FROM parts p WHERE p.run_id = r.id)
            LIMIT :limit FOR UPDATE SKIP LOCKED
        ) r {_WITH_VERSION}
        """,  # noqa: S608  # constants
        now=now,
        limit=limit,
    )


async def note_texts(conn: Connection, texts: Sequence[SentText]) -> None:
    """Note these texts, each once; of one that is there already, only the days."""
    rows = await sql.fetch(
        conn,
        """
        INSERT INTO sent_texts AS s
            (digest, department_id, version_id, text, anchor, first_on, last_on)
        SELECT * FROM unnest(:digests::bytea[], :departments::uuid[], :versions::uuid[],
                             :texts::text[], :anchors::int[], :firsts::date[], :lasts::date[])
            AS t(digest, department_id, version_id, text, anchor, first_on, last_on)
        ORDER BY digest, department_id, version_id
        ON CONFLICT (digest, department_id, version_id) DO UPDATE SET
            first_on = least(s.first_on, excluded.first_on),
            last_on = greatest(s.last_on, excluded.last_on)
        RETURNING id, digest, department_id, version_id
        """,
        digests=[text.digest for text in texts],
        departments=[text.department_id for text in texts],
        versions=[text.version_id for text in texts],
        texts=[text.text for text in texts],
        anchors=[text.anchor for text in texts],
        firsts=[text.first_on for text in texts],
        lasts=[text.last_on for text in texts],
    )
    ids = {(row["digest"], row["department_id"], row["version_id"]): row["id"] for row in rows}
    keys = [
        (key, ids[text.digest, text.department_id, text.version_id])
        for text in texts
        for key in text.keys
    ]
    await sql.execute(
        conn,
        """
        INSERT INTO sent_text_keys (key, text_id)
        SELECT * FROM unnest(:keys::int[], :ids::bigint[]) ON CONFLICT DO NOTHING
        """,
        keys=[key for key, _ in keys],
        ids=[text_id for _, text_id in keys],
    )


async def note_runs(conn: Connection, run_ids: Sequence[UUID], now: datetime) -> None:
    """The texts of these runs are noted as far as they are sent by now."""
    await sql.execute(
        conn,
        """
        UPDATE runs SET text_noted_at = greatest(:now, settled_at) WHERE id = ANY (:run_ids::uuid[])
        """,
        run_ids=list(run_ids),
        now=now,
    )


async def forget_texts(conn: Connection, before: date, limit: int) -> int:
    """Delete so many texts, at most, that were last sent before a day; how many were."""
    gone: int = await sql.fetchval(
        conn,
        """
        WITH old AS (
            SELECT id FROM sent_texts WHERE last_on < :before ORDER BY last_on LIMIT :limit
        ), deleted AS (
            DELETE FROM sent_texts s USING old WHERE s.id = old.id RETURNING s.id
        )
        SELECT count(*) FROM deleted
        """,
        before=before,
        limit=limit,
    )
    return gone


_FOUND = "s.text, d.name AS department, s.first_on, s.last_on"


async def texts_with_words(
    conn: Connection, digest: bytes, anchors: Sequence[int], since: date
) -> list[Record]:
    """The texts without variables that have this digest, then those with variables and one of these
    anchors; those sent last first: text, department (its name), first_on, last_on.
    """
    return await sql.fetch(
        conn,
        f"""
        (SELECT {_FOUND} FROM sent_texts s JOIN departments d ON d.id = s.department_id
         WHERE s.digest = :digest AND s.last_on >= :since ORDER BY s.last_on DESC LIMIT 10)
        UNION ALL
        (SELECT {_FOUND} FROM unnest(:anchors::int[]) AS a(anchor)
         CROSS JOIN LATERAL (
             SELECT * FROM sent_texts t WHERE t.anchor = a.anchor AND t.last_on >= :since
             ORDER BY t.last_on DESC LIMIT :most) s
         JOIN departments d ON d.id = s.department_id
         ORDER BY s.last_on DESC, s.id DESC LIMIT :most)
        """,  # noqa: S608  # constants
        digest=digest,
        anchors=list(anchors),
        since=since,
        most=MOST_OF_ANCHORS,
    )


async def texts_with_keys(conn: Connection, keys: Sequence[int], since: date) -> list[str]:
    """The texts that have most of these keys, so many at most."""
    rows = await sql.fetch(
        conn,
        """
        SELECT s.text FROM (
            SELECT k.text_id, count(*) AS shared
            FROM unnest(:keys::int[]) AS a(key)
            CROSS JOIN LATERAL (
                SELECT text_id FROM sent_text_keys WHERE key = a.key
                ORDER BY text_id DESC LIMIT :most_of_a_key) k
            GROUP BY k.text_id ORDER BY count(*) DESC, k.text_id DESC LIMIT :most
        ) f CROSS JOIN LATERAL (
            SELECT text FROM sent_texts WHERE id = f.text_id AND last_on >= :since OFFSET 0) s
        """,
        keys=list(keys),
        since=since,
        most_of_a_key=MOST_OF_A_KEY,
        most=MOST_ALIKE,
    )
    return [row["text"] for row in rows]


async def texts_of_mark(
    conn: Connection, template_no: int, version_no: int, since: date
) -> list[Record]:
    """What was sent of a version of a template, last first; as `texts_with_words`."""
    return await sql.fetch(
        conn,
        f"""
        SELECT {_FOUND}
        FROM template_numbers n
        JOIN template_versions v ON v.template_id = n.template_id AND v.no = :version_no
        JOIN sent_texts s ON s.version_id = v.id
        JOIN departments d ON d.id = s.department_id
        WHERE n.no = :template_no AND s.last_on >= :since
        ORDER BY s.last_on DESC, s.id DESC LIMIT 10
        """,  # noqa: S608  # constants
        template_no=template_no,
        version_no=version_no,
        since=since,
    )
