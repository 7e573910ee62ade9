"""A campaign, its states, and the one table of moves between them (docs/architecture.md, I8).

What is approved is bound by a hash; any edit makes a draft of the campaign again.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import NamedTuple
from uuid import UUID

from service.campaigns.calendar.hours import HourTerms
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core.legs import LegAsk
from service.campaigns.core.safety import UNSET, Safety
from service.campaigns.core.texts import BoundText, Further, LintVerdict, MoreText, is_sequence
from service.errors import Conflict
from service.ledger.message_class import MessageClass
from service.messages.lint.lint import Finding
from service.messages.plan_values import PlanValues
from service.words.phrase import Sentence, listing, phrase
from service.words.terms import term

PENDING = timedelta(days=7)
"""How long a submitted campaign may wait for its approval."""


class State(StrEnum):
    """Where a campaign stands; the same word in SQL, Python and JSON."""

    DRAFT = "draft"
    PENDING_APPROVAL = "pending_approval"
    RETURNED = "returned"
    REJECTED = "rejected"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"
    DONE = "done"
    CANCELLED = "cancelled"


class Act(StrEnum):
    """What moves a campaign: a person's act, or the clock's."""

    EDIT = "edit"
    SUBMIT = "submit"
    APPROVE = "approve"
    RETURN = "return"
    REJECT = "reject"
    EXPIRE = "expire"
    FIRE = "fire"
    DRIFT = "drift"
    HOLD = "hold"
    SKIP = "skip"
    WAIT = "wait"
    RELEASE = "release"
    PAUSE = "pause"
    RESUME = "resume"
    FINISH = "finish"
    REOPEN = "reopen"
    CANCEL = "cancel"


ENDED = frozenset({State.REJECTED, State.DONE, State.CANCELLED})
_OPEN = frozenset(State) - ENDED
_EDITABLE = frozenset(
    {State.DRAFT, State.RETURNED, State.PENDING_APPROVAL, State.SCHEDULED, State.HELD}
)

MOVES: dict[Act, tuple[frozenset[State], frozenset[State]]] = {
    Act.EDIT: (_EDITABLE, frozenset({State.DRAFT})),
    Act.SUBMIT: (frozenset({State.DRAFT, State.RETURNED}), frozenset({State.PENDING_APPROVAL})),
    # The first of two approvals of a warning leaves it where it is.
    Act.APPROVE: (
        frozenset({State.PENDING_APPROVAL}),
        frozenset({State.SCHEDULED, State.PENDING_APPROVAL}),
    ),
    Act.RETURN: (frozenset({State.PENDING_APPROVAL}), frozenset({State.RETURNED})),
    Act.REJECT: (frozenset({State.PENDING_APPROVAL}), frozenset({State.REJECTED})),
    Act.EXPIRE: (frozenset({State.PENDING_APPROVAL}), frozenset({State.RETURNED})),
    # A recurring plan may fire while an earlier run of it goes on, and waits again afterwards.
    Act.FIRE: (frozenset({State.SCHEDULED, State.RUNNING}), frozenset({State.RUNNING})),
    # The rule means another number of people than was approved.
    Act.DRIFT: (
        frozenset({State.SCHEDULED, State.RUNNING}),
        frozenset({State.PENDING_APPROVAL}),
    ),
    Act.HOLD: (frozenset({State.SCHEDULED, State.RUNNING}), frozenset({State.HELD})),
    Act.SKIP: (frozenset({State.SCHEDULED}), frozenset({State.DONE})),
    Act.WAIT: (frozenset({State.RUNNING}), frozenset({State.SCHEDULED})),
    Act.RELEASE: (frozenset({State.HELD}), frozenset({State.SCHEDULED})),
    Act.PAUSE: (frozenset({State.SCHEDULED, State.RUNNING}), frozenset({State.PAUSED})),
    Act.RESUME: (frozenset({State.PAUSED}), frozenset({State.SCHEDULED, State.RUNNING})),
    Act.FINISH: (frozenset({State.RUNNING}), frozenset({State.DONE})),
    # A text of it takes a second channel, so that there is something to pause or cancel again.
    Act.REOPEN: (frozenset({State.DONE}), frozenset({State.RUNNING})),
    Act.CANCEL: (_OPEN, frozenset({State.CANCELLED})),
}
"""Each act: from which states, into which. A campaign moves along these and nothing else."""


class WrongState(Conflict):
    """The campaign's state does not allow the act."""

    code = "wrong_state"

    def __init__(self, act: Act, state: State) -> None:
        needed = listing(map(_words, sorted(MOVES[act][0])), " or ")
        super().__init__(
            phrase(
                "the campaign is {state}; to {act} it, it must be {needed}",
                state=_words(state),
                act=term(act),
                needed=needed,
            )
        )


