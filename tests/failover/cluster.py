"""Three etcds, and three PostgreSQLs that Patroni guards, on the files of deploy/ha."""

import asyncio
import json
from base64 import b64encode
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from service.local.embedded import free_port, postgres_binaries
from service.storage.postgres import connected
from tests.chaos.system import Breach, until
from tests.harness.ha_files import FILES, Program, descendants, fill_in

ADDRESS = "127.0.0.1"
NAMES = ("one", "two", "three")
PASSWORD, OWNER_PASSWORD, REST_PASSWORD = "postgres-word", "owners-word", "rest-word"
READ_WRITE = "target_session_attrs=read-write"
ANSWER_SECONDS = 3.0
WHOLE_SECONDS = 120.0


class Node(Program):
    """A machine: Patroni, and the PostgreSQL that it has started."""

    name: str
    port: int
    rest: int

    @property
    def url(self) -> str:
        """The address of its database as the superuser."""
        return f"postgresql://postgres:{PASSWORD}@{ADDRESS}:{self.port}/postgres"

    def postmaster(self) -> list[int]:
        """Its PostgreSQL; none: it has none."""
        with suppress(OSError, ValueError, IndexError):
            pid = int((self.folder / "data/postmaster.pid").read_text().split("\n")[0])
            program = Path(f"/proc/{pid}/cmdline").read_bytes()
            if str(self.folder).encode() in program:
                return [pid]
        return []

    def pids(self) -> list[int]:
        """Everything on the machine."""
        return descendants(*super().pids()[:1], *self.postmaster())

    def walsenders(self) -> list[int]:
        """The processes that send its log to standbys."""
        found = []
        for pid in descendants(*self.postmaster()):
            with suppress(OSError):
                if b"walsender" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(pid)
        return found

    def ask(
        self,
        path: str,
        body: object = None,
        method: str = "GET",
        *,
        seconds: float = ANSWER_SECONDS,
    ) -> Any:
        """What Patroni's API says; None: nothing, or no."""
        data = json.dumps(body).encode() if body is not None else None
        request = Request(f"http://{ADDRESS}:{self.rest}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        login = b64encode(f"patroni:{REST_PASSWORD}".encode()).decode()
        request.add_header("Authorization", f"Basic {login}")
        with suppress(URLError, OSError), urlopen(request, timeout=seconds) as answer:
            text = answer.read().decode()
            return json.loads(text) if text.startswith("{") else text
        return None


@dataclass
class Cluster:
    """All six."""

    folder: Path
    etcds: list[Program] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)

    # ---- starting and stopping

    def start(self) -> None:
        """Write the files and start everything."""
        clients = self._lay_out_etcds()
        for name in NAMES:
            self._lay_out_node(name, clients)
        for program in (*self.etcds, *self.nodes):
            program.start()

    def _lay_out_etcds(self) -> str:
        """Returns where clients find them."""
        ports = {name: (free_port(), free_port()) for name in NAMES}
        members = ",".join(f"{name}=http://{ADDRESS}:{peer}" for name, (_, peer) in ports.items())
        for name, (client, peer) in ports.items():
            folder = self._folder(f"etcd-{name}")
            text = fill_in(
                (FILES / "etcd.yml").read_text(),
                NAME=name, FOLDER=folder / "data", ADDRESS=ADDRESS, CLIENT_PORT=client,
                PEER_PORT=peer, MEMBERS=members,
            )  # fmt: skip
            (folder / "etcd.yml").write_text(text)
            self.etcds.append(Program(["etcd", "--config-file", str(folder / "etcd.yml")], folder))
        return ",".join(f"{ADDRESS}:{client}" for client, _ in ports.values())

    def _lay_out_node(self, name: str, etcd: str) -> None:
        folder = self._folder(f"node-{name}")
        port, rest = free_port(), free_port()
        text = fill_in(
            (FILES / "patroni.yml").read_text(),
            NAME=name, FOLDER=folder, ADDRESS=ADDRESS, PORT=port, REST_PORT=rest, ETCD=etcd,
            PROGRAMS=postgres_binaries(), NETWORK=f"{ADDRESS}/32", SHARED_BUFFERS="128MB",
            PASSWORD=PASSWORD, REPLICATION_PASSWORD="replication-word",
            REST_PASSWORD=REST_PASSWORD,
        )  # fmt: skip
        (folder / "patroni.yml").write_text(text)
        node = Node(["patroni", str(folder / "patroni.yml")], folder)
        node.name, node.port, node.rest = name, port, rest
        self.nodes.append(node)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, mode=0o700)
        return folder

    def stop(self) -> None:
        """End everything, also what is frozen."""
        for program in (*self.nodes, *self.etcds):
            program.kill()

    async def make_database(self) -> None:
        """An empty database of Tocsin's, and the role that owns its tables."""
        async with connected(self.leader().url) as conn:
            await conn.execute("DROP DATABASE IF EXISTS tocsin WITH (FORCE)")
            if not await conn.fetchval("SELECT 1 FROM pg_roles WHERE rolname = 'tocsin'"):
                await conn.execute(
                    f"CREATE ROLE tocsin LOGIN CREATEROLE PASSWORD '{OWNER_PASSWORD}'"
                )
            await conn.execute("CREATE DATABASE tocsin OWNER tocsin")

    async def change(self, **settings: object) -> None:
        """Change what all nodes hold to, as `patronictl edit-config` does."""
        if self.leader().ask("/config", settings, "PATCH") is None:
            raise Breach(f"Patroni refuses {settings}")

    # ---- looking

    def hosts(self) -> str:
        """All nodes, as a DSN names them."""
        return ",".join(f"{ADDRESS}:{node.port}" for node in self.nodes)

    def url(self, user: str, password: str) -> str:
        """The address of whichever node takes writes."""
        return f"postgresql://{user}:{password}@{self.hosts()}/tocsin?{READ_WRITE}"

    def found_leader(self) -> Node | None:
        """The node that says that it is the primary."""
        for node in self.nodes:
            if node.process is not None and node.ask("/primary") is not None:
                return node
        return None

    def leader(self) -> Node:
        """The primary.

        Raises:
            Breach: there is none.
        """
        found = self.found_leader()
        if found is None:
            raise Breach(f"no primary: {self.members()}")
        return found

    def synchronous(self) -> Node:
        """The standby that commits wait for.

        Raises:
            Breach: there is none.
        """
        names = [one["name"] for one in self.members() if one["role"] == "sync_standby"]
        for node in self.nodes:
            if node.name in names:
                return node
        raise Breach(f"no synchronous standby: {self.members()}")

    def members(self) -> list[dict[str, Any]]:
        """What Patroni says of its members, whoever of them answers first."""
        for node in self.nodes:
            if node.process is not None and (found := node.ask("/cluster")):
                members: list[dict[str, Any]] = found["members"]
                return members
        return []

    def is_whole(self, standby: str = "sync_standby") -> bool:
        """Whether there is a primary, and two standbys stream, one of them as is asked for."""
        found = self.members()
        roles = [one["role"] for one in found]
        streams = [one for one in found if one["state"] == "streaming" and not one.get("lag")]
        return roles.count("leader") == 1 and len(streams) == len(NAMES) - 1 and standby in roles

    async def whole(self, standby: str = "sync_standby") -> None:
        """Until all nodes are well.

        Raises:
            Breach: they are not.
        """
        try:
            await until(lambda: self.is_whole(standby), WHOLE_SECONDS, "three nodes are well")
        except Breach as breach:
            raise Breach(f"{breach}: {self.members()}") from None

    async def another_than(self, old: Node) -> Node:
        """Until another node is the primary. This is looked for beside whatever else goes on."""
        others = [node for node in self.nodes if node is not old]

        def other() -> Node | None:
            return next((node for node in others if node.ask("/primary") is not None), None)

        async def found() -> Node | None:
            return await asyncio.to_thread(other)

        node: Node = await until(found, WHOLE_SECONDS, "another node takes over")
        return node
