"""Stopping all sending, and letting it go on."""

from service.accounts.people.model import Right
from service.api.http.paging import PageQuery
from service.api.sending import stops
from service.api.sending.stops import LiftBody, StopBody, StopOut, StopQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.names import names_of
from service.console.render import Gone, Shown
from service.words.phrase import Phrase, listing, phrase

STOP = "/duty/stop"
MOST_STOPS = 20


async def show_stop(desk: Desk) -> Shown:
    """Whether everything is stopped, and the form that stops it or lets it go on."""
    stand = await desk.get(stops.get_stop, query=StopQuery(count=True))
    before = (await desk.get(stops.list_stops, query=PageQuery(limit=MOST_STOPS))).items
    people = [person for stop in before for person in (stop.stopped_by, stop.lifted_by)]
    now = stand.stop if stand.stopped else None
    return Shown(
        "duty/stop.html",
        {
            "stop": now,
            "missing": desk.language.say(_missing(now)),
            "queued_before": stand.queued_before or 0,
            "before": [stop for stop in before if stop.lifted_at is not None],
            "names": await names_of(desk, people),
            "may_act": desk.may(Right.STOP_ALL),
        },
    )


def _missing(stop: StopOut | None) -> Phrase:
    """How many texts a restored database lacks, by connection."""
    if stop is None or stop.missing is None:
        return phrase("nobody knows: what was told to Redis is gone")
    if not stop.missing:
        return phrase("no text, as far as Redis was told; but what else was done last")
    of_each = [
        phrase(
            "{texts:,} texts on {channel}, connection {number}",
            texts=each.texts,
            channel=each.channel or each.channel_id,
            number=each.slot + 1,
        )
        for each in stop.missing
    ]
    return listing(of_each, "; ")


async def stop(desk: Desk) -> Gone:
    """Stop all sending; after the answer nothing leaves that was not leaving already."""
    await desk.act(stops.stop_all, body=body_of(StopBody, desk.form))
    done = phrase(
        "All sending is stopped. What was being handed to a carrier at that moment may still leave."
    )
    return Gone(STOP, done)


async def lift(desk: Desk) -> Shown:
    """Let sending go on, and list what was held meanwhile."""
    lifted = await desk.act(stops.lift_stop, body=body_of(LiftBody, desk.form))
    return Shown("duty/lifted.html", {"held": lifted.held, "uncertain": lifted.uncertain})
