"""Random acts of random people on real campaigns over HTTP, beside an oracle of what must happen.

No illegal act succeeds, no approval outlives an edit, and nothing is marked as leaving but what is
approved, running and not stopped. TOCSIN_MODEL_EXAMPLES makes it longer (`make model`).
"""

import asyncio
import contextlib
import os
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)
from redis.asyncio import Redis

from service.accounts.people.model import Role, User
from service.app import create_app
from service.campaigns.plans.lifecycle import finish_campaigns
from service.campaigns.runs.firing import fire_due
from service.crypto import Keyring
from service.dispatch.expansion.expand import expand_run
from service.dispatch.handoff import lease_store, sweep_store
from service.local.embedded import Valkey
from service.queue import open_queue
from service.runtime import Runtime
from service.settings import Settings
from service.storage.postgres import Connection, open_pool, transaction
from tests.factories import TEXT, make_contact, make_draft, make_token, make_user
from tests.harness.clocks import HandClock
from tests.harness.databases import Databases
from tests.harness.ledger import add_channel
from tests.harness.stage import claim_one, mark

BUDGET = 35
EXAMPLES = int(os.environ.get("TOCSIN_MODEL_EXAMPLES", BUDGET))
STEPS = 30
PEOPLE = 2
T = TypeVar("T")

PLANNERS, APPROVERS = {"admin", "operator", "both"}, {"admin", "approver", "third", "both"}
CONTROLLERS = PLANNERS | APPROVERS
numbers = st.integers(0, 1)
STEERS = ("pause", "resume", "release", "pause", "resume", "release", "cancel")
planners = st.sampled_from(sorted(PLANNERS))
approvers = st.sampled_from(sorted(APPROVERS))
REASONED = {"return", "reject"}
FROM = {
    "edit": {"draft", "returned", "pending_approval", "scheduled", "held"},
    "submit": {"draft", "returned"},
    "approve": {"pending_approval"},
    "return": {"pending_approval"},
    "reject": {"pending_approval"},
    "pause": {"scheduled", "running"},
    "resume": {"paused"},
    "release": {"held"},
    "cancel": {
        "draft", "returned", "pending_approval", "scheduled", "held", "running", "paused",
    },
}  # fmt: skip


@dataclass
class Expected:
    """What the oracle knows of one campaign."""

    id: str
    template: str
    warning: bool
    editor: str
    writer: str
    ruler: str
    state: str = "draft"
    submitter: str = ""
    frozen_writer: str = ""
    stale: bool = False
    approvals: list[str] = field(default_factory=list)
    fired: bool = False

    def hands(self) -> set[str]:
        return {self.editor, self.frozen_writer, self.ruler, self.submitter, *self.approvals}

    def forget(self) -> None:
        self.submitter, self.frozen_writer, self.stale, self.approvals = "", "", False, []


@dataclass
class World:
    """The API and the database that all examples share, driven from outside its loop."""

    loop: asyncio.Runner
    client: TestClient[web.Request, web.Application]
    runtime: Runtime
    clock: HandClock
    channel: int
    users: dict[str, User]
    tokens: dict[str, str]
    marks: int = 0
    refusals: int = 0
    successes: int = 0

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.loop.run(work)

    def call(self, method: str, path: str, token: str, body: Any = None) -> tuple[int, Any]:
        async def ask() -> tuple[int, Any]:
            headers = {"Authorization": f"Bearer {token}"}
            async with self.client.request(
                method, "/api/v1" + path, headers=headers, json=body or {}
            ) as answer:
                return answer.status, await answer.json()

        status, shown = self.run(ask())
        assert status < 500, shown
        self.successes += status < 300
        self.refusals += status >= 400
        return status, shown


_worlds: list[World] = []
"""The world of the test that runs: hypothesis makes the machines itself."""


