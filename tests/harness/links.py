"""The kinds of gateways that keep a link, for tests that hold for each of them.

The registry says which there are. A kind whose account has other settings than most has a function
here.
"""

from collections.abc import Callable
from typing import Any

from service.channels.contract.registry import load
from service.protocols.stream import StreamGateway
from tests.harness.simulated import ACCOUNT, SECRET

NUMBER = "106900001234"

GATEWAYS = {kind: found for kind, found in load().items() if issubclass(found, StreamGateway)}
LINKS = tuple(sorted(GATEWAYS))


def _with_setting(name: str) -> tuple[str, ...]:
    return tuple(kind for kind in LINKS if name in load()[kind].config_model.model_fields)


BEATING = _with_setting("heartbeat_seconds")
"""Those with heartbeats, whose receipts come over the link that submits. In SGIP the carrier dials
us for them."""

VERIFYING = _with_setting("verify_gateway")
"""Those whose gateway must show at the login that it knows the secret."""


def _usual(account: str, secret: str, number: str) -> dict[str, Any]:
    return {"account": account, "secret": secret, "access_number": number}


def _sgip(account: str, secret: str, number: str) -> dict[str, Any]:
    return {
        "login_name": account,
        "login_password": secret,
        "access_number": number,
        "node_number": 3_055_112_345,
        "corp_id": "12345",
    }


def _smpp(account: str, secret: str, number: str) -> dict[str, Any]:
    return {"system_id": account, "password": secret, "sender": number}


_OWN: dict[str, Callable[[str, str, str], dict[str, Any]]] = {"sgip": _sgip, "smpp": _smpp}


def account_of(
    kind: str, *, secret: str = SECRET, number: str = NUMBER, **more: Any
) -> dict[str, Any]:
    """The settings of the simulated carrier's account, without where it is; more: others."""
    return _OWN.get(kind, _usual)(ACCOUNT, secret, number) | more
