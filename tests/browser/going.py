"""A broadcast under way, and the API's own word on it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.browser.office import Office
from tests.harness.waiting import until

GROWN_UP = "年龄 >= 18"
"""Nearly all: at the pace of the carriers here they take minutes."""


@dataclass(frozen=True)
class Going:
    """A run under way, and the API's own word on it."""

    office: Office
    campaign: str
    run: str

    @property
    def path(self) -> str:
        return f"/runs/{self.run}"

    async def progress(self) -> Any:
        return await self.office.ask("operator", "GET", f"{self.path}/progress")

    async def state(self) -> str:
        found = await self.office.ask("operator", "GET", self.path)
        return str(found["state"])

    async def is_in(self, state: str) -> bool:
        return await self.state() == state

    async def acts(self, act: str) -> int:
        """How often somebody did this to the campaign, by the audit trail."""
        query = f"/audit?object_id={self.campaign}&limit=100"
        found = await self.office.ask("admin", "GET", query)
        return sum(entry["action"] == f"{act}_campaign" for entry in found["items"])

    async def pause(self) -> None:
        await self.office.ask("operator", "POST", f"/campaigns/{self.campaign}/pause", {})


@asynccontextmanager
async def under_way(office: Office) -> AsyncIterator[Going]:
    """A broadcast that takes minutes; it is ended afterwards."""
    launched = await office.live.launch(GROWN_UP)

    async def running() -> str | None:
        found = await office.ask("operator", "GET", f"/campaigns/{launched.campaign}/runs")
        return next((run["id"] for run in found["items"] if run["state"] == "running"), None)

    yield Going(office, launched.campaign, await until(running))
    await office.ask("operator", "POST", f"/campaigns/{launched.campaign}/cancel", {})
