"""Telling people of duties: all steps of which a person is to be told by one kind of text are one.

A text is a direct run in the class `service`, of a template that two persons stand for: it has its
row in a ledger before it leaves, and send hours, suppressions, caps, quotas, holds and the pace of
its channel are those of every such text. Whoever reads it is the liaison or leader in charge of the
moment in which it is made.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import bare
from service.audience.numbers.prefix_store import prefixes_of
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.crypto import Keyring, Undecipherable
from service.dispatch.direct import direct, direct_bounds_store
from service.dispatch.direct.direct_people import DirectPeople, DirectPerson
from service.dispatch.direct.direct_send import routed
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.dispatch.direct.direct_values import GivenText
from service.duties import obligation_store, step_store
from service.duties.ladder import (
    BEFORE,
    MISSED_STEPS,
    OWED,
    TEXTS,
    DutyState,
    DutyStep,
    StepSkip,
    TextKind,
)
from service.duties.obligation_store import ChosenDutyText
from service.duties.step_store import UntoldStep
from service.duties.text_values import SAMPLE, UNIT, given_text, values_of
from service.errors import Invalid
from service.ledger.message_class import NOTICE
from service.messages.lint.lint_store import policy_get
from service.messages.lint.never_words import first_in
from service.messages.offers.offers import needs_no_approval
from service.messages.offers.withdrawal import TextWithdrawn, check_words_stand
from service.messages.policy import Policy
from service.messages.signature import head
from service.messages.store import Template, template_get
from service.storage.locks import try_lock_owing
from service.storage.postgres import (
    COLLISIONS,
    COUNT_SECONDS,
    Connection,
    Overtaken,
    Pool,
    transaction,
)

PEOPLE = 1_000
"""So many people are told in one transaction."""

MOST_TRIES = 20
"""So often one turn begins again since something was handed in meanwhile; the next turn goes on."""

VALIDITY = timedelta(hours=24)
"""How long a text may wait to be handed off; a reminder not beyond the deadline."""

log = logging.getLogger(__name__)


class _ToldBy(NamedTuple):
    """A text of the setter of duties, for one kind of step. ends_at: of what it reminds."""

    setter_id: UUID
    kind: TextKind
    ends_at: datetime | None


_Groups = dict[_ToldBy, dict[bytes, list[UntoldStep]]]
"""By text, and by the hash of the phone: of which steps it tells whom."""


async def tell(pool: Pool, keyring: Keyring, now: datetime) -> set[int]:
    """Tell everybody of the steps that were taken; returns the channels that have work now."""
    channels: set[int] = set()
    overtaken = 0
    while True:
        try:
            async with transaction(pool, seconds=COUNT_SECONDS) as conn:
                if not await try_lock_owing(conn):
                    return channels
                steps = await step_store.untold_steps(conn, PEOPLE)
                if not steps:
                    return channels
                channels |= await _tell(conn, keyring, steps, now)
        except COLLISIONS as error:
            overtaken += 1
            if overtaken > MOST_TRIES:
                raise
            log.info("duties are told again", extra={"why": str(error)})


async def _tell(
    conn: Connection, keyring: Keyring, steps: Sequence[UntoldStep], now: datetime
) -> set[int]:
    """Settle these steps, each by a text or by the reason why there is none.

    Raises:
        Overtaken: something was handed in at that moment, and one is not open any more; nothing is
            done.
    """
    skipped: dict[UntoldStep, str] = {}
    groups: _Groups = defaultdict(lambda: defaultdict(list))
    for step in steps:
        obstacle = _obstacle(step, now)
        if obstacle is not None or step.phone_hash is None:
            skipped[step] = obstacle or StepSkip.NOBODY
            continue
        kind = TEXTS[_step(step)]
        ends_at = step.due_at if kind is TextKind.REMINDER else None
        groups[_ToldBy(step.setter_id, kind, ends_at)][step.phone_hash].append(step)
    settled, channels = 0, set[int]()
    templates = await _templates(conn, {text.setter_id for text in groups})
    policy = await policy_get(conn)
    for text, people in _merged(groups).items():
        found = templates.get((text.setter_id, text.kind))
        if found is None or first_in(found[1].text, policy.never_words):
            skipped |= {one: StepSkip.NO_TEXT for steps_of in people.values() for one in steps_of}
            continue
        told = await _send(conn, keyring, text, found, people, policy, now)
        settled += told.settled
        skipped |= told.skipped
        channels |= told.channels
    settled += await step_store.settle_skipped(conn, skipped, now)
    if settled != len(steps):
        raise Overtaken(f"of {len(steps)} steps that were due, {settled} were settled")
    log.info("duties told", extra={"steps": len(steps), "skipped": len(skipped)})
    return channels


def _merged(groups: _Groups) -> _Groups:
    """One text a person and kind: what reminds of several deadlines is valid until the first."""
    merged: _Groups = defaultdict(lambda: defaultdict(list))
    first: dict[tuple[UUID, TextKind, bytes], datetime | None] = {}
    for text, people in groups.items():
        for phone in people:
            key, known = (text.setter_id, text.kind, phone), text.ends_at
            if key in first and known is not None:
                known = min(known, first[key] or known)
            first[key] = known
    for text, people in groups.items():
        for phone, steps in people.items():
            ends_at = first[text.setter_id, text.kind, phone]
            merged[text._replace(ends_at=ends_at)][phone] += steps
    return merged


def _obstacle(step: UntoldStep, now: datetime) -> StepSkip | None:
    """Why nobody is told of a step any more; None: somebody is."""
    if _step(step) in MISSED_STEPS:
        return None if step.state == DutyState.MISSED else StepSkip.HANDED_IN
    if step.state not in OWED:
        missed = step.state == DutyState.MISSED
        return StepSkip.OVERTAKEN if missed else StepSkip.HANDED_IN
    return StepSkip.OVERTAKEN if _step(step) in BEFORE and now >= step.due_at else None


def _step(step: UntoldStep) -> DutyStep:
    return DutyStep(step.step)


async def _templates(
    conn: Connection, setters: set[UUID]
) -> dict[tuple[UUID, TextKind], tuple[ChosenDutyText, Template]]:
    """The texts that may be sent for each kind of step; none without a second person's approval."""
    found = {}
    for chosen in await obligation_store.chosen_texts(conn, sorted(setters)):
        template = await template_get(conn, chosen.template_id, chosen.department_id)
        if template.info.message_class == NOTICE and await _stands(conn, template):
            found[chosen.department_id, chosen.kind] = (chosen, template)
    return found


