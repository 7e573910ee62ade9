"""Webhooks: which programs are called, of what, with which secret, and what became of each call."""

from typing import Any

from service.accounts.people.model import Right
from service.api.http.paging import PageQuery
from service.api.webhooks import webhooks
from service.api.webhooks.webhooks import DeliveryQuery, ReplayBody, WebhookBody, WebhookPatch
from service.console.asking import Desk
from service.console.forms import body_of, instant_of
from service.console.names import departments_of, names_of
from service.console.office import webhook_words, words
from service.console.render import Gone, Shown
from service.errors import Invalid
from service.words.phrase import Phrase, phrase

WEBHOOKS = "/office/webhooks"
CALLS_SHOWN = 20


async def show_webhooks(desk: Desk) -> Shown:
    """All webhooks that the caller sees."""
    query = body_of(PageQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(webhooks.list_webhooks, query=query)
    whose = await departments_of(desk, (one.department_id for one in found.items))
    told = {"webhooks": found.items, "next": found.next_cursor, "departments": whose}
    return Shown("office/webhooks.html", told | _words(desk))


async def show_new_webhook(desk: Desk) -> Shown:
    """The form for a new webhook."""
    return Shown("office/webhook_new.html", _words(desk))


async def create_webhook(desk: Desk) -> Shown:
    """Have an address called; the secret is shown this once."""
    events = desk.form.getall("events", [])
    body = body_of(WebhookBody, desk.form, but=("events",), given={"events": events})
    made = await desk.act(webhooks.create_webhook, body=body)
    return _secret(phrase("The secret of the new webhook"), made.secret, f"{WEBHOOKS}/{made.id}")


async def show_webhook(desk: Desk) -> Shown:
    """One webhook: where and of what it is told, and how its latest calls went."""
    webhook_id = desk.uuid("webhook_id")
    found = await desk.get(webhooks.get_webhook, webhook_id=webhook_id)
    query = body_of(DeliveryQuery, desk.request.query, given={"limit": CALLS_SHOWN})
    calls = await desk.get(webhooks.list_deliveries, webhook_id=webhook_id, query=query)
    whose = await departments_of(desk, [found.department_id])
    names = await names_of(desk, [found.created_by])
    told = {
        "webhook": found,
        "calls": calls.items,
        "next": calls.next_cursor,
        "state": query.state or "",
        "department_name": whose[found.department_id],
        "made_by": names[found.created_by],
        "which": words.options(webhook_words.WHICH, desk.language),
        "begins": (found.failing_since or found.created_at).astimezone(desk.zone),
    }
    return Shown("office/webhook.html", told | _words(desk))


async def edit_webhook(desk: Desk) -> Gone:
    """Change where and of what it is told."""
    webhook_id = desk.uuid("webhook_id")
    events = desk.form.getall("events", [])
    body = body_of(WebhookPatch, desk.form, but=("events",), given={"events": events})
    await desk.act(webhooks.edit_webhook, webhook_id=webhook_id, body=body)
    return Gone(f"{WEBHOOKS}/{webhook_id}", phrase("Saved."))


async def set_service(desk: Desk) -> Gone:
    """Call it no more, or again."""
    webhook_id = desk.uuid("webhook_id")
    body = WebhookPatch(enabled=desk.typed("enabled") == "true")
    await desk.act(webhooks.edit_webhook, webhook_id=webhook_id, body=body)
    done = phrase("It is called again, also of what waited.")
    if not body.enabled:
        done = phrase("It is called no more.")
    return Gone(f"{WEBHOOKS}/{webhook_id}", done)


async def send_test(desk: Desk) -> Gone:
    """Call it with a test event."""
    webhook_id = desk.uuid("webhook_id")
    await desk.act(webhooks.send_test, webhook_id=webhook_id)
    done = phrase("A test is on its way. How it went is under its calls in a moment.")
    return Gone(f"{WEBHOOKS}/{webhook_id}", done)


async def replay(desk: Desk) -> Gone:
    """Make calls again, from an instant on."""
    webhook_id = desk.uuid("webhook_id")
    since = instant_of(desk.form, "since", desk.zone)
    if since is None:
        raise Invalid.at("since.day", phrase("give a day like 2027-01-31 and a time like 09:30"))
    body = body_of(ReplayBody, desk.form, but=("since.day", "since.time"), given={"since": since})
    made = await desk.act(webhooks.replay, webhook_id=webhook_id, body=body)
    done = phrase("{count} calls are made again.", count=made.calls)
    return Gone(f"{WEBHOOKS}/{webhook_id}", done)


async def ask_secret(desk: Desk) -> Shown:
    """What it means to sign with a new secret."""
    return Shown("office/webhook_secret.html", await _one(desk))


async def renew_secret(desk: Desk) -> Shown:
    """Sign with a new secret from now on; it is shown this once."""
    webhook_id = desk.uuid("webhook_id")
    made = await desk.act(webhooks.renew_secret, webhook_id=webhook_id)
    return _secret(phrase("The new secret"), made.secret, f"{WEBHOOKS}/{webhook_id}")


async def ask_delete(desk: Desk) -> Shown:
    """What it means to delete a webhook."""
    return Shown("office/webhook_delete.html", await _one(desk))


async def delete_webhook(desk: Desk) -> Gone:
    """Call it no more, and drop what waits for it."""
    await desk.act(webhooks.delete_webhook, webhook_id=desk.uuid("webhook_id"))
    return Gone(WEBHOOKS, phrase("The webhook is deleted."))


async def _one(desk: Desk) -> dict[str, Any]:
    found = await desk.get(webhooks.get_webhook, webhook_id=desk.uuid("webhook_id"))
    return {"webhook": found}


def _secret(title: Phrase, secret: str, back: str) -> Shown:
    told = {"title": title, "secret": secret, "waits": False, "back": back}
    return Shown("office/secret.html", told)


def _words(desk: Desk) -> dict[str, Any]:
    return {
        "event_options": words.options(webhook_words.EVENTS, desk.language),
        "event_word": webhook_words.event_word,
        "end_word": webhook_words.end_word,
        "fault_word": webhook_words.fault_word,
        "call_states": webhook_words.CALL_STATES,
        "manages": desk.may(Right.WEBHOOKS),
    }
