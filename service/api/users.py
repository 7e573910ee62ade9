"""Users: what each may do, by roles and by single rights."""

from dataclasses import replace
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from service.accounts import manage, store
from service.accounts.model import NewUser, Right, Role, User, rights_of
from service.api.call import Call
from service.api.paging import PageQuery, cut
from service.api.schema import Body, Instant, Line, Out, Page

RightWord = Annotated[
    str,
    Field(
        pattern="^(" + "|".join(right.word for right in Right) + ")$",
        description="A right by its name.",
    ),
]
Roles = Annotated[list[Role], Field(max_length=10)]
Rights = Annotated[list[RightWord], Field(max_length=50)]


class UserBody(Body):
    """A user to be made; without a department, in the caller's own."""

    department_id: UUID | None = None
    login: Line
    name: Line
    roles: Annotated[Roles, Field(min_length=1)] | None = None
    rights: Rights = Field(default=[], description="Beyond those of the roles.")


class UserPatch(Body):
    """What is to change of a user; the rest stays."""

    name: Line | None = None
    roles: Roles | None = None
    rights: Rights | None = None
    disabled: bool | None = Field(default=None, description="Out of service, or in it again.")


class UserOut(Out):
    """A user. `rights` are beyond those of the roles, `may` are all together."""

    id: UUID
    department_id: UUID
    login: str
    name: str
    roles: list[Role]
    rights: list[str]
    may: list[str]
    disabled_at: Instant | None
    password_from: UUID | None = Field(
        description="Who gave a password that waits for its second person."
    )

    @classmethod
    def of(cls, user: User) -> Self:
        """What is shown of a user."""
        return cls(
            id=user.id,
            department_id=user.department_id,
            login=user.login,
            name=user.name,
            roles=sorted(user.roles),
            rights=sorted(right.word for right in user.rights),
            may=sorted(right.word for right in Right if user.may(right)),
            disabled_at=user.disabled_at,
            password_from=user.password_from,
        )


async def list_users(call: Call, query: PageQuery) -> Page[UserOut]:
    """List the users that you see."""
    found = await store.list_users(call.conn, call.user.scope, query.before, query.wanted)
    return cut(Page[UserOut], [UserOut.of(user) for user in found], query)


async def get_user(call: Call, user_id: UUID) -> UserOut:
    """Show a user."""
    return UserOut.of(await store.get_user(call.conn, user_id, call.user.scope))


async def create_user(call: Call, body: UserBody) -> UserOut:
    """Make a user, with no more rights than your own."""
    new = NewUser(
        department_id=body.department_id or call.user.department_id,
        login=body.login,
        name=body.name,
        roles=frozenset(body.roles or ()),
        rights=rights_of(body.rights),
    )
    return UserOut.of(await manage.create_user(call.conn, call.user, new))


async def edit_user(call: Call, user_id: UUID, body: UserPatch) -> UserOut:
    """Change what a user may do, or put the user out of service."""

    def change(user: User) -> User:
        changed = user
        if body.name is not None:
            changed = replace(changed, name=body.name)
        if body.roles is not None:
            changed = replace(changed, roles=frozenset(body.roles))
        if body.rights is not None:
            changed = replace(changed, rights=rights_of(body.rights))
        if body.disabled is not None:
            out_since = (user.disabled_at or call.now) if body.disabled else None
            changed = replace(changed, disabled_at=out_since)
        return changed

    return UserOut.of(await manage.edit_user(call.conn, call.user, user_id, change))
