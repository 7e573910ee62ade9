"""What the service answers, and what it takes, as types.

Answers are dictionaries just as they came. The service may add members at any time and never
renames one; what is listed here is there. Instants are texts, RFC 3339 with an offset.

One module: it is a list to look things up in, and nothing is decided here.
"""

from typing import Any, Literal, NotRequired, TypedDict

MessageClass = Literal["public_interest", "service", "warning"]
Basis = Literal["duty", "contract_hr", "consent", "emergency"]
Way = Literal["paper", "online", "sms", "phone", "in_person"]
SuppressionReason = Literal["opted_out", "protected", "dead_number", "complaint"]
Priority = Literal["urgent", "normal", "bulk"]
Decision = Literal["delivered", "unknown", "resend", "not_sent"]
MessageState = Literal[
    "queued",
    "submitting",
    "submitted",
    "delivered",
    "undelivered",
    "expired",
    "rejected",
    "unknown",
    "uncertain",
    "suppressed",
    "cancelled",
]
CampaignState = Literal[
    "draft",
    "pending_approval",
    "returned",
    "rejected",
    "scheduled",
    "running",
    "paused",
    "held",
    "done",
    "cancelled",
]

OPEN: frozenset[str] = frozenset({"queued", "submitting", "submitted", "uncertain"})
"""States of a message that are not final."""


_Classed = TypedDict("_Classed", {"class": str})
_SchoolClass = TypedDict("_SchoolClass", {"class": str}, total=False)


class Recipient(TypedDict):
    """Somebody to be written to, with the values of the text's variables."""

    phone: str
    variables: NotRequired[dict[str, str]]


class RejectedRecipient(TypedDict):
    """Somebody who is not written to; `index` is the place in `to`, counted from 0."""

    index: int
    reason: str
    message: str


class Sent(TypedDict):
    """A direct send. ids: of each text, by the place of its recipient in `to`; None: rejected."""

    run_id: str
    accepted: int
    rejected: list[RejectedRecipient]
    ids: list[str | None]


class Plain(TypedDict):
    """A sentence for people."""

    zh: str
    en: str


class Message(TypedDict):
    """One row of the ledger of a run; the phone is masked."""

    id: str
    no: int
    phone: str | None
    state: MessageState
    reason: str | None
    code: str | None
    carrier: str
    area_code: str | None
    area_name: str | None
    attempt: int
    part_count: int | None
    submitted_at: str | None
    final_at: str | None


class MessageStatus(Message):
    """What became of one text, also in words."""

    run_id: str
    plain: Plain


class SentText(_Classed):
    """A text to a number, or a broadcast that left it out (`id` None, `state` left_out)."""

    id: str | None
    run_id: str
    campaign_id: str | None
    text: str
    created_at: str
    state: MessageState | Literal["left_out"]
    reason: str | None
    submitted_at: str | None
    final_at: str | None
    plain: Plain


class Stopped(TypedDict):
    """Why texts of some classes that you would send do not go to a number now."""

    reason: str
    classes: list[str]
    since: str
    until: str | None
    plain: Plain


class SentTo(TypedDict):
    """The latest texts to a number, from new to old, and what is stopped to it."""

    phone: str
    items: list[SentText]
    stopped: list[Stopped]


class CancelledSend(TypedDict):
    """A send that was called back: all its texts are one of the four."""

    run_id: str
    state: str
    cancelled: int
    stopped: int
    left: int
    leaving: int


class Unmasked(TypedDict):
    """A person in full, and the id under which it is noted that you saw it."""

    phone: str
    name: str | None
    disclosure_id: str


class Statuses(TypedDict):
    """The texts asked for, and those that are not there, or not yours."""

    items: list[MessageStatus]
    not_found: list[str]


class ImportAccepted(TypedDict):
    """A file that waits to be read."""

    id: str
    state: str


class Import(ImportAccepted):
    """A file, with its report once it has been read."""

    roster: str
    file_name: str
    dry_run: bool
    rows_read: int
    report: dict[str, Any] | None
    area_names: dict[str, str]
    created_at: str
    finished_at: str | None


