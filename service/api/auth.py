"""Who is asking: `Authorization: Bearer tk_…`, looked up by its keyed hash."""

from aiohttp import web

from service.accounts.keys import user_of
from service.accounts.model import User
from service.api.problems import Unauthorized
from service.runtime import Runtime
from service.web import USER_ID

_SCHEME = "bearer "
_HOW = "send the header Authorization: Bearer, followed by a key"


async def authenticate(request: web.Request, runtime: Runtime) -> User:
    """The user for whom the request's key acts.

    Raises:
        Unauthorized: there is no key, or it is unknown, expired or revoked.
    """
    header = request.headers.get("Authorization", "")
    if header[: len(_SCHEME)].lower() != _SCHEME:
        raise Unauthorized(f"a key is needed: {_HOW}")
    token = header[len(_SCHEME) :].strip()
    async with runtime.pool.acquire() as conn:
        user = await user_of(conn, runtime.keyring, token, runtime.clock.now())
    if user is None:
        raise Unauthorized(f"this key is unknown, expired or revoked: {_HOW}")
    request[USER_ID] = str(user.id)
    return user
