"""The county's rules of lint over the API, and a campaign whose text they are about."""

from typing import Any

from tests.integration.api.conftest import Answer, Api

ADMIN, OPERATOR = ("county", "admin"), ("county", "operator")
GOOD = "【旌德县反诈中心】刷单都是骗局，不垫资、不转账，疑问拨96110。"
RULES = "/lint/rules"


async def put_rules(api: Api, who: tuple[str, str] = ADMIN, **changes: Any) -> Answer:
    """Ask for other rules, for which a second person may be needed."""
    return await api.call("PUT", RULES, who, json={"reason": "试行", **changes})


async def confirm(api: Api, who: Any, shown: Answer, path: str = RULES) -> Answer:
    """Confirm what an answer says to wait."""
    return await api.post(f"{path}/proposals/{shown.json['waiting']['id']}/confirm", who)


async def campaign_with(api: Api, text: str, who: str = "county") -> tuple[str, str]:
    """A campaign of a department with a text; its id and the template's."""
    operator = (who, "operator")
    body = {"name": text[-9:], "class": "public_interest", "text": text}
    template = (await api.post("/templates", operator, body)).json["id"]
    segment = (await api.post("/segments", operator, {"name": "s", "rule": "性别 = 女"})).json["id"]
    plan = {"name": "n", "template_id": template, "segment_id": segment}
    return (await api.post("/campaigns", operator, plan)).json["id"], template


async def rules_of(api: Api, text: str, who: tuple[str, str] = OPERATOR) -> dict[str, str]:
    """Which rules find something in a text, and how much it matters."""
    found = (await api.post("/templates/lint", who, {"text": text})).json["lint"]
    return {finding["rule"]: finding["level"] for finding in found}
