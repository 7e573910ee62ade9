"""The pages of the console, each with an address of something that there is."""

from collections.abc import Mapping

from service.console.page import WebPage
from tests.harness.things import NOBODY, make_things
from tests.integration.api.conftest import Api

OTHERS = {
    "name": "duty",
    "kind": "led",
    "code": "341825",
    "channel_id": "1",
    "old": "1",
    "new": "2",
    "change_id": NOBODY,
    "delivery_id": NOBODY,
    "class": "service",
    "year": "2027",
    "place": "0",
    "extension": "01",
    "object_id": NOBODY,
}
"""Parameters of addresses that no thing of the tests has."""


async def furnish(api: Api) -> dict[str, str]:
    """One of each thing in the county, and nobody is anybody's deputy."""
    things = await make_things(api, "county")
    await api.runtime.pool.execute("DELETE FROM deputies")
    return things


def address_of(page: WebPage, things: Mapping[str, str]) -> str:
    """An address of a page, of one of the things."""
    return page.path.format_map({**OTHERS, **things})
