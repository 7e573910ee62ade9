"""What each operation needs so that its usual request is carried out: things, proposals, persons.

Whoever adds an operation that needs more than `make_things` has, prepares it here.
"""

import itertools
from datetime import datetime, timedelta
from typing import Any

from aiohttp import FormData

from service.accounts.keys.keys import new_token, token_hash
from service.accounts.login import session_store
from service.accounts.login.credentials import code_at, hash_password, new_secret, step_of
from service.accounts.login.login import PREFIX, SECRET
from service.accounts.people import phone_store
from service.accounts.people.model import By, Role, User
from service.api.routes import OPS
from service.campaigns.approval import approval, legs
from service.campaigns.calendar.schedule import Schedule
from service.campaigns.core import leg_store
from service.campaigns.core.legs import Leg, LegAsk
from service.campaigns.core.model import MOVES, Plan
from service.campaigns.plans import planning
from service.delivery.notices import notice_choice_store
from service.delivery.notices.mail_proof import CODE, send_code
from service.delivery.notices.notice_choice import MAIL
from service.messages.signature import head
from service.messages.wordings import wordings
from service.privacy import clock_watch_store
from service.privacy.clock_watch import Watch
from service.storage.postgres import Connection, transaction
from tests.factories import (
    TEXT,
    Team,
    make_draft,
    make_scheduled,
    make_suggestion,
    make_team,
    make_template,
    make_token,
    make_user,
    phone,
)
from tests.harness.asker import Known
from tests.harness.case_api import lines, send
from tests.harness.channels import real, secrets
from tests.harness.logins import last_code
from tests.harness.offers import approved, make_offer
from tests.harness.rollouts import draft, people_of_villages
from tests.harness.signatures import register_signature
from tests.harness.words import FILES, PASSWORD, USUAL
from tests.integration.api.conftest import Api

ADMIN = ("county", "admin")
NOBODYS = "【旌德县政法委】刷单都是诈骗，先交钱的都不要信，有疑问请拨打96110。"
"""A text whose signature is registered to no department."""
NOTICE_TEXT = "【旌德县公安局】各村：{周期}全县接报电诈{起数}起，请入户讲清，疑问拨96110。"
"""A work notice with the figures of a bulletin."""
WEAKER = {"levels": {"R02": "warn", "R07": "warn"}, "reason": "r"}
"""Rules of lint that a second administrator must confirm."""

_STATES = ("draft", "pending_approval", "scheduled", "paused", "held")
_NAMES = {op.name for op in OPS}
ACTS = {
    "add_milestone": "draft",
    "test_campaign": "pending_approval",
    **{
        f"{act}_campaign": next(state for state in _STATES if state in before)
        for act, (before, _) in MOVES.items()
        if f"{act}_campaign" in _NAMES
    },
}
"""The operations on a campaign that need it in a state, each with the first that will do."""


async def prepare_campaigns(api: Api) -> Known:
    """Some for each act that takes a campaign in a certain state, and their texts."""
    found: Known = {}
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        for act, state in ACTS.items():
            for _ in range(3):
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
                for user in ("approve_template",) if state == "draft" else ("set_filing",):
                    found.setdefault(f"template_id of {user}", []).append(text)
    return found


