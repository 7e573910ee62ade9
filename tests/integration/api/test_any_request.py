"""Whatever Schemathesis makes up from the document, the answer is one that the document names.

Before that, each operation is asked for once as it usually is, and must be carried out.
TOCSIN_API_CASES makes it longer (`make contract`), and then it says how far it has come; another
TOCSIN_API_SEED makes up other requests.
"""

import asyncio
import itertools
import os
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from service.api.routes import OPS
from service.audience.areas.area_store import load_areas
from service.dispatch.expansion.expand import expand_run
from service.reports.coverage.counting import count_coverage
from service.runtime import Runtime
from service.settings import Settings
from service.storage.postgres import transaction
from tests.harness.asker import AnyCase, AnyOperation, Asker, Known, Tally, World
from tests.harness.campaigns import weekly_campaign
from tests.harness.channels import BODY as CHANNEL
from tests.harness.chats import prepare_groups, prepare_relays
from tests.harness.followed import prepare_followups, say_new_number
from tests.harness.group_robots import prepare_robots
from tests.harness.keys import second_admin
from tests.harness.list_files import prepare_lists
from tests.harness.owed import prepare_duties, prepare_pack
from tests.harness.photos import prepare_photos
from tests.harness.posts import prepare_posts
from tests.harness.prepared import (
    Persons,
    hold_deletions,
    load_prefixes,
    prepare_campaigns,
    prepare_legs,
    prepare_offers,
    prepare_others,
    prepare_proposals,
    prepare_rollouts,
    prepare_wordings,
    propose_rules,
)
from tests.harness.things import make_things
from tests.harness.visit_rounds import prepare_rounds
from tests.harness.words import COUNTY, usual_bodies
from tests.integration.api.conftest import Api

BUDGET = 330
CASES = int(os.environ.get("TOCSIN_API_CASES", BUDGET))
SEED = int(os.environ.get("TOCSIN_API_SEED", "0"))
ROUNDS = 1 if CASES <= BUDGET else 2
STEPS = 20
LINKED = 0.4
"""The share of cases that follow links."""

NOT_DONE = {
    "POST /api/v1/callbacks/{channel}": "a gateway signs it; see test_callbacks",
}
QUIET: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "suppress_health_check": list(HealthCheck),
    "phases": [Phase.generate],
}


@pytest.fixture
def runtime_settings(runtime_settings: Settings) -> Settings:
    """As ever, and users can be linked to persons of a provider, which nobody asks for anything."""
    update = {
        "console_url": "https://tocsin.example.gov.cn",
        "sign_in_issuer": "https://id.example.gov.cn",
        "sign_in_client_id": "tocsin",
    }
    return runtime_settings.model_copy(update=update)


@pytest.fixture
async def runtime(runtime: Runtime) -> Runtime:
    """As ever, but nobody asks too often."""
    wide = {"key_requests": 10**8, "department_requests": 10**8}
    return replace(runtime, settings=runtime.settings.model_copy(update=wide))


