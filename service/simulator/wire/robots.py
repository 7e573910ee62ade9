"""Robots of work groups, as WeCom and DingTalk answer: a text, a signature, 20 messages a minute.

Sources: WeCom's and DingTalk's pages on group robots. The signature is checked as DingTalk says it,
by code of its own. Messages are kept in memory, the last 10,000 of them. Under `tls_certificate`
it is served over HTTPS, which the service asks for. The fault `half_open` reads and never answers.
"""

import asyncio
import base64
import hashlib
import hmac
import ssl
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from service.simulator.carrier.config import RobotConfig
from service.simulator.carrier.smsc import SMSC
from service.simulator.wire.admin import serving

A_MINUTE = 20
WINDOW_SECONDS = 60.0
PUNISHED_SECONDS = 600.0
"""How long DingTalk takes nothing of a robot that had too much."""
MOST_OCTETS = 2_048
SIGNED_SECONDS = 3_600.0
MOST_KEPT = 10_000


@dataclass(slots=True)
class PostedText:
    """A text that a group has got."""

    robot: str
    content: str


@dataclass(slots=True)
class SimulatedRobots:
    """All robots of one simulated carrier, and what their groups have got."""

    smsc: SMSC
    posted: deque[PostedText] = field(default_factory=lambda: deque(maxlen=MOST_KEPT))
    _times: dict[str, deque[float]] = field(default_factory=lambda: defaultdict(deque))
    _punished: dict[str, float] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        """Where they are posted to, and where one reads what they got."""
        return [
            web.post("/cgi-bin/webhook/send", self._wecom),
            web.post("/robot/send", self._dingtalk),
            web.get("/posted", self._list),
        ]

    async def _wecom(self, request: web.Request) -> web.Response:
        robot = self._robot("wecom", request.query.get("key", ""))
        if robot is None:
            return _answer(93000, "invalid webhook url")
        content, refused = await self._content(request)
        if refused is not None:
            return refused
        if not self._has_room(robot.key):
            return _answer(45009, "api freq out of limit")
        return self._posted(robot, content)

    async def _dingtalk(self, request: web.Request) -> web.Response:
        robot = self._robot("dingtalk", request.query.get("access_token", ""))
        if robot is None:
            return _answer(300001, "token is not exist")
        if why := _wrong_signature(robot, request):
            return _answer(310000, why)
        content, refused = await self._content(request)
        if refused is not None:
            return refused
        now = time.monotonic()
        if self._punished.get(robot.key, 0.0) > now:
            return _answer(130101, "send too fast, exceed 20 times per minute")
        if not self._has_room(robot.key):
            self._punished[robot.key] = now + PUNISHED_SECONDS
            return _answer(130101, "send too fast, exceed 20 times per minute")
        return self._posted(robot, content)

    def _robot(self, kind: str, key: str) -> RobotConfig | None:
        found = [one for one in self.smsc.config.robots if one.kind == kind and one.key == key]
        return found[0] if found else None

    async def _content(self, request: web.Request) -> tuple[str, web.Response | None]:
        if self.smsc.faults.half_open:
            await asyncio.Event().wait()
        try:
            body: Any = await request.json()
            if body["msgtype"] != "text":
                return "", _answer(40008, "invalid message type")
            content = body["text"]["content"]
        except (ValueError, KeyError, TypeError):
            return "", _answer(40035, "invalid parameter")
        if not isinstance(content, str) or not content:
            return "", _answer(44004, "content missing")
        if len(content.encode()) > MOST_OCTETS:
            return "", _answer(40058, "text.content exceed max length 2048")
        return content, None

    def _has_room(self, key: str) -> bool:
        now, times = time.monotonic(), self._times[key]
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        if len(times) >= A_MINUTE:
            return False
        times.append(now)
        return True

    def _posted(self, robot: RobotConfig, content: str) -> web.Response:
        self.posted.append(PostedText(robot.key, content))
        return _answer(0, "ok")

    async def _list(self, _: web.Request) -> web.Response:
        return web.json_response([{"robot": p.robot, "content": p.content} for p in self.posted])


def _wrong_signature(robot: RobotConfig, request: web.Request) -> str:
    """Why a request is not signed as it should be; "": it is."""
    if robot.secret is None:
        return ""
    stamp = request.query.get("timestamp", "")
    if not stamp.isdecimal() or abs(int(stamp) / 1000 - time.time()) > SIGNED_SECONDS:
        return "invalid timestamp"
    secret = robot.secret.get_secret_value()
    said = hmac.new(secret.encode(), f"{stamp}\n{secret}".encode(), hashlib.sha256).digest()
    if not hmac.compare_digest(base64.b64encode(said).decode(), request.query.get("sign", "")):
        return "sign not match"
    return ""


def _answer(code: int, message: str) -> web.Response:
    return web.json_response({"errcode": code, "errmsg": message})


@asynccontextmanager
async def listen(smsc: SMSC) -> AsyncIterator[int]:
    """Serve the robots on the configured port while the block runs; gives the port.

    Raises:
        Misconfigured: the address or port cannot be had.
    """
    config = smsc.config
    tls = None
    if config.tls_certificate is not None:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(config.tls_certificate)
    app = web.Application()
    app.add_routes(SimulatedRobots(smsc).routes())
    async with serving(app, config.host, config.robots_port or 0, tls) as port:
        yield port
