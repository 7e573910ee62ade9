"""Users: what each may do, by roles and by single rights."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Self
from uuid import UUID

from pydantic import Field

from service.accounts import manage
from service.accounts.people import grant_store, grants, store
from service.accounts.people.grant_store import RightsGrant
from service.accounts.people.grants import GrantState
from service.accounts.people.model import NewUser, Right, Role, User, rights_of
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Line, Out, Page

RightWord = Annotated[
    str,
    Field(
        pattern="^(" + "|".join(right.word for right in Right) + ")$",
        description="A right by its name.",
    ),
]
UserRoles = Annotated[list[Role], Field(max_length=10)]
Rights = Annotated[list[RightWord], Field(max_length=50)]


class UserBody(Body):
    """A user to be made; without a department, in the caller's own."""

    department_id: UUID | None = None
    login: Line
    name: Line
    roles: Annotated[UserRoles, Field(min_length=1)] | None = None
    rights: Rights = Field(default=[], description="Beyond those of the roles.")


class UserPatch(Body):
    """What is to change of a user; the rest stays."""

    name: Line | None = None
    roles: UserRoles | None = None
    rights: Rights | None = None
    disabled: bool | None = Field(default=None, description="Out of service, or in it again.")


class GrantOut(Out):
    """Roles and rights that somebody proposed for a user; `confirmed`, `narrowed`: they counted
    from then on. `rights` are beyond those of the roles.
    """

    id: UUID
    user_id: UUID
    roles: list[Role]
    rights: list[str]
    enables: bool = Field(description="It puts the user back into service.")
    state: GrantState
    proposed_by: UUID
    proposed_at: Instant
    confirmed_by: UUID | None
    confirmed_at: Instant | None

    @classmethod
    def of(cls, grant: RightsGrant, call: Call) -> Self:
        """What is shown of a grant."""
        return cls.model_validate(
            grant._asdict()
            | {
                "roles": sorted(grant.roles),
                "rights": sorted(right.word for right in grant.rights),
                "state": grants.state_of(grant, call.now),
            }
        )


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
    proposed: GrantOut | None = Field(
        description="What the user gets once a second person has confirmed it."
    )
    held_by: list[UUID] = Field(
        description="Who made a key of theirs or gave the password, so counts as them wherever a"
        " second person is asked for."
    )

    @classmethod
    async def of(cls, call: Call, user: User) -> Self:
        """What is shown of a user."""
        return (await cls.of_all(call, [user]))[0]

    @classmethod
    async def of_all(cls, call: Call, users: Sequence[User]) -> list[Self]:
        """What is shown of several users."""
        waiting = await grants.waiting(call.conn, users, call.now)
        holders = await store.list_holders(call.conn, [user.id for user in users], call.now)
        return [cls._of(call, user, waiting.get(user.id), holders[user.id]) for user in users]

    @classmethod
    def _of(cls, call: Call, user: User, proposed: RightsGrant | None, held_by: list[UUID]) -> Self:
        user = replace(user, audit_apart=call.runtime.settings.separate_audit)
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
            proposed=GrantOut.of(proposed, call) if proposed else None,
            held_by=held_by,
        )


class UsersQuery(PageQuery):
    """Which users."""

    words: Line | None = Field(
        default=None, description="A part of the name or the login, in any case."
    )
    department_id: UUID | None = Field(default=None, description="Only those of this department.")


async def list_users(call: Call, query: UsersQuery) -> Page[UserOut]:
    """List the users that you see, of a department or by a part of the name."""
    found = await store.list_users(
        call.conn,
        call.user.scope,
        query.before,
        query.wanted,
        words=query.words or "",
        department_id=query.department_id,
    )
    return cut(Page[UserOut], await UserOut.of_all(call, found), query)


async def get_user(call: Call, user_id: UUID) -> UserOut:
    """Show a user."""
    return await UserOut.of(call, await store.get_user(call.conn, user_id, call.user.scope))


async def create_user(call: Call, body: UserBody) -> UserOut:
    """Make a user; the roles and rights, no more than your own, wait for a second person."""
    new = NewUser(
        department_id=body.department_id or call.user.department_id,
        login=body.login,
        name=body.name,
        roles=frozenset(body.roles or ()),
        rights=rights_of(body.rights),
    )
    made = await manage.create_user(call.conn, call.user, new, call.now)
    return await UserOut.of(call, made)


async def edit_user(call: Call, user_id: UUID, body: UserPatch) -> UserOut:
    """Change a user, or put them out of service; more rights wait for a second person."""

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

    restated = any(value is not None for value in (body.roles, body.rights, body.disabled))
    made = await manage.edit_user(
        call.conn, call.user, user_id, change, call.now, restated=restated
    )
    return await UserOut.of(call, made)


async def list_grants(call: Call, user_id: UUID, query: PageQuery) -> Page[GrantOut]:
    """List what was proposed for a user, and what became of it, from new to old."""
    await store.get_user(call.conn, user_id, call.user.scope)
    found = await grant_store.list_grants(call.conn, user_id, query.before, query.wanted)
    return cut(Page[GrantOut], [GrantOut.of(grant, call) for grant in found], query)


async def confirm_grant(call: Call, user_id: UUID, grant_id: UUID) -> GrantOut:
    """Let proposed roles and rights count, as the second person."""
    made = await grants.confirm(call.conn, call.user, user_id, grant_id, call.now)
    call.note("users", user_id, grant=str(made.id))
    return GrantOut.of(made, call)
