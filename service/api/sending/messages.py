"""Direct sends, and what became of one text: who asks sees the own department's only."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field, StringConstraints, model_validator

from service.accounts.people.model import Right
from service.api.audience.people import need_people
from service.api.http.call import Call
from service.api.http.schema import Body, Line, Out, PlainOut, Text, TranslatedText
from service.api.sending.runs import MessageOut, need_own, sender_id
from service.api.webhooks import webhooks
from service.api.webhooks.webhooks import WebAddress
from service.campaigns.core import run_store
from service.dispatch.direct import direct_send, direct_store
from service.dispatch.direct.direct_people import Named
from service.dispatch.direct.direct_send import DirectSender, DirectText
from service.dispatch.failover.channel_monitor import limits_of
from service.errors import Conflict, Invalid, NotFound
from service.ledger.message_class import NOTICE, PUBLICITY, MessageClass
from service.ledger.message_id import PATTERN, MessageKey, parse_message_id
from service.ledger.states import MessageState
from service.messages import store as templates
from service.messages.offers.offers import needs_no_approval
from service.messages.offers.withdrawal import check_words_stand
from service.messages.template import variables
from service.messages.value_sources import POLICE_VARIABLES
from service.queue import Job
from service.reports import explanations, progress
from service.reports.waiting_reasons import why_they_wait
from service.words.phrase import Sentence, listing, phrase
from service.words.terms import term

MOST_RECIPIENTS = 1_000
MessageId = Annotated[str, StringConstraints(pattern=f"^{PATTERN}$")]


class RecipientBody(Body):
    """Somebody to be written to, with the values of the text's variables."""

    phone: Line
    variables: dict[Line, Text] = Field(default_factory=dict, max_length=6)


class SendBody(Body):
    """One text to people who are named: an approved template, or words of your own."""

    to: list[Line | RecipientBody] = Field(min_length=1, max_length=MOST_RECIPIENTS)
    template_id: UUID | None = None
    text: Text | None = Field(default=None, min_length=1)
    message_class: MessageClass | None = Field(
        default=None,
        alias="class",
        description="Of words of your own: service. A template has its own.",
    )
    callback_url: WebAddress | None = Field(
        default=None,
        description="Is called when each text is final; see webhooks. It becomes a webhook, takes"
        " the right to manage them, and counts as one.",
    )

    @model_validator(mode="after")
    def _one_text(self) -> "SendBody":
        if (self.template_id is None) == (self.text is None):
            raise ValueError(phrase("give either template_id or text"))
        return self


class RejectedOut(Out):
    """A recipient who is not written to; `index` is the place in `to`, counted from 0."""

    index: int
    reason: str
    message: TranslatedText


class SendOut(Out):
    """A direct send: `accepted` people have a row in the ledger of the run."""

    run_id: UUID
    accepted: int
    rejected: list[RejectedOut]
    ids: list[str | None] = Field(
        description="Of each text, by the place of its recipient in `to`; null: rejected."
    )


class StatusOut(MessageOut):
    """One text with what became of it, in words."""

    run_id: UUID
    plain: PlainOut


class IdsBody(Body):
    """Which texts."""

    ids: list[MessageId] = Field(min_length=1, max_length=MOST_RECIPIENTS)


class StatusesOut(Out):
    """The texts asked for in the order asked; those that are not there, or not yours, are named."""

    items: list[StatusOut]
    not_found: list[str]


async def send_messages(call: Call, body: SendBody) -> SendOut:
    """Send a text to up to 1,000 people who are named; for more, plan a campaign."""
    words = await _words(call, body)
    named = [
        Named(one, {}) if isinstance(one, str) else Named(one.phone, one.variables)
        for one in body.to
    ]
    webhook_id = await webhooks.for_callback(call, body.callback_url)
    sent = await direct_send.send(
        call.conn, call.runtime.keyring, _sender(call), words, named, webhook_id, call.now
    )
    if sent.run_id is None or not sent.accepted:  # a run of nobody is not kept
        raise Invalid(
            phrase("none of the {count} recipients can be written to", count=len(named)),
            fields={f"to.{refused.index}": refused.message for refused in sent.refused},
            code="nobody_accepted",
        )
    call.note("runs", sent.run_id, accepted=sent.accepted, rejected=len(sent.refused))
    for channel_id in sent.channels:
        call.after_commit(Job.DRAIN_CHANNEL, channel_id)
    return SendOut(
        run_id=sent.run_id,
        accepted=sent.accepted,
        rejected=[RejectedOut.model_validate(refused) for refused in sent.refused],
        ids=[
            f"{sent.run_id}.{sent.numbers[index]}" if index in sent.numbers else None
            for index in range(len(body.to))
        ],
    )


