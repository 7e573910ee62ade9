"""HAProxy and PgBouncer before a cluster, on loopback with the files of deploy/ha."""

from dataclasses import dataclass, field
from pathlib import Path

from service.local.embedded import free_port
from tests.chaos.wires import Wires
from tests.failover.cluster import ADDRESS, Cluster
from tests.harness.ha_files import FILES, Program, fill_in


@dataclass
class Doors:
    """Both, PgBouncer behind HAProxy. users: who may come in by PgBouncer, with their passwords.
    wires: by which HAProxy reaches the nodes, where these are to fall silent.
    """

    folder: Path
    users: dict[str, str]
    wires: Wires | None = None
    haproxy_port: int = 0
    pgbouncer_port: int = 0
    programs: list[Program] = field(default_factory=list)

    def start(self, cluster: Cluster) -> None:
        """Write the files and start both."""
        self.haproxy_port, self.pgbouncer_port = free_port(), free_port()
        ways: dict[str, object] = {}
        for node in cluster.nodes:
            port = node.port
            if self.wires is not None:
                port = self.wires.add(node.name, ADDRESS, node.port)
            ways[node.name.upper()] = f"{ADDRESS}:{port}"
            ways[f"{node.name.upper()}_REST"] = node.rest
        self._begin("haproxy", "haproxy.cfg", ["-db", "-f"], self.haproxy_port, **ways)
        folder = self._folder("pgbouncer")
        lines = [f'"{user}" "{password}"\n' for user, password in self.users.items()]
        (folder / "users.txt").write_text("".join(lines))
        self._begin(
            "pgbouncer", "pgbouncer.ini", [], self.pgbouncer_port,
            FOLDER=folder, HAPROXY=ADDRESS, HAPROXY_PORT=self.haproxy_port,
        )  # fmt: skip

    def _begin(self, name: str, file: str, words: list[str], port: int, **values: object) -> None:
        folder = self._folder(name)
        text = fill_in((FILES / file).read_text(), ADDRESS=ADDRESS, PORT=port, **values)
        (folder / file).write_text(text)
        program = Program([name, *words, str(folder / file)], folder)
        program.start()
        self.programs.append(program)

    def _folder(self, name: str) -> Path:
        folder = self.folder / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def stop(self) -> None:
        """End both."""
        for program in reversed(self.programs):
            program.kill()
