"""A carrier's base of two thousand on the channels that `tocsin up` makes, over TCP.

Everybody gets the text or has a reason, and nobody's number reaches another network's gateway.
"""

import csv
import io
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import FormData

from service.local.simulated_channels import CARRIERS_OF, open_simulated_channels, set_channels
from service.runtime import Runtime
from service.simulator.carrier.config import SimulatorConfig
from service.simulator.run import running
from service.storage.postgres import transaction
from tests.factories import make_team, make_token
from tests.harness.clocks import MovedClock
from tests.harness.county import CALM, County, working
from tests.harness.waiting import until
from tests.integration.api.conftest import Api

TEXT = "【旌德县反诈中心】先做小任务返小钱、再让垫付大单的，都是刷单诈骗。拿不准拨96110。"
PEOPLE = [f"{19790000001 + number}" for number in range(2_000)]
PORTED, REFUSES = PEOPLE[:40], PEOPLE[40:45]
BROADNET = PORTED[:20]
"""Of those who are ported away, who went to the carrier that shares the channel."""


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")  # arq's own
async def test_everybody_of_a_base_is_reached_or_named(
    api: Api, runtime: Runtime, clock: MovedClock, tmp_path: Path
) -> None:
    channels = open_simulated_channels(tmp_path, tuple(CARRIERS_OF))
    calm = {"max_delay_seconds": 0.02, "profile": "roster", "faults": CALM}
    config = SimulatorConfig.model_validate(channels.simulator(tmp_path) | calm)
    async with transaction(runtime.pool) as conn:
        await set_channels(
            conn, runtime.keyring, channels, runtime.clock, tps=500, window=32, connections=1
        )
        team = await make_team(conn, now=clock.now(), kind="carrier")
        operator, approver = [
            await make_token(conn, runtime.keyring, user, clock.now())
            for user in (team.operator, team.approver)
        ]
    async with running(config), working(runtime):
        campaign = await _planned(api, operator)
        told = (await api.get(f"/campaigns/{campaign}/preview", operator)).json
        assert told["target"] == 1_955
        assert told["excluded"] == {"no_route": 40, "opted_out": 5}
        assert told["estimate"]["in_time"] is True
        assert [(e["channel"], e["messages"]) for e in told["estimate"]["lanes"]] == [
            ("cmpp", 1_955)
        ]
        await _ok(api, f"/campaigns/{campaign}/approve", approver, {})
        county = County(runtime, clock, {})
        assert await county.tick() == 1
        await county.drain()

        async def settled() -> bool:
            await county.drain()
            clock.move(clock.now() + timedelta(hours=1))  # what is tried again leaves by then
            return not await runtime.pool.fetchval(
                "SELECT EXISTS (SELECT FROM messages WHERE state IN ('queued', 'submitting'))"
            )

        await until(settled, 60.0)
    (run,) = (await api.get(f"/campaigns/{campaign}/runs", operator)).json["items"]
    report = (await api.get(f"/runs/{run['id']}/report", operator)).json
    assert report["target"] == told["target"] == sum(report["states"].values())
    assert report["excluded"] == told["excluded"]
    assert set(report["by_carrier"]) == {"china_mobile"}
    assert config.journal is not None
    _check_written(config.journal, report)


async def _planned(api: Api, operator: str) -> str:
    """The base, who of it is ported or refuses, and a campaign to all of it, submitted."""
    body = {
        "members": [{"phone": phone, "roles": ["resident"]} for phone in PEOPLE],
        "basis": "duty",
        "expires_on": "2027-12-31",
    }
    answer = await api.call("PUT", "/rosters/用户/members", operator, json=body)
    assert (answer.status, answer.json["added"]) == (200, 2_000), answer.body
    known = io.StringIO()
    rows = csv.writer(known)
    rows.writerow(["手机号", "运营商"])
    rows.writerows([phone, "广电" if phone in BROADNET else "联通"] for phone in PORTED)
    form = FormData()
    form.add_field("file", known.getvalue().encode(), filename="ported.csv")
    path = "/routes/overrides/imports"
    answer = await api.call("POST", path, ("county", "admin"), data=form)
    assert (answer.status, answer.json.get("taken")) == (200, 40), answer.body
    await _ok(api, "/suppressions", operator, {"phones": REFUSES, "reason": "opted_out"})
    template = await _ok(
        api, "/templates", operator, {"name": "刷单", "class": "public_interest", "text": TEXT}
    )
    everybody = {"name": "全部用户", "rule": "carrier in (mobile, unicom, telecom, broadnet)"}
    segment = await _ok(api, "/segments", operator, everybody)
    body = {"name": "刷单", "template_id": template["id"], "segment_id": segment["id"]}
    campaign = (await _ok(api, "/campaigns", operator, body))["id"]
    await _ok(api, f"/campaigns/{campaign}/submit", operator, {})
    return str(campaign)


async def _ok(api: Api, path: str, who: str, body: Any) -> Any:
    answer = await api.post(path, who, body)
    assert answer.status < 300, (path, answer.body)
    return answer.json


def _check_written(journal: Path, report: Any) -> None:
    """What the carrier has written down: nobody but the subscribers, over their own gateway."""
    entries = [json.loads(line) for line in journal.read_text().splitlines()]
    taken = Counter(e["phone"] for e in entries if e["event"] == "submit")
    assert set(taken) <= {f"+86{phone}" for phone in PEOPLE} - {
        f"+86{phone}" for phone in (*PORTED, *REFUSES)
    }
    assert report["reached"] == report["states"]["delivered"] > 1_700
    assert len(taken) >= report["reached"]
