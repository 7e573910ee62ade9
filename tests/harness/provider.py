"""A provider of OpenID Connect over HTTP, which keeps to the protocol unless a test says otherwise.

It signs in whoever comes as `subject`, without a page: the browser is sent back at once.
"""

import base64
import hmac
import json
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from typing import Any
from urllib.parse import quote, urlencode

from aiohttp import web
from aiohttp.test_utils import TestServer
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

CLIENT, SECRET = "tocsin", "a secret: %+&"


@cache
def _key(kid: str) -> RSAKey:
    """One a name, for all tests of a process: to find its primes takes 70 ms."""
    return RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})


@dataclass
class HarnessProvider:
    """What it signs in, and how it misbehaves.

    claims: take the place of those of its tokens; None: the claim is left out. alg, signer: of its
    tokens; kid: what they call their key. issuer_in_answer: what it calls itself on the way back.
    """

    subject: str = "wang"
    claims: dict[str, Any] = field(default_factory=dict)
    alg: str = "RS256"
    kid: str = "first"
    signer: Any = None
    issuer_in_answer: str | None = None
    document: dict[str, Any] = field(default_factory=dict)
    url: str = ""
    keys: dict[str, RSAKey] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    _codes: dict[str, dict[str, str]] = field(default_factory=dict)

    def new_key(self, kid: str) -> None:
        """From now on it signs with another key."""
        self.keys[kid], self.kid = _key(kid), kid

    async def discovery(self, _request: web.Request) -> web.Response:
        """What it says of itself."""
        self.asked.append("discovery")
        told = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "authorization_response_iss_parameter_supported": True,
        }
        return web.json_response(told | self.document)

    async def jwks(self, _request: web.Request) -> web.Response:
        """Its public keys."""
        self.asked.append("keys")
        return web.json_response(KeySet(list(self.keys.values())).as_dict(private=False))

    async def authorize(self, request: web.Request) -> web.Response:
        """Sign in, and send the browser back with a code."""
        asked = dict(request.query)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert asked["client_id"] == CLIENT
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        issuer = self.issuer_in_answer or self.url
        back = urlencode({"code": code, "state": asked["state"], "iss": issuer})
        return web.Response(status=302, headers={"Location": f"{asked['redirect_uri']}?{back}"})

    async def token(self, request: web.Request) -> web.Response:
        """A token for a code, once, to whoever has the verifier."""
        self.asked.append("token")
        given = await request.post()
        quoted = base64.b64encode(f"{CLIENT}:{quote(SECRET, safe='')}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {quoted}":
            return web.json_response({"error": "invalid_client"}, status=401)
        asked = self._codes.pop(str(given["code"]), None)
        digest = sha256(str(given["code_verifier"]).encode()).digest()
        challenge = _encoded(digest)
        fits = (
            asked is not None
            and asked["code_challenge"] == challenge
            and asked["redirect_uri"] == given["redirect_uri"]
        )
        if asked is None or not fits:
            return web.json_response({"error": "invalid_grant"}, status=400)
        return web.json_response({"id_token": self._signed(asked), "token_type": "Bearer"})

    def _signed(self, asked: dict[str, str]) -> str:
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "sub": self.subject,
            "nonce": asked["nonce"],
            "iat": now,
            "exp": now + 300,
        }
        claims = {k: v for k, v in (claims | self.claims).items() if v is not None}
        if self.alg in {"none", "HS256"}:
            return self._made_by_hand(claims)
        key = self.signer or self.keys[self.kid]
        return jwt.encode({"alg": self.alg, "kid": self.kid}, claims, key, algorithms=[self.alg])

    def _made_by_hand(self, claims: dict[str, Any]) -> str:
        """A token that no library makes: without a signature, or with the public key as the secret
        of an HMAC, the old confusion of algorithms.
        """
        head = {"alg": self.alg, "kid": self.kid}
        said = ".".join(_encoded(json.dumps(part).encode()) for part in (head, claims))
        if self.alg == "none":
            return f"{said}."
        public = self.keys[self.kid].as_pem(private=False)
        return f"{said}.{_encoded(hmac.digest(public, said.encode(), 'sha256'))}"


def _encoded(part: bytes) -> str:
    return base64.urlsafe_b64encode(part).rstrip(b"=").decode()


@asynccontextmanager
async def provider() -> AsyncIterator[HarnessProvider]:
    """One on a port of its own."""
    made = HarnessProvider()
    made.new_key("first")
    app = web.Application()
    app.router.add_get("/.well-known/openid-configuration", made.discovery)
    app.router.add_get("/keys", made.jwks)
    app.router.add_get("/authorize", made.authorize)
    app.router.add_post("/token", made.token)
    async with TestServer(app) as server:
        made.url = str(server.make_url("")).rstrip("/")
        yield made
