"""Filings of texts, and a channel that wants them."""

from typing import Any

from tests.harness.channels import BODY as CHANNEL
from tests.harness.channels import confirmed
from tests.integration.api.conftest import Answer, Api

ADMIN = ("county", "admin")


async def real_channel(api: Api) -> int:
    """One that two persons set up, and that takes filed texts alone."""
    body = {**CHANNEL, "name": "移动网关", "simulated": False}
    made = await api.post("/channels", ADMIN, body)
    assert made.status == 201, made.body
    number: int = made.json["id"]
    await confirmed(api, number)
    return number


async def file(api: Api, template: str, channel_id: int, state: str, **fields: Any) -> Answer:
    """How the first version of a text stands with a channel, as its operator writes it down."""
    body = {"channel_id": channel_id, "version": 1, "state": state, **fields}
    return await api.call("PUT", f"/templates/{template}/filings", ADMIN, json=body)
