"""A whole system in processes of its own, and what may be done to it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp

from service.local.demo.client import DemoClient
from service.local.simulated_channels import ACCOUNTS
from service.storage.postgres import UNREACHABLE, connect
from tests.harness.ha_files import descendants
from tests.harness.ledger import lift_caps
from tests.harness.waiting import until

MORNING = "2027-01-12T09:30+08:00"
EVERYBODY = "carrier in (mobile, unicom, telecom, broadnet)"
TEXT = "【旌德县公安局】先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。"


ALONE = {"TOCSIN_TEST_SEND_ABOVE": "10000000", "TOCSIN_WORKER_NICENESS": "0"}
"""Nobody here has a phone for a test-send, and the workers are to get on beside other tests."""


class Live:
    """`tocsin up` in a folder; `summary` is the line of JSON that it prints.

    environment: beyond that of the tests. python: whose program runs, and where, since Python takes
    `service` from where it starts.
    """

    def __init__(self, folder: Path, *arguments: str, **environment: str) -> None:
        self.folder = folder
        self.environment = os.environ | ALONE | environment
        self.python, self.where = Path(sys.executable), Path.cwd()
        self._command = [
            *("-m", "service", "up", "--json", "--port", "0"),
            *("--data", str(folder), *arguments),
        ]
        self.summary: dict[str, Any] = {}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder.parent / f"{self.folder.name}.up.log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.python, *self._command],
                env=self.environment, cwd=self.where, stdout=subprocess.PIPE, stderr=log,
            )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            self.process.stdout.close()
            self.process = None
            last = Path(log.name).read_text("utf-8", "replace").splitlines()[-10:]
            raise AssertionError("\n".join([f"tocsin up ended with {code}", *last]))
        self.summary = json.loads(line)

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            assert self.process.wait(60) == 0
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None

    def client(self, who: str) -> DemoClient:
        return DemoClient(self.summary["url"], self.summary["keys"][who])

    def pid(self, name: str) -> int:
        if name == "postgres":
            return int((self.folder / "postgres/data/postmaster.pid").read_text().split("\n")[0])
        path = "valkey/valkey.pid" if name == "valkey" else f"{name}.pid"
        return int((self.folder / path).read_text())

    def tree(self, name: str) -> list[int]:
        """A process and all its descendants, which PostgreSQL has; the process itself first."""
        return descendants(self.pid(name))

    def kill(self, name: str, sign: signal.Signals = signal.SIGKILL) -> None:
        os.kill(self.pid(name), sign)

    @contextlib.contextmanager
    def without(self, name: str) -> Iterator[None]:
        """A process is killed, and started again only after the block."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            self.kill(name)
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def journal(self, since: float = 0.0) -> list[dict[str, Any]]:
        """What the simulated carrier took since an instant."""
        lines = (self.folder / "simulator.journal").read_text().splitlines()
        entries = [json.loads(line) for line in lines if '"submit"' in line]
        return [entry for entry in entries if entry["at"] >= since]

    async def query(self, sql: str, *arguments: object) -> Any:
        """One value from the database; waits while it is away."""

        async def asked() -> tuple[Any] | None:
            with contextlib.suppress(*UNREACHABLE):
                conn = await connect(self.summary["database_url"])
                try:
                    return (await conn.fetchval(sql, *arguments),)
                finally:
                    await conn.close()
            return None

        return (await until(asked, 300, "an answer of the database"))[0]

    async def people(self, content: bytes) -> None:
        """Import a file of people."""
        async with self.client("operator") as operator:
            made = await operator.upload("/imports", content, {"roster": "r", "basis": "duty"})
            await until(lambda: _done(operator, made["id"]), 300)
        await self.lift_caps()

    async def lift_caps(self) -> None:
        """Let everybody get any number of texts: tests send to the same people again."""
        conn = await connect(self.summary["database_url"])
        try:
            await lift_caps(conn)
        finally:
            await conn.close()

    async def launch(
        self, rule: str = EVERYBODY, text: str = TEXT, *, validity_minutes: int = 30
    ) -> "Launched":
        """Plan, submit and approve a campaign that fires now."""
        name = uuid.uuid4().hex[:8]
        began = time.time()
        async with self.client("operator") as operator, self.client("approver") as approver:
            segment = await operator.post("/segments", {"name": name, "rule": rule})
            template = await operator.post(
                "/templates", {"name": name, "class": "public_interest", "text": text}
            )
            campaign = await operator.post(
                "/campaigns",
                {
                    "name": name,
                    "template_id": template["id"],
                    "segment_id": segment["id"],
                    # Short, so that no text waits for hours to be tried again.
                    "schedule": {"kind": "now", "validity_minutes": validity_minutes},
                },
            )
            await operator.post(f"/campaigns/{campaign['id']}/submit", {})
            await approver.post(f"/campaigns/{campaign['id']}/approve", {})
        return Launched(self, campaign["id"], began)


