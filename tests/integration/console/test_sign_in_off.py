"""Without a provider of single sign-on there is no trace of it."""

import pytest

from tests.harness.console import Browser
from tests.integration.api.conftest import Api


@pytest.mark.parametrize("path", ["", "/return?code=x&state=y", "/code"])
async def test_there_is_no_such_page(api: Api, path: str) -> None:
    browser = Browser(api)
    assert (await browser.ask("GET", f"/login/provider{path}")).status == 404
    assert not [link for link in (await browser.get("/login")).links if "provider" in link]


async def test_nobody_is_linked(api: Api) -> None:
    user = api.teams["county"].operator
    refused = await api.call(
        "PUT", f"/users/{user.id}/sign-in", ("county", "admin"), json={"subject": "wang"}
    )
    assert refused.status == 409
