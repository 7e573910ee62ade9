"""Faults of ours: told to the reader, logged, and never taken for a database that is away."""

import asyncio

import pytest
from jinja2 import TemplateNotFound

from service.console.asking import Desk
from service.console.render import Shown
from tests.harness.console import browser_of
from tests.integration.api.conftest import Api


@pytest.mark.parametrize("fault", [TemplateNotFound("x.html"), ZeroDivisionError("x")])
async def test_a_fault_of_a_page_is_ours_and_logged(
    api: Api,
    fault: Exception,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    browser = await browser_of(api, "operator")

    def fail(*_: object) -> None:
        raise fault

    monkeypatch.setattr("service.console.today.pages._now", fail)
    seen = await browser.get("/today")
    assert seen.status == 500
    assert "出现意外错误" in seen.text
    assert "unexpected error of a page" in caplog.text


async def test_who_walks_on_waits_for_what_is_still_counted(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three heavy pages of one person at once: the third waits, and none is refused."""
    browser = await browser_of(api, "operator")
    go_on, begun = asyncio.Event(), asyncio.Semaphore(0)

    async def slow(desk: Desk) -> Shown:
        begun.release()
        await go_on.wait()
        return Shown("today/_now.html", {"waiting": [], "sending": []})

    monkeypatch.setattr("service.console.today.pages._week_of", slow)
    asked = [asyncio.create_task(browser.ask("GET", "/today/week")) for _ in range(3)]
    for _ in range(2):
        await begun.acquire()
    assert begun.locked(), "the third waits"
    go_on.set()
    assert [seen.status for seen in await asyncio.gather(*asked)] == [200, 200, 200]
