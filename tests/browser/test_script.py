"""What console.js does, in both browsers: waiting, a lost server, an ended session, polls, keys.

The pages and the login are those of the running system. What its pages do not have yet, or do too
seldom, is put into them: a part that is asked for each tenth of a second, answered by the test.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from playwright.async_api import Browser, Page, Request, Route, expect

from tests.browser.conftest import Visit
from tests.browser.office import Office, choose_password, hire
from tests.browser.visitor import PASSWORD, Visitor
from tests.harness.waiting import until

FORM = "/account/password"
LOST = re.compile("ERR_FAILED|Failed to fetch")
"""What a browser and htmx write when a server does not answer."""
PART = """<div id="live" hx-get="/made/part" hx-trigger="every {every}" hx-swap="outerMorph">
  <details id="fold"><summary>fold</summary>inside</details>
  <time data-updated>09:38:{second:02}</time></div>"""
LAST = '<div id="live"><time data-updated>09:59:59</time></div>'
INSERT = """(html) => {
  const made = new DOMParser().parseFromString(html, 'text/html').body.firstElementChild;
  document.querySelector('main').append(made);
  htmx.process(made);
}"""
COMPOSED = """(words) => {
  const field = document.querySelector('#search');
  const tell = (kind, type, more) => field.dispatchEvent(new kind(type, {bubbles: true, ...more}));
  field.focus();
  tell(CompositionEvent, 'compositionstart');
  for (const typed of words) {
    field.value = typed;
    tell(InputEvent, 'input', {isComposing: true});
  }
}"""


@pytest.fixture(params=["today", "oldest"])
def browser(request: pytest.FixtureRequest) -> Browser:
    """Each of both browsers."""
    found: Browser = request.getfixturevalue(request.param)
    return found


async def at_work(
    visit: Visit, browser: Browser, *refusals: int, login: str = "operator"
) -> Visitor:
    """Somebody at the page with a form."""
    visitor = await visit(browser=browser, refusals=refusals)
    await visitor.go(f"/login?next={FORM}")
    await visitor.page.fill("input[name=login]", login)
    await visitor.page.fill("input[name=password]", PASSWORD)
    await visitor.page.keyboard.press("Enter")
    await visitor.page.wait_for_url(visitor.url + FORM)
    await until(lambda: visitor.page.evaluate("Boolean(window.htmx)"), what="the script is there")
    return visitor


async def send(page: Page, new: str = "short") -> None:
    """Send the form with a new password that is refused."""
    await page.fill("input[name=current]", PASSWORD)
    await page.fill("input[name=new]", new)
    await page.keyboard.press("Enter")


@asynccontextmanager
async def held_back(page: Page) -> AsyncIterator[list[Request]]:
    """While this lasts, no POST is answered; what was sent."""
    sent: list[Request] = []
    free = asyncio.Event()

    async def hold(route: Route) -> None:
        if route.request.method == "POST":
            sent.append(route.request)
            await free.wait()
        await route.continue_()

    await page.route(re.compile(f"//[^/]*{FORM}$"), hold)
    try:
        yield sent
    finally:
        free.set()


class Part:
    """The answers to a part that asks for itself. asked: how often it did."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.asked = 0
        self.status = 200
        self.every = "100ms"
        self.body = ""

    async def answer(self, route: Route) -> None:
        self.asked += 1
        body = self.body or PART.format(every=self.every, second=self.asked % 60)
        await route.fulfill(status=self.status, content_type="text/html", body=body)

    async def begin(self) -> None:
        """Put it into the page."""
        await self.page.route("**/made/part", self.answer)
        await self.page.evaluate(INSERT, PART.format(every=self.every, second=0))

    async def ask(self, times: int = 3) -> None:
        """Wait until it has asked a few times more."""
        goal = self.asked + times
        await until(lambda: self.asked >= goal, what="the part asks")


async def beats(page: Page) -> None:
    """Let ten tenths of a second pass in the page: what asks each tenth would have asked."""
    await page.evaluate("""() => new Promise((done) => {
      let left = 10;
      const timer = setInterval(() => { if (!--left) { clearInterval(timer); done(); } }, 100);
    })""")


async def test_what_is_still_asked_when_the_page_is_left_is_no_fault(
    visit: Visit, browser: Browser
) -> None:
    page = (await at_work(visit, browser)).page
    asked: list[Route] = []

    async def never(route: Route) -> None:
        asked.append(route)

    await page.route("**/made/part", never)
    await page.evaluate(INSERT, PART.format(every="100ms", second=0))
    await until(lambda: asked, what="the part asks")
    await page.goto(page.url.replace(FORM, "/account"))  # the visitor notes what goes wrong
    await page.unroute_all(behavior="ignoreErrors")


async def test_a_refused_form_is_shown_in_place_and_its_errors_have_the_focus(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser, 422)).page
    await send(page)
    await expect(page.locator("[data-errors]")).to_be_focused()
    assert page.url == office.url + FORM
    await page.locator("[data-errors] a[href='#f-new']").focus()
    await page.keyboard.press("Enter")
    await expect(page.locator("#f-new")).to_be_focused()


async def test_a_form_that_is_sent_twice_is_asked_once(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser, 422)).page
    async with held_back(page) as sent:
        await send(page)
        await expect(page.locator("#c-wait")).to_be_visible()
        await page.locator("input[name=new]").press("Enter")
        await page.locator("input[name=new]").press("Enter")
        await expect(page.locator("#c-wait-slow")).to_be_visible()
    await expect(page.locator("[data-errors]")).to_be_visible()
    await expect(page.locator("#c-wait")).to_be_hidden()
    assert len(sent) == 1


