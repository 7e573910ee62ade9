"""Something of each kind that pages show, made over the API: so that links lead to every page."""

from typing import Any

from tests.browser.office import Office
from tests.harness.live import TEXT, write_in
from tests.harness.waiting import until

FEW = "身份 = 财务人员"
SOME = "年龄 >= 60"
HANDSET = "19790000001"
WAITS = "冬季防诈·待签发"
"""The name of the plan that waits; other pages need that it does."""


async def furnish(office: Office) -> None:
    """A run that is over and one that is paused, a draft, a plan that waits, a text that changed,
    a text from a handset.
    """
    live = office.live
    over = await live.launch(FEW)
    await over.handed_off()
    paused = await live.launch(SOME)
    await until(paused.target)
    await office.ask("operator", "POST", f"/campaigns/{paused.campaign}/pause", {})
    await plan(office, "冬季防诈·草稿")
    waiting = await plan(office, WAITS)
    await office.ask("operator", "POST", f"/campaigns/{waiting['id']}/submit", {})
    await write_in(live, HANDSET, "群众")


async def plan(
    office: Office, name: str, rule: str = FEW, text: str = TEXT.replace("拿不准", "拿不准的")
) -> Any:
    """A draft for some people, for tomorrow morning, with a text in its second version."""
    first = {"name": name, "class": "public_interest", "text": TEXT}
    template = await office.ask("operator", "POST", "/templates", first)
    await office.ask("operator", "POST", f"/templates/{template['id']}/versions", {"text": text})
    segment = await office.ask("operator", "POST", "/segments", {"name": name, "rule": rule})
    body = {
        "name": name,
        "template_id": template["id"],
        "segment_id": segment["id"],
        "schedule": {"kind": "once", "start_at": "2027-01-13T09:30:00+08:00"},
    }
    return await office.ask("operator", "POST", "/campaigns", body)
