"""A real channel takes filed texts alone; a simulated one asks for nothing unless it is told to."""

from tests.harness.channels import channel
from tests.harness.filings import file, real_channel
from tests.harness.lint_rules import GOOD, campaign_with
from tests.integration.api.conftest import Answer, Api

ADMIN, OPERATOR, APPROVER = ("county", "admin"), ("county", "operator"), ("county", "approver")


async def submit(api: Api, campaign: str) -> Answer:
    return await api.post(f"/campaigns/{campaign}/submit", OPERATOR)


async def test_a_real_channel_takes_what_is_filed_with_its_numbers(api: Api) -> None:
    real = await real_channel(api)
    campaign, template = await campaign_with(api, GOOD)
    for state, fields in ((None, {}), ("submitted", {}), ("filed", {"contacts": ["110"]})):
        if state:
            assert (await file(api, template, real, state, **fields)).status == 200
        refused = await submit(api, campaign)
        assert (refused.status, refused.json["type"]) == (409, "/problems/not_filed")
        assert "移动网关" in refused.json["detail"]
    lines = await file(api, template, real, "filed", contacts=["96110"], reference="M-1")
    assert [line["state"] for line in lines.json["items"]] == ["filed", "filed", "submitted"]
    assert lines.json == (await api.get(f"/templates/{template}/filings", OPERATOR)).json
    assert (await submit(api, campaign)).status == 200
    # The carrier takes it back before the second person has looked.
    await file(api, template, real, "withdrawn")
    approve = f"/campaigns/{campaign}/approve"
    assert (await api.post(approve, APPROVER, {})).json["type"].endswith("not_filed")
    await file(api, template, real, "filed", contacts=["96110"])
    assert (await api.post(approve, APPROVER, {})).status == 200


async def test_only_the_ways_that_a_plan_may_take_count(api: Api) -> None:
    await real_channel(api)
    simulated = await channel(api, "模拟", "china_mobile")
    campaign, template = await campaign_with(api, GOOD)
    assert (await submit(api, campaign)).status == 409
    await api.patch(f"/campaigns/{campaign}", OPERATOR, {"channels": [simulated]})
    assert (await submit(api, campaign)).status == 200
    await api.post(f"/campaigns/{campaign}/return", APPROVER, {"reason": "r"})
    asked = await api.call("PUT", f"/channels/{simulated}/filing", ADMIN, json={"required": True})
    assert asked.json == {"required": True}
    assert (await submit(api, campaign)).status == 409
    await file(api, template, simulated, "filed", contacts=["96110"])
    assert (await submit(api, campaign)).status == 200


async def test_a_channel_may_be_told_to_ask_for_nothing(api: Api) -> None:
    real = await real_channel(api)
    campaign, _ = await campaign_with(api, GOOD)
    path = f"/channels/{real}/filing"
    assert (await api.call("PUT", path, ADMIN, json={"required": None})).json == {"required": True}
    assert (await submit(api, campaign)).status == 409
    assert (await api.call("PUT", path, ADMIN, json={"required": False})).status == 200
    assert (await submit(api, campaign)).status == 200


async def test_an_edit_needs_a_filing_of_its_own(api: Api) -> None:
    real = await real_channel(api)
    campaign, template = await campaign_with(api, GOOD)
    await file(api, template, real, "filed", contacts=["96110"])
    await api.post(f"/templates/{template}/versions", OPERATOR, {"text": GOOD + "转告家人。"})
    assert (await submit(api, campaign)).status == 409
    old = await file(api, template, real, "filed", contacts=["96110"])
    assert old.json["type"].endswith("newer_version")
    assert (await file(api, template, 999, "filed", version=2)).status == 422
