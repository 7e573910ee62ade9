"""A county that runs docker-compose.yml as it is: its files, people, channels and broadcasts."""

import json
import shutil
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import ClientError, ClientSession
from tocsin_client import Tocsin

from service.accounts.people.model import By
from service.clock import Clock, parse_instant
from service.crypto import Keyring
from service.delivery.uncertain.uncertain import WAIT, Decision, Skip, decide
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.ledger.message_id import MessageKey
from service.local.demo.client import DemoClient
from service.local.embedded import free_port
from service.local.first_people import make_people
from service.storage.postgres import UNREACHABLE, Connection, connect
from tests.chaos.account import Account, Row, account_for
from tests.chaos.book import Book
from tests.chaos.system import TEXT, roster
from tests.containers import image
from tests.containers.engine import Compose
from tests.containers.machine import FOLDER, ROOT, run
from tests.harness.ledger import lift_caps
from tests.harness.live import EVERYBODY, MORNING
from tests.harness.waiting import until

OPERATORS = ("china_mobile", "china_unicom", "china_telecom", "china_broadnet")
ACCOUNTS = ("901234", "901235", "901236", "901237")
"""Those of deploy/simulator.json; receipts go to any connection of an account."""
STANDSTILL_SECONDS = 150.0
TRIED = (
    "EXISTS (SELECT FROM attempts a WHERE a.run_id = m.run_id AND a.no = m.no "
    "AND a.next_at IS NOT NULL)"
)
"""It failed for a passing reason, and is tried again after some minutes. Nobody waits for that; but
for what a person has put back, and for what takes another channel.
"""
HOST = "sms.example.gov.cn"
PROJECT = FOLDER / "project"