async def _known(api: Api, proposer: str, bodies: dict[str, Any]) -> Known:
    """Several of each kind, by the parameter of an address, with the others of the same address."""
    campaign, runs = await weekly_campaign(api, weeks=2)
    api.clock.at += timedelta(hours=2)  # into the hours of service texts
    known: Known = {}
    for department in ("school", "county"):
        made = await make_things(api, department)
        for name, value in made.items():
            known.setdefault(name, []).append({name: value})
    known["no"] = [{"run_id": made["run_id"], "no": made["no"]}]
    known["no of unmask_message"] = known["no"][:]
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        await conn.execute("UPDATE imports SET state = 'done'")
        await conn.execute(
            "UPDATE messages SET state = 'undelivered', final_at = $2 WHERE run_id = ANY ($1)",
            runs,
            api.clock.at,
        )
        await conn.execute("UPDATE runs SET state = 'sent' WHERE id = ANY ($1)", runs)
    while await count_coverage(api.runtime.pool, api.clock):
        pass
    admin = ("county", "admin")
    channel = await api.post("/channels", admin, CHANNEL)
    known["channel_id"] = [{"channel_id": str(channel.json["id"])}]
    town = {"parent": COUNTY, "name": "新镇", "code": "341825199000"}
    await api.post("/areas", admin, town)
    known["code"] = [{"code": town["code"]}]
    members = {"members": [{"phone": "19790000001"}]}
    await api.call("PUT", "/rosters/名单/members", admin, json=members)
    known["name"] = [{"name": "名单"}]
    # Not on a list whose people own groups or have posts: they would leave it.
    for act in ("set_members", "confirm_roster"):
        known[f"name of {act}"] = [{"name": "名单"}]
    for op in OPS:
        for name in op.parameters if op.method == "DELETE" else ():
            known[f"{name} of {op.name}"] = [known[name].pop(0)]  # the school's
    known |= await prepare_campaigns(api) | await prepare_proposals(api, proposer)
    known |= await prepare_others(api) | await prepare_offers(api) | await prepare_wordings(api)
    known |= await prepare_rollouts(api)
    known |= await prepare_legs(api) | await prepare_followups(api, runs[0], bodies)
    known |= await prepare_rounds(api)
    known |= await prepare_duties(api, bodies)
    await prepare_pack(api)
    known |= await prepare_groups(api, bodies)
    known |= await prepare_posts(api, bodies)
    known |= await prepare_photos(api)
    known |= await prepare_robots(api)
    known |= await prepare_relays(api, bodies)
    lists, api.tokens["carrier", "operator"] = await prepare_lists(api)
    known |= lists
    hook = {"url": "https://sms.example.gov.cn/tocsin", "events": ["run.finished"]}
    made = (await api.post("/webhooks", admin, hook)).json
    known["webhook_id of replay"] = [{"webhook_id": made["id"]}]
    known["import_id of undo_import"] = known["import_id"][:]
    known["campaign_id of top_up"] = [{"campaign_id": str(campaign)}]
    known["run_id of resend_missed"] = [{"run_id": str(runs[1])}] * 3
    known["run_id of correct_run"] = [{"run_id": str(runs[0])}] * 3
    known["template_id of correct_run"] = known["template_id"][:1]  # the school's, as its runs are
    for name in ("user_id", "key_id", "department_id", "milestone_id", "proposal_id", "grant_id"):
        known.pop(name)  # those who ask, and what is not there: others come to be known
    return known


async def _expand(api: Api) -> None:
    """What the worker does."""
    waiting = "SELECT id FROM runs WHERE state = 'expanding'"
    for row in await api.runtime.pool.fetch(waiting):
        await expand_run(api.runtime.pool, row["id"], api.clock.at)


async def _world(api: Api) -> World:
    """The departments with their things, and who may ask for them."""
    loop = asyncio.get_running_loop()
    admin = ("county", "admin")
    bodies = usual_bodies()
    asked = {"department_id": str(api.teams["school"].department_id)}
    bodies["preview_legs"] = {"legs": [asked]}
    hours = (await api.get("/send-hours", admin)).json
    bodies["set_send_hours"] = {
        **{name: hours[name] for name in ("classes", "audiences")},
        "reason": "r",
    }
    bodies["take_leg"] = {"max_tps": 200}  # nobody there lives in the example's town
    bodies["give_counts"] = {**bodies["give_counts"], "delivered": 1, "undelivered": 0}
    shown = (await api.get("/lint/rules", admin)).json
    rules = {name: shown[name] for name in ("hotlines", "protected_names", "link_hosts")}
    rules["levels"] = {rule["rule"]: rule["level"] for rule in shown["rules"]}
    rules["reason"] = "r"
    proposer = await second_admin(api)
    known = await _known(api, proposer, bodies)
    persons = Persons(api, bodies)
    await persons.make()
    admins = [api.tokens[admin], await second_admin(api)]
    others = [api.tokens["county", role] for role in ("operator", "approver", "viewer")]
    others += [api.tokens["school", role] for role in ("admin", "operator")]
    others.append(api.tokens["carrier", "operator"])
    who = "SELECT id FROM users UNION ALL SELECT id FROM keys UNION ALL SELECT id FROM departments"
    unfiled = partial(api.runtime.pool.execute, "UPDATE channels SET requires_filing = false")
    set_rules = partial(api.call, "PUT", "/lint/rules", admin, json=rules)
    return World(
        people=[*admins * 4, *others],
        admins=admins,
        person=persons.make,
        asks={
            **dict.fromkeys(
                ("draw_list", "fetch_archive", "read_results_file", "give_counts"), persons.carrier
            ),
            "confirm_totp": persons.with_new_authenticator,
            "set_own_phone": persons.with_new_phone,
            "prove_own_phone": persons.with_sent_code,
            "prove_own_mail": persons.with_mailed_code,
            "test_campaign": persons.with_own_phone,
            "set_notices": persons.with_own_phone,
        },
        known=known,
        bodies=bodies,
        spared=frozenset(str(row["id"]) for row in await api.runtime.pool.fetch(who)),
        before={
            "lift_stop": partial(api.post, "/stop-all", admin, {"reason": "r"}),
            "confirm_rules": partial(propose_rules, api, proposer, known),
            "agree_to_retention": partial(hold_deletions, api, bodies),
            "confirm_number_correction": partial(say_new_number, api, known),
            "delete_prefixes": partial(load_prefixes, api),
        },
        after={
            "stop_all": partial(api.post, "/stop-all/lift", admin, {"reason": "r"}),
            "set_rules": set_rules,
            "confirm_rules": set_rules,
            "top_up": partial(_expand, api),
            "resend_missed": partial(_expand, api),
            "create_channel": unfiled,
            "set_filing_required": unfiled,
        },
        wait=lambda work: asyncio.run_coroutine_threadsafe(work, loop).result(),
    )


