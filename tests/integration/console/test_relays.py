"""Pages of relays: begun from a form, the tree, acknowledged, ended; who began none."""

import re
from datetime import timedelta

from tests.harness.chats import add_group
from tests.harness.console import Browser, browser_at
from tests.harness.logins import with_own_password
from tests.harness.relayed import AREAS, DUE, answer, begin, begun, build, hand_off, nodes, turn
from tests.integration.api.conftest import Api

ASK = "/relays/new/ask"


async def own_browser(api: Api, role: str) -> Browser:
    return await browser_at(api, await with_own_password(api, getattr(api.teams["county"], role)))


async def test_a_relay_is_begun_watched_ticked_and_ended(api: Api) -> None:
    station = await build(api)
    county = await own_browser(api, "operator")
    assert "/relays" in (await county.get("/reports")).links
    new = await county.get("/relays/new")
    wrong = await county.submit(new, ASK, {"week": "2027-W99"})
    assert wrong.status == 422, wrong.text
    assert "2027-W99" in wrong.html, "what was typed is still there"
    asked = await county.submit(new, ASK, {"week": "2027-W01", "due_at.time": "19:00"})
    assert asked.status == 200, asked.text
    begun_now = {link for link in (await county.get("/relays")).links if link[8:9] == "0"}
    assert not begun_now, "asking begins nothing"
    (back,) = {link for link in asked.links if link.startswith("/relays/new?")}
    left = (await county.get(back)).form(ASK)
    assert ("week", "2027-W01") in left.fields
    assert ("due_at.time", "19:00") in left.fields
    asked = await county.submit(new, ASK, {})
    assert re.search(r"将发短信条数\s*7\b", asked.text), asked.text
    assert "王**同志" not in asked.text
    assert "王**" in asked.text
    made = await county.submit(asked, "/relays/new", {})
    assert made.status == 200, made.text
    assert "已开始：5 个群，其上 2 人。第一级即将收到短信。" in made.text
    again = await county.submit(asked, "/relays/new", {})
    assert again.status == 200, "the same press again comes to the same relay"
    (here,) = {link for link in (await county.get("/relays")).links if link.startswith("/relays/0")}
    station.relay = here.rpartition("/")[2]
    await turn(api)
    await hand_off(api)
    await answer(api, "a", "1")
    await turn(api)
    tree = await nodes(api, station)
    assert {name for name, one in tree.items() if one["state"] == "sent"} == {"b", "g1", "g2", "g3"}
    page = await county.get(here)
    acts = {form.action for form in page.forms if form.action.startswith(here)}
    acts.remove(f"{here}/file")
    owing = {f"{here}/nodes/{tree[name]['no']}/done" for name in ("b", "g1", "g2", "g3")}
    assert acts == owing, "whoever has the text and has not answered"
    act = f"{here}/nodes/{tree['g1']['no']}/done"
    ticked = await county.submit(page, act, {"via": "page"})
    assert ticked.status == 200, ticked.text
    assert act not in {form.action for form in ticked.forms}
    whole = await county.get(f"{here}?show=all")
    assert "g1群" in whole.text
    assert "20.0 %" in whole.text
    ended = await county.submit(await county.get(f"{here}/end"), f"{here}/end", {"reason": "有误"})
    assert ended.status == 200, ended.text
    assert "已终止" in ended.text


async def test_a_reader_sees_who_began_none_and_has_nothing_to_press(api: Api) -> None:
    station = await begun(api)
    inspector = await own_browser(api, "inspector")
    page = await inspector.get(f"/relays/{station.relay}")
    assert page.status == 200, page.text
    acts = [form.action for form in page.forms if form.action.startswith("/relays/0")]
    assert [act.rpartition("/")[2] for act in acts] == ["file"], "a reader may take the result"
    assert "王*" not in page.text, "an inspector sees counts and no people"
    api.clock.at = DUE
    inspector = await own_browser(api, "inspector")
    alarms = await inspector.get("/relays/alarms?week=2027-W02")
    assert "都已开始推送" in alarms.text
    api.clock.at = DUE + timedelta(days=7)
    inspector = await own_browser(api, "inspector")
    late = await inspector.get("/relays/alarms?week=2027-W03")
    assert re.search(r">\s*5\s*</td>", late.html), "five groups, and nobody began"


async def test_two_of_one_text_are_refused_on_the_page(api: Api) -> None:
    station = await build(api)
    county = await own_browser(api, "operator")
    asked = await county.submit(await county.get("/relays/new"), ASK, {})
    assert (await begin(api, station)).status == 201
    again = await county.submit(asked, "/relays/new", {})
    assert again.status == 409, again.text
    assert "已向这些群推送过" in again.text
    told = await county.submit(await county.get("/relays/new"), ASK, {})
    assert "已向这些群推送过" in told.text
    assert "/relays/new" not in {form.action for form in told.forms}, "nothing to press"


async def test_groups_that_came_since_the_page_that_asked_are_told(api: Api) -> None:
    station = await build(api)
    county = await own_browser(api, "operator")
    asked = await county.submit(await county.get("/relays/new"), ASK, {})
    await add_group(api, name="新群", owner=station.people["g1"], area=AREAS["g1"])
    made = await county.submit(asked, "/relays/new", {})
    assert "已开始：6 个群，其上 2 人。与确认页所示不同" in made.text
