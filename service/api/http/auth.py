"""Who is asking: `Authorization: Bearer tk_…`, looked up by its keyed hash.

A key may be bound to networks; behind a proxy of ours, the address is the one that it names.
"""

from dataclasses import replace

from aiohttp import web

from service.accounts.keys import key_store
from service.accounts.keys.key import is_within
from service.accounts.keys.keys import Caller, caller_of
from service.accounts.login.login import PREFIX as SESSION
from service.accounts.login.login import session_caller
from service.accounts.people.deputies import standing_in
from service.api.http.admission import ADMISSION
from service.api.http.problems import Unauthorized
from service.runtime import Runtime
from service.web import ENTRY, USER_ID
from service.words.phrase import phrase

_SCHEME = "bearer "
_HOW = phrase("send the header Authorization: Bearer, followed by a key")


async def authenticate(request: web.Request, runtime: Runtime) -> Caller:
    """For whom the request's token acts, and in whose place; looked up in the caller's turn.

    Raises:
        Unavailable: code `busy`: the caller has too many requests waiting, or all have.
        Unauthorized: there is no token, or it is unknown, expired, revoked or not activated yet.
        Forbidden: the key may not be used from this address.
    """
    header = request.headers.get("Authorization", "")
    if header[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthorized(phrase("a key is needed: {how}", how=_HOW))
    token = header[len(_SCHEME) :].strip()
    if not token.isascii():
        raise Unauthorized(
            phrase("a key has letters, digits and signs of ASCII only: {how}", how=_HOW)
        )
    return await caller_by(request, token, runtime)


async def caller_by(
    request: web.Request, token: str, runtime: Runtime, *, used: bool = True
) -> Caller:
    """For whom a token acts, and in whose place; looked up in the caller's turn.

    used: whether the session is thereby used, so that it does not end by being idle.

    Raises:
        Unavailable, Unauthorized, Forbidden: as `authenticate`.
    """
    admission = request.config_dict[ADMISSION]
    address = address_of(request, runtime.settings.proxies)
    async with admission.looked_up(token, address), request.config_dict[ENTRY].acquire() as conn:
        now = runtime.clock.now()
        if token.startswith(SESSION):
            caller = await session_caller(conn, runtime.keyring, token, now, used=used)
        else:
            caller = await caller_of(conn, runtime.keyring, token, now)
        if caller is None:
            raise Unauthorized(
                phrase(
                    "this key is unknown, expired, revoked, or waits for its second person: {how}",
                    how=_HOW,
                )
            )
        if caller.key is not None:
            caller.key.need_address(address)
            await key_store.touch_key(conn, caller.key, now)
        if caller.deputises:
            caller = replace(caller, user=await standing_in(conn, caller.user, now))
        if runtime.settings.separate_audit:
            caller = replace(caller, user=replace(caller.user, audit_apart=True))
        admission.remember(token, caller.user)
    request[USER_ID] = str(caller.user.id)
    return caller


def address_of(request: web.Request, proxies: tuple[str, ...]) -> str:
    """The address of whoever asks: the last one that no proxy of ours has.

    What a stranger writes into X-Forwarded-For counts for nothing.
    """
    named = ",".join(request.headers.getall("X-Forwarded-For", ()))
    path = [part.strip() for part in named.split(",") if part.strip()]
    address = request.remote or ""
    while path and is_within(address, proxies):
        address = path.pop()
    return address


def printable(header: str) -> str:
    """A header as it may be kept: octets that are no text have a sign in their place."""
    return header.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
