"""The ID token of a provider: whom it names, once everything about it is as it must be.

OpenID Connect Core 1.0 §3.1.3.7. The signature is checked with the provider's own public keys and
with algorithms of public keys alone, whatever the token says of itself.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any, TypeGuard

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

ALGORITHMS = (
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "Ed25519",
    "EdDSA",
)  # fmt: skip
SKEW_SECONDS = 60
"""How far the provider's clock may differ from this machine's."""
OLDEST_SECONDS = 600
"""How old a token may be: it is made while the browser waits."""
MOST_SUBJECT = 255
"""Characters of a subject (§2)."""


class BadToken(Exception):
    """Why a token is not believed, in words without anything of the token."""


class UnknownKey(BadToken):
    """It is signed with a key that the provider had not when its keys were read."""


def check_token(
    token: str,
    keys: Mapping[str, Any],
    *,
    issuer: str,
    client_id: str,
    nonce: str,
    now: float,
) -> str:
    """The subject of a token. keys: the provider's JWK set. now: seconds since the epoch.

    Raises:
        UnknownKey: none of the keys is the token's.
        BadToken: anything else about it is not as it must be.
    """
    claims = _signed_claims(token, keys)
    if claims.get("iss") != issuer:
        raise BadToken("another issuer")
    audience = claims.get("aud")
    for_us = [audience] if isinstance(audience, str) else audience
    if not isinstance(for_us, list) or client_id not in for_us:
        raise BadToken("another audience")
    if (len(for_us) > 1 or "azp" in claims) and claims.get("azp") != client_id:
        raise BadToken("another authorized party")
    _check_times(claims, now)
    given = claims.get("nonce")
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise BadToken("another nonce")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject) <= MOST_SUBJECT:
        raise BadToken("no subject")
    return subject


def _signed_claims(token: str, keys: Mapping[str, Any]) -> Mapping[str, Any]:
    usable = [key for key in _listed(keys) if key.get("use", "sig") == "sig"]
    usable = [key for key in usable if key.get("kty") in {"RSA", "EC", "OKP"}]
    if not usable:
        raise UnknownKey("the provider has no key for signatures")
    try:
        read = jwt.decode(
            token, KeySet.import_key_set({"keys": usable}), algorithms=list(ALGORITHMS)
        )
    except JoseError as error:
        if error.error in {"invalid_key_id", "missing_key"}:
            raise UnknownKey("a key that is not known") from error
        raise BadToken(f"not signed as it must be: {error.error}") from error
    except (ValueError, TypeError, KeyError) as error:
        raise BadToken(f"not readable: {type(error).__name__}") from error
    return read.claims


def _listed(keys: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    found = keys.get("keys")
    return [key for key in found if isinstance(key, dict)] if isinstance(found, list) else []


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    until, since = claims.get("exp"), claims.get("iat")
    if not _is_number(until) or until <= now - SKEW_SECONDS:
        raise BadToken("expired")
    if not _is_number(since) or not now - OLDEST_SECONDS < since <= now + SKEW_SECONDS:
        raise BadToken("not of now")


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
