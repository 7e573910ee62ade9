"""What a notice says: one sentence with what waits, and where; no name, no number, no secret. And
what became of it, in words.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from service.delivery.notices.notice_choice import NoticeKind
from service.ledger import reasons
from service.words.phrase import Phrase, listing, phrase


class NoticeState(StrEnum):
    """What became of a notice, for whoever was to get it."""

    WAITING = "waiting"
    TEXT = "text"
    SENT = "sent"
    UNCERTAIN = "uncertain"
    FAILED = "failed"
    LEFT = "left"


class NoticeSkip(StrEnum):
    """Why somebody is not told; else it is the reason why a ledger left the person out."""

    OVER = "over"
    OFF = "off"
    TOO_LATE = "too_late"
    OUT_OF_SERVICE = "out_of_service"
    NO_PHONE = "no_phone"
    NO_MAIL_SERVER = "no_mail_server"
    NO_PROVED_MAIL = "no_proved_mail"
    NO_SUCH_CLASS = "no_such_class"


_SKIPS: Mapping[str, Phrase] = {
    NoticeSkip.OVER: phrase("not told: it waited no more by then"),
    NoticeSkip.OFF: phrase("not told: you wanted no such notices any more"),
    NoticeSkip.TOO_LATE: phrase("not told: it could not be sent within three days"),
    NoticeSkip.OUT_OF_SERVICE: phrase("not told: the account was out of service"),
    NoticeSkip.NO_PHONE: phrase("not told: no phone was proved"),
    NoticeSkip.NO_MAIL_SERVER: phrase("not told: no mail server was set up"),
    NoticeSkip.NO_PROVED_MAIL: phrase("not told: the address was not proved"),
    NoticeSkip.NO_SUCH_CLASS: phrase("not told: your department may not send work notices"),
}
_MAILS = {
    "sent": NoticeState.SENT,
    "uncertain": NoticeState.UNCERTAIN,
    "given_up": NoticeState.FAILED,
}


def sentence(counts: Mapping[NoticeKind, int], console: str | None) -> Phrase:
    """What waits for somebody, by kind, and the console's address, if it is known."""
    things = listing(_counted(kind, counts[kind]) for kind in NoticeKind if counts.get(kind))
    if console:
        return phrase("{things}. Log in to see: {console}", things=things, console=console)
    return phrase("{things}. Log in to the console to see.", things=things)


def subject(counts: Mapping[NoticeKind, int]) -> Phrase:
    """The subject of a mail."""
    return phrase("Tocsin: {count} waiting for you", count=sum(counts.values()))


class BuiltPack(NamedTuple):
    """A version of the county's pack. handed_in of units: reports in it. sha256: of its manifest,
    in hexadecimal.
    """

    week: str
    version: int
    units: int
    handed_in: int
    sha256: str


def pack_subject(pack: BuiltPack) -> Phrase:
    """The subject of a mail of a pack."""
    return phrase(
        "Tocsin: weekly reports of {week}, version {version}", week=pack.week, version=pack.version
    )


def pack_sentence(pack: BuiltPack, console: str | None) -> Phrase:
    """Which version was built, where it is, and by what it is known; the pack itself is not sent
    by mail.
    """
    where = phrase("Log in to the console to download it.")
    if console:
        address = f"{console.rstrip('/')}/reports/weekly/packs?week={pack.week}"
        where = phrase("Log in to download it: {address}", address=address)
    return phrase(
        "The pack of weekly reports of {week}, version {version}, is built; {handed_in} of {units}"
        " units had handed in. {where} SHA-256 of its manifest.json: {sha256}",
        week=pack.week,
        version=pack.version,
        handed_in=pack.handed_in,
        units=pack.units,
        where=where,
        sha256=pack.sha256,
    )


def pack_mail_words(state: str, error: str) -> Phrase:
    """What became of a mail of a pack."""
    return words_of(_MAILS.get(state, NoticeState.WAITING), None, error)


def _counted(kind: NoticeKind, count: int) -> Phrase:
    if kind is NoticeKind.APPROVAL:
        return phrase("campaigns for you to approve: {count}", count=count)
    if kind is NoticeKind.RETURNED:
        return phrase("campaigns returned to you: {count}", count=count)
    if kind is NoticeKind.LEG:
        return phrase("joint plans that ask for your department's part: {count}", count=count)
    return phrase("campaigns of yours that paused by themselves: {count}", count=count)


def state_of(settled_at: datetime | None, skipped: str | None, mail: str | None) -> NoticeState:
    """What became of a notice. mail: the state of its mail; None: it has none."""
    if settled_at is None:
        return NoticeState.WAITING
    if skipped is not None:
        return NoticeState.LEFT
    return NoticeState.TEXT if mail is None else _MAILS.get(mail, NoticeState.WAITING)


def words_of(state: NoticeState, skipped: str | None, error: str | None) -> Phrase:
    """The same in words. error: what the last attempt to send the mail came to."""
    if state is NoticeState.LEFT:
        why = skipped or ""
        return _SKIPS.get(why) or phrase("not told: {reason}", reason=reasons.words_of(why))
    if state is NoticeState.WAITING and error:
        return phrase("is tried again: {error}", error=error)
    if state is NoticeState.FAILED:
        return phrase("the mail was given up: {error}", error=error)
    return {
        NoticeState.WAITING: phrase("waits to be sent"),
        NoticeState.TEXT: phrase("sent as a text"),
        NoticeState.SENT: phrase("sent by mail"),
    }.get(state, phrase("the mail may have been sent, and is not sent again"))
