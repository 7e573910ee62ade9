"""Whatever Schemathesis makes up from the document, the answer is one that the document names.

TOCSIN_API_CASES makes it longer (`make contract`), and then it says how far it has come; another
TOCSIN_API_SEED makes up other requests.
"""

import asyncio
import itertools
import os
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky, Unsatisfiable
from hypothesis.strategies import SearchStrategy
from schemathesis import APIOperation, Case, GenerationMode

from service.accounts import session_store
from service.accounts.credentials import code_at, hash_password, new_secret, step_of
from service.accounts.keys import new_token, token_hash
from service.accounts.login import PREFIX, SECRET
from service.api.routes import OPS
from service.audience.area_store import load_areas
from service.campaigns import approval
from service.dispatch.expand import expand_run
from service.runtime import Runtime
from service.storage.postgres import transaction
from tests.factories import make_draft, make_scheduled, make_user
from tests.harness.asker import Asker, Tally, World
from tests.harness.things import make_things
from tests.harness.words import COUNTY, PASSWORD, usual_bodies
from tests.integration.api.conftest import Api
from tests.integration.api.test_campaign_report import sent
from tests.integration.api.test_channels import BODY as CHANNEL
from tests.integration.api.test_keys import second_admin

BUDGET = 300
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
async def runtime(runtime: Runtime) -> Runtime:
    """As ever, but nobody asks too often."""
    wide = {"key_requests": 10**8, "department_requests": 10**8}
    return replace(runtime, settings=runtime.settings.model_copy(update=wide))


Known = dict[str, list[dict[str, str]]]


async def _known(api: Api) -> Known:
    """Several of each kind, by the parameter of an address, with the others of the same address."""
    campaign, runs = await sent(api, weeks=2)
    known: Known = {}
    for department in ("school", "county"):
        made = await make_things(api, department)
        for name, value in made.items():
            known.setdefault(name, []).append({name: value})
    known["no"] = [{"run_id": made["run_id"], "no": made["no"]}]
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
        await conn.execute("UPDATE imports SET state = 'done'")
        await conn.execute(
            "UPDATE messages SET state = 'undelivered', final_at = $2 WHERE run_id = $1",
            runs[0],
            api.clock.at,
        )
        await conn.execute("UPDATE runs SET state = 'sent' WHERE id = ANY ($1)", runs)
    admin = ("county", "admin")
    channel = await api.post("/channels", admin, CHANNEL)
    known["channel_id"] = [{"channel_id": str(channel.json["id"])}]
    town = {"parent": COUNTY, "name": "新镇", "code": "341825199000"}
    await api.post("/areas", admin, town)
    known["code"] = [{"code": town["code"]}]
    members = {"members": [{"phone": "19790000001"}]}
    await api.call("PUT", "/rosters/名单/members", admin, json=members)
    known["name"] = [{"name": "名单"}]
    for op in OPS:
        for name in op.parameters if op.method == "DELETE" else ():
            known[f"{name} of {op.name}"] = [known[name].pop(0)]  # the school's
    known |= await _campaigns(api) | await _proposals(api)
    hook = {"url": "https://sms.example.gov.cn/tocsin", "events": ["run.finished"]}
    made = (await api.post("/webhooks", admin, hook)).json
    known["webhook_id of replay"] = [{"webhook_id": made["id"]}]
    known["import_id of undo_import"] = known["import_id"][:]
    known["campaign_id of top_up"] = [{"campaign_id": str(campaign)}]
    for act in ("resend_missed", "correct_run"):
        known[f"run_id of {act}"] = [{"run_id": str(runs[0])}] * 3
    for name in ("user_id", "key_id", "department_id", "milestone_id", "proposal_id", "grant_id"):
        known.pop(name)  # those who ask, and what is not there: others come to be known
    return known


ACTS = {
    "draft": ["edit_campaign", "submit_campaign", "add_milestone"],
    "pending_approval": ["approve_campaign", "return_campaign", "reject_campaign", "test_campaign"],
    "scheduled": ["pause_campaign", "cancel_campaign"],
    "paused": ["resume_campaign"],
    "held": ["release_campaign"],
}


