"""Runs: each fire of a campaign and each direct run, its report, and its ledger."""

from dataclasses import asdict
from typing import Literal
from uuid import UUID

from pydantic import Field

from service.accounts.keys.key import Mode
from service.accounts.long_acts.long_act import LongProgress
from service.accounts.people.model import Right
from service.api.acts import ActOut, Check, judge
from service.api.audience.people import need_people
from service.api.http.call import Call, Download
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import AreaName, Instant, Out, Page
from service.campaigns.core import run_store
from service.campaigns.core.model import Run
from service.campaigns.plans import corrections, planning
from service.campaigns.runs import follow_up_runs
from service.dispatch.direct import direct, direct_store
from service.errors import Conflict, Forbidden, NotFound
from service.ledger.states import MessageState
from service.reports import progress
from service.reports.evidence import PURPOSE, evidence
from service.words.phrase import phrase
from service.words.terms import term

Relation = Literal["step", "resend", "top_up", "correction"]


class RunOut(Out):
    """One fire of a campaign, or a direct run; `target` is null until its ledger is written."""

    id: UUID
    kind: Literal["campaign", "reply", "direct"]
    mode: Literal["real", "drill", "test"]
    campaign_id: UUID | None = Field(description="Null for a direct run, such as our replies.")
    department_id: UUID
    fire_at: Instant
    text_no: int = Field(description="Which of its campaign's texts, counted from 1.")
    follows: UUID | None = Field(description="The run that it follows; null: it is a fire.")
    relation: Relation | None = Field(
        description="step: a later text of a sequence to the same people; resend: the same text to"
        " those whom it did not reach; top_up: to those who have joined since; correction: another"
        " text to those who got it."
    )
    state: Literal["expanding", "running", "paused", "sent", "cancelled"]
    priority: str
    message_class: str = Field(alias="class")
    baseline: int | None = Field(
        description="How many people the rule meant when the campaign was submitted."
    )
    target: int | None = Field(description="How many it meant when it fired.")
    valid_until: Instant | None
    created_at: Instant
    started_at: Instant | None
    finished_at: Instant | None


class RunDetail(RunOut):
    """A run, and what you could do with it now."""

    BY_THE_CLOCK = frozenset({"acts"})

    acts: list[ActOut] = Field(
        description="What you could do with it now, and why not; worked out anew at each asking."
        " Whether it has missed anybody is found by sending again itself."
    )


class GroupOut(Out):
    """The figures of one carrier, town or role."""

    target: int
    reached: int
    states: dict[MessageState, int]


class AreaGroupOut(GroupOut):
    """The figures of one town."""

    area_name: AreaName


class ReportOut(Out):
    """What a run amounts to; target = Σ states, always. Reached means: a receipt says delivered."""

    run_id: UUID
    campaign_id: UUID | None
    text_no: int
    follows: UUID | None
    relation: Relation | None
    state: str
    baseline: int | None = Field(
        description="How many people the rule meant when the campaign was submitted."
    )
    target: int
    excluded: dict[str, int]
    states: dict[MessageState, int]
    reached: int
    by_carrier: dict[str, GroupOut]
    by_area: dict[str, AreaGroupOut]
    by_role: dict[str, GroupOut] = Field(description="Who has several roles counts under each.")
    merged: dict[str, dict[str, int]] = Field(
        description="Roles of people who got their one text by another role: role, into which, how"
        " many."
    )
    by_reason: dict[str, int]
    parts: int
    started_at: Instant | None
    finished_at: Instant | None


class AttemptOut(Out):
    """One hand-off of a text; a number that is missing was marked and never written."""

    attempt: int
    channel_id: int
    channel: str | None
    state: MessageState
    reason: str | None
    code: str | None
    part_count: int | None
    marked_at: Instant | None
    submitted_at: Instant | None
    ended_at: Instant | None
    next_at: Instant | None = Field(
        description="It failed for a passing reason; when the text may leave again."
    )


class MessageOut(Out):
    """One row of the ledger, masked, with all its hand-offs that may have left."""

    id: str
    no: int
    phone: str | None = Field(description="Masked; null once it is not kept any more.")
    state: MessageState
    reason: str | None
    code: str | None
    carrier: str
    area_code: str | None
    area_name: AreaName
    attempt: int
    part_count: int | None
    marked_at: Instant | None
    submitted_at: Instant | None
    final_at: Instant | None
    attempts: list[AttemptOut]


class EvidenceKeyOut(Out):
    """An Ed25519 public key, in hexadecimal digits."""

    public_key: str


class MessageQuery(PageQuery):
    """Which messages: all, or those in one state."""

    state: MessageState | None = None


class CancelledOut(Out):
    """A cancelled direct run; `cancelled`, `stopped`, `left` and `leaving` are all its texts."""

    run_id: UUID
    state: str
    cancelled: int = Field(description="Texts that were called back and will not leave.")
    stopped: int = Field(description="Texts that had been stopped before, such as by an opt-out.")
    left: int = Field(description="Texts that the carrier has taken, refused or may have taken.")
    leaving: int = Field(
        description="Texts being handed to the carrier at this moment. Those that turn out not to"
        " have left are cancelled as well."
    )