async def _stands(conn: Connection, template: Template) -> bool:
    """Whether two persons stand for a text, and it was not withdrawn."""
    if template.taken_from is not None:
        try:
            await check_words_stand(conn, [template.version_id])
        except TextWithdrawn:
            return False
    return await needs_no_approval(conn, template)


class _Told(NamedTuple):
    settled: int
    skipped: Mapping[UntoldStep, str]
    channels: set[int]


async def _send(
    conn: Connection,
    keyring: Keyring,
    text: _ToldBy,
    found: tuple[ChosenDutyText, Template],
    people: Mapping[bytes, Sequence[UntoldStep]],
    policy: Policy,
    now: datetime,
) -> _Told:
    """Write the run of a text."""
    chosen, template = found
    given = await given_text(conn, text.setter_id, template.text, policy)
    named, refused = await asyncio.to_thread(_named, keyring, given, people)
    signature = bare(head(template.text))
    terms = await direct_bounds_store.read_terms(
        conn, text.setter_id, text.setter_id, now - VALIDITY, signature, list(named), now
    )
    if NOTICE not in terms.permits.classes or terms.lent:
        return _Told(0, _all(people, StepSkip.NO_SUCH_CLASS), set())
    skipped = {one: why for phone, why in refused.items() for one in people[phone]}
    if not named:
        return _Told(0, skipped, set())
    recipients = routed(keyring, await prefixes_of(conn, terms.block_table), terms, named)
    started = await direct.start(
        conn, _run(text, chosen, template, recipients, now), recipients, now
    )
    told = [(one, no) for phone, no in started.numbers.items() for one in people[phone]]
    skipped |= {one: why for phone, why in started.left_out.items() for one in people[phone]}
    settled = await step_store.settle_told(conn, told, started.run_id, now) if told else 0
    return _Told(settled, skipped, set(started.channels))


def _all(people: Mapping[bytes, Sequence[UntoldStep]], why: StepSkip) -> dict[UntoldStep, str]:
    return {one: why for steps in people.values() for one in steps}


def _named(
    keyring: Keyring, given: GivenText, people: Mapping[bytes, Sequence[UntoldStep]]
) -> tuple[DirectPeople, dict[bytes, str]]:
    """Who can be written to with which values, and who cannot; for a thread.

    What duties are called, and their times, are looked at here, once each. The name of a unit is
    looked at as any value is, when its text is handed off: thousands of them would take seconds.
    """
    named: DirectPeople = {}
    refused: dict[bytes, str] = {}
    checked: dict[tuple[str, ...], bool] = {}
    for place, (phone_hash, steps) in enumerate(people.items()):
        values = values_of(steps, given.wanted)
        usual = {name: SAMPLE[UNIT] if name == UNIT else value for name, value in values.items()}
        key = tuple(usual.values())
        if key not in checked:
            checked[key] = _fits(given, usual)
        try:
            phone = keyring.decrypt("phone", steps[0].phone_cipher or b"")
        except Undecipherable:
            refused[phone_hash] = StepSkip.NOBODY
            continue
        if not checked[key]:
            refused[phone_hash] = StepSkip.BAD_VALUES
            continue
        written = json.dumps(values, ensure_ascii=False) if given.wanted else None
        named[phone_hash] = DirectPerson(place, phone, written)
    return named, refused


def _fits(given: GivenText, values: Mapping[str, str]) -> bool:
    try:
        given.check(values)
    except Invalid:
        return False
    return True


def _run(
    text: _ToldBy,
    chosen: ChosenDutyText,
    template: Template,
    recipients: Sequence[Recipient],
    now: datetime,
) -> NewRun:
    return NewRun(
        kind="direct",
        department_id=text.setter_id,
        message_class=NOTICE,
        priority="normal",
        text=template.text,
        channels=sorted({one.channel_id for one in recipients if one.channel_id is not None}),
        send_hours=DEFAULT_HOURS,
        timezone=DEFAULT_TIMEZONE,
        valid_until=text.ends_at or now + VALIDITY,
        sent_by=chosen.set_by,
        template_version_id=template.version_id,
    )
