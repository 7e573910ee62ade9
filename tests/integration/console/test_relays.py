"""Pages of relays: begun from a form, the tree, acknowledged, ended; who began none."""

import re
from datetime import timedelta

from tests.harness.console import Browser, browser_at
from tests.harness.logins import with_own_password
from tests.harness.relayed import DUE, answer, begin, begun, build, hand_off, nodes, turn
from tests.integration.api.conftest import Api


async def own_browser(api: Api, role: str) -> Browser:
    return await browser_at(api, await with_own_password(api, getattr(api.teams["county"], role)))


async def test_a_relay_is_begun_watched_ticked_and_ended(api: Api) -> None:
    station = await build(api)
    county = await own_browser(api, "operator")
    assert "/relays" in (await county.get("/reports")).links
    new = await county.get("/relays/new")
    wrong = await county.submit(new, "/relays/new", {"week": "2027-W99"})
    assert wrong.status == 422, wrong.text
    made = await county.submit(new, "/relays/new", {})
    assert made.status == 200, made.text
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
    assert (await begin(api, station)).status == 201
    county = await own_browser(api, "operator")
    again = await county.submit(await county.get("/relays/new"), "/relays/new", {})
    assert again.status == 409, again.text
    assert "已向这些群推送过" in again.text
