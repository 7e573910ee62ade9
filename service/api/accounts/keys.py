"""Keys: made by one person, activated by another, rotated and revoked."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import Field, StringConstraints

from service.accounts import manage
from service.accounts.keys import key_store
from service.accounts.keys.key import Key, Mode, NewKey
from service.api.accounts.departments import AreaCode, Requests
from service.api.http.call import Call
from service.api.http.paging import PageQuery, cut
from service.api.http.schema import Body, Instant, Int, Line, Out, Page
from service.audience.areas.area_store import area_names

Scope = Annotated[str, StringConstraints(pattern="^[a-z_:]{1,40}$")]


class KeyBody(Body):
    """A key to be made; it works once somebody else has activated it."""

    user_id: UUID
    name: Line
    expires_at: Instant | None = None
    mode: Mode = Field(
        default=Mode.LIVE,
        description="trial: reaches only the guests of the department; test: sends nothing, ever.",
    )
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=50)] | None = Field(
        default=None,
        description="Rights by name; null: whatever the user may.",
    )
    area_codes: Annotated[list[AreaCode], Field(min_length=1, max_length=100)] | None = None
    rosters: Annotated[list[Line], Field(min_length=1, max_length=100)] | None = None
    networks: (
        Annotated[
            list[Annotated[str, StringConstraints(max_length=60)]],
            Field(min_length=1, max_length=50),
        ]
        | None
    ) = Field(default=None, description="Addresses or networks it may be used from; null: any.")
    requests_per_minute: Requests | None = None


class RotateBody(Body):
    """How long the old token works beside the new one, once that works."""

    overlap_hours: Annotated[Int, Field(ge=0, le=720)] = 24


class KeyOut(Out):
    """A key, without its token."""

    id: UUID
    user_id: UUID
    department_id: UUID
    name: str
    state: Literal["pending", "active", "expired", "revoked"]
    mode: Mode
    scopes: list[str] | None
    area_codes: list[str] | None
    area_names: list[str | None] | None = Field(description="Of `area_codes`, in their order.")
    rosters: list[str] | None
    networks: list[str] | None
    requests_per_minute: int | None
    created_by: UUID | None
    created_at: Instant
    activated_by: UUID | None
    activated_at: Instant | None
    expires_at: Instant | None
    revoked_at: Instant | None
    last_used_at: Instant | None = Field(description="To a minute.")
    replaces: UUID | None = Field(description="The first key of the grant that it renews.")

    @classmethod
    async def of(cls, call: Call, key: Key) -> Self:
        """What is shown of a key."""
        return cls.model_validate(_shown(key, call, await _area_names(call, [key])))


class NewKeyOut(KeyOut):
    """A new key with its token, which is never shown again."""

    token: str


async def list_keys(call: Call, query: PageQuery) -> Page[KeyOut]:
    """List the keys of the users that you see."""
    found = await key_store.list_keys(call.conn, call.user.scope, query.before, query.wanted)
    names = await _area_names(call, found)
    shown = [KeyOut.model_validate(_shown(key, call, names)) for key in found]
    return cut(Page[KeyOut], shown, query)


async def get_key(call: Call, key_id: UUID) -> KeyOut:
    """Show a key."""
    return await KeyOut.of(call, await key_store.get_key(call.conn, key_id, call.user.scope))


async def create_key(call: Call, body: KeyBody) -> NewKeyOut:
    """Make a key; the answer shows its token this once, and somebody else must activate it."""
    values: dict[str, Any] = {
        name: tuple(dict.fromkeys(value)) if isinstance(value, list) else value
        for name, value in body.model_dump().items()
    }
    new = NewKey(created_by=call.user.id, **values)
    key, token = await manage.create_key(call.conn, call.runtime.keyring, call.user, new, call.now)
    names = await _area_names(call, [key])
    return NewKeyOut.model_validate(_shown(key, call, names) | {"token": token})


async def activate_key(call: Call, key_id: UUID) -> KeyOut:
    """Let a key work, as the second person."""
    return await KeyOut.of(call, await manage.activate_key(call.conn, call.user, key_id, call.now))


async def rotate_key(call: Call, key_id: UUID, body: RotateBody) -> NewKeyOut:
    """Make a new token for the same grant; that of somebody else waits for a second person."""
    key, token = await manage.rotate_key(
        call.conn,
        call.runtime.keyring,
        call.user,
        call.key,
        key_id,
        timedelta(hours=body.overlap_hours),
        call.now,
    )
    names = await _area_names(call, [key])
    return NewKeyOut.model_validate(_shown(key, call, names) | {"token": token})


async def revoke_key(call: Call, key_id: UUID) -> None:
    """Put a key out of service for good."""
    await manage.revoke_key(call.conn, call.user, key_id, call.now)


async def _area_names(call: Call, keys: Iterable[Key]) -> Mapping[str, str]:
    codes = (code for key in keys for code in key.grant.area_codes or ())
    return await area_names(call.conn, codes)


def _shown(key: Key, call: Call, areas: Mapping[str, str]) -> dict[str, object]:
    grant = {name: getattr(key.grant, name) for name in KeyOut.model_fields
             if hasattr(key.grant, name)}  # fmt: skip
    own = {name: getattr(key, name) for name in KeyOut.model_fields if hasattr(key, name)}
    codes = key.grant.area_codes
    return {
        **grant,
        **own,
        "state": key.state(call.now),
        "area_names": None if codes is None else [areas.get(code) for code in codes],
    }
