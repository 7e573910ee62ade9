"""Departments beside the county's office, with people of their own and somebody who plans."""

from collections.abc import Iterable

from tests.browser.office import Office, choose_password
from tests.harness.waiting import until


async def join(
    office: Office,
    login: str,
    name: str,
    signature: str,
    people: Iterable[str],
    **settings: str,
) -> str:
    """Make a department with an operator, who has a key and a password, and import its people.

    login: of the operator, and what `office.ask` calls them. people: lines of a file with a
    header. settings: what else the department has. Returns the department's id.
    """
    department = await office.ask("admin", "POST", "/departments", {"name": name, **settings})
    here = f"/departments/{department['id']}/signatures"
    proposed = await office.ask("admin", "POST", here, {"signature": signature})
    await office.ask("second_admin", "POST", f"{here}/{proposed['proposal_id']}/confirm")
    await _hire(office, department["id"], login, f"{name}操作员")
    await _import(office, login, people)
    return str(department["id"])


async def _hire(office: Office, department: str, login: str, name: str) -> None:
    user = {"department_id": department, "login": login, "name": name, "roles": ["operator"]}
    made = await office.ask("admin", "POST", "/users", user)
    office.users[login] = made["id"]
    grant = f"/users/{made['id']}/grants/{made['proposed']['id']}/confirm"
    await office.ask("second_admin", "POST", grant)
    key = await office.ask("admin", "POST", "/keys", {"user_id": made["id"], "name": login})
    await office.ask("second_admin", "POST", f"/keys/{key['id']}/activate")
    office.live.summary["keys"][login] = key["token"]
    await choose_password(office, login)


async def _import(office: Office, login: str, people: Iterable[str]) -> None:
    async with office.client(login) as operator:
        fields = {"roster": "在册人员", "basis": "contract_hr"}
        taken = await operator.upload("/imports", "\n".join(people).encode(), fields)

        async def read() -> bool:
            return bool((await operator.get(f"/imports/{taken['id']}"))["state"] == "done")

        await until(read, what=f"the people of {login}")