class Undo(TypedDict):
    """An import that is being taken back."""

    id: str


class Rows(TypedDict):
    """What became of rows; read = accepted + rejected + duplicate + skipped."""

    read: int
    accepted: int
    rejected: int
    duplicate: int
    skipped: int


class MembersChange(TypedDict):
    """What a new list changed of a roster."""

    import_id: str
    roster_id: str
    added: int
    changed: int
    left: int
    rows: Rows
    rejected: dict[str, int]
    warnings: dict[str, int]


class Member(_SchoolClass, total=False):
    """One person of a roster; all but `phone` may be left out. `class` is a school class."""

    phone: str
    name: str
    gender: str
    age: str | int
    age_band: str
    area: str | int
    area_code: str | int
    town: str
    village: str
    roles: list[str]
    org: str
    org_type: str
    school: str
    college: str
    office: str
    grade: str
    guardian_of: str
    wechat: str
    carrier: str
    consent_basis: str
    source_dept: str
    valid_until: str
    note: str
    tags: list[str]


class Evidence(TypedDict, total=False):
    """What shows a consent: where it is kept, its day, who asked for it, in which way, and the
    wording with its version. The first two are needed.
    """

    evidence: str
    evidence_on: str
    evidence_by: str
    evidence_how: Way
    evidence_form: str


class Roster(TypedDict):
    """An imported list."""

    id: str
    name: str
    basis: str
    expires_on: str
    expired: bool
    contacts: int


class Person(TypedDict):
    """Somebody, masked."""

    phone: str
    name: str
    area: str
    carrier: str | None


class Preview(TypedDict):
    """Whom a rule means right now, and who is left out and why."""

    target: int
    by_area: dict[str, int]
    area_names: dict[str, str]
    by_carrier: dict[str, int]
    by_role: dict[str, int]
    excluded: dict[str, int]
    not_known: list[str]
    ended: int
    sample: list[Person]


class Explanation(TypedDict):
    """A rule in plain words."""

    canonical: str
    english: str
    chinese: str


class Segment(TypedDict):
    """A saved rule."""

    id: str
    name: str
    rule: str
    canonical: str


class Finding(TypedDict):
    """What a rule of lint found; `at` is the character, counted from 1."""

    rule: str
    level: str
    message: str
    at: int


class _Judged(TypedDict):
    """Everything that lint has to say."""

    lint: list[Finding]


class Linted(_Judged):
    """How a text travels once its variables have ordinary values, and what lint says."""

    characters: int
    encoding: str
    parts: int
    variables: list[str]


class TakenFrom(TypedDict):
    """Whose words a text has, and what has become of them there."""

    offer_id: str
    department_id: str
    department: str
    version: int
    direct: bool
    news: Literal["withdrawn", "corrected", "revised"] | None
    newer_offer_id: str | None


class Template(_Classed, _Judged):
    """A template with its latest version."""

    id: str
    name: str
    topic: str
    language: str
    text: str
    version: int
    characters: int
    encoding: str
    parts: int
    variables: list[str]
    approved_by: str | None
    taken_from: TakenFrom | None
    withdrawn: bool


class TextVersion(_Judged):
    """One version of a template, which never changes."""

    id: str
    version: int
    text: str
    edited_by: str
    edited_at: str
    approved_by: str | None
    approved_at: str | None
    approved_lint: list[Finding] | None
    taken_from: str | None
    withdrawn: bool


class Taker(TypedDict):
    """A copy of an offer; `current`: it is the latest version of its template."""

    department_id: str
    department: str
    template_id: str
    version_id: str
    taken_at: str
    current: bool


class Offer(_Classed, _Judged):
    """A version of a text that is offered to other departments."""

    id: str
    template_id: str
    department_id: str
    department: str
    name: str
    topic: str
    language: str
    version: int
    text: str
    your_text: str | None
    kinds: list[str]
    department_ids: list[str]
    direct: bool
    correction: bool
    note: str
    offered_by: str
    offered_at: str
    replaces: str | None
    replaced_by: str | None
    withdrawn_at: str | None
    withdrawn_why: str | None
    stops: bool
    taken: list[Taker]


