"""The names of departments, for whoever plans with them."""

from uuid import UUID

from pydantic import Field

from service.accounts.departments import name_store
from service.accounts.departments.department import JOINT_KINDS
from service.api.http.call import Call
from service.api.http.paging import IdList, ids_of
from service.api.http.schema import Out, QueryString


class DepartmentNamesQuery(QueryString):
    """Whose names."""

    ids: IdList | None = Field(
        default=None,
        description="Of these departments; ids with commas between them, at most 100.",
    )


class DepartmentNameOut(Out):
    """What a department is called."""

    id: UUID
    name: str
    kind: str
    carrier: str | None


class DepartmentNamesOut(Out):
    """Departments, by name."""

    items: list[DepartmentNameOut]


async def list_department_names(call: Call, query: DepartmentNamesQuery) -> DepartmentNamesOut:
    """List whom a joint plan may ask: all departments, for the county and the police."""
    kind, own = call.user.department_kind, call.user.department_id
    found = await name_store.list_names(call.conn, ids_of(query.ids))
    seen = [one for one in found if kind in JOINT_KINDS or one.id == own]
    return DepartmentNamesOut(items=[DepartmentNameOut.model_validate(one) for one in seen])
