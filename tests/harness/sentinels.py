"""Sentinels that name whatever primary a test says, and Valkeys on TCP for them to name."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from redis import Redis as BlockingRedis
from redis.exceptions import RedisError

from service.local.embedded import free_port, valkey_binary
from tests.harness.waiting import until_sync

NAME = "tocsin"


@contextmanager
def valkey_on_tcp(folder: Path, *options: str) -> Iterator[int]:
    """A Valkey of its own; its port, once it answers."""
    folder.mkdir()
    port = free_port()
    command = [str(valkey_binary()), "--port", str(port), "--bind", "127.0.0.1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--dir", str(folder), "--save", "", *options], stdout=log, stderr=log
        )
    try:
        with BlockingRedis(port=port) as client:
            until_sync(lambda: _answers(client), explain=(folder / "log").read_text)
        yield port
    finally:
        process.kill()
        process.wait()


def _answers(client: BlockingRedis) -> bool:
    try:
        return bool(client.ping())
    except RedisError:
        return False


@dataclass
class ScriptedSentinel:
    """Names a primary, the newer the higher its epoch. silent: it takes what it is asked, and says
    nothing. asked: how often it was asked for primaries.
    """

    primary: int = 0
    epoch: int = 0
    port: int = 0
    name: str = NAME
    flags: str = "master"
    password: str = ""
    silent: bool = False
    asked: int = 0
    _talks: set[asyncio.Task[None]] = field(default_factory=set)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one client until it closes."""
        mine = asyncio.current_task()
        assert mine is not None
        self._talks.add(mine)
        known = False
        try:
            while words := await _read_command(reader):
                if words[0] == "AUTH":
                    known = words[-1] == self.password
                    answer = "+OK\r\n" if known else "-WRONGPASS invalid password\r\n"
                elif self.password and not known:
                    answer = "-NOAUTH Authentication required.\r\n"
                else:
                    answer = self._answer(words)
                if not self.silent:
                    writer.write(answer.encode())
                    await writer.drain()
        finally:
            self._talks.discard(mine)
            writer.close()

    def _answer(self, words: list[str]) -> str:
        if words[0].startswith("SENTINEL"):
            self.asked += 1
            state = {
                "name": self.name,
                "ip": "127.0.0.1",
                "port": str(self.primary),
                "flags": self.flags,
                "num-other-sentinels": "2",
                "config-epoch": str(self.epoch),
            }
            items = [item for pair in state.items() for item in pair]
            lines = "".join(f"${len(item)}\r\n{item}\r\n" for item in items)
            return f"*1\r\n*{len(items)}\r\n{lines}"
        return "+PONG\r\n" if words[0] == "PING" else "+OK\r\n"

    async def end(self) -> None:
        """Talk to nobody any more."""
        for task in list(self._talks):
            task.cancel()
        await asyncio.gather(*self._talks, return_exceptions=True)


async def _read_command(reader: asyncio.StreamReader) -> list[str]:
    try:
        count = int((await reader.readuntil())[1:])
        words = []
        for _ in range(count):
            length = int((await reader.readuntil())[1:])
            words.append((await reader.readexactly(length + 2))[:-2].decode())
    except (asyncio.IncompleteReadError, ConnectionError):
        return []
    return [words[0].upper(), *words[1:]]


@asynccontextmanager
async def scripted_sentinels(primary: int, count: int = 3) -> AsyncIterator[list[ScriptedSentinel]]:
    """So many sentinels that name this port."""
    sentinels = [ScriptedSentinel(primary) for _ in range(count)]
    servers = [await asyncio.start_server(one.talk, "127.0.0.1", 0) for one in sentinels]
    for one, server in zip(sentinels, servers, strict=True):
        one.port = server.sockets[0].getsockname()[1]
    try:
        yield sentinels
    finally:
        for one, server in zip(sentinels, servers, strict=True):
            server.close()
            await one.end()


def url_of(sentinels: list[ScriptedSentinel], name: str = NAME, password: str = "") -> str:
    """The address by which they are asked."""
    hosts = ",".join(f"127.0.0.1:{one.port}" for one in sentinels)
    query = f"?sentinel_password={password}" if password else ""
    return f"sentinel://{hosts}/{name}/0{query}"
