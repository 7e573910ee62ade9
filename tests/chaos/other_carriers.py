"""A system whose three channels speak SMPP, an HTTP interface, and Twilio's."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from service.local.embedded import free_port
from tests.chaos.wires import WiredSystem
from tests.harness.http_vendor import documented

OTHER_PROTOCOLS = {
    "smpp": ["china_mobile", "china_broadnet"],
    "http": ["china_unicom"],
    "twilio": ["china_telecom"],
}
"""The channels by their kind, which is their name too, and whose numbers each takes."""

HOST = "127.0.0.1"
ACCOUNTS = {"smpp": "esme01", "http": "county", "twilio": "AC" + "0" * 31 + "7"}
SECRETS = {"smpp": "of-smpp", "http": "simulated", "twilio": "of-twilio"}
"""The vendor knows an account by its secret; that of http is the manual's."""
WINDOW, CONNECTIONS, TPS = 32, 2, 50


class OtherWiredSystem(WiredSystem):
    """The carrier is a process of ours, with a proxy before each of its doors; it calls the API
    back directly.
    """

    def __init__(self, folder: Path, people: int, *, tps: int = TPS) -> None:
        super().__init__(
            folder, people, tps=tps, window=WINDOW, connections=CONNECTIONS,
            more=("--channels", "none"),
        )  # fmt: skip
        self._ports = {name: free_port() for name in (*OTHER_PROTOCOLS, "admin")}
        self._carrier: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start everything, then the carrier and the channels to it."""
        await super().start()
        self.live.summary["simulator"] = f"http://{HOST}:{self._ports['admin']}"
        await asyncio.to_thread(self._start_carrier)
        for name, carriers in OTHER_PROTOCOLS.items():
            body = {
                "name": name,
                "kind": name,
                "simulated": True,
                "carriers": carriers,
                "operated_by": carriers[0],
                "config": self._settings(name, self.wires.add(name, HOST, self._ports[name])),
                "tps": self.tps,
                "window": WINDOW,
                "connections": CONNECTIONS,
            }
            await self.call("admin", "POST", "/channels", body)

    def _start_carrier(self) -> None:
        folder = self.live.folder
        config = {
            "cmpp_port": None,
            **{f"{name}_port": port for name, port in self._ports.items()},
            "accounts": [
                {"account": account, "secret": SECRETS[name], "callback_url": self._called(name)}
                for name, account in ACCOUNTS.items()
            ],
            "journal": str(folder / "simulator.journal"),
            "profile": "carrier",
            "tps": self.tps,
            "response_delay_seconds": CONNECTIONS * WINDOW / 2 / self.tps,
            "max_delay_seconds": 3.0,
        }
        (folder / "simulator.json").write_text(json.dumps(config))
        clock = self.clock
        assert clock.start is not None
        environment = os.environ | {
            "TOCSIN_CLOCK_START": clock.start.isoformat(),
            "TOCSIN_CLOCK_ANCHOR": repr(clock.anchor),
        }
        with (folder / "simulator.log").open("ab") as log:
            self._carrier = subprocess.Popen(
                [
                    *(sys.executable, "-m", "service", "simulate"),
                    *("--config", str(folder / "simulator.json")),
                ],
                env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip

    def _called(self, name: str) -> str:
        return f"{self.live.summary['url']}/api/v1/callbacks/{name}"

    def _settings(self, name: str, port: int) -> dict[str, Any]:
        match name:
            case "smpp":
                return {
                    "host": HOST,
                    "port": port,
                    "system_id": ACCOUNTS[name],
                    "password": SECRETS[name],
                    "sender": "106900001234",
                }
            case "http":
                url = f"http://{HOST}:{port}/messages"
                return {**documented(), "url": url, "public_url": self._called(name)}
            case _:
                return {
                    "account_sid": ACCOUNTS[name],
                    "auth_token": SECRETS[name],
                    "sender": "+8619790009999",
                    "api_url": f"http://{HOST}:{port}",
                    "public_url": self._called(name),
                }

    def stop(self) -> None:
        """Stop everything, the carrier last but the servers."""
        self.wires.act(OTHER_PROTOCOLS, lambda proxy: proxy.forward())
        if self._carrier is not None:
            self._carrier.terminate()
            self._carrier.wait()
        super().stop()
