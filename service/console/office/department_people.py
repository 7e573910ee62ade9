"""A department's liaison and its leader in charge on pages, and departments that lack one."""

from service.api.accounts import department_people
from service.api.accounts.department_people import DepartmentPeopleBody
from service.api.http.paging import PageQuery
from service.console.asking import Desk
from service.console.forms import body_of, made_of
from service.console.office import words
from service.console.office.departments import shown_head
from service.console.render import Gone, Shown
from service.words.phrase import phrase

DUTIES = {"liaison": phrase("Liaison"), "leader": phrase("Leader in charge")}
WITHOUT = "/office/departments/without"


async def show_people(desk: Desk) -> Shown:
    """Who they are, a form to name others, and who they were."""
    department_id = desk.uuid("department_id")
    found = await shown_head(desk, department_id)
    people = await desk.get(department_people.get_people, department_id=department_id)
    return Shown("office/department_people.html", {
        **found,
        "people": people,
        "known": {one.duty: one for one in people.items},
        "duties": DUTIES,
    })  # fmt: skip


async def set_people(desk: Desk) -> Gone:
    """Name those of whom something was typed; the others stay."""
    department_id = desk.uuid("department_id")
    empty = [
        duty
        for duty in DUTIES
        if not desk.typed(f"{duty}.name") and not desk.typed(f"{duty}.phone")
    ]
    ended = {duty: None for duty in empty if desk.typed(f"_end.{duty}")}
    left_out = [f"{duty}.{part}" for duty in empty for part in ("name", "phone")]
    body = body_of(DepartmentPeopleBody, desk.form, but=left_out, given=ended)
    await desk.act(department_people.set_people, department_id=department_id, body=body)
    return Gone(f"/office/departments/{department_id}/people", phrase("Saved."))


async def show_without(desk: Desk) -> Shown:
    """Departments of which the liaison or the leader in charge is nobody."""
    query = made_of(PageQuery, {"cursor": desk.request.query.get("cursor")})
    found = await desk.get(department_people.list_without_people, query=query)
    return Shown("office/departments_without.html", {
        "departments": found.items,
        "next": found.next_cursor,
        "duties": DUTIES,
        "kind_words": words.KINDS,
    })  # fmt: skip
