"""Posts to robots of work groups over TLS: once, within their rates, and nobody is reached."""

import logging
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest

from service.crypto import Keyring
from service.delivery.notices import robot_posts
from service.delivery.notices.robot import A_MINUTE, RobotKind, RobotNotice
from service.delivery.notices.robot_posts import NewRobot, post_due
from service.errors import Conflict, NotFound
from service.settings import Settings
from service.simulator.carrier.config import Faults
from service.storage.postgres import Pool, transaction
from tests.factories import make_team
from tests.harness.clocks import HandClock
from tests.harness.simulated_robots import (
    KEY,
    NETWORKS,
    PATHS,
    SECRET,
    TOKEN,
    SimulatedGroups,
    simulated_groups,
)
from tests.harness.told import CONSOLE, LATER, Told

MINUTE = timedelta(minutes=1)


@dataclass
class Groups:
    """A simulated WeCom and DingTalk, and a department that tells them."""

    told: Told
    clock: HandClock
    simulated: SimulatedGroups
    tls: ssl.SSLContext

    async def add(
        self, kind: str = "wecom", path: str = "", secret: str | None = None, **more: Any
    ) -> UUID:
        address = self.simulated.address(path or PATHS[kind])
        kinds = list(RobotNotice)
        new = NewRobot(RobotKind(kind), "三组", address, secret, "zh", kinds)._replace(**more)
        async with transaction(self.told.pool) as conn:
            return await robot_posts.add_robot(
                conn, self.told.keyring, self.told.team.admin, new, self.clock.now()
            )

    async def test(self, robot: UUID) -> UUID:
        async with transaction(self.told.pool) as conn:
            return await robot_posts.test_robot(conn, self.told.team.admin, robot, self.clock.now())

    async def post(self, seconds: float = 5.0) -> int:
        return await post_due(
            self.told.pool,
            self.told.keyring,
            self.clock,
            self.told.settings,
            tls=self.tls,
            seconds=seconds,
        )

    async def got(self) -> list[tuple[str, str]]:
        return await self.simulated.got()

    async def states(self) -> list[tuple[str, str]]:
        rows = await self.told.pool.fetch("SELECT state, error FROM robot_posts ORDER BY id")
        return [(row["state"], row["error"]) for row in rows]


@asynccontextmanager
async def _groups(
    pool: Pool, keyring: Keyring, settings: Settings, folder: Path, clock: HandClock
) -> AsyncIterator[Groups]:
    async with transaction(pool) as conn:
        team = await make_team(conn, now=clock.now())
    told = Told(pool, keyring, settings, team, clock.now() - LATER)
    async with simulated_groups(folder) as simulated:
        yield Groups(told, clock, simulated, simulated.tls)


@pytest.fixture
async def groups(
    pool: Pool, keyring: Keyring, runtime_settings: Settings, now: Any, tmp_path: Path
) -> AsyncIterator[Groups]:
    update = {"console_url": CONSOLE, "webhook_networks": NETWORKS}
    settings = runtime_settings.model_copy(update=update)
    async with _groups(pool, keyring, settings, tmp_path, HandClock(now + LATER)) as found:
        yield found


async def test_both_robots_are_told_what_waits_and_nobody_is_reached(groups: Groups) -> None:
    await groups.add("wecom")
    await groups.add("dingtalk", secret=SECRET)
    campaign = await groups.told.submit()
    await groups.told.submit()
    await groups.told.make()
    assert await groups.post() == 2
    assert await groups.post() == 0
    said = f"待您签发的任务：2。登录查看：{CONSOLE}"
    assert sorted(await groups.got()) == sorted([(KEY, said), (TOKEN, said)])
    assert await groups.states() == [("sent", "")] * 2
    for table in ("runs", "messages", "notices", "coverage_facts", "direct_sends"):
        count = await groups.told.pool.fetchval(f"SELECT count(*) FROM {table}")
        assert count == 0, f"nothing of it is in {table}"
    assert campaign.plan.name not in said