class WithdrawnOffer(Offer):
    """An offer that was withdrawn, with the campaigns and direct sends that this has stopped."""

    paused: list[str]
    cancelled: list[str]


LateChoice = Literal["run", "hold", "skip"]


class Schedule(TypedDict, total=False):
    """When a campaign fires, and what limits its texts; left out: at once, 08:00 to 20:00."""

    kind: Literal["now", "once", "recurring"]
    start_at: str | None
    rrule: str | None
    until: str | None
    timezone: str
    send_hours: list[list[str]]
    late: LateChoice
    hold_following: bool
    validity_minutes: int


class FireRecord(TypedDict):
    """What became of a fire; `held`: it waits for a release, `missed`: nothing was decided yet."""

    planned_at: str
    outcome: Literal["fired", "skipped", "held", "missed", "shared"]
    code: str
    plain: Plain
    run_id: str | None
    released_at: str | None
    at: str
    others: int | None
    people: int | None


class Move(TypedDict):
    """One step of a campaign's life; without a user it was the clock's."""

    from_state: str
    to_state: str
    user_id: str | None
    reason: str
    at: str
    code: str


class Act(TypedDict):
    """Something that a person may do, whether you could do it now, and why not."""

    act: str
    allowed: bool
    code: str | None
    plain: Plain | None


class Campaign(_Classed):
    """A plan."""

    id: str
    name: str
    template_id: str
    segment_id: str | None
    corrects: str | None
    values: dict[str, str]
    priority: str
    state: CampaignState
    next_fire_at: str | None
    submitted_by: str | None
    approved_by: str | None
    baseline: int | None


class SameWords(TypedDict):
    """Whose text has the same words; no name: another department's, or a direct send."""

    campaign_id: str | None
    name: str | None
    department: str
    people: int


class FireForecast(TypedDict):
    """What a fire to come will amount to."""

    fires_at: str
    text_no: int
    target: int
    excluded: dict[str, int]
    waits: int
    stopped: int
    same_text: list[SameWords]
    exact: bool


class Forecast(TypedDict):
    """The fires to come, and how many other plans were not looked at."""

    fires: list[FireForecast]
    plans_left_out: int


class TextNews(TypedDict):
    """What has become of a text of a plan where it was taken over from."""

    template_id: str
    offer_id: str
    code: Literal["withdrawn", "corrected", "revised"]
    since: str
    newer_offer_id: str | None
    plain: Plain


class CampaignDetail(Campaign):
    """A plan with everything that happened to it."""

    moves: list[Move]
    schedule_notes: list[str]
    text_news: list[TextNews]
    forecast: Forecast | None
    held_fires: list[FireRecord]
    decided_fires: list[FireRecord]
    acts: list[Act]


class CampaignPreview(Preview):
    """Whom a campaign would reach now, and one text as it will read."""

    lint: list[Finding]
    parts: int
    text: str
    forecast: Forecast


class Started(TypedDict):
    """A run that has begun."""

    run_id: str


class Run(_Classed):
    """One fire of a campaign, or a direct run; `target` is null until its ledger is written."""

    id: str
    kind: str
    mode: str
    campaign_id: str | None
    state: Literal["expanding", "running", "paused", "sent", "cancelled"]
    target: int | None
    fire_at: str
    text_no: int
    follows: str | None
    relation: Literal["step", "resend", "top_up", "correction"] | None
    started_at: str | None
    finished_at: str | None


class RunDetail(Run):
    """A run, and what you could do with it now."""

    acts: list[Act]


class Missed(TypedDict):
    """Whom a run has not reached, by reason: whom its text may be sent to again, and whom not."""

    again: dict[str, int]
    not_again: dict[str, int]


class Group(TypedDict):
    """The figures of one carrier, town or role."""

    target: int
    reached: int
    states: dict[MessageState, int]


