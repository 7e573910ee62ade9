"""The whole of Tocsin on a cluster of three PostgreSQLs, by one of the ways to its primary."""

from pathlib import Path

from tests.chaos.system import System
from tests.failover.cluster import ADDRESS, OWNER_PASSWORD, READ_WRITE, Cluster
from tests.failover.doors import Doors

SERVICE, SERVICE_PASSWORD = "tocsin_service", "services-word"
THREE_HOSTS, HAPROXY, PGBOUNCER = "three hosts", "HAProxy", "PgBouncer"
WAYS = (THREE_HOSTS, HAPROXY, PGBOUNCER)


def address(way: str, cluster: Cluster, doors: Doors) -> str:
    """What TOCSIN_DATABASE_URL is."""
    hosts, query = {
        THREE_HOSTS: (cluster.hosts(), f"?{READ_WRITE}"),
        HAPROXY: (f"{ADDRESS}:{doors.haproxy_port}", ""),
        PGBOUNCER: (f"{ADDRESS}:{doors.pgbouncer_port}", ""),
    }[way]
    return f"postgresql://{SERVICE}:{SERVICE_PASSWORD}@{hosts}/tocsin{query}"


class FailoverSystem(System):
    """`tocsin up` with two of each process, and the cluster in the place of its own PostgreSQL.

    What looks at the database from outside asks the nodes themselves.
    """

    def __init__(
        self, folder: Path, people: int, tps: int, cluster: Cluster, doors: Doors, way: str
    ) -> None:
        super().__init__(folder, people, tps=tps)
        self.cluster, self.doors = cluster, doors
        self.address = address(way, cluster, doors)

    async def start(self) -> None:
        """An empty database first. Migrations go to the primary itself."""
        await self.cluster.make_database()
        self.live.environment |= {
            "TOCSIN_DATABASE_URL": self.address,
            "TOCSIN_DATABASE_OWNER_URL": self.cluster.url("tocsin", OWNER_PASSWORD),
        }
        await super().start()
        self.live.summary |= {"database_url": self.cluster.url(SERVICE, SERVICE_PASSWORD)}