class Campaigns(RuleBasedStateMachine):
    """The acts, and what must become of them."""

    def __init__(self) -> None:
        super().__init__()
        self.world = _worlds[0]
        self.plans: list[Expected] = []
        self.known: dict[str, Expected] = {}
        self.stopped = False

    @initialize(ages=st.tuples(st.integers(0, 5), st.integers(0, 5)), stopped=st.booleans())
    def people(self, ages: tuple[int, int], stopped: bool) -> None:
        self.world.run(self._clear())
        self.plans = [
            self.world.run(self._plan("both", warning=False)),
            self.world.run(self._plan("operator", warning=True)),
        ]
        self.known = {it.id: it for it in self.plans}
        for number, steps in enumerate(ages):
            self.go_on(number, steps)
        if stopped:
            self.stop("operator", on=True)

    async def _clear(self) -> None:
        """What the example before this one left behind is over."""
        async with transaction(self.world.runtime.pool) as conn:
            await conn.execute(
                """
                UPDATE campaigns SET state = 'cancelled', next_fire_at = NULL
                WHERE state <> 'cancelled' OR next_fire_at IS NOT NULL
                """
            )
            await conn.execute("UPDATE runs SET state = 'cancelled' WHERE state <> 'cancelled'")
            await conn.execute(
                """
                UPDATE slices SET done_at = created_at FROM runs
                WHERE id = run_id AND done_at IS NULL
                """
            )
            await conn.execute("DELETE FROM interruptions")
            await conn.execute("DELETE FROM stops")

    async def _plan(self, author: str, *, warning: bool) -> Expected:
        async with transaction(self.world.runtime.pool) as conn:
            draft = await make_draft(conn, self.world.users[author], now=self.world.clock.at)
            template = draft.plan.template_id
            if warning:
                await conn.execute("UPDATE templates SET class = 'warning' WHERE id = $1", template)
        return Expected(str(draft.id), str(template), warning, author, author, author)

    @rule(number=numbers, steps=st.integers(1, 4))
    def go_on(self, number: int, steps: int) -> None:
        """What would come next in an orderly life, so that the others meet campaigns at any age."""
        it = self.plans[number]
        for _ in range(steps):
            if it.state in {"draft", "returned"}:
                self.submit(number, "operator")
            elif it.state == "pending_approval":
                self.approve(number, "third" if it.approvals else "approver")
            elif it.state == "scheduled":
                self.fire()
            elif it.state == "running":
                self.leave()

    def _act(self, act: str, user: str, it: Expected, body: Any = None) -> tuple[int, Any]:
        path, token = f"/campaigns/{it.id}", self.world.tokens[user]
        said = self._said(act, path, token)
        if act == "edit":
            status, shown = self.world.call("PATCH", path, token, body)
        else:
            status, shown = self.world.call("POST", f"{path}/{act}", token, body)
        if said is not None:
            code = None if status < 300 else shown["type"].rpartition("/")[2]
            assert (said["allowed"], said["code"]) == (code is None, code), (act, user, it)
        return status, shown

    def _said(self, act: str, path: str, token: str) -> Any:
        """What `acts` says of an act before it is tried; None: they do not see the campaign."""
        status, shown = self.world.call("GET", path, token)
        if status == 404:
            return None
        (said,) = [item for item in shown["acts"] if item["act"] == act]
        assert said["allowed"] or all(said["plain"].values())
        return said

    def _expect(self, status: int, allowed: set[str], user: str, act: str, it: Expected) -> bool:
        """Whether persons and states allow the act; if not, it must have been refused as it was."""
        if user == "stranger":
            assert status == 404
        elif user not in allowed:
            assert status == 403
        elif it.state not in FROM[act]:
            assert status == 409
        else:
            return True
        return False

    @rule(number=numbers, user=planners, tps=st.integers(1, 9))
    def edit(self, number: int, user: str, tps: int) -> None:
        it = self.plans[number]
        status, shown = self._act("edit", user, it, {"max_tps": tps})
        if self._expect(status, PLANNERS, user, "edit", it):
            assert status == 200
            it.state, it.editor = "draft", user
            it.forget()
            assert (shown["approved_by"], shown["content_hash"]) == (None, None)

    @rule(number=numbers, user=st.sampled_from(("operator", "both", "approver")))
    def rewrite(self, number: int, user: str) -> None:
        it = self.plans[number]
        status, _ = self.world.call(
            "POST", f"/templates/{it.template}/versions", self.world.tokens[user], {"text": TEXT}
        )
        if user not in PLANNERS:
            assert status == 403
            return
        assert status == 201
        it.writer, it.stale = user, True

    @rule(number=numbers, user=planners)
    def submit(self, number: int, user: str) -> None:
        it = self.plans[number]
        status, shown = self._act("submit", user, it)
        if self._expect(status, PLANNERS, user, "submit", it):
            assert status == 200, shown
            it.state, it.submitter, it.frozen_writer = "pending_approval", user, it.writer
            it.stale, it.approvals = False, []

    @rule(number=numbers, user=approvers)
    def approve(self, number: int, user: str) -> None:
        it = self.plans[number]
        status, shown = self._act("approve", user, it)
        if not self._expect(status, APPROVERS, user, "approve", it):
            return
        if user in it.hands():
            assert (status, shown["type"].rpartition("/")[2]) == (403, "second_person_needed")
        elif it.stale:
            assert (status, shown["type"].rpartition("/")[2]) == (409, "changed_since_submission")
        else:
            assert status == 200, shown
            it.approvals.append(user)
            if len(it.approvals) == 1 + it.warning:
                it.state, it.fired = "scheduled", False

    @rule(number=numbers, pick=st.integers(0, 5))
    def approve_the_own(self, number: int, pick: int) -> None:
        """Somebody who had a hand in it and may otherwise approve."""
        it = self.plans[number]
        if hands := sorted(it.hands() & APPROVERS):
            self.approve(number, hands[pick % len(hands)])

    @rule(number=numbers)
    def approve_what_was_rewritten(self, number: int) -> None:
        """The text changes between the submission and the approval by somebody who may."""
        it = self.plans[number]
        if it.state == "pending_approval":
            self.rewrite(number, "operator")
            self.approve(number, "third" if "approver" in it.approvals else "approver")

    @rule(number=numbers)
    def fire_while_all_is_stopped(self, number: int) -> None:
        if self.plans[number].state == "scheduled":
            self.stop("operator", on=True)
            self.fire()
            self.leave()

    @rule(
        number=numbers, end=st.sampled_from(("reject", "cancel")), act=st.sampled_from(sorted(FROM))
    )
    def try_after_the_end(self, number: int, end: str, act: str) -> None:
        """Nothing brings back what was rejected or cancelled, not even an administrator."""
        it = self.plans[number]
        if it.state == "pending_approval" and end == "reject":
            self.refuse(number, "third", "reject")
        if it.state in {"rejected", "cancelled", "done"}:
            body = {"reason": "r"} if act in REASONED else None
            status, _ = self._act(act, "admin", it, body)
            assert not self._expect(status, {"admin"}, "admin", act, it)

    @rule(
        number=numbers,
        user=st.sampled_from(("viewer", "stranger", "operator", "approver")),
        act=st.sampled_from(sorted(FROM)),
    )
    def meddle(self, number: int, user: str, act: str) -> None:
        """Somebody whose act this is not."""
        it = self.plans[number]
        theirs = PLANNERS if act in {"edit", "submit"} else APPROVERS
        allowed = theirs if act not in STEERS else CONTROLLERS
        if user not in allowed:
            status, _ = self._act(act, user, it, {"reason": "r"} if act in REASONED else None)
            self._expect(status, allowed, user, act, it)

    @rule(number=numbers, user=approvers, act=st.sampled_from(("return", "return", "reject")))
    def refuse(self, number: int, user: str, act: str) -> None:
        it = self.plans[number]
        status, _ = self._act(act, user, it, {"reason": "r"})
        if self._expect(status, APPROVERS, user, act, it):
            assert status == 200
            it.state = "returned" if act == "return" else "rejected"
            if act == "return":
                it.forget()

    @rule(number=numbers, user=st.sampled_from(("operator", "third")), act=st.sampled_from(STEERS))
    def steer(self, number: int, user: str, act: str) -> None:
        it = self.plans[number]
        status, _ = self._act(act, user, it)
        if not self._expect(status, CONTROLLERS, user, act, it):
            return
        if act == "release" and self.stopped:
            assert status == 409
            return
        assert status == 200
        after = "running" if it.fired else "scheduled"
        it.state = {
            "pause": "paused", "resume": after, "release": "scheduled", "cancel": "cancelled",
        }[act]  # fmt: skip

    @rule(user=st.sampled_from(("operator", "third", "viewer")), on=st.booleans())
    def stop(self, user: str, on: bool) -> None:
        path = "/stop-all" if on else "/stop-all/lift"
        status, _ = self.world.call("POST", path, self.world.tokens[user], {"reason": "r"})
        if user in {"viewer", "stranger"}:
            assert status == 403
        elif not on and not self.stopped:
            assert status == 409
        else:
            assert status == 200
            self.stopped = on

    @rule()
    def fire(self) -> None:
        async def due() -> None:
            self.world.clock.at += timedelta(seconds=1)
            pool, now = self.world.runtime.pool, self.world.clock.at
            for run in await fire_due(pool, now):
                await expand_run(pool, run, now, self.world.runtime.keyring)

        self.world.run(due())
        for it in self.known.values():
            if it.state == "scheduled":
                it.state, it.fired = ("held", False) if self.stopped else ("running", True)

    @rule()
    def leave(self) -> None:
        """What the hand-off lets through leaves: only what is approved, running, not stopped."""
        left = self.world.run(self._leave())
        self.world.marks += len(left)
        for campaign, text, rule_, approved in left:
            it = self.known[campaign]
            assert it.state == "running", it
            assert not self.stopped
            assert len(it.approvals) == 1 + it.warning
            assert approved, "what leaves is what was approved"
            assert (text, bool(rule_)) == (TEXT, True)

    async def _leave(self) -> list[tuple[str, str, str, bool]]:
        pool, now, left = self.world.runtime.pool, self.world.clock.at, []
        async with transaction(pool) as conn:
            lease = await lease_store.claim_connection(
                conn, self.world.channel, 0, uuid.uuid4(), now
            )
        assert lease is not None
        open_slices = await pool.fetch("SELECT run_id, no FROM slices WHERE done_at IS NULL")
        for _ in open_slices:
            async with transaction(pool) as conn:
                claimed = await claim_one(conn, lease, now)
                if claimed is None:
                    break
                run = claimed["run_id"]
                nos = list(range(claimed["first_no"], claimed["last_no"] + 1))
                moved = await mark(conn, lease, run, nos, claimed["no"], now)
                row = await conn.fetchrow(
                    "SELECT c.id, r.text, r.rule, c.approved_hash = c.content_hash AS approved "
                    "FROM runs r JOIN campaigns c ON c.id = r.campaign_id WHERE r.id = $1",
                    run,
                )
                assert row is not None
                left += [(str(row["id"]), row["text"], row["rule"], row["approved"])] * len(moved)
                await conn.execute(
                    "UPDATE messages SET state = 'delivered', final_at = $2 "
                    "WHERE run_id = $1 AND state = 'submitting'",
                    run,
                    now,
                )
                await conn.execute(
                    "UPDATE slices SET epoch = NULL, slot = NULL, not_before = $3 "
                    "WHERE run_id = $1 AND no = $2",
                    run,
                    claimed["no"],
                    now + timedelta(seconds=1),
                )
        async with transaction(pool) as conn:
            await lease_store.release_connection(conn, lease, now)
        return left

    @rule()
    def finish(self) -> None:
        """All that was to be handed off is: what runs is done, what is paused is not."""

        async def close() -> None:
            pool, now = self.world.runtime.pool, self.world.clock.at
            async with transaction(pool) as conn:
                await conn.execute(
                    "UPDATE slices s SET done_at = $1 FROM runs r "
                    "WHERE r.id = s.run_id AND r.state = 'running' AND done_at IS NULL",
                    now,
                )
                await finish_campaigns(conn, await sweep_store.close_finished_runs(conn, now), now)

        self.world.run(close())
        for it in self.known.values():
            if it.state == "running":
                it.state = "done"

    @invariant()
    def all_is_as_expected(self) -> None:
        if not self.known:
            return
        rows = self.world.run(
            self.world.runtime.pool.fetch(
                """
                SELECT id::text, state, approved_by, second_approved_by,
                    (SELECT count(*) FROM campaign_moves m WHERE m.campaign_id = c.id
                       AND m.reason = '') AS unexplained
                FROM campaigns c WHERE id = ANY($1::uuid[])
                """,
                list(self.known),
            )
        )
        for row in rows:
            it = self.known[row["id"]]
            assert row["state"] == it.state, it
            persons = [row["approved_by"], row["second_approved_by"]]
            expected = [self.world.users[name].id for name in it.approvals]
            assert [person for person in persons if person] == expected, it
            assert row["unexplained"] == 0


