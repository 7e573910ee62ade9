"""A small client of our own API, as another department would write one."""

import io
from types import TracebackType
from typing import Any, Self
from uuid import uuid4

from aiohttp import ClientSession, FormData

from service.errors import TocsinError
from service.words.phrase import phrase


class DemoClient:
    """One person's access."""

    def __init__(self, url: str, key: str) -> None:
        self._url = url + "/api/v1"
        self._key = key

    async def __aenter__(self) -> Self:
        self._session = ClientSession(headers={"Authorization": f"Bearer {self._key}"})
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self._session.close()

    async def get(self, path: str) -> dict[str, Any]:
        """A GET's answer."""
        return await self._ask("GET", path)

    async def download(self, path: str) -> bytes:
        """A file."""
        async with self._session.get(self._url + path) as answer:
            answer.raise_for_status()
            return await answer.read()

    async def post(self, path: str, body: object) -> dict[str, Any]:
        """A POST's answer; each has an idempotency key of its own."""
        return await self._ask("POST", path, json=body, headers={"Idempotency-Key": str(uuid4())})

    async def put(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """The answer to a PUT."""
        return await self._ask("PUT", path, json=body)

    async def upload(self, path: str, content: bytes, fields: dict[str, str]) -> dict[str, Any]:
        """The answer to a file."""
        form = FormData(fields)
        form.add_field("file", io.BytesIO(content), filename="county.csv", content_type="text/csv")
        return await self._ask("POST", path, data=form)

    async def _ask(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        async with self._session.request(method, self._url + path, **more) as answer:
            found: dict[str, Any] = await answer.json(content_type=None)
            if answer.status >= 400:
                raise TocsinError(
                    phrase(
                        "{method} {path}: {status} {found}",
                        method=method,
                        path=path,
                        status=answer.status,
                        found=found,
                    )
                )
            return found
