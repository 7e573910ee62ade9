"""Whatever somebody types is text on every page that shows it: none of it becomes markup.

Each text has a number of its own, so that it is known which were seen: one that no page shows would
prove nothing.
"""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urldefrag

import pytest
from aiohttp import FormData

from service.audience.areas.area_store import load_areas
from service.campaigns.approval import approval
from service.console.routes import PAGES
from service.storage.postgres import transaction
from tests.factories import TEXT, make_draft, make_scheduled
from tests.harness.channels import BODY as CHANNEL
from tests.harness.console import Browser, browser_at
from tests.harness.inbound import send_to_four, write
from tests.harness.logins import with_password
from tests.harness.offers import approved
from tests.integration.api.conftest import Api

MOST_OF_A_KIND = 3
"""How many addresses of one page are looked at."""
TYPED = re.compile(r"onerror=alert\((\d+)\)")
ADMIN, OPERATOR, APPROVER = (("county", role) for role in ("admin", "operator", "approver"))
WALKERS = (("county", "admin"), ("county", "operator"), ("school", "operator"))


class Texts:
    """What was typed: by its number, where."""

    def __init__(self) -> None:
        self.places: list[str] = []

    def at(self, place: str) -> str:
        """A hostile text for a place, which is noted."""
        self.places.append(place)
        return f"<img src=x onerror=alert({len(self.places) - 1})>'\""


class Markup(HTMLParser):
    """What of a page's markup was somebody's text."""

    def __init__(self) -> None:
        super().__init__()
        self.wrong: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        handlers = [name for name in given if name.startswith("on")]
        runs = tag == "script" and "src" not in given
        leads = str(given.get("href") or given.get("action") or "").startswith("javascript:")
        if handlers or runs or leads or given.get("src") == "x":
            self.wrong.append(f"<{tag} {attrs}>")


async def done(api: Api, method: str, path: str, who: Any, body: Any) -> Any:
    """The answer to what must be carried out."""
    answer = await api.call(method, path, who, json=body)
    assert answer.status < 300, (method, path, answer.status, answer.body.decode())
    return answer.json if answer.body else None


async def type_plans(api: Api, texts: Texts) -> None:
    """Groups, texts, plans and what is said when they are steered."""
    at, team = texts.at, api.teams["county"]
    rule = {"rule": "年龄 >= 60"}
    segment = await done(api, "POST", "/segments", OPERATOR, {"name": at("group"), **rule})
    body = {"name": at("text's name"), "class": "public_interest", "text": TEXT + at("text")}
    template = await done(api, "POST", "/templates", OPERATOR, body)
    plan = {"template_id": template["id"], "segment_id": segment["id"]}
    made = await done(api, "POST", "/campaigns", OPERATOR, {"name": at("plan"), **plan})
    stone = {"name": at("milestone"), "due_on": "2027-02-20"}
    await done(api, "POST", f"/campaigns/{made['id']}/milestones", OPERATOR, stone)
    async with transaction(api.runtime.pool) as conn:
        waiting, turned_down = [
            await make_draft(conn, team.operator, now=api.clock.at) for _ in range(2)
        ]
        for one in (waiting, turned_down):
            await approval.submit(conn, team.operator, one.id, api.clock.at)
        going = await make_scheduled(conn, team, now=api.clock.at)
        offered = await approved(conn, team, api.clock.at)
    for act, one in (("return", waiting), ("reject", turned_down)):
        reason = {"reason": at(f"reason of {act}")}
        await done(api, "POST", f"/campaigns/{one.id}/{act}", APPROVER, reason)
    reason = {"reason": at("reason of pause")}
    await done(api, "POST", f"/campaigns/{going.id}/pause", OPERATOR, reason)
    offer = {"version": offered.no, "kinds": ["school"], "note": at("note of an offer")}
    await done(api, "POST", f"/templates/{offered.id}/offers", APPROVER, offer)


async def type_people(api: Api, texts: Texts) -> None:
    """Lists, persons, files, and who gets no texts."""
    at = texts.at
    members = {
        "members": [{"phone": "19790000001"}],
        "basis": "consent",
        "expires_on": "2027-12-31",
        "evidence": at("evidence"),
        "evidence_on": "2027-01-04",
        "evidence_by": at("who has the evidence"),
        "evidence_how": "paper",
    }
    roster = quote(at("list"), safe="")
    await done(api, "PUT", f"/rosters/{roster}/members", OPERATOR, members)
    form = FormData({"roster": at("list of an import"), "basis": "duty"})
    content = "手机号\n19790000002\n".encode()
    form.add_field("file", content, filename=at("file"), content_type="text/csv")
    made = await api.call("POST", "/imports", OPERATOR, data=form)
    assert made.status < 300, made.body
    stop = {"phone": "19790000003", "reason": "complaint", "note": at("note of a suppression")}
    await done(api, "POST", "/suppressions", OPERATOR, stop)
    guests = {"phones": ["19790000004"], "note": at("note of a guest")}
    await done(api, "POST", "/guests", ADMIN, guests)