async def test_what_is_decided_meanwhile_or_is_of_others_is_not_told(groups: Groups) -> None:
    await groups.add("wecom", kinds=[RobotNotice.APPROVAL])
    campaign = await groups.told.submit()
    await groups.told.send_back(campaign.id)
    await groups.told.make()
    async with transaction(groups.told.pool) as conn:
        other = await make_team(conn, now=groups.clock.now())
    await Told(
        groups.told.pool, groups.told.keyring, groups.told.settings, other, groups.told.now
    ).submit()
    await groups.told.make()
    assert await groups.post() == 0
    assert await groups.got() == []


async def test_what_a_group_is_told_of_no_more_is_not_posted_though_it_was_owed(
    groups: Groups,
) -> None:
    robot = await groups.add("wecom")
    await groups.told.submit()
    await groups.told.make()
    async with transaction(groups.told.pool) as conn:
        before = await robot_posts.set_kinds(
            conn, groups.told.team.admin, robot, [RobotNotice.LATE]
        )
    assert sorted(before) == sorted(RobotNotice)
    assert await groups.post() == 0
    owed = await groups.told.pool.fetchval(
        "SELECT count(*) FROM robot_notices WHERE settled_at IS NULL"
    )
    assert owed == 0
    async with transaction(groups.told.pool) as conn:
        await robot_posts.set_kinds(conn, groups.told.team.admin, robot, [RobotNotice.APPROVAL])
    await groups.told.submit()
    await groups.told.make()
    assert await groups.post() == 1
    (said,) = await groups.got()
    assert "待您签发的任务" in said[1]


async def test_a_robot_gets_twenty_messages_a_minute_and_no_more(groups: Groups) -> None:
    robot = await groups.add("wecom")
    async with transaction(groups.told.pool) as conn:
        for _ in range(A_MINUTE + 3):
            await conn.execute(
                "INSERT INTO robot_posts (robot_id, is_test, made_at, next_at)"
                " VALUES ($1, true, $2, $2)",
                robot,
                groups.clock.now(),
            )
    while await groups.post():
        pass
    assert len(await groups.got()) == A_MINUTE
    states = await groups.states()
    assert states == [("sent", "")] * A_MINUTE + [("waiting", "")] * 3, "and none was refused"


async def test_a_robot_that_had_too_much_from_others_rests(groups: Groups) -> None:
    await groups.add("dingtalk", secret=SECRET)
    await groups.add("wecom")
    text = {"msgtype": "text", "text": {"content": "别的系统"}}
    address = groups.simulated.address(PATHS["wecom"])
    async with aiohttp.ClientSession() as session:
        for _ in range(A_MINUTE + 1):
            async with session.post(address, json=text, ssl=groups.tls) as answer:
                last = await answer.json()
    assert last["errcode"] == 45009
    await groups.told.submit()
    await groups.told.make()
    assert await groups.post() == 2
    states = sorted(await groups.states())
    assert states == [("sent", ""), ("waiting", "45009: too many messages in a minute")]
    assert await groups.post() == 0, "it rests"
    groups.clock.at += MINUTE
    assert await groups.post() == 1
    rest = await groups.told.pool.fetchval(
        "SELECT rest_until FROM group_robots WHERE kind = 'wecom'"
    )
    assert rest == groups.clock.now() + MINUTE


@pytest.mark.parametrize(
    ("kind", "path", "secret", "why"),
    [
        ("dingtalk", "", "SECwrong", "310000: wrong signature"),
        ("dingtalk", "", None, "310000: wrong signature"),
        ("dingtalk", "/robot/send?access_token=unknown-token", None, "300001: not taken"),
        ("wecom", "/cgi-bin/webhook/send?key=unknown-key-1", None, "93000: there is no such"),
    ],
)
async def test_what_a_robot_refuses_is_given_up_with_its_code_and_without_its_key(
    groups: Groups,
    caplog: pytest.LogCaptureFixture,
    kind: str,
    path: str,
    secret: str | None,
    why: str,
) -> None:
    robot = await groups.add(kind, path, secret)
    await groups.test(robot)
    with caplog.at_level(logging.DEBUG):
        assert await groups.post() == 1
    ((state, error),) = await groups.states()
    assert state == "given_up"
    assert error.startswith(why)
    for word in (TOKEN, KEY, "unknown", "SEC"):
        assert word not in caplog.text + error


