"""Mails of notices: each given to the mail server once, tried again while it provably has not left.

A mail is claimed in a transaction of its own before the connection is opened. Whoever dies with it
leaves it `uncertain`: it may have left, and is not sent again (invariant I3). No connection to the
database is held while the server is spoken to.
"""

import logging
import ssl
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from uuid import UUID

from service.clock import Clock
from service.crypto import Keyring
from service.delivery.notices import mail_store as store
from service.delivery.notices import smtp
from service.delivery.notices.mail_proof import CODE, CODE_SUBJECT, code_sentence
from service.delivery.notices.mail_store import MailResult
from service.delivery.notices.notice_choice import MAIL, NoticeKind
from service.delivery.notices.notice_text import (
    BuiltPack,
    pack_sentence,
    pack_subject,
    sentence,
    subject,
)
from service.delivery.notices.smtp import MailAttempt, MailFate
from service.settings import Settings
from service.storage.postgres import Pool, Record, transaction
from service.words.phrase import Phrase

log = logging.getLogger(__name__)

AT_ONCE = 20
"""How many mails one job sends, one after the other."""
CLAIM = timedelta(minutes=3)
"""Longer than one mail takes whose server answers each command at the last moment."""
AGAIN = tuple(timedelta(minutes=minutes) for minutes in (1, 5, 15, 60, 120, 240, 480))
"""How long after each attempt the next one comes; the last one repeats."""
GIVEN_UP_AFTER = timedelta(hours=24)

LOST = "mail: the process that sent it has ended without a word"
TOO_LATE = "not taken for 24 hours; the last time, "
NO_ADDRESS = "there is no address any more"


async def send_mails(
    pool: Pool,
    keyring: Keyring,
    clock: Clock,
    settings: Settings,
    *,
    tls: ssl.SSLContext | None = None,
    seconds: float = smtp.SECONDS,
) -> bool:
    """Send the mails that are due; False: none is any more, or the server does not take them.

    tls, seconds: as for `smtp.send`.
    """
    if settings.smtp_url is None:
        return False
    async with transaction(pool) as conn:
        for mail_id in await store.note_lost_mails(conn, LOST, clock.now()):
            log.error("a mail may or may not have left", extra={"mail_id": str(mail_id)})
    for _ in range(AT_ONCE):
        now = clock.now()
        async with transaction(pool) as conn:
            row = await store.claim_mail(conn, now + CLAIM * clock.speed, now)
            kinds = await store.count_kinds(conn, row["id"]) if row is not None else {}
        if row is None:
            return False
        attempt = MailAttempt(MailFate.REFUSED, NO_ADDRESS)
        if row["mail_cipher"] is not None:
            address = keyring.decrypt(MAIL, row["mail_cipher"])
            message = _message(settings, row, address, *_words(keyring, settings, row, kinds))
            attempt = await smtp.send(settings.smtp_url, message, tls=tls, seconds=seconds)
        await _record(pool, row, attempt, clock.now())
        if attempt.fate in {MailFate.LATER, MailFate.UNCERTAIN}:
            return False  # the next turn tries the others: a dead server must not hold up this job
    return True


def _words(
    keyring: Keyring, settings: Settings, row: Record, kinds: dict[str, int]
) -> tuple[Phrase, Phrase]:
    """The subject of a mail, and what it says: how much waits, the code of an address, or which
    pack was built.
    """
    if row["code_cipher"] is not None:
        return CODE_SUBJECT, code_sentence(keyring.decrypt(CODE, row["code_cipher"]))
    if row["pack_week"] is not None:
        pack = BuiltPack(
            row["pack_week"],
            row["pack_version"],
            row["units"],
            row["handed_in"],
            row["manifest_sha256"].hex(),
        )
        return pack_subject(pack), pack_sentence(pack, settings.console_url)
    counts = {NoticeKind(kind): count for kind, count in kinds.items()}
    return subject(counts), sentence(counts, settings.console_url)


def _message(
    settings: Settings, row: Record, address: str, title: Phrase, words: Phrase
) -> EmailMessage:
    language = row["language"]
    message = EmailMessage()
    message["From"] = settings.mail_from
    message["To"] = address
    message["Subject"] = title.in_language(language)
    message["Date"] = format_datetime(row["made_at"].astimezone(settings.zone))
    message["Message-ID"] = f"<{row['id']}@{settings.mail_from.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no program answers it
    message.set_content(words.in_language(language) + "\n")
    return message


async def _record(pool: Pool, row: Record, attempt: MailAttempt, now: datetime) -> None:
    result = _result(row, attempt, now)
    async with transaction(pool) as conn:
        await store.record_mail(conn, row["id"], result, now)
    if result.state != "sent":
        _tell(row["id"], result)


def _result(row: Record, attempt: MailAttempt, now: datetime) -> MailResult:
    if attempt.fate is MailFate.SENT:
        return MailResult("sent")
    if attempt.fate is MailFate.UNCERTAIN:
        return MailResult("uncertain", attempt.error)
    if attempt.fate is MailFate.REFUSED:
        return MailResult("given_up", attempt.error)
    if now - row["made_at"] >= GIVEN_UP_AFTER:
        return MailResult("given_up", TOO_LATE + attempt.error)
    wait = AGAIN[min(row["attempts"], len(AGAIN)) - 1]
    return MailResult("waiting", attempt.error, now + wait)


def _tell(mail_id: UUID, result: MailResult) -> None:
    level = logging.WARNING if result.state == "waiting" else logging.ERROR
    log.log(
        level,
        "a mail was not sent",
        extra={"mail_id": str(mail_id), "state": result.state, "why": result.error},
    )
