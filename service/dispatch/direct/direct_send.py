"""A department's direct send: one text to people whom it names, at once, without a campaign.

It must not become a way round the two persons of a campaign. So a template's version
must have been approved by a second person; words of one's own take the right `send:text`, which two
persons grant, are of the class `service`, and pass lint without a finding that blocks or asks for a
review, at the shipped levels or stricter ones, whatever the county has set; values are short, and
are linted so in their places; a warning is never sent so; and in any 24 hours a sender names no
more people than its department allows.

A recipient who cannot be written to is refused by name and holds up nobody else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from service.accounts.departments.department import SignatureLent, bare
from service.accounts.keys.key import Mode
from service.audience.numbers.prefix import Prefixes, is_synthetic
from service.audience.numbers.prefix_store import prefixes_of
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.channels.routing.route import routes
from service.crypto import Keyring
from service.dispatch.compose import VARIABLES
from service.dispatch.direct import direct, direct_bounds_store
from service.dispatch.direct.direct_bounds_store import DirectTerms
from service.dispatch.direct.direct_people import (
    DirectNumber,
    DirectPeople,
    DirectPerson,
    Named,
    RefusedRecipient,
    read_direct_number,
    sort_out,
)
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.direct.direct_values import GivenText
from service.errors import Conflict, Forbidden, Invalid
from service.ledger.message_class import NOTICE, WARNING
from service.ledger.reasons import words_of
from service.messages.lint.lint import of_level
from service.messages.lint.lint_store import sender_get
from service.messages.lint.never_words import first_in
from service.messages.lint.verdict import judge
from service.messages.policy import Policy, for_unread_words
from service.messages.policy import TextSender as Writer
from service.messages.signature import head
from service.messages.template import variables
from service.storage.postgres import Connection
from service.words.phrase import listing, pair, phrase

DAY = timedelta(hours=24)
"""The span of the limit, and how long a direct send is valid."""

_NOBODY = Writer("", "")
"""Whose a text without variables is, for its values."""


@dataclass(frozen=True, slots=True)
class DirectText:
    """What is said. template_version_id: where it comes from; None: words of the caller's own.

    approved: whether a second person has approved that version, here or where it was taken from.
    """

    text: str
    message_class: str
    template_version_id: UUID | None = None
    approved: bool = False


@dataclass(frozen=True, slots=True)
class DirectSender:
    """Who sends. id: the key, or the user without one.

    key_mode, area_codes, rosters: of the key; None: whoever is named.
    """

    id: UUID
    user_id: UUID
    department_id: UUID
    key_mode: Mode = Mode.LIVE
    area_codes: Sequence[str] | None = None
    rosters: Sequence[str] | None = None


@dataclass(frozen=True, slots=True)
class Sent:
    """What a direct send came to; `accepted` people have a row in the ledger of the run.

    run_id: None if nobody is left to be looked up; then there is no run. With a run and `accepted`
    0, everybody was left out there, such as by an opt-out: the caller rolls it back. numbers: in
    the ledger, by the place in the list of those who were named, from 0.
    """

    run_id: UUID | None
    accepted: int
    refused: Sequence[RefusedRecipient]
    channels: Sequence[int] = ()
    numbers: Mapping[int, int] = field(default_factory=dict)


async def send(
    conn: Connection,
    keyring: Keyring,
    sender: DirectSender,
    words: DirectText,
    named: Sequence[Named],
    webhook_id: UUID | None,
    now: datetime,
) -> Sent:
    """Write the run of a direct send; must run in a transaction.

    Raises:
        Forbidden: code `needs_campaign`: more people in 24 hours than the department allows.
        Invalid: the text cannot be sent so, or the department may not send such texts.
        SignatureLent: the text begins with the signature of another department.
    """
    check_words(words)
    numbers = [read_direct_number(keyring, index, one.phone) for index, one in enumerate(named)]
    phones = list({number.phone_hash for number in numbers if isinstance(number, DirectNumber)})
    terms = await direct_bounds_store.read_terms(
        conn, sender.department_id, sender.id, now - DAY, bare(head(words.text)), phones, now
    )
    given = await _given(conn, sender, words, terms.policy)
    people, refused = await sort_out(conn, given, numbers, named)
    _check_terms(terms, words)
    if words.template_version_id is None:
        await _check_lint(conn, sender, words.text)
    refused += await _out_of_bounds(conn, sender, terms, people)
    if not people:
        return Sent(None, 0, refused)
    _check_limit(terms, len(people))
    recipients = routed(keyring, await prefixes_of(conn, terms.block_table), terms, people)
    new = _run(sender, words, recipients, webhook_id, now)
    started = await direct.start(conn, new, recipients, now)
    ledger = {people[phone_hash].place: no for phone_hash, no in started.numbers.items()}
    for phone_hash, reason in started.left_out.items():
        index = people[phone_hash].place
        refused.append(_left_out(index, reason))
    refused.sort(key=lambda r: r.index)
    return Sent(started.run_id, started.target, refused, sorted(started.channels), ledger)


def _left_out(index: int, reason: str) -> RefusedRecipient:
    return RefusedRecipient(index, reason, pair(*words_of(reason)))


def _check_terms(terms: DirectTerms, words: DirectText) -> None:
    """Refuse what the department may not send."""
    if words.message_class not in terms.permits.classes:
        raise Invalid.at(
            "class",
            phrase(
                "the department may not send texts of class {message_class}",
                message_class=words.message_class,
            ),
            code="class_not_allowed",
        )
    if terms.lent:
        raise SignatureLent(head(words.text))


async def _out_of_bounds(
    conn: Connection, sender: DirectSender, terms: DirectTerms, people: DirectPeople
) -> list[RefusedRecipient]:
    """Take out whom the department or the key may not send to, if it is bound at all."""
    guests_only = sender.key_mode is Mode.TRIAL
    bounds = (terms.area_code, sender.area_codes, sender.rosters)
    if not guests_only and all(bound is None for bound in bounds):
        return []
    reasons = await direct_bounds_store.out_of_bounds(
        conn,
        sender.department_id,
        list(people),
        guests_only=guests_only,
        area_codes=sender.area_codes,
        rosters=sender.rosters,
    )
    return [
        _left_out(people.pop(phone_hash).place, reason) for phone_hash, reason in reasons.items()
    ]


def check_words(words: DirectText) -> None:
    """Refuse what may not be sent without a campaign, whoever asks.

    Raises:
        Invalid: names the rule and the remedy.
        Conflict: code `template_not_approved`.
    """
    if words.message_class == WARNING:
        raise Invalid.at(
            "class",
            phrase("a warning is sent by a campaign, which two persons release"),
            code="needs_campaign",
        )
    if words.template_version_id is not None:
        if not words.approved:
            raise Conflict(
                phrase(
                    "the latest version of the template is not approved yet; somebody else"
                    " than its author approves it: POST /templates/{{template_id}}/approve"
                ),
                code="template_not_approved",
            )
        return
    if words.message_class != NOTICE:
        raise Invalid.at(
            "class",
            phrase(
                "words of your own may only be of the class service; else take an approved template"
            ),
            code="needs_template",
        )
    if names := variables(words.text):
        raise Invalid.at(
            "text",
            phrase(
                "words of your own have no variables; write out {{{name}}}, or take a template",
                name=names[0],
            ),
        )


async def _given(
    conn: Connection, sender: DirectSender, words: DirectText, policy: Policy
) -> GivenText:
    """The text, to look at the values that are given for it.

    Raises:
        Invalid: code `text_blocked`: it has a word that became a never-word since its approval.
    """
    text = words.text
    if words.approved and (word := first_in(text, policy.never_words)):
        raise Invalid.at(
            "text",
            phrase(
                "the text has a word that must never be used now: {word}; say it otherwise",
                word=word,
            ),
            code="text_blocked",
        )
    if not variables(text):
        return GivenText(text, sender.department_id, _NOBODY, policy)
    whose = await sender_get(conn, sender.department_id, head(text).strip("【】"))
    return GivenText(text, sender.department_id, whose, for_unread_words(policy))


async def _check_lint(conn: Connection, sender: DirectSender, text: str) -> None:
    """Refuse words of one's own with findings of level `block` or `review`, for nobody else reads
    them.
    """
    findings = await judge(conn, sender.department_id, text, NOTICE, unread=True)
    if found := of_level(findings, "block", "review"):
        raise Invalid.at(
            "text",
            listing((listing((one["rule"], one["message"]), ": ") for one in found), "; "),
            code="text_blocked",
        )


def _run(
    sender: DirectSender,
    words: DirectText,
    recipients: Sequence[Recipient],
    webhook_id: UUID | None,
    now: datetime,
) -> NewRun:
    return NewRun(
        kind="direct",
        department_id=sender.department_id,
        message_class=words.message_class,
        priority="normal",
        text=words.text,
        channels=sorted({r.channel_id for r in recipients if r.channel_id is not None}),
        send_hours=DEFAULT_HOURS,
        timezone=DEFAULT_TIMEZONE,
        valid_until=now + DAY,
        sent_by=sender.user_id,
        sender_id=sender.id,
        template_version_id=words.template_version_id,
        webhook_id=webhook_id,
        key_mode=sender.key_mode,
    )


def _check_limit(terms: DirectTerms, people: int) -> None:
    """Refuse more people than there is room for. What is sent at the same time is not seen here:
    that is for the commit, after which this is asked again.
    """
    if terms.used + people > terms.limit:
        raise Forbidden(
            phrase(
                "direct sends reach at most {limit} people in 24 hours, and this key has sent to"
                " {used}; for {people} more plan a campaign, which a second person approves",
                limit=terms.limit,
                used=terms.used,
                people=people,
            ),
            code="needs_campaign",
        )


def routed(
    keyring: Keyring, prefixes: Prefixes, terms: DirectTerms, people: DirectPeople
) -> list[Recipient]:
    """Each with the channel that its number takes, if any does.

    Where only a channel of the other kind would do (simulated or real), it is named all the same:
    the ledger refuses it with that reason (invariant I12).
    """
    by_prefix = {h: prefixes.carrier_of(person.phone) or "" for h, person in people.items()}
    carriers = {**by_prefix, **terms.overrides}
    allowed = terms.permits.channels_of(None)
    found = routes(terms.channels, allowed, set(carriers.values()), base=terms.base)
    channel_of = {(route.carrier, route.simulated): route.channel_id for route in found}

    def to_recipient(phone_hash: bytes, person: DirectPerson) -> Recipient:
        carrier, synthetic = carriers[phone_hash], is_synthetic(person.phone)
        return Recipient(
            phone_hash,
            keyring.encrypt("phone", person.phone),
            by_prefix[phone_hash],
            synthetic,
            channel_of.get((carrier, synthetic), channel_of.get((carrier, not synthetic))),
            keyring.encrypt(VARIABLES, person.values) if person.values is not None else None,
        )

    return [to_recipient(phone_hash, person) for phone_hash, person in people.items()]
