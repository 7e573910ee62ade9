"""A county's office over the API: its people, its texts, and its campaigns, planned as two persons.

What becomes of a text to each of its people is known from their numbers.
"""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from service.simulator.carrier.config import Profile
from service.simulator.carrier.outcomes import fates
from tests.integration.api.conftest import Api

ADMIN, OPERATOR, APPROVER = (("county", role) for role in ("admin", "operator", "approver"))
CARRIERS = ("china_mobile", "china_telecom", "china_unicom")
FIRST = dict(zip(CARRIERS, (19790000000, 19080330000, 19685120000), strict=True))
PROFILE: Profile = "stale"
DELIVERED = {
    "china_mobile": (2, 3, 5, 6, 8, 9, 10, 11, 12, 13, 16, 17, 20, 21, 22),
    "china_telecom": (0, 1, 2, 4, 6, 7, 8, 9, 13, 15, 16, 17),
    "china_unicom": (0, 1, 2, 4, 5),
}
OTHERS = {
    "china_mobile": {
        1: "empty_number",
        7: "suspended",
        24: "memory_full",
        101: "no_receipt",
        240: "ported",
    },
    "china_telecom": {12: "suspended", 23: "powered_off"},
    "china_unicom": {54: "blacklisted"},
}
"""People by the last digits of their numbers: what becomes of a text to them."""
RETURNEES = {"china_mobile": (2, 3, 5), "china_telecom": (0, 1), "china_unicom": (0,)}
TEXTS = json.loads((Path(__file__).parents[1] / "data" / "source-plan-texts.json").read_text())
"""The texts of each campaign in their order, with their topics."""


def phone(carrier: str, person: int) -> str:
    return f"{FIRST[carrier] + person}"


def people_of_the_county() -> Iterator[dict[str, Any]]:
    for carrier in CARRIERS:
        judge = fates(PROFILE, 341825, carrier)
        for person in (*DELIVERED[carrier], *OTHERS[carrier]):
            wanted = OTHERS[carrier].get(person, "delivered")
            assert judge(f"+86{phone(carrier, person)}").fate == wanted
            roles = ["returnee"] if person in RETURNEES[carrier] else ["villager"]
            yield {"phone": phone(carrier, person), "roles": roles}


class Plan:
    """The county's office: what it asks of the API, as two persons."""

    def __init__(self, api: Api) -> None:
        self.api = api

    async def post(self, path: str, body: Any, who: tuple[str, str] = OPERATOR) -> Any:
        answer = await self.api.post(path, who, body)
        assert answer.status < 300, (path, answer.body)
        return answer.json

    async def get(self, path: str) -> Any:
        answer = await self.api.get(path, OPERATOR)
        assert answer.status == 200, (path, answer.body)
        return answer.json

    async def people(self) -> None:
        body = {
            "members": list(people_of_the_county()),
            "basis": "duty",
            "expires_on": "2027-12-31",
        }
        answer = await self.api.call("PUT", "/rosters/全县群众/members", OPERATOR, json=body)
        assert answer.status == 200, answer.body
        assert (answer.json["added"], answer.json["rejected"]) == (40, {}), answer.json

    async def campaign(self, name: str, rule: str, **more: Any) -> str:
        """Plan it as one person; approve it as another."""
        templates = []
        for no, text in enumerate(TEXTS[name], start=1):
            body = {"name": f"{name} {no}", "class": "public_interest", **text}
            templates.append((await self.post("/templates", body))["id"])
        segment = await self.post("/segments", {"name": name, "rule": rule})
        body = {
            "name": name,
            "template_id": templates[0],
            "more_texts": [{"template_id": one} for one in templates[1:]],
            "segment_id": segment["id"],
            "channels": "auto",
        }
        made = await self.post("/campaigns", body | more)
        path = f"/campaigns/{made['id']}"
        submitted = await self.post(f"{path}/submit", {})
        to_read = {f["rule"] for f in submitted.get("lint", []) if f["level"] == "review"}
        own = await self.api.post(f"{path}/approve", OPERATOR, {})
        assert own.status == 403, "nobody approves what is their own"
        await self.post(f"{path}/approve", {"acknowledged": sorted(to_read)}, APPROVER)
        return str(made["id"])

    async def fires(self, campaign: str) -> list[tuple[datetime, int]]:
        """When it fired, and with which text."""
        runs = (await self.get(f"/campaigns/{campaign}/runs?limit=100"))["items"]
        return [(datetime.fromisoformat(run["fire_at"]), run["text_no"]) for run in reversed(runs)]