async def _campaigns(api: Api) -> Known:
    """Some for each act that takes a campaign in a certain state."""
    found: Known = {}
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        for state, acts in ACTS.items():
            for act in acts * 3:
                if state in {"draft", "pending_approval"}:
                    made = await make_draft(conn, team.operator, now=now)
                else:
                    made = await make_scheduled(conn, team, now=now)
                if state == "pending_approval":
                    await approval.submit(conn, team.operator, made.id, now)
                elif state != "draft":
                    await conn.execute(
                        "UPDATE campaigns SET state = $2 WHERE id = $1", made.id, state
                    )
                found.setdefault(f"campaign_id of {act}", []).append({"campaign_id": str(made.id)})
                text = {"template_id": str(made.plan.template_id)}
                if state == "draft":
                    found.setdefault("template_id of approve_template", []).append(text)
    return found


async def _proposals(api: Api) -> Known:
    """One for each act that takes what another administrator has proposed."""
    team, school = api.teams["county"], str(api.teams["school"].department_id)
    who = await second_admin(api)
    span = {"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-02-01T00:00:00Z", "reason": "r"}
    absent = {"absent_id": str(team.approver.id), "deputy_id": str(team.operator.id), **span}
    links = {"landlines": [], "links": True, "reason": "r"}
    weaker = {"levels": {"R02": "warn", "R07": "warn"}, "reason": "r"}
    town = "341825100000"

    async def made(method: str, path: str, body: dict[str, Any]) -> Any:
        answer = await api.call(method, path, who, json=body)
        assert answer.status in {200, 201}, answer.body
        return answer.json

    user = await made("POST", "/users", {"login": "new", "name": "甲", "roles": ["viewer"]})
    key = await made("POST", "/keys", {"user_id": str(team.operator.id), "name": "k"})
    limit = await made("POST", f"/departments/{school}/direct-limits", {"limit": 5, "reason": "r"})
    deputy = await made("POST", "/deputies", absent)
    sender = await made("PUT", f"/departments/{school}/sender", links)
    rules = await made("PUT", "/lint/rules", weaker)
    renamed = await made("PATCH", f"/areas/{town}", {"name": "旌阳新镇"})
    return {
        "grant_id of confirm_grant": [{"user_id": user["id"], "grant_id": user["proposed"]["id"]}],
        "key_id of activate_key": [{"key_id": key["id"]}],
        "proposal_id of confirm_limit": [{"department_id": school, "proposal_id": limit["id"]}],
        "deputy_id of confirm_deputy": [{"deputy_id": deputy["id"]}],
        "proposal_id of confirm_sender": [
            {"department_id": school, "proposal_id": sender["waiting"]["id"]}
        ],
        "proposal_id of confirm_rules": [{"proposal_id": rules["waiting"]["id"]}],
        "rename_id of confirm_rename": [{"code": town, "rename_id": renamed["renaming"]["id"]}],
    }


async def _expand(api: Api) -> None:
    """What the worker does."""
    waiting = "SELECT id FROM runs WHERE state = 'expanding'"
    for row in await api.runtime.pool.fetch(waiting):
        await expand_run(api.runtime.pool, row["id"], api.clock.at)


class Persons:
    """Makes administrators who have logged in; every other is about to confirm an authenticator."""

    def __init__(self, api: Api, bodies: dict[str, dict[str, Any]]) -> None:
        self._api = api
        self._bodies = bodies
        self._hash = hash_password(PASSWORD)
        self._secret = new_secret()
        self._numbers = itertools.count()
        code = code_at(self._secret, step_of(api.clock.at))
        bodies["confirm_totp"] = {"code": code}

    async def make(self) -> str:
        """The token of a new one, who may log in again, too."""
        api, admin = self._api, self._api.teams["county"].admin
        token = new_token(PREFIX)
        async with transaction(api.runtime.pool) as conn:
            user = await make_user(
                conn, *admin.roles, now=api.clock.at, department_id=admin.department_id
            )
            await session_store.set_password(conn, user.id, self._hash, temporary=False)
            if next(self._numbers) % 2:
                cipher = api.runtime.keyring.encrypt_bytes(SECRET, self._secret)
                await session_store.set_totp(conn, user.id, cipher)
            else:
                self._bodies["login"] = {"login": user.login, "password": PASSWORD}
            hashed = token_hash(api.runtime.keyring, token)
            await session_store.insert_session(
                conn, user.id, hashed, address="", agent="", now=api.clock.at
            )
        return token


