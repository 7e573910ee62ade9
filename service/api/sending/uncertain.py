"""Uncertain hand-offs over HTTP: the list, a decision, a carrier's statement, the policy."""

from datetime import timedelta
from uuid import UUID

from pydantic import Field, model_validator

from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.problems import TooLarge
from service.api.http.schema import (
    MAX_INT,
    Body,
    Instant,
    Int,
    Line,
    Out,
    Page,
    Text,
    TranslatedText,
)
from service.api.http.upload import Upload, in_batches
from service.audience.numbers.number import mask
from service.audience.numbers.prefix import packaged_prefixes
from service.campaigns.core import run_store
from service.delivery.uncertain import uncertain, uncertain_store
from service.delivery.uncertain.statement import Result, read_lines
from service.delivery.uncertain.statement_import import Statement, import_statement
from service.delivery.uncertain.uncertain import Decision, Skip
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.errors import Invalid, NotFound
from service.ledger.message_class import MessageClass
from service.ledger.message_id import MessageKey, message_id
from service.queue import Job
from service.storage.postgres import Record
from service.words.phrase import listing, phrase

MAX_IDS = 1_000
MAX_SKIPPED = 1_000
STATEMENT_OCTETS = 32 * 1024 * 1024


class DoubtQuery(PageQuery):
    """Which hand-offs in doubt: all that you see, or those of a run, channel or department."""

    run: UUID | None = None
    channel: int | None = Field(default=None, ge=0, le=32767)
    department: UUID | None = None


class DoubtOut(Out):
    """A text that may have left and has no answer."""

    id: str = Field(description="The message's id in the ledger of its run.")
    run_id: UUID
    no: int
    department_id: UUID
    message_class: str = Field(alias="class")
    channel_id: int
    channel: str
    phone: str
    attempt: int
    part_count: int
    parts_with_reference: list[int] = Field(description="Parts that the carrier took for certain.")
    parts_without_reference: list[int]
    marked_at: Instant = Field(description="When it was about to leave.")
    since: Instant = Field(description="When it was put in doubt.")
    may_decide_at: Instant = Field(description="From then on a person may decide.")
    valid_until: Instant | None = Field(description="It is not handed off again after this.")


class DecisionBody(Body):
    """What became of hand-offs in doubt, by their ids, or all of a run (on one of its channels)."""

    ids: list[Text] = Field(default_factory=list, max_length=MAX_IDS)
    run_id: UUID | None = None
    channel_id: Int | None = Field(default=None, ge=0, le=32767)
    decision: Decision
    reason: Line = Field(description="How you know; it is recorded.")

    @model_validator(mode="after")
    def _one_way(self) -> "DecisionBody":
        if bool(self.ids) == (self.run_id is not None):
            raise ValueError(phrase("give either ids or run_id"))
        if self.ids and self.channel_id is not None:
            raise ValueError(phrase("channel_id goes with run_id only"))
        return self


class SkippedOut(Out):
    """A hand-off that was left as it was."""

    id: str
    reason: Skip


class DecidedOut(Out):
    """What became of a decision."""

    decision_id: UUID | None = Field(description="Of its record; null: nothing was decided.")
    decided: int
    skipped: int
    items: list[SkippedOut] = Field(description="The first of those that were left as they were.")


class StatementForm(Body):
    """What is said of a CSV file with the columns 手机号, 提交时间, 状态 (phone, time, status)."""

    channel_id: int = Field(ge=0, le=32767, description="The channel whose carrier gave it.")
    reason: Line = Field(default="statement", description="Where it comes from; it is recorded.")
    encoding: Line | None = Field(default=None, description="Of the file; default: found out.")
    window_minutes: int = Field(
        default=30, ge=1, le=1440, description="How long after our mark the carrier's time may lie."
    )


class StatementRowOut(Out):
    """A line that a person must look at, by its place in the file."""

    row: int
    result: Result
    reason: TranslatedText


class StatementOut(Out):
    """What became of a statement."""

    decision_id: UUID
    lines: dict[Result, int] = Field(description="Lines by what became of them.")
    settled: dict[str, int] = Field(description="Texts that were settled, by the state they got.")
    rows: list[StatementRowOut] = Field(description="The first of those that need a person.")


class UncertainPolicyBody(Body):
    """Whether texts of a class may be handed off again although they may have left."""

    message_class: MessageClass = Field(alias="class")
    allowed: bool
    reason: Line


class UncertainPolicyOut(Out):
    """The policy of a class, with who set it and why; all null or empty: nobody ever did."""

    message_class: str = Field(alias="class")
    allowed: bool
    reason: str
    set_by: UUID | None
    set_at: Instant | None


class PoliciesOut(Out):
    """The policy of each class."""

    items: list[UncertainPolicyOut]


def _id(key: MessageKey) -> str:
    return message_id(*key)