def _sender(call: Call) -> DirectSender:
    """Who sends, within the limits of the key."""
    user, key = call.user, call.key
    if key is None:
        return DirectSender(sender_id(call), user.id, user.department_id)
    grant = key.grant
    return DirectSender(
        sender_id(call), user.id, user.department_id, grant.mode, grant.area_codes, grant.rosters
    )


async def get_message(call: Call, message_id: str) -> StatusOut:
    """Say what became of one text."""
    run_id, no = _parsed(message_id)
    found = await _statuses(call, run_id, [no])
    if not found:
        raise NotFound(phrase("there is no message {message_id}", message_id=message_id))
    return found[0]


async def get_statuses(call: Call, body: IdsBody) -> StatusesOut:
    """Say what became of up to 1,000 texts."""
    wanted: dict[UUID, list[int]] = {}
    for message_id in body.ids:
        run_id, no = _parsed(message_id)
        wanted.setdefault(run_id, []).append(no)
    found = {
        status.id: status
        for run_id, nos in wanted.items()
        for status in await _statuses(call, run_id, nos)
    }
    ids = list(dict.fromkeys(body.ids))
    return StatusesOut(
        items=[found[message_id] for message_id in ids if message_id in found],
        not_found=[message_id for message_id in ids if message_id not in found],
    )


async def cancel_message(call: Call, message_id: str) -> StatusOut:
    """Cancel one text of a direct send that has not begun to leave.

    Whoever may cancel campaigns may; a key that may only send, what it has sent itself.
    """
    status = await get_message(call, message_id)
    run_id, no = _parsed(message_id)
    run = await run_store.get_run(call.conn, run_id, call.user.scope)
    if run is None or run.kind != "direct":
        raise Conflict(phrase("it belongs to a campaign; cancel the campaign"), code="not_direct")
    await need_own(call, run_id)
    if not await direct_store.cancel_message(call.conn, run_id, no, call.now):
        raise Conflict(
            phrase(
                "it is {state} and cannot be called back: {why}",
                state=term(status.state),
                why=Sentence(status.plain.zh, status.plain.en),
            ),
            code="has_left",
        )
    return await get_message(call, message_id)


async def _words(call: Call, body: SendBody) -> DirectText:
    """What is to be said, if the caller may say it."""
    if body.template_id is None:
        call.user.need(Right.SEND_TEXT)
        return DirectText(body.text or "", body.message_class or NOTICE)
    template = await templates.template_get(call.conn, body.template_id, call.user.scope)
    message_class = template.info.message_class
    if body.message_class not in {None, message_class}:
        raise Invalid.at(
            "class",
            phrase(
                "the template is of the class {message_class}; leave the class out",
                message_class=message_class,
            ),
        )
    if template.withdrawn_offer is not None:
        await check_words_stand(call.conn, [template.version_id])
    figures = sorted(POLICE_VARIABLES & set(variables(template.text)))
    if message_class == PUBLICITY and figures:
        raise Invalid.at(
            "template_id",
            phrase(
                "{names} are figures on cases, which are taken from a bulletin and not typed: plan"
                " a campaign with figures_from, or take a text without",
                names=listing(figures),
            ),
            code="figure_typed",
        )
    approved = await needs_no_approval(call.conn, template)
    return DirectText(template.text, message_class, template.version_id, approved=approved)


async def _statuses(call: Call, run_id: UUID, nos: list[int]) -> list[StatusOut]:
    run = await run_store.get_run(call.conn, run_id, call.user.scope)
    if run is None:
        return []
    await need_people(call, run.department_id)
    rows = await progress.find_messages(call.conn, call.runtime.keyring, run_id, nos)
    waits = await waiting_words(call, [(run_id, row["no"]) for row in rows if _waits(row)])
    return [
        StatusOut.model_validate(
            row
            | {
                "run_id": run_id,
                "plain": explanations.explain(
                    row["state"], row["reason"], waits.get((run_id, row["no"]))
                ),
            }
        )
        for row in rows
    ]


def _waits(row: Mapping[str, Any]) -> bool:
    return bool(row["state"] == MessageState.QUEUED)


async def waiting_words(call: Call, keys: Sequence[MessageKey]) -> dict[MessageKey, Sentence]:
    """Why each of these texts waits that is queued, in words."""
    if not keys:
        return {}
    limits = limits_of(call.runtime.settings).at_speed(call.runtime.clock.speed)
    return await why_they_wait(call.conn, keys, limits, call.now)


def _parsed(text: str) -> MessageKey:
    key = parse_message_id(text)
    if key is None:
        raise NotFound(phrase("there is no such message: the address has a malformed id"))
    return key
