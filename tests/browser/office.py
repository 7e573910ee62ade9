"""The people of a running system who have passwords, and what they ask of the API beforehand."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import aiohttp

from service.local.demo.client import DemoClient
from tests.browser.visitor import PASSWORD
from tests.harness.live import Live

ADMINS = ("admin", "second_admin")


@dataclass(frozen=True)
class Person:
    """Somebody of the county's office. rights: beyond those of the roles."""

    login: str
    name: str
    roles: tuple[str, ...] = ()
    rights: tuple[str, ...] = ()


PEOPLE = (
    Person("operator", "王芳", ("operator",)),
    Person("approver", "张主任", ("approver",)),
    Person("duty", "值班员", ("operator",), ("unmask",)),
    Person("editor", "李明", rights=("reports", "read", "write")),
    Person("head", "赵局长", ("viewer",)),
    Person("inspector", "检查员", ("inspector",)),
)
"""Beside the two administrators; `tocsin up` has made an operator and an approver already."""


async def _call(url: str, token: str | None, method: str, path: str, body: Any = None) -> Any:
    headers = {"Idempotency-Key": str(uuid4())} if method == "POST" else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    async with (
        aiohttp.ClientSession(f"{url}/api/v1/", headers=headers) as session,
        session.request(method, path.lstrip("/"), json=body) as answer,
    ):
        told = await answer.json(content_type=None) if answer.status != 204 else None
        assert answer.status < 300, (method, path, answer.status, told)
        return told


@dataclass
class Office:
    """A running system. users: the id of each person by login."""

    live: Live
    users: dict[str, str]

    @property
    def url(self) -> str:
        return str(self.live.summary["url"])

    def client(self, who: str) -> DemoClient:
        """Who has a key: the operator, the approver and the administrators."""
        return self.live.client(who)

    async def ask(self, who: str, method: str, path: str, body: Any = None) -> Any:
        """The answer of the API to somebody who has a key."""
        return await _call(self.url, self.live.summary["keys"][who], method, path, body)

    async def ask_as(self, login: str, method: str, path: str, body: Any = None) -> Any:
        """The answer of the API to somebody who has a password, in a session of their own."""
        known = {"login": login, "password": PASSWORD}
        opened = await _call(self.url, None, "POST", "/login", known)
        return await _call(self.url, opened["token"], method, path, body)


async def staff(live: Live) -> Office:
    """Make the people, on whom two administrators agree, and let each choose a password."""
    office = Office(live, {})
    listed = await office.ask("admin", "GET", "/users?limit=100")
    office.users |= {user["login"]: user["id"] for user in listed["items"]}
    for person in PEOPLE:
        if person.login not in office.users:
            await _make(office, person)
    for login in [*ADMINS, *(person.login for person in PEOPLE)]:
        await choose_password(office, login)
    return office


async def _make(office: Office, person: Person) -> None:
    """A user, on whose rights two administrators agree."""
    body = {"login": person.login, "name": person.name, "rights": list(person.rights)}
    body |= {"roles": list(person.roles)} if person.roles else {}
    made = await office.ask("admin", "POST", "/users", body)
    office.users[person.login] = made["id"]
    if made["proposed"]:
        path = f"/users/{made['id']}/grants/{made['proposed']['id']}/confirm"
        await office.ask("second_admin", "POST", path)


async def given_password(office: Office, login: str) -> str:
    """A password for once: an administrator's own, or given by one and confirmed by the other.

    Those of the operator and the approver come from different ones: else they were one person.
    """
    first, second = reversed(ADMINS) if login == "approver" else ADMINS
    path = f"/users/{office.users[login]}/password"
    given = await office.ask(login if login in ADMINS else first, "POST", path)
    if given["state"] == "pending":
        await office.ask(second, "POST", f"{path}/confirm")
    return str(given["password"])


async def hire(office: Office, *roles: str) -> tuple[str, str]:
    """Somebody new, an operator unless said: a login, and the password that was given."""
    login = f"new-{uuid4().hex[:8]}"
    await _make(office, Person(login, "新同事", roles or ("operator",)))
    return login, await given_password(office, login)


async def choose_password(office: Office, login: str) -> None:
    """Let a person log in with a given password and choose `PASSWORD`."""
    given = await given_password(office, login)
    body = {"login": login, "password": given}
    opened = await _call(office.url, None, "POST", "/login", body)
    change = {"current": given, "new": PASSWORD}
    await _call(office.url, opened["token"], "POST", "/me/password", change)
