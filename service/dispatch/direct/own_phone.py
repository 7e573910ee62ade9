"""A user's own phone, to which test-sends go: said by the user, and proved by a code in a text.

Without a proof, whoever may approve could have texts that nobody has approved sent to any phone.
The code takes the way of every text, within the hours of service texts; it is valid for ten minutes
and a few tries, and is kept as a keyed hash. A proved phone is exchanged once in 30 days, so that
the tests of one person do not go to many phones in turn.
"""

import json
import secrets
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from service.accounts.departments.department import bare
from service.accounts.departments.department_store import get_department, get_permits
from service.accounts.people import phone_store
from service.accounts.people.model import User
from service.audience.numbers.prefix import is_synthetic
from service.audience.numbers.prefix_store import current_prefixes
from service.campaigns.calendar.county_store import load_county
from service.campaigns.calendar.hours import HourTerms
from service.campaigns.calendar.schedule import DEFAULT_HOURS, DEFAULT_TIMEZONE
from service.channels.routing.route import routes
from service.channels.routing.route_store import list_routable_channels
from service.clock import CHINA
from service.crypto import Keyring
from service.dispatch.compose import VARIABLES
from service.dispatch.direct import direct
from service.dispatch.direct.direct_store import NewRun, Recipient
from service.errors import Conflict, Invalid
from service.ledger.message_class import NOTICE
from service.ledger.reasons import Reason
from service.storage.postgres import Connection
from service.words.phrase import phrase

CODE_VALID = timedelta(minutes=10)
MOST_TRIES = 5
MOST_CODES = 3
"""How many codes one user may ask for in 24 hours, and one phone gets."""
CHANGED_AFTER = timedelta(days=30)
"""How long a proved phone stays, before another is taken."""
TEXT = "您的验证码是{验证码:数量}，十分钟内有效，用于确认接收测试短信的本人手机，请勿告诉他人。"


class PhoneClaim(NamedTuple):
    """What became of a phone that a user said is theirs. channels: on which a code goes out."""

    proved_at: datetime | None
    channels: Collection[int]


async def say_phone(
    conn: Connection, keyring: Keyring, actor: User, phone: str, now: datetime
) -> PhoneClaim:
    """Take a phone as the actor's own, and send a code there; one that is proved stays so.

    Raises:
        Conflict: the actor has proved another one lately, had too many codes, or none can be sent
            there now.
    """
    own = await phone_store.get_phone(conn, actor.id, lock=True)
    same = own.cipher is not None and keyring.decrypt("phone", own.cipher) == phone
    if same and own.proved_at is not None:
        return PhoneClaim(own.proved_at, ())
    if own.changed_at is not None and now < (free := own.changed_at + CHANGED_AFTER):
        raise Conflict(
            phrase(
                "you proved a phone less than {days} days ago; you can say another one from"
                " {free:%Y-%m-%d %H:%M} on",
                days=CHANGED_AFTER.days,
                free=free.astimezone(CHINA),
            ),
            code="phone_changed_lately",
        )
    phone_hash = keyring.phone_index(phone)
    if max(await phone_store.count_codes(conn, actor.id, phone_hash, now)) >= MOST_CODES:
        raise Conflict(
            phrase(
                "there were {most_codes} codes in 24 hours; try tomorrow", most_codes=MOST_CODES
            ),
            code="too_many",
        )
    await service_hours(conn, now)
    await phone_store.set_phone(conn, actor.id, keyring.encrypt("phone", phone))
    code = f"{secrets.randbelow(10**6):06d}"
    code_hash = _code_hash(keyring, actor.id, phone_hash, code)
    await phone_store.insert_code(conn, actor.id, phone_hash, code_hash, now)
    return PhoneClaim(None, await _send(conn, keyring, actor, phone, code, now))


