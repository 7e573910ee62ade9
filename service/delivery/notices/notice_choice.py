"""What a person wants to be told of, and how: chosen by themselves, nothing unless they do.

A text goes to the phone that the person has proved; a mail to an address in one of the domains of
the deployment (`TOCSIN_MAIL_DOMAINS`), so that nobody has mails sent to strangers.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from service.accounts.people import phone_store
from service.accounts.people.model import User
from service.crypto import Keyring
from service.delivery.notices import notice_choice_store as store
from service.delivery.notices.mail_proof import send_code
from service.errors import Invalid
from service.settings import Settings
from service.storage.postgres import Connection
from service.words.phrase import listing, phrase

MAIL = "mail"
"""The kind of field that addresses are encrypted as."""

_ADDRESS = re.compile(r"[A-Za-z0-9._%+-]{1,64}@([A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)")
_LONGEST = 254
"""Characters of an address (RFC 5321 §4.5.3.1.3, without the brackets)."""


class NoticeKind(StrEnum):
    """What a notice tells of."""

    APPROVAL = "approval"
    RETURNED = "returned"
    PAUSED = "paused"
    LEG = "leg"


class NoticeWay(StrEnum):
    """How a notice comes."""

    TEXT = "text"
    MAIL = "mail"


@dataclass(frozen=True, slots=True)
class NoticeChoice:
    """What somebody chose. mail: the address, also while texts are wanted. language: zh or en.
    mail_proved_at: since when a code has proved the address. packs: a mail of each version of the
    county's pack is wanted, whatever the way of notices is.
    """

    kinds: frozenset[NoticeKind] = frozenset()
    way: NoticeWay = NoticeWay.TEXT
    mail: str | None = None
    language: str = "zh"
    mail_proved_at: datetime | None = None
    packs: bool = False


async def get_choice(conn: Connection, keyring: Keyring, user: User) -> NoticeChoice:
    """What a user chose; nothing to be told of, if they never did."""
    row = await store.find_choice(conn, user.id)
    if row is None:
        return NoticeChoice()
    mail = keyring.decrypt(MAIL, row["mail_cipher"]) if row["mail_cipher"] is not None else None
    kinds = frozenset(NoticeKind(kind) for kind in row["kinds"])
    way, language = NoticeWay(row["way"]), row["language"]
    return NoticeChoice(kinds, way, mail, language, row["mail_proved_at"], row["packs"])


async def choose(
    conn: Connection,
    keyring: Keyring,
    settings: Settings,
    actor: User,
    choice: NoticeChoice,
    now: datetime,
) -> None:
    """Keep what the actor chose for themselves, in place of what they chose before. To an address
    that is not proved a code is sent, and no notice before it is.

    Raises:
        Invalid: no mail server is set up, the address is none or of another domain, or texts are
            wanted and no phone is proved.
        Conflict: there were too many codes.
    """
    if choice.mail is not None:
        _check_address(choice.mail, settings)
    if choice.kinds:
        await _check_way(conn, settings, actor, choice)
    if choice.packs:
        _check_mail(settings, choice, "packs")
    known = await get_choice(conn, keyring, actor)
    proved_at = known.mail_proved_at if choice.mail == known.mail else None
    if choice.mail is not None and proved_at is None and settings.smtp_url is not None:
        await send_code(conn, keyring, actor, choice.mail, now)
    cipher = keyring.encrypt(MAIL, choice.mail) if choice.mail is not None else None
    way = choice.way if choice.kinds or choice.mail is not None else NoticeWay.TEXT
    kinds = sorted(choice.kinds)
    kept = (cipher, proved_at)
    await store.set_choice(
        conn, actor.id, kinds, way, kept, choice.language, now, packs=choice.packs
    )


async def _check_way(
    conn: Connection, settings: Settings, actor: User, choice: NoticeChoice
) -> None:
    if choice.way is NoticeWay.TEXT:
        if (await phone_store.get_phone(conn, actor.id)).proved_at is None:
            raise Invalid.at(
                "way",
                phrase("prove your phone first: texts go to the phone that you have proved"),
                code="phone_not_proved",
            )
    else:
        _check_mail(settings, choice, "way")


def _check_mail(settings: Settings, choice: NoticeChoice, field: str) -> None:
    """Refuse mails that cannot be sent. field: where they were asked for."""
    if settings.smtp_url is None:
        why = phrase("no mail server is set up here; choose texts")
        if field == "packs":
            why = phrase("no mail server is set up here, so no packs are told of by mail")
        raise Invalid.at(field, why)
    if choice.mail is None:
        raise Invalid.at("mail", phrase("give the address that the mails go to"))


def _check_address(address: str, settings: Settings) -> None:
    found = _ADDRESS.fullmatch(address)
    if found is None or len(address) > _LONGEST:
        raise Invalid.at("mail", phrase("write an address like name@example.gov.cn"))
    if found[1].lower() not in settings.domains_of_mail:
        raise Invalid.at(
            "mail",
            phrase(
                "mails go to addresses in {domains} only",
                domains=listing(settings.domains_of_mail) or phrase("no domain"),
            ),
        )
