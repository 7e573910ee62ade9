"""Webhooks: where a department is called, of what, and what became of each call."""

from typing import Annotated, Literal
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field

from service.accounts.people.model import Right
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page
from service.delivery.webhooks import webhook_calls_store as calls
from service.delivery.webhooks import webhook_store as store
from service.delivery.webhooks.webhook import new_secret
from service.delivery.webhooks.webhooks import SECRET
from service.errors import Conflict
from service.queue import Job
from service.storage.postgres import Record
from service.words.phrase import phrase

Told = Literal[
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


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(phrase("write an address that begins with https://"))
    if parts.username or parts.password:
        raise ValueError(phrase("leave out user and password; the signature proves who calls"))
    if parts.fragment:
        raise ValueError(phrase("leave out what follows the #"))
    return url


WebAddress = Annotated[Line, AfterValidator(_web_address)]


class WebhookBody(Body):
    """An address to be called."""

    url: WebAddress
    events: list[Told] = Field(min_length=1)


class WebhookPatch(Body):
    """What is to change; enabling one that was disabled lets what waited go on."""

    url: WebAddress | None = None
    events: list[Told] | None = Field(default=None, min_length=1)
    enabled: bool | None = None


class WebhookOut(Out):
    """An address that is called. `run_calls_back`: a direct send named it as its `callback_url`."""

    id: UUID
    department_id: UUID
    url: str
    events: list[str]
    run_calls_back: bool
    created_by: UUID
    created_at: Instant
    failing_since: Instant | None
    disabled_at: Instant | None
    disabled_why: str | None


class WebhookSecretOut(Out):
    """The secret that signs the calls; it is shown this once."""

    secret: str


class NewWebhookOut(WebhookOut, WebhookSecretOut):
    """A webhook just made, with its secret."""


class TestOut(Out):
    """The test event on its way; see the deliveries."""

    event_id: str


class ReplayBody(Body):
    """Which calls are made again."""

    since: Instant
    which: Literal["given_up", "all"] = "given_up"


class ReplayOut(Out):
    """How many calls are made again."""

    calls: int


class DeliveryOut(Out):
    """One event and its calls; `status` and `error` are of the last one."""

    event_id: str
    type: str
    at: Instant
    state: Literal["waiting", "delivered", "given_up"]
    attempt: int
    next_at: Instant | None
    status: int | None
    error: str | None
    ended_at: Instant | None


class DeliveryQuery(PageQuery):
    """Which calls: all, or those in one state."""

    state: Literal["waiting", "delivered", "given_up"] | None = None


async def list_webhooks(call: Call, query: PageQuery) -> Page[WebhookOut]:
    """List the webhooks of your department."""
    found = await store.list_webhooks(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[WebhookOut], found, query)


async def create_webhook(call: Call, body: WebhookBody) -> NewWebhookOut:
    """Have an address called when something happens; the secret is shown this once."""
    secret = new_secret()
    made = await store.insert_webhook(
        call.conn,
        call.user.department_id,
        body.url,
        sorted(set(body.events)),
        call.runtime.keyring.encrypt(SECRET, secret),
        call.user.id,
        call.now,
    )
    shown = WebhookOut.model_validate(made).model_dump()
    return NewWebhookOut(**shown, secret=secret)


async def get_webhook(call: Call, webhook_id: UUID) -> WebhookOut:
    """Show a webhook."""
    return WebhookOut.model_validate(await _visible(call, webhook_id))


async def edit_webhook(call: Call, webhook_id: UUID, body: WebhookPatch) -> WebhookOut:
    """Change a webhook, switch it off, or on again."""
    known = await _visible(call, webhook_id)
    enabled = known.disabled_at is None if body.enabled is None else body.enabled
    await store.edit_webhook(
        call.conn,
        webhook_id,
        body.url or known.url,
        sorted(set(body.events)) if body.events else known.events,
        call.now,
        enabled=enabled,
    )
    call.after_commit(Job.CALL_WEBHOOK, webhook_id)
    return await get_webhook(call, webhook_id)


async def delete_webhook(call: Call, webhook_id: UUID) -> None:
    """Call it no more; what waits for it is dropped."""
    await _visible(call, webhook_id)
    await store.delete_webhook(call.conn, webhook_id, call.now)


async def renew_secret(call: Call, webhook_id: UUID) -> WebhookSecretOut:
    """Sign with a new secret from now on; it is shown this once."""
    await _visible(call, webhook_id)
    secret = new_secret()
    await store.set_secret(call.conn, webhook_id, call.runtime.keyring.encrypt(SECRET, secret))
    return WebhookSecretOut(secret=secret)


async def send_test(call: Call, webhook_id: UUID) -> TestOut:
    """Call it with a test event."""
    webhook = await _visible(call, webhook_id)
    if webhook.disabled_at is not None:
        raise Conflict(phrase("it is disabled; enable it first"), code="webhook_disabled")
    event_id = await store.write_test(call.conn, webhook, call.now)
    call.after_commit(Job.CALL_WEBHOOK, webhook_id)
    return TestOut(event_id=f"evt_{event_id}")


async def replay(call: Call, webhook_id: UUID, body: ReplayBody) -> ReplayOut:
    """Make calls again, under their old ids."""
    await _visible(call, webhook_id)
    count = await calls.replay(
        call.conn, webhook_id, body.since, call.now, all_of_them=body.which == "all"
    )
    call.after_commit(Job.CALL_WEBHOOK, webhook_id)
    return ReplayOut(calls=count)


async def list_deliveries(call: Call, webhook_id: UUID, query: DeliveryQuery) -> Page[DeliveryOut]:
    """List what a webhook was told, from new to old, and how the calls went."""
    await _visible(call, webhook_id)
    found = await calls.list_deliveries(
        call.conn, webhook_id, query.number or None, query.wanted, query.state
    )
    return cut(Page[DeliveryOut], [_delivery(row) for row in found], query, key=_number)


async def for_callback(call: Call, url: str | None) -> UUID | None:
    """The webhook that a direct send's `callback_url` names; made if it is new."""
    if url is None:
        return None
    call.user.need(Right.WEBHOOKS)
    cipher = call.runtime.keyring.encrypt(SECRET, new_secret())
    return await store.callback_webhook(
        call.conn, call.user.department_id, url, cipher, call.user.id, call.now
    )


async def _visible(call: Call, webhook_id: UUID) -> store.Webhook:
    return await store.get_webhook(call.conn, webhook_id, call.user.scope)


def _delivery(row: Record) -> dict[str, object]:
    waits = row["state"] == "waiting"
    return {
        **row,
        "event_id": f"evt_{row['event_id']}",
        "next_at": row["next_at"] if waits else None,
    }


def _number(row: dict[str, object]) -> int:
    return int(str(row["event_id"]).removeprefix("evt_"))
