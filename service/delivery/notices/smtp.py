"""One mail over SMTP (RFC 5321), with what is known of it afterwards: sent, not sent, or unknown.

A mail may have left once its last line is on its way and the server's answer does not come. All
failures before that, and every answer of the server, say that it was not taken.
"""

import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as ANY_OCTETS
from enum import StrEnum
from urllib.parse import unquote, urlsplit

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)

WIRE = ANY_OCTETS.clone(cte_type="7bit")
"""Not every server takes octets above 127 (8BITMIME, RFC 6152)."""
SECONDS = 15.0
"""How long the server may take for the connection, and for each answer."""
PORTS = {"smtp": 587, "smtps": 465, "smtp+plain": 25}
"""By the scheme of the server's URL: TLS after STARTTLS, TLS from the start, and none."""


class MailFate(StrEnum):
    """What became of a mail. LATER: it was not taken, and may be another time."""

    SENT = "sent"
    LATER = "later"
    REFUSED = "refused"
    UNCERTAIN = "uncertain"


@dataclass(frozen=True, slots=True)
class MailAttempt:
    """What became of a mail, and why; `error` has no address and no word of the mail."""

    fate: MailFate
    error: str = ""


async def send(
    url: str, message: EmailMessage, *, tls: ssl.SSLContext | None = None, seconds: float = SECONDS
) -> MailAttempt:
    """Give a mail to the server of this URL. tls: whom to trust; None: the machine's authorities.

    The addresses of the envelope are those of `From` and `To`, which name one each.
    """
    parts = urlsplit(url)
    client = SMTP(
        hostname=parts.hostname,
        port=parts.port or PORTS[parts.scheme],
        timeout=seconds,
        use_tls=parts.scheme == "smtps",
        start_tls=parts.scheme == "smtp",
        tls_context=tls,
    )
    try:
        found = await _begun(client, parts.username, parts.password, message)
        if found is None:
            found = await _given(client, message.as_bytes(policy=WIRE))
    finally:
        client.close()
    return found


async def _begun(
    client: SMTP, user: str | None, password: str | None, message: EmailMessage
) -> MailAttempt | None:
    """All that comes before the mail itself; returns why it goes no further."""
    step = "connection"
    try:
        await client.connect()
        step = "login"
        if user:
            await client.login(unquote(user), unquote(password or ""))
        step = "sender"
        await client.mail(str(message["From"]))
        step = "recipient"
        await client.rcpt(str(message["To"]))
    except SMTPResponseException as error:
        refused = step == "recipient" and error.code >= 500
        fate = MailFate.REFUSED if refused else MailFate.LATER
        return MailAttempt(fate, f"{step}: the server answered {error.code}")
    except (SMTPException, OSError) as error:
        return MailAttempt(MailFate.LATER, f"{step}: {_kind(error)}")
    return None


async def _given(client: SMTP, message: bytes) -> MailAttempt:
    try:
        await client.data(message)
    except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
        return MailAttempt(MailFate.UNCERTAIN, f"mail: {_kind(error)}")
    except SMTPResponseException as error:
        fate = MailFate.REFUSED if error.code >= 500 else MailFate.LATER
        return MailAttempt(fate, f"mail: the server answered {error.code}")
    return MailAttempt(MailFate.SENT)


def _kind(error: Exception) -> str:
    """What kind of failure it was, in words without anything that the server said."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return "the server's certificate is not to be trusted"
        if isinstance(reason, ConnectionRefusedError):
            return "refused"
        reason = reason.__cause__ or reason.__context__
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, SMTPServerDisconnected):
        return "the server ended the connection"
    return type(error).__name__
