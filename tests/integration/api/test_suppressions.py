"""What a suppression stops, over HTTP: its classes, and who is left out of which preview."""

from typing import Any

import pytest

from service.audience.suppression import add_suppressions
from service.storage.postgres import transaction
from tests.factories import make_contact, phone
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
OPERATOR = ("school", "operator")
ALL = ["public_interest", "service", "warning"]
REFUSABLE = ALL[:2]


async def suppress(api: Api, **body: Any) -> list[str]:
    answer = await api.post("/suppressions", OPERATOR, {"phone": phone(1), **body})
    assert answer.status == 201, answer.body
    classes: list[str] = answer.json["items"][0]["classes"]
    return classes


@pytest.mark.parametrize(
    ("reason", "classes"),
    [("opted_out", REFUSABLE), ("protected", ALL), ("dead_number", ALL), ("complaint", ALL)],
)
async def test_what_a_reason_stops_where_nobody_says_otherwise(
    api: Api, reason: str, classes: list[str]
) -> None:
    assert await suppress(api, reason=reason) == classes
    found = (await api.get(f"/suppressions?phone={phone(1)[3:]}", ADMIN)).json["items"]
    assert [item["classes"] for item in found] == [classes]
    async with transaction(api.runtime.pool) as conn:
        keyring, now = api.runtime.keyring, api.clock.at
        added = await add_suppressions(
            conn, keyring, [phone(2)], reason=reason, user_id=None, now=now
        )
    assert added == 1
    stored = await api.runtime.pool.fetchval(
        "SELECT classes FROM suppressions WHERE phone_hash = $1", keyring.phone_index(phone(2))
    )
    assert stored == classes


async def test_classes_can_be_chosen_and_are_added_to_those_that_hold(api: Api) -> None:
    assert await suppress(api, classes=["service", "service"]) == ["service"]
    assert await suppress(api, classes=["public_interest"]) == REFUSABLE
    assert await suppress(api, reason="complaint", classes=["warning"]) == ["warning"]


async def test_what_has_passed_is_not_added_to(api: Api) -> None:
    await suppress(api, classes=["service"])
    await api.runtime.pool.execute("UPDATE suppressions SET expires_at = $1", api.clock.at)
    assert await suppress(api, classes=["public_interest"]) == ["public_interest"]


@pytest.mark.parametrize(
    "body",
    [
        {"classes": []},
        {"classes": ["all"]},
        {"classes": "service"},
        {"classes": ["public_interest", "warning"]},
        {"reason": "opted_out", "classes": ["warning"]},
    ],
)
async def test_wrong_classes_are_refused_and_leave_nothing(api: Api, body: dict[str, Any]) -> None:
    answer = await api.post("/suppressions", OPERATOR, {"phone": phone(1), **body})
    assert answer.status == 422, answer.body
    assert not await api.runtime.pool.fetchval("SELECT EXISTS (SELECT FROM suppressions)")


async def test_a_preview_leaves_out_whom_its_class_leaves_out(api: Api) -> None:
    """A rule alone is counted as publicity, a campaign by the class of its text."""
    department = api.teams["school"].department_id
    async with transaction(api.runtime.pool) as conn:
        for n in range(3):
            await make_contact(conn, api.runtime.keyring, department, n, now=api.clock.at)
    await suppress(api)
    rule = {"rule": "carrier in (mobile, unicom, telecom, broadnet)"}
    alone = (await api.post("/segments/preview", OPERATOR, rule)).json
    assert (alone["target"], alone["excluded"]) == (2, {"opted_out": 1})
    segment = await api.post("/segments", OPERATOR, {"name": "s", **rule})
    found = {}
    for message_class in ALL:
        template = await api.post(
            "/templates",
            OPERATOR,
            {"name": message_class, "class": message_class, "text": "【旌德中学】明日停课。"},
        )
        campaign = await api.post(
            "/campaigns",
            OPERATOR,
            {
                "name": message_class,
                "template_id": template.json["id"],
                "segment_id": segment.json["id"],
                "schedule": {"kind": "now"},
            },
        )
        preview = await api.get(f"/campaigns/{campaign.json['id']}/preview", OPERATOR)
        found[message_class] = preview.json["target"], len(preview.json["sample"])
        submitted = await api.post(f"/campaigns/{campaign.json['id']}/submit", OPERATOR, {})
        assert submitted.json["baseline"] == found[message_class][0], submitted.body
    assert found == {"public_interest": (2, 2), "service": (2, 2), "warning": (3, 3)}