class AreaGroup(Group):
    """The figures of one town."""

    area_name: str | None


class Report(TypedDict):
    """What a run amounts to; target = Σ states. Reached means: a receipt says delivered."""

    run_id: str
    campaign_id: str | None
    state: str
    target: int
    excluded: dict[str, int]
    states: dict[MessageState, int]
    reached: int
    by_carrier: dict[str, Group]
    by_area: dict[str, AreaGroup]
    by_role: dict[str, Group]
    by_reason: dict[str, int]
    parts: int
    started_at: str | None
    finished_at: str | None


class Suppression(TypedDict):
    """A number that is not sent texts of some classes; which number is not told.

    department_id: whose work notices alone are stopped; None: everybody's.
    """

    id: str
    reason: str
    classes: list[MessageClass]
    note: str
    created_at: str
    expires_at: str | None
    department_id: str | None
    department: str | None


class NewSuppression(Suppression):
    """A suppression with the masked number; `is_new`: it was not there before."""

    phone: str
    is_new: bool


class SuppressionEntry(TypedDict):
    """Numbers that somebody entered at once. state: `waits` for a second person of the county,
    `counts`, or was `dropped`.
    """

    id: str
    department_id: str
    department: str
    entered_by: str
    entered_at: str
    reason: str
    classes: list[str]
    numbers: int
    state: Literal["counts", "waits", "dropped"]


class Suppressed(TypedDict):
    """What became of a request to suppress numbers. waiting: they are many, and stop nothing until
    a second person of the county lets them count; None: they count.
    """

    added: int
    items: list[NewSuppression]
    waiting: SuppressionEntry | None


class Doubt(_Classed):
    """A text that may have left and has no answer."""

    id: str
    run_id: str
    channel_id: int
    channel: str
    phone: str
    attempt: int
    marked_at: str
    may_decide_at: str


class Skipped(TypedDict):
    """A hand-off that was left as it was."""

    id: str
    reason: str


class Decided(TypedDict):
    """What became of a decision; without an id nothing was decided."""

    decision_id: str | None
    decided: int
    skipped: int
    items: list[Skipped]


class Channel(TypedDict):
    """A way out."""

    id: int
    name: str
    kind: str
    simulated: bool
    carriers: list[str]
    tps: int | None
    enabled: bool
    waits_since: str | None
    held_until: str | None
    held_why: str


class Connection(TypedDict):
    """One connection of a channel."""

    slot: int
    state: str
    note: str
    lost_at: str | None
    lost_how: str | None
    lost_why: str
    lived_ms: int | None
    losses: int
    losing_since: str | None


class Hint(TypedDict):
    """Something about a channel that a person should look at."""

    name: str
    plain: Plain
    since: str
    receipts: int
    setting: str | None
    now: str | None
    fitting: str | None


class ChannelHealth(TypedDict):
    """How a channel is doing; `plain` says in words how its connections do."""

    plain: Plain
    connections: list[Connection]
    next_login_at: str | None
    hints: list[Hint]
    queued_estimate: int
    state: str
    why: str
    since: str | None


class WaitReason(TypedDict):
    """Why something waits other than for its turn."""

    name: str
    until: str | None
    detail: str


class Waiting(TypedDict):
    """What waits of one class; an expected wait that nobody can know is null."""

    priority: str
    messages: int
    paused: int
    parts: int | None
    expected_wait_seconds: int | None
    reasons: list[WaitReason]


class ChannelQueue(TypedDict):
    """What waits on a channel, by class, and what holds all of it."""

    tps: int | None
    rate: float | None
    reasons: list[WaitReason]
    classes: list[Waiting]


class MissingTexts(TypedDict):
    """How many texts a connection has handed off that a restored database does not know of."""

    channel_id: int
    channel: str
    slot: int
    texts: int


class Stop(TypedDict):
    """One stop of everything. missing, gap_from: of a restored database; None: nobody knows."""

    id: int
    cause: str
    reason: str
    stopped_at: str
    lifted_at: str | None
    missing: list[MissingTexts] | None
    gap_from: str | None