ROLES = {
    "operator": [Role.OPERATOR],
    "both": [Role.OPERATOR, Role.APPROVER],
    "approver": [Role.APPROVER],
    "third": [Role.APPROVER],
    "viewer": [Role.VIEWER],
}


async def _people(conn: Connection, keyring: Keyring, now: datetime) -> dict[str, User]:
    """The users of a police department and somebody of a school; and whom the campaigns mean."""
    admin = await make_user(conn, Role.ADMIN, now=now, kind="police")
    users = {"admin": admin, "stranger": await make_user(conn, Role.ADMIN, now=now, kind="school")}
    for name, roles in ROLES.items():
        department_id = admin.department_id
        users[name] = await make_user(conn, *roles, now=now, department_id=department_id)
    for n in range(PEOPLE):
        await make_contact(conn, keyring, admin.department_id, n, now=now)
    return users


@contextlib.contextmanager
def _world(database_url: str, valkey: Valkey, now: datetime) -> Iterator[World]:
    keyring = Keyring(b"\x01" * 32)
    with asyncio.Runner() as loop:
        stack = contextlib.AsyncExitStack()

        async def begin() -> World:
            pool = await stack.enter_async_context(open_pool(database_url, size=8))
            queue = await stack.enter_async_context(open_queue(valkey.url))
            redis = Redis.from_url(valkey.url)
            stack.push_async_callback(redis.aclose)
            clock = HandClock(now)
            made = Settings(
                database_url=database_url, redis_url=valkey.url, key_file=Path("/nowhere")
            )
            runtime = Runtime(made, clock, keyring, pool, redis, queue)
            server = TestServer(create_app(runtime))
            client = await stack.enter_async_context(TestClient(server))
            async with transaction(pool) as conn:
                channel = await add_channel(conn, keyring, 1, now)
                await lease_store.ensure_connections(conn, channel.id, 1)
                users = await _people(conn, keyring, now)
                tokens = {
                    name: await make_token(conn, keyring, user, now) for name, user in users.items()
                }
            return World(loop, client, runtime, clock, channel.id, users, tokens)

        world = loop.run(begin())
        try:
            yield world
        finally:
            loop.run(stack.aclose())


@pytest.fixture
def world(databases: Databases, migrated: str, valkey: Valkey, now: datetime) -> Iterator[World]:
    name = "campaign_model"

    async def make() -> None:
        async with databases.admin() as admin:
            await databases.new(admin, migrated, name)

    async def drop() -> None:
        async with databases.admin() as admin:
            await admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    asyncio.run(make())
    try:
        with _world(databases.service_url(name), valkey, now) as made:
            _worlds.append(made)
            yield made
    finally:
        _worlds.clear()
        asyncio.run(drop())


@pytest.mark.slow
def test_no_sequence_of_acts_by_anybody_goes_round_the_rules(world: World) -> None:
    run_state_machine_as_test(
        Campaigns,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            phases=[Phase.generate],  # shrinking takes minutes
            derandomize=EXAMPLES == BUDGET,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert world.successes > 3 * EXAMPLES
    assert world.refusals > 2 * EXAMPLES
    assert world.marks > 0, "something must have left, or nothing was shown"