async def _done(client: DemoClient, import_id: str) -> bool:
    state = (await client.get(f"/imports/{import_id}"))["state"]
    assert state != "failed"
    return str(state) == "done"


class Launched:
    """A campaign on its way."""

    def __init__(self, live: Live, campaign: str, began: float) -> None:
        self.live = live
        self.campaign = campaign
        self.began = began

    async def count(self, *states: str) -> int:
        found: int = await self.live.query(
            "SELECT count(*) FROM messages m JOIN runs r ON r.id = m.run_id "
            "WHERE r.campaign_id = $1 AND m.state::text = ANY($2)",
            uuid.UUID(self.campaign),
            list(states),
        )
        return found

    async def target(self) -> int:
        return (
            await self.live.query(
                "SELECT target FROM runs WHERE campaign_id = $1", uuid.UUID(self.campaign)
            )
            or 0
        )

    async def under_way(self, share: float) -> None:
        """Until this share of the target has been handed off."""

        async def reached() -> bool:
            target = await self.target()
            waiting = await self.count("queued", "submitting")
            return target > 0 and waiting <= target * (1 - share)

        await until(reached)

    async def handed_off(self, seconds: float = 90) -> None:
        """Until nothing waits to leave. seconds: how long it may stand still before."""
        left = -1

        async def nothing_left() -> bool:
            nonlocal left
            if not await self.target():
                return False
            left = await self.count("queued", "submitting")
            return left == 0

        await until(nothing_left, seconds, progress=lambda: left)

    def submits(self) -> Counter[str]:
        """How often the carrier took a text for each number since this campaign began."""
        return Counter(entry["phone"] for entry in self.live.journal(self.began))

    async def settle_by_hand(self) -> int:
        """What a person does with hand-offs that stay uncertain; returns how many there were."""
        conn = await connect(self.live.summary["database_url"])
        try:
            rows = await conn.fetch(
                "WITH settled AS (DELETE FROM uncertain RETURNING run_id, no) "
                "UPDATE messages m SET state = 'unknown' FROM settled d "
                "WHERE m.run_id = d.run_id AND m.no = d.no RETURNING m.no"
            )
            return len(rows)
        finally:
            await conn.close()


async def write_in(live: Live, phone: str, name: str) -> None:
    """A text comes in from a handset, with a name and a number in its words."""
    await say_in(live, phone, f"我是{name} {phone} 退订")


async def say_in(live: Live, phone: str, text: str, protocol: str = "cmpp") -> None:
    """A text comes in from a handset, to the number of a channel."""
    number = {"cmpp": "1065720001234", "sgip": "10655123"}[protocol]
    message = {"phone": f"+86{phone}", "to": number, "text": text}
    body = {"account": ACCOUNTS[protocol], "protocol": protocol, "messages": [message]}
    await order(live, "POST", "mo", body)


async def order(live: Live, method: str, what: str, body: Any = None) -> None:
    """Tell the simulated carrier what to do, as docs/simulator.md lists it."""
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"{live.summary['simulator']}/{what}", json=body) as answer,
    ):
        assert answer.status < 300, await answer.text()