def _parsed(text: str) -> MessageKey | None:
    run_id, _, no = text.partition(".")
    if not (no.isascii() and no.isdecimal() and len(no) < 11 and int(no) <= MAX_INT):
        return None
    try:
        return UUID(run_id), int(no)
    except ValueError:
        return None


async def list_doubts(call: Call, query: DoubtQuery) -> Page[DoubtOut]:
    """List the texts that may have left and have no answer, phones masked."""
    after = None
    if query.text is not None:
        after = _parsed(query.text)
        if after is None:
            problem = phrase("give the next_cursor of a page as it was, or none")
            raise Invalid(
                phrase("the cursor is not one of ours: {problem}", problem=problem),
                fields={"cursor": problem},
            )
    which = UncertainFilter(
        scope=call.user.scope,
        run_id=query.run,
        channel_id=query.channel,
        department_id=query.department,
    )
    rows = await uncertain_store.list_uncertain(call.conn, which, after, query.wanted)
    found = [_uncertain_out(call, row) for row in rows]
    return cut(Page[DoubtOut], found, query)


def _uncertain_out(call: Call, row: Record) -> DoubtOut:
    taken = row["with_reference"]
    count = row["part_count"] or 1
    same = ("run_id", "no", "department_id", "class", "channel_id", "channel", "attempt")
    return DoubtOut.model_validate(
        {
            **{name: row[name] for name in (*same, "marked_at", "since", "valid_until")},
            "id": _id((row["run_id"], row["no"])),
            "phone": mask(call.runtime.keyring.decrypt("phone", row["phone_cipher"])),
            "part_count": count,
            "parts_with_reference": taken,
            "parts_without_reference": [n for n in range(1, count + 1) if n not in taken],
            "may_decide_at": uncertain.may_decide_at(row["since"]),
        }
    )


async def decide_doubts(call: Call, body: DecisionBody) -> DecidedOut:
    """Say what became of texts in doubt: all of them at once, or none if it is too early."""
    keys = None
    if body.run_id is None:
        keys = [_parsed(text) for text in body.ids]
        wrong = {
            f"ids.{n}": phrase("give the id of an item of GET /uncertain")
            for n, key in enumerate(keys)
            if key is None
        }
        if wrong:
            raise Invalid(phrase("the body is wrong: {wrong}", wrong=listing(wrong)), fields=wrong)
    elif await run_store.get_run(call.conn, body.run_id, call.user.scope) is None:
        raise NotFound(phrase("there is no run {run_id}", run_id=body.run_id))
    which = UncertainFilter(
        scope=call.user.scope,
        run_id=body.run_id,
        channel_id=body.channel_id,
        keys=None if keys is None else [key for key in keys if key is not None],
    )
    verdict = await uncertain.decide(call.conn, which, body.decision, call.by(body.reason))
    for channel_id in sorted(verdict.channels):
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    return DecidedOut(
        decision_id=verdict.decision_id,
        decided=verdict.decided,
        skipped=len(verdict.skipped),
        items=[SkippedOut(id=_id(key), reason=why) for key, why in verdict.skipped[:MAX_SKIPPED]],
    )


async def read_statement(call: Call, body: StatementForm, file: Upload) -> StatementOut:
    """Take a carrier's statement; a line settles the one text in doubt that it fits."""
    if file.size > STATEMENT_OCTETS:
        raise TooLarge(
            phrase(
                "the statement is larger than {statement_octets:,} octets; split it by day",
                statement_octets=STATEMENT_OCTETS,
            )
        )
    statement = Statement(
        body.channel_id,
        file.sha256,
        timedelta(minutes=body.window_minutes),
        call.user.scope,
    )
    report = await import_statement(
        call.conn,
        call.runtime.keyring,
        statement,
        in_batches(
            file, lambda chunks: read_lines(chunks, packaged_prefixes(), encoding=body.encoding)
        ),
        call.by(body.reason),
    )
    return StatementOut.model_validate(
        {
            "decision_id": report.decision_id,
            "lines": {result: report.lines[result] for result in Result},
            "settled": dict(report.settled),
            "rows": [
                StatementRowOut(row=row, result=result, reason=why)
                for row, result, why in report.listed
            ],
        }
    )


async def list_policies(call: Call) -> PoliciesOut:
    """Show for each class whether its texts may be handed off again once they may have left."""
    found = await uncertain.list_policies(call.conn)
    return PoliciesOut(items=[UncertainPolicyOut.model_validate(policy) for policy in found])


async def set_policy(call: Call, body: UncertainPolicyBody) -> UncertainPolicyOut:
    """Allow or forbid that texts of a class are handed off again once they may have left."""
    policy = await uncertain.set_policy(
        call.conn, body.message_class, allowed=body.allowed, by=call.by(body.reason)
    )
    return UncertainPolicyOut.model_validate(policy)
