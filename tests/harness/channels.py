"""Channels as an administrator sets them up over the API, simulated and real ones."""

from typing import Any

from tests.harness.keys import ADMIN, second_admin
from tests.harness.links import LINKS, account_of
from tests.integration.api.conftest import Api

SECRET = "s3cr3t-of-the-carrier"

CONFIG = {"host": "127.0.0.1", "account": "901234", "secret": SECRET, "access_number": "10690000"}

BODY: dict[str, Any] = {
    "name": "移动",
    "kind": "cmpp",
    "simulated": True,
    "carriers": ["china_mobile"],
    "config": CONFIG,
    "tps": 100,
}

SETTLED: dict[str, Any] = {
    "destinations": 20,
    "on_net_only": False,
    "rank": 7,
    "signature": "carrier_tail",
    "signature_counts": False,
    "receipts": "last",
    "send_validity": False,
    "daily_quota": 10_000,
    "monthly_quota": 200_000,
    "maintenance": [["23:30", "00:30"], ["12:00", "12:15"]],
}

CODE = {"kind": "cmpp", "applies_to": "receipt", "code": "MK:0099", "outcome": "expired"}

HTTP_BODY = '{"to": "{recipient}", "text": "{text}", "id": "{message_id}", "key": "{secret}"}'

_REAL: dict[str, Any] = {"secret": "s3cr3t-1", "host": "192.0.2.1"}
CONFIGS: dict[str, dict[str, Any]] = {
    **{kind: account_of(kind, **_REAL) for kind in LINKS},
    "sgip": account_of(
        "sgip",
        **_REAL,
        listen_port=8801,
        listen_password="s3cr3t-2",
        listen_addresses=["192.0.2.0/28"],
    ),
    "http": {
        "url": "https://sms.example.com/send",
        "body": HTTP_BODY,
        "secret": "s3cr3t-1",
        "headers": "Authorization: Bearer s3cr3t-3",
        "callback_secret": "s3cr3t-2",
    },
    "twilio": {"account_sid": "AC" + "0" * 32, "auth_token": "s3cr3t-1", "sender": "NOTICE"},
}


def body_of(kind: str, **more: Any) -> dict[str, Any]:
    return {
        "name": kind,
        "kind": kind,
        "simulated": False,
        "carriers": ["china_mobile"],
        "config": CONFIGS[kind],
        **more,
    }


async def waiting(api: Api, kind: str, **more: Any) -> dict[str, Any]:
    """A channel that one administrator has set up."""
    answer = await api.post("/channels", ADMIN, body_of(kind, **more))
    assert answer.status == 201, answer.body
    found: dict[str, Any] = answer.json
    return found


async def real(api: Api, kind: str, **more: Any) -> int:
    """A channel that works, with two persons if it is real."""
    number: int = (await waiting(api, kind, **more))["id"]
    await confirmed(api, number)
    return number


async def confirmed(api: Api, channel: int) -> None:
    """Let a new real channel begin, as the second person."""
    for item in (await api.get(f"/channels/{channel}/changes", ADMIN)).json["items"]:
        path = f"/channels/{channel}/changes/{item['id']}/confirm"
        done = await api.post(path, await second_admin(api))
        assert done.status == 200, done.body


def secrets(kind: str) -> dict[str, Any]:
    """All secrets of a channel, as they are entered anew."""
    return {n: f"{v}-new" for n, v in CONFIGS[kind].items() if str(v).find("s3cr3t") >= 0}


async def channel(api: Api, name: str, *carriers: str, **columns: Any) -> int:
    """A simulated channel; `columns` as the table has them."""
    body = {**BODY, "name": name, "carriers": list(carriers)}
    made = await api.post("/channels", ADMIN, body)
    assert made.status == 201, made.body
    for column, value in columns.items():
        await api.runtime.pool.execute(
            f"UPDATE channels SET {column} = $2 WHERE id = $1", made.json["id"], value
        )
    number: int = made.json["id"]
    return number
