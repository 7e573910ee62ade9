"""The simulated channels of `tocsin up`: a carrier that speaks three protocols, a channel to each.

China Mobile and Broadnet, whose subscribers are in its network, go over CMPP, Unicom over SGIP,
Telecom over SMGP; the carriers of a channel that is left out go over the first one. Each channel is
the gateway of its first carrier, whose subscriber base goes over it. Ports and secrets are drawn
once and kept in the data folder, so that a second start finds the same carrier.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from service.channels.config.store import (
    insert_channel,
    list_channels,
    parse_settings,
    update_channel,
)
from service.channels.contract.model import ChannelSettings
from service.clock import Clock
from service.crypto import Keyring
from service.local.embedded import free_port, write_private
from service.storage.postgres import Connection

CARRIERS_OF = {
    "cmpp": ("china_mobile", "china_broadnet"),
    "sgip": ("china_unicom",),
    "smgp": ("china_telecom",),
}
"""The channels by their protocol, which is their name too, and whose numbers each takes."""

ACCOUNTS = {"cmpp": "901234", "sgip": "county", "smgp": "30551234"}
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class SimulatedChannels:
    """The channels that are wanted, and the ports and the secret they have."""

    names: tuple[str, ...]
    ports: Mapping[str, int]
    secret: str

    @property
    def admin_url(self) -> str:
        """Where the simulated carrier takes orders."""
        return f"http://{HOST}:{self.ports['admin']}"

    def carriers(self, name: str) -> tuple[str, ...]:
        """Whose numbers a channel takes."""
        left_out = [c for name, own in CARRIERS_OF.items() if name not in self.names for c in own]
        return CARRIERS_OF[name] + (tuple(left_out) if name == self.names[0] else ())

    def simulator(self, folder: Path) -> dict[str, Any]:
        """The settings of the carrier: who may log in, and where."""
        accounts: list[dict[str, Any]] = []
        for name in self.names:
            account: dict[str, Any] = {"account": ACCOUNTS[name], "secret": self.secret}
            if name == "sgip":
                account["listener"] = {
                    "port": self.ports["sgip_listener"],
                    "login": ACCOUNTS[name],
                    "password": self.secret,
                }
            accounts.append(account)
        return {
            "cmpp_port": None,
            **{f"{name}_port": self.ports[name] for name in self.names},
            "admin_port": self.ports["admin"],
            "accounts": accounts,
            "journal": str(folder / "simulator.journal"),
        }

    def settings(self, name: str) -> dict[str, Any]:
        """The settings of a channel."""
        common = {"host": HOST, "port": self.ports[name]}
        match name:
            case "sgip":
                return common | {
                    "login_name": ACCOUNTS[name],
                    "login_password": self.secret,
                    "node_number": 3_055_112_345,
                    "corp_id": "12345",
                    "access_number": "10655123",
                    "listen_host": HOST,
                    "listen_port": self.ports["sgip_listener"],
                }
            case "smgp":
                number = "106590001234"
            case _:
                number = "1065720001234"
        return common | {
            "account": ACCOUNTS[name],
            "secret": self.secret,
            "access_number": number,
        }


def open_simulated_channels(folder: Path, names: Sequence[str]) -> SimulatedChannels:
    """The simulated channels of a data folder; what it does not know yet is drawn and kept."""
    path = folder / "simulator.lanes.json"
    known = json.loads(path.read_text()) if path.exists() else {}
    ports: dict[str, int] = known.get("ports", {})
    for name in (*CARRIERS_OF, "sgip_listener", "admin"):
        while name not in ports:
            port = free_port()
            if port not in ports.values():
                ports[name] = port
    secret = known.get("secret") or secrets.token_hex(7)
    write_private(path, json.dumps({"ports": ports, "secret": secret}))
    return SimulatedChannels(tuple(name for name in CARRIERS_OF if name in names), ports, secret)


async def set_channels(
    conn: Connection,
    keyring: Keyring,
    simulated: SimulatedChannels,
    clock: Clock,
    *,
    tps: int | None,
    window: int,
    connections: int,
) -> None:
    """Make these channels, or bring them up to date; one that is left out is disabled."""
    known = {channel.name: channel for channel in await list_channels(conn, keyring)}
    for name, own in CARRIERS_OF.items():
        channel = known.get(name)
        if name not in simulated.names and channel is None:
            continue
        settings = ChannelSettings(
            name=name,
            kind=name,
            simulated=True,
            carriers=simulated.carriers(name) if name in simulated.names else own,
            operated_by=own[0],
            config=parse_settings(name, simulated.settings(name)),
            tps=tps,
            window=window,
            connections=connections,
            enabled=name in simulated.names,
        )
        if channel is None:
            await insert_channel(conn, keyring, settings, clock.now())
        else:
            values = {field: getattr(settings, field) for field in ChannelSettings.__slots__}
            await update_channel(conn, keyring, replace(channel, **values))