async def type_office(api: Api, texts: Texts) -> None:
    """Departments, users, keys, channels and rules."""
    at, team = texts.at, api.teams["county"]
    school = f"/departments/{api.teams['school'].department_id}"
    department = {"name": at("department"), "kind": "school", "leader": at("leader")}
    await done(api, "POST", "/departments", ADMIN, department)
    user = {"login": "hostile", "name": at("user"), "roles": ["viewer"]}
    await done(api, "POST", "/users", ADMIN, user)
    key = {"user_id": str(team.operator.id), "name": at("key")}
    await done(api, "POST", "/keys", ADMIN, key)
    await done(api, "POST", "/channels", ADMIN, {**CHANNEL, "name": at("channel")})
    limit = {"limit": 5_000, "reason": at("reason of a limit")}
    await done(api, "POST", f"{school}/direct-limits", ADMIN, limit)
    sender = {"landlines": ["0563-8600110"], "reason": at("reason of a sender")}
    await done(api, "PUT", f"{school}/sender", ADMIN, sender)
    deputy = {
        "absent_id": str(team.approver.id),
        "deputy_id": str(team.operator.id),
        "starts_at": "2027-01-01T00:00:00Z",
        "ends_at": "2027-03-01T00:00:00Z",
        "reason": at("reason of a deputy"),
    }
    await done(api, "POST", "/deputies", ADMIN, deputy)
    caps = {"class": "service", "per_day": 9, "per_week": 9, "per_month": 9, "same_text": True}
    await done(api, "PUT", "/caps", ADMIN, caps | {"reason": at("reason of caps")})
    quiet = {"name": at("quiet days"), "first": "2027-06-14", "last": "2027-06-16"}
    rules = {"quiet": [quiet], "reason": at("reason of holidays")}
    await done(api, "PUT", "/holidays", ADMIN, rules)
    words = {"levels": {"R02": "warn"}, "reason": at("reason of lint's rules")}
    await done(api, "PUT", "/lint/rules", ADMIN, words)


async def type_on_duty(api: Api, texts: Texts) -> str:
    """What people write back, what is noted of it, and why everything stands still; the page of
    what is noted.
    """
    at = texts.at
    await send_to_four(api)
    await write(api, (0, at("text from a handset")), (1, "问"))
    listed = (await api.get("/inbound?limit=10", ("school", "operator"))).json["items"]
    asked = next(one["id"] for one in listed if one["text"] == "问")
    await done(api, "POST", f"/inbound/{asked}/take", ("school", "operator"), None)
    note = {"note": at("note of a reply"), "opt_out": False}
    await done(api, "POST", f"/inbound/{asked}/done", ("school", "operator"), note)
    await done(api, "POST", "/stop-all", ADMIN, {"reason": at("reason of a stop")})
    return f"/duty/replies/{asked}"


async def look(browser: Browser, seen: Counter[int], *more: str) -> list[str]:
    """Every page that somebody comes to by links, and some more; what of it was somebody's text as
    markup.
    """
    wrong: list[str] = []
    opened: Counter[str] = Counter()
    plain = [page.path for page in PAGES if page.method == "GET" and "{" not in page.path]
    ahead = [*more, *plain]
    known = set(ahead)
    while ahead:
        address = ahead.pop(0)
        kind = re.sub(r"/[^/]*(?:\d|%)[^/]*", "/_", address.partition("?")[0])
        opened[kind] += 1
        if opened[kind] > MOST_OF_A_KIND:
            continue
        page = await browser.get(address)
        markup = Markup()
        markup.feed(page.html)
        wrong += [f"{address}: {one}" for one in markup.wrong]
        seen.update(int(number) for number in TYPED.findall(page.html))
        for link in page.links:
            here = urldefrag(link).url
            if here.startswith("?"):
                here = address.partition("?")[0] + here
            if here.startswith("/") and here not in known:
                known.add(here)
                ahead.append(here)
    return wrong


@pytest.mark.slow
@pytest.mark.attack
async def test_what_somebody_typed_is_text_on_every_page(api: Api) -> None:
    texts, seen = Texts(), Counter[int]()
    async with transaction(api.runtime.pool) as conn:
        await load_areas(conn)
    await type_plans(api, texts)
    await type_people(api, texts)
    await type_office(api, texts)
    reply = await type_on_duty(api, texts)
    wrong: list[str] = []
    for department, role in WALKERS:
        login = await with_password(api, getattr(api.teams[department], role))
        browser = await browser_at(api, login)
        wrong += await look(browser, seen, reply)
    assert wrong == []
    unseen = [place for number, place in enumerate(texts.places) if number not in seen]
    assert unseen == [], "no page shows these"