async def list_runs(call: Call, campaign_id: UUID, query: PageQuery) -> Page[RunOut]:
    """List the runs of a campaign."""
    await planning.load(call.conn, campaign_id, call.user.scope)
    found = await run_store.list_runs(call.conn, campaign_id, query.before, query.wanted)
    return cut(Page[RunOut], found, query)


async def get_run(call: Call, run_id: UUID) -> RunDetail:
    """Show a run, and what you could do with it."""
    run = await counted_run(call, run_id)
    return RunDetail(**run._asdict(), acts=await _acts(call, run))


async def _acts(call: Call, run: Run) -> list[ActOut]:
    """What the caller could do with a run now; nothing with one of which only counts are seen."""
    if not call.user.sees(run.department_id):
        return []
    checks: dict[str, tuple[str, Check]] = {
        "resend_missed": (
            "resend_missed",
            lambda: follow_up_runs.check_resend(call.conn, call.user, run, call.now),
        ),
        "correct": ("correct_run", lambda: corrections.check_correct(call.conn, run)),
        "cancel": ("cancel_run", lambda: _check_cancel(call, run)),
    }
    found = {"run_id": run.id}
    return [
        await judge(call, act, operation, found, check)
        for act, (operation, check) in checks.items()
    ]


async def get_report(call: Call, run_id: UUID) -> ReportOut:
    """Show what a run amounts to at this moment; also one of a department below yours."""
    await counted_run(call, run_id)
    return ReportOut.model_validate(await progress.run_report(call.conn, run_id))


async def list_messages(call: Call, run_id: UUID, query: MessageQuery) -> Page[MessageOut]:
    """List the ledger of a run in its order, phones masked."""
    run = await visible_run(call, run_id)
    await need_people(call, run.department_id)
    found = await progress.list_messages(
        call.conn,
        call.runtime.keyring,
        run_id,
        after_no=query.number,
        limit=query.wanted,
        state=query.state,
    )
    return cut(Page[MessageOut], found, query, key=lambda row: row["no"])


async def get_evidence(call: Call, run_id: UUID) -> Download:
    """Download the signed evidence of a run: who approved what, for whom, and what came of it."""
    run = await visible_run(call, run_id)
    await need_people(call, run.department_id)  # the ledger is in it, if under hashes
    if run.target is None:
        raise Conflict(
            phrase("the run has no ledger yet; ask again in a minute"), code="no_ledger_yet"
        )
    progress = LongProgress(total=run.target)
    zone = call.runtime.settings.zone
    pieces = evidence(call.conn, call.runtime.keyring, run_id, call.now, zone, progress)
    return Download("application/zip", f"evidence-{run_id}.zip", pieces, progress=progress)


async def get_evidence_key(call: Call) -> EvidenceKeyOut:
    """Show the public key that checks the evidence of all runs; write it down somewhere else."""
    return EvidenceKeyOut(public_key=call.runtime.keyring.public_key(PURPOSE).hex())


async def counted_run(call: Call, run_id: UUID) -> Run:
    """A run whose numbers the caller may see, if not its people."""
    run = await run_store.get_run(call.conn, run_id, None)
    if run is None or not call.user.sees_counts(run.department_id):
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    return run


async def visible_run(call: Call, run_id: UUID) -> Run:
    """A run whose people the caller may see, unless they are a carrier's subscribers."""
    run = await run_store.get_run(call.conn, run_id, call.user.scope)
    if run is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    return run


async def cancel_run(call: Call, run_id: UUID) -> CancelledOut:
    """Cancel what has not begun to leave of a direct run, all at once.

    Whoever may cancel campaigns may; a key that may only send, what it has sent itself.
    """
    _need_sender(call)
    run = await run_store.get_run(call.conn, run_id, call.user.scope)
    if run is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=run_id))
    await _check_cancel(call, run)
    done = await direct.cancel(call.conn, run_id, call.now)
    run = await run_store.get_run(call.conn, run_id, None) or run
    call.note(**asdict(done))
    return CancelledOut(run_id=run_id, state=run.state, **asdict(done))


def _need_sender(call: Call) -> None:
    if not call.user.may(Right.CONTROL):
        call.user.need(Right.SEND)


async def _check_cancel(call: Call, run: Run) -> None:
    """Refuse to cancel a run that is no direct one, or not the caller's."""
    _need_sender(call)
    if run.kind != "direct":
        raise Conflict(
            phrase("it is no direct send; a campaign is cancelled as a whole, a reply not at all"),
            code="not_direct",
        )
    await need_own(call, run.id)


async def need_own(call: Call, run_id: UUID) -> None:
    """Refuse a sender what another one sent, and a key that is not live what is of another mode."""
    sent_by, mode = await direct_store.get_sender(call.conn, run_id)
    if call.mode is not Mode.LIVE and call.mode is not mode:
        raise Forbidden(
            phrase("a {mode} key may only cancel what a {mode} key has sent", mode=term(call.mode)),
            code="out_of_scope",
        )
    if not call.user.may(Right.CONTROL) and sent_by != sender_id(call):
        raise Forbidden(
            phrase(
                "another key or user has sent this; to cancel it takes the right to {right}",
                right=Right.CONTROL.words,
            ),
            code="out_of_scope",
        )


def sender_id(call: Call) -> UUID:
    """Who a direct send counts for: the key, over its rotations, or the user without one."""
    return call.key.first_id if call.key else call.user.id
