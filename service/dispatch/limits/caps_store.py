"""The SQL of frequency caps: places taken in a mark, given back, and what waits for one.

A person's latest hand-offs of a class stand in one row, from new to old, so that "n within a span"
asks for the n-th of them and nothing is counted. Everybody takes these rows in the order of the
phone's hash, so that two marks wait for each other at most and never in a circle.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.accounts.people.model import By
from service.ledger.caps import CURRENT, repeat_ends, spans_end
from service.ledger.joint_places import has_place_elsewhere
from service.ledger.message_id import MessageKey
from service.ledger.states import MessageState, sql_list, state_move
from service.storage import sql
from service.storage.postgres import Connection, Record

HOLD = state_move(MessageState.SUPPRESSED, MessageState.QUEUED, only=[MessageState.QUEUED])
"""A cap stops a text for good, or lets it wait where it is."""

NEVER_LEFT = [MessageState.REJECTED, MessageState.QUEUED, MessageState.CANCELLED]
"""What a text may be of which nothing ever left, after it had taken a place."""

KEPT = 16
"""How many hand-offs a person's row remembers, which no limit may exceed."""


def _others(array: str, run: str) -> str:
    """What a person's row `f` remembers of other runs than this one, which has a place in it."""
    place = f"array_position(f.runs, {run})"
    return f"(f.{array}[: {place} - 1] || f.{array}[{place} + 1:])"


def _at_others(run: str) -> tuple[str, str]:
    own = f"{run} = ANY (f.runs)"
    at, texts = (
        f"(CASE WHEN {own} THEN {_others(array, run)} ELSE f.{array} END)"
        for array in ("at", "texts")
    )
    return at, texts


_RUN = "excluded.runs[1]"


def _newest(array: str, value: str) -> str:
    own = f"CASE WHEN {_RUN} = ANY (f.runs) THEN {_others(array, _RUN)} ELSE f.{array} END"
    return f"(ARRAY[{value}] || {own})[:{KEPT}]"


def _room() -> str:
    cap = f"(SELECT {{}} FROM permit p WHERE p.run_id = {_RUN})"  # noqa: S608
    text = "excluded.texts[1]"

    def ends(at: str, texts: str) -> str:
        return f"greatest({spans_end(at, cap)}, {repeat_ends(at, texts, text, cap)})"

    return (
        f"(CASE WHEN {_RUN} = ANY (f.runs) THEN {ends(_others('at', _RUN), _others('texts', _RUN))}"
        f" ELSE {ends('f.at', 'f.texts')} END > :now) IS NOT TRUE"
    )


RESERVED = f"""
    INSERT INTO recent_texts AS f (phone_hash, class, at, runs, texts)
    SELECT v.phone_hash, v.class, ARRAY[:now::timestamptz], ARRAY[v.run_id], ARRAY[v.text]
    FROM verdict v WHERE v.stop IS NULL AND v.counted
    ORDER BY v.phone_hash
    ON CONFLICT (phone_hash, class) DO UPDATE SET
        at = {_newest("at", "greatest(:now, f.at[1])")},
        runs = {_newest("runs", _RUN)},
        texts = {_newest("texts", "excluded.texts[1]")}
    WHERE {_room()}
    RETURNING phone_hash
"""  # noqa: S608  # constants
"""Part of the mark: takes a place for each row of `verdict` that may leave, in one row a person,
and returns the phones that got one. An earlier hand-off of the same run gives its place to this
one. Whoever comes second waits for the first one's commit and judges by what it left."""


async def capped_texts(conn: Connection, run_id: object, nos: Sequence[int]) -> list[Record]:
    """Queued texts of a run that a cap has stopped: no, over_cap, when there is room by the spans
    (`free_at`) and for the same text again (`text_free_at`), and whether it was another leg of its
    joint plan that sent it to the person (`other_leg`).
    """
    at, texts = _at_others("r.id")
    text = "hashtextextended(r.text, 0)"
    return await sql.fetch(
        conn,
        f"""
        SELECT m.no, r.over_cap, {spans_end(at)} AS free_at,
               {repeat_ends(at, texts, text)} AS text_free_at,
               {has_place_elsewhere("r.joint_fire", "m.phone_hash", "r.department_id")} AS other_leg
        FROM runs r
        JOIN LATERAL ({CURRENT}) cap ON true
        CROSS JOIN unnest(:nos::int[]) AS a(no), LATERAL (
            SELECT no, phone_hash FROM messages
            WHERE run_id = :run_id AND no = a.no AND state = 'queued' OFFSET 0) m
        JOIN recent_texts f ON f.phone_hash = m.phone_hash
        WHERE r.id = :run_id AND f.class = r.class
        """,  # noqa: S608  # constants
        run_id=run_id,
        nos=list(nos),
    )


@dataclass(frozen=True, slots=True)
class CappedText:
    """A text that a cap holds back: why, and until when; None: for good."""

    no: int
    reason: str
    until: datetime | None


