"""A form that came when the session was over: sealed, kept by the browser, given back after login.

Only the same person gets it back, who then looks at it again: nothing is done by logging in.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from aiohttp import web
from multidict import MultiDictProxy

from service.accounts.keys.keys import token_hash
from service.accounts.login.session_store import user_of_session
from service.console.session import CSRF, session_of
from service.crypto import Undecipherable
from service.web import ENTRY, RUNTIME

_KIND = "held_form"
SHOW = "_show"
"""The field of a form that is to be shown again, and not carried out."""


@dataclass(frozen=True, slots=True)
class HeldForm:
    """Where a form was to go, and its fields, of which one name may stand several times."""

    path: str
    fields: Sequence[tuple[str, str]]
    user_id: UUID | None


async def former_user(request: web.Request) -> UUID | None:
    """Whose session the browser's cookie is or was."""
    keyring = request.config_dict[RUNTIME].keyring
    session = session_of(request, keyring)
    if session is None:
        return None
    async with request.config_dict[ENTRY].acquire() as conn:
        return await user_of_session(conn, token_hash(keyring, session.token))


async def seal(request: web.Request, form: MultiDictProxy[str]) -> str:
    """A form as the login page carries it."""
    user_id = await former_user(request)
    fields = [(name, value) for name, value in form.items() if name != CSRF]
    told = [request.path, fields, str(user_id) if user_id else None]
    keyring = request.config_dict[RUNTIME].keyring
    return keyring.encrypt_bytes(_KIND, json.dumps(told).encode()).hex()


def unseal(request: web.Request, sealed: str) -> HeldForm | None:
    """The form that a login page carried; None: it is none of ours."""
    keyring = request.config_dict[RUNTIME].keyring
    try:
        told = json.loads(keyring.decrypt_bytes(_KIND, bytes.fromhex(sealed)))
    except (Undecipherable, ValueError):
        return None
    path, fields, user_id = told
    return HeldForm(
        path, [(name, value) for name, value in fields], UUID(user_id) if user_id else None
    )
