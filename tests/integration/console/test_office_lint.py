"""What lint stops, as a page: read in words, changed by one person, confirmed by another."""

from typing import Any

import pytest

from tests.harness.console import Browser, Seen, browser_of
from tests.harness.keys import second_admin
from tests.integration.api.conftest import Api

pytestmark = pytest.mark.slow  # the browsers go through these pages, too

ADMIN = ("county", "admin")
LINT = "/office/rules/lint"
EDIT = "/office/rules/lint/edit"
HTML = "<script>alert(1)</script>"


async def _change(browser: Browser, **typed: Any) -> Seen:
    typed = {name.replace("__", "."): value for name, value in typed.items()}
    return await browser.submit(await browser.get(EDIT), EDIT, {"reason": "县里决定", **typed})


def _confirms(seen: Seen) -> list[str]:
    return [form.action for form in seen.forms if form.action.endswith("/confirm")]


async def test_everybody_reads_in_words_what_is_stopped(api: Api) -> None:
    rules = (await api.get("/lint/rules", ADMIN)).json["rules"]
    zh = await (await browser_of(api, "operator")).get(LINT)
    en = await (await browser_of(api, "viewer", "en")).get(LINT)
    for rule in rules:
        assert f"{rule['rule']} {rule['chinese']}" in zh.text
        assert f"{rule['rule']} {rule['english']}" in en.text
    assert EDIT not in zh.links
    assert not _confirms(zh)
    assert (await (await browser_of(api, "viewer")).get(EDIT)).status == 403


async def test_what_is_stricter_holds_at_once(api: Api) -> None:
    browser = await browser_of(api, "admin")
    policy = (await api.get("/lint/rules", ADMIN)).json
    soft = next(rule for rule in policy["rules"] if rule["level"] == "warn")
    names = "\n".join([*policy["protected_names"], HTML])
    seen = await _change(browser, **{f"levels.{soft['rule']}": "block"}, protected_names=names)
    assert seen.path == LINT, seen.text
    assert "现在起生效。" in seen.text
    assert HTML not in seen.html
    found = (await api.get("/lint/rules", ADMIN)).json
    assert HTML in found["protected_names"]
    assert found["waiting"] is None
    assert {r["rule"]: r["level"] for r in found["rules"]}[soft["rule"]] == "block"
    history = (await api.get("/lint/rules/history", ADMIN)).json["items"]
    assert history[0]["content"].keys() == {"levels", "protected_names"}, "the rest is as shipped"
    back = await _change(browser, as_shipped=["protected_names"])
    assert back.path == LINT, back.text
    history = (await api.get("/lint/rules/history", ADMIN)).json["items"]
    assert history[0]["content"].keys() == {"levels"}


async def test_what_is_less_strict_waits_for_another_administrator(api: Api) -> None:
    browser = await browser_of(api, "admin", "en")
    policy = (await api.get("/lint/rules", ADMIN)).json
    hard = next(rule for rule in policy["rules"] if rule["level"] == "block")
    numbers = "\n".join([*policy["hotlines"], "12399"])
    typed = {f"levels.{hard['rule']}": "review", "hotlines": numbers, "small_count": "3"}
    seen = await _change(browser, **typed)
    assert seen.path == LINT, seen.text
    assert f"{hard['rule']}: blocks becomes to be confirmed" in seen.text
    assert "every text may name 12399" in seen.text
    assert "counts from 3 on are shown" in seen.text
    assert "You proposed it: another administrator of the county confirms it." in seen.text
    assert not _confirms(seen), "whoever proposed it does not confirm it"
    waiting = (await api.get("/lint/rules", ADMIN)).json["waiting"]
    forced = await _force(browser, f"{LINT}/proposals/{waiting['id']}/confirm")
    assert forced.status == 403
    assert "12399" not in (await api.get("/lint/rules", ADMIN)).json["hotlines"]
    done = await api.post(f"/lint/rules/proposals/{waiting['id']}/confirm", await second_admin(api))
    assert done.status == 200
    assert "12399" in (await api.get("/lint/rules", ADMIN)).json["hotlines"]
    shown = await browser.get(LINT)
    assert "waits for a second person" not in shown.text
    assert "confirmed by" in shown.text


async def _force(browser: Browser, action: str) -> Seen:
    form = (await browser.get(EDIT)).form(EDIT)
    sent = {name: value for name, value in form.fields if name in {"csrf", "_key"}}
    return await browser.post(action, sent)


async def test_another_administrator_finds_it_on_the_start_page_and_confirms(api: Api) -> None:
    policy = (await api.get("/lint/rules", ADMIN)).json
    other = await second_admin(api)
    body = {"hotlines": [*policy["hotlines"], "12399"], "reason": "新热线"}
    assert (await api.call("PUT", "/lint/rules", other, json=body)).status == 200
    browser = await browser_of(api, "admin")
    assert LINT in (await browser.get("/today")).links
    assert LINT in (await browser.get("/duty")).links
    page = await browser.get(LINT)
    (action,) = _confirms(page)
    seen = await browser.submit(page, action)
    assert "修改已生效。" in seen.text
    assert "12399" in (await api.get("/lint/rules", ADMIN)).json["hotlines"]
    assert (await browser.submit(page, action)).status in {200, 409}, "it is done once"


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("hotlines", "110\n11"),
        ("link_hosts", "jdga.gov.cn\ngov.cn"),
        ("never_words.*", "国旗\n一"),
        ("small_count", "2"),
        ("small_count", "few"),
        ("levels.R01", "never"),
        ("reason", ""),
    ],
)
async def test_what_cannot_be_is_refused_at_its_field(api: Api, field: str, text: str) -> None:
    browser = await browser_of(api, "admin", "en")
    seen = await _change(browser, **{field: text})
    assert seen.status == 422, seen.text
    assert f'href="#f-{field}"' in seen.html
    assert (field, text) in seen.form(EDIT).fields or field.startswith("levels"), "it stays"
    assert len((await api.get("/lint/rules/history", ADMIN)).json["items"]) == 1, (
        "that of the tests"
    )


async def test_who_changed_it_meanwhile_is_not_overwritten(api: Api) -> None:
    browser = await browser_of(api, "admin")
    page = await browser.get(EDIT)
    body = {"protected_names": ["公安", "法院", "县中学"], "reason": "先改"}
    assert (await api.call("PUT", "/lint/rules", ADMIN, json=body)).status == 200
    seen = await browser.submit(page, EDIT, {"reason": "后改"})
    assert seen.status == 412
    assert len((await api.get("/lint/rules/history", ADMIN)).json["items"]) == 2