def _words(state: State) -> Sentence:
    return term(state, state.replace("_", " "))


@dataclass(frozen=True, slots=True)
class Plan:
    """What an editor decides about a campaign; the text and the rule are kept by reference.

    over_cap: what becomes of a text to somebody who has had enough (`dispatch.caps`): `defer`, it
        waits for its turn while its validity allows; `stop`; a correction: `send`.
    period_start, period_end: outside of them nothing is fired or handed off. drill: everything is
    real but the channel and the numbers. more_texts: those after the first, see `texts`.
    corrects: the run whose people it goes to, in place of those of a segment. legs: what a joint
        plan asks of each department, in place of an audience; leg_of: the joint plan whose leg it
        is. values: what fills the first text for all who get it; those of the others stand with
        them. figures_from: the week of the bulletin from which figures on cases among them are.
    rollout: the hash of the order in which it goes to villages, in hexadecimal digits.
    """

    name: str
    template_id: UUID
    segment_id: UUID | None
    channels: tuple[int, ...] | None
    priority: str
    schedule: Schedule
    max_tps: int | None
    over_cap: str = "defer"
    period_start: datetime | None = None
    period_end: datetime | None = None
    drill: bool = False
    safety: Safety = UNSET
    more_texts: tuple[MoreText, ...] = ()
    corrects: UUID | None = None
    legs: tuple[LegAsk, ...] = ()
    leg_of: UUID | None = None
    values: PlanValues = ()
    figures_from: str | None = None
    rollout: str | None = None

    @property
    def is_joint(self) -> bool:
        """Whether its legs send it, and it makes no run itself."""
        return bool(self.legs)

    @property
    def is_sequence(self) -> bool:
        """Whether further texts follow to the people of a fire; else they take turns."""
        return is_sequence(self.more_texts)

    @property
    def period(self) -> tuple[datetime | None, datetime | None]:
        """From when to when it may send."""
        return self.period_start, self.period_end


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A row of the table, with the text of its template version, filled with the plan's values, and
    the current segment rule.

    key_mode: what kind of key planned it (`accounts.key.Mode`); it never becomes more than that.
    """

    id: UUID
    department_id: UUID
    plan: Plan
    template_version_id: UUID
    message_class: MessageClass
    text: str
    linted: list[Finding]
    verdict: list[Finding] | None
    state: State
    next_fire_at: datetime | None
    created_by: UUID
    created_at: datetime
    edited_by: UUID
    frozen_rule: str | None
    text_edited_by: UUID | None
    text_editors: list[UUID]
    rule_edited_by: UUID | None
    rule_editors: list[UUID]
    submitted_by: UUID | None
    submitted_at: datetime | None
    pending_until: datetime | None
    baseline: int | None
    content_hash: bytes | None
    approved_by: UUID | None
    approved_at: datetime | None
    approved_hash: bytes | None
    approved_for: UUID | None
    second_approved_by: UUID | None
    second_approved_for: UUID | None
    second_approved_at: datetime | None
    key_mode: str
    cloned_from: UUID | None
    further: list[Further]

    @property
    def hands(self) -> dict[UUID | None, str]:
        """Who had a hand in what was submitted, and which; they are no second person to it."""
        return {
            **dict.fromkeys(self.rule_editors, phrase("wrote its rule, or a segment that it uses")),
            **dict.fromkeys(self.text_editors, phrase("wrote one of its texts")),
            self.submitted_by: phrase("submitted it"),
            self.edited_by: phrase("edited it last"),
            self.text_edited_by: phrase("wrote its text"),
            self.rule_edited_by: phrase("wrote its rule"),
        }

    @property
    def findings(self) -> list[Finding]:
        """What lint said of all its texts at the submission."""
        return [*(self.verdict or ()), *(f for text in self.further for f in text.verdict or ())]


@dataclass(frozen=True, slots=True)
class Content:
    """What an approval binds: exactly this text to exactly this rule, on this plan."""

    template_version_id: UUID
    text: str
    message_class: MessageClass
    rule: str
    plan: Plan
    verdict: LintVerdict = ()
    further: tuple[BoundText, ...] = ()

    @property
    def texts(self) -> tuple[BoundText, ...]:
        """All its texts, in their order."""
        first = BoundText(self.template_version_id, self.text, None, self.verdict)
        return (first, *self.further)

    def judged(self, verdicts: Sequence[LintVerdict]) -> "Content":
        """The same, with what lint says of each of its texts."""
        further = zip(self.further, verdicts[1:], strict=True)
        return replace(
            self,
            verdict=verdicts[0],
            further=tuple(words._replace(verdict=verdict) for words, verdict in further),
        )

    @property
    def terms(self) -> HourTerms:
        """What it says of the hours at which its texts may leave."""
        return self.plan.schedule.terms(self.message_class, self.rule)

    @property
    def canonical(self) -> bytes:
        """The canonical JSON of everything that is bound."""
        bound: dict[str, object] = {
            "template_version_id": str(self.template_version_id),
            "text": self.text,
            "class": self.message_class,
            "rule": self.rule,
            "channels": sorted(self.plan.channels) if self.plan.channels is not None else "auto",
            "priority": self.plan.priority,
            "schedule": self.plan.schedule.as_json(),
            "max_tps": self.plan.max_tps,
            "verdict": self.verdict,
        }
        # What is as it always was is left out, so that what was approved before stays so.
        if self.plan.over_cap != "defer":
            bound["over_cap"] = self.plan.over_cap
        if any(self.plan.period):
            bound["period"] = [at and at.astimezone(UTC).isoformat() for at in self.plan.period]
        if self.plan.drill:
            bound["drill"] = True
        if self.plan.safety != UNSET:
            bound["safety"] = self.plan.safety.as_json()
        if self.plan.corrects is not None:
            bound["corrects"] = str(self.plan.corrects)
        if self.plan.legs:
            bound["legs"] = sorted(
                [str(leg.department_id), sorted(leg.areas)] for leg in self.plan.legs
            )
        if self.plan.leg_of is not None:
            bound["leg_of"] = str(self.plan.leg_of)
        if any(given := [self.plan.values, *(text.values for text in self.plan.more_texts)]):
            bound["values"] = [dict(values) for values in given]
        if self.plan.rollout is not None:
            bound["rollout"] = self.plan.rollout
        if self.further:
            bound["further"] = [
                words._asdict() | {"template_version_id": str(words.template_version_id)}
                for words in self.further
            ]
        return _canonical(bound)

    @property
    def hash(self) -> bytes:
        """SHA-256 over the canonical JSON."""
        return hashlib.sha256(self.canonical).digest()


def _canonical(bound: dict[str, object]) -> bytes:
    text = json.dumps(bound, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return text.encode()


class Move(NamedTuple):
    """One line of a campaign's record."""

    from_state: str
    to_state: str
    user_id: UUID | None
    reason: str
    at: datetime
    code: str


