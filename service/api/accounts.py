"""Departments, users and keys."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from service.accounts import manage, store
from service.accounts.model import NewDepartment, NewKey, NewUser, Role
from service.api.call import Call
from service.api.paging import PageQuery, cut
from service.api.schema import Body, Instant, Int, Line, OptionalLine, Out, Page

Weight = Annotated[
    Int,
    Field(
        ge=1,
        le=100,
        description="How much it counts beside others when a channel is shared.",
    ),
]


class DepartmentBody(Body):
    """A department to be made."""

    name: Line
    kind: Literal["county", "carrier", "police", "department", "school"] = "department"
    signature: OptionalLine = Field(default="", description="The signature its texts begin with.")
    weight: Weight = 10


class DepartmentPatch(Body):
    """What is to change of a department."""

    weight: Weight


class DepartmentOut(Out):
    """A department."""

    id: UUID
    name: str
    kind: str
    signature: str
    weight: int
    created_at: Instant


class UserBody(Body):
    """A user to be made; without a department, in the caller's own."""

    department_id: UUID | None = None
    login: Line
    name: Line
    roles: Annotated[list[Role], Field(min_length=1)]


class UserOut(Out):
    """A user."""

    id: UUID
    department_id: UUID
    login: str
    name: str
    roles: list[Role]
    disabled_at: Instant | None


class KeyBody(Body):
    """A key to be made."""

    user_id: UUID
    name: Line
    expires_at: Instant | None = None


class KeyOut(Out):
    """A key, without its token."""

    id: UUID
    user_id: UUID
    name: str
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None


class NewKeyOut(KeyOut):
    """A new key with its token, which is never shown again."""

    token: str


async def list_departments(call: Call, query: PageQuery) -> Page[DepartmentOut]:
    """List the departments that you see."""
    found = await store.list_departments(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[DepartmentOut], found, query)


async def create_department(call: Call, body: DepartmentBody) -> DepartmentOut:
    """Make a department; for administrators of a county."""
    new = NewDepartment(body.name, body.kind, body.signature, body.weight)
    made = await manage.create_department(call.conn, call.user, new, call.now)
    return DepartmentOut.model_validate(made)


async def edit_department(call: Call, department_id: UUID, body: DepartmentPatch) -> DepartmentOut:
    """Change a department's share of the channels; for administrators of a county."""
    made = await manage.set_weight(call.conn, call.user, department_id, body.weight)
    return DepartmentOut.model_validate(made)


async def list_users(call: Call, query: PageQuery) -> Page[UserOut]:
    """List the users that you see."""
    found = await store.list_users(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[UserOut], found, query)


async def create_user(call: Call, body: UserBody) -> UserOut:
    """Make a user."""
    new = NewUser(
        department_id=body.department_id or call.user.department_id,
        login=body.login,
        name=body.name,
        roles=frozenset(body.roles),
    )
    return UserOut.model_validate(await manage.create_user(call.conn, call.user, new))


async def list_keys(call: Call, query: PageQuery) -> Page[KeyOut]:
    """List the keys of the users that you see."""
    found = await store.list_keys(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[KeyOut], found, query)


async def create_key(call: Call, body: KeyBody) -> NewKeyOut:
    """Make a key; the answer shows its token this once."""
    new = NewKey(body.user_id, body.name, call.user.id, body.expires_at)
    key, token = await manage.create_key(call.conn, call.runtime.keyring, call.user, new, call.now)
    return NewKeyOut(**KeyOut.model_validate(key).model_dump(), token=token)


async def revoke_key(call: Call, key_id: UUID) -> None:
    """Put a key out of service for good."""
    await store.revoke_key(call.conn, key_id, call.user.scope, call.now)
