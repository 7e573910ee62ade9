"""Departments: the tree, what each may use, and its signature, which takes two persons."""

from service.accounts.people.model import Right
from service.api.accounts import departments
from service.api.accounts.departments import DepartmentBody, DepartmentPatch
from service.api.content import signatures
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.office import words
from service.console.render import Gone, Shown
from service.console.words import CLASSES
from service.words.phrase import phrase

MOST_LISTED = 200


async def show_departments(desk: Desk) -> Shown:
    """All departments that the caller sees."""
    query = body_of(PageQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(departments.list_departments, query=query)
    told = {"departments": found.items, "next": found.next_cursor}
    return Shown("office/departments.html", told | _told(desk))


async def show_department(desk: Desk) -> Shown:
    """One department: its settings, and its signatures."""
    department_id = desk.uuid("department_id")
    found = await desk.get(departments.get_department, department_id=department_id)
    listed = await desk.get(signatures.list_signatures, department_id=department_id)
    told = {"department": found, "signatures": listed.items, "others": await _others(desk)}
    return Shown("office/department.html", told | _told(desk))


async def show_new_department(desk: Desk) -> Shown:
    """The form for a new department."""
    return Shown("office/department_new.html", {"others": await _others(desk)} | _told(desk))


async def create_department(desk: Desk) -> Gone:
    """Make a department."""
    made = await desk.act(departments.create_department, body=body_of(DepartmentBody, desk.form))
    return Gone(f"/office/departments/{made.id}", phrase("{name} is made.", name=made.name))


async def edit_department(desk: Desk) -> Gone:
    """Change what a department is called and may use; an empty quota is none."""
    department_id = desk.uuid("department_id")
    emptied = {
        name: None
        for name in ("daily_quota", "monthly_quota", "yearly_quota")
        if name in desk.form and not desk.typed(name)
    }
    body = body_of(DepartmentPatch, desk.form, given=emptied)
    await desk.act(departments.edit_department, department_id=department_id, body=body)
    return Gone(f"/office/departments/{department_id}", phrase("Saved."))


async def confirm_signature(desk: Desk) -> Gone:
    """Let a signature count, as the second person."""
    department_id = desk.uuid("department_id")
    await desk.act(
        signatures.confirm_signature,
        department_id=department_id,
        proposal_id=desk.uuid("proposal_id"),
    )
    return Gone(f"/office/departments/{department_id}", phrase("The signature counts now."))


async def _others(desk: Desk) -> list[tuple[str, str]]:
    """The departments under which one may stand, as choices."""
    found = await desk.get(departments.list_departments, query=PageQuery(limit=MOST_LISTED))
    return [("", "–"), *((str(one.id), one.name) for one in found.items)]


def _told(desk: Desk) -> dict[str, object]:
    return {
        "kinds": words.options(words.KINDS, desk.language),
        "kind_words": words.KINDS,
        "classes": [(code, desk.language.say(word)) for code, word in CLASSES.items()],
        "manages": desk.may(Right.ACCOUNTS),
    }