async def test_a_lost_server_leaves_the_page_and_what_was_typed(
    visit: Visit, browser: Browser, office: Office
) -> None:
    visitor = await at_work(visit, browser, 422)
    page, posts = visitor.page, []
    page.on("request", lambda r: posts.append(r) if r.method == "POST" else None)
    await page.route(office.url + FORM, lambda route: route.abort())
    await send(page)
    await expect(page.locator("#c-away")).to_be_visible()
    assert await page.input_value("input[name=new]") == "short"
    await page.unroute(office.url + FORM)
    tried = len(posts)
    await page.locator("#c-away button").press("Enter")
    await expect(page.locator("[data-errors]")).to_be_visible()
    await expect(page.locator("#c-away")).to_be_hidden()
    assert (tried, len(posts)) == (1, 2), "what acts is sent again by a press alone"
    assert "_key" in (posts[0].post_data or "")
    assert posts[0].post_data == posts[1].post_data
    visitor.faults = [fault for fault in visitor.faults if not LOST.search(fault)]


async def test_who_logs_in_again_in_the_box_has_the_same_act_done_once(
    visit: Visit, browser: Browser, office: Office
) -> None:
    login, _ = await hire(office)
    await choose_password(office, login)
    page = (await at_work(visit, browser, 401, 422, login=login)).page
    answered: list[int] = []
    page.on("response", lambda r: answered.append(r.status) if r.url.endswith(FORM) else None)
    other = await at_work(visit, browser, login=login)
    await other.go("/account")
    others = other.page.locator("form[action$='/end'] button")
    await expect(others).to_have_count(2)
    for left in (1, 0):
        await others.first.press("Enter")
        await expect(others).to_have_count(left)
    await send(page)
    box = page.locator("#c-session")
    await expect(box.locator("input[name=login]")).to_be_focused()
    for password in ("not the password", PASSWORD):
        await box.locator("input[name=login]").fill(login)
        await box.locator("input[name=password]").fill(password)
        await page.keyboard.press("Enter")
        if password != PASSWORD:
            await expect(box.locator(".notice.bad")).to_be_visible()
    await expect(box).to_be_hidden()
    await expect(page.locator("[data-errors]")).to_be_visible()
    assert answered == [401, 422]


async def test_a_part_asks_as_its_answers_say_and_keeps_what_is_open(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser)).page
    part = Part(page)
    await part.begin()
    await part.ask()
    await page.evaluate("document.querySelector('#fold').open = true")
    await part.ask()
    assert await page.evaluate("document.querySelector('#fold').open")
    part.every = "9m"
    await part.ask(1)
    await expect(page.locator("#live")).to_have_attribute("hx-trigger", "every 9m")
    once = part.asked
    await beats(page)
    assert part.asked <= once + 1, "the longer pause is kept"


async def test_a_part_that_has_ended_asks_no_more(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser)).page
    part = Part(page)
    await part.begin()
    await part.ask(1)
    part.body = LAST
    await expect(page.locator("#live time")).to_have_text("09:59:59")
    once = part.asked
    await beats(page)
    assert part.asked == once


async def test_a_part_of_a_lost_server_keeps_its_figures_and_recovers_by_itself(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser, 503)).page
    part = Part(page)
    await part.begin()
    await part.ask()
    part.status = 503
    await expect(page.locator("#c-away")).to_be_visible()
    await expect(page.locator("#live")).to_have_class("stale")
    assert (await page.inner_text("#c-away-time")).startswith("09:38:")
    part.status = 200
    await expect(page.locator("#c-away")).to_be_hidden()
    await expect(page.locator("#live")).not_to_have_class("stale")


async def test_nothing_is_asked_while_a_word_is_composed(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser)).page
    part = Part(page)
    asked: list[str] = []

    async def search(route: Route) -> None:
        asked.append(route.request.post_data_json["words"])
        await route.fulfill(status=204)

    await page.route("**/made/search", search)
    await page.evaluate("""() => {
      const field = document.querySelector('#search');
      field.setAttribute('hx-post', '/made/search');
      field.setAttribute('hx-trigger', 'input changed delay:50ms');
      field.setAttribute('hx-swap', 'none');
      htmx.process(field);
    }""")
    await part.begin()
    await part.ask(1)
    await page.evaluate(COMPOSED, ["n", "ni", "ni'h", "nihao"])
    await beats(page)  # what was on its way has come
    once = part.asked
    await beats(page)
    assert (part.asked, asked) == (once, [])
    await page.evaluate("""() => {
      const field = document.querySelector('#search');
      field.value = '你好';
      field.dispatchEvent(new CompositionEvent('compositionend', {bubbles: true}));
    }""")
    await part.ask(1)
    await until(lambda: asked, what="the finished word is asked for")
    assert asked == ["你好"]


async def test_keys_go_search_and_tell_of_themselves(
    visit: Visit, browser: Browser, office: Office
) -> None:
    page = (await at_work(visit, browser)).page
    await page.locator("h1").evaluate("(it) => { document.activeElement.blur(); }")
    await page.keyboard.type("?")
    await expect(page.locator("#c-keys")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#c-keys")).to_be_hidden()
    nothing = "() => document.activeElement === document.body"
    await until(lambda: page.evaluate(nothing), what="the closed box has given the focus back")
    await page.keyboard.press("/")
    await expect(page.locator("#search")).to_be_focused()
    await page.keyboard.type("g t")
    assert page.url == office.url + FORM, "what is typed into a field is text"
    await page.locator("#search").evaluate("(it) => it.blur()")
    await page.keyboard.press("g")
    await page.keyboard.press("t")
    await page.wait_for_url("**/today")
