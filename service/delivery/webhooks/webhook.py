"""Webhooks, the rules (pure): what is told, how a call is signed and made again, whom we call.

The layout of a call is that of Standard Webhooks (standardwebhooks.com, 1.0): the headers
`webhook-id`, `webhook-timestamp` and `webhook-signature`, the last one `v1,` and the base64 of an
HMAC-SHA256 over `id.timestamp.body` under the secret, which is written `whsec_` and base64.

Nobody is called at an address of our own network unless a setting allows it: a department names
the address, and the answer's status comes back to it, so it could ask around in our house.
"""

import base64
import hmac
import json
import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from zoneinfo import ZoneInfo

from service.channels.contract.address_check import Network
from service.clock import written

PREFIX = "whsec_"
SECRET_OCTETS = 24

AGAIN: tuple[timedelta, ...] = (
    timedelta(seconds=5),
    timedelta(seconds=30),
    timedelta(minutes=2),
    timedelta(minutes=10),
    timedelta(minutes=30),
    timedelta(hours=1),
    timedelta(hours=2),
    timedelta(hours=4),
    timedelta(hours=6),
    timedelta(hours=8),
)
"""How long after each failed call the next one is made; the last span is used again."""

GIVEN_UP_AFTER = timedelta(hours=24)
"""After the first call of an event; a webhook that took no call for so long is disabled."""

MOST_REST = timedelta(minutes=10)
"""However long a receiver has been away, it is tried this often."""

GONE = 410
"""The receiver's word that it wants no more calls; the webhook is disabled at once."""


INSTANTS = ("final_at", "settled_at", "planned_at")
"""The members of an event's data that are instants; the database writes them in a zone of its own.
"""


class WebhookEvent(StrEnum):
    """What a department can be told of."""

    MESSAGE_FINAL = "message.final"
    RUN_FINISHED = "run.finished"
    INBOUND_RECEIVED = "inbound.received"
    IMPORT_FINISHED = "import.finished"
    QUOTA_WARNING = "quota.warning"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_TEST = "webhook.test"
    STOPPED = "stop_all.stopped"
    LIFTED = "stop_all.lifted"
    CAMPAIGN_HELD = "campaign.held"
    CAMPAIGN_RELEASED = "campaign.released"
    CAMPAIGN_PAUSED = "campaign.paused"
    CAMPAIGN_RESUMED = "campaign.resumed"
    CAMPAIGN_RETURNED = "campaign.returned"
    CAMPAIGN_REOPENED = "campaign.reopened"
    CAMPAIGN_NOT_FIRING = "campaign.not_firing"
    FIRE_HELD = "fire.held"
    FIRE_RELEASED = "fire.released"
    FIRE_MISSED = "fire.missed"
    FIRE_SKIPPED = "fire.skipped"
    FIRE_LATE = "fire.late"
    FIRE_LEG_LEFT_OUT = "fire.leg_left_out"
    LEG_ASKED = "leg.asked"
    LEG_WITHDRAWN = "leg.withdrawn"
    LEG_TAKEN = "leg.taken"
    LEG_RETURNED = "leg.returned"
    LEG_LEFT_OUT = "leg.left_out"
    LEG_CANCELLED = "leg.cancelled"
    CHANNEL_SHUT = "channel.shut"
    CHANNEL_RECOVERED = "channel.recovered"
    TEXT_REVISED = "text.revised"
    TEXT_CORRECTED = "text.corrected"
    TEXT_WITHDRAWN = "text.withdrawn"
    BULLETIN_ISSUED = "bulletin.issued"
    FOLLOWUP_CLOSED = "followup.closed"
    DUTY_LATE = "duty.late"
    REPORT_BUILT = "report.built"


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """What a call came to: the status of the answer, or None and why there was none."""

    status: int | None
    error: str = ""

    @property
    def success(self) -> bool:
        """Whether the receiver took it."""
        return self.status is not None and 200 <= self.status < 300


def new_secret() -> str:
    """A secret, to be shown once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(SECRET_OCTETS)).decode()


def signature(secret: str, event_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature`. timestamp: seconds since 1970."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    signed = f"{event_id}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, signed, sha256)).decode()


def body_of(
    event_type: str, at: datetime, version: int, data: Mapping[str, Any], zone: ZoneInfo
) -> bytes:
    """The JSON of a call. version: of two events about one thing, the higher is the newer.

    zone: the county's, with whose offset instants are written.
    """
    given = {
        name: written(datetime.fromisoformat(data[name]), zone)
        for name in INSTANTS
        if data.get(name)
    }
    content = {
        "type": event_type,
        "timestamp": written(at, zone),
        "version": version,
        "data": {**data, **given},
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def headers_of(secret: str, event_id: str, body: bytes, now: float) -> dict[str, str]:
    """The headers of a call made now, in seconds since 1970."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Tocsin-Webhooks/1",
        "webhook-id": event_id,
        "webhook-timestamp": str(int(now)),
        "webhook-signature": signature(secret, event_id, int(now), body),
    }


def next_call(attempt: int, first_at: datetime, now: datetime) -> datetime | None:
    """When the call is made again after `attempt` failed ones; None: it is given up.

    The last one is made when the day is over, so that a receiver that is away is known by then.
    """
    end = first_at + GIVEN_UP_AFTER
    if now >= end:
        return None
    return min(now + AGAIN[min(attempt, len(AGAIN)) - 1], end + timedelta(minutes=1))


def rest_after(failures: int) -> timedelta:
    """How long a webhook rests after so many failed calls in a row."""
    return min(AGAIN[min(failures, len(AGAIN)) - 1], MOST_REST)


def may_call(address: str, allowed: Collection[Network]) -> bool:
    """Whether an IP address may be called: a public one, or one that is allowed by name.

    What carries an IPv4 address within (mapped, 6to4, NAT64) leads there, and is judged by it.
    """
    found = ip_address(address.partition("%")[0])
    if any(found in network for network in allowed if network.version == found.version):
        return True
    if isinstance(found, IPv4Address):
        return found.is_global and not found.is_multicast
    if (within := found.ipv4_mapped or found.sixtofour or _translated(found)) is not None:
        return within.is_global and not within.is_multicast
    odd = found.is_multicast or found.is_reserved or found.is_site_local
    return found.is_global and not odd


_NAT64 = IPv6Network("64:ff9b::/96")


def _translated(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address behind a translator's prefix (RFC 6052)."""
    return IPv4Address(int(address) & 0xFFFFFFFF) if address in _NAT64 else None
