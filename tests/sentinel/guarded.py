"""Three Valkeys and three sentinels on loopback, run on the files of deploy/ha."""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from service.local.embedded import free_port, valkey_binary
from tests.chaos.system import Breach, until
from tests.harness.ha_files import FILES, fill_in
from tests.harness.waiting import until_sync

ADDRESS, NAME, COUNT = "127.0.0.1", "tocsin", 3
PASSWORD, SENTINEL_PASSWORD = "valkeys-word", "sentinels-word"
ANSWER_SECONDS = 2.0


@dataclass
class Server:
    """A Valkey or a sentinel: its file, and its process if it has one."""

    folder: Path
    port: int
    password: str
    sentinel: bool = False
    process: "subprocess.Popen[bytes] | None" = None

    def start(self) -> None:
        """Start it on the file that it has, as a supervisor does."""
        command = [str(valkey_binary()), str(self.folder / "server.conf")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *(["--sentinel"] if self.sentinel else [])], stdout=log, stderr=log
            )

    def signal(self, sign: signal.Signals) -> None:
        """kill -9, SIGSTOP or SIGCONT."""
        assert self.process is not None
        os.kill(self.process.pid, sign)

    def kill(self) -> None:
        """kill -9, and nothing starts it again by itself."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def ask(self, *words: object) -> Any:
        """The answer to a command; None: there is none."""
        with suppress(RedisError, OSError), self.client() as client:
            return client.execute_command(*words)

    def client(self) -> Redis:
        """A client that waits for no silent server."""
        return Redis(
            ADDRESS,
            self.port,
            password=self.password,
            socket_timeout=ANSWER_SECONDS,
            decode_responses=True,
        )


@dataclass
class Guarded:
    """All six."""

    folder: Path
    valkeys: list[Server] = field(default_factory=list)
    sentinels: list[Server] = field(default_factory=list)

    @property
    def url(self) -> str:
        """What TOCSIN_REDIS_URL is."""
        hosts = ",".join(f"{ADDRESS}:{one.port}" for one in self.sentinels)
        query = f"?sentinel_password={SENTINEL_PASSWORD}"
        return f"sentinel://:{PASSWORD}@{hosts}/{NAME}/0{query}"

    def start(self) -> None:
        """Write the files and start everything; the first Valkey begins as the primary."""
        first = free_port()
        common = {"ADDRESS": ADDRESS, "PRIMARY": ADDRESS, "PRIMARY_PORT": first}
        for n in range(COUNT):
            port = free_port() if n else first
            text = (FILES / "valkey.conf").read_text()
            if n:
                text = text.replace("# replicaof ", "replicaof ")
            server = self._lay_out(f"valkey-{n}", port, PASSWORD, text, common)
            self.valkeys.append(server)
        for n in range(COUNT):
            text = (FILES / "sentinel.conf").read_text()
            server = self._lay_out(f"sentinel-{n}", free_port(), SENTINEL_PASSWORD, text, common)
            server.sentinel = True
            self.sentinels.append(server)
        for server in (*self.valkeys, *self.sentinels):
            server.start()
        until_sync(self.is_whole, 60, self.described)

    def _lay_out(
        self, name: str, port: int, password: str, text: str, common: dict[str, object]
    ) -> Server:
        folder = self.folder / name
        folder.mkdir(parents=True)
        values = common | {"PORT": port, "FOLDER": folder, "PASSWORD": PASSWORD}
        filled = fill_in(text, SENTINEL_PASSWORD=SENTINEL_PASSWORD, **values)
        (folder / "server.conf").write_text(filled)
        return Server(folder, port, password)

    def stop(self) -> None:
        """End everything, also what is frozen."""
        for server in (*self.valkeys, *self.sentinels):
            server.kill()

    # ---- looking

    def primary(self) -> Server | None:
        """The Valkey that most sentinels name and that says so itself."""
        named = [one.ask("SENTINEL", "GET-PRIMARY-ADDR-BY-NAME", NAME) for one in self.sentinels]
        for server in self.valkeys:
            votes = [found for found in named if found and int(found[1]) == server.port]
            if len(votes) * 2 > COUNT and (server.ask("ROLE") or [""])[0] == "master":
                return server
        return None

    def is_whole(self) -> bool:
        """Whether all run, two Valkeys follow the third, and the sentinels know one another."""
        primary = self.primary()
        if primary is None or len(primary.ask("ROLE")[2]) < COUNT - 1:
            return False
        following = [one.ask("ROLE") for one in self.valkeys if one is not primary]
        if not all(role and role[0] == "slave" and role[3] == "connected" for role in following):
            return False
        return all(one.ask("SENTINEL", "CKQUORUM", NAME) for one in self.sentinels) and all(
            _peers(one) == COUNT - 1 for one in self.sentinels
        )

    def described(self) -> str:
        """Who is what, for whoever looks into a breach."""
        roles = [(one.port, one.ask("ROLE")) for one in self.valkeys]
        return f"{roles}, primary {self.primary()}"

    async def whole(self) -> None:
        """Until all six are well.

        Raises:
            Breach: they are not.
        """
        try:
            await until(self.is_whole, 90, "three Valkeys and three sentinels are well")
        except Breach as breach:
            raise Breach(f"{breach}: {self.described()}") from None

    def present(self) -> Server:
        """The primary.

        Raises:
            Breach: there is none.
        """
        found = self.primary()
        if found is None:
            raise Breach(f"no primary: {self.described()}")
        return found

    async def another_than(self, old: Server) -> Server:
        """Until another Valkey is the primary."""

        def other() -> Server | None:
            found = self.primary()
            return found if found is not old else None

        found: Server = await until(other, 40, "another Valkey takes over")
        return found


def _peers(sentinel: Server) -> int:
    return len(sentinel.ask("SENTINEL", "SENTINELS", NAME) or ())