async def prepare_proposals(api: Api, proposer: str) -> Known:
    """One for each act that takes what another administrator, the proposer, has proposed."""
    team, school = api.teams["county"], str(api.teams["school"].department_id)
    span = {"starts_at": "2027-01-01T00:00:00Z", "ends_at": "2027-03-01T00:00:00Z", "reason": "r"}
    absent = {"absent_id": str(team.approver.id), "deputy_id": str(team.operator.id), **span}
    links = {"landlines": [], "links": True, "reason": "r"}
    town = "341825101000"

    async def made(method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = await api.call(method, path, proposer, json=body)
        assert answer.status in {200, 201}, answer.body
        return answer.json

    user = await made("POST", "/users", {"login": "new", "name": "甲", "roles": ["viewer"]})
    key = await made("POST", "/keys", {"user_id": str(team.operator.id), "name": "k"})
    limit = await made("POST", f"/departments/{school}/direct-limits", {"limit": 5, "reason": "r"})
    deputy = await made("POST", "/deputies", absent)
    sender = await made("PUT", f"/departments/{school}/sender", links)
    signature = await made("POST", f"/departments/{school}/signatures", {"signature": "旌德中学"})
    renamed = await made("PATCH", f"/areas/{town}", {"name": "蔡家桥新镇"})
    channel = await real(api, "cmpp", name="confirmed")
    change = {"config": {"host": "192.0.2.20", **secrets("cmpp")}, "reason": "r"}
    changed = await made("POST", f"/channels/{channel}/changes", change)
    given = await _new_user(api, Role.VIEWER)
    password = await made("POST", f"/users/{given.id}/password")
    assert password["state"] == "pending"
    await made("PUT", f"/users/{given.id}/sign-in", {"subject": "wang"})
    return {
        "grant_id of confirm_grant": [{"user_id": user["id"], "grant_id": user["proposed"]["id"]}],
        "key_id of activate_key": [{"key_id": key["id"]}],
        "proposal_id of confirm_limit": [{"department_id": school, "proposal_id": limit["id"]}],
        "deputy_id of confirm_deputy": [{"deputy_id": deputy["id"]}],
        "proposal_id of confirm_sender": [
            {"department_id": school, "proposal_id": sender["waiting"]["id"]}
        ],
        "proposal_id of confirm_signature": [
            {"department_id": school, "proposal_id": signature["proposal_id"]}
        ],
        "rename_id of confirm_rename": [{"code": town, "rename_id": renamed["renaming"]["id"]}],
        "change_id of confirm_change": [
            {"channel_id": str(channel), "change_id": str(changed["id"])}
        ],
        "user_id of confirm_password": [{"user_id": str(given.id)}],
        "user_id of confirm_link": [{"user_id": str(given.id)}],
    }


async def prepare_offers(api: Api) -> Known:
    """Some for each act: texts to be offered, and offers of others."""
    team, now = api.teams["county"], api.clock.at
    found: Known = {}
    async with transaction(api.runtime.pool) as conn:
        for _ in range(3):
            text = await approved(conn, team, now)
            found.setdefault("template_id of offer_template", []).append(
                {"template_id": str(text.id)}
            )
            for act in ("take_offer", "withdraw_offer"):
                offer = await make_offer(conn, now, team.department_id)
                found.setdefault(f"offer_id of {act}", []).append({"offer_id": str(offer.id)})
    return found


_OF_WORDINGS = ("list_wordings", "add_wording", "get_wordings_document", "get_poster")


async def prepare_wordings(api: Api) -> Known:
    """An approved text with a poster, and wordings that somebody else has edited."""
    team, now = api.teams["county"], api.clock.at
    async with transaction(api.runtime.pool) as conn:
        text = await approved(conn, team, now)
        template = {"template_id": str(text.id), "version": str(text.no)}
        await wordings.add(conn, team.operator, text.id, text.no, "poster", now)
        edited = [
            await wordings.add(
                conn, team.operator, text.id, text.no, kind, now, edited="先挂断，再拨110核实。"
            )
            for kind in ("led", "atm", "counter")
        ]
    return {
        **{f"version of {act}": [template] * 3 for act in _OF_WORDINGS},
        "wording_id of approve_wording": [
            template | {"wording_id": str(wording.id)} for wording in edited
        ],
    }


async def prepare_rollouts(api: Api) -> Known:
    """Drafts that can be staggered, and one whose order is drawn."""
    await people_of_villages(api, 2, channel=None)
    start = api.clock.at + timedelta(days=30)
    drafts = [str(await draft(api, start)) for _ in range(6)]
    body = USUAL["draw_rollout"]
    made = await api.post(f"/campaigns/{drafts[0]}/rollout", ADMIN, body)
    assert made.status == 201, made.body
    return {
        "campaign_id of draw_rollout": [{"campaign_id": one} for one in drafts[1:4]],
        "campaign_id of preview_rollout": [{"campaign_id": one} for one in drafts[4:]],
        "rollout_id": [{"rollout_id": made.json["id"]}],
    }


async def prepare_legs(api: Api) -> Known:
    """Legs of approved joint plans: two asked of the county by the police, and one that a school
    has returned to the county.
    """
    county, school, now = api.teams["county"], api.teams["school"], api.clock.at
    found: Known = {}
    async with transaction(api.runtime.pool) as conn:
        police = await make_team(conn, now=now, kind="police")
        for act in ("take_leg", "return_leg"):
            (leg,) = await _ask(conn, police, county, now)
            found[f"leg_id of {act}"] = [{"leg_id": str(leg.id)}]
        (leg,) = await _ask(conn, county, school, now)
        back = By(school.operator.id, "r", now)
        await legs.give_back(conn, school.operator, leg.id, back)
        found["leg_id of ask_again"] = [{"leg_id": str(leg.id)}]
    return found


async def _ask(conn: Connection, author: Team, of: Team, now: datetime) -> list[Leg]:
    """The legs of a joint plan of one department, asked of another."""
    template = await make_template(conn, author.operator, now=now, text=NOBODYS)
    plan = Plan(
        name="legs",
        template_id=template.id,
        segment_id=None,
        channels=None,
        priority="normal",
        schedule=Schedule("once", now + timedelta(days=1)),
        max_tps=None,
        legs=(LegAsk(of.department_id),),
    )
    made = await planning.create(conn, author.operator, plan, now)
    await approval.submit(conn, author.operator, made.id, now)
    await approval.approve(conn, author.approver, made.id, "", now)
    return await leg_store.list_legs(conn, made.id)


async def propose_rules(api: Api, proposer: str, known: Known) -> None:
    """Rules of lint wait for another administrator; whatever sets them meanwhile replaces them."""
    answer = await api.call("PUT", "/lint/rules", proposer, json=WEAKER)
    assert answer.status == 200, answer.body
    if waiting := answer.json["waiting"]:
        known["proposal_id of confirm_rules"] = [{"proposal_id": waiting["id"]}]


async def prepare_others(api: Api) -> Known:
    """What only one operation needs, and no other changes."""
    school = str(api.teams["school"].department_id)
    extension = {"department_id": school, "extension": "07"}
    made = await api.post(f"/departments/{school}/extensions", ADMIN, {"extension": "07"})
    assert made.status == 201, made.body
    await register_signature(api, api.teams["county"].department_id, head(TEXT))
    direct = [await api.post("/messages", ADMIN, USUAL["send_messages"]) for _ in range(3)]
    user = await _new_user(api, Role.VIEWER)
    async with transaction(api.runtime.pool) as conn:
        await make_token(conn, api.runtime.keyring, user, api.clock.at)
        key = await conn.fetchval("SELECT id FROM keys WHERE user_id = $1", user.id)
        hold = await conn.fetchval(
            """
            INSERT INTO opt_out_holds (channel_id, began_at, last_at) VALUES (2, $1, $1)
            RETURNING id
            """,
            api.clock.at,
        )
        entries = await conn.fetch(
            """
            INSERT INTO suppression_entries (department_id, entered_by, entered_at, reason, classes,
                owner, source, note_cipher, numbers, held)
            SELECT department_id, id, $2, 'complaint', '{warning}', '', 'person', '', 1, true
            FROM users, generate_series(1, 3) WHERE id = $1 RETURNING id
            """,
            api.teams["school"].operator.id,
            api.clock.at,
        )
    spans = ["2026-W40", "2026-W41", "2026-W42", "2026-W43", "2026-W44"]
    files = [await send(api, lines(f"{week},旌阳镇,,T01,1,0.08"), week) for week in spans]
    assert files[-1].status == 201, files[-1].body
    taken = [{"case_import_id": made.json["id"]} for made in files]
    other = lines("2026-W43,旌阳镇,,T01,2,0.08")
    async with transaction(api.runtime.pool) as conn:
        ids = [await make_suggestion(conn, f"2026-W{n}", api.clock.at) for n in range(10, 20)]
    suggested = [{"suggestion_id": str(found)} for found in ids]
    for week in spans[2:4]:
        assert (await api.post(f"/bulletins/{week}/issue", ADMIN)).status == 200
    assert (await send(api, other, "2026-W43")).status == 201
    async with transaction(api.runtime.pool) as conn:
        await approved(conn, api.teams["county"], api.clock.at, NOTICE_TEXT, kind="service")
    return {
        "case_import_id": taken[:1],
        "case_import_id of undo_case_import": taken[1:2],
        "suggestion_id of draft_suggestion": suggested[:5],
        "suggestion_id of dismiss_suggestion": suggested[5:],
        "week": [{"week": "2026-W42"}],
        "week of issue_bulletin": [{"week": "2026-W44"}],
        "week of correct_bulletin": [{"week": "2026-W43"}],
        "entry_id of count_suppression_entry": [{"entry_id": str(row["id"])} for row in entries],
        "extension of end_extension": [extension],
        "run_id of cancel_run": [{"run_id": sent.json["run_id"]} for sent in direct],
        "key_id of rotate_key": [{"key_id": str(key)}],
        "hold_id of drop_hold": [{"hold_id": str(hold)}],
        "channel_id of propose_change": [
            {"channel_id": str(await real(api, "cmpp", name="changed"))}
        ],
    }


async def hold_deletions(api: Api, bodies: dict[str, dict[str, Any]]) -> None:
    """Deletions wait for an agreement: the clock has jumped, and much is due by it."""
    now = api.clock.at
    watch = Watch(now, now.replace(year=now.year - 2), now.replace(hour=0))
    async with transaction(api.runtime.pool) as conn:
        await clock_watch_store.write_stand(conn, watch, "needs_agreement", {"guests": (9, 10)})
    shown = (await api.get("/privacy/retention", ADMIN)).json
    bodies["agree_to_retention"] = {"jumped_at": shown["jumped_at"]}


async def load_prefixes(api: Api) -> None:
    """There is a table of number blocks."""
    form = FormData({"source": "2026-10"})
    form.add_field("file", FILES["import_prefixes"], filename="table.csv")
    made = await api.call("POST", "/prefixes/imports", ADMIN, data=form)
    assert made.status == 200, made.body


async def _new_user(api: Api, *roles: Role) -> User:
    """Of the county."""
    county = api.teams["county"].department_id
    async with transaction(api.runtime.pool) as conn:
        return await make_user(conn, *roles, now=api.clock.at, department_id=county)


class Persons:
    """Makes administrators who have logged in, each with what an operation asks of its person."""

    def __init__(self, api: Api, bodies: dict[str, dict[str, Any]]) -> None:
        self._api = api
        self._bodies = bodies
        self._hash = hash_password(PASSWORD)
        self._phones = map(phone, itertools.count(6_000))

    async def carrier(self) -> str:
        """The token of somebody of the carrier whose lists there are."""
        return self._api.tokens["carrier", "operator"]

    async def make(self) -> str:
        """The token of a new one, who may log in again, too."""
        user, token = await self._make()
        self._bodies["login"] = {"login": user.login, "password": PASSWORD}
        return token

    async def with_new_authenticator(self) -> str:
        """One who is about to confirm an authenticator."""
        user, token = await self._make()
        secret = new_secret()
        async with transaction(self._api.runtime.pool) as conn:
            cipher = self._api.runtime.keyring.encrypt_bytes(SECRET, secret)
            await session_store.set_totp(conn, user.id, cipher)
        self._bodies["confirm_totp"] = {"code": code_at(secret, step_of(self._api.clock.at))}
        return token

    async def with_new_phone(self) -> str:
        """One who is about to say a phone that nobody has."""
        self._bodies["set_own_phone"] = {"phone": next(self._phones)}
        return await self.make()

    async def with_sent_code(self) -> str:
        """One to whose phone a code was sent."""
        token = await self.make()
        said = await self._api.call(
            "PUT", "/account/phone", token, json={"phone": next(self._phones)}
        )
        if said.status == 200:  # not in a night that somebody has made of the day
            self._bodies["prove_own_phone"] = {"code": await last_code(self._api)}
        return token

    async def with_mailed_code(self) -> str:
        """One to whose address a code was sent."""
        user, token = await self._make()
        keyring, now = self._api.runtime.keyring, self._api.clock.at
        address = f"{user.id.hex}@example.gov.cn"
        async with transaction(self._api.runtime.pool) as conn:
            kept = (keyring.encrypt(MAIL, address), None)
            await notice_choice_store.set_choice(
                conn, user.id, [], "text", kept, "zh", now, packs=False
            )
            await send_code(conn, keyring, user, address, now)
            cipher = await conn.fetchval(
                "SELECT code_cipher FROM notice_mails WHERE user_id = $1", user.id
            )
        self._bodies["prove_own_mail"] = {"code": keyring.decrypt(CODE, cipher)}
        return token

    async def with_own_phone(self) -> str:
        """One whose phone is proved."""
        user, token = await self._make()
        async with transaction(self._api.runtime.pool) as conn:
            cipher = self._api.runtime.keyring.encrypt("phone", next(self._phones))
            await phone_store.set_phone(conn, user.id, cipher)
            await phone_store.set_proved(conn, user.id, self._api.clock.at)
        return token

    async def _make(self) -> tuple[User, str]:
        api = self._api
        user, token = await _new_user(api, Role.ADMIN), new_token(PREFIX)
        async with transaction(api.runtime.pool) as conn:
            await session_store.set_password(conn, user.id, self._hash, temporary=False)
            hashed = token_hash(api.runtime.keyring, token)
            await session_store.insert_session(
                conn, user.id, hashed, address="", agent="", now=api.clock.at
            )
        return user, token
