"""Is this call from the service? The layout is that of Standard Webhooks.

`webhook-signature` holds one or more `v1,BASE64`, each the HMAC-SHA256 over `id.timestamp.body`
with the base64 of the secret after `whsec_`. An event may be told more than once, in no certain
order: keep the ids you have seen, and of two events about one thing believe the higher `version`.
"""

import base64
import binascii
import hashlib
import hmac
import json
import time
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, cast

from tocsin_client.errors import InvalidSignature

TOLERANCE_SECONDS = 300
_PREFIX = "whsec_"


class Event(TypedDict):
    """What the service tells; `id` is the same whenever it is told again."""

    id: str
    type: str
    timestamp: str
    version: int
    data: dict[str, Any]


def verify(
    secret: str | Sequence[str],
    headers: Mapping[str, str],
    body: bytes,
    *,
    tolerance: float = TOLERANCE_SECONDS,
    now: float | None = None,
) -> Event:
    """The event of a call, if the call is from the service.

    secret: what `POST /webhooks` showed; several while one takes over from another.
    headers: of the request; upper and lower case are the same. body: its octets, as they came.
    tolerance: seconds that its time may differ from ours. now: seconds since 1970; None: the
    clock's.

    Raises:
        InvalidSignature: answer 400 and do nothing.
        ValueError: `secret` is none of the service's.
    """
    given = {name.lower(): value for name, value in headers.items()}
    try:
        event_id, sent = given["webhook-id"], given["webhook-timestamp"]
        signatures = given["webhook-signature"].split()
    except KeyError as error:
        raise InvalidSignature(f"the header {error.args[0]} is missing") from None
    if not (sent.isascii() and sent.isdecimal()):
        raise InvalidSignature("webhook-timestamp is not a number of seconds")
    if abs((time.time() if now is None else now) - int(sent)) > tolerance:
        raise InvalidSignature(
            f"the call is more than {tolerance:g} seconds old, or from the future"
        )
    signed = f"{event_id}.{sent}.".encode() + body
    secrets = [secret] if isinstance(secret, str) else secret
    expected = [hmac.digest(_octets(one), signed, hashlib.sha256) for one in secrets]
    found = [_decoded(text) for text in signatures]
    matches = [hmac.compare_digest(ours, theirs) for ours in expected for theirs in found]
    if not any(matches):
        raise InvalidSignature("no signature is made with this secret")
    event = json.loads(body)
    return cast(Event, {"id": event_id, **event})


def _octets(secret: str) -> bytes:
    if not secret.startswith(_PREFIX):
        raise ValueError(f"a webhook's secret begins with {_PREFIX}")
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)


def _decoded(signature: str) -> bytes:
    """The octets of a signature of ours; empty, which fits nothing, for any other."""
    version, _, text = signature.partition(",")
    try:
        return base64.b64decode(text, validate=True) if version == "v1" else b""
    except (ValueError, binascii.Error):
        return b""
