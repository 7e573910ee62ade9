"""One service, one key, and everything that can be asked of it."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self, cast

from tocsin_client.audience import Imports, Rosters, Segments, Suppressions
from tocsin_client.campaigns import Campaigns, Runs, Templates
from tocsin_client.hooks import Webhooks
from tocsin_client.link import Link, Patience, Query, file_form, into
from tocsin_client.messages import Messages
from tocsin_client.offers import Offers
from tocsin_client.operations import Audit, Channels, Keys, StopAll, Uncertain
from tocsin_client.types import Me, WorkKind


class Tocsin:
    """A client, to be used in `async with`.

    url: of the service, e.g. `https://sms.example.gov.cn`. key: `tk_…`, which acts as its user.
    patience: how long one act is tried when the service cannot be reached.
    language: of what refusals say, `en` or `zh`.

    Raises:
        ValueError: `url` is no address, or `key` is empty.
    """

    def __init__(
        self, url: str, key: str, *, patience: Patience | None = None, language: str = "en"
    ) -> None:
        self._link = Link(url, key, patience or Patience(), language)
        self.messages = Messages(self._link)
        self.imports = Imports(self._link)
        self.rosters = Rosters(self._link)
        self.segments = Segments(self._link)
        self.suppressions = Suppressions(self._link)
        self.templates = Templates(self._link)
        self.offers = Offers(self._link)
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

    async def ask(
        self,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"],
        path: str,
        *,
        query: Query | None = None,
        body: object = None,
    ) -> Any:
        """The answer to what has no method of its own here, e.g. `ask("GET", "/caps")`.

        path: as in the reference, below `/api/v1`, its parts quoted. A GET takes a `query`, a POST,
        PUT or PATCH a `body`.
        """
        if method == "GET":
            return await self._link.get(path, query)
        if method == "DELETE":
            return await self._link.delete(path, body)
        act = {"POST": self._link.post, "PUT": self._link.put, "PATCH": self._link.patch}[method]
        return await act(path, {} if body is None else body)

    async def each(self, path: str, query: Query | None = None) -> AsyncIterator[Any]:
        """Every item of a list that has no method of its own here, page by page."""
        async for item in self._link.pages(path, query):
            yield item

    async def give(self, path: str, file: Path, fields: Mapping[str, str]) -> Any:
        """The answer to a file that is given in together with fields of a form."""
        return await self._link.upload(path, file_form(fields, file, file.name), key=None)

    async def save(
        self, path: str, file: IO[bytes], *, query: Query | None = None, body: object = None
    ) -> None:
        """Write a file of the service into yours; `body`: if it is asked for by POST."""
        await self._link.download(path, into(file), query, body=body)

    async def __aenter__(self) -> Self:
        self._link.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._link.close()