def copy_files(folder: Path) -> None:
    """The project's files as they are, in a folder of their own."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listed = run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"])
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


class Town:
    """The folder with the files, and what is asked of the system in it."""

    def __init__(self, people: int, tps: int, folder: Path = PROJECT) -> None:
        self.tps = tps
        self.people = [f"+86{19790000001 + n}" for n in range(people)]
        self.folder = folder
        self.clock = Clock(parse_instant(MORNING), time.time())
        ports = {name: free_port() for name in ("plain", "tls", "redirect")}
        self.url = f"http://127.0.0.1:{ports['plain']}"
        self.tls_port = ports["tls"]
        self.plain_port = ports["redirect"]
        self.keys: dict[str, str] = {}
        self._number = 0
        self._segment = ""
        self.compose = Compose(
            self.folder,
            TOCSIN_PYTHON_IMAGE=image.base(),
            TOCSIN_PUBLISH=f"127.0.0.1:{ports['plain']}",
            TOCSIN_PUBLISH_TLS=f"127.0.0.1:{ports['tls']}",
            TOCSIN_PUBLISH_PLAIN=f"127.0.0.1:{ports['redirect']}",
        )

    def lay_out(self) -> None:
        """The project's files as they are, settings and secrets."""
        copy_files(self.folder)
        self.configure()

    def configure(self) -> None:
        """Settings and secrets, in a folder that has the files."""
        # Texts of public interest leave by day; here it is always morning when it begins.
        (self.folder / "deploy/env").write_text(
            f"TOCSIN_CLOCK_START={MORNING}\nTOCSIN_CLOCK_ANCHOR={self.clock.anchor}\n"
        )
        run(["sh", "deploy/make-secrets.sh"], cwd=self.folder)

    def move(self, folder: Path) -> None:
        """Another folder's files are those by which it runs from now on."""
        self.folder = self.compose.folder = folder

    def secret(self, name: str) -> str:
        """One of deploy/secrets."""
        return (self.folder / "deploy/secrets" / name).read_text().strip()

    # ---- over the API, at the published address

    async def ready(self) -> bool:
        """Whether everything is well, as /readyz says."""
        try:
            async with ClientSession() as session, session.get(f"{self.url}/readyz") as answer:
                told = await answer.json(content_type=None)
                return answer.status == 200 and told["status"] == "ok"
        except (ClientError, OSError, ValueError):
            return False

    def client(self, who: str) -> DemoClient:
        """Somebody with a key."""
        return DemoClient(self.url, self.keys[who])

    async def settle_in(self) -> None:
        """The first people, as docs/operating.md begins, and those whom they make over the API."""
        told = self.compose(
            *("run", "--rm", "-T", "api", "tocsin", "bootstrap"),
            *("--admin", "wang", "王主任", "--second-admin", "li", "李科长"),
        )
        self.keys = await make_people(self.url, json.loads(told.strip().splitlines()[-1]))
        self.book = Book(self.compose.volume("simulator") / "simulator.journal")

    async def make_channels(self) -> None:
        """A channel to the simulated carrier for each process of the compose file."""
        async with self.client("admin") as admin:
            for account, operator in zip(ACCOUNTS, OPERATORS, strict=True):
                await admin.post(
                    "/channels",
                    {
                        "name": operator,
                        "kind": "cmpp",
                        "simulated": True,
                        "tps": self.tps,
                        "window": 16,
                        "connections": 1,
                        "carriers": [operator],
                        "operated_by": operator,
                        "config": {
                            "host": "simulator",
                            "port": 7890,
                            "account": account,
                            "secret": "simulated",
                            "access_number": "1065720001234",
                        },
                    },
                )

        async def all_up() -> bool:
            async with self.database() as conn:
                up: int = await conn.fetchval("SELECT count(*) FROM connections WHERE state = 'up'")
                return up == len(OPERATORS)

        await until(all_up, 60, "every channel is connected", every=0.5)

    async def import_people(self) -> None:
        """The roster, as a file."""
        content = roster(len(self.people))
        async with self.client("operator") as operator:
            made = await operator.upload("/imports", content, {"roster": "r", "basis": "duty"})

            async def done() -> bool:
                state = (await operator.get(f"/imports/{made['id']}"))["state"]
                assert state != "failed", "the roster was refused"
                return bool(state == "done")

            await until(done, 120, "the roster is read", every=0.5)
            segment = await operator.post("/segments", {"name": "all", "rule": EVERYBODY})
            self._segment = segment["id"]
        async with self.database() as conn:
            await lift_caps(conn)

    async def launch(self) -> "Broadcast":
        """Plan, submit and approve a campaign to everybody that fires now."""
        self._number += 1
        text = TEXT.format(self._number)
        name = f"{self._number}-{uuid.uuid4().hex[:8]}"
        async with self.client("operator") as operator, self.client("approver") as approver:
            template = await operator.post(
                "/templates", {"name": name, "class": "public_interest", "text": text}
            )
            schedule = {"kind": "now", "validity_minutes": 60}
            plan = {"name": name, "template_id": template["id"], "segment_id": self._segment}
            campaign = await operator.post("/campaigns", plan | {"schedule": schedule})
            await operator.post(f"/campaigns/{campaign['id']}/submit", {})
            await approver.post(f"/campaigns/{campaign['id']}/approve", {})
        return Broadcast(self, campaign["id"], text)

    # ---- beside the API

    @asynccontextmanager
    async def database(self, user: str = "tocsin_service") -> AsyncIterator[Connection]:
        """A connection to PostgreSQL in its container."""
        secret = "service_password" if user == "tocsin_service" else "database_password"
        address = self.compose.address("postgres")
        conn = await connect(f"postgresql://{user}:{self.secret(secret)}@{address}/tocsin")
        try:
            yield conn
        finally:
            await conn.close()

    @property
    def keyring(self) -> Keyring:
        """The master key, of which the tests decrypt the ledger."""
        return Keyring(bytes.fromhex(self.secret("master_key")))


