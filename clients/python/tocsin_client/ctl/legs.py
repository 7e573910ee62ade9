"""Legs of joint plans for a person: what is asked of whom, its texts and its times."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

from tocsin_client import Tocsin
from tocsin_client.ctl import review
from tocsin_client.ctl.acts import each
from tocsin_client.ctl.drafting import asked_legs
from tocsin_client.ctl.parser import Options
from tocsin_client.ctl.screen import Screen, cell, say

_STANDS = ("state", "areas", "people", "taken_at", "own_campaign_id", "own_state")
_SHOWN = (
    *("id", "plan_name", "planned_by", "campaign_id", "department", "class", "areas", "state"),
    *("taken_at", "taken_as", "own_campaign_id", "own_state", "paused_by_its_own"),
)


async def list_legs(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """What joint plans ask of a department."""
    query = {"limit": 500, **({"state": o.state} if o.state else {})}
    legs = (_with_people(leg) async for leg in tocsin.each("/legs", query))
    await screen.table(legs, ("id", "plan_name", "planned_by", "department", *_STANDS))


async def show_leg(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """A leg, and what its plan sends when to whom."""
    leg = await tocsin.ask("GET", f"/legs/{quote(o.id, safe='')}")
    screen.facts(leg if screen.as_json else leg | {"class": leg["plan"]["class"]}, _SHOWN)
    screen.text(_plan_lines(leg["plan"]))


async def preview_legs(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """How many people each department would send to, before there is a plan."""
    body = asked_legs(o) | ({"class": o.message_class} if o.message_class else {})
    found = await tocsin.ask("POST", "/legs/preview", body=body)
    if screen.as_json:
        screen.facts(found, ())
        return
    named = await tocsin.ask("GET", "/departments/names")
    names = {one["id"]: one["name"] for one in named["items"]}
    counts = ({**one, "department": names[one["department_id"]]} for one in found["items"])
    await screen.table(each(counts), ("department", "people"))
    screen.facts(found, ("people",))


async def show_plan_legs(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """The legs of a joint plan, the fires that went without them, and what was answered."""
    found = await tocsin.ask("GET", f"/campaigns/{quote(o.id, safe='')}/legs")
    if screen.as_json:
        screen.facts(found, ())
        return
    names = {leg["id"]: leg["department"] for leg in found["items"]}
    await screen.table(each(map(_with_people, found["items"])), ("id", "department", *_STANDS))
    for part, shown in (
        ("left_out", ("department", "planned_at", "state", "made_up_at")),
        ("moves", ("at", "department", "from_state", "to_state", "reason")),
    ):
        if found[part]:
            records = (one | {"department": names[one["leg_id"]]} for one in found[part])
            await screen.table(each(records), shown)


def _with_people(leg: Mapping[str, Any]) -> dict[str, Any]:
    """A leg with how many people it was taken for."""
    return {**leg, "people": (leg["taken_as"] or {}).get("people")}


def _plan_lines(plan: Mapping[str, Any]) -> Iterator[str]:
    for number, text in enumerate(plan["texts"], 1):
        yield say(f"── Text {number}", f"── 短信 {number}")
        yield from map(cell, text.splitlines())
    yield say("── To whom, in all legs", "── 各方合计发给谁")
    yield f"  {cell(plan['rule'])}"
    yield from review.schedule_lines(plan["schedule"])
    for name, words in (("period", ("period", "期间")), ("next_fire_at", ("next", "下次"))):
        given = plan[name]
        if any(given.values()) if isinstance(given, dict) else given:
            yield f"  {say(f'{words[0]}: ', f'{words[1]}：')}{cell(given)}"
