"""What somebody on duty does: a text, whom a run missed, channels, stops, keys, trail, evidence."""

import asyncio
import shutil
import sys
import tempfile

from tocsin_client import Tocsin
from tocsin_client.ctl.acts import each, read_text
from tocsin_client.ctl.parser import Options
from tocsin_client.ctl.screen import Screen, said, say

_MEMORY_OCTETS = 1024 * 1024

STATUS = (
    *("id", "phone", "state", "plain", "reason", "code", "carrier", "attempt"),
    *("submitted_at", "final_at"),
)


async def show_me(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """Whose the key is."""
    screen.facts(await tocsin.me(), ("id", "login", "name", "department_id", "roles", "may"))


async def list_work(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """What waits for a person."""
    found = await tocsin.work()
    if not screen.as_json and not any(kind["items"] for kind in found):
        screen.text([say("Nothing waits.", "没有待办。")])
        return
    items = (
        dict(item)
        | {"kind": kind["kind"], "plain": item["plain"] if screen.as_json else said(item["plain"])}
        for kind in found
        for item in kind["items"]
    )
    names = ("kind", "id", "name", "department", "planned_at", "since", "plain", "reason")
    await screen.table(each(items), (*names, "proposal_id"))


async def look_up_number(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The latest texts to a number from standard input, and what is stopped to it."""
    found = await tocsin.messages.to_number(read_text("-"), days=o.days)
    items = [dict(item) | {"plain": said(item["plain"])} for item in found["items"]]
    stopped = [dict(stop) | {"plain": said(stop["plain"])} for stop in found["stopped"]]
    if screen.as_json:
        screen.facts(found, ())
        return
    await screen.table(each(items), ("id", "run_id", "created_at", "state", "plain"))
    if stopped:
        await screen.table(each(stopped), ("reason", "classes", "plain"))


async def show_message(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """One text, and why."""
    _status(screen, dict(await tocsin.messages.get(o.id)))


async def cancel_message(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Call one text back."""
    _status(screen, dict(await tocsin.messages.cancel(o.id)))


async def unmask_message(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The recipient of a text in full."""
    seen = await tocsin.messages.unmask(o.id, o.reason)
    screen.facts(seen, ("phone", "name", "disclosure_id"))


async def show_run(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """A run."""
    names = ("id", "kind", "mode", "campaign_id", "state", "target", "fire_at", "finished_at")
    screen.facts(await tocsin.runs.get(o.id), (*names, "acts"))


async def show_missed(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Whom a run did not reach, and to whom it may be sent again."""
    found = await tocsin.runs.missed(o.id)
    screen.facts(found, tuple(found))


async def resend_missed(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Send a run's text again to those whom it has certainly missed."""
    made = await tocsin.runs.resend_missed(o.id, channels=o.channel, reason=o.reason)
    screen.facts(made, ("run_id",))


async def cancel_send(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Call a direct send back."""
    names = ("run_id", "state", "cancelled", "stopped", "left", "leaving")
    screen.facts(await tocsin.messages.cancel_send(o.id), names)


async def save_evidence(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Keep the signed evidence of a run; a file is there whole, or not at all."""
    with tempfile.SpooledTemporaryFile(max_size=_MEMORY_OCTETS) as pack:
        await tocsin.runs.save_evidence(o.id, pack)
        octets = pack.tell()
        pack.seek(0)
        with o.file.open("xb") as file:
            shutil.copyfileobj(pack, file)
    screen.facts({"file": str(o.file), "octets": octets}, ("file", "octets"))


async def show_campaign_report(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """A campaign week by week."""
    found = await tocsin.campaigns.report(o.id)
    if screen.as_json:
        screen.facts(found, ())
        return
    figures = ("target", "reached", "failed", "unknown", "stopped", "open", "parts")
    await screen.table(each(found["weeks"]), ("week", "carrier", "relation", *figures))
    if found["legs"]:
        await screen.table(each(found["legs"]), ("department", "state", *figures))
    screen.facts(found["total"], figures)


async def list_webhooks(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """The addresses that are called."""
    names = ("id", "url", "events", "failing_since", "disabled_at", "disabled_why")
    await screen.table(tocsin.webhooks.list(), names)


async def list_deliveries(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What was told to an address."""
    names = ("event_id", "type", "at", "state", "attempt", "status", "error", "next_at")
    await screen.table(tocsin.webhooks.deliveries(o.id, state=o.state), names)


async def list_keys(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """The keys."""
    names = ("id", "name", "user_id", "state", "mode", "scopes", "expires_at", "last_used_at")
    await screen.table(tocsin.keys.list(), names)


async def activate_key(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Let a key work that somebody else has made."""
    screen.facts(await tocsin.keys.activate(o.id), ("id", "name", "state", "mode", "scopes"))


async def revoke_key(tocsin: Tocsin, o: Options, _: Screen) -> None:
    """End a key."""
    await tocsin.keys.revoke(o.id)


async def list_audit(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What was done."""
    found = tocsin.audit.entries(
        action=o.action, object_id=o.object_id, since=o.since, until=o.until
    )
    await screen.table(found, ("at", "via", "actor_id", "action", "object_kind", "object_id"))


async def check_trail(tocsin: Tocsin, o: Options, screen: Screen) -> int | None:
    """Have the whole trail verified, and say how far it is until it has ended."""
    check = await tocsin.audit.check(o.head)
    told: object = None
    while check["state"] in {"waiting", "running"}:
        if told != (told := said(check["plain"])):
            print(told, file=sys.stderr)
        await asyncio.sleep(o.every)
        check = await tocsin.audit.get_check(check["id"])
    screen.facts(check, ("id", "state", "plain", "done", "total", "began_at", "ended_at", "found"))
    found = check["found"]
    whole = check["state"] == "done" and found and not (found["broken"] or found["foreigners"])
    return None if whole else 1


def _status(screen: Screen, status: dict[str, object]) -> None:
    """A text with its sentence, in one language unless a program reads it."""
    if not screen.as_json:
        status["plain"] = said(status["plain"])
    screen.facts(status, STATUS)


async def list_channels(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """The channels."""
    names = (
        "id",
        "name",
        "kind",
        "carriers",
        "tps",
        "enabled",
        "waits_since",
        "held_until",
        "held_why",
    )
    await screen.table(tocsin.channels.list(), names)


async def show_health(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """How a channel is doing."""
    found = await tocsin.channels.health(o.id)
    names = ("plain", "state", "why", "since", "queued_estimate", "next_login_at", "figures")
    screen.facts(found if screen.as_json else {**found, "plain": said(found["plain"])}, names)
    if not screen.as_json:
        of_each = ("slot", "state", "note", "lost_at", "lost_how", "lost_why", "losses")
        await screen.table(each(found["connections"]), of_each)
        for hint in found["hints"]:
            screen.facts({"hint": said(hint["plain"])}, ("hint",))


async def show_queue(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What waits on a channel."""
    found = await tocsin.channels.queue(o.id)
    screen.facts(found, ("tps", "rate", "reasons", "day", "month"))
    if not screen.as_json:
        names = ("priority", "messages", "parts", "paused", "expected_wait_seconds", "reasons")
        await screen.table(each(found["classes"]), names)


STAND = ("stopped", "stop", "queued_before", "uncertain")


async def show_stop(tocsin: Tocsin, _: Options, screen: Screen) -> None:
    """Whether everything is stopped."""
    screen.facts(await tocsin.stop_all.get(), STAND)


async def stop_all(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Stop all sending."""
    screen.facts(await tocsin.stop_all.stop(o.reason), STAND)


async def lift_stop(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Let sending go on."""
    screen.facts(await tocsin.stop_all.lift(o.reason, direct_runs=o.direct_runs), STAND)
