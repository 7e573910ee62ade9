"""The SQL of direct runs: the run itself, and its ledger out of people who are named."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from service.accounts.keys.key import Mode
from service.audience.suppressions.suppression_store import stops
from service.campaigns.audience.exclusion_store import AFTER_STOPS, first_reason, no_route_reasons
from service.ledger.fragments import CANCEL, ended_as
from service.ledger.priority import number_of
from service.ledger.reasons import Reason
from service.ledger.states import RUNS_THAT_MAY_SEND, MessageState, RunState, state_move
from service.storage import sql
from service.storage.locks import lock_run
from service.storage.postgres import Connection, Record, affected, one

CANCEL_DIRECT = state_move(RunState.CANCELLED, only=RUNS_THAT_MAY_SEND)


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRun:
    """What a direct run sends, in whose name, and within which limits.

    kind: of the table of runs. message_class: public_interest, service or warning.
    channels: the ways it may take, also where a text is routed again.
    send_hours, timezone: as of a schedule. valid_until: past it, nothing is handed off.
    confirms: the reason of the suppressions that its texts confirm, and so pass; None: none.
    sent_by, template_version_id, webhook_id, key_mode: of a department's direct send.
    sender_id: against whose limit its recipients count: a key's, or that of a user without one.
    over_cap: what becomes of a text that a cap stops: defer, stop; send: it has no cap.
    extension: the digits it leaves from; "": the bare number; None: those of its department.
    """

    kind: str
    department_id: UUID
    message_class: str
    priority: str
    text: str
    channels: Sequence[int]
    send_hours: Sequence[Sequence[str]]
    timezone: str
    valid_until: datetime
    confirms: str | None = None
    sent_by: UUID | None = None
    template_version_id: UUID | None = None
    webhook_id: UUID | None = None
    key_mode: Mode = Mode.LIVE
    sender_id: UUID | None = None
    over_cap: str = "stop"
    extension: str | None = None


@dataclass(frozen=True, slots=True)
class Recipient:
    """Somebody who is to get it, on this channel; without one the ledger leaves the person out.

    variables_cipher: the values of the text's variables, if they are not the contact's facts.
    carrier: the one of the number's prefix; an override goes before it. synthetic: whether the
    number is nobody's, which only a simulated channel takes.
    """

    phone_hash: bytes
    phone_cipher: bytes
    carrier: str
    synthetic: bool
    channel_id: int | None
    variables_cipher: bytes | None = None


_NO_ROUTE = no_route_reasons(
    "c.id IS NOT NULL AND c.simulated = n.synthetic", "c.id IS NOT NULL", "n.synthetic"
)
_PEOPLE = f"""
    named AS (
        SELECT DISTINCT ON (phone_hash) * FROM unnest(
            (SELECT :phone_hashes::bytea[]), (SELECT :phone_ciphers::bytea[]),
                (SELECT :carriers::text[]),
            (SELECT :synthetic::boolean[]), (SELECT :channel_ids::smallint[]),
                (SELECT :variables_ciphers::bytea[]))
            AS n(phone_hash, phone_cipher, carrier, synthetic, channel_id, variables_cipher)
        ORDER BY phone_hash
    ), people AS MATERIALIZED (
        SELECT n.phone_hash, n.phone_cipher, n.channel_id, n.variables_cipher,
            coalesce(v.carrier, n.carrier) AS carrier,
            coalesce(s.reason, {first_reason(AFTER_STOPS, _NO_ROUTE)}) AS excluded
        FROM named n
        LEFT JOIN channels c ON c.id = n.channel_id
        LEFT JOIN carrier_overrides v ON v.phone_hash = n.phone_hash
        LEFT JOIN LATERAL (
            SELECT reason FROM suppressions s
            WHERE s.phone_hash = n.phone_hash AND s.reason IS DISTINCT FROM :confirms
              AND {stops("s", ":message_class", ":department_id", ":now")}
            ORDER BY reason LIMIT 1) s ON true
    )
"""  # noqa: S608  # constants
"""The recipients, each once however often a phone is named, and why somebody is left out: by the
rule of an expansion, of which `direct_bounds_store` has asked what comes before suppressions. The
arrays stand in sub-selects, so that the planner does not look at them: one plan then does for all,
and is not made anew for each send.
"""

_ROWS = """
    kept AS (
        INSERT INTO messages (run_id, no, phone_hash, phone_cipher, variables_cipher,
                              channel_id, carrier, roles, told, direct)
        SELECT run.id, row_number() OVER (ORDER BY channel_id, phone_hash), phone_hash,
               phone_cipher, variables_cipher, channel_id, carrier, '{}',
               (SELECT :webhook_id::uuid IS NOT NULL OR is_told(:department_id, 'message.final')),
                   true
        FROM people, run WHERE excluded IS NULL
        RETURNING phone_hash, no, channel_id
    ), left_out AS (
        INSERT INTO exclusions (run_id, phone_hash, reason, carrier, direct)
        SELECT run.id, phone_hash, excluded, carrier, true FROM people, run
        WHERE excluded IS NOT NULL
        RETURNING phone_hash, reason
    )
