"""One service, one key, and everything that can be asked of it."""

from types import TracebackType
from typing import Self, cast

from tocsin_client.audience import Imports, Rosters, Segments, Suppressions
from tocsin_client.campaigns import Campaigns, Runs, Templates
from tocsin_client.hooks import Webhooks
from tocsin_client.link import Link, Patience
from tocsin_client.messages import Messages
from tocsin_client.operations import Audit, Channels, Keys, StopAll, Uncertain
from tocsin_client.types import Me, WorkKind


class Tocsin:
    """A client, to be used in `async with`.

    url: of the service, e.g. `https://sms.example.gov.cn`. key: `tk_…`, which acts as its user.
    patience: how long one act is tried when the service cannot be reached.

    Raises:
        ValueError: `url` is no address, or `key` is empty.
    """

    def __init__(self, url: str, key: str, *, patience: Patience | None = None) -> None:
        self._link = Link(url, key, patience or Patience())
        self.messages = Messages(self._link)
        self.imports = Imports(self._link)
        self.rosters = Rosters(self._link)
        self.segments = Segments(self._link)
        self.suppressions = Suppressions(self._link)
        self.templates = Templates(self._link)
        self.campaigns = Campaigns(self._link)
        self.runs = Runs(self._link)
        self.webhooks = Webhooks(self._link)
        self.uncertain = Uncertain(self._link)
        self.channels = Channels(self._link)
        self.stop_all = StopAll(self._link)
        self.keys = Keys(self._link)
        self.audit = Audit(self._link)

    async def me(self) -> Me:
        """As whom the key acts, and what it may."""
        return cast(Me, await self._link.get("/me"))

    async def work(self) -> list[WorkKind]:
        """What waits for a person, by kind, the most urgent first."""
        return cast(list[WorkKind], (await self._link.get("/work"))["items"])

    async def __aenter__(self) -> Self:
        self._link.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._link.close()
