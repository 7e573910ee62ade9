"""Whether a callback is the provider's: an HMAC over it, or a shared secret in a header."""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from service.channels.contract.gateway import Callback
from service.errors import Forbidden
from service.words.phrase import phrase

Algorithm = Literal["sha256", "sha1", "sha512", "none"]
Encoding = Literal["hex", "base64"]

PLACES = frozenset({"body", "url", "method", "timestamp"})
"""What can be signed, as placeholders of `signed`."""

_PLACE = re.compile(r"\{(\w+)\}")
_HASHES: Mapping[Algorithm, Callable[..., "hashlib._Hash"]] = {
    "sha256": hashlib.sha256,
    "sha1": hashlib.sha1,
    "sha512": hashlib.sha512,
}


@dataclass(frozen=True, slots=True)
class Signature:
    """How a provider signs.

    header: where the signature stands, after `prefix` ("sha256=" with some).
    algorithm: of the HMAC; "none": the header holds the secret itself.
    signed: what the HMAC is over, e.g. "{timestamp}.{body}".
    timestamp_header: where the provider says when it signed, in seconds or milliseconds since the
        epoch or as an RFC 3339 instant; "": it does not.
    tolerance_seconds: how far that may be from our own clock, either way.
    """

    header: str
    algorithm: Algorithm
    encoding: Encoding
    prefix: str
    signed: str
    timestamp_header: str
    tolerance_seconds: float


def expected(signature: Signature, secret: str, callback: Callback, timestamp: str) -> str:
    """The signature that a genuine callback has, without the prefix."""
    if signature.algorithm == "none":
        return secret
    parts: dict[str, bytes] = {
        "body": callback.body,
        "url": callback.url.encode(),
        "method": callback.method.encode(),
        "timestamp": timestamp.encode(),
    }
    pieces = _PLACE.split(signature.signed)
    over = b"".join(
        parts[piece] if place % 2 else piece.encode() for place, piece in enumerate(pieces)
    )
    digest = hmac.new(secret.encode(), over, _HASHES[signature.algorithm]).digest()
    return digest.hex() if signature.encoding == "hex" else base64.b64encode(digest).decode()


def verify(signature: Signature, secret: str, callback: Callback) -> None:
    """Let a genuine callback pass.

    Raises:
        Forbidden: the channel has no secret, or the signature is missing, wrong or too old.
    """
    if not secret:
        raise Forbidden(phrase("this channel takes no callbacks: give it a callback_secret"))
    given = callback.headers.get(signature.header.lower(), "").strip()
    if not given:
        raise Forbidden(
            phrase("the header {header} with the signature is missing", header=signature.header)
        )
    timestamp = ""
    if signature.timestamp_header:
        timestamp = callback.headers.get(signature.timestamp_header.lower(), "").strip()
        _check_age(signature, timestamp, callback.received_at)
    wanted = signature.prefix + expected(signature, secret, callback, timestamp)
    if signature.encoding == "hex" and signature.algorithm != "none":
        given = given.lower()
        wanted = wanted.lower()
    if not hmac.compare_digest(given.encode(), wanted.encode()):
        raise Forbidden(
            phrase(
                "the signature is wrong; compare callback_secret, signed and public_url"
                " with the provider's settings"
            )
        )


def _check_age(signature: Signature, timestamp: str, now: datetime) -> None:
    at = _instant(timestamp)
    if at is None:
        raise Forbidden(
            phrase(
                "the header {timestamp_header} has no instant",
                timestamp_header=signature.timestamp_header,
            )
        )
    if abs(now - at) > timedelta(seconds=signature.tolerance_seconds):
        raise Forbidden(phrase("the signature is too old, or the clocks differ too much"))


def _instant(text: str) -> datetime | None:
    try:
        if text.isascii() and text.isdecimal():
            seconds = int(text) / 1000 if len(text) > 11 else int(text)
            return datetime.fromtimestamp(seconds, UTC)
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError, OSError):
        return None
    return at if at.tzinfo else None
