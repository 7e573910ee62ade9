"""The caps over HTTP: shown to everybody, changed by the county's administrator, with a record."""

from typing import Any

import pytest

from tests.integration.api.conftest import Api

PUBLICITY = {
    "class": "public_interest",
    "per_day": 1,
    "per_week": 3,
    "per_month": None,
    "same_text": True,
    "reason": "the week of the campaign",
}


async def test_the_county_changes_the_caps_and_the_record_stays(api: Api) -> None:
    shown = (await api.get("/caps", ("school", "viewer"))).json["items"]
    assert [
        (c["class"], c["per_day"], c["per_week"], c["per_month"], c["same_text"], c["set_by"])
        for c in shown
    ] == [("service", 5, None, None, True, None), ("public_interest", 1, 2, 6, False, None)]
    changed = await api.call("PUT", "/caps", ("county", "admin"), json=PUBLICITY)
    assert changed.status == 200
    assert changed.json["set_by"] == str(api.teams["county"].admin.id)
    shown = (await api.get("/caps", ("school", "viewer"))).json["items"]
    assert shown[0] == changed.json
    assert {k: v for k, v in shown[0].items() if k in PUBLICITY} == PUBLICITY
    record = (await api.get("/caps?history=true", ("county", "viewer"))).json["items"]
    assert [(c["class"], c["per_week"]) for c in record] == [
        ("public_interest", 3),
        ("service", None),
        ("public_interest", 2),
    ]


@pytest.mark.parametrize(
    ("who", "change", "status"),
    [
        (("school", "admin"), {}, 403),
        (("county", "operator"), {}, 403),
        (("county", "admin"), {"class": "warning"}, 422),
        (("county", "admin"), {"per_day": 4}, 422),  # more than a week's
        (("county", "admin"), {"per_day": 0}, 422),
        (("county", "admin"), {"per_month": 17}, 422),
        (("county", "admin"), {"reason": " "}, 422),
    ],
)
async def test_nobody_else_and_nothing_absurd(
    api: Api, who: tuple[str, str], change: dict[str, Any], status: int
) -> None:
    refused = await api.call("PUT", "/caps", who, json=PUBLICITY | change)
    assert refused.status == status
    record = (await api.get("/caps?history=true", ("county", "viewer"))).json["items"]
    assert len(record) == 2
