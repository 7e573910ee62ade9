"""A simulated WeCom and DingTalk whose robots are posted to over TLS."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from service.simulator.carrier.config import SimulatorConfig
from service.simulator.run import Simulator, running
from tests.harness import certificates

KEY, TOKEN, SECRET = "693a91f6-wecom-key-5aaa", "566cc69da782ec-token", "SEC000000"
PATHS = {
    "wecom": f"/cgi-bin/webhook/send?key={KEY}",
    "dingtalk": f"/robot/send?access_token={TOKEN}",
}
NETWORKS = "127.0.0.0/8, ::1/128"
"""What `webhook_networks` has to name, so that they are posted to."""


@dataclass
class SimulatedGroups:
    """Two groups, and whoever vouches for their certificate."""

    simulator: Simulator
    tls: ssl.SSLContext

    def address(self, path: str) -> str:
        """The address of a path."""
        return f"https://localhost:{self.simulator.ports['robots']}{path}"

    async def got(self) -> list[tuple[str, str]]:
        """What the groups have got: the robot's key, and the text."""
        async with (
            aiohttp.ClientSession() as session,
            session.get(self.address("/posted"), ssl=self.tls) as answer,
        ):
            return [(one["robot"], one["content"]) for one in await answer.json()]


@asynccontextmanager
async def simulated_groups(folder: Path) -> AsyncIterator[SimulatedGroups]:
    """Both robots, while the block runs."""
    made = certificates.make(folder, "localhost")
    config = SimulatorConfig.model_validate(
        {
            "cmpp_port": None,
            "robots_port": 0,
            "tls_certificate": made.server,
            "accounts": [{"account": "a", "secret": "s"}],
            "robots": [
                {"kind": "wecom", "key": KEY},
                {"kind": "dingtalk", "key": TOKEN, "secret": SECRET},
            ],
        }
    )
    async with running(config) as simulator:
        yield SimulatedGroups(simulator, ssl.create_default_context(cadata=made.authority))
