"""The client at the other end of a TCP connection to the real server."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import pytest
from tocsin_client import Patience, Tocsin

from tests.harness.lossy import LossyWire, lossy
from tests.integration.api.conftest import Api
from tests.integration.api.conftest import api as api
from tests.integration.api.conftest import runtime as runtime

QUICK = Patience(attempts=6, total=20, first=0.02, longest=0.1, timeout=10)

Clients = Callable[[str], AbstractAsyncContextManager[Tocsin]]


@pytest.fixture
async def wire(api: Api) -> AsyncIterator[LossyWire]:
    """A wire to the server, on which answers may be lost."""
    url = api.client.make_url("/")
    assert url.host is not None
    assert url.port is not None
    async with lossy(url.host, url.port) as made:
        yield made


@pytest.fixture
def client(api: Api, wire: LossyWire) -> Clients:
    """A client of somebody of the school's, over the wire."""
    return lambda role: Tocsin(wire.url, api.tokens["school", role], patience=QUICK)
