"""A client of Tocsin: send, import, plan, and see what became of it; nobody is sent to twice.

async with Tocsin("https://sms.example.gov.cn", key) as tocsin:
    sent = await tocsin.messages.send(["197 9000 0001"], template_id=template_id)
"""

from tocsin_client.client import Tocsin
from tocsin_client.errors import (
    AnsweredOnce,
    Conflict,
    Forbidden,
    HasLeft,
    ImportFailed,
    Invalid,
    InvalidSignature,
    NeedsCampaign,
    NobodyAccepted,
    NotFound,
    OutOfScope,
    Refused,
    RuleInvalid,
    SecondPersonNeeded,
    Stale,
    TextBlocked,
    TocsinError,
    TooManyRequests,
    Unauthorized,
    Unavailable,
    WrongState,
)
from tocsin_client.link import Patience
from tocsin_client.webhooks import Event, verify

__all__ = [
    "AnsweredOnce",
    "Conflict",
    "Event",
    "Forbidden",
    "HasLeft",
    "ImportFailed",
    "Invalid",
    "InvalidSignature",
    "NeedsCampaign",
    "NobodyAccepted",
    "NotFound",
    "OutOfScope",
    "Patience",
    "Refused",
    "RuleInvalid",
    "SecondPersonNeeded",
    "Stale",
    "TextBlocked",
    "Tocsin",
    "TocsinError",
    "TooManyRequests",
    "Unauthorized",
    "Unavailable",
    "WrongState",
    "verify",
]