async def test_a_silent_robot_holds_up_no_other_and_is_not_posted_to_again(
    groups: Groups, pool: Pool
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as quiet:  # takes connections, says nothing
        port = quiet.getsockname()[1]
        mute = await groups.add("wecom")
        address = f"https://localhost:{port}/webhook/send?key=silent"
        cipher = groups.told.keyring.encrypt("robot_address", address)
        await pool.execute("UPDATE group_robots SET address_cipher = $1", cipher)
        fine = await groups.add("dingtalk", secret=SECRET)
        await groups.test(mute)
        await groups.test(fine)
        assert await groups.post(seconds=0.5) == 2
    assert [robot for robot, _ in await groups.got()] == [TOKEN]
    states = await groups.states()
    assert {state for state, _ in states} <= {"sent", "uncertain", "waiting"}
    assert ("sent", "") in states
    await pool.execute("UPDATE group_robots SET rest_until = '2099-01-01' WHERE id = $1", mute)
    groups.simulated.simulator.smsc.set_faults(Faults(half_open=True))
    await groups.test(fine)
    assert await groups.post(seconds=0.5) >= 1
    assert (await groups.states())[-1] == ("uncertain", "no answer within 0.5 s")
    groups.simulated.simulator.smsc.set_faults(Faults())
    groups.clock.at += MINUTE
    await groups.post(seconds=0.5)
    assert len(await groups.got()) == 1, "it may have been posted, and is not posted again"


async def test_a_process_that_died_with_a_post_leaves_it_uncertain(
    groups: Groups, pool: Pool
) -> None:
    robot = await groups.add("wecom")
    await groups.test(robot)
    await pool.execute("UPDATE robot_posts SET state = 'leaving', next_at = $1", groups.clock.now())
    assert await groups.post() == 0
    assert await groups.states() == [("uncertain", robot_posts.LOST)]
    assert await groups.got() == []


@pytest.mark.attack
@pytest.mark.parametrize("networks", ["", "10.0.0.0/8"])
async def test_nothing_is_posted_into_our_own_networks(
    groups: Groups, caplog: pytest.LogCaptureFixture, networks: str
) -> None:
    groups.told.settings = groups.told.settings.model_copy(update={"webhook_networks": networks})
    await groups.test(await groups.add("wecom"))
    with caplog.at_level(logging.DEBUG):
        assert await groups.post() == 1
    why = "the address is in a private network, which is not called"
    assert await groups.states() == [("given_up", why)]
    assert await groups.got() == []
    assert KEY not in caplog.text


async def test_a_certificate_that_nobody_vouches_for_gets_no_message(groups: Groups) -> None:
    groups.tls = ssl.create_default_context()
    await groups.test(await groups.add("wecom"))
    await groups.post()
    assert await groups.states() == [("waiting", "the certificate is not trusted")]


async def test_a_robot_that_was_taken_away_gets_nothing_and_is_forgotten(
    groups: Groups, pool: Pool
) -> None:
    robot = await groups.add("wecom")
    await groups.test(robot)
    stored = await pool.fetchval("SELECT address_cipher FROM group_robots")
    assert KEY.encode() not in stored
    async with transaction(pool) as conn:
        await robot_posts.end_robot(conn, groups.told.team.admin, robot, groups.clock.now())
    assert await groups.post() == 1
    assert await groups.got() == []
    assert await groups.states() == [("given_up", robot_posts.GONE)]
    assert await pool.fetchval("SELECT address_cipher FROM group_robots") is None
    with pytest.raises(NotFound):
        await groups.test(robot)


async def test_so_many_tests_and_robots_there_are(groups: Groups) -> None:
    robot = await groups.add("wecom")
    for _ in range(robot_posts.MOST_TESTS):
        await groups.test(robot)
    with pytest.raises(Conflict):
        await groups.test(robot)
    for _ in range(robot_posts.MOST_ROBOTS - 1):
        await groups.add("wecom")
    with pytest.raises(Conflict):
        await groups.add("wecom")