async def prove_phone(
    conn: Connection, keyring: Keyring, actor: User, code: str, now: datetime
) -> str:
    """Take the code that was sent to the actor's phone; returns the phone, which is proved.

    A try is counted, so the transaction must be kept also where this raises `Invalid`.

    Raises:
        Conflict: no code is valid, or it was tried too often.
        Invalid: it is another code.
    """
    own = await phone_store.get_phone(conn, actor.id, lock=True)
    sent = await phone_store.try_code(conn, actor.id, now - CODE_VALID)
    phone = keyring.decrypt("phone", own.cipher) if own.cipher is not None else ""
    if sent is None or sent.phone_hash != keyring.phone_index(phone) or sent.tries > MOST_TRIES:
        raise Conflict(
            phrase(
                "no code is valid: each is for {seconds} minutes and {most_tries} tries;"
                " say your phone again for a new one",
                seconds=CODE_VALID.seconds // 60,
                most_tries=MOST_TRIES,
            ),
            code="no_code",
        )
    expected = _code_hash(keyring, actor.id, sent.phone_hash, code)
    if not secrets.compare_digest(expected, sent.code_hash):
        raise Invalid.at(
            "code",
            phrase(
                "it is not the code that was sent; {most_tries} tries are left",
                most_tries=MOST_TRIES - sent.tries,
            ),
        )
    await phone_store.set_proved(conn, actor.id, now)
    return phone


async def service_hours(conn: Connection, now: datetime) -> datetime:
    """Until when texts to a user's own phone may leave: the end of the hours of service texts,
    whatever their own class.

    Raises:
        Conflict: these hours are over.
    """
    county = await load_county(conn)
    terms = HourTerms(DEFAULT_HOURS, CHINA, NOTICE)
    if not county.is_open(now, terms):
        opens = county.next_opening(now, terms).astimezone(CHINA)
        raise Conflict(
            phrase(
                "tests and codes are sent within the hours of service texts only, from"
                " {opens:%Y-%m-%d %H:%M} on",
                opens=opens,
            ),
            code="out_of_hours",
        )
    ends = (at for at in county.changes(now, terms) if at > now and not county.is_open(at, terms))
    return min(ends, default=now)


def _code_hash(keyring: Keyring, user_id: UUID, phone_hash: bytes, code: str) -> bytes:
    return keyring.index("phone_code", f"{user_id} {phone_hash.hex()} {code}")


async def _send(
    conn: Connection, keyring: Keyring, actor: User, phone: str, code: str, now: datetime
) -> Collection[int]:
    """Write the run of a code, whose text has the code only as an encrypted value; returns the
    channels that have work now.
    """
    department = await get_department(conn, actor.department_id, None)
    recipient = await own_recipient(
        conn, keyring, actor.department_id, phone, now, {"验证码": code}
    )
    new = NewRun(
        kind="reply",
        department_id=actor.department_id,
        message_class=NOTICE,
        priority="urgent",
        text=f"【{bare(department.settings.signature or department.name)}】{TEXT}",
        channels=[recipient.channel_id] if recipient.channel_id is not None else [],
        send_hours=DEFAULT_HOURS,
        timezone=DEFAULT_TIMEZONE,
        valid_until=now + CODE_VALID,
        over_cap="send",
    )
    started = await direct.start(conn, new, [recipient], now)
    if not started.target:
        reason = next(iter(started.left_out.values()))
        raise Conflict(
            phrase(
                "no code can be sent to this phone: {reason}; see POST /routes/explain and"
                " the suppressions",
                reason=reason,
            ),
            code="no_route" if reason == Reason.NO_ROUTE else "suppressed",
        )
    return started.channels


async def own_recipient(
    conn: Connection,
    keyring: Keyring,
    department_id: UUID,
    phone: str,
    now: datetime,
    values: Mapping[str, str] | None = None,
) -> Recipient:
    """The phone of one of a department's own users, on the first channel that the department may
    use and that takes the number. values: of the text's variables.
    """
    carrier = (await current_prefixes(conn)).carrier_of(phone) or ""
    synthetic = is_synthetic(phone)
    allowed = (await get_permits(conn, department_id)).channels_of(None)
    found = routes(await list_routable_channels(conn, now), allowed)
    return Recipient(
        keyring.phone_index(phone),
        keyring.encrypt("phone", phone),
        carrier,
        synthetic,
        next(
            (r.channel_id for r in found if r.carrier == carrier and r.simulated == synthetic), None
        ),
        keyring.encrypt(VARIABLES, json.dumps(values, ensure_ascii=False)) if values else None,
    )
