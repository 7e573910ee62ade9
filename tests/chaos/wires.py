"""A system whose servers and carriers are reached through proxies that can fall silent."""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from service.local.embedded import Postgres, Valkey, free_port, prepare_folder
from tests.chaos.system import System, until
from tests.harness.silent import SilentProxy, silent_proxy

POSTGRESQL, REDIS = "PostgreSQL", "Redis"
PROTOCOLS = ("cmpp", "sgip", "smgp")
BACK = "sgip, carrier's own connection"


class Wires:
    """Proxies by name, in a thread of their own: they carry whatever else goes on."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._stack = AsyncExitStack()
        self._proxies: dict[str, SilentProxy] = {}

    def start(self) -> None:
        self._thread.start()

    def add(self, name: str, host: str, port: int = 0, own_port: int = 0) -> int:
        """Put a proxy before a server; returns the port to connect to."""

        async def open_proxy() -> SilentProxy:
            return await self._stack.enter_async_context(silent_proxy(host, port, own_port))

        self._proxies[name] = asyncio.run_coroutine_threadsafe(open_proxy(), self._loop).result(10)
        return self._proxies[name].own_port

    def act(self, names: Iterable[str], what: Callable[[SilentProxy], None]) -> None:
        """Do something to proxies, all at the same moment."""

        async def do() -> None:
            for name in names:
                what(self._proxies[name])

        asyncio.run_coroutine_threadsafe(do(), self._loop).result(10)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stack.aclose(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


class WiredSystem(System):
    """A system with a proxy before PostgreSQL, before Redis, and before each channel of the
    carrier.

    `tocsin up` is given the addresses of the servers, which are ours here; what looks at the
    database from outside goes past the proxy.
    """

    def __init__(self, folder: Path, people: int, **options: Any) -> None:
        super().__init__(folder, people, **options)
        self.wires = Wires()
        self._servers = (
            Postgres(prepare_folder(folder / "postgres")),
            Valkey(prepare_folder(folder / "valkey")),
        )

    async def start(self) -> None:
        """Start the servers and the proxies, then everything else."""
        postgres, valkey = self._servers
        await asyncio.to_thread(postgres.start)
        await asyncio.to_thread(postgres.create_database)
        await asyncio.to_thread(valkey.start)
        self.wires.start()
        database = self.wires.add(POSTGRESQL, "127.0.0.1", postgres.port)
        redis = self.wires.add(REDIS, urlsplit(valkey.url).path)
        owner = urlsplit(postgres.url).netloc.rpartition("@")[0]
        self.live.environment |= {
            "TOCSIN_DATABASE_URL": f"postgresql://{owner}@127.0.0.1:{database}/tocsin",
            "TOCSIN_REDIS_URL": f"redis://127.0.0.1:{redis}/0",
        }
        await super().start()
        self.live.summary |= {"database_url": postgres.url, "redis_url": valkey.url}
        for channel in (await self.call("admin", "GET", "/channels"))["items"]:
            await self._wire_channel(channel["id"])

    async def _wire_channel(self, channel_id: int) -> None:
        """Let a channel reach the carrier, and the carrier the channel, through proxies."""
        channel = await self.call("admin", "GET", f"/channels/{channel_id}")
        config = dict(channel["config"])
        port = self.wires.add(channel["name"], config["host"], config["port"])
        change = {"port": port}
        if "listen_port" in config:
            change["listen_port"] = free_port()
        await self.call("admin", "PATCH", f"/channels/{channel_id}", {"config": config | change})
        if "listen_port" in config:
            await self._wire_back(config["listen_port"], change["listen_port"])

    async def _wire_back(self, asked: int, listens: int) -> None:
        """The carrier goes on asking the old port, once the channel has let go of it."""

        async def taken() -> bool:
            with contextlib.suppress(OSError):
                self.wires.add(BACK, "127.0.0.1", listens, asked)
                return True
            return False

        await until(taken, 30, "the channel lets go of its port")

    def stop(self) -> None:
        """Stop everything, the servers last."""
        self.wires.act([POSTGRESQL, REDIS], SilentProxy.forward)
        super().stop()
        self.wires.stop()
        for server in self._servers:
            server.stop()
