"""A whole system with two of each process, what may be done to it, and what it must do after."""

import asyncio
import contextlib
import json
import os
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, FormData
from redis.asyncio import Redis
from redis.exceptions import RedisError

from service.accounts.people.model import By
from service.clock import Clock, parse_instant
from service.crypto import Keyring, read_key_file
from service.delivery.uncertain.uncertain import WAIT, Decision, Skip, decide
from service.delivery.uncertain.uncertain_store import UncertainFilter
from service.dispatch.limits.in_flight import permits_for
from service.storage.postgres import UNREACHABLE, Record, connect
from tests.chaos.account import Account, Row, account_for
from tests.chaos.book import Book
from tests.harness import waiting
from tests.harness.live import EVERYBODY, MORNING, Live

CARRIERS = (("中国移动", "cmpp"), ("中国联通", "sgip"), ("中国电信", "smgp"))
PROTOCOLS = tuple(protocol for _, protocol in CARRIERS)
TEXT = "【旌德县公安局】凡是让你先垫钱再返利的都是诈骗，拿不准拨96110。第{}次。"
ANSWER_SECONDS = 20.0
STANDSTILL_SECONDS = 120.0
"""Longer than the minute in which an answer may come."""
AWAY_SECONDS = 300.0
"""Longer than any fault keeps a server away."""
EMPTY_ANSWER = 204


class Breach(AssertionError):
    """The system did what it must never do, or did not do what it must."""


until = partial(waiting.until, every=0.2, raising=Breach)
"""The wait of all tests; what does not come in time is a breach."""


def roster(people: int) -> bytes:
    """A file of people, spread evenly over three carriers."""
    lines = (f"{19790000001 + n},{CARRIERS[n % 3][0]}" for n in range(people))
    return "\n".join(["手机号,运营商", *lines]).encode()


class Campaign:
    """One broadcast on its way. began: seconds since the epoch."""

    def __init__(self, number: int, began: float) -> None:
        self.number = number
        self.text = TEXT.format(number)
        self.began = began
        self.id = ""


