"""Departments: the tree, and what each may use."""

from uuid import UUID

from service.accounts.people.model import Right
from service.api.accounts import departments
from service.api.accounts.departments import DepartmentBody, DepartmentPatch, DepartmentsQuery
from service.console.asking import Desk
from service.console.forms import body_of
from service.console.office import words
from service.console.office.choices import department_names
from service.console.render import Gone, Shown
from service.console.words import CLASSES
from service.words.phrase import phrase


async def show_departments(desk: Desk) -> Shown:
    """All departments that the caller sees, or those with some words in their name."""
    query = body_of(DepartmentsQuery, desk.request.query, given={"limit": 50})
    found = await desk.get(departments.list_departments, query=query)
    told = {"departments": found.items, "next": found.next_cursor, "words": query.words or ""}
    return Shown("office/departments.html", told | _told(desk))


async def show_department(desk: Desk) -> Shown:
    """One department: its settings."""
    found = await shown_head(desk, desk.uuid("department_id"))
    told = {"others": await _others(desk)}
    return Shown("office/department.html", found | told | _told(desk))


async def shown_head(desk: Desk, department_id: UUID) -> dict[str, object]:
    """What the pages of one department are told of it."""
    found = await desk.get(departments.get_department, department_id=department_id)
    return {"the_department": found, "kind_words": words.KINDS, "manages": runs_the_county(desk)}


def runs_the_county(desk: Desk) -> bool:
    """Whether the reader may change departments: an administrator of the county."""
    return desk.may(Right.ACCOUNTS) and desk.user.runs_the_county


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


async def _others(desk: Desk) -> list[tuple[str, str]]:
    """The departments under which one may stand, as choices."""
    found = await department_names(desk)
    return [("", "–"), *((str(department_id), name) for department_id, name in found.items())]


def _told(desk: Desk) -> dict[str, object]:
    return {
        "kinds": words.options(words.KINDS, desk.language),
        "kind_words": words.KINDS,
        "classes": [(code, desk.language.say(word)) for code, word in CLASSES.items()],
        "manages": runs_the_county(desk),
    }
