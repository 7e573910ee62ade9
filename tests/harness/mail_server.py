"""A mail server over TCP (aiosmtpd) that answers, hangs or dies as a test says."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

TAKEN = "250 OK"


@dataclass
class MailServer:
    """What it was given, and what it does next.

    at_rcpt, at_data: what it answers; "" for at_data: it takes the mail, then ends the connection
    without a word. hangs: it reads a command of this name and does not answer. password: who must
    log in, and with what.
    """

    port: int = 0
    at_rcpt: str = TAKEN
    at_data: str = TAKEN
    hangs: str = ""
    password: tuple[str, str] | None = None
    mails: list[tuple[str, list[str], EmailMessage]] = field(default_factory=list)
    hung: asyncio.Event = field(default_factory=asyncio.Event)
    logins: list[tuple[str, str]] = field(default_factory=list)

    async def handle_MAIL(  # noqa: N802  # as aiosmtpd looks for it
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        await self._hang("MAIL")
        envelope.mail_from = address
        return TAKEN

    async def handle_RCPT(  # noqa: N802
        self,
        _server: SMTP,
        _session: Session,
        envelope: Envelope,
        address: str,
        _options: list[str],
    ) -> str:
        if self.at_rcpt == TAKEN:
            envelope.rcpt_tos.append(address)
        return self.at_rcpt

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        content = envelope.content
        assert isinstance(content, bytes)
        if self.at_data in {TAKEN, ""}:
            read = message_from_bytes(content, policy=WIRE)
            assert isinstance(read, EmailMessage)
            self.mails.append((envelope.mail_from or "", list(envelope.rcpt_tos), read))
        await self._hang("DATA")
        if not self.at_data:
            assert isinstance(server.transport, asyncio.WriteTransport)
            server.transport.abort()
        return self.at_data or TAKEN

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        given = data.login.decode(), data.password.decode()
        self.logins.append(given)
        return AuthResult(success=given == self.password, handled=False)

    async def _hang(self, command: str) -> None:
        if self.hangs == command:
            self.hung.set()
            await asyncio.Event().wait()


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None = None, *, starts_tls: bool = False, **how: Any
) -> AsyncIterator[MailServer]:
    """A server on a port of its own. tls: from the start, or with `starts_tls` by STARTTLS."""
    made = MailServer(**how)

    def protocol() -> SMTP:
        with warnings.catch_warnings():  # it does not see TLS that was there from the start
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                made,
                hostname="mail.example.gov.cn",
                tls_context=tls if starts_tls else None,
                require_starttls=starts_tls,
                authenticator=made.authenticate if made.password else None,
                auth_required=made.password is not None,
                auth_require_tls=starts_tls,
                timeout=30,
            )

    server = await asyncio.get_running_loop().create_server(
        protocol, "127.0.0.1", 0, ssl=None if starts_tls else tls
    )
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