class Broadcast:
    """A campaign on its way to everybody."""

    def __init__(self, town: Town, campaign: str, text: str) -> None:
        self.town = town
        self.campaign = campaign
        self.text = text

    def taken(self) -> int:
        """How many texts of it the carrier has taken."""
        return len(self.town.book.of(self.text))

    async def reach(self, count: int) -> None:
        """Until the carrier has taken so many."""
        await until(
            lambda: self.taken() >= count,
            STANDSTILL_SECONDS,
            f"{count} texts taken",
            every=0.2,
            progress=self.taken,
        )

    async def waiting(self) -> int | None:
        """How many are to be handed off; None: the database is away, or there is no list yet."""
        try:
            async with self.town.database() as conn:
                found = await conn.fetch(
                    "SELECT r.target, (SELECT count(*) FROM messages m WHERE m.run_id = r.id "
                    f"AND m.state IN ('queued', 'submitting') AND NOT {TRIED}) AS waiting "
                    "FROM runs r WHERE r.campaign_id = $1 AND r.state <> 'expanding'",
                    uuid.UUID(self.campaign),
                )
        except UNREACHABLE:
            return None
        return found[0]["waiting"] if found and found[0]["target"] else None

    async def ledger(self) -> list[Row]:
        """Its rows, with the phones in clear."""
        async with self.town.database() as conn:
            rows = await conn.fetch(
                "SELECT m.run_id, m.no, m.phone_cipher, CASE WHEN m.state IN "
                f"('queued', 'submitting') AND {TRIED} THEN 'tried again' ELSE m.state::text "
                "END, m.reason, m.attempt, m.channel_id "
                "FROM messages m JOIN runs r ON r.id = m.run_id "
                "WHERE r.campaign_id = $1 ORDER BY m.no",
                uuid.UUID(self.campaign),
            )
        keyring = self.town.keyring
        return [
            Row(str(run), no, keyring.decrypt("phone", cipher), *rest)
            for run, no, cipher, *rest in rows
        ]

    async def account(self) -> Account:
        """What became of everybody, by the ledger and by the carrier's journal."""
        rows = await self.ledger()
        return account_for(self.town.people, rows, self.town.book.of(self.text))

    async def settled(self) -> Account:
        """Until everybody is handed off and every receipt is in that is to come."""
        account, waiting = Account(), None

        def progress() -> tuple[int, int]:
            return self.taken(), len(account.open)

        async def all_in() -> bool:
            nonlocal account, waiting
            waiting = await self.waiting()
            if waiting != 0:
                return False
            account = await self.account()
            return not account.open

        what = "everybody is handed off and every receipt in"
        try:
            await until(all_in, STANDSTILL_SECONDS, what, every=2, progress=progress)
        except AssertionError as error:
            states = Counter(row.state for row in await self.ledger())
            left = f"{waiting} wait, {len(account.open)} receipts are to come: {account.open[:2]}"
            raise AssertionError(f"{error}; {left}; {dict(states)}") from error
        return account

    async def put_back(self, account: Account) -> None:
        """What a person decides of texts that the carrier never had: they are sent."""
        if not account.never_left:
            return
        keys = [(uuid.UUID(row.run), row.no) for row in account.never_left]
        policy = {"class": "public_interest", "allowed": True, "reason": "not in the journal"}
        async with Tocsin(self.town.url, self.town.keys["admin"]) as admin:
            await admin.ask("PUT", "/uncertain/policies", body=policy)
        skipped = await self._decide(keys, Decision.RESEND, "not in the journal")
        assert not skipped, f"not decided: {skipped[:3]}"

    async def give_up(self) -> None:
        """What a person decides of texts of which nobody will find out; until then they hold up
        the next text to their people on the same channel. After a restore these are those of
        earlier broadcasts as well that waited to be tried again. Of some a receipt comes meanwhile.
        """
        async with self.town.database() as conn:
            rows = await conn.fetch("SELECT run_id, no FROM uncertain")
        keys = [(row["run_id"], row["no"]) for row in rows]
        skipped = await self._decide(keys, Decision.UNKNOWN, "lost with the database")
        left = [why for _, why in skipped if why not in {Skip.NOT_IN_DOUBT, Skip.RECEIPT_WAITS}]
        assert not left, f"not decided: {left[:3]}"

    async def _decide(
        self, keys: list[MessageKey], decision: Decision, why: str
    ) -> list[tuple[MessageKey, Skip]]:
        """What was left as it was, and why."""
        async with self.town.database() as conn:
            user = await conn.fetchval("SELECT id FROM users WHERE login = 'operator'")
            by = By(user, why, self.town.clock.now() + 2 * WAIT)
            async with conn.transaction():
                told = await decide(conn, UncertainFilter(keys=keys), decision, by)
        return told.skipped

    async def reckon(self) -> str:
        """Hold the ledger against the journal: nobody lost, nobody twice; in words."""
        account = await self.settled()
        uncertain, never = account.uncertain_count, len(account.never_left)
        await self.put_back(account)
        account = await self.settled()
        refused = await self._refused()
        told = (
            f"{account.taken} taken and {refused} refused of {account.target}, "
            f"{len(account.lost)} lost, {len(account.twice)} twice; "
            f"{uncertain} uncertain, of which {never} had not left"
        )
        told += (
            f", {sum(row.state == 'tried again' for row in await self.ledger())} to be tried again"
        )
        why = "; ".join(sorted({*account.lost.values()}))
        assert not account.lost, f"{told}: {why}"
        assert not account.twice, told
        assert account.taken + refused == account.target == len(self.town.people), told
        return told

    async def _refused(self) -> int:
        """How many the carrier refused when it was given them, so that its journal lacks them; some
        of them are tried again.
        """
        taken = {entry.phone for entry in self.town.book.of(self.text)}
        states = [row.state for row in await self.ledger() if row.phone not in taken]
        strange = {*states} - {"rejected", "tried again"}
        assert not strange, f"not in the journal, and not refused: {strange}"
        return len(states)
