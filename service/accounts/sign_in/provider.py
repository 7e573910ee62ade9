"""A provider of OpenID Connect over HTTP: its addresses, its keys, and a token for a code.

Authorization code with PKCE (RFC 7636, S256). The provider is asked by TLS, or on this machine; no
redirect is followed, and an answer has a largest size. What it says of itself is kept for a while.
"""

import asyncio
import base64
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import aiohttp

from service.accounts.sign_in.id_token import UnknownKey, check_token
from service.settings import Settings, is_private_way

SECONDS = 10.0
"""How long one answer of the provider may take."""
MOST_OCTETS = 256 * 1024
KEPT_SECONDS = 3600.0
"""How long the provider's addresses are kept, and its keys while they do."""
AGAIN_SECONDS = 30.0
"""How soon its keys are asked for again because a token had another one."""
CALLBACK = "/login/provider/return"
SCOPE = "openid"
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "jwks_uri")


class ProviderFailed(Exception):
    """The provider does not answer, or not as it must; in words without anything of the answer."""


class CodeRefused(Exception):
    """The provider gives no token for this code: it is used, too old, or for somebody else."""


@dataclass(slots=True)
class Provider:
    """The provider of this deployment, and what is known of it."""

    issuer: str
    client_id: str
    client_secret: str
    redirect_uri: str
    _document: Mapping[str, Any] = field(default_factory=dict)
    _document_at: float = -KEPT_SECONDS
    _keys: Mapping[str, Any] = field(default_factory=dict)
    _keys_at: float = -KEPT_SECONDS
    _reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def authorization_url(self, state: str, nonce: str, verifier: str) -> str:
        """Where the browser is sent to sign in.

        Raises:
            ProviderFailed: it does not say where.
        """
        address = (await self._known())["authorization_endpoint"]
        challenge = base64.urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=")
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPE,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge.decode(),
            "code_challenge_method": "S256",
        }
        return f"{address}{'&' if urlsplit(address).query else '?'}{urlencode(asked)}"

    async def names_itself(self, given: str | None) -> bool:
        """Whether an answer that names this issuer (RFC 9207), or none, may be the provider's."""
        known = await self._known()
        if given is None:
            return known.get("authorization_response_iss_parameter_supported") is not True
        return given == self.issuer

    async def subject_of(self, code: str, verifier: str, nonce: str) -> str:
        """Whom the provider has signed in, by the code that the browser brought.

        Raises:
            CodeRefused: it gives no token for it.
            BadToken: its token is not as it must be.
            ProviderFailed: it does not answer.
        """
        token = await self._token(code, verifier)
        try:
            return self._subject(token, await self._key_set(0.0), nonce)
        except UnknownKey:
            return self._subject(token, await self._key_set(AGAIN_SECONDS), nonce)

    def _subject(self, token: str, keys: Mapping[str, Any], nonce: str) -> str:
        return check_token(
            token,
            keys,
            issuer=self.issuer,
            client_id=self.client_id,
            nonce=nonce,
            now=time.time(),  # the provider lives in the world's time, whatever ours is set to
        )

    async def _token(self, code: str, verifier: str) -> str:
        address = (await self._known())["token_endpoint"]
        given = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if self.client_secret:  # RFC 6749 §2.3.1
            pair = f"{quote(self.client_id, safe='')}:{quote(self.client_secret, safe='')}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            given["client_id"] = self.client_id
        status, answer = await _ask("POST", address, data=given, headers=headers)
        if status == 400:
            raise CodeRefused(_word(answer.get("error")))
        token = answer.get("id_token")
        if status != 200 or not isinstance(token, str):
            raise ProviderFailed(f"the token endpoint answered {status}")
        return token

    async def _known(self) -> Mapping[str, Any]:
        """What the provider says of itself (OpenID Connect Discovery 1.0 §4)."""
        async with self._reading:
            if time.monotonic() - self._document_at >= KEPT_SECONDS:
                address = f"{self.issuer.rstrip('/')}/.well-known/openid-configuration"
                status, document = await _ask("GET", address)
                if status != 200 or document.get("issuer") != self.issuer:
                    raise ProviderFailed(f"discovery answered {status}, or names another issuer")
                for name in _ENDPOINTS:
                    if not is_private_way(urlsplit(str(document.get(name, "")))):
                        raise ProviderFailed(f"{name} is no https address")
                self._document, self._document_at = document, time.monotonic()
            return self._document

    async def _key_set(self, again: float) -> Mapping[str, Any]:
        """The provider's keys. again: they are read anew if they are older than so many seconds;
        0: if they are too old to be kept.
        """
        address = (await self._known())["jwks_uri"]
        async with self._reading:
            if time.monotonic() - self._keys_at >= (again or KEPT_SECONDS):
                status, keys = await _ask("GET", address)
                if status != 200:
                    raise ProviderFailed(f"the keys answered {status}")
                self._keys, self._keys_at = keys, time.monotonic()
            return self._keys


def provider_of(settings: Settings) -> Provider | None:
    """The provider of a deployment; None: there is none."""
    if settings.sign_in_issuer is None or settings.console_url is None:
        return None
    return Provider(
        settings.sign_in_issuer,
        settings.sign_in_client_id,
        settings.sign_in_client_secret,
        settings.console_url + CALLBACK,
    )


async def _ask(method: str, address: str, **options: Any) -> tuple[int, Mapping[str, Any]]:
    """The status and the JSON object of an answer; an empty one for what is none.

    Raises:
        ProviderFailed: there is no answer in time, or it is too large.
    """
    limits = aiohttp.ClientTimeout(total=SECONDS)
    jar = aiohttp.DummyCookieJar()
    try:
        async with (
            aiohttp.ClientSession(timeout=limits, cookie_jar=jar) as session,
            session.request(method, address, allow_redirects=False, **options) as answer,
        ):
            body = await answer.content.read(MOST_OCTETS)
            while not answer.content.at_eof() and len(body) < MOST_OCTETS:
                body += await answer.content.read(MOST_OCTETS)
            if len(body) >= MOST_OCTETS:
                raise ProviderFailed("an answer is too large")
            return answer.status, _object(body)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise ProviderFailed(f"no answer: {type(error).__name__}") from error


def _object(body: bytes) -> Mapping[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _word(error: object) -> str:
    """An error code of RFC 6749 §5.2; nothing else that a provider might say."""
    known = {"invalid_grant", "invalid_client", "invalid_request", "unauthorized_client"}
    return error if isinstance(error, str) and error in known else "another error"
