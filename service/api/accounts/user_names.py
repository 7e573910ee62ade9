"""The names of users, for whoever reads who did something."""

from uuid import UUID

from pydantic import Field

from service.accounts.people import store
from service.accounts.people.model import Right
from service.api.http.call import Call
from service.api.http.paging import IdList, PageQuery, cut, ids_of
from service.api.http.schema import Out, Page


class UserNameOut(Out):
    """A user by name, and nothing else of theirs."""

    id: UUID
    name: str
    department_id: UUID
    disabled: bool = Field(description="Out of service.")


class UserNamesQuery(PageQuery):
    """Whose names."""

    ids: IdList | None = Field(
        default=None, description="Of these users; ids with commas between them, at most 100."
    )


async def list_user_names(call: Call, query: UserNamesQuery) -> Page[UserNameOut]:
    """List the names of the users that you see: for whoever reads reports or the audit trail."""
    if not call.user.may(Right.AUDIT):
        call.user.need(Right.REPORTS)
    found = await store.list_users(
        call.conn, call.user.scope, query.before, query.wanted, ids=ids_of(query.ids)
    )
    names = [
        UserNameOut(
            id=user.id,
            name=user.name,
            department_id=user.department_id,
            disabled=user.disabled_at is not None,
        )
        for user in found
    ]
    return cut(Page[UserNameOut], names, query)