class CampaignSubmission(NamedTuple):
    """What a submission freezes: the editors, the count, and the hash that an approval binds.

    rule_editors: who wrote the rule or a segment that it uses; text_editors: any of the texts.
    findings: what lint said of each text.
    """

    content: Content
    text_edited_by: UUID
    rule_edited_by: UUID
    submitted_by: UUID
    submitted_at: datetime
    pending_until: datetime
    baseline: int
    rule_editors: list[UUID]
    text_editors: list[UUID]
    findings: Sequence[Sequence[Finding]]


class Run(NamedTuple):
    """One fire of a campaign, or a direct run, which has none.

    mode: real, or a test to an approver's phone, which no total counts.
    baseline: how many people the rule meant when it was submitted; target: when it fired.
    text_no: which of its campaign's texts it sends. follows, relation: the run that it follows from
        and how: step, resend, top_up, correction.
    """

    id: UUID
    kind: str
    mode: str
    campaign_id: UUID | None
    department_id: UUID
    fire_at: datetime
    state: str
    priority: str
    message_class: str
    baseline: int | None
    target: int | None
    valid_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    text_no: int
    follows: UUID | None
    relation: str | None


def check_move(act: Act, state: State) -> None:
    """Refuse an act that the table does not allow from this state.

    Raises:
        WrongState: says what state it is in and which the act needs.
    """
    if state not in MOVES[act][0]:
        raise WrongState(act, state)