def _ask_all(asker: Asker, document: dict[str, Any]) -> None:
    """Each operation as it usually is asked for, and all are carried out; then each by itself, with
    what is right and what is wrong; then along the links.
    """
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.with_security_parameters = False
    operations = [found.ok() for found in schema.get_all_operations() if isinstance(found, Ok)]
    for operation in operations:
        asker.ask_usual(operation)
    each = max(1, round(CASES * (1 - LINKED) / len(operations) / 2 / ROUNDS))
    for number in range(ROUNDS):  # in the second, they meet what those after them have made
        for place, operation in enumerate(operations):
            modes = [GenerationMode.POSITIVE] if CASES > BUDGET else []
            if _may_be_wrong(operation) and (CASES > BUDGET or (place + SEED) % 3 == 0):
                modes.append(GenerationMode.NEGATIVE)
            for mode in modes:
                _ask(asker, operation.as_strategy(generation_mode=mode), each, number)
    machine = asker.machine(schema.as_state_machine())
    for number in itertools.count():
        if asker.tally.cases >= CASES:
            return
        rounds = min(8, 1 + (CASES - asker.tally.cases) // STEPS)
        with suppress(Flaky):  # the same request again meets another state of things: no wonder
            seed(SEED + number)(machine).run(
                settings=settings(max_examples=rounds, stateful_step_count=STEPS, **QUIET)
            )


def _ask(asker: Asker, cases: SearchStrategy[AnyCase], most: int, number: int) -> None:
    @seed(SEED + number)
    @settings(max_examples=most, **QUIET)
    @given(case=cases)
    def ask(case: AnyCase) -> None:
        asker.ask(case)

    with suppress(Unsatisfiable):  # a bare name in an address, say, is never wrong
        ask()


def _may_be_wrong(operation: AnyOperation) -> bool:
    """Whether it takes anything but headers, whose every text is right."""
    raw = operation.definition.raw
    return "requestBody" in raw or any(given["in"] != "header" for given in raw["parameters"])


def _report(tally: Tally, labels: set[str]) -> str:
    done = tally.done()
    lines = [f"{tally.cases:,} cases, {dict(tally.modes)}"]
    lines += [f"{len(done)} of {len(labels)} operations carried out"]
    for (label, what), more in sorted(tally.findings.items()):
        lines += [f"wrong: {label}: {what}\n{more}"]
    for label, told in sorted(tally.refused.items()):
        lines += [f"not carried out: {label}: {told}"]
    return "\n".join(lines)


@pytest.mark.slow
async def test_any_request_gets_an_answer_that_is_documented(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    document = (await api.get("/openapi.json", None)).json
    url = str(api.client.make_url("")).rstrip("/")
    asker = Asker(url, await _world(api), SEED)
    await asyncio.to_thread(_ask_all, asker, document)
    labels = {f"{m.upper()} {p}" for p, item in document["paths"].items() for m in item}
    told = _report(asker.tally, labels)
    assert not asker.tally.findings, told
    if CASES > BUDGET:
        with capsys.disabled():
            print(f"\n{told}")
    hint = "what an operation needs is prepared in tests/harness/prepared.py"
    assert asker.tally.refused.keys() == NOT_DONE.keys(), f"{hint}\n{told}"
