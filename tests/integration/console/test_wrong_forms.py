"""Forms that are sent empty or wrong, and addresses that are bent: each is answered with a page."""

import re
from collections.abc import Iterator, Mapping

import pytest
from aiohttp import FormData

from service.console.routes import PAGES
from tests.harness.console import Browser, HtmlForm, Seen, browser_of
from tests.harness.owed import set_obligation
from tests.harness.pages import address_of, furnish
from tests.harness.tiers import cases
from tests.integration.api.conftest import Api

WRONG = "×错"
BENT = {"long": "9" * 1_500, "odd": "a\x01b", "wrong": WRONG}
LEAVES = {"/logout", "/account/password", "/language", "/scheme"}
"""Forms that end the session, or are of no page."""
CODES = re.compile(r"须为 ['&]|JSON|（UUID）|true 或 false")


async def pages_of(browser: Browser, things: Mapping[str, str]) -> list[Seen]:
    """Every page that somebody is shown."""
    gets = [page for page in PAGES if page.method == "GET" and not page.is_polled]
    seen = [await browser.ask("GET", address_of(page, things)) for page in gets]
    return [page for page in seen if page.status == 200 and page.html]


def tries(form: HtmlForm) -> Iterator[tuple[str, dict[str, str]]]:
    """A form with nothing, with empty fields, with wrong ones, and with each of them wrong."""
    first = dict(reversed(form.fields))
    names = {name for name in form.named | {name for name, _ in form.buttons} if name}
    names -= {"csrf", "_key"}
    yield "nothing", {}
    yield "empty", dict.fromkeys(names, "")
    yield "wrong", dict.fromkeys(names, WRONG)
    for name in sorted(names):
        yield name, {**first, name: WRONG}


@pytest.mark.slow
@pytest.mark.parametrize("role", ["admin", "operator", "approver"])
async def test_a_form_that_is_wrong_is_answered_with_a_page_in_words(api: Api, role: str) -> None:
    things = await furnish(api)
    browser = await browser_of(api, role)
    forms = {
        (form.action, *sorted(form.named)): form
        for page in await pages_of(browser, things)
        for form in page.forms
        if form.method == "post" and form.action not in LEAVES
    }
    assert len(forms) > 20
    found = []
    for form in forms.values():
        token = dict(form.fields)["csrf"]
        for what, fields in tries(form):
            data = FormData({**fields, "csrf": token})
            seen = await browser.ask(
                "POST", form.action, headers={"Origin": browser.origin}, data=data
            )
            kind = seen.headers.get("Content-Type", "text/html")
            bad = seen.status >= 500 or (seen.status >= 400 and "text/html" not in kind)
            if bad or CODES.search(seen.text):
                found.append((form.action, what, seen.status, kind, seen.text[-160:]))
    assert not found


@pytest.mark.parametrize("role", cases(["admin", "operator"], "operator"))
async def test_an_address_that_is_bent_is_answered_with_a_page(api: Api, role: str) -> None:
    """What a page reads out of its address: names of its own forms and links, and `cursor`."""
    things = await furnish(api)
    browser = await browser_of(api, role)
    found = []
    for page in await pages_of(browser, things):
        links = " ".join(page.links)
        names = {"cursor", *re.findall(r"[?&](\w+)=", links)}
        names |= {name for form in page.forms if form.method == "get" for name in form.named}
        for value in BENT.values():
            for name in names:
                seen = await browser.ask("GET", f"{page.path.partition('?')[0]}?{name}={value}")
                if seen.status >= 500 or CODES.search(seen.text):
                    found.append((page.path, name, value[:3], seen.status, seen.text[-160:]))
    assert not found


def test_a_form_that_is_shown_again_may_read_what_its_page_reads() -> None:
    heavy = {page.function for page in PAGES if page.method == "GET" and page.heavy}
    assert not [page.path for page in PAGES if page.again in heavy and not page.heavy]


async def test_no_box_ticked_is_not_all_of_them(api: Api) -> None:
    browser = await browser_of(api, "operator")
    new = await browser.get("/obligations/new")
    fields = {"title": "周报", "kinds": ["school"], "remind": [], "ladder": []}
    seen = await browser.submit(new, "/obligations/new", fields)
    assert seen.status == 200, seen.text
    (one,) = (await api.get("/obligations", ("county", "operator"))).json["items"]
    assert (one["remind"], one["ladder"]) == ([], [])


async def test_boxes_of_an_obligation_are_unticked_later(api: Api) -> None:
    obligation = await set_obligation(api)
    browser = await browser_of(api, "operator")
    here = f"/obligations/{obligation}"
    page = await browser.get(here)
    assert ("remind", "-2h") in page.form(here).fields
    seen = await browser.submit(page, here, {"remind": [], "ladder": ["late"]})
    assert seen.status == 200, seen.text
    one = (await api.get(here, ("county", "operator"))).json
    assert (one["remind"], one["ladder"]) == ([], ["late"])


async def test_what_is_asked_for_and_is_not_there_is_a_page_for_a_browser(api: Api) -> None:
    browser = await browser_of(api, "operator")
    asks = {"Accept": "text/html,*/*;q=0.8"}
    for method, path in (("GET", "/nowhere"), ("POST", "/duties/all")):
        seen = await browser.ask(method, path, headers=asks)
        assert (seen.status, "这里没有内容" in seen.text) == (404, True)
        problem = await browser.ask(method, path)
        assert problem.headers["Content-Type"] == "application/problem+json"
    of_api = await browser.ask("GET", "/api/v1/nowhere", headers=asks)
    assert of_api.headers["Content-Type"] == "application/problem+json"


async def test_the_address_of_a_refused_form_leads_to_its_page(api: Api) -> None:
    obligation = await set_obligation(api)
    browser = await browser_of(api, "operator")
    duty = (await browser.ask("GET", f"/duties/{obligation}/submit")).headers["Location"]
    assert duty == f"/duties/{obligation}"
    assert (await browser.ask("GET", "/search")).headers["Location"] == "/runs/single"
    assert (await browser.ask("GET", f"/runs/{obligation}/pause")).headers["Location"] == "/today"


async def test_a_bent_address_says_each_fault_once_and_leads_to_its_page(api: Api) -> None:
    browser = await browser_of(api, "operator")
    seen = await browser.get("/duties/all?state=x&obligation=y")
    assert seen.status == 422
    assert seen.text.count("请从页面给出的选项中选择") == 1
    assert "/duties/all" in seen.links
