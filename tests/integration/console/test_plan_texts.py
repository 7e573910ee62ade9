"""The texts of a plan on the planner: found by words, shown at once, each of the four from the
library as well, with its values; and what is missing, said while somebody types.
"""

import re
from typing import Any

from multidict import MultiDict

from service.console.plans import form as forms
from service.messages.template import fill, load_library
from service.storage.postgres import transaction
from tests.harness.bulletins import RELEASED, WEEK, give_bulletin
from tests.harness.console import Browser, Seen, browser_of
from tests.harness.plan_pages import OPERATOR, PEOPLE, county, planned, stored, typed
from tests.integration.api.conftest import Api

__all__ = ["county"]

LOCAL = next(starter for starter in load_library() if starter.id == "L1")
"""It has figures on cases."""
FIGURES = {name: RELEASED[name] for name in ("周期", "起数", "金额")}
SAID = fill(LOCAL.text, FIGURES.items())
OF_A_TOWN = next(starter for starter in load_library() if starter.id == "S28")
LOAN = next(starter for starter in load_library() if starter.id == "S02")


async def _issue(api: Api) -> None:
    async with transaction(api.runtime.pool) as conn:
        await give_bulletin(conn, api.teams["county"].operator.id, api.clock.at)


async def _part(browser: Browser, part: str, fields: dict[str, Any]) -> Seen:
    """What the page asks while somebody fills it in; "": the whole of it."""
    page = await browser.get("/plans/new")
    sent: MultiDict[str] = MultiDict(dict(page.form("/plans/new").fields) | fields)
    return await browser.post(f"/plans/new{part}", sent)


