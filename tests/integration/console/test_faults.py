"""Faults of ours: told to the reader, logged, and never taken for a database that is away."""

import pytest
from jinja2 import TemplateNotFound

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