async def hold(
    conn: Connection, run_id: object, texts: Sequence[CappedText], now: datetime
) -> None:
    """Let queued texts wait until their instant, or stop them; the reason is theirs meanwhile."""
    await sql.execute(
        conn,
        f"""
        WITH asked AS MATERIALIZED (  -- row by row, as in the mark
            SELECT a.*, m.row FROM unnest(:nos::int[], :reasons::text[], :untils::timestamptz[])
                AS a(no, reason, until), LATERAL (
                SELECT ctid AS row FROM messages
                WHERE run_id = :run_id AND no = a.no AND state IN {HOLD.sources_sql} OFFSET 0) m
        ), moved AS (
            UPDATE messages m SET
                state = CASE WHEN a.until IS NULL THEN 'suppressed'
                             ELSE 'queued' END::message_state,
                reason = a.reason,
                final_at = CASE WHEN a.until IS NULL THEN :now::timestamptz END
            FROM asked a WHERE m.ctid = a.row AND m.state IN {HOLD.sources_sql}
            RETURNING m.run_id, m.no, a.until
        )
        INSERT INTO deferrals (run_id, no, not_before)
        SELECT run_id, no, until FROM moved WHERE until > :now
        ON CONFLICT (run_id, no) DO UPDATE SET not_before = excluded.not_before
        """,  # noqa: S608  # constants
        run_id=run_id,
        nos=[text.no for text in texts],
        reasons=[text.reason for text in texts],
        untils=[text.until for text in texts],
        now=now,
    )


async def give_back(conn: Connection, keys: Collection[MessageKey]) -> None:
    """Give back the places of texts of which provably nothing ever left: refused with no part
    taken, or never written. One of which an earlier hand-off left, or may have, keeps its place.

    Call after everything else that the transaction locks, as a mark does.
    """
    if not keys:
        return
    places = await sql.fetch(
        conn,
        f"""
        SELECT f.phone_hash, f.class, m.run_id
        FROM unnest(:run_ids::uuid[], :nos::int[]) AS k(run_id, no)
        CROSS JOIN LATERAL (
            SELECT run_id, no, phone_hash, state FROM messages
            WHERE run_id = k.run_id AND no = k.no OFFSET 0) m
        JOIN runs r ON r.id = m.run_id
        JOIN recent_texts f ON f.phone_hash = m.phone_hash AND f.class = r.class
        WHERE m.state IN {sql_list(NEVER_LEFT)} AND m.run_id = ANY (f.runs)
          AND NOT EXISTS (
            SELECT FROM parts p WHERE p.run_id = m.run_id AND p.no = m.no OFFSET 0)
          AND NOT EXISTS (
            SELECT FROM attempts a
            WHERE a.run_id = m.run_id AND a.no = m.no AND a.state <> 'rejected' OFFSET 0)
        ORDER BY f.phone_hash, f.class FOR UPDATE OF f
        """,  # noqa: S608  # constants
        run_ids=[run_id for run_id, _ in keys],
        nos=[no for _, no in keys],
    )
    if places:  # in a statement of its own, which sees what the locks were waited for
        await sql.execute(
            conn,
            """
            WITH gone AS (
                SELECT phone_hash, class, array_agg(run_id) AS runs
                FROM unnest(:phone_hashes::bytea[], :classes::text[], :run_ids::uuid[]) AS
                    g(phone_hash, class, run_id)
                GROUP BY phone_hash, class
            )
            UPDATE recent_texts f SET (at, runs, texts) = (
                SELECT coalesce(array_agg(e.at ORDER BY e.i), '{}'),
                       coalesce(array_agg(e.run ORDER BY e.i), '{}'),
                       coalesce(array_agg(e.text ORDER BY e.i), '{}')
                FROM unnest(f.at, f.runs, f.texts) WITH ORDINALITY AS e(at, run, text, i)
                WHERE NOT e.run = ANY (g.runs))
            FROM gone g WHERE f.phone_hash = g.phone_hash AND f.class = g.class
            """,
            phone_hashes=[row["phone_hash"] for row in places],
            classes=[row["class"] for row in places],
            run_ids=[row["run_id"] for row in places],
        )


async def list_caps(conn: Connection, *, history: bool) -> list[Record]:
    """The caps of each class in force, or with `history` all that ever were, from new to old."""
    return await sql.fetch(
        conn,
        """
        SELECT f.* FROM frequency_caps f
        WHERE :history OR NOT EXISTS (
            SELECT FROM frequency_caps n WHERE n.class = f.class AND n.id > f.id)
        ORDER BY f.id DESC
        """,
        history=history,
    )


async def insert_caps(
    conn: Connection,
    message_class: str,
    limits: tuple[int | None, int | None, int | None, bool],
    by: By,
) -> None:
    """Set the caps of a class from now on."""
    per_day, per_week, per_month, same_text = limits
    await sql.execute(
        conn,
        """
        INSERT INTO frequency_caps (class, per_day, per_week, per_month, same_text, reason, set_by,
                                    set_at)
        VALUES (:message_class, :per_day, :per_week, :per_month, :same_text, :reason, :user_id, :at)
        """,
        message_class=message_class,
        per_day=per_day,
        per_week=per_week,
        per_month=per_month,
        same_text=same_text,
        reason=by.reason,
        user_id=by.user_id,
        at=by.at,
    )


async def delete_old(conn: Connection, before: datetime) -> None:
    """Delete the rows of people who got nothing since, and deferrals that are over since."""
    await sql.execute(
        conn,
        """
        DELETE FROM recent_texts f USING (
            SELECT phone_hash, class FROM recent_texts WHERE (at[1] > :before) IS NOT TRUE
            ORDER BY phone_hash, class FOR UPDATE SKIP LOCKED) o
        WHERE f.phone_hash = o.phone_hash AND f.class = o.class AND (f.at[1] > :before) IS NOT TRUE
        """,
        before=before,
    )
    await sql.execute(conn, "DELETE FROM deferrals WHERE not_before < :before", before=before)
