"""Drafts of campaigns: made, changed, copied, and corrections of a run."""

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from tocsin_client import Tocsin, TocsinError
from tocsin_client.ctl import fires
from tocsin_client.ctl.acts import CAMPAIGN, read_text
from tocsin_client.ctl.parser import Options
from tocsin_client.ctl.requests import codes
from tocsin_client.ctl.screen import Screen, say


async def create_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Plan a campaign; what the file says beside the options goes along."""
    more = _planned(o) | asked_legs(o)
    made = await tocsin.campaigns.create(
        o.name,
        template_id=o.template,
        segment_id=o.segment,
        channels=o.channel or "auto",
        priority=o.priority,
        max_tps=o.max_tps,
        drill=o.drill,
        more=more,
    )
    screen.facts(made, CAMPAIGN)
    await _foretell(tocsin, made, screen)


async def _foretell(tocsin: Tocsin, made: Mapping[str, Any], screen: Screen) -> None:
    """Say of a draft, for a person, what is to be known of its times, and if its fires reach nobody
    or few. It is made by now, so a preview that is refused is said and no failure.
    """
    if screen.as_json:
        return
    screen.text(fires.note_lines(made["schedule_notes"], None))
    try:
        found: Mapping[str, Any] = await tocsin.campaigns.preview(made["id"])
    except TocsinError as error:
        screen.text([say(f"No preview: {error}", f"无法预览：{error}")])
        return
    screen.text(fires.loss_lines(found["forecast"]))


async def clone_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Draft the same plan again."""
    body = {"name": o.name} if o.name else None
    address = f"/campaigns/{quote(o.id, safe='')}/clone"
    made = await tocsin.ask("POST", address, body=body)
    screen.facts(made, (*CAMPAIGN, "schedule", "cloned_from"))
    await _foretell(tocsin, made, screen)


def asked_legs(o: Options) -> dict[str, Any]:
    """What a joint plan asks of whom, if the options say so."""
    if not o.leg:
        return {}
    asked = [given.partition(":") for given in o.leg]
    return {"legs": [{"department_id": whose, "areas": codes(given)} for whose, _, given in asked]}


def _planned(o: Options) -> dict[str, Any]:
    """What a file says of a plan, and when it is sent and what fills its text, if options do."""
    more: dict[str, Any] = json.loads(read_text(f"@{o.plan}")) if o.plan else {}
    if o.start_at:
        more["schedule"] = more.get("schedule", {}) | {"kind": "once", "start_at": o.start_at}
    if o.value:
        more["values"] = more.get("values", {}) | dict(o.value)
    if o.figures_from:
        more["figures_from"] = o.figures_from
    return more


_RELEASED = frozenset({"周期", "起数", "金额", "类型"})
"""What a text takes from a bulletin; it is not given back as a value."""


async def edit_campaign(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Change a plan that has not begun to send, if nobody else does at the same moment."""
    given = {
        "name": o.name,
        "template_id": o.template,
        "segment_id": o.segment,
        "channels": o.channel,
        "priority": o.priority,
        "max_tps": o.max_tps,
    }
    changes = (
        _planned(o)
        | asked_legs(o)
        | {name: value for name, value in given.items() if value is not None}
    )
    if not changes:
        raise ValueError(say("say what is to change", "请说明要修改什么"))
    seen, version = await tocsin.campaigns.get_versioned(o.id)
    if "schedule" in changes and not o.plan:  # a schedule is given whole
        given_whole: dict[str, Any] = dict(cast(Mapping[str, Any], seen)["schedule"])
        if not given_whole.pop("own_hours"):
            del given_whole["send_hours"]
        changes["schedule"] = given_whole | changes["schedule"]
    if o.value and not o.plan and not o.template:  # so are values; those of another text are others
        known = cast(Mapping[str, Any], seen)["values"]
        typed = {name: value for name, value in known.items() if name not in _RELEASED}
        changes["values"] = typed | changes["values"]
    screen.facts(await tocsin.campaigns.edit(o.id, changes, version=version), CAMPAIGN)


async def correct_run(tocsin: Tocsin, o: Options, screen: Screen) -> None:
    """Draft a correction to those who got a run."""
    changes = _planned(o) | {"name": o.name, "template_id": o.template}
    if o.channel:
        changes["channels"] = o.channel
    made = await tocsin.ask("POST", f"/runs/{quote(o.id, safe='')}/correction", body=changes)
    screen.facts(made, (*CAMPAIGN, "corrects"))
