"""Direct texts of the school over the API, and templates for them."""

from typing import Any

from tests.integration.api.conftest import Answer, Api

OPERATOR = ("school", "operator")
WORDS = "【旌德县教体局】家长会改在周五下午三点，地点不变。"
GREETING = "【旌德县教体局】{姓名}您好，家长会改在周五下午三点。"


async def template(api: Api, text: str = WORDS, **fields: Any) -> str:
    """A template, approved unless it is for warnings."""
    body = {"name": f"t{id(fields)}", "class": "service", "text": text, **fields}
    made = await api.post("/templates", OPERATOR, body)
    assert made.status == 201, made.body
    if fields.get("class") == "warning":
        return str(made.json["id"])
    approve = f"/templates/{made.json['id']}/approve"
    approved = await api.post(approve, ("school", "approver"), {"version": 1})
    assert approved.status == 200, approved.body
    return str(made.json["id"])


async def send(api: Api, to: list[Any], **fields: Any) -> Answer:
    """Send a text of the school's to numbers, from a template unless `fields` say otherwise."""
    fields = fields or {"template_id": await template(api)}
    return await api.post("/messages", OPERATOR, {"to": to, **fields})