class Stand(TypedDict):
    """Whether everything is stopped, and by which stop.

    queued_before: of a restored database, how many texts are queued that may have left.
    """

    stopped: bool
    stop: Stop | None
    queued_before: int | None


class WorkItem(TypedDict):
    """One thing that waits; `id`: of the campaign, the channel, the stop, the hold or the user.

    proposal_id: what a second person confirms. reason: why a department returned its leg.
    """

    id: str
    name: str
    department_id: str | None
    department: str | None
    planned_at: str | None
    since: str | None
    code: str
    others: int | None
    people: int | None
    proposal_id: str | None
    reason: str | None
    plain: Plain


class WorkKind(TypedDict):
    """What waits of one kind; `items`: the oldest hundred."""

    kind: str
    plain: Plain
    count: int
    oldest: str | None
    items: list[WorkItem]


class Lifted(Stand):
    """A stop that is over, and what was held meanwhile: each waits for its own release.

    uncertain: how many texts became uncertain by it.
    """

    held: list[WorkItem]
    uncertain: int


EventType = Literal[
    "message.final",
    "run.finished",
    "inbound.received",
    "import.finished",
    "quota.warning",
    "webhook.disabled",
    "stop_all.stopped",
    "stop_all.lifted",
    "campaign.held",
    "campaign.released",
    "campaign.paused",
    "campaign.resumed",
    "campaign.returned",
    "campaign.reopened",
    "campaign.not_firing",
    "fire.held",
    "fire.released",
    "fire.missed",
    "fire.skipped",
    "fire.late",
    "fire.leg_left_out",
    "leg.asked",
    "leg.withdrawn",
    "leg.taken",
    "leg.returned",
    "leg.left_out",
    "leg.cancelled",
    "channel.shut",
    "channel.recovered",
    "text.revised",
    "text.corrected",
    "text.withdrawn",
    "bulletin.issued",
    "followup.closed",
    "duty.late",
    "report.built",
]
DeliveryState = Literal["waiting", "delivered", "given_up"]


class Webhook(TypedDict):
    """An address that is called; `run_calls_back`: a direct send named it as its callback_url."""

    id: str
    url: str
    events: list[str]
    run_calls_back: bool
    created_at: str
    failing_since: str | None
    disabled_at: str | None
    disabled_why: str | None


class NewWebhook(Webhook):
    """A webhook just made, with its secret, which is shown this once."""

    secret: str


class Delivery(TypedDict):
    """One event and its calls; `status` and `error` are of the last one."""

    event_id: str
    type: str
    at: str
    state: DeliveryState
    attempt: int
    next_at: str | None
    status: int | None
    error: str | None


class Me(TypedDict):
    """As whom a key acts; `may`: what it may, within its scopes."""

    id: str
    department_id: str
    login: str
    name: str
    roles: list[str]
    may: list[str]


class Key(TypedDict):
    """A key, without its token."""

    id: str
    user_id: str
    name: str
    state: str
    mode: str
    scopes: list[str] | None
    created_at: str
    expires_at: str | None
    last_used_at: str | None


class AuditEntry(TypedDict):
    """Something that was done; it holds ids, hashes and counts, and no personal data."""

    id: str
    at: str
    via: str
    actor_id: str | None
    action: str
    object_kind: str | None
    object_id: str | None
    details: dict[str, Any]


class TrailCheck(TypedDict):
    """A check of the whole audit trail: `done` of `total`, and what it `found` once it has ended.

    state: waiting, running, done, failed or broken_off (its process has ended).
    """

    id: str
    state: str
    plain: Plain
    done: int
    total: int | None
    head: str | None
    began_at: str
    ended_at: str | None
    found: dict[str, Any] | None


class CampaignReport(TypedDict):
    """A plan by week and carrier: target = reached + failed + unknown + stopped + open, always."""

    total: dict[str, Any]
    by_carrier: dict[str, Any]
    by_topic: dict[str, Any]
    legs: list[dict[str, Any]]
    weeks: list[dict[str, Any]]