async def _world(api: Api) -> World:
    """The departments with their things, and who may ask for them."""
    loop = asyncio.get_running_loop()
    admin = ("county", "admin")

    def wait(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    bodies = usual_bodies()
    hours = (await api.get("/send-hours", admin)).json
    bodies["set_send_hours"] = {
        **{name: hours[name] for name in ("classes", "audiences")},
        "reason": "r",
    }
    shown = (await api.get("/lint/rules", admin)).json
    rules = {name: shown[name] for name in ("hotlines", "protected_names", "link_hosts")}
    rules["levels"] = {rule["rule"]: rule["level"] for rule in shown["rules"]}
    rules["reason"] = "r"
    known = await _known(api)
    persons = Persons(api, bodies)
    await persons.make()
    admins = [api.tokens[admin], await second_admin(api)]
    others = [api.tokens["county", role] for role in ("operator", "approver", "viewer")]
    others += [api.tokens["school", role] for role in ("admin", "operator")]
    who = "SELECT id FROM users UNION ALL SELECT id FROM keys UNION ALL SELECT id FROM departments"
    stop = {"reason": "r"}
    return World(
        people=[*admins * 4, *others],
        admins=admins,
        person=lambda: wait(persons.make()),
        known=known,
        bodies=bodies,
        spared=frozenset(str(row["id"]) for row in await api.runtime.pool.fetch(who)),
        before={"lift_stop": lambda: wait(api.post("/stop-all", admin, stop))},
        after={
            "stop_all": lambda: wait(api.post("/stop-all/lift", admin, stop)),
            "set_rules": lambda: wait(api.call("PUT", "/lint/rules", admin, json=rules)),
            "top_up": lambda: wait(_expand(api)),
            "resend_missed": lambda: wait(_expand(api)),
        },
    )


def _ask_all(asker: Asker, document: dict[str, Any]) -> None:
    """Each operation by itself, with what is right and what is wrong; then along the links."""
    schema = schemathesis.openapi.from_dict(document)
    schema.config.generation.with_security_parameters = False
    operations = [found.ok() for found in schema.get_all_operations()]
    each = max(1, round(CASES * (1 - LINKED) / len(operations) / 2 / ROUNDS))
    for number in range(ROUNDS):  # in the second, they meet what those after them have made
        for place, operation in enumerate(operations):
            modes = [GenerationMode.POSITIVE]
            if _may_be_wrong(operation) and (CASES > BUDGET or place % 3 == 0):
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


def _ask(asker: Asker, cases: SearchStrategy[Case], most: int, number: int) -> None:
    @seed(SEED + number)
    @settings(max_examples=most, **QUIET)
    @given(case=cases)
    def ask(case: Case) -> None:
        asker.ask(case)

    with suppress(Unsatisfiable):  # a bare name in an address, say, is never wrong
        ask()


def _may_be_wrong(operation: APIOperation) -> bool:
    """Whether it takes anything but headers, whose every text is right."""
    raw = operation.definition.raw
    return "requestBody" in raw or any(given["in"] != "header" for given in raw["parameters"])


def _report(tally: Tally, labels: set[str]) -> str:
    done = tally.done()
    lines = [f"{tally.cases:,} cases, {dict(tally.modes)}"]
    lines += [f"{len(done)} of {len(labels)} operations carried out"]
    for (label, what), more in sorted(tally.findings.items()):
        lines += [f"wrong: {label}: {what}\n{more}"]
    for label in sorted(labels - done):
        lines += [f"never: {label} {dict(tally.answers[label])}: {tally.refusals.get(label)}"]
    return "\n".join(lines)


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
    never = labels - asker.tally.done()
    if CASES > BUDGET:
        with capsys.disabled():
            print(f"\n{told}")
        assert never == NOT_DONE.keys(), told
    else:
        assert len(never) <= len(labels) / 10, told