async def test_a_ready_text_is_taken_as_any_of_the_four_with_its_values(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    await _issue(api)
    wanted = {
        "template_id": forms.LIBRARY + LOAN.id,
        "more_texts.1": forms.LIBRARY + LOCAL.id,
        "more_texts.2": forms.LIBRARY + LOAN.id,
        "when": "weekly",
        "schedule.rrule": ["WE"],
    }
    fields = typed(county, api, **wanted)
    page = await planned(browser, fields | {"act": "count"})
    form = page.form("/plans/new")
    assert "more_figures.1" in form.named, page.text
    assert not [name for name in form.named if "起数" in name], "it is chosen, and not typed"
    fields |= {"more_figures.1": WEEK, "act": "save"}
    seen = await browser.submit(page, "/plans/new", fields)
    assert "草稿已保存" in seen.text, seen.text
    kept = await stored(api, seen.path.removesuffix("/edit"))
    assert kept["text"] == LOAN.text
    assert [text["values"] for text in kept["more_texts"]] == [FIGURES, {}]
    assert [text["figures_from"] for text in kept["more_texts"]] == [WEEK, None]
    plan = seen.path.removesuffix("/edit")
    assert f"{WEEK} 〔2027〕1号" in (await browser.get(f"{plan}/edit")).text
    assert WEEK in (await browser.get(plan)).text
    saved = await browser.submit(await browser.get(f"{plan}/edit"), f"{plan}/edit", {"act": "save"})
    assert "草稿已保存" in saved.text, saved.text
    assert (await stored(api, plan))["more_texts"] == kept["more_texts"], "saved again it is same"
    assert kept["more_texts"][1]["template_id"] == kept["template_id"], "and is made once"
    made = (await api.get("/templates", OPERATOR)).json["items"]
    assert sorted(text["text"] for text in made if text["name"].startswith(("S", "L"))) == sorted(
        [LOAN.text, LOCAL.text]
    )
    again = await browser.submit(page, "/plans/new", fields)
    assert again.path == seen.path, "pressed twice it is one plan"
    assert len((await api.get("/templates", OPERATOR)).json["items"]) == len(made)


async def test_the_words_of_each_text_are_shown_with_what_was_typed_into_them(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    await _issue(api)
    fields = typed(county, api, template_id=forms.LIBRARY + LOCAL.id, figures_from=WEEK)
    fields["more_texts.1"] = county["template_id"]
    own = (await api.get(f"/templates/{county['template_id']}", OPERATOR)).json
    for seen in (
        await _part(browser, "", fields | {"act": "count"}),
        await _part(browser, "/side", fields),
        await _part(browser, "/missing", fields),
    ):
        assert SAID in seen.text, seen.text
        assert own["text"] in seen.text
        assert f"{own['characters']} 字" in seen.text


async def test_a_figure_is_chosen_with_its_bulletin_and_typed_by_nobody(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    fields = typed(county, api, template_id=forms.LIBRARY + LOCAL.id)
    seen = await _part(browser, "/missing", fields)
    assert "还没有签发过通报" in seen.text, "it is asked for as soon as the text is chosen"
    assert "#f-figures_from" in seen.links
    await _issue(api)
    seen = await _part(browser, "/missing", fields | {"values.起数": "99"})
    assert f'value="{WEEK}"' in seen.html
    assert "99" not in seen.text
    town = {"template_id": forms.LIBRARY + OF_A_TOWN.id, "figures_from": WEEK}
    seen = await _part(browser, "/missing", fields | town)
    assert "通报的数字是全县的" in seen.text
    refused = await _part(browser, "", fields | {"values.起数": "99", "act": "save"})
    assert "案件数字取自通报，不手填" in refused.text
    assert (await api.get("/campaigns", OPERATOR)).json["items"] == []


async def test_what_is_missing_is_said_again_without_counting_anybody(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    fields = typed(county, api)
    side = await _part(browser, "/side", fields)
    assert f"{PEOPLE} 人" in side.text
    counted = re.search(r'name="_counted" value="([^"]+)"', side.html)
    assert counted
    fields["_counted"] = counted[1]
    seen = await _part(browser, "/missing", fields | {"name": ""})
    assert {"#f-name"} <= set(seen.links)
    assert 'value="submit" disabled' in seen.html
    assert f"{PEOPLE} 人" not in seen.text
    seen = await _part(browser, "/missing", fields)
    assert "还缺" not in seen.text
    assert 'value="submit" disabled' not in seen.html, "what was counted before is known still"
    assert len(seen.html) < 4_000, "as much as a poll may have"
    other = await _part(browser, "/missing", fields | {"_counted": "0" + counted[1][1:]})
    assert "#f-segment_id" in other.links, "that nobody would get it is not forgotten"
    other = await _part(browser, "/missing", fields | {"segment_id": ""})
    assert 'value="submit" disabled' in other.html


async def test_words_narrow_the_lists_and_what_is_chosen_stays_in_them(
    api: Api, county: dict[str, str]
) -> None:
    browser = await browser_of(api, "operator")
    body = {"name": "另一条", "text": "【旌德县公安局】养老诈骗提醒。", "class": "public_interest"}
    other = (await api.post("/templates", OPERATOR, body)).json["id"]
    page = await browser.get("/plans/new")
    assert {f'value="{one}"' in page.html for one in (other, county["template_id"])} == {True}
    fields = typed(county, api, _find="养老 提醒")
    seen = await _part(browser, "/missing", fields)
    first = re.search(r'<hx-partial id="f-template_id".*?</hx-partial>', seen.html, re.DOTALL)
    assert first
    assert f'value="{other}"' in first[0]
    assert f'value="{county["template_id"]}" selected' in first[0], "what is chosen stays"
    assert f'value="{forms.LIBRARY}{LOAN.id}"' not in first[0]
    second = re.search(r'<hx-partial id="f-more_texts.1".*?</hx-partial>', seen.html, re.DOTALL)
    assert second
    assert county["template_id"] not in second[0]
    assert "有 1 条短信含这些字" in seen.text
    same = await _part(browser, "/missing", fields | {"_found": "养老 提醒"})
    assert "<option" not in same.html, "lists that are as they were are not sent again"
    without_script = await planned(browser, fields | {"act": "count"})
    assert f'value="{forms.LIBRARY}{LOAN.id}"' not in without_script.html
    assert dict(without_script.form("/plans/new").fields)["_find"] == "养老 提醒"


async def test_of_very_many_texts_some_are_listed_and_all_are_found(
    api: Api, county: dict[str, str]
) -> None:
    body = {"name": "最早的那条", "text": "【旌德县公安局】甲。", "class": "public_interest"}
    first = (await api.post("/templates", OPERATOR, body)).json["id"]
    for number in range(100):
        body = {"name": f"第{number}条", "text": "【旌德县公安局】乙。", "class": "public_interest"}
        assert (await api.post("/templates", OPERATOR, body)).status == 201
    browser = await browser_of(api, "operator")
    page = await browser.get("/plans/new")
    assert first not in page.html
    assert "还有更多" in page.text
    seen = await _part(browser, "/missing", {"_find": "最早"})
    assert f'value="{first}"' in seen.html
    chosen = await browser.get(f"/plans/new?template_id={first}")
    assert f'value="{first}" selected' in chosen.html


async def test_a_ready_text_is_called_in_the_language_of_the_reader(
    api: Api, county: dict[str, str]
) -> None:
    called = {"zh-CN": "S02 全体群众 · 虚假网络贷款", "en": "S02 all residents · false loan"}
    for language, said in called.items():
        page = await (await browser_of(api, "operator", language)).get("/plans/new")
        assert f">{said}</option>" in page.html
    library = await (await browser_of(api, "operator")).get("/texts/library")
    listed = re.findall(r'aria-label="([^"]*S[0-9][0-9] [^"]*)"', library.html)
    assert len(listed) > 40
    assert not [one for one in listed if set(re.findall("[a-z]+", one))], "no English on the page"