class System:
    """`tocsin up` with two of each process, and its people.

    The carrier takes so long to answer that half of the window is unanswered at any moment: a fault
    always has something to fall on. bound: the most hand-offs that may be uncertain at any moment.
    """

    def __init__(
        self,
        folder: Path,
        people: int,
        *,
        tps: int,
        window: int = 32,
        connections: int = 2,
        channel_processes: int = 2,
        protocols: Sequence[str] = PROTOCOLS,
        max_delay: float = 3.0,
        more: Sequence[str] = (),
    ) -> None:
        self.people = [f"+86{19790000001 + n}" for n in range(people)]
        self.tps = tps
        self.connections = len(protocols) * connections
        self.bound = self.connections * permits_for(window)
        self.gone = (0.0, 0.0)
        self.live = Live(
            folder,
            *("--clock", MORNING, "--tps", str(tps), "--window", str(window)),
            *("--connections", str(connections), "--max-delay", str(max_delay)),
            *("--response-delay", str(connections * window / 2 / tps)),
            *("--protocols", ",".join(protocols), "--profile", "carrier"),
            *("--api-processes", "2", "--scheduler-processes", "2", "--work-processes", "2"),
            *("--channel-processes", str(channel_processes)),
            *more,
        )
        self.book = Book(folder / "simulator.journal")
        self._number = 0

    # ---- starting and stopping

    async def start(self) -> None:
        """Start everything, load the people, and allow that what never left is sent.

        `ready` waits for the connections, which the channel processes take. Whoever is told to end
        (SIGTERM) stops it on the way out, as after Ctrl-C: its processes would live on.
        """
        if (task := asyncio.current_task()) is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        await asyncio.to_thread(self.live.start)
        key_file = self.live.folder.with_name(self.live.folder.name + ".key")
        self._keyring = Keyring(read_key_file(key_file))
        start, anchor, speed = json.loads((self.live.folder / "clock.json").read_text())
        self.clock = Clock(parse_instant(start), anchor, speed)
        await self.live.people(roster(len(self.people)))
        segment = await self.call(
            "operator", "POST", "/segments", {"name": "everybody", "rule": EVERYBODY}
        )
        self._segment = segment["id"]
        await self.call(
            "admin",
            "PUT",
            "/uncertain/policies",
            {"class": "public_interest", "allowed": True, "reason": "chaos"},
        )

    async def ready(self) -> None:
        """Wait until every connection is up; one that is not says why."""
        try:
            await until(self.is_whole, 60, "all connections up")
        except Breach as breach:
            rows = await self.rows(
                "SELECT c.name, n.slot, n.state::text, n.note, n.expires_at::text "
                "FROM connections n JOIN channels c ON c.id = n.channel_id ORDER BY 1, 2"
            )
            raise Breach(f"{breach}: {[tuple(row) for row in rows]}") from None

    def stop(self) -> None:
        """Stop everything."""
        self.live.stop()

    # ---- over the API

    async def call(self, who: str, method: str, path: str, body: object = None) -> dict[str, Any]:
        """Ask whichever API answers, as a client behind a proxy does; a POST takes effect once."""
        key = str(uuid.uuid4())

        async def asked() -> tuple[dict[str, Any]] | None:
            for url in self.live.summary["urls"]:
                with contextlib.suppress(ClientError, TimeoutError, OSError):
                    answer = await self._ask(url, who, method, path, body, key)
                    if answer is not None:
                        return (answer,)
            return None

        found: tuple[dict[str, Any]]
        found = await until(asked, 60, f"an API answers {method} {path}")
        return found[0]

    async def _ask(
        self, url: str, who: str, method: str, path: str, body: object, key: str
    ) -> dict[str, Any] | None:
        """One API's answer; None: it cannot say now, or still works on it."""
        headers = {"Authorization": f"Bearer {self.live.summary['keys'][who]}"}
        if method == "POST":
            headers["Idempotency-Key"] = key
        sent = {"data": body()} if callable(body) else {"json": body} if body is not None else {}
        async with (
            ClientSession(headers=headers, timeout=ClientTimeout(ANSWER_SECONDS)) as session,
            session.request(method, f"{url}/api/v1{path}", **sent) as answer,
        ):
            found = await answer.json(content_type=None) if answer.status != EMPTY_ANSWER else {}
            if answer.status < 400:
                return found
            in_progress = answer.status == 409 and "in_progress" in str(found.get("type"))
            if answer.status >= 500 or in_progress:
                return None
            raise Breach(f"{method} {path}: {answer.status} {found}")

    async def plan(self, priority: str = "normal") -> Campaign:
        """Plan and submit a campaign that fires as soon as it is approved."""
        self._number += 1
        campaign = Campaign(self._number, time.time())
        name = f"{self._number}-{uuid.uuid4().hex[:8]}"
        template = await self.call(
            "operator",
            "POST",
            "/templates",
            {"name": name, "class": "public_interest", "text": campaign.text},
        )
        made = await self.call(
            "operator",
            "POST",
            "/campaigns",
            {
                "name": name,
                "template_id": template["id"],
                "segment_id": self._segment,
                "priority": priority,
                "schedule": {"kind": "now", "validity_minutes": 30},
            },
        )
        campaign.id = made["id"]
        await self.call("operator", "POST", f"/campaigns/{campaign.id}/submit", {})
        return campaign

    async def approve(self, campaign: Campaign) -> None:
        """Let it go."""
        campaign.began = time.time()
        await self.call("approver", "POST", f"/campaigns/{campaign.id}/approve", {})

    async def carrier(self, method: str, path: str, body: object = None) -> None:
        """Order the simulated carrier about; waits while it is away."""
        url = self.live.summary["simulator"] + path

        async def asked() -> bool:
            with contextlib.suppress(ClientError, TimeoutError, OSError):
                async with (
                    ClientSession(timeout=ClientTimeout(5)) as session,
                    session.request(method, url, json=body) as answer,
                ):
                    assert answer.status == 200, await answer.text()
                    return True
            return False

        await until(asked, AWAY_SECONDS, f"the carrier answers {method} {path}")

    async def flush_redis(self) -> None:
        """Empty Redis; waits while it is away."""

        async def emptied() -> bool:
            url = self.live.summary["redis_url"]
            with contextlib.suppress(RedisError, OSError):
                async with Redis.from_url(url, socket_timeout=5) as redis:
                    await redis.flushall()
                    return True
            return False

        await until(emptied, AWAY_SECONDS, "Redis is emptied")

    # ---- signals

    def signal(self, name: str, sign: signal.Signals) -> None:
        """Send a signal to a process; for SIGSTOP, SIGCONT and SIGKILL to all its children too."""
        pids = self.live.tree(name)
        whole = sign in (signal.SIGSTOP, signal.SIGCONT, signal.SIGKILL)
        for pid in pids if whole else pids[:1]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, sign)

    # ---- looking

    async def rows(self, sql: str, *arguments: object) -> list[Record]:
        """What the database says; waits while it is away."""

        async def asked() -> tuple[list[Record]] | None:
            with contextlib.suppress(*UNREACHABLE):
                async with asyncio.timeout(ANSWER_SECONDS):
                    conn = await connect(self.live.summary["database_url"])
                    try:
                        return (await conn.fetch(sql, *arguments),)
                    finally:
                        conn.terminate()
            return None

        found: tuple[list[Record]] = await until(asked, AWAY_SECONDS, "the database answers")
        return found[0]

    async def value(self, sql: str, *arguments: object) -> Any:
        """One value of the database; waits while it is away."""
        return (await self.rows(sql, *arguments))[0][0]

    async def is_whole(self, since: float = 0.0) -> bool:
        """Whether each connection is up, and its lease was renewed since an instant."""
        up = await self.value(
            "SELECT count(*) FROM connections WHERE state = 'up' "
            "AND expires_at - interval '15 s' >= to_timestamp($1)",
            since,
        )
        return bool(up == self.connections)

    async def ledger(self, campaign: Campaign) -> list[Row]:
        """A campaign's ledger, with its phones in clear."""
        rows = await self.rows(
            "SELECT m.run_id, m.no, m.phone_cipher, m.state::text, m.reason, m.attempt, "
            "m.channel_id FROM messages m JOIN runs r ON r.id = m.run_id "
            "WHERE r.campaign_id = $1 ORDER BY m.no",
            uuid.UUID(campaign.id),
        )
        return [
            Row(str(run), no, self._keyring.decrypt("phone", cipher), *rest)
            for run, no, cipher, *rest in rows
        ]

    async def account(self, campaign: Campaign) -> Account:
        """What became of everybody, by the ledger and by the carrier's book."""
        rows = await self.ledger(campaign)
        phones = {self._keyring.phone_index(row.phone): row.phone for row in rows}
        found = await self.rows(
            "SELECT phone_hash FROM receipts_unmatched WHERE why = 'ambiguous' "
            "AND phone_hash = ANY($1)",
            [*phones],
        )
        ambiguous = frozenset(phones[hash_] for (hash_,) in found)
        entries = self.book.of(campaign.text)
        return account_for(self.people, rows, entries, ambiguous, self.gone)

    async def waiting(self, campaign: Campaign) -> int | None:
        """How many are still to be handed off; None before the run has its ledger."""
        found = await self.rows(
            "SELECT r.target, (SELECT count(*) FROM messages m WHERE m.run_id = r.id "
            "AND m.state IN ('queued', 'submitting')) AS waiting "
            "FROM runs r WHERE r.campaign_id = $1 AND r.state <> 'expanding'",
            uuid.UUID(campaign.id),
        )
        return found[0]["waiting"] if found and found[0]["target"] else None

    async def under_way(self, campaign: Campaign, share: float) -> None:
        """Until this share of a campaign's people has been handed off."""

        async def reached() -> bool:
            waiting = await self.waiting(campaign)
            return waiting is not None and waiting <= len(self.people) * (1 - share)

        await until(
            reached,
            STANDSTILL_SECONDS,
            f"{share:.0%} handed off",
            progress=lambda: len(self.book.of(campaign.text)),
        )

    # ---- the end

    async def settled(self, campaign: Campaign) -> Account:
        """Until everybody is handed off, and every receipt that the carrier owes is in."""
        account = Account()

        def progress() -> tuple[int, int]:
            return len(self.book.of(campaign.text)), len(account.open)

        async def all_in() -> bool:
            nonlocal account
            if await self.waiting(campaign) != 0:
                return False
            account = await self.account(campaign)
            return not account.open

        what = "everybody handed off and every receipt in"
        try:
            await until(all_in, STANDSTILL_SECONDS, what, every=1, progress=progress)
        except Breach as breach:
            first = [await self.explain(row) for row in account.open[:1]]
            told = f"{len(account.open)} receipts are missing, one of them: {first}"
            states = Counter(row.state for row in await self.ledger(campaign))
            left = f"not everybody handed off: {dict(states)}"
            raise Breach(f"{breach}: {told if first else left}") from None
        return account

    async def settle_uncertain(self, account: Account) -> None:
        """What a county does about what stays uncertain: the carrier's statement says what it took,
        what fits several texts there a person closes, and what it never had goes out again; both
        ten minutes later by the time that decides.
        """
        for channel in sorted({row.channel for row in account.uncertain}):
            lines = await self._statement(account, channel)
            await self.call("operator", "POST", "/uncertain/statement", _form(channel, lines))
        skipped = await self._decide(
            account.uncertain, Decision.UNKNOWN, "the statement fits several"
        )
        if unclear := [one for one in skipped if one[1] is not Skip.NOT_IN_DOUBT]:
            raise Breach(f"not closed: {unclear[:3]}")
        if skipped := await self._decide(account.never_left, Decision.RESEND, "not in the book"):
            raise Breach(f"not put back: {skipped[:3]}")

    async def _decide(
        self, rows: Sequence[Row], decision: Decision, why: str
    ) -> Sequence[tuple[object, Skip]]:
        """Decide as a person does; says what was left as it was, and why."""
        if not rows:
            return ()
        keys = [(uuid.UUID(row.run), row.no) for row in rows]
        by = By(
            await self.value("SELECT id FROM users WHERE login = 'operator'"),
            why,
            self.clock.now() + WAIT + timedelta(seconds=1),
        )
        conn = await connect(self.live.summary["database_url"])
        try:
            async with conn.transaction():
                return (await decide(conn, UncertainFilter(keys=keys), decision, by)).skipped
        finally:
            await conn.close()

    async def explain(self, row: Row) -> str:
        """What is known of a row that has no end: for whoever looks into a breach."""
        key = (uuid.UUID(row.run), row.no)
        message = await self.rows(
            "SELECT state::text, attempt, marked_at, channel_id FROM messages "
            "WHERE run_id = $1 AND no = $2",
            *key,
        )
        marks = await self.rows(
            "SELECT u.* FROM uncertain u JOIN messages m ON m.phone_hash = u.phone_hash "
            "WHERE m.run_id = $1 AND m.no = $2",
            *key,
        )
        receipts = await self.rows(
            "SELECT x.id, x.channel_id, x.state, x.why, x.done_at, x.received_at "
            "FROM receipts_unmatched x JOIN messages m ON m.phone_hash = x.phone_hash "
            "WHERE m.run_id = $1 AND m.no = $2",
            *key,
        )
        entries = [e._asdict() for e in self.book.all() if e.phone == row.phone]
        rows = [dict(row) for row in (*message, *marks, *receipts)]
        return "\n    ".join(str(row) for row in [*rows, *entries])

    async def cancel(self, campaign: Campaign) -> None:
        """Take a campaign that went wrong out of the way of the next one."""
        with contextlib.suppress(Breach):
            await self.call("operator", "POST", f"/campaigns/{campaign.id}/cancel", {})

    async def _statement(self, account: Account, channel: int) -> str:
        """The carrier's statement about what is uncertain on a channel: every text that it took for
        these numbers, also those of other campaigns, or nobody could tell which is which.
        """
        phones = {row.phone for row in account.uncertain if row.channel == channel}
        lines = [
            f"{entry.phone},{self._shown(entry.at)},ACCEPTD"
            for entry in self.book.all()
            if entry.phone in phones
        ]
        return "\n".join(["手机号,提交时间,状态报告", *lines])

    def _shown(self, at: float) -> str:
        """An instant of the carrier's book by the system's clock."""
        shown: datetime = self.clock.now() - timedelta(seconds=time.time() - at)
        return shown.isoformat(timespec="seconds")


def _form(channel: int, lines: str) -> Callable[[], FormData]:
    """The form that a statement is sent in; made anew for each try."""

    def make() -> FormData:
        form = FormData({"channel_id": str(channel), "reason": "chaos"})
        form.add_field("file", lines.encode(), filename="statement.csv", content_type="text/csv")
        return form

    return make
