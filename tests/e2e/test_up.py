"""`tocsin up` outlives a server that does not come up again at once, and a child that is stuck."""

import argparse
import asyncio
import json
import signal
import socket
import ssl
import struct
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tocsin_client import Tocsin

from service.errors import Misconfigured
from service.liveness.alive_file import NAME
from service.local.embedded import Postgres
from service.local.simulated_groups import open_simulated_groups
from service.local.up import System, UpOptions
from service.simulator.command import add_arguments, read_config
from service.simulator.run import running
from tests.harness.live import Live
from tests.harness.waiting import until_sync


def test_a_server_that_does_not_start_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[bool] = []

    def start(self: Postgres) -> None:
        started.append(len(started) > 0)
        if not started[-1]:
            raise Misconfigured("no space left on the device")

    monkeypatch.setattr(Postgres, "start", start)
    monkeypatch.setattr(Postgres, "alive", lambda _: started[-1:] == [True])
    running = System(UpOptions(tmp_path), tmp_path)
    running.postgres = Postgres(tmp_path)
    running.tend()
    assert started == [False]
    running.tend()
    running.tend()
    assert started == [False, True], "tried again until it runs, and no more"


@pytest.mark.slow
def test_a_child_that_is_stopped_is_killed_and_started_again(tmp_path: Path) -> None:
    """It cannot end itself. Its peers, and one that was killed, go on as ever."""
    live = Live(tmp_path / "data", "--channels", "none")
    live.start()
    try:
        stopped, api = live.pid("work"), live.pid("api")
        live.kill("work", signal.SIGSTOP)
        live.kill("scheduler")
        until_sync(lambda: live.pid("work") != stopped, PATIENCE_SECONDS)
        until_sync(lambda: _touches(live.folder / "alive" / "work" / NAME), PATIENCE_SECONDS)
        said = (tmp_path / "data.up.log").read_text()
        killed = [line for line in said.splitlines() if "no sign of life" in line]
        assert len(killed) == 1
        assert json.loads(killed[0])["process_name"] == "work"
        assert live.pid("api") == api
    finally:
        live.stop()


PATIENCE_SECONDS = 120.0


async def test_simulated_groups_are_the_same_at_a_second_start_and_trusted_by_whoever_posts(
    tmp_path: Path,
) -> None:
    groups = open_simulated_groups(tmp_path)
    assert open_simulated_groups(tmp_path) == groups
    path = tmp_path / "config.json"
    path.write_text(json.dumps(groups.simulator()))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    config = read_config(parser.parse_args(["--config", str(path)]))
    text = {"msgtype": "text", "text": {"content": "测试"}}
    trusts = ssl.create_default_context(cafile=str(groups.authorities))
    strict = ssl.create_default_context()
    async with running(config), aiohttp.ClientSession() as session:
        for kind, code in (("wecom", 0), ("dingtalk", 310000)):  # this one is not signed here
            address = groups.address(next(key for key in groups.keys if key == kind))
            async with session.post(address, json=text, ssl=trusts) as answer:
                assert (await answer.json())["errcode"] == code
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await session.post(address, json=text, ssl=strict)
    for name in ("groups.json", "groups.private.pem"):
        assert (tmp_path / name).stat().st_mode & 0o077 == 0, f"{name} is a secret"


@pytest.mark.slow
def test_both_simulated_groups_get_a_message_and_are_set_up_once(tmp_path: Path) -> None:
    live = Live(tmp_path / "data", "--channels", "none", "--groups")
    live.start()
    try:
        robots = asyncio.run(_test_robots(live))
        assert {one["kind"] for one in robots} == {"wecom", "dingtalk"}

        def posted() -> list[dict[str, str]]:
            tls = ssl.create_default_context(cafile=str(live.folder / "groups.pem"))
            try:
                with urllib.request.urlopen(live.summary["groups"], context=tls) as answer:
                    found: list[dict[str, str]] = json.load(answer)
            except urllib.error.URLError as error:
                if not isinstance(error.reason, ConnectionRefusedError):
                    raise
                return []  # it starts beside the API, and `up` waits for that alone
            return found

        until_sync(lambda: len(posted()) == 2, PATIENCE_SECONDS)
        assert len({one["robot"] for one in posted()}) == 2
        assert all("测试消息" in one["content"] for one in posted())
        before = live.summary["groups"]
        live.stop()
        live.start()
        assert live.summary["groups"] == before
        again = asyncio.run(_test_robots(live))
        assert [one["id"] for one in again] == [one["id"] for one in robots]
        until_sync(lambda: len(posted()) == 2, PATIENCE_SECONDS)
    finally:
        live.stop()


async def _test_robots(live: Live) -> list[Any]:
    """The robots that there are, each of which is told to post a test message."""
    async with Tocsin(live.summary["url"], live.summary["keys"]["operator"]) as operator:
        found = await operator.ask("GET", "/robots")
        for one in found["items"]:
            await operator.ask("POST", f"/robots/{one['id']}/test")
    items: list[Any] = found["items"]
    return items


@pytest.mark.slow
def test_systemd_hears_the_parent_alone(tmp_path: Path) -> None:
    """NotifyAccess=main: a child's word would be logged as a stranger's each time."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        systemd.bind(str(tmp_path / "notify"))
        systemd.settimeout(PATIENCE_SECONDS)
        live = Live(tmp_path / "data", "--channels", "none", NOTIFY_SOCKET=str(tmp_path / "notify"))
        live.start()
        try:
            assert live.process is not None
            for _ in range(50):  # a child would say something each time the parent has said ten
                said, credentials, *_rest = systemd.recvmsg(200, socket.CMSG_SPACE(12))
                assert said.decode() == "READY=1\nWATCHDOG=1"
                assert struct.unpack("iii", credentials[0][2])[0] == live.process.pid
        finally:
            live.stop()


def _touches(file: Path) -> bool:
    return file.exists() and file.read_text() != ""