"""
"""The ledger of `run`: a row for each of `people`, or the reason why not."""


def _named(recipients: Sequence[Recipient]) -> dict[str, Any]:
    """The recipients as `_PEOPLE` takes them."""
    return {
        "phone_hashes": [r.phone_hash for r in recipients],
        "phone_ciphers": [r.phone_cipher for r in recipients],
        "carriers": [r.carrier for r in recipients],
        "synthetic": [r.synthetic for r in recipients],
        "channel_ids": [r.channel_id for r in recipients],
        "variables_ciphers": [r.variables_cipher for r in recipients],
    }


def _run_values(new: NewRun) -> dict[str, Any]:
    """What else a run is made of, as `write_run` takes it."""
    return {
        "kind": new.kind,
        "department_id": new.department_id,
        "message_class": new.message_class,
        "confirms": new.confirms,
        "webhook_id": new.webhook_id,
        "priority": new.priority,
        "text": new.text,
        "channels": list(new.channels),
        "send_hours": [list(span) for span in new.send_hours],
        "timezone": new.timezone,
        "valid_until": new.valid_until,
        "sent_by": new.sent_by,
        "template_version_id": new.template_version_id,
        "key_mode": new.key_mode,
        "over_cap": new.over_cap,
        "extension": new.extension,
        "sender_id": new.sender_id,
    }


class Written(NamedTuple):
    """A run with its whole ledger: by the hash of a phone its number there, or why it has none; and
    the channels on which it has slices.
    """

    run: Record
    numbers: dict[bytes, int]
    left_out: dict[bytes, str]
    channels: Sequence[int]


async def write_run(
    conn: Connection,
    new: NewRun,
    recipients: Sequence[Recipient],
    now: datetime,
    *,
    one_slice: bool = False,
) -> Written:
    """Make a direct run and its whole ledger, in one statement. Its slices are still to be cut, but
    for `one_slice`, on each of its channels.

    It counts against the limit of its sender: the commit is refused, as a collision, if sends that
    were made at the same time leave no room for it.
    """
    row = await sql.fetchrow(
        conn,
        f"""
        WITH {_PEOPLE}, run AS (
            INSERT INTO runs (kind, department_id, fire_at, state, priority, class, text, channels,
                              send_hours, timezone, valid_until, confirms, sent_by,
                              template_version_id, webhook_id, key_mode, over_cap, extension,
                              target, created_at, started_at)
            SELECT :kind, :department_id, :now, 'running', :priority, :message_class, :text,
                :channels, :send_hours, :timezone, :valid_until, :confirms, :sent_by,
                    :template_version_id, :webhook_id,
                   :key_mode, :over_cap, :extension,
                       (SELECT count(*) FROM people WHERE excluded IS NULL), :now, :now
            RETURNING id, priority
        ), counted AS (
            INSERT INTO direct_sends (run_id, sender_id, recipients, at)
            SELECT id, :sender_id, (SELECT count(*) FROM named), :now FROM run
            WHERE :sender_id::uuid IS NOT NULL
        ), {_ROWS}, cut AS (
            INSERT INTO slices (run_id, no, channel_id, first_no, last_no, priority)
            SELECT run.id, row_number() OVER (ORDER BY k.channel_id), k.channel_id, k.first, k.last,
                   :slice_priority
            FROM run, (SELECT channel_id, min(no) AS first, max(no) AS last
                       FROM kept GROUP BY channel_id) k
            WHERE :one_slice
            RETURNING channel_id
        )
        SELECT run.id, run.priority, ARRAY(SELECT channel_id FROM cut) AS channels,
               ARRAY(SELECT phone_hash FROM kept ORDER BY no) AS kept,
               ARRAY(SELECT no FROM kept ORDER BY no) AS numbers,
               ARRAY(SELECT phone_hash FROM left_out ORDER BY 1) AS left_out,
               ARRAY(SELECT reason FROM left_out ORDER BY phone_hash) AS reasons
        FROM run
        """,  # noqa: S608  # constants
        **_named(recipients),
        **_run_values(new),
        now=now,
        slice_priority=number_of(new.priority),
        one_slice=one_slice,
    )
    run = one(row)
    return Written(
        run,
        dict(zip(run["kept"], run["numbers"], strict=True)),
        dict(zip(run["left_out"], run["reasons"], strict=True)),
        run["channels"],
    )


async def left_out_of(
    conn: Connection, new: NewRun, recipients: Sequence[Recipient], now: datetime
) -> dict[bytes, str]:
    """Whom `write_run` would leave out now, by the hash of the phone, and why; it reads alone."""
    rows = await sql.fetch(
        conn,
        f"""
        WITH {_PEOPLE} SELECT phone_hash, excluded FROM people WHERE excluded IS NOT NULL
        """,  # noqa: S608  # constants
        **_named(recipients),
        message_class=new.message_class,
        confirms=new.confirms,
        department_id=new.department_id,
        now=now,
    )
    return {row["phone_hash"]: row["excluded"] for row in rows}


async def write_ledger(
    conn: Connection, run: Record, recipients: Sequence[Recipient], now: datetime
) -> tuple[int, int]:
    """Write the ledger of a run that is there already; returns how many are in it and left out."""
    row = await sql.fetchrow(
        conn,
        f"""
        WITH run AS (SELECT :run_id::uuid AS id), {_PEOPLE}, {_ROWS}
        SELECT (SELECT count(*) FROM kept) AS target, (SELECT count(*) FROM left_out) AS excluded
        """,  # noqa: S608  # constants
        **_named(recipients),
        run_id=run["id"],
        message_class=run["class"],
        confirms=run["confirms"],
        now=now,
        webhook_id=run["webhook_id"],
        department_id=run["department_id"],
    )
    counts = one(row)
    return counts["target"], counts["excluded"]


async def lock_direct_run(conn: Connection, run_id: UUID) -> None:
    """Wait until nothing of a run is half-marked, and let none of it be marked, moved to another
    channel or given back before the end of the transaction (invariant I7).

    The row before the lock, as everybody does who takes both.
    """
    await sql.execute(conn, "SELECT FROM runs WHERE id = :run_id FOR NO KEY UPDATE", run_id=run_id)
    await lock_run(conn, run_id)


async def lock_rows(conn: Connection, runs: Sequence[UUID]) -> None:
    """Lock the rows of direct runs, before any lock for the marks of one."""
    await sql.execute(
        conn,
        "SELECT FROM runs WHERE id = ANY(:runs) ORDER BY id FOR NO KEY UPDATE",
        runs=list(runs),
    )


async def cancel_queued(
    conn: Connection, run_id: UUID, now: datetime, reason: Reason = Reason.CANCELLED_BY_SENDER
) -> int:
    """Cancel whatever of a run is queued; returns how many texts."""
    status = await sql.execute(
        conn,
        f"""
        UPDATE messages SET {ended_as(MessageState.CANCELLED, ":reason", ":now")}
        WHERE run_id = :run_id AND state IN {CANCEL.sources_sql}
        """,  # noqa: S608  # constants
        run_id=run_id,
        now=now,
        reason=reason,
    )
    return affected(status)


async def cancel_run(conn: Connection, run_id: UUID, now: datetime, reason: Reason) -> None:
    """Let nothing of a direct run leave any more; what comes back has this reason, too."""
    await sql.execute(
        conn,
        f"""
        UPDATE runs SET state = 'cancelled', cancel_reason = :reason, settle_at = NULL,
            finished_at = coalesce(finished_at, :now)
        WHERE id = :run_id AND kind = 'direct' AND state IN {CANCEL_DIRECT.sources_sql}
        """,  # noqa: S608  # constants
        run_id=run_id,
        now=now,
        reason=reason,
    )


async def count_states(conn: Connection, run_id: UUID) -> dict[str, int]:
    """How many texts of a run are in each state."""
    rows = await sql.fetch(
        conn, "SELECT state::text, count(*) AS n FROM ledger_of(:run_id) GROUP BY 1", run_id=run_id
    )
    return {row["state"]: row["n"] for row in rows}


async def get_sender(conn: Connection, run_id: UUID) -> tuple[UUID, Mode]:
    """Who sent a direct run, a key or a user without one, and the mode of that key."""
    row = await sql.fetchrow(
        conn,
        """
        SELECT coalesce(d.sender_id, r.sent_by) AS sender_id, r.key_mode
        FROM runs r LEFT JOIN direct_sends d ON d.run_id = r.id
        WHERE r.id = :run_id
        """,
        run_id=run_id,
    )
    found = one(row)
    return found["sender_id"], Mode(found["key_mode"])


async def cancel_message(conn: Connection, run_id: UUID, no: int, now: datetime) -> bool:
    """Cancel a text that is still queued; False: it is not (any more).

    The run's lock comes first: whatever marks it now is waited for (invariant I7).
    """
    await lock_run(conn, run_id)
    status = await sql.execute(
        conn,
        f"""
        UPDATE messages SET {ended_as(MessageState.CANCELLED, ":cancelled_by_sender", ":now")}
        WHERE run_id = :run_id AND no = :no AND state IN {CANCEL.sources_sql}
        """,  # noqa: S608  # constants
        run_id=run_id,
        no=no,
        now=now,
        cancelled_by_sender=Reason.CANCELLED_BY_SENDER,
    )
    return bool(affected(status))
