"""A client of Tocsin: send, import, plan, and see what became of it; nobody is sent to twice.

async with Tocsin("https://sms.example.gov.cn", key) as tocsin:
    sent = await tocsin.messages.send(["197 9000 0001"], template_id=template_id)
"""

from tocsin_client.client import Tocsin
from tocsin_client.errors import (
    Conflict,
    Forbidden,
    ImportFailed,
    Invalid,
    InvalidSignature,
    NotFound,
    Refused,
    Stale,
    TocsinError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
)
from tocsin_client.link import Patience
from tocsin_client.webhooks import Event, verify

__all__ = [
    "Conflict",
    "Event",
    "Forbidden",
    "ImportFailed",
    "Invalid",
    "InvalidSignature",
    "NotFound",
    "Patience",
    "Refused",
    "Stale",
    "Tocsin",
    "TocsinError",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "verify",
]
